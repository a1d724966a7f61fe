package rewrite

import (
	"netlab/decode/flow"
)

// quote rewrites the beginning of a packet that an ICMP error quotes: the addresses, and
// what says which packet of a conversation it was.
func (r *Rewriter) quote(q []byte) {
	switch {
	case len(q) >= 20 && q[0]>>4 == 4 && int(q[0]&15)*4 >= 20:
		h := q[:min(int(q[0]&15)*4, len(q))]
		var f flow.Flow
		f.SetAddrs(q[12:16], q[16:20])
		r.ip(q[12:16])
		r.ip(q[16:20])
		r.ipv4Options(h[20:])
		if be.Uint16(q[6:])&0x1fff != 0 { // not the first fragment
			r.zero(q[len(h):], becauseControl)
		} else {
			r.quoted(&f, q[9], q[len(h):])
		}
		put(h[10:], 0, h)
	case len(q) >= 40 && q[0]>>4 == 6:
		var f flow.Flow
		f.SetAddrs(q[8:24], q[24:40])
		r.ip(q[8:24])
		r.ip(q[24:40])
		r.quoted(&f, q[6], q[40:])
	default:
		r.zero(q, becauseControl)
	}
}

// quoted rewrites the header of a transport between the addresses of f, as far as it is
// there. Its checksum would be that of what is not there.
func (r *Rewriter) quoted(f *flow.Flow, proto byte, b []byte) {
	const (
		icmp   = 1
		icmpv6 = 58
	)
	zero := func(from, to int) { r.zero(b[min(from, len(b)):min(to, len(b))], becauseControl) }
	t := flow.Transport(proto)
	switch {
	case t == flow.UDP:
		zero(6, 8)
		zero(8, len(b))
	case t == flow.TCP && len(b) >= 8:
		f.SetPorts(t, be.Uint16(b), be.Uint16(b[2:]))
		if e, d := r.table.Lookup(f, r.seed.Hash(f)); e != nil {
			st := &e.Value
			of := func(d flow.Direction) *end { return &end{r, &st.talk.sides[d], &st.sides[d]} }
			of(d).renumber(b[4:])
			if len(b) >= 12 {
				of(d.Reverse()).renumber(b[8:])
			}
		}
		zero(16, 18)
		if len(b) > tcpHeaderLen {
			head := min(max(int(b[12]>>4)*4, tcpHeaderLen), len(b))
			r.nothing(b[tcpHeaderLen:head], optNothing)
			zero(head, len(b))
		}
	case proto == icmp || proto == icmpv6:
		zero(2, 4)
		zero(8, len(b))
	default:
		zero(0, len(b))
	}
}
