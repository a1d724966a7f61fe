package printer_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/pcaps/samples"
)

// TestWidth shows a table and lines that do not fit.
func TestWidth(t *testing.T) {
	for name, c := range map[string]struct {
		width int
		open  func(*bytes.Buffer, printer.Style) decode.Sink
	}{
		"text": {100, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewText(b, y) }},
		"live": {80, func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewLive(b, y) }},
	} {
		var out bytes.Buffer
		sample(t, "tcp-cut", c.open(&out, printer.Style{Width: c.width}), decode.Options{})
		golden(t, fmt.Sprintf("width-%d.%s", c.width, name), out.Bytes())
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(line) - 1; n > c.width {
				t.Errorf("%d columns in %d: %s", n, c.width, line)
			}
		}
	}
}

var sgr = regexp.MustCompile("\x1b\\[[0-9]*m")

// TestColor wants colours to change nothing but colours, and to say what is wrong.
func TestColor(t *testing.T) {
	printers := map[string]func(*bytes.Buffer, printer.Style) decode.Sink{
		"text":   func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewText(b, y) },
		"live":   func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewLive(b, y) },
		"follow": func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewFollow(b, y, 0) },
		"stats":  func(b *bytes.Buffer, y printer.Style) decode.Sink { return printer.NewStats(b, y) },
	}
	for name, open := range printers {
		for _, s := range samples.List() {
			for _, width := range []int{0, 70} {
				var plain, painted bytes.Buffer
				sample(t, s.Name, open(&plain, printer.Style{Width: width}), decode.Options{})
				sample(t, s.Name, open(&painted, printer.Style{Width: width, Color: true}), decode.Options{})
				if bytes.ContainsRune(plain.Bytes(), '\x1b') {
					t.Errorf("%s of %s: colours that were not asked for", name, s.Name)
				}
				if got := sgr.ReplaceAllString(painted.String(), ""); got != plain.String() || painted.Len() == plain.Len() {
					t.Errorf("%s of %s in colour\n%s\nwithout\n%s", name, s.Name, got, plain.String())
				}
			}
		}
	}
	for _, c := range []struct{ name, printer, sample, want string }{
		{"error", "text", "http1-pipelined", "\x1b[31m404 Not Found, 0 bytes\x1b[0m"},
		{"error_live", "live", "http1-pipelined", "\x1b[31mhttp GET a.example/2 > 404 Not Found, 0 bytes, 2.20 ms\x1b[0m"},
		{"unanswered", "text", "http1-gap", "\x1b[33mGET a.example/2\x1b[0m"},
		{"broken", "text", "tcp-cut", "\x1b[33m200 OK, 400 bytes; (response: 366 bytes of the body were not captured)\x1b[0m"},
		{"anomaly", "text", "tcp-overlap-disagrees", "\x1b[33modd: \x1b[0mpacket 5"},
		{"well", "text", "http1-gap", "  200 OK, 3 bytes"},
		{"client", "follow", "tcp-hello", "\x1b[36m>>> 127.0.0.1:50000 to "},
		{"server", "follow", "tcp-hello", "\x1b[32m<<< 127.0.0.1:8888 to "},
		{"gap", "follow", "http1-gap", "\x1b[33m--- 41 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			sample(t, c.sample, printers[c.printer](&out, printer.Style{Color: true}), decode.Options{})
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("%q is not in\n%q", c.want, out.String())
			}
		})
	}
}

