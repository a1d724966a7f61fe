package proto

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unsafe"

	"netlab/decode/flow"
)

// maxStartLine bounds a request or status line. Servers stop at 8 KiB (RFC 9112,
// section 3 asks for that much).
const maxStartLine = 64 << 10

// maxMethod bounds a method; the longest registered one has 16 letters.
const maxMethod = 32

// probeHTTP knows HTTP/1.x by a request line from the client or a status line
// from the server.
func probeHTTP(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	verdict := NoMatch
	for d := range o.First {
		first := o.First[d][leadingLines(o.First[d]):]
		v := startLine(flow.Direction(d), first, false)
		if len(first) == 0 || string(first) == "\r" {
			v = NeedMore
		}
		switch {
		case v == Match:
			// The preface of HTTP/2 (RFC 9113, section 3.4) looks like a request.
			if bytes.HasPrefix(first, []byte("PRI * HTTP/2")) {
				return NoMatch
			}
			// A request line without a version could be anybody's: it needs an
			// answer by HTTP, or to be all there is before an answer.
			if d == 0 && !bytes.Contains(first[:bytes.IndexByte(first, '\n')], []byte("HTTP/")) && !bytes.HasPrefix(o.First[1], []byte("HTTP/")) {
				switch answer := o.First[1]; {
				case len(answer) > 0 && couldBeStatus(answer) == NoMatch && isSimple(first) && !o.ServerFirst:
					return Match
				case len(answer) == 0 && !o.Ended[1]:
					verdict = NeedMore
				}
				continue
			}
			return Match
		case v == NeedMore && !o.Ended[d]:
			verdict = NeedMore
		}
	}
	return verdict
}

// view is data as text, without a copy: for a look at it, as long as data does not
// change.
func view(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// startLine tells whether data begins with a request line or, from a server, a
// status line. A strict answer needs the version in a request line, which is
// also a match without one when its method is a usual one.
func startLine(d flow.Direction, data []byte, strict bool) Verdict {
	could := couldBeRequest
	if d == flow.ServerToClient {
		could = couldBeStatus
	}
	i := bytes.IndexByte(data[:min(len(data), maxStartLine+1)], '\n')
	if i < 0 {
		return could(data)
	}
	if could(data[:i]) == NoMatch {
		return NoMatch
	}
	line := trimEOL(view(data[:i]))
	if d == flow.ServerToClient {
		if v, _, _ := statusLine(line); v != "" {
			return Match
		}
		return NoMatch
	}
	if n := len(line) - len(" HTTP/1.1"); n > 0 && line[n] == ' ' && isVersion(line[n+1:]) {
		return Match // as a rule
	}
	if method, target, _, version := requestLine(line); version != "" || !strict && knownMethods[method] && target != "" && !strings.Contains(target, " ") {
		return Match
	}
	return NoMatch
}

// knownMethods are believed without a version behind the target.
var knownMethods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "DELETE": true, "OPTIONS": true}

// couldBeRequest judges what may be the first part of a request line: a token,
// a space, and no control characters.
func couldBeRequest(data []byte) Verdict {
	space := bytes.IndexByte(data, ' ')
	method := data
	if space >= 0 {
		method = data[:space]
	}
	if space == 0 || len(method) > maxMethod || len(data) > maxStartLine {
		return NoMatch
	}
	for _, b := range method {
		if !isToken(b) {
			return NoMatch
		}
	}
	return NeedMore
}

func couldBeStatus(data []byte) Verdict {
	const start = "HTTP/0.0 " // 0 is any digit
	for i, b := range data[:min(len(data), len(start))] {
		if b != start[i] && !(start[i] == '0' && isDigit(b)) {
			return NoMatch
		}
	}
	if len(data) > maxStartLine {
		return NoMatch
	}
	return NeedMore
}

