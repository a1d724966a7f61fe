package printer

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Follow prints what the sides of one conversation said, as it is.
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
}

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

// Stream prints bytes.
func (f *Follow) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	if c.ID != f.id || f.Only != nil && *f.Only != d {
		return nil
	}
	if f.Form == Bare {
		_, err := f.w.Write(k.Data)
		return err
	}
	arrow, p := arrow(d)
	from := c.Flow(d)
	head := fmt.Sprintf("%s %s to %s, %s, +%.6f s, packet %d", arrow, from.Src(), from.Dst(), Count(int64(len(k.Data)), "byte"), k.Time.Sub(f.start).Seconds(), k.Packet)
	_, err := io.WriteString(f.w, f.style.paint(p, head)+"\n"+f.show(k.Data))
	return err
}

func (f *Follow) show(data []byte) string {
	switch {
	case f.Form == Hex, f.Form == Auto && !textual(data):
		return hex.Dump(data)
	}
	return visibleText(data)
}

// arrow shows who speaks, and in which colour.
func arrow(d flow.Direction) (string, paint) {
	if d == flow.ServerToClient {
		return "<<<", green
	}
	return ">>>", cyan
}

// Gap prints that bytes are missing.
func (f *Follow) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	if c.ID != f.id || f.Only != nil && *f.Only != d || f.Form == Bare {
		return nil
	}
	_, err := fmt.Fprintln(f.w, f.style.paint(yellow, fmt.Sprintf("--- %s of the %s were not captured", Count(g.Length, "byte"), side(d))))
	return err
}

// visible shows bytes, as lines.
func visible(data []byte) string {
	if !textual(data) {
		return hex.Dump(data)
	}
	return visibleText(data)
}

func visibleText(data []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(data) {
		s := string(line)
		s = strings.TrimSuffix(s, "\n")
		s = strings.TrimSuffix(s, "\r")
		b.WriteString(Clean(strings.ReplaceAll(s, "\t", "    ")))
		b.WriteByte('\n')
	}
	return b.String()
}

// textual reports whether data is better read as text.
func textual(data []byte) bool {
	odd := 0
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			odd++
		}
		i += n
	}
	return odd*16 <= len(data)
}
