package proto

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// http2Stream is a stream that is not over yet. Streams are in a list, in the order in
// which they began.
type http2Stream struct {
	id                uint32
	request, response http2Half
	method            string     // that was asked
	service, call     string     // of gRPC
	answers           string     // the request of HTTP/1 that was said before
	held              []*Message // of the response, while the request is not all there
	prev, next        *http2Stream
}

// http2StreamCost is the size of a stream, about.
const http2StreamCost = 640

// half returns what is said in a direction.
func (st *http2Stream) half(d flow.Direction) *http2Half {
	if d == flow.ClientToServer {
		return &st.request
	}
	return &st.response
}

// http2State is how far one side of a stream has come.
type http2State uint8

const (
	http2None http2State = iota
	http2Open
	http2Done
)

// http2Half is a message on its way.
type http2Half struct {
	state       http2State
	msg         *Message
	body        *HTTPMessage
	first, last Mark
	length      int64 // of its frames
	losses      int   // of its side, when it began
	declared    int64 // Content-Length; -1 when there is none
	unknown     int   // fields that are not known
	problem     string
	heads, kept int // what it holds
	grpc        *grpcReader
	digest      *digest // of the content, when more of it came than is kept
}

// blame notes what is malformed; the first counts.
func (h *http2Half) blame(problem string) {
	if h.problem == "" {
		h.problem = problem
	}
}

// half returns the message that is on its way in a direction of a stream, or nil.
func (p *http2Parser) half(d flow.Direction, id uint32) *http2Half {
	st := p.streams[id]
	if st == nil {
		return nil
	}
	if h := st.half(d); h.state == http2Open {
		return h
	}
	return nil
}

// open begins a stream.
func (p *http2Parser) open(id uint32, by flow.Direction) *http2Stream {
	if len(p.streams) >= maxHTTP2Streams {
		p.giveUp(p.oldest, fmt.Sprintf("more than %d streams are open", maxHTTP2Streams))
	}
	st := &http2Stream{id: id, prev: p.newest}
	if p.newest == nil {
		p.oldest = st
	} else {
		p.newest.next = st
	}
	p.newest = st
	p.streams[id] = st
	p.highest[by] = max(p.highest[by], id)
	return st
}

// remove forgets a stream.
func (p *http2Parser) remove(st *http2Stream) {
	if p.streams[st.id] != st {
		return
	}
	delete(p.streams, st.id)
	if st.prev == nil {
		p.oldest = st.next
	} else {
		st.prev.next = st.next
	}
	if st.next == nil {
		p.newest = st.prev
	} else {
		st.next.prev = st.prev
	}
	st.prev, st.next = nil, nil
}

// giveUp ends a stream for which there is no room.
func (p *http2Parser) giveUp(st *http2Stream, why string) {
	for d := range p.sides {
		if h := st.half(flow.Direction(d)); h.state == http2Open {
			h.blame(why)
			h.msg.Alone = true // nor is there room to wait for an answer
		}
	}
	p.cut(st, why)
}

// cut ends a stream where it is.
func (p *http2Parser) cut(st *http2Stream, why string) {
	for d := range p.sides {
		if st.half(flow.Direction(d)).state == http2Open {
			p.finish(st, flow.Direction(d), why)
		}
	}
	p.release(st)
	p.remove(st)
}

// http2Fields gathers the fields of a block.
type http2Fields struct {
	fields  []Field
	pseudo  [6]string
	there   [6]bool
	size    int
	unknown int
	large   bool
	problem string
	cookies []string
	cookie  int // where the first of them is
	coding  bool
	coded   []HPACKField // if that is wanted
}

// The pseudo-fields (RFC 9113, section 8.3; RFC 8441, section 4).
const (
	pseudoMethod = iota
	pseudoPath
	pseudoScheme
	pseudoAuthority
	pseudoProtocol
	pseudoStatus
)

var pseudoNames = [...]string{":method", ":path", ":scheme", ":authority", ":protocol", ":status"}

// any reports whether there is any pseudo-field.
func (c *http2Fields) any() bool { return c.there != [6]bool{} }

func (c *http2Fields) blame(problem string) {
	if c.problem == "" {
		c.problem = problem
	}
}

// take takes what is said in one place of a block.
func (c *http2Fields) take(f HPACKField) {
	if f.Form != HPACKResize {
		c.add(f.Field)
	}
	if c.coding && !c.large {
		const usual = 16
		if c.coded == nil {
			c.coded = make([]HPACKField, 0, usual)
		}
		c.coded = append(c.coded, f)
	}
}

