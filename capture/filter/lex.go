package filter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Expr   string
	Offset int // in bytes
	Reason string

	link bool // it is wrong for this link type, perhaps not for others
}

// maxShown bounds what an error shows of an expression on both sides of the mark.
const maxShown = 100

func (e *SyntaxError) Error() string {
	if e.Expr == "" {
		return e.Reason
	}
	before, behind := []rune(e.Expr[:e.Offset]), []rune(e.Expr[e.Offset:])
	if n := len(before) - maxShown; n > 0 {
		before = append([]rune("..."), before[n:]...)
	}
	if len(behind) > maxShown {
		behind = append(behind[:maxShown:maxShown], []rune("...")...)
	}
	expr := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' ' // or the mark would stand elsewhere
		}
		return r
	}, string(before)+string(behind))
	return fmt.Sprintf("%s\n  %s\n  %s^", e.Reason, expr, strings.Repeat(" ", len(before)))
}

// maxExpr bounds an expression, in bytes; maxDepth how deep parentheses nest.
const (
	maxExpr  = 32 << 10
	maxDepth = 100
)

type tokenKind uint8

const (
	end     tokenKind = iota
	word              // a keyword, or a name
	escaped           // a name behind \, which is no keyword
	number            // of 32 bits
	dotted            // an IPv4 address, or the beginning of one: 10.1
	ipv6
	mac
	punct // an operator, a parenthesis, a bracket
)

type token struct {
	kind tokenKind
	at   int
	text string
	n    uint32
	addr netip.Addr // of ipv6
	mac  [6]byte
	// pair is, for ( and [, the index of the token that closes it.
	pair int
}

// String is the token as an error names it.
func (t *token) String() string {
	if t.kind == end {
		return "the end"
	}
	if r := []rune(t.text); len(r) > maxShown {
		return strconv.Quote(string(r[:maxShown])) + "..."
	}
	return strconv.Quote(t.text)
}

// puncts, longest first.
var puncts = []string{
	"&&", "||", "==", "!=", "<=", ">=", "<<", ">>",
	"<", ">", "=", "!", "(", ")", "[", "]", ":", "+", "-", "*", "/", "%", "&", "|", "^",
}

// lex splits an expression into tokens, the last of which is end.
func lex(expr string) ([]token, error) {
	fail := func(at int, format string, args ...any) error {
		return &SyntaxError{Expr: expr, Offset: at, Reason: fmt.Sprintf(format, args...)}
	}
	if len(expr) > maxExpr {
		return nil, &SyntaxError{Reason: fmt.Sprintf("a filter of %d bytes: %d is the most", len(expr), maxExpr)}
	}
	var list []token
	var open []int
	for at := 0; at < len(expr); {
		rest := expr[at:]
		if strings.IndexByte(" \t\r\n", rest[0]) >= 0 {
			at++
			continue
		}
		t := token{at: at}
		if t.address(rest) || t.word(rest) {
			if t.kind == number {
				if err := t.number(); err != "" {
					return nil, fail(at, "%s", err)
				}
			}
		} else if rest[0] == '\\' {
			n := strings.IndexAny(rest, " !()\t\r\n")
			if n < 0 {
				n = len(rest)
			}
			if n == 1 {
				return nil, fail(at, "a name is missing behind \\")
			}
			t.kind, t.text = escaped, rest[:n]
		} else {
			for _, p := range puncts {
				if strings.HasPrefix(rest, p) {
					t.kind, t.text = punct, p
					break
				}
			}
			if t.kind != punct {
				_, n := utf8.DecodeRuneInString(rest)
				return nil, fail(at, "unexpected %q", rest[:n])
			}
		}
		switch t.text {
		case "and":
			t.kind, t.text = punct, "&&"
		case "or":
			t.kind, t.text = punct, "||"
		case "not":
			t.kind, t.text = punct, "!"
		case "(", "[":
			open = append(open, len(list))
		case ")", "]":
			if len(open) == 0 || closes[list[open[len(open)-1]].text] != t.text {
				return nil, fail(at, "%s closes nothing", t.text)
			}
			list[open[len(open)-1]].pair = len(list)
			open = open[:len(open)-1]
		}
		at += len(t.text)
		if t.kind == punct { // and, or and not are longer than what they mean
			at = t.at + t.width(rest)
		}
		list = append(list, t)
		if len(open) > maxDepth {
			return nil, fail(t.at, "nested too deep")
		}
	}
	if len(open) > 0 {
		t := list[open[len(open)-1]]
		return nil, fail(t.at, "%s is not closed", t.text)
	}
	return append(list, token{kind: end, at: len(expr)}), nil
}

