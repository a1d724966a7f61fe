package packet

import (
	"bytes"
	"slices"
	"time"

	"netlab/decode/flow"
)

// Bounds of what waits for the rest of a datagram.
const (
	// fragmentTimeout is how long, by the capture's clock: the 60 seconds of
	// RFC 8200, section 4.5, which RFC 1122, section 3.3.2, also lets IPv4 have.
	fragmentTimeout = 60 * time.Second
	// maxFragmentBytes bounds all together, as Linux does.
	maxFragmentBytes = 4 << 20
	// maxDatagram bounds one; its length field has 16 bits.
	maxDatagram = 0xffff
	// maxSpans bounds the holes in one, so that filling them takes no scan of
	// thousands.
	maxSpans = 256
	// maxSpare bounds the buffers kept for the next.
	maxSpare = 8
)

// fragmentPart is one fragment.
type fragmentPart struct {
	id     uint32
	next   byte // what is inside
	v4     bool
	more   bool
	offset int
	data   []byte // what was captured of it
	length int    // what was sent
}

// fragmentKey is what the fragments of a datagram share (RFC 791, section 3.2;
// RFC 8200, section 4.5: there the first one says what is inside).
type fragmentKey struct {
	flow flow.Flow // without ports
	id   uint32
	next byte
}

// fragments are the datagrams that are not whole. Its zero value is ready.
type fragments struct {
	byKey      map[fragmentKey]*partial
	head, tail *partial // the oldest first
	bytes      int
	spare      []*partial
	done       *partial // of the latest datagram, until the next fragment
}

// partial is a datagram that is not whole.
type partial struct {
	key        fragmentKey
	buf        []byte
	spans      []span // sent, in order, not touching
	end        int    // of the datagram, -1 when not known
	missing    int    // from here on, bytes were not captured
	cut        bool   // by the snapshot length, that is
	next       byte   // of the first fragment
	since      time.Time
	packets    int64
	conflict   bool
	prev, succ *partial
}

type span struct{ from, to int }

// fragment adds a fragment, and goes on with its datagram if that is whole now.
func (d *Decoder) fragment(f fragmentPart) Kind {
	if f.length <= 0 {
		return d.undecoded(shortFragment, 0)
	}
	if f.offset+f.length > maxDatagram {
		return d.undecoded(badFragment, 0)
	}
	fs := &d.frags
	fs.recycle()
	d.expire(d.packet.Time)
	key := fragmentKey{flow: d.flow, id: f.id}
	key.flow.SetPorts(0, 0, 0)
	if f.v4 {
		key.next = f.next
	}
	p := fs.byKey[key]
	if p == nil {
		p = fs.begin(key, d.packet.Time)
	}
	cost := p.cost()
	fits := p.add(&f)
	fs.bytes += p.cost() - cost
	p.packets++
	p.cut = p.cut || d.cut && len(f.data) < f.length
	if p.conflict {
		p.conflict = false
		d.Overlaps++
	}
	if !fits {
		d.give(p)
	}
	if !fits || p.end < 0 || len(p.spans) != 1 || p.spans[0] != (span{0, p.end}) {
		for fs.bytes > maxFragmentBytes && fs.head != nil {
			d.give(fs.head)
		}
		d.Why = FragmentReason
		return Fragment
	}
	fs.remove(p)
	fs.done = p
	d.Assembled = true
	d.cut = p.cut && p.missing < p.end
	b := p.buf[:min(p.end, p.missing)]
	if d.Trace != nil {
		d.Trace.datagram(b)
	}
	if f.v4 {
		return d.transport(p.next, b, p.end)
	}
	return d.nest(func() Kind { return d.extensions(p.next, b, p.end) })
}

// expire gives up the datagrams that have waited too long.
func (d *Decoder) expire(now time.Time) {
	for p := d.frags.head; p != nil && now.Sub(p.since) >= fragmentTimeout; p = d.frags.head {
		d.give(p)
	}
}

// Flush gives up all datagrams that are not whole.
func (d *Decoder) Flush() {
	for d.frags.head != nil {
		d.give(d.frags.head)
	}
}

// give gives a datagram up.
func (d *Decoder) give(p *partial) {
	d.Lost += p.packets
	d.frags.remove(p)
	d.frags.keep(p)
}

