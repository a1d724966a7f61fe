package redact

import (
	"cmp"
	"slices"
	"unsafe"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/rewrite"
)

// Reading is the decode.Forker of a reading; it has the abilities of an InnerStreamer. Exchanges
// come when they are answered, an Editor is told in the order of the bytes: what
// comes early waits, up to a bound. Behind it, what was passed over is blanked.
type Reading struct {
	f     *finder
	lines map[*flow.Conversation]*[2]line
	// latest is one of these: much is told of one in a row.
	latest struct {
		c     *flow.Conversation
		lines *[2]line
	}
}

func newReading(z *Sanitizer, to Editor) *Reading {
	return &Reading{f: newFinder(z, to), lines: make(map[*flow.Conversation]*[2]line)}
}

// Fork returns a Reading of some of the conversations. What it finds is found.
func (x *Reading) Fork() decode.Part {
	to := x.f.to
	if e, ok := to.(*rewrite.Edits); ok {
		to = e.Fork()
	}
	return newReading(x.f.z.Sanitizer, to)
}

// Len, Write, Reset and Flush have nothing to do: nothing has an order but what belongs to one
// conversation.
func (x *Reading) Len() int { return 0 }

// Write does nothing.
func (x *Reading) Write(int, int) error { return nil }

// Reset does nothing.
func (x *Reading) Reset() {}

// Flush does nothing.
func (x *Reading) Flush() error { return nil }

// line is what is told of a direction.
type line struct {
	told  int64 // all before it
	early []part
	bytes int
	tls   *records // nil where there are none
	http2 *http2Side
	first []byte // what may be of TLS, from the offset at on
	at    int64
}

// part is a message that waits for others before it.
type part struct {
	from, to int64 // in the stream
	edits    []rewrite.Edit
}

// Bounds of what waits in a direction: as many messages as proto has wait for an answer, and
// as much of what is new in them.
const (
	maxEarly      = proto.MaxWaiting
	maxEarlyBytes = 1 << 20
)

// of returns what is told of a conversation.
func (x *Reading) of(c *flow.Conversation) *[2]line {
	if x.latest.c != c {
		lines := x.lines[c]
		if lines == nil {
			lines = new([2]line)
			x.lines[c] = lines
		}
		x.latest.c, x.latest.lines = c, lines
	}
	return x.latest.lines
}

// forget forgets a conversation that has ended.
func (x *Reading) forget(c *flow.Conversation) {
	delete(x.lines, c)
	x.latest.c, x.latest.lines = nil, nil
}

// Exchange looks at the messages of an exchange.
func (x *Reading) Exchange(e *proto.Exchange) error {
	if e.Inside() {
		return nil
	}
	for _, m := range e.Messages() {
		n := x.f.message(e, m)
		if !x.f.editing() {
			continue
		}
		x.f.z.messages++
		if n == 0 {
			continue // it is told with what is not understood
		}
		if len(x.f.changes) > 0 {
			x.f.z.changed++
		}
		x.add(e.Conversation, m.Direction, m.Offset, n)
	}
	return nil
}

// add takes what is understood, from an offset on, with the finder's changes.
func (x *Reading) add(c *flow.Conversation, d flow.Direction, at, n int64) {
	l := &x.of(c)[d]
	if at == l.told {
		for i := range x.f.changes {
			x.f.to.Edit(c, d, x.f.changes[i].edit(at))
		}
		l.told = at + n
		x.flush(c, d, l, false)
		return
	}
	if at < l.told {
		x.f.z.blank("it came too late to be told", n)
		return
	}
	p := part{from: at, to: at + n}
	for i := range x.f.changes {
		k := &x.f.changes[i]
		p.edits = append(p.edits, k.edit(at))
		l.bytes += len(k.with) + editCost
	}
	i, _ := slices.BinarySearchFunc(l.early, p, func(a, b part) int { return cmp.Compare(a.from, b.from) })
	l.early = slices.Insert(l.early, i, p)
	x.flush(c, d, l, len(l.early) > maxEarly || l.bytes > maxEarlyBytes)
}

// editCost is about what an Edit takes that waits.
const editCost = 64

// edit is a change in a message that begins at an offset.
func (k *change) edit(at int64) rewrite.Edit {
	e := rewrite.Edit{Offset: at + int64(k.from), Length: int64(k.to - k.from), Blank: k.blank}
	if !k.blank {
		e.New = unsafe.Slice(unsafe.StringData(k.with), len(k.with)) // nobody writes to it
	}
	return e
}

// flush tells what is next in its order, or all, with what is between blanked.
func (x *Reading) flush(c *flow.Conversation, d flow.Direction, l *line, all bool) {
	i := 0
	for ; i < len(l.early); i++ {
		p := &l.early[i]
		if p.from > l.told && !all {
			break
		}
		if p.from > l.told {
			x.pass(c, d, l, p.from)
		}
		if p.from < l.told {
			x.f.z.blank("it came too late to be told", p.to-p.from)
			continue
		}
		for _, e := range p.edits {
			x.f.to.Edit(c, d, e)
			l.bytes -= len(e.New) + editCost
		}
		l.told = p.to
	}
	l.early = slices.Delete(l.early, 0, i)
	if len(l.early) == 0 {
		l.bytes = 0
	}
	x.f.to.Looked(c, d, l.told)
}

// pass blanks what nobody understood, up to an offset.
func (x *Reading) pass(c *flow.Conversation, d flow.Direction, l *line, to int64) {
	if n := to - l.told - c.Sides[d].Missing(l.told, to); n > 0 {
		x.f.z.blank("not understood ("+name(c)+")", n)
	}
	x.f.to.Edit(c, d, rewrite.Edit{Offset: l.told, Length: to - l.told, Blank: true})
	l.told = to
}

// name is what a conversation speaks.
func name(c *flow.Conversation) string {
	if c.Protocol == "" {
		return "unknown"
	}
	return c.Protocol
}

// Finish tells the rest of a conversation.
func (x *Reading) Finish(c *flow.Conversation) error {
	lines := x.of(c)
	x.endHTTP2(c, lines)
	x.forget(c)
	if err := x.f.z.texts.failed(); err != nil || !x.f.editing() {
		return err
	}
	for d := range lines {
		l := &lines[d]
		x.flush(c, flow.Direction(d), l, true)
		if end := c.Sides[d].End(); end > l.told {
			x.pass(c, flow.Direction(d), l, end)
			x.f.to.Looked(c, flow.Direction(d), l.told)
		}
	}
	return x.f.to.Finish(c)
}

// Ignored tells of bytes that nobody looks at.
func (x *Reading) Ignored(c *flow.Conversation, d flow.Direction, i flow.Ignored) error {
	if !x.f.editing() {
		return nil
	}
	return x.f.to.Ignored(c, d, i)
}
