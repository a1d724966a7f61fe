package redact

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"netlab/decode/proto"
)

// Where secrets are found in HTTP.
const (
	inHeader = "http header"
	inCookie = "http cookie"
	inTarget = "http target"
	inBody   = "http body"
)

// httpField is a field of a head, by where its value stands.
type httpField struct {
	httpName
	from, to int
	begin    int // of the line
}

// httpName is the name of a field.
type httpName struct {
	name   string // in small letters
	secret bool   // it says that it holds a secret
}

// httpMessage is a message of HTTP/1 that is looked at.
type httpMessage struct {
	*finder
	m      *proto.Message
	h      *proto.HTTPMessage
	fields []httpField
}

// http looks at a message of HTTP/1, and returns how much of it is understood.
func (f *finder) http(m *proto.Message, h *proto.HTTPMessage) int {
	x := &httpMessage{finder: f, m: m, h: h}
	x.line()
	f.fields = x.httpFields(f.fields[:0], f.raw[:len(h.Head)], bytes.IndexByte(f.raw, '\n')+1)
	x.fields = f.fields
	for i := range x.fields {
		x.known(&x.fields[i])
	}
	switch head := len(h.Head); {
	case m.RawMissing > 0:
		return head
	case len(f.raw) > head && (!m.Complete || h.BodyMissing > 0 || int64(len(f.raw)) != m.Length):
		f.blank(head, len(f.raw), "an HTTP body that is not whole")
	case len(f.raw) > head:
		x.body()
	}
	return len(f.raw)
}

// line looks at the first line.
func (x *httpMessage) line() {
	end := bytes.IndexByte(x.raw, '\n')
	if !x.h.IsRequest() {
		x.z.stays(view(x.raw[:max(end, 0)])) // a number, and its name
		return
	}
	x.z.stays(x.h.Method)
	x.z.stays(x.h.Version)
	line := view(x.raw[:max(end, 0)])
	at := strings.IndexByte(line, ' ')
	if at < 0 || x.h.Target == "" {
		return
	}
	i := strings.Index(line[at:], x.h.Target)
	if i < 0 {
		return
	}
	from := at + i
	if x.h.Method == "CONNECT" {
		x.host(inTarget, from, from+len(x.h.Target))
	} else {
		x.target(from, from+len(x.h.Target))
	}
	if from += len(x.h.Target); from < end { // only a version should be there
		x.texts(inTarget, from, end)
	}
}

