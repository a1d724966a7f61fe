package proto

import (
	"encoding/binary"
	"net/url"
	"strconv"
	"strings"
)

// GRPC is what a message of HTTP/2 says in gRPC (PROTOCOL-HTTP2.md of
// github.com/grpc/grpc): the method that is called, the messages in the content, how
// it went. gRPC-Web is the same with the trailer in the content.
type GRPC struct {
	Service, Method string // "pkg.Service" and "Method"; empty when the request is missing
	Encoding        string // of compressed messages
	Status          string // "NOT_FOUND"; empty when it is not said
	Text            string // what is said beside it
	// Messages are the first of those in the content; More counts the others.
	Messages []GRPCMessage
	More     int64

	// Schema, if any, has names for the fields. It is set by who prints.
	Schema *Schema

	web      bool
	response bool // the messages are the answer's
	kept     int  // of all messages
}

// GRPCMessage is a message in the content, which has a flag and its length before it.
type GRPCMessage struct {
	Bytes      int64
	Compressed bool
	Data       []byte // its beginning

	trailer bool // of gRPC-Web
}

// Bounds of what is kept of a message of HTTP: messages, the bytes of each, and of
// all.
const (
	maxGRPCMessages = 64
	maxGRPCData     = 4 << 10
	maxGRPCKept     = 32 << 10
	grpcMessageCost = 48
)

func isGRPC(contentType string) bool {
	const grpc = "application/grpc"
	if len(contentType) < len(grpc) || !strings.EqualFold(contentType[:len(grpc)], grpc) {
		return false
	}
	rest := contentType[len(grpc):]
	return rest == "" || strings.ContainsRune("+;- ", rune(rest[0])) && !strings.HasPrefix(rest, "-web-text")
}

// splitGRPC takes a path apart: /pkg.Service/Method.
func splitGRPC(path string) (service, method string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return strings.TrimPrefix(path[:i], "/"), path[i+1:]
}

func (g *GRPC) held() int {
	if g == nil {
		return 0
	}
	return g.kept + grpcMessageCost*len(g.Messages)
}

// grpcReader finds the messages in the content.
type grpcReader struct {
	to     *GRPC
	header [5]byte
	n      int   // bytes of the header so far
	left   int64 // of the message
	lost   bool  // some content is missing: where messages begin is not known
}

// grpcEndTrailer is the flag of gRPC-Web's trailer.
const grpcEndTrailer = 0x80

// write goes on in the content, and returns how much memory that took.
func (r *grpcReader) write(data []byte) int {
	g, took := r.to, 0
	for len(data) > 0 && !r.lost {
		if r.left == 0 {
			n := copy(r.header[r.n:], data)
			r.n += n
			data = data[n:]
			if r.n < len(r.header) {
				break
			}
			r.n = 0
			r.left = int64(binary.BigEndian.Uint32(r.header[1:]))
			if len(g.Messages) == maxGRPCMessages {
				g.More++
				continue
			}
			flags := r.header[0]
			g.Messages = append(g.Messages, GRPCMessage{Bytes: r.left, Compressed: flags&1 != 0, trailer: g.web && flags&grpcEndTrailer != 0})
			took += grpcMessageCost
			continue
		}
		n := int(min(r.left, int64(len(data))))
		if g.More == 0 {
			m := &g.Messages[len(g.Messages)-1]
			if k := min(n, maxGRPCData-len(m.Data), maxGRPCKept-g.kept); k > 0 {
				m.Data = append(m.Data, data[:k]...)
				g.kept += k
				took += k
			}
		}
		r.left -= int64(n)
		data = data[n:]
	}
	return took
}

// skip goes on behind content that is missing.
func (r *grpcReader) skip(n int64) {
	if r == nil || n == 0 {
		return
	}
	if n > r.left {
		r.lost = true
	}
	// What is kept of a message is its beginning: nothing is kept behind the gap.
	r.left -= min(n, r.left)
	r.to.kept = maxGRPCKept
}

// grpcCodes are the names of status codes (statuscodes.md of github.com/grpc/grpc).
var grpcCodes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// finish takes the status from the trailer, which may be all there is of a response.
func (g *GRPC) finish(h *HTTPMessage) {
	fields := [][]Field{h.Trailer, h.Fields}
	if n := len(g.Messages); n > 0 && g.Messages[n-1].trailer {
		if m := g.Messages[n-1]; int64(len(m.Data)) == m.Bytes {
			trailer, _ := parseFields(nil, string(m.Data))
			fields = append(fields, trailer)
		}
		g.Messages = g.Messages[:n-1]
	}
	for _, list := range fields {
		for _, f := range list {
			switch {
			case g.Status == "" && strings.EqualFold(f.Name, "grpc-status"):
				g.Status = grpcCode(f.Value)
			case g.Text == "" && strings.EqualFold(f.Name, "grpc-message"):
				g.Text = f.Value
				if text, err := url.PathUnescape(f.Value); err == nil {
					g.Text = text
				}
			}
		}
	}
}

