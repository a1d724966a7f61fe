package rewrite

import (
	"bytes"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/pcaps/samples"
)

// template writes a packet as it is, or as it becomes.
type template struct {
	t   testing.TB
	new bool
}

// ip is an address, or more.
func (w template) ip(s string) string {
	b := unhex(w.t, s)
	for i := range b {
		if w.new {
			b[i] ^= 0x10
		}
	}
	return hex.EncodeToString(b)
}

// inverted is one whose bits are inverted.
func (w template) inverted(s string) string {
	b := unhex(w.t, w.ip(s))
	invert(b)
	return hex.EncodeToString(b)
}

func (w template) mac(s string) string {
	b := unhex(w.t, s)
	if w.new {
		b[5] ^= 0xff
	}
	return hex.EncodeToString(b)
}

// secret is blanked with bytes.
func (w template) secret(s, with string) string {
	if w.new {
		return strings.Repeat(with, len(unhex(w.t, s)))
	}
	return s
}

func (w template) zero(s string) string { return w.secret(s, "00") }

// name is a name, or more.
func (w template) name(s string) string {
	if w.new {
		return hex.EncodeToString([]byte(others{}.Name(s)))
	}
	return hex.EncodeToString([]byte(s))
}

// right puts the checksum of before and body in at a place in body.
func (w template) right(before, body string, at int) string {
	b := unhex(w.t, body)
	b[at], b[at+1] = 0, 0
	all := append(unhex(w.t, before), b...)
	if len(all)%2 > 0 {
		all = append(all, 0)
	}
	sum := uint32(0)
	for i := 0; i < len(all); i += 2 {
		sum += uint32(all[i])<<8 | uint32(all[i+1])
	}
	for sum>>16 > 0 {
		sum = sum>>16 + sum&0xffff
	}
	b[at], b[at+1] = byte(^sum>>8), byte(^sum)
	return hex.EncodeToString(b)
}

// be16 is a number of two bytes.
func be16(n int) string { return hex.EncodeToString([]byte{byte(n >> 8), byte(n)}) }

func (w template) size(s string) int { return len(unhex(w.t, s)) }

func (w template) frame(kind, body string) string {
	return w.mac("020000000002") + w.mac("020000000001") + kind + body
}

// v4 is an IPv4 packet from 10.0.0.1 to 10.0.0.2.
func (w template) v4(proto, body string) string { return w.v4Options(proto, "", body) }

func (w template) v4Options(proto, options, body string) string {
	n := 5 + w.size(options)/4
	h := hex.EncodeToString([]byte{0x40 | byte(n)}) + "00" + be16(n*4+w.size(body)) + "0001 0000 40" + proto + "0000" + w.ip("0a0000010a000002") + options
	return w.right("", h, 10) + body
}

func (w template) v6(next, body string) string {
	return "60000000" + be16(w.size(body)) + next + "40" + w.ip(six1+six2) + body
}

const (
	six1 = "20010db8000000000000000000000001"
	six2 = "20010db8000000000000000000000002"
	six3 = "20010db8000000000000000000000003"
)

// pseudo6 is a pseudo-header.
func (w template) pseudo6(next, to, body string) string {
	return w.ip(six1) + w.ip(to) + "0000" + be16(w.size(body)) + "000000" + next
}

func (w template) icmp(body string) string {
	return w.frame("0800", w.v4("01", w.right("", body, 2)))
}

func (w template) icmpv6(body string) string {
	return w.frame("86dd", w.v6("3a", w.right(w.pseudo6("3a", six2, body), body, 2)))
}

func (w template) igmp(body string) string {
	return w.frame("0800", w.v4Options("02", "94040000", w.right("", body, 2)))
}

// udp is a datagram between two ports.
func (w template) udp(ports, body string) string {
	u := ports + be16(8+w.size(body)) + "0000" + body
	pseudo := w.ip("0a0000010a000002") + "0011" + be16(8+w.size(body))
	return w.frame("0800", w.v4("11", w.right(pseudo, u, 6)))
}

func (w template) udp6(ports, body string) string {
	u := ports + be16(8+w.size(body)) + "0000" + body
	return w.frame("86dd", w.v6("11", w.right(w.pseudo6("11", six2, u), u, 6)))
}

// tcp4 is an IPv4 packet with a segment of no bytes.
func (w template) tcp4(options string) string {
	n := 5 + w.size(options)/4
	s := "9c40 0050 00000001 00000000" + hex.EncodeToString([]byte{byte(n << 4)}) + "02 ffff 0000 0000" + options
	pseudo := w.ip("0a0000010a000002") + "0006" + be16(w.size(s))
	return w.v4("06", w.right(pseudo, s, 16))
}

