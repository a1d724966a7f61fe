// Package where picks exchanges by an expression over their fields, as in
//
//	http.status >= 500 && host ~ "^api" && latency > 250ms
//
// It stands between the pipeline and a sink. The fields are those that protocols
// declare (proto.Attribute) and some that all exchanges have: Fields lists them. An
// expression is compiled once, before anything is read, to closures; evaluating it
// allocates nothing but what a field's text costs.
//
// The grammar, loosest first: `a || b`, `a && b`, `!a`, `(a)`, `FIELD OP VALUE`,
// `FIELD in {VALUE VALUE FROM..TO}`, and `FIELD` alone or `exists(FIELD)`, which ask
// whether it is there. A truth alone, as the name of a protocol is, asks whether it
// holds: `dns && !tcp`. The words and, or, not work too.
//
// OP is == != < <= > >= (or eq ne lt le gt ge), contains, starts_with, ends_with, ~
// (or matches: a regular expression, RE2, where (?i) takes capitals for small
// letters) and !~. The last five are about the text that is printed for the value.
//
// VALUE is a string in any quotes, or a word. A duration has a unit: ns us ms s m h.
// A size may have one: B kB MB GB of thousands, KiB MiB GiB of 1024. A time is
// "2024-01-02T03:04:05Z", or less of it, in UTC. An address may be a network,
// 10.0.0.0/8, and where there is a port have one, 10.0.0.1:80; without, any will do.
//
// A field that an exchange does not have makes every comparison with it false, also
// != and !~: `!(host == a)` holds where there is no host, `host != a` does not. Of a
// field that has several values, one is enough for a comparison to hold.
package where

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"netlab/decode/proto"
)

// Filter is a compiled expression. Several goroutines may use it at a time.
type Filter struct {
	test     test
	numbered bool // it asks for conversations by their number
	scratch  sync.Pool
}

// Match reports whether the expression holds for an exchange.
func (f *Filter) Match(e *proto.Exchange) bool {
	s := f.scratch.Get().(*scratch)
	ok := f.test(e, s)
	f.scratch.Put(s)
	return ok
}

// scratch is memory that is used again: for the values of one field at a time, and
// one value as text.
type scratch struct {
	values []proto.Value
	text   []byte
}

// test is a part of an expression.
type test func(*proto.Exchange, *scratch) bool

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Expr   string
	Offset int // in bytes
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s\n  %s\n  %s^", e.Reason, e.Expr, strings.Repeat(" ", utf8.RuneCountInString(e.Expr[:e.Offset])))
}

// Bounds of an expression: its length, how deep parentheses may nest, and the
// length of all its patterns together, each of which may stand for a program a
// thousand times as long.
const (
	maxExpr     = 1 << 20
	maxDepth    = 100
	maxPatterns = 4 << 10
)

// Compile reads an expression.
func Compile(expr string) (*Filter, error) {
	p := &parser{expr: expr}
	if len(expr) > maxExpr {
		return nil, &SyntaxError{"", 0, fmt.Sprintf("an expression of %d bytes is too long", len(expr))}
	}
	p.next()
	t := p.or()
	if p.err == nil && p.tok != "" {
		p.unexpected()
	}
	if p.err != nil {
		return nil, p.err
	}
	f := &Filter{test: t, numbered: p.numbered}
	f.scratch.New = func() any { return new(scratch) }
	return f, nil
}
