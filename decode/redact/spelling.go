package redact

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// spelling is how a text is written where it stands.
type spelling uint8

const (
	plainly spelling = iota
	inQuery          // %XX and + (https://url.spec.whatwg.org/#urlencoded-parsing)
	inPath           // %XX
	inJSON           // between quotation marks
	inHTML           // with &amp; and its like
)

// escapes reports whether something is spelled otherwise than it is.
func (s spelling) escapes(raw []byte) bool {
	switch s {
	case inQuery:
		return bytes.IndexByte(raw, '%') >= 0 || bytes.IndexByte(raw, '+') >= 0
	case inPath:
		return bytes.IndexByte(raw, '%') >= 0
	case inJSON:
		return bytes.IndexByte(raw, '\\') >= 0
	case inHTML:
		return bytes.IndexByte(raw, '&') >= 0
	}
	return false
}

// read returns the text that is spelled so, and whether that can be read.
func (s spelling) read(raw string) (string, bool) {
	switch s {
	case inQuery:
		text, err := url.QueryUnescape(raw)
		return text, err == nil
	case inPath:
		text, err := url.PathUnescape(raw)
		return text, err == nil
	case inJSON:
		return unquote(raw)
	case inHTML:
		return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#34;", `"`, "&#39;", "'", "&#64;", "@", "&amp;", "&").Replace(raw), true
	}
	return raw, true
}

// write spells a text.
func (s spelling) write(text string) string {
	switch s {
	case inQuery:
		return url.QueryEscape(text)
	case inPath:
		return url.PathEscape(text)
	case inJSON:
		b, err := json.Marshal(text)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		return string(b[1 : len(b)-1])
	}
	return text
}

// unquote reads what stands between the quotation marks of a string of JSON. What is no
// UTF-8 stays.
func unquote(raw string) (string, bool) {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	var b []byte
	for i := 0; i < len(raw); {
		r, n, ok := jsonUnit(raw[i:])
		if !ok {
			return "", false
		}
		if r < 0 {
			b = append(b, raw[i])
		} else {
			b = utf8.AppendRune(b, r)
		}
		i += n
	}
	return string(b), true
}

// jsonUnit reads an escape, or a byte as it is: then the rune is -1.
func jsonUnit(s string) (r rune, size int, ok bool) {
	if s[0] != '\\' {
		return -1, 1, true
	}
	if len(s) < 2 {
		return 0, 0, false
	}
	if i := strings.IndexByte(`"\/bfnrt`, s[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2, true
	}
	one := func(s string) (rune, bool) {
		if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
			return 0, false
		}
		r := rune(0)
		for i := 2; i < 6; i++ {
			d := unhex(s[i])
			if d > 15 {
				return 0, false
			}
			r = r<<4 | rune(d)
		}
		return r, true
	}
	if r, ok = one(s); !ok {
		return 0, 0, false
	}
	if utf16.IsSurrogate(r) {
		if low, ok := one(s[6:]); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return both, 12, true
			}
		}
		return utf8.RuneError, 6, true
	}
	return r, 6, true
}

// respell writes a text in the place of another as that is spelled: what was escaped is
// again, in the same way. So what has the same length as a text has it as it is
// written, too. It reports false for what cannot stand there.
func respell(s spelling, raw, old, text string) (string, bool) {
	if s == plainly {
		return text, true
	}
	if len(old) != len(text) || s == inHTML {
		return s.write(text), true
	}
	var b strings.Builder
	at := 0 // in the texts
	for i := 0; i < len(raw); {
		n, decoded := 1, 1
		escaped := false
		switch {
		case s != inJSON && raw[i] == '%' && i+2 < len(raw):
			n, escaped = 3, true
		case s == inJSON && raw[i] == '\\':
			r, size, ok := jsonUnit(raw[i:])
			if !ok {
				return "", false
			}
			n, decoded, escaped = size, utf8.RuneLen(r), true
		}
		if at+decoded > len(text) || decoded < 1 {
			return "", false
		}
		switch now := text[at : at+decoded]; {
		case now == old[at:at+decoded]:
			b.WriteString(raw[i : i+n])
		case !escaped: // letters and digits only change
			b.WriteString(now)
		case s != inJSON:
			digits := "0123456789ABCDEF"
			if raw[i+1] >= 'a' || raw[i+2] >= 'a' {
				digits = "0123456789abcdef"
			}
			b.WriteByte('%')
			b.WriteByte(digits[now[0]>>4])
			b.WriteByte(digits[now[0]&15])
		default:
			r, _ := utf8.DecodeRuneInString(now)
			b.WriteString(escape(r))
		}
		at += decoded
		i += n
	}
	return b.String(), at == len(text)
}

