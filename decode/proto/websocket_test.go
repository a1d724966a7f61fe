package proto

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"netlab/decode/flow"
)

// upgraded is a Dialogue behind the upgrade to WebSocket, with what was agreed upon.
func upgraded(t testing.TB, extensions string, opts Options) (*collector, *Dialogue) {
	t.Helper()
	out := new(collector)
	opts.Protocol, opts.With = &WebSocket, extensions
	return out, NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, opts)
}

// collector keeps all that it gets.
type collector struct {
	exchanges []*Exchange
	anomalies []flow.Anomaly
}

func (c *collector) Exchange(e *Exchange)   { c.exchanges = append(c.exchanges, e) }
func (c *collector) Anomaly(a flow.Anomaly) { c.anomalies = append(c.anomalies, a) }

// frames are those of all exchanges.
func (c *collector) frames() (fs []*WebSocketFrame) {
	for _, e := range c.exchanges {
		fs = append(fs, e.Messages()[0].Body.(*WebSocketFrame))
	}
	return fs
}

// speaker writes frames into a Dialogue.
type speaker struct {
	g      *Dialogue
	d      flow.Direction
	offset int64
	packet int64
}

func (s *speaker) say(data []byte) {
	s.packet++
	s.g.Chunk(s.d, flow.Chunk{Data: data, Offset: s.offset, Time: timeOf(s.packet), Packet: s.packet, Ack: flow.NoAck})
	s.offset += int64(len(data))
}

// serverFrame is a frame as servers send it.
func serverFrame(first byte, payload []byte) []byte {
	b := []byte{first, byte(len(payload))}
	switch {
	case len(payload) >= 1<<16:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(len(payload)))
	case len(payload) >= 126:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	return append(b, payload...)
}

// deflater compresses messages with context takeover.
type deflater struct {
	buf bytes.Buffer
	w   *flate.Writer
}

func (x *deflater) deflate(t testing.TB, p []byte) []byte {
	t.Helper()
	if x.w == nil {
		x.w, _ = flate.NewWriter(&x.buf, 6)
	}
	x.buf.Reset()
	if _, err := x.w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := x.w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(bytes.TrimSuffix(x.buf.Bytes(), []byte("\x00\x00\xff\xff")))
}

// TestWebSocketContent has many compressed messages, each of which refers to those
// before it, come out as they went in.
func TestWebSocketContent(t *testing.T) {
	out, g := upgraded(t, "permessage-deflate\n", Options{Keep: keepAll})
	s := speaker{g: g, d: s2c}
	r := rand.New(rand.NewPCG(5, 6))
	var x deflater
	var want [][]byte
	for range 300 {
		p := make([]byte, r.IntN(40_000))
		for i := range p {
			p[i] = "abcdefgh"[r.IntN(8)]
			if i >= 30_000 && r.IntN(50) > 0 {
				p[i] = p[i-30_000]
			}
		}
		if len(want) > 0 && r.IntN(2) == 0 {
			p = append(p, want[len(want)-1]...)
			p = p[:min(len(p), 50_000)]
		}
		want = append(want, p)
		s.say(serverFrame(0xc2, x.deflate(t, p)))
		if n := len(g.sides[s2c].buf) + g.parser.(*webSocketParser).Held(); n > 3*maxWindow+maxDeflated {
			t.Fatalf("%d bytes are held", n)
		}
	}
	if len(out.exchanges) != len(want) || len(out.anomalies) > 0 {
		t.Fatalf("%d frames and %d anomalies", len(out.exchanges), len(out.anomalies))
	}
	for i, e := range out.exchanges {
		got, err := WebSocketContent(e.Response)
		if err != nil || !bytes.Equal(got, want[i]) {
			t.Fatalf("message %d: %d bytes, want %d; %v", i, len(got), len(want[i]), err)
		}
	}
}

