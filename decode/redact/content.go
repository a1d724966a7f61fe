package redact

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"
)

// mediaType is the type that a Content-Type names.
func mediaType(field string) string {
	typ, _, _ := strings.Cut(field, ";")
	if typ = lowered(strings.TrimSpace(typ)); typ == "" {
		return "none"
	}
	if len(typ) > 64 {
		return "a long one"
	}
	return typ
}

// textTypes are those of texts that do not say so.
var textTypes = map[string]bool{
	"application/javascript": true, "application/x-javascript": true, "application/ecmascript": true, "application/xml": true,
	"application/graphql": true, "application/yaml": true, "application/x-yaml": true, "application/toml": true, "application/sql": true,
	"application/x-sh": true, "message/rfc822": true, "message/http": true, "application/x-pem-file": true, "application/xhtml+xml": true,
	"application/jwt": true,
}

// content looks at something of a media type, which stands between two offsets of data. It appends
// what is to change, and reports whether it is understood.
func (f *finder) content(list []change, place, field string, data []byte, from, to, depth int) ([]change, bool) {
	if from >= to {
		return list, true
	}
	typ, body := mediaType(field), data[from:to]
	switch {
	case depth > maxDepth:
		return list, false
	case typ == "application/x-www-form-urlencoded" && isText(body):
		return f.pairs(list, place, data, from, to), true
	case isGRPC(typ):
		return f.grpc(list, place, typ, data, from, to, depth)
	case isProtobuf(typ):
		return f.protobuf(list, place, data, from, to, 0)
	case strings.HasPrefix(typ, "multipart/"):
		return f.parts(list, place, field, data, from, to, depth)
	case looksJSON(body) && (strings.Contains(typ, "json") || typ == "none" || strings.HasPrefix(typ, "text/") || typ == "application/octet-stream") && utf8.Valid(body):
		return f.json(list, place, data, from, to)
	case typ == "text/html", typ == "application/xhtml+xml":
		if !isText(body) {
			return list, false
		}
		return f.html(list, place, data, from, to), true
	case strings.HasPrefix(typ, "text/"), textTypes[typ], strings.HasSuffix(typ, "+xml"), strings.Contains(typ, "json"), typ == "none":
		if !isText(body) {
			return list, false
		}
		return f.plainText(list, place, data, from, to), true
	}
	return list, false
}

// isText reports whether a body is one, in UTF-8 or in an alphabet of eight bits; pages have a few
// bytes that should not be in them.
func isText(b []byte) bool {
	const rare = 128
	few := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			few++
		}
	}
	return few*rare <= len(b)
}

// plainText looks at a text.
func (f *finder) plainText(list []change, place string, data []byte, from, to int) []change {
	for _, h := range f.text(place, data[from:to], 0) {
		list = append(list, change{from: from + h.from, to: from + h.to, with: h.with})
	}
	return list
}

// json looks at JSON. Where it turns out to be something else, that is looked at as a text.
func (f *finder) json(list []change, place string, data []byte, from, to int) ([]change, bool) {
	begun := len(list)
	w := jsonWalk{data: data[from:to]}
	w.leaf = func(l jsonLeaf) {
		s := plainly
		if l.quoted {
			s = inJSON
		}
		name := l.key
		if l.isKey {
			name = ""
		} else if f.inside != "" {
			if _, named := f.kindOf(name); !named {
				name = f.inside
			}
		}
		n := len(list)
		list = f.leaf(list, place, name, data, from+l.from, from+l.to, s)
		if !l.quoted { // what takes the place of a number is one
			for _, c := range list[n:] {
				if !isNumber(string(apply(data[from+l.from:from+l.to], []change{{from: c.from - from - l.from, to: c.to - from - l.from, with: c.with}}))) {
					list = append(list[:n], change{from: from + l.from, to: from + l.to, with: f.z.names.plain(string(data[from+l.from : from+l.to]))})
					break
				}
			}
		}
	}
	w.walk()
	if w.junk {
		return f.plainText(list[:begun], place, data, from, to), true
	}
	return list, true
}

// html looks at a page: at its text, and at the fields and meta tags whose names say that they hold
// a secret.
func (f *finder) html(list []change, place string, data []byte, from, to int) []change {
	s := scan{f: f, place: place, data: data[from:to]}
	s.tags()
	s.hits = append(s.hits, f.text(place, s.data, 0)...)
	for _, h := range s.merged() {
		list = append(list, change{from: from + h.from, to: from + h.to, with: h.with})
	}
	return list
}

