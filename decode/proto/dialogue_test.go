package proto

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
)

// says is a line of a transcript in which a side, with all that came before
// read, says something.
func says(d flow.Direction, data string) line { return line{d: d, data: []byte(data), ack: patient} }

// large checks that a transcript that is too long for a file gives the same in
// large pieces and in small ones, and returns what came out.
func large(t *testing.T, lines ...line) *recorder {
	t.Helper()
	tr := &transcript{transport: flow.TCP, lines: lines}
	r := tr.play(t, Options{Keep: keepAll}, whole)
	for _, longest := range []int{1460, 64 << 10} {
		if got := tr.play(t, Options{Keep: keepAll}, randomly(1, longest)); got.text.String() != r.text.String() {
			t.Errorf("cut into up to %d bytes (-whole +cut):\n%s", longest, cmp.Diff(r.text.String(), got.text.String()))
		}
	}
	return r
}

// states counts the exchanges by state.
func (r *recorder) states() map[State]int {
	n := make(map[State]int)
	for _, e := range r.exchanges {
		n[e.State]++
	}
	return n
}

func TestMaxWaiting(t *testing.T) {
	var requests, responses strings.Builder
	for i := range MaxWaiting + 2 {
		fmt.Fprintf(&requests, "GET /%d HTTP/1.1\r\n\r\n", i)
	}
	for i := range MaxWaiting {
		fmt.Fprintf(&responses, "HTTP/1.1 200 for %d\r\nContent-Length: 0\r\n\r\n", i+2)
	}
	r := large(t, says(c2s, requests.String()), says(s2c, responses.String()))
	if diff := cmp.Diff(map[string]int{flow.MessageLimit: 2}, r.anomalies); diff != "" {
		t.Errorf("anomalies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[State]int{Unanswered: 2, Complete: MaxWaiting}, r.states()); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	for _, e := range r.exchanges[2:] {
		target, reason := e.Request.Body.(*HTTPMessage).Target, e.Response.Body.(*HTTPMessage).Reason
		if reason != "for "+target[1:] {
			t.Fatalf("%s was paired with the response %s", target, reason)
		}
	}
}

func TestHeadBounds(t *testing.T) {
	const start, end = "GET /1 HTTP/1.1\r\nX: ", "\r\n\r\n"
	second := "GET /2 HTTP/1.1\r\n\r\n"
	for _, over := range []int{0, 1, 100_000} {
		t.Run(fmt.Sprint(over), func(t *testing.T) {
			head := start + strings.Repeat("x", maxHead+over-len(start)-len(end)) + end
			r := large(t, says(c2s, head+second))
			want := map[State]int{Unanswered: 2}
			anomalies := map[string]int(nil)
			if over > 0 {
				want, anomalies = map[State]int{Broken: 1, Unanswered: 1}, map[string]int{flow.MalformedMessage: 1}
			}
			if diff := cmp.Diff(want, r.states()); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(anomalies, r.anomalies); diff != "" {
				t.Errorf("anomalies (-want +got):\n%s", diff)
			}
			first, next := r.exchanges[0].Request, r.exchanges[1].Request
			if first.Length != min(int64(len(head)), maxHead) || next.Offset != int64(len(head)) {
				t.Errorf("the first request has %d bytes, the second begins at %d of %d", first.Length, next.Offset, len(head)+len(second))
			}
		})
	}
}

func TestManyFields(t *testing.T) {
	const n = 20_000
	r := large(t, says(c2s, "GET / HTTP/1.1\r\n"+strings.Repeat("Cookie: a=b\r\n", n)+"\r\n"))
	if got := len(r.exchanges[0].Request.Body.(*HTTPMessage).Fields); got != n {
		t.Errorf("%d fields, want %d", got, n)
	}
}

// TestMaxBuffered has a client speak on behind a CONNECT that is not answered.
func TestMaxBuffered(t *testing.T) {
	tr := &transcript{transport: flow.TCP, lines: []line{
		says(c2s, "CONNECT a:1 HTTP/1.1\r\n\r\n"),
		says(c2s, strings.Repeat("x", MaxBuffered)),
		says(c2s, "y"),
		says(c2s, "\nGET /2 HTTP/1.1\r\n\r\n"),
	}}
	for _, longest := range []int{1000, 1 << 30} {
		r := tr.play(t, Options{Keep: keepAll}, randomly(1, longest))
		if diff := cmp.Diff(map[string]int{flow.MessageLimit: 1}, r.anomalies); diff != "" {
			t.Errorf("anomalies (-want +got):\n%s", diff)
		}
		if len(r.exchanges) != 2 || r.exchanges[1].Request.Body.Summary() != "GET /2" {
			t.Errorf("the conversation did not go on:\n%s", &r.text)
		}
	}
}

// TestMaxEarly has a server answer over and over what is not said yet.
func TestMaxEarly(t *testing.T) {
	const n = maxEarly + 10
	r := large(t,
		says(c2s, "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n1"),
		says(s2c, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", n)),
		says(c2s, "2"),
		says(s2c, "HTTP/1.1 204 No Content\r\n\r\n"))
	last := r.exchanges[len(r.exchanges)-1]
	if len(last.Interim) != maxEarly || last.State != Complete {
		t.Errorf("the request is %s, with %d interim responses", last.State, len(last.Interim))
	}
	if got := r.states()[Broken]; got != n-maxEarly {
		t.Errorf("%d responses were let go, want %d", got, n-maxEarly)
	}
}

// silent takes what comes out of a Dialogue that is looked at from inside.
type silent struct{ exchanges []*Exchange }

func (s *silent) Exchange(e *Exchange) { s.exchanges = append(s.exchanges, e) }
func (s *silent) Anomaly(flow.Anomaly) {}

// TestOpening follows how long a protocol is looked for.
func TestOpening(t *testing.T) {
	say := func(g *Dialogue, d flow.Direction, s string) {
		g.Chunk(d, flow.Chunk{Data: []byte(s), Ack: flow.NoAck})
	}
	tests := map[string]struct {
		do   func(*Dialogue)
		want *Protocol
	}{
		"nothing_said":             {func(g *Dialogue) {}, nil},
		"a_request_that_goes_on":   {func(g *Dialogue) { say(g, c2s, "GET /aa") }, nil},
		"a_request":                {func(g *Dialogue) { say(g, c2s, "GET / HTTP/1.1\r\n") }, &HTTP},
		"a_byte_below_the_bound":   {func(g *Dialogue) { say(g, c2s, "GET /"+strings.Repeat("a", MaxOpening-6)) }, nil},
		"at_the_bound":             {func(g *Dialogue) { say(g, c2s, "GET /"+strings.Repeat("a", MaxOpening-5)) }, &Raw},
		"both_together":            {func(g *Dialogue) { say(g, c2s, "GET /a"); say(g, s2c, "HTTP/1.1 "+strings.Repeat("2", MaxOpening)) }, &Raw},
		"one_end_is_not_enough":    {func(g *Dialogue) { say(g, c2s, "hello"); g.End(c2s) }, nil},
		"both_ends":                {func(g *Dialogue) { say(g, c2s, "GET /"); g.End(c2s); g.End(s2c) }, &Raw},
		"both_ends_of_nothing":     {func(g *Dialogue) { g.End(c2s); g.End(s2c) }, &Raw},
		"closed":                   {func(g *Dialogue) { say(g, c2s, "GET /"); g.Close() }, &Raw},
		"only_gaps":                {func(g *Dialogue) { g.Gap(c2s, flow.Gap{Length: 1 << 40}); g.Gap(s2c, flow.Gap{Length: 1}) }, nil},
		"gaps_in_turn_do_not_pile": {func(g *Dialogue) { gaps(g, 1000); say(g, c2s, "G") }, nil},
		"the_server_ends_silently": {func(g *Dialogue) { say(g, c2s, "hello\n"); g.End(s2c) }, &Raw},
		"the_server_says_no":       {func(g *Dialogue) { say(g, c2s, "hello\n"); say(g, s2c, "hello, client") }, &Raw},
		"the_server_may_yet_say_it": {func(g *Dialogue) {
			say(g, c2s, "hello\n")
			say(g, s2c, "HTTP/1.")
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, &silent{}, Options{})
			tt.do(g)
			if g.Protocol() != tt.want {
				t.Errorf("the protocol is %+v, want %+v", g.Protocol(), tt.want)
			}
			if n := len(g.opening.events); n > 10 {
				t.Errorf("%d events are held", n)
			}
		})
	}
}

// gaps adds gaps to both directions in turn.
func gaps(g *Dialogue, n int) {
	for range n {
		g.Gap(c2s, flow.Gap{Length: 1})
		g.Gap(s2c, flow.Gap{Length: 1})
	}
}

func TestAnswers(t *testing.T) {
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, &silent{}, Options{Protocol: &HTTP})
	g.Chunk(c2s, flow.Chunk{Data: []byte("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")})
	for _, step := range []struct {
		says             string
		finals, interims int
	}{
		{"HTTP/1.1 100 Con", 0, 0},
		{"tinue\r\n\r\n", 0, 1},
		{"HTTP/1.1 103 Early Hints\r\n\r\n", 0, 2},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", 0, 2},
		{"1", 1, 0},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 2, 0},
	} {
		g.Chunk(s2c, flow.Chunk{Data: []byte(step.says), Ack: flow.NoAck})
		if finals, interims := g.Answers(); finals != step.finals || interims != step.interims {
			t.Errorf("after %q: %d answers and %d interim ones, want %d and %d", step.says, finals, interims, step.finals, step.interims)
		}
	}
}

