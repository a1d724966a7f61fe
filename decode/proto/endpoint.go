package proto

import (
	"encoding/binary"
	"strings"
)

// Outcome is the status, which is a failure from 400 on; of gRPC, its own.
func (h *HTTPMessage) Outcome() (code int, word string, failed bool) {
	if h.GRPC != nil && h.GRPC.Status != "" {
		return 0, h.GRPC.Status, h.GRPC.Status != "OK"
	}
	return h.Status, "", h.Status >= 400
}

// Endpoint is the method, the host, and the path with {id} in place of what looks
// like one; of gRPC, the service and its method.
func (h *HTTPMessage) Endpoint() string { return string(h.appendEndpoint(nil)) }

func (h *HTTPMessage) appendEndpoint(dst []byte) []byte {
	if h.GRPC != nil {
		return append(append(append(dst, h.GRPC.Service...), '/'), h.GRPC.Method...)
	}
	path := h.Target
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	dst = append(append(dst, h.Method...), ' ')
	if strings.HasPrefix(path, "/") {
		host, _ := h.Get("Host")
		dst = append(dst, host...)
	}
	for rest := path; rest != ""; {
		segment := rest
		if i := strings.IndexByte(rest[1:], '/'); i >= 0 {
			segment = rest[:i+1]
		}
		rest = rest[len(segment):]
		if segment[0] == '/' && isID(segment[1:]) {
			segment = "/{id}"
		}
		dst = append(dst, segment...)
	}
	return dst
}

// longID is how long what has both letters and digits has to be to look like a
// random identifier, and not like a name with a number in it.
const longID = 20

// isID reports whether a part of a path looks like an identifier: a number, a UUID,
// or a long run of letters and digits.
func isID(s string) bool {
	var digits, letters, hex int
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
		case 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F':
			hex++
			letters++
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			letters++
		case c != '-' && c != '_':
			return false
		}
	}
	switch {
	case digits == 0:
		return false
	case letters == 0:
		return digits == len(s)
	case letters == hex && digits+hex >= 16:
		return true
	}
	return digits >= 4 && len(s) >= longID
}

// Outcome is the response code, by its name.
func (m *DNSMessage) Outcome() (code int, word string, failed bool) {
	return m.Code(), m.Rcode(), m.Code() != 0
}

// Endpoint is the type that is asked for.
func (m *DNSMessage) Endpoint() string {
	if off := skipName(m.Wire, dnsHeaderLen); off > 0 && off+4 <= len(m.Wire) {
		return dnsType(binary.BigEndian.Uint16(m.Wire[off:]))
	}
	return "nothing"
}

// Outcome is the code, which is a failure from 400 on (RFC 959, section 4.2.1).
func (r *FTPReply) Outcome() (code int, word string, failed bool) {
	return r.Code, "", r.Code >= 400
}

// Endpoint is the command.
func (c *FTPCommand) Endpoint() string { return strings.ToUpper(c.Command) }
