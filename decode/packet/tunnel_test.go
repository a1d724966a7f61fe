package packet

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"testing"

	"netlab/capture"
)

// size is how many bytes hex has.
func size(hex string) int { return len(strings.ReplaceAll(hex, " ", "")) / 2 }

// outer4 and outer6 are IP headers between other addresses than ip4's and ip6's,
// with what they carry.
func outer4(proto byte, body string) string {
	return fmt.Sprintf("4500 %04x 0001 0000 40 %02x 0000 c0000201 c0000202", 20+size(body), proto) + body
}

func outer6(proto byte, body string) string {
	return fmt.Sprintf("60000000 %04x %02x 40 20010db8000000000000000000000001 20010db8000000000000000000000002", size(body), proto) + body
}

// ports is a UDP header with what it carries.
func ports(src, dst int, body string) string {
	return fmt.Sprintf("%04x %04x %04x 0000", src, dst, 8+size(body)) + body
}

// inside fills in a packet of IPv4 or IPv6: {ip}, alone or behind {type}, {ppp}
// (or in one byte, {p}), {proto}, {gpe}, or {frame} for an Ethernet header.
func inside(layout string, v6 bool) string {
	pairs := []string{"{ip}", ip4(45, 6) + tcp20 + hello, "{type}", "0800", "{ppp}", "0021", "{p}", "21", "{proto}", "04", "{gpe}", "01", "{frame}", frame("0800")}
	if v6 {
		pairs = []string{"{ip}", ip6(25, 6) + tcp20 + hello, "{type}", "86dd", "{ppp}", "0057", "{p}", "57", "{proto}", "29", "{gpe}", "02", "{frame}", frame("86dd")}
	}
	return strings.NewReplacer(pairs...).Replace(layout)
}

// through is a tunnel in IP, or in UDP where it has a port, and what there is
// before the packet inside.
type through struct {
	proto byte
	port  int
	hex   string
}