// httpFields appends the fields of a head whose first line has been passed. A folded line belongs to
// the value before it.
func (f *finder) httpFields(list []httpField, head []byte, at int) []httpField {
	for at < len(head) {
		end := len(head)
		if i := bytes.IndexByte(head[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		from, to := trim(head, at, end)
		colon := bytes.IndexByte(head[at:end], ':')
		switch {
		case from == to:
		case (head[at] == ' ' || head[at] == '\t') && len(list) > 0:
			list[len(list)-1].to = to
		case colon < 0:
			list = append(list, httpField{from: from, to: to, begin: at})
		default:
			name := f.z.httpName(bytes.TrimRight(head[at:at+colon], " \t"))
			from, to = trim(head, at+colon+1, end)
			list = append(list, httpField{name, from, to, at})
		}
		at = end
	}
	return list
}

// httpName is the name that is written so: there are few of them.
func (z *worker) httpName(written []byte) httpName {
	n, ok := z.headers[view(written)]
	if ok {
		return n
	}
	n.name = lowered(string(written))
	n.secret = secretHeader(n.name)
	if z.headers == nil || len(z.headers) >= maxKinds {
		z.headers = make(map[string]httpName)
	}
	if len(written) <= maxName {
		z.headers[string(written)] = n
	}
	return n
}

// trim leaves out white space at both ends.
func trim(b []byte, from, to int) (int, int) {
	for from < to && strings.IndexByte(" \t\r\n", b[from]) >= 0 {
		from++
	}
	for to > from && strings.IndexByte(" \t\r\n", b[to-1]) >= 0 {
		to--
	}
	return from, to
}

// structural are fields that say how a message is to be read, and no more.
var structural = map[string]bool{
	"content-length": true, "transfer-encoding": true, "content-encoding": true, "content-type": true, "connection": true, "date": true,
	"accept": true, "accept-encoding": true, "accept-language": true, "accept-ranges": true, "cache-control": true, "expires": true,
	"last-modified": true, "if-modified-since": true, "if-unmodified-since": true, "upgrade": true, "vary": true, "range": true,
	"content-range": true, "keep-alive": true, "pragma": true, "age": true, "te": true, "trailer": true, "sec-websocket-key": true,
	"sec-websocket-accept": true, "sec-websocket-version": true, "sec-websocket-extensions": true, "expect": true, "allow": true,
	"upgrade-insecure-requests": true, "dnt": true,
	":method": true, ":scheme": true, ":status": true, ":protocol": true, "http2-settings": true,
}

// Bounds of the lines of heads of which it is known what becomes of them, and what one takes beside its text.
const (
	maxLine  = 1 << 10
	lineCost = 512
)

// known looks at a field of the head, or knows what became of the same line before: that depends on
// nothing else, as with bodies.
func (x *httpMessage) known(a *httpField) {
	z, line := x.z, x.raw[a.begin:a.to]
	if j, ok := z.lines[view(line)]; ok {
		z.tally.add(&j.tally)
		for _, c := range j.list {
			c.from, c.to = c.from+a.begin, c.to+a.begin
			x.changes = append(x.changes, c)
		}
		return
	}
	n, lost := len(x.changes), z.dict.full()
	tally := z.tallied(func() { x.field(a) })
	if len(line) > maxLine || z.dict.full() != lost {
		return
	}
	j := &judgement{list: slices.Clone(x.changes[n:]), tally: tally}
	for i := range j.list {
		j.list[i].from -= a.begin
		j.list[i].to -= a.begin
	}
	if z.lineBytes += int64(len(line)) + lineCost; z.lineBytes > z.limit/maxWorkers || z.lines == nil {
		z.lines, z.lineBytes = make(map[string]*judgement), int64(len(line))+lineCost
	}
	z.lines[string(line)] = j
}

// field looks at a field of the head.
func (x *httpMessage) field(a *httpField) {
	if name := x.raw[a.begin : a.begin+len(a.name)]; bytes.ContainsAny(name, "0123456789") {
		x.texts(inHeader, a.begin, a.begin+len(a.name))
	} else {
		x.z.stays(view(name))
	}
	switch name := a.name; {
	case a.from == a.to, isDigest(name):
	case structural[name]:
		x.z.stays(view(x.raw[a.from:a.to]))
		for i := range x.z.hide { // unless it is asked for
			if x.z.hide[i].named(name) {
				x.named(inHeader, name, a.from, a.to, plainly)
			}
		}
	case name == "cookie":
		x.cookies(a.from, a.to)
	case name == "set-cookie":
		x.setCookie(a.from, a.to)
	case name == "authorization", name == "proxy-authorization":
		x.credentials(a.from, a.to)
	case name == "www-authenticate", name == "proxy-authenticate", name == "authentication-info", name == "proxy-authentication-info":
		x.parameters(a.from, a.to)
	case name == "host", name == "x-forwarded-host", name == "x-host", name == ":authority":
		x.host(inHeader, a.from, a.to)
	case name == "referer", name == "location", name == "content-location", name == "origin", name == ":path", name == "x-original-url", name == "x-rewrite-url":
		x.target(a.from, a.to)
	case name == "etag", name == "if-none-match", name == "if-match", name == "if-range":
		x.validators(a.from, a.to)
	case a.secret:
		x.hidden(Token, inHeader, name, a.from, a.to, plainly)
	default:
		x.named(inHeader, name, a.from, a.to, plainly)
	}
}

// each calls f for what stands between separators.
func (x *httpMessage) each(from, to int, sep byte, f func(from, to int)) {
	quoted := false
	at := from
	for i := from; i <= to; i++ {
		if i < to && x.raw[i] == '"' {
			quoted = !quoted
		}
		if i == to || x.raw[i] == sep && !quoted {
			f(trim(x.raw, at, i))
			at = i + 1
		}
	}
}

// unquoted leaves out quotation marks at both ends.
func unquoted(b []byte, from, to int) (int, int) {
	if to-from >= 2 && b[from] == '"' && b[to-1] == '"' {
		return from + 1, to - 1
	}
	return from, to
}

// pair splits name=value.
func (x *httpMessage) pair(from, to int) (name string, vfrom, vto int, ok bool) {
	i := bytes.IndexByte(x.raw[from:to], '=')
	if i < 0 {
		return "", from, to, false
	}
	_, end := trim(x.raw, from, from+i)
	vfrom, vto = trim(x.raw, from+i+1, to)
	vfrom, vto = unquoted(x.raw, vfrom, vto)
	return string(x.raw[from:end]), vfrom, vto, true
}

// cookies looks at the pairs of Cookie (RFC 6265, section 4.2.1).
func (x *httpMessage) cookies(from, to int) {
	for _, p := range bytesSplit(x.raw, from, to, ';') {
		a, b := trim(x.raw, p[0], p[1])
		name, a, b, _ := x.pair(a, b)
		x.cookie(name, a, b)
	}
}

// cookie hides the value of one. It may be encoded as in a URL.
func (x *httpMessage) cookie(name string, from, to int) {
	s := inPath
	if !s.escapes(x.raw[from:to]) {
		s = plainly
	}
	x.hidden(Cookie, inCookie, name, from, to, s)
}

// bytesSplit returns what stands between separators, as offsets.
func bytesSplit(b []byte, from, to int, sep byte) [][2]int {
	var list [][2]int
	for at := from; at <= to; {
		end := to
		if i := bytes.IndexByte(b[at:to], sep); i >= 0 {
			end = at + i
		}
		list = append(list, [2]int{at, end})
		at = end + 1
	}
	return list
}

// setCookie looks at a cookie that is set, with its attributes (RFC 6265, section 4.1).
func (x *httpMessage) setCookie(from, to int) {
	for i, p := range bytesSplit(x.raw, from, to, ';') {
		a, b := trim(x.raw, p[0], p[1])
		name, a, b, ok := x.pair(a, b)
		switch {
		case i == 0:
			x.cookie(name, a, b)
		case ok && strings.EqualFold(name, "domain"):
			if a < b && x.raw[a] == '.' {
				a++
			}
			x.host(inHeader, a, b)
		case ok && strings.EqualFold(name, "path"):
			x.target(a, b)
		}
	}
}

// credentials looks at what stands behind a scheme (RFC 9110, section 11.6.2).
func (x *httpMessage) credentials(from, to int) {
	scheme, _, ok := strings.Cut(view(x.raw[from:to]), " ")
	if !ok {
		x.hidden(Token, inHeader, "authorization", from, to, plainly)
		return
	}
	at, _ := trim(x.raw, from+len(scheme), to)
	switch value := view(x.raw[at:to]); {
	case strings.EqualFold(scheme, "Basic"):
		x.basic(at, to)
	case strings.EqualFold(scheme, "Bearer"), !strings.Contains(value, "="), strings.Trim(value, "=") == strings.TrimRight(value, "=") && !strings.ContainsAny(strings.TrimRight(value, "="), "=, \""):
		x.hidden(Token, inHeader, "authorization", at, to, plainly)
	default:
		x.parameters(from, to)
	}
}

// basic looks at a user with a password (RFC 7617).
func (x *httpMessage) basic(from, to int) {
	raw := string(x.raw[from:to])
	e := base64Of(raw)
	b, err := e.DecodeString(raw)
	user, password, ok := strings.Cut(string(b), ":")
	if err != nil || !ok {
		x.hidden(Token, inHeader, "authorization", from, to, plainly)
		return
	}
	newUser, one := x.secret(User, inHeader, "authorization", user)
	newPassword, two := x.secret(Password, inHeader, "authorization", password)
	if one || two {
		x.change(from, to, e.EncodeToString([]byte(newUser+":"+newPassword)))
	}
}

// plainParameters are those of schemes of authentication that say how, and not who or with what.
var plainParameters = map[string]bool{
	"qop": true, "algorithm": true, "nc": true, "stale": true, "userhash": true, "charset": true, "error": true, "scope": true, "signedheaders": true,
	"oauth_signature_method": true, "oauth_version": true, "oauth_timestamp": true, "headers": true, "created": true, "expires": true,
}

// parameters looks at those of a scheme, as Digest has them (RFC 7616).
func (x *httpMessage) parameters(from, to int) {
	x.each(from, to, ',', func(a, b int) {
		name, vfrom, vto, ok := x.pair(a, b)
		if !ok {
			x.named(inHeader, "", a, b, plainly)
			return
		}
		if i := strings.LastIndexByte(name, ' '); i >= 0 {
			name = name[i+1:]
		}
		switch lower := lowered(name); {
		case plainParameters[lower]:
		case lower == "uri", lower == "domain":
			x.target(vfrom, vto)
		case lower == "realm", lower == "error_description":
			x.named(inHeader, name, vfrom, vto, plainly)
		case lower == "username":
			x.hidden(User, inHeader, name, vfrom, vto, plainly)
		default:
			x.hidden(Token, inHeader, name, vfrom, vto, plainly)
		}
	})
}

// validators looks at ETags (RFC 9110, section 8.8.3): often they are made of what they are of.
func (x *httpMessage) validators(from, to int) {
	x.each(from, to, ',', func(a, b int) {
		if bytes.HasPrefix(x.raw[a:b], []byte("W/")) {
			a += 2
		}
		if a, b = unquoted(x.raw, a, b); b-a > 1 || a < b && x.raw[a] != '*' {
			x.hidden(Validator, inHeader, "etag", a, b, plainly)
		}
	})
}

// host looks at the name or address of a host, perhaps with a port.
func (f *finder) host(place string, from, to int) {
	text := view(f.raw[from:to])
	if strings.HasPrefix(text, "[") {
		if i := strings.IndexByte(text, ']'); i > 0 {
			f.hidden(Address, place, "", from+1, from+i, plainly)
		}
		return
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		text = text[:i]
	}
	switch {
	case isAddress(text):
		f.hidden(Address, place, "", from, from+len(text), plainly)
	case isHostname(text):
		f.hidden(Host, place, "", from, from+len(text), plainly)
	default:
		f.texts(place, from, to)
	}
}

// target looks at the target of a request, or at another URL.
func (f *finder) target(from, to int) {
	text := view(f.raw[from:to])
	at := from
	if i := strings.Index(text, "://"); i >= 0 && i < 12 {
		at = from + i + len("://")
		end := to
		if j := strings.IndexAny(text[i+3:], "/?#"); j >= 0 {
			end = at + j
		}
		if j := bytes.LastIndexByte(f.raw[at:end], '@'); j >= 0 {
			user := at
			if k := bytes.IndexByte(f.raw[at:at+j], ':'); k >= 0 {
				f.hidden(Password, inTarget, "", at+k+1, at+j, inPath)
				f.hidden(User, inTarget, "", user, at+k, inPath)
			} else {
				f.hidden(User, inTarget, "", user, at+j, inPath)
			}
			at += j + 1
		}
		f.host(inTarget, at, end)
		at = end
	}
	path := at
	for path < to && f.raw[path] != '?' && f.raw[path] != '#' {
		path++
	}
	f.path(at, path)
	if path < to {
		f.form(inTarget, path+1, to)
	}
}

// path looks at the segments of a path. One behind a word that names a secret is one, if it is no
// word.
func (f *finder) path(from, to int) {
	before := ""
	for _, p := range bytesSplit(f.raw, from, to, '/') {
		segment := f.raw[p[0]:p[1]]
		if k, ok := f.kindOf(before); ok && longWord(segment) && bytes.IndexByte(segment, '=') < 0 {
			f.hidden(k, inTarget, before, p[0], p[1], inPath)
		} else {
			f.named(inTarget, "", p[0], p[1], inPath)
		}
		before = strings.TrimSuffix(string(segment), "s")
	}
}

// form looks at names and values that are encoded as in a URL, in the message.
func (f *finder) form(place string, from, to int) {
	list := f.pairs(nil, place, f.raw, from, to)
	if f.editing() {
		f.changes = append(f.changes, list...)
	}
}

// pairs looks at names and values that are encoded as in a URL.
func (f *finder) pairs(list []change, place string, data []byte, from, to int) []change {
	for at := from; at <= to; {
		end := at
		for end < to && data[end] != '&' && data[end] != '#' && data[end] != ';' {
			end++
		}
		i := bytes.IndexByte(data[at:end], '=')
		name, ok := "", false
		if i >= 0 {
			if name, ok = inQuery.read(string(data[at : at+i])); !ok {
				name = string(data[at : at+i])
			}
			list = f.leaf(list, place, "", data, at, at+i, inQuery)
		}
		list = f.leaf(list, place, name, data, at+i+1, end, inQuery)
		at = end + 1
	}
	return list
}

// tokenBytes decodes what is base64 of bytes; nil when it is none.
func tokenBytes(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
