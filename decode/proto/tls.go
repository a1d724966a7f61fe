package proto

import (
	"encoding/binary"
	"strconv"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// TLS is a connection that begins with a TLS handshake. Its one exchange is the
// hellos of both sides; what is said behind them is encrypted and passes by.
var TLS = Protocol{
	Name:       "tls",
	Probe:      probeTLS,
	New:        func(Waiting) Parser { return &tlsParser{} },
	AppendJSON: appendHellos,
	Attributes: tlsAttributes,
}

// TLSHello is what one side says of itself before it encrypts.
type TLSHello struct{ *tls.Hello }

// AppendJSON appends what the side offers or has chosen.
func (h TLSHello) AppendJSON(dst []byte) []byte {
	if h.Server {
		dst = append(dst, `"version":`...)
		dst = AppendString(dst, tls.VersionName(h.Version))
		dst = append(dst, `,"cipher":`...)
		return strconv.AppendInt(dst, int64(h.Cipher), 10)
	}
	dst = append(dst, `"sni":`...)
	dst = AppendString(dst, h.ServerName)
	dst = append(dst, `,"alpn":[`...)
	for i, name := range h.ALPN {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, name)
	}
	dst = append(dst, `],"version":`...)
	return AppendString(dst, tls.VersionName(h.Version))
}

// appendHellos appends the client's hello, with the server's in "server".
func appendHellos(dst []byte, e *Exchange) []byte {
	if e.Request != nil {
		dst = e.Request.Body.AppendJSON(dst)
		dst = append(dst, ',')
	}
	dst = append(dst, `"server":`...)
	if e.Response == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, '{')
	dst = e.Response.Body.AppendJSON(dst)
	return append(dst, '}')
}

func probeTLS(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	match, more := tls.Match(o.First[flow.ClientToServer])
	switch {
	case match:
		return Match
	case more && !o.Ended[flow.ClientToServer]:
		return NeedMore
	}
	return NoMatch
}

// tlsParser reads records up to each side's hello, whose message ends with its
// record.
type tlsParser struct {
	stream tls.Stream
	read   [2]int  // bytes of records so far
	done   [2]bool // the hello was seen, or will not come
}

// A record's header, with the type of a handshake and the largest length (RFC
// 8446, section 5.1; RFC 5246, section 6.2.3).
const (
	tlsHeaderLen = 5
	tlsHandshake = 22
	maxTLSRecord = tlsHeaderLen + 1<<14 + 2048
)

// Held returns how much of the hellos is kept at most.
func (p *tlsParser) Held() int {
	n := 0
	for d, done := range p.done {
		if !done {
			n += p.read[d]
		}
	}
	return n
}

func (p *tlsParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	if len(data) == 0 {
		return 0, nil
	}
	n := len(data)
	if n >= tlsHeaderLen {
		n = tlsHeaderLen + int(binary.BigEndian.Uint16(data[3:]))
	}
	switch {
	case p.done[d], data[0] != tlsHandshake, n > maxTLSRecord, p.read[d] > tls.MaxHandshake:
		p.done[d] = true
		return len(data), &Message{Direction: d, Kind: Skipped}
	case len(data) < max(n, tlsHeaderLen) && !end:
		return 0, nil
	}
	n = min(n, len(data))
	p.read[d] += n
	h := p.stream.Write(d, data[:n])
	if h == nil {
		return n, nil
	}
	p.done[d] = true
	if h.Server != (d == flow.ServerToClient) {
		return n, &Message{Direction: d, Kind: Skipped}
	}
	m := &Message{Direction: d, Complete: true, Body: TLSHello{h}}
	if h.Server {
		m.Kind = Response
	}
	return n, m
}

func (p *tlsParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	p.stream.Lost(d)
	p.done[d] = true
	return 0, nil
}
