package filter

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

// cond is what a part of an expression comes to for one link type: a tree of
// tests. Other than the expression's, it says at which bytes to look.
type cond struct {
	kind condKind
	a, b *cond
	test test
}

type condKind uint8

const (
	always condKind = iota
	never
	both
	either
	not
	leaf
)

// test compares a value with a number.
type test struct {
	value
	code []bpf.RawInstruction // if there is any, it puts the value into A, and value is not valid
	op   uint16               // jumpEq and so on
	k    uint32
	x    bool // compared is with X, not with k
}

// value is some bytes of the packet, or its length, some bits of them perhaps.
type value struct {
	size uint16 // sizeWord and so on; loadLength for the length
	ip   int32  // -1, or where the IPv4 header is whose end off is counted from
	off  uint32
	mask uint32
}

// What classic BPF calls its instructions (sys/bpf.h; linux/filter.h).
const (
	loadAbsolute = 0x20 // + size
	loadIndirect = 0x40
	loadLength   = 0x80
	loadConst    = 0x00
	loadScratch  = 0x60
	loadXScratch = 0x61
	loadXHeader  = 0xb1 // 4 * (P[k] & 0xf)
	storeA       = 0x02
	storeX       = 0x03
	toX          = 0x07
	toA          = 0x87

	sizeWord = 0x00
	sizeHalf = 0x08
	sizeByte = 0x10

	alu    = 0x04 // + operator, + fromX
	aluAdd = 0x00
	aluAnd = 0x50
	aluNeg = 0x80
	fromX  = 0x08

	jump     = 0x05 // + how
	jumpEq   = 0x10
	jumpGt   = 0x20
	jumpGe   = 0x30
	jumpSet  = 0x40
	returnK  = 0x06
	allOnes  = 0xffffffff
	scratch  = 16 // words of memory that a program has
	offInARP = 14 // of the sender's IPv4 address
)

var aluOps = map[string]uint16{
	"+": 0x00, "-": 0x10, "*": 0x20, "/": 0x30, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70, "%": 0x90, "^": 0xa0,
}

var sizes = map[uint32]uint16{1: sizeByte, 2: sizeHalf, 4: sizeWord}

var (
	yes = &cond{kind: always}
	no  = &cond{kind: never}
)

func and(a, b *cond) *cond {
	switch {
	case a.kind == never || b.kind == always:
		return a
	case a.kind == always:
		return b
	}
	return &cond{kind: both, a: a, b: b}
}

func or(list ...*cond) *cond {
	c := list[0]
	for _, b := range list[1:] {
		switch {
		case c.kind == always || b.kind == never:
		case c.kind == never:
			c = b
		default:
			c = &cond{kind: either, a: c, b: b}
		}
	}
	return c
}

func negate(a *cond) *cond {
	switch a.kind {
	case always:
		return no
	case never:
		return yes
	}
	return &cond{kind: not, a: a}
}

func compare(v value, op uint16, k uint32) *cond {
	return &cond{kind: leaf, test: test{value: v, op: op, k: k}}
}

// at is a field of the packet of 1, 2 or 4 bytes.
func at(off, size uint32) value {
	return value{size: sizes[size], ip: -1, off: off, mask: allOnes}
}

// equal tests a field.
func equal(off, size, k uint32) *cond { return compare(at(off, size), jumpEq, k) }

// masked tests some bits of a field.
func masked(off, size, mask, k uint32) *cond {
	v := at(off, size)
	v.mask = mask
	if mask == 0 {
		// The field must be there still, since it must be there to be compared.
		return compare(at(off, size), jumpGe, 0)
	}
	return compare(v, jumpEq, k)
}

// gen makes tests of an expression for one link type. What vlan, mpls and pppoes
// say shifts all that is behind them, as they stand in the expression.
type gen struct {
	expr  string
	layer layer
	err   error

	live   bool   // for a packet socket of Linux
	tagged bool   // there, a VLAN tag stands beside the packet, not yet asked for
	beside uint32 // bytes that len counts in a file and the kernel does not
}

// fail refuses the expression for all link types.
func (g *gen) fail(t *token, format string, args ...any) *cond {
	if g.err == nil {
		g.err = &SyntaxError{Expr: g.expr, Offset: t.at, Reason: fmt.Sprintf(format, args...)}
	}
	return no
}

