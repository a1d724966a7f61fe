package printer

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// KeepBodies is how much of a message decode.Options.Keep has to hold for the
// printers that show bodies; what is beyond is said to be missing.
const KeepBodies = 1 << 20

// maxContent bounds a body without its encodings: a kept one may stand for
// gigabytes.
const maxContent = 4 << 20

// maxShown bounds how much of a body a Bodies prints.
const maxShown = 64 << 10

// Bodies prints exchanges with the content of their messages: of HTTP without its
// encodings, of WebSocket without masks and compression, of raw conversations the
// bytes.
type Bodies struct {
	// Heads has the heads of HTTP's messages printed whole, too.
	Heads bool

	w        io.Writer
	style    Style
	timed    bool
	start    time.Time // of the first conversation, from which times count, when timed
	contents contents

	// What is told and not written yet: out is that of a whole, the rest that of a part.
	out  []byte
	buf  []byte
	told []toldBodies
	// whole is what this is a part of; else nil.
	whole *Bodies
}

// toldBodies is an exchange in a part, without what is known when it is written: the
// number of its conversation and when the first began. One of no protocol is the
// beginning of a conversation.
type toldBodies struct {
	of       *flow.Conversation
	index    int
	protocol string
	at       time.Time
	end      int // of its text in buf, that begins behind the one before
	// later is the exchange if it has none yet: see maxGathered.
	later *proto.Exchange
}

// NewBodies returns a printer to w.
func NewBodies(w io.Writer, style Style) *Bodies { return &Bodies{w: w, style: style} }

// Fork returns a printer of a shard.
func (p *Bodies) Fork() decode.Part {
	return &Bodies{Heads: p.Heads, style: p.style, contents: contents{limit: maxKnownOfPart}, whole: p}
}

// maxKnownOfPart bounds the contents that a part remembers: there are several.
const maxKnownOfPart = 1 << 20

// Len returns how many exchanges and beginnings there are.
func (p *Bodies) Len() int { return len(p.told) }

// Reset forgets them.
func (p *Bodies) Reset() {
	clear(p.told)
	p.told, p.buf = p.told[:0], p.buf[:0]
}

// Start takes note of the first conversation: times count from its beginning.
func (p *Bodies) Start(c *flow.Conversation) error {
	if w := p.whole; w == nil || !w.timed {
		p.told = append(p.told, toldBodies{of: c, at: c.Start.Time(), end: len(p.buf)})
	}
	return p.end()
}

// end has what was told written at once where this is no part.
func (p *Bodies) end() error {
	if p.whole != nil {
		return nil
	}
	if err := p.write(p, 0, len(p.told)); err != nil {
		return err
	}
	p.Reset()
	return p.Flush()
}

// Write has the whole print what a part has, between from and to.
func (p *Bodies) Write(from, to int) error { return p.whole.write(p, from, to) }

// Flush writes what has been gathered.
func (p *Bodies) Flush() error {
	if len(p.out) == 0 {
		return nil
	}
	_, err := p.w.Write(p.out)
	p.out = p.out[:0]
	return err
}