// TestWebSocketBomb has messages that stand for far more than they are.
func TestWebSocketBomb(t *testing.T) {
	out, g := upgraded(t, "permessage-deflate\n", Options{Keep: keepAll})
	s := speaker{g: g, d: s2c}
	var x deflater
	bomb := x.deflate(t, make([]byte, 48<<20))
	if len(bomb) > 128<<10 {
		t.Fatalf("the bomb is %d bytes", len(bomb))
	}
	for range 4 {
		s.say(serverFrame(0xc2, bomb))
	}
	s.say(serverFrame(0x82, []byte("not compressed")))
	fs := out.frames()
	if len(fs) != 5 || len(out.anomalies) != 1 {
		t.Fatalf("%d frames and %d anomalies", len(fs), len(out.anomalies))
	}
	first := fs[0].Message
	if first.Bytes != 48<<20 || len(first.Content) != MaxWebSocketContent {
		t.Errorf("the first is %d bytes, of which %d are kept", first.Bytes, len(first.Content))
	}
	if _, err := WebSocketContent(out.exchanges[0].Response); err == nil {
		t.Error("nothing is said of what was not kept")
	}
	for _, f := range fs[1:4] {
		if f.Message.Bytes != -1 || !strings.Contains(f.Message.Problem, errInflated.Error()) {
			t.Errorf("one beyond the bound is %d bytes: %s", f.Message.Bytes, f.Message.Problem)
		}
	}
	if string(fs[4].Message.Content) != "not compressed" {
		t.Errorf("behind them: %q", fs[4].Message.Content)
	}
}

// TestWebSocketDeflatedBound has a compressed message that is larger than what waits
// for its end.
func TestWebSocketDeflatedBound(t *testing.T) {
	for name, with := range map[string]string{"takeover": "permessage-deflate\n", "no_takeover": "permessage-deflate; server_no_context_takeover\n"} {
		t.Run(name, func(t *testing.T) {
			out, g := upgraded(t, with, Options{})
			s := speaker{g: g, d: s2c}
			frame := serverFrame(0xc2, make([]byte, maxDeflated+1))
			for len(frame) > 0 {
				n := min(len(frame), 50_000)
				s.say(frame[:n])
				frame = frame[n:]
				if g.Held() > 3*maxDeflated {
					t.Fatalf("%d bytes are held", g.Held())
				}
			}
			s.say(serverFrame(0xc1, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00")))
			fs := out.frames()
			if len(fs) != 2 || fs[0].Message.Problem == "" || fs[0].Message.Bytes != -1 {
				t.Fatalf("%d frames, the first with: %q", len(fs), fs[0].Message.Problem)
			}
			if got, lost := string(fs[1].Message.Content), fs[1].Message.Problem != ""; lost != (name == "takeover") || !lost && got != "Hello" {
				t.Errorf("behind it: %q, %q", got, fs[1].Message.Problem)
			}
			if n := g.parser.(*webSocketParser).Held(); n > 0 {
				t.Errorf("%d bytes are still held", n)
			}
		})
	}
}

// TestWebSocketPass has a large payload pass by.
func TestWebSocketPass(t *testing.T) {
	out, g := upgraded(t, "", Options{})
	s := speaker{g: g, d: s2c}
	frame := serverFrame(0x82, make([]byte, 4<<20))
	s.say(frame[:1000])
	passed := 0
	for frame = frame[1000:]; len(frame) > 0; {
		n := min(len(frame), 1460)
		g.settle()
		if g.calm && g.parser.(passer).Pass(s2c, nil) {
			passed++
		}
		s.say(frame[:n])
		frame = frame[n:]
	}
	if passed < 2800 {
		t.Errorf("only %d chunks passed by", passed)
	}
	if fs := out.frames(); len(fs) != 1 || fs[0].Message.Bytes != 4<<20 || len(fs[0].Message.Content) != webSocketPreview {
		t.Errorf("%d frames: %+v", len(fs), fs[0])
	}
}

func TestParseDeflate(t *testing.T) {
	const none = -1
	for _, tt := range []struct {
		extensions       []string
		client, server   int // size of the window
		clientT, serverT bool
	}{
		{nil, none, none, false, false},
		{[]string{"x-webkit-deflate-frame"}, none, none, false, false},
		{[]string{"permessage-deflate"}, maxWindow, maxWindow, true, true},
		{[]string{"mux", " permessage-deflate ; server_no_context_takeover"}, maxWindow, maxWindow, true, false},
		{[]string{`permessage-deflate; client_max_window_bits="10"; server_max_window_bits=8`}, 1 << 10, 1 << 8, true, true},
		{[]string{"permessage-deflate; client_max_window_bits; server_max_window_bits=16; client_no_context_takeover"}, maxWindow, maxWindow, false, true},
	} {
		sides := parseDeflate(tt.extensions)
		for d, want := range [2]int{tt.client, tt.server} {
			size, takeover := none, false
			if x := sides[d]; x != nil {
				size, takeover = x.size, x.takeover
			}
			if size != want || takeover != [2]bool{tt.clientT, tt.serverT}[d] {
				t.Errorf("%q, %s: a window of %d, takeover %t", tt.extensions, flow.Direction(d), size, takeover)
			}
		}
	}
}

func TestWebSocketOutcome(t *testing.T) {
	for code, want := range map[int]bool{0: false, 1000: false, 1001: false, 1002: true, 1011: true, 4000: true} {
		got, _, failed := (&WebSocketFrame{Opcode: wsClose, Code: code}).Outcome()
		if got != code || failed != want {
			t.Errorf("%d: %d, %t", code, got, failed)
		}
	}
	if e := (&WebSocketFrame{Opcode: wsPing}).Endpoint(); e != "ping" {
		t.Errorf("endpoint %q", e)
	}
}

func TestBeginning(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"", 5, ""}, {"abc", 5, "abc"}, {"abcdef", 5, "abcde"}, {"aö", 2, "a"}, {"aö", 3, "aö"}, {"€", 1, ""}, {"€", 2, ""},
		{"€€", 5, "€"}, {"𝄞", 3, ""}, {"\xff\xff", 1, "\xff"}, {"a\x80\x80\x80\x80", 4, "a\x80\x80\x80"},
	} {
		if got := beginning(tt.text, tt.n); got != tt.want {
			t.Errorf("the first %d bytes of %q: %q, want %q", tt.n, tt.text, got, tt.want)
		}
	}
}

