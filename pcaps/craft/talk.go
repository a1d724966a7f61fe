package craft

import (
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Side is one end of a Talk.
type Side int

// The sides.
const (
	Client Side = iota
	Server
)

// Talk is one conversation of a Builder.
type Talk struct {
	// VLAN tags the packets when it is not zero.
	VLAN uint16
	// MSS is how many bytes a segment carries at most; 0 is no limit.
	MSS int

	b    *Builder
	udp  bool
	ends [2]end
}

// end is one side of a Talk.
type end struct {
	addr netip.AddrPort
	isn  uint32
	sent int64 // offset of the next byte to send; the SYN is not counted
	seen int64 // how much of the other side was received
	fin  bool  // it was sent
}

// seq returns the sequence number of an offset.
func (e *end) seq(off int64) uint32 { return e.isn + 1 + uint32(off) }

// TCP begins a TCP conversation. It has no packets until they are sent.
func (b *Builder) TCP(client, server netip.AddrPort) *Talk {
	t := &Talk{b: b}
	t.ends = [2]end{{addr: client, isn: 1000}, {addr: server, isn: 5000}}
	return t
}

// UDP begins a UDP conversation.
func (b *Builder) UDP(client, server netip.AddrPort) *Talk {
	t := b.TCP(client, server)
	t.udp = true
	return t
}

// ISN sets the initial sequence numbers.
func (t *Talk) ISN(client, server uint32) { t.ends[Client].isn, t.ends[Server].isn = client, server }

// Flags of a segment.
type Flags struct{ SYN, ACK, FIN, RST, PSH bool }

// Segment sends data of one side at an offset of its stream, whatever was sent
// before. The acknowledgement is of what the side has seen.
func (t *Talk) Segment(s Side, off int64, f Flags, data []byte) {
	e, peer := &t.ends[s], &t.ends[1-s]
	if t.udp {
		t.b.send(e.addr.Addr(), peer.addr.Addr(), t.VLAN, layers.IPProtocolUDP,
			&layers.UDP{SrcPort: layers.UDPPort(e.addr.Port()), DstPort: layers.UDPPort(peer.addr.Port())}, gopacket.Payload(data))
		return
	}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(e.addr.Port()), DstPort: layers.TCPPort(peer.addr.Port()), Seq: e.seq(off), Window: 65535,
		SYN: f.SYN, ACK: f.ACK, FIN: f.FIN, RST: f.RST, PSH: f.PSH,
	}
	switch {
	case f.SYN:
		tcp.Seq--
	case e.fin && off >= e.sent && !f.FIN && len(data) == 0:
		tcp.Seq++ // the FIN took a number of its own; without it this is a keep-alive
	}
	if f.ACK {
		tcp.Ack = peer.seq(e.seen)
		if peer.fin && e.seen >= peer.sent {
			tcp.Ack++
		}
	}
	t.b.send(e.addr.Addr(), peer.addr.Addr(), t.VLAN, layers.IPProtocolTCP, tcp, gopacket.Payload(data))
	e.sent = max(e.sent, off+int64(len(data)))
	peer.seen = max(peer.seen, e.sent)
}

// Open shakes hands.
func (t *Talk) Open() {
	t.Segment(Client, 0, Flags{SYN: true}, nil)
	t.Segment(Server, 0, Flags{SYN: true, ACK: true}, nil)
	t.Ack(Client)
}

// Send sends data in segments of at most MSS bytes, or in one datagram.
func (t *Talk) Send(s Side, data []byte) {
	for first := true; first || len(data) > 0; first = false {
		n := len(data)
		if t.MSS > 0 && !t.udp {
			n = min(n, t.MSS)
		}
		t.Segment(s, t.ends[s].sent, Flags{ACK: true, PSH: n == len(data)}, data[:n])
		data = data[n:]
	}
}

// Drop sends data that is never captured, though it arrives.
func (t *Talk) Drop(s Side, data []byte) {
	t.ends[s].sent += int64(len(data))
	t.ends[1-s].seen = max(t.ends[1-s].seen, t.ends[s].sent)
}

// Ack sends an empty segment.
func (t *Talk) Ack(s Side) { t.Segment(s, t.ends[s].sent, Flags{ACK: true}, nil) }

// Fin says that a side is done.
func (t *Talk) Fin(s Side) {
	t.Segment(s, t.ends[s].sent, Flags{FIN: true, ACK: true}, nil)
	t.ends[s].fin = true
}

// Reset breaks the connection off.
func (t *Talk) Reset(s Side) { t.Segment(s, t.ends[s].sent, Flags{RST: true, ACK: true}, nil) }

// Close ends the connection, side s first.
func (t *Talk) Close(s Side) {
	t.Fin(s)
	t.Fin(1 - s)
	t.Ack(s)
}
