package rewrite

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"netlab/capture"
	"netlab/decode/packet"
)

// What is held back until a datagram is whole, as all packets behind its first fragment
// are, for packets go out in their order.
const (
	// maxHeld bounds the bytes, and those of heldCost for each packet: fragments come
	// close to each other as a rule.
	maxHeld  = 1 << 20
	heldCost = 256
	// maxWait is how long, as for decode/packet.
	maxWait = 60 * time.Second
)

// maxDatagram is how long a datagram in fragments can be, with an IPv4 header of any
// length before it.
const maxDatagram = 0xffff - 60

// held are packets in a row, the first of which waits.
type held struct {
	packets []*heldPacket
	size    int
}

// heldPacket is a packet that was made, or a fragment of which it is not known yet what
// becomes of it.
type heldPacket struct {
	in     capture.Packet // of a fragment, with its own bytes
	data   []byte         // that was made of it, when it is ready
	length int
	ready  bool
	gone   bool // nothing goes out

	key      fragmentKey
	layers   []packet.Layer
	from, to int // of the datagram
	last     bool
}

// fragmentKey is what the fragments of a datagram share.
type fragmentKey struct {
	addrs [32]byte
	id    uint32
	next  byte // of IPv4
}

// fragment holds a fragment back, and writes all those of its datagram anew if it made
// that whole.
func (r *Rewriter) fragment(j *job) {
	f := &heldPacket{in: *j.in, layers: slices.Clone(j.layers)}
	f.in.Data = bytes.Clone(j.data)
	f.place(j)
	r.hold(f, len(j.data))
	if !r.decoder.Assembled {
		return
	}
	all := r.held.of(f.key)
	if j.kind == packet.Fragment || r.trace.Joins > 1 || !covered(all) {
		// Within a datagram there is a fragment of another, or some are gone.
		r.missed(j)
		for _, f := range all {
			r.lose(f)
		}
		return
	}
	if grown, left := r.datagramOf(j, f); !left {
		r.share(all, grown)
		return
	}
	for _, f := range all {
		r.leaveFragment(f)
	}
}

// leaveFragment leaves a fragment as it is.
func (r *Rewriter) leaveFragment(f *heldPacket) {
	j := f.job()
	r.sum.Headers += int64(j.last.Head)
	r.sum.Kept += int64(len(j.data) - j.last.Head)
	f.data, f.length, f.ready = f.in.Data, f.in.Length, true
}

// place finds out where a fragment is in which datagram.
func (f *heldPacket) place(j *job) {
	l := &j.last
	h := j.data[l.Start:l.Head]
	f.to = l.Length - (l.Head - l.Start)
	if l.Kind == packet.LayerIPv4 {
		copy(f.key.addrs[:], h[12:20])
		f.key.id, f.key.next = uint32(be.Uint16(h[4:])), h[9]
		flags := be.Uint16(h[6:])
		f.from, f.last = int(flags&0x1fff)*8, flags&0x2000 == 0
	} else {
		for i := range j.layers {
			if k := &j.layers[i]; k.Kind == packet.LayerIPv6 { // the innermost
				copy(f.key.addrs[:], j.data[k.Start+8:k.Start+40])
			}
		}
		f.key.id = be.Uint32(h[4:])
		flags := be.Uint16(h[2:])
		f.from, f.last = int(flags&^7), flags&1 == 0
	}
	f.to += f.from
}

// of returns the fragments of a datagram that wait.
func (h *held) of(k fragmentKey) []*heldPacket {
	var all []*heldPacket
	for _, f := range h.packets {
		if !f.ready && f.key == k {
			all = append(all, f)
		}
	}
	return all
}

// covered reports whether fragments are all of a datagram.
func covered(all []*heldPacket) bool {
	all = slices.SortedFunc(slices.Values(all), func(a, b *heldPacket) int { return cmp.Compare(a.from, b.from) })
	end, last := 0, false
	for _, f := range all {
		if f.from > end {
			return false
		}
		end = max(end, f.to)
		last = last || f.last
	}
	return last
}

// missed takes note of what was said in a datagram that is not written anew.
func (r *Rewriter) missed(j *job) {
	if j.kind != packet.TCP && j.kind != packet.UDP {
		return
	}
	if e, d := r.find(&r.decoder.Segment); e != nil && j.kind == packet.UDP {
		e.Value.sides[d].at += int64(r.decoder.Segment.Length)
	}
}

// datagramOf writes a datagram in fragments anew, of which f is one, to r.datagram. It
// returns by how much it has grown, or that it is left as it is.
func (r *Rewriter) datagramOf(j *job, f *heldPacket) (grown int, left bool) {
	headers := r.sum.Headers
	d := &job{in: j.in, kind: j.kind, data: r.trace.Datagram, inFragments: true}
	if d.outside = r.outside(f); r.trace.Outer < len(r.trace.Layers) {
		d.layers = r.trace.Layers[r.trace.Outer:]
	}
	d.find()
	d.begin(r)
	r.whole(d)
	if d.left {
		r.sum.Headers = headers // those are counted with the fragments
	}
	return d.grown, d.left
}