// requestIn returns where in a line a request line begins that ends with it, or
// -1: at the beginning, or behind the end of a body, at the capital letters
// before the target.
func requestIn(line []byte) int {
	text := strings.TrimRight(trimEOL(view(line)), " \t")
	i := strings.LastIndexByte(text, ' ')
	if i <= 0 || !isVersion(text[i+1:]) {
		return -1
	}
	letters := func(s string) int { // at the end of s
		n := 0
		for n < min(len(s), maxMethod) && ('A' <= s[len(s)-1-n] && s[len(s)-1-n] <= 'Z' || s[len(s)-1-n] == '-') {
			n++
		}
		return n
	}
	if method, target, _ := strings.Cut(text[:i], " "); method != "" && target != "" && letters(method) == len(method) {
		return 0
	}
	j := strings.LastIndexByte(text[:i], ' ')
	if j < 0 || j+1 == i {
		return -1
	}
	if n := letters(text[:j]); n > 0 {
		return j - n
	}
	return -1
}

// isToken reports whether b may stand in a token (RFC 9110, section 5.6.2).
func isToken(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func trimEOL(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return strings.TrimSuffix(s, "\r")
}

// cutLine splits off the first line, without its end.
func cutLine(s string) (line, rest string) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return trimEOL(s), ""
	}
	return trimEOL(s[:i]), s[i+1:]
}

// requestLine splits a request line. The target ends at the first space; rest is
// what stands between it and the version, where nothing should. Without a
// version, which is behind the last space, the target is all there is.
func requestLine(line string) (method, target, rest, version string) {
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		return line, "", "", ""
	}
	target = trimSpace(target)
	i := strings.LastIndexByte(target, ' ')
	if !isVersion(target[i+1:]) {
		return method, target, "", ""
	}
	version = target[i+1:]
	target, rest, _ = strings.Cut(strings.TrimSpace(target[:max(i, 0)]), " ")
	return method, target, rest, version
}

// isSimple reports whether data is a request of HTTP/0.9, and nothing else
// (RFC 1945, section 5): the answer to it is only a body. An empty line behind it
// is what people type.
func isSimple(data []byte) bool {
	i := bytes.IndexByte(data, '\n')
	if i < 0 || leadingLines(data[i+1:]) != len(data)-i-1 {
		return false
	}
	method, target, _, version := requestLine(trimEOL(view(data[:i])))
	return method == "GET" && version == "" && !strings.Contains(target, " ") &&
		(strings.HasPrefix(target, "/") || strings.HasPrefix(target, "http://"))
}

