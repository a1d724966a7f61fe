package proto

import (
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// SSE are server-sent events (HTML Living Standard, section 9.2), which stand in a
// response of Content-Type text/event-stream. That is still one exchange of HTTP;
// each event is one of its own as it comes. A stream in a content encoding is not
// taken apart.
var SSE = Protocol{
	Name:    "sse",
	Probe:   func(Opening) Verdict { return NoMatch }, // HTTP finds them
	New:     func(Waiting) Parser { return &sseParser{} },
	Pairing: Alone,
	Unasked: true,
	Split:   true,
	Attributes: []Attribute{
		{Name: "sse.event", About: "type of the event", Get: sseAttribute(func(values []Value, e *ServerEvent) []Value {
			return AppendText(values, e.Type)
		})},
		{Name: "sse.id", About: "last event ID", Get: sseAttribute(func(values []Value, e *ServerEvent) []Value {
			if e.ID == "" {
				return values
			}
			return AppendText(values, e.ID)
		})},
		{Name: "sse.data", About: "what the event says", Get: sseAttribute(func(values []Value, e *ServerEvent) []Value {
			return AppendText(values, e.Data)
		})},
		{Name: "sse.data_bytes", Kind: Size, About: "how much that is", Get: sseAttribute(func(values []Value, e *ServerEvent) []Value {
			return AppendNumber(values, e.DataBytes)
		})},
		{Name: "sse.retry", Kind: Number, About: "milliseconds before the client is to connect again", Get: sseAttribute(func(values []Value, e *ServerEvent) []Value {
			if e.Retry < 0 {
				return values
			}
			return AppendNumber(values, e.Retry)
		})},
	},
}

// sseAttribute is Attribute.Get of what get has of an event.
func sseAttribute(get func([]Value, *ServerEvent) []Value) func([]Value, *Exchange) []Value {
	return func(values []Value, e *Exchange) []Value {
		if v, ok := bodyOf[*ServerEvent](e.Response); ok {
			values = get(values, v)
		}
		return values
	}
}

// maxEventData bounds what is kept of an event's data, maxEventWord its type and its
// ID. More is counted, and passed over.
const (
	maxEventData = 64 << 10
	maxEventWord = 1 << 10
)

// ServerEvent is an event.
type ServerEvent struct {
	// Type is "message" unless the event says otherwise.
	Type string
	// ID is the last event ID: of this event, or of one before it.
	ID string
	// Data is that of all data lines, or its beginning; DataBytes is how much there
	// was.
	Data      string
	DataBytes int64
	// Retry is the reconnection time in milliseconds that came with it, or before it
	// with no event; -1 when there was none.
	Retry int64
}

// Held returns how much memory the event has need of.
func (e *ServerEvent) Held() int { return len(e.Type) + len(e.ID) + len(e.Data) }

// Summary is the type with the beginning of the data.
func (e *ServerEvent) Summary() string {
	data := beginning(e.Data, webSocketPreview)
	if int64(len(data)) < e.DataBytes {
		data += "…"
	}
	return "event " + e.Type + ": " + data
}

// AppendJSON appends the fields that are there.
func (e *ServerEvent) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"event":`...)
	dst = AppendString(dst, e.Type)
	if e.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = AppendString(dst, e.ID)
	}
	dst = append(dst, `,"data":`...)
	dst = AppendString(dst, e.Data)
	dst = append(dst, `,"data_bytes":`...)
	dst = strconv.AppendInt(dst, e.DataBytes, 10)
	if e.Retry >= 0 {
		dst = append(dst, `,"retry":`...)
		dst = strconv.AppendInt(dst, e.Retry, 10)
	}
	return dst
}

// Outcome is a failure when the server calls the event an error.
func (e *ServerEvent) Outcome() (code int, word string, failed bool) {
	if strings.EqualFold(e.Type, "error") {
		return 0, e.Type, true
	}
	return 0, "", false
}

// EventStream takes a stream of events apart: bytes go in, and events come out. Its
// zero value is at the beginning of a stream. It keeps what is bounded by
// maxEventData and maxEventWord, and no line.
type EventStream struct {
	started bool // the first line, before which a mark of byte order may stand, is over
	cr      bool // behind a CR: an LF is part of it
	begun   bool // something of an event, or a comment, was seen
	lost    bool // the beginning of this event was not seen
	value   bool // behind the colon of a line
	first   bool // of the value: a space there is none of it
	name    []byte
	field   eventField
	word    []byte // the value of the line, when it is short

	event ServerEvent
	data  []byte
	lines int // data lines
	said  bool
	id    string
	retry int64 // behind the last event; 0 is none, else one more than it is
}

type eventField uint8

const (
	fieldUnknown eventField = iota
	fieldData
	fieldEvent
	fieldID
	fieldRetry
)

// maxFieldName is the length of the longest name with a mark of byte order before it.
const maxFieldName = 8

const byteOrderMark = "\xef\xbb\xbf"

// Between reports whether the next byte begins an event.
func (s *EventStream) Between() bool { return !s.begun }

// Held returns how much is kept.
func (s *EventStream) Held() int {
	return len(s.data) + len(s.word) + len(s.event.Type) + len(s.id)
}

// Take takes what is next: all of data, or up to where an event, or lines that are
// none, ended. It returns how many bytes that is, and the event.
func (s *EventStream) Take(data []byte) (int, *ServerEvent) {
	n := 0
	for n < len(data) {
		c := data[n]
		if s.cr {
			if s.cr = false; c == '\n' {
				if n++; !s.begun {
					return n, nil
				}
				continue
			}
		}
		s.begun = true
		if c == '\n' || c == '\r' {
			n++
			s.cr = c == '\r'
			if s.endLine() {
				return n, s.dispatch()
			}
			continue
		}
		if s.value {
			n += s.more(data[n:])
			continue
		}
		n++
		switch {
		case c == ':':
			s.named()
			s.value, s.first = true, true
		case len(s.name) <= maxFieldName:
			s.name = append(s.name, c)
		}
	}
	return n, nil
}

// more takes the value of a line, up to its end.
func (s *EventStream) more(data []byte) int {
	n := 0
	for n < len(data) && data[n] != '\n' && data[n] != '\r' {
		n++
	}
	v := data[:n]
	if s.first && n > 0 {
		s.first = false
		if v[0] == ' ' {
			v = v[1:]
		}
	}
	switch s.field {
	case fieldData:
		s.event.DataBytes += int64(len(v))
		s.data = append(s.data, v[:min(len(v), maxEventData-len(s.data))]...)
	case fieldEvent, fieldID, fieldRetry:
		s.word = append(s.word, v[:min(len(v), maxEventWord-len(s.word))]...)
	}
	return n
}

// named finds which field a line is.
func (s *EventStream) named() {
	name := string(s.name)
	if !s.started {
		name = strings.TrimPrefix(name, byteOrderMark)
	}
	s.word = s.word[:0]
	switch name {
	case "data":
		s.field = fieldData
		if s.lines++; s.lines > 1 {
			s.event.DataBytes++
			if len(s.data) < maxEventData {
				s.data = append(s.data, '\n')
			}
		}
	case "event":
		s.field = fieldEvent
	case "id":
		s.field = fieldID
	case "retry":
		s.field = fieldRetry
	default:
		s.field = fieldUnknown
	}
}

// endLine ends a line, and reports whether it was empty.
func (s *EventStream) endLine() bool {
	empty := !s.value && (len(s.name) == 0 || !s.started && string(s.name) == byteOrderMark)
	if !empty {
		if !s.value {
			s.named()
		}
		switch s.field {
		case fieldEvent:
			s.event.Type, s.said = string(s.word), true
		case fieldID:
			if strings.IndexByte(view(s.word), 0) < 0 {
				s.id, s.said = string(s.word), true
			}
		case fieldRetry:
			if n, err := strconv.ParseUint(string(s.word), 10, 62); err == nil {
				s.retry, s.said = int64(n)+1, true
			}
		}
	}
	s.started = true
	s.value, s.field, s.name, s.word = false, fieldUnknown, s.name[:0], s.word[:0]
	return empty
}

// dispatch ends an event. Lines without data are none.
func (s *EventStream) dispatch() *ServerEvent {
	lost := s.lost
	s.begun, s.lost = false, false
	if s.lines == 0 || lost {
		s.event, s.data, s.said = ServerEvent{}, s.data[:0], false
		s.lines = 0
		return nil
	}
	e := s.event
	if e.Type == "" {
		e.Type = "message"
	}
	e.ID, e.Data, e.Retry = s.id, string(s.data), s.retry-1
	s.event, s.data, s.lines, s.retry, s.said = ServerEvent{}, emptied(s.data), 0, 0, false
	return &e
}

// Cut ends the stream, or says that bytes of it are missing: it goes on with the
// first event that begins behind an empty line. It returns the event that was being
// said, if any.
func (s *EventStream) Cut() *ServerEvent {
	if s.begun && (s.value || len(s.name) > 0) {
		s.endLine()
	}
	lost, said := s.lost, s.said || s.lines > 0
	s.lines, s.lost = max(s.lines, 1), lost || !said
	e := s.dispatch()
	s.started, s.cr, s.begun, s.lost = true, false, true, true
	return e
}

// events finds the events in a stream that is part of another.
type events struct {
	EventStream
	waiting Waiting
	first   Mark     // where the event in progress begins
	last    Mark     // and where its latest byte is
	pending *Message // an event that a gap has ended
}

// Held returns how much is kept.
func (x *events) Held() int {
	n := x.EventStream.Held()
	if x.pending != nil {
		n += cost(x.pending)
	}
	return n
}

// take takes content, which begins at the i-th of the bytes shown now, and returns
// how much, and an event.
func (x *events) take(data []byte, i int) (int, *Message) {
	if x.Between() {
		x.first = x.waiting.At(flow.ServerToClient, i)
	}
	n, e := x.Take(data)
	if n > 0 {
		x.last = x.waiting.At(flow.ServerToClient, i+n-1)
	}
	return n, x.message(e, "")
}

// cut ends the event in progress, and returns it.
func (x *events) cut(why string) *Message { return x.message(x.Cut(), why) }

// gap ends it at a gap. It is asked for with the next bytes: the gap may end the
// response too.
func (x *events) gap() {
	if m := x.cut("a gap in the recording"); m != nil {
		x.pending = m
	}
}

func (x *events) message(e *ServerEvent, why string) *Message {
	if e == nil {
		return nil
	}
	m := &Message{Direction: flow.ServerToClient, Kind: Response, Within: &SSE, Complete: why == "", Why: why, Body: e}
	m.Place(x.first, x.last, x.last.Offset+1-x.first.Offset)
	return m
}

// streamsEvents reports whether the body behind a head is a stream of events.
func streamsEvents(h *HTTPMessage) bool {
	const eventStream = "text/event-stream"
	for i := range h.Fields {
		name, value := h.Fields[i].Name, h.Fields[i].Value
		if len(name) != len("Content-Type") || len(value) < len(eventStream) || !strings.EqualFold(name, "Content-Type") {
			continue
		}
		kind, _, _ := strings.Cut(value, ";")
		if !strings.EqualFold(trimSpace(kind), eventStream) {
			return false
		}
		coding, coded := h.Get("Content-Encoding")
		return !coded || strings.EqualFold(coding, "identity")
	}
	return false
}

// eventBody reads on in a body that is a stream of events.
func (p *httpParser) eventBody(data []byte, end bool) (int, *Message) {
	d := flow.ServerToClient
	s := &p.sides[d]
	x := s.events
	if m := x.pending; m != nil {
		if x.pending = nil; s.msg == nil {
			s.events = nil
		}
		return 0, m
	}
	n := 0
	for n < len(data) && !s.body.over() {
		k, m := len(data)-n, (*Message)(nil)
		content := s.body.framing != framedChunks || s.body.chunk == chunkData
		if content {
			k, m = x.take(data[n:n+int(min(s.body.left, int64(k)))], n)
		}
		took, problem := s.body.step(data[n : n+k])
		switch {
		case problem != "":
			if m := x.cut("the body is malformed"); m != nil {
				return n, m
			}
			s.problem, s.lost = problem, true
			return n, p.done(d, problem)
		case took == 0:
			if !end {
				return n, nil
			}
			return p.eventsEnd(n, len(data))
		}
		if n += took; m != nil {
			if s.body.over() {
				n-- // what the body ends with is taken with it
			}
			return n, m
		}
	}
	switch {
	case s.body.over():
		if m := x.cut("the response ended inside the event"); m != nil && n > 0 {
			return n - 1, m
		}
		return max(n, min(1, len(data))), p.done(d, "")
	case end && n == 0:
		return p.eventsEnd(0, len(data))
	}
	return n, nil
}

// eventsEnd ends a body with the connection: first the event in progress, then the
// body.
func (p *httpParser) eventsEnd(n, all int) (int, *Message) {
	d := flow.ServerToClient
	s := &p.sides[d]
	if n > 0 {
		return n, nil
	}
	if m := s.events.cut("the connection ended inside the event"); m != nil {
		return 0, m
	}
	if s.body.framing == framedClose {
		return all, p.done(d, "")
	}
	return all, p.done(d, "the connection ended inside the body"+s.body.wanting())
}

// sseParser reads a stream of events that is all that a server says.
type sseParser struct{ EventStream }

func (p *sseParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	skipped := &Message{Direction: d, Kind: Skipped}
	if d == flow.ClientToServer {
		if len(data) == 0 {
			return 0, nil
		}
		return len(data), skipped
	}
	n, e := p.Take(data)
	switch {
	case e != nil:
		return n, &Message{Direction: d, Kind: Response, Complete: true, Body: e}
	case n > 0 && p.Between():
		return n, skipped
	case n == 0 && end:
		return 0, p.cut("the connection ended inside the event")
	}
	return n, nil
}

func (p *sseParser) cut(why string) *Message {
	e := p.Cut()
	if e == nil {
		return nil
	}
	return &Message{Direction: flow.ServerToClient, Kind: Response, Why: why, Body: e}
}

func (p *sseParser) Gap(d flow.Direction, _ []byte, _ int64) (int64, *Message) {
	if d == flow.ClientToServer {
		return 0, nil
	}
	return 0, p.cut("a gap in the recording")
}
