package proto

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"netlab/decode/flow"
)

// HTTP2 is HTTP/2 (RFC 9113): by prior knowledge, by an upgrade of HTTP/1, or inside
// of TLS. Its messages are those of HTTP, with the stream's number as ID. A
// connection whose beginning is missing is known by its frames; fields that refer to
// what was said before are marked (UnknownName).
//
// Frames are read by hand: x/net's Framer wants an io.Reader that blocks, and whole
// frames. Here the content of DATA passes through as it comes.
var HTTP2 = Protocol{
	Name:        "http2",
	Type:        "http",
	Probe:       probeHTTP2,
	New:         newHTTP2,
	Pairing:     ByID,
	Interleaves: true,
	Attributes: []Attribute{
		{Name: "http.stream", Kind: Number, About: "the number of the stream, in HTTP/2", Get: getHTTP2Stream},
		{Name: "http.scheme", About: "http or https, as HTTP/2 has it", Get: getHTTP2Scheme},
		{Name: "http.reset", About: "with which code a stream was reset, in HTTP/2", Get: getHTTP2Reset},
		{Name: "http.grpc.service", About: "the service that gRPC calls", Get: getGRPCService},
		{Name: "http.grpc.method", About: "the method that gRPC calls", Get: getGRPCMethod},
		{Name: "http.grpc.status", About: "how a call of gRPC went: OK, NOT_FOUND", Get: getGRPCStatus},
		{Name: "http.grpc.messages", Kind: Number, About: "how many messages a call of gRPC has, of both sides", Get: getGRPCMessages},
	},
}

// Bounds of a connection. A stream that is too many ends the oldest; so does a head
// for which there is no room.
const (
	maxHTTP2Streams = MaxWaiting
	// maxHTTP2Block bounds a header block as it was sent, and any frame that is
	// looked at whole.
	maxHTTP2Block = 256 << 10
	// maxHTTP2List bounds the fields of a block, as RFC 9113 counts them (section
	// 6.5.2): a few bytes may stand for many.
	maxHTTP2List = 256 << 10
	// maxHTTP2Heads bounds the heads of messages that are not whole yet, and
	// maxHTTP2Kept their bodies, as far as these are kept.
	maxHTTP2Heads = 16 << 20
	maxHTTP2Kept  = 64 << 20
	// maxHTTP2Resets bounds the streams that are remembered as reset: frames of
	// theirs may still be on their way.
	maxHTTP2Resets = 64
	// maxHTTP2GoAways bounds how often it is looked for streams that a GOAWAY has
	// ended.
	maxHTTP2GoAways = 16
)

// HTTP2Preface is what a client says first (RFC 9113, section 3.4).
const HTTP2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// The types of frames (RFC 9113, section 6).
const (
	HTTP2Data = iota
	HTTP2Headers
	HTTP2Priority
	HTTP2RstStream
	HTTP2Settings
	HTTP2PushPromise
	HTTP2Ping
	HTTP2GoAway
	HTTP2WindowUpdate
	HTTP2Continuation
)

var http2Names = [...]string{"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"}

// The flags of frames.
const (
	HTTP2Ack         = 0x1
	HTTP2EndStream   = 0x1
	HTTP2EndHeaders  = 0x4
	HTTP2Padded      = 0x8
	HTTP2Prioritised = 0x20
)

// Settings that matter here (RFC 9113, section 6.5.2), and the first of them's
// default.
const (
	http2TableSize    = 1
	http2MaxFrameSize = 5
	HTTP2FrameSize    = 16 << 10
	http2LargestFrame = 1<<24 - 1
)

const HTTP2HeaderLen = 9

// http2Frame is the header of a frame (RFC 9113, section 4.1).
type http2Frame struct {
	length     int
	typ, flags byte
	stream     uint32
}

// http2FrameOf reads a header, of which all bytes are there.
func http2FrameOf(b []byte) http2Frame {
	return http2Frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), typ: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

func (f *http2Frame) has(flag byte) bool { return f.flags&flag != 0 }

// carries reports whether the frame has a part of a header block.
func (f *http2Frame) carries() bool {
	return f.typ == HTTP2Headers || f.typ == HTTP2PushPromise || f.typ == HTTP2Continuation
}

