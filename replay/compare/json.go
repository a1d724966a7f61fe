package compare

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds nesting; Go's own decoder stops at 10,000.
const maxJSONDepth = 1000

// maxJSONValues bounds the values of a body: a node is some 100 bytes, and one
// stands for as little as two bytes of text.
const maxJSONValues = 1 << 20

// parseJSON reads one JSON value and nothing behind it (RFC 8259). The nodes share
// the memory of one copy of data.
func parseJSON(data []byte) (*node, error) {
	p := &jsonParser{data: string(data)}
	n, err := p.node(0)
	if err != nil {
		return nil, err
	}
	if p.blank(); p.at < len(p.data) {
		return nil, fmt.Errorf("something stands behind the value, at byte %d", p.at)
	}
	return n, nil
}

// jsonParser reads values. encoding/json keeps neither duplicate keys nor what is no
// Unicode apart, and needs twenty times the time of a token.
type jsonParser struct {
	data   string
	at     int
	values int
	keys   []string // of the objects that are open, and below their items
	items  []*node

	// Room for what is to come: an allocation each would take most of the time.
	slab     []node
	keySlab  []string
	itemSlab []*node
}

// slabSize bounds how much room is made at once; it grows with what was there.
const slabSize = 1024

// room is how much to make.
func (p *jsonParser) room() int { return min(slabSize, p.values+1) }

// carve keeps a list in some of the room.
func carve[T any](slab *[]T, list []T, room int) []T {
	n := len(list)
	if n == 0 {
		return nil
	}
	if len(*slab) < n {
		*slab = make([]T, max(n, room))
	}
	out := (*slab)[:n:n]
	*slab = (*slab)[n:]
	copy(out, list)
	return out
}

func (p *jsonParser) make(kind nodeKind, text string) *node {
	if len(p.slab) == 0 {
		p.slab = make([]node, p.room())
	}
	n := &p.slab[0]
	p.slab = p.slab[1:]
	n.kind, n.text = kind, text
	return n
}

// blank passes white space.
func (p *jsonParser) blank() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// unexpected says what stands where something else should.
func (p *jsonParser) unexpected(where string) error {
	if p.at >= len(p.data) {
		return fmt.Errorf("it ends %s", where)
	}
	r, _ := utf8.DecodeRuneInString(p.data[p.at:])
	return fmt.Errorf("%q at byte %d, %s", r, p.at, where)
}

func (p *jsonParser) node(depth int) (*node, error) {
	if p.values++; p.values > maxJSONValues {
		return nil, fmt.Errorf("more than %d values", maxJSONValues)
	}
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deep")
	}
	p.blank()
	if p.at == len(p.data) {
		return nil, p.unexpected("where a value should begin")
	}
	switch c := p.data[p.at]; {
	case c == '"':
		s, err := p.text()
		return p.make(nodeString, s), err
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '-' || isDigit(c):
		return p.number()
	}
	for kind, word := range [...]string{"null", "true", "false"} {
		if strings.HasPrefix(p.data[p.at:], word) {
			p.at += len(word)
			return p.make(nodeKind(min(kind, int(nodeBool))), word), nil
		}
	}
	return nil, p.unexpected("where a value should begin")
}

func (p *jsonParser) array(depth int) (*node, error) {
	from := len(p.items)
	err := p.list(']', func() error {
		item, err := p.node(depth + 1)
		p.items = append(p.items, item)
		return err
	})
	if err != nil {
		return nil, err
	}
	n := p.make(nodeArray, "")
	n.items = carve(&p.itemSlab, p.items[from:], p.room())
	p.items = p.items[:from]
	return n, nil
}

func (p *jsonParser) object(depth int) (*node, error) {
	from, fromKey := len(p.items), len(p.keys)
	err := p.list('}', func() error {
		p.blank()
		if p.at == len(p.data) || p.data[p.at] != '"' {
			return p.unexpected("where a key should begin")
		}
		key, err := p.text()
		if err != nil {
			return err
		}
		p.keys = append(p.keys, key)
		if p.blank(); p.at == len(p.data) || p.data[p.at] != ':' {
			return p.unexpected("where a colon should be")
		}
		p.at++
		item, err := p.node(depth + 1)
		p.items = append(p.items, item)
		return err
	})
	if err != nil {
		return nil, err
	}
	n := p.make(nodeObject, "")
	n.items, n.keys = carve(&p.itemSlab, p.items[from:], p.room()), carve(&p.keySlab, p.keys[fromKey:], p.room())
	p.items, p.keys = p.items[:from], p.keys[:fromKey]
	return n, nil
}

