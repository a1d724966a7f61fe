package proto

import (
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
	request := []byte("GET /api/v1/items?page=2&sort=name HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: application/json\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: id=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n")
	response := append([]byte("HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"+
		"Cache-Control: no-store\r\nETag: \"0123456789\"\r\nConnection: keep-alive\r\n\r\n"), make([]byte, 1024)...)
	out := &nothing{}
	g := NewDialogue(&flow.Conversation{Transport: flow.TCP}, out, Options{})
	var offsets [2]int64
	say := func(d flow.Direction, data []byte) {
		g.Chunk(d, flow.Chunk{Data: data, Offset: offsets[d], Time: epoch, Packet: 1, Ack: offsets[d.Reverse()]})
		offsets[d] += int64(len(data))
	}
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

// BenchmarkDNS is a query and its answer over UDP.
func BenchmarkDNS(b *testing.B) {
	query := []byte(dnsQuery)
	answer := []byte("\x00\x01\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01" +
		"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x0e\xc0\x27\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01")
	out := &nothing{}
	g := NewDialogue(&flow.Conversation{Transport: flow.UDP}, out, Options{})
	b.SetBytes(int64(len(query) + len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		g.Datagram(c2s, flow.Chunk{Data: query, Time: epoch, Packet: 1}, 0)
		g.Datagram(s2c, flow.Chunk{Data: answer, Time: epoch, Packet: 2}, 0)
	}
	if out.exchanges != b.N {
		b.Errorf("%d exchanges in %d runs", out.exchanges, b.N)
	}
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