// problem says what is wrong with a header.
func (f *http2Frame) problem() string {
	if int(f.typ) >= len(http2Names) {
		return "" // of an extension (section 5.5)
	}
	sized, placed := true, f.stream != 0
	switch f.typ {
	case HTTP2Priority:
		sized = f.length == 5
	case HTTP2RstStream:
		sized = f.length == 4
	case HTTP2Settings:
		sized, placed = f.length%6 == 0 && (f.length == 0 || !f.has(HTTP2Ack)), !placed
	case HTTP2Ping:
		sized, placed = f.length == 8, !placed
	case HTTP2GoAway:
		sized, placed = f.length >= 8, !placed
	case HTTP2WindowUpdate:
		sized, placed = f.length == 4, true
	}
	switch {
	case !sized:
		return fmt.Sprintf("a %s frame of %d bytes", http2Names[f.typ], f.length)
	case !placed:
		return fmt.Sprintf("a %s frame on stream %d", http2Names[f.typ], f.stream)
	}
	return ""
}

// http2Codes are the names of error codes (RFC 9113, section 7).
var http2Codes = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
	"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func http2Code(n uint32) string {
	if n < uint32(len(http2Codes)) {
		return http2Codes[n]
	}
	return fmt.Sprintf("0x%x", n)
}

// http2Who names the side that sends in a direction.
func http2Who(d flow.Direction) string { return [...]string{"the client", "the server"}[d] }

// http2Parser reads both directions of a connection.
type http2Parser struct {
	waiting        Waiting
	framer         Framer         // nil when nobody wants the frames
	now            flow.Direction // that is being read
	sides          [2]http2Side
	streams        map[uint32]*http2Stream
	oldest, newest *http2Stream
	highest        [2]uint32 // streams that each side has begun
	resets         []uint32  // streams that were reset, the latest last
	heads, kept    int       // what messages hold that are not handed on
}

// http2Side is one direction.
type http2Side struct {
	begun bool // its beginning was looked at
	holes bool // that was none, or something is missing since
	lost  bool // the place in the stream is lost: look for a frame
	over  bool // it has ended, and so have its messages
	// losses counts the times the place was lost: a message that was there lacks, or
	// may lack, a part.
	losses   int
	table    HPACKTable
	maxFrame int
	block    http2Block

	// Of the frame that passes through: what is left of its payload, how much of
	// that is padding, whose it is, and whether the message ends with it.
	left, pad int
	stream    uint32
	last      bool
	due       bool // it ended in a gap

	away    string // with which code the sender went away
	goAways int

	// Messages to be handed on, and how many bytes are done with then.
	out     []*Message
	advance int
}

// http2Block is a header block that comes in several frames.
type http2Block struct {
	there    bool
	frame    http2Frame // the first
	promised uint32     // stream, by PUSH_PROMISE
	first    Mark
	length   int64 // of the frames so far
	data     []byte
	large    bool // nothing of it is kept any more
}

func newHTTP2(w Waiting) Parser {
	p := &http2Parser{waiting: w, framer: framerOf(w), streams: make(map[uint32]*http2Stream)}
	for d := range p.sides {
		p.sides[d].table, p.sides[d].maxFrame = NewHPACKTable(), HTTP2FrameSize
	}
	if with := w.With(); with != "" {
		p.upgraded(with)
	}
	return p
}

// upgradeToHTTP2 is Message.With of the answer to a request of HTTP/1 that switches
// to HTTP/2, and answers the request there, on stream 1 (RFC 7540, section 3.2).
func upgradeToHTTP2(method, target, settings string) string {
	return method + " " + target + " " + settings
}

// upgraded begins stream 1, whose request is said.
func (p *http2Parser) upgraded(with string) {
	method, rest, _ := strings.Cut(with, " ")
	target, settings, _ := strings.Cut(rest, " ")
	st := p.open(1, flow.ClientToServer)
	st.request.state = http2Done
	st.method, st.answers = method, method+" "+target
	if b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(settings, "=")); err == nil && len(b) <= maxHTTP2Block {
		p.settings(flow.ClientToServer, b)
	}
}

