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
	text  string // of a string, number or literal
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

// parseJSON reads one JSON value and nothing behind it.
func parseJSON(data []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n, err := parseNode(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something stands behind the value, at byte %d", d.InputOffset())
	}
	return n, nil
}

func parseNode(d *json.Decoder, depth int) (*node, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deep")
	}
	tok, err := d.Token()
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
		for d.More() {
			if t == '{' {
				key, err := d.Token()
				if err != nil {
					return nil, err
				}
				n.keys = append(n.keys, key.(string))
			}
			item, err := parseNode(d, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err := d.Token() // the closing delimiter
		return n, err
	}
	return nil, fmt.Errorf("unexpected %v", tok)
}

// compareJSON lists where two values differ. Objects are compared by key, whatever
// their order, arrays in order, and numbers by value.
func compareJSON(a, b *node) []Difference {
	c := jsonComparer{}
	c.compare("$", a, b)
	return c.list
}

type jsonComparer struct{ list []Difference }

func (c *jsonComparer) add(kind Kind, path, recorded, live string) {
	if len(c.list) < MaxDifferences {
		c.list = append(c.list, Difference{kind, "body " + path, recorded, live, -1})
	}
}

func (c *jsonComparer) compare(path string, a, b *node) {
	if len(c.list) >= MaxDifferences {
		return
	}
	switch {
	case a.kind != b.kind:
		c.add(Type, path, a.show(), b.show())
	case a.kind == nodeObject:
		c.objects(path, a, b)
	case a.kind == nodeArray:
		for i := range max(len(a.items), len(b.items)) {
			at := path + "[" + strconv.Itoa(i) + "]"
			switch {
			case i >= len(a.items):
				c.add(Extra, at, "", b.items[i].show())
			case i >= len(b.items):
				c.add(Missing, at, a.items[i].show(), "")
			default:
				c.compare(at, a.items[i], b.items[i])
			}
		}
	case a.kind == nodeNumber:
		if a.text != b.text && canonical(a.text) != canonical(b.text) {
			c.add(Value, path, a.show(), b.show())
		}
	case a.text != b.text:
		c.add(Value, path, a.show(), b.show())
	}
}

// objects compares by key. Of a key that stands there more than once, the first
// is compared with the first, and so on.
func (c *jsonComparer) objects(path string, a, b *node) {
	place := make(map[string][]int, len(b.keys))
	for i, key := range b.keys {
		place[key] = append(place[key], i)
	}
	for i, key := range a.keys {
		at := path + member(key)
		if p := place[key]; len(p) > 0 {
			c.compare(at, a.items[i], b.items[p[0]])
			place[key] = p[1:]
		} else {
			c.add(Missing, at, a.items[i].show(), "")
		}
	}
	for i, key := range b.keys {
		if p := place[key]; len(p) > 0 && p[0] == i {
			c.add(Extra, path+member(key), "", b.items[i].show())
			place[key] = p[1:]
		}
	}
}

// member writes a key as JSONPath has it (RFC 9535, section 2.5.1).
func member(key string) string {
	for i := range len(key) {
		b := key[i]
		if !(b == '_' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || i > 0 && '0' <= b && b <= '9') {
			return "[" + strconv.QuoteToASCII(key) + "]"
		}
	}
	if key == "" {
		return `[""]`
	}
	return "." + key
}

// show writes a value, shortened.
func (n *node) show() string {
	switch n.kind {
	case nodeString:
		return quote(n.text)
	case nodeArray:
		return fmt.Sprintf("an array of %d", len(n.items))
	case nodeObject:
		return fmt.Sprintf("an object of %d", len(n.items))
	}
	return n.text
}

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
