package decode_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
	"netlab/pcaps/craft"
)

// made is a Source of n packets, each made when it is asked for.
type made struct {
	n      int
	make   func(i int) []byte
	packet capture.Packet
}

func (m *made) Next() (*capture.Packet, error) {
	i := int(m.packet.Number)
	if i == m.n {
		return nil, io.EOF
	}
	m.packet.Number++
	m.packet.Data = m.make(i)
	m.packet.Length = len(m.packet.Data)
	m.packet.Link = capture.LinkRaw
	m.packet.Time = time.Unix(1, int64(i)*1000)
	return &m.packet, nil
}

// segment writes an IPv4 packet with a TCP segment of conversation i into buf.
func segment(buf []byte, i int, back bool, flags packet.Flags, seq, ack uint32, payload string) []byte {
	buf = append(buf[:0], make([]byte, 40)...)
	buf = append(buf, payload...)
	buf[0], buf[8], buf[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(buf[2:], uint16(len(buf)))
	client, server := buf[12:16], buf[16:20]
	ports := [2]uint16{uint16(1024 + i%60000), 80}
	if back {
		client, server = server, client
		ports[0], ports[1] = ports[1], ports[0]
	}
	binary.BigEndian.PutUint32(client, 0x0a010000+uint32(i/60000))
	binary.BigEndian.PutUint32(server, 0x0a020001)
	binary.BigEndian.PutUint16(buf[20:], ports[0])
	binary.BigEndian.PutUint16(buf[22:], ports[1])
	binary.BigEndian.PutUint32(buf[24:], seq)
	binary.BigEndian.PutUint32(buf[28:], ack)
	buf[32], buf[33] = 0x50, byte(flags)
	return buf
}

// none is a sink that only counts what comes, and holds it to its order: what is
// given up must not come again, nor what follows be out of its place.
type none struct {
	t                   *testing.T
	exchanges, finished int
	last                map[int][2]int64 // of a conversation: index and offset of its latest request
}

func (n *none) Exchange(e *proto.Exchange) error {
	n.exchanges++
	if e.Request == nil {
		return nil
	}
	if n.last == nil {
		n.last = make(map[int][2]int64)
	}
	at := [2]int64{int64(e.Index), e.Request.Offset}
	if last, ok := n.last[e.Conversation.ID]; ok && (at[0] <= last[0] || at[1] <= last[1]) {
		n.t.Errorf("conversation %d: index and offset %d after %d", e.Conversation.ID, at, last)
	}
	n.last[e.Conversation.ID] = at
	return nil
}

func (n *none) Finish(c *flow.Conversation) error {
	n.finished++
	delete(n.last, c.ID)
	return nil
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// within decodes src in so much memory, and holds the pipeline to it before the
// end lets all of it go.
func within(t *testing.T, memory int64, sink decode.Sink, src capture.Source) *decode.Summary {
	t.Helper()
	before := heap()
	d := decode.New(sink, decode.Options{Memory: memory})
	if _, err := capture.Copy(d, src); err != nil {
		t.Fatal(err)
	}
	if used := heap() - before; used > memory {
		t.Errorf("%d MiB are in use, more than %d", used>>20, memory>>20)
	}
	sum, err := d.Close()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestMemoryStaysBounded decodes what is made to fill the memory.
func TestMemoryStaysBounded(t *testing.T) {
	if raced {
		t.Skip("it is one goroutine's work, and takes too many packets with the race detector")
	}
	const memory = 32 << 20
	var buf []byte
	junk := strings.Repeat("x", 1400)
	tests := map[string]struct {
		n    int
		make func(i int) []byte
		odd  string // an anomaly that tells of it
	}{
		"half_open": {100_000, func(i int) []byte { return segment(buf, i, false, packet.SYN, 1, 0, "") }, flow.TableLimit},
		"unfinished_requests": {100_000, func(i int) []byte {
			return segment(buf, i, false, packet.SYN, 1, 0, "GET / HTTP/1.1\r\nHost: a\r\nX: ")
		}, flow.MemoryLimit},
		"unanswered_requests": {100_000, func(i int) []byte {
			const request = "GET / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: nobody\r\n\r\n"
			if i < 5000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "")
			}
			return segment(buf, i%5000, false, packet.ACK, 2+uint32((i/5000-1)*len(request)), 1, request)
		}, flow.MemoryLimit},
		"openings_of_nothing_known": {100_000, func(i int) []byte {
			if i < 10_000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "GET /")
			}
			return segment(buf, i%10_000, false, packet.ACK, 7+uint32((i/10_000-1)*len(junk)), 1, junk)
		}, flow.MemoryLimit},
		"gaps_that_stay": {100_000, func(i int) []byte {
			if i < 10_000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "")
			}
			return segment(buf, i%10_000, false, packet.ACK, 100+uint32(i/10_000*2000), 0, junk)
		}, flow.PendingLimit},
		"pieces_of_a_byte": {100_000, func(i int) []byte {
			if i < 1000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "")
			}
			return segment(buf, i%1000, false, packet.ACK, 100+uint32(i/1000*2), 0, "x")
		}, flow.PendingLimit},
		"retransmissions_awaited": {100_000, func(i int) []byte {
			// What is not acknowledged is remembered, to be compared.
			if i < 10_000 {
				return segment(buf, i, false, packet.SYN, 1, 0, "")
			}
			if i < 20_000 {
				return segment(buf, i%10_000, true, packet.SYN|packet.ACK, 1, 2, "")
			}
			return segment(buf, i%10_000, false, packet.ACK, 2+uint32((i/10_000-2)*len(junk)), 2, junk)
		}, flow.MemoryLimit},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sink := &none{t: t}
			sum := within(t, memory, sink, &made{n: test.n, make: func(i int) []byte { buf = test.make(i); return buf }})
			if sum.Anomalies[test.odd] == 0 {
				t.Errorf("nothing tells of %s: %v", test.odd, sum.Anomalies)
			}
			var conversations, exchanges int64
			for _, n := range sum.Conversations {
				conversations += n
			}
			for _, n := range sum.Exchanges {
				exchanges += n
			}
			if int64(sink.finished) != conversations || int64(sink.exchanges) != exchanges {
				t.Errorf("%d of %d conversations and %d of %d exchanges came", sink.finished, conversations, sink.exchanges, exchanges)
			}
		})
	}
}