// Held returns how much memory the parser has need of.
func (p *http2Parser) Held() int {
	n := p.heads + p.kept + len(p.streams)*http2StreamCost
	for d := range p.sides {
		s := &p.sides[d]
		n += s.table.size + len(s.block.data)
		for _, m := range s.out {
			n += cost(m)
		}
	}
	return n
}

// Next reads a frame, or goes on in one. What a frame brings is handed on before it
// is done with.
func (p *http2Parser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	if len(s.out) == 0 {
		p.now = d
		s.advance = p.read(d, data, end)
		for p.heads > maxHTTP2Heads && p.oldest != nil {
			p.giveUp(p.oldest, fmt.Sprintf("the heads of all open streams have more than %d bytes", maxHTTP2Heads))
		}
	}
	n := s.advance
	if len(s.out) == 0 {
		return n, nil
	}
	m := s.out[0]
	s.out[0] = nil
	if s.out = s.out[1:]; len(s.out) > 0 {
		return 0, m
	}
	s.out = nil
	return n, m
}

// emit has a message handed on.
func (p *http2Parser) emit(m *Message) {
	s := &p.sides[p.now]
	s.out = append(s.out, m)
}

// complain reports what is malformed at a place, and belongs to no message.
func (p *http2Parser) complain(d flow.Direction, at Mark, why string) {
	m := &Message{Direction: d, Kind: Skipped, Malformed: true, Why: why}
	m.Place(at, at, 0)
	p.emit(m)
}

// read returns how many bytes it is done with.
func (p *http2Parser) read(d flow.Direction, data []byte, end bool) int {
	s := &p.sides[d]
	if s.due {
		s.due = false
		p.endFrame(d)
		if len(s.out) > 0 {
			return 0
		}
	}
	if len(data) == 0 {
		if end && !s.over {
			s.over = true
			p.end(d)
		}
		return 0
	}
	s.over = false
	if !s.begun {
		n, known := p.begin(d, data, end)
		if n > 0 || !known {
			return n
		}
	}
	if s.lost {
		n, found := resyncHTTP2(d, data, end)
		if n > 0 || !found {
			return n
		}
		s.lost = false
	}
	if s.left > 0 {
		return p.payload(d, data)
	}
	if len(data) < HTTP2HeaderLen {
		return rest(data, end)
	}
	f := http2FrameOf(data)
	limit := s.maxFrame
	if s.holes {
		limit = http2LargestFrame // what was agreed upon may be missing
	}
	if f.length > limit {
		p.complain(d, p.waiting.At(d, 0), fmt.Sprintf("a frame of %d bytes, where %d are allowed", f.length, limit))
		p.lose(d)
		return 0
	}
	if s.block.there && (f.typ != HTTP2Continuation || f.stream != s.block.frame.stream) {
		p.complain(d, p.waiting.At(d, 0), fmt.Sprintf("a %s frame inside the header block of stream %d", http2Name(f.typ), s.block.frame.stream))
		s.block = http2Block{}
		s.table.forget()
	}
	why := f.problem()
	if f.length > maxHTTP2Block && f.carries() {
		why = "the header block is too large"
	}
	switch {
	case why != "": // where it ends is believed
		p.complain(d, p.waiting.At(d, 0), why)
		if f.carries() {
			s.block, s.holes = http2Block{}, true
			s.table.forget()
		}
		return p.pass(d, f)
	case f.typ == HTTP2Data:
		return p.data(d, f, data, end)
	case f.length > maxHTTP2Block, int(f.typ) >= len(http2Names):
		return p.pass(d, f)
	case len(data) < HTTP2HeaderLen+f.length:
		return rest(data, end)
	}
	p.control(d, f, data[HTTP2HeaderLen:HTTP2HeaderLen+f.length])
	return HTTP2HeaderLen + f.length
}

// pass has the payload of a frame pass through that is not looked at.
func (p *http2Parser) pass(d flow.Direction, f http2Frame) int {
	s := &p.sides[d]
	s.left, s.pad, s.stream, s.last = f.length, 0, 0, false
	p.frame(d, &f, HTTP2HeaderLen, 0, nil)
	return HTTP2HeaderLen
}