// TestConversationProtocol keeps what a conversation began with, unless that was
// nothing known.
func TestConversationProtocol(t *testing.T) {
	conv := &flow.Conversation{Tuple: flow.Unknown(flow.TCP), Protocol: "raw"}
	g := NewDialogue(conv, &silent{}, Options{})
	if g.Conversation() != conv || g.Protocol() != nil {
		t.Fatalf("a new Dialogue speaks %v", g.Protocol())
	}
	g.Chunk(c2s, flow.Chunk{Data: []byte("CONNECT a:1 HTTP/1.1\r\n\r\n")})
	if g.Protocol() != &HTTP || conv.Protocol != "http" {
		t.Errorf("the conversation is %q", conv.Protocol)
	}
	g.Chunk(s2c, flow.Chunk{Data: []byte("HTTP/1.1 200 OK\r\n\r\n")})
	if g.Protocol() != nil || conv.Protocol != "http" {
		t.Errorf("in the tunnel, the protocol is %v and the conversation %q", g.Protocol(), conv.Protocol)
	}
}

// broken is a parser that takes what is not there.
type broken struct{}

func (broken) Next(_ flow.Direction, data []byte, _ bool) (int, *Message) { return len(data) + 1, nil }
func (broken) Gap(flow.Direction, []byte, int64) (int64, *Message)        { return 0, nil }

