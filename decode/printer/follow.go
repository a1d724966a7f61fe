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

// Follow prints what both sides of one conversation said, as it is: text with
// its control characters made visible, anything else as a dump in hex.
type Follow struct {
	// Found says whether the conversation was there.
	Found bool

	w     io.Writer
	style Style
	id    int
	start time.Time
}

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
	if c.ID != f.id {
		return nil
	}
	arrow, p := arrow(d)
	from := c.Flow(d)
	head := fmt.Sprintf("%s %s to %s, %s, +%.6f s, packet %d", arrow, from.Src(), from.Dst(), Count(int64(len(k.Data)), "byte"), k.Time.Sub(f.start).Seconds(), k.Packet)
	_, err := io.WriteString(f.w, f.style.paint(p, head)+"\n"+visible(k.Data))
	return err
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
	if c.ID != f.id {
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
