package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// node is a JSON value. Numbers keep their spelling and objects their duplicate
// keys, for both are lost in Go's own types.
type node struct {
	kind  nodeKind
	text  string // of a string, number or literal; see jsonParser.Token
	keys  []string
	items []*node // of an array; of an object, one a key
}

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeBool
	nodeNumber
	nodeString
	nodeArray
	nodeObject
)

func (k nodeKind) String() string {
	return [...]string{"null", "bool", "number", "string", "array", "object"}[k]
}

// maxJSONDepth bounds nesting; Go's own decoder stops at 10,000.
const maxJSONDepth = 1000

// maxJSONValues bounds the values of a body: a node is some 100 bytes, and one
// stands for as little as two bytes of text.
const maxJSONValues = 1 << 20

// parseJSON reads one JSON value and nothing behind it.
func parseJSON(data []byte) (*node, error) {
	p := &jsonParser{Decoder: json.NewDecoder(bytes.NewReader(data)), data: data}
	p.UseNumber()
	n, err := p.node(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something stands behind the value, at byte %d", p.InputOffset())
	}
	return n, nil
}

type jsonParser struct {
	*json.Decoder
	data   []byte
	values int
}

// asSpelled begins the text of a string that is kept as it is spelled. No decoded
// text holds this byte.
const asSpelled = "\xff"

// Token returns the next token. In a string the Decoder puts U+FFFD for whatever is
// no Unicode, be it bytes or half a surrogate pair, and different strings would be
// the same: where there is one, the string is kept as it is spelled.
func (p *jsonParser) Token() (json.Token, error) {
	from := p.InputOffset()
	tok, err := p.Decoder.Token()
	if s, ok := tok.(string); ok && strings.Contains(s, "\ufffd") {
		raw := p.data[from:p.InputOffset()]
		return asSpelled + string(raw[bytes.IndexByte(raw, '"')+1:len(raw)-1]), err
	}
	return tok, err
}

func (p *jsonParser) node(depth int) (*node, error) {
	if p.values++; p.values > maxJSONValues {
		return nil, fmt.Errorf("more than %d values", maxJSONValues)
	}
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deep")
	}
	tok, err := p.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case nil:
		return &node{text: "null"}, nil
	case bool:
		return &node{kind: nodeBool, text: strconv.FormatBool(t)}, nil
	case json.Number:
		return &node{kind: nodeNumber, text: t.String()}, nil
	case string:
		return &node{kind: nodeString, text: t}, nil
	case json.Delim:
		n := &node{kind: nodeArray}
		if t == '{' {
			n.kind = nodeObject
		}
		for p.More() {
			if t == '{' {
				key, err := p.Token()
				if err != nil {
					return nil, err
				}
				n.keys = append(n.keys, key.(string))
			}
			item, err := p.node(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err := p.Token() // the closing delimiter
		return n, err
	}
	return nil, fmt.Errorf("unexpected %v", tok)
}

// json lists where two values differ. Objects are compared by key, whatever their
// order, arrays in order, and numbers by value.
func (r Rules) json(a, b *node) []Difference {
	c := jsonComparer{rules: r}
	c.compare(a, b)
	return c.list
}

type jsonComparer struct {
	rules Rules
	list  []Difference
	// path leads to what is compared. It is written out for a difference only:
	// keys may be long, and values many.
	path []step
}

// step leads to a member of an object, or to an element of an array when inArray.
type step struct {
	key     string
	inArray bool
	index   int
}

func (c *jsonComparer) add(kind Kind, recorded, live string) {
	if len(c.list) >= MaxDifferences {
		return
	}
	c.list = append(c.list, Difference{kind, c.where(), recorded, live, -1})
}

// where writes out the path.
func (c *jsonComparer) where() string {
	var path strings.Builder
	path.WriteString("body $")
	for _, s := range c.path {
		if s.inArray {
			path.WriteString("[" + strconv.Itoa(s.index) + "]")
		} else {
			path.WriteString(member(s.key))
		}
	}
	return path.String()
}