// write prints what a part was told, between from and to, as soon as it is much.
func (p *Bodies) write(part *Bodies, from, to int) error {
	for i := from; i < to; i++ {
		t := &part.told[i]
		if t.protocol == "" {
			if !p.timed {
				p.timed, p.start = true, t.at
			}
			continue
		}
		begin := 0
		if i > 0 {
			begin = part.told[i-1].end
		}
		b := p.style.begin(p.out, dim)
		b = proto.AppendNatural(append(b, '#'), uint64(t.of.ID))
		b = proto.AppendNatural(append(b, '.'), uint64(t.index))
		b = append(append(b, ' '), t.protocol...)
		b = append(appendSeconds(append(b, ", +"...), t.at.Sub(p.start)), " s"...)
		if t.later != nil {
			p.out = p.exchange(b, t.later)
		} else {
			p.out = append(b, part.buf[begin:t.end]...)
		}
		if len(p.out) >= jsonFlush {
			if err := p.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Exchange prints an exchange.
func (p *Bodies) Exchange(e *proto.Exchange) error {
	t := toldBodies{of: e.Conversation, index: e.Index, protocol: e.Protocol.Name, at: e.First().Time}
	if p.whole != nil && len(p.buf) >= maxGathered {
		e.Keep()
		t.later = e
	} else {
		p.buf = p.exchange(p.buf, e)
	}
	t.end = len(p.buf)
	p.told = append(p.told, t)
	return p.end()
}

// exchange appends what is said of an exchange behind its number, and its messages.
func (p *Bodies) exchange(b []byte, e *proto.Exchange) []byte {
	if d, ok := e.Latency(); ok {
		b = appendDuration(append(b, ", "...), d)
	}
	if why := e.Why(); why != "" {
		b = append(append(append(b, " ("...), Clean(why)...), ')')
	}
	b = append(p.style.end(b, dim), '\n')
	for _, m := range e.Messages() {
		b = p.message(b, m)
	}
	return append(b, '\n')
}

// message appends a message with what it carries.
func (p *Bodies) message(b []byte, m *proto.Message) []byte {
	arrow, paint := arrow(m.Direction)
	b = append(append(b, p.style.paint(paint, arrow+" "+Clean(m.Body.Summary()))...), '\n')
	if h, ok := m.Body.(*proto.HTTPMessage); ok && p.Heads {
		b = appendVisible(b, headOf(h))
	}
	data, note := content(m, &p.contents)
	if len(data) > maxShown {
		note = strings.TrimPrefix(note+fmt.Sprintf("; %s more, which --json has", Count(int64(len(data)-maxShown), "byte")), "; ")
		data = data[:maxShown]
	}
	b = appendVisible(b, data)
	if note != "" {
		b = append(append(b, p.style.paint(yellow, "--- "+Clean(note))...), '\n')
	}
	return b
}

// headOf is the head of a message as it was sent, or what of it is known where that is not text.
func headOf(h *proto.HTTPMessage) []byte {
	if h.Head != "" {
		return []byte(h.Head)
	}
	var b strings.Builder
	for _, f := range h.Fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	return []byte(b.String() + "\r\n")
}

// content returns what a message carries beside what its summary says, and what
// is wrong with it.
func content(m *proto.Message, c *contents) (data []byte, note string) {
	switch b := m.Body.(type) {
	case *proto.HTTPMessage:
		data, err := c.upTo(m, maxContent)
		if err != nil {
			note = err.Error()
		}
		return data, note
	case *proto.SMTPContent, *proto.SMTPCommand:
		data, err := proto.MailContent(m, maxContent)
		if err != nil {
			note = err.Error()
		}
		return data, note
	case *proto.Turn:
		if m.RawMissing > 0 {
			note = fmt.Sprintf("%s were not kept", Count(m.RawMissing, "byte"))
		}
		if b.Bytes <= int64(len(b.Preview)) && textual(m.Raw) {
			return nil, note // the summary has it all
		}
		return m.Raw, note
	case *proto.WebSocketFrame:
		if b.Code != 0 {
			return nil, "" // the summary has it all
		}
		data, err := proto.WebSocketContent(m)
		if err != nil {
			note = err.Error()
		}
		return data, note
	case *proto.ServerEvent:
		if more := b.DataBytes - int64(len(b.Data)); more > 0 {
			note = fmt.Sprintf("%s of the data were not kept", Count(more, "byte"))
		}
		return []byte(b.Data), note
	}
	return nil, ""
}

// body prints what a message carries: as a string when it is UTF-8, else in
// base64.
func (j *JSON) body(m *proto.Message) {
	if _, ok := m.Body.(*proto.ServerEvent); ok {
		return // the record has it
	}
	data, note := content(m, nil)
	switch {
	case len(data) == 0:
	case utf8.Valid(data):
		j.name("body")
		j.buf = proto.AppendString(j.buf, data)
	default:
		j.name("body_base64")
		j.buf = append(j.buf, '"')
		j.buf = base64.StdEncoding.AppendEncode(j.buf, data)
		j.buf = append(j.buf, '"')
	}
	if note != "" {
		j.str("body_error", note)
	}
}