// list reads what stands between brackets, with commas.
func (p *jsonParser) list(end byte, read func() error) error {
	p.at++
	if p.blank(); p.at < len(p.data) && p.data[p.at] == end {
		p.at++
		return nil
	}
	for {
		if err := read(); err != nil {
			return err
		}
		p.blank()
		switch {
		case p.at < len(p.data) && p.data[p.at] == ',':
			p.at++
		case p.at < len(p.data) && p.data[p.at] == end:
			p.at++
			return nil
		default:
			return p.unexpected("where a comma or the end should be")
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// number reads one, and keeps its spelling (RFC 8259, section 6).
func (p *jsonParser) number() (*node, error) {
	from := p.at
	digits := func() bool {
		begin := p.at
		for p.at < len(p.data) && isDigit(p.data[p.at]) {
			p.at++
		}
		return p.at > begin
	}
	sign := func(signs string) {
		if p.at < len(p.data) && strings.IndexByte(signs, p.data[p.at]) >= 0 {
			p.at++
		}
	}
	sign("-")
	if p.at < len(p.data) && p.data[p.at] == '0' {
		p.at++
	} else if !digits() {
		return nil, p.unexpected("where a digit should be")
	}
	if p.at < len(p.data) && p.data[p.at] == '.' {
		p.at++
		if !digits() {
			return nil, p.unexpected("where a digit should be")
		}
	}
	if p.at < len(p.data) && p.data[p.at]|0x20 == 'e' {
		p.at++
		sign("+-")
		if !digits() {
			return nil, p.unexpected("where a digit should be")
		}
	}
	return p.make(nodeNumber, p.data[from:p.at]), nil
}

// text reads a string. One that holds what is no Unicode, be it bytes or half a
// surrogate pair, is kept as it is spelled: decoded, different strings would be the
// same.
func (p *jsonParser) text() (string, error) {
	from := p.at + 1
	plain := true // neither escapes nor bytes beyond ASCII
	for i := from; i < len(p.data); i++ {
		switch c := p.data[i]; {
		case c == '"':
			p.at = i + 1
			raw := p.data[from:i]
			if plain {
				return raw, nil
			}
			if s, ok := unescape(raw); ok {
				return s, nil
			}
			return asSpelled + raw, nil
		case c < ' ':
			p.at = i
			return "", p.unexpected("inside a string")
		case c == '\\':
			plain = false
			n := escapeLen(p.data[i:])
			if n == 0 {
				p.at = i
				return "", p.unexpected("where an escape should be")
			}
			i += n - 1
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	p.at = len(p.data)
	return "", p.unexpected("inside a string")
}

// escapeLen is how long the escape is that s begins with; 0 when it is none.
func escapeLen(s string) int {
	switch {
	case len(s) < 2:
	case strings.IndexByte(`"\/bfnrt`, s[1]) >= 0:
		return 2
	case s[1] == 'u' && len(s) >= 6 && isHex(s[2:6]):
		return 6
	}
	return 0
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; !isDigit(s[i]) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// unescape decodes a string's text, and reports whether it is Unicode.
func unescape(raw string) (string, bool) {
	if !utf8.ValidString(raw) {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			n := strings.IndexByte(raw[i:], '\\')
			if n < 0 {
				n = len(raw) - i
			}
			b.WriteString(raw[i : i+n])
			i += n
			continue
		}
		if raw[i+1] != 'u' {
			b.WriteByte("\"\\/\b\f\n\r\t"[strings.IndexByte(`"\/bfnrt`, raw[i+1])])
			i += 2
			continue
		}
		r := rune(hexValue(raw[i+2 : i+6]))
		i += 6
		if utf16.IsSurrogate(r) {
			if len(raw)-i < 6 || raw[i+1] != 'u' || raw[i] != '\\' {
				return "", false
			}
			r = utf16.DecodeRune(r, rune(hexValue(raw[i+2:i+6])))
			if r == utf8.RuneError {
				return "", false
			}
			i += 6
		}
		b.WriteRune(r)
	}
	return b.String(), true
}

func hexValue(s string) uint64 {
	n, _ := strconv.ParseUint(s, 16, 32) // isHex has looked
	return n
}