// quoted is the beginning of a packet that an ICMP error is about.
func (w template) quoted() string {
	h := "4500 0040 0001 0000 40 11 0000" + w.ip("0a0000020a000001")
	return w.right("", h, 10) + "0035 9c40 002c" + w.zero("abcd")
}

const secret = "7365637265742121"

// controls are packets of what is in no conversation.
var controls = map[string]func(w template) string{
	"arp": func(w template) string {
		return w.frame("0806", "0001 0800 06 04 0001"+w.mac("020000000001")+w.ip("0a000001")+w.mac("020000000009")+w.ip("0a000002")+w.zero(secret))
	},
	"arp_of_other_hardware": func(w template) string {
		return w.frame("0806", "0006 0800 08 04 0001"+w.zero("0200000000010203")+w.ip("0a000001")+w.zero("0200000000010203")+w.ip("0a000002"))
	},
	"icmp_echo": func(w template) string { return w.icmp("0800 0000 0001 0002" + w.zero(secret)) },
	"icmp_unreachable": func(w template) string {
		return w.icmp("0303 0000 00" + w.zero("05") + "0000" + w.quoted() + w.zero(secret))
	},
	"icmp_redirect": func(w template) string { return w.icmp("0501 0000" + w.ip("0a000003") + w.quoted()) },
	"icmp_routers":  func(w template) string { return w.icmp("0900 0000 0102 0708" + w.ip("0a000003") + "00000000") },
	"icmp_time": func(w template) string {
		return w.icmp("0d00 0000 0001 0001 00000001 00000002 00000003" + w.zero(secret))
	},
	"icmp_mask":        func(w template) string { return w.icmp("1200 0000 0001 0001 ffffff00" + w.zero(secret)) },
	"icmp_not_known":   func(w template) string { return w.icmp("2a00 0000" + w.zero(secret)) },
	"icmpv6_echo":      func(w template) string { return w.icmpv6("8000 0000 0001 0002" + w.zero(secret)) },
	"icmpv6_not_known": func(w template) string { return w.icmpv6("c800 0000" + w.zero(secret)) },
	"icmpv6_big": func(w template) string {
		return w.icmpv6("0200 0000 00000500 60000000 0010 11 40" + w.ip(six2+six1) + "0035 9c40 0010" + w.zero("abcd"+secret))
	},
	"icmpv6_multicast": func(w template) string {
		return w.icmpv6("8300 0000 0000 0000" + w.ip("ff020000000000000000000000000123"))
	},
	"icmpv6_query": func(w template) string {
		return w.icmpv6("8200 0000 0000 0000" + w.ip("ff020000000000000000000000000123") + "0202 0001" + w.ip(six3))
	},
	"icmpv6_reports": func(w template) string {
		return w.icmpv6("8f00 0000 0000 0001 04 01 0001" + w.ip("ff020000000000000000000000000123") + w.ip(six3) + w.zero("01020304"))
	},
	"neighbour_solicits": func(w template) string {
		return w.icmpv6("8700 0000 00000000" + w.ip(six2) + "0101" + w.mac("020000000001"))
	},
	"neighbour_says": func(w template) string {
		return w.icmpv6("8800 0000 60000000" + w.ip(six2) + "0201" + w.mac("020000000002"))
	},
	"neighbour_redirects": func(w template) string {
		return w.icmpv6("8900 0000 00000000" + w.ip(six2+six3) + "0406 0000 00000000 60000000 0000 3b 40" + w.ip(six1+six2))
	},
	"router": func(w template) string {
		prefix := "20010db8000000010000000000000000"
		if w.new {
			prefix = "30111da8101010110000000000000000"
		}
		return w.icmpv6("8600 0000 40 00 0708 00000000 00000000" + "0101" + w.mac("020000000001") + "0501 0000 000005dc" +
			"0304 40 c0 00015180 00003840 00000000" + prefix + "1803 40 00 00000100" + prefix + "1903 0000 00000100" + w.ip(six3) +
			"1f02" + w.zero("0000 00000100 03666f6f 036c616e"))
	},
	"igmp": func(w template) string { return w.igmp("1600 0000" + w.ip("ef010203")) },
	"igmp_query": func(w template) string {
		return w.igmp("1164 0000" + w.ip("ef010203") + "020a 0001" + w.ip("0a000003"))
	},
	"igmp_reports": func(w template) string {
		return w.igmp("2200 0000 0000 0002 0400 0000" + w.ip("ef010203") + "0601 0001" + w.ip("ef010204") + w.ip("0a000003") + w.zero("01020304"))
	},
	"options_v4": func(w template) string {
		return w.frame("0800", w.v4Options("fe", w.secret("07070400000000", "01")+"01 94040000", w.zero(secret)))
	},
	"options_tcp": func(w template) string {
		return w.frame("0800", w.tcp4("020405b4 0402 080a 00000001 00000000 01 030307"+w.secret("22060102 0304", "01")+"0101"))
	},
	"options_tcp_md5": func(w template) string {
		return w.frame("0800", w.tcp4("0101 1312"+w.zero("000102030405060708090a0b0c0d0e0f")))
	},
	"options_v6": func(w template) string {
		options := "1e04" // not known
		if w.new {
			options = "0104"
		}
		return w.frame("86dd", w.v6("00", "3b00"+options+w.zero("01020304")))
	},
	"routed_v6": func(w template) string {
		u := "04d3 04d2 000c 0000 00000001"
		return w.frame("86dd", w.v6("2b", "1102 0001 00000000"+w.ip(six3)+w.right(w.pseudo6("11", six3, u), u, 6)))
	},
	"authenticated": func(w template) string {
		return w.frame("0800", w.v4("33", "3b04 0000 00000001 00000002"+w.zero("000102030405060708090a0b")))
	},
	"gre_in_routes": func(w template) string {
		return w.frame("0800", w.v4("2f", "4000 0800 0000 0000 0800 0004"+w.zero("c0000263")+"0000 0000"+w.tcp4("")))
	},
	"gre_checksum": func(w template) string {
		return w.frame("0800", w.v4("2f", w.right("", "8000 0800 0000 0000"+w.tcp4(""), 4)))
	},
	"l2tp_offset": func(w template) string {
		u := "06a5 06a5" + be16(8+6+2+3+2+40) + "0000 0202 0001 0002 0003" + w.zero("616263") + "0021" + w.tcp4("")
		return w.frame("0800", w.v4("11", u))
	},
	"vxlan": func(w template) string {
		u := "c000 12b5" + be16(8+8+14+40) + "0000 08000000 00000700" + w.frame("0800", w.tcp4(""))
		return w.frame("0800", w.v4("11", u))
	},
	"geneve_options": func(w template) string {
		u := "c000 17c1" + be16(8+8+8+40) + "0000 0200 0800 00000700 0102 0301" + w.zero("736563ff") + w.tcp4("")
		return w.frame("0800", w.v4("11", u))
	},
	"teredo_origin": func(w template) string {
		six := "60000000 0000 3b 40" + w.ip("20010000000000000000000000000001"+six2)
		u := "0dd8 c000" + be16(8+8+40) + "0000 0000 1234" + w.inverted("c0000201") + six
		return w.frame("0800", w.v4("11", u))
	},
	"dhcp": func(w template) string {
		vendor := "2b"
		if w.new {
			vendor = "fe"
		}
		return w.udp("0044 0043", "0101 0600 12345678 0000 0000"+w.ip("0a000005 0a000006 0a000007 0a000008")+w.mac("020000000001")+strings.Repeat("00", 10+192)+"63825363"+
			"350101 3d0701"+w.mac("020000000001")+"3204"+w.ip("0a000005")+"0c05"+w.name("myhost")[:10]+"3c03"+w.secret("666f6f", "78")+vendor+"03"+w.zero("010161")+
			"5109 000000"+w.name("my.lan")+"51 0b 040000 02"+w.name("my")+"03"+w.name("lan")+"00"+"7908 18 "+w.ip("0a0000")+w.ip("0a000001")+"5205 0103"+w.zero("616263")+"ff"+w.zero("7365"))
	},
	"dhcp_not_really": func(w template) string { return w.udp("0044 0043", w.zero(secret)) },
	"dhcpv6": func(w template) string {
		class := "000f"
		if w.new {
			class = "ffff"
		}
		return w.udp6("0222 0223", "01 123456 0001 000e 0001 0001 12345678"+w.mac("020000000001")+"0003 0028 00000001 00000000 00000000 0005 0018"+w.ip(six3)+"00000000 00000000"+
			"0027 0008 00 06"+w.name("myhost")+"0017 0010"+w.ip(six3)+class+"0003"+w.zero("000161"))
	},
	"dhcpv6_relayed": func(w template) string {
		return w.udp6("0223 0223", "0c 00"+w.ip(six1+six2)+"0009 0012 01 123456 0002 000a 0003 0001"+w.mac("020000000001"))
	},
	"behind_the_packet": func(w template) string { return w.frame("0800", w.tcp4("")+w.zero(secret)) },
	"not_known":         func(w template) string { return w.frame("9999", w.zero(secret)) },
	"of_other_protocol": func(w template) string { return w.frame("0800", w.v4("32", w.zero(secret))) },
	"sctp": func(w template) string {
		chunk := "0009 0004"
		if w.new {
			chunk = "3f00 0008"
		}
		return w.frame("0800", w.v4("84", w.zero("9c40 1f90 00000001 00000002")+chunk+w.zero("01020304")))
	},
	"lldp": func(w template) string {
		if w.new {
			return w.frame("88cc", "02020700 04020700 06020000 0000")
		}
		return w.frame("88cc", "02020703 04020703 06020078 0000")
	},
	"eapol": func(w template) string {
		kind := "01"
		if w.new {
			kind = "ff"
		}
		return w.frame("888e", "02"+kind+"0000")
	},
	"labels_without_end": func(w template) string { // as many as are looked at, and more
		more := strings.Repeat("04040404", 4)
		if w.new {
			more = "00000100 f0" + strings.Repeat("00", w.size(more)-5)
		}
		return w.frame("8847", strings.Repeat("04040404", 8)+more)
	},
	"tagged": func(w template) string { return w.frame("8100", "0007 0800"+w.tcp4("")) },
}