// failLink refuses it for this one.
func (g *gen) failLink(t *token, format string, args ...any) *cond {
	if g.err == nil {
		g.err = &SyntaxError{Expr: g.expr, Offset: t.at, Reason: fmt.Sprintf(format, args...), link: true}
	}
	return no
}

func (g *gen) node(n node) *cond {
	if g.err != nil {
		return no
	}
	switch n := n.(type) {
	case *logic:
		a := g.node(n.a)
		b := g.node(n.b)
		if n.and {
			return and(a, b)
		}
		return or(a, b)
	case *negation:
		return negate(g.node(n.a))
	case *relation:
		return g.relation(n)
	case *primitive:
		return g.primitive(n)
	}
	panic("BUG: filter: a node that is none")
}

func (g *gen) primitive(p *primitive) *cond {
	switch p.what {
	case "id":
		return g.id(p)
	case "less":
		return negate(g.length(jumpGt, p.n))
	case "greater":
		return g.length(jumpGe, p.n)
	case "inbound", "outbound", "ifindex":
		return g.meta(p)
	case "vlan":
		return g.vlan(p)
	case "mpls":
		return g.mpls(p)
	case "pppoed":
		return g.proto(p.tok, etherPPPoED)
	case "pppoes":
		return g.pppoes(p)
	case "broadcast", "multicast":
		return g.group(p)
	}
	if t, ok := transports[p.what]; ok {
		c := no
		if t.v4 {
			c = g.ipProto(p.tok, t.number)
		}
		if t.v6 {
			c = or(c, g.ip6Proto(p.tok, t.number))
		}
		return c
	}
	return g.proto(p.tok, etherTypes[p.what])
}

// length compares how long the packet was.
func (g *gen) length(op uint16, k uint32) *cond {
	s := &sum{op: "len"}
	if v, ok := g.value(s); ok {
		return compare(v, op, k)
	}
	return &cond{kind: leaf, test: test{code: g.code(s, 0), op: op, k: k}}
}

// ipProto is IPv4 that carries n.
func (g *gen) ipProto(t *token, n uint32) *cond {
	return and(g.proto(t, etherIP), equal(g.layer.net+9, 1, n))
}

// ip6Proto is IPv6 that carries n, in a fragment perhaps.
func (g *gen) ip6Proto(t *token, n uint32) *cond {
	off := g.layer.net
	return and(g.proto(t, etherIP6), or(equal(off+6, 1, n), and(equal(off+6, 1, protoFragment), equal(off+40, 1, n))))
}

// id is a word behind qualifiers.
func (g *gen) id(p *primitive) *cond {
	switch p.typ {
	case "port", "portrange":
		return g.port(p)
	case "proto":
		return g.protoID(p)
	}
	what := p.typ
	if what == "" {
		what = "host"
	}
	if p.proto == "ether" {
		if p.tok.kind != mac || what != "host" {
			return g.fail(p.tok, "ether %s wants an Ethernet address, and %s is none", what, p.tok)
		}
		return g.ether(p)
	}
	if _, ok := transports[p.proto]; ok {
		return g.fail(p.quals.at, "%s has no %s: write %s and %s before %s", p.proto, what, p.proto, what, p.tok)
	}
	v4, v6 := p.proto == "" || p.proto == "ip" || p.proto == "arp" || p.proto == "rarp", p.proto == "" || p.proto == "ip6"
	switch {
	case !v4 && !v6:
		return g.fail(p.quals.at, "hosts of %s are not done", p.proto)
	case p.tok.kind == mac:
		return g.fail(p.tok, "%s is an Ethernet address: write ether host", p.tok)
	case p.tok.kind == word || p.tok.kind == escaped:
		return g.fail(p.tok, "%s is no address, and names are not looked up", p.tok)
	case p.tok.kind == ipv6 && !v6, p.tok.kind != ipv6 && !v4:
		return g.fail(p.tok, "%s is no address of %s", p.tok, p.proto)
	case p.tok.kind == ipv6:
		return and(g.proto(p.tok, etherIP6), g.host6(p))
	}
	host := func(proto, src, dst uint32) *cond {
		c := g.proto(p.tok, proto)
		if c.kind == never {
			return no
		}
		one := func(off uint32) *cond { return masked(g.layer.net+off, 4, p.mask, p.ip) }
		return and(c, direct(p.dir, one(src), one(dst)))
	}
	arp := func(proto uint32) *cond { return host(proto, offInARP, offInARP+10) }
	switch {
	case p.proto == "ip":
		return host(etherIP, 12, 16)
	case p.proto == "arp":
		return arp(etherARP)
	case p.proto == "rarp":
		return arp(etherRARP)
	case g.layer.labels > 0:
		return host(etherIP, 12, 16)
	}
	return or(host(etherIP, 12, 16), arp(etherARP), arp(etherRARP))
}