// rest is how much to take of what is not all there.
func rest(data []byte, end bool) int {
	if end {
		return len(data)
	}
	return 0
}

func http2Name(typ byte) string {
	if int(typ) < len(http2Names) {
		return http2Names[typ]
	}
	return fmt.Sprintf("0x%02x", typ)
}

// begin looks at the first bytes of a direction, and reports whether there are
// enough: the client's preface, or the server's settings (RFC 9113, section 3.4).
func (p *http2Parser) begin(d flow.Direction, data []byte, end bool) (int, bool) {
	s := &p.sides[d]
	if d == flow.ClientToServer {
		n := min(len(data), len(HTTP2Preface))
		switch same := string(data[:n]) == HTTP2Preface[:n]; {
		case same && n == len(HTTP2Preface):
			s.begun = true
			if p.framer != nil {
				p.framer.Preface(p.waiting.At(d, 0).Offset, n)
			}
			return n, true
		case same && !end:
			return 0, false
		}
	} else {
		if len(data) < HTTP2HeaderLen && !end {
			return 0, false
		}
		if len(data) >= HTTP2HeaderLen {
			if f := http2FrameOf(data); f.typ == HTTP2Settings && !f.has(HTTP2Ack) && f.length <= HTTP2FrameSize && f.problem() == "" {
				s.begun = true
				return 0, true
			}
		}
	}
	s.begun, s.holes = true, true
	s.table.forget()
	return 0, true
}

// data begins a frame of content.
func (p *http2Parser) data(d flow.Direction, f http2Frame, data []byte, end bool) int {
	s := &p.sides[d]
	n, left, pad, problem := HTTP2HeaderLen, f.length, 0, ""
	switch {
	case !f.has(HTTP2Padded):
	case left == 0:
		problem = "padding without its length"
	case len(data) < n+1:
		return rest(data, end)
	default:
		pad, left, n = int(data[n]), left-1, n+1
		if pad > left {
			pad, problem = left, "more padding than there is room for"
		}
	}
	s.left, s.pad, s.stream, s.last = left, pad, f.stream, f.has(HTTP2EndStream)
	p.frame(d, &f, n, pad, nil)
	if h := p.half(d, f.stream); h != nil {
		h.length += int64(n)
		h.last = p.waiting.At(d, n-1)
		h.blame(problem)
	}
	if left == 0 {
		p.endFrame(d)
	}
	return n
}

// payload goes on in a frame that passes through.
func (p *http2Parser) payload(d flow.Direction, data []byte) int {
	s := &p.sides[d]
	n := min(len(data), s.left)
	if p.framer != nil {
		p.framer.Framed(d, p.waiting.At(d, 0).Offset, data[:n])
	}
	if h := p.half(d, s.stream); h != nil {
		h.length += int64(n)
		h.last = p.waiting.At(d, n-1)
		if content := min(n, s.left-s.pad); content > 0 {
			p.content(h, data[:content])
		}
	}
	if s.left -= n; s.left == 0 {
		p.endFrame(d)
	}
	return n
}

// endFrame ends a frame that passed through.
func (p *http2Parser) endFrame(d flow.Direction) {
	s := &p.sides[d]
	if st := p.streams[s.stream]; st != nil && s.last {
		if h := st.half(d); h.state == http2Open {
			p.finish(st, d, "")
		}
	}
	s.last, s.stream = false, 0
}

// control looks at a frame that is all there.
func (p *http2Parser) control(d flow.Direction, f http2Frame, payload []byte) {
	s := &p.sides[d]
	size := HTTP2HeaderLen + f.length
	first, last := p.waiting.At(d, 0), p.waiting.At(d, size-1)
	p.frame(d, &f, HTTP2HeaderLen, 0, payload)
	switch f.typ {
	case HTTP2Settings:
		if !f.has(HTTP2Ack) {
			p.settings(d, payload)
		}
	case HTTP2RstStream:
		p.reset(d, f.stream, binary.BigEndian.Uint32(payload), first, last)
	case HTTP2GoAway:
		p.goAway(d, payload, first, last)
	case HTTP2Headers, HTTP2PushPromise:
		fragment, promised, ok := f.fragment(payload)
		if !ok {
			p.complain(d, first, fmt.Sprintf("a malformed %s frame", http2Names[f.typ]))
			s.table.forget()
			return
		}
		s.block = http2Block{there: true, frame: f, promised: promised, first: first, length: int64(size)}
		p.fragment(d, fragment, f.has(HTTP2EndHeaders), last)
	case HTTP2Continuation:
		if !s.block.there {
			if !s.holes {
				p.complain(d, first, "a CONTINUATION frame without a header block")
			}
			s.table.forget()
			return
		}
		s.block.length += int64(size)
		p.fragment(d, payload, f.has(HTTP2EndHeaders), last)
	}
}

