package values

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unsafe"

	"netlab/decode/proto"
)

// leaves goes through the strings and numbers of a body in JSON, with their place in it,
// which encoding/json does not tell. It is lenient: where the body is no JSON, it ends.
type leaves struct {
	data  []byte
	pos   int
	steps []jsonStep
	count int
	// written is the latest path.
	written []byte
	// leaf is called with where a leaf stands, without quotation marks.
	leaf func(from, to int, quoted bool)
}

// jsonStep leads to a member, or to an element of an array when key is nil.
type jsonStep struct {
	key   []byte // as it is spelled
	index int
}

// looksJSON reports whether a body may be JSON by its first byte.
func looksJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[' || body[0] == '"')
}

// walk goes through all, and reports whether it was JSON as far as it looked.
func (l *leaves) walk() bool { return l.value() }

// space passes over white space and returns what is next; 0 at the end.
func (l *leaves) space() byte {
	for l.pos < len(l.data) {
		switch c := l.data[l.pos]; c {
		case ' ', '\t', '\r', '\n':
			l.pos++
		default:
			return c
		}
	}
	return 0
}

// value reads one.
func (l *leaves) value() bool {
	switch c := l.space(); {
	case c == '{' || c == '[':
		if len(l.steps) >= maxDepth {
			return false
		}
		return l.members(c == '{')
	case c == '"':
		from, to, ok := l.text()
		if ok {
			l.found(from, to, true)
		}
		return ok && l.count < maxLeaves
	case c == '-' || '0' <= c && c <= '9':
		from := l.pos
		for l.pos < len(l.data) && strings.IndexByte("+-.eE0123456789", l.data[l.pos]) >= 0 {
			l.pos++
		}
		l.found(from, l.pos, false)
		return l.count < maxLeaves
	case 'a' <= c && c <= 'z': // true, false or null
		for l.pos < len(l.data) && 'a' <= l.data[l.pos] && l.data[l.pos] <= 'z' {
			l.pos++
		}
		return true
	}
	return false
}

func (l *leaves) found(from, to int, quoted bool) {
	l.count++
	if to-from <= maxValue {
		l.leaf(from, to, quoted)
	}
}

// members reads those of an object or an array.
func (l *leaves) members(object bool) bool {
	l.pos++
	closing := byte(']')
	if object {
		closing = '}'
	}
	if l.space() == closing {
		l.pos++
		return true
	}
	l.steps = append(l.steps, jsonStep{})
	ok := l.each(object, closing)
	l.steps = l.steps[:len(l.steps)-1]
	return ok
}

// each reads member by member.
func (l *leaves) each(object bool, closing byte) bool {
	for i := 0; ; i++ {
		step := &l.steps[len(l.steps)-1]
		step.index = i
		if object {
			if l.space() != '"' {
				return false
			}
			from, to, ok := l.text()
			if !ok || l.space() != ':' {
				return false
			}
			l.pos++
			step.key = l.data[from:to]
		}
		if !l.value() {
			return false
		}
		switch l.space() {
		case ',':
			l.pos++
		case closing:
			l.pos++
			return true
		default:
			return false
		}
	}
}

// text reads a string and returns where it stands between its quotation marks.
func (l *leaves) text() (from, to int, ok bool) {
	l.pos++
	from = l.pos
	for l.pos < len(l.data) {
		switch l.data[l.pos] {
		case '"':
			l.pos++
			return from, l.pos - 1, true
		case '\\':
			l.pos++
		}
		l.pos++
	}
	l.pos = len(l.data)
	return from, l.pos, false
}

// path writes where the leaf stands, as JSONPath has it (RFC 9535, section 2.7). It is valid
// until the next.
func (l *leaves) path() string {
	b := append(l.written[:0], '$')
	for _, s := range l.steps {
		switch {
		case s.key == nil:
			b = append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
		case isName(s.key):
			b = append(append(b, '.'), s.key...)
		default:
			b = append(b, "['"...)
			b = append(b, bytes.ReplaceAll(s.key[:min(len(s.key), maxKey)], []byte("'"), []byte(`\'`))...)
			b = append(b, "']"...)
		}
	}
	l.written = b
	return view(b)
}

// view is data as text, without a copy: for a look at it, as long as data does not change.
func view(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// maxKey is how much of a key that is no name stands in a path.
const maxKey = 100

// isName reports whether a key may stand behind a point.
func isName(key []byte) bool {
	for i, c := range key {
		if !(c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return len(key) > 0 && len(key) <= maxKey
}

// names returns the last key on the way to the leaf, and the one before that.
func (l *leaves) names() (last, before string) {
	for i := len(l.steps) - 1; i >= 0; i-- {
		if key := l.steps[i].key; key != nil && last == "" {
			last = view(key)
		} else if key != nil {
			return last, view(key)
		}
	}
	return last, ""
}

// unquote decodes what stands between the quotation marks of a string. It is a view of raw when
// that will do.
func unquote(raw []byte) (string, bool) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return view(raw), true
	}
	var s string
	err := json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &s)
	return s, err == nil
}

// quote is the way back.
func quote(s string) string {
	out := proto.AppendString(nil, s)
	return string(out[1 : len(out)-1])
}

// isNumber reports whether s is a number in JSON.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9') && json.Valid([]byte(s))
}
