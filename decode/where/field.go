package where

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"netlab/decode/proto"
)

// value is what a field of an exchange holds.
type value struct {
	text   string
	number float64
}

// field is something that can be asked about an exchange.
type field struct {
	name   string
	number bool
	about  string
	get    func(*proto.Exchange) (value, bool)
}

// text returns a value of either kind as text.
func (f *field) text(v value) string {
	if f.number {
		return strconv.FormatFloat(v.number, 'f', -1, 64)
	}
	return v.text
}

// fields is the registry. Durations are in milliseconds.
var fields = registry([]field{
	{"conversation", true, "the conversation's id", func(e *proto.Exchange) (value, bool) { return value{number: float64(e.Conversation.ID)}, true }},
	{"protocol", false, "what the exchange is in: http, dns, ftp, tls, raw", func(e *proto.Exchange) (value, bool) { return value{text: e.Protocol.Name}, true }},
	{"transport", false, "tcp or udp", func(e *proto.Exchange) (value, bool) { return value{text: e.Conversation.Transport().String()}, true }},
	{"client", false, "the client's address and port", func(e *proto.Exchange) (value, bool) { return value{text: e.Conversation.Client().String()}, true }},
	{"server", false, "the server's address and port", func(e *proto.Exchange) (value, bool) { return value{text: e.Conversation.Server().String()}, true }},
	{"client.port", true, "", func(e *proto.Exchange) (value, bool) {
		return value{number: float64(e.Conversation.Client().Port())}, true
	}},
	{"server.port", true, "", func(e *proto.Exchange) (value, bool) {
		return value{number: float64(e.Conversation.Server().Port())}, true
	}},
	{"state", false, "complete, unanswered or broken", func(e *proto.Exchange) (value, bool) { return value{text: e.State.String()}, true }},
	{"latency", true, "from the request's end to the response's beginning", func(e *proto.Exchange) (value, bool) {
		d, ok := e.Latency()
		return value{number: float64(d) / 1e6}, ok
	}},
	{"total", true, "from the request's beginning to the response's end", func(e *proto.Exchange) (value, bool) {
		d, ok := e.Total()
		return value{number: float64(d) / 1e6}, ok
	}},
	{"request.bytes", true, "the request's size on the wire", func(e *proto.Exchange) (value, bool) { return length(e.Request) }},
	{"response.bytes", true, "the response's size on the wire", func(e *proto.Exchange) (value, bool) { return length(e.Response) }},
	{"http.method", false, "", request(func(h *proto.HTTPMessage) (string, bool) { return h.Method, true })},
	{"http.target", false, "the request's target, as sent", request(func(h *proto.HTTPMessage) (string, bool) { return h.Target, true })},
	{"http.host", false, "", request(func(h *proto.HTTPMessage) (string, bool) { return h.Get("Host") })},
	{"http.status", true, "", func(e *proto.Exchange) (value, bool) {
		h := message(e.Response)
		if h == nil {
			return value{}, false
		}
		return value{number: float64(h.Status)}, true
	}},
	{"dns.name", false, "the first name asked for", func(e *proto.Exchange) (value, bool) { return question(e) }},
	{"ftp.command", false, "", func(e *proto.Exchange) (value, bool) {
		if e.Request == nil {
			return value{}, false
		}
		c, ok := e.Request.Body.(*proto.FTPCommand)
		if !ok {
			return value{}, false
		}
		return value{text: c.Command}, true
	}},
})

// short names of fields.
var short = map[string]string{"host": "http.host", "method": "http.method", "target": "http.target", "status": "http.status", "id": "conversation"}

func registry(list []field) map[string]field {
	m := make(map[string]field)
	for _, f := range list {
		m[f.name] = f
	}
	for name, long := range short {
		m[name] = m[long]
	}
	return m
}

func length(m *proto.Message) (value, bool) {
	if m == nil {
		return value{}, false
	}
	return value{number: float64(m.Length)}, true
}

// message returns the HTTP message of m, or nil.
func message(m *proto.Message) *proto.HTTPMessage {
	if m == nil {
		return nil
	}
	h, _ := m.Body.(*proto.HTTPMessage)
	return h
}

func request(get func(*proto.HTTPMessage) (string, bool)) func(*proto.Exchange) (value, bool) {
	return func(e *proto.Exchange) (value, bool) {
		h := message(e.Request)
		if h == nil {
			return value{}, false
		}
		text, ok := get(h)
		return value{text: text}, ok
	}
}

func question(e *proto.Exchange) (value, bool) {
	for _, m := range e.Messages() {
		if d, ok := m.Body.(*proto.DNSMessage); ok {
			if q, _ := d.Sections(); len(q) > 0 {
				return value{text: q[0].Name}, true
			}
		}
	}
	return value{}, false
}

// Fields lists the names of all fields, sorted.
func Fields() []string { return slices.Sorted(maps.Keys(fields)) }

// nearest suggests a field for a name that is none.
func nearest(name string) string {
	for _, f := range Fields() {
		if strings.HasSuffix(f, name) || strings.HasPrefix(f, name) || strings.HasSuffix(name, f) {
			return "; do you mean " + f + "?"
		}
	}
	return "; there are " + strings.Join(Fields(), ", ")
}