// links are packets behind other headers than Ethernet's.
var links = map[string]struct {
	link capture.LinkType
	make func(w template) string
}{
	"sll": {capture.LinkLinuxSLL, func(w template) string {
		return "0000 0001 0006" + w.mac("020000000001") + w.zero("6869") + "0800" + w.tcp4("")
	}},
	"sll2": {capture.LinkLinuxSLL2, func(w template) string {
		return "0800 0000 00000003 0001 00 06" + w.mac("020000000001") + w.zero("6869") + w.tcp4("")
	}},
	"sll_without_address": {capture.LinkLinuxSLL, func(w template) string {
		return "0000 0304 0000" + w.zero("0102030405060708") + "0800" + w.tcp4("")
	}},
	"loopback": {capture.LinkNull, func(w template) string { return "02000000" + w.tcp4("") }},
	"wifi": {capture.LinkWiFi, func(w template) string {
		return "0801 0000" + w.mac("020000000001") + w.mac("020000000002") + w.mac("020000000003") + "1000 aaaa03 000000 0800" + w.tcp4("")
	}},
	"wifi_of_four": {capture.LinkWiFi, func(w template) string {
		return "0803 0000" + w.mac("020000000001") + w.mac("020000000002") + w.mac("020000000003") + "1000" + w.mac("020000000004") + "aaaa03 000000 0800" + w.tcp4("")
	}},
	"wifi_encrypted": {capture.LinkWiFi, func(w template) string {
		return "0841 0000" + w.mac("020000000001") + w.mac("020000000002") + w.mac("020000000003") + "1000" + w.zero(secret)
	}},
	"wifi_beacon": {capture.LinkWiFi, func(w template) string {
		return "8000 0000" + w.mac("ffffffffffff") + w.mac("020000000002") + w.mac("020000000003") + "1000" + w.zero(secret)
	}},
	"wifi_acknowledges": {capture.LinkWiFi, func(w template) string { return "d400 0000" + w.mac("020000000001") + w.zero("01020304") }},
	"wifi_rts":          {capture.LinkWiFi, func(w template) string { return "b400 0000" + w.mac("020000000001") + w.mac("020000000002") }},
	"prism": {capture.LinkPrism, func(w template) string {
		return "44000000 90000000" + w.zero("776c616e30 6f6e656c6f6e676572 010203"+strings.Repeat("05", 119)) +
			"d400 0000" + w.mac("020000000001")
	}},
	"ppi": {capture.LinkPPI, func(w template) string {
		return "0000 1000 01000000" + w.zero(secret) + w.frame("0800", w.tcp4(""))
	}},
	"pktap": {capture.LinkPKTAP, func(w template) string {
		return "14000000 01000000 01000000" + w.zero(secret) + w.frame("0800", w.tcp4(""))
	}},
	"nflog": {capture.LinkNFLOG, func(w template) string {
		return "02 00 0000 0800 0100" + w.zero("08000300") + "0700 0a00" + w.zero("666f6f00") + "2c00 0900" + w.tcp4("")
	}},
	"nflog_big_endian": {capture.LinkNFLOG, func(w template) string {
		return "02 00 0000 0006 000a" + w.zero("666f") + "0000 002c 0009" + w.tcp4("")
	}},
	"pppoe":      {capture.LinkPPPEther, func(w template) string { return "1100 0001 002a 0021" + w.tcp4("") }},
	"mpls":       {capture.LinkMPLS, func(w template) string { return "00010140" + w.tcp4("") }},
	"none":       {147, func(w template) string { return w.zero(secret) }},
	"none_short": {capture.LinkEthernet, func(w template) string { return w.zero("0102") }},
	"none_empty": {capture.LinkEthernet, func(template) string { return "" }},
}

