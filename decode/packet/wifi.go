package packet

import (
	"encoding/binary"

	"netlab/capture"
)

// radio removes what the card says about the reception of an 802.11 frame.
func (d *Decoder) radio(l capture.LinkType, b []byte, length int) Kind {
	const (
		prismLength = 144
		avsMagic    = 0x80211000 // the low byte is its version
	)
	if l == capture.LinkWiFi {
		return d.wifi(b, length, false)
	}
	if len(b) < 8 {
		return d.short(shortLink, length, 8)
	}
	padded := false
	var n int
	switch {
	case l == capture.LinkRadiotap:
		n = int(binary.LittleEndian.Uint16(b[2:]))
		padded = radiotapFlags(b[:min(len(b), max(n, 8))])&0x20 != 0
	case l == capture.LinkAVS, be.Uint32(b)&^0xff == avsMagic:
		n = int(be.Uint32(b[4:]))
	default:
		n = int(binary.LittleEndian.Uint32(b[4:]))
		if n > 0xffff { // in the other byte order
			n = int(be.Uint32(b[4:]))
		}
		if n == 0 {
			n = prismLength
		}
	}
	switch {
	case n < 8 || n > length:
		return d.undecoded(badLink, 0)
	case n > len(b):
		return d.short(shortLink, length, n)
	}
	if d.Trace != nil {
		said := n // by the card, all of it
		if l == capture.LinkPrism && be.Uint32(b)&^0xff != avsMagic {
			said = 8 // before the name of the interface
		}
		d.Trace.add(LayerAbout, uint16(min(said, 0xffff)), b, n, length)
	}
	return d.wifi(b[n:], length-n, padded)
}

// radiotapFlags returns the flags field of a radiotap header, 0 when it has none
// (https://www.radiotap.org).
func radiotapFlags(b []byte) byte {
	const more = 1 << 31
	present := binary.LittleEndian.Uint32(b[4:])
	n := 8
	for p := present; p&more != 0; n += 4 {
		if len(b) < n+4 {
			return 0
		}
		p = binary.LittleEndian.Uint32(b[n:])
	}
	if present&1 != 0 { // a timestamp of 8 bytes comes first, aligned
		n = (n+7)&^7 + 8
	}
	if present&2 == 0 || len(b) <= n {
		return 0
	}
	return b[n]
}

// wifi goes on with what an 802.11 data frame carries (IEEE 802.11, section 9.3.2).
// In a padded frame what follows the header is aligned.
func (d *Decoder) wifi(b []byte, length int, padded bool) Kind {
	const (
		// Of the first byte.
		qos    = 0x80
		noData = 0x40
		// Of the second.
		toDS, fromDS  = 0x01, 0x02
		moreFragments = 0x04
		protected     = 0x40
		ordered       = 0x80
	)
	if len(b) < 2 {
		return d.short(shortLink, length, 2)
	}
	control, flags := b[0], b[1]
	switch control >> 2 & 3 {
	case 0:
		d.walked(LayerWiFi, b, 24, length)
		return d.other(wifiManagement, 0)
	case 1:
		d.walked(LayerWiFi, b, 16, length)
		return d.other(wifiControl, 0)
	case 3:
		d.walked(LayerWiFi, b, 4, length)
		return d.other(wifiExtension, 0)
	}
	n := 24
	if flags&(toDS|fromDS) == toDS|fromDS {
		n += 6 // a fourth address
	}
	at := n // of the QoS control
	if control&qos != 0 {
		n += 2
		if flags&ordered != 0 {
			n += 4 // HT control
		}
	}
	if padded {
		n = (n + 3) &^ 3
	}
	d.walked(LayerWiFi, b, n, length)
	switch {
	case control&noData != 0:
		return d.other(wifiNull, 0)
	case flags&protected != 0:
		return d.other(wifiEncrypted, 0)
	case len(b) < n:
		return d.short(shortLink, length, n)
	case flags&moreFragments != 0 || b[22]&15 != 0:
		return d.undecoded(wifiFragment, 0)
	case control&qos != 0 && b[at]&0x80 != 0:
		return d.aggregate(b[n:], length-n)
	}
	return d.llc(b[n:], length-n)
}

// aggregate goes on with an A-MSDU, if it has one frame only: a packet of ours
// carries one transport.
func (d *Decoder) aggregate(b []byte, length int) Kind {
	const header = 14 // two addresses and the length
	if len(b) < header {
		return d.short(shortLink, length, header)
	}
	n := int(be.Uint16(b[12:]))
	if rest := length - header - n; rest > 3+4 { // padding and check sequence
		return d.undecoded(wifiAggregate, 0)
	}
	d.walked(LayerEthernet, b, header, length)
	d.counted(b[header-2:])
	b, length = b[header:], min(length-header, n)
	return d.llc(b[:min(len(b), length)], length)
}
