package proto

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"netlab/decode/tls"
)

// TLSHello is what a client says of itself before it encrypts.
type TLSHello struct{ *tls.Hello }

// Held returns about how much memory it takes.
func (h *TLSHello) Held() int {
	n := len(h.ServerName) + 512
	for _, name := range h.ALPN {
		n += 16 + len(name)
	}
	return n
}

// Endpoint is the server's name.
func (h *TLSHello) Endpoint() string { return strings.TrimSpace("hello " + h.ServerName) }

// AppendJSON appends what the client offers.
func (h *TLSHello) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"sni":`...)
	dst = AppendString(dst, h.ServerName)
	dst = append(dst, `,"alpn":`...)
	dst = appendStrings(dst, h.ALPN)
	dst = append(dst, `,"version":`...)
	dst = AppendString(dst, tls.VersionName(h.Version))
	if len(h.Versions) > 0 {
		var names []string
		for _, v := range h.Versions {
			names = append(names, tls.VersionName(v))
		}
		dst = append(dst, `,"versions":`...)
		dst = appendStrings(dst, names)
	}
	dst = append(dst, `,"ja3":`...)
	dst = AppendString(dst, h.JA3)
	dst = append(dst, `,"ja4":`...)
	return AppendString(dst, h.JA4)
}

// TLSAnswer is what came of a client's hello, as far as it was in clear or was
// opened.
type TLSAnswer struct{ *tls.Handshake }

// Summary is one line about it.
func (a *TLSAnswer) Summary() string {
	var parts []string
	if a.Server != nil {
		parts = append(parts, a.Server.Summary())
	}
	if a.Retried {
		parts = append(parts, "wants another hello")
	}
	if a.Resumed != "" {
		parts = append(parts, "resumed by "+a.Resumed)
	}
	if a.EarlyData != "" {
		parts = append(parts, "early data "+a.EarlyData)
	}
	if len(a.Certificates) > 0 {
		if c := &a.Certificates[0]; c.Subject != "" {
			parts = append(parts, "certificate of "+c.Subject)
		} else if len(c.Names) > 0 {
			parts = append(parts, "certificate of "+c.Names[0])
		}
	}
	if a.Alert != nil {
		parts = append(parts, fmt.Sprintf("%s alert of the %s: %s", a.Alert.Level(), [...]string{"client", "server"}[a.Alert.By], a.Alert.Name()))
	}
	return strings.Join(parts, ", ")
}

// Outcome is the alert, if there is one: a fatal one is a failure.
func (a *TLSAnswer) Outcome() (code int, word string, failed bool) {
	if a.Alert == nil {
		return 0, "", false
	}
	return int(a.Alert.Code), a.Alert.Name(), a.Alert.Fatal
}

// AppendJSON appends what the server has chosen, and how the handshake went.
func (a *TLSAnswer) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"server":`...)
	if s := a.Server; s == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendChosen(append(dst, '{'), s)
		if len(s.ALPN) > 0 {
			dst = append(dst, `,"alpn":`...)
			dst = appendStrings(dst, s.ALPN)
		}
		dst = append(dst, '}')
	}
	if a.Retried {
		dst = append(dst, `,"retried":true`...)
	}
	if a.Resumed != "" {
		dst = append(dst, `,"resumed":`...)
		dst = AppendString(dst, a.Resumed)
	}
	if a.EarlyData != "" {
		dst = append(dst, `,"early_data":`...)
		dst = AppendString(dst, a.EarlyData)
	}
	if len(a.Certificates) > 0 {
		dst = append(dst, `,"certificates":[`...)
		for i := range a.Certificates {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCertificate(dst, &a.Certificates[i])
		}
		dst = append(dst, ']')
	}
	if a.Alert != nil {
		dst = append(dst, `,"alert":`...)
		dst = AppendString(dst, a.Alert.Name())
		dst = append(dst, `,"alert_level":`...)
		dst = AppendString(dst, a.Alert.Level())
		dst = append(dst, `,"alert_by":`...)
		dst = AppendString(dst, [...]string{"client", "server"}[a.Alert.By])
	}
	return dst
}

// appendChosen appends what a server has chosen.
func appendChosen(dst []byte, s *tls.Hello) []byte {
	dst = append(dst, `"version":`...)
	dst = AppendString(dst, tls.VersionName(s.Version))
	dst = append(dst, `,"cipher":`...)
	dst = strconv.AppendInt(dst, int64(s.Cipher), 10)
	dst = append(dst, `,"cipher_name":`...)
	return AppendString(dst, s.CipherName())
}

func appendCertificate(dst []byte, c *tls.Certificate) []byte {
	if c.Why != "" {
		dst = append(dst, `{"why":`...)
		dst = AppendString(dst, c.Why)
		return append(dst, '}')
	}
	dst = append(dst, `{"subject":`...)
	dst = AppendString(dst, c.Subject)
	dst = append(dst, `,"names":`...)
	dst = appendStrings(dst, c.Names)
	if c.MoreNames > 0 {
		dst = append(dst, `,"more_names":`...)
		dst = strconv.AppendInt(dst, int64(c.MoreNames), 10)
	}
	dst = append(dst, `,"issuer":`...)
	dst = AppendString(dst, c.Issuer)
	dst = append(dst, `,"not_before":`...)
	dst = AppendString(dst, c.NotBefore.Format(time.RFC3339))
	dst = append(dst, `,"not_after":`...)
	dst = AppendString(dst, c.NotAfter.Format(time.RFC3339))
	return append(dst, '}')
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, s)
	}
	return append(dst, ']')
}

// appendHellos appends the client's hello, with the server's in "server".
func appendHellos(dst []byte, e *Exchange) []byte {
	if e.Request != nil {
		dst = e.Request.Body.AppendJSON(dst)
		dst = append(dst, ',')
	}
	if e.Response != nil {
		return e.Response.Body.AppendJSON(dst)
	}
	dst = append(dst, `"server":null`...)
	if h, ok := bodyOf[*TLSHello](e.Request); ok && h.EarlyData {
		dst = append(dst, `,"early_data":"offered"`...)
	}
	return dst
}
