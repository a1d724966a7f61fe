// Package where picks exchanges by an expression over their fields, as in
//
//	http.status >= 500 && host ~ "^api" && latency > 250ms
//
// It stands between the pipeline and a sink. An expression is compiled once,
// before anything is read, to closures; evaluating it allocates nothing but what
// a field's text costs. A field that an exchange does not have makes every
// comparison with it false.
//
// The grammar, loosest first: `a || b`, `a && b`, `!a`, `(a)`, `FIELD OP VALUE`,
// and `FIELD` alone, which asks whether it is there. The words and, or, not work
// too. OP is == != < <= > >= contains ~ (a regular expression, RE2). VALUE is a
// string in any quotes, a word, or a number with or without a unit (us ms s, B kB MB).
package where

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"netlab/decode/proto"
)

// Filter is a compiled expression.
type Filter func(*proto.Exchange) bool

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Expr   string
	Offset int // in bytes
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s\n  %s\n  %s^", e.Reason, e.Expr, strings.Repeat(" ", utf8.RuneCountInString(e.Expr[:e.Offset])))
}

// maxDepth bounds how deep parentheses may nest.
const maxDepth = 100

// Compile reads an expression.
func Compile(expr string) (Filter, error) {
	p := &parser{expr: expr}
	p.next()
	f := p.or()
	if p.err == nil && p.tok != "" {
		p.fail("unexpected " + p.tok)
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

type parser struct {
	expr  string
	at    int    // where tok begins
	pos   int    // behind tok
	tok   string // "" at the end
	depth int
	err   error
}

func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = &SyntaxError{p.expr, p.at, reason}
	}
	p.tok, p.pos = "", len(p.expr)
}

// operators, longest first.
var operators = []string{"&&", "||", "==", "!=", "<=", ">=", "<", ">", "~", "!", "(", ")", "="}

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
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			p.tok, p.pos = op, p.at+len(op)
			return
		}
	}
	n := strings.IndexAny(rest, " \t\n()!&|=<>~\"`")
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		p.fail("unexpected " + rest[:1])
		return
	}
	p.tok, p.pos = rest[:n], p.at+n
	switch p.tok {
	case "and":
		p.tok = "&&"
	case "or":
		p.tok = "||"
	case "not":
		p.tok = "!"
	}
}

func (p *parser) or() Filter {
	f := p.and()
	for p.tok == "||" {
		p.next()
		a, b := f, p.and()
		f = func(e *proto.Exchange) bool { return a(e) || b(e) }
	}
	return f
}

func (p *parser) and() Filter {
	f := p.not()
	for p.tok == "&&" {
		p.next()
		a, b := f, p.not()
		f = func(e *proto.Exchange) bool { return a(e) && b(e) }
	}
	return f
}

func (p *parser) not() Filter {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested too deep")
	}
	defer func() { p.depth-- }()
	switch p.tok {
	case "!":
		p.next()
		f := p.not()
		return func(e *proto.Exchange) bool { return !f(e) }
	case "(":
		p.next()
		f := p.or()
		if p.tok != ")" {
			p.fail("a parenthesis that is not closed")
		}
		p.next()
		return f
	}
	return p.comparison()
}

func (p *parser) comparison() Filter {
	f, ok := fields[p.tok]
	if !ok {
		switch {
		case p.err != nil:
		case p.tok == "":
			p.fail("something is missing here")
		default:
			p.fail(fmt.Sprintf("there is no field %s%s", p.tok, nearest(p.tok)))
		}
		return nil
	}
	p.next()
	op := p.tok
	switch op {
	case "=":
		op = "=="
	case "==", "!=", "<", "<=", ">", ">=", "~", "contains":
	default:
		return func(e *proto.Exchange) bool { _, ok := f.get(e); return ok }
	}
	p.next()
	if p.tok == "" || strings.ContainsAny(p.tok[:1], "()&|!=<>~") {
		p.fail("a value is missing here")
		return nil
	}
	text, quoted := p.tok, false
	if s, err := strconv.Unquote(text); err == nil {
		text, quoted = s, true
	}
	c := p.compare(f, op, text, quoted)
	p.next()
	return c
}

// compare makes the closure of one comparison.
func (p *parser) compare(f field, op, text string, quoted bool) Filter {
	switch op {
	case "~":
		re, err := regexp.Compile(text)
		if err != nil {
			p.fail(err.Error())
			return nil
		}
		return func(e *proto.Exchange) bool { v, ok := f.get(e); return ok && re.MatchString(f.text(v)) }
	case "contains":
		return func(e *proto.Exchange) bool { v, ok := f.get(e); return ok && strings.Contains(f.text(v), text) }
	}
	if f.number {
		want, ok := number(text)
		if !ok || quoted {
			p.fail(fmt.Sprintf("%s is a number, %s is none", f.name, p.tok))
			return nil
		}
		test := orders[op]
		return func(e *proto.Exchange) bool { v, ok := f.get(e); return ok && test(cmpFloat(v.number, want)) }
	}
	test := orders[op]
	return func(e *proto.Exchange) bool { v, ok := f.get(e); return ok && test(strings.Compare(v.text, text)) }
}

var orders = map[string]func(int) bool{
	"==": func(c int) bool { return c == 0 },
	"!=": func(c int) bool { return c != 0 },
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// units turn into milliseconds and bytes.
var units = map[string]float64{
	"": 1, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3,
	"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9,
}

// number reads a number with a unit.
func number(s string) (float64, bool) {
	i := strings.LastIndexAny(s, "0123456789.") + 1
	n, err := strconv.ParseFloat(s[:i], 64)
	unit, known := units[s[i:]]
	return n * unit, err == nil && known
}