// TestHugeMessages takes messages that say they are large, or are.
func TestHugeMessages(t *testing.T) {
	const memory = 32 << 20
	var buf []byte
	fields := strings.Repeat("a: b\r\n", 200)
	tests := map[string]struct {
		n    int
		make func(i int) []byte
		want map[string]int64 // exchanges by state, anomalies by kind
	}{
		// Ten gigabytes are declared, a hundred megabytes come.
		"declared_10_GB": {100_000, func(i int) []byte {
			const head = "POST / HTTP/1.1\r\nContent-Length: 10000000000\r\n\r\n"
			if i == 0 {
				return segment(buf, 0, false, packet.ACK, 1, 1, head)
			}
			return segment(buf, 0, false, packet.ACK, uint32(1+len(head)+(i-1)*1000), 1, strings.Repeat("x", 1000))
		}, map[string]int64{"broken": 1}},
		"a_million_fields": {5_001, func(i int) []byte {
			const line = "GET / HTTP/1.1\r\n"
			if i == 0 {
				return segment(buf, 0, false, packet.ACK, 1, 1, line)
			}
			return segment(buf, 0, false, packet.ACK, uint32(1+len(line)+(i-1)*len(fields)), 1, fields)
		}, map[string]int64{"broken": 1, flow.MalformedMessage: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sum := within(t, memory, &none{t: t}, &made{n: test.n, make: func(i int) []byte { buf = test.make(i); return buf }})
			got := map[string]int64{}
			for s, n := range sum.Exchanges {
				got[s.String()] = n
			}
			for k, n := range sum.Anomalies {
				got[k] = n
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestDialoguesAreShared wants conversations over UDP, which share the memory of
// their dialogues, to know nothing of each other.
func TestDialoguesAreShared(t *testing.T) {
	b, err := craft.Recipe(strings.NewReader(`
udp a 10.1.0.1:5000 > 10.1.0.2:53
udp b 10.1.0.3:5000 > 10.1.0.2:7777
a > dns 7 query a.example A
a < dns 7 answer "a.example. 1 IN A 192.0.2.1"
b > "one"
b < "1"
a > dns 8 query b.example A
b > "two"
a < dns 8 answer "b.example. 1 IN A 192.0.2.2"
a > dns 9 query c.example A
b < "2"
a < dns 9 answer "c.example. 1 IN A 192.0.2.3"
b < "3"`))
	if err != nil {
		t.Fatal(err)
	}
	l, _ := run(t, b, decode.Options{})
	want(t, l.only("exchange"), `
exchange 0.0 complete [A a.example] [NOERROR A 192.0.2.1]
exchange 1.0 complete [3 bytes "one"] [1 byte "1"]
exchange 0.1 complete [A b.example] [NOERROR A 192.0.2.2]
exchange 1.1 complete [3 bytes "two"] [1 byte "2"]
exchange 0.2 complete [A c.example] [NOERROR A 192.0.2.3]
exchange 1.2 complete [1 byte "3"]`)
}

// TestStragglers sends what comes late for a connection that was settled, and
// what is of another one between the same endpoints.
func TestStragglers(t *testing.T) {
	b := craft.New(craft.Options{})
	c := b.TCP(client, server)
	c.Open()
	c.Send(craft.Client, []byte("one"))
	c.Close(craft.Client)
	b.Wait(3 * time.Second)
	other := b.TCP(netip.MustParseAddrPort("10.1.0.9:9"), server)
	other.Open() // lets the time pass
	c.Segment(craft.Client, 0, craft.Flags{SYN: true}, nil)
	c.Segment(craft.Client, 0, craft.Flags{ACK: true}, []byte("one"))
	c.Segment(craft.Client, 0, craft.Flags{ACK: true}, []byte("one and more"))
	c.Segment(craft.Server, 0, craft.Flags{RST: true}, nil)
	again := b.TCP(client, server)
	again.ISN(77_000_000, 88_000_000)
	again.Open()
	l, sum := run(t, b, decode.Options{})
	want(t, l.only("start", "anomaly", "finish"), `
start 0 tcp 10.1.0.1:40000 > 10.1.0.2:80 guessed false
start 1 tcp 10.1.0.9:9 > 10.1.0.2:80 guessed false
anomaly data_after_fin packet 13
finish 0 closed 10.1.0.1:40000 > 10.1.0.2:80 raw 8/3 packets 3/0 bytes
start 2 tcp 10.1.0.1:40000 > 10.1.0.2:80 guessed false
finish 1 open 10.1.0.9:9 > 10.1.0.2:80 raw 2/1 packets 0/0 bytes
finish 2 open 10.1.0.1:40000 > 10.1.0.2:80 raw 2/1 packets 0/0 bytes`)
	if sum.Kinds[packet.TCP] != sum.Packets {
		t.Errorf("%d of %d packets are TCP", sum.Kinds[packet.TCP], sum.Packets)
	}
}

// TestForgedReset goes on, long after a RST that the victims never saw: what they
// say then is looked at as before.
func TestForgedReset(t *testing.T) {
	b := craft.New(craft.Options{})
	c := b.TCP(client, server)
	c.Open()
	c.Send(craft.Client, []byte("GET /a HTTP/1.1\r\n\r\n"))
	c.Send(craft.Server, []byte("HTTP/1.1 204 No Content\r\n\r\n"))
	c.Segment(craft.Server, 27, craft.Flags{RST: true}, nil)
	b.Wait(3 * time.Second)
	other := b.TCP(netip.MustParseAddrPort("10.1.0.9:9"), server)
	other.Open() // lets the time pass
	c.Send(craft.Client, []byte("GET /b HTTP/1.1\r\n\r\n"))
	c.Send(craft.Server, []byte("HTTP/1.1 204 No Content\r\n\r\n"))
	l, _ := run(t, b, decode.Options{})
	want(t, l.only("exchange", "finish 0"), `
exchange 0.0 complete [GET /a] [204 No Content]
exchange 0.1 complete [GET /b] [204 No Content]
finish 0 reset 10.1.0.1:40000 > 10.1.0.2:80 http 4/4 packets 38/54 bytes`)
}

// TestICMP ties errors to the conversation that they are about, and makes none
// of them.
func TestICMP(t *testing.T) {
	b, err := craft.Recipe(strings.NewReader(`
link raw
udp a 10.1.0.1:5000 > 10.1.0.2:53
a > dns 7 query a.example A
packet hex 45000038 00000000 40010000 0a010002 0a010001 0303 0000 00000000 45000020 00000000 40110000 0a010001 0a010002 1388 0035 0000 0000
packet hex 45000038 00000000 40010000 0a010002 0a010001 0303 0000 00000000 45000020 00000000 40110000 0a010001 0a010002 1388 0036 0000 0000
packet hex 4500001c 00000000 40010000 0a010002 0a010001 0800 0000 00000000
`))
	if err != nil {
		t.Fatal(err)
	}
	l, sum := run(t, b, decode.Options{})
	want(t, l.only("start", "anomaly", "exchange"), `
start 0 udp 10.1.0.1:5000 > 10.1.0.2:53 guessed false
anomaly icmp_error packet 2
exchange 0.0 unanswered [A a.example]`)
	if sum.Kinds[packet.Other] != 3 {
		t.Errorf("%d packets are other, want 3", sum.Kinds[packet.Other])
	}
}

// related writes down what belongs to which other conversation.
type related struct{ bytes.Buffer }

func (r *related) Exchange(e *proto.Exchange) error {
	if e.Data != nil {
		fmt.Fprintf(r, "%s of %d has its data in %d\n", e.Request.Body.Summary(), e.Conversation.ID, e.Data.ID)
	}
	return nil
}

func (r *related) Finish(c *flow.Conversation) error {
	if c.For != nil {
		fmt.Fprintf(r, "%d %s is for %d: %s\n", c.ID, c.Protocol, c.For.Parent.ID, c.For.Purpose)
	}
	return nil
}

// TestFTPData ties data connections to the commands that use them, whichever
// side opens them.
func TestFTPData(t *testing.T) {
	const recipe = `
tcp ctl 10.1.0.1:40000 > 10.1.0.2:21
ctl open
ctl < "220 ready\r\n"
ctl > "USER a\r\n"
ctl < "230 in\r\n"
ctl > "COMMAND\r\n"
ctl < "REPLY\r\n"
tcp data DATA
data open
ctl > "RETR f\r\n"
ctl < "150 here\r\n"
data SENDS "GET / HTTP/1.1\r\n\r\n"
data close
ctl < "226 done\r\n"
tcp stranger 10.1.0.1:40002 > 10.1.0.2:50000
stranger open
stranger > "hello"
ctl close`
	linked := "RETR f of 0 has its data in 1\n1 ftp-data is for 0: RETR f\n"
	tests := map[string][4]string{
		"pasv":           {"PASV", "227 Entering Passive Mode (10,1,0,2,195,80).", "10.1.0.1:40001 > 10.1.0.2:50000", linked},
		"pasv_bare":      {"PASV", "227 =10,1,0,2,195,80", "10.1.0.1:40001 > 10.1.0.2:50000", linked},
		"pasv_nat":       {"PASV", "227 Entering Passive Mode (192,168,7,7,195,80).", "10.1.0.1:40001 > 10.1.0.2:50000", linked},
		"epsv":           {"EPSV", "229 Entering Extended Passive Mode (|||50000|)", "10.1.0.1:40001 > 10.1.0.2:50000", linked},
		"port":           {"PORT 10,1,0,1,156,65", "200 ok", "10.1.0.2:20 > 10.1.0.1:40001", linked},
		"eprt":           {"EPRT |1|10.1.0.1|40001|", "200 ok", "10.1.0.2:20 > 10.1.0.1:40001", linked},
		"port_refused":   {"PORT 10,1,0,1,156,65", "500 no", "10.1.0.2:20 > 10.1.0.1:40001", ""},
		"another_port":   {"PASV", "227 Entering Passive Mode (10,1,0,2,195,81).", "10.1.0.1:40001 > 10.1.0.2:50000", ""},
		"pasv_malformed": {"PASV", "227 Entering Passive Mode (10,1,0,2,195,256).", "10.1.0.1:40001 > 10.1.0.2:50000", ""},
		"epsv_malformed": {"EPSV", "229 Entering Extended Passive Mode (", "10.1.0.1:40001 > 10.1.0.2:50000", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sends := "<"
			if strings.HasPrefix(test[2], "10.1.0.2") {
				sends = ">"
			}
			b, err := craft.Recipe(strings.NewReader(strings.NewReplacer("COMMAND", test[0], "REPLY", test[1], "DATA", test[2], "SENDS", sends).Replace(recipe)))
			if err != nil {
				t.Fatal(err)
			}
			var r related
			if _, err := decode.Run(b.Source(), &r, decode.Options{}); err != nil {
				t.Fatal(err)
			}
			if r.String() != test[3] {
				t.Errorf("got:\n%swant:\n%s", r.String(), test[3])
			}
		})
	}
}