func (fs *fragments) begin(key fragmentKey, now time.Time) *partial {
	var p *partial
	if n := len(fs.spare); n > 0 {
		p, fs.spare = fs.spare[n-1], fs.spare[:n-1]
	} else {
		p = new(partial)
	}
	*p = partial{key: key, buf: p.buf[:0], spans: p.spans[:0], end: -1, missing: maxDatagram, since: now, prev: fs.tail}
	if fs.tail == nil {
		fs.head = p
	} else {
		fs.tail.succ = p
	}
	fs.tail = p
	if fs.byKey == nil {
		fs.byKey = make(map[fragmentKey]*partial)
	}
	fs.byKey[key] = p
	fs.bytes += p.cost()
	return p
}

// cost is the memory that p takes: that of its buffer, which may have served a
// longer datagram, its spans, and about what it and its place in the map take.
func (p *partial) cost() int {
	return cap(p.buf) + cap(p.spans)*16 + 512
}

func (fs *fragments) remove(p *partial) {
	if p.prev == nil {
		fs.head = p.succ
	} else {
		p.prev.succ = p.succ
	}
	if p.succ == nil {
		fs.tail = p.prev
	} else {
		p.succ.prev = p.prev
	}
	p.prev, p.succ = nil, nil
	delete(fs.byKey, p.key)
	fs.bytes -= p.cost()
}

// keep keeps the memory of p for another datagram.
func (fs *fragments) keep(p *partial) {
	if len(fs.spare) < maxSpare {
		fs.spare = append(fs.spare, p)
	}
}

// recycle takes back the memory of the latest datagram. A fragment inside that
// may be moved to its beginning: nothing else is in there then.
func (fs *fragments) recycle() {
	if fs.done != nil {
		fs.keep(fs.done)
		fs.done = nil
	}
}

// add puts a fragment in its place. Bytes that are there already stay, also those
// of which it is only known that they were sent. It reports false when the
// datagram is in too many pieces.
func (p *partial) add(f *fragmentPart) bool {
	from, to := f.offset, f.offset+f.length
	if !f.more {
		switch {
		case p.end < 0:
			p.end = to
		case p.end != to:
			p.conflict = true
		}
	}
	if p.end >= 0 {
		if n := len(p.spans); to > p.end || n > 0 && p.spans[n-1].to > p.end {
			p.conflict = true
			to = min(to, p.end)
			p.trim()
		}
	}
	if from >= to {
		return true
	}
	if from == 0 {
		if len(p.spans) == 0 || p.spans[0].from > 0 {
			p.next = f.next
		}
		if p.next != f.next {
			p.conflict = true
		}
	}
	if len(p.buf) < to {
		p.buf = slices.Grow(p.buf, to-len(p.buf))[:to]
	}
	// Fill what is between the spans that are there.
	at := from
	i, _ := slices.BinarySearchFunc(p.spans, from, func(s span, from int) int { return s.to - from })
	first := i
	for ; i < len(p.spans) && p.spans[i].from <= to; i++ {
		s := p.spans[i]
		p.fill(f, at, min(s.from, to))
		lo, hi := max(s.from, from), min(s.to, to, from+len(f.data), p.missing)
		if lo < hi && !bytes.Equal(p.buf[lo:hi], f.data[lo-from:hi-from]) {
			p.conflict = true
		}
		at = s.to
	}
	p.fill(f, at, to)
	if i > first {
		from, to = min(from, p.spans[first].from), max(to, p.spans[i-1].to)
	}
	p.spans = slices.Replace(p.spans, first, i, span{from, to})
	return len(p.spans) <= maxSpans
}

// fill copies the part of f between two offsets of the datagram. What was not
// captured keeps whatever another datagram left there: nobody looks beyond missing.
func (p *partial) fill(f *fragmentPart, from, to int) {
	if from < to {
		data := f.data[min(len(f.data), from-f.offset):min(len(f.data), to-f.offset)]
		if n := copy(p.buf[from:to], data); from+n < to {
			p.missing = min(p.missing, from+n)
		}
	}
}

// trim drops what is beyond the end.
func (p *partial) trim() {
	for n := len(p.spans); n > 0 && p.spans[n-1].to > p.end; n-- {
		if p.spans[n-1].from < p.end {
			p.spans[n-1].to = p.end
			return
		}
		p.spans = p.spans[:n-1]
	}
}
