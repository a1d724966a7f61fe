package packet

import (
	"fmt"
	"net/netip"

	"netlab/decode/flow"
)

// ICMPError is an ICMP message about another packet, the beginning of which it
// quotes (RFC 792; RFC 4443, section 3).
type ICMPError struct {
	// Flow is that of the packet that it is about.
	Flow flow.Flow
	// From is who says so.
	From netip.Addr
	// V6 tells which numbers Type and Code are.
	V6         bool
	Type, Code byte
}

// String says what is the matter, in the RFCs' words.
func (e *ICMPError) String() string {
	types, codes := icmpTypes, icmpCodes
	if e.V6 {
		types, codes = icmpv6Types, icmpv6Codes
	}
	if s := codes[[2]byte{e.Type, e.Code}]; s != "" {
		return s
	}
	return fmt.Sprintf("%s, code %d", types[e.Type], e.Code)
}

// The types that quote a packet.
var (
	icmpTypes = map[byte]string{
		3:  "destination unreachable",
		4:  "source quench",
		5:  "redirect",
		11: "time exceeded",
		12: "parameter problem",
	}
	icmpv6Types = map[byte]string{
		1: "destination unreachable",
		2: "packet too big",
		3: "time exceeded",
		4: "parameter problem",
	}
)

// The codes that people meet.
var (
	icmpCodes = map[[2]byte]string{
		{3, 0}:  "network unreachable",
		{3, 1}:  "host unreachable",
		{3, 2}:  "protocol unreachable",
		{3, 3}:  "port unreachable",
		{3, 4}:  "fragmentation needed",
		{3, 9}:  "network administratively prohibited",
		{3, 10}: "host administratively prohibited",
		{3, 13}: "communication administratively prohibited",
		{11, 0}: "time to live exceeded in transit",
		{11, 1}: "fragment reassembly time exceeded",
	}
	icmpv6Codes = map[[2]byte]string{
		{1, 0}: "no route to destination",
		{1, 1}: "communication administratively prohibited",
		{1, 3}: "address unreachable",
		{1, 4}: "port unreachable",
		{2, 0}: "packet too big",
		{3, 0}: "hop limit exceeded in transit",
		{3, 1}: "fragment reassembly time exceeded",
	}
)

// icmpHeader is the length of the header before the quoted packet.
const icmpHeader = 8

// icmp notes what an ICMP message is about.
func (d *Decoder) icmp(b []byte) {
	const least = 20 + 4 // a header, and the ports
	if len(b) < icmpHeader+least || icmpTypes[b[0]] == "" {
		return
	}
	q := b[icmpHeader:]
	hl := int(q[0]&15) * 4
	if q[0]>>4 != 4 || hl < 20 || len(q) < hl+4 || be.Uint16(q[6:])&0x1fff != 0 {
		return
	}
	d.quote(b, q[12:16], q[16:20], q[9], q[hl:])
}

// icmpv6 notes what an ICMPv6 message is about. Extension headers in the quoted
// packet are rare, and not walked through.
func (d *Decoder) icmpv6(b []byte) {
	const least = 40 + 4
	if len(b) < icmpHeader+least || icmpv6Types[b[0]] == "" {
		return
	}
	if q := b[icmpHeader:]; q[0]>>4 == 6 {
		d.quote(b, q[8:24], q[24:40], q[6], q[40:])
	}
}

// quote fills Error from the parts of a message b.
func (d *Decoder) quote(b, src, dst []byte, proto byte, ports []byte) {
	if proto != protoTCP && proto != protoUDP {
		return
	}
	e := &d.icmpE
	e.Type, e.Code, e.V6 = b[0], b[1], len(src) == 16
	e.From = d.flow.Src().Addr()
	e.Flow.SetAddrs(src, dst)
	e.Flow.SetPorts(flow.Transport(proto), be.Uint16(ports), be.Uint16(ports[2:]))
	d.Error = e
}