func TestLinks(t *testing.T) {
	for name, l := range links {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, l.make(template{t, false}))
			out, _ := rewritten(t, []capture.Packet{{Number: 1, Link: l.link, Data: data, Length: len(data)}}, others{}, nil)
			if want := unhex(t, l.make(template{t, true})); !bytes.Equal(out[0].Data, want) {
				t.Errorf("got  %x\nwant %x", out[0].Data, want)
			}
		})
	}
}

func TestControls(t *testing.T) {
	for name, c := range controls {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, c(template{t, false}))
			out, _ := rewritten(t, []capture.Packet{{Number: 1, Link: capture.LinkEthernet, Data: data, Length: len(data)}}, others{}, nil)
			if want := unhex(t, c(template{t, true})); !bytes.Equal(out[0].Data, want) {
				t.Errorf("got  %x\nwant %x", out[0].Data, want)
			}
		})
	}
}

// TestBlankNames leaves a datagram of NetBIOS's names one that has none.
func TestBlankNames(t *testing.T) {
	const query = "f9390110 0001 0000 0000 0000 20 4648464145424545434143414341434143414341434143414341434143414141 00 0020 0001"
	data := unhex(t, template{t, false}.udp("0089 0089", query))
	blanked := func(*flow.Conversation, flow.Direction) []Edit { return []Edit{{Length: 50, Blank: true}} }
	out, _ := rewritten(t, []capture.Packet{{Number: 1, Link: capture.LinkEthernet, Data: data, Length: len(data)}}, others{}, blanked)
	want := unhex(t, template{t, true}.udp("0089 0089", strings.Repeat("00", 12)+strings.Repeat("78", 38)))
	if !bytes.Equal(out[0].Data, want) {
		t.Errorf("got  %x\nwant %x", out[0].Data, want)
	}
}

