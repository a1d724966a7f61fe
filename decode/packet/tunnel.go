package packet

// UDP ports of tunnels.
const (
	portL2TP       = 1701
	portGTPU       = 2152
	portTeredo     = 3544
	portVXLAN      = 4789
	portVXLANGPE   = 4790
	portVXLANLinux = 8472 // before the number was assigned
	portAYIYA      = 5072
	portGeneve     = 6081
)

// gre removes a GRE header: version 0 (RFC 2784, RFC 2890; with the routing of
// RFC 1701), or 1, PPTP's (RFC 2637, section 4.1).
func (d *Decoder) gre(b []byte, length int) Kind {
	const (
		checksum = 0x8000
		routing  = 0x4000
		key      = 0x2000
		sequence = 0x1000
		ack      = 0x0080
	)
	if len(b) < 4 {
		return d.short(shortTunnel, length, 4)
	}
	flags, t, all, sent := be.Uint16(b), be.Uint16(b[2:]), b, length
	n := 4
	switch version := flags & 7; version {
	case 0:
		if flags&(checksum|routing) != 0 {
			n += 4
		}
		if flags&key != 0 {
			n += 4
		}
		if flags&sequence != 0 {
			n += 4
		}
	case 1:
		n += 4 // the key is always there
		if flags&sequence == 0 {
			d.walked(LayerGRE, b, n, length)
			return d.other(greControl, 0) // only an acknowledgement
		}
		n += 4
		if flags&ack != 0 {
			n += 4
		}
	default:
		return d.undecoded(badTunnel, 0)
	}
	if len(b) < n {
		return d.short(shortTunnel, length, n)
	}
	b, length = b[n:], length-n
	for flags&routing != 0 && flags&7 == 0 {
		// Source route entries: family, offset, length; an empty one ends them.
		if len(b) < 4 {
			return d.short(shortTunnel, length, 4)
		}
		n := 4 + int(b[3])
		last := be.Uint16(b) == 0 && b[3] == 0
		if len(b) < n {
			return d.short(shortTunnel, length, n)
		}
		b, length = b[n:], length-n
		if last {
			break
		}
	}
	d.walked(LayerGRE, all, len(all)-len(b), sent)
	if flags&7 == 1 {
		d.counted(all[4:]) // PPTP's key begins with the length of the payload
	}
	switch t {
	case 0:
		return d.other(greControl, 0) // a keep-alive
	case etherPPP:
		return d.ppp(b, length)
	case etherBridge:
		return d.nest(func() Kind { return d.ethernet(b, length) })
	case etherERSPAN2:
		if flags&sequence == 0 { // type I, without a header
			return d.nest(func() Kind { return d.ethernet(b, length) })
		}
		return d.skip(8, b, length, (*Decoder).ethernet)
	case etherERSPAN3:
		n, next := 12, (*Decoder).ethernet
		if len(b) >= n {
			if b[n-2]>>2&31 == 2 {
				next = (*Decoder).ip
			}
			if b[n-1]&1 != 0 {
				n += 8 // the platform's own
			}
		}
		return d.skip(n, b, length, next)
	case etherWCCP:
		if isIP(b, length) {
			return d.ip(b, length)
		}
		return d.skip(4, b, length, (*Decoder).ip)
	}
	if t < etherMin { // no length here
		return d.undecoded(unknownEtherType, uint32(t))
	}
	return d.etherType(t, b, length)
}

// inner goes on with what is inside a tunnel: a method, not yet of a Decoder, so
// that it can be returned without an allocation.
type inner = func(*Decoder, []byte, int) Kind

// skip removes a header of n bytes, and goes on with what is behind it.
func (d *Decoder) skip(n int, b []byte, length int, next inner) Kind {
	if len(b) < n {
		return d.short(shortTunnel, length, n)
	}
	d.walked(LayerFrame, b, n, length)
	return d.nest(func() Kind { return next(d, b[n:], length-n) })
}

