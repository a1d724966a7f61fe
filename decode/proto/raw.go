package proto

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"netlab/decode/flow"
)

// Raw is the protocol of whatever speaks no other: over TCP a message is a turn,
// all that one side says until the other speaks; over UDP it is a datagram.
var Raw = Protocol{
	Name:  "raw",
	Probe: func(Opening) Verdict { return Match },
	New: func(w Waiting) Parser {
		p := new(rawParser)
		p.Reset(w)
		return p
	},
	Unasked: true,
	UDP:     true,
	Reuses:  true,

	Attributes: []Attribute{
		{Name: "raw.bytes", Kind: Size, About: "how much was said in each turn", Get: either(func(vs []Value, t *Turn) []Value { return AppendNumber(vs, t.Bytes) })},
		{Name: "raw.missing", Kind: Size, About: "how much of each turn was never seen", Get: either(func(vs []Value, t *Turn) []Value { return AppendNumber(vs, t.Missing) })},
		{Name: "raw.preview", About: "how each turn begins", Get: either(func(vs []Value, t *Turn) []Value { return AppendText(vs, string(t.Preview)) })},
	},
}

// previewLen is how much of a turn is kept to show what it is.
const previewLen = 48

// Turn is a raw message.
type Turn struct {
	Bytes   int64  // how many there were
	Missing int64  // of these, never seen
	Preview []byte // the first few
}

// Summary shows how a turn begins.
func (t *Turn) Summary() string {
	unit := " bytes"
	if t.Bytes == 1 {
		unit = " byte"
	}
	if len(t.Preview) == 0 {
		return strconv.FormatInt(t.Bytes, 10) + unit
	}
	return strconv.FormatInt(t.Bytes, 10) + unit + " " + t.preview()
}

// preview shows the first few bytes, as text or in hex.
func (t *Turn) preview() string {
	more := ""
	if t.Bytes > int64(len(t.Preview)) {
		more = "…"
	}
	if printable(t.Preview) {
		return fmt.Sprintf("%q%s", t.Preview, more)
	}
	return fmt.Sprintf("% x%s", t.Preview[:min(16, len(t.Preview))], more)
}

// printable reports whether b is mostly text.
func printable(b []byte) bool {
	odd := 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && i+utf8.UTFMax <= len(b) || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			odd++
		}
		i += n
	}
	return odd*8 <= len(b)
}

// AppendJSON appends bytes and missing.
func (t *Turn) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"bytes":`...)
	dst = strconv.AppendInt(dst, t.Bytes, 10)
	if t.Missing > 0 {
		dst = append(dst, `,"missing":`...)
		dst = strconv.AppendInt(dst, t.Missing, 10)
	}
	dst = append(dst, `,"preview":`...)
	return AppendString(dst, t.Preview)
}

// rawParser waits for the other side to speak.
type rawParser struct {
	waiting Waiting
	udp     bool
	dir     flow.Direction
	turn    *Turn
	msg     *Message // in which turn is the Body
}

// Reset makes it the parser of another conversation.
func (p *rawParser) Reset(w Waiting) {
	*p = rawParser{waiting: w, udp: w.Conversation().Transport() == flow.UDP}
}

// begin begins a turn.
func (p *rawParser) begin(d flow.Direction) {
	if p.msg = spare(p.waiting); p.msg == nil {
		p.msg = &Message{Body: new(Turn)}
	}
	p.dir, p.turn = d, p.msg.Body.(*Turn)
	*p.turn = Turn{Preview: p.turn.Preview[:0]}
}

func (p *rawParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	if p.turn != nil && p.dir != d && (len(data) > 0 || p.udp) {
		return 0, p.done()
	}
	if p.turn == nil {
		if len(data) == 0 && !p.udp {
			return 0, nil
		}
		p.begin(d)
	}
	t := p.turn
	t.Bytes += int64(len(data))
	if room := previewLen - len(t.Preview); room > 0 {
		t.Preview = append(t.Preview, data[:min(room, len(data))]...)
	}
	if end && p.dir == d {
		return len(data), p.done()
	}
	return len(data), nil
}

// Pass takes what goes on with a turn whose beginning is known.
func (p *rawParser) Pass(d flow.Direction, data []byte) bool {
	if p.turn == nil || p.dir != d || len(p.turn.Preview) < previewLen {
		return false
	}
	p.turn.Bytes += int64(len(data))
	return true
}

func (p *rawParser) Gap(d flow.Direction, _ []byte, n int64) (int64, *Message) {
	var m *Message
	if p.turn != nil && p.dir != d {
		m = p.done()
	}
	if p.turn == nil {
		p.begin(d)
	}
	p.turn.Bytes += n
	p.turn.Missing += n
	return n, m
}

// done ends the turn.
func (p *rawParser) done() *Message {
	t, m := p.turn, p.msg
	p.turn, p.msg = nil, nil
	m.Direction, m.Complete = p.dir, t.Missing == 0
	if p.dir == flow.ServerToClient {
		m.Kind = Response
	}
	if !m.Complete {
		m.Why = fmt.Sprintf("%d bytes were not captured", t.Missing)
	}
	return m
}