// add takes a field.
func (c *http2Fields) add(f Field) {
	if c.large {
		return
	}
	if c.size += fieldSize(f); c.size > maxHTTP2List {
		c.blame(fmt.Sprintf("the fields have more than %d bytes", maxHTTP2List))
		c.large = true
		return
	}
	switch {
	case f.Name == UnknownName:
		c.unknown++
	case strings.HasPrefix(f.Name, ":"):
		c.addPseudo(f)
		return
	case f.Name == "":
		c.blame("a field without a name")
	case f.Name == "cookie":
		// A list of cookies may come in pieces (RFC 9113, section 8.2.3).
		if len(c.cookies) > 0 {
			c.cookies = append(c.cookies, f.Value)
			return
		}
		c.cookie = len(c.fields)
		c.cookies = append(c.cookies, f.Value)
	case f.Name == "connection", f.Name == "transfer-encoding":
		c.blame("the field " + f.Name + " has no place in HTTP/2") // section 8.2.2
	case strings.ContainsFunc(f.Name, func(r rune) bool { return 'A' <= r && r <= 'Z' }):
		c.blame("a name in capital letters")
	}
	c.fields = append(c.fields, f)
}

func (c *http2Fields) addPseudo(f Field) {
	for i, name := range pseudoNames {
		if f.Name != name {
			continue
		}
		switch {
		case c.there[i]:
			c.blame("two fields " + name)
		case len(c.fields) > 0 && c.unknown == 0:
			c.blame("the field " + name + " is behind others")
		}
		if !c.there[i] {
			c.pseudo[i], c.there[i] = f.Value, true
		}
		return
	}
	c.blame("an unknown pseudo-field")
	c.fields = append(c.fields, f)
}

// done puts the cookies together.
func (c *http2Fields) done() {
	if len(c.cookies) > 1 {
		c.fields[c.cookie].Value = strings.Join(c.cookies, "; ")
	}
}

// fields makes of a header block the beginning of a message, an interim response, or
// a trailer.
func (p *http2Parser) fields(d flow.Direction, b *http2Block, c *http2Fields, last Mark) {
	s := &p.sides[d]
	id, role := b.frame.stream, d
	if b.frame.typ == HTTP2PushPromise {
		id, role = b.promised, flow.ClientToServer // it is the request (section 8.4)
		if d == flow.ClientToServer || id == 0 || id&1 != 0 {
			p.complain(d, b.first, fmt.Sprintf("%s promises stream %d", http2Who(d), id))
			return
		}
	}
	st := p.streams[id]
	if st == nil {
		switch {
		case p.wasReset(id):
			return // it was on its way
		case !c.any() && b.frame.has(HTTP2EndStream) && (s.holes || id <= max(p.highest[0], p.highest[1])):
			return // a trailer whose message was never seen
		}
		by := role
		if id&1 == 0 {
			by = flow.ServerToClient
		}
		used := id <= p.highest[by] && !p.sides[0].holes && !p.sides[1].holes
		st = p.open(id, by)
		if used {
			c.blame(fmt.Sprintf("stream %d was used before", id))
		}
	}
	h := st.half(role)
	switch h.state {
	case http2Done:
		p.complain(d, b.first, fmt.Sprintf("fields on stream %d behind the end of the message", id))
		return
	case http2Open:
		p.trailer(st, h, d, b, c, last)
		return
	}
	if role == flow.ServerToClient && p.interim(st, d, b, c, last) {
		return
	}
	*h = http2Half{state: http2Open, first: b.first, last: last, length: b.length, losses: s.losses, declared: -1, unknown: c.unknown}
	h.body = p.head(st, role, c)
	h.blame(c.problem)
	if c.unknown == 0 && !c.large {
		h.blame(missing(role, c))
	}
	h.msg = &Message{Direction: d, ID: id, Body: h.body}
	if role == flow.ServerToClient {
		h.msg.Kind = Response
		h.msg.Alone = st.answers != ""
	}
	if v, ok := h.body.Get("content-length"); ok {
		if n, err := strconv.ParseUint(v, 10, 63); err == nil {
			h.declared = int64(n)
		} else {
			h.blame("malformed content-length")
		}
	}
	p.hold(h, h.body.Held())
	if b.frame.typ == HTTP2PushPromise || b.frame.has(HTTP2EndStream) {
		p.finish(st, role, "")
	}
}

