package packet

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// The parts of packets, in hex. Functions have what the tests vary.
const (
	macs  = "020000000001 020000000002"
	hello = "68656c6c6f"
	pad   = "eeee eeee eeee" // what Ethernet fills short frames with; it should be zero, and is anything

	// tcp20 has no options, tcp32 has three.
	tcp20 = "03e8 0050 01020304 05060708 5018 0400 0000 0000"
	tcp32 = "03e8 0050 01020304 05060708 8018 0400 0000 0000 01 01 080a 0000000100000002"
)

// ip4 is an IPv4 header without options.
func ip4(total int, proto byte) string { return ip4frag(total, 0x4000, proto) }

func ip4frag(total int, frag uint16, proto byte) string {
	return fmt.Sprintf("4500 %04x 0001 %04x 40 %02x 0000 0a000001 0a000002", total, frag, proto)
}

// ip6 is an IPv6 header: length is of what is behind it.
func ip6(length int, next byte) string {
	return fmt.Sprintf("60000000 %04x %02x 40 fd000000000000000000000000000001 fd000000000000000000000000000002", length, next)
}

// extension is an IPv6 extension header of eight bytes, and eight for each more.
func extension(next, more byte) string {
	return fmt.Sprintf("%02x %02x", next, more) + strings.Repeat("00", 6+8*int(more))
}

func udp8(length int) string { return fmt.Sprintf("03e8 0035 %04x 0000", length) }

// frame is an Ethernet header.
func frame(etherType string) string { return macs + etherType }

// What the parts come to when they are put together well.
const (
	tcp4 = `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hello"`
	tcp6 = `tcp [fd00::1]:1000 > [fd00::2]:80 "hello"`
	udp4 = `udp 10.0.0.1:1000 > 10.0.0.2:53 "hello"`
	udp6 = `udp [fd00::1]:1000 > [fd00::2]:53 "hello"`
)

// unhex reads hex with spaces in it.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// first returns the first n bytes of hex.
func first(n int, hex string) string { return strings.ReplaceAll(hex, " ", "")[:2*n] }

// describe is one line on what became of a packet. Payload that was sent but not
// captured shows as its whole length.
func describe(d *Decoder, k Kind) string {
	line := func(f flow.Flow, payload []byte, length int) string {
		s := fmt.Sprintf("%s %q", f, payload)
		if length != len(payload) {
			s += fmt.Sprintf(" of %d", length)
		}
		return s
	}
	switch k {
	case TCP:
		return line(d.Segment.Flow, d.Segment.Payload, d.Segment.Length)
	case UDP:
		return line(d.Segment.Flow, d.Segment.Payload, d.Segment.Length)
	}
	return k.String() + ": " + d.Why.String()
}

// layout is a packet in hex and what is wanted of it.
type layout struct {
	link capture.LinkType
	hex  string
	cut  int // bytes that were sent behind these, and not captured
	want string
}

// run decodes the packet of each, all with one Decoder: nothing may stay behind
// but fragments.
func run(t *testing.T, tests map[string]layout) {
	t.Helper()
	var d Decoder
	reasons := make(map[string]Reason)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d.Flush()
			data := unhex(t, tt.hex)
			p := capture.Packet{Number: 1, Data: data, Length: len(data) + tt.cut, Link: tt.link}
			k := d.Decode(&p)
			if diff := cmp.Diff(tt.want, describe(&d, k)); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			if k == TCP || k == UDP {
				return
			}
			if same, ok := reasons[d.Why.String()]; ok && same != d.Why {
				t.Errorf("%s is counted apart from others of its name: %#v, %#v", d.Why, d.Why, same)
			}
			reasons[d.Why.String()] = d.Why
		})
	}
}

// TestHeader looks at all that a segment and a datagram say.
func TestHeader(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	data := unhex(t, frame("0800")+ip4(57, 6)+tcp32+hello)
	var d Decoder
	if k := d.Decode(&capture.Packet{Number: 7, Time: at, Data: data, Length: len(data), Link: capture.LinkEthernet}); k != TCP {
		t.Fatal(describe(&d, k))
	}
	client, server := netip.MustParseAddrPort("10.0.0.1:1000"), netip.MustParseAddrPort("10.0.0.2:80")
	if diff := cmp.Diff(Segment{
		Flow: flow.NewFlow(flow.TCP, client, server),
		Seq:  0x01020304, Ack: 0x05060708, Flags: ACK | PSH, Window: 0x400,
		Payload: []byte("hello"), Length: 5, Time: at, Packet: 7,
		wire: unhex(t, tcp32+hello), sums: true,
	}, d.Segment, unexported); diff != "" {
		t.Error("segment (-want +got)\n" + diff)
	}
	if &d.Segment.Payload[0] != &data[len(data)-5] {
		t.Error("the payload of a segment is not the packet's memory")
	}

	data = unhex(t, frame("86dd")+ip6(13, 17)+udp8(13)+hello)
	if k := d.Decode(&capture.Packet{Number: 8, Time: at.Add(1), Data: data, Length: len(data), Link: capture.LinkEthernet}); k != UDP {
		t.Fatal(describe(&d, k))
	}
	client, server = netip.MustParseAddrPort("[fd00::1]:1000"), netip.MustParseAddrPort("[fd00::2]:53")
	if diff := cmp.Diff(Datagram{
		Flow:    flow.NewFlow(flow.UDP, client, server),
		Payload: []byte("hello"), Length: 5, Time: at.Add(1), Packet: 8,
		wire: unhex(t, udp8(13)+hello),
	}, d.Segment, unexported); diff != "" {
		t.Error("datagram (-want +got)\n" + diff)
	}
	if &d.Segment.Payload[0] != &data[len(data)-5] {
		t.Error("the payload of a datagram is not the packet's memory")
	}
}

