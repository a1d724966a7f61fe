package packet

import (
	"math/bits"

	"netlab/capture"
	"netlab/decode/flow"
)

// tcp fills d.Segment (RFC 9293, section 3.1).
func (d *Decoder) tcp(b []byte, length int) Kind {
	if len(b) < 20 {
		return d.short(shortTCP, length, 20)
	}
	hl := int(b[12]>>4) * 4
	if hl < 20 || hl > length {
		return d.undecoded(badTCP, 0)
	}
	d.walked(LayerTCP, b, hl, length)
	s := &d.Segment
	s.Flow = d.flow
	s.Flow.SetPorts(flow.TCP, be.Uint16(b), be.Uint16(b[2:]))
	s.Length, s.wire, s.sums = length-hl, b, len(b) == length
	s.Time, s.Packet = d.packet.Time, d.packet.Number
	s.header()
	return TCP
}

// header fills in what stands in the TCP header, and the payload.
func (s *Segment) header() {
	h := (*[tcpHeaderLen]byte)(s.wire)
	s.Seq, s.Ack = be.Uint32(h[4:]), be.Uint32(h[8:])
	s.Flags, s.Window = Flags(h[13]), be.Uint16(h[14:])
	s.Payload = behindTCP(s.wire)
}

// behindTCP returns what is behind the header of a segment, options of which may have
// been cut off.
func behindTCP(b []byte) []byte { return b[min(int(b[12]>>4)*4, len(b)):] }

// The lengths of headers without options.
const (
	tcpHeaderLen = 20
	udpHeaderLen = 8
	usualLen     = 14 + 20 + tcpHeaderLen // Ethernet and IPv4 before it
)

// usual does at once what Decode does step by step for what most packets are: TCP in
// Ethernet, behind an IPv4 header without options, which begins with h. It reports
// false of all else.
func (p *Packed) usual(c *capture.Packet, h *[usualLen]byte) bool {
	if be.Uint32(h[12:])&0xffffff00 != etherIPv4<<16|0x4500 || be.Uint16(h[20:])&0x3fff != 0 || h[23] != protoTCP {
		return false
	}
	length, hl := int(be.Uint16(h[16:]))-20, int(h[46]>>4)*4
	if hl < tcpHeaderLen || hl > length {
		return false
	}
	p.wire = c.Data[34:min(len(c.Data), 34+length)]
	p.seconds, p.nanos, p.packet, p.length = c.Time.Unix(), uint32(c.Time.Nanosecond()), c.Number, uint32(length-hl)
	if len(p.wire) == length {
		p.nanos |= packedSums
	}
	return true
}

// udp fills d.Segment (RFC 768).
func (d *Decoder) udp(b []byte, length int) Kind {
	if len(b) < 8 {
		return d.short(shortUDP, length, 8)
	}
	// A length of 0 is a jumbogram's (RFC 2675, section 4) or offload's.
	if n := int(be.Uint16(b[4:])); n != 0 {
		if n < 8 {
			return d.undecoded(badUDP, 0)
		}
		length = min(length, n)
		b = b[:min(len(b), length)]
	}
	d.walked(LayerUDP, b, udpHeaderLen, length)
	src, dst := be.Uint16(b), be.Uint16(b[2:])
	if k, ok := d.udpTunnel(src, dst, b[8:], length-8); ok {
		return k
	}
	g := &d.Segment
	g.Flow = d.flow
	g.Flow.SetPorts(flow.UDP, src, dst)
	g.Payload, g.Length = b[8:], length-8
	g.Time, g.Packet = d.packet.Time, d.packet.Number
	g.Seq, g.Ack, g.Flags, g.Window = 0, 0, 0, 0
	g.wire, g.sums = b, len(b) == length && be.Uint16(b[6:]) != 0
	return UDP
}

// BadChecksum reports whether the checksum is wrong, which is normal where the
// network card would have filled it in. What is not whole can't be told.
func (s *Segment) BadChecksum() bool {
	return s.sums && s.sum() != 0xffff
}

// sum returns the ones' complement sum over the segment and its pseudo-header. It
// holds its checksum, and so sums to 0xffff when it is right (RFC 1071; RFC 8200,
// section 8.1).
func (s *Segment) sum() uint16 {
	// Added up in little endian, the sum has its bytes swapped (RFC 1071, section 2).
	header := uint32(s.Flow.Transport()) + uint32(len(s.wire))
	return bits.ReverseBytes16(sum(uint64(bits.ReverseBytes32(header))+s.Flow.AddrSum(), s.wire))
}

// Checksum returns the Internet checksum (RFC 1071) of b, in which the field for it is
// zero. What belongs to it and stands elsewhere, as a pseudo-header, is added up in
// before: 32-bit words, in little endian.
func Checksum(before uint64, b []byte) uint16 { return ^bits.ReverseBytes16(sum(before, b)) }

// sum adds b to s, in little endian.
func sum(s uint64, b []byte) uint16 {
	var carry uint64
	for ; len(b) >= 32; b = b[32:] {
		w := (*[32]byte)(b)
		s, carry = bits.Add64(s, le.Uint64(w[0:]), carry)
		s, carry = bits.Add64(s, le.Uint64(w[8:]), carry)
		s, carry = bits.Add64(s, le.Uint64(w[16:]), carry)
		s, carry = bits.Add64(s, le.Uint64(w[24:]), carry)
	}
	if len(b) >= 16 {
		w := (*[16]byte)(b)
		s, carry = bits.Add64(s, le.Uint64(w[0:]), carry)
		s, carry = bits.Add64(s, le.Uint64(w[8:]), carry)
		b = b[16:]
	}
	if len(b) >= 8 {
		s, carry = bits.Add64(s, le.Uint64(b), carry)
		b = b[8:]
	}
	var last uint64
	if len(b) >= 4 {
		last = uint64(le.Uint32(b[len(b)-4:])) << (8 * (len(b) - 4))
		last |= uint64(le.Uint32(b))
	} else if len(b) > 0 {
		last = uint64(b[0]) | uint64(b[len(b)/2])<<(8*(len(b)/2)) | uint64(b[len(b)-1])<<(8*(len(b)-1))
	}
	s, carry = bits.Add64(s, last, carry)
	s, carry = bits.Add64(s, 0, carry)
	s += carry
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
