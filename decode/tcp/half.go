package tcp

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"netlab/decode/flow"
	"netlab/decode/packet"
)

// phase says how much is known of where a direction starts.
type phase uint8

const (
	unseen  phase = iota // nothing was captured of it
	holding              // no SYN: what came waits, in case something before it comes
	running              // offset 0 is fixed
)

// half is one direction of a connection. What the next bytes in order have need
// of comes first: it is in one line of the cache.
type half struct {
	phase    phase
	ended    bool   // End was called
	syn      bool   // base comes from a SYN
	ackKnown bool   // the other side sent an acknowledgement
	full     bool   // it takes no more from the other side
	base     uint32 // sequence number of offset 0; of the first segment when holding
	acked    uint32 // the highest acknowledgement that the other side sent
	next     int64  // offset of the next byte to hand on
	high     int64  // end of the highest byte seen
	fin      int64  // offset at which the direction ends, or noFin

	pending []piece // sorted, apart, all beyond next
	// recent holds the bytes before next that are not acknowledged, to tell a
	// retransmission from a forgery.
	recent []byte

	low          int64 // holding: the lowest offset seen
	pendingBytes int
	waitSince    time.Time // when the present wait began
	waitPackets  int       // packets of the connection since
	fullSince    time.Time
}

const noFin = -1 << 62

// ackedTo returns how far the receiver has everything; far below zero when it
// never said.
func (h *half) ackedTo() int64 {
	if !h.ackKnown {
		return -1 << 62
	}
	return h.offset(h.acked)
}

// answered reports whether bytes that are held are acknowledged by a segment with
// ack: they were there before what it carries.
func (h *half) answered(ack uint32) bool {
	return h.phase == holding && h.waiting() && h.offset(ack) > h.low
}

// piece is data that waits for what comes before it.
type piece struct {
	off    int64
	data   []byte // owned
	cut    int64  // bytes missing after it that the snapshot length cut off
	time   time.Time
	packet int64
	ack    uint32 // of the segment that brought it, when hasAck
	hasAck bool
}

// pieceCost is what a piece costs beside its bytes.
const pieceCost = 128

func (p *piece) end() int64 { return p.off + int64(len(p.data)) }

// offset unwraps a sequence number: the offset nearest to next that has it.
func (h *half) offset(seq uint32) int64 {
	return h.next + int64(int32(seq-h.base-uint32(h.next)))
}

// calm reports whether it is in the middle, and nothing is, or would be, held back.
func (h *half) calm() bool { return h.phase == running && len(h.pending) == 0 && h.fin == noFin }

// waiting reports whether anything is held back.
func (h *half) waiting() bool { return len(h.pending) > 0 }

// store adds data[...] at off to the pending pieces, except where there is data
// already: the first value stays. It returns how many bytes were new.
func (h *half) store(a *Assembler, c *Conn, d flow.Direction, off int64, s *packet.Segment) int64 {
	data := s.Payload
	var fresh int64
	i, _ := slices.BinarySearchFunc(h.pending, off, func(p piece, off int64) int {
		if p.end() <= off {
			return -1
		}
		return 1
	})
	for len(data) > 0 {
		if i == len(h.pending) || off < h.pending[i].off {
			n := int64(len(data))
			if i < len(h.pending) {
				n = min(n, h.pending[i].off-off)
			}
			p := piece{
				off: off, data: bytes.Clone(data[:n]),
				time: s.Time, packet: s.Packet, ack: s.Ack, hasAck: s.Flags.Has(packet.ACK),
			}
			h.pending = slices.Insert(h.pending, i, p)
			h.pendingBytes += int(n)
			a.waiting += n + pieceCost
			fresh += n
			off, data = off+n, data[n:]
			i++
			continue
		}
		p := &h.pending[i]
		n := min(int64(len(data)), p.end()-off)
		c.compare(d, p.data[off-p.off:][:n], data[:n], off, s, len(data))
		off, data = off+n, data[n:]
		i++
	}
	if missing := int64(s.Length - len(s.Payload)); missing > 0 {
		h.cutOff(a, i, off, missing, s)
	}
	return fresh
}