func TestFlags(t *testing.T) {
	tests := map[string]struct {
		b    string
		want Flags
	}{
		"none":        {"00", 0},
		"fin":         {"01", FIN},
		"syn":         {"02", SYN},
		"rst":         {"04", RST},
		"psh":         {"08", PSH},
		"ack":         {"10", ACK},
		"urg":         {"20", URG},
		"syn_and_ack": {"12", SYN | ACK},
	}
	var d Decoder
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, ip4(40, 6)+"03e8 0050 01020304 05060708 50"+tt.b+"0400 0000 0000")
			k := d.Decode(&capture.Packet{Data: data, Length: len(data), Link: capture.LinkRaw})
			if k != TCP || d.Segment.Flags != tt.want {
				t.Errorf("%s with flags %#x, want %#x", k, d.Segment.Flags, tt.want)
			}
		})
	}
	if f := SYN | ACK; !f.Has(SYN) || !f.Has(SYN|ACK) || f.Has(SYN|FIN) {
		t.Error("Has wants all of the bits, and no others")
	}
}

func TestKindStrings(t *testing.T) {
	want := []string{"tcp", "udp", "other", "fragment", "undecoded", "cut"}
	var got []string
	for k := range KindCount {
		got = append(got, k.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// whole is a packet with every header that there is to cut through.
var whole = frame("8100") + "0007 0800" + "46" + ip4(61, 6)[2:] + "94040000" + tcp32 + hello

// TestCutOrShort looks at the last byte of every header: when it was sent and not
// captured, the capture is at fault, and when it was not sent, the sender is.
func TestCutOrShort(t *testing.T) {
	const ext = "3c00 000000000000"
	fixed := func(s string) func(int) string { return func(int) string { return s } }
	tests := map[string]struct {
		link   capture.LinkType
		before func(n int) string // the headers before it, which may say that n bytes follow
		header string
		want   string
	}{
		"ethernet":       {capture.LinkEthernet, fixed(""), frame("0800"), "short link header"},
		"tag":            {capture.LinkEthernet, fixed(frame("8100")), "0007 0800", "short link header"},
		"sll":            {capture.LinkLinuxSLL, fixed(""), "0000 0001 0006 020000000001 0000 0800", "short link header"},
		"sll2":           {capture.LinkLinuxSLL2, fixed(""), "0800 0000 00000003 0001 00 06 020000000001 0000", "short link header"},
		"null":           {capture.LinkNull, fixed(""), "02000000", "short link header"},
		"ip":             {capture.LinkEthernet, fixed(frame("0800")), "45", "short ip header"},
		"ipv4":           {capture.LinkRaw, fixed("45"), strings.Repeat("00", 19), "short ipv4 header"},
		"ipv4_options":   {capture.LinkRaw, fixed("46" + ip4(24, 6)[2:]), "01010101", "short ipv4 header"},
		"ipv6":           {capture.LinkRaw, fixed("60"), strings.Repeat("00", 39), "short ipv6 header"},
		"hop_by_hop":     {capture.LinkRaw, func(n int) string { return ip6(n, 0) }, ext, "short ipv6 header"},
		"authentication": {capture.LinkRaw, func(n int) string { return ip6(n, 51) }, ext, "short ipv6 header"},
		"fragment":       {capture.LinkRaw, func(n int) string { return ip6(n, 44) }, ext, "short ipv6 header"},
		"tcp":            {capture.LinkRaw, func(n int) string { return ip4(20+n, 6) }, tcp20, "short tcp header"},
		"udp":            {capture.LinkRaw, func(n int) string { return ip6(n, 17) }, udp8(8), "short udp header"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			size := len(unhex(t, tt.header))
			for sent := range size + 1 {
				want := "undecoded: " + tt.want
				if sent == size {
					want = "cut: " + tt.want
				}
				before := unhex(t, tt.before(sent))
				for n := range min(sent+1, size) {
					data := append(bytes.Clone(before), unhex(t, tt.header)[:n]...)
					p := capture.Packet{Data: data, Length: len(before) + sent, Link: tt.link}
					if got := describe(&d, d.Decode(&p)); got != want {
						t.Errorf("%d of %d bytes captured, %d sent: %s, want %s", n, size, sent, got, want)
					}
				}
			}
		})
	}
}

// TestCut cuts one packet everywhere, as a snapshot length does, and then sends
// it that short.
func TestCut(t *testing.T) {
	data := unhex(t, whole)
	const (
		link = 14
		tag  = link + 4
		ip   = tag + 24
		tcp  = ip + 20
		opts = tcp + 12
	)
	if len(data) != opts+5 {
		t.Fatalf("the packet has %d bytes", len(data))
	}
	want := func(n int, short Kind) string {
		switch {
		case n < link, n < tag:
			return short.String() + ": short link header"
		case n == tag:
			return short.String() + ": short ip header"
		case n < ip:
			return short.String() + ": short ipv4 header"
		case n < tcp:
			return short.String() + ": short tcp header"
		case n < opts:
			return `tcp 10.0.0.1:1000 > 10.0.0.2:80 "" of 5`
		case n < len(data):
			return fmt.Sprintf("tcp 10.0.0.1:1000 > 10.0.0.2:80 %q of 5", "hello"[:n-opts])
		}
		return tcp4
	}
	var d Decoder
	for n := range len(data) + 1 {
		p := capture.Packet{Data: data[:n], Length: len(data), Link: capture.LinkEthernet}
		if got, want := describe(&d, d.Decode(&p)), want(n, CutShort); got != want {
			t.Errorf("%d bytes captured: %s, want %s", n, got, want)
		}
		p.Length = n
		if got, want := describe(&d, d.Decode(&p)), want(n, Undecoded); got != want {
			t.Errorf("%d bytes sent: %s, want %s", n, got, want)
		}
	}
}

// sampled returns the packets of all samples, with bytes of their own.
func sampled(t testing.TB) []capture.Packet {
	t.Helper()
	var all []capture.Packet
	for _, s := range samples.List() {
		f, err := samples.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcaps.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for {
			p, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			q := *p
			q.Data = bytes.Clone(p.Data)
			all = append(all, q)
		}
	}
	return all
}

// crafted returns a packet of each direction, transport and family over a link.
func crafted(t testing.TB, link capture.LinkType, vlan uint16, data []byte) []capture.Packet {
	t.Helper()
	b := craft.New(craft.Options{Link: link})
	for _, ends := range [][2]string{{"10.0.0.1:1000", "10.0.0.2:80"}, {"[fd00::1]:1000", "[fd00::2]:80"}} {
		client, server := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		for _, talk := range []*craft.Talk{b.TCP(client, server), b.UDP(client, server)} {
			talk.VLAN = vlan
			talk.Send(craft.Client, data)
			talk.Send(craft.Server, data)
		}
	}
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// TestCrafted decodes what craft makes over every link type that it knows.
func TestCrafted(t *testing.T) {
	want := []string{
		`tcp 10.0.0.1:1000 > 10.0.0.2:80 "hello"`,
		`tcp 10.0.0.2:80 > 10.0.0.1:1000 "hello"`,
		`udp 10.0.0.1:1000 > 10.0.0.2:80 "hello"`,
		`udp 10.0.0.2:80 > 10.0.0.1:1000 "hello"`,
		`tcp [fd00::1]:1000 > [fd00::2]:80 "hello"`,
		`tcp [fd00::2]:80 > [fd00::1]:1000 "hello"`,
		`udp [fd00::1]:1000 > [fd00::2]:80 "hello"`,
		`udp [fd00::2]:80 > [fd00::1]:1000 "hello"`,
	}
	tests := map[string]struct {
		link capture.LinkType
		vlan uint16
	}{
		"ethernet":      {capture.LinkEthernet, 0},
		"ethernet_vlan": {capture.LinkEthernet, 7},
		"null":          {craft.NullLink, 0},
		"loop":          {capture.LinkLoop, 0},
		"raw":           {capture.LinkRaw, 0},
		"sll":           {capture.LinkLinuxSLL, 0},
		"sll2":          {capture.LinkLinuxSLL2, 0},
	}
	d := Decoder{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range crafted(t, tt.link, tt.vlan, []byte("hello")) {
				k := d.Decode(&p)
				got = append(got, describe(&d, k))
				if (k == TCP || k == UDP) && d.Segment.BadChecksum() {
					t.Errorf("packet %d: bad checksum", p.Number)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
		})
	}
}
