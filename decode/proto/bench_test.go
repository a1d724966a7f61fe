package proto

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"netlab/decode/flow"
)

// nothing takes all and keeps nothing.
type nothing struct{ exchanges int }

func (n *nothing) Exchange(*Exchange)   { n.exchanges++ }
func (n *nothing) Anomaly(flow.Anomaly) {}

// BenchmarkHTTP is a kept connection: a request and a response of usual size,
// each in one chunk.
func BenchmarkHTTP(b *testing.B) {
	out := &nothing{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{})
	var offsets [2]int64
	say := func(d flow.Direction, data []byte) {
		g.Chunk(d, flow.Chunk{Data: data, Offset: offsets[d], Time: epoch, Packet: 1, Ack: offsets[d.Reverse()]})
		offsets[d] += int64(len(data))
	}
	request, response := []byte(benchRequest), append([]byte(benchResponse), make([]byte, 1024)...)
	b.SetBytes(int64(len(request) + len(response)))
	b.ReportAllocs()
	for b.Loop() {
		say(c2s, request)
		say(s2c, response)
	}
	if out.exchanges != b.N {
		b.Errorf("%d exchanges in %d runs", out.exchanges, b.N)
	}
}

const (
	benchRequest = "GET /api/v1/items?page=2&sort=name HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: application/json\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: id=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n"
	benchResponse = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n" +
		"Cache-Control: no-store\r\nETag: \"0123456789\"\r\nConnection: keep-alive\r\n\r\n"
)

// BenchmarkHTTPHead is a head that is all there.
func BenchmarkHTTPHead(b *testing.B) {
	for name, tt := range map[string]struct {
		d    flow.Direction
		head string
	}{"request": {c2s, benchRequest}, "response": {s2c, strings.Replace(benchResponse, "1024", "0", 1)}} {
		b.Run(name, func(b *testing.B) {
			p := HTTP.New(NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, &nothing{}, Options{}))
			data := []byte(tt.head)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if n, m := p.Next(tt.d, data, false); n != len(data) || m == nil {
					b.Fatalf("the parser took %d bytes", n)
				}
			}
		})
	}
}

// piece is what one packet says.
type piece struct {
	d    flow.Direction
	data []byte
}

// pieces cuts a request and its response into packets.
func pieces(request, response string, size [2]int) []piece {
	var all []piece
	for d, s := range [2]string{request, response} {
		for data := []byte(s); len(data) > 0; {
			n := min(size[d], len(data))
			all = append(all, piece{flow.Direction(d), data[:n]})
			data = data[n:]
		}
	}
	return all
}

// BenchmarkDialogueHTTP is many short connections at a time, of a request and a
// response in small packets. An operation is one of them.
func BenchmarkDialogueHTTP(b *testing.B) {
	const live = 2000
	list := pieces("GET /items/123456 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nX-Request-ID: 0123456789abcd\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"+
			strings.Repeat("x", 1000), [2]int{64, 160})
	bytes := 0
	for _, p := range list {
		bytes += len(p.data)
	}
	run := func(b *testing.B, opts Options) {
		out := &nothing{}
		type talk struct {
			g       *Dialogue
			conv    flow.Conversation
			next    int
			offsets [2]int64
		}
		talks := make([]talk, live)
		order := rand.New(rand.NewPCG(1, 2)).Perm(live)
		for i := range talks {
			talks[i].g, talks[i].conv.Tuple = new(Dialogue), flow.Unknown(flow.TCP)
			talks[i].g.Renew(&talks[i].conv, out, opts, 0)
		}
		held := 0
		step := func(t *talk) {
			if t.next == len(list) {
				t.g.Close()
				t.conv, t.next, t.offsets = flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, 0, [2]int64{}
				t.g.Renew(&t.conv, out, opts, 0)
			}
			p := &list[t.next]
			t.next++
			t.g.Chunk(p.d, flow.Chunk{Data: p.data, Offset: t.offsets[p.d], Time: epoch, Packet: 1, Ack: t.offsets[p.d.Reverse()]})
			t.offsets[p.d] += int64(len(p.data))
			held += t.g.Held()
		}
		for i := range talks { // each is somewhere else
			for range i % (len(list) + 1) {
				step(&talks[i])
			}
		}
		before, i := out.exchanges, 0
		b.SetBytes(int64(bytes))
		b.ReportAllocs()
		for b.Loop() {
			for range list {
				step(&talks[order[i]])
				if i++; i == live {
					i = 0
				}
			}
		}
		if got := out.exchanges - before; got > b.N+live || got < b.N-live {
			b.Errorf("%d exchanges in %d runs", got, b.N)
		}
	}
	b.Run("own", func(b *testing.B) { run(b, Options{}) })
	b.Run("spare", func(b *testing.B) { run(b, Options{Spare: new(Spare)}) })
}

// BenchmarkDialogueBody is a packet in the middle of a body.
func BenchmarkDialogueBody(b *testing.B) {
	for name, head := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n",
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
		"close":  "HTTP/1.1 200 OK\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, &nothing{}, Options{})
			g.Chunk(s2c, flow.Chunk{Data: []byte(head), Time: epoch, Packet: 1})
			k := flow.Chunk{Data: make([]byte, 160), Offset: int64(len(head)), Time: epoch, Packet: 2}
			b.SetBytes(int64(len(k.Data)))
			b.ReportAllocs()
			for b.Loop() {
				g.Chunk(s2c, k)
				k.Offset += int64(len(k.Data))
			}
		})
	}
}

