package decode_test

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/packet"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/pcaps"
)

// benchBytes is how large the files are, about: more than any cache.
const benchBytes = 20 << 20

// record gathers packets, 1 µs apart, until there are enough.
type record struct {
	packets []capture.Packet
	bytes   int
}

func (r *record) add(data []byte) (more bool) {
	n := int64(len(r.packets))
	r.packets = append(r.packets, capture.Packet{
		Number: n + 1, Time: time.Unix(1_700_000_000, n*1000), Data: data, Length: len(data), Link: capture.LinkRaw,
	})
	r.bytes += len(data) + 16
	return r.bytes < benchBytes
}

const (
	benchRequest = "GET /items/123456?page=2 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n" +
		"Cookie: id=0123456789abcdef\r\nX-Request-ID: 0123456789abcd\r\n\r\n"
	benchHead = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\n" +
		"Content-Length: %d\r\nConnection: close\r\n\r\n"
)

// smallHTTP is a request and its answer on each connection, of which 2,000 are
// open at a time.
func smallHTTP(r *record) {
	const live, steps, body = 2000, 9, 500
	response := fmt.Sprintf(benchHead, body) + string(make([]byte, body))
	asked, answered := uint32(2+len(benchRequest)), uint32(2+len(response))
	for i := 0; ; i++ {
		// Each is a step behind the one before.
		slot, turn := i%live, i/live+i%live%steps
		conn := slot + turn/steps*live
		var p []byte
		switch turn % steps {
		case 0:
			p = segment(nil, conn, false, packet.SYN, 1, 0, "")
		case 1:
			p = segment(nil, conn, true, packet.SYN|packet.ACK, 1, 2, "")
		case 2:
			p = segment(nil, conn, false, packet.ACK, 2, 2, "")
		case 3:
			p = segment(nil, conn, false, packet.ACK|packet.PSH, 2, 2, benchRequest)
		case 4:
			p = segment(nil, conn, true, packet.ACK|packet.PSH, 2, asked, response)
		case 5:
			p = segment(nil, conn, false, packet.ACK, asked, answered, "")
		case 6:
			p = segment(nil, conn, true, packet.FIN|packet.ACK, answered, asked, "")
		case 7:
			p = segment(nil, conn, false, packet.FIN|packet.ACK, asked, answered+1, "")
		case 8:
			p = segment(nil, conn, true, packet.ACK, answered+1, asked+1, "")
		}
		if !r.add(p) {
			return
		}
	}
}

// largeHTTP is answers of a megabyte, of which 8 come at a time.
func largeHTTP(r *record) {
	const live, size, body = 8, 1400, 1 << 20
	response := fmt.Sprintf(benchHead, body) + string(make([]byte, body))
	asked := uint32(2 + len(benchRequest))
	for first := 0; ; first += live {
		for conn := first; conn < first+live; conn++ {
			r.add(segment(nil, conn, false, packet.SYN, 1, 0, ""))
			r.add(segment(nil, conn, true, packet.SYN|packet.ACK, 1, 2, ""))
			r.add(segment(nil, conn, false, packet.ACK|packet.PSH, 2, 2, benchRequest))
		}
		for at := 0; at < len(response); at += size {
			for conn := first; conn < first+live; conn++ {
				end := min(at+size, len(response))
				more := r.add(segment(nil, conn, true, packet.ACK, 2+uint32(at), asked, response[at:end]))
				if at/size%2 == 1 {
					more = r.add(segment(nil, conn, false, packet.ACK, asked, 2+uint32(end), ""))
				}
				if !more {
					return
				}
			}
		}
	}
}

// manyDNS is questions and answers, over 50,000 tuples in turn.
func manyDNS(r *record) {
	const tuples = 50_000
	for i := 0; ; i++ {
		q := query(uint16(i), names[i%len(names)])
		r.add(toDNS(datagram(nil, i%tuples, string(q)), false))
		if !r.add(toDNS(datagram(nil, i%tuples, string(answer(q, 1+i%3))), true)) {
			return
		}
	}
}

// toDNS makes a datagram one to port 53, or from there.
func toDNS(p []byte, back bool) []byte {
	p[22], p[23] = 0, 53
	if back {
		for i := range 4 {
			p[12+i], p[16+i] = p[16+i], p[12+i]
		}
		p[20], p[21], p[22], p[23] = p[22], p[23], p[20], p[21]
	}
	return p
}

// BenchmarkDecode reads a file and prints what is in it.
func BenchmarkDecode(b *testing.B) {
	for _, traffic := range []struct {
		name string
		make func(*record)
	}{{"http-small", smallHTTP}, {"http-large", largeHTTP}, {"dns", manyDNS}} {
		b.Run("traffic="+traffic.name, func(b *testing.B) {
			var r record
			traffic.make(&r)
			raw, packets := file(b, r.packets), len(r.packets)
			r = record{}
			for _, sink := range []struct {
				name string
				open func() decode.Sink
			}{
				{"json", func() decode.Sink { return printer.NewJSON(io.Discard) }},
				{"stats", func() decode.Sink { return printer.NewStats(io.Discard, printer.Style{}) }},
			} {
				for _, workers := range []int{1, 0} {
					name := "all"
					if workers > 0 {
						name = strconv.Itoa(workers)
					}
					b.Run("sink="+sink.name+"/workers="+name, func(b *testing.B) {
						b.SetBytes(int64(len(raw)))
						b.ReportAllocs()
						for b.Loop() {
							src, err := pcaps.NewReader(bytes.NewReader(raw))
							if err != nil {
								b.Fatal(err)
							}
							sum, err := decode.Run(src, sink.open(), decode.Options{Workers: workers})
							if err != nil {
								b.Fatal(err)
							}
							if sum.Packets != int64(packets) || sum.Undecoded() > 0 || sum.Exchanges[proto.Complete] == 0 {
								b.Fatalf("not what was made: %+v", sum)
							}
						}
						b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(packets), "ns/packet")
					})
				}
			}
		})
	}
}