var throughs = map[string]through{
	"gre":                       {47, 0, "0000 {type} {ip}"},
	"gre_checksum":              {47, 0, "8000 {type} abcd 0000 {ip}"},
	"gre_key":                   {47, 0, "2000 {type} 00000007 {ip}"},
	"gre_sequence":              {47, 0, "1000 {type} 00000001 {ip}"},
	"gre_checksum_key_sequence": {47, 0, "b000 {type} abcd 0000 00000007 00000001 {ip}"},
	"gre_routing":               {47, 0, "4000 {type} 0000 0000 0800 0004 c0000263 0000 0000 {ip}"},
	"gre_routing_of_two":        {47, 0, "4000 {type} 0000 0000 0800 0004 c0000263 0800 0408 c0000263 c0000264 0000 0000 {ip}"},
	"gre_routing_of_no_family":  {47, 0, "4000 {type} 0000 0000 0000 0004 c0000263 0000 0000 {ip}"},
	"gre_routing_of_none":       {47, 0, "4000 {type} 0000 0000 0000 0000 {ip}"},
	"gre_everything":            {47, 0, "f000 {type} abcd 0000 00000007 00000001 0800 0004 c0000263 0000 0000 {ip}"},
	"gre_ethernet":              {47, 0, "0000 6558 {frame}{ip}"},
	"gre_ethernet_vlan":         {47, 0, "0000 6558" + frame("8100") + "0007 {type} {ip}"},
	"gre_mpls":                  {47, 0, "0000 8847 00064140 {ip}"},
	"nvgre":                     {47, 0, "2000 6558 00123407 {frame}{ip}"},
	"pptp":                      {47, 0, "3001 880b 0031 0001 00000001 ff03 {ppp} {ip}"},
	"pptp_ack":                  {47, 0, "3081 880b 002f 0001 00000001 00000002 {ppp} {ip}"},
	"pptp_compressed":           {47, 0, "3001 880b 002e 0001 00000001 {p} {ip}"},
	"erspan_1":                  {47, 0, "0000 88be {frame}{ip}"},
	"erspan_2":                  {47, 0, "1000 88be 00000001 1007 0007 00000001 {frame}{ip}"},
	"erspan_3":                  {47, 0, "1000 22eb 00000001 2007 0007 00000001 0000 8000 {frame}{ip}"},
	"erspan_3_subheader":        {47, 0, "1000 22eb 00000001 2007 0007 00000001 0000 8001 1122334455667788 {frame}{ip}"},
	"erspan_3_of_ip":            {47, 0, "1000 22eb 00000001 2007 0007 00000001 0000 0800 {ip}"},
	"erspan_3_subheader_of_ip":  {47, 0, "1000 22eb 00000001 2007 0007 00000001 0000 0801 1122334455667788 {ip}"},
	"wccp":                      {47, 0, "0000 883e {ip}"},
	"wccp_redirect":             {47, 0, "0000 883e 00010000 {ip}"},
	"etherip":                   {97, 0, "3000 {frame}{ip}"},
	"mpls":                      {137, 0, "00064140 {ip}"},

	"vxlan":                  {0, 4789, "08000000 00000700 {frame}{ip}"},
	"vxlan_vlan":             {0, 4789, "08000000 00000700" + frame("8100") + "0007 {type} {ip}"},
	"vxlan_group_policy":     {0, 4789, "88480007 00000700 {frame}{ip}"},
	"vxlan_linux":            {0, 8472, "08000000 00000700 {frame}{ip}"},
	"vxlan_gpe":              {0, 4790, "0c0000{gpe} 00000700 {ip}"},
	"vxlan_gpe_broadcast":    {0, 4790, "0e0000{gpe} 00000700 {ip}"},
	"vxlan_gpe_ethernet":     {0, 4790, "0c000003 00000700 {frame}{ip}"},
	"vxlan_on_gpe":           {0, 4790, "08000000 00000700 {frame}{ip}"},
	"geneve":                 {0, 6081, "0000 {type} 00000700 {ip}"},
	"geneve_ethernet":        {0, 6081, "0000 6558 00000700 {frame}{ip}"},
	"geneve_options":         {0, 6081, "0240 {type} 00000700 0102 8301 deadbeef {ip}"},
	"geneve_options_longest": {0, 6081, "3f00 6558 00000700" + strings.Repeat("010203ff", 63) + "{frame}{ip}"},

	"gtp":                {0, 2152, "30ff 0041 00000001 {ip}"},
	"gtp_sequence":       {0, 2152, "32ff 0041 00000001 0001 ff ff {ip}"},
	"gtp_pdu_number":     {0, 2152, "31ff 0041 00000001 ffff 01 ff {ip}"},
	"gtp_extension":      {0, 2152, "34ff 0041 00000001 0000 00 85 01 1001 00 {ip}"},
	"gtp_extensions":     {0, 2152, "36ff 0041 00000001 0001 00 40 01 0868 85 02 1001 00000000 00 {ip}"},
	"gtp_extension_none": {0, 2152, "34ff 0041 00000001 0000 00 00 {ip}"},

	"l2tp":            {0, 1701, "0002 0001 0002 ff03 {ppp} {ip}"},
	"l2tp_priority":   {0, 1701, "0102 0001 0002 ff03 {ppp} {ip}"},
	"l2tp_compressed": {0, 1701, "0002 0001 0002 {p} {ip}"},
	"l2tp_length":     {0, 1701, "4002 0000 0001 0002 {ppp} {ip}"},
	"l2tp_sequence":   {0, 1701, "0802 0001 0002 0003 0004 {ppp} {ip}"},
	"l2tp_offset":     {0, 1701, "0202 0001 0002 0003 eeeeee {ppp} {ip}"},
	"l2tp_offset_0":   {0, 1701, "0202 0001 0002 0000 {ppp} {ip}"},
	"l2tp_all":        {0, 1701, "4a02 0000 0001 0002 0003 0004 0002 eeee ff03 {ppp} {ip}"},

	"ayiya":                {0, 5072, "41 52 11 {proto} 00000001" + strings.Repeat("ab", 16) + strings.Repeat("cd", 20) + "{ip}"},
	"ayiya_short_id":       {0, 5072, "21 52 11 {proto} 00000001" + strings.Repeat("ab", 4) + strings.Repeat("cd", 20) + "{ip}"},
	"ayiya_not_signed":     {0, 5072, "41 00 01 {proto} 00000001" + strings.Repeat("ab", 16) + "{ip}"},
	"ayiya_one_byte_of_id": {0, 5072, "01 00 01 {proto} 00000001 ab {ip}"},
}

