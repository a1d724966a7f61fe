package proto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"netlab/decode/flow"
)

// WebSocket is RFC 6455, with compression as RFC 7692 has it. It begins behind the
// upgrade of an HTTP connection and never elsewhere: two bytes of a head could be
// anybody's. Each frame is an exchange of its own; the last one of a message tells
// what the message came to.
var WebSocket = Protocol{
	Name:    "websocket",
	Probe:   func(Opening) Verdict { return NoMatch },
	New:     func(w Waiting) Parser { return newWebSocket(w) },
	Pairing: Alone,
	Unasked: true,
	Split:   true,
	Attributes: []Attribute{
		{Name: "websocket.direction", About: "who sent the frame", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			return AppendText(values, f.Direction.String())
		})},
		{Name: "websocket.opcode", Kind: Number, About: "what the frame is", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			return AppendNumber(values, int64(f.Opcode))
		})},
		{Name: "websocket.length", Kind: Size, About: "payload of the frame", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			return AppendNumber(values, f.Length)
		})},
		{Name: "websocket.message_bytes", Kind: Size, About: "the message that ends with the frame, uncompressed", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			if f.Message == nil || f.Message.Bytes < 0 {
				return values
			}
			return AppendNumber(values, f.Message.Bytes)
		})},
		{Name: "websocket.text", About: "beginning of the text message that ends with the frame", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			if f.Message == nil || f.Message.Opcode != wsText {
				return values
			}
			return AppendText(values, f.Message.preview())
		})},
		{Name: "websocket.code", Kind: Number, About: "why it was closed", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			if f.Code == 0 {
				return values
			}
			return AppendNumber(values, int64(f.Code))
		})},
		{Name: "websocket.reason", About: "why it was closed, in words", Get: webSocketAttribute(func(values []Value, f *WebSocketFrame) []Value {
			if f.Code == 0 {
				return values
			}
			return AppendText(values, f.Reason)
		})},
	},
}

// webSocketAttribute is Attribute.Get of what get has of a frame.
func webSocketAttribute(get func([]Value, *WebSocketFrame) []Value) func([]Value, *Exchange) []Value {
	return func(values []Value, e *Exchange) []Value {
		for _, m := range [2]*Message{e.Request, e.Response} {
			if f, ok := bodyOf[*WebSocketFrame](m); ok {
				values = get(values, f)
			}
		}
		return values
	}
}

// Bounds of what is kept of frames and messages.
const (
	// maxControl bounds the payload of a control frame (section 5.5).
	maxControl = 125
	// webSocketPreview is how much of a message is always kept, to show what it is.
	webSocketPreview = 256
	// MaxWebSocketContent bounds what is kept of a message at most, however much
	// Waiting.Keep asks for.
	MaxWebSocketContent = 4 << 20
	// maxDeflated bounds a compressed message: it is kept until it is whole.
	maxDeflated = 1 << 20
)

// Opcodes of RFC 6455, section 5.2. The control frames have bit 3.
const (
	wsContinuation = 0
	wsText         = 1
	wsBinary       = 2
	wsClose        = 8
	wsPing         = 9
	wsPong         = 10
)

// wsCompressed is RSV1 (RFC 7692, section 6).
const wsCompressed = 4

// WebSocketFrame is a frame, and the message that ends with it.
type WebSocketFrame struct {
	Direction flow.Direction
	Opcode    uint8
	// Final says that it ends its message.
	Final bool
	// Reserved are the bits RSV1, which has the value 4, RSV2 and RSV3.
	Reserved uint8
	Masked   bool
	// Length is that of the payload on the wire, as the head has it; Missing is how
	// much of it was never seen.
	Length, Missing int64
	// Code and Reason are what a close frame gives, or 0.
	Code   int
	Reason string
	// Message is what ends with this frame; a control frame is one by itself. It is
	// nil while others follow.
	Message *WebSocketMessage
}

// WebSocketMessage is what one or more frames carry.
type WebSocketMessage struct {
	// Opcode is that of the first frame; 0 when that was not seen.
	Opcode     uint8
	Fragments  int
	Compressed bool
	// Bytes counts them without masks and compression; -1 when that is not known.
	Bytes int64
	// Content is the beginning of them: all, when it is as long as Bytes, and no
	// Problem.
	Content []byte
	// Problem says why the content is not known, or not all of it.
	Problem string
}

// IsPart reports whether others follow that end its message.
func (f *WebSocketFrame) IsPart() bool { return !f.Final && f.Opcode&8 == 0 }

