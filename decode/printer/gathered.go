package printer

import (
	"cmp"
	"slices"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// gathered is what a printer has made and not written yet.
type gathered struct {
	buf []byte
	// Of a part: where conversations stand in buf that have no number yet, and exchanges
	// that are not printed yet, in place of a byte each.
	holes []hole
	later []later
}

// maxGathered is from how much on a part of a printer of bodies only takes note of exchanges: a
// packet's worth of a compressed body stands for megabytes, and what a part has is written
// when a batch is done.
const maxGathered = 4 << 20

// later is an exchange that is printed when it is written. It is kept, so it has no more
// than its messages in memory.
type later struct {
	at       int
	exchange *proto.Exchange
}

// postpone takes note of an exchange.
func (g *gathered) postpone(e *proto.Exchange) {
	e.Keep()
	g.later = append(g.later, later{len(g.buf), e})
	g.buf = append(g.buf, 0)
}

// postponed returns the exchanges between from and to.
func (g *gathered) postponed(from, to int) []later {
	at := func(l later, at int) int { return cmp.Compare(l.at, at) }
	i, _ := slices.BinarySearchFunc(g.later, from, at)
	k, _ := slices.BinarySearchFunc(g.later, to, at)
	return g.later[i:k]
}

// hole is a place in a part's bytes at which the number of a conversation goes.
type hole struct {
	at int
	of *flow.Conversation
}

// Len returns how much there is.
func (g *gathered) Len() int { return len(g.buf) }

// Reset forgets it.
func (g *gathered) Reset() {
	clear(g.holes)
	clear(g.later)
	g.buf, g.holes, g.later = g.buf[:0], g.holes[:0], g.later[:0]
}

// number puts the number of a conversation, or a hole for it.
func (g *gathered) number(c *flow.Conversation) {
	if c.ID != decode.Unnumbered {
		g.buf = proto.AppendNatural(g.buf, uint64(c.ID))
		return
	}
	g.holes = append(g.holes, hole{len(g.buf), c})
}

// appendTo appends what stands between from and to, with the numbers.
func (g *gathered) appendTo(dst []byte, from, to int) []byte {
	i, end := 0, len(g.holes)
	for i < end { // a binary search, without calling a function at each step
		if middle := (i + end) / 2; g.holes[middle].at < from {
			i = middle + 1
		} else {
			end = middle
		}
	}
	for ; i < len(g.holes) && g.holes[i].at < to; i++ {
		h := g.holes[i]
		dst = append(dst, g.buf[from:h.at]...)
		dst = proto.AppendNatural(dst, uint64(h.of.ID))
		from = h.at
	}
	return append(dst, g.buf[from:to]...)
}
