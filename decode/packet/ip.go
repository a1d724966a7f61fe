package packet

// IP protocol numbers that are walked through or named.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoEtherIP  = 97
	protoMobility = 135
	protoMPLS     = 137
	protoHIP      = 139
	protoShim6    = 140
)

// protocols are those that are neither TCP nor UDP, known by name.
var protocols = map[byte]string{
	protoICMP:   "icmp",
	protoIGMP:   "igmp",
	50:          "esp",
	protoICMPv6: "icmpv6",
	88:          "eigrp",
	89:          "ospf",
	103:         "pim",
	112:         "vrrp",
	132:         "sctp",
}

// maxExtensions bounds the extension headers of one IPv6 packet; RFC 8200 lets
// each stand once or twice.
const maxExtensions = 16

// ip goes by the version nibble, which is right where EtherType or address
// family disagree.
func (d *Decoder) ip(b []byte, length int) Kind {
	if len(b) < 1 {
		return d.short(shortIP, length, 1)
	}
	if d.nested++; d.nested > maxNested {
		return d.undecoded(nestedTooDeep, 0)
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b, length)
	case 6:
		return d.ipv6(b, length)
	}
	return d.undecoded(unknownVersion, uint32(b[0]>>4))
}

// ipv4 takes an IPv4 header apart (RFC 791, section 3.1).
func (d *Decoder) ipv4(b []byte, length int) Kind {
	const (
		moreFragments  = 0x2000
		fragmentOffset = 0x1fff
	)
	if len(b) < 20 {
		return d.short(shortIPv4, length, 20)
	}
	hl := int(b[0]&15) * 4
	if hl < 20 {
		return d.undecoded(badIPv4, 0)
	}
	if len(b) < hl {
		return d.short(shortIPv4, length, hl)
	}
	total := int(be.Uint16(b[2:]))
	switch {
	case total == 0:
		// Segmentation offload: the card would have cut the packet up and filled
		// the lengths in. All that was sent is payload.
		total = length
	case total < hl:
		return d.undecoded(badIPv4, 0)
	}
	d.walked(LayerIPv4, b[:min(len(b), total)], hl, total)
	d.flow.SetAddrs(b[12:16], b[16:20])
	payload := b[hl:min(len(b), total)]
	if f := be.Uint16(b[6:]); f&(moreFragments|fragmentOffset) != 0 {
		return d.fragment(fragmentPart{
			id: uint32(be.Uint16(b[4:])), next: b[9], v4: true,
			offset: int(f&fragmentOffset) * 8, more: f&moreFragments != 0,
			data: payload, length: total - hl,
		})
	}
	return d.transport(b[9], payload, total-hl)
}

// ipv6 takes an IPv6 header apart (RFC 8200, section 3).
func (d *Decoder) ipv6(b []byte, sent int) Kind {
	if len(b) < 40 {
		return d.short(shortIPv6, sent, 40)
	}
	length := int(be.Uint16(b[4:]))
	next := b[6]
	d.flow.SetAddrs(b[8:24], b[24:40])
	all := b
	b = b[40:]
	if length == 0 && next != protoNone {
		// A jumbogram (RFC 2675) or segmentation offload.
		length = sent - 40
	}
	d.walked(LayerIPv6, all[:min(len(all), 40+length)], 40, 40+length)
	return d.extensions(next, b[:min(len(b), length)], length)
}

// extensions walks through the extension headers of an IPv6 packet (RFC 8200,
// section 4).
func (d *Decoder) extensions(next byte, b []byte, length int) Kind {
	for range maxExtensions + 1 { // and the transport behind them
		var n int
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts, protoMobility, protoHIP, protoShim6:
			if len(b) < 8 {
				return d.short(shortIPv6, length, 8)
			}
			n = int(b[1])*8 + 8
		case protoAH: // RFC 4302, section 2.2: counted in four bytes, less two
			if len(b) < 8 {
				return d.short(shortIPv6, length, 8)
			}
			n = int(b[1])*4 + 8
		case protoFragment:
			if len(b) < 8 {
				return d.short(shortIPv6, length, 8)
			}
			d.extension(next, b, 8, length)
			if f := be.Uint16(b[2:]); f&0xfff9 != 0 { // an offset, or more fragments
				return d.fragment(fragmentPart{
					id: be.Uint32(b[4:]), next: b[0],
					offset: int(f &^ 7), more: f&1 != 0,
					data: b[8:], length: length - 8,
				})
			}
			n = 8 // an atomic fragment (RFC 6946): whole
		default:
			return d.transport(next, b, length)
		}
		if n > length {
			return d.undecoded(badIPv6, 0)
		}
		if n > len(b) {
			return d.short(shortIPv6, length, n)
		}
		if next != protoFragment {
			d.extension(next, b, n, length)
		}
		next, b, length = b[0], b[n:], length-n
	}
	return d.undecoded(badIPv6, 0)
}

// extension notes an extension header of n bytes.
func (d *Decoder) extension(proto byte, b []byte, n, length int) {
	if d.Trace != nil {
		d.Trace.add(LayerExtension, uint16(proto), b, n, length)
	}
}

// transport goes on with the payload b of an IP packet, which was length bytes
// long when it was sent.
func (d *Decoder) transport(proto byte, b []byte, length int) Kind {
	switch proto {
	case protoTCP:
		return d.tcp(b, length)
	case protoUDP:
		return d.udp(b, length)
	case protoNone:
		return d.other(noNextHeader, 0)
	case protoIPv4, protoIPv6:
		return d.ip(b, length)
	case protoGRE:
		return d.gre(b, length)
	case protoAH: // in IPv4; RFC 4302, section 2.2
		if len(b) < 8 {
			return d.short(shortIPv4, length, 8)
		}
		n := int(b[1])*4 + 8
		if n > length {
			return d.undecoded(badIPv4, 0)
		}
		if n > len(b) {
			return d.short(shortIPv4, length, n)
		}
		d.extension(protoAH, b, n, length)
		return d.nest(func() Kind { return d.transport(b[0], b[n:], length-n) })
	case protoMPLS:
		return d.mpls(b, length)
	case protoEtherIP: // RFC 3378: its version, then the frame
		return d.skip(2, b, length, (*Decoder).ethernet)
	case protoICMP:
		d.walked(LayerICMP, b, 4, length)
		d.icmp(b)
	case protoICMPv6:
		d.walked(LayerICMPv6, b, 4, length)
		d.icmpv6(b)
	case protoIGMP:
		d.walked(LayerIGMP, b, 4, length)
	}
	if protocols[proto] != "" {
		return d.other(knownProtocol, uint32(proto))
	}
	return d.undecoded(unknownProtocol, uint32(proto))
}