func TestParserTakesTooMuch(t *testing.T) {
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "BUG") {
			t.Errorf("panic %q does not say BUG", s)
		}
	}()
	p := &Protocol{Name: "broken", New: func(Waiting) Parser { return broken{} }}
	NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, &silent{}, Options{Protocol: p}).Chunk(c2s, flow.Chunk{Data: []byte("x")})
	t.Error("no panic")
}

// TestAlone pairs nothing.
func TestAlone(t *testing.T) {
	p := Raw
	p.Pairing = Alone
	s := &silent{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, s, Options{Protocol: &p})
	g.Chunk(c2s, flow.Chunk{Data: []byte("a")})
	g.Chunk(s2c, flow.Chunk{Data: []byte("b")})
	g.Close()
	if len(s.exchanges) != 2 || s.exchanges[0].State != Complete || s.exchanges[0].Response != nil || s.exchanges[1].State != Complete {
		t.Errorf("exchanges: %+v", s.exchanges)
	}
}

// TestRenew has one Dialogue for all transcripts, in any order, of which some
// break off: nothing of one shows in the next.
func TestRenew(t *testing.T) {
	all := transcripts(t, "*")
	names := slices.Sorted(maps.Keys(all))
	r := rand.New(rand.NewPCG(1, 2))
	g := new(Dialogue)
	for range 2000 {
		name := names[r.IntN(len(names))]
		tr := all[name]
		if tr.size() > 20<<10 {
			continue
		}
		opts, longest := Options{Keep: r.Int64N(2) * keepAll}, 1+r.IntN(200)
		want := tr.play(t, opts, randomly(1, longest)).text.String()
		got := tr.playIn(t, g, opts, randomly(1, longest)).text.String()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-new +renewed):\n%s", name, diff)
		}
		if r.IntN(2) == 0 {
			g.Renew(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, &silent{}, opts, 0)
			var offsets [2]int64
			for _, l := range tr.lines[:r.IntN(len(tr.lines)+1)] {
				data := l.data[:r.IntN(len(l.data)+1)]
				g.Chunk(l.d, flow.Chunk{Data: data, Offset: offsets[l.d], Ack: flow.NoAck})
				offsets[l.d] += int64(len(data))
			}
		}
	}
}

