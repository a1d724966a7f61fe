package printer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// HAR writes the HTTP exchanges of a capture as an HTTP Archive, version 1.2, as the
// network panels of browsers import it (http://www.softwareishard.com/blog/har-12-spec).
// Entries are written as they come; only upgraded connections wait for their end, with
// what was said on them, up to MaxHARMessages.
type HAR struct {
	// Hide puts what must not be shown out of sight, and leaves all bodies out.
	Hide Hider
	// Entries counts what was written.
	Entries int64

	w       io.Writer
	version string // of netlab
	buf     []byte
	latest  []byte // entry
	open    map[int]*upgraded

	contents contents
}

// MaxHARMessages bounds the messages of an upgraded connection, and MaxHARHeld the
// bytes of those that wait in all.
const (
	MaxHARMessages = 10_000
	MaxHARHeld     = 32 << 20
)

// upgraded is an entry whose connection went on with another protocol.
type upgraded struct {
	entry    []byte // without the brace at its end
	messages []byte
	count    int
	left     int // messages that there was no room for
}

// NewHAR returns a HAR to w, of a netlab of that version.
func NewHAR(w io.Writer, version string) *HAR {
	return &HAR{w: w, version: version, open: make(map[int]*upgraded)}
}

// begin writes what stands before the entries.
func (h *HAR) begin() {
	h.buf = append(h.buf, `{"log":{"version":"1.2","creator":{"name":"netlab","version":`...)
	h.buf = proto.AppendString(h.buf, h.version)
	h.buf = append(h.buf, `},"pages":[],"entries":[`...)
}

// Exchange writes an entry.
func (h *HAR) Exchange(e *proto.Exchange) error {
	var q, r *proto.HTTPMessage
	if e.Request != nil {
		q, _ = e.Request.Body.(*proto.HTTPMessage)
	}
	if e.Response != nil {
		r, _ = e.Response.Body.(*proto.HTTPMessage)
	}
	if q == nil { // an entry without a request is none
		h.message(e)
		return nil
	}
	h.latest = h.entry(h.latest[:0], e, q, r)
	if e.Protocol == &proto.HTTP && r != nil && r.Status == 101 {
		if err := h.Finish(e.Conversation); err != nil { // of an upgrade before this one
			return err
		}
		h.open[e.Conversation.ID] = &upgraded{entry: bytes.Clone(h.latest)}
		return nil
	}
	return h.write(h.latest)
}

// write writes an entry and closes it.
func (h *HAR) write(entry []byte) error {
	if h.Entries == 0 {
		h.begin()
	} else {
		h.buf = append(h.buf, ',')
	}
	h.Entries++
	h.buf = append(append(append(h.buf, '\n'), entry...), '}')
	return h.flush()
}

func (h *HAR) flush() error {
	_, err := h.w.Write(h.buf)
	h.buf = h.buf[:0]
	return err
}

// message keeps what was said on an upgraded connection, in the form of Chrome.
func (h *HAR) message(e *proto.Exchange) {
	u := h.open[e.Conversation.ID]
	if u == nil {
		return
	}
	for _, m := range e.Messages() {
		f, ok := m.Body.(*proto.WebSocketFrame)
		if !ok || f.Message == nil {
			continue // others of its message follow
		}
		data, problem := proto.WebSocketContent(m)
		if u.count == MaxHARMessages || h.held()+len(data) > MaxHARHeld {
			u.left++
			continue
		}
		if u.count > 0 {
			u.messages = append(u.messages, ',')
		}
		u.count++
		kind := "send"
		if m.Direction == flow.ServerToClient {
			kind = "receive"
		}
		u.messages = fmt.Appendf(u.messages, `{"type":%q,"time":%s,"opcode":%d,"data":`, kind,
			strconv.FormatFloat(float64(m.End.UnixMicro())/1e6, 'f', 6, 64), f.Message.Opcode)
		switch {
		case h.Hide != nil:
			u.messages = append(u.messages, `""`...)
		case f.Message.Opcode == 1 && utf8.Valid(data):
			u.messages = proto.AppendString(u.messages, data)
		default:
			u.messages = appendBase64(u.messages, data)
		}
		if problem != nil {
			u.messages = append(u.messages, `,"_error":`...)
			u.messages = proto.AppendString(u.messages, problem.Error())
		}
		u.messages = append(u.messages, '}')
	}
}

func (h *HAR) held() int {
	n := 0
	for _, u := range h.open {
		n += len(u.messages)
	}
	return n
}

