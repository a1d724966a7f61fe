package compare

import (
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
)

// node is a value with a structure: of JSON, and of whatever else has fields.
// Numbers keep their spelling and objects their duplicate keys, for both are lost
// in Go's own types.
type node struct {
	kind  nodeKind
	text  string // of a string, number or literal; see asSpelled
	keys  []string
	items []*node // of an array; of an object, one a key
	hash  uint64  // see sum; 0 before it is known
}

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeBool
	nodeNumber
	nodeString
	nodeArray
	nodeObject
	nodeWire // bytes of protobuf: a string or a message, which nothing in them tells
)

func (k nodeKind) String() string {
	return [...]string{"null", "bool", "number", "string", "array", "object", "bytes"}[k]
}

// asSpelled begins the text of a string that is kept as it is spelled, for it holds
// what is no Unicode. No decoded text holds this byte.
const asSpelled = "\xff"

// show writes a value, shortened.
func (n *node) show() string {
	switch n.kind {
	case nodeString, nodeWire:
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

// spelled returns a string's text, as it is shown.
func (n *node) spelled() string { return strings.TrimPrefix(n.text, asSpelled) }

// shape is that of the value's text; see shapeOf.
func (n *node) shape() Shape {
	switch n.kind {
	case nodeNull:
		return ShapeNull
	case nodeBool:
		return ShapeBool
	case nodeArray:
		return ShapeArray
	case nodeObject:
		return ShapeObject
	}
	return shapeOf(n.text)
}

// seed is of this process: what is hashed comes from both sides of a connection, and
// nobody can make two values that collide.
var seed = maphash.MakeSeed()

// sum is a number that equal values have in common, and with a chance of 2^-64 others:
// objects whatever the order of their keys, numbers however they are spelled unless
// exact. It is kept, so one comparing asks in one way.
func (n *node) sum(exact bool) uint64 {
	if n.hash != 0 {
		return n.hash
	}
	h := uint64(n.kind) + 1
	switch n.kind {
	case nodeNumber:
		if exact {
			h = mix(h, textSum(n.text))
		} else {
			h = mix(h, textSum(canonical(n.text)))
		}
	case nodeArray:
		for _, item := range n.items {
			h = mix(h, item.sum(exact))
		}
	case nodeObject:
		var all uint64
		nth := occurrences(n.keys)
		for i, item := range n.items {
			all += mix(textSum(n.keys[i])+uint64(nth(i)), item.sum(exact))
		}
		h = mix(h, all)
	default:
		h = mix(h, textSum(n.text))
	}
	n.hash = max(h, 1)
	return n.hash
}

// mix makes one number of two, whose order counts.
func mix(a, b uint64) uint64 {
	h := (a ^ b*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	return (h ^ h>>29) + b
}

// fewKeys are looked through faster than a map is made.
const fewKeys = 12

// occurrences tells, called with 0, 1, 2 and so on, how often that key stood before.
func occurrences(keys []string) func(i int) int {
	if len(keys) > fewKeys {
		count := make(map[string]int, len(keys))
		return func(i int) int {
			n := count[keys[i]]
			count[keys[i]] = n + 1
			return n
		}
	}
	return func(i int) int {
		n := 0
		for _, key := range keys[:i] {
			if key == keys[i] {
				n++
			}
		}
		return n
	}
}

// get returns the first value of a key; nil when there is none.
func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k == key {
			return n.items[i]
		}
	}
	return nil
}

// step leads to a member of an object, or to an element of an array when inArray.
type step struct {
	key     string
	inArray bool
	index   int
}

// appendSteps writes a path as JSONPath has it (RFC 9535).
func appendSteps(b *strings.Builder, path []step) {
	for _, s := range path {
		if s.inArray {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		} else {
			b.WriteString(member(s.key))
		}
	}
}

// appendPlace writes a path without what differs between one answer and the next: the
// numbers of elements, and keys that are identifiers.
func appendPlace(b *strings.Builder, path []step) {
	for _, s := range path {
		switch {
		case s.inArray:
			b.WriteString("[*]")
		case isIdentifier(s.key):
			b.WriteString(".*")
		default:
			b.WriteString(member(s.key))
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

func textSum(s string) uint64 { return maphash.String(seed, s) }

func textSums(list []string) []uint64 {
	out := make([]uint64, len(list))
	for i, s := range list {
		out[i] = textSum(s)
	}
	return out
}
