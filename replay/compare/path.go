package compare

import (
	"fmt"
	"strconv"
	"strings"
)

// Path is a pattern of places in something with a structure, in the part of JSONPath
// (RFC 9535) that has no conditions: $.items[*].id, $..token, $["a b"][0].
type Path struct {
	text  string
	parts []pathPart
}

// pathPart is a step of a pattern.
type pathPart struct {
	step
	star bool // it is *, any step
	deep bool // any number of steps may stand before it
}

func (p *Path) String() string { return p.text }

// ParsePath reads a pattern. An error says what is wrong with it and where.
func ParsePath(s string) (*Path, error) {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok {
		return nil, fmt.Errorf("a path begins with $, as $.items[*].id, and not as %q", s)
	}
	p := &Path{text: s}
	for rest != "" {
		part, n, err := parsePart(rest)
		if err != nil {
			return nil, fmt.Errorf("%w, at %q in %q", err, rest, s)
		}
		p.parts, rest = append(p.parts, part), rest[n:]
	}
	return p, nil
}

// parsePart reads one step and returns its length.
func parsePart(s string) (pathPart, int, error) {
	var part pathPart
	at := 0
	if strings.HasPrefix(s, "..") {
		part.deep = true
		at = 1
		if strings.HasPrefix(s, "..[") {
			at = 2
		}
	}
	switch {
	case s[at] == '[':
		n, err := part.bracket(s[at:])
		return part, at + n, err
	case s[at] == '.':
		name := s[at+1:]
		if i := strings.IndexAny(name, ".["); i >= 0 {
			name = name[:i]
		}
		part.key, part.star = name, name == "*"
		if name == "" {
			return part, 0, fmt.Errorf("a name is missing")
		}
		return part, at + 1 + len(name), nil
	}
	return part, 0, fmt.Errorf("a step begins with . or [")
}

// bracket reads [*], [0], ["key"] or ['key'].
func (p *pathPart) bracket(s string) (int, error) {
	if strings.HasPrefix(s, "[*]") {
		p.star = true
		return len("[*]"), nil
	}
	if len(s) > 1 && (s[1] == '"' || s[1] == '\'') {
		end := strings.Index(s[2:], s[1:2]+"]")
		if end < 0 {
			return 0, fmt.Errorf("a key in quotes does not end with %s]", s[1:2])
		}
		p.key = s[2 : 2+end]
		if key, err := strconv.Unquote(`"` + p.key + `"`); err == nil {
			p.key = key
		}
		return end + 4, nil
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return 0, fmt.Errorf("a ] is missing")
	}
	n, err := strconv.Atoi(s[1:end])
	if err != nil || n < 0 {
		return 0, fmt.Errorf("in brackets stands a number, * or a key in quotes")
	}
	p.inArray, p.index = true, n
	return end + 1, nil
}

func (p *pathPart) is(s step) bool { return p.star || p.step == s }

// matches reports whether a path is one of the pattern's.
func (p *Path) matches(path []step) bool {
	// at[i] tells whether the first i parts match the steps so far.
	at := make([]bool, len(p.parts)+1)
	at[0] = true
	for _, s := range path {
		for i := len(p.parts); i >= 0; i-- {
			stay := i < len(p.parts) && p.parts[i].deep && at[i]
			at[i] = i > 0 && at[i-1] && p.parts[i-1].is(s) || stay
		}
	}
	return at[len(p.parts)]
}
