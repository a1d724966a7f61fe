package pcaps

import (
	"bytes"
	"errors"
	"io"
	"math/bits"
	"time"

	"netlab/capture"
)

// The pcapng format, as in draft-ietf-opsawg-pcapng.
const (
	blockSection      = 0x0a0d0d0a // reads the same in either byte order
	blockInterface    = 1
	blockObsolete     = 2 // the Packet Block of old files
	blockSimple       = 3
	blockStatistics   = 5
	blockEnhanced     = 6
	blockSecrets      = 10
	blockCustomNoCopy = 0x40000bad // not to go into a file that was changed

	byteOrderMagic = 0x1a2b3c4d

	optionEnd      = 0
	optionIfName   = 2
	optionTSResol  = 9
	optionTSOffset = 14

	// maxBlock bounds a block: the largest packet, with what stands around it.
	maxBlock = MaxRecord + 64<<10

	// maxInterfaces bounds the interfaces of a file, all sections together; Linux
	// numbers them with 32 bits, but no capture has more than a few.
	maxInterfaces = 1 << 16

	// maxName bounds the name of an interface; IFNAMSIZ is 16, Windows needs 50.
	maxName = 256
)

// pcapngState is what the sections of a pcapng file said so far.
type pcapngState struct {
	clocks []clock // one for each of Reader.ifaces that counts in this section
	base   int     // index in ifaces of the section's interface 0
}

// clock is how an interface counts time.
type clock struct {
	perSecond uint64 // units in a second
	unit      uint64 // nanoseconds in a unit, where they are whole; else 0
	shift     uint   // or, when over 63 bits, this many low bits are dropped first
	divide    uint64 // or this divides first; 0 is not
	offset    int64  // seconds to add
}

var microseconds = clock{perSecond: 1e6, unit: 1000}

// resolution reads an if_tsresol: a negative power of ten, or of two with the
// top bit set.
func resolution(v byte) clock {
	n := uint(v & 0x7f)
	if v&0x80 != 0 {
		if n > 63 {
			return clock{perSecond: 1 << 63, shift: min(n-63, 63)}
		}
		return clock{perSecond: 1 << n}
	}
	c := clock{perSecond: 1}
	for range min(n, 19) { // 10^19 is the largest that 64 bits hold
		c.perSecond *= 10
	}
	if n <= 9 {
		c.unit = 1e9 / c.perSecond
	}
	if n > 19 {
		c.divide = 1
		for range min(n-19, 19) {
			c.divide *= 10
		}
	}
	return c
}

// time turns a 64-bit timestamp into a time. What is out of the range of a
// 64-bit count of nanoseconds is still a time, only a strange one.
func (c *clock) time(ts uint64) time.Time {
	if c.unit > 0 {
		return time.Unix(int64(ts/c.perSecond)+c.offset, int64(ts%c.perSecond*c.unit)).UTC()
	}
	ts >>= c.shift
	if c.divide > 1 {
		ts /= c.divide
	}
	sec, frac := ts/c.perSecond, ts%c.perSecond
	hi, lo := bits.Mul64(frac, 1e9)
	ns, _ := bits.Div64(hi, lo, c.perSecond) // frac < perSecond, so this can't overflow
	return time.Unix(int64(sec)+c.offset, int64(ns)).UTC()
}

func (r *Reader) openPcapNG() error {
	r.packet.Time = time.Unix(0, 0).UTC() // until a block says one
	typ, whole, err := r.peekBlock()
	if err != nil {
		return err
	}
	return r.section(typ, whole[8:len(whole)-4]) // and again in Next, which shows it to OnBlock
}

// peekBlock returns the type of the next block, and all of it.
func (r *Reader) peekBlock() (uint32, []byte, error) {
	b, err := r.win.ahead(12)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return 0, nil, err
		}
		return 0, nil, r.cut(err, "a block header")
	}
	typ := r.order.u32(b)
	if typ == blockSection {
		// A section says its byte order itself, in what follows its length.
		switch {
		case littleEndian.u32(b[8:]) == byteOrderMagic:
			r.order = littleEndian
		case bigEndian.u32(b[8:]) == byteOrderMagic:
			r.order = bigEndian
		default:
			return 0, nil, damaged("the section at byte %d has no byte-order magic", r.win.pos)
		}
	}
	n := r.order.u32(b[4:])
	if n < 12 || n%4 != 0 {
		return 0, nil, damaged("the block at byte %d declares a length of %d", r.win.pos, n)
	}
	if n > maxBlock {
		return 0, nil, damaged("the block at byte %d declares %d bytes, more than the %d that are possible", r.win.pos, n, maxBlock)
	}
	if b, err = r.win.ahead(int(n)); err != nil {
		return 0, nil, r.cut(err, "a block")
	}
	if again := r.order.u32(b[n-4:]); again != n {
		return 0, nil, damaged("the block at byte %d declares a length of %d at its start and %d at its end", r.win.pos, n, again)
	}
	return typ, b[:n], nil
}

