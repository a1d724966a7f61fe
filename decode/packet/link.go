package packet

import (
	"encoding/binary"

	"netlab/capture"
)

// EtherTypes that are walked through.
const (
	etherIPv4      = 0x0800
	etherARP       = 0x0806
	etherRARP      = 0x8035
	etherIPv6      = 0x86dd
	etherVLAN      = 0x8100 // 802.1Q
	etherQinQ      = 0x88a8 // 802.1ad
	etherOld       = 0x9100 // QinQ before it was a standard
	etherBridge    = 0x6558 // Ethernet in a tunnel
	etherMPLS      = 0x8847 // RFC 3032, section 5
	etherMPLSMulti = 0x8848
	etherPPP       = 0x880b // in GRE: PPTP
	etherPPPoE     = 0x8864 // RFC 2516, section 4; 0x8863 only negotiates
	etherERSPAN2   = 0x88be
	etherERSPAN3   = 0x22eb
	etherWCCP      = 0x883e

	// etherMin is the lowest EtherType: below it the field is a length
	// (IEEE 802.3, section 3.2.6).
	etherMin = 0x0600

	// What Linux's cooked capture has in place of an EtherType.
	cooked8023 = 0x0001
	cookedLLC  = 0x0004
)

// etherTypes are those without IP inside that are known by name.
var etherTypes = map[uint16]string{
	etherARP:  "arp",
	0x2000:    "cdp",
	etherRARP: "rarp",
	0x8808:    "ethernet flow control",
	0x8809:    "lacp",
	0x8863:    "pppoe discovery",
	0x888e:    "eapol",
	0x88cc:    "lldp",
	0x88e5:    "macsec",
	0x88f7:    "ptp",
	0x9000:    "ethernet loopback",
}

// maxTags bounds the VLAN tags, and the MPLS labels, of one frame; two are usual.
const maxTags = 8

// link removes the link header of b, which was length bytes long when it was
// sent. So are the arguments of all that follows.
func (d *Decoder) link(l capture.LinkType, b []byte, length int) Kind {
	switch l {
	case capture.LinkEthernet:
		return d.ethernet(b, length)
	case capture.LinkLinuxSLL:
		// 16 bytes, the EtherType last.
		if len(b) < 16 {
			return d.short(shortLink, length, 16)
		}
		d.walked(LayerLinuxSLL, b, 16, length)
		return d.cooked(be.Uint16(b[14:]), b[16:], length-16)
	case capture.LinkLinuxSLL2:
		// 20 bytes, the EtherType first.
		if len(b) < 20 {
			return d.short(shortLink, length, 20)
		}
		d.walked(LayerLinuxSLL2, b, 20, length)
		return d.cooked(be.Uint16(b), b[20:], length-20)
	case capture.LinkNull, capture.LinkLoop:
		return d.loopback(b, length)
	case capture.LinkRaw, capture.LinkRawLinux, capture.LinkRawBSD, capture.LinkIPv4, capture.LinkIPv6:
		return d.ip(b, length)
	case capture.LinkPPP, capture.LinkPPPHDLC:
		return d.hdlc(b, length)
	case capture.LinkPPPD:
		// The direction, and the control byte of HDLC.
		if len(b) < 2 {
			return d.short(shortLink, length, 2)
		}
		d.walked(LayerFrame, b, 2, length)
		return d.ppp(b[2:], length-2)
	case capture.LinkPPPDir, capture.LinkCiscoDir:
		if len(b) < 1 {
			return d.short(shortLink, length, 1)
		}
		d.walked(LayerFrame, b, 1, length)
		return d.hdlc(b[1:], length-1)
	case capture.LinkPPPEther:
		return d.pppoe(b, length)
	case capture.LinkCiscoHDLC:
		return d.cisco(b, length)
	case capture.LinkMPLS:
		return d.mpls(b, length)
	case capture.LinkWiFi, capture.LinkPrism, capture.LinkRadiotap, capture.LinkAVS:
		return d.radio(l, b, length)
	case capture.LinkPPI:
		// Its length and the link type behind it, both in little endian.
		return d.within(b, length, 8, func() (int, uint32) {
			return int(binary.LittleEndian.Uint16(b[2:])), binary.LittleEndian.Uint32(b[4:])
		})
	case capture.LinkPKTAP, capture.LinkPKTAPUser:
		return d.within(b, length, 12, func() (int, uint32) {
			return int(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[8:])
		})
	case capture.LinkNFLOG:
		return d.nflog(b, length)
	}
	return d.undecoded(unknownLink, uint32(l))
}

