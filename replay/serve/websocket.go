package serve

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
)

// frames are what a server said in WebSocket behind the answer that agreed to it.
type frames struct {
	steps    []frameStep
	deflated bool // permessage-deflate was agreed upon
	closes   bool // the server ended the connection behind them
}

// frameStep is a frame of the server, which is sent when so many frames of the client
// have come.
type frameStep struct {
	after  int
	answer *answer
	plain  []byte // the frame without compression; nil where that is not known
}

// learnFrames keeps the frames behind an answer. What the server had acknowledged of the
// client when it spoke is what it had read.
func (s *Server) learnFrames(r *recorded, a *answer, checks []plan.Check) {
	h := a.head
	f := &frames{deflated: strings.Contains(strings.ToLower(header(h, "Sec-WebSocket-Extensions")), "permessage-deflate")}
	a.frames = f
	var ends []int64 // of the client's frames
	for i := range checks {
		if q := checks[i].Exchange.Request; q != nil && checks[i].Exchange.Protocol == &proto.WebSocket {
			ends = append(ends, q.Offset+q.Length)
		}
	}
	read := 0
	for i := range checks {
		m := checks[i].Exchange.Response
		if m == nil || checks[i].Exchange.Protocol != &proto.WebSocket {
			continue
		}
		if !m.Complete || m.RawMissing > 0 {
			s.leave(r.conn, "the frame is not whole in the recording", 1)
			continue
		}
		for read < len(ends) && ends[read] <= m.Ack {
			read++
		}
		x := r.add(&answer{request: "(a frame of the server)", summary: m.Body.Summary(), bytes: m.Raw, at: m.Time})
		f.steps = append(f.steps, frameStep{read, x, plainFrame(m)})
	}
	f.closes = r.conn.Close.By == flow.ServerToClient && r.conn.Close.Kind != plan.CloseNone
}

func header(h *proto.HTTPMessage, name string) string {
	v, _ := h.Get(name)
	return v
}

// plainFrame is a server's frame without compression. Of a message in several frames,
// the last one has all.
func plainFrame(m *proto.Message) []byte {
	f := m.Body.(*proto.WebSocketFrame)
	if f.Opcode&8 != 0 {
		return m.Raw
	}
	if f.Message == nil {
		return []byte{}
	}
	content, err := proto.WebSocketContent(m)
	if err != nil {
		return nil
	}
	return appendFrame(nil, f.Message.Opcode, content)
}

// appendFrame appends a frame without a mask (RFC 6455, section 5.2).
func appendFrame(dst []byte, opcode uint8, content []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(content); {
	case n < 126:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = append(dst, 126, byte(n>>8), byte(n))
	default:
		dst = append(dst, 127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(dst, content...)
}

// webSocketAccept is what stands in Sec-WebSocket-Accept (RFC 6455, section 4.2.2).
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// agreement is the answer that agrees to WebSocket, for the key of who asks, and without
// a compression that he did not offer.
func agreement(raw []byte, request *proto.HTTPMessage, deflate bool) []byte {
	var out []byte
	for line := range bytes.Lines(raw) {
		name, _, ok := bytes.Cut(line, []byte(":"))
		switch lower := strings.ToLower(string(name)); {
		case ok && lower == "sec-websocket-accept":
			out = fmt.Appendf(out, "%s: %s\r\n", name, webSocketAccept(header(request, "Sec-WebSocket-Key")))
		case ok && lower == "sec-websocket-extensions" && !deflate:
		default:
			out = append(out, line...)
		}
	}
	return out
}

// offers reports whether a client's offers of permessage-deflate have one with which it
// understands what was agreed upon then (RFC 7692, section 7.1).
func offers(request *proto.HTTPMessage, agreed string) bool {
	if !request.Has("Sec-WebSocket-Extensions", "permessage-deflate") && !strings.Contains(strings.ToLower(header(request, "Sec-WebSocket-Extensions")), "permessage-deflate") {
		return false
	}
	// What a client is asked to keep to, it has to have offered.
	return !strings.Contains(agreed, "client_max_window_bits") || strings.Contains(header(request, "Sec-WebSocket-Extensions"), "client_max_window_bits")
}

// upgraded agrees to WebSocket, and says what the server said there: each frame when as
// many of the client's have come as had when it was said. Its other frames, and what
// they say, are the client's affair.
func (c *client) upgraded(k *asked, a *answer) {
	request := k.message.Body.(*proto.HTTPMessage)
	f := a.frames
	deflate := f.deflated && offers(request, header(a.head, "Sec-WebSocket-Extensions"))
	c.sendBytes(a, agreement(a.bytes, request, deflate))
	c.knows(&proto.HTTP, k.summary, a)
	w := &socket{client: c, frames: f, plain: f.deflated && !deflate}
	w.parser = proto.WebSocket.New(w)
	if deflate {
		w.with = header(a.head, "Sec-WebSocket-Extensions") + "\n"
		w.parser = proto.WebSocket.New(w)
	}
	w.talk()
}

// socket is a connection that speaks WebSocket.
type socket struct {
	*client
	*frames
	plain  bool // without the compression that was used then
	with   string
	parser proto.Parser
	heard  int // frames of the client
	said   int // steps
	closed bool
	last   string // what the client said last, in a line
}

// With is what was agreed upon.
func (w *socket) With() string { return w.with }

// Keep is how much of a message is kept: enough to show it.
func (w *socket) Keep() int64 { return 0 }

// talk says what there is to say and hears the client, to the end.
func (w *socket) talk() {
	w.last = "(the server speaks first)"
	w.between()
	for w.speak() {
		n, m := w.parser.Next(flow.ClientToServer, w.rest(), w.eof)
		w.take(n)
		switch {
		case m != nil && m.Kind != proto.Skipped:
			w.between()
			w.hear(m.Body.(*proto.WebSocketFrame))
		case n == 0 && m == nil && !w.more():
			return
		}
	}
	w.linger()
}

// hear takes a frame of the client.
func (w *socket) hear(f *proto.WebSocketFrame) {
	w.heard++
	w.last = f.Summary()
	if f.Opcode == 8 {
		w.closed = true
	}
}

// speak says what is to be said by now. It reports whether the connection goes on.
func (w *socket) speak() bool {
	for w.said < len(w.steps) && (w.steps[w.said].after <= w.heard || w.closed) {
		s := &w.steps[w.said]
		if w.closed && s.after > w.heard && w.said+1 < len(w.steps) {
			w.said++ // the client is done: all that is left to say is goodbye
			continue
		}
		data := s.answer.bytes
		if w.plain {
			data = s.plain
		}
		if data == nil {
			w.unknown(&proto.WebSocket, w.last, "nothing: it is not known without the compression that was used then", nil)
			return false
		}
		if w.sendBytes(s.answer, data) != nil {
			return false
		}
		w.said++
		w.book.give(&w.follower, s.answer)
		w.knows(&proto.WebSocket, w.last, s.answer)
	}
	if w.flush() != nil {
		return false
	}
	return !(w.said == len(w.steps) && (w.frames.closes && w.heard >= w.lastAfter() || w.closed))
}

// lastAfter is how many frames of the client the last step waits for.
func (w *socket) lastAfter() int {
	if len(w.steps) == 0 {
		return 0
	}
	return w.steps[len(w.steps)-1].after
}