// TestDatagramsHaveEnded says that those who send datagrams send no more, which means
// nothing.
func TestDatagramsHaveEnded(t *testing.T) {
	s := &silent{}
	g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.UDP)}, s, Options{})
	g.Datagram(flow.ClientToServer, &flow.Chunk{Data: []byte(dnsQuery)}, 0)
	g.End(flow.ServerToClient)
	g.End(flow.ClientToServer)
	g.Datagram(flow.ServerToClient, &flow.Chunk{Data: []byte(dnsResponse), Packet: 2}, 0)
	g.Close()
	if finals, _ := g.Answers(); finals != 1 {
		t.Errorf("%d answers", finals)
	}
}

// TestEndOfReordered has the middle of a request come last: that is when it was whole.
// What the answer's packet says of the time is not touched.
func TestEndOfReordered(t *testing.T) {
	begin := time.Unix(1e9, 0)
	for name, pieces := range map[string][]string{
		"head": {"GET / HT", "TP/1.1\r\nHost: a", ".example\r\n\r\n"},
		"body": {"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n", "1234", "56"},
	} {
		s := &silent{}
		g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, s, Options{})
		var offset int64
		for i, p := range pieces {
			packet := [...]int64{1, 3, 2}[i]
			g.Chunk(c2s, flow.Chunk{Data: []byte(p), Offset: offset, Packet: packet, Time: begin.Add(time.Duration(packet) * time.Second), Ack: flow.NoAck})
			offset += int64(len(p))
		}
		g.Chunk(s2c, flow.Chunk{Data: []byte("HTTP/1.1 204 No Content\r\n\r\n"), Packet: 4, Time: begin.Add(4 * time.Second), Ack: flow.NoAck})
		g.Close()
		e := s.exchanges[0]
		if q := e.Request; q.Packet != 1 || q.LastPacket != 3 || !q.End.Equal(begin.Add(3*time.Second)) {
			t.Errorf("%s: from packet %d to %d, %v after %v", name, q.Packet, q.LastPacket, q.End, begin)
		}
		latency, _ := e.Latency()
		if total, _ := e.Total(); latency != time.Second || total != 3*time.Second {
			t.Errorf("%s: answered in %v of %v", name, latency, total)
		}
	}
}

// TestMessagesAreTheirOwn changes what a Dialogue was shown after it was shown.
func TestMessagesAreTheirOwn(t *testing.T) {
	for _, text := range []string{"GET /1 HTTP/1.1\r\nA: b\r\n\r\n", "hello\x00"} {
		s := &silent{}
		g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, s, Options{Keep: 100})
		data := []byte(text)
		g.Chunk(c2s, flow.Chunk{Data: data})
		clear(data)
		g.Close()
		m := s.exchanges[0].Request
		if !bytes.Equal(m.Raw, []byte(text)) || strings.Contains(m.Body.Summary(), "\x00\x00") {
			t.Errorf("of %q was kept %q, %s", text, m.Raw, m.Body.Summary())
		}
	}
}

