// Package tls looks into TLS streams.
//
// It stands between decode/tcp and decode/proto for connections that begin with
// a TLS handshake. A Stream is fed both directions and tells what both sides say
// of themselves before they encrypt. It keeps at most one flight of handshake
// messages in a direction, MaxHandshake bytes.
package tls

import (
	"encoding/binary"
	"fmt"
	"strings"

	"netlab/decode/flow"
)

// MaxHandshake bounds the hello of one side: certificates come behind it, so 64
// KiB leave room for post-quantum key shares.
const MaxHandshake = 64 << 10

// Content and handshake types (RFC 8446, sections 5.1 and 4).
const (
	recordHandshake = 22
	clientHello     = 1
	serverHello     = 2

	recordHeaderLen = 5
	maxRecord       = 16384 + 2048 // RFC 5246, section 6.2.3
)

// Extensions that are read (RFC 6066, 7301, 8446).
const (
	extServerName        = 0
	extALPN              = 16
	extSupportedVersions = 43
)

// Hello is a ClientHello or ServerHello.
type Hello struct {
	Server     bool
	ServerName string   // SNI, from a client
	ALPN       []string // offered by a client; the one chosen by a server, in clear up to 1.2
	Version    uint16   // the highest offered, or the one chosen
	Cipher     uint16   // chosen by a server
}

// VersionName returns "1.3" for 0x0304.
func VersionName(v uint16) string {
	switch v {
	case 0x0300:
		return "ssl 3.0"
	case 0x0301:
		return "1.0"
	case 0x0302:
		return "1.1"
	case 0x0303:
		return "1.2"
	case 0x0304:
		return "1.3"
	}
	return fmt.Sprintf("0x%04x", v)
}

// Summary is one line about the hello.
func (h *Hello) Summary() string {
	if h.Server {
		return fmt.Sprintf("server hello, TLS %s, cipher 0x%04x", VersionName(h.Version), h.Cipher)
	}
	s := "client hello, TLS " + VersionName(h.Version)
	if h.ServerName != "" {
		s += " for " + h.ServerName
	}
	if len(h.ALPN) > 0 {
		s += ", offers " + strings.Join(h.ALPN, " ")
	}
	return s
}

// Match reports whether a client's first bytes begin a TLS handshake: a record
// of version 3 with a ClientHello. More is wanted when they are few.
func Match(first []byte) (match, more bool) {
	want := []func(byte) bool{
		0: func(b byte) bool { return b == recordHandshake },
		1: func(b byte) bool { return b == 3 },
		2: func(b byte) bool { return b <= 4 },
		3: func(b byte) bool { return b <= maxRecord>>8 },
		5: func(b byte) bool { return b == clientHello },
		// The length of the hello begins with 0; in a record of one byte it stands
		// in the next.
		6: func(b byte) bool { return b == 0 || b == recordHandshake },
	}
	for i, b := range first[:min(len(first), len(want))] {
		if want[i] != nil && !want[i](b) {
			return false, false
		}
	}
	return len(first) >= len(want), len(first) < len(want)
}

// Stream follows the handshake of one connection.
type Stream struct {
	sides [2]side
}

// side gathers the first handshake message of one direction out of its records.
type side struct {
	buf  []byte // the record in progress
	msg  []byte // handshake bytes of whole records
	done bool
}

// Write adds bytes of a direction and returns its hello once it is whole.
func (s *Stream) Write(d flow.Direction, data []byte) *Hello {
	x := &s.sides[d]
	if x.done {
		return nil
	}
	x.buf = append(x.buf, data...)
	for len(x.buf) >= recordHeaderLen {
		n := int(binary.BigEndian.Uint16(x.buf[3:]))
		if x.buf[0] != recordHandshake || n == 0 || n > maxRecord || len(x.msg)+n > MaxHandshake {
			return x.end(nil)
		}
		if len(x.buf) < recordHeaderLen+n {
			return nil
		}
		x.msg = append(x.msg, x.buf[recordHeaderLen:recordHeaderLen+n]...)
		x.buf = x.buf[recordHeaderLen+n:]
		if len(x.msg) < 4 {
			continue
		}
		size := int(x.msg[1])<<16 | int(x.msg[2])<<8 | int(x.msg[3])
		if size > MaxHandshake {
			return x.end(nil)
		}
		if len(x.msg) >= 4+size {
			return x.end(parseHello(x.msg[0], x.msg[4:4+size]))
		}
	}
	return nil
}

// Lost says that bytes of a direction are missing: its hello can't be read.
func (s *Stream) Lost(d flow.Direction) { s.sides[d].end(nil) }

func (x *side) end(h *Hello) *Hello {
	*x = side{done: true}
	return h
}

// reader takes a message apart; what is short yields zeroes and sets bad, which
// the readers of one message share.
type reader struct {
	b   []byte
	bad *bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		*r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// number reads n bytes, at most 3, as a big-endian number.
func (r *reader) number(n int) int {
	v := 0
	for _, b := range r.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// list reads what has its length in n bytes before it.
func (r *reader) list(n int) reader { return reader{r.take(r.number(n)), r.bad} }

// parseHello reads a ClientHello or ServerHello (RFC 8446, sections 4.1.2 and
// 4.1.3); nil when it is neither, or malformed.
func parseHello(typ byte, b []byte) *Hello {
	var bad bool
	r := reader{b, &bad}
	h := &Hello{Server: typ == serverHello}
	if typ != clientHello && typ != serverHello {
		return nil
	}
	h.Version = uint16(r.number(2))
	r.take(32) // random
	r.list(1)  // session
	if h.Server {
		h.Cipher = uint16(r.number(2))
		r.number(1)
	} else {
		r.list(2)
		r.list(1)
	}
	var ext reader
	if len(r.b) > 0 { // before TLS 1.3 there may be none
		ext = r.list(2)
	}
	for len(ext.b) > 0 {
		typ := ext.number(2)
		body := ext.list(2)
		switch typ {
		case extServerName:
			if h.Server {
				break // it only says that the name was understood
			}
			for names := body.list(2); len(names.b) > 0; {
				kind, name := names.number(1), names.list(2)
				if kind == 0 && h.ServerName == "" { // a host name; no other was ever defined
					h.ServerName = string(name.b)
				}
			}
		case extALPN:
			for names := body.list(2); len(names.b) > 0; {
				name := names.list(1)
				h.ALPN = append(h.ALPN, string(name.b))
			}
		case extSupportedVersions:
			// The version at the head is not meant then (RFC 8446, section 4.2.1).
			if v := highestVersion(body, h.Server); v != 0 {
				h.Version = v
			}
		}
	}
	if bad {
		return nil
	}
	return h
}

// highestVersion reads supported_versions, without the values that clients throw
// in to keep servers tolerant (RFC 8701).
func highestVersion(body reader, server bool) uint16 {
	if server {
		return uint16(body.number(2))
	}
	var highest uint16
	for versions := body.list(1); len(versions.b) > 0; {
		if v := uint16(versions.number(2)); v&0x0f0f != 0x0a0a {
			highest = max(highest, v)
		}
	}
	return highest
}