// at compares what stands at a step; nil is nothing.
func (c *jsonComparer) at(s step, a, b *node) {
	c.path = append(c.path, s)
	switch {
	case a == nil:
		c.add(Extra, "", b.show())
	case b == nil:
		c.add(Missing, a.show(), "")
	default:
		c.compare(a, b)
	}
	c.path = c.path[:len(c.path)-1]
}

func (c *jsonComparer) compare(a, b *node) {
	if len(c.list) >= MaxDifferences {
		return
	}
	switch {
	case a.isText() && b.isText() && a.same(b):
	case a.isText() && b.isText() && c.rules.Alike != nil && c.rules.alike(c.where(), a.spelled(), b.spelled()):
	case a.kind != b.kind:
		c.add(Type, a.show(), b.show())
	case a.kind == nodeObject:
		c.objects(a, b)
	case a.kind == nodeArray:
		for i := range max(len(a.items), len(b.items)) {
			s := step{inArray: true, index: i}
			switch {
			case i >= len(a.items):
				c.at(s, nil, b.items[i])
			case i >= len(b.items):
				c.at(s, a.items[i], nil)
			default:
				c.at(s, a.items[i], b.items[i])
			}
		}
	case a.text == b.text:
	case a.kind == nodeString:
		was, is := quoteBoth(a.spelled(), b.spelled())
		c.add(Value, was, is)
	default:
		c.add(Value, a.show(), b.show())
	}
}

// objects compares by key. Of a key that stands there more than once, the first
// is compared with the first, and so on.
func (c *jsonComparer) objects(a, b *node) {
	place := make(map[string][]int, len(b.keys))
	for i, key := range b.keys {
		place[key] = append(place[key], i)
	}
	for i, key := range a.keys {
		var other *node
		if p := place[key]; len(p) > 0 {
			other, place[key] = b.items[p[0]], p[1:]
		}
		c.at(step{key: key}, a.items[i], other)
	}
	for i, key := range b.keys {
		if p := place[key]; len(p) > 0 && p[0] == i {
			c.at(step{key: key}, nil, b.items[i])
			place[key] = p[1:]
		}
	}
}

// member writes a key as JSONPath has it (RFC 9535, section 2.5.1).
func member(key string) string {
	key = strings.TrimPrefix(key, asSpelled)
	if key == "" || len(key) > long {
		return "[" + quote(key) + "]"
	}
	for i := range len(key) {
		b := key[i]
		if !(b == '_' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || i > 0 && '0' <= b && b <= '9') {
			return "[" + quote(key) + "]"
		}
	}
	return "." + key
}

// show writes a value, shortened.
func (n *node) show() string {
	switch n.kind {
	case nodeString:
		return quote(n.spelled())
	case nodeArray:
		return fmt.Sprintf("an array of %d", len(n.items))
	case nodeObject:
		return fmt.Sprintf("an object of %d", len(n.items))
	}
	if len(n.text) > long {
		return n.text[:long] + "…"
	}
	return n.text
}

// isText reports whether a value is a string or a number.
func (n *node) isText() bool { return n.kind == nodeString || n.kind == nodeNumber }

// same reports whether two strings, or two numbers, have the same value.
func (n *node) same(other *node) bool {
	return n.kind == other.kind && (n.text == other.text || n.kind == nodeNumber && canonical(n.text) == canonical(other.text))
}

// spelled returns a string's text, as it is shown.
func (n *node) spelled() string { return strings.TrimPrefix(n.text, asSpelled) }

// canonical writes a JSON number as digits and an exponent of ten, so that equal
// values are equal strings, however large they are: 1.0, 1 and 10e-1 are 1e0.
func canonical(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	mantissa, exp := s, int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil {
			return sign + s // beyond all reason: only the same spelling is equal
		}
		mantissa, exp = s[:i], e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	exp -= int64(len(fraction))
	digits = strings.TrimLeft(digits, "0")
	short := strings.TrimRight(digits, "0")
	exp += int64(len(digits) - len(short))
	if short == "" {
		return "0"
	}
	return sign + short + "e" + strconv.FormatInt(exp, 10)
}