// tags finds secrets in input, meta and option tags of HTML, wherever they stand.
func (s *scan) tags() {
	for at := 0; ; {
		i := bytes.IndexByte(s.data[at:], '<')
		if i < 0 {
			return
		}
		at += i + 1
		n := 0
		for at+n < len(s.data) && n <= len("option") && isAlnum(s.data[at+n]) {
			n++
		}
		switch lowered(view(s.data[at : at+n])) {
		case "input", "meta", "option":
			end := tagEnd(s.data, at+n)
			s.tag(at+n, end)
			at = end
		}
	}
}

// maxTag bounds a tag that is looked at.
const maxTag = 64 << 10

// tagEnd returns where a tag ends whose attributes begin at an offset.
func tagEnd(data []byte, at int) int {
	quote := byte(0)
	for i := at; i < min(len(data), at+maxTag); i++ {
		switch c := data[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return min(len(data), at+maxTag)
}

// tag looks at a tag between two offsets.
func (s *scan) tag(from, to int) {
	var name string
	var value [2]int
	for i := from; i < to; {
		eq := bytes.IndexByte(s.data[i:to], '=')
		if eq < 0 {
			break
		}
		a := i + eq
		for a > i && (isAlnum(s.data[a-1]) || s.data[a-1] == '-') {
			a--
		}
		attr := lowered(string(s.data[a : i+eq]))
		v := i + eq + 1
		for v < to && (s.data[v] == ' ' || s.data[v] == '\n') {
			v++
		}
		end := v
		if v < to && (s.data[v] == '"' || s.data[v] == '\'') {
			v++
			for end = v; end < to && s.data[end] != s.data[v-1]; {
				end++
			}
		} else {
			for end < to && strings.IndexByte(" \t\r\n>", s.data[end]) < 0 {
				end++
			}
		}
		switch attr {
		case "name", "id":
			if name == "" || attr == "name" {
				name = string(s.data[v:end])
			}
		case "value", "content":
			value = [2]int{v, end}
		}
		i = max(end, i+eq+1)
	}
	if value[0] == value[1] {
		return
	}
	if list := s.f.leaf(nil, s.place, name, s.data, value[0], value[1], inHTML); len(list) > 0 {
		for _, c := range list {
			if !c.blank {
				s.replace(c.from, c.to, c.with)
			}
		}
	}
}

// parts looks at the parts of a multipart body (RFC 2046, section 5.1), each as what it is.
func (f *finder) parts(list []change, place, field string, data []byte, from, to, depth int) ([]change, bool) {
	_, params, _ := mime.ParseMediaType(field)
	if params["boundary"] == "" {
		return list, false
	}
	line := []byte("--" + params["boundary"])
	at := bytes.Index(data[from:to], line)
	if at < 0 {
		return list, false
	}
	list = f.plainText(list, place, data, from, from+at)
	at += from
	for {
		i := bytes.IndexByte(data[at:to], '\n')
		if i < 0 || bytes.HasPrefix(data[at+len(line):to], []byte("--")) {
			return f.plainText(list, place, data, at+len(line), to), true
		}
		part := at + i + 1
		n := bytes.Index(data[part:to], line)
		end := to
		if n >= 0 {
			end = part + n
		}
		list = f.part(list, place, data, part, end, depth)
		if n < 0 {
			return list, true
		}
		at = end
	}
}

// part looks at one: fields, an empty line, and something of a type.
func (f *finder) part(list []change, place string, data []byte, from, to, depth int) []change {
	name, typ := "", ""
	for from < to {
		end := to
		if i := bytes.IndexByte(data[from:to], '\n'); i >= 0 {
			end = from + i + 1
		}
		line := strings.TrimRight(string(data[from:end]), "\r\n")
		field, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(field, "Content-Type"):
			typ = strings.TrimSpace(value)
		case strings.EqualFold(field, "Content-Disposition"):
			_, params, _ := mime.ParseMediaType(value)
			name = params["name"]
		}
		if line == "" {
			from = end
			break
		}
		list = f.plainText(list, place, data, from, from+len(line))
		from = end
	}
	// The line's end before the boundary is the boundary's.
	if to > from && data[to-1] == '\n' {
		to--
		if to > from && data[to-1] == '\r' {
			to--
		}
	}
	if typ == "" && isText(data[from:to]) {
		return f.leaf(list, place, name, data, from, to, plainly)
	}
	if typ == "" {
		typ = "application/octet-stream"
	}
	begun := len(list)
	list, known := f.content(list, place, typ, data, from, to, depth+1)
	if !known && from < to {
		if f.editing() {
			f.z.blank("a part of a form of a type that is not understood: "+mediaType(typ), int64(to-from))
		}
		list = append(list[:begun], change{from: from, to: to, blank: true})
	}
	return list
}
