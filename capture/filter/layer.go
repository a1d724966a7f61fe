package filter

import "netlab/capture"

// layer is where the parts of a packet are, as far as the expression has come.
type layer struct {
	link   capture.LinkType
	header uint32 // where the link layer's header is
	typ    uint32 // where it says what it carries
	body   uint32 // where that begins
	net    uint32 // where IP begins, which is behind MPLS labels
	labels int    // of MPLS
}

// layers are the link types that there are filters for.
var layers = map[capture.LinkType]layer{
	capture.LinkEthernet:  {typ: 12, body: 14},
	capture.LinkLinuxSLL:  {typ: 14, body: 16},
	capture.LinkLinuxSLL2: {typ: 0, body: 20},
	capture.LinkNull:      {body: 4},
	capture.LinkLoop:      {body: 4},
	capture.LinkPPP:       {typ: 2, body: 4},
	capture.LinkPPPHDLC:   {typ: 2, body: 4},
	capture.LinkRaw:       {},
	capture.LinkRawLinux:  {},
	capture.LinkRawBSD:    {},
	capture.LinkIPv4:      {},
	capture.LinkIPv6:      {},
}

// layerOf returns where the parts of a packet are at first.
func layerOf(link capture.LinkType) (layer, bool) {
	l, ok := layers[link]
	l.link, l.net = link, l.body
	return l, ok
}

// families are the numbers of address families, by what Linux, the BSDs and
// Darwin call AF_INET and AF_INET6. A host wrote them in its byte order, a file
// does not say which; OpenBSD's are in that of the network.
var families = map[uint32][]uint32{
	etherIP:  {2, 2 << 24},
	etherIP6: {10, 10 << 24, 24, 24 << 24, 28, 28 << 24, 30, 30 << 24},
}

// pppTypes are the numbers that PPP has for what has an EtherType, or another
// number with us.
var pppTypes = map[uint32]uint32{
	etherIP: 0x21, etherIP6: 0x57, 0x6003: 0x27, etherAppleTalk: 0x29, llcISO: 0x23, llcSTP: 0x31, llcIPX: 0x2b, etherMPLS: 0x281,
}

// proto tests what the link layer carries: an EtherType, or another number that
// names it with us.
func (g *gen) proto(t *token, n uint32) *cond {
	l := &g.layer
	if l.labels > 0 {
		// The bottom label says that there is no other; nothing says what follows.
		version := map[uint32]uint32{etherIP: 0x40, etherIP6: 0x60}[n]
		if version == 0 {
			return g.fail(t, "behind mpls there are ip and ip6: %s can't be told", t)
		}
		return and(masked(l.net-2, 1, 1, 1), masked(l.net, 1, 0xf0, version))
	}
	switch l.link {
	case capture.LinkNull, capture.LinkLoop:
		c := no
		for _, f := range families[n] {
			c = or(c, equal(l.typ, 4, f))
		}
		return c
	case capture.LinkRaw, capture.LinkRawLinux, capture.LinkRawBSD:
		switch n {
		case etherIP:
			return masked(l.body, 1, 0xf0, 0x40)
		case etherIP6:
			return masked(l.body, 1, 0xf0, 0x60)
		}
		return no
	case capture.LinkIPv4, capture.LinkIPv6:
		if (l.link == capture.LinkIPv4) == (n == etherIP) && (n == etherIP || n == etherIP6) {
			return yes
		}
		return no
	case capture.LinkPPP, capture.LinkPPPHDLC:
		if p, ok := pppTypes[n]; ok {
			n = p
		}
		return equal(l.typ, 2, n)
	case capture.LinkLinuxSLL2:
		if n == llcISO || n == llcSTP || n == llcIPX || n == llcNetBEUI || n == etherAppleTalk || n == etherAARP {
			return g.failLink(t, "%s can't be told on %s", t, l.link)
		}
		return equal(l.typ, 2, n)
	}
	return g.ether2(n)
}

