package packet

import (
	"math/bits"

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
	s := &d.Segment
	s.Flow = d.flow
	s.Flow.SetPorts(flow.TCP, be.Uint16(b), be.Uint16(b[2:]))
	s.Seq, s.Ack = be.Uint32(b[4:]), be.Uint32(b[8:])
	s.Flags, s.Window = Flags(b[13]), be.Uint16(b[14:])
	s.Payload = b[min(hl, len(b)):] // options may have been cut off
	s.Length = length - hl
	s.Time, s.Packet = d.packet.Time, d.packet.Number
	s.whole = nil
	if len(b) == length {
		s.whole = b
	}
	return TCP
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
	g.whole = nil
	if len(b) == length && be.Uint16(b[6:]) != 0 {
		g.whole = b
	}
	return UDP
}

// BadChecksum reports whether the checksum is wrong, which is normal where the
// network card would have filled it in. What is not whole can't be told.
func (s *Segment) BadChecksum() bool {
	return s.whole != nil && sum(uint64(s.Flow.Transport())+uint64(len(s.whole))+s.Flow.AddrSum(), s.whole) != 0xffff
}

// sum returns the ones' complement sum over b and a pseudo-header that adds up to
// s. B holds its checksum, and so sums to 0xffff when it is right (RFC 1071; RFC
// 8200, section 8.1).
func sum(s uint64, b []byte) uint16 {
	var carry uint64
	for ; len(b) >= 32; b = b[32:] {
		s, carry = bits.Add64(s, be.Uint64(b), carry)
		s, carry = bits.Add64(s, be.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, be.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, be.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		s, carry = bits.Add64(s, be.Uint64(b), carry)
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		s, carry = bits.Add64(s, be.Uint64(last[:]), carry)
	}
	s, carry = bits.Add64(s, 0, carry)
	s += carry
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s&0xffff)
}
