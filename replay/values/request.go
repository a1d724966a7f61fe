package values

import (
	"bytes"
	"encoding/base64"
	"mime"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"netlab/decode/proto"
)

// spelling is how a text is written where it stands in a request.
type spelling uint8

const (
	plain     spelling = iota
	inPath             // %XX
	inQuery            // %XX and + (https://url.spec.whatwg.org/#urlencoded-parsing)
	inString           // between quotation marks of JSON
	asNumber           // of JSON
	inBase64           // of Basic (RFC 7617)
	delimited          // the body of a part, which ends at a line of its own
)

// unit is a text in a request, with where it stands. Units come in their order and do not
// overlap, but for credentials, which stand in the header before them. All is valid for the
// call only.
type unit struct {
	place    Place
	spelling spelling
	inBody   bool // from and to are offsets of the content, without the framing of chunks
	from, to int
	text     string // decoded
	before   string // the path segment before, of a path segment
}

// resource is what the request is about, if the unit is a word in the path: it may be a name
// around a short value.
func (u *unit) resource() (string, bool) {
	if u.place.Kind != Path || bits(u.text) > 0 || hasDigit(u.text) {
		return "", false
	}
	return stem(normal(u.text)), true
}

// request is one of HTTP/1, taken apart without changing anything.
type request struct {
	raw     []byte
	head    int               // where the fields begin
	body    int               // where the body begins
	chunks  []proto.HTTPChunk // but the last, which is empty
	chunked bool
	length  run // where the value of Content-Length stands
	fields  []field
	content []byte // without the framing of chunks
	target  run
	unit    unit // the latest
}

// at returns where a part of a unit's text stands. Credentials stand there as a whole.
func (u *unit) at(r *request, part run) run {
	src := r.raw
	if u.inBody {
		src = r.content
	}
	spelled := src[u.from:u.to]
	switch {
	case u.spelling == inBase64, part == run{0, len(u.text)}:
		return run{u.from, u.to}
	case string(spelled) != u.text:
		part = run{u.spelling.position(spelled, part.from), u.spelling.position(spelled, part.to)}
	}
	return run{u.from + part.from, u.from + part.to}
}

// position returns where so many bytes of the text end in how it is spelled.
func (s spelling) position(spelled []byte, length int) int {
	at := 0
	for length > 0 && at < len(spelled) {
		wide, short := 1, 1
		switch {
		case spelled[at] == '%' && (s == inPath || s == inQuery):
			wide = len("%XX")
		case spelled[at] == '\\' && s == inString:
			if wide = len(`\n`); at+1 < len(spelled) && spelled[at+1] == 'u' {
				wide = len(`\u00e9`)
				if text, ok := unquote(spelled[at:min(at+2*wide, len(spelled))]); ok && utf8.RuneCountInString(text) == 1 {
					wide *= 2 // a surrogate pair
				}
			}
			text, _ := unquote(spelled[at:min(at+wide, len(spelled))])
			short = len(text)
		}
		at += wide
		length -= short
	}
	return min(at, len(spelled))
}

// field is a header field, by where it stands.
type field struct {
	name  string
	value run
}

// parse takes a request apart. It is false for what is none, and for one that is not whole.
func (r *request) parse(raw []byte) bool {
	*r = request{raw: raw, fields: r.fields[:0]}
	at := 0
	for at < len(raw) && (raw[at] == '\r' || raw[at] == '\n') { // RFC 9112, section 2.2
		at++
	}
	end, next := lineEnd(raw, at)
	if next < 0 {
		return false
	}
	method := bytes.IndexByte(raw[at:end], ' ')
	version := bytes.LastIndexByte(raw[at:end], ' ')
	if method <= 0 || version <= method || !bytes.HasPrefix(raw[at+version+1:], []byte("HTTP/1.")) {
		return false
	}
	r.target = trim(raw, run{at + method + 1, at + version})
	for r.head = next; ; {
		at = next
		if end, next = lineEnd(raw, at); next < 0 {
			return false
		}
		if end == at {
			break
		}
		r.field(at, end)
	}
	r.body = next
	if r.chunked {
		list, ok := proto.HTTPChunks(raw, r.body)
		if !ok {
			return false
		}
		r.chunks = list[:len(list)-1]
		for i := range r.chunks {
			r.content = append(r.content, raw[r.chunks[i].Data:r.chunks[i].DataEnd]...)
		}
	} else {
		r.content = raw[r.body:]
	}
	return true
}

