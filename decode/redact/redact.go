// Package redact finds in messages what must not leave the house, and says what
// to put in its place. It looks at decoded messages only and changes none: it
// returns another with the secrets replaced, for a printer to show.
package redact

import (
	"regexp"
	"strings"

	"netlab/decode/proto"
)

// Hidden stands in the place of a secret.
const Hidden = "***"

// secretFields are HTTP fields whose value proves who one is. What they are
// called stays, and so does the scheme before a credential.
var secretFields = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true,
	"x-api-key": true, "x-auth-token": true, "x-csrf-token": true, "x-xsrf-token": true, "api-key": true,
}

// secretName matches names of parameters that hold secrets.
var secretName = regexp.MustCompile(`(?i)(^|[_\-.])(pass(word|wd|phrase)?|pwd|secret|token|api_?key|auth|session(_?id)?|sid|jwt|signature|sig|code)$`)

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
		case secretFields[name]:
			if scheme, _, ok := strings.Cut(f.Value, " "); ok {
				f.Value = scheme + " " + Hidden
			} else {
				f.Value = Hidden
			}
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

// hideTarget hides credentials and parameters of a request target or URL.
func hideTarget(target string) string {
	if scheme, rest, ok := strings.Cut(target, "://"); ok {
		host, path, _ := strings.Cut(rest, "/")
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			target = scheme + "://" + Hidden + host[i:] + "/" + path
		}
	}
	path, query, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		if name, _, ok := strings.Cut(p, "="); ok && secretName.MatchString(name) {
			pairs[i] = name + "=" + Hidden
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}
