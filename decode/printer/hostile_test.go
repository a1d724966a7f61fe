package printer_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
)

// evil is what a terminal must not get, as a recipe spells it: colours, a window
// title, clearing the screen with a C1 control, deleting, text from right to left,
// a line of its own, and bytes that are no UTF-8.
const evil = `\x1b[31m\x1b]0;owned\x07\b\x7f\u0085\u009b2J\u202a\u202e\u2066\u061c\u200f\u2028\ufeff\xff\x9b\xc2`

// hostile says it wherever somebody can say something: also among so much that is
// well that it is shown as text and not in hex.
var hostile = strings.ReplaceAll(`
tcp web 10.1.0.1:40001 > 10.1.0.2:80
web open
web > "GET /EVIL HTTP/1.1\r\nHost: EVIL\r\nX-EVIL: EVIL\r\nX-Well: " 900 * "x" "\r\n\r\n"
web < "HTTP/1.1 200 EVIL\r\nServer: EVIL\r\nContent-Length: 0\r\n\r\n"
web > "GET /again\rEVIL HTTP/1.1\r\nHost: a\r\nEVIL\r\n\r\n"
web < "HTTP/1.1 404 a\rEVIL\r\nEVIL\r\nContent-Length: EVIL\r\n\r\nEVIL"
web close
tcp junk 10.1.0.1:40002 > 10.1.0.2:80
junk open
junk > "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
junk < "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nEVIL\r\n"
junk > "EVIL\r\nEVIL\r\n"
junk close
tcp ftp 10.1.0.1:40003 > 10.1.0.2:21
ftp open
ftp < "220 EVIL " 400 * "x" "\r\n"
ftp > "USER EVIL\r\n"
ftp < "331-EVIL\r\nEVIL\r\n331 EVIL\r\n"
ftp > "EVIL EVIL\r\n"
ftp < "EVIL\r\n"
ftp close
tcp raw 10.1.0.1:40004 > 10.1.0.2:7777
raw open
raw > "EVIL" 400 * "x" "\n"
raw < "EVIL"
raw > at 0 "b EVIL line"
raw close
udp echo 10.1.0.1:50001 > 10.1.0.2:7777
echo > "EVIL"
echo < "EVIL" 400 * "x"
udp ask 10.1.0.1:50053 > 10.1.0.53:53
ask > hex 0007 0100 0001 0000 0000 0000 0c 1b5b324a07c285e280aeff41 00 0010 0001
ask < hex 0007 8180 0001 0001 0000 0000 0c 1b5b324a07c285e280aeff41 00 0010 0001 c00c 0010 0001 0000003c 000d 0c 1b5b324a07c285e280aeff41
`, "EVIL", evil)

// tame fails when something is left in out that a terminal would not just show.
func tame(t *testing.T, out string) {
	t.Helper()
	for i, r := range out {
		_, n := utf8.DecodeRuneInString(out[i:])
		switch {
		case r == '\n':
		case r < ' ', 0x7f <= r && r <= 0x9f, r == utf8.RuneError && n == 1,
			0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069, r == 0x2028, r == 0x2029, r == 0x061c, r == 0x200e, r == 0x200f, r == 0xfeff:
			t.Fatalf("%U at byte %d: %q", r, i, out[max(0, i-40):min(len(out), i+40)])
		}
	}
}

func TestHostile(t *testing.T) {
	for _, c := range []struct {
		name string
		// shown is how often an escape must be seen in harmless spelling.
		shown int
		open  func(*bytes.Buffer, printer.Style) decode.Sink
	}{
		{"text", 15, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewText(b, y) }},
		{"live", 15, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewLive(b, y) }},
		{"follow_http", 4, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewFollow(b, y, 0) }},
		{"follow_ftp", 1, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewFollow(b, y, 2) }},
		{"follow_raw", 1, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewFollow(b, y, 3) }},
		{"follow_udp", 1, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewFollow(b, y, 4) }},
		{"follow_dns", 0, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewFollow(b, y, 5) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, narrow, painted bytes.Buffer
			recipe(t, hostile, c.open(&out, printer.Style{}), decode.Options{})
			tame(t, out.String())
			if n := strings.Count(out.String(), `\x1b[31m`); n < c.shown || out.Len() == 0 {
				t.Errorf("%d escapes are shown, want %d:\n%s", n, c.shown, out.String())
			}
			// Where a line is cut, no half of anything is left.
			for width := 20; width < 160; width += 7 {
				narrow.Reset()
				recipe(t, hostile, c.open(&narrow, printer.Style{Width: width}), decode.Options{})
				tame(t, narrow.String())
			}
			// With colours, only those that are our own.
			recipe(t, hostile, c.open(&painted, printer.Style{Color: true}), decode.Options{})
			if got := sgr.ReplaceAllString(painted.String(), ""); got != out.String() {
				t.Errorf("in colour\n%q\nwithout\n%q", got, out.String())
			}
		})
	}
}