// tunnelled returns every tunnel, in packets of both families and with packets
// of both inside.
func tunnelled() map[string]layout {
	rows := make(map[string]layout)
	add := func(name string, proto byte, body, want string) {
		rows[name+"_in_ipv4"] = layout{capture.LinkRaw, outer4(proto, body), 0, want}
		rows[name+"_in_ipv6"] = layout{capture.LinkRaw, outer6(proto, body), 0, want}
	}
	for _, v6 := range []bool{false, true} {
		family, want := "ipv4", tcp4
		ip := byte(4)
		if v6 {
			family, want, ip = "ipv6", tcp6, 41
		}
		add(family, ip, inside("{ip}", v6), want)
		for name, th := range throughs {
			name += "_of_" + family
			body := inside(th.hex, v6)
			if th.port == 0 {
				add(name, th.proto, body, want)
				continue
			}
			add(name, 17, ports(1000, th.port, body), want)
			switch th.port {
			case portGTPU, portL2TP, portAYIYA: // either end has the port
				add(name+"_from_there", 17, ports(th.port, 1000, body), want)
			}
		}
	}
	const (
		origin = "0000 fc17 3ffffdfe"
		nobody = "0001 0000 0123456789abcdef 00"
		auth   = "0001 0203 aabb ccddee 0123456789abcdef 01"
	)
	// Any port will do between addresses of Teredo.
	teredo := "60000000 0019 06 40 20010000c0000201ffff000000000001 fd000000000000000000000000000002" + tcp20 + hello
	back := "60000000 0019 06 40 fd000000000000000000000000000001 20010000c0000201ffff000000000001" + tcp20 + hello
	inner := inside("{ip}", true)
	for name, before := range map[string]string{"": "", "_origin": origin, "_nobody": nobody, "_authentication": auth, "_both": auth + origin} {
		add("teredo"+name, 17, ports(1000, 3544, before+inner), tcp6)
		add("teredo"+name+"_from_there", 17, ports(3544, 1000, before+inner), tcp6)
		add("teredo"+name+"_any_port", 17, ports(1000, 40000, before+teredo), `tcp [2001:0:c000:201:ffff::1]:1000 > [fd00::2]:80 "hello"`)
		add("teredo"+name+"_any_port_back", 17, ports(1000, 40000, before+back), `tcp [fd00::1]:1000 > [2001:0:c000:201:ffff::1]:80 "hello"`)
	}
	add("teredo_trailers", 17, ports(1000, 3544, ip6(25, 6)+tcp20+hello+"01 04 01020304 03 00"), tcp6)
	add("teredo_trailers_any_port", 17, ports(1000, 40000, teredo+"01 04 01020304"), `tcp [2001:0:c000:201:ffff::1]:1000 > [fd00::2]:80 "hello"`)
	add("teredo_bubble", 17, ports(1000, 3544, ip6(0, 59)), "other: no next header")
	return rows
}

