package printer_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/pcaps/craft"
)

// everything is said in each protocol: HTTP with several codes, an answer that is
// cut, one that is missing; DNS with an answer, a name that there is not, and
// silence; FTP with a data connection; a hello of TLS; and a greeting.
const everything = `
tcp web 10.1.0.1:40001 > 10.1.0.2:80
web open
web > "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
web < "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
web > "GET /b HTTP/1.1\r\nHost: a.example\r\n\r\n"
wait 5ms
web < "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
web > "GET /c HTTP/1.1\r\nHost: a.example\r\n\r\n"
wait 70ms
web < "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
web > "GET /d HTTP/1.1\r\nHost: a.example\r\n\r\n"
wait 1300ms
web < "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
web close
tcp cut 10.1.0.1:40002 > 10.1.0.2:80
cut open
cut > "GET /e HTTP/1.1\r\nHost: a.example\r\n\r\n"
cut < "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi"
cut < rst
tcp gone 10.1.0.1:40003 > 10.1.0.2:80
gone open
gone > "GET /f HTTP/1.1\r\nHost: a.example\r\n\r\n"
gone close
udp asked 10.1.0.1:5000 > 10.1.0.3:53
asked > dns 7 query a.example A
asked < dns 7 answer "a.example. 1 IN A 192.0.2.1"
asked > dns 8 query b.example A
asked < hex 0008818300010000000000000162076578616d706c650000010001
asked > dns 9 query c.example A
tcp ftp 10.1.0.1:40004 > 10.1.0.4:21
ftp open
ftp < "220 ready\r\n"
ftp > "USER ada\r\n"
ftp < "230 in\r\n"
ftp > "PASV\r\n"
ftp < "227 Entering Passive Mode (10,1,0,4,195,80)\r\n"
tcp data 10.1.0.1:40005 > 10.1.0.4:50000
data open
ftp > "RETR f\r\n"
ftp < "150 here\r\n"
data < 1000 * "x"
data close <
ftp < "226 done\r\n"
ftp close
tcp tls 10.1.0.1:40006 > 10.1.0.5:443
tls open
tls > hex 160301002d010000290303000000000000000000000000000000000000000000000000000000000000000000000213010100
tcp raw 10.1.0.1:40007 > 10.1.0.6:7777
raw open
raw > "hello\n"
raw < "hello to you\n"
raw close
tcp nothing 10.1.0.1:40008 > 10.1.0.6:7778
nothing open
`

// stats prints the sums of everything that was made from text.
func stats(t *testing.T, text string, json bool, opts decode.Options) []byte {
	t.Helper()
	var out bytes.Buffer
	p := printer.NewStats(&out, printer.Style{})
	if json {
		p.JSON = printer.NewJSON(&out)
		p.JSON.File = "some.pcap"
	}
	recipe(t, text, p, opts)
	return out.Bytes()
}

func TestStats(t *testing.T) {
	golden(t, "stats.text", stats(t, everything, false, decode.Options{}))
	golden(t, "stats.json", stats(t, everything, true, decode.Options{}))
	golden(t, "stats-odd.text", stats(t, packets, false, decode.Options{}))
	for _, name := range []string{"tcp-overlap-disagrees", "http1-pipelined"} {
		var out bytes.Buffer
		sample(t, name, printer.NewStats(&out, printer.Style{}), decode.Options{})
		golden(t, name+".stats", out.Bytes())
	}
}

// unforked hides that a Sink is a Forker.
type unforked struct{ *printer.Stats }

func (u unforked) Fork() {}

// TestStatsAddUp counts in parts, and in one.
func TestStatsAddUp(t *testing.T) {
	b, err := craft.Recipe(strings.NewReader(everything))
	if err != nil {
		t.Fatal(err)
	}
	for _, json := range []bool{false, true} {
		want := stats(t, everything, json, decode.Options{Workers: 1})
		for _, workers := range []int{0, 1, 2, 7} {
			var out bytes.Buffer
			p := printer.NewStats(&out, printer.Style{})
			if json {
				p.JSON = printer.NewJSON(&out)
				p.JSON.File = "some.pcap"
			}
			var sink decode.Sink = p
			if workers == 0 {
				sink = unforked{p}
			}
			if _, err := decode.Run(b.Source(), sink, decode.Options{Workers: workers}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%d parts\n%swant\n%s", workers, out.Bytes(), want)
			}
		}
	}
}

// TestStatsLatency counts answers that took no time, and longer than is told.
func TestStatsLatency(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name string
		took []time.Duration
		want string // median, p99, max
	}{
		{"none", nil, ""},
		{"at_once", []time.Duration{0, 0}, "0 0 0"},
		{"before", []time.Duration{-time.Second, -100 * time.Hour}, "0 0 0"},
		{"less_than_told", []time.Duration{999}, "0 0 999 ns"},
		{"a_microsecond", []time.Duration{1000}, "1.00 µs 1.00 µs 1.00 µs"},
		{"long", []time.Duration{0, 100 * time.Microsecond, 3 * time.Hour}, "100 µs 1h0m7s 3h0m0s"}, // a hundredth is told
		{"very_long", []time.Duration{1<<63 - 1}, "1h0m7s 1h0m7s 2562047h47m16.854775807s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			p := printer.NewStats(&out, printer.Style{})
			conv := &flow.Conversation{Protocol: "raw"}
			for _, d := range c.took {
				m := &proto.Message{Time: start, End: start, Body: &proto.Turn{}}
				e := &proto.Exchange{Conversation: conv, Protocol: &proto.Raw, Request: m, Response: &proto.Message{Time: start.Add(d), Body: &proto.Turn{}}}
				if err := p.Exchange(e); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Finish(conv); err != nil {
				t.Fatal(err)
			}
			if err := p.Summary(&decode.Summary{}); err != nil {
				t.Fatal(err)
			}
			head, rest, _ := strings.Cut(out.String(), "\n")
			row, _, _ := strings.Cut(rest, "\n")
			// The columns stand to the right, under their names.
			from := strings.Index(head, "received") + len("received")
			got := strings.Join(strings.Fields(string([]rune(row)[from:])), " ")
			if got != c.want {
				t.Errorf("latencies are %q, want %q\n%s", got, c.want, out.String())
			}
		})
	}
}

// TestStatsOfNothing counts what there is not.
func TestStatsOfNothing(t *testing.T) {
	if got, want := string(stats(t, "", false, decode.Options{})), "0 packets, 0 B in 0\n0 conversations, 0 exchanges\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := lines(t, stats(t, "", true, decode.Options{})); len(got) != 1 || got[0]["type"] != "capture" {
		t.Errorf("%v", got)
	}
}
