package decode_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// log is a sink with every ability, which writes down what it is told.
type log struct {
	lines []string
	fail  string // the line beginning with this is answered with an error
}

var errSink = errors.New("the sink has had enough")

func (l *log) add(format string, args ...any) error {
	s := fmt.Sprintf(format, args...)
	l.lines = append(l.lines, s)
	if l.fail != "" && strings.HasPrefix(s, l.fail) {
		return errSink
	}
	return nil
}

func (l *log) Start(c *flow.Conversation) error {
	return l.add("start %d %s %s > %s guessed %v", c.ID, c.Transport(), c.Client(), c.Server(), c.Guessed)
}

func (l *log) Close(c *flow.Conversation) error { return l.add("close %d %s", c.ID, c.State) }

func (l *log) Finish(c *flow.Conversation) error {
	return l.add("finish %d %s %s > %s %s %d/%d packets %d/%d bytes", c.ID, c.State, c.Client(), c.Server(), c.Protocol,
		c.Sides[0].Packets, c.Sides[1].Packets, c.Sides[0].Bytes, c.Sides[1].Bytes)
}

func (l *log) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	return l.add("stream %d %s %d %q ack %d packet %d", c.ID, d, k.Offset, k.Data, k.Ack, k.Packet)
}

func (l *log) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	return l.add("gap %d %s %d %d", c.ID, d, g.Offset, g.Length)
}

func (l *log) Anomaly(a flow.Anomaly) error { return l.add("anomaly %s packet %d", a.Kind, a.Packet) }

func (l *log) Exchange(e *proto.Exchange) error {
	s := fmt.Sprintf("exchange %d.%d %s", e.Conversation.ID, e.Index, e.State)
	for _, m := range e.Messages() {
		s += fmt.Sprintf(" [%s]", m.Body.Summary())
	}
	return l.add("%s", s)
}

func (l *log) Summary(s *decode.Summary) error { return l.add("summary %d packets", s.Packets) }

