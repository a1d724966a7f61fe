package rewrite

import (
	"bytes"

	"netlab/decode/flow"
	"netlab/decode/packet"
)

// stub puts at the beginning of a body that was blanked what makes it one that other
// programs take for a message with nothing in it, where they would take bytes of zero for a
// broken one.
func (r *Rewriter) stub(j *job, b []byte) {
	const (
		eapol, lldp, ptp = 0x888e, 0x88cc, 0x88f7
		sctp             = 132
		sctpHeader       = 12
	)
	if !j.last.Whole() {
		return
	}
	h := r.buf[j.last.Start:j.last.Head]
	switch {
	case j.last.Kind == packet.LayerIPv4 && h[9] == sctp && len(b) >= sctpHeader+4:
		c := b[sctpHeader:] // a chunk of a kind that is not known (RFC 9260, section 3.2)
		c[0] = 0x3f
		be.PutUint16(c[2:], uint16(len(c)))
	case len(h) < 4:
	case j.last.Kind == packet.LayerFrame && j.kind == packet.Undecoded && h[len(h)-2]&1 == 0 && len(b) > 4:
		copy(b, "\x00\x00\x01\x00\xf0") // a label that is the last, which that before it is not
	case j.last.Kind == packet.LayerFrame && j.kind == packet.Undecoded:
		// Behind a label of MPLS zeros would begin a frame of Ethernet (RFC 4385).
		copy(b, "\xf0")
	case j.last.Kind == packet.LayerEthernet, j.last.Kind == packet.LayerFrame, j.last.Kind == packet.LayerLinuxSLL:
		switch be.Uint16(h[len(h)-2:]) {
		case eapol:
			copy(b, "\x02\xff") // version, and a kind that is not known
		case lldp:
			if empty := "\x02\x02\x07\x00\x04\x02\x07\x00\x06\x02\x00\x00\x00\x00"; len(b) >= len(empty) {
				copy(b, empty) // who it is, which port, for how long, the end
			}
		case ptp:
			copy(b, "\x04\x02\x00\x22") // a kind that is not known, version, length
		}
	}
}

// stubNames does so with a datagram of NetBIOS's name service (RFC 1002, section 4.2), which has
// names wherever its header counts some.
func stubNames(f *flow.Flow, b []byte) {
	const (
		port   = 137
		header = 12
	)
	if (f.SrcPort() == port || f.DstPort() == port) && len(b) >= header && bytes.Count(b[:header], []byte{Filler}) == header {
		clear(b[:header])
	}
}
