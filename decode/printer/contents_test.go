package printer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"netlab/decode/proto"
)

// TestVisible holds lines to what they are rune by rune.
func TestVisible(t *testing.T) {
	rune1 := func(s string) string {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1, proto.Harmful(r) && r < 0x100:
			if n > 1 {
				return fmt.Sprintf(`\x%02x`, r)
			}
			return fmt.Sprintf(`\x%02x`, s[0])
		case proto.Harmful(r):
			return fmt.Sprintf(`\u%04x`, r)
		}
		return s[:n]
	}
	pieces := []string{"plain text", "\t", "\r", "\n", "\r\n", "é", "\u202e", "\u0085", "\xff", "\xe2\x82", "\x1b[31m", "\x7f", "日本", "\ufffd", " "}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		text := ""
		for range r.IntN(12) {
			text += pieces[r.IntN(len(pieces))]
		}
		want := ""
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			line = strings.ReplaceAll(line, "\t", "    ")
			clean := ""
			for line != "" {
				_, n := utf8.DecodeRuneInString(line)
				clean += rune1(line)
				line = line[n:]
			}
			want += clean + "\n"
		}
		if got := string(appendVisibleText(nil, []byte(text))); got != want {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestContents is the same whether a body was there before or not, also where its encoding is broken, or
// where less is asked for.
func TestContents(t *testing.T) {
	packed := func(text string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(text))
		z.Close()
		return b.Bytes()
	}
	long := packed(strings.Repeat("text ", 1000))
	message := func(coding string, body []byte) *proto.Message {
		h := &proto.HTTPMessage{Head: "HTTP/1.1 200 OK\r\n\r\n", BodyBytes: int64(len(body))}
		if coding != "" {
			h.Fields = []proto.Field{{Name: "Content-Encoding", Value: coding}}
		}
		return &proto.Message{Body: h, Raw: append([]byte(h.Head), body...), Complete: true}
	}
	var c contents
	for range 3 {
		for _, m := range []*proto.Message{message("gzip", long), message("gzip", long[:50]), message("", long), message("identity", long), message("x-gzip", packed("other")),
			message("gzip, gzip", packed(string(long))), message("unknown", long), message("gzip", nil)} {
			for _, limit := range []int{maxContent, 1000} {
				want, problem := proto.ContentUpTo(m, limit)
				got, err := c.upTo(m, limit)
				if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(problem) {
					t.Errorf("%v up to %d: %d bytes, %v, want %d, %v", m.Body.(*proto.HTTPMessage).Fields, limit, len(got), err, len(want), problem)
				}
			}
		}
	}
	if _, ok := c.known.Get(c.digest.Of(long, "gzip")); !ok {
		t.Error("what it got is not remembered")
	}
}
