package craft_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode/packet"
	"netlab/pcaps/craft"
)

var (
	client4 = netip.MustParseAddrPort("10.1.0.1:40001")
	server4 = netip.MustParseAddrPort("10.1.0.2:80")
	client6 = netip.MustParseAddrPort("[fd00::1]:40001")
	server6 = netip.MustParseAddrPort("[fd00::2]:80")
)

// packets returns what a Builder gathered.
func packets(t testing.TB, b *craft.Builder) []capture.Packet {
	t.Helper()
	list, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// transcript writes packets down, a line each, and wants each to be whole and
// right down to its checksum. What is sent to a port below 1024 is the client's.
func transcript(t testing.TB, list []capture.Packet) []string {
	t.Helper()
	var lines []string
	arrow := func(port uint16) string {
		if port < 1024 {
			return ">"
		}
		return "<"
	}
	d := packet.Decoder{}
	for i := range list {
		switch kind := d.Decode(&list[i]); kind {
		case packet.TCP:
			s := d.Segment
			line := arrow(s.Flow.DstPort())
			for _, f := range []struct {
				flag packet.Flags
				name string
			}{{packet.SYN, "SYN"}, {packet.FIN, "FIN"}, {packet.RST, "RST"}, {packet.PSH, "PSH"}} {
				if s.Flags.Has(f.flag) {
					line += " " + f.name
				}
			}
			line += fmt.Sprint(" seq ", s.Seq)
			switch {
			case s.Flags.Has(packet.ACK):
				line += fmt.Sprint(" ack ", s.Ack)
			case s.Ack != 0:
				t.Errorf("packet %d acknowledges %d without the flag", i+1, s.Ack)
			}
			if len(s.Payload) > 0 {
				line += fmt.Sprintf(" %q", s.Payload)
			}
			if s.BadChecksum() {
				line += " bad checksum"
			}
			lines = append(lines, line)
		case packet.UDP:
			g := d.Segment
			line := fmt.Sprintf("%s %q", arrow(g.Flow.DstPort()), g.Payload)
			if g.BadChecksum() {
				line += " bad checksum"
			}
			lines = append(lines, line)
		default:
			lines = append(lines, fmt.Sprintf("%v %v", kind, d.Why))
		}
	}
	return lines
}

func wantLines(t testing.TB, want string, got []string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTalk(t *testing.T) {
	for _, test := range []struct {
		trait string
		do    func(*craft.Talk)
		want  string
	}{
		{
			trait: "open",
			do:    func(a *craft.Talk) { a.Open() },
			want: `
> SYN seq 1000
< SYN seq 5000 ack 1001
> seq 1001 ack 5001`,
		},
		{
			trait: "send",
			do: func(a *craft.Talk) {
				a.Open()
				a.Send(craft.Client, []byte("question"))
				a.Send(craft.Server, []byte("an"))
				a.Send(craft.Server, []byte("swer"))
				a.Ack(craft.Client)
			},
			want: `
> SYN seq 1000
< SYN seq 5000 ack 1001
> seq 1001 ack 5001
> PSH seq 1001 ack 5001 "question"
< PSH seq 5001 ack 1009 "an"
< PSH seq 5003 ack 1009 "swer"
> seq 1009 ack 5007`,
		},
		{
			trait: "close_by_client",
			do: func(a *craft.Talk) {
				a.Send(craft.Client, []byte("bye"))
				a.Close(craft.Client)
			},
			want: `
> PSH seq 1001 ack 5001 "bye"
> FIN seq 1004 ack 5001
< FIN seq 5001 ack 1005
> seq 1005 ack 5002`,
		},
		{
			trait: "close_by_server",
			do: func(a *craft.Talk) {
				a.Send(craft.Client, []byte("bye"))
				a.Close(craft.Server)
			},
			want: `
> PSH seq 1001 ack 5001 "bye"
< FIN seq 5001 ack 1004
> FIN seq 1004 ack 5002
< seq 5002 ack 1005`,
		},
		{
			// The side that is done goes on reading: its acknowledgements count the FIN.
			trait: "half_closed",
			do: func(a *craft.Talk) {
				a.Fin(craft.Client)
				a.Ack(craft.Server)
				a.Send(craft.Server, []byte("late"))
				a.Ack(craft.Client)
				a.Fin(craft.Server)
				a.Ack(craft.Client)
			},
			want: `
> FIN seq 1001 ack 5001
< seq 5001 ack 1002
< PSH seq 5001 ack 1002 "late"
> seq 1002 ack 5005
< FIN seq 5005 ack 1002
> seq 1002 ack 5006`,
		},
		{
			trait: "fin_sent_again",
			do: func(a *craft.Talk) {
				a.Fin(craft.Client)
				a.Fin(craft.Client)
			},
			want: `
> FIN seq 1001 ack 5001
> FIN seq 1001 ack 5001`,
		},
		{
			// No TCP does this; the bytes stand where the offset says.
			trait: "data_behind_fin",
			do: func(a *craft.Talk) {
				a.Fin(craft.Client)
				a.Send(craft.Client, []byte("x"))
			},
			want: `
> FIN seq 1001 ack 5001
> PSH seq 1001 ack 5001 "x"`,
		},
		{
			trait: "reset",
			do: func(a *craft.Talk) {
				a.Send(craft.Client, []byte("x"))
				a.Reset(craft.Server)
			},
			want: `
> PSH seq 1001 ack 5001 "x"
< RST seq 5001 ack 1002`,
		},
		{
			trait: "reset_after_fin",
			do: func(a *craft.Talk) {
				a.Fin(craft.Client)
				a.Reset(craft.Client)
			},
			want: `
> FIN seq 1001 ack 5001
> RST seq 1002 ack 5001`,
		},
		{
			trait: "numbers_wrap",
			do: func(a *craft.Talk) {
				a.ISN(0xfffffffe, 0xffffffff)
				a.Open()
				a.Send(craft.Client, []byte("abc"))
				a.Send(craft.Server, []byte("de"))
				a.Close(craft.Client)
			},
			want: `
> SYN seq 4294967294
< SYN seq 4294967295 ack 4294967295
> seq 4294967295 ack 0
> PSH seq 4294967295 ack 0 "abc"
< PSH seq 0 ack 2 "de"
> FIN seq 2 ack 2
< FIN seq 2 ack 3
> seq 3 ack 3`,
		},
		{
			trait: "mss_cuts",
			do: func(a *craft.Talk) {
				a.MSS = 4
				a.Send(craft.Client, []byte("0123456789"))
				a.Send(craft.Server, []byte("abcd"))
				a.Send(craft.Client, nil)
			},
			want: `
> seq 1001 ack 5001 "0123"
> seq 1005 ack 5001 "4567"
> PSH seq 1009 ack 5001 "89"
< PSH seq 5001 ack 1011 "abcd"
> PSH seq 1011 ack 5005`,
		},
		{
			trait: "dropped_bytes_count",
			do: func(a *craft.Talk) {
				a.Send(craft.Client, []byte("abc"))
				a.Drop(craft.Client, []byte("lost"))
				a.Send(craft.Server, []byte("got seven"))
				a.Send(craft.Client, []byte("d"))
			},
			want: `
> PSH seq 1001 ack 5001 "abc"
< PSH seq 5001 ack 1008 "got seven"
> PSH seq 1008 ack 5010 "d"`,
		},
		{
			trait: "segments_anywhere",
			do: func(a *craft.Talk) {
				a.Segment(craft.Client, 3, craft.Flags{ACK: true}, []byte("def"))
				a.Segment(craft.Client, 0, craft.Flags{ACK: true}, []byte("abc"))
				a.Segment(craft.Client, 0, craft.Flags{ACK: true, PSH: true}, []byte("ABC"))
				a.Segment(craft.Client, -1, craft.Flags{ACK: true}, []byte("k"))
				a.Send(craft.Client, []byte("g")) // behind the furthest
			},
			want: `
> seq 1004 ack 5001 "def"
> seq 1001 ack 5001 "abc"
> PSH seq 1001 ack 5001 "ABC"
> seq 1000 ack 5001 "k"
> PSH seq 1007 ack 5001 "g"`,
		},
		{
			trait: "data_on_syn",
			do: func(a *craft.Talk) {
				a.Segment(craft.Client, 0, craft.Flags{SYN: true}, []byte("early"))
				a.Segment(craft.Server, 0, craft.Flags{SYN: true, ACK: true}, nil)
				a.Send(craft.Client, []byte("more"))
			},
			want: `
> SYN seq 1000 "early"
< SYN seq 5000 ack 1006
> PSH seq 1006 ack 5001 "more"`,
		},
	} {
		for name, ends := range map[string][2]netip.AddrPort{"ipv4": {client4, server4}, "ipv6": {client6, server6}} {
			t.Run(test.trait+"/"+name, func(t *testing.T) {
				b := craft.New(craft.Options{})
				test.do(b.TCP(ends[0], ends[1]))
				wantLines(t, test.want, transcript(t, packets(t, b)))
			})
		}
	}
}

func TestUDP(t *testing.T) {
	b := craft.New(craft.Options{})
	a := b.UDP(client4, server4)
	a.MSS = 2 // of TCP only: a datagram is not cut
	a.Send(craft.Client, []byte("ping"))
	a.Send(craft.Server, nil)
	wantLines(t, `
> "ping"
< ""`, transcript(t, packets(t, b)))
}

// TestLinks wants each link type to begin as its registry entry says, and the
// packet behind it to be the same.
func TestLinks(t *testing.T) {
	for _, test := range []struct {
		trait string
		ask   capture.LinkType
		link  capture.LinkType
		vlan  uint16
		head4 string // hex of what precedes IP
		head6 string
	}{
		{"zero_value", 0, capture.LinkEthernet, 0, "02000a010002 02000a010001 0800", "020000000002 020000000001 86dd"},
		{"ethernet", capture.LinkEthernet, capture.LinkEthernet, 0, "02000a010002 02000a010001 0800", "020000000002 020000000001 86dd"},
		{"vlan", capture.LinkEthernet, capture.LinkEthernet, 0xabc,
			"02000a010002 02000a010001 8100 0abc 0800", "020000000002 020000000001 8100 0abc 86dd"},
		{"null", craft.NullLink, capture.LinkNull, 0, "02000000", "1e000000"},
		{"loop", capture.LinkLoop, capture.LinkLoop, 0, "00000002", "0000001e"},
		{"sll", capture.LinkLinuxSLL, capture.LinkLinuxSLL, 0,
			"0004 0001 0006 02000a010001 0000 0800", "0004 0001 0006 020000000001 0000 86dd"},
		{"sll2", capture.LinkLinuxSLL2, capture.LinkLinuxSLL2, 0,
			"0800 0000 00000001 0001 04 06 02000a010001 0000", "86dd 0000 00000001 0001 04 06 020000000001 0000"},
		{"raw", capture.LinkRaw, capture.LinkRaw, 0, "", ""},
		{"ipv4", capture.LinkIPv4, capture.LinkIPv4, 0, "", ""},
		{"ipv6", capture.LinkIPv6, capture.LinkIPv6, 0, "", ""},
	} {
		for _, ends := range [][2]netip.AddrPort{{client4, server4}, {client6, server6}} {
			is4 := ends[0].Addr().Is4()
			head, version := test.head4, byte(4)
			if !is4 {
				head, version = test.head6, 6
			}
			if test.link == capture.LinkIPv4 && !is4 || test.link == capture.LinkIPv6 && is4 {
				continue
			}
			t.Run(fmt.Sprintf("%s/ipv%d", test.trait, version), func(t *testing.T) {
				b := craft.New(craft.Options{Link: test.ask})
				if b.Link() != test.link {
					t.Errorf("the link type is %v, want %v", b.Link(), test.link)
				}
				a := b.TCP(ends[0], ends[1])
				a.VLAN = test.vlan
				a.Send(craft.Client, []byte("a payload of more than the 60 bytes that Ethernet pads up to"))
				list := packets(t, b)
				p := list[0]
				if p.Link != test.link || p.Length != len(p.Data) {
					t.Errorf("link type %v, %d of %d bytes", p.Link, len(p.Data), p.Length)
				}
				want, err := hex.DecodeString(strings.ReplaceAll(head, " ", ""))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.HasPrefix(p.Data, want) {
					t.Fatalf("begins with % x, want % x", p.Data[:min(len(p.Data), 24)], want)
				}
				if got := p.Data[len(want)] >> 4; got != version {
					t.Errorf("behind it is IP version %d", got)
				}
				wantLines(t, `> PSH seq 1001 ack 5001 "a payload of more than the 60 bytes that Ethernet pads up to"`, transcript(t, list))
			})
		}
	}
}

// ones is the sum of RFC 1071 over a header that holds its checksum; 0xffff is
// right.
func ones(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// TestChecksums wants the sums of crafted packets right, and a packet that was
// changed to show it: a check that finds nothing proves nothing.
func TestChecksums(t *testing.T) {
	for name, ends := range map[string][2]netip.AddrPort{
		"ipv4": {client4, server4},
		"ipv6": {client6, server6},
		"ipv4_all_ones": {
			netip.MustParseAddrPort("255.255.255.255:65535"), netip.MustParseAddrPort("255.255.255.254:65535"),
		},
		"ipv4_mapped": {
			netip.MustParseAddrPort("[::ffff:10.0.0.1]:1"), netip.MustParseAddrPort("[::ffff:10.0.0.2]:2"),
		},
	} {
		for _, transport := range []string{"tcp", "udp"} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				b := craft.New(craft.Options{Link: capture.LinkRaw})
				a := b.TCP(ends[0], ends[1])
				if transport == "udp" {
					a = b.UDP(ends[0], ends[1])
				}
				for n := range 70 { // odd and even, each way through a sum taken in words
					a.Send(craft.Client, bytes.Repeat([]byte{0xff, byte(n)}, n)[:n])
				}
				for i, p := range packets(t, b) {
					at := 40
					if ends[0].Addr().Is4() {
						at = 20
						if got := ones(p.Data[:20]); got != 0xffff {
							t.Errorf("packet %d: the sum of the IPv4 header is %#x", i+1, got)
						}
					}
					// sum is where the checksum stands.
					if transport == "udp" {
						at += 6
					} else {
						at += 16
					}
					if transport == "udp" && binary.BigEndian.Uint16(p.Data[at:]) == 0 {
						t.Errorf("packet %d: there is no checksum", i+1)
					}
					if bad(t, p, transport) {
						t.Errorf("packet %d: the %s checksum is wrong", i+1, transport)
					}
					p.Data = bytes.Clone(p.Data)
					p.Data[at] ^= 0x10
					if !bad(t, p, transport) {
						t.Errorf("packet %d: a wrong %s checksum does not show", i+1, transport)
					}
				}
			})
		}
	}
}