// udpTunnel goes on with the packet inside a datagram, and reports whether it is
// one: a port alone proves nothing, so what it holds must look like it.
func (d *Decoder) udpTunnel(src, dst uint16, b []byte, length int) (Kind, bool) {
	n, port := 0, dst
	next := (*Decoder).ip
	switch {
	case dst == portVXLAN, dst == portVXLANLinux, dst == portVXLANGPE:
		n, next = vxlan(dst, b)
	case dst == portGeneve:
		n, next = geneve(b)
	case dst == portGTPU, src == portGTPU:
		n, port = beforeIP(gtp(b), b, length), portGTPU
	case dst == portL2TP, src == portL2TP:
		n, next, port = l2tp(b), (*Decoder).ppp, portL2TP
		if n > len(b) || !isPPP(b[n:]) {
			n = 0
		}
	case dst == portAYIYA, src == portAYIYA:
		n, port = beforeIP(ayiya(b), b, length), portAYIYA
	default:
		n = teredo(b, length, src == portTeredo || dst == portTeredo)
		if n < 0 {
			return 0, false
		}
		d.tunnel(portTeredo, b, n, length)
		return d.nest(func() Kind { return d.ip(b[n:], length-n) }), true
	}
	if n <= 0 || n > len(b) {
		return 0, false
	}
	d.tunnel(port, b, n, length)
	if port == portGTPU || port == portL2TP && b[0]&0x40 != 0 {
		d.counted(b[2:])
	}
	return d.nest(func() Kind { return next(d, b[n:], length-n) }), true
}

// tunnel notes the header of a tunnel, which is known by its port.
func (d *Decoder) tunnel(port uint16, b []byte, n, length int) {
	if d.Trace != nil {
		d.Trace.add(LayerTunnel, port, b, n, length)
	}
}

// beforeIP returns the length n of a header again, 0 when no IP packet is behind
// it.
func beforeIP(n int, b []byte, length int) int {
	if n > len(b) || !isIP(b[n:], length-n) {
		return 0
	}
	return n
}

// vxlan returns the length of a VXLAN header (RFC 7348, section 5) and what is
// behind it; 0 when it is none.
func vxlan(port uint16, b []byte) (int, inner) {
	const header = 8
	if len(b) < header {
		return 0, nil
	}
	if port == portVXLANGPE && b[0]&0x0c == 0x0c {
		// With the next protocol (draft-ietf-nvo3-vxlan-gpe, section 3.1): of the
		// flags, that of broadcasts may be set, of version 0, and not OAM's.
		if b[0]&^0x02 != 0x0c || (b[1]|b[2]|b[7]) != 0 {
			return 0, nil
		}
		switch b[3] {
		case 1, 2:
			return header, (*Decoder).ip
		case 3:
			return header, (*Decoder).ethernet
		}
		return 0, nil
	}
	// Of the flags, group policy's (bits 0x80 and of the next two bytes) may be
	// set; the last byte is reserved.
	if b[0]&0x7f != 0x08 || b[7] != 0 || b[0]&0x80 == 0 && (b[1]|b[2]|b[3]) != 0 {
		return 0, nil
	}
	return header, (*Decoder).ethernet
}

// geneve returns the length of a Geneve header with its options (RFC 8926,
// section 3.4) and what is behind it; 0 when it is none.
func geneve(b []byte) (int, inner) {
	if len(b) < 8 || b[0]>>6 != 0 || b[1]&0x3f != 0 || b[7] != 0 {
		return 0, nil
	}
	n := 8 + int(b[0]&0x3f)*4
	switch be.Uint16(b[2:]) {
	case etherBridge:
		return n, (*Decoder).ethernet
	case etherIPv4, etherIPv6:
		return n, (*Decoder).ip
	}
	return 0, nil
}