// FuzzPackets writes any two packets anew. Both must be there, of the same kind, and
// right.
func FuzzPackets(f *testing.F) {
	for _, s := range samples.List() {
		for i, p := range sampled(f, s.Name) {
			if i < 4 {
				f.Add(uint32(p.Link), p.Data, uint16(0), p.Data)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(controls)) {
		data := unhex(f, controls[name](template{f, false}))
		f.Add(uint32(capture.LinkEthernet), data, uint16(3), data)
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		data := unhex(f, links[name].make(template{f, false}))
		f.Add(uint32(links[name].link), data, uint16(3), data)
	}
	f.Fuzz(func(t *testing.T, link uint32, first []byte, cut uint16, second []byte) {
		if len(first)+len(second) > 1<<16 {
			return
		}
		var in []capture.Packet
		for i, data := range [][]byte{first, second} {
			in = append(in, capture.Packet{Number: int64(i + 1), Time: time.Unix(1e9, 0).UTC(), Link: capture.LinkType(link), Data: data, Length: len(data) + i*int(cut)})
		}
		out, sum := rewritten(t, in, others{}, nil)
		if len(sum.Dropped) > 0 {
			t.Errorf("dropped: %v", sum.Dropped)
		}
		was, is := packet.Decoder{}, packet.Decoder{Trace: new(packet.Trace)}
		for i := range in {
			before, after := was.Decode(&in[i]), is.Decode(&out[i])
			if (before == packet.TCP || before == packet.UDP) && before != after {
				t.Errorf("packet %d: %v became %v %v", i+1, before, after, is.Why)
			}
			if before == after && is.Segment.BadChecksum() && !routed(is.Trace) {
				t.Errorf("packet %d: its checksum is wrong", i+1)
			}
			if len(out[i].Data) != len(in[i].Data) || out[i].Length != in[i].Length {
				t.Errorf("packet %d: %d of %d bytes became %d of %d", i+1, len(in[i].Data), in[i].Length, len(out[i].Data), out[i].Length)
			}
		}
	})
}

// routed reports whether a packet has a routing header, which decode/packet leaves out of
// the checksum.
func routed(t *packet.Trace) bool {
	return slices.ContainsFunc(t.Layers, func(l packet.Layer) bool { return l.Kind == packet.LayerExtension && l.Type == extRouting })
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
