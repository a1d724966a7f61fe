package proto

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// HTTP is HTTP/1.x as RFC 9112 has it, read as it is and not as it should be:
// start lines and fields are kept to the letter, and what breaks the rules is
// reported, not refused.
var HTTP = Protocol{
	Name:     "http",
	Probe:    probeHTTP,
	New:      func(w Waiting) Parser { return &httpParser{waiting: w} },
	Reuses:   true,
	AnyStart: true,

	Attributes: httpAttributes,
}

// maxHead bounds start line and fields; the most lenient servers take 256 KiB.
const maxHead = 512 << 10

const headTooLarge = "the head is too large"

// HTTPMessage is the head of an HTTP message, and what became of its body.
type HTTPMessage struct {
	// Head holds the start line and the fields with the empty line behind them,
	// byte for byte. The strings below are parts of it.
	Head    string
	Version string // "HTTP/1.1"; empty in a request line without one
	// Method and Target are a request's, Status and Reason a response's. One of
	// HTTP/0.9 has no status: it is taken for 200.
	Method, Target string
	Status         int
	Reason         string
	Fields         []Field
	// BodyBytes counts the content as it was transferred, without the framing of
	// chunks; BodyMissing how much of it was never seen.
	BodyBytes, BodyMissing int64
	// Chunked tells the framing; Trailer are the fields behind the last chunk, or
	// behind the content of HTTP/2.
	Chunked bool
	Trailer []Field

	// The rest is of HTTP/2 only. Its Head is empty, its Raw the content alone.

	// Scheme, Authority and Protocol are a request's pseudo-fields; Authority stands
	// for Host. Protocol is that of an extended CONNECT (RFC 8441).
	Scheme, Authority, Protocol string
	// Answers is the request of HTTP/1 that a response is to, when the answer there
	// was to go on in HTTP/2.
	Answers string
	// GRPC is what the message says in gRPC, if it does.
	GRPC *GRPC

	response bool // it is one, also without a status
	text     int  // the bytes of what would be parts of Head
}

// Field is a header field.
type Field struct{ Name, Value string }

// IsRequest tells requests from responses.
func (h *HTTPMessage) IsRequest() bool { return h.Status == 0 && !h.response }

// simpleVersion is that of a response without a head.
const simpleVersion = "HTTP/0.9"

// IsSimple reports whether the message is a Simple-Response, which is only a body
// (RFC 1945, section 6).
func (h *HTTPMessage) IsSimple() bool { return h.Version == simpleVersion }

// fieldCost is the size of a Field, without what it is a part of.
const fieldCost = 32

// Held returns how much memory the message has need of. The fields are parts of
// the head.
func (h *HTTPMessage) Held() int {
	return len(h.Head) + h.text + fieldCost*(len(h.Fields)+len(h.Trailer)) + h.GRPC.held()
}

func (h *HTTPMessage) room() int {
	return fieldCost * (cap(h.Fields) + cap(h.Trailer))
}

// Get returns the first field of that name, and whether there is one. Authority is
// the Host of HTTP/2.
func (h *HTTPMessage) Get(name string) (string, bool) {
	if h.Authority != "" && strings.EqualFold(name, "Host") {
		return h.Authority, true
	}
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			return h.Fields[i].Value, true
		}
	}
	return "", false
}

// Values calls f for each element of the comma-separated fields of that name
// (RFC 9110, section 5.6.1), in lower case.
func (h *HTTPMessage) Values(name string, f func(string)) {
	for i := range h.Fields {
		if !strings.EqualFold(h.Fields[i].Name, name) {
			continue
		}
		for v := range elements(h.Fields[i].Value) {
			f(v)
		}
	}
}

// Has reports whether a comma-separated field contains an element.
func (h *HTTPMessage) Has(name, element string) bool {
	found := false
	h.Values(name, func(v string) { found = found || v == element })
	return found
}

// Summary is the start line without the version, with the body's size.
func (h *HTTPMessage) Summary() string { return string(h.AppendSummary(nil)) }