// direct is what a direction makes of the tests of both sides.
func direct(dir string, src, dst *cond) *cond {
	switch dir {
	case "src":
		return src
	case "dst":
		return dst
	case "both":
		return and(src, dst)
	}
	return or(src, dst)
}

func (g *gen) host6(p *primitive) *cond {
	addr := p.net.Addr().As16()
	one := func(off uint32) *cond {
		c := yes
		for i := range uint32(4) {
			bits := min(max(p.net.Bits()-32*int(i), 0), 32)
			if bits > 0 || i == 0 { // of ::/0 too the first word must be there
				c = and(c, masked(g.layer.net+off+4*i, 4, uint32(uint64(allOnes)<<(32-bits)), binary.BigEndian.Uint32(addr[4*i:])))
			}
		}
		return c
	}
	return direct(p.dir, one(8), one(24))
}

// ether is an Ethernet address.
func (g *gen) ether(p *primitive) *cond {
	if g.layer.link != capture.LinkEthernet {
		return g.failLink(p.tok, "there are no Ethernet addresses on %s", g.layer.link)
	}
	return direct(p.dir, g.address(6, p.tok.mac), g.address(0, p.tok.mac))
}

func (g *gen) address(off uint32, a [6]byte) *cond {
	return and(equal(off+2, 4, binary.BigEndian.Uint32(a[2:])), equal(off, 2, uint32(binary.BigEndian.Uint16(a[:]))))
}

// group is broadcast and multicast.
func (g *gen) group(p *primitive) *cond {
	net := g.layer.net
	multi := p.what == "multicast"
	switch {
	case (p.proto == "" || p.proto == "ether") && g.layer.link != capture.LinkEthernet:
		return g.failLink(p.tok, "there is no %s on %s; perhaps ip %s", p.what, g.layer.link, p.what)
	case (p.proto == "" || p.proto == "ether") && multi:
		return compare(at(0, 1), jumpSet, 1)
	case p.proto == "" || p.proto == "ether":
		return g.address(0, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	case p.proto == "ip" && multi:
		return and(g.proto(p.tok, etherIP), compare(at(net+16, 1), jumpGe, 224))
	case p.proto == "ip":
		// The mask of the net is not known, so its own address for all is not either.
		return and(g.proto(p.tok, etherIP), or(equal(net+16, 4, 0), equal(net+16, 4, allOnes)))
	case p.proto == "ip6" && multi:
		return and(g.proto(p.tok, etherIP6), equal(net+24, 1, 0xff))
	}
	return g.fail(p.tok, "%s has no %s", p.proto, p.what)
}

// protoID is what stands behind proto.
func (g *gen) protoID(p *primitive) *cond {
	n, known := p.n, p.has
	name := p.tok.text
	if p.tok.kind == escaped {
		name = name[1:]
	}
	switch p.proto {
	case "ether":
		if !known {
			n, known = etherTypes[name]
		}
		if !known || n > 0xffff {
			return g.fail(p.tok, "ether proto wants a number up to 65535 or a name, and %s is none that is known", p.tok)
		}
		return g.proto(p.tok, n)
	case "", "ip", "ip6":
		if !known {
			n, known = ipProtos()[name]
		}
		if !known || n > 0xff {
			return g.fail(p.tok, "proto wants a number up to 255 or a name, and %s is none that is known", p.tok)
		}
	default:
		return g.fail(p.quals.at, "%s proto means nothing: there are ether proto, ip proto and ip6 proto", p.proto)
	}
	switch p.proto {
	case "ip":
		return g.ipProto(p.tok, n)
	case "ip6":
		return g.ip6Proto(p.tok, n)
	}
	return or(g.ipProto(p.tok, n), g.ip6Proto(p.tok, n))
}
