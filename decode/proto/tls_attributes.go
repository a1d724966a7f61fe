package proto

import (
	"fmt"

	"netlab/decode/tls"
)

// tlsAttributes are what can be asked about the hellos of a connection.
var tlsAttributes = []Attribute{
	{Name: "tls.sni", About: "the server's name, as the client has it", Get: of(requestOf, func(vs []Value, h TLSHello) []Value {
		if h.ServerName == "" {
			return vs
		}
		return appendText(vs, h.ServerName)
	})},
	{Name: "tls.alpn", About: "the protocols that the client offers", Get: of(requestOf, appendALPN)},
	{Name: "tls.alpn.chosen", About: "the one that the server has chosen, up to TLS 1.2", Get: of(responseOf, appendALPN)},
	{Name: "tls.version", About: "the one chosen, else the highest offered: 1.3", Get: func(vs []Value, e *Exchange) []Value {
		for _, m := range [...]*Message{e.Response, e.Request} {
			if h, ok := bodyOf[TLSHello](m); ok {
				return appendText(vs, tls.VersionName(h.Version))
			}
		}
		return vs
	}},
	{Name: "tls.cipher", About: "the cipher suite chosen: 0x1301", Get: of(responseOf, func(vs []Value, h TLSHello) []Value {
		return appendText(vs, fmt.Sprintf("0x%04x", h.Cipher))
	})},
}

func appendALPN(vs []Value, h TLSHello) []Value {
	for _, name := range h.ALPN {
		vs = appendText(vs, name)
	}
	return vs
}