// AppendSummary appends what Summary returns.
func (h *HTTPMessage) AppendSummary(dst []byte) []byte {
	if h.IsRequest() {
		dst = append(append(dst, h.Method...), ' ')
		if strings.HasPrefix(h.Target, "/") {
			host, _ := h.Get("Host")
			dst = append(dst, host...)
		}
		dst = append(dst, h.Target...)
	} else {
		if h.Status == 0 {
			dst = append(dst, UnknownName...)
		} else {
			dst = strconv.AppendInt(dst, int64(h.Status), 10)
		}
		if h.Reason != "" {
			dst = append(append(dst, ' '), h.Reason...)
		}
		if h.GRPC != nil && h.GRPC.Status != "" {
			dst = append(append(dst, ' '), h.GRPC.Status...)
		}
	}
	switch {
	case h.BodyBytes == 1:
		dst = append(dst, ", 1 byte"...)
	case h.BodyBytes > 0 || h.Status >= 200 && h.Status != 204 && h.Status != 304:
		dst = append(strconv.AppendInt(append(dst, ", "...), h.BodyBytes, 10), " bytes"...)
	}
	return dst
}

// AppendJSON appends what the promised records of requests and responses hold.
func (h *HTTPMessage) AppendJSON(dst []byte) []byte {
	if h.IsRequest() {
		dst = append(dst, `"method":`...)
		dst = AppendString(dst, h.Method)
		dst = append(dst, `,"target":`...)
		dst = AppendString(dst, h.Target)
		dst = append(dst, `,"host":`...)
		if host, ok := h.Get("Host"); ok {
			dst = AppendString(dst, host)
		} else {
			dst = append(dst, "null"...)
		}
		dst = append(dst, ',')
		if h.Scheme != "" {
			dst = append(dst, `"scheme":`...)
			dst = append(AppendString(dst, h.Scheme), ',')
		}
		if h.Protocol != "" {
			dst = append(dst, `"protocol":`...)
			dst = append(AppendString(dst, h.Protocol), ',')
		}
	} else if !h.IsSimple() {
		dst = append(dst, `"status":`...)
		dst = strconv.AppendInt(dst, int64(h.Status), 10)
		dst = append(dst, `,"reason":`...)
		dst = AppendString(dst, h.Reason)
		dst = append(dst, ',')
	}
	dst = append(dst, `"version":`...)
	dst = AppendString(dst, h.Version)
	dst = append(dst, `,"headers":`...)
	dst = appendFields(dst, h.Fields)
	dst = append(dst, `,"body_bytes":`...)
	dst = strconv.AppendInt(dst, h.BodyBytes, 10)
	if h.BodyMissing > 0 {
		dst = append(dst, `,"body_missing":`...)
		dst = strconv.AppendInt(dst, h.BodyMissing, 10)
	}
	if len(h.Trailer) > 0 {
		dst = append(dst, `,"trailers":`...)
		dst = appendFields(dst, h.Trailer)
	}
	if h.Answers != "" {
		dst = AppendString(append(dst, `,"answers":`...), h.Answers)
	}
	return h.GRPC.appendJSON(dst)
}

