package printer

import (
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// gathered is what a printer has made and not written yet.
type gathered struct {
	buf []byte
	// Of a part: where conversations stand in buf that have no number yet.
	holes []hole
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
	g.buf, g.holes = g.buf[:0], g.holes[:0]
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
