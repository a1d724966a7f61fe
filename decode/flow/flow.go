// Package flow says who is talking to whom: flows, conversations, and the table
// that finds the conversation a packet belongs to.
//
// It is the vocabulary of everything between packets and messages. A Flow is one
// direction; a Conversation is both; Chunk, Gap and Anomaly are what a stream of
// one direction consists of. The package knows nothing of segments or protocols
// and imports nothing of netlab. A lookup in the Table allocates nothing.
package flow

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"strconv"
)

// Transport is the protocol that carries a conversation.
type Transport uint8

// The transports; the numbers are IP's.
const (
	TCP Transport = 6
	UDP Transport = 17
)

func (t Transport) String() string {
	switch t {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return "protocol " + strconv.Itoa(int(t))
}

// Flow is one direction of a conversation: a five-tuple. It is comparable and
// has no pointers, so that tables of flows cost the garbage collector nothing.
type Flow struct {
	src, dst         [16]byte // IPv4 addresses stand in the first four bytes
	srcPort, dstPort uint16
	transport        Transport
	v4               bool
}

// NewFlow returns the flow from src to dst, which must be of one family.
func NewFlow(t Transport, src, dst netip.AddrPort) Flow {
	f := Flow{transport: t, srcPort: src.Port(), dstPort: dst.Port(), v4: src.Addr().Is4()}
	if f.v4 {
		a, b := src.Addr().As4(), dst.Addr().As4()
		copy(f.src[:], a[:])
		copy(f.dst[:], b[:])
	} else {
		f.src, f.dst = src.Addr().As16(), dst.Addr().As16()
	}
	return f
}

// Unknown returns a flow of which only the transport is known.
func Unknown(t Transport) Flow { return Flow{transport: t} }

// SetAddrs sets the addresses from an IP header's bytes, 4 or 16 each.
func (f *Flow) SetAddrs(src, dst []byte) {
	f.v4 = len(src) == 4
	if f.v4 {
		f.src, f.dst = [16]byte{}, [16]byte{}
	}
	copy(f.src[:], src)
	copy(f.dst[:], dst)
}

// SetIPv4 sets all from what stands side by side in headers without options: the
// addresses that end an IPv4 header, and the ports that begin what is behind it.
func (f *Flow) SetIPv4(t Transport, b *[12]byte) {
	if !f.v4 {
		f.src, f.dst = [16]byte{}, [16]byte{}
	}
	copy(f.src[:4], b[0:4])
	copy(f.dst[:4], b[4:8])
	f.srcPort, f.dstPort = binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:])
	f.transport, f.v4 = t, true
}

// SetPorts sets the transport and its ports.
func (f *Flow) SetPorts(t Transport, src, dst uint16) {
	f.transport, f.srcPort, f.dstPort = t, src, dst
}

// Transport returns the protocol of the flow.
func (f Flow) Transport() Transport { return f.transport }

// SrcPort returns the port that the flow comes from.
func (f *Flow) SrcPort() uint16 { return f.srcPort }

// DstPort returns the port that the flow goes to.
func (f *Flow) DstPort() uint16 { return f.dstPort }

// Src returns where the flow comes from.
func (f Flow) Src() netip.AddrPort { return f.endpoint(f.src, f.srcPort) }

// Dst returns where the flow goes.
func (f Flow) Dst() netip.AddrPort { return f.endpoint(f.dst, f.dstPort) }

func (f Flow) endpoint(a [16]byte, port uint16) netip.AddrPort {
	if f.v4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a), port)
}

// Reverse returns the other direction.
func (f Flow) Reverse() Flow {
	f.src, f.dst = f.dst, f.src
	f.srcPort, f.dstPort = f.dstPort, f.srcPort
	return f
}

// SetReverse makes f the other direction of g.
func (f *Flow) SetReverse(g *Flow) {
	f.src, f.dst = g.dst, g.src
	f.srcPort, f.dstPort = g.dstPort, g.srcPort
	f.transport, f.v4 = g.transport, g.v4
}

func (f Flow) String() string {
	return f.transport.String() + " " + f.Src().String() + " > " + f.Dst().String()
}

// Is reports whether f and g are the same.
func (f *Flow) Is(g *Flow) bool {
	return f.srcPort == g.srcPort && f.dstPort == g.dstPort && f.transport == g.transport && f.v4 == g.v4 && f.src == g.src && f.dst == g.dst
}

// Reverses reports whether f is the other direction of g.
func (f *Flow) Reverses(g *Flow) bool {
	return f.srcPort == g.dstPort && f.dstPort == g.srcPort && f.transport == g.transport && f.v4 == g.v4 && f.src == g.dst && f.dst == g.src
}

// Seed makes the hashes of flows unknown to whoever sends them.
type Seed [3]uint64

// NewSeed returns one that nobody can foresee.
func NewSeed() Seed { return Seed{rand.Uint64(), rand.Uint64(), rand.Uint64()} }

// Hash returns the hash of f's conversation: that of its reverse is the same, for
// a product does not depend on the order. Products are folded as wyhash does.
func (s *Seed) Hash(f *Flow) uint64 {
	a, b := s.endpoint(f, &f.src, f.srcPort), s.endpoint(f, &f.dst, f.dstPort)
	return fold(fold(a, b), s[2]^uint64(f.transport))
}

func (s *Seed) endpoint(f *Flow, addr *[16]byte, port uint16) uint64 {
	if f.v4 {
		return s[0] ^ (uint64(binary.LittleEndian.Uint32(addr[:]))<<16 | uint64(port))
	}
	return s[0] ^ (fold(s[1]^binary.LittleEndian.Uint64(addr[:]), s[2]^binary.LittleEndian.Uint64(addr[8:])) + uint64(port))
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Direction is one side of a conversation.
type Direction uint8

// The directions. They index arrays of two.
const (
	ClientToServer Direction = iota
	ServerToClient
)

// Reverse returns the other direction.
func (d Direction) Reverse() Direction { return 1 - d }

func (d Direction) String() string {
	if d == ClientToServer {
		return "client_to_server"
	}
	return "server_to_client"
}

// AddrSum returns the sum of the addresses as little-endian 32-bit words: what they
// add to a transport's checksum (RFC 1071).
func (f *Flow) AddrSum() uint64 {
	s := uint64(binary.LittleEndian.Uint32(f.src[:])) + uint64(binary.LittleEndian.Uint32(f.dst[:]))
	if f.v4 {
		return s
	}
	for i := 4; i < 16; i += 4 {
		s += uint64(binary.LittleEndian.Uint32(f.src[i:])) + uint64(binary.LittleEndian.Uint32(f.dst[i:]))
	}
	return s
}
