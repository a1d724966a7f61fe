package redact

import (
	"encoding/binary"

	"netlab/decode/flow"
)

// quic blanks a datagram of QUIC (RFC 9000, section 17.2), but for its head, so that it can still be
// seen that it is one. Of others nothing is told: by a head of one bit, anything may be one.
func (x *Reading) quic(c *flow.Conversation, d flow.Direction, at int64, data []byte) {
	n := quicHead(data)
	if n == 0 || !x.f.editing() {
		return
	}
	x.f.changes = x.f.changes[:0]
	if n < len(data) {
		x.f.changes = append(x.f.changes, change{from: n, to: len(data), blank: true})
		x.f.z.blank("encrypted (QUIC)", int64(len(data)-n))
	}
	x.add(c, d, at, int64(len(data)))
}

// Versions of QUIC (RFC 9000, RFC 9369).
const quicOne, quicTwo = 1, 0x6b3343cf

// quicHead returns how long a long head is, with both names of the connection; 0 when there is none.
func quicHead(data []byte) int {
	const fixed = 6
	if len(data) < fixed || data[0]&0xc0 != 0xc0 {
		return 0
	}
	if v := binary.BigEndian.Uint32(data[1:]); v != quicOne && v != quicTwo {
		return 0
	}
	n := fixed + int(data[fixed-1])
	if n >= len(data) {
		return 0
	}
	if n += 1 + int(data[n]); n > len(data) {
		return 0
	}
	return n
}
