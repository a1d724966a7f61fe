package packet

// PPP protocol numbers (RFC 1661, section 2) that are walked through.
const (
	pppIPv4   = 0x0021
	pppIPv6   = 0x0057
	pppMPLS   = 0x0281
	pppBridge = 0x0031 // RFC 3518
)

// pppProtocols are those without IP inside that are known by name.
var pppProtocols = map[uint16]string{
	0x8021: "ppp ipcp",
	0x8057: "ppp ipv6cp",
	0x80fd: "ppp ccp",
	0xc021: "ppp lcp",
	0xc023: "ppp pap",
	0xc025: "ppp quality report",
	0xc223: "ppp chap",
}

// hdlc removes the framing of a serial line: PPP's, with or without address and
// control (RFC 1662, section 3.1), or Cisco's.
func (d *Decoder) hdlc(b []byte, length int) Kind {
	if len(b) > 0 && (b[0] == 0x0f || b[0] == 0x8f) {
		return d.cisco(b, length)
	}
	return d.ppp(b, length)
}

// cisco removes Cisco's HDLC header: address, control, EtherType.
func (d *Decoder) cisco(b []byte, length int) Kind {
	const keepAlive = 0x8035
	if len(b) < 4 {
		return d.short(shortLink, length, 4)
	}
	d.walked(LayerFrame, b, 4, length)
	t := be.Uint16(b[2:])
	switch {
	case t == keepAlive:
		return d.other(ciscoSLARP, 0)
	case t < etherMin: // no length here
		return d.undecoded(unknownEtherType, uint32(t))
	}
	return d.etherType(t, b[4:], length-4)
}

// ppp goes on with what a PPP frame carries.
func (d *Decoder) ppp(b []byte, length int) Kind {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		d.walked(LayerFrame, b, 2, length)
		b, length = b[2:], length-2
	}
	if len(b) < 2 {
		return d.short(shortLink, length, 2)
	}
	protocol, n := uint16(b[0]), 1
	if protocol&1 == 0 { // not compressed to one byte
		protocol, n = be.Uint16(b), 2
	}
	d.walked(LayerFrame, b, n, length)
	b, length = b[n:], length-n
	switch protocol {
	case pppIPv4, pppIPv6:
		return d.ip(b, length)
	case pppMPLS:
		return d.mpls(b, length)
	case pppBridge:
		// Flags, the type of the MAC, and perhaps which LAN (RFC 3518, section
		// 4.2): 1 is Ethernet.
		if len(b) < 2 {
			return d.short(shortLink, length, 2)
		}
		n := 2
		if b[0]&0x40 != 0 {
			n += 4
		}
		if b[1] == 1 {
			return d.skip(n, b, length, (*Decoder).ethernet)
		}
	}
	if pppProtocols[protocol] != "" {
		return d.other(knownPPP, uint32(protocol))
	}
	return d.undecoded(unknownPPP, uint32(protocol))
}

// pppoe removes the header of a PPPoE session (RFC 2516, section 4).
func (d *Decoder) pppoe(b []byte, length int) Kind {
	const header = 6
	if len(b) < header {
		return d.short(shortLink, length, header)
	}
	if b[0] != 0x11 { // version and type
		return d.undecoded(badLink, 0)
	}
	if b[1] != 0 {
		return d.other(knownEtherType, 0x8863)
	}
	d.walked(LayerFrame, b, header, length)
	d.counted(b[4:])
	n := int(be.Uint16(b[4:]))
	b, length = b[header:], min(length-header, n)
	return d.ppp(b[:min(len(b), length)], length)
}
