package proto

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
)

// poison overwrites an exchange that was handed on, but for what leads to its
// memory: with a Spare nobody may look at it any more.
func poison(e *Exchange) {
	*e = Exchange{Index: -1, State: 77, Request: e.Request, Response: e.Response, Interim: e.Interim, Protocol: &Raw, held: 1 << 20}
	for _, m := range e.Messages() {
		fill(m.Raw)
		fill(m.text)
		switch b := m.Body.(type) {
		case *HTTPMessage:
			fields := b.Fields[:cap(b.Fields)]
			for i := range fields {
				fields[i] = Field{"Content-Length", "poison"}
			}
			*b = HTTPMessage{Head: b.Head, Method: "poison", Version: "poison", Target: "poison", Reason: "poison", Status: 777, Fields: fields, BodyBytes: -1, Chunked: true}
		case *DNSMessage:
			fill(b.Wire)
		case *Turn:
			fill(b.Preview)
			*b = Turn{Bytes: -1, Missing: -1, Preview: b.Preview}
		}
		*m = Message{
			Direction: 7, Kind: 7, ID: 777, Alone: true, Malformed: true, Why: "poison", Next: "poison",
			Body: m.Body, Raw: m.Raw, text: m.text, Offset: -1, Length: -1, Ack: 1 << 40, RawMissing: -1,
		}
	}
}

func fill(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xee
	}
}

// TestSpare plays all transcripts with one Spare: at the time of the call, what
// is handed on is what it is without.
func TestSpare(t *testing.T) {
	all := transcripts(t, "*")
	names := slices.Sorted(maps.Keys(all))
	r := rand.New(rand.NewPCG(3, 4))
	spare := new(Spare)
	dialogues := [3]*Dialogue{new(Dialogue), new(Dialogue), new(Dialogue)}
	for range 3000 {
		name := names[r.IntN(len(names))]
		tr := all[name]
		if tr.size() > 20<<10 {
			continue
		}
		opts, seed, longest := Options{Keep: r.Int64N(2) * keepAll}, r.Uint64(), 1+r.IntN(200)
		want := tr.play(t, opts, randomly(seed, longest)).text.String()
		opts.Spare = spare
		got := tr.playIn(t, dialogues[r.IntN(len(dialogues))], opts, randomly(seed, longest)).text.String()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-own +spare):\n%s", name, diff)
		}
	}
	if len(spare.exchanges) == 0 || len(spare.shelves) < 2 {
		t.Errorf("spare are %d exchanges, and messages of %d protocols", len(spare.exchanges), len(spare.shelves))
	}
}

// TestSpareBounds has more come back than is kept.
func TestSpareBounds(t *testing.T) {
	s := new(Spare)
	k := s.shelf(&HTTP)
	for range maxSpare + 10 {
		s.put(&Exchange{Request: &Message{Body: &HTTPMessage{}}}, k)
	}
	if len(s.exchanges) != maxSpare || len(k.messages) != maxSpare {
		t.Errorf("kept are %d exchanges and %d messages", len(s.exchanges), len(k.messages))
	}
	k.messages = nil
	s.put(&Exchange{Response: &Message{Raw: make([]byte, maxSpareCost+1), Body: &HTTPMessage{}}}, k)
	if len(k.messages) != 0 {
		t.Error("a large message is kept")
	}
	if s.shelf(&TLS) != nil {
		t.Error("messages are kept that nobody uses again")
	}
}

// TestSpareAllocates holds a connection of HTTP, from its beginning to its end,
// and turns of raw to needing no memory that is new.
func TestSpareAllocates(t *testing.T) {
	for name, tt := range map[string]struct {
		request, response string
		protocol          *Protocol
	}{
		"http":    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: b\r\n\r\nhello", nil},
		"chunked": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil},
		"interim": {"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", nil},
		"raw":     {"\x00\x01\x02hello", "\x00\x01\x02world", &Raw}, // a few bytes do not tell
	} {
		for _, keep := range []int64{0, keepAll} {
			t.Run(fmt.Sprintf("%s keep %d", name, keep), func(t *testing.T) {
				out, opts := &nothing{}, Options{Keep: keep, Protocol: tt.protocol, Spare: new(Spare)}
				var conv flow.Conversation
				g, runs := new(Dialogue), 0
				list := pieces(tt.request, tt.response, [2]int{1 << 10, 10})
				n := testing.AllocsPerRun(100, func() {
					runs++
					conv = flow.Conversation{Tuple: flow.Unknown(flow.TCP), Protocol: "known"}
					g.Renew(&conv, out, opts, 0)
					var offsets [2]int64
					for i := range list {
						p := &list[i]
						g.Chunk(p.d, flow.Chunk{Data: p.data, Offset: offsets[p.d], Time: epoch, Packet: 1, Ack: offsets[p.d.Reverse()]})
						offsets[p.d] += int64(len(p.data))
					}
					g.Close()
				})
				if n > 0 || out.exchanges < runs {
					t.Errorf("%v allocations for each of %d exchanges in %d runs", n, out.exchanges, runs)
				}
			})
		}
	}
}

// poisoner poisons what it gets.
type poisoner struct{ next []string }

func (p *poisoner) Exchange(e *Exchange) {
	for _, m := range e.Messages() {
		p.next = append(p.next, m.Next)
	}
	poison(e)
}

func (p *poisoner) Anomaly(flow.Anomaly) {}

// TestSpareTunnel has the request for a tunnel handed on, and its memory used
// again, before its answer comes.
func TestSpareTunnel(t *testing.T) {
	out, opts := &poisoner{}, Options{Protocol: &HTTP, Spare: new(Spare)}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, opts)
	g.Chunk(c2s, flow.Chunk{Data: []byte("CONNECT a:1 HTTP/1.1\r\n\r\n")})
	g.Close()
	other := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, opts)
	other.Chunk(c2s, flow.Chunk{Data: []byte("GET / HTTP/1.1\r\n\r\n")})
	g.Chunk(s2c, flow.Chunk{Data: []byte("HTTP/1.1 200 OK\r\n\r\n")})
	if want := []string{"", Anything}; !slices.Equal(out.next, want) {
		t.Errorf("next are %q, want %q", out.next, want)
	}
}

// TestSpareKeep wants an exchange that was kept to stay as it was.
func TestSpareKeep(t *testing.T) {
	var kept, other *Exchange
	spare := new(Spare)
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, taker(func(e *Exchange) {
		switch {
		case kept == nil:
			kept = e
			e.Keep()
		case e == kept || e.Request == kept.Request || e.Response == kept.Response:
			t.Error("what was kept is used again")
		default:
			other = e
		}
	}), Options{Keep: 1 << 10, Protocol: &HTTP, Spare: spare})
	for i := range 4 {
		target := fmt.Sprintf("/%d", i)
		g.Chunk(flow.ClientToServer, flow.Chunk{Data: []byte("GET " + target + " HTTP/1.1\r\n\r\n"), Offset: int64(18 * i), Ack: flow.NoAck})
		g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + target[1:]), Offset: int64(39 * i), Ack: flow.NoAck})
	}
	if got := kept.Request.Body.(*HTTPMessage).Target + string(kept.Response.Raw[38:]); got != "/00" {
		t.Errorf("kept %q", got)
	}
	if other == nil || len(spare.exchanges) != 1 {
		t.Errorf("%d exchanges are there to be used again", len(spare.exchanges))
	}
}

// taker takes exchanges.
type taker func(*Exchange)

func (f taker) Exchange(e *Exchange) { f(e) }

func (taker) Anomaly(flow.Anomaly) {}
