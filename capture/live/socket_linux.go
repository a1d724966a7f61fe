package live

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"netlab/capture"
	"netlab/capture/filter"
)

const hasRing = true

func openRing(opts Options) (Handle, error) { return openRings([]string{opts.Interface}, opts) }

// openRings listens on interfaces with a ring each.
func openRings(names []string, opts Options) (Handle, error) {
	h := &rings{}
	var err error
	if h.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if opts.SnapLen <= 0 {
		opts.SnapLen = DefaultSnapLen
	}
	h.shared = opts.Buffer <= 0
	if h.shared {
		opts.Buffer = DefaultBuffer()
	}
	opts.Buffer /= len(names)
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			h.Close()
			return nil, &InterfaceError{name, errors.New("it is named twice"), nil}
		}
		r, err := newRing(name, opts, h.shared)
		if err != nil {
			h.Close()
			return nil, err
		}
		h.list = append(h.list, r)
	}
	return h, nil
}

// device is an interface as a ring has need of it.
type device struct {
	name     string
	index    int // 0 is all
	loopback int // the index of the one whose packets are seen on both ways; 0 is none
	link     capture.LinkType
}

// cooked reports whether packets come without a header of the link layer.
func (d *device) cooked() bool { return d.link == capture.LinkLinuxSLL2 }

// lookUp finds an interface.
func lookUp(name string) (device, error) {
	d := device{name: name, link: capture.LinkLinuxSLL2}
	if name == Any {
		list, err := net.Interfaces()
		if err != nil {
			return d, fmt.Errorf("live: list interfaces: %w", err)
		}
		for _, i := range list {
			if i.Flags&net.FlagLoopback != 0 {
				d.loopback = i.Index
			}
		}
		return d, nil
	}
	i, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return d, &InterfaceError{name, errors.New("there is no such interface"), names()}
	case i.Flags&net.FlagUp == 0:
		return d, &InterfaceError{name, errors.New("the interface is down"), names()}
	case i.Flags&net.FlagLoopback != 0:
		d.loopback = i.Index
	}
	d.index = i.Index
	d.link, err = linkOf(name)
	return d, err
}

// links are the types of hardware whose packets are captured with their header
// (linux/if_arp.h). The others' headers are not known, and left away.
var links = map[uint16]capture.LinkType{
	unix.ARPHRD_ETHER:              capture.LinkEthernet,
	unix.ARPHRD_LOOPBACK:           capture.LinkEthernet,
	unix.ARPHRD_NONE:               capture.LinkRaw, // tun, WireGuard
	unix.ARPHRD_RAWIP:              capture.LinkRaw,
	unix.ARPHRD_IEEE80211:          capture.LinkWiFi,
	unix.ARPHRD_IEEE80211_PRISM:    capture.LinkPrism,
	unix.ARPHRD_IEEE80211_RADIOTAP: capture.LinkRadiotap,
}

// linkOf asks what an interface's packets begin with.
func linkOf(name string) (capture.LinkType, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("live: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, &InterfaceError{name, err, names()}
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, request); err != nil {
		return 0, &InterfaceError{name, err, names()}
	}
	if l, ok := links[request.Uint16()]; ok {
		return l, nil
	}
	return capture.LinkLinuxSLL2, nil
}

// newRing opens a packet socket with a ring. Where less will do, a buffer that there is
// no room for becomes a smaller one.
func newRing(name string, opts Options, less bool) (*ring, error) {
	d, err := lookUp(name)
	if err != nil {
		return nil, err
	}
	program, err := programFor(&d, opts)
	if err != nil {
		return nil, err
	}
	kind := unix.SOCK_RAW
	if d.cooked() {
		kind = unix.SOCK_DGRAM
	}
	// With protocol 0 no packet comes before bind, when the filter is in its place.
	fd, err := unix.Socket(unix.AF_PACKET, kind|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, &PermissionError{name, errors.New("no permission to capture")}
	case err != nil:
		return nil, fmt.Errorf("live: listen on %s: %w", name, err)
	}
	r := &ring{device: d, fd: fd, snap: opts.SnapLen, lostBefore: lostBy(d.index), due: -1}
	if err := r.start(program, opts, less); err != nil {
		r.close()
		return nil, fmt.Errorf("live: listen on %s: %w", name, err)
	}
	return r, nil
}

// start sets the socket up, and begins to listen.
func (r *ring) start(program []bpf.RawInstruction, opts Options, less bool) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("the kernel has no TPACKET_V3: %w", err)
	}
	if err := r.buffer(opts, less); err != nil {
		return err
	}
	if r.loopback == r.index {
		// The filter knows both sights of a packet apart; where the kernel can, it
		// does not even show the first (since Linux 4.20).
		_ = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	code := make([]unix.SockFilter, len(program))
	for i, c := range program {
		code[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}); err != nil {
		return fmt.Errorf("the kernel does not take the filter of %d instructions: %w", len(code), err)
	}
	if opts.Promiscuous && r.index != 0 && r.loopback == 0 {
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(r.index), Type: unix.PACKET_MR_PROMISC}); err != nil {
			return fmt.Errorf("listen to what is for others: %w", err)
		}
	}
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network byte order
	return unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: r.index})
}

const (
	// A block is given out when it has waited long enough, whatever is in it: so blocks are
	// how many times idle may go by before packets are lost, where little comes and nobody
	// reads. blockLeast has room for the largest packet that is no BIG TCP's.
	blocks, blocksLeast   = 64, 4
	blockMost, blockLeast = 1 << 20, 128 << 10
	// frame is a size that the kernel wants to hear, and with TPACKET_V3 has no use for.
	frame = 2048
)

// buffer makes the ring and maps it.
func (r *ring) buffer(opts Options, less bool) error {
	retire := idle
	if opts.Immediate {
		retire = immediate
	}
	size := max(opts.Buffer, blockLeast*blocksLeast)
	for {
		r.size = min(1<<(bits.Len(uint(size/blocks))-1), blockMost)
		r.size = max(r.size, blockLeast)
		r.count = size / r.size
		err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
			Block_size: uint32(r.size), Block_nr: uint32(r.count),
			Frame_size: frame, Frame_nr: uint32(r.size / frame * r.count),
			Retire_blk_tov: uint32(retire.Milliseconds()),
		})
		if err == nil {
			break
		}
		if less && errors.Is(err, unix.ENOMEM) && size/2 >= blockLeast*blocksLeast {
			size /= 2
			continue
		}
		return fmt.Errorf("a buffer of %d bytes: %w", size, err)
	}
	var err error
	if r.mem, err = unix.Mmap(r.fd, 0, r.size*r.count, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the buffer: %w", err)
	}
	return nil
}

// programFor is the filter with what else is not wanted: a packet on loopback is seen
// when it goes out and when it comes in.
func programFor(d *device, opts Options) ([]bpf.RawInstruction, error) {
	program := opts.Program
	if program == nil {
		var err error
		if program, err = filter.CompileLinux(opts.Filter, d.link, opts.SnapLen); err != nil {
			return nil, &FilterError{opts.Filter, err}
		}
	}
	if d.loopback == 0 {
		return program, nil
	}
	once, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(d.loopback), SkipFalse: 3},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipFalse: 1},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		panic("BUG: live: " + err.Error())
	}
	return slices.Concat(once, program), nil
}