// escape writes a rune as \uXXXX, or two of these.
func escape(r rune) string {
	unit := func(r rune) string {
		const digits = "0123456789abcdef"
		return string([]byte{'\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
	}
	if a, b := utf16.EncodeRune(r); a != utf8.RuneError {
		return unit(a) + unit(b)
	}
	return unit(r)
}

// jsonLeaf is a string or a number in JSON, by where it stands without quotation marks. The key
// is that of the nearest member that it is in, or the value of.
type jsonLeaf struct {
	from, to int
	quoted   bool
	isKey    bool
	key      string
}

// jsonWalk goes through the strings and numbers of JSON, also of several values one after
// another, and of what is cut. What is no JSON is passed over: it is for others to
// judge.
type jsonWalk struct {
	data []byte
	leaf func(jsonLeaf)
	keys []string // that what is around the place has
	key  string
	junk bool // there is something that JSON has not
}

// maxJSONDepth bounds how many keys are kept; of what is deeper, the names are not known.
const maxJSONDepth = 1024

// walk goes through all.
func (w *jsonWalk) walk() {
	for i := 0; i < len(w.data); {
		switch c := w.data[i]; {
		case c == '"':
			i = w.text(i + 1)
		case c == '-' || c >= '0' && c <= '9':
			from := i
			for i < len(w.data) && strings.IndexByte("+-.eE0123456789", w.data[i]) >= 0 {
				i++
			}
			w.leaf(jsonLeaf{from: from, to: i, key: w.key})
		case c == '{' || c == '[':
			if len(w.keys) < maxJSONDepth {
				w.keys = append(w.keys, w.key)
			}
			i++
		case c == '}' || c == ']':
			if n := len(w.keys); n > 0 {
				w.key, w.keys = w.keys[n-1], w.keys[:n-1]
			}
			i++
		case c >= 'a' && c <= 'z':
			n := i
			for n < len(w.data) && w.data[n] >= 'a' && w.data[n] <= 'z' {
				n++
			}
			word := view(w.data[i:n])
			w.junk = w.junk || word != "true" && word != "false" && word != "null"
			i = n
		default:
			w.junk = w.junk || strings.IndexByte(" \t\r\n,:\x1e", c) < 0
			i++
		}
	}
}

// text takes a string whose opening quotation mark is before from, and returns where it goes on.
func (w *jsonWalk) text(from int) int {
	end := from
	for end < len(w.data) && w.data[end] != '"' {
		if w.data[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(w.data))
	next := min(end+1, len(w.data))
	for next < len(w.data) && strings.IndexByte(" \t\r\n", w.data[next]) >= 0 {
		next++
	}
	l := jsonLeaf{from: from, to: end, quoted: true, key: w.key}
	if next < len(w.data) && w.data[next] == ':' {
		l.isKey = true
		w.key = ""
		if end-from <= maxName {
			w.key = view(w.data[from:end])
		}
	}
	w.leaf(l)
	return min(end+1, len(w.data))
}

// looksJSON reports whether a body is JSON, by how it begins.
func looksJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 1 && (body[0] == '{' || body[0] == '[') && strings.IndexByte("\"{[]}-0123456789tfn \t\r\n", body[1]) >= 0
}

// isJSON reports whether something is an object or a list of JSON, and nothing else.
func isJSON(body []byte) bool {
	w := jsonWalk{data: body, leaf: func(jsonLeaf) {}}
	if !looksJSON(body) || !utf8.Valid(body) {
		return false
	}
	w.walk()
	return !w.junk
}