func appendFields(dst []byte, fields []Field) []byte {
	dst = append(dst, '[')
	for i := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		dst = AppendString(dst, fields[i].Name)
		dst = append(dst, ',')
		dst = AppendString(dst, fields[i].Value)
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// httpParser reads both directions of a connection.
type httpParser struct {
	waiting Waiting
	sides   [2]httpSide
	tunnel  tunnel
	simple  simple
}

// tunnel is about a request that may turn the connection into something else: what
// the client sends behind it is not looked at until its answer is there.
type tunnel struct {
	asked  bool
	method string
	with   string // Message.With of an answer that accepts h2c
	// request may have been handed on: it is compared, and not looked at.
	request *HTTPMessage
}

// accepted reports whether a status does so.
func (t *tunnel) accepted(status int) bool {
	return t.asked && (status == 101 || t.method == "CONNECT" && status/100 == 2)
}

// simple says how far an exchange of HTTP/0.9 has come.
type simple uint8

const (
	simpleNone     simple = iota
	simpleWaiting         // the client said what may be a request, and no more
	simpleAnswered        // the server says what is no response of HTTP/1
	simpleBody            // so that is the body, to the end of the connection
)

// httpSide is one direction.
type httpSide struct {
	body    httpBody
	msg     *Message     // whose body is being read; nil between messages
	head    *HTTPMessage // its Body
	problem string       // what is malformed in it
	scanned int          // how much of the buffer holds no end of a head
	lost    bool         // the place in the stream is lost: look for a message's beginning
	ended   bool
	events  *events // of a body that is a stream of them
}

// Reset makes it the parser of another conversation.
func (p *httpParser) Reset(w Waiting) { *p = httpParser{waiting: w} }

// Held returns how much is kept of an event.
func (p *httpParser) Held() int {
	if x := p.sides[flow.ServerToClient].events; x != nil {
		return x.Held()
	}
	return 0
}

// Next reads what is next of a direction.
func (p *httpParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	s.ended = s.ended || end
	if s.events != nil {
		return p.eventBody(data, end)
	}
	if s.msg != nil {
		return p.body(d, data, end)
	}
	if d == flow.ClientToServer && p.tunnel.asked && !p.sides[flow.ServerToClient].ended {
		return 0, nil
	}
	if len(data) == 0 {
		return 0, nil
	}
	if s.lost {
		n, found := resync(d, data, end)
		if n > 0 {
			return n, &Message{Direction: d, Kind: Skipped}
		}
		if !found {
			return 0, nil
		}
		s.lost = false
	}
	if n := leadingLines(data); n > 0 {
		s.scanned = 0
		return n, &Message{Direction: d, Kind: Skipped} // RFC 9112, section 2.2
	}
	if string(data) == "\r" && !end {
		return 0, nil
	}
	return p.head(d, data, end)
}

// leadingLines counts the empty lines before a message.
func leadingLines(data []byte) int {
	n := 0
	for n < len(data) && (data[n] == '\n' || data[n] == '\r' && n+1 < len(data) && data[n+1] == '\n') {
		n++
	}
	return n
}

// head reads a start line and the fields behind it.
func (p *httpParser) head(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	verdict := Match
	if s.scanned == 0 { // else it was looked at
		verdict = startLine(d, data, false)
	}
	if verdict == NoMatch || verdict == NeedMore && end {
		if d == flow.ServerToClient && p.simple != simpleNone {
			return p.simpleAnswer(data, end)
		}
		// How much of it is here depends on the packets: it is not quoted.
		s.lost, s.scanned = true, 0
		return 0, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "what follows is not the beginning of an HTTP message"}
	}
	if verdict == NeedMore {
		return 0, nil
	}
	if d == flow.ServerToClient {
		p.simple = simpleNone // it speaks HTTP/1
	}
	n := endOfHead(data, s.scanned)
	why := ""
	switch {
	case n > maxHead || n < 0 && len(data) >= maxHead:
		n, why = maxHead, headTooLarge
	case n < 0 && d == flow.ClientToServer && p.simple == simpleAnswered && isSimple(data):
		n = len(data)
	case n < 0 && !end:
		s.scanned = len(data)
		if d == flow.ClientToServer {
			p.simple = simpleNone
			if isSimple(data) {
				p.simple = simpleWaiting
			}
		}
		return 0, nil
	case n < 0:
		n, why = len(data), "the connection ended inside the head"
	}
	if d == flow.ServerToClient && p.sides[flow.ClientToServer].msg != nil && p.switches(data[:n]) {
		return 0, p.done(flow.ClientToServer, "the server switched to another protocol inside the body")
	}
	s.scanned, s.lost = 0, why != ""
	h := p.begin(d, data[:n])
	switch {
	case d == flow.ServerToClient:
	case p.simple == simpleAnswered, h.Version == "" && isSimple(data[:n]):
		p.simple = simpleBody
	default:
		p.simple = simpleNone
	}
	if why != "" {
		s.problem = "" // the last line is cut
		if why == headTooLarge {
			s.problem = why
		}
		return n, p.done(d, why)
	}
	if s.body.over() {
		return n, p.done(d, "")
	}
	if d == flow.ServerToClient && streamsEvents(h) {
		s.events = &events{waiting: p.waiting}
	}
	return n, nil
}

// simpleAnswer takes what a server says to a request of HTTP/0.9.
func (p *httpParser) simpleAnswer(data []byte, end bool) (int, *Message) {
	d := flow.ServerToClient
	switch p.simple {
	case simpleWaiting:
		p.simple = simpleAnswered // the client is looked at next
		return 0, nil
	case simpleAnswered:
		return 0, nil
	}
	s := &p.sides[d]
	h := p.message(d)
	h.Version, h.Status = simpleVersion, 200
	s.body = untilClose()
	return p.body(d, data, end)
}

