package compare

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// Rule says what counts at some places. The first that says something about a
// difference decides.
type Rule struct {
	// Endpoint is a template of what is asked for, as "GET /users/{id}"; a host may
	// stand before the path, and * stands for anything. Empty is any.
	Endpoint string

	// Where it holds: one of these. Header is a field's name in lower case, * is any;
	// Path leads to a place in something with a structure; Form is a field of a form;
	// Place is a Difference's as it is.
	Header string
	Path   *Path
	Form   string
	Place  string
	// Text, if any, finds parts of texts that do not count there.
	Text *regexp.Regexp

	// What it says.

	// Ignore are kinds of difference that do not count.
	Ignore []Kind
	// Match is what a live value has to match, whatever it was.
	Match *regexp.Regexp
	// Tolerance is how far numbers may be apart; Relative, as a part of the recorded.
	Tolerance *big.Float
	Relative  bool
	// Shape is what the live value has to look like; AnyShape, only to be of the type.
	Shape Shape
	// Array is how an array is compared, by the objects' Key if by one.
	Array Array
	Key   string
	// Spelling has numbers differ that are spelled differently.
	Spelling bool
}

// Array says how arrays are compared.
type Array uint8

// The ways.
const (
	unsaid Array = iota
	ordered
	set
	byKey
)

// AnyShape as Rule.Shape asks for nothing but the type.
const AnyShape = ^Shape(0)

// The ways as they are written.
const (
	Ordered = ordered
	Set     = set
	ByKey   = byKey
)

// AllKinds are those that a Rule can ignore.
var AllKinds = []Kind{Status, Type, Missing, Extra, Value, Header}

// at reports whether a rule holds where the comparer is, at a path outside of any
// structure or, when c.part is set, inside of one.
func (r *Rule) at(c *comparer, path, place string) bool {
	switch {
	case r.Place != "" && r.Place != place:
		return false
	case r.Header != "":
		name, ok := strings.CutPrefix(path, "header ")
		name, _, _ = strings.Cut(name, " ") // behind which may be what of a cookie it is
		if !ok || r.Header != "*" && r.Header != name {
			return false
		}
	case r.Form != "" && !(c.part != "" && c.form && len(c.path) > 0 && c.path[0].key == r.Form):
		return false
	case r.Path != nil && !(c.part != "" && r.Path.matches(c.path)):
		return false
	}
	return r.Endpoint == "" || endpointMatches(r.Endpoint, c.endpointName())
}

func (c *comparer) endpointName() string {
	if !c.knowsEndpoint {
		c.endpoint, c.knowsEndpoint = EndpointOf(c.rules.request), true
	}
	return c.endpoint
}

// endpointMatches reports whether a template is an endpoint's, with or without the host.
func endpointMatches(template, endpoint string) bool {
	if wildcard(template, endpoint) {
		return true
	}
	method, rest, ok := strings.Cut(endpoint, " ")
	if i := strings.IndexByte(rest, '/'); ok && i > 0 {
		return wildcard(template, method+" "+rest[i:])
	}
	return false
}

// wildcard reports whether * in a pattern can stand for what makes it s.
func wildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return pattern == s
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// excused reports whether a rule says that a difference is none.
func (c *comparer) excused(kind Kind, path, place string, was, is side) bool {
	if len(c.rules.List) == 0 {
		return false
	}
	for i := range c.rules.List {
		r := &c.rules.List[i]
		if r.Array != unsaid || r.Spelling || !r.at(c, path, place) {
			continue
		}
		if r.excuses(kind, was, is) {
			c.pardoned++
			return true
		}
	}
	return false
}

// excuses reports whether what was and what is are as good as each other.
func (r *Rule) excuses(kind Kind, was, is side) bool {
	switch {
	case r.Text != nil:
		return kind != Missing && kind != Extra && r.Text.ReplaceAllLiteralString(was.text, "") == r.Text.ReplaceAllLiteralString(is.text, "")
	case r.Ignore != nil:
		return slices.Contains(r.Ignore, kind)
	case kind == Missing || kind == Status:
		return false
	case r.Match != nil:
		return r.Match.MatchString(is.text)
	case kind == Extra || kind == Type:
		return false
	case r.Tolerance != nil:
		return r.tolerates(was.text, is.text)
	case r.Shape == AnyShape:
		return true
	case r.Shape == ShapeDate:
		_, old := readClock(was.text)
		_, now := readClock(is.text)
		return old && now
	case r.Shape != 0:
		return r.Shape.Allows(is.shape)
	}
	return false
}

// maxDigits bounds the numbers that a tolerance is for.
const maxDigits = 100

// tolerates reports whether two numbers are close enough.
func (r *Rule) tolerates(was, is string) bool {
	if max(len(was), len(is)) > maxDigits {
		return false
	}
	const precision = 256
	a, _, err1 := big.ParseFloat(was, 10, precision, big.ToNearestEven)
	b, _, err2 := big.ParseFloat(is, 10, precision, big.ToNearestEven)
	if err1 != nil || err2 != nil || a.IsInf() || b.IsInf() {
		return false
	}
	most := r.Tolerance
	if r.Relative {
		most = new(big.Float).Mul(new(big.Float).Abs(a), most)
	}
	d := new(big.Float).Sub(a, b)
	return d.Abs(d).Cmp(most) <= 0
}

// arrayRule returns how the array that was come to is compared.
func (c *comparer) arrayRule() (Array, string) {
	for i := range c.rules.List {
		r := &c.rules.List[i]
		if r.Array != unsaid && r.at(c, c.part, "") {
			return r.Array, r.Key
		}
	}
	return ordered, ""
}

// asksSpelling reports whether some rule asks for the spelling of numbers.
func (c *comparer) asksSpelling() bool {
	return slices.ContainsFunc(c.rules.List, func(r Rule) bool { return r.Spelling })
}

// spelling reports whether one does here.
func (c *comparer) spelling() bool {
	for i := range c.rules.List {
		if r := &c.rules.List[i]; r.Spelling && r.at(c, c.part, "") {
			return true
		}
	}
	return false
}