// IsPing and IsPong tell the frames by which each side finds out whether the other is there.
func (f *WebSocketFrame) IsPing() bool { return f.Opcode == wsPing }
func (f *WebSocketFrame) IsPong() bool { return f.Opcode == wsPong }

// Type is what kind of message it is: text, binary, or what its control frame is called.
func (m *WebSocketMessage) Type() string { return opcodeName(m.Opcode) }

// WebSocketContent returns what was kept of the message that ends with a frame, and
// why that is not all of it. It is nil for frames that others follow.
func WebSocketContent(m *Message) ([]byte, error) {
	f, ok := m.Body.(*WebSocketFrame)
	switch {
	case !ok || f.Message == nil:
		return nil, nil
	case f.Message.Problem != "":
		return f.Message.Content, errors.New(f.Message.Problem)
	case f.Message.Bytes > int64(len(f.Message.Content)):
		return f.Message.Content, fmt.Errorf("%d bytes of the message were not kept", f.Message.Bytes-int64(len(f.Message.Content)))
	}
	return f.Message.Content, nil
}

// Held returns how much memory the frame has need of.
func (f *WebSocketFrame) Held() int {
	n := len(f.Reason)
	if f.Message != nil {
		n += len(f.Message.Content)
	}
	return n
}

// opcodeName is what an opcode is called.
func opcodeName(opcode uint8) string {
	switch opcode {
	case wsContinuation:
		return "continuation"
	case wsText:
		return "text"
	case wsBinary:
		return "binary"
	case wsClose:
		return "close"
	case wsPing:
		return "ping"
	case wsPong:
		return "pong"
	}
	return "opcode " + strconv.Itoa(int(opcode))
}

// preview is the beginning of the message.
func (m *WebSocketMessage) preview() string {
	if m.Opcode == wsText {
		return string(beginning(m.Content, webSocketPreview))
	}
	return string(m.Content[:min(len(m.Content), webSocketPreview)])
}

// beginning is the first n bytes of a text, without half a character at their end.
func beginning[S string | []byte](s S, n int) S {
	if len(s) <= n {
		n = len(s)
	}
	s = s[:n]
	for i := 1; i < utf8.UTFMax && i <= n; i++ {
		if c := s[n-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(string(s[n-i:])) {
				return s[:n-i]
			}
			break
		}
	}
	return s
}

// Summary is what the frame is, with the beginning of the message that it ends.
func (f *WebSocketFrame) Summary() string {
	unit := " bytes"
	if f.Length == 1 {
		unit = " byte"
	}
	s := opcodeName(f.Opcode) + ", " + strconv.FormatInt(f.Length, 10) + unit
	m := f.Message
	switch {
	case f.Opcode == wsClose && f.Code != 0:
		s = "close " + strconv.Itoa(f.Code)
		if f.Reason != "" {
			s += " " + f.Reason
		}
		return s
	case m == nil && f.Opcode&8 == 0:
		return s + ", more follows"
	case m == nil:
		return s
	}
	if m.Fragments > 1 {
		s += fmt.Sprintf(", the last of %d", m.Fragments)
	}
	if (m.Fragments > 1 || m.Compressed) && m.Bytes >= 0 {
		s += fmt.Sprintf(", in all %d", m.Bytes)
	}
	if len(m.Content) > 0 {
		t := Turn{Bytes: m.Bytes, Preview: m.Content[:min(previewLen, len(m.Content))]}
		if m.Opcode == wsText {
			t.Preview = beginning(m.Content, previewLen)
		}
		s += " " + t.preview()
	}
	return s
}

