// Package packet turns the bytes of one packet into what its transport carries:
// addresses, ports, the TCP or UDP header, payload.
//
// It is the first stage behind the source. A Decoder holds one Segment
// and fills it anew for each packet: nothing is allocated, nothing is
// copied, and the payload is the packet's own memory; only IP fragments are kept
// until their datagram is whole. Tunnels are walked through to the innermost IP
// packet, the addresses of which count. What can't be decoded is
// never an error: every packet gets exactly one Kind, and a Reason where it
// carries no transport, so that the sums come out.
//
// Lengths are believed in this order: what is in the packet, then the innermost
// header that declares one. Ethernet padding is no payload; bytes that the
// snapshot length cut off are counted in Length.
//
// The header walk is our own: gopacket's keeps padding behind an IPv6 hop-by-hop
// header and cuts IPv4 packets of undeclared length. It serves the tests as a
// second opinion.
package packet

import (
	"encoding/binary"
	"fmt"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
)

// Kind says what became of a packet.
type Kind uint8

// The kinds. Every packet is of exactly one.
const (
	// TCP packets filled Decoder.Segment.
	TCP Kind = iota
	// UDP packets filled Decoder.Segment with a Datagram.
	UDP
	// Other packets are whole and known, but carry neither TCP nor UDP: ARP,
	// ICMP, routing protocols.
	Other
	// Fragment packets wait for others of the same datagram, or are part of one
	// that another packet made whole, which is of the datagram's kind. Those that
	// wait in vain are counted in Decoder.Lost.
	Fragment
	// Undecoded packets are of a kind that is not known, or malformed.
	Undecoded
	// CutShort packets lost headers to the snapshot length.
	CutShort
	// KindCount is how many kinds there are.
	KindCount
)

func (k Kind) String() string {
	return [...]string{"tcp", "udp", "other", "fragment", "undecoded", "cut"}[k]
}

// Flags are the control bits of a TCP header (RFC 9293, section 3.1).
type Flags uint8

// The control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Has reports whether all of f's bits are set.
func (g Flags) Has(f Flags) bool { return g&f == f }

// Segment is the TCP unit inside one packet, or, without what only TCP has, a
// Datagram.
type Segment struct {
	Flow     flow.Flow
	Seq, Ack uint32
	Flags    Flags
	Window   uint16
	// Payload is what was captured of it; Length is what was sent.
	Payload []byte
	Length  int
	Time    time.Time
	Packet  int64

	wire []byte // with its header, as far as it is here
	sums bool   // all of it is here, and it has a checksum
}

// Packed is a Segment in less memory, for many to stand in a row. It has all but the
// Flow, of which many have the same.
type Packed struct {
	wire    []byte
	seconds int64
	packet  int64
	nanos   uint32 // and packedSums
	length  uint32 // a file can say no more
}

// packedSums stands beside the nanoseconds, which take 30 bits, for Segment.sums.
const packedSums = 1 << 31

// Own moves the bytes of p, which are the packet's, behind those of dst, and returns
// that.
func (p *Packed) Own(dst []byte) []byte {
	from := len(dst)
	dst = append(dst, p.wire...)
	p.wire = dst[from:]
	return dst
}

// Payload returns that of a TCP segment.
func (p *Packed) Payload() []byte { return behindTCP(p.wire) }

// Pack packs s. It shares its bytes.
func (p *Packed) Pack(s *Segment) {
	p.wire, p.seconds, p.packet, p.nanos, p.length = s.wire, s.Time.Unix(), s.Packet, uint32(s.Time.Nanosecond()), uint32(s.Length)
	if s.sums {
		p.nanos |= packedSums
	}
}

// Warm reads a little of all that there is to read, unless that is large: then the most of
// it comes into the cache by itself, as it is read in order.
func (p *Packed) Warm() byte {
	const line, large = 64, 1024 // the first is the cache's
	n := len(p.wire)
	if n == 0 || n > large {
		return 0
	}
	b := p.wire[0] + p.wire[min(n-1, line)]
	for i := 2 * line; i < min(n, 4*line); i += line {
		b += p.wire[i]
	}
	return b
}

// Unpack fills s with what was packed, but for its Flow, which it has.
func (p *Packed) Unpack(s *Segment) {
	s.wire, s.sums, s.Length, s.Packet = p.wire, p.nanos&packedSums != 0, int(p.length), p.packet
	s.Time = time.Unix(p.seconds, int64(p.nanos&^packedSums)).UTC()
	switch {
	case len(p.wire) == 0:
		s.Seq, s.Ack, s.Flags, s.Window, s.Payload = 0, 0, 0, 0, nil
	case s.Flow.Transport() == flow.TCP: // as a rule
		s.header()
	default:
		s.Seq, s.Ack, s.Flags, s.Window, s.Payload = 0, 0, 0, 0, p.wire[udpHeaderLen:]
	}
}

// Datagram is the UDP unit inside one packet.
type Datagram = Segment

// Decoder decodes packets one after the other. Its zero value is ready.
type Decoder struct {
	// Segment is valid after TCP and UDP, until the next Decode.
	Segment Segment
	// Why says what the packet is, or what is wrong with it, when it is neither.
	Why Reason
	// Error is the ICMP error that the packet is, nil when it is none.
	Error *ICMPError
	// Lost counts the packets that were called a Fragment and will never be part
	// of a datagram.
	Lost int64
	// Overlaps counts the fragments that said otherwise than another.
	Overlaps int64
	// Assembled means that the Segment's bytes are not the packet's, but of
	// fragments, and valid until the next Decode.
	Assembled bool
	// Trace, where it is not nil, is filled by Decode with the place of each header.
	Trace *Trace

	packet *capture.Packet
	cut    bool // bytes of what is looked at are missing at its end
	nested int
	flow   flow.Flow
	icmpE  ICMPError
	frags  fragments
}