// TestHostileWords has a stage hand on what a packet holds without quoting it.
func TestHostileWords(t *testing.T) {
	words, err := strconv.Unquote(`"` + evil + `"`)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(*bytes.Buffer) decode.Sink{
		"text": func(b *bytes.Buffer) decode.Sink { return printer.NewText(b, printer.Style{}) },
		"live": func(b *bytes.Buffer) decode.Sink { return printer.NewLive(b, printer.Style{}) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			sink := open(&out)
			if err := sink.(decode.Anomalist).Anomaly(flow.Anomaly{Kind: "odd", Detail: words}); err != nil {
				t.Fatal(err)
			}
			m := &proto.Message{Why: words, Body: &proto.Turn{}}
			if err := sink.Exchange(&proto.Exchange{Conversation: &flow.Conversation{}, Protocol: &proto.Raw, State: proto.Broken, Request: m}); err != nil {
				t.Fatal(err)
			}
			if s, ok := sink.(decode.Summarizer); ok {
				if err := s.Summary(&decode.Summary{}); err != nil {
					t.Fatal(err)
				}
			}
			tame(t, out.String())
			if n := strings.Count(out.String(), `\x1b[31m`); n != 2 {
				t.Errorf("%d escapes are shown, want 2:\n%s", n, out.String())
			}
		})
	}
}

// TestHostileJSON wants JSON that may be looked at in a terminal.
func TestHostileJSON(t *testing.T) {
	var out bytes.Buffer
	p := printer.NewJSON(&out)
	p.File = "\x1b[2J\xff.pcap"
	recipe(t, hostile, p, decode.Options{})
	seen := false
	for _, m := range lines(t, out.Bytes()) {
		if request, ok := m["request"].(map[string]any); ok && m["type"] == "http" {
			target, _ := request["target"].(string)
			seen = seen || strings.HasPrefix(target, "/\x1b[31m\x1b]0;owned\a\b\x7f\u0085\u009b2J\u202a\u202e") && strings.HasSuffix(target, "\ufeff\ufffd\ufffd\ufffd")
		}
	}
	if !seen {
		t.Errorf("the target is not what was sent:\n%s", out.Bytes())
	}
	for i, r := range out.String() {
		if r != '\n' && (r < ' ' || 0x7f <= r && r <= 0x9f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069) {
			t.Fatalf("%U at byte %d", r, i)
		}
	}
}

// TestFollowCut shows text that was cut into chunks within a rune or a line end.
func TestFollowCut(t *testing.T) {
	c := &flow.Conversation{ID: 1}
	for _, k := range []struct{ name, chunk, want string }{
		{"empty", "", ""},
		{"no_line_end", "abc", "abc\n"},
		{"line_ends", "a\nb\r\n\r\nc\r", "a\nb\n\nc\n"},
		{"tab", "a\tb", "a    b\n"},
		{"lone_carriage_return", "a\rb\n", `a\x0db` + "\n"},
		{"half_a_rune", "this is text that ends in the middle of a rune: \xe4\xb8", `this is text that ends in the middle of a rune: \xe4\xb8` + "\n"},
		{"unicode", "世界\n", "世界\n"},
		{"binary", "\x00\x01", "00000000  00 01                                             |..|\n"},
		{"binary_that_says_evil", "\x1b[2J\x9b\xff~\x7f", "00000000  1b 5b 32 4a 9b ff 7e 7f                           |.[2J..~.|\n"},
	} {
		t.Run(k.name, func(t *testing.T) {
			var out bytes.Buffer
			p := printer.NewFollow(&out, printer.Style{}, 1)
			if err := p.Start(c); err != nil {
				t.Fatal(err)
			}
			if err := p.Stream(c, flow.ServerToClient, flow.Chunk{Data: []byte(k.chunk)}); err != nil {
				t.Fatal(err)
			}
			tame(t, out.String())
			if _, got, _ := strings.Cut(out.String(), "packet 0\n"); got != k.want {
				t.Errorf("got %q, want %q", got, k.want)
			}
		})
	}
}
