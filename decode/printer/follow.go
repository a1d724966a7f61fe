package printer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Follow prints what the sides of one conversation said, as it is; where it was
// encrypted and was opened, as it was inside.
type Follow struct {
	// Form is how bytes are shown.
	Form Form
	// Only, if any, is the one side that is shown.
	Only *flow.Direction
	// Found says whether the conversation was there.
	Found bool

	w     io.Writer
	style Style
	id    int
	start time.Time
	buf   []byte

	// What waits until it is known whether it will be opened, in order.
	waiting []followed
	held    int
	opened  bool // something was
	sides   [2]followSide
}

// followed are bytes, or a gap in them.
type followed struct {
	d     flow.Direction
	chunk flow.Chunk
	gap   flow.Gap
}

// followSide is one direction: sealed, or not, from an offset on.
type followSide struct {
	end    int64
	sealed bool
	since  int64
	told   bool // of its handshake
}

// maxFollowed bounds what waits: handshakes and what is said before the keys come.
const maxFollowed = 256 << 10

// Form is how a Follow shows bytes.
type Form uint8

// The forms.
const (
	Auto   Form = iota // what is mostly text as Text, anything else as Hex
	AsText             // text, with its control characters made visible
	Hex                // a dump in hex
	Bare               // the bytes, and nothing else
)

// NewFollow returns a printer to w of the conversation with that id.
func NewFollow(w io.Writer, style Style, id int) *Follow {
	return &Follow{w: w, style: style, id: id}
}

// Exchange ignores what the bytes mean.
func (f *Follow) Exchange(*proto.Exchange) error { return nil }

// Start notes when the conversation began.
func (f *Follow) Start(c *flow.Conversation) error {
	if c.ID != f.id {
		return nil
	}
	f.Found, f.start = true, c.Start.Time()
	return nil
}

// Stream takes bytes, which are printed when it is known what they are.
func (f *Follow) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	if c.ID != f.id {
		return nil
	}
	if c.Transport() != flow.TCP {
		return f.print(c, d, k)
	}
	k.Data = bytes.Clone(k.Data)
	f.waiting = append(f.waiting, followed{d: d, chunk: k})
	f.held += len(k.Data)
	f.sides[d].end = k.Offset + int64(len(k.Data))
	return nil
}

// Gap takes note that bytes are missing.
func (f *Follow) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	if c.ID == f.id {
		f.waiting = append(f.waiting, followed{d: d, gap: g})
		f.sides[d].end = g.Offset + g.Length
	}
	return nil
}

// Streamed prints what is known to be in clear.
func (f *Follow) Streamed(c *flow.Conversation) error { return f.settle(c, false) }

// Sealed notes what is encrypted.
func (f *Follow) Sealed(c *flow.Conversation, d flow.Direction, from int64, sealed bool) error {
	if c.ID != f.id {
		return nil
	}
	x := &f.sides[d]
	if !sealed && f.opened {
		if err := errors.Join(f.settle(c, false), f.handshake(c, d, from)); err != nil {
			return err
		}
		if err := f.note(d, fmt.Sprintf("what follows of the %s is not opened", side(d))); err != nil {
			return err
		}
	}
	x.sealed, x.since = sealed, from
	if sealed {
		x.told = false
	}
	return nil
}

// InnerStream prints what was inside.
func (f *Follow) InnerStream(c *flow.Conversation, d flow.Direction, from, _ int64, k flow.Chunk) error {
	if c.ID != f.id || len(k.Data) == 0 {
		return nil
	}
	f.opened = true
	return errors.Join(f.settle(c, false), f.handshake(c, d, from), f.print(c, d, k))
}

// InnerGap prints that something inside is missing.
func (f *Follow) InnerGap(c *flow.Conversation, d flow.Direction, _ int64, g flow.Gap) error {
	if c.ID != f.id {
		return nil
	}
	return errors.Join(f.settle(c, false), f.missing(d, g))
}

// InnerEnd prints nothing.
func (f *Follow) InnerEnd(*flow.Conversation, flow.Direction, int64) error { return nil }