// only returns the lines that begin with one of the words.
func (l *log) only(words ...string) string {
	var out []string
	for _, line := range l.lines {
		for _, w := range words {
			if strings.HasPrefix(line, w+" ") {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "\n")
}

var (
	client = netip.MustParseAddrPort("10.1.0.1:40000")
	server = netip.MustParseAddrPort("10.1.0.2:80")
)

func run(t *testing.T, b *craft.Builder, opts decode.Options) (*log, *decode.Summary) {
	t.Helper()
	l := &log{}
	sum, err := decode.Run(b.Source(), l, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l, sum
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
	}
}

// TestJourney follows one request from its packets to every ability of a sink.
func TestJourney(t *testing.T) {
	b := craft.New(craft.Options{})
	c := b.TCP(client, server)
	c.Open()
	c.Send(craft.Client, []byte("GET / HTTP/1.0\r\n\r\n"))
	c.Send(craft.Server, []byte("HTTP/1.0 200 OK\r\n\r\nhi"))
	c.Close(craft.Server)
	l, sum := run(t, b, decode.Options{Digest: true})
	want(t, strings.Join(l.lines, "\n"), `
start 0 tcp 10.1.0.1:40000 > 10.1.0.2:80 guessed false
stream 0 client_to_server 0 "GET / HTTP/1.0\r\n\r\n" ack 0 packet 4
stream 0 server_to_client 0 "HTTP/1.0 200 OK\r\n\r\nhi" ack 18 packet 5
exchange 0.0 complete [GET /] [200 OK, 2 bytes]
close 0 closed
finish 0 closed 10.1.0.1:40000 > 10.1.0.2:80 http 4/4 packets 18/21 bytes
summary 8 packets`)
	if sum.Kinds[packet.TCP] != 8 || sum.Conversations[flow.TCP] != 1 || sum.Exchanges[proto.Complete] != 1 {
		t.Errorf("%+v", sum)
	}
}

// TestWhoIsTheClient decodes conversations whose beginning shows it in different
// ways.
func TestWhoIsTheClient(t *testing.T) {
	high := netip.MustParseAddrPort("10.1.0.1:50000")
	higher := netip.MustParseAddrPort("10.1.0.2:60000")
	request, response := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	tests := map[string]struct {
		a, b netip.AddrPort
		do   func(*craft.Talk)
		want string // of the finished conversation
	}{
		"syn":                      {high, higher, func(c *craft.Talk) { c.Segment(craft.Client, 0, craft.Flags{SYN: true}, nil) }, "open 10.1.0.1:50000 > 10.1.0.2:60000"},
		"answer_to_syn_first":      {high, higher, func(c *craft.Talk) { c.Segment(craft.Server, 0, craft.Flags{SYN: true, ACK: true}, nil) }, "open 10.1.0.1:50000 > 10.1.0.2:60000"},
		"request_against_ports":    {higher, high, func(c *craft.Talk) { c.Send(craft.Client, request) }, "midstream 10.1.0.2:60000 > 10.1.0.1:50000"},
		"request_to_a_higher_port": {high, higher, func(c *craft.Talk) { c.Send(craft.Client, request) }, "midstream 10.1.0.1:50000 > 10.1.0.2:60000"},
		"response_first":           {high, higher, func(c *craft.Talk) { c.Send(craft.Server, response); c.Send(craft.Client, request) }, "midstream 10.1.0.1:50000 > 10.1.0.2:60000"},
		"lower_port_serves":        {client, server, func(c *craft.Talk) { c.Send(craft.Server, []byte("?")) }, "midstream 10.1.0.1:40000 > 10.1.0.2:80"},
		"syn_after_data": {high, higher, func(c *craft.Talk) {
			c.Send(craft.Client, []byte("?"))
			c.Segment(craft.Client, 0, craft.Flags{SYN: true}, nil)
		}, "open 10.1.0.1:50000 > 10.1.0.2:60000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := craft.New(craft.Options{})
			test.do(b.TCP(test.a, test.b))
			l, _ := run(t, b, decode.Options{})
			if got := l.only("finish"); !strings.HasPrefix(got, "finish 0 "+test.want+" ") || strings.Contains(got, "\n") {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhoIsTheClientOfDatagrams(t *testing.T) {
	b, err := craft.Recipe(strings.NewReader(`
udp a 10.1.0.1:5000 > 10.1.0.2:53
a < dns 7 answer "a.example. 1 IN A 192.0.2.1"
udp b 10.1.0.3:5000 > 10.1.0.2:53
b > dns 8 query a.example A
udp c 10.1.0.4:53 > 10.1.0.2:5000
c > "hello"`))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := run(t, b, decode.Options{})
	want(t, l.only("start"), `
start 0 udp 10.1.0.1:5000 > 10.1.0.2:53 guessed true
start 1 udp 10.1.0.3:5000 > 10.1.0.2:53 guessed false
start 2 udp 10.1.0.4:53 > 10.1.0.2:5000 guessed false`)
}

func TestReusedEndpoints(t *testing.T) {
	b := craft.New(craft.Options{})
	for i := range 3 {
		c := b.TCP(client, server)
		c.ISN(uint32(i*1000000+7), uint32(i*5000000+9))
		c.Open()
		c.Send(craft.Client, []byte("GET /"+string(rune('a'+i))+" HTTP/1.0\r\n\r\n"))
		if i != 1 {
			c.Close(craft.Client)
		}
	}
	l, _ := run(t, b, decode.Options{})
	want(t, l.only("exchange", "finish"), `
exchange 0.0 unanswered [GET /a]
finish 0 closed 10.1.0.1:40000 > 10.1.0.2:80 http 5/2 packets 19/0 bytes
exchange 1.0 unanswered [GET /b]
finish 1 open 10.1.0.1:40000 > 10.1.0.2:80 http 3/1 packets 19/0 bytes
exchange 2.0 unanswered [GET /c]
finish 2 closed 10.1.0.1:40000 > 10.1.0.2:80 http 5/2 packets 19/0 bytes`)
}

// TestTimeouts runs on the capture's clock.
func TestTimeouts(t *testing.T) {
	other := netip.MustParseAddrPort("10.1.0.9:9")
	tests := map[string]struct {
		do    func(*craft.Builder)
		wait  time.Duration
		early bool // the conversation is over before the end of the capture
	}{
		"udp_idle":        {func(b *craft.Builder) { b.UDP(client, server).Send(craft.Client, []byte("x")) }, flow.IdleUDP, true},
		"udp_not_idle":    {func(b *craft.Builder) { b.UDP(client, server).Send(craft.Client, []byte("x")) }, flow.IdleUDP - time.Second, false},
		"tcp_idle":        {func(b *craft.Builder) { b.TCP(client, server).Open() }, flow.IdleTCP, true},
		"tcp_not_idle":    {func(b *craft.Builder) { b.TCP(client, server).Open() }, flow.IdleTCP - time.Second, false},
		"tcp_closed":      {func(b *craft.Builder) { c := b.TCP(client, server); c.Open(); c.Close(craft.Client) }, flow.Linger, true},
		"tcp_lingers":     {func(b *craft.Builder) { c := b.TCP(client, server); c.Open(); c.Close(craft.Client) }, flow.Linger - time.Second, false},
		"tcp_reset":       {func(b *craft.Builder) { c := b.TCP(client, server); c.Open(); c.Reset(craft.Server) }, flow.Linger, true},
		"clock_goes_back": {func(b *craft.Builder) { b.TCP(client, server).Open() }, -100 * time.Hour, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := craft.New(craft.Options{})
			test.do(b)
			b.Wait(test.wait)
			b.UDP(other, server).Send(craft.Client, []byte("later"))
			l, _ := run(t, b, decode.Options{})
			order := l.only("finish", "start")
			early := strings.Index(order, "finish 0") < strings.Index(order, "start 1")
			if early != test.early {
				t.Errorf("over early: %v, want %v\n%s", early, test.early, order)
			}
		})
	}
}

// TestResetEndsAnExchangeSoon wants a live view to show what a RST broke off, and
// a forged one to break nothing.
func TestResetEndsAnExchangeSoon(t *testing.T) {
	other := netip.MustParseAddrPort("10.1.0.9:9")
	b := craft.New(craft.Options{})
	c := b.TCP(client, server)
	c.Open()
	c.Send(craft.Client, []byte("GET / HTTP/1.0\r\n\r\n"))
	c.Reset(craft.Server)
	b.Wait(3 * time.Second)
	b.UDP(other, server).Send(craft.Client, []byte("later"))
	l, _ := run(t, b, decode.Options{})
	if got := l.only("exchange", "start"); !strings.HasPrefix(got, "start 0 tcp 10.1.0.1:40000 > 10.1.0.2:80 guessed false\nexchange 0.0 unanswered [GET /]") {
		t.Errorf("got\n%s", got)
	}

	b = craft.New(craft.Options{})
	c = b.TCP(client, server)
	c.Open()
	c.Send(craft.Client, []byte("GET / HTTP/1.0\r\n\r\n"))
	c.Reset(craft.Server)
	c.Send(craft.Server, []byte("HTTP/1.0 200 OK\r\n\r\nstill here"))
	c.Close(craft.Server)
	l, _ = run(t, b, decode.Options{})
	want(t, l.only("exchange"), `exchange 0.0 complete [GET /] [200 OK, 10 bytes]`)
}

func TestTableLimit(t *testing.T) {
	b := craft.New(craft.Options{})
	for i := range 10 {
		from := netip.AddrPortFrom(client.Addr(), uint16(1000+i))
		b.UDP(from, server).Send(craft.Client, []byte("x"))
	}
	l, sum := run(t, b, decode.Options{Conversations: 3})
	if sum.Anomalies[flow.TableLimit] != 7 || sum.Conversations[flow.UDP] != 10 {
		t.Errorf("%d anomalies, %d conversations", sum.Anomalies[flow.TableLimit], sum.Conversations[flow.UDP])
	}
	if n := strings.Count(l.only("finish"), "finish"); n != 10 {
		t.Errorf("%d conversations were finished", n)
	}
}

// TestTick releases what waits when only time passes, as on a quiet interface.
func TestTick(t *testing.T) {
	b := craft.New(craft.Options{})
	c := b.TCP(client, server)
	c.Send(craft.Client, []byte("GET / HTTP/1.0\r\n\r\n"))
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	l := &log{}
	d := decode.New(l, decode.Options{})
	if err := d.WritePacket(&packets[0]); err != nil {
		t.Fatal(err)
	}
	if got := l.only("stream"); got != "" {
		t.Fatalf("a conversation without a SYN waits for its beginning, and yet: %s", got)
	}
	if err := d.Tick(packets[0].Time.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	want(t, l.only("stream"), `stream 0 client_to_server 0 "GET / HTTP/1.0\r\n\r\n" ack -1 packet 1`)
}

// TestMemoryIsShared lets the conversation go on that has waited longest, when
// all together wait for too much.
func TestMemoryIsShared(t *testing.T) {
	b := craft.New(craft.Options{})
	for i := range 10 {
		c := b.TCP(netip.AddrPortFrom(client.Addr(), uint16(1000+i)), server)
		c.Open()
		c.Segment(craft.Client, 10, craft.Flags{ACK: true}, bytes.Repeat([]byte("x"), 1000))
	}
	opts := decode.Options{Waiting: 4 * (1000 + 200)} // what a piece costs beside its bytes is counted too
	l, sum := run(t, b, opts)
	if sum.Anomalies[flow.PendingLimit] != 6 {
		t.Errorf("%d conversations were let go, want 6", sum.Anomalies[flow.PendingLimit])
	}
	if got := l.only("gap"); !strings.HasPrefix(got, "gap 0 client_to_server 0 10\ngap 1 ") {
		t.Errorf("not the oldest first:\n%s", got)
	}
}

func TestSinkErrorStops(t *testing.T) {
	for _, at := range []string{"start", "stream", "exchange", "close", "finish", "summary"} {
		t.Run(at, func(t *testing.T) {
			data, err := samples.Open("http1-keepalive")
			if err != nil {
				t.Fatal(err)
			}
			r, err := pcaps.NewReader(data)
			if err != nil {
				t.Fatal(err)
			}
			l := &log{fail: at}
			if _, err := decode.Run(r, l, decode.Options{}); !errors.Is(err, errSink) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestSourceErrors tells a damaged capture from a broken disk.
func TestSourceErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, test := range []struct {
		err       error
		truncated bool
		want      error
	}{
		{io.EOF, false, nil},
		{fmt.Errorf("x: %w", capture.ErrDamaged), true, nil},
		{broken, false, broken},
	} {
		l := &log{}
		sum, err := decode.Run(failing{test.err}, l, decode.Options{})
		if sum.Truncated != test.truncated || !errors.Is(err, test.want) {
			t.Errorf("%v: truncated %v, error %v", test.err, sum.Truncated, err)
		}
		if l.only("summary") == "" {
			t.Errorf("%v: no summary", test.err)
		}
	}
}

type failing struct{ err error }

func (f failing) Next() (*capture.Packet, error) { return nil, f.err }

// account fails when a packet is not counted in exactly one place.
func account(t testing.TB, s *decode.Summary) {
	t.Helper()
	var kinds, reasons int64
	for k, n := range s.Kinds {
		kinds += n
		for _, m := range s.Reasons[packet.Kind(k)] {
			reasons += m
		}
	}
	if kinds != s.Packets || reasons != s.Packets-s.Kinds[packet.TCP]-s.Kinds[packet.UDP] {
		t.Errorf("%d packets, %d by kind, %d by reason", s.Packets, kinds, reasons)
	}
}

func TestEverySampleIsAccountedFor(t *testing.T) {
	for _, s := range samples.List() {
		data, err := samples.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcaps.NewReader(data)
		if err != nil {
			t.Fatal(err)
		}
		l := &log{}
		sum, err := decode.Run(r, decode.Tee(l, &log{}), decode.Options{Keep: 1 << 20, Digest: true})
		if err != nil {
			t.Fatal(err)
		}
		account(t, sum)
		starts, finishes := strings.Count(l.only("start"), "start "), strings.Count(l.only("finish"), "finish ")
		if starts != finishes || int64(starts) != sum.Conversations[flow.TCP]+sum.Conversations[flow.UDP] {
			t.Errorf("%s: %d conversations began, %d finished", s.Name, starts, finishes)
		}
	}
}

// open returns the packets of a sample.
func open(t *testing.T, name string) []capture.Packet {
	t.Helper()
	data, err := samples.Open(name)
	if err != nil {
		t.Skip()
	}
	r, err := pcaps.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	var packets []capture.Packet
	for {
		p, err := r.Next()
		if err != nil {
			return packets
		}
		c := *p
		c.Data = bytes.Clone(p.Data)
		packets = append(packets, c)
	}
}

// mutate damages a capture: packets are taken out, doubled, moved, and have bytes
// changed, as the script says. Before some, there is nothing to be seen for a
// while.
func mutate(packets []capture.Packet, script []byte) ([]capture.Packet, map[int]time.Duration) {
	idle := make(map[int]time.Duration)
	for ; len(script) >= 4 && len(packets) > 0; script = script[4:] {
		i := int(script[1]) % len(packets)
		p := &packets[i]
		switch script[0] % 7 {
		case 0:
			packets = append(packets[:i], packets[i+1:]...)
		case 1:
			if len(p.Data) > 0 {
				p.Data[int(script[2])%len(p.Data)] ^= script[3]
			}
		case 2:
			packets = append(packets, *p)
		case 3:
			p.Data = p.Data[:min(len(p.Data), int(script[2]))]
		case 4:
			p.Time = p.Time.Add(time.Duration(int8(script[3])) * time.Hour)
		case 5:
			idle[i] = time.Duration(script[2]) * 10 * time.Millisecond
		case 6:
			k := int(script[2]) % len(packets)
			packets[i], packets[k] = packets[k], packets[i]
		}
	}
	return packets, idle
}

// FuzzRun decodes damaged captures.
func FuzzRun(f *testing.F) {
	for _, s := range samples.List() {
		f.Add(s.Name, []byte{})
		f.Add(s.Name, []byte{2, 3, 1, 60, 0, 7, 5, 200})
	}
	f.Fuzz(func(t *testing.T, name string, script []byte) {
		packets, idle := mutate(open(t, name), script)
		l := &log{}
		d := decode.New(l, decode.Options{Keep: 1 << 16, Digest: true, Conversations: 4})
		for i := range packets {
			if wait, ok := idle[i]; ok {
				if err := d.Tick(packets[i].Time.Add(wait)); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.WritePacket(&packets[i]); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := d.Close()
		if err != nil {
			t.Fatal(err)
		}
		account(t, sum)
		if starts, finishes := strings.Count(l.only("start"), "start "), strings.Count(l.only("finish"), "finish "); starts != finishes {
			t.Errorf("%d conversations began, %d finished", starts, finishes)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	for _, name := range []string{"http1-keepalive", "dns-lookup", "tcp-reordered"} {
		b.Run(name, func(b *testing.B) {
			data, err := samples.Open(name)
			if err != nil {
				b.Fatal(err)
			}
			raw, err := io.ReadAll(data)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := pcaps.NewReader(bytes.NewReader(raw))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := decode.Run(r, nothing{}, decode.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type nothing struct{}

func (nothing) Exchange(*proto.Exchange) error { return nil }
