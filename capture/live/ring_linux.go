package live

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"netlab/capture"
)

// ring is a packet socket whose packets are read where the kernel puts them: in
// blocks, one after the other in a circle. A block is the kernel's until it is full or
// has waited long enough, then ours until it is given back.
type ring struct {
	device
	fd          int
	mem         []byte
	size, count int // of a block, in bytes; of blocks
	snap        int

	block []byte // that is read; nil when it has been given back
	next  int    // the block behind it
	left  int    // packets of block that were not read
	at    int    // where the next of them is
	taken int64  // packets that were read
	due   int64  // that had come when the capture was stopped, or a little later; -1 before

	mu         sync.Mutex
	stats      Stats
	lostBefore int64 // what the interface had lost before
}

// ready looks whether there is a packet to read, in the block being read or else in the
// next, and gives back the one that was read.
func (r *ring) ready() bool {
	for r.left == 0 {
		if r.block != nil {
			atomic.StoreUint32(&header(r.block).Block_status, unix.TP_STATUS_KERNEL)
			r.block = nil
		}
		b := r.mem[r.next*r.size : (r.next+1)*r.size]
		h := header(b)
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return false
		}
		r.block, r.left, r.at = b, int(h.Num_pkts), int(h.Offset_to_first_pkt)
		if r.next++; r.next == r.count {
			r.next = 0
		}
	}
	return true
}

// header is what a block begins with.
func header(block []byte) *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&(*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0])).Hdr))
}

// head is what the next packet begins with, when there is one.
func (r *ring) head() *unix.Tpacket3Hdr {
	return (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.block[r.at]))
}

// time is when a packet was seen, in nanoseconds since 1970.
func nanos(h *unix.Tpacket3Hdr) int64 { return int64(h.Sec)*1e9 + int64(h.Nsec) }

// take reads the next packet, when there is one.
func (r *ring) take(p *capture.Packet) {
	h := r.head()
	begin := r.at + int(h.Mac)
	end := begin + int(h.Snaplen)
	p.Length = int(h.Len)
	tagged := h.Status&unix.TP_STATUS_VLAN_VALID != 0 || h.Hv1.Vlan_tci != 0
	switch {
	case r.cooked():
		n := cook(r.block[r.at:begin], h, tagged)
		begin, p.Length = begin-n, p.Length+n
	case tagged && r.link == capture.LinkEthernet:
		if n := tag(r.block[begin-vlanTag:end], h); n > 0 {
			begin, p.Length = begin-n, p.Length+n
		}
	}
	p.Data = r.block[begin:min(end, begin+r.snap)]
	p.Time = time.Unix(int64(h.Sec), int64(h.Nsec)).UTC()
	p.Link = r.link
	r.left--
	r.taken++
	r.at += int(h.Next_offset)
}

// trouble tells what poll saw on the socket. An interface that is down may come up
// again; one that is gone does not.
func (r *ring) trouble() error {
	n, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("live: listen on %s: %w", r.name, err)
	}
	switch e := unix.Errno(n); {
	case e == 0:
		return nil
	case errors.Is(e, unix.ENETDOWN):
		if i, err := net.InterfaceByName(r.name); err == nil && i.Index == r.index || r.index == 0 {
			return nil
		}
		return &InterfaceError{r.name, errors.New("the interface is gone"), names()}
	default:
		return fmt.Errorf("live: listen on %s: %w", r.name, e)
	}
}

func (r *ring) close() {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
	}
	unix.Close(r.fd)
}

// rings is a Handle of one ring or several.
type rings struct {
	list   []*ring
	shared bool       // the buffer's size was left to us
	wake   int        // an eventfd that ends a poll; -1 when it is closed
	waking sync.Mutex // held to use wake beside Next
	packet capture.Packet
	number int64

	stopped atomic.Int64 // when Stop was called, in nanoseconds since 1970
	// safe is a time before which no packet comes any more that has not been seen.
	safe int64
	poll []unix.PollFd
	err  error // sticky
}

func (s *rings) Link() capture.LinkType { return s.list[0].link }

// Next merges the rings in the order of time. Blocks come late, so a packet has to wait
// for rings that show none, until they can't have an earlier one.
func (s *rings) Next() (*capture.Packet, error) {
	for s.err == nil {
		first, at, wait := s.first()
		switch {
		case first >= 0 && s.over(at) && s.withheld():
			s.err = s.await(time.Millisecond)
		case first >= 0 && s.over(at):
			s.err = io.EOF
		case first >= 0 && wait <= 0:
			s.list[first].take(&s.packet)
			s.number++
			s.packet.Number, s.packet.Interface = s.number, first
			return &s.packet, nil
		default:
			if s.err = s.await(wait); errors.Is(s.err, capture.ErrIdle) {
				s.err = nil
				return &capture.Packet{Time: time.Now().UTC()}, capture.ErrIdle
			}
		}
	}
	return nil, s.err
}