// httpRecord is what a message has need of, in one piece.
type httpRecord struct {
	message Message
	head    HTTPMessage
	fields  [8]Field // most heads have no more
}

// message begins a message.
func (p *httpParser) message(d flow.Direction) *HTTPMessage {
	m := spare(p.waiting)
	if m == nil {
		r := new(httpRecord)
		r.head.Fields = r.fields[:0]
		m, r.message.Body = &r.message, &r.head
	}
	h := m.Body.(*HTTPMessage)
	if h == p.tunnel.request {
		p.tunnel.request = nil // that is long gone
	}
	*h = HTTPMessage{Fields: h.Fields[:0]}
	m.Direction = d
	if d == flow.ServerToClient {
		m.Kind = Response
	}
	s := &p.sides[d]
	s.msg, s.head, s.problem, s.body = m, h, "", httpBody{}
	return h
}

// begin parses a head and finds how its body is framed.
func (p *httpParser) begin(d flow.Direction, head []byte) *HTTPMessage {
	s := &p.sides[d]
	h := p.message(d)
	s.msg.text = append(s.msg.text, head...)
	h.Head = view(s.msg.text)
	line, rest := cutLine(h.Head)
	if d == flow.ClientToServer {
		var rest string
		h.Method, h.Target, rest, h.Version = requestLine(line)
		switch {
		case h.Version == "" && p.simple != simpleAnswered:
			s.problem = "the request line has no version"
		case rest != "":
			s.problem = fmt.Sprintf("the target ends at a space, behind which is %q", rest)
		}
	} else {
		h.Version, h.Status, h.Reason = statusLine(line)
	}
	var bad string
	h.Fields, bad = parseFields(h.Fields, rest)
	if s.problem == "" {
		s.problem = bad
	}
	f := notice(h.Fields)
	if d == flow.ClientToServer {
		bad = p.requestBody(h, s, &f)
	} else {
		bad = p.responseBody(h, s, &f)
	}
	if s.problem == "" {
		s.problem = bad
	}
	h.Chunked = s.body.framing == framedChunks
	return h
}

// requestBody finds the framing of a request's body (RFC 9112, section 6.3), and
// what is wrong with it.
func (p *httpParser) requestBody(h *HTTPMessage, s *httpSide, f *framingFields) string {
	if h.Method == "CONNECT" || f.upgrades && f.switches {
		p.tunnel = tunnel{asked: true, method: strings.Clone(h.Method), request: h}
		if settings, ok := h.Get("HTTP2-Settings"); ok {
			p.tunnel.with = upgradeToHTTP2(h.Method, h.Target, settings)
		}
	}
	switch {
	case f.coded && f.coding != "chunked":
		return fmt.Sprintf("a request with transfer coding %q has no end", f.coding)
	case f.coded:
		s.body.framing = framedChunks
	case f.length > 0:
		s.body.left = f.length
	}
	return f.problem
}

// responseBody does so for a response, which depends on the request.
func (p *httpParser) responseBody(h *HTTPMessage, s *httpSide, f *framingFields) string {
	tunnels, method := p.tunnel.asked, p.tunnel.method
	if m := p.waiting.Request(); m != nil {
		request := m.Body.(*HTTPMessage)
		tunnels, method = tunnels && request == p.tunnel.request, request.Method
	}
	if h.Status >= 100 && h.Status < 200 && h.Status != 101 {
		s.msg.Kind = Interim
		return ""
	}
	if tunnels {
		accepted, with := p.tunnel.accepted(h.Status), p.tunnel.with
		p.tunnel = tunnel{}
		if accepted {
			s.msg.Next = Anything
			if strings.EqualFold(f.upgrade, "h2c") && h.Status == 101 && with != "" {
				s.msg.Next, s.msg.With = "http2", with
			} else if to := Lookup(strings.ToLower(f.upgrade)); to != nil && h.Status == 101 {
				s.msg.Next = to.Name
				if to == &WebSocket {
					s.msg.With = webSocketWith(h)
				}
			}
			return ""
		}
	}
	switch {
	case h.Status == 101 || h.Status == 204 || h.Status == 304 || method == "HEAD":
		return ""
	case f.coded && f.coding == "chunked":
		s.body.framing = framedChunks
	case f.coded, f.length < 0:
		s.body = untilClose()
	default:
		s.body.left = f.length
	}
	return f.problem
}