// TestWebSocketAttributes asks for the attributes of frames and events.
func TestWebSocketAttributes(t *testing.T) {
	out, g := upgraded(t, "", Options{})
	s := speaker{g: g, d: s2c}
	s.say(serverFrame(0x81, []byte("hello")))
	s.say(serverFrame(0x88, []byte("\x03\xe8bye")))
	event := &Exchange{Protocol: &SSE, Response: &Message{Body: &ServerEvent{Type: "tick", ID: "7", Data: "x", DataBytes: 1, Retry: 5}}}
	for _, tt := range []struct {
		e      *Exchange
		name   string
		text   string
		number int64
		none   bool
	}{
		{e: out.exchanges[0], name: "websocket.direction", text: "server_to_client"},
		{e: out.exchanges[0], name: "websocket.opcode", number: 1},
		{e: out.exchanges[0], name: "websocket.length", number: 5},
		{e: out.exchanges[0], name: "websocket.message_bytes", number: 5},
		{e: out.exchanges[0], name: "websocket.text", text: "hello"},
		{e: out.exchanges[0], name: "websocket.code", none: true},
		{e: out.exchanges[1], name: "websocket.text", none: true},
		{e: out.exchanges[1], name: "websocket.code", number: 1000},
		{e: out.exchanges[1], name: "websocket.reason", text: "bye"},
		{e: event, name: "sse.event", text: "tick"},
		{e: event, name: "sse.id", text: "7"},
		{e: event, name: "sse.data", text: "x"},
		{e: event, name: "sse.data_bytes", number: 1},
		{e: event, name: "sse.retry", number: 5},
	} {
		found := false
		for _, a := range tt.e.Protocol.Attributes {
			if a.Name != tt.name {
				continue
			}
			found = true
			values := a.Get(nil, tt.e)
			if tt.none != (len(values) == 0) || len(values) > 1 || len(values) == 1 && (values[0].Text != tt.text || values[0].Number != tt.number) {
				t.Errorf("%s: %v", tt.name, values)
			}
		}
		if !found {
			t.Errorf("there is no %s", tt.name)
		}
	}
}