// fragment takes off what is around the part of a header block in a frame: padding,
// priority, the number of the promised stream.
func (f *http2Frame) fragment(b []byte) (fragment []byte, promised uint32, ok bool) {
	pad := 0
	if f.has(HTTP2Padded) {
		if len(b) == 0 {
			return nil, 0, false
		}
		pad, b = int(b[0]), b[1:]
	}
	skip := 0
	if f.typ == HTTP2PushPromise {
		if skip = 4; len(b) >= skip {
			promised = binary.BigEndian.Uint32(b) &^ (1 << 31)
		}
	} else if f.has(HTTP2Prioritised) {
		skip = 5
	}
	if len(b) < skip+pad {
		return nil, 0, false
	}
	return b[skip : len(b)-pad], promised, true
}

// fragment adds a part of the header block, and looks at it when it is all there.
func (p *http2Parser) fragment(d flow.Direction, part []byte, end bool, last Mark) {
	s := &p.sides[d]
	b := &s.block
	switch {
	case b.large || len(b.data)+len(part) > maxHTTP2Block:
		b.large, b.data = true, nil
	case !end || len(b.data) > 0:
		b.data = append(b.data, part...)
		part = b.data
	}
	if !end {
		return
	}
	whole := *b
	s.block = http2Block{}
	c := http2Fields{coding: p.framer != nil}
	broken := whole.large
	if whole.large {
		s.table.forget()
		c.blame("the header block is too large")
		c.large = true
	} else if problem := s.table.decode(part, c.take); problem != "" {
		broken = true
		c.blame(problem)
	}
	if p.framer != nil {
		p.framer.Block(d, whole.first.Offset, c.coded, broken || c.large)
	}
	c.done()
	p.fields(d, &whole, &c, last)
}

// settings takes note of what the side that sends in d wants of the other.
func (p *http2Parser) settings(d flow.Direction, b []byte) {
	r := &p.sides[d.Reverse()]
	for ; len(b) >= 6; b = b[6:] {
		v := binary.BigEndian.Uint32(b[2:])
		switch binary.BigEndian.Uint16(b) {
		case http2TableSize:
			r.table.allow(v)
		case http2MaxFrameSize:
			r.maxFrame = max(r.maxFrame, int(min(v, http2LargestFrame)))
		}
	}
}

// Gap goes on behind missing bytes when they lie within a frame that passes through,
// else looks for another frame behind them. Messages go on, and are said to lack
// something.
func (p *http2Parser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	s := &p.sides[d]
	if s.left > 0 && len(data) == 0 && !s.lost {
		k := int(min(n, int64(s.left)))
		if h := p.half(d, s.stream); h != nil {
			h.length += int64(k)
			h.body.BodyBytes += int64(max(0, min(k, s.left-s.pad)))
			h.body.BodyMissing += int64(max(0, min(k, s.left-s.pad)))
			h.grpc.skip(int64(max(0, min(k, s.left-s.pad))))
		}
		if int64(s.left) >= n {
			s.left -= k
			s.due = s.left == 0
			s.holes = true
			return 0, nil
		}
	}
	p.lose(d)
	return 0, nil
}

// lose takes note that the place in a stream is lost.
func (p *http2Parser) lose(d flow.Direction) {
	s := &p.sides[d]
	s.begun, s.holes, s.lost, s.due = true, true, true, false
	s.losses++
	s.left, s.stream, s.last = 0, 0, false
	s.block = http2Block{}
	s.table.forget()
}