// bad reports whether a packet's checksum is wrong.
func bad(t testing.TB, p capture.Packet, transport string) bool {
	t.Helper()
	d := packet.Decoder{}
	kind := d.Decode(&p)
	if kind.String() != transport {
		t.Fatalf("packet %d is %v, %v", p.Number, kind, d.Why)
	}
	if kind == packet.TCP {
		return d.Segment.BadChecksum()
	}
	return d.Segment.BadChecksum()
}

// TestChecksumZero wants a sum that comes out as zero to be sent as all ones:
// zero says that there is none, which IPv6 does not even allow (RFC 8200,
// section 8.1).
func TestChecksumZero(t *testing.T) {
	for name, ends := range map[string][2]netip.AddrPort{"ipv4": {client4, server4}, "ipv6": {client6, server6}} {
		t.Run(name, func(t *testing.T) {
			sum := func(payload ...byte) uint16 {
				b := craft.New(craft.Options{Link: capture.LinkRaw})
				b.UDP(ends[0], ends[1]).Send(craft.Client, payload)
				p := packets(t, b)[0]
				if bad(t, p, "udp") {
					t.Errorf("the checksum of % x is wrong", payload)
				}
				return binary.BigEndian.Uint16(p.Data[len(p.Data)-4:])
			}
			// The checksum of two zeros, sent as data, adds up to a sum of 0xffff,
			// whose complement is zero.
			first := sum(0, 0)
			if got := sum(byte(first>>8), byte(first)); got != 0xffff {
				t.Errorf("the checksum is %#04x, want 0xffff", got)
			}
		})
	}
}