// Finish writes the entry of an upgraded connection.
func (h *HAR) Finish(c *flow.Conversation) error {
	u := h.open[c.ID]
	if u == nil {
		return nil
	}
	delete(h.open, c.ID)
	entry := u.entry
	if u.count > 0 {
		entry = append(append(append(entry, `,"_resourceType":"websocket","_webSocketMessages":[`...), u.messages...), ']')
	}
	if u.left > 0 {
		entry = fmt.Appendf(entry, `,"_webSocketMessagesLeftOut":%d`, u.left)
	}
	return h.write(entry)
}

// Summary ends the archive.
func (h *HAR) Summary(*decode.Summary) error {
	if h.Entries == 0 {
		h.begin()
	}
	h.buf = append(h.buf, "\n]}}\n"...)
	return h.flush()
}

// entry appends an entry without the brace at its end.
func (h *HAR) entry(dst []byte, e *proto.Exchange, q, r *proto.HTTPMessage) []byte {
	var send, wait, receive time.Duration
	send = max(0, e.Request.End.Sub(e.Request.Time))
	wait, _ = e.Latency()
	if e.Response != nil {
		receive = max(0, e.Response.End.Sub(e.Response.Time))
	}
	dst = append(dst, `{"startedDateTime":`...)
	dst = proto.AppendTime(dst, e.Request.Time)
	dst = append(dst, `,"time":`...)
	dst = proto.AppendMillis(dst, send+wait+receive)
	dst = h.request(append(dst, `,"request":`...), e, q)
	dst = h.response(append(dst, `,"response":`...), e, r)
	dst = append(dst, `,"cache":{},"timings":{"blocked":-1,"dns":-1,"connect":-1,"ssl":-1,"send":`...)
	dst = proto.AppendMillis(dst, send)
	dst = append(dst, `,"wait":`...)
	dst = proto.AppendMillis(dst, wait)
	dst = append(dst, `,"receive":`...)
	dst = proto.AppendMillis(dst, receive)
	dst = append(dst, `},"serverIPAddress":`...)
	dst = proto.AppendString(dst, e.Conversation.Server().Addr().String())
	dst = append(dst, `,"connection":`...)
	dst = proto.AppendString(dst, strconv.Itoa(e.Conversation.ID))
	if why := e.Why(); why != "" {
		dst = append(dst, `,"comment":`...)
		dst = proto.AppendString(dst, remark(why, h.Hide))
	}
	return dst
}

func (h *HAR) request(dst []byte, e *proto.Exchange, q *proto.HTTPMessage) []byte {
	if h.Hide != nil {
		q, _ = h.Hide.Hide(q).(*proto.HTTPMessage)
	}
	address := URL(e, q)
	dst = append(dst, `{"method":`...)
	dst = proto.AppendString(dst, q.Method)
	dst = append(dst, `,"url":`...)
	dst = proto.AppendString(dst, address)
	dst = append(dst, `,"httpVersion":`...)
	dst = proto.AppendString(dst, q.Version)
	dst = append(dst, `,"cookies":[`...)
	n := 0
	for _, f := range q.Fields {
		if strings.EqualFold(f.Name, "Cookie") {
			for c := range strings.SplitSeq(f.Value, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(c), "=")
				dst = appendPair(dst, n, name, value, "}")
				n++
			}
		}
	}
	dst = appendHeaders(append(dst, `],"headers":`...), q.Fields)
	dst = append(dst, `,"queryString":[`...)
	if _, query, ok := strings.Cut(address, "?"); ok {
		query, _, _ = strings.Cut(query, "#")
		dst = appendQuery(dst, query)
	}
	dst = append(dst, ']')
	if body, err := h.contents.upTo(e.Request, proto.MaxContent); len(body) > 0 && h.Hide == nil {
		kind, _ := q.Get("Content-Type")
		dst = append(dst, `,"postData":{"mimeType":`...)
		dst = proto.AppendString(dst, kind)
		if strings.HasPrefix(kind, "application/x-www-form-urlencoded") {
			dst = append(dst, `,"params":[`...)
			dst = append(appendQuery(dst, string(body)), ']')
		}
		dst = append(dst, `,"text":`...)
		dst = appendText(dst, body, `,"_encoding":"base64"`) // HAR has no bytes there
		if err != nil {
			dst = append(dst, `,"comment":`...)
			dst = proto.AppendString(dst, err.Error())
		}
		dst = append(dst, '}')
	}
	return appendSizes(dst, q)
}