// grpcCode names a status; one without a name is what was said.
func grpcCode(value string) string {
	if n, err := strconv.ParseUint(value, 10, 8); err == nil && n < uint64(len(grpcCodes)) {
		return grpcCodes[n]
	}
	return value
}

// appendJSON appends `,"grpc":{…}`.
func (g *GRPC) appendJSON(dst []byte) []byte {
	if g == nil {
		return dst
	}
	dst = AppendString(append(dst, `,"grpc":{"service":`...), g.Service)
	dst = AppendString(append(dst, `,"method":`...), g.Method)
	if g.Encoding != "" {
		dst = AppendString(append(dst, `,"encoding":`...), g.Encoding)
	}
	if g.Status != "" {
		dst = AppendString(append(dst, `,"status":`...), g.Status)
	}
	if g.Text != "" {
		dst = AppendString(append(dst, `,"message":`...), g.Text)
	}
	dst = append(dst, `,"messages":[`...)
	for i := range g.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = g.appendMessage(dst, &g.Messages[i])
	}
	dst = append(dst, ']')
	if g.More > 0 {
		dst = strconv.AppendInt(append(dst, `,"more_messages":`...), g.More, 10)
	}
	return append(dst, '}')
}

// maxGRPCDecompressed bounds a message without its encoding.
const maxGRPCDecompressed = 64 << 10

func (g *GRPC) appendMessage(dst []byte, m *GRPCMessage) []byte {
	dst = strconv.AppendInt(append(dst, `{"bytes":`...), m.Bytes, 10)
	data := m.Data
	if m.Compressed {
		dst = append(dst, `,"compressed":true`...)
		data, _ = decodeContent(strings.ToLower(g.Encoding), data, maxGRPCDecompressed) // what there is of it
		if g.Encoding == "" {
			data = nil
		}
	}
	if len(data) > 0 {
		before := len(dst)
		dst = append(dst, `,"fields":`...)
		var ok bool
		if dst, ok = appendProtobuf(dst, data, g.typeOf(), int64(len(m.Data)) < m.Bytes); !ok {
			dst = dst[:before]
		}
	}
	if int64(len(m.Data)) < m.Bytes && len(m.Data) > 0 {
		dst = append(dst, `,"cut":true`...)
	}
	return append(dst, '}')
}

// typeOf returns what is known of the messages' fields.
func (g *GRPC) typeOf() *protobufType {
	if g.Schema == nil {
		return nil
	}
	types := g.Schema.methods[g.Service+"/"+g.Method]
	if g.response {
		return g.Schema.types[types[1]]
	}
	return g.Schema.types[types[0]]
}

// Described returns the message with names for the fields of gRPC; the same when it
// has none.
func (h *HTTPMessage) Described(s *Schema) *HTTPMessage {
	if h.GRPC == nil {
		return h
	}
	out, g := *h, *h.GRPC
	g.Schema, out.GRPC = s, &g
	return &out
}

// The attributes.

func grpcOf(e *Exchange) *GRPC {
	for _, m := range []*Message{e.Request, e.Response} {
		if h, ok := bodyOf[*HTTPMessage](m); ok && h.GRPC != nil {
			return h.GRPC
		}
	}
	return nil
}

func getGRPCService(values []Value, e *Exchange) []Value {
	if g := grpcOf(e); g != nil && g.Service != "" {
		return AppendText(values, g.Service)
	}
	return values
}

func getGRPCMethod(values []Value, e *Exchange) []Value {
	if g := grpcOf(e); g != nil && g.Method != "" {
		return AppendText(values, g.Method)
	}
	return values
}

func getGRPCStatus(values []Value, e *Exchange) []Value {
	if h, ok := bodyOf[*HTTPMessage](e.Response); ok && h.GRPC != nil && h.GRPC.Status != "" {
		return AppendText(values, h.GRPC.Status)
	}
	return values
}

func getGRPCMessages(values []Value, e *Exchange) []Value {
	n, any := int64(0), false
	for _, m := range e.Messages() {
		if h, ok := bodyOf[*HTTPMessage](m); ok && h.GRPC != nil {
			n, any = n+int64(len(h.GRPC.Messages))+h.GRPC.More, true
		}
	}
	if !any {
		return values
	}
	return AppendNumber(values, n)
}
