package filter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// node is a part of an expression: one of logic, negation, relation and primitive.
type node any

// logic is a and b, or a or b.
type logic struct {
	and  bool
	a, b node
}

type negation struct{ a node }

// relation compares two numbers.
type relation struct {
	op   string
	a, b *sum
}

// sum is an arithmetic expression: a number, len, bytes of a packet, -a, a op b.
type sum struct {
	tok  *token
	op   string // "" for a number, len, [ for bytes, neg, or the operator
	n    uint32 // of a number
	a, b *sum   // a is the offset of bytes
	// of bytes
	proto string
	size  uint32
}

// primitive is a word with its qualifiers: the id of host 10.0.0.1, and all that
// stand alone.
type primitive struct {
	tok *token // the id, or the word
	quals
	// what it is: id, a word that stands alone ("tcp", "vlan"), or "broadcast" and
	// "multicast", which proto can be of.
	what string
	// n is the number of a word that can have one, where has.
	n   uint32
	has bool
	// net is, for an id that is an address, what it and its mask are.
	net netip.Prefix
	// ip and mask are an IPv4 address, for masks that are no prefix too.
	ip, mask uint32
}

// quals are the qualifiers of an id, "" where there is none.
type quals struct {
	proto, dir, typ string
	at              *token
}

type parser struct {
	expr   string
	tokens []token
	pos    int
	depth  int
	err    error
}

// parse reads an expression. That of none at all is nil.
func parse(expr string) (node, error) {
	tokens, err := lex(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{expr: expr, tokens: tokens}
	if p.peek().kind == end {
		return nil, nil
	}
	n, _, _ := p.chain(nil, false)
	if p.err == nil && p.peek().kind != end {
		p.unexpected()
	}
	return n, p.err
}

func (p *parser) peek() *token { return &p.tokens[p.pos] }

// next takes a token. Behind the end is the end, and so it is after an error.
func (p *parser) next() *token {
	t := &p.tokens[p.pos]
	if p.pos < len(p.tokens)-1 {
		p.pos++
	}
	return t
}

// is reports whether the next token is an operator or a word that is written so.
func (p *parser) is(texts ...string) bool {
	t := p.peek()
	for _, s := range texts {
		if t.text == s && (t.kind == punct || t.kind == word) {
			return true
		}
	}
	return false
}

func (p *parser) take(text string) bool {
	if p.is(text) {
		p.next()
		return true
	}
	return false
}

func (p *parser) fail(t *token, format string, args ...any) {
	if p.err == nil {
		p.err = &SyntaxError{Expr: p.expr, Offset: t.at, Reason: fmt.Sprintf(format, args...)}
	}
	p.pos = len(p.tokens) - 1
}

// unexpected refuses the next token, and says what it may have been meant for.
func (p *parser) unexpected() {
	t := p.peek()
	lower := strings.ToLower(t.text)
	switch {
	case t.kind == end:
		p.fail(t, "something is missing here")
	case t.kind == word && refused()[t.text] != "":
		p.fail(t, "%s is refused: %s", t.text, refused()[t.text])
	case t.kind == word && lower != t.text && (keywords()[lower] || lower == "and" || lower == "or" || lower == "not"):
		p.fail(t, "unexpected %s: write %s", t, lower)
	case t.kind == word && strings.Contains(t.text, "-") && strings.Trim(t.text, "0123456789-") == "":
		p.fail(t, "unexpected %s: it is one word; write spaces around -", t)
	case t.kind == number || t.kind == dotted || t.kind == ipv6 || t.kind == mac || t.kind == escaped || t.kind == word && !keywords()[t.text]:
		p.fail(t, "unexpected %s: write what it is, as host, net, port or ether host before it", t)
	default:
		p.fail(t, "unexpected %s", t)
	}
}

// chain reads what and and or join, left to right. An id alone has the qualifiers
// of what stands before it, q, which may be none; with ids, there is nothing else.
// It returns the qualifiers for an id behind it, and whether it begins with an id
// alone: then it has no others.
func (p *parser) chain(q *quals, ids bool) (n node, last *quals, bare bool) {
	n, last, bare = p.unit(q, ids)
	for p.is("&&", "||") {
		and := p.next().text == "&&"
		b, l, _ := p.unit(last, bare)
		n, last = &logic{and, n, b}, l
	}
	return n, last, bare
}

// unit reads one part of a chain.
func (p *parser) unit(q *quals, ids bool) (n node, last *quals, bare bool) {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.peek(), "nested too deep")
	}
	defer func() { p.depth-- }()
	t := p.peek()
	switch {
	case p.take("!"):
		n, last, bare = p.unit(q, ids)
		return &negation{n}, last, bare
	case p.is("(") && (ids || !p.arithmetic(t)):
		p.next()
		n, _, bare = p.chain(q, ids)
		if !p.take(")") {
			p.unexpected()
		}
		return n, q, bare // what is in parentheses says nothing of what is behind them
	case ids, q != nil && t.bareID() && !p.startsSum(p.pos):
		return p.id(*q), q, true
	case t.kind == number, p.is("(", "-", "len", "length"), t.kind == word && p.tokens[p.pos+1].text == "[":
		return p.relation(), nil, false
	}
	n, last = p.word()
	return n, last, false
}