// hold counts what a message holds.
func (p *http2Parser) hold(h *http2Half, n int) {
	h.heads += n
	p.heads += n
}

// missing says which pseudo-field a message lacks (RFC 9113, section 8.3).
func missing(role flow.Direction, c *http2Fields) string {
	switch {
	case role == flow.ServerToClient && c.there[pseudoMethod], role == flow.ClientToServer && c.there[pseudoStatus]:
		return "these fields are for the other side to say: who is the client may have been guessed" // a capture that starts late
	case role == flow.ServerToClient:
		if status := c.pseudo[pseudoStatus]; !c.there[pseudoStatus] {
			return "a response without :status"
		} else if len(status) != 3 || strings.Trim(status, "0123456789") != "" || status[0] == '0' {
			return fmt.Sprintf("a malformed :status %.20q", status)
		}
	case !c.there[pseudoMethod]:
		return "a request without :method"
	case c.pseudo[pseudoMethod] == "CONNECT" && !c.there[pseudoProtocol]:
		return ""
	case c.pseudo[pseudoPath] == "":
		return "a request without :path"
	case !c.there[pseudoScheme]:
		return "a request without :scheme"
	}
	return ""
}

// head makes a head of the fields.
func (p *http2Parser) head(st *http2Stream, role flow.Direction, c *http2Fields) *HTTPMessage {
	h := &HTTPMessage{Version: "HTTP/2", Fields: c.fields, text: c.text()}
	if role == flow.ServerToClient {
		h.response = true
		if missing(role, c) == "" {
			h.Status, _ = strconv.Atoi(c.pseudo[pseudoStatus])
		}
		h.Answers = st.answers
	} else {
		h.Method, h.Target = c.pseudo[pseudoMethod], c.pseudo[pseudoPath]
		h.Scheme, h.Authority, h.Protocol = c.pseudo[pseudoScheme], c.pseudo[pseudoAuthority], c.pseudo[pseudoProtocol]
		if h.Target == "" && h.Method == "CONNECT" {
			h.Target = h.Authority
		}
		st.method = h.Method
	}
	if t, _ := h.Get("content-type"); isGRPC(t) {
		if role == flow.ClientToServer {
			st.service, st.call = splitGRPC(h.Target)
		}
		encoding, _ := h.Get("grpc-encoding")
		h.GRPC = &GRPC{Service: st.service, Method: st.call, Encoding: encoding, response: h.response, web: strings.HasPrefix(strings.ToLower(t), "application/grpc-web")}
		st.half(role).grpc = &grpcReader{to: h.GRPC}
	}
	return h
}