func (h *HAR) response(dst []byte, e *proto.Exchange, r *proto.HTTPMessage) []byte {
	if r == nil { // as Chrome has it
		return append(dst, `{"status":0,"statusText":"","httpVersion":"","cookies":[],"headers":[],"content":{"size":0,"mimeType":"x-unknown"},"redirectURL":"","headersSize":-1,"bodySize":-1}`...)
	}
	if h.Hide != nil {
		r, _ = h.Hide.Hide(r).(*proto.HTTPMessage)
	}
	dst = append(dst, `{"status":`...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, `,"statusText":`...)
	dst = proto.AppendString(dst, r.Reason)
	dst = append(dst, `,"httpVersion":`...)
	dst = proto.AppendString(dst, r.Version)
	dst = append(dst, `,"cookies":[`...)
	n := 0
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, "Set-Cookie") {
			pair, attributes, _ := strings.Cut(f.Value, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			dst = appendPair(dst, n, name, value, "")
			n++
			for a := range strings.SplitSeq(attributes, ";") {
				key, value, _ := strings.Cut(strings.TrimSpace(a), "=")
				switch strings.ToLower(key) {
				case "path", "domain":
					dst = append(dst, `,"`+strings.ToLower(key)+`":`...)
					dst = proto.AppendString(dst, value)
				case "httponly":
					dst = append(dst, `,"httpOnly":true`...)
				case "secure":
					dst = append(dst, `,"secure":true`...)
				}
			}
			dst = append(dst, '}')
		}
	}
	dst = appendHeaders(append(dst, `],"headers":`...), r.Fields)
	kind, ok := r.Get("Content-Type")
	if !ok {
		kind = "x-unknown"
	}
	body, err := h.contents.upTo(e.Response, proto.MaxContent)
	size := int64(len(body))
	if len(body) == 0 {
		size = r.BodyBytes
	}
	dst = append(dst, `,"content":{"size":`...)
	dst = strconv.AppendInt(dst, size, 10)
	if saved := size - r.BodyBytes; saved != 0 {
		dst = append(dst, `,"compression":`...)
		dst = strconv.AppendInt(dst, saved, 10)
	}
	dst = append(dst, `,"mimeType":`...)
	dst = proto.AppendString(dst, kind)
	if len(body) > 0 && h.Hide == nil {
		dst = append(dst, `,"text":`...)
		dst = appendText(dst, body, `,"encoding":"base64"`)
	}
	if err != nil && h.Hide == nil {
		dst = append(dst, `,"comment":`...)
		dst = proto.AppendString(dst, err.Error())
	}
	to, _ := r.Get("Location")
	dst = append(dst, `},"redirectURL":`...)
	dst = proto.AppendString(dst, to)
	return appendSizes(dst, r)
}

// appendSizes ends a request or a response with the sizes of its parts.
func appendSizes(dst []byte, m *proto.HTTPMessage) []byte {
	head := int64(len(m.Head))
	if head == 0 {
		head = -1 // it is not known
	}
	dst = append(dst, `,"headersSize":`...)
	dst = strconv.AppendInt(dst, head, 10)
	dst = append(dst, `,"bodySize":`...)
	return append(strconv.AppendInt(dst, m.BodyBytes, 10), '}')
}

func appendHeaders(dst []byte, fields []proto.Field) []byte {
	dst = append(dst, '[')
	for i, f := range fields {
		dst = appendPair(dst, i, f.Name, f.Value, "}")
	}
	return append(dst, ']')
}

// appendPair appends the i-th object with a name and a value, and its end.
func appendPair(dst []byte, i int, name, value, end string) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"name":`...)
	dst = proto.AppendString(dst, name)
	dst = append(dst, `,"value":`...)
	dst = proto.AppendString(dst, value)
	return append(dst, end...)
}

// maxQuery bounds the parameters that are taken apart.
const maxQuery = 1000

func appendQuery(dst []byte, query string) []byte {
	n := 0
	for p := range strings.SplitSeq(query, "&") {
		if p == "" || n == maxQuery {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		dst = appendPair(dst, n, unescape(name), unescape(value), "}")
		n++
	}
	return dst
}

// unescape takes the escapes of a URL off; what is no escape stays.
func unescape(s string) string {
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return s
}

// appendText appends text as a string; other bytes in base64, and what says so.
func appendText(dst, data []byte, encoded string) []byte {
	if utf8.Valid(data) {
		return proto.AppendString(dst, data)
	}
	return append(appendBase64(dst, data), encoded...)
}

func appendBase64(dst, data []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, data)
	return append(dst, '"')
}
