package report

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/replay"
)

// Shown keeps both answers of one exchange, of the first pass, and writes them as a
// unified diff.
type Shown struct {
	// Conn and Index say of which.
	Conn, Index int

	mu   sync.Mutex
	text string
}

// Take looks at an answer; see replay.Options.Show.
func (s *Shown) Take(o *replay.Outcome, live *proto.Message) {
	if o.Conn.ID != s.Conn || o.Check.Index != s.Index || o.Pass > 1 {
		return
	}
	asked := *o
	replay.Describe(&asked)
	recorded := &proto.Message{}
	switch {
	case o.Check.Turn != nil:
		recorded.Raw = o.Check.Turn.Answer
	case o.Check.Exchange.Response != nil:
		recorded = o.Check.Exchange.Response
	}
	old, now := writeOut(recorded), writeOut(live)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = fmt.Sprintf("#%d.%d %s\n", s.Conn, s.Index, printer.Clean(asked.Request))
	if o.Digest {
		s.text += "compared by length and SHA-256; this is how they begin\n"
	}
	switch {
	case old != now:
		s.text += udiff.Unified("recorded", "live", old, now)
	case o.Digest:
		s.text += old
	default:
		s.text += "both answers, which are the same:\n" + old
	}
}

// String is what was seen.
func (s *Shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		return fmt.Sprintf("#%d.%d: there is no such answer that was compared\n", s.Conn, s.Index)
	}
	return s.text
}

// maxWritten bounds what is written of a message.
const maxWritten = 1 << 20

// writeOut writes a message line by line: its head, its body decoded, JSON indented, and
// in hex what is no text. Nothing in it can do a terminal harm.
func writeOut(m *proto.Message) string {
	h, ok := m.Body.(*proto.HTTPMessage)
	if !ok {
		return textOrHex(m.Raw)
	}
	var b strings.Builder
	if h.Head != "" {
		b.WriteString(cleanLines(strings.ReplaceAll(h.Head, "\r\n", "\n")))
	} else {
		for _, f := range h.Fields {
			b.WriteString(printer.Clean(f.Name+": "+f.Value) + "\n")
		}
		b.WriteByte('\n')
	}
	body, err := proto.Content(m)
	if err != nil {
		fmt.Fprintf(&b, "(%s)\n", printer.Clean(err.Error()))
	}
	var indented bytes.Buffer
	if len(body) < maxWritten && json.Indent(&indented, body, "", "  ") == nil {
		body = indented.Bytes()
	}
	b.WriteString(textOrHex(body))
	return b.String()
}

func textOrHex(data []byte) string {
	more := ""
	if len(data) > maxWritten {
		more = fmt.Sprintf("and %s more\n", printer.Bytes(int64(len(data)-maxWritten)))
		data = data[:maxWritten]
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return hex.Dump(data) + more
	}
	text := string(data)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return cleanLines(text) + more
}

func cleanLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(printer.Clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
