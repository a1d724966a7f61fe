package proto

import (
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

type tlsParser struct {
	stream tls.Stream
	hello  [2]bool // the direction's hello was seen
}

func (p *tlsParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	h := p.stream.Write(d, data)
	if h == nil || h.Server != (d == flow.ServerToClient) {
		if p.hello[d] && len(data) > 0 {
			return len(data), &Message{Direction: d, Kind: Skipped}
		}
		return len(data), nil
	}
	p.hello[d] = true
	m := &Message{Direction: d, Complete: true, Body: TLSHello{h}}
	if h.Server {
		m.Kind = Response
	}
	return len(data), m
}

func (p *tlsParser) Gap(d flow.Direction, data []byte, n int64) *Message {
	p.stream.Lost(d)
	return nil
}