// bareID reports whether a token can be an id that has no qualifiers of its own.
func (t *token) bareID() bool {
	switch t.kind {
	case number, dotted, ipv6, mac, escaped:
		return true
	case word:
		return !keywords()[t.text]
	}
	return false
}

// startsSum reports whether a number is the beginning of arithmetic.
func (p *parser) startsSum(i int) bool {
	return p.tokens[i].kind == number && p.tokens[i+1].operator()
}

// arithmetic reports whether a parenthesis is one of arithmetic: then there is an
// operator behind it.
func (p *parser) arithmetic(open *token) bool { return p.tokens[open.pair+1].operator() }

// operator reports whether a token is an operator between numbers.
func (t *token) operator() bool {
	if t.kind != punct {
		return false
	}
	switch t.text {
	case "&&", "||", "!", "(", ")", "[", "]", ":":
		return false
	}
	return true
}

// word reads what begins with a keyword.
func (p *parser) word() (node, *quals) {
	t := p.peek()
	if t.kind != word || refused()[t.text] != "" || !keywords()[t.text] {
		p.unexpected()
		return nil, nil
	}
	q := quals{at: t}
	if _, ok := transports[t.text]; ok || etherTypes[t.text] != 0 || t.text == "ether" || t.text == "link" {
		q.proto = t.text
		if q.proto == "link" {
			q.proto = "ether"
		}
		p.next()
	}
	if p.is("src", "dst") {
		q.dir = p.next().text
		if other := p.tokens[min(p.pos+1, len(p.tokens)-1)]; p.is("&&", "||") && (other.text == "src" || other.text == "dst") && other.text != q.dir {
			q.dir = "either"
			if p.next().text == "&&" {
				q.dir = "both"
			}
			p.next()
		}
	}
	switch {
	case p.is("host", "net", "port", "portrange"):
		q.typ = p.next().text
		return p.id(q), &q
	case q.dir != "":
		return p.id(q), &q
	case p.is("proto"):
		q.typ = p.next().text
		return p.id(q), &q
	case p.is("broadcast", "multicast"):
		w := p.next()
		return &primitive{tok: w, quals: q, what: w.text}, nil
	case p.peek().kind == word && refused()[p.peek().text] != "":
		p.unexpected()
		return nil, nil
	case q.proto == "ether":
		p.unexpected()
		return nil, nil
	case q.proto != "":
		return &primitive{tok: t, quals: q, what: t.text}, nil
	}
	w := &primitive{tok: p.next(), what: t.text}
	switch t.text {
	case "less", "greater", "ifindex":
		w.n, w.has = p.number()
		if !w.has {
			p.fail(p.peek(), "%s wants a number, not %s", t.text, p.peek())
		}
	case "vlan", "mpls", "pppoes":
		w.n, w.has = p.number()
		if most := map[string]uint32{"vlan": 0xfff, "mpls": 0xfffff, "pppoes": 0xffff}[t.text]; w.n > most {
			p.fail(t, "%s %d: %d is the highest", t.text, w.n, most)
		}
	case "inbound", "outbound", "pppoed":
	default:
		p.pos--
		p.unexpected()
	}
	return w, nil
}