// isVersion reports whether s is "HTTP/" with two digits and a point between.
func isVersion(s string) bool {
	return len(s) == 8 && s[:5] == "HTTP/" && isDigit(s[5]) && s[6] == '.' && isDigit(s[7])
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// statusLine splits a status line; version is empty when it is none.
func statusLine(line string) (version string, status int, reason string) {
	version, rest, ok := strings.Cut(line, " ")
	if !ok || !isVersion(version) {
		return "", 0, ""
	}
	rest = strings.TrimLeft(rest, " ")
	if len(rest) < 3 || !isDigit(rest[0]) || !isDigit(rest[1]) || !isDigit(rest[2]) || rest[0] == '0' || len(rest) > 3 && rest[3] != ' ' {
		return "", 0, ""
	}
	status = int(rest[0]-'0')*100 + int(rest[1]-'0')*10 + int(rest[2]-'0')
	return version, status, strings.Trim(rest[3:], " ")
}

// endOfHead returns where the empty line behind a head ends, -1 when it is not
// there. The first from bytes are known to hold no end.
func endOfHead(data []byte, from int) int {
	for i := max(0, from-3); ; {
		j := bytes.IndexByte(data[i:], '\n')
		if j < 0 {
			return -1
		}
		i += j + 1
		switch {
		case i < len(data) && data[i] == '\n':
			return i + 1
		case i+1 < len(data) && data[i] == '\r' && data[i+1] == '\n':
			return i + 2
		}
	}
}

// parseFields appends the header fields of s, as parts of it, and says what is
// wrong with them. A folded line belongs to the value before it (RFC 9112, section
// 5.2).
func parseFields(fields []Field, s string) (_ []Field, problem string) {
	if n := strings.Count(s, "\n"); n > cap(fields) && n > 1 {
		fields = make([]Field, 0, n)
	}
	value := 0 // where the last field's value begins in s
	for pos := 0; pos < len(s); {
		line, rest := cutLine(s[pos:])
		start := pos
		pos = len(s) - len(rest)
		if line == "" {
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			fields[len(fields)-1].Value = strings.TrimSpace(s[value : start+len(line)])
			continue
		}
		colon := strings.IndexByte(line, ':')
		name, v := line, ""
		switch {
		case colon < 0:
			problem = "a header line without a colon"
		case colon == 0, line[colon-1] == ' ', line[colon-1] == '\t':
			problem = "white space or nothing before the colon of a header line"
			name, v = strings.TrimRight(line[:colon], " \t"), line[colon+1:]
		default:
			name, v = line[:colon], line[colon+1:]
		}
		value = start + len(line) - len(v)
		fields = append(fields, Field{name, trimSpace(v)})
	}
	return fields, problem
}

// trimSpace is s without spaces and tabs around it.
func trimSpace(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// framingFields are what the fields of a head say about the body behind it and
// about what comes after.
type framingFields struct {
	length   int64  // as declared, -1 when it is not; when lengths disagree, the first
	problem  string // what is wrong with that
	coded    bool   // there is a Transfer-Encoding
	coding   string // the last of it, in lower case
	upgrades bool   // there is an Upgrade
	upgrade  string // the first
	switches bool   // Connection has the element upgrade
}

// notice finds the fields that matter, of which most heads have one or two.
func notice(fields []Field) framingFields {
	f := framingFields{length: -1}
	for i := range fields {
		name, value := fields[i].Name, fields[i].Value
		switch len(name) {
		case len("Upgrade"):
			if !f.upgrades && strings.EqualFold(name, "Upgrade") {
				f.upgrades, f.upgrade = true, value
			}
		case len("Connection"):
			if strings.EqualFold(name, "Connection") {
				f.connection(value)
			}
		case len("Content-Length"):
			if strings.EqualFold(name, "Content-Length") {
				if n, ok := plainNumber(value); ok {
					f.declared(n)
				} else {
					f.declare(value)
				}
			}
		case len("Transfer-Encoding"):
			if strings.EqualFold(name, "Transfer-Encoding") {
				f.coded = true
				for v := range elements(value) {
					f.coding = v
				}
			}
		}
	}
	if f.length >= 0 && f.coded && f.problem == "" {
		f.problem = "both Content-Length and Transfer-Encoding"
	}
	return f
}

// connection takes note of a Connection, which has one element as a rule.
func (f *framingFields) connection(value string) {
	if strings.IndexByte(value, ',') < 0 {
		f.switches = f.switches || strings.EqualFold(trimSpace(value), "upgrade")
		return
	}
	for v := range elements(value) {
		f.switches = f.switches || v == "upgrade"
	}
}

// plainNumber returns what a value is that has digits only, few enough for any to fit.
func plainNumber(value string) (n int64, ok bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	for i := range len(value) {
		if !isDigit(value[i]) {
			return 0, false
		}
		n = 10*n + int64(value[i]-'0')
	}
	return n, true
}

// declare takes note of a Content-Length that is no plain number.
func (f *framingFields) declare(value string) {
	for v := range elements(value) {
		if n, err := strconv.ParseUint(v, 10, 63); err != nil || v[0] == '+' {
			f.problem = fmt.Sprintf("malformed Content-Length %q", v)
		} else {
			f.declared(int64(n))
		}
	}
}

// declared takes note of a length.
func (f *framingFields) declared(n int64) {
	switch {
	case f.length < 0:
		f.length = n
	case f.length != n:
		f.problem = fmt.Sprintf("Content-Length is both %d and %d", f.length, n)
	}
}

// elements are those of a comma-separated value (RFC 9110, section 5.6.1), in
// lower case.
func elements(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for more := true; more; {
			var v string
			v, value, more = strings.Cut(value, ",")
			if v = trimSpace(v); v != "" && !yield(strings.ToLower(v)) {
				return
			}
		}
	}
}
