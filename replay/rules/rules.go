// Package rules reads and writes files that say what counts when answers are compared.
//
// A file is YAML, made to be written by netlab and edited by people:
//
//	version: 1
//	rules:
//	  - endpoint: GET /users/{id}       # without: all endpoints; * stands for anything
//	    json: $.items[*].updated        # or header:, form:, text:, place:
//	    shape: timestamp
//
// Where a rule holds is said by one of
//
//	json: $.a[*].b       a place in JSON, a form, protobuf, the answer of a database
//	header: x-trace      a header field; "*" is any
//	form: csrf           a field of a form
//	place: body line     a place as reports write it
//	text: REGEXP         parts of any text, which then do not count
//
// and what it says by one of
//
//	ignore: true         or one kind of difference, or a list: status, type, missing, extra, value, header
//	match: REGEXP        what the live value has to match
//	tolerance: 0.5       how far numbers may be apart; 5% is a part of the recorded
//	shape: uuid          what the live value has to look like: type (only the type counts), uuid, timestamp, hex, token, counter
//	array: set           how an array is compared: ordered, set, by-key(id)
//	spelling: true       1.0 and 1 are not the same
//
// Errors of a file have its line and column, and say what would be right.
package rules

import (
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"netlab/replay/compare"
)

// maxFile bounds a file of rules, and maxRules the rules in it.
const (
	maxFile  = 4 << 20
	maxRules = 10_000
)