var closes = map[string]string{"(": ")", "[": "]"}

// width is how many bytes of rest an operator takes.
func (t *token) width(rest string) int {
	for _, w := range []string{"and", "or", "not"} {
		if strings.HasPrefix(rest, w) {
			return len(w)
		}
	}
	return len(t.text)
}

// maxAddress is the length of the longest address written out.
const maxAddress = 45

// address reads what has colons: an IPv6 address, or an Ethernet address.
func (t *token) address(rest string) bool {
	n := 0
	for n < len(rest) && (isHex(rest[n]) || rest[n] == ':' || rest[n] == '.') {
		if n++; n > maxAddress {
			return false
		}
	}
	text := rest[:n]
	if strings.Count(text, ":") < 2 {
		return false
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		t.kind, t.text, t.addr = ipv6, text, a
		return true
	}
	return t.ethernet(text)
}

// ethernet reads an Ethernet address in one of its forms.
func (t *token) ethernet(text string) bool {
	digits, parts := text, []string(nil)
	switch {
	case len(text) > 17:
		return false
	case strings.Count(text, ":") == 5:
		parts = strings.Split(text, ":")
	case strings.Count(text, "-") == 5:
		parts = strings.Split(text, "-")
	case strings.Count(text, ".") == 5:
		parts = strings.Split(text, ".")
	case len(text) == 14 && text[4] == '.' && text[9] == '.':
		digits = text[:4] + text[5:9] + text[10:]
	case len(text) != 12:
		return false
	}
	if parts == nil {
		for i := 0; i < len(digits); i += 2 {
			parts = append(parts, digits[i:i+2])
		}
	}
	var a [6]byte
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 16, 8)
		if err != nil || len(p) > 2 {
			return false
		}
		a[i] = byte(n)
	}
	t.kind, t.text, t.mac = mac, text, a
	return true
}

// word reads what begins with a letter or a digit, and tells what it is.
func (t *token) word(rest string) bool {
	n := 0
	for n < len(rest) && (isAlnum(rest[n]) || n > 0 && strings.IndexByte("-_.", rest[n]) >= 0) {
		n++
	}
	for n > 0 && (rest[n-1] == '-' || rest[n-1] == '_') {
		n--
	}
	if n == 0 {
		return false
	}
	text := rest[:n]
	if t.ethernet(text) {
		return true
	}
	t.kind, t.text = word, text
	if k, ok := constants()[text]; ok {
		t.n = k
		t.kind = number
		return true
	}
	digits := strings.Trim(text, "0123456789.")
	hex := strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X")
	switch {
	case digits == "" && !strings.Contains(text, "."), hex && len(text) > 2 && strings.Trim(text[2:], "0123456789abcdefABCDEF") == "":
		t.kind = number
	case digits == "":
		t.kind = dotted
	}
	return true
}

// number reads a number as C writes it, and says what is wrong with it.
func (t *token) number() string {
	if _, ok := constants()[t.text]; ok {
		return ""
	}
	n, err := strconv.ParseUint(t.text, 0, 64)
	switch {
	case err != nil && t.text[0] == '0' && strings.ContainsAny(t.text, "89") && len(t.text) < 20:
		return fmt.Sprintf("%s begins with 0, so it is octal, and has a digit that is none of eight", t.text)
	case err != nil || n > 1<<32-1:
		return fmt.Sprintf("%s does not fit in 32 bits", t)
	}
	t.n = uint32(n)
	return ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