// first returns the ring with the earliest packet and its time, and how long to wait
// until there can be no earlier one; -1 and the longest wait when all are empty.
func (s *rings) first() (ring int, at int64, wait time.Duration) {
	if len(s.list) == 1 { // it has its packets in order
		if !s.list[0].ready() {
			return -1, 0, idle
		}
		return 0, nanos(s.list[0].head()), 0
	}
	for range 2 {
		var now int64
		if at >= s.safe { // before looking: what comes after may be as old as this
			now = time.Now().UnixNano() - settle.Nanoseconds()
		}
		ring, at = -1, math.MaxInt64
		all := true
		for i, r := range s.list {
			if !r.ready() {
				all = false
			} else if t := nanos(r.head()); t < at {
				ring, at = i, t
			}
		}
		switch {
		case ring < 0:
			return -1, 0, idle
		case all || at < s.safe:
			return ring, at, 0
		}
		s.safe = max(s.safe, now)
	}
	return ring, at, min(time.Duration(at-s.safe)+time.Millisecond, idle)
}

// over reports whether a packet of this time came after Stop.
func (s *rings) over(at int64) bool {
	const hang = 30 * time.Second // whatever becomes of the clock
	stopped := s.stopped.Load()
	return stopped != 0 && (at > stopped || time.Now().UnixNano()-stopped > hang.Nanoseconds())
}

// withheld reports whether the kernel keeps packets to itself that came before Stop. It gives out
// what it has within settle; but a machine that is busy may be late, and what has come is
// known by its counts. A ring that shows a packet has none behind.
func (s *rings) withheld() bool {
	const patience = 2 * time.Second // whatever becomes of the counts
	if time.Now().UnixNano()-s.stopped.Load() > patience.Nanoseconds() {
		return false
	}
	for _, r := range s.list {
		if r.due < 0 {
			stats, _ := r.count3() // what was counted before is due
			r.due = stats.Received - stats.Dropped
		}
		if r.left == 0 && r.taken < r.due {
			return true
		}
	}
	return false
}

// nap is how long one poll waits. From a goroutine that has run for 10 ms without a pause
// the Go runtime takes its processor when it is in a system call, and when it comes back
// the runtime looks every 20 µs for others, for a while: that costs as much as a quarter
// of the packets. So we pause before each poll, and poll for less than that.
const nap = 8 * time.Millisecond

// await waits for a block of a ring that shows no packet, at most this long. Idle is what
// it is when there is none in any ring.
func (s *rings) await(most time.Duration) error {
	stopped := s.stopped.Load()
	if stopped != 0 {
		rest := settle - time.Duration(time.Now().UnixNano()-stopped)
		if rest <= 0 && most == idle && !s.withheld() {
			return io.EOF
		}
		most = min(most, max(rest, time.Millisecond))
	}
	s.poll = s.poll[:0]
	full := false
	for _, r := range s.list {
		if r.left > 0 {
			full = true
			continue
		}
		s.poll = append(s.poll, unix.PollFd{Fd: int32(r.fd), Events: unix.POLLIN})
	}
	if stopped == 0 {
		s.poll = append(s.poll, unix.PollFd{Fd: int32(s.wake), Events: unix.POLLIN})
	}
	n := 0
	for n == 0 && most > 0 {
		runtime.Gosched()
		var err error
		n, err = unix.Poll(s.poll, int(max(min(most, nap).Milliseconds(), 1)))
		switch {
		case errors.Is(err, unix.EINTR):
			return nil
		case err != nil:
			return fmt.Errorf("live: wait for packets: %w", err)
		}
		most -= nap
	}
	if n == 0 && !full && stopped == 0 {
		return capture.ErrIdle
	}
	for _, p := range s.poll {
		if p.Revents&^unix.POLLIN == 0 {
			continue
		}
		for _, r := range s.list {
			if int32(r.fd) == p.Fd {
				if err := r.trouble(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Stop wakes Next, which goes on with what the kernel has gathered.
func (s *rings) Stop() {
	s.stopped.CompareAndSwap(0, time.Now().UnixNano())
	s.waking.Lock()
	defer s.waking.Unlock()
	if s.wake >= 0 {
		one := [8]byte{1}
		_, _ = unix.Write(s.wake, one[:]) // it can't be full
	}
}

func (s *rings) Close() {
	for _, r := range s.list {
		r.close()
	}
	s.waking.Lock()
	defer s.waking.Unlock()
	unix.Close(s.wake)
	s.wake = -1
	s.err = errors.New("live: the capture is closed")
	s.list = nil
}