func (r *Reader) nextPcapNG() error {
	for {
		typ, whole, err := r.peekBlock()
		if err != nil {
			return err
		}
		r.win.skip(len(whole))
		r.record = whole
		b, got := whole[8:len(whole)-4], false
		switch typ {
		case blockSection:
			err = r.section(typ, b)
		case blockInterface:
			err = r.iface(b)
		case blockEnhanced:
			got, err = true, r.enhanced(b)
		case blockSimple:
			got, err = true, r.simple(b)
		case blockObsolete:
			got, err = true, r.obsolete(b)
		}
		if err != nil {
			if errors.Is(err, io.ErrShortBuffer) {
				err = damaged("the block of type %d at byte %d is too short for what it holds", typ, r.win.pos-int64(len(whole)))
			}
			return err
		}
		if got {
			return nil
		}
		if r.OnBlock != nil {
			if err := r.OnBlock(r.Block()); err != nil {
				return err
			}
		}
	}
}

// section begins a new section, which numbers its interfaces anew.
func (r *Reader) section(typ uint32, b []byte) error {
	if typ != blockSection || len(b) < 16 {
		return damaged("the section header is %d bytes long", len(b))
	}
	if major := r.order.u16(b[4:]); major != 1 {
		return damaged("the section is of pcapng version %d, only 1 is known", major)
	}
	r.pcapng.base = len(r.ifaces)
	r.pcapng.clocks = r.pcapng.clocks[:0]
	return nil
}

func (r *Reader) iface(b []byte) error {
	if len(b) < 8 {
		return io.ErrShortBuffer
	}
	if len(r.ifaces) >= maxInterfaces {
		return damaged("it declares more than %d interfaces", maxInterfaces)
	}
	i := Interface{Link: capture.LinkType(r.order.u16(b)), SnapLen: r.order.u32(b[4:])}
	c := microseconds
	var offset int64
	for code, v := range r.Block().Options() {
		switch {
		case code == optionIfName:
			i.Name = string(bytes.TrimRight(v[:min(len(v), maxName)], "\x00"))
		case code == optionTSResol && len(v) >= 1:
			c = resolution(v[0])
		case code == optionTSOffset && len(v) >= 8:
			offset = int64(r.order.u64(v))
		}
	}
	c.offset = offset
	r.ifaces = append(r.ifaces, i)
	r.pcapng.clocks = append(r.pcapng.clocks, c)
	return nil
}

// from makes the packet one of the section's interface i.
func (r *Reader) from(i uint32) error {
	if int64(i) >= int64(len(r.pcapng.clocks)) {
		return damaged("a packet is of interface %d, and the section has declared %d", i, len(r.pcapng.clocks))
	}
	r.packet.Interface = r.pcapng.base + int(i)
	r.packet.Link = r.ifaces[r.packet.Interface].Link
	return nil
}

// data makes b[:captured] the packet's bytes.
func (r *Reader) data(b []byte, captured, length uint32) error {
	if int64(captured) > int64(len(b)) {
		return io.ErrShortBuffer
	}
	if captured > MaxRecord {
		return damaged("a packet declares %d captured bytes, more than the %d that are possible", captured, MaxRecord)
	}
	r.packet.Data = b[:captured]
	r.packet.Length = int(max(length, captured))
	return nil
}

func (r *Reader) enhanced(b []byte) error {
	if len(b) < 20 {
		return io.ErrShortBuffer
	}
	return r.timed(r.order.u32(b), b)
}

// obsolete reads a Packet Block, where the interface has 16 bits.
func (r *Reader) obsolete(b []byte) error {
	if len(b) < 20 {
		return io.ErrShortBuffer
	}
	return r.timed(uint32(r.order.u16(b)), b)
}

// timed reads what the two blocks have in common.
func (r *Reader) timed(iface uint32, b []byte) error {
	if err := r.from(iface); err != nil {
		return err
	}
	ts := uint64(r.order.u32(b[4:]))<<32 | uint64(r.order.u32(b[8:]))
	r.packet.Time = r.pcapng.clocks[iface].time(ts)
	return r.data(b[20:], r.order.u32(b[12:]), r.order.u32(b[16:]))
}

// simple reads a Simple Packet Block. It has no timestamp: the packet keeps the
// time of the one before it, or 1970 when it is the first.
func (r *Reader) simple(b []byte) error {
	if len(b) < 4 {
		return io.ErrShortBuffer
	}
	if err := r.from(0); err != nil {
		return err
	}
	length := r.order.u32(b)
	captured := min(length, uint32(len(b)-4))
	if snap := r.ifaces[r.packet.Interface].SnapLen; snap > 0 {
		captured = min(captured, snap)
	}
	return r.data(b[4:], captured, length)
}