func TestTunnel(t *testing.T) {
	rows := tunnelled()
	// The same with padding behind it, which is no payload however deep one looks.
	for name, l := range maps.Clone(rows) {
		etherType := "0800"
		if strings.HasPrefix(l.hex, "6") {
			etherType = "86dd"
		}
		rows[name+"_padded"] = layout{capture.LinkEthernet, frame(etherType) + l.hex + pad, 0, l.want}
		rows[name+"_padding_cut"] = layout{capture.LinkEthernet, frame(etherType) + l.hex + "ee", 5, l.want}
	}
	run(t, rows)
}

// TestTunnelCut cuts every tunnel everywhere. It stays what it is, or lost a
// header; where a datagram is not known for a tunnel any more, it is a datagram.
func TestTunnelCut(t *testing.T) {
	var d Decoder
	for name, l := range tunnelled() {
		data := unhex(t, l.hex)
		for n := range data {
			p := capture.Packet{Data: data[:n], Length: len(data), Link: l.link}
			switch k := d.Decode(&p); {
			case k == CutShort:
			case k == UDP && bytes.HasSuffix(p.Data, d.Segment.Payload) && d.Segment.Length == len(data)-n+len(d.Segment.Payload):
			case k == TCP && n >= len(data)-len("hello") && d.Segment.Length == len("hello"):
			case strings.HasPrefix(l.want, "other") && describe(&d, k) == l.want:
			default:
				t.Errorf("%s: %d of %d bytes captured: %s", name, n, len(data), describe(&d, k))
			}
			p.Length = n
			if k := d.Decode(&p); k == CutShort {
				t.Errorf("%s: %d bytes sent: %s", name, n, describe(&d, k))
			}
		}
	}
}

// stays is a datagram that is sent to a tunnel's port and is none.
func stays(t testing.TB, port int, body string) layout {
	return layout{capture.LinkRaw, outer4(17, ports(1000, port, body)), 0,
		fmt.Sprintf("udp 192.0.2.1:1000 > 192.0.2.2:%d %q", port, unhex(t, body))}
}