// Error is a mistake in a file.
type Error struct {
	File         string
	Line, Column int
	Reason       string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// Read reads rules; file is its name.
func Read(r io.Reader, file string) ([]compare.Rule, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("rules: read %s: %w", file, err)
	}
	if len(data) > maxFile {
		return nil, &Error{File: file, Reason: fmt.Sprintf("more than %d MiB are no rules", maxFile>>20)}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, &Error{File: file, Reason: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	p := parser{file: file}
	if len(doc.Content) > 0 {
		p.document(doc.Content[0])
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.list, nil
}

// parser goes through a file, up to the first mistake.
type parser struct {
	file string
	list []compare.Rule
	err  error
}

// wrong notes a mistake.
func (p *parser) wrong(n *yaml.Node, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{p.file, n.Line, n.Column, fmt.Sprintf(format, args...)}
	}
}

// pairs calls f for each key of a mapping, each once.
func (p *parser) pairs(n *yaml.Node, what string, f func(key string, k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.wrong(n, "here stands %s, as key: value", what)
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content) && p.err == nil; i += 2 {
		k := n.Content[i]
		if seen[k.Value] {
			p.wrong(k, "%s is there twice", k.Value)
		}
		seen[k.Value] = true
		f(k.Value, k, n.Content[i+1])
	}
}

func (p *parser) document(n *yaml.Node) {
	p.pairs(n, "version: 1 and rules:", func(key string, k, v *yaml.Node) {
		switch key {
		case "version":
			if v.Value != "1" {
				p.wrong(v, "version %q is not known; this netlab reads version: 1", v.Value)
			}
		case "rules":
			if v.Kind != yaml.SequenceNode && v.Tag != "!!null" {
				p.wrong(v, "rules: is a list, of which each begins with - ")
				return
			}
			if len(v.Content) > maxRules {
				p.wrong(v, "there are more than %d rules", maxRules)
				return
			}
			for _, item := range v.Content {
				p.rule(item)
			}
		default:
			p.wrong(k, "%q is not known; here stand version: and rules:", key)
		}
	})
}

// wheres and whats are the keys of which a rule has one each.
var (
	wheres = []string{"json", "header", "form", "place", "text"}
	whats  = []string{"ignore", "match", "tolerance", "shape", "array", "spelling"}
)

func (p *parser) rule(n *yaml.Node) {
	var r compare.Rule
	var where, what *yaml.Node
	one := func(was **yaml.Node, k *yaml.Node, of []string) {
		if *was != nil {
			p.wrong(k, "%s and %s say the same sort of thing; a rule has one of %s", (*was).Value, k.Value, strings.Join(of, ", "))
		}
		*was = k
	}
	p.pairs(n, "a rule", func(key string, k, v *yaml.Node) {
		if v.Kind != yaml.ScalarNode && key != "ignore" {
			p.wrong(v, "%s: has one value", key)
			return
		}
		switch key {
		case "endpoint":
			r.Endpoint = v.Value
			return
		case "json", "header", "form", "place", "text":
			one(&where, k, wheres)
			p.where(&r, key, v)
		case "ignore", "match", "tolerance", "shape", "array", "spelling":
			one(&what, k, whats)
			p.what(&r, key, v)
		default:
			p.wrong(k, "%q is not known; a rule has endpoint:, one of %s, and one of %s", key, strings.Join(wheres, ", "), strings.Join(whats, ", "))
		}
	})
	switch {
	case p.err != nil:
	case what == nil && r.Text == nil:
		p.wrong(n, "the rule does not say what holds; one of %s does", strings.Join(whats, ", "))
	case r.Text != nil && what != nil && what.Value != "ignore":
		p.wrong(what, "what text: finds is ignored, and nothing else")
	case where == nil && r.Endpoint == "":
		p.wrong(n, "the rule does not say where it holds; endpoint: or one of %s does", strings.Join(wheres, ", "))
	}
	p.list = append(p.list, r)
}

func (p *parser) where(r *compare.Rule, key string, v *yaml.Node) {
	if v.Value == "" {
		p.wrong(v, "%s: is empty", key)
		return
	}
	switch key {
	case "json":
		path, err := compare.ParsePath(v.Value)
		if err != nil {
			p.wrong(v, "%v; a path looks like $.items[*].id", err)
		}
		r.Path = path
	case "header":
		r.Header = strings.ToLower(v.Value)
	case "form":
		r.Form = v.Value
	case "place":
		r.Place = v.Value
	case "text":
		r.Text = p.regexp(v)
	}
}

func (p *parser) regexp(v *yaml.Node) *regexp.Regexp {
	re, err := regexp.Compile(v.Value)
	if err != nil {
		p.wrong(v, "%v; quote a regular expression with ' in YAML", err)
	}
	return re
}

// shapes are what shape: may be.
var shapes = map[string]compare.Shape{
	"type": compare.AnyShape, "uuid": compare.ShapeUUID, "timestamp": compare.ShapeDate, "hex": compare.ShapeHex,
	"token": compare.ShapeToken, "counter": compare.ShapeInteger,
}

func (p *parser) what(r *compare.Rule, key string, v *yaml.Node) {
	switch key {
	case "ignore":
		p.ignore(r, v)
	case "match":
		r.Match = p.regexp(v)
	case "tolerance":
		p.tolerance(r, v)
	case "shape":
		shape, ok := shapes[v.Value]
		if !ok {
			p.wrong(v, "a shape %q is not known; there are type, uuid, timestamp, hex, token, counter", v.Value)
		}
		r.Shape = shape
	case "array":
		name, isKey := strings.CutPrefix(v.Value, "by-key(")
		switch {
		case v.Value == "ordered":
			r.Array = compare.Ordered
		case v.Value == "set":
			r.Array = compare.Set
		case isKey && strings.HasSuffix(name, ")") && len(name) > 1:
			r.Array, r.Key = compare.ByKey, strings.TrimSuffix(name, ")")
		default:
			p.wrong(v, "an array is ordered, set or by-key(NAME), and not %q", v.Value)
		}
	case "spelling":
		if v.Value != "true" {
			p.wrong(v, "spelling: is true, or not there")
		}
		r.Spelling = true
	}
}

func (p *parser) ignore(r *compare.Rule, v *yaml.Node) {
	names := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		names = v.Content
	}
	for _, n := range names {
		if n.Value == "true" {
			r.Ignore = compare.AllKinds
			continue
		}
		found := false
		for _, k := range compare.AllKinds {
			if k.String() == n.Value {
				r.Ignore, found = append(r.Ignore, k), true
			}
		}
		if !found {
			p.wrong(n, "a kind of difference %q is not known; there are true, for all of them, status, type, missing, extra, value, header", n.Value)
		}
	}
	if len(r.Ignore) == 0 {
		p.wrong(v, "ignore: is true, or names kinds of difference")
	}
}

func (p *parser) tolerance(r *compare.Rule, v *yaml.Node) {
	text, relative := strings.CutSuffix(v.Value, "%")
	const maxText, precision = 32, 256
	f, _, err := big.ParseFloat(text, 10, precision, big.ToNearestEven)
	if err != nil || f.Sign() < 0 || f.IsInf() || len(text) > maxText {
		p.wrong(v, "a tolerance is a number of 0 or more, as 0.5 or 5%%, and not %q", v.Value)
		return
	}
	if r.Relative = relative; relative {
		f.Quo(f, big.NewFloat(100))
	}
	r.Tolerance = f
}