// switches reports whether a response's head accepts the request that may turn
// the connection into something else.
func (p *httpParser) switches(head []byte) bool {
	if !p.tunnel.asked {
		return false
	}
	line, _ := cutLine(view(head))
	_, status, _ := statusLine(line)
	return p.tunnel.accepted(status)
}

// Pass takes what is within a body, and not its end.
func (p *httpParser) Pass(d flow.Direction, data []byte) bool {
	s := &p.sides[d]
	return s.events == nil && s.body.pass(int64(len(data)))
}

// body reads on in a body.
func (p *httpParser) body(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	n, err := s.body.take(data)
	switch {
	case err != "":
		s.problem, s.lost = err, true
		return n, p.done(d, err)
	case s.body.over():
		return n, p.done(d, "")
	case end && s.body.framing == framedClose:
		return len(data), p.done(d, "")
	case end && n == 0:
		return len(data), p.done(d, "the connection ended inside the body"+s.body.wanting())
	}
	return n, nil
}

// done ends the message of a direction.
func (p *httpParser) done(d flow.Direction, why string) *Message {
	s := &p.sides[d]
	m, h := s.msg, s.head
	h.BodyBytes, h.BodyMissing = s.body.bytes, s.body.missing
	if s.body.trailer != nil {
		h.Trailer, _ = parseFields(nil, string(s.body.trailer))
	}
	m.Complete, m.Why = why == "" && s.body.missing == 0, why
	if why == "" && s.body.missing > 0 {
		m.Why = fmt.Sprintf("%d bytes of the body were not captured", s.body.missing)
	}
	if s.problem != "" {
		m.Malformed = true
		if m.Why == "" {
			m.Why = s.problem
		}
	}
	s.msg, s.head, s.body, s.problem = nil, nil, httpBody{}, ""
	if s.events != nil && s.events.pending == nil {
		s.events = nil
	}
	return m
}

// Gap goes on behind missing bytes when they lie within a body, else it ends the
// message and looks for the beginning of another.
func (p *httpParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	s := &p.sides[d]
	s.scanned = 0
	p.simple = simpleNone
	if d == flow.ServerToClient {
		p.tunnel = tunnel{} // its answer may be missing
	}
	if s.msg != nil {
		if s.events != nil {
			s.events.gap()
		}
		took, known := int64(0), false
		if len(data) == 0 {
			took, known = s.body.skip(n)
		}
		switch {
		case known && !s.body.over():
			return took, nil
		case known:
			return took, p.done(d, "")
		}
		s.lost = true
		return took, p.done(d, "a gap in the recording")
	}
	wasLost := s.lost
	s.lost = true
	if wasLost || startLine(d, data, true) != Match {
		return 0, nil
	}
	p.begin(d, data)
	s.msg.Next, s.problem = "", "" // the last line is cut
	return 0, p.done(d, "a gap in the recording, inside the head")
}

// maxLostStatus bounds a status line where the place in the stream is lost:
// there, each of many places is looked at that far.
const maxLostStatus = 1 << 10

// resync returns how many bytes to skip before the beginning of a message, and
// whether it is there; else more is needed. A body need not end with an end of
// line, so a message may begin inside a line.
func resync(d flow.Direction, data []byte, end bool) (int, bool) {
	if d == flow.ServerToClient {
		for n := 0; ; n++ {
			i := bytes.IndexByte(data[n:], 'H')
			if i < 0 {
				return len(data), false
			}
			n += i
			line := data[n:min(len(data), n+maxLostStatus)]
			if v := startLine(d, line, true); v == Match || v == NeedMore && len(line) < maxLostStatus && !end {
				return n, v == Match
			}
		}
	}
	for n := 0; n < len(data); {
		line := data[n:min(len(data), n+maxStartLine)]
		i := bytes.IndexByte(line, '\n')
		if i < 0 && len(line) < maxStartLine && !end {
			return n, false
		}
		if i >= 0 {
			line = line[:i+1]
			if at := requestIn(line); at >= 0 {
				return n + at, true
			}
		}
		n += len(line)
	}
	return len(data), false
}
