package printer

import (
	"cmp"
	"slices"
	"strconv"

	"netlab/decode"
	"netlab/decode/flow"
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
		g.buf = strconv.AppendInt(g.buf, int64(c.ID), 10)
		return
	}
	g.holes = append(g.holes, hole{len(g.buf), c})
}

// appendTo appends what stands between from and to, with the numbers.
func (g *gathered) appendTo(dst []byte, from, to int) []byte {
	i := 0
	if len(g.holes) > 0 {
		i, _ = slices.BinarySearchFunc(g.holes, from, func(h hole, at int) int { return cmp.Compare(h.at, at) })
	}
	for ; i < len(g.holes) && g.holes[i].at < to; i++ {
		h := g.holes[i]
		dst = append(dst, g.buf[from:h.at]...)
		dst = strconv.AppendInt(dst, int64(h.of.ID), 10)
		from = h.at
	}
	return append(dst, g.buf[from:to]...)
}