// TestNoTunnel has datagrams on the ports of tunnels that are none.
func TestNoTunnel(t *testing.T) {
	ip, eth := inside("{ip}", false), inside("{frame}{ip}", false)
	tests := map[string]struct {
		port int
		hex  string
	}{
		"vxlan_empty":                 {4789, ""},
		"vxlan_short":                 {4789, "08000000 000007"},
		"vxlan_without_network":       {4789, "00000000 00000700" + eth},
		"vxlan_reserved_flag":         {4789, "09000000 00000700" + eth},
		"vxlan_reserved_bytes":        {4789, "08010000 00000700" + eth},
		"vxlan_reserved_end":          {4789, "08000000 00000701" + eth},
		"vxlan_policy_without_flag":   {4789, "08480007 00000700" + eth},
		"vxlan_next_protocol":         {4789, "0c000003 00000700" + eth},
		"gpe_nsh":                     {4790, "0c000004 00000700" + eth},
		"gpe_maintenance":             {4790, "0d000001 00000700" + ip},
		"gpe_next_version":            {4790, "1c000001 00000700" + ip},
		"gpe_reserved":                {4790, "0c010001 00000700" + ip},
		"gpe_reserved_end":            {4790, "0c000001 00000701" + ip},
		"geneve_short":                {6081, "0000 6558 000007"},
		"geneve_next_version":         {6081, "4000 6558 00000700" + eth},
		"geneve_reserved_flag":        {6081, "0001 6558 00000700" + eth},
		"geneve_reserved_end":         {6081, "0000 6558 00000701" + eth},
		"geneve_of_another":           {6081, "0000 88b5 00000700" + eth},
		"geneve_options_lie":          {6081, "3f00 6558 00000700" + eth},
		"gtp_echo":                    {2152, "3201 0004 00000000 0001 00 00"},
		"gtp_echo_response":           {2152, "3202 0006 00000000 0001 00 00 0e00"},
		"gtp_error":                   {2152, "321a 0010 00000000 0001 00 00 10 00000001 85 0004 c0000201"},
		"gtp_end_marker":              {2152, "30fe 0000 00000001"},
		"gtp_short":                   {2152, "30ff 0000 000000"},
		"gtp_prime":                   {2152, "20ff 002d 00000001" + ip},
		"gtp_version_2":               {2152, "50ff 002d 00000001" + ip},
		"gtp_of_nothing":              {2152, "30ff 0000 00000001"},
		"gtp_of_no_ip":                {2152, "30ff 002d 00000001" + eth},
		"gtp_optional_short":          {2152, "32ff 0000 00000001 0001 00"},
		"gtp_extension_of_0":          {2152, "34ff 0041 00000001 0000 00 85 00 1001 00" + ip},
		"gtp_extension_lies":          {2152, "34ff 0041 00000001 0000 00 85 ff 1001 00" + ip},
		"gtp_extension_missing":       {2152, "34ff 0004 00000001 0000 00 85"},
		"l2tp_control":                {1701, "c802 0014 0000 0000 0000 0000 8008 0000 0000 0001"},
		"l2tp_zero_length_body":       {1701, "c802 000c 0001 0000 0001 0001"},
		"l2tp_version_3":              {1701, "0003 0000 00000001 ff03 0021" + ip},
		"l2tp_reserved_flag":          {1701, "0402 0001 0002 ff03 0021" + ip},
		"l2tp_short":                  {1701, "0002 0001 00"},
		"l2tp_of_nothing":             {1701, "0002 0001 0002"},
		"l2tp_offset_missing":         {1701, "0202 0001 0002 00"},
		"l2tp_offset_lies":            {1701, "0202 0001 0002 ffff 0021" + ip},
		"l2tp_of_no_ppp":              {1701, "0002 0001 0002 0022" + ip},
		"l2tp_of_even_protocol":       {1701, "0002 0001 0002 c022" + ip},
		"ayiya_no_operation":          {5072, "41 00 00 04 00000001" + strings.Repeat("ab", 16) + ip},
		"ayiya_echo":                  {5072, "41 00 02 3b 00000001" + strings.Repeat("ab", 16)},
		"ayiya_of_another":            {5072, "41 00 01 06 00000001" + strings.Repeat("ab", 16) + ip},
		"ayiya_short":                 {5072, "41 00 01 04 000000"},
		"ayiya_id_lies":               {5072, "f1 00 01 04 00000001" + strings.Repeat("ab", 16) + ip},
		"ayiya_of_no_ip":              {5072, "01 00 01 04 00000001 ab" + eth},
		"teredo_empty":                {3544, ""},
		"teredo_short":                {3544, first(39, ip6(25, 6))},
		"teredo_of_ipv4":              {3544, ip},
		"teredo_length_above":         {3544, ip6(26, 6) + tcp20 + hello},
		"teredo_trailer_lies":         {3544, ip6(25, 6) + tcp20 + hello + "0105 01020304"},
		"teredo_trailer_unknown":      {3544, ip6(25, 6) + tcp20 + hello + "0704 01020304"},
		"teredo_trailer_short":        {3544, ip6(25, 6) + tcp20 + hello + "01"},
		"teredo_length_below":         {3544, ip6(24, 6) + tcp20 + hello},
		"teredo_authentication_lies":  {3544, "0001 ffff" + strings.Repeat("00", 9) + ip6(25, 6) + tcp20 + hello},
		"teredo_authentication_short": {3544, "0001 0000 0000000000000000"},
		"teredo_other_addresses":      {40000, ip6(25, 6) + tcp20 + hello},
		"teredo_mapped_address":       {40000, strings.Replace(ip6(25, 6), "fd00", "2002", 1) + tcp20 + hello},
	}
	rows := make(map[string]layout)
	for name, tt := range tests {
		rows[name] = stays(t, tt.port, tt.hex)
	}
	// A tunnel is to a port, not from it, where the port of the sender is for
	// spreading the load (RFC 7348, section 5; RFC 8926, section 3.3).
	vxlan := "08000000 00000700" + eth
	rows["vxlan_from_there"] = layout{capture.LinkRaw, outer4(17, ports(4789, 1000, vxlan)), 0, fmt.Sprintf("udp 192.0.2.1:4789 > 192.0.2.2:1000 %q", unhex(t, vxlan))}
	run(t, rows)
}

