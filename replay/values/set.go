package values

import (
	"fmt"
	"strconv"
	"strings"
)

// Set is what takes the place of what was recorded.
type Set struct {
	// Name is what the user called it, as cookie.sid.
	Name string
	// Text is what is said.
	Text string

	kind   Kind
	name   string
	number int // of a value that was found, in place of these
}

// valueName is what a value that was found is called in Set, before its Number.
const valueName = "value"

// setKinds are what may be set, by their first word.
var setKinds = map[string]Kind{"header": Header, "cookie": Cookie, "query": Query, "form": FormField, "json": JSON}

// ParseSet reads NAME=VALUE. NAME is header.FIELD, cookie.NAME, query.NAME, form.NAME, which is
// also a part of a body in parts, json.PATH, as json.$.user.token, or value.NUMBER, which is
// a value that was found.
func ParseSet(s string) (Set, error) {
	kind, rest, ok := strings.Cut(s, ".")
	k, known := setKinds[kind]
	i := strings.IndexByte(rest, '=') // so no name has one
	switch {
	case ok && kind == valueName && i > 0:
		n, err := strconv.Atoi(rest[:i])
		if err != nil || n < 1 {
			return Set{}, fmt.Errorf("values that were found have numbers from 1, as value.1, not %q", rest[:i])
		}
		return Set{Name: s[:len(kind)+1+i], Text: rest[i+1:], number: n}, nil
	case !ok || !known || i <= 0:
		s, _, _ = strings.Cut(s, "=") // what is behind may be a secret
		return Set{}, fmt.Errorf("%q= sets nothing: before = stands header.NAME, cookie.NAME, query.NAME, form.NAME, json.PATH or value.NUMBER", s)
	case k == JSON && rest[0] != '$':
		return Set{}, fmt.Errorf("a path in JSON begins with $, as json.$.token, not %q", rest[:i])
	}
	set := Set{Name: kind + "." + rest[:i], Text: rest[i+1:], kind: k, name: rest[:i]}
	if k != JSON && k != FormField && !mayStandInHead(set.Text) {
		return Set{}, fmt.Errorf("what %s is set to holds what can't stand in the head of a request", set.Name)
	}
	return set, nil
}

// is reports whether a part of a request is what is set.
func (s *Set) is(u *unit) bool {
	switch {
	case s.number > 0:
		return false
	case s.kind == Header && u.place.Kind == Header:
		return strings.EqualFold(s.name, u.place.Name)
	case s.kind == FormField && u.place.Kind == Multipart:
		return s.name == u.place.Name
	}
	return s.kind == u.place.Kind && s.name == u.place.Name
}

// shape says what a value looks like without saying it.
func shape(s string) string {
	const long = 16
	what := "characters"
	switch {
	case strings.Trim(s, "0123456789") == "":
		what = "digits"
	case strings.Trim(s, "0123456789abcdefABCDEF-") == "":
		what = "hex digits"
	}
	n := len(s)
	if n == 1 {
		what = strings.TrimSuffix(what, "s")
	}
	if n >= long {
		return fmt.Sprintf("%s…, %d %s", s[:2], n, what)
	}
	return fmt.Sprintf("%d %s", n, what)
}