// text counts the bytes of all fields. What several refer to counts for each.
func (c *http2Fields) text() int {
	n := 0
	for _, s := range c.pseudo {
		n += len(s)
	}
	for _, f := range c.fields {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

// interim hands on a response before the response, and reports whether it was one.
func (p *http2Parser) interim(st *http2Stream, d flow.Direction, b *http2Block, c *http2Fields, last Mark) bool {
	status := c.pseudo[pseudoStatus]
	if len(status) != 3 || status[0] != '1' || missing(d, c) != "" {
		return false
	}
	body := p.head(st, d, c)
	body.GRPC, st.response.grpc = nil, nil
	m := &Message{Direction: d, Kind: Interim, ID: st.id, Complete: c.unknown == 0, Body: body, Alone: st.answers != ""}
	if c.unknown > 0 {
		m.Why = unknownFields(c.unknown)
	}
	if c.problem == "" && b.frame.has(HTTP2EndStream) {
		c.problem = "an interim response that ends the stream" // section 8.1
	}
	if c.problem != "" {
		m.Malformed = true
		if m.Why == "" {
			m.Why = c.problem
		}
	}
	m.Place(b.first, last, b.length)
	p.answer(st, m)
	return true
}

func unknownFields(n int) string {
	if n == 1 {
		return "a field refers to what was said before the recording, or in a gap of it"
	}
	return fmt.Sprintf("%d fields refer to what was said before the recording, or in a gap of it", n)
}

// trailer ends a message with fields.
func (p *http2Parser) trailer(st *http2Stream, h *http2Half, d flow.Direction, b *http2Block, c *http2Fields, last Mark) {
	h.length += b.length
	h.last = last
	h.unknown += c.unknown
	h.blame(c.problem)
	if c.any() {
		h.blame("a pseudo-field behind the content")
	}
	if !b.frame.has(HTTP2EndStream) {
		h.blame("fields in the middle of the content")
	}
	if len(h.body.Trailer) == 0 {
		h.body.Trailer = c.fields
		h.body.text += c.text()
		p.hold(h, c.text()+fieldCost*len(c.fields))
	}
	if b.frame.has(HTTP2EndStream) {
		p.finish(st, d, "")
	}
}

// content adds content to a message.
func (p *http2Parser) content(h *http2Half, data []byte) {
	h.body.BodyBytes += int64(len(data))
	if h.grpc != nil {
		p.hold(h, h.grpc.write(data))
	}
	room := min(p.waiting.Keep()-int64(len(h.msg.Raw)), int64(maxHTTP2Kept-p.kept))
	if h.body.BodyBytes-int64(len(data)) != int64(len(h.msg.Raw))+h.body.BodyMissing {
		room = 0 // it is the beginning that is kept
	}
	if n := min(room, int64(len(data))); n > 0 {
		h.msg.Raw = append(h.msg.Raw, data[:n]...)
		h.kept += int(n)
		p.kept += int(n)
		data = data[n:]
	}
	if len(data) > 0 && p.waiting.Keep() > 0 {
		if h.digest == nil {
			h.digest = newDigest()
			h.digest.write(h.msg.Raw)
			p.hold(h, digestCost)
		}
		h.digest.write(data)
	}
}

// finish ends the message of one side of a stream: why says why it is not whole.
func (p *http2Parser) finish(st *http2Stream, role flow.Direction, why string) {
	h := st.half(role)
	m, body := h.msg, h.body
	s := &p.sides[m.Direction]
	// That a message has as many bytes as it declares tells that a gap beside it was
	// not in it.
	measured := h.declared >= 0 && body.BodyBytes == h.declared
	switch {
	case why != "":
	case body.BodyMissing > 0:
		why = fmt.Sprintf("%d bytes of the body were not captured", body.BodyMissing)
	case h.losses != s.losses && !measured:
		why = "a gap in the recording, perhaps inside the message"
	case h.unknown > 0:
		why = unknownFields(h.unknown)
	case h.declared >= 0 && !measured && !(role == flow.ServerToClient && (st.method == "HEAD" || body.Status == 304 || st.method == "" && body.BodyBytes == 0)):
		h.blame(fmt.Sprintf("content-length is %d, and there are %d bytes", h.declared, body.BodyBytes))
	}
	m.Complete, m.Why, m.Malformed = why == "", why, h.problem != ""
	switch {
	case why == "":
		m.Why = h.problem
	case m.Malformed && why != h.problem:
		m.Why = h.problem + "; " + why
	}
	if body.GRPC != nil {
		body.GRPC.finish(body)
	}
	m.RawMissing, m.Digest = body.BodyBytes-int64(len(m.Raw)), h.digest.sum()
	m.Place(h.first, h.last, h.length)
	p.heads -= h.heads
	p.kept -= h.kept
	*h = http2Half{state: http2Done}
	if role == flow.ClientToServer {
		p.emit(m)
		p.release(st)
	} else {
		p.answer(st, m)
	}
	if st.response.state == http2Done && st.request.state != http2Open {
		p.remove(st)
	}
}

// answer hands on what answers the request of a stream, once that is all there:
// an answer may be over before the request is.
func (p *http2Parser) answer(st *http2Stream, m *Message) {
	if st.request.state == http2Open && len(st.held) < maxEarly {
		st.held = append(st.held, m)
		p.heads += cost(m)
		return
	}
	p.emit(m)
}

// release hands on what answer has held.
func (p *http2Parser) release(st *http2Stream) {
	for _, m := range st.held {
		p.heads -= cost(m)
		p.emit(m)
	}
	st.held = nil
}

// HTTP2Reset is the end of a stream in place of a response.
type HTTP2Reset struct {
	By   flow.Direction // who did
	Code uint32         // RFC 9113, section 7
	// GoAway means that it was said of all streams from some on.
	GoAway bool
}

// Word is the name of the code.
func (r *HTTP2Reset) Word() string { return http2Code(r.Code) }

// Summary says who reset it.
func (r *HTTP2Reset) Summary() string {
	if r.GoAway {
		return "GOAWAY " + r.Word()
	}
	return "RST_STREAM " + r.Word()
}

// AppendJSON appends the name of the code, and whose it is.
func (r *HTTP2Reset) AppendJSON(dst []byte) []byte {
	name := `"reset":`
	if r.GoAway {
		name = `"goaway":`
	}
	dst = AppendString(append(dst, name...), r.Word())
	return AppendString(append(dst, `,"by":`...), strings.TrimPrefix(http2Who(r.By), "the "))
}

// Outcome is always a failure.
func (r *HTTP2Reset) Outcome() (code int, word string, failed bool) { return 0, r.Word(), true }

// reset ends a stream by RST_STREAM (RFC 9113, section 6.4).
func (p *http2Parser) reset(d flow.Direction, id, code uint32, first, last Mark) {
	st := p.streams[id]
	if st == nil {
		return
	}
	if p.resets = append(p.resets, id); len(p.resets) > maxHTTP2Resets {
		p.resets = p.resets[:copy(p.resets, p.resets[1:])]
	}
	p.breakOff(st, http2Who(d)+" reset the stream: "+http2Code(code), &HTTP2Reset{By: d, Code: code}, first, last)
}

// wasReset reports whether a stream was reset of late.
func (p *http2Parser) wasReset(id uint32) bool {
	for _, r := range p.resets {
		if r == id {
			return true
		}
	}
	return false
}

// breakOff ends a stream; a request that waits for a response gets body for one.
func (p *http2Parser) breakOff(st *http2Stream, why string, body *HTTP2Reset, first, last Mark) {
	waits := st.response.state == http2None && (st.request.state != http2None)
	p.cut(st, why)
	if !waits {
		return
	}
	m := &Message{Direction: body.By, Kind: Response, ID: st.id, Why: why, Body: body, Alone: st.answers != ""}
	m.Place(first, last, last.Offset+1-first.Offset)
	p.emit(m)
}

// goAway ends the streams that the sender has not taken (RFC 9113, section 6.8).
func (p *http2Parser) goAway(d flow.Direction, b []byte, first, last Mark) {
	s := &p.sides[d]
	id, code := binary.BigEndian.Uint32(b)&^(1<<31), binary.BigEndian.Uint32(b[4:])
	s.away = http2Code(code)
	if s.goAways++; s.goAways > maxHTTP2GoAways {
		return
	}
	for st := p.newest; st != nil; {
		prev := st.prev
		// The other side began those with odd numbers, if it is the client.
		if theirs := (st.id&1 == 1) == (d == flow.ServerToClient); theirs && st.id > id {
			p.breakOff(st, http2Who(d)+" went away and left the stream: "+s.away, &HTTP2Reset{By: d, Code: code, GoAway: true}, first, last)
		}
		st = prev
	}
}

// end ends the messages of a direction that sends no more.
func (p *http2Parser) end(d flow.Direction) {
	s := &p.sides[d]
	why := "the connection ended inside the message"
	for _, by := range []flow.Direction{d, d.Reverse()} {
		if away := p.sides[by].away; away != "" && away != "NO_ERROR" {
			why += ", when " + http2Who(by) + " went away: " + away
			break
		}
	}
	for st := p.oldest; st != nil; {
		next := st.next
		if h := st.half(d); h.state == http2Open {
			inside := s.left > 0 && s.stream == st.id
			if inside {
				h.last = p.waiting.At(d, -1)
			}
			if h.declared > 0 && h.body.BodyBytes == h.declared && !inside {
				// Who has all bytes that were declared need not wait for the empty frame
				// which ends the stream.
				p.finish(st, d, "")
			} else {
				p.finish(st, d, why)
			}
		}
		st = next
	}
	s.left, s.block = 0, http2Block{}
}

// The attributes.

func getHTTP2Stream(values []Value, e *Exchange) []Value {
	for _, m := range e.Messages() {
		return AppendNumber(values, int64(m.ID))
	}
	return values
}

func getHTTP2Scheme(values []Value, e *Exchange) []Value {
	if h, ok := bodyOf[*HTTPMessage](e.Request); ok && h.Scheme != "" {
		return AppendText(values, h.Scheme)
	}
	return values
}

func getHTTP2Reset(values []Value, e *Exchange) []Value {
	if r, ok := bodyOf[*HTTP2Reset](e.Response); ok {
		return AppendText(values, r.Word())
	}
	return values
}