// TestRandomIsNoTunnel sends noise to the ports of tunnels: all but very few of
// it stays a datagram.
func TestRandomIsNoTunnel(t *testing.T) {
	const times = 2000
	random := rand.New(rand.NewSource(1))
	var d Decoder
	for _, port := range []int{portL2TP, portGTPU, portTeredo, portVXLAN, portVXLANGPE, portVXLANLinux, portAYIYA, portGeneve} {
		taken := 0
		for range times {
			body := make([]byte, random.Intn(200))
			random.Read(body)
			data := unhex(t, outer4(17, ports(1000, port, fmt.Sprintf("%x", body))))
			p := capture.Packet{Data: data, Length: len(data), Link: capture.LinkRaw}
			switch k := d.Decode(&p); {
			case k != UDP:
				taken++
			case !bytes.Equal(d.Segment.Payload, body):
				t.Fatalf("port %d: %s, want %q", port, describe(&d, k), body)
			}
		}
		if taken > times/500 {
			t.Errorf("port %d: %d of %d datagrams are taken for a tunnel", port, taken, times)
		}
	}
}

// TestMalformedTunnel has what is a tunnel for sure, and wrong.
func TestMalformedTunnel(t *testing.T) {
	const raw = capture.LinkRaw
	ip, eth := inside("{ip}", false), inside("{frame}{ip}", false)
	gre := func(s string) string { return outer4(47, s) }
	udp := func(port int, s string) string { return outer4(17, ports(1000, port, s)) }
	cut := func(n int, s string) string { return strings.ReplaceAll(s, " ", "")[:2*(size(s)-n)] }
	run(t, map[string]layout{
		"ip_in_ip_of_nothing":        {raw, outer4(4, ""), 0, "undecoded: short ip header"},
		"ip_in_ip_cut_away":          {raw, cut(45, outer4(4, ip)), 45, "cut: short ip header"},
		"ip_in_ip_short":             {raw, outer4(4, first(19, ip)), 0, "undecoded: short ipv4 header"},
		"ip_in_ip_cut":               {raw, cut(26, outer4(4, ip)), 26, "cut: short ipv4 header"},
		"ip_in_ip_other_family":      {raw, outer4(4, ip6(25, 6)+tcp20+hello), 0, tcp6},
		"ip_in_ip_no_version":        {raw, outer4(4, "55"+ip[2:]), 0, "undecoded: ip version 5"},
		"ip_in_ip_longer_than_outer": {raw, outer4(4, ip4(60, 6)+tcp20+hello) + pad, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hello" of 20`},
		"ip_in_ip_offload":           {raw, outer4(4, ip4(0, 6)+tcp20+hello) + pad, 0, tcp4},
		"ip_in_ip_offload_v6":        {raw, outer4(41, ip6(0, 6)+tcp20+hello) + pad, 0, tcp6},

		"gre_short":                {raw, gre("0000 08"), 0, "undecoded: short tunnel header"},
		"gre_cut":                  {raw, cut(46, gre("0000 0800"+ip)), 46, "cut: short tunnel header"},
		"gre_key_short":            {raw, gre("2000 0800 000000"), 0, "undecoded: short tunnel header"},
		"gre_key_short_padding":    {raw, gre("2000 0800 000000") + pad, 2, "undecoded: short tunnel header"},
		"gre_key_cut":              {raw, cut(46, gre("2000 0800 00000007"+ip)), 46, "cut: short tunnel header"},
		"gre_routing_short":        {raw, gre("4000 0800 0000 0000 0000 00"), 0, "undecoded: short tunnel header"},
		"gre_routing_lies":         {raw, gre("4000 0800 0000 0000 0800 00ff" + ip), 0, "undecoded: short tunnel header"},
		"gre_routing_cut":          {raw, cut(50, gre("4000 0800 0000 0000 0800 0004 c0000263 0000 0000"+ip)), 50, "cut: short tunnel header"},
		"gre_routing_never_ends":   {raw, gre("4000 0800 0000 0000" + strings.Repeat("08000000", 300)), 0, "undecoded: short tunnel header"},
		"gre_version_2":            {raw, gre("0002 0800" + ip), 0, "undecoded: malformed tunnel header"},
		"gre_version_7":            {raw, gre("0007 0800" + ip), 0, "undecoded: malformed tunnel header"},
		"gre_keep_alive":           {raw, gre("0000 0000"), 0, "other: gre control"},
		"gre_keep_alive_quoting":   {raw, gre("0000 0800" + ip4(24, 47) + "0000 0000"), 0, "other: gre control"},
		"gre_of_length":            {raw, gre("0000 0026" + ip), 0, "undecoded: ethertype 0x0026"},
		"gre_of_arp":               {raw, gre("0000 0806" + ip), 0, "other: arp"},
		"gre_of_nothing":           {raw, gre("0000 0800"), 0, "undecoded: short ip header"},
		"gre_unknown":              {raw, gre("0000 88b5" + ip), 0, "undecoded: ethertype 0x88b5"},
		"gre_ethernet_short":       {raw, gre("0000 6558" + macs), 0, "undecoded: short link header"},
		"gre_802_3":                {raw, gre("0000 6558" + macs + "0026 424203"), 0, "other: 802.3 frame"},
		"pptp_only_ack":            {raw, gre("2081 880b 0000 0001 00000002"), 0, "other: gre control"},
		"pptp_ack_short":           {raw, gre("3081 880b 0000 0001 00000001 000000"), 0, "undecoded: short tunnel header"},
		"pptp_negotiates":          {raw, gre("3001 880b 0008 0001 00000001 ff03 c021 0101 0004"), 0, "other: ppp lcp"},
		"erspan_2_short":           {raw, gre("1000 88be 00000001 1007 0007 000000"), 0, "undecoded: short tunnel header"},
		"erspan_2_cut":             {raw, cut(60, gre("1000 88be 00000001 1007 0007 00000001"+eth)), 60, "cut: short tunnel header"},
		"erspan_3_short":           {raw, gre("1000 22eb 00000001 2007 0007 00000001 0000 80"), 0, "undecoded: short tunnel header"},
		"erspan_3_subheader_short": {raw, gre("1000 22eb 00000001 2007 0007 00000001 0000 8001 11223344556677"), 0, "undecoded: short tunnel header"},
		"wccp_short":               {raw, gre("0000 883e 000100"), 0, "undecoded: short tunnel header"},
		"etherip_short":            {raw, outer4(97, "30"), 0, "undecoded: short tunnel header"},
		"etherip_cut":              {raw, cut(60, outer4(97, "3000"+eth)), 60, "cut: short tunnel header"},
		"mpls_short":               {raw, outer4(137, "000641"), 0, "undecoded: short link header"},

		"vxlan_of_nothing":      {raw, udp(4789, "08000000 00000700"), 0, "undecoded: short link header"},
		"vxlan_cut_away":        {raw, cut(59, udp(4789, "08000000 00000700"+eth)), 59, "cut: short link header"},
		"vxlan_of_arp":          {raw, udp(4789, "08000000 00000700"+frame("0806")+pad), 0, "other: arp"},
		"vxlan_longer_inside":   {raw, udp(4789, "08000000 00000700"+frame("0800")+ip4(60, 6)+tcp20+hello) + pad, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hello" of 20`},
		"vxlan_padding_inside":  {raw, udp(4789, "08000000 00000700"+eth+pad), 0, tcp4},
		"vxlan_fragment_inside": {raw, udp(4789, "08000000 00000700"+frame("0800")+ip4frag(45, 0x2000, 6)+tcp20+hello), 0, "fragment: ip fragment"},
		"gpe_offload_cut":       {raw, cut(3, udp(4790, "0c000001 00000700"+ip4(0, 6)+tcp20+hello)), 3, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "he" of 5`},
		"teredo_cut":            {raw, cut(3, udp(3544, inside("{ip}", true))), 3, `tcp [fd00::1]:1000 > [fd00::2]:80 "he" of 5`},
		"l2tp_negotiates":       {raw, udp(1701, "0002 0001 0002 ff03 8021 0101 0004"), 0, "other: ppp ipcp"},
		"l2tp_compressed_data":  {raw, udp(1701, "0002 0001 0002 ff03 00fd 0101 0004"), 0, "undecoded: ppp protocol 0x00fd"},
		"gtp_of_udp":            {raw, udp(2152, "30ff 0021 00000001"+ip4(33, 17)+udp8(13)+hello), 0, udp4},
		"udp_shorter_than_ip":   {raw, outer4(17, strings.Replace(ports(1000, 2152, "30ff 002d 00000001"+ip), "03e8 0868 003d", "03e8 0868 0013", 1)), 0, `udp 192.0.2.1:1000 > 192.0.2.2:2152 "0\xff\x00-\x00\x00\x00\x01E\x00\x00"`},
	})
}

// TestNested puts packets into packets, until it is too much.
func TestNested(t *testing.T) {
	const deep = "undecoded: too many headers one within another"
	wrap := func(n int, s string, f func(string) string) string {
		for range n {
			s = f(s)
		}
		return s
	}
	ip := inside("{ip}", false)
	ipip := func(s string) string { return outer4(4, s) }
	vxlan := func(s string) string { return outer4(17, ports(1000, 4789, "08000000 00000700"+frame("0800")+s)) }
	gre := func(s string) string { return outer4(47, "0000 0800"+s) }
	ppi := func(s string) string { return "0000 0800 c0000000" + s }
	raw := capture.LinkRaw
	run(t, map[string]layout{
		"ip_at_the_bound":      {raw, wrap(maxNested-1, ip, ipip), 0, tcp4},
		"ip_over_the_bound":    {raw, wrap(maxNested, ip, ipip), 0, deep},
		"ip_far_over":          {raw, wrap(maxNested*20, ip, ipip), 0, deep},
		"gre_at_the_bound":     {raw, wrap(maxNested-1, ip, gre), 0, tcp4},
		"gre_over_the_bound":   {raw, wrap(maxNested, ip, gre), 0, deep},
		"vxlan_at_the_bound":   {raw, wrap((maxNested-1)/2, ip, vxlan), 0, tcp4},
		"vxlan_over_the_bound": {raw, wrap((maxNested-1)/2+1, ip, vxlan), 0, deep},
		"link_at_the_bound":    {capture.LinkPPI, wrap(maxNested-2, "0000 0800 65000000"+ip, ppi), 0, tcp4},
		"link_over_the_bound":  {capture.LinkPPI, wrap(maxNested-1, "0000 0800 65000000"+ip, ppi), 0, deep},
		"frame_at_the_bound":   {raw, wrap(maxNested-2, outer4(97, "3000"+frame("0806")+pad), ipip), 0, "other: arp"},
		"frame_over_the_bound": {raw, wrap(maxNested-1, outer4(97, "3000"+frame("0806")+pad), ipip), 0, deep},
		"all_sorts":            {raw, wrap(1, wrap(1, wrap(1, ip, ipip), gre), vxlan), 0, tcp4},
		"6_in_4_in_6":          {raw, outer6(4, outer4(41, inside("{ip}", true))), 0, tcp6},
	})
}
