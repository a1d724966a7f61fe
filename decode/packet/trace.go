package packet

import "encoding/binary"

// Trace says where the headers stand that Decode walked through, for whoever writes
// the packet anew. Its zero value is ready.
type Trace struct {
	// Layers are the headers, the outermost first.
	Layers []Layer
	// Datagram holds those of the Layers that are not among the first Outer: they stand
	// in a datagram that this packet's fragment made whole, as far as it was captured. It
	// is valid until the next Decode.
	Datagram []byte
	Outer    int
	// Joins counts such datagrams: of more than one, each but the first is in the one
	// before it, and Datagram is the last.
	Joins int

	room int // the capacity of what the layers stand in
}

// Layer is a header, and what it is in front of.
type Layer struct {
	Kind LayerKind
	// Type is the protocol number of an Extension, the port of a Tunnel, of About how many
	// bytes say how long it is and what follows (AboutAttributes: all that is not the value
	// of an attribute), and of a LengthField whether it is little-endian (1).
	Type uint16
	// Start is the offset of the header in the packet's data, or in the datagram; Head
	// is where the header ends, and End where all ends that was captured of it and what
	// it declares to be behind it.
	Start, Head, End int
	// Length is how many bytes were sent from Start on.
	Length int
}

// AboutAttributes is the Type of an About that consists of attributes behind its first
// four bytes, as Linux's netfilter logs them: length, type, value, and padding to four. The
// last has its value behind the header.
const AboutAttributes = 0

// Whole reports whether nothing of what was sent is missing.
func (l *Layer) Whole() bool { return l.End-l.Start >= l.Length }

// LayerKind says what a header is.
type LayerKind uint8

// The kinds of header.
const (
	LayerFrame       LayerKind = iota // of a link, without addresses: a VLAN tag, LLC, MPLS, PPP
	LayerEthernet                     // two addresses, and a type or a length
	LayerLinuxSLL                     // Linux's cooked capture
	LayerLinuxSLL2                    // its version 2
	LayerWiFi                         // 802.11
	LayerAbout                        // about the capture, as radiotap
	LayerIPv4                         // with its options
	LayerIPv6                         // without extension headers
	LayerExtension                    // an extension header of IPv6; of IPv4, protocol 51
	LayerGRE                          //
	LayerTunnel                       // of a tunnel, behind UDP
	LayerTCP                          // with its options
	LayerUDP                          //
	LayerICMP                         // all that ICMP messages begin with: type, code, checksum
	LayerICMPv6                       //
	LayerIGMP                         //
	LayerARP                          // also RARP; all of it is behind the header
	LayerLengthField                  // not a header: 16 bits at Start that count what is behind
)

// walked notes that b, which was length bytes long when it was sent, begins with a
// header of n bytes.
func (d *Decoder) walked(k LayerKind, b []byte, n, length int) {
	if d.Trace != nil {
		d.Trace.add(k, 0, b, n, length)
	}
}

// counted notes that a field of 16 bits at b counts what is behind it.
func (d *Decoder) counted(b []byte) {
	if d.Trace != nil {
		d.Trace.add(LayerLengthField, 0, b, 2, 2)
	}
}

// countedBefore notes that the 16 bits in front of b do.
func (d *Decoder) countedBefore(b []byte) {
	if d.Trace != nil {
		at := d.Trace.room - cap(b) - 2
		d.Trace.Layers = append(d.Trace.Layers, Layer{Kind: LayerLengthField, Start: at, Head: at + 2, End: at + 2, Length: 2})
	}
}

// littleEndian is the Type of a LengthField in this order.
func littleEndian(order binary.ByteOrder) uint16 {
	if order == binary.LittleEndian {
		return 1
	}
	return 0
}

func (t *Trace) begin(data []byte) {
	t.Layers, t.Outer, t.Datagram, t.Joins, t.room = t.Layers[:0], 0, nil, 0, cap(data)
}

// datagram notes that what follows stands in buf.
func (t *Trace) datagram(buf []byte) {
	if t.Joins == 0 {
		t.Outer = len(t.Layers)
	}
	t.Joins++
	t.Datagram, t.room = buf, cap(buf)
}

// add finds the place of b by its capacity: no slice of a packet has less than is
// left of it.
func (t *Trace) add(k LayerKind, typ uint16, b []byte, n, length int) {
	at := t.room - cap(b)
	t.Layers = append(t.Layers, Layer{Kind: k, Type: typ, Start: at, Head: at + min(n, len(b)), End: at + len(b), Length: length})
}
