package rewrite

// arp replaces the addresses of an ARP packet (RFC 826), also one that asks for its own.
func (r *Rewriter) arp(b []byte) {
	const header = 8
	if len(b) < header {
		r.zero(b, becauseControl)
		return
	}
	hard, soft := int(b[4]), int(b[5])
	known := be.Uint16(b[2:]) == 0x0800 && soft == 4
	b = b[header:]
	for range 2 {
		n := min(hard, len(b))
		if n == 6 {
			r.mac(b)
		} else {
			r.zero(b[:n], becauseControl)
		}
		b = b[n:]
		n = min(soft, len(b))
		if known && n == 4 {
			r.ip(b[:4])
		} else {
			r.zero(b[:n], becauseControl)
		}
		b = b[n:]
	}
	r.zero(b, becauseTrailer)
}

// igmp replaces the groups and sources in what is behind the first four bytes of an IGMP
// message (RFC 2236; RFC 3376, section 4).
func (r *Rewriter) igmp(kind byte, b []byte) {
	const (
		query   = 0x11
		report1 = 0x12
		report2 = 0x16
		leave   = 0x17
		report3 = 0x22
	)
	switch {
	case len(b) < 4:
	case kind == query && len(b) >= 8:
		r.ip(b[:4])
		r.list(b[8:], int(be.Uint16(b[6:])), 4)
		return
	case kind == query, kind == report1, kind == report2, kind == leave:
		r.ip(b[:4])
		r.zero(b[4:], becauseControl)
		return
	case kind == report3:
		r.records(b[4:], int(be.Uint16(b[2:])), 4)
		return
	}
	r.zero(b, becauseControl)
}

// list replaces n addresses of size bytes, and blanks what is behind them.
func (r *Rewriter) list(b []byte, n, size int) {
	n = min(n, len(b)/size) * size
	r.ips(b[:n], size)
	r.zero(b[n:], becauseControl)
}

// records replaces the addresses in n group records (RFC 3376, section 4.2.4; RFC 3810,
// section 5.2.5).
func (r *Rewriter) records(b []byte, n, size int) {
	for ; n > 0 && len(b) >= 4+size; n-- {
		sources, end := int(be.Uint16(b[2:])), 4+size
		r.ip(b[4:end])
		sources = min(sources, (len(b)-end)/size)
		r.ips(b[end:end+sources*size], size)
		end += sources * size
		more := min(int(b[1])*4, len(b)-end)
		r.zero(b[end:end+more], becauseControl)
		b = b[end+more:]
	}
	r.zero(b, becauseControl)
}

// icmp looks at what is behind the first four bytes of an ICMP message (RFC 792).
func (r *Rewriter) icmp(kind byte, b []byte) {
	const rest = 4 // of the header
	if len(b) < rest {
		r.zero(b, becauseControl)
		return
	}
	switch kind {
	case 0, 8: // echo: identifier and number; what it carries may be anything
		r.zero(b[rest:], becauseControl)
	case 3, 4, 11, 12:
		// Behind a quotation that says how long it is there may be more (RFC 4884).
		r.zero(b[1:2], becauseControl)
		r.quote(b[rest:])
	case 5: // redirect
		r.ip(b[:4])
		r.quote(b[rest:])
	case 9: // routers, each with its preference (RFC 1256)
		b = b[rest:]
		for ; len(b) >= 8; b = b[8:] {
			r.ip(b[:4])
		}
		r.zero(b, becauseControl)
	case 10:
		r.zero(b[rest:], becauseControl)
	case 13, 14: // three times
		r.zero(b[min(rest+12, len(b)):], becauseControl)
	case 17, 18: // a mask
		r.zero(b[min(rest+4, len(b)):], becauseControl)
	default:
		r.zero(b, becauseControl)
	}
}

// icmpv6 looks at what is behind the first four bytes of an ICMPv6 message (RFC 4443, RFC
// 4861, RFC 3810).
func (r *Rewriter) icmpv6(kind byte, b []byte) {
	const rest = 4 // of the header
	if len(b) < rest {
		r.zero(b, becauseControl)
		return
	}
	all := b
	b = b[rest:]
	switch kind {
	case 1, 3, 4:
		if kind != 4 {
			r.zero(all[:1], becauseControl)
		}
		r.quote(b)
	case 2:
		r.quote(b)
	case 128, 129: // echo
		r.zero(b, becauseControl)
	case 130, 131, 132: // groups
		r.groups(b)
	case 143:
		r.records(b, int(be.Uint16(all[2:])), 16)
	case 133: // of routers, and neighbours
		r.neighbour(b, 0, 0)
	case 134:
		r.neighbour(b, 0, 8)
	case 135, 136:
		r.neighbour(b, 1, 0)
	case 137:
		r.neighbour(b, 2, 0)
	default:
		r.zero(all, becauseControl)
	}
}

// groups replaces the addresses of a query or a report of groups, with sources where it has
// some (RFC 3810, section 5.1).
func (r *Rewriter) groups(b []byte) {
	if len(b) < 16 {
		r.zero(b, becauseControl)
		return
	}
	r.ip(b[:16])
	if b = b[16:]; len(b) < 4 {
		r.zero(b, becauseControl)
		return
	}
	r.list(b[4:], int(be.Uint16(b[2:])), 16)
}

// neighbour replaces some addresses, and those in the options that are behind them and
// some bytes more.
func (r *Rewriter) neighbour(b []byte, addrs, more int) {
	if len(b) < 16*addrs+more {
		r.zero(b, becauseControl)
		return
	}
	r.ips(b[:16*addrs], 16)
	b = b[16*addrs+more:]
	for len(b) >= 8 && b[1] != 0 && int(b[1])*8 <= len(b) {
		n := int(b[1]) * 8
		r.neighbourOption(b[:n])
		b = b[n:]
	}
	r.zero(b, becauseControl)
}

// neighbourOption looks at an option of neighbour discovery (RFC 4861, section 4.6; RFC
// 4191; RFC 8106).
func (r *Rewriter) neighbourOption(o []byte) {
	const (
		sourceLink = 1
		targetLink = 2
		prefix     = 3
		redirected = 4
		mtu        = 5
		route      = 24
		servers    = 25
	)
	switch n := len(o); {
	case (o[0] == sourceLink || o[0] == targetLink) && n == 8:
		r.mac(o[2:])
	case o[0] == prefix && n == 32:
		r.prefix(o[16:], int(o[2]))
	case o[0] == redirected:
		r.quote(o[8:])
	case o[0] == mtu:
	case o[0] == route && n == 24:
		r.prefix(o[8:], int(o[2]))
	case o[0] == servers:
		r.list(o[8:], n/16, 16)
	default:
		r.zero(o[2:], becauseControl)
	}
}
