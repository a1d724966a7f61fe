// Package craft makes packets of conversations: those written down as a recipe,
// and those built step by step. Its packets become test inputs and the sample
// captures, so the same steps always give the same bytes: no clock and no random
// number is looked at.
//
// A Builder gathers packets in order. A Talk is one conversation in it, which
// knows its sequence numbers; what real networks do to packets is done by hand:
// bytes sent at any offset, left out, or sent again with another value.
package craft

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netlab/capture"
)

// Options of a Builder; zero fields are as said.
type Options struct {
	Link    capture.LinkType // LinkNull is taken for LinkEthernet; see NullLink
	Start   time.Time        // of the first packet; 2026-01-02 03:04:05 UTC
	Step    time.Duration    // between packets; 100 µs
	SnapLen int              // 0 cuts nothing
}

// NullLink asks for LinkNull, whose number is zero.
const NullLink = capture.LinkType(1 << 31)

// Builder gathers packets.
type Builder struct {
	opts    Options
	now     time.Time
	packets []capture.Packet
	ipID    uint16
	size    int // of the packets, as limit counts
	limit   int // 0 is none
	err     error
}

// packetCost is what a packet counts for in Builder.size, beside its bytes.
const packetCost = 128

// New returns a Builder without packets.
func New(opts Options) *Builder {
	switch opts.Link {
	case capture.LinkNull:
		opts.Link = capture.LinkEthernet
	case NullLink:
		opts.Link = capture.LinkNull
	}
	if opts.Start.IsZero() {
		opts.Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	if opts.Step == 0 {
		opts.Step = 100 * time.Microsecond
	}
	opts.Start = opts.Start.UTC()
	return &Builder{opts: opts, now: opts.Start}
}

// Link returns what the packets begin with.
func (b *Builder) Link() capture.LinkType { return b.opts.Link }

// Wait lets time pass before the next packet.
func (b *Builder) Wait(d time.Duration) { b.now = b.now.Add(d) }

// Packet adds a packet as it is.
func (b *Builder) Packet(data []byte) {
	length := len(data)
	b.size += length + packetCost
	if b.limit > 0 && b.size > b.limit {
		b.fail(fmt.Errorf("more than the %d bytes that packets may take, at %d for each and its own", b.limit, packetCost))
		return
	}
	if b.opts.SnapLen > 0 {
		data = data[:min(len(data), b.opts.SnapLen)]
	}
	b.packets = append(b.packets, capture.Packet{
		Number: int64(len(b.packets)) + 1, Time: b.now, Data: data, Length: length, Link: b.opts.Link,
	})
	b.now = b.now.Add(b.opts.Step)
}

// Packets returns what was gathered, and what went wrong.
func (b *Builder) Packets() ([]capture.Packet, error) { return b.packets, b.failure() }

// Source returns a Source of what was gathered, which ends with what went wrong.
func (b *Builder) Source() capture.Source { return &source{packets: b.packets, err: b.failure()} }

type source struct {
	packets []capture.Packet
	err     error
}

func (s *source) Next() (*capture.Packet, error) {
	if len(s.packets) == 0 {
		if s.err != nil {
			return nil, s.err // not as well as io.EOF, which would hide it
		}
		return nil, io.EOF
	}
	p := &s.packets[0]
	s.packets = s.packets[1:]
	return p, nil
}

// send wraps IP's payload and adds the packet.
func (b *Builder) send(src, dst netip.Addr, vlan uint16, proto layers.IPProtocol, inner ...gopacket.SerializableLayer) {
	if b.err != nil {
		return
	}
	var stack []gopacket.SerializableLayer
	etherType := layers.EthernetTypeIPv4
	if src.Is6() {
		etherType = layers.EthernetTypeIPv6
	}
	switch b.opts.Link {
	case capture.LinkEthernet:
		eth := &layers.Ethernet{SrcMAC: mac(src), DstMAC: mac(dst), EthernetType: etherType}
		stack = append(stack, eth)
		if vlan != 0 {
			eth.EthernetType = layers.EthernetTypeDot1Q
			stack = append(stack, &layers.Dot1Q{VLANIdentifier: vlan, Type: etherType})
		}
	case capture.LinkNull, capture.LinkLoop:
		family := []byte{2, 0, 0, 0}
		if src.Is6() {
			family[0] = 30
		}
		if b.opts.Link == capture.LinkLoop {
			family[0], family[3] = family[3], family[0]
		}
		stack = append(stack, gopacket.Payload(family))
	case capture.LinkLinuxSLL:
		// Sent by us, on an interface with an Ethernet address.
		h := append([]byte{0, 4, 0, 1, 0, 6}, mac(src)...)
		stack = append(stack, gopacket.Payload(append(h, 0, 0, byte(etherType>>8), byte(etherType))))
	case capture.LinkLinuxSLL2:
		h := []byte{byte(etherType >> 8), byte(etherType), 0, 0, 0, 0, 0, 1, 0, 1, 4, 6}
		stack = append(stack, gopacket.Payload(append(append(h, mac(src)...), 0, 0)))
	case capture.LinkRaw, capture.LinkIPv4, capture.LinkIPv6:
	default:
		b.fail(fmt.Errorf("link type %s is not made", b.opts.Link))
		return
	}
	b.ipID++
	var network gopacket.NetworkLayer
	if src.Is6() {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		network, stack = ip, append(stack, ip)
	} else {
		ip := &layers.IPv4{Version: 4, TTL: 64, Id: b.ipID, Flags: layers.IPv4DontFragment, Protocol: proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		network, stack = ip, append(stack, ipv4{ip})
	}
	for i, l := range inner {
		switch l := l.(type) {
		case *layers.TCP:
			b.fail(l.SetNetworkLayerForChecksum(network))
		case *layers.UDP:
			b.fail(l.SetNetworkLayerForChecksum(network))
			inner[i] = udp{l}
		}
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(stack, inner...)...)
	if err != nil {
		b.fail(fmt.Errorf("packet %d: %w", len(b.packets)+1, err))
		return
	}
	b.Packet(buf.Bytes())
}

// udp is layers.UDP, but sends a checksum that comes out as zero as all ones:
// zero says that there is none (RFC 768).
type udp struct{ *layers.UDP }

func (u udp) SerializeTo(b gopacket.SerializeBuffer, opts gopacket.SerializeOptions) error {
	if err := u.UDP.SerializeTo(b, opts); err != nil {
		return err
	}
	if h := b.Bytes(); h[6] == 0 && h[7] == 0 {
		h[6], h[7] = 0xff, 0xff
	}
	return nil
}

// ipv4 is layers.IPv4, but refuses what its length can't count instead of
// counting it modulo 65536.
type ipv4 struct{ *layers.IPv4 }

func (ip ipv4) SerializeTo(b gopacket.SerializeBuffer, opts gopacket.SerializeOptions) error {
	if n := 20 + len(b.Bytes()); n > 65535 {
		return fmt.Errorf("%d bytes are more than an IPv4 packet holds", n)
	}
	return ip.IPv4.SerializeTo(b, opts)
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// failure is what went wrong first, for a caller.
func (b *Builder) failure() error {
	if b.err == nil {
		return nil
	}
	return fmt.Errorf("craft: %w", b.err)
}

// mac makes a locally administered address of the last bytes of an IP address.
func mac(a netip.Addr) net.HardwareAddr {
	s := a.AsSlice()
	return append(net.HardwareAddr{2, 0}, s[len(s)-4:]...)
}