// number reads a number, which may stand in parentheses.
func (p *parser) number() (uint32, bool) {
	i := p.pos
	for p.tokens[i].text == "(" {
		i++
	}
	if p.tokens[i].kind != number || p.tokens[i+1].operator() {
		return 0, false
	}
	parens := i - p.pos
	for n := range parens {
		if p.tokens[i+1+n].text != ")" {
			return 0, false
		}
	}
	p.pos = i + parens + 1
	return p.tokens[i].n, true
}

// id reads an id, or several in parentheses, that have qualifiers.
func (p *parser) id(q quals) node {
	t := p.peek()
	if p.is("!", "(") {
		n, _, _ := p.unit(&q, true)
		return n
	}
	if !t.bareID() {
		if t.kind == word && keywords()[t.text] && q.typ == "proto" {
			p.fail(t, `%s is a keyword: write \%s`, t.text, t.text)
		}
		p.unexpected()
		return nil
	}
	p.next()
	i := &primitive{tok: t, quals: q, what: "id"}
	switch t.kind {
	case dotted:
		p.address4(i)
	case ipv6:
		i.net = netip.PrefixFrom(t.addr, 128)
		if p.take("/") {
			i.net = netip.PrefixFrom(t.addr, int(p.prefix(128)))
			p.masked(i, i.net.IsValid() && i.net.Addr() == i.net.Masked().Addr(), i.net.Bits() == 128)
		}
	case number:
		i.n, i.has = t.n, true
		i.ip, i.mask = t.n, 0xffffffff
		// A number is an address as it stands, and a net from its front: net 10 is 10.0.0.0/8.
		for q.typ == "net" && i.ip != 0 && i.ip>>24 == 0 {
			i.ip, i.mask = i.ip<<8, i.mask<<8
		}
		if p.is("/", "mask") {
			p.fail(t, "write more of the address, as %d.0.0.0", t.n&0xff)
		}
	}
	return i
}

// prefix reads the length of a prefix.
func (p *parser) prefix(most uint32) uint32 {
	t := p.next()
	if t.kind != number || t.n > most {
		p.fail(t, "a prefix has a length up to %d, not %s", most, t)
		return 0
	}
	return t.n
}

// address4 reads an IPv4 address, or its beginning, and its mask.
func (p *parser) address4(i *primitive) {
	parts := strings.Split(i.tok.text, ".")
	if len(parts) > 4 {
		p.fail(i.tok, "%s is no address", i.tok)
		return
	}
	for _, s := range parts {
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil {
			p.fail(i.tok, "%s is no IPv4 address", i.tok)
			return
		}
		i.ip = i.ip<<8 | uint32(n)
	}
	short := 8 * (4 - len(parts))
	i.ip <<= short
	i.mask = 0xffffffff << short
	switch {
	case p.take("/"):
		i.mask = uint32(uint64(0xffffffff) << (32 - p.prefix(32)))
		p.masked(i, i.ip&^i.mask == 0, false)
	case p.take("mask"):
		t := p.next()
		m := &primitive{tok: t}
		if t.kind != dotted {
			p.fail(t, "a mask is written as 255.255.255.0, not %s", t)
			return
		}
		p.address4(m)
		i.mask = m.ip
		p.masked(i, i.ip&^i.mask == 0, false)
	}
}

// masked checks that an address with a mask is that of a net.
func (p *parser) masked(i *primitive, whole, single bool) {
	switch {
	case i.typ != "net" && !single:
		p.fail(i.tok, "a mask is for net, and %s is behind another word", i.tok)
	case !whole:
		p.fail(i.tok, "%s has bits outside its mask", i.tok)
	}
}

// relops are the operators of relations.
var relops = []string{"=", "==", "!=", "<", "<=", ">", ">="}

// relation reads a comparison of two numbers.
func (p *parser) relation() node {
	t := p.peek()
	a := p.sum(0)
	if !p.is(relops...) {
		if a != nil && a.op == "" && a.tok == t && p.err == nil && !p.peek().operator() {
			p.pos = max(p.pos-1, 0)
			p.unexpected()
		}
		p.fail(p.peek(), "a comparison is missing here, as != 0")
		return nil
	}
	r := &relation{op: p.next().text, a: a}
	if r.op == "==" {
		r.op = "="
	}
	r.b = p.sum(0)
	return r
}