// TestPages prints more than a page holds, in the order of a busy capture, and
// wants every conversation and every exchange once.
func TestPages(t *testing.T) {
	const n = printer.PageRows + 10
	var out bytes.Buffer
	p := printer.NewText(&out, printer.Style{})
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	convs := make([]flow.Conversation, n)
	for i := range convs {
		c := &convs[i]
		*c = flow.Conversation{ID: i, Start: flow.At(start), End: flow.At(start), Protocol: "raw"}
		c.Tuple = flow.NewFlow(flow.UDP, netip.MustParseAddrPort("10.1.0.1:50001"), netip.MustParseAddrPort("10.1.0.2:7777"))
		do(p.Start(c))
		at := start.Add(time.Duration(i) * time.Millisecond)
		m := &proto.Message{Time: at, End: at, Complete: true, Body: &proto.Turn{Bytes: int64(i)}}
		do(p.Exchange(&proto.Exchange{Conversation: c, Protocol: &proto.Raw, Request: m}))
		if i > 0 {
			do(p.Finish(&convs[i-1]))
		}
	}
	if out.Len() == 0 {
		t.Error("nothing was printed before the end")
	}
	do(p.Finish(&convs[n-1]))
	do(p.Summary(&decode.Summary{}))
	rows := make(map[string]int)
	heads := 0
	for line := range strings.Lines(out.String()) {
		words := strings.Fields(line)
		switch {
		case len(words) < 3:
		case words[0] == "ID":
			heads++
		case words[1] == "udp":
			rows["conversation "+words[0]]++
		case strings.HasPrefix(words[3], "byte"):
			rows["exchange "+words[2]]++
		}
	}
	for i := range n {
		for _, kind := range []string{"conversation ", "exchange "} {
			if got := rows[kind+strconv.Itoa(i)]; got != 1 {
				t.Fatalf("%s%d is there %d times", kind, i, got)
			}
		}
	}
	if len(rows) != 2*n || heads < 4 {
		t.Errorf("%d rows of %d, below %d heads", len(rows), 2*n, heads)
	}
}

