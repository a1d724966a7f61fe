package packet

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netlab/capture"
	"netlab/decode/flow"
)

// oracle is gopacket's opinion of a packet. Its layers are asked one by one:
// NewPacket can allocate gigabytes for a packet that lies about its size.
type oracle struct {
	eth  layers.Ethernet
	tag  layers.Dot1Q
	ip4  layers.IPv4
	ip6  layers.IPv6
	tcp  layers.TCP
	udp  layers.UDP
	from map[gopacket.LayerType]*gopacket.DecodingLayerParser
	seen []gopacket.LayerType
}

func newOracle() *oracle {
	o := &oracle{from: make(map[gopacket.LayerType]*gopacket.DecodingLayerParser)}
	for _, first := range []gopacket.LayerType{layers.LayerTypeEthernet, layers.LayerTypeIPv4, layers.LayerTypeIPv6} {
		p := gopacket.NewDecodingLayerParser(first, &o.eth, &o.tag, &o.ip4, &o.ip6, &o.tcp, &o.udp)
		p.IgnoreUnsupported = true
		o.from[first] = p
	}
	return o
}

// opinion returns a Decoder that holds what gopacket found: TCP, UDP, or neither.
// It has none of packets that are odd in a way in which the two differ on
// purpose, nor of those within another.
func (o *oracle) opinion(link capture.LinkType, data []byte) (Decoder, Kind, bool) {
	var d Decoder
	var first gopacket.LayerType
	switch link {
	case capture.LinkEthernet:
		first = layers.LayerTypeEthernet
	case capture.LinkRaw, capture.LinkRawBSD, capture.LinkRawLinux, capture.LinkIPv4, capture.LinkIPv6:
		if len(data) == 0 {
			return d, Other, false
		}
		first = layers.LayerTypeIPv4
		if data[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
	default:
		return d, Other, false
	}
	if err := o.from[first].DecodeLayers(data, &o.seen); err != nil {
		return d, Other, false
	}
	seen := o.seen
	if len(seen) > 0 && seen[0] == layers.LayerTypeEthernet {
		seen = seen[1:]
	}
	for tags := 0; len(seen) > 0 && seen[0] == layers.LayerTypeDot1Q; tags++ {
		if tags == maxTags {
			return d, Other, false
		}
		seen = seen[1:]
	}
	if len(seen) != 2 {
		return d, Other, false
	}
	var src, dst netip.Addr
	switch seen[0] {
	case layers.LayerTypeIPv4:
		// gopacket does not look at the version, and puts its own guess in the
		// place of a length of zero.
		if o.ip4.Version != 4 || be.Uint16(o.ip4.Contents[2:]) == 0 {
			return d, Other, false
		}
		src, dst = addr(o.ip4.SrcIP), addr(o.ip4.DstIP)
	case layers.LayerTypeIPv6:
		// It takes padding behind a hop-by-hop header for payload.
		if o.ip6.Version != 6 || o.ip6.HopByHop != nil {
			return d, Other, false
		}
		src, dst = addr(o.ip6.SrcIP), addr(o.ip6.DstIP)
	default:
		return d, Other, false
	}
	switch seen[1] {
	case layers.LayerTypeTCP:
		t := &o.tcp
		var flags Flags
		for i, set := range []bool{t.FIN, t.SYN, t.RST, t.PSH, t.ACK, t.URG, t.ECE, t.CWR} {
			if set {
				flags |= 1 << i
			}
		}
		d.Segment = Segment{
			Flow: flow.NewFlow(flow.TCP, netip.AddrPortFrom(src, uint16(t.SrcPort)), netip.AddrPortFrom(dst, uint16(t.DstPort))),
			Seq:  t.Seq, Ack: t.Ack, Flags: flags, Window: t.Window, Payload: t.Payload,
		}
		return d, TCP, true
	case layers.LayerTypeUDP:
		u := &o.udp
		d.Segment = Datagram{
			Flow:    flow.NewFlow(flow.UDP, netip.AddrPortFrom(src, uint16(u.SrcPort)), netip.AddrPortFrom(dst, uint16(u.DstPort))),
			Payload: u.Payload,
		}
		return d, UDP, true
	}
	return d, Other, false
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// fields is what there is to compare of what was decoded.
func fields(d *Decoder, k Kind) string {
	switch s := &d.Segment; k {
	case TCP:
		return fmt.Sprintf("%s seq %d ack %d flags %#x window %d %x", s.Flow, s.Seq, s.Ack, s.Flags, s.Window, s.Payload)
	case UDP:
		return fmt.Sprintf("%s %x", d.Segment.Flow, d.Segment.Payload)
	}
	return describe(d, k)
}

// unit returns the payload, and how long it was when it was sent.
func unit(d *Decoder, k Kind) ([]byte, int) {
	return d.Segment.Payload, d.Segment.Length
}

// belongs wants the payload to be the packet's memory, which it is unless it was
// put together, or else a reason.
func belongs(t *testing.T, d *Decoder, k Kind, p *capture.Packet) {
	t.Helper()
	if k != TCP && k != UDP {
		if d.Why.String() == "" {
			t.Fatalf("%s without a reason", k)
		}
		return
	}
	payload, length := unit(d, k)
	if length < len(payload) {
		t.Fatalf("%s: length %d", describe(d, k), length)
	}
	if at := cap(p.Data) - cap(payload); len(payload) > 0 && (at < 0 || &p.Data[at] != &payload[0]) {
		t.Fatalf("%s: the payload is not of the packet", describe(d, k))
	}
}

// good returns the packets of all tables of link layers and tunnels.
func good() map[string]layout {
	all := make(map[string]layout)
	for _, table := range []map[string]layout{serial(), wireless(), frames(), tunnelled()} {
		maps.Copy(all, table)
	}
	return all
}

// check decodes a packet and holds what comes out against gopacket, against
// itself, also packed and moved, and against the same packet cut shorter.
func check(t *testing.T, o *oracle, used *Decoder, p *capture.Packet) {
	before := bytes.Clone(p.Data)
	d := Decoder{}
	k := d.Decode(p)
	if !bytes.Equal(before, p.Data) {
		t.Fatal("the packet was changed")
	}
	if k >= KindCount {
		t.Fatalf("kind %d", k)
	}
	got := describe(&d, k)
	used.Flush() // fragments of other packets would be joined with this one
	if again := describe(used, used.Decode(p)); again != got {
		t.Fatalf("a new Decoder has %s, a used one %s", got, again)
	}
	switch {
	case (d.Error == nil) != (used.Error == nil), d.Error != nil && *d.Error != *used.Error:
		t.Fatalf("%s: a new Decoder has the error %v, a used one %v", got, d.Error, used.Error)
	case d.Error != nil && (k != Other || d.Error.String() == ""):
		t.Fatalf("%s with error %v", got, d.Error)
	}
	if k == CutShort && !p.Cut() {
		t.Fatalf("%s, but nothing was cut", got)
	}
	belongs(t, &d, k, p)
	carried(t, &d, k, p)

	// Of tunnels it has none.
	if theirs, kind, ok := o.opinion(p.Link, p.Data); ok && d.nested == 1 {
		if diff := cmp.Diff(fields(&theirs, kind), fields(&d, k)); diff != "" {
			t.Fatal("not as gopacket (-want +got)\n" + diff)
		}
	}

	// Cut shorter, it is the same packet, or one that lost a header.
	whole := d
	for n := range min(len(p.Data), 200) {
		q := *p
		q.Data, q.Length = p.Data[:n], max(p.Length, len(p.Data))
		d.Flush()
		c := d.Decode(&q)
		belongs(t, &d, c, &q)
		if c == CutShort || whole.nested > 1 {
			continue // of a header that is cut it is not known that it is a tunnel's
		}
		if c != k {
			t.Fatalf("%s; cut to %d bytes %s", got, n, describe(&d, c))
		}
		if c != TCP && c != UDP {
			if d.Why != whole.Why {
				t.Fatalf("%s; cut to %d bytes %s", got, n, d.Why)
			}
			continue
		}
		payload, length := unit(&whole, k)
		short, sent := unit(&d, c)
		if sent != length || !bytes.HasPrefix(payload, short) {
			t.Fatalf("%s; cut to %d bytes %s", got, n, describe(&d, c))
		}
	}
}

// odd are packets that have got something wrong before, or nearly.
var odd = []layout{
	{link: capture.LinkEthernet, hex: whole},
	{link: capture.LinkEthernet, hex: frame("88a8") + "0001 8100 0002 86dd" + ip6(49, 0) + extension(60, 0) + extension(44, 0) + "1100 0000 00000000" + udp8(13) + hello + pad},
	{link: capture.LinkEthernet, hex: frame("0800") + ip4(0, 6) + tcp32 + hello, cut: 2000},
	{link: capture.LinkEthernet, hex: frame("86dd") + ip6(0, 0) + "0600 c204 00000021" + tcp20 + hello},
	{link: capture.LinkEthernet, hex: frame("86dd") + ip6(49, 51) + "0604 0000 00000000 00000000 00000000 00000000 00000000" + tcp20 + hello},
	{link: capture.LinkEthernet, hex: frame("0800") + ip4(40, 6) + tcp20 + pad},
	{link: capture.LinkEthernet, hex: frame("0806") + pad},
	{link: capture.LinkEthernet, hex: frame("0026") + "424203"},
	{link: capture.LinkNull, hex: "1e000000" + ip6(13, 17) + udp8(13) + hello},
	{link: capture.LinkLoop, hex: "00000002" + ip4(33, 17) + udp8(0) + hello},
	{link: capture.LinkLinuxSLL2, hex: "0800 0000 00000003 0001 00 06 020000000001 0000" + ip4(33, 17) + udp8(99) + hello, cut: 5},
	{link: capture.LinkIPv6, hex: ip6(33, 44) + "0600 0009 00000001" + tcp20 + hello},
	{link: 147, hex: "00"},
}

func FuzzDecode(f *testing.F) {
	add := func(p capture.Packet) { f.Add(uint32(p.Link), p.Data, uint16(p.Length-len(p.Data))) }
	for _, l := range odd {
		f.Add(uint32(l.link), unhex(f, l.hex), uint16(l.cut))
	}
	table := good()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		f.Add(uint32(table[name].link), unhex(f, table[name].hex), uint16(0))
	}
	for _, link := range []capture.LinkType{capture.LinkEthernet, capture.LinkRaw, capture.LinkLinuxSLL} {
		for _, p := range crafted(f, link, 0, []byte("hello")) {
			add(p)
		}
	}
	// The samples are conversations of packets that are much alike: one of each
	// length is enough.
	var lengths []int
	for _, p := range sampled(f) {
		if !slices.Contains(lengths, p.Length) {
			lengths = append(lengths, p.Length)
			add(p)
		}
	}
	o, used := newOracle(), &Decoder{}
	f.Fuzz(func(t *testing.T, link uint32, data []byte, cut uint16) {
		check(t, o, used, &capture.Packet{Number: 1, Data: data, Length: len(data) + int(cut), Link: capture.LinkType(link)})
	})
}

// TestOracle wants gopacket to agree about ordinary packets, and to have an
// opinion of them in the first place: without one the fuzzing finds nothing.
func TestOracle(t *testing.T) {
	o, used := newOracle(), &Decoder{}
	for _, vlan := range []uint16{0, 7} {
		for _, p := range crafted(t, capture.LinkEthernet, vlan, []byte("hello")) {
			check(t, o, used, &p)
			if _, _, ok := o.opinion(p.Link, p.Data); !ok {
				t.Errorf("gopacket has no opinion of packet %d", p.Number)
			}
		}
	}
	opinions := 0
	for _, p := range sampled(t) {
		check(t, o, used, &p)
		if _, _, ok := o.opinion(p.Link, p.Data); ok {
			opinions++
		}
	}
	if opinions < 100 {
		t.Errorf("gopacket has an opinion of %d packets of the samples", opinions)
	}
}

// TestLengthBelowData takes packets whose Length was never filled in: they are
// as long as their data.
func TestLengthBelowData(t *testing.T) {
	var d Decoder
	for _, l := range odd {
		p := capture.Packet{Data: unhex(t, l.hex), Link: l.link}
		p.Length = len(p.Data)
		want := describe(&d, d.Decode(&p))
		p.Length = 0
		if got := describe(&d, d.Decode(&p)); got != want {
			t.Errorf("length 0: %s, want %s", got, want)
		}
	}
}