// within goes on with a frame of another link type, of which a header of at
// least least bytes says its own length and the type.
func (d *Decoder) within(b []byte, length, least int, header func() (int, uint32)) Kind {
	if len(b) < least {
		return d.short(shortLink, length, least)
	}
	n, l := header()
	switch {
	case n < least || n > length, l > 0xffff: // link types have 16 bits
		return d.undecoded(badLink, 0)
	case n > len(b):
		return d.short(shortLink, length, n)
	}
	if d.Trace != nil {
		d.Trace.add(LayerAbout, uint16(least), b, n, length)
	}
	return d.nest(func() Kind { return d.link(capture.LinkType(l), b[n:], length-n) })
}

// maxNested bounds how many links and IP packets may stand one within another.
const maxNested = 10

// nest goes one deeper.
func (d *Decoder) nest(f func() Kind) Kind {
	if d.nested++; d.nested > maxNested {
		return d.undecoded(nestedTooDeep, 0)
	}
	return f()
}

// ethernet removes an Ethernet header.
func (d *Decoder) ethernet(b []byte, length int) Kind {
	if len(b) < 14 {
		return d.short(shortLink, length, 14)
	}
	d.walked(LayerEthernet, b, 14, length)
	return d.etherType(be.Uint16(b[12:]), b[14:], length-14)
}

// cooked goes on with what Linux's cooked capture names by its EtherType, or by
// a number of its own.
func (d *Decoder) cooked(t uint16, b []byte, length int) Kind {
	switch t {
	case cooked8023:
		return d.other(ieeeFrame, 0)
	case cookedLLC:
		return d.llc(b, length)
	}
	return d.etherType(t, b, length)
}

// etherType removes VLAN tags and goes on with what is behind them.
func (d *Decoder) etherType(t uint16, b []byte, length int) Kind {
	for range maxTags {
		if t != etherVLAN && t != etherQinQ && t != etherOld {
			break
		}
		if len(b) < 4 {
			return d.short(shortLink, length, 4)
		}
		d.walked(LayerFrame, b, 4, length)
		t, b, length = be.Uint16(b[2:]), b[4:], length-4
	}
	switch {
	case t == etherIPv4, t == etherIPv6:
		return d.ip(b, length)
	case t == etherMPLS, t == etherMPLSMulti:
		return d.mpls(b, length)
	case t == etherPPPoE:
		return d.pppoe(b, length)
	case t < etherMin:
		d.countedBefore(b)
		if n := int(t); n > 0 { // else padding can't be told from the frame
			length = min(length, n)
			b = b[:min(len(b), length)]
		}
		return d.llc(b, length)
	case t == etherARP, t == etherRARP:
		d.walked(LayerARP, b, 0, length)
		return d.other(knownEtherType, uint32(t))
	case etherTypes[t] != "":
		return d.other(knownEtherType, uint32(t))
	}
	return d.undecoded(unknownEtherType, uint32(t))
}

// llc removes an 802.2 header, with SNAP or without (IEEE 802.2, section 3;
// RFC 1042).
func (d *Decoder) llc(b []byte, length int) Kind {
	const (
		snap         = 0xaa
		ip           = 0x06
		unnumbered   = 0x03
		snapHeader   = 8
		plainHeader  = 3
		cisco        = 0x00000c
		encapsulated = 0x000000
		tunnelled    = 0x0000f8 // IEEE 802.1H
	)
	if len(b) < plainHeader {
		if length >= plainHeader && d.cut {
			return d.short(shortLink, length, plainHeader)
		}
		return d.other(ieeeFrame, 0)
	}
	switch {
	case b[0]&^1 == snap && b[1]&^1 == snap && b[2] == unnumbered && len(b) >= snapHeader:
		d.walked(LayerFrame, b, snapHeader, length)
	default:
		d.walked(LayerFrame, b, plainHeader, length)
	}
	switch {
	case b[0] == ip && b[1] == ip && b[2] == unnumbered:
		return d.ip(b[plainHeader:], length-plainHeader)
	case b[0]&^1 != snap || b[1]&^1 != snap || b[2] != unnumbered:
		return d.other(ieeeFrame, 0)
	case len(b) < snapHeader:
		return d.short(shortLink, length, snapHeader)
	}
	oui, t := uint32(be.Uint16(b[3:]))<<8|uint32(b[5]), be.Uint16(b[6:])
	if t >= etherMin && (oui == encapsulated || oui == tunnelled || oui == cisco) {
		return d.etherType(t, b[snapHeader:], length-snapHeader)
	}
	return d.other(ieeeFrame, 0)
}