// cutOff notes that the snapshot length cut missing bytes off at off, which is in
// or before the i-th piece, or behind the one before that.
func (h *half) cutOff(a *Assembler, i int, off, missing int64, s *packet.Segment) {
	if i < len(h.pending) && h.pending[i].off <= off {
		i++
	}
	if i > 0 && h.pending[i-1].end() >= off {
		p := &h.pending[i-1] // has perhaps some of them, from another segment
		p.cut = max(p.cut, off+missing-p.end())
		return
	}
	// An empty piece marks the place.
	h.pending = slices.Insert(h.pending, i, piece{off: off, cut: missing, time: s.Time, packet: s.Packet})
	a.waiting += pieceCost
}

// take removes the first pending piece.
func (h *half) take(a *Assembler) piece {
	p := h.pending[0]
	h.pending[0] = piece{}
	h.pending = h.pending[1:]
	if len(h.pending) == 0 {
		h.pending = nil
	}
	h.pendingBytes -= len(p.data)
	a.waiting -= int64(len(p.data)) + pieceCost
	return p
}

// settle fixes offset 0 at the offset of the moment zero.
func (h *half) settle(zero int64) {
	h.base += uint32(zero)
	for i := range h.pending {
		h.pending[i].off -= zero
	}
	h.high -= zero
	if h.fin != noFin {
		h.fin -= zero
	}
	h.next, h.low = 0, 0
	h.phase = running
}

// remember keeps what was just handed on until it is acknowledged, up to
// maxRecent.
func (h *half) remember(a *Assembler, data []byte) {
	if h.ackedTo() >= h.next { // acknowledged before it was seen: a reordered capture
		h.forget(a)
		return
	}
	if len(data) > maxRecent/2 {
		h.forget(a)
		data = data[len(data)-maxRecent/2:]
	}
	if len(h.recent)+len(data) > maxRecent {
		drop := len(h.recent) - (maxRecent/2 - len(data)/2)
		h.recent = h.recent[:copy(h.recent, h.recent[drop:])]
	}
	if n := len(h.recent) + len(data); n > cap(h.recent) && !a.grow(h, n) {
		h.forget(a)
		return
	}
	h.recent = append(h.recent, data...)
}

// forget drops the memory of bytes that were handed on.
func (h *half) forget(a *Assembler) {
	h.recent = h.recent[:0]
	if cap(h.recent) > minRecent {
		a.recycle(h)
	}
}

// The sizes of what is remembered are powers of two from minRecent to maxRecent;
// maxSpare of each are kept for the next.
const (
	minRecent   = 512
	recentSizes = 8
	maxSpare    = 32
)

// sizeOf returns the index of the smallest size of at least n.
func sizeOf(n int) int { return bits.Len(uint(max(n, minRecent)-1) / minRecent) }

// grow makes room for n bytes in recent. It reports false when there is too much
// in all.
func (a *Assembler) grow(h *half, n int) bool {
	size := sizeOf(n)
	if a.forgetful {
		return false
	}
	old := h.recent
	if spare := a.spare[size]; len(spare) > 0 {
		h.recent, a.spare[size] = spare[len(spare)-1], spare[:len(spare)-1]
	} else {
		h.recent = make([]byte, 0, minRecent<<size)
	}
	h.recent = append(h.recent, old...)
	a.recent += int64(cap(h.recent))
	a.put(old)
	return true
}

// recycle takes back the memory of recent.
func (a *Assembler) recycle(h *half) {
	a.put(h.recent)
	h.recent = nil
}

func (a *Assembler) put(b []byte) {
	if cap(b) == 0 {
		return
	}
	a.recent -= int64(cap(b))
	if size := sizeOf(cap(b)); len(a.spare[size]) < maxSpare {
		a.spare[size] = append(a.spare[size], b[:0])
	}
}

// remembered returns what is still known of the n bytes from off on, and the
// offset at which that begins.
func (h *half) remembered(off int64, n int) ([]byte, int64) {
	first := h.next - int64(len(h.recent))
	from := max(off, first)
	to := min(off+int64(n), h.next)
	if from >= to {
		return nil, off
	}
	return h.recent[from-first : to-first], from
}

// difference describes where two runs of bytes differ, how many do, and the
// offset of the first.
func difference(old, fresh []byte, off int64) (at int64, detail string, count int64) {
	first := -1
	for i := range old {
		if old[i] != fresh[i] {
			if first < 0 {
				first = i
			}
			count++
		}
	}
	end := min(first+8, len(old))
	return off + int64(first), fmt.Sprintf("kept %q, ignored %q: %d bytes differ", old[first:end], fresh[first:end], count), count
}
