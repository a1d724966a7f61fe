package proto

import (
	"fmt"
	"strings"
	"testing"

	"netlab/decode/flow"
)

// TestEventStream feeds a stream in pieces of all sizes.
func TestEventStream(t *testing.T) {
	const stream = "\xef\xbb\xbfdata: a\r\n\r\ndata:b\r\revent: e\nid: 1\ndata: c\r\ndata\n\n: comment\n\nretry: 7\n\ndata: d\n\n"
	const want = `[message  a -1][message  b -1][e 1 c
 -1][message 1 d 7]`
	for size := 1; size <= len(stream); size++ {
		var s EventStream
		var got strings.Builder
		for rest := []byte(stream); len(rest) > 0; {
			n, e := s.Take(rest[:min(size, len(rest))])
			if n <= 0 {
				t.Fatalf("nothing was taken of %q", rest)
			}
			if e != nil {
				fmt.Fprintf(&got, "[%s %s %s %d]", e.Type, e.ID, e.Data, e.Retry)
			}
			rest = rest[n:]
		}
		if got.String() != want {
			t.Errorf("in pieces of %d: %s", size, got.String())
		}
		if !s.Between() || s.Cut() != nil {
			t.Errorf("in pieces of %d, something is left", size)
		}
	}
}

// TestEventStreamBounds has lines without end.
func TestEventStreamBounds(t *testing.T) {
	for name, line := range map[string]string{
		"data": "data: ", "event": "event: ", "id": "id: ", "retry": "retry: ", "unknown": "x: ", "comment": ":", "name": "", "bytes_of_a_mark": "\xef\xbb",
	} {
		t.Run(name, func(t *testing.T) {
			var s EventStream
			s.Take([]byte(line))
			for range 1000 {
				s.Take([]byte(strings.Repeat("1", 1000)))
			}
			if n := s.Held() + len(s.name); n > maxEventData+2*maxEventWord+10 {
				t.Errorf("%d bytes are held", n)
			}
			s.Take([]byte("\ndata: x"))
			for range maxEventData {
				s.Take([]byte("\ndata"))
			}
			_, e := s.Take([]byte("\n\n"))
			if e == nil || len(e.Data) > maxEventData || len(e.Type) > maxEventWord || len(e.ID) > maxEventWord {
				t.Errorf("the event is out of bounds")
			}
			lines := int64(maxEventData + 1)
			if name == "data" {
				lines += 1_000_001 // its bytes, and an end of line
			}
			if e != nil && e.DataBytes != lines {
				t.Errorf("%d bytes of data are counted, want %d", e.DataBytes, lines)
			}
		})
	}
}

// TestEventsAsTheyCome has events come out while the response goes on, with the time
// of their own packets, and no more held than there is of the event in progress.
func TestEventsAsTheyCome(t *testing.T) {
	out := new(collector)
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{})
	c, s := speaker{g: g, d: c2s}, speaker{g: g, d: s2c}
	c.say([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
	s.say([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"))
	empty := g.Held()
	for i := range 10 {
		s.say([]byte("data: x"))
		s.say([]byte("\n\n"))
		if len(out.exchanges) != i+1 {
			t.Fatalf("%d events after %d", len(out.exchanges), i+1)
		}
		e := out.exchanges[i]
		if e.Index != i+1 || e.Protocol != &SSE || e.State != Complete || e.Response.Packet != s.packet-1 || e.Response.LastPacket != s.packet {
			t.Errorf("event %d: %+v, packets %d to %d", i, e, e.Response.Packet, e.Response.LastPacket)
		}
		if g.Held() != empty {
			t.Errorf("%d bytes are held, and were %d", g.Held(), empty)
		}
	}
	s.say([]byte("data: " + strings.Repeat("x", 50_000)))
	if g.Held() < empty+50_000 {
		t.Errorf("%d bytes are said to be held with an event in progress", g.Held())
	}
	if finals, interims := g.Answers(); finals != 0 || interims != 0 {
		t.Errorf("events are taken for answers: %d and %d", finals, interims)
	}
	g.Close()
	if n := len(out.exchanges); n != 12 || out.exchanges[11].Protocol != &HTTP || out.exchanges[11].Index != 0 {
		t.Errorf("%d exchanges", n)
	}
}

// TestEventsWithSpare has memory of responses used again among events: those are
// never given back.
func TestEventsWithSpare(t *testing.T) {
	out := &nothing{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{Spare: new(Spare)})
	c, s := speaker{g: g, d: c2s}, speaker{g: g, d: s2c}
	for range 20 {
		c.say([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
		s.say([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 18\r\n\r\ndata: a\n\ndata: b\n\n"))
	}
	if out.exchanges != 60 {
		t.Errorf("%d exchanges", out.exchanges)
	}
}

func TestEventOutcome(t *testing.T) {
	for kind, want := range map[string]bool{"message": false, "tick": false, "error": true, "Error": true} {
		_, word, failed := (&ServerEvent{Type: kind}).Outcome()
		if failed != want || (word == kind) != want {
			t.Errorf("%s: %q, %t", kind, word, failed)
		}
	}
}
