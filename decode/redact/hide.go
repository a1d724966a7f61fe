package redact

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"netlab/decode/proto"
)

// Hidden stands in the place of a secret.
const Hidden = "***"

// userinfo matches what stands before the host in a URL. A password may hold an @.
var userinfo = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`://[^/?#]*@`)
})

// pathSession matches what Java servers put into paths for browsers without cookies.
var pathSession = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(;\w*sess(ion)?id=)[^;/?#]*`)
})

// Finder finds secrets in messages that were decoded. It changes none: it returns another
// with the secrets replaced, for a printer to show. Its zero value is ready.
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
	case *proto.PostgresRequest:
		out := *b
		// Any literal may be one.
		out.Query, out.Parameters = b.Shape(), hideValues(b.Parameters)
		out.Settings = hidePairs(b.Settings)
		return &out
	case *proto.PostgresResponse:
		out := *b
		out.Results, out.Error = hideResults(b.Results), hideError(b.Error)
		out.Notices = nil
		for i := range b.Notices {
			out.Notices = append(out.Notices, *hideError(&b.Notices[i]))
		}
		out.Settings = hidePairs(b.Settings)
		if out.Payload != "" {
			out.Payload = Hidden
		}
		return &out
	case *proto.MySQLRequest:
		out := *b
		out.Query, out.Parameters = b.Shape(), hideValues(b.Parameters)
		out.Attributes = hidePairs(b.Attributes)
		return &out
	case *proto.MySQLResponse:
		out := *b
		out.Results, out.Error = hideResults(b.Results), hideError(b.Error)
		return &out
	case *proto.MQTTPacket:
		return hideMQTT(b)
	case *proto.WebSocketFrame:
		return hideFrame(b)
	case *proto.ServerEvent:
		out := *b
		if out.Data = Hidden; out.ID != "" {
			out.ID = Hidden
		}
		return &out
	case *proto.SMTPCommand:
		if argument, ok := b.Secret(Hidden); ok {
			out := *b
			out.Argument = argument
			return &out
		}
	case *proto.RedisCommand:
		if values, ok := hideRedis(b.Arguments, b.IsSecret); ok {
			out := *b
			out.Arguments = values
			return &out
		}
	case *proto.RedisReply:
		if values, ok := hideRedis(b.Values, b.IsSecret); ok {
			out := *b
			out.Values = values
			return &out
		}
	case *proto.Turn:
		// What a turn holds is not known: its beginning is not shown.
		return &proto.Turn{Bytes: b.Bytes, Missing: b.Missing}
	}
	return b
}

// hideFrame leaves what a frame is. What an application says in it, and as a reason
// for closing, is not known.
func hideFrame(f *proto.WebSocketFrame) proto.Body {
	out := *f
	if out.Reason != "" {
		out.Reason = Hidden
	}
	if f.Message != nil {
		m := *f.Message
		m.Content = nil
		out.Message = &m
	}
	return &out
}

// hideRedis returns values without those that are secret, and whether there are
// such.
func hideRedis(values []proto.RedisValue, secret func(i int) bool) ([]proto.RedisValue, bool) {
	found := false
	for i := range values {
		if !secret(i) {
			continue
		}
		if !found {
			values, found = slices.Clone(values), true
		}
		values[i] = proto.RedisValue{Kind: proto.RedisBulk, Text: Hidden, Length: int64(len(Hidden))}
	}
	return values, found
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

// hideMQTT hides passwords and what is published, of which nothing is known.
func hideMQTT(p *proto.MQTTPacket) proto.Body {
	out := *p
	out.Preview = nil
	out.Properties = hideProperties(p.Properties)
	if p.Connect != nil {
		c := *p.Connect
		if c.HasPassword {
			c.Password = Hidden
		}
		if c.HasWill {
			c.WillPayload = Hidden
		}
		c.WillProperties = hideProperties(c.WillProperties)
		out.Connect = &c
	}
	return &out
}

func hideProperties(list []proto.MQTTProperty) []proto.MQTTProperty {
	out := make([]proto.MQTTProperty, len(list))
	for i, p := range list {
		switch name := p.PropertyName(); {
		case name == "authentication_data" || name == "correlation_data":
			p.Text = ""
		case name == "user_property" && isSecretParam(p.Name):
			p.Text = Hidden
		}
		out[i] = p
	}
	return out
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
		case f.Name == proto.UnknownName || secretHeader(name):
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
	target = userinfo().ReplaceAllLiteralString(target, "://"+Hidden+"@")
	target = pathSession().ReplaceAllString(target, "${1}"+Hidden)
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
	if isSecretParam(name) {
		return before + "=" + Hidden
	}
	return p
}

// quoted matches what a message of a database quotes, which may be a value.
var quoted = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`'[^']*'?|"[^"]*"?`)
})

// hideError hides what an error quotes; what is behind a colon is a value too.
func hideError(e *proto.SQLError) *proto.SQLError {
	if e == nil {
		return nil
	}
	out := *e
	out.Message = quoted().ReplaceAllLiteralString(e.Message, Hidden)
	if before, _, ok := strings.Cut(out.Message, ": "); ok {
		out.Message = before + ": " + Hidden
	}
	return &out
}

// hideResults hides the values in rows; how many there are, and the columns, stay.
func hideResults(results []proto.SQLResult) []proto.SQLResult {
	out := make([]proto.SQLResult, len(results))
	for i, r := range results {
		r.First = nil
		out[i] = r
	}
	return out
}

func hideValues(values []proto.SQLValue) []proto.SQLValue {
	out := make([]proto.SQLValue, len(values))
	for i := range out {
		out[i].Text = Hidden
	}
	return out
}

// hidePairs hides the values of those that are named as secrets are.
func hidePairs(pairs [][2]string) [][2]string {
	out := make([][2]string, len(pairs))
	for i, p := range pairs {
		if isSecretParam(p[0]) {
			p[1] = Hidden
		}
		out[i] = p
	}
	return out
}
