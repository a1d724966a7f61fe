// Package tls looks into TLS streams.
//
// It stands between decode/tcp and decode/proto for connections that begin with
// a TLS handshake. A Stream is fed the records of both directions. It tells what
// both sides say of themselves before they encrypt, and, where Secrets has the keys
// of the connection, what they say behind it. It keeps at most MaxHandshake bytes of
// handshake messages in a direction, and one record that was opened.
package tls

import (
	"fmt"
	"strings"
)

// MaxHandshake bounds the hello of one side: certificates come behind it, so 64
// KiB leave room for post-quantum key shares.
const MaxHandshake = 64 << 10

// Content and handshake types (RFC 8446, sections 5.1 and 4).
const (
	recordChange      = 20
	recordAlert       = 21
	recordHandshake   = 22
	recordApplication = 23

	clientHello      = 1
	serverHello      = 2
	endOfEarlyData   = 5
	encryptedExts    = 8
	certificates     = 11
	finished         = 20
	keyUpdate        = 24
	recordHeaderLen  = 5
	messageHeaderLen = 4
	maxRecord        = 16384 + 2048 // RFC 5246, section 6.2.3
)

// The versions.
const (
	version10 = 0x0301
	version12 = 0x0303
	version13 = 0x0304
)

// Extensions that are read (RFC 6066, 7301, 7366, 8422, 5077, 8446).
const (
	extServerName        = 0
	extGroups            = 10
	extPoints            = 11
	extSignatures        = 13
	extALPN              = 16
	extEncryptThenMAC    = 22
	extTicket            = 35
	extPSK               = 41
	extEarlyData         = 42
	extSupportedVersions = 43
)

// retryRandom is in place of a server's random bytes when it asks for another
// ClientHello (RFC 8446, section 4.1.3).
var retryRandom = random{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// Hello is a ClientHello or ServerHello.
type Hello struct {
	Server     bool
	ServerName string   // SNI, from a client
	ALPN       []string // offered by a client; the one chosen by a server, in clear up to 1.2
	Version    uint16   // the highest offered, or the one chosen
	Cipher     uint16   // chosen by a server

	// Of a client: all versions that it offers, when it lists them; its fingerprints;
	// whether it offers data before the handshake is done.
	Versions  []uint16
	JA3, JA4  string
	EarlyData bool
	// Retry means that a server only asks for another ClientHello.
	Retry bool

	random      random
	session     string // its id
	ticket      bool   // a client offers one, up to 1.2
	psk         bool   // a client offers some; a server has chosen one
	etm         bool   // a server's: the MAC is of what is encrypted
	compression int    // a server's
}

// CipherName returns the name of the cipher suite, or its number.
func (h *Hello) CipherName() string {
	if name := suiteNames()[h.Cipher]; name != "" {
		return name
	}
	return fmt.Sprintf("0x%04x", h.Cipher)
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
		return fmt.Sprintf("server hello, TLS %s, cipher %s", VersionName(h.Version), h.CipherName())
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
	copy(h.random[:], r.take(len(h.random)))
	session := r.list(1)
	h.session = string(session.b)
	var o offer
	o.head = h.Version
	if h.Server {
		h.Cipher = uint16(r.number(2))
		h.compression = r.number(1)
		h.Retry = h.random == retryRandom
	} else {
		o.ciphers = numbers(r.list(2))
		r.list(1)
	}
	var ext reader
	if len(r.b) > 0 { // before TLS 1.3 there may be none
		ext = r.list(2)
	}
	for len(ext.b) > 0 {
		typ := ext.number(2)
		body := ext.list(2)
		o.extensions = append(o.extensions, uint16(typ))
		switch typ {
		case extGroups:
			if !h.Server {
				o.groups = numbers(body.list(2))
			}
		case extPoints:
			if !h.Server {
				points := body.list(1)
				o.points = points.b
			}
		case extSignatures:
			if !h.Server {
				o.signatures = numbers(body.list(2))
			}
		case extEncryptThenMAC:
			h.etm = h.Server
		case extTicket:
			h.ticket = len(body.b) > 0
		case extPSK:
			h.psk = true
		case extEarlyData:
			h.EarlyData = !h.Server
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
			if v := h.versions(body); v != 0 {
				h.Version = v
			}
		}
	}
	if bad {
		return nil
	}
	if !h.Server {
		h.JA3, h.JA4 = o.ja3(), o.ja4(h)
	}
	return h
}

// numbers reads a list of numbers of two bytes; an odd byte at its end is not read.
func numbers(r reader) []uint16 {
	out := make([]uint16, 0, len(r.b)/2)
	for len(r.b) >= 2 {
		out = append(out, uint16(r.number(2)))
	}
	return out
}

// versions reads supported_versions, without the values that clients throw in to
// keep servers tolerant (RFC 8701), and returns the highest.
func (h *Hello) versions(body reader) uint16 {
	if h.Server {
		return uint16(body.number(2))
	}
	var highest uint16
	for versions := body.list(1); len(versions.b) > 0; {
		if v := uint16(versions.number(2)); v&0x0f0f != 0x0a0a {
			highest = max(highest, v)
			h.Versions = append(h.Versions, v)
		}
	}
	return highest
}