// gtp returns the length of the header of a GTP-U packet that carries a user's
// (3GPP TS 29.281, section 5.1); 0 when it is none.
func gtp(b []byte) int {
	const (
		userPacket = 0xff
		extended   = 0x04
		optional   = 0x07 // extension, sequence number, N-PDU number
	)
	if len(b) < 8 || b[0]>>4 != 3 || b[1] != userPacket { // version 1, not GTP'
		return 0
	}
	n := 8
	if b[0]&optional == 0 {
		return n
	}
	n += 4
	if b[0]&extended == 0 {
		return n
	}
	for n <= len(b) && b[n-1] != 0 { // the type of the next extension
		if n == len(b) || b[n] == 0 {
			return 0
		}
		n += int(b[n]) * 4
	}
	return n
}

// l2tp returns the length of an L2TP data header (RFC 2661, section 3.1); 0 when
// it is none.
func l2tp(b []byte) int {
	const (
		control  = 0x8000
		length   = 0x4000
		sequence = 0x0800
		offset   = 0x0200
	)
	if len(b) < 6 {
		return 0
	}
	flags := be.Uint16(b)
	if flags&control != 0 || flags&0x34f0 != 0 || flags&15 != 2 {
		return 0
	}
	n := 6
	if flags&length != 0 {
		n += 2
	}
	if flags&sequence != 0 {
		n += 4
	}
	if flags&offset != 0 {
		n += 2
		if len(b) < n {
			return 0
		}
		n += int(be.Uint16(b[n-2:]))
	}
	return n
}

// isPPP reports whether b begins with a PPP protocol that is known.
func isPPP(b []byte) bool {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	switch {
	case len(b) == 0:
		return false
	case b[0]&1 != 0:
		return b[0] == pppIPv4 || b[0] == pppIPv6
	case len(b) < 2:
		return false
	}
	p := be.Uint16(b)
	if p&1 == 0 { // RFC 1661, section 2: all are odd
		return false
	}
	return p == pppIPv4 || p == pppIPv6 || p == pppMPLS || p == pppBridge || p == 0x00fd || p&0xc000 != 0
}

// ayiya returns the length of an AYIYA header that forwards an IP packet
// (draft-massar-v6ops-ayiya-02, section 3.1); 0 when it is none.
func ayiya(b []byte) int {
	const forward = 1
	if len(b) < 8 || b[2]&15 != forward || b[3] != protoIPv6 && b[3] != protoIPv4 {
		return 0
	}
	identity := 1 << (b[0] >> 4)
	signature := int(b[1]>>4) * 4
	return 8 + identity + signature
}

// teredo returns the length of what is before the IPv6 packet in a datagram of
// Teredo (RFC 4380, section 5.1.1), -1 when it is none. Clients send from any
// port: what is sure elsewhere too is the length, and that an address is
// Teredo's.
func teredo(b []byte, length int, port bool) int {
	const (
		origin         = 0x0000
		authentication = 0x0001
		prefix         = 0x20010000
	)
	n := 0
	if len(b) >= 13 && be.Uint16(b) == authentication {
		n = 4 + int(b[2]) + int(b[3]) + 8 + 1
	}
	if len(b) >= n+8 && be.Uint16(b[n:]) == origin {
		n += 8
	}
	if len(b) < n+40 {
		return -1
	}
	p := b[n:]
	end := 40 + int(be.Uint16(p[4:]))
	if p[0]>>4 != 6 || end > length-n || end < length-n && (len(b) < length || !areTrailers(p[end:])) {
		return -1
	}
	if port || be.Uint32(p[8:]) == prefix || be.Uint32(p[24:]) == prefix {
		return n
	}
	return -1
}

// areTrailers reports whether b is trailers of Teredo: types below 7, each with
// the length of what follows (RFC 6081, section 4).
func areTrailers(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 2 || b[0] == 0 || b[0] > 6 || int(b[1]) > len(b)-2 {
			return false
		}
		b = b[2+int(b[1]):]
	}
	return true
}