// field takes note of a line of the head.
func (r *request) field(at, end int) {
	line := r.raw[at:end]
	if line[0] == ' ' || line[0] == '\t' { // it goes on with the one before
		if n := len(r.fields); n > 0 {
			r.fields[n-1].value.to = trim(r.raw, run{at, end}).to
		}
		return
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || len(r.fields) >= maxFields {
		return
	}
	f := field{view(bytes.TrimRight(line[:colon], " \t")), trim(r.raw, run{at + colon + 1, end})}
	r.fields = append(r.fields, f)
	switch {
	case strings.EqualFold(f.name, "Content-Length"):
		r.length = f.value
	case strings.EqualFold(f.name, "Transfer-Encoding"):
		r.chunked = strings.HasSuffix(strings.ToLower(r.text(f.value)), "chunked")
	}
}

// lineEnd returns where a line ends, and where the next begins; -1 without an end.
func lineEnd(raw []byte, at int) (end, next int) {
	i := bytes.IndexByte(raw[at:], '\n')
	if i < 0 {
		return len(raw), -1
	}
	end = at + i
	if end > at && raw[end-1] == '\r' {
		end--
	}
	return end, at + i + 1
}

// trim takes spaces and tabs off both ends.
func trim(raw []byte, r run) run {
	for r.from < r.to && (raw[r.from] == ' ' || raw[r.from] == '\t') {
		r.from++
	}
	for r.to > r.from && (raw[r.to-1] == ' ' || raw[r.to-1] == '\t') {
		r.to--
	}
	return r
}

// text is what stands somewhere, as long as the request does not change.
func (r *request) text(at run) string { return view(r.raw[at.from:at.to]) }

// get returns a header field.
func (r *request) get(name string) string {
	for _, f := range r.fields {
		if strings.EqualFold(f.name, name) {
			return r.text(f.value)
		}
	}
	return ""
}

// ordinary are header fields of requests that say nothing of what a server made up.
var ordinary = map[string]bool{
	"host": true, "user-agent": true, "connection": true, "content-length": true, "content-type": true, "content-encoding": true,
	"transfer-encoding": true, "cache-control": true, "pragma": true, "dnt": true, "date": true, "expect": true, "te": true, "origin": true,
	"upgrade": true, "upgrade-insecure-requests": true, "range": true, "priority": true, "keep-alive": true, "via": true, "from": true,
}

func isOrdinary(name string) bool {
	return ordinary[name] || strings.HasPrefix(name, "accept") || strings.HasPrefix(name, "sec-") || strings.HasPrefix(name, "proxy-conn")
}

// walk calls f for each unit.
func (r *request) walk(f func(*unit)) {
	yield := func(u unit) {
		if r.unit = u; u.to-u.from <= maxValue {
			f(&r.unit)
		}
	}
	r.walkTarget(yield)
	for i := range r.fields {
		name := strings.ToLower(r.fields[i].name)
		if isOrdinary(name) {
			continue
		}
		if name == "cookie" {
			r.walkCookies(r.fields[i].value, yield)
			continue
		}
		r.walkField(i, name, yield)
	}
	r.walkBody(yield)
}

// walkTarget goes through path and query. Where the target names a host, that is none of
// the server's values.
func (r *request) walkTarget(yield func(unit)) {
	path, at := inURL(r.text(r.target))
	at += r.target.from
	path, _, _ = strings.Cut(path, "#")
	path, query, _ := strings.Cut(path, "?")
	before := ""
	for i, n := 0, 0; i < len(path) && n < maxFields; n++ {
		end := len(path)
		if j := strings.IndexByte(path[i+1:], '/'); j >= 0 {
			end = i + 1 + j
		}
		from := i
		if path[i] == '/' {
			from++
		}
		segment := path[from:end]
		if text, err := url.PathUnescape(segment); err == nil && segment != "" {
			yield(unit{place: Place{Kind: Path, Name: strconv.Itoa(n + 1)}, spelling: inPath, from: at + from, to: at + end, text: text, before: before})
		}
		before = segment
		i = end
	}
	if query != "" {
		walkForm(query, at+len(path)+1, func(name string, from, to int, text string, nth int) {
			yield(unit{place: Place{Kind: Query, Name: name, Nth: nth}, spelling: inQuery, from: from, to: to, text: text})
		})
	}
}

// walkForm goes through names and values that are encoded as in a URL.
func walkForm(s string, at int, f func(name string, from, to int, text string, nth int)) {
	var names []string
	for from := 0; from <= len(s) && len(names) < maxFields; {
		end := len(s)
		if i := strings.IndexByte(s[from:], '&'); i >= 0 {
			end = from + i
		}
		name, value, _ := strings.Cut(s[from:end], "=")
		if plainName, err := url.QueryUnescape(name); err == nil {
			name = plainName
		}
		if text, err := url.QueryUnescape(value); err == nil && value != "" {
			f(name, at+end-len(value), at+end, text, nth(names, name))
		}
		names = append(names, name)
		from = end + 1
	}
}

// nth counts those of a name.
func nth(names []string, name string) int {
	n := 0
	for _, s := range names {
		if s == name {
			n++
		}
	}
	return n
}

// walkCookies goes through the pairs of Cookie (RFC 6265, section 4.2.1).
func (r *request) walkCookies(at run, yield func(unit)) {
	value := r.text(at)
	var names []string
	for from := 0; from < len(value) && len(names) < maxFields; {
		end := len(value)
		if i := strings.IndexByte(value[from:], ';'); i >= 0 {
			end = from + i
		}
		pair := trim(r.raw, run{at.from + from, at.from + end})
		name, text, ok := strings.Cut(r.text(pair), "=")
		if ok {
			from := pair.to - len(text)
			if bare := unquoted(text); bare != text {
				text = bare
				from, pair.to = from+1, pair.to-1
			}
			yield(unit{place: Place{Kind: Cookie, Name: name, Nth: nth(names, name)}, from: from, to: pair.to, text: text})
			names = append(names, name)
		}
		from = end + 1
	}
}

// unquoted is the value of a cookie without quotation marks around it.
func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// walkField goes through another header field; of Authorization, also what stands behind
// the scheme (RFC 9110, section 11.6.2).
func (r *request) walkField(i int, name string, yield func(unit)) {
	f := r.fields[i]
	n := 0
	for _, other := range r.fields[:i] {
		if strings.EqualFold(other.name, name) {
			n++
		}
	}
	text := r.text(f.value)
	yield(unit{place: Place{Kind: Header, Name: f.name, Nth: n}, from: f.value.from, to: f.value.to, text: text})
	if name != "authorization" && name != "proxy-authorization" {
		return
	}
	scheme, rest, ok := strings.Cut(text, " ")
	if !ok {
		return
	}
	u := unit{place: Place{Kind: Credentials, Name: f.name, Nth: n}, from: f.value.to - len(strings.TrimLeft(rest, " ")), to: f.value.to}
	u.text = r.text(run{u.from, u.to})
	if strings.EqualFold(scheme, "basic") {
		b, err := base64.StdEncoding.DecodeString(u.text)
		if err != nil {
			return
		}
		u.text, u.spelling = string(b), inBase64
	}
	yield(u)
}

// walkBody goes through the body as what it says that it is.
func (r *request) walkBody(yield func(unit)) {
	if len(r.content) == 0 || len(r.content) > maxContent || r.get("Content-Encoding") != "" {
		return
	}
	inner := func(u unit) {
		u.inBody = true
		yield(u)
	}
	kind, params, _ := mime.ParseMediaType(r.get("Content-Type"))
	switch {
	case kind == "application/x-www-form-urlencoded":
		walkForm(view(r.content), 0, func(name string, from, to int, text string, nth int) {
			inner(unit{place: Place{Kind: FormField, Name: name, Nth: nth}, spelling: inQuery, from: from, to: to, text: text})
		})
	case kind == "multipart/form-data":
		walkParts(r.content, params["boundary"], inner)
	case strings.HasSuffix(kind, "json") || kind == "" && looksJSON(r.content):
		walkJSON(r.content, inner)
	case len(r.content) <= maxValue && isText(bytes.TrimSpace(r.content)):
		at := trim(r.content, run{0, len(r.content)})
		inner(unit{place: Place{Kind: Body}, from: at.from, to: at.to, text: view(r.content[at.from:at.to])})
	}
}

func walkJSON(content []byte, yield func(unit)) {
	l := leaves{data: content}
	l.leaf = func(from, to int, quoted bool) {
		u := unit{place: Place{Kind: JSON}, spelling: asNumber, from: from, to: to, text: view(content[from:to])}
		if quoted {
			text, ok := unquote(content[from:to])
			if !ok {
				return
			}
			u.spelling, u.text = inString, text
		}
		u.place.Name = l.path()
		yield(u)
	}
	l.walk()
}

// walkParts goes through the parts of a form (RFC 7578). What is longer than a value is
// a file.
func walkParts(content []byte, boundary string, yield func(unit)) {
	if boundary == "" {
		return
	}
	line := []byte("--" + boundary)
	at := bytes.Index(content, line)
	var names []string
	for at >= 0 && len(names) < maxFields {
		_, from := lineEnd(content, at)
		if from < 0 {
			return
		}
		n := bytes.Index(content[from:], line)
		if n < 0 {
			return
		}
		end := from + n // of the line end before the next boundary
		at = end
		name := ""
		for {
			eol, next := lineEnd(content[:end], from)
			if next < 0 {
				break
			}
			header := string(content[from:eol])
			from = next
			if header == "" {
				value := bytes.TrimSuffix(bytes.TrimSuffix(content[from:max(from, end)], []byte("\n")), []byte("\r"))
				if name != "" && len(value) > 0 && len(value) <= maxValue {
					yield(unit{place: Place{Kind: Multipart, Name: name, Nth: nth(names, name)}, spelling: delimited, from: from, to: from + len(value), text: view(value)})
					names = append(names, name)
				}
				break
			}
			if field, value, _ := strings.Cut(header, ":"); strings.EqualFold(field, "Content-Disposition") {
				_, params, _ := mime.ParseMediaType(value)
				name = params["name"]
			}
		}
	}
}
