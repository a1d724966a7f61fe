package redact

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Rule picks values, to be kept or to be hidden. Of its fields, those that are set have to
// hold.
type Rule struct {
	// Kind is what a Sanitizer takes the value for; ByKind says that it is set.
	Kind   Kind
	ByKind bool
	// Name is that of the header field, the parameter, the cookie or the member, with * for
	// any text, in any case.
	Name string
	// Value is found in values, and, to hide, in all texts.
	Value *regexp.Regexp
}

// ParseRule reads a rule as people type it: a kind, "card"; a regular expression, "/ACME-\d+/";
// or else a name, "x-trace-*".
func ParseRule(s string) (Rule, error) {
	if k, ok := ParseKind(s); ok {
		return Rule{Kind: k, ByKind: true}, nil
	}
	if len(s) > 1 && s[0] == '/' && s[len(s)-1] == '/' {
		re, err := regexp.Compile(s[1 : len(s)-1])
		if err != nil {
			return Rule{}, fmt.Errorf("rule %s: %w", s, err)
		}
		return Rule{Value: re}, nil
	}
	name := strings.ToLower(strings.TrimPrefix(s, "name:"))
	if _, err := path.Match(name, ""); err != nil || name == "" {
		return Rule{}, fmt.Errorf("rule %q: it is no kind (%s), no /regular expression/ and no name", s, strings.Join(kindNames[:], ", "))
	}
	return Rule{Name: name}, nil
}

// named reports whether the rule is for values of that name.
func (r *Rule) named(name string) bool {
	if r.Name == "" || name == "" {
		return false
	}
	ok, err := path.Match(r.Name, strings.ToLower(name))
	return ok && err == nil
}

// picks reports whether a rule is for a value.
func (r *Rule) picks(k Kind, name, value string) bool {
	return !(r.ByKind && r.Kind != k) && !(r.Name != "" && !r.named(name)) && !(r.Value != nil && !r.Value.MatchString(value)) &&
		(r.ByKind || r.Name != "" || r.Value != nil)
}
