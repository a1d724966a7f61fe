// Package redact finds in messages what must not leave the house, and says what
// to put in its place. It looks at decoded messages only and changes none: it
// returns another with the secrets replaced, for a printer to show.
package redact

import (
	"net/url"
	"regexp"
	"strings"

	"netlab/decode/proto"
)

// Hidden stands in the place of a secret.
const Hidden = "***"

// secretName matches names that hold secrets, of parameters and of the header
// fields that somebody made up, as X-Api-Key. Forms put them in brackets.
var secretName = regexp.MustCompile(`(?i)(pass(word|wd|phrase)|secret|token|api[_\-]?key|signature|sess(ion)?_?id)\]?$`)

// secretParam matches what is a secret as a parameter only: short words, which
// are the end of many others.
var secretParam = regexp.MustCompile(`(?i)(^|[_\-.\[])(pass|pwd|auth|session|sid|jwt|sig|code)\]?$`)

// userinfo matches what stands before the host in a URL. A password may hold an @.
var userinfo = regexp.MustCompile(`://[^/?#]*@`)

// pathSession matches what Java servers put into paths for browsers without cookies.
var pathSession = regexp.MustCompile(`(?i)(;\w*sess(ion)?id=)[^;/?#]*`)

// Finder finds secrets. Its zero value is ready.
type Finder struct{}

// Hide returns a body without its secrets; the same when it has none.
func (Finder) Hide(b proto.Body) proto.Body {
	switch b := b.(type) {
	case *proto.HTTPMessage:
		return hideHTTP(b)
	case *proto.FTPCommand:
		if strings.EqualFold(b.Command, "PASS") || strings.EqualFold(b.Command, "ACCT") {
			return &proto.FTPCommand{Command: b.Command, Argument: Hidden}
		}
	case *proto.Turn:
		// What a turn holds is not known: its beginning is not shown.
		return &proto.Turn{Bytes: b.Bytes, Missing: b.Missing}
	}
	return b
}

func hideHTTP(h *proto.HTTPMessage) proto.Body {
	out := *h
	out.Head = "" // it holds all of them
	out.Target = hideTarget(h.Target)
	out.Fields = hideFields(h.Fields)
	out.Trailer = hideFields(h.Trailer)
	out.Answers = hideTarget(h.Answers)
	if h.GRPC != nil {
		out.GRPC = hideGRPC(h.GRPC)
	}
	return &out
}

// hideGRPC hides what messages hold: what their fields mean is not known.
func hideGRPC(g *proto.GRPC) *proto.GRPC {
	out := *g
	out.Messages = make([]proto.GRPCMessage, len(g.Messages))
	for i, m := range g.Messages {
		out.Messages[i] = proto.GRPCMessage{Bytes: m.Bytes, Compressed: m.Compressed}
	}
	return &out
}

func hideFields(fields []proto.Field) []proto.Field {
	out := make([]proto.Field, len(fields))
	for i, f := range fields {
		name := strings.ToLower(f.Name)
		switch {
		case name == "cookie":
			f.Value = hideCookies(f.Value, len(f.Value))
		case name == "set-cookie":
			f.Value = hideCookies(f.Value, 1)
		case name == "authorization" || name == "proxy-authorization":
			// The scheme before the credentials is no secret.
			if scheme, _, ok := strings.Cut(f.Value, " "); ok {
				f.Value = scheme + " " + Hidden
			} else {
				f.Value = Hidden
			}
		case f.Name == proto.UnknownName || secretName.MatchString(name):
			f.Value = Hidden // of a name that is not known, it could be anything
		case name == "referer" || name == "location" || name == "content-location":
			f.Value = hideTarget(f.Value)
		}
		out[i] = f
	}
	return out
}

// hideCookies hides the values of the first n cookies of a list; what follows
// are attributes.
func hideCookies(list string, n int) string {
	parts := strings.Split(list, ";")
	for i := range parts[:min(n, len(parts))] {
		if name, _, ok := strings.Cut(parts[i], "="); ok {
			parts[i] = name + "=" + Hidden
		} else {
			parts[i] = Hidden
		}
	}
	return strings.Join(parts, ";")
}

// hideTarget hides credentials and parameters of a request target or URL. What is
// behind a # may hold parameters too (RFC 6749, section 4.2.2).
func hideTarget(target string) string {
	target = userinfo.ReplaceAllLiteralString(target, "://"+Hidden+"@")
	target = pathSession.ReplaceAllString(target, "${1}"+Hidden)
	i := strings.IndexAny(target, "?#")
	if i < 0 {
		return target
	}
	var b strings.Builder
	b.WriteString(target[:i])
	for rest := target[i:]; rest != ""; {
		n := strings.IndexAny(rest[1:], "&#") + 1
		if n == 0 {
			n = len(rest)
		}
		b.WriteString(hideParam(rest[:n]))
		rest = rest[n:]
	}
	return b.String()
}

// hideParam hides the value of one parameter, which has a separator before it.
func hideParam(p string) string {
	before, _, ok := strings.Cut(p, "=")
	if !ok {
		return p
	}
	name, err := url.QueryUnescape(before[1:])
	if err != nil {
		name = before[1:]
	}
	if secretName.MatchString(name) || secretParam.MatchString(name) {
		return before + "=" + Hidden
	}
	return p
}
