package main

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"netlab/capture"
	"netlab/pcaps/craft"
)

// What the connections of small are like.
const (
	smallLive       = 2000 // connections at a time
	smallRequestMSS = 64   // small packets are what costs a decoder most
	smallAnswerMSS  = 160
	smallAgain      = 200 // one data segment in so many comes twice
	smallOvertakes  = 12  // in one connection in so many, two segments change places
	smallWraps      = 100 // one connection in so many runs out of sequence numbers
)

// makeSmall writes many short TCP connections, an HTTP request each.
func makeSmall(dst capture.Sink, seed, connections int64) (Truth, error) {
	truth := Truth{Conversations: connections, Requests: connections, Responses: connections, Streams: &Streams{}}
	r := rand.New(rand.NewPCG(uint64(seed), 'S'))
	clock := ticking(r, 10)
	var live [][]capture.Packet
	for next := int64(0); next < connections || len(live) > 0; {
		for len(live) < smallLive && next < connections {
			packets, err := smallConnection(r, next, truth.Streams)
			if err != nil {
				return truth, err
			}
			live = append(live, packets)
			next++
		}
		i := r.IntN(len(live))
		for burst := 1 + r.IntN(3); burst > 0 && len(live[i]) > 0; burst-- {
			p := &live[i][0]
			p.Time = clock()
			if err := dst.WritePacket(p); err != nil {
				return truth, err
			}
			truth.Packets++
			live[i] = live[i][1:]
		}
		if len(live[i]) == 0 {
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
	}
	return truth, nil
}

// smallConnection makes connection n, and adds what it is made of to the sum.
func smallConnection(r *rand.Rand, n int64, sum *Streams) ([]capture.Packet, error) {
	b := craft.New(craft.Options{})
	// Addresses come again after 4096 clients with 60,000 ports each: later than
	// any size that is made.
	t := b.TCP(address(10, n%4096, 2000+n/4096), address(192, n%64, 80))
	client, server := r.Uint32(), r.Uint32()
	if r.IntN(smallWraps) == 0 {
		client, server = math.MaxUint32-r.Uint32N(100), math.MaxUint32-r.Uint32N(1000)
	}
	t.ISN(client, server)

	request := fmt.Appendf(nil, "GET /item/%d?q=%d HTTP/1.1\r\nHost: s%d.example.test\r\nUser-Agent: netlab-bench\r\nAccept: */*\r\n\r\n", n, r.IntN(1000), n%64)
	body := bytes.Repeat([]byte("the quick brown fox "), 65)[:700+r.IntN(600)]
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)

	t.Open()
	smallSend(r, t, craft.Client, request, smallRequestMSS, -1, sum)
	overtaken := -1
	if r.IntN(smallOvertakes) == 0 {
		overtaken = r.IntN(len(answer)/smallAnswerMSS - 1)
	}
	smallSend(r, t, craft.Server, answer, smallAnswerMSS, overtaken, sum)
	t.Close(craft.Server)
	return b.Packets()
}

// smallSend sends data, each segment with its acknowledgement, and segment number
// overtaken after the one that follows it.
func smallSend(r *rand.Rand, t *craft.Talk, from craft.Side, data []byte, mss, overtaken int, sum *Streams) {
	sum.Bytes += int64(len(data))
	segment := func(i int) {
		off := i * mss
		t.Segment(from, int64(off), craft.Flags{ACK: true, PSH: true}, data[off:min(off+mss, len(data))])
	}
	for i := 0; i*mss < len(data); i++ {
		if i == overtaken {
			segment(i + 1)
			segment(i)
			t.Ack(1 - from)
			sum.OutOfOrder++
			i++
			continue
		}
		segment(i)
		if r.IntN(smallAgain) == 0 && len(data)-i*mss > 1 { // one byte again is a keep-alive probe
			segment(i)
			sum.Retransmitted++
		}
		t.Ack(1 - from)
	}
}

// address is one of network net, by number.
func address(net byte, host, port int64) netip.AddrPort {
	host++ // none ends in 0 at first
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{net, 168, byte(host >> 8), byte(host)}), uint16(port))
}

// ticking is a clock that goes on by 1 to most microseconds each time, so that
// the same seed makes the same file on any day.
func ticking(r *rand.Rand, most int) func() time.Time {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Duration(1+r.IntN(most)) * time.Microsecond)
		return now
	}
}