// mpls removes a stack of labels (RFC 3032, section 2.1). What is behind it is
// not told: IP if it looks so, else Ethernet, perhaps behind a control word. That
// of Ethernet begins with 16 zero bits (RFC 4448, section 4.6), an address hardly
// ever does.
func (d *Decoder) mpls(b []byte, length int) Kind {
	const controlWord = 4
	for bottom, n := false, 0; !bottom; n++ {
		if n == maxTags {
			return d.undecoded(badLink, 0)
		}
		if len(b) < 4 {
			return d.short(shortLink, length, 4)
		}
		bottom = b[2]&1 != 0
		d.walked(LayerFrame, b, 4, length)
		b, length = b[4:], length-4
	}
	switch {
	case len(b) < 1:
		return d.short(shortIP, length, 1)
	case isIP(b, length):
		return d.ip(b, length)
	case b[0]>>4 == 1:
		return d.other(associatedChannel, 0)
	case len(b) < controlWord:
		return d.short(shortLink, length, controlWord)
	case be.Uint16(b) == 0:
		d.walked(LayerFrame, b, controlWord, length)
		b, length = b[controlWord:], length-controlWord
	}
	return d.nest(func() Kind { return d.ethernet(b, length) })
}

// isIP reports whether b may begin with an IP header: its version, and lengths
// that fit.
func isIP(b []byte, length int) bool {
	switch {
	case len(b) == 0:
		return false
	case b[0]>>4 == 4:
		return b[0]&15 >= 5 && length >= 20 && (len(b) < 4 || int(be.Uint16(b[2:])) <= length)
	case b[0]>>4 == 6:
		return length >= 40 && (len(b) < 6 || 40+int(be.Uint16(b[4:])) <= length)
	}
	return false
}

// loopback removes the header of BSD's loopback: an address family of four
// bytes. LINKTYPE_NULL has the writer's byte order, which is not told: families
// are small numbers, so the order in which it is small is taken.
func (d *Decoder) loopback(b []byte, length int) Kind {
	if len(b) < 4 {
		return d.short(shortLink, length, 4)
	}
	d.walked(LayerFrame, b, 4, length)
	family := be.Uint32(b)
	if family > 0xffff {
		family = binary.LittleEndian.Uint32(b)
	}
	switch family {
	case 2, // AF_INET everywhere
		10,         // AF_INET6: Linux
		24, 28, 30: // NetBSD and OpenBSD, FreeBSD, macOS
		return d.ip(b[4:], length-4)
	}
	if family > 0xffff {
		// None in either order. Its value would let a hostile capture make up a
		// Reason for each packet.
		return d.undecoded(badLink, 0)
	}
	return d.undecoded(unknownFamily, family)
}

// nflog finds the packet among what Linux's netfilter logs about it: a header of
// four bytes, then attributes in the writer's byte order.
func (d *Decoder) nflog(b []byte, length int) Kind {
	const (
		header  = 4
		payload = 9
	)
	if len(b) < header {
		return d.short(shortLink, length, header)
	}
	family, all, sent := b[0], b, length
	b, length = b[header:], length-header
	for length >= 4 {
		if len(b) < 4 {
			return d.short(shortLink, length, 4)
		}
		// A type is small, but for two flags: the order in which it is so is taken.
		const flags = 0xc000
		order := binary.ByteOrder(binary.LittleEndian)
		if order.Uint16(b[2:])&^flags > 0xff {
			order = binary.BigEndian
		}
		n, typ := int(order.Uint16(b)), order.Uint16(b[2:])&^flags
		if n < 4 || n > length {
			return d.undecoded(badLink, 0)
		}
		if typ == payload {
			if family != 2 && family != 10 { // AF_INET, AF_INET6
				return d.undecoded(unknownFamily, uint32(family))
			}
			if d.Trace != nil {
				d.Trace.add(LayerAbout, AboutAttributes, all, len(all)-len(b)+4, sent)
				d.Trace.add(LayerLengthField, littleEndian(order), b, 2, 2)
			}
			return d.ip(b[4:min(len(b), n)], n-4)
		}
		n = min((n+3)&^3, length)
		if n > len(b) {
			return d.short(shortLink, length, n)
		}
		b, length = b[n:], length-n
	}
	return d.other(noPayload, 0)
}