// ether2 tests an EtherType, or what an LLC header says. Linux's cooked header has
// the number 4 for what has one, Ethernet a length.
func (g *gen) ether2(n uint32) *cond {
	l := &g.layer
	cooked := l.link == capture.LinkLinuxSLL
	llc := negate(compare(at(l.typ, 2), jumpGt, maxLength))
	if cooked {
		llc = equal(l.typ, 2, 4)
	}
	snap := func(oui, typ uint32) *cond {
		return and(equal(l.body+4, 4, oui<<16|typ), equal(l.body, 4, 0xaaaa0300|oui>>16))
	}
	switch n {
	case llcISO, llcNetBEUI:
		return and(llc, equal(l.body, 2, n<<8|n))
	case llcIPX:
		// NetWare knows four ways: with an EtherType, with LLC, with SNAP, and with
		// nothing but its own header, which begins with a checksum of ffff.
		if cooked {
			return or(equal(l.typ, 2, etherIPX), equal(l.typ, 2, 1), and(llc, or(equal(l.body, 1, llcIPX), snap(0, etherIPX))))
		}
		return or(equal(l.typ, 2, etherIPX), and(llc, or(snap(0, etherIPX), equal(l.body, 1, llcIPX), equal(l.body, 2, 0xffff))))
	case etherAppleTalk:
		return or(equal(l.typ, 2, n), and(llc, snap(0x080007, n)))
	case etherAARP:
		return or(equal(l.typ, 2, n), and(llc, snap(0, n)))
	}
	if n <= maxLength {
		return and(llc, equal(l.body, 1, n))
	}
	return equal(l.typ, 2, n)
}

// vlan tests for a VLAN tag. What stands behind it in the expression is looked for
// behind the tag.
func (g *gen) vlan(p *primitive) *cond {
	l := &g.layer
	switch {
	case l.labels > 0:
		return g.fail(p.tok, "no vlan is found behind mpls")
	case l.link != capture.LinkEthernet:
		return g.failLink(p.tok, "there is no vlan on %s", l.link)
	case g.tagged:
		g.tagged = false
		if p.has {
			return masked(besideTag, 4, 0xfff, p.n)
		}
		return yes
	}
	c := no
	for _, t := range etherVLAN {
		c = or(c, equal(l.typ, 2, t))
	}
	if p.has {
		c = and(c, masked(l.body, 2, 0xfff, p.n))
	}
	l.typ, l.body, l.net = l.typ+4, l.body+4, l.net+4
	return c
}

// mpls tests for a label, and shifts what is behind it.
func (g *gen) mpls(p *primitive) *cond {
	l := &g.layer
	var c *cond
	switch {
	case l.labels > 0: // there is another if the one before was not the bottom one
		c = masked(l.net-2, 1, 1, 0)
	case l.link == capture.LinkEthernet, l.link == capture.LinkPPP:
		c = g.proto(p.tok, etherMPLS)
	default:
		return g.failLink(p.tok, "there is no mpls on %s", l.link)
	}
	if p.has {
		c = and(c, masked(l.net, 4, 0xfffff000, p.n<<12))
	}
	l.labels++
	l.net += 4
	return c
}

// pppoes tests for a PPPoE session. What is behind is PPP's.
func (g *gen) pppoes(p *primitive) *cond {
	l := &g.layer
	if l.link != capture.LinkEthernet && l.link != capture.LinkPPP {
		return g.failLink(p.tok, "there is no pppoes on %s", l.link)
	}
	c := g.proto(p.tok, etherPPPoES)
	if p.has {
		c = and(c, masked(l.body, 4, 0xffff, p.n))
	}
	l.link = capture.LinkPPP
	l.header = l.body + 6
	l.typ, l.body, l.net = l.header, l.header+2, l.header+2
	return c
}

// meta is what a link layer's header says of how the packet came.
func (g *gen) meta(p *primitive) *cond {
	const outgoing = 4 // PACKET_OUTGOING
	var way *cond
	switch l := g.layer.link; {
	case l == capture.LinkLinuxSLL2 && p.what == "ifindex":
		return equal(4, 4, p.n)
	case g.live && p.what == "ifindex":
		return equal(besideIndex, 4, p.n)
	case p.what == "ifindex":
		return g.failLink(p.tok, "%s does not hold the number of the interface", l)
	case l == capture.LinkLinuxSLL:
		way = equal(0, 2, outgoing)
	case l == capture.LinkLinuxSLL2:
		way = equal(10, 1, outgoing)
	case g.live:
		way = equal(besideWay, 4, outgoing)
	default:
		return g.failLink(p.tok, "%s does not hold which way a packet went", l)
	}
	if p.what == "inbound" {
		return negate(way)
	}
	return way
}
