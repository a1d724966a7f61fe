package proto

import (
	"fmt"

	"netlab/decode/tls"
)

// tlsAttributes are what can be asked about a handshake.
var tlsAttributes = []Attribute{
	{Name: "tls.sni", About: "the server's name, as the client asks for it", Get: of(requestOf, func(vs []Value, h *TLSHello) []Value {
		return appendWord(vs, h.ServerName)
	})},
	{Name: "tls.alpn", About: "the protocols that the client offers to speak", Get: of(requestOf, func(vs []Value, h *TLSHello) []Value {
		return appendALPN(vs, h.ALPN)
	})},
	{Name: "tls.alpn.chosen", About: "the one that the server has chosen; from TLS 1.3 on with keys", Get: ofServer(func(vs []Value, h *tls.Hello) []Value {
		return appendALPN(vs, h.ALPN)
	})},
	{Name: "tls.version", About: "the one chosen, else the highest offered: 1.3", Get: func(vs []Value, e *Exchange) []Value {
		if a, ok := bodyOf[*TLSAnswer](e.Response); ok && a.Server != nil {
			return AppendText(vs, tls.VersionName(a.Server.Version))
		}
		if h, ok := bodyOf[*TLSHello](e.Request); ok {
			return AppendText(vs, tls.VersionName(h.Version))
		}
		return vs
	}},
	{Name: "tls.cipher", About: "the cipher suite chosen: 0x1301", Get: ofServer(func(vs []Value, h *tls.Hello) []Value {
		return AppendText(vs, fmt.Sprintf("0x%04x", h.Cipher))
	})},
	{Name: "tls.cipher_name", About: "its name: TLS_AES_128_GCM_SHA256", Get: ofServer(func(vs []Value, h *tls.Hello) []Value {
		return AppendText(vs, h.CipherName())
	})},
	{Name: "tls.ja3", About: "the client's fingerprint", Get: of(requestOf, func(vs []Value, h *TLSHello) []Value { return AppendText(vs, h.JA3) })},
	{Name: "tls.ja4", About: "the client's fingerprint", Get: of(requestOf, func(vs []Value, h *TLSHello) []Value { return AppendText(vs, h.JA4) })},
	{Name: "tls.resumed", About: "what an earlier connection is resumed by: session id, ticket, psk", Get: of(responseOf, func(vs []Value, a *TLSAnswer) []Value {
		return appendWord(vs, a.Resumed)
	})},
	{Name: "tls.early_data", About: "offered, accepted or rejected", Get: of(responseOf, func(vs []Value, a *TLSAnswer) []Value {
		return appendWord(vs, a.EarlyData)
	})},
	{Name: "tls.alert", About: "what ended the handshake", Get: of(responseOf, func(vs []Value, a *TLSAnswer) []Value {
		if a.Alert == nil {
			return vs
		}
		return AppendText(vs, a.Alert.Name())
	})},
	{Name: "tls.names", About: "the names in the server's certificate", Get: of(responseOf, func(vs []Value, a *TLSAnswer) []Value {
		if len(a.Certificates) == 0 {
			return vs
		}
		c := &a.Certificates[0]
		vs = AppendText(vs, c.Subject)
		for _, name := range c.Names {
			if name != c.Subject { // which most certificates name twice
				vs = AppendText(vs, name)
			}
		}
		return vs
	})},
}

// ofServer gets something of the server's hello.
func ofServer(get func([]Value, *tls.Hello) []Value) func([]Value, *Exchange) []Value {
	return of(responseOf, func(vs []Value, a *TLSAnswer) []Value {
		if a.Server == nil {
			return vs
		}
		return get(vs, a.Server)
	})
}

func appendALPN(vs []Value, names []string) []Value {
	for _, name := range names {
		vs = AppendText(vs, name)
	}
	return vs
}