// Pack is Decode for who wants the Segment packed: of it, only the Flow is sure to
// be filled in.
func (d *Decoder) Pack(p *capture.Packet, into *Packed) Kind {
	if p.Link == capture.LinkEthernet && len(p.Data) >= usualLen && into.usual(p, (*[usualLen]byte)(p.Data)) {
		d.Segment.Flow.SetIPv4(flow.TCP, (*[12]byte)(p.Data[26:]))
		d.Error, d.Assembled = nil, false
		return TCP
	}
	k := d.Decode(p)
	if k == TCP || k == UDP {
		into.Pack(&d.Segment)
	}
	return k
}

// Decode takes one packet apart.
func (d *Decoder) Decode(p *capture.Packet) Kind {
	d.packet, d.cut, d.nested, d.Error, d.Assembled = p, p.Cut(), 0, nil, false
	if d.Trace != nil {
		d.Trace.begin(p.Data)
	}
	return d.link(p.Link, p.Data, max(p.Length, len(p.Data)))
}

// Reason names a packet that carries neither TCP nor UDP. It is comparable, to
// be counted by.
type Reason struct {
	what  what
	value uint32
}

type what uint8

const (
	unknownLink what = iota
	unknownEtherType
	unknownFamily
	unknownVersion
	unknownProtocol
	knownEtherType
	knownProtocol
	ieeeFrame
	shortLink
	shortIP
	shortIPv4
	shortIPv6
	shortTCP
	shortUDP
	badLink
	badIPv4
	badIPv6
	badTCP
	badUDP
	aFragment
	lostFragment
	noNextHeader
	nestedTooDeep
	shortTunnel
	shortFragment
	badFragment
	badTunnel
	noPayload
	associatedChannel
	ciscoSLARP
	greControl
	knownPPP
	unknownPPP
	wifiManagement
	wifiControl
	wifiExtension
	wifiNull
	wifiEncrypted
	wifiFragment
	wifiAggregate
)

// The reasons of a Fragment, and of one whose datagram never was whole.
var (
	FragmentReason     = Reason{what: aFragment}
	LostFragmentReason = Reason{what: lostFragment}
)

func (r Reason) String() string {
	switch r.what {
	case unknownLink:
		return capture.LinkType(r.value).String()
	case unknownEtherType:
		return fmt.Sprintf("ethertype 0x%04x", r.value)
	case unknownFamily:
		return fmt.Sprintf("address family %d", r.value)
	case unknownVersion:
		return fmt.Sprintf("ip version %d", r.value)
	case unknownProtocol:
		return fmt.Sprintf("ip protocol %d", r.value)
	case knownEtherType:
		return etherTypes[uint16(r.value)]
	case knownProtocol:
		return protocols[byte(r.value)]
	case knownPPP:
		return pppProtocols[uint16(r.value)]
	case unknownPPP:
		return fmt.Sprintf("ppp protocol 0x%04x", r.value)
	}
	return [...]string{
		shortLink:         "short link header",
		shortIP:           "short ip header",
		shortIPv4:         "short ipv4 header",
		shortIPv6:         "short ipv6 header",
		shortTCP:          "short tcp header",
		shortUDP:          "short udp header",
		badLink:           "malformed link header",
		badIPv4:           "malformed ipv4 header",
		badIPv6:           "malformed ipv6 header",
		badTCP:            "malformed tcp header",
		badUDP:            "malformed udp header",
		ieeeFrame:         "802.3 frame",
		aFragment:         "ip fragment",
		lostFragment:      "ip fragment without the rest",
		noNextHeader:      "no next header",
		nestedTooDeep:     "too many headers one within another",
		shortTunnel:       "short tunnel header",
		shortFragment:     "short fragment",
		badFragment:       "malformed ip fragment",
		badTunnel:         "malformed tunnel header",
		noPayload:         "a log entry without a packet",
		associatedChannel: "mpls associated channel",
		ciscoSLARP:        "cisco slarp",
		greControl:        "gre control",
		wifiManagement:    "802.11 management",
		wifiControl:       "802.11 control",
		wifiExtension:     "802.11 extension",
		wifiNull:          "802.11 null data",
		wifiEncrypted:     "802.11 encrypted data",
		wifiFragment:      "802.11 fragment",
		wifiAggregate:     "802.11 aggregate of several frames",
	}[r.what]
}

// undecoded gives the packet up.
func (d *Decoder) undecoded(w what, value uint32) Kind {
	d.Why = Reason{w, value}
	return Undecoded
}

// short gives up a packet that ends inside a header, which needs need bytes and
// of which sent were sent: cut when that is the capture's doing, malformed when
// it is the sender's.
func (d *Decoder) short(w what, sent, need int) Kind {
	d.Why = Reason{what: w}
	if d.cut && sent >= need {
		return CutShort
	}
	return Undecoded
}

// other names a packet that is well but has no transport.
func (d *Decoder) other(w what, value uint32) Kind {
	d.Why = Reason{w, value}
	return Other
}

// be reads the numbers of headers; le many at once, where the order does not matter.
var (
	be = binary.BigEndian
	le = binary.LittleEndian
)
