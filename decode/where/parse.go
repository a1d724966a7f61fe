package where

import (
	"strconv"
	"strings"

	"netlab/decode/proto"
)

type parser struct {
	expr     string
	at       int    // where tok begins
	pos      int    // behind tok
	tok      string // "" at the end
	set      bool   // braces and commas are no part of words
	depth    int
	patterns int // bytes of them
	numbered bool
	err      error
}

func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = &SyntaxError{p.expr, p.at, reason}
	}
	p.tok, p.pos = "", len(p.expr)
}

// operators, longest first.
var operators = []string{"&&", "||", "==", "!=", "!~", "<=", ">=", "<", ">", "~", "!", "(", ")", "="}

// words that stand for operators wherever they stand, and those that do only behind
// a field: a value may be called so.
var (
	words       = map[string]string{"and": "&&", "or": "||", "not": "!"}
	comparisons = map[string]string{"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "matches": "~", "=": "=="}
)

// next reads a token.
func (p *parser) next() {
	rest := strings.TrimLeft(p.expr[p.pos:], " \t\n")
	p.at = len(p.expr) - len(rest)
	p.tok, p.pos = "", p.at
	if rest == "" {
		return
	}
	if rest[0] == '"' || rest[0] == '`' {
		q, err := strconv.QuotedPrefix(rest)
		if err != nil {
			p.fail(`a string that does not end, or has an unknown escape ("\\.", or a pattern in backquotes, keeps a \)`)
			return
		}
		p.tok, p.pos = q, p.at+len(q)
		return
	}
	if rest[0] == '\'' { // what a shell's double quotes leave
		q, _, ok := strings.Cut(rest[1:], "'")
		if !ok {
			p.fail("a string that does not end")
			return
		}
		p.tok, p.pos = strconv.Quote(q), p.at+len(q)+2
		return
	}
	ends := " \t\n()!&|=<>~\"`"
	if p.set {
		if strings.IndexByte("{},", rest[0]) >= 0 {
			p.tok, p.pos = rest[:1], p.at+1
			return
		}
		ends += "{},"
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			p.tok, p.pos = op, p.at+len(op)
			return
		}
	}
	n := strings.IndexAny(rest, ends)
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		p.fail("unexpected " + rest[:1])
		return
	}
	p.tok, p.pos = rest[:n], p.at+n
	if op := words[p.tok]; op != "" {
		p.tok = op
	}
}

// comparing are the operators that are words, and long enough to be mistyped.
var comparing = []string{"contains", "starts_with", "ends_with", "matches"}

// unexpected fails for a token that can't stand where it does.
func (p *parser) unexpected() {
	reason := "unexpected " + p.tok
	if n := Nearest(p.tok[:min(len(p.tok), 80)], comparing); n != "" {
		reason += "; do you mean " + n + "?"
	}
	p.fail(reason)
}

// or reads what stands between parentheses.
func (p *parser) or() test {
	list := []test{p.and()}
	for p.tok == "||" {
		p.next()
		list = append(list, p.and())
	}
	if len(list) == 1 {
		return list[0]
	}
	return func(e *proto.Exchange, s *scratch) bool {
		for _, t := range list {
			if t(e, s) {
				return true
			}
		}
		return false
	}
}

func (p *parser) and() test {
	list := []test{p.not()}
	for p.tok == "&&" {
		p.next()
		list = append(list, p.not())
	}
	if len(list) == 1 {
		return list[0]
	}
	return func(e *proto.Exchange, s *scratch) bool {
		for _, t := range list {
			if !t(e, s) {
				return false
			}
		}
		return true
	}
}

func (p *parser) not() test {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested too deep")
	}
	defer func() { p.depth-- }()
	switch p.tok {
	case "!":
		p.next()
		t := p.not()
		return func(e *proto.Exchange, s *scratch) bool { return !t(e, s) }
	case "(":
		p.next()
		t := p.or()
		p.closing()
		return t
	}
	return p.comparison()
}

// closing wants a closing parenthesis.
func (p *parser) closing() {
	if p.tok != ")" {
		p.fail("a parenthesis that is not closed")
	}
	p.next()
}

// field reads the name of a field.
func (p *parser) field() (f proto.Attribute, ok bool) {
	if f, ok = Lookup(p.tok); ok {
		p.numbered = p.numbered || f.Kind == proto.Identity
		p.next()
		return f, true
	}
	switch {
	case p.err != nil:
	case p.tok == "":
		p.fail("something is missing here")
	case p.called():
		p.fail("there is no " + p.tok + "(…), only exists(FIELD)")
	default:
		p.fail(Unknown(p.tok))
	}
	return f, false
}