// AppendJSON appends what the head says and, of the last frame, the message.
func (f *WebSocketFrame) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"direction":`...)
	dst = AppendString(dst, f.Direction.String())
	dst = append(dst, `,"opcode":`...)
	dst = strconv.AppendInt(dst, int64(f.Opcode), 10)
	dst = append(dst, `,"length":`...)
	dst = strconv.AppendInt(dst, f.Length, 10)
	if f.Missing > 0 {
		dst = append(dst, `,"missing":`...)
		dst = strconv.AppendInt(dst, f.Missing, 10)
	}
	dst = append(dst, `,"final":`...)
	dst = strconv.AppendBool(dst, f.Final)
	if f.Reserved != 0 {
		dst = append(dst, `,"reserved":`...)
		dst = strconv.AppendInt(dst, int64(f.Reserved), 10)
	}
	dst = append(dst, `,"masked":`...)
	dst = strconv.AppendBool(dst, f.Masked)
	if f.Code != 0 {
		dst = append(dst, `,"code":`...)
		dst = strconv.AppendInt(dst, int64(f.Code), 10)
		dst = append(dst, `,"reason":`...)
		dst = AppendString(dst, f.Reason)
	}
	m := f.Message
	if m == nil {
		return dst
	}
	if m.Opcode&8 == 0 {
		dst = append(dst, `,"fragments":`...)
		dst = strconv.AppendInt(dst, int64(m.Fragments), 10)
		if m.Bytes >= 0 {
			dst = append(dst, `,"message_bytes":`...)
			dst = strconv.AppendInt(dst, m.Bytes, 10)
		}
		dst = append(dst, `,"compressed":`...)
		dst = strconv.AppendBool(dst, m.Compressed)
	}
	if preview := m.preview(); f.Code == 0 && len(m.Content) > 0 {
		name := `,"preview":`
		if m.Opcode == wsText && int64(len(preview)) == m.Bytes {
			name = `,"text":`
		}
		dst = append(dst, name...)
		dst = AppendString(dst, preview)
	}
	if m.Problem != "" {
		dst = append(dst, `,"content_error":`...)
		dst = AppendString(dst, m.Problem)
	}
	return dst
}

// Endpoint is what kind of frame it is.
func (f *WebSocketFrame) Endpoint() string { return opcodeName(f.Opcode) }

// Outcome is the code of a close frame. It is a failure unless somebody was done
// or went away (RFC 6455, section 7.4.1).
func (f *WebSocketFrame) Outcome() (code int, word string, failed bool) {
	return f.Code, "", f.Code != 0 && f.Code != 1000 && f.Code != 1001
}

// webSocketParser reads both directions.
type webSocketParser struct {
	keep  int // of each message
	sides [2]webSocketSide
}

// webSocketSide is one direction.
type webSocketSide struct {
	frame   *WebSocketFrame // whose payload is being read; nil between frames
	problem string          // what is malformed in it
	left    int64           // of its payload
	mask    [4]byte
	at      int    // of the mask, for the next byte
	control []byte // payload of a control frame

	message  *WebSocketMessage // that goes on over frames; nil between messages
	deflated []byte            // of message, while it is compressed
	deflate  *deflateSide      // nil when compression was not agreed upon
	closed   bool              // a close frame was seen
	lost     bool              // the place in the stream is lost, for good
	said     bool              // and that was said
}

func newWebSocket(w Waiting) *webSocketParser {
	p := &webSocketParser{keep: int(max(webSocketPreview, min(w.Keep(), MaxWebSocketContent)))}
	for d, x := range parseDeflate(webSocketExtensions(w.With())) {
		if x != nil {
			p.sides[d].deflate = x
		}
	}
	return p
}

// Held returns how much is kept of messages in progress, and for those to come.
func (p *webSocketParser) Held() int {
	n := 0
	for i := range p.sides {
		s := &p.sides[i]
		n += len(s.control) + len(s.deflated)
		if s.message != nil {
			n += len(s.message.Content)
		}
		if s.deflate != nil {
			n += len(s.deflate.window)
		}
	}
	return n
}

// webSocketHead returns how long the head is that data begins with, or how much is
// needed to tell: 14 bytes at most (RFC 6455, section 5.2).
func webSocketHead(data []byte) int {
	if len(data) < 2 {
		return 2
	}
	n := 2
	switch data[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if data[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (p *webSocketParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	switch {
	case s.frame != nil:
		return p.payload(d, data, end)
	case len(data) == 0:
		return 0, nil
	case s.lost && !s.said:
		s.said = true
		return len(data), &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "frames cannot be found again behind a gap: what follows is not decoded"}
	case s.lost:
		return len(data), &Message{Direction: d, Kind: Skipped}
	}
	n := webSocketHead(data)
	switch {
	case len(data) >= n:
		return p.head(d, data[:n])
	case end:
		return len(data), &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "the connection ended inside the head of a frame"}
	}
	return 0, nil
}

// head reads the head of a frame (RFC 6455, section 5.2).
func (p *webSocketParser) head(d flow.Direction, head []byte) (int, *Message) {
	s := &p.sides[d]
	f := &WebSocketFrame{
		Direction: d, Opcode: head[0] & 0xf, Final: head[0]&0x80 != 0, Reserved: head[0] >> 4 & 7,
		Masked: head[1]&0x80 != 0, Length: int64(head[1] & 0x7f),
	}
	rest, long := head[2:], false
	switch f.Length {
	case 126:
		f.Length = int64(binary.BigEndian.Uint16(rest))
		rest, long = rest[2:], f.Length < 126
	case 127:
		v := binary.BigEndian.Uint64(rest)
		if v>>63 != 0 {
			s.lost, s.said = true, true
			return len(head), &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "the length of a frame has its highest bit set: what follows is not decoded"}
		}
		f.Length = int64(v)
		rest, long = rest[8:], f.Length < 1<<16
	}
	s.frame, s.left, s.at, s.mask = f, f.Length, 0, [4]byte{}
	copy(s.mask[:], rest) // of zeroes, when there is none
	s.problem = s.wrong(f)
	if s.problem == "" && long {
		s.problem = "the length of a frame is written longer than it has to be"
	}
	s.begin(f)
	if s.left > 0 {
		return len(head), nil
	}
	return len(head), p.done(d, "")
}

// wrong says which rule a head breaks.
func (s *webSocketSide) wrong(f *WebSocketFrame) string {
	control := f.Opcode&8 != 0
	switch {
	case s.closed:
		return "a frame behind the close frame"
	case f.Opcode&7 > 2:
		return fmt.Sprintf("opcode %d is reserved", f.Opcode)
	case f.Reserved&^wsCompressed != 0, f.Reserved != 0 && (s.deflate == nil || control || f.Opcode == wsContinuation):
		return fmt.Sprintf("reserved bits are set (%03b), which nothing that was agreed upon uses here", f.Reserved)
	case f.Direction == flow.ClientToServer && !f.Masked:
		return "a frame of a client that is not masked"
	case f.Direction == flow.ServerToClient && f.Masked:
		return "a frame of a server that is masked"
	case control && !f.Final:
		return "a control frame in fragments"
	case control && f.Length > maxControl:
		return fmt.Sprintf("a control frame of %d bytes", f.Length)
	case !control && f.Opcode != wsContinuation && s.message != nil:
		return "another message begins inside of one"
	case !control && f.Opcode == wsContinuation && s.message == nil:
		return "a continuation of nothing"
	}
	return ""
}

// begin finds what the payload of a frame belongs to.
func (s *webSocketSide) begin(f *WebSocketFrame) {
	if f.Opcode&8 != 0 {
		s.control = s.control[:0]
		return
	}
	if f.Opcode != wsContinuation || s.message == nil {
		s.message = &WebSocketMessage{Opcode: f.Opcode, Compressed: s.deflate != nil && f.Reserved&wsCompressed != 0}
		s.deflated = s.deflated[:0]
	}
	s.message.Fragments++
}

// payload reads on in the payload of a frame.
func (p *webSocketParser) payload(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	n := int(min(s.left, int64(len(data))))
	s.take(data[:n], p.keep)
	switch {
	case s.left == 0:
		return n, p.done(d, "")
	case end && n == 0:
		return 0, p.done(d, fmt.Sprintf("the connection ended inside the frame, %d bytes before its end", s.left))
	}
	return n, nil
}

// take takes payload.
func (s *webSocketSide) take(data []byte, keep int) {
	s.left -= int64(len(data))
	m := s.message
	switch {
	case s.frame.Opcode&8 != 0:
		if s.frame.Missing == 0 {
			s.control = s.unmasked(s.control, data, maxControl)
		}
	case !m.Compressed:
		if m.Bytes += int64(len(data)); m.Problem == "" {
			m.Content = s.unmasked(m.Content, data, keep)
		}
	case m.Problem != "":
	case len(s.deflated)+len(data) > maxDeflated:
		m.Problem = fmt.Sprintf("it is larger than %d bytes compressed", maxDeflated)
		s.deflated = nil
	default:
		s.deflated = s.unmasked(s.deflated, data, maxDeflated)
	}
	s.at = (s.at + len(data)) & 3
}

// unmasked appends data without the mask, up to limit bytes in all (RFC 6455,
// section 5.3).
func (s *webSocketSide) unmasked(dst, data []byte, limit int) []byte {
	data = data[:max(0, min(len(data), limit-len(dst)))]
	from := len(dst)
	dst = append(dst, data...)
	if s.frame.Masked {
		for i := range data {
			dst[from+i] ^= s.mask[(s.at+i)&3]
		}
	}
	return dst
}

// Pass takes what is within a payload of which nothing more is kept.
func (p *webSocketParser) Pass(d flow.Direction, data []byte) bool {
	s := &p.sides[d]
	if s.frame == nil || int64(len(data)) >= s.left || s.frame.Opcode&8 != 0 ||
		s.message.Problem == "" && (s.message.Compressed || len(s.message.Content) < p.keep) {
		return false
	}
	s.take(data, p.keep)
	return true
}

// done ends a frame, and the message when it is the last.
func (p *webSocketParser) done(d flow.Direction, why string) *Message {
	s := &p.sides[d]
	f := s.frame
	m := &Message{Direction: d, Body: f, Complete: why == "" && f.Missing == 0, Malformed: s.problem != "", Why: why}
	if d == flow.ServerToClient {
		m.Kind = Response
	}
	if why == "" && f.Missing > 0 {
		m.Why = fmt.Sprintf("%d bytes of the frame were not captured", f.Missing)
	}
	switch {
	case f.Opcode&8 != 0:
		f.Message = &WebSocketMessage{Opcode: f.Opcode, Fragments: 1, Bytes: f.Length, Content: append([]byte(nil), s.control...)}
		if f.Missing > 0 || s.left > 0 {
			f.Message.Problem = m.Why
		}
		s.close(f, m)
	case f.Final || why != "":
		f.Message = s.message
		if s.message.Problem == "" && !m.Complete {
			s.message.Problem = m.Why
		}
		s.whole(p.keep, m)
		s.message = nil
	case f.Missing > 0 && s.message.Problem == "":
		s.message.Problem = m.Why
	}
	if m.Malformed = m.Malformed || s.problem != ""; m.Malformed && m.Why == "" {
		m.Why = s.problem
	}
	s.frame, s.problem = nil, ""
	return m
}

// close reads a close frame (RFC 6455, section 5.5.1).
func (s *webSocketSide) close(f *WebSocketFrame, m *Message) {
	if f.Opcode != wsClose {
		return
	}
	s.closed = true
	switch b := f.Message.Content; {
	case !m.Complete || len(b) == 0:
		return
	case len(b) == 1:
		s.blame("a close frame of one byte")
	default:
		f.Code, f.Reason = int(binary.BigEndian.Uint16(b)), string(b[2:])
		// Section 7.4: 1004, 1005, 1006 and 1015 are never sent, nor is what is not
		// defined below 3000.
		if c := f.Code; c < 1000 || c >= 5000 || c == 1004 || c == 1005 || c == 1006 || 1014 < c && c < 3000 {
			s.blame(fmt.Sprintf("a close frame with the code %d", c))
		} else if !utf8.ValidString(f.Reason) {
			s.blame("the reason for closing is not UTF-8")
		}
	}
}

// blame says what is malformed in the frame, when nothing else is.
func (s *webSocketSide) blame(why string) {
	if s.problem == "" {
		s.problem = why
	}
}

// whole takes the compression off a message that has ended.
func (s *webSocketSide) whole(keep int, m *Message) {
	w := s.message
	if !w.Compressed {
		return
	}
	w.Bytes = -1
	deflated := s.deflated
	if s.deflated = deflated[:0]; cap(deflated) > maxIdle {
		s.deflated = nil
	}
	if w.Problem != "" {
		s.deflate.lose(w.Problem)
		return
	}
	var malformed bool
	w.Content, w.Bytes, w.Problem, malformed = s.deflate.inflate(deflated, keep)
	if malformed {
		s.blame("a message that is not what its compression says: " + w.Problem)
	}
}

// Gap goes on behind missing bytes when they lie within a payload. Elsewhere the
// frames cannot be found again: nothing in one tells it from other bytes.
func (p *webSocketParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	s := &p.sides[d]
	if s.frame == nil {
		s.lost = true
		return 0, nil
	}
	took := min(n, s.left)
	s.frame.Missing += took
	s.left -= took
	s.at = int((int64(s.at) + took) & 3)
	if s.frame.Opcode&8 == 0 {
		s.missing(took)
	}
	switch {
	case n > took:
		s.lost = true
		return took, p.done(d, "a gap in the recording")
	case s.left == 0:
		return took, p.done(d, "")
	}
	return took, nil
}

// missing notes that n bytes of a message were not captured.
func (s *webSocketSide) missing(n int64) {
	m := s.message
	if m.Problem == "" {
		m.Problem = "part of the message was not captured"
	}
	if !m.Compressed {
		m.Bytes += n
	}
}
