package filter

import (
	"strconv"
	"strings"
)

// port is port and portrange. Of a fragmented datagram, the first fragment has
// the ports, and only that is picked; of IPv6, only what has no header between.
func (g *gen) port(p *primitive) *cond {
	low, high, s := g.portRange(p)
	if g.err != nil {
		return no
	}
	var protos []uint32
	switch {
	case p.proto == "tcp" && s.udp && !s.tcp, p.proto == "udp" && s.tcp && !s.udp, p.proto == "sctp" && s.tcp != s.udp:
		return g.fail(p.tok, "%s is no port of %s", p.tok, p.proto)
	case p.proto == "tcp", p.proto == "" && s.tcp && !s.udp:
		protos = []uint32{protoTCP}
	case p.proto == "udp", p.proto == "" && s.udp && !s.tcp:
		protos = []uint32{protoUDP}
	case p.proto == "sctp":
		protos = []uint32{protoSCTP}
	case p.proto == "":
		protos = []uint32{protoSCTP, protoTCP, protoUDP}
	default:
		return g.fail(p.quals.at, "%s has no ports: tcp, udp and sctp have", p.proto)
	}
	net := g.layer.net
	carries := func(off uint32) *cond {
		c := no
		for _, n := range protos {
			c = or(c, equal(off, 1, n))
		}
		return c
	}
	ports := func(ip int32, off uint32) *cond {
		one := func(off uint32) *cond {
			v := value{size: sizeHalf, ip: ip, off: off, mask: allOnes}
			if low == high {
				return compare(v, jumpEq, low)
			}
			return and(compare(v, jumpGe, low), negate(compare(v, jumpGt, high)))
		}
		return direct(p.dir, one(off), one(off+2))
	}
	v6 := and(g.proto(p.tok, etherIP6), and(carries(net+6), ports(-1, net+40)))
	v4 := and(g.proto(p.tok, etherIP), and(carries(net+9), and(g.first(), ports(int32(net), net))))
	return or(v6, v4)
}

// first is a fragment of IPv4 that is the first of its datagram, or all of it.
func (g *gen) first() *cond { return negate(compare(at(g.layer.net+6, 2), jumpSet, 0x1fff)) }

// portRange reads the id of port and portrange.
func (g *gen) portRange(p *primitive) (low, high uint32, s service) {
	if p.has {
		if p.n > 0xffff {
			g.fail(p.tok, "port %s: 65535 is the highest", p.tok)
		}
		return p.n, p.n, s
	}
	name := strings.TrimPrefix(p.tok.text, `\`)
	if p.typ == "portrange" {
		a, b, _ := strings.Cut(name, "-")
		l, err := strconv.ParseUint(a, 10, 16)
		h, err2 := strconv.ParseUint(b, 10, 16)
		if err != nil || err2 != nil || a[0] == '0' && len(a) > 1 || b[0] == '0' && len(b) > 1 {
			g.fail(p.tok, "portrange wants two numbers up to 65535, as 8000-9000, and not %s", p.tok)
		}
		return uint32(min(l, h)), uint32(max(l, h)), s
	}
	s, ok := services()[name]
	if !ok {
		hint := "netlab knows the usual ones by name"
		if strings.Contains(name, "-") {
			hint = "perhaps portrange"
		}
		g.fail(p.tok, "there is no port %s: %s", p.tok, hint)
	}
	return s.port, s.port, s
}