// outside adds up the addresses that the fragments of a datagram are written with.
func (r *Rewriter) outside(f *heldPacket) uint64 {
	n := 16
	for i := range f.layers {
		switch f.layers[i].Kind {
		case packet.LayerIPv4:
			n = 4
		case packet.LayerIPv6:
			n = 16
		}
	}
	addrs, counted := f.key.addrs, r.sum.Addresses
	r.ip(addrs[:n])
	r.ip(addrs[n : 2*n])
	r.sum.Addresses = counted // they are counted where they stand
	return words(addrs[:2*n])
}

// share shares r.datagram out among its fragments: they are what they were, but for the
// last ones, where it has grown or shrunk.
func (r *Rewriter) share(all []*heldPacket, grown int) {
	sent, captured, gaps, single := 0, int64(0), int64(0), false
	for _, f := range all {
		if sent = max(sent, f.to); f.last {
			sent = f.to
			break
		}
	}
	sent += grown
	for _, f := range all {
		j := f.job()
		captured += int64(j.last.End - j.last.Head)
		to := f.to
		if f.last || to > sent {
			to = sent
		}
		// Where it fits into the first fragment that is none any more, nor may come twice.
		alone := f.from == 0 && to == sent
		if f.from >= sent && f.from > 0 || alone && single {
			r.sum.Dropped["fragment of a datagram that became shorter"]++
			f.ready, f.gone = true, true
			r.sum.Headers += int64(len(f.in.Data)) - int64(j.last.End-j.last.Head)
			continue
		}
		single = single || alone
		j.begin(r)
		if to == sent && !f.last {
			j.endHere(r.buf)
		}
		text := r.datagramNew[min(f.from, len(r.datagramNew)):min(to, len(r.datagramNew))]
		if n := j.last.End - j.last.Head; len(text) < n && f.to <= sent {
			// What is behind a place that was cut off is in no datagram.
			gaps += int64(n - len(text))
			text = append(bytes.Clone(text), make([]byte, n-len(text))...)
		}
		f.length = r.make(j, text, to-f.to)
		f.data, f.ready = bytes.Clone(r.buf), true
	}
	// What came twice says what the first said.
	twice := captured - int64(len(r.trace.Datagram))
	gaps = min(gaps, twice)
	r.sum.Replaced += twice - gaps
	r.sum.blank(becauseFragment, int(gaps))
}

// endHere has a fragment be the last.
func (j *job) endHere(b []byte) {
	h := b[j.last.Start:]
	if j.last.Kind == packet.LayerIPv4 {
		h[6] &^= 0x20
	} else {
		h[3] &^= 1
	}
}

// job begins to write a fragment that waited.
func (f *heldPacket) job() *job {
	j := &job{in: &f.in, kind: packet.Fragment, data: f.in.Data, layers: f.layers}
	j.find()
	return j
}

// lose blanks a fragment whose datagram is not whole.
func (r *Rewriter) lose(f *heldPacket) {
	if r.opts.EditedOnly {
		r.leaveFragment(f)
		return
	}
	j := f.job()
	j.begin(r)
	b := j.body()
	r.sum.Headers += int64(len(b))
	head := 0
	if f.from == 0 {
		head = r.firstHeader(j, b)
	}
	r.zero(b[head:], becauseFragment)
	f.length = r.make(j, b, 0)
	f.data, f.ready = bytes.Clone(r.buf), true
}

// firstHeader leaves of the transport's header in a first fragment what is needed to read
// it. It returns how long that is.
func (r *Rewriter) firstHeader(j *job, b []byte) int {
	const udp = 17
	next := r.buf[j.last.Start+9]
	if j.last.Kind != packet.LayerIPv4 {
		next = r.buf[j.last.Start]
	}
	if next != udp || len(b) < 8 {
		return 0
	}
	r.zero(b[6:8], becauseFragment)
	return 8
}

// hold holds a packet back, with n bytes.
func (r *Rewriter) hold(f *heldPacket, n int) {
	r.held.packets = append(r.held.packets, f)
	r.held.size += n + heldCost
}

// release hands on what waits for nothing any more.
func (r *Rewriter) release(now time.Time) {
	h := &r.held
	done := 0
	for ; done < len(h.packets); done++ {
		f := h.packets[done]
		if !f.ready {
			if h.size <= maxHeld && now.Sub(f.in.Time) < maxWait {
				break
			}
			for _, other := range h.of(f.key) {
				r.lose(other)
			}
		}
		h.size -= len(f.in.Data) + heldCost
		if !f.gone {
			r.hand(&f.in, f.data, f.length)
		}
	}
	if done > 0 {
		h.packets = slices.Delete(h.packets, 0, done)
	}
}

// giveUp hands on all that waits.
func (r *Rewriter) giveUp() {
	for _, f := range r.held.packets {
		if !f.ready {
			r.lose(f)
		}
	}
	r.release(time.Time{})
}
