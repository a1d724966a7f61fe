package packet

import (
	"encoding/binary"

	"netlab/capture"
)

// EtherTypes that are walked through or named.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100 // 802.1Q
	etherQinQ = 0x88a8 // 802.1ad
	etherOld  = 0x9100 // QinQ before it was a standard

	// etherMin is the lowest EtherType: below it the field is a length
	// (IEEE 802.3, section 3.2.6).
	etherMin = 0x0600
)

// etherTypes are those without IP inside that are known by name.
var etherTypes = map[uint16]string{
	0x0806: "arp",
	0x8035: "rarp",
	0x8808: "ethernet flow control",
	0x8809: "lacp",
	0x888e: "eapol",
	0x88cc: "lldp",
	0x88f7: "ptp",
	0x9000: "ethernet loopback",
}

// maxTags bounds the VLAN tags of one frame; two are usual.
const maxTags = 8

// link removes the link header.
func (d *Decoder) link(l capture.LinkType, b []byte) Kind {
	switch l {
	case capture.LinkEthernet:
		if len(b) < 14 {
			return d.short(shortLink, d.sent(b), 14)
		}
		return d.etherType(be.Uint16(b[12:]), b[14:])
	case capture.LinkLinuxSLL:
		// 16 bytes, the EtherType last.
		if len(b) < 16 {
			return d.short(shortLink, d.sent(b), 16)
		}
		return d.etherType(be.Uint16(b[14:]), b[16:])
	case capture.LinkLinuxSLL2:
		// 20 bytes, the EtherType first.
		if len(b) < 20 {
			return d.short(shortLink, d.sent(b), 20)
		}
		return d.etherType(be.Uint16(b), b[20:])
	case capture.LinkNull, capture.LinkLoop:
		return d.loopback(b)
	case capture.LinkRaw, capture.LinkRawLinux, capture.LinkRawBSD, capture.LinkIPv4, capture.LinkIPv6:
		return d.ip(b)
	}
	return d.undecoded(unknownLink, uint32(l))
}

// etherType removes VLAN tags and goes on with what is behind them.
func (d *Decoder) etherType(t uint16, b []byte) Kind {
	for range maxTags {
		if t != etherVLAN && t != etherQinQ && t != etherOld {
			break
		}
		if len(b) < 4 {
			return d.short(shortLink, d.sent(b), 4)
		}
		t, b = be.Uint16(b[2:]), b[4:]
	}
	switch {
	case t == etherIPv4, t == etherIPv6:
		return d.ip(b)
	case t < etherMin:
		return d.other(ieeeFrame, 0)
	case etherTypes[t] != "":
		return d.other(knownEtherType, uint32(t))
	}
	return d.undecoded(unknownEtherType, uint32(t))
}

// loopback removes the header of BSD's loopback: an address family of four
// bytes. LINKTYPE_NULL has the writer's byte order, which is not told: families
// are small numbers, so the order in which it is small is taken.
func (d *Decoder) loopback(b []byte) Kind {
	if len(b) < 4 {
		return d.short(shortLink, d.sent(b), 4)
	}
	family := be.Uint32(b)
	if family > 0xffff {
		family = binary.LittleEndian.Uint32(b)
	}
	switch family {
	case 2, // AF_INET everywhere
		10,         // AF_INET6: Linux
		24, 28, 30: // NetBSD and OpenBSD, FreeBSD, macOS
		return d.ip(b[4:])
	}
	if family > 0xffff {
		// None in either order. Its value would let a hostile capture make up a
		// Reason for each packet.
		return d.undecoded(badLink, 0)
	}
	return d.undecoded(unknownFamily, family)
}