// TestAnomalies bounds how many are printed, and says how many are not.
func TestAnomalies(t *testing.T) {
	for _, c := range []struct {
		n, printed int
		more       string
	}{
		{0, 0, ""},
		{1, 1, ""},
		{20, 20, ""},
		{21, 20, "and 1 more (--json lists all)\n"},
		{120, 20, "and 100 more (--json lists all)\n"},
	} {
		var out bytes.Buffer
		p := printer.NewText(&out, printer.Style{})
		for i := range c.n {
			if err := p.Anomaly(flow.Anomaly{Kind: flow.LateData, Detail: "9 bytes", Packet: int64(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Summary(&decode.Summary{}); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(out.String(), fmt.Sprintf("odd: packet %d, late data: 9 bytes\n", c.printed))
		if c.printed == 0 {
			rest = out.String()
		}
		if n := strings.Count(out.String(), "odd: "); n != c.printed || !strings.HasPrefix(rest, c.more+"0 packets") {
			t.Errorf("%d of %d:\n%s", n, c.n, out.String())
		}
	}
}

// packets are of every kind that a capture has.
const packets = `
snaplen 60
packet hex ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a010001 000000000000 0a010002
packet hex ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a010001 000000000000 0a010003
packet hex 020000000002 020000000001 88b5 00
packet hex 020000000002 020000000001 0800 4500 0014 0001 4000 40 01 0000 0a010001 0a010002
packet hex 020000000002
packet hex 020000000002 020000000001 0800 45ff
packet hex 020000000002 020000000001 0800 4500 001d 0001 4000 40 11 0000 0a010001 0a010002 1f90 1f91 0009 ffff 41
packet hex 020000000002 020000000001 0800 4500 0024 0007 2000 40 11 0000 0a010001 0a010002 1f92 1f93 0018 0000 4242424242424242
packet hex 020000000002 020000000001 0800 4500 001c 0007 0002 40 11 0000 0a010001 0a010002 4343434343434343
packet hex 020000000002 020000000001 0800 4500 001c 0008 2002 40 11 0000 0a010001 0a010002 4343434343434343
udp a 10.1.0.1:50001 > 10.1.0.2:7777
a > 100 * "x"
tcp b [fd00::1]:40001 > [fd00::2]:80
b > syn
tcp c 10.1.0.1:40002 > 10.1.0.2:80
c > syn
`

// TestAccount says where packets went that are of no conversation.
func TestAccount(t *testing.T) {
	var out bytes.Buffer
	recipe(t, packets, printer.NewText(&out, printer.Style{}), decode.Options{})
	golden(t, "account.text", out.Bytes())
}

// numbers reads "3 a + 4 b".
func numbers(t *testing.T, list string) (sum int64) {
	t.Helper()
	for part := range strings.SplitSeq(list, " + ") {
		n, err := strconv.ParseInt(strings.Fields(part)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// TestAccountSums adds up what is printed: every packet went somewhere, and every
// exchange has a state.
func TestAccountSums(t *testing.T) {
	line := regexp.MustCompile(`(?m)^(\d+) packets, .*: (.*)\n(?:  .*\n)*\d+ conversations?, (\d+) exchanges?(?:: (.*))?$`)
	hold := func(t *testing.T, s *decode.Summary) {
		t.Helper()
		text := printer.Account(s)
		m := line.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no account: %s", text)
		}
		if n := numbers(t, m[2]); m[1] != strconv.FormatInt(n, 10) || n != s.Packets {
			t.Errorf("%d packets add up to %d of %d: %s", s.Packets, n, s.Packets, text)
		}
		if m[4] == "" {
			m[4] = "0 complete"
		}
		if n := numbers(t, m[4]); m[3] != strconv.FormatInt(n, 10) {
			t.Errorf("%s exchanges add up to %d: %s", m[3], n, text)
		}
	}
	for _, s := range samples.List() {
		t.Run(s.Name, func(t *testing.T) {
			var out bytes.Buffer
			hold(t, sample(t, s.Name, printer.NewText(&out, printer.Style{}), decode.Options{}))
			if out.Len() == 0 {
				t.Error("nothing is printed")
			}
		})
	}
	t.Run("all_kinds", func(t *testing.T) {
		var s collected
		recipe(t, packets, &s, decode.Options{})
		hold(t, s.sum)
		for k := range packet.KindCount {
			if s.sum.Kinds[k] == 0 {
				t.Errorf("no packet is of kind %s", k)
			}
		}
	})
}

// collected keeps the sums.
type collected struct{ sum *decode.Summary }

func (c *collected) Exchange(*proto.Exchange) error  { return nil }
func (c *collected) Summary(s *decode.Summary) error { c.sum = s; return nil }

// TestAccountOdd writes what no capture of ours has.
func TestAccountOdd(t *testing.T) {
	for _, c := range []struct {
		name string
		sum  decode.Summary
		want string
	}{
		{"empty", decode.Summary{}, "0 packets, 0 B in 0\n0 conversations, 0 exchanges\n"},
		{"filtered", decode.Summary{Chosen: true, LeftOut: 3}, "0 packets, 0 B in 0\n0 conversations, 0 exchanges\n3 of 3 packets left out by the filter\n"},
		{
			"damaged", decode.Summary{Truncated: true, Damage: "a.pcap ends inside \x1b[2J"},
			"0 packets, 0 B in 0\n0 conversations, 0 exchanges\nthe capture is damaged, all before was read: a.pcap ends inside \\x1b[2J\n",
		},
		{
			"checksum", decode.Summary{BadChecksums: 1},
			"0 packets, 0 B in 0\n0 conversations, 0 exchanges\n1 wrong checksum: normal where the network card fills them in\n",
		},
		{
			"checksums", decode.Summary{BadChecksums: 7},
			"0 packets, 0 B in 0\n0 conversations, 0 exchanges\n7 wrong checksums: normal where the network card fills them in\n",
		},
		{
			// A capture's clock may be set back, by any amount.
			"backwards", decode.Summary{First: time.Unix(1<<60, 0), Last: time.Unix(-1<<60, 0)},
			"0 packets, 0 B in -2562047h47m16.854775807s\n0 conversations, 0 exchanges\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := printer.Account(&c.sum); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}
