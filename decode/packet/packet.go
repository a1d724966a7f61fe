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

	whole []byte // with its header, when all of it is here and has a checksum
}

// Own moves the bytes of s, which are the packet's, behind those of dst, and
// returns that.
func (s *Segment) Own(dst []byte) []byte {
	from, n := len(dst), len(s.Payload)
	if s.whole != nil { // the payload is its end
		dst = append(dst, s.whole...)
		s.whole = dst[from:]
	} else {
		dst = append(dst, s.Payload...)
	}
	s.Payload = dst[len(dst)-n:]
	return dst
}

// Packed is a Segment in less memory, for many to stand in a row.
type Packed struct {
	Flow     flow.Flow
	flags    Flags
	header   uint8 // of data, that is no payload
	whole    bool  // data is Segment.whole
	seq, ack uint32
	window   uint16
	length   uint32 // a file can say no more
	nanos    int32
	seconds  int64
	packet   int64
	data     []byte
}

// Pack packs s. It shares its bytes.
func (p *Packed) Pack(s *Segment) {
	*p = Packed{
		Flow: s.Flow, flags: s.Flags, seq: s.Seq, ack: s.Ack, window: s.Window, length: uint32(s.Length),
		nanos: int32(s.Time.Nanosecond()), seconds: s.Time.Unix(), packet: s.Packet, data: s.Payload,
	}
	if s.whole != nil { // the payload is its end
		p.data, p.whole, p.header = s.whole, true, uint8(len(s.whole)-len(s.Payload))
	}
}

// Warm reads a little of all that there is to read.
func (p *Packed) Warm() byte {
	const line = 64 // of the cache
	b := byte(p.flags)
	for i := 0; i < min(len(p.data), 4*line); i += line {
		b += p.data[i]
	}
	return b
}

// Unpack fills s with what was packed.
func (p *Packed) Unpack(s *Segment) {
	s.Flow, s.Flags, s.Seq, s.Ack, s.Window, s.Length = p.Flow, p.flags, p.seq, p.ack, p.window, int(p.length)
	s.Time, s.Packet, s.Payload, s.whole = time.Unix(p.seconds, int64(p.nanos)).UTC(), p.packet, p.data[p.header:], nil
	if p.whole {
		s.whole = p.data
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

	packet *capture.Packet
	cut    bool // bytes of what is looked at are missing at its end
	nested int
	flow   flow.Flow
	icmpE  ICMPError
	frags  fragments
}

// Decode takes one packet apart.
func (d *Decoder) Decode(p *capture.Packet) Kind {
	d.packet, d.cut, d.nested, d.Error, d.Assembled = p, p.Cut(), 0, nil, false
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

// be reads the numbers of headers.
var be = binary.BigEndian