func TestExchange(t *testing.T) {
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	request := &Message{Time: at(10), End: at(20), Complete: true}
	response := &Message{Time: at(50), End: at(70), Complete: true}
	interim := &Message{Time: at(30), End: at(30), Complete: true}
	early := &Message{Time: at(15), End: at(16), Complete: true}
	for name, tt := range map[string]struct {
		e              Exchange
		latency, total time.Duration
		both           bool
		messages       []*Message
		why            string
	}{
		"whole":       {Exchange{Request: request, Interim: []*Message{interim}, Response: response}, 30 * time.Millisecond, 60 * time.Millisecond, true, []*Message{request, interim, response}, ""},
		"early":       {Exchange{Request: request, Response: early}, 0, 6 * time.Millisecond, true, []*Message{request, early}, ""},
		"before":      {Exchange{Request: response, Response: early}, 0, 0, true, []*Message{response, early}, ""},
		"no_response": {Exchange{Request: request, State: Unanswered}, 0, 0, false, []*Message{request}, "no response in the recording"},
		"no_request":  {Exchange{Response: response, State: Broken}, 0, 0, false, []*Message{response}, "no request in the recording"},
		"bad_request": {Exchange{Request: &Message{Why: "a"}, Response: &Message{Why: "b"}, State: Broken}, 0, 0, true, nil, "request: a"},
		"bad_answer":  {Exchange{Request: request, Response: &Message{Time: at(50), End: at(70), Why: "b"}, State: Broken}, 30 * time.Millisecond, 60 * time.Millisecond, true, nil, "response: b"},
	} {
		t.Run(name, func(t *testing.T) {
			latency, ok1 := tt.e.Latency()
			total, ok2 := tt.e.Total()
			if latency != tt.latency || total != tt.total || ok1 != tt.both || ok2 != tt.both {
				t.Errorf("latency %s %t, total %s %t", latency, ok1, total, ok2)
			}
			if tt.messages != nil {
				if got := tt.e.Messages(); !slices.Equal(got, tt.messages) {
					t.Errorf("messages %v, want %v", got, tt.messages)
				}
			}
			if got := tt.e.Why(); got != tt.why {
				t.Errorf("why: %q, want %q", got, tt.why)
			}
		})
	}
	if got := fmt.Sprint(Complete, Unanswered, Broken); got != "complete unanswered broken" {
		t.Errorf("the states are %s", got)
	}
}

// TestGapWithoutTime has a gap at the end of a recording, behind which nothing tells
// when it was: what was in it is taken to be of when anything was last said.
func TestGapWithoutTime(t *testing.T) {
	for name, tt := range map[string]struct {
		before string // of the other side
		want   time.Time
	}{
		"nothing_said":         {"", timeOf(1)},
		"the_other_side_spoke": {"hello", timeOf(3)},
	} {
		t.Run(name, func(t *testing.T) {
			out := new(collector)
			conv := &flow.Conversation{Tuple: flow.Unknown(flow.TCP), Start: flow.At(timeOf(1))}
			g := NewDialogue(conv, out, Options{Protocol: &Raw})
			if tt.before != "" {
				g.Chunk(s2c, flow.Chunk{Data: []byte(tt.before), Packet: 3, Time: timeOf(3)})
			}
			g.Gap(c2s, flow.Gap{Length: 10})
			g.Close()
			found := 0
			for _, e := range out.exchanges {
				if m := e.Request; m != nil {
					found++
					if !m.Time.Equal(tt.want) {
						t.Errorf("what is missing is of %v, want %v", m.Time, tt.want)
					}
				}
			}
			if found != 1 {
				t.Errorf("%d messages of what is missing, want 1", found)
			}
		})
	}
}