func TestSnapLen(t *testing.T) {
	b := craft.New(craft.Options{SnapLen: 60, Link: capture.LinkRaw})
	a := b.TCP(client4, server4)
	for _, n := range []int{0, 19, 20, 21, 500} { // behind 40 bytes of headers
		a.Send(craft.Client, bytes.Repeat([]byte("x"), n))
	}
	b.Packet(make([]byte, 61))
	var got []string
	for _, p := range packets(t, b) {
		got = append(got, fmt.Sprintf("%d of %d, cut: %v", len(p.Data), p.Length, p.Cut()))
	}
	wantLines(t, `
40 of 40, cut: false
59 of 59, cut: false
60 of 60, cut: false
60 of 61, cut: true
60 of 540, cut: true
60 of 61, cut: true`, got)
}

// TestSizes wants packets to be as large as IP allows, and what it does not
// allow to be an error and no packet with a length that is a lie.
func TestSizes(t *testing.T) {
	for _, test := range []struct {
		trait   string
		udp     bool
		ends    [2]netip.AddrPort
		payload int
		err     string
	}{
		{"ipv4_tcp_largest", false, [2]netip.AddrPort{client4, server4}, 65495, ""},
		{"ipv4_tcp_too_large", false, [2]netip.AddrPort{client4, server4}, 65496, "craft: packet 1: 65536 bytes are more than an IPv4 packet holds"},
		{"ipv4_udp_largest", true, [2]netip.AddrPort{client4, server4}, 65507, ""},
		{"ipv4_udp_too_large", true, [2]netip.AddrPort{client4, server4}, 65508, "craft: packet 1: 65536 bytes are more than an IPv4 packet holds"},
		{"ipv6_tcp_jumbogram", false, [2]netip.AddrPort{client6, server6}, 100_000, ""},
		{"ipv6_udp_jumbogram", true, [2]netip.AddrPort{client6, server6}, 100_000, ""},
	} {
		t.Run(test.trait, func(t *testing.T) {
			b := craft.New(craft.Options{})
			a := b.TCP(test.ends[0], test.ends[1])
			transport := "tcp"
			if test.udp {
				a, transport = b.UDP(test.ends[0], test.ends[1]), "udp"
			}
			a.Send(craft.Client, bytes.Repeat([]byte("x"), test.payload))
			list, err := b.Packets()
			if test.err != "" {
				if err == nil || err.Error() != test.err || len(list) > 0 {
					t.Errorf("%d packets and the error %v, want %q", len(list), err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			d := packet.Decoder{}
			d.Decode(&list[0])
			got := len(d.Segment.Payload)
			if got != test.payload || bad(t, list[0], transport) {
				t.Errorf("%d bytes of payload, want %d; bad checksum: %v", got, test.payload, bad(t, list[0], transport))
			}
		})
	}
}

// TestTimes wants packets to be when they are told to be, in UTC.
func TestTimes(t *testing.T) {
	cet := time.FixedZone("CET", 3600)
	for _, test := range []struct {
		trait string
		opts  craft.Options
		want  string
	}{
		{"zero_value", craft.Options{}, `
2026-01-02T03:04:05Z
2026-01-02T03:04:05.0001Z
2026-01-02T03:04:06.0002Z`},
		{"as_asked", craft.Options{Start: time.Date(2020, 2, 3, 4, 5, 6, 7, cet), Step: time.Nanosecond}, `
2020-02-03T03:05:06.000000007Z
2020-02-03T03:05:06.000000008Z
2020-02-03T03:05:07.000000009Z`},
	} {
		t.Run(test.trait, func(t *testing.T) {
			b := craft.New(test.opts)
			b.Packet([]byte{1})
			b.Packet([]byte{2})
			b.Wait(time.Second)
			b.Packet([]byte{3})
			var got []string
			for i, p := range packets(t, b) {
				if p.Number != int64(i)+1 || !bytes.Equal(p.Data, []byte{byte(i + 1)}) {
					t.Errorf("packet %d has the number %d and the data % x", i+1, p.Number, p.Data)
				}
				got = append(got, p.Time.Format(time.RFC3339Nano))
			}
			wantLines(t, test.want, got)
		})
	}
}

type discard struct{}

func (discard) WritePacket(*capture.Packet) error { return nil }

func TestSource(t *testing.T) {
	b := craft.New(craft.Options{})
	b.TCP(client4, server4).Open()
	src := b.Source()
	if n, err := capture.Copy(discard{}, src); n != 3 || err != nil {
		t.Errorf("%d packets, %v", n, err)
	}
	if _, err := src.Next(); err != io.EOF {
		t.Errorf("asked again: %v, want %v", err, io.EOF)
	}
}

// TestSourceFails wants what went wrong told to whoever copies the packets: an
// error that is io.EOF as well would pass for the end.
func TestSourceFails(t *testing.T) {
	b := craft.New(craft.Options{})
	b.TCP(client4, server4).Open()
	b.TCP(client4, server6).Open()
	b.TCP(client4, server4).Open() // too late: what is wrong ends it
	list, want := b.Packets()
	if want == nil || !strings.HasPrefix(want.Error(), "craft: packet 4: ") {
		t.Fatalf("addresses of two IP versions: %v", want)
	}
	if len(list) != 3 {
		t.Errorf("%d packets, want the 3 before it", len(list))
	}
	src := b.Source()
	for range 2 { // and again: errors stick
		_, err := capture.Copy(discard{}, src)
		if err == nil || err.Error() != want.Error() || errors.Is(err, io.EOF) {
			t.Errorf("got the error %v, want %v", err, want)
		}
	}
}

func TestUnknownLink(t *testing.T) {
	b := craft.New(craft.Options{Link: 147})
	b.TCP(client4, server4).Open()
	list, err := b.Packets()
	if len(list) != 0 || err == nil || err.Error() != "craft: link type linktype 147 is not made" {
		t.Errorf("%d packets, %v", len(list), err)
	}
}