// called reports whether a parenthesis opens behind the token.
func (p *parser) called() bool {
	return strings.HasPrefix(strings.TrimLeft(p.expr[p.pos:], " \t\n"), "(")
}

func (p *parser) comparison() test {
	if p.tok == "exists" && p.called() {
		p.next()
		p.next()
		f, ok := p.field()
		if !ok {
			return nil
		}
		p.closing()
		return exists(f)
	}
	f, ok := p.field()
	if !ok {
		return nil
	}
	not := false
	if p.tok == "!" { // `FIELD not in …`
		at, pos := p.at, p.pos
		p.next()
		switch p.tok {
		case "in", "contains", "matches", "starts_with", "ends_with", "~":
			not = true
		default:
			p.at, p.pos, p.tok = at, pos, "!"
		}
	}
	op := p.tok
	if same := comparisons[op]; same != "" {
		op = same
	}
	switch op {
	case "!~":
		op, not = "~", true
	case "in":
		return some(f, negate(p.in(f), not))
	case "==", "!=", "<", "<=", ">", ">=", "~", "contains", "starts_with", "ends_with":
	default:
		if f.Kind == proto.Truth {
			return holds(f)
		}
		return exists(f)
	}
	p.next()
	m := p.operand(f, op)
	p.next()
	return some(f, negate(m, not))
}

// operand makes the comparison with the value that is next.
func (p *parser) operand(f proto.Attribute, op string) match {
	if p.tok == "" || strings.Contains("()&|!=<>~", p.tok[:1]) || p.set && strings.Contains("{},", p.tok) {
		p.fail("a value is missing here")
		return nil
	}
	l := literal{text: p.tok}
	if s, err := strconv.Unquote(l.text); err == nil {
		l.text, l.quoted = s, true
	}
	if op == "~" {
		if p.patterns += len(l.text); p.patterns > maxPatterns {
			p.fail("the patterns are too long")
			return nil
		}
	}
	m, why := compare(f, op, l)
	if why != "" {
		p.fail(why)
	}
	return m
}

// in reads a set, or one member without braces.
func (p *parser) in(f proto.Attribute) match {
	p.set = true
	p.next()
	defer func() {
		p.set = false
		p.next()
	}()
	end := map[string]string{"{": "}", "(": ")"}[p.tok]
	if end == "" {
		return p.member(f)
	}
	var list []match
	for p.next(); p.tok != end; p.next() {
		switch {
		case p.err != nil:
			return nil
		case p.tok == "":
			p.fail("a set that is not closed")
			return nil
		case p.tok == "," && len(list) > 0:
		default:
			list = append(list, p.member(f))
		}
	}
	if len(list) == 0 {
		p.fail("a value is missing here")
	}
	return func(v *proto.Value, s *scratch) bool {
		for _, m := range list {
			if m(v, s) {
				return true
			}
		}
		return false
	}
}

// member makes the comparison with a member of a set: a value, or a range.
func (p *parser) member(f proto.Attribute) match {
	from, to, ok := strings.Cut(p.tok, "..")
	if !ok || from == "" || to == "" || p.tok[0] == '"' || p.tok[0] == '`' || !ordered(f.Kind) {
		return p.operand(f, "==")
	}
	least, why := compare(f, ">=", literal{text: from})
	most, why2 := compare(f, "<=", literal{text: to})
	if why+why2 != "" {
		p.fail(why + why2[len(why2)*min(1, len(why)):])
		return nil
	}
	return func(v *proto.Value, s *scratch) bool { return least(v, s) && most(v, s) }
}

// some holds when a value of the field does.
func some(f proto.Attribute, m match) test {
	get := f.Get
	return func(e *proto.Exchange, s *scratch) bool {
		s.values = get(s.values[:0], e)
		for i := range s.values {
			if m(&s.values[i], s) {
				return true
			}
		}
		return false
	}
}

// exists holds when the field has a value.
func exists(f proto.Attribute) test {
	return func(e *proto.Exchange, s *scratch) bool {
		s.values = f.Get(s.values[:0], e)
		return len(s.values) > 0
	}
}

// holds asks a truth.
func holds(f proto.Attribute) test {
	return some(f, func(v *proto.Value, _ *scratch) bool { return v.Number != 0 })
}

func negate(m match, not bool) match {
	if !not {
		return m
	}
	return func(v *proto.Value, s *scratch) bool { return !m(v, s) }
}