// Finish prints what is left.
func (f *Follow) Finish(c *flow.Conversation) error {
	if c.ID != f.id {
		return nil
	}
	err := f.settle(c, true)
	for d := range f.sides {
		if x := &f.sides[d]; f.opened && x.sealed {
			err = errors.Join(err, f.handshake(c, flow.Direction(d), x.end))
		}
	}
	return err
}

// handshake prints how much stands before what is inside, once.
func (f *Follow) handshake(c *flow.Conversation, d flow.Direction, end int64) error {
	x := &f.sides[d]
	n := end - x.since
	if x.told || !x.sealed || n <= 0 {
		return nil
	}
	x.told = true
	if f.hides(d) || f.Form == Bare {
		return nil
	}
	arrow, p := arrow(d)
	from := c.Flow(d)
	_, err := fmt.Fprintln(f.w, f.style.paint(p, fmt.Sprintf("%s %s to %s, TLS handshake, %s", arrow, from.Src(), from.Dst(), Count(n, "byte"))))
	return err
}

// settle prints what waits and is to be seen as it is; with all, it does not wait.
func (f *Follow) settle(c *flow.Conversation, all bool) error {
	if c.ID != f.id {
		return nil
	}
	for len(f.waiting) > 0 {
		w := &f.waiting[0]
		x, k := &f.sides[w.d], w.chunk
		at, must := max(k.Offset, w.gap.Offset), all || f.held > maxFollowed // the other one is 0
		sealed := x.sealed == (at >= x.since) && (x.sealed || f.opened)
		if n := x.since - at; n > 0 && n < int64(len(k.Data)) && (x.sealed || f.opened) {
			k.Data = k.Data[:n] // what is behind is something else
		}
		switch {
		case must:
		case sealed && !f.opened:
			return nil
		case c.Protocol == "" && w.d == flow.ClientToServer && len(k.Data) > 0 && k.Data[0] == tlsHandshake:
			return nil // the beginning of a hello, perhaps
		}
		switch {
		case sealed && f.opened:
		case w.gap.Length > 0:
			if err := f.missing(w.d, w.gap); err != nil {
				return err
			}
		default:
			if err := f.print(c, w.d, k); err != nil {
				return err
			}
		}
		f.held -= len(k.Data)
		if n := len(k.Data); n < len(w.chunk.Data) {
			w.chunk.Data, w.chunk.Offset = w.chunk.Data[n:], w.chunk.Offset+int64(n)
		} else {
			f.waiting = f.waiting[1:]
		}
	}
	f.waiting = nil
	return nil
}

// tlsHandshake is what a TLS handshake begins with.
const tlsHandshake = 22

// hides reports whether a side is not shown.
func (f *Follow) hides(d flow.Direction) bool { return f.Only != nil && *f.Only != d }

// print prints bytes.
func (f *Follow) print(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	if f.hides(d) {
		return nil
	}
	if f.Form == Bare {
		_, err := f.w.Write(k.Data)
		return err
	}
	arrow, p := arrow(d)
	from := c.Flow(d)
	head := fmt.Sprintf("%s %s to %s, %s, +%.6f s, packet %d", arrow, from.Src(), from.Dst(), Count(int64(len(k.Data)), "byte"), k.Time.Sub(f.start).Seconds(), k.Packet)
	f.buf = append(append(f.buf[:0], f.style.paint(p, head)...), '\n')
	if f.Form == Hex || f.Form == Auto && !textual(k.Data) {
		f.buf = appendDump(f.buf, k.Data)
	} else {
		f.buf = appendVisibleText(f.buf, k.Data)
	}
	_, err := f.w.Write(f.buf)
	return err
}

// missing prints that bytes are missing.
func (f *Follow) missing(d flow.Direction, g flow.Gap) error {
	return f.note(d, fmt.Sprintf("%s of the %s were not captured", Count(g.Length, "byte"), side(d)))
}

func (f *Follow) note(d flow.Direction, text string) error {
	if f.hides(d) || f.Form == Bare {
		return nil
	}
	_, err := fmt.Fprintln(f.w, f.style.paint(yellow, "--- "+text))
	return err
}

// arrow shows who speaks, and in which colour.
func arrow(d flow.Direction) (string, paint) {
	if d == flow.ServerToClient {
		return "<<<", green
	}
	return ">>>", cyan
}
