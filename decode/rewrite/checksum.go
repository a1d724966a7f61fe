package rewrite

import (
	"math/bits"

	"netlab/decode/packet"
)

// checksums has all checksums of a packet be right, the innermost first. What is not whole
// has none: that of the original would tell of what was cut off.
func (r *Rewriter) checksums(j *job) {
	grown := j.end - j.last.End
	for i := len(j.layers) - 1; i >= 0; i-- {
		l := &j.layers[i]
		b := r.buf[l.Start : l.End+grown]
		switch l.Kind {
		case packet.LayerIPv4:
			h := b[:l.Head-l.Start]
			put(h[10:], 0, h)
		case packet.LayerTCP:
			r.transport(j, i, b, 16, 6)
		case packet.LayerUDP:
			// Zero is none (RFC 768); in IPv6 that is a tunnel's (RFC 6935).
			if be.Uint16(b[6:]) != 0 {
				if r.transport(j, i, b, 6, 17); be.Uint16(b[6:]) == 0 {
					be.PutUint16(b[6:], 0xffff)
				}
			}
		case packet.LayerICMPv6:
			if len(b) >= 4 {
				r.transport(j, i, b, 2, 58)
			}
		case packet.LayerICMP, packet.LayerIGMP:
			if len(b) >= 4 {
				whole(l, b[2:], 0, b)
			}
		case packet.LayerGRE:
			if b[0]&0x80 != 0 && len(b) >= 6 {
				whole(l, b[4:], 0, b)
			}
		}
	}
}

// transport puts in the checksum of what has a pseudo-header (RFC 9293, section 3.1; RFC
// 8200, section 8.1).
func (r *Rewriter) transport(j *job, i int, b []byte, at int, proto uint32) {
	sum := uint64(bits.ReverseBytes32(proto + uint32(len(b))))
	whole(&j.layers[i], b[at:], sum+r.addresses(j, i), b)
}

// addresses adds up the addresses of the IP packet that the i-th header stands in.
func (r *Rewriter) addresses(j *job, i int) uint64 {
	var to []byte
	for i--; i >= 0; i-- {
		l := &j.layers[i]
		h := r.buf[l.Start:l.Head]
		switch {
		case l.Kind == packet.LayerIPv4:
			return words(h[12:20])
		case l.Kind == packet.LayerIPv6 && to != nil:
			return words(h[8:24]) + words(to)
		case l.Kind == packet.LayerIPv6:
			return words(h[8:40])
		case l.Kind == packet.LayerExtension && l.Type == extRouting:
			to = lastHop(h)
		}
	}
	return j.outside
}

// words adds up 32-bit words in little endian.
func words(b []byte) uint64 {
	var sum uint64
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(le.Uint32(b))
	}
	return sum
}

// whole puts a checksum of b in, if the layer is whole.
func whole(l *packet.Layer, field []byte, sum uint64, b []byte) {
	if field[0], field[1] = 0, 0; l.Whole() {
		put(field, sum, b)
	}
}

func put(field []byte, sum uint64, b []byte) {
	field[0], field[1] = 0, 0
	be.PutUint16(field, packet.Checksum(sum, b))
}