// BenchmarkDialogueHTTPLarge is a kept connection with large bodies, in large
// packets.
func BenchmarkDialogueHTTPLarge(b *testing.B) {
	const size = 1 << 20
	for name, response := range map[string]string{
		"length": strings.Replace(benchResponse, "1024", "1048576", 1) + strings.Repeat("x", size),
		"chunks": strings.Replace(benchResponse, "Content-Length: 1024", "Transfer-Encoding: chunked", 1) +
			strings.Repeat("2000\r\n"+strings.Repeat("x", 0x2000)+"\r\n", size/0x2000) + "0\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			list := pieces(benchRequest, response, [2]int{64 << 10, 64 << 10})
			out := &nothing{}
			g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{})
			var offsets [2]int64
			b.SetBytes(int64(len(benchRequest) + len(response)))
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range list {
					g.Chunk(p.d, flow.Chunk{Data: p.data, Offset: offsets[p.d], Time: epoch, Packet: 1, Ack: offsets[p.d.Reverse()]})
					offsets[p.d] += int64(len(p.data))
				}
			}
			if out.exchanges != b.N {
				b.Errorf("%d exchanges in %d runs", out.exchanges, b.N)
			}
		})
	}
}

const dnsAnswer = "\x00\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01" +
	"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x0e\xc0\x27\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"

// BenchmarkDNS is a query and its answer over UDP.
func BenchmarkDNS(b *testing.B) {
	query, answer := []byte(dnsQuery), []byte(dnsAnswer)
	out := &nothing{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.UDP)}, out, Options{})
	b.SetBytes(int64(len(query) + len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		g.Datagram(c2s, &flow.Chunk{Data: query, Time: epoch, Packet: 1}, 0)
		g.Datagram(s2c, &flow.Chunk{Data: answer, Time: epoch, Packet: 2}, 0)
	}
	if out.exchanges != b.N {
		b.Errorf("%d exchanges in %d runs", out.exchanges, b.N)
	}
}

// BenchmarkDialogueDNS is many conversations over UDP, of which each has its
// Dialogue only while it waits for an answer.
func BenchmarkDialogueDNS(b *testing.B) {
	query, answer := []byte(dnsQuery), []byte(dnsAnswer)
	run := func(b *testing.B, opts Options) {
		out := &nothing{}
		conv := &flow.Conversation{Tuple: flow.Unknown(flow.UDP)}
		g, held := new(Dialogue), 0
		b.SetBytes(int64(len(query) + len(answer)))
		b.ReportAllocs()
		for b.Loop() {
			g.Renew(conv, out, opts, out.exchanges)
			g.Datagram(c2s, &flow.Chunk{Data: query, Time: epoch, Packet: 1}, 0)
			held += g.Held()
			g.Datagram(s2c, &flow.Chunk{Data: answer, Time: epoch, Packet: 2}, 0)
			if !g.Idle() {
				b.Fatal("something waits")
			}
		}
		if out.exchanges != b.N {
			b.Errorf("%d exchanges in %d runs", out.exchanges, b.N)
		}
	}
	b.Run("found", func(b *testing.B) { run(b, Options{}) })
	b.Run("known", func(b *testing.B) { run(b, Options{Protocol: &DNS}) })
}

func BenchmarkAppendString(b *testing.B) {
	for _, bm := range []struct{ name, s string }{
		{"short", "GET"},
		{"plain", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"},
		{"long", strings.Repeat("plain text ", 400)},
		{"escapes", "<p class=\"note\">line\r\n\tof \"text\" </p>\x00"},
		{"utf8", "Grüße aus Köln, добрый день, 世界 🎉"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(len(bm.s)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendString(dst[:0], bm.s)
			}
		})
	}
}

// BenchmarkAppendTime is of packets that are 10 µs apart.
func BenchmarkAppendTime(b *testing.B) {
	var clock Clock
	for _, bm := range []struct {
		name   string
		append func([]byte, time.Time) []byte
	}{{"alone", AppendTime}, {"clock", clock.AppendTime}} {
		b.Run(bm.name, func(b *testing.B) {
			dst := bm.append(nil, epoch)
			t := epoch
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				dst = bm.append(dst[:0], t)
				t = t.Add(10 * time.Microsecond)
			}
		})
	}
}

func BenchmarkAppendMillis(b *testing.B) {
	const d = 12*time.Millisecond + 345678
	dst := AppendMillis(nil, d)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendMillis(dst[:0], d)
	}
}

// benchDNS are the usual messages.
var benchDNS = []struct{ name, wire string }{
	{"query", "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x04shop\x07example\x00\x00\x01\x00\x01"},
	{"response", "\x00\x01\x81\x80\x00\x01\x00\x03\x00\x00\x00\x00\x03www\x04shop\x07example\x00\x00\x01\x00\x01" +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01" +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x02" +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x03"},
	{"txt", "\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x04shop\x07example\x00\x00\x10\x00\x01" +
		"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x22\x21v=spf1 ip4:192.0.2.0/24 mx a -all"},
}

func BenchmarkDNSJSON(b *testing.B) {
	for _, bm := range benchDNS {
		b.Run(bm.name, func(b *testing.B) {
			m := &DNSMessage{Wire: []byte(bm.wire)}
			var dst []byte
			b.SetBytes(int64(len(bm.wire)))
			b.ReportAllocs()
			for b.Loop() {
				dst = m.AppendJSON(dst[:0])
			}
		})
	}
}

func BenchmarkDNSNext(b *testing.B) {
	for _, bm := range benchDNS {
		b.Run(bm.name, func(b *testing.B) {
			p, wire := &dnsParser{}, []byte(bm.wire)
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				if _, m := p.Next(s2c, wire, true); !m.Complete {
					b.Fatal(m.Why)
				}
			}
		})
	}
}