// precedence of operators. That of % and ^ is not libpcap's, which has none for
// them; they don't stand beside others.
var precedence = map[string]int{"|": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 6, "^": 6}

// sum reads arithmetic whose operators have a precedence above level.
func (p *parser) sum(level int) *sum {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.peek(), "nested too deep")
	}
	defer func() { p.depth-- }()
	a := p.operand()
	for {
		t := p.peek()
		prec := precedence[t.text]
		if t.kind != punct || prec <= level {
			return a
		}
		p.next()
		odd := prec == precedence["%"]
		b := p.sum(prec)
		if after := p.peek(); odd && (level > 0 || after.kind == punct && precedence[after.text] > 0) {
			p.fail(t, "%s beside another operator: write parentheses, since libpcap takes all behind it for its right side", t.text)
		}
		a = p.binary(t, a, b)
	}
}

// binary is a op b, which is a number if both are.
func (p *parser) binary(t *token, a, b *sum) *sum {
	if p.err != nil {
		return nil
	}
	s := &sum{tok: t, op: t.text, a: a, b: b}
	if b.op != "" {
		return s
	}
	switch t.text {
	case "/", "%":
		if b.n == 0 {
			p.fail(t, "a division by zero")
			return nil
		}
	case "<<", ">>":
		if b.n > 31 {
			p.fail(t, "a shift by more than 31 bits")
			return nil
		}
	}
	switch {
	case a.op == "":
		s = &sum{tok: t, n: calculate(t.text, a.n, b.n)}
	case s.op == "&" && a.op == "&" && a.b.op == "":
		s.a, s.b = a.a, &sum{tok: b.tok, n: a.b.n & b.n}
	}
	return s
}

// calculate is a op b; b is no 0 where it divides.
func calculate(op string, a, b uint32) uint32 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "%":
		return a % b
	case "&":
		return a & b
	case "|":
		return a | b
	case "^":
		return a ^ b
	case "<<":
		return a << b
	}
	return a >> b
}

// maxOffset bounds the offset of bytes: above it, a kernel means data beside the
// packet.
const maxOffset = 1<<31 - 1

// operand reads a number, len, bytes of a packet, or arithmetic in parentheses.
func (p *parser) operand() *sum {
	t := p.peek()
	switch {
	case t.kind == number:
		p.next()
		return &sum{tok: t, n: t.n}
	case p.is("len", "length"):
		p.next()
		return &sum{tok: t, op: "len"}
	case p.take("-"):
		if p.depth++; p.depth > maxDepth {
			p.fail(t, "nested too deep")
		}
		defer func() { p.depth-- }()
		a := p.operand()
		switch {
		case p.err != nil:
			return nil
		case a.op == "":
			return &sum{tok: t, n: -a.n}
		}
		return &sum{tok: t, op: "neg", a: a}
	case p.take("("):
		a := p.sum(0)
		if !p.take(")") {
			p.unexpected()
		}
		return a
	case t.kind == word && p.tokens[p.pos+1].text == "[" && refused()[t.text] == "":
		s := &sum{tok: t, op: "[", proto: t.text, size: 1}
		if s.proto == "link" {
			s.proto = "ether"
		}
		if s.proto != "ether" && etherTypes[s.proto] < 0x600 && !transports[s.proto].index {
			p.fail(t, "bytes of %s can't be asked for", t)
			return nil
		}
		p.next()
		p.next()
		s.a = p.sum(0)
		if p.take(":") {
			n := p.next()
			if s.size = n.n; n.kind != number || s.size != 1 && s.size != 2 && s.size != 4 {
				p.fail(n, "there are fields of 1, 2 and 4 bytes, not of %s", n)
			}
		}
		if !p.take("]") {
			p.unexpected()
		}
		if p.err == nil && s.a.op == "" && s.a.n > maxOffset-1<<16 {
			p.fail(s.a.tok, "no packet has a byte %d", s.a.n)
		}
		return s
	}
	p.unexpected()
	return nil
}
