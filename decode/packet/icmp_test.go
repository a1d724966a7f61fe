package packet

import (
	"fmt"
	"strings"
	"testing"

	"netlab/capture"
)

// TestICMPError looks at what ICMP says of other packets.
func TestICMPError(t *testing.T) {
	const (
		ports8 = "03e8 0050 01020304"
		tcp    = " about tcp 10.0.0.1:1000 > 10.0.0.2:80"
		udp    = " about udp 10.0.0.1:1000 > 10.0.0.2:53"
		tcpV6  = " about tcp [fd00::1]:1000 > [fd00::2]:80"
		none   = ""
	)
	// The packet that went wrong, of the length that it had.
	q4, q6 := ip4(1045, 6)+ports8, ip6(1025, 6)+ports8
	head := func(typ, code byte) string { return fmt.Sprintf("%02x%02x 0000 00000000", typ, code) }
	v4 := func(typ, code byte, s string) string { return outer4(1, head(typ, code)+s) }
	v6 := func(typ, code byte, s string) string { return outer6(58, head(typ, code)+s) }
	tests := map[string]struct {
		hex  string
		cut  int
		want string // who says what about which; empty when it is no error
	}{
		"network":          {v4(3, 0, q4), 0, "192.0.2.1: network unreachable" + tcp},
		"host":             {v4(3, 1, q4), 0, "192.0.2.1: host unreachable" + tcp},
		"protocol":         {v4(3, 2, q4), 0, "192.0.2.1: protocol unreachable" + tcp},
		"port":             {v4(3, 3, ip4(33, 17)+udp8(13)), 0, "192.0.2.1: port unreachable" + udp},
		"too_big":          {v4(3, 4, q4), 0, "192.0.2.1: fragmentation needed" + tcp},
		"prohibited":       {v4(3, 13, q4), 0, "192.0.2.1: communication administratively prohibited" + tcp},
		"network_denied":   {v4(3, 9, q4), 0, "192.0.2.1: network administratively prohibited" + tcp},
		"host_denied":      {v4(3, 10, q4), 0, "192.0.2.1: host administratively prohibited" + tcp},
		"unreachable":      {v4(3, 255, q4), 0, "192.0.2.1: destination unreachable, code 255" + tcp},
		"quench":           {v4(4, 0, q4), 0, "192.0.2.1: source quench, code 0" + tcp},
		"redirect":         {v4(5, 1, q4), 0, "192.0.2.1: redirect, code 1" + tcp},
		"time_to_live":     {v4(11, 0, q4), 0, "192.0.2.1: time to live exceeded in transit" + tcp},
		"reassembly":       {v4(11, 1, q4), 0, "192.0.2.1: fragment reassembly time exceeded" + tcp},
		"parameter":        {v4(12, 0, q4), 0, "192.0.2.1: parameter problem, code 0" + tcp},
		"v6_route":         {v6(1, 0, q6), 0, "2001:db8::1: no route to destination" + tcpV6},
		"v6_prohibited":    {v6(1, 1, q6), 0, "2001:db8::1: communication administratively prohibited" + tcpV6},
		"v6_scope":         {v6(1, 2, q6), 0, "2001:db8::1: destination unreachable, code 2" + tcpV6},
		"v6_address":       {v6(1, 3, q6), 0, "2001:db8::1: address unreachable" + tcpV6},
		"v6_port":          {v6(1, 4, ip6(13, 17)+udp8(13)), 0, "2001:db8::1: port unreachable about udp [fd00::1]:1000 > [fd00::2]:53"},
		"v6_too_big":       {v6(2, 0, q6), 0, "2001:db8::1: packet too big" + tcpV6},
		"v6_hop_limit":     {v6(3, 0, q6), 0, "2001:db8::1: hop limit exceeded in transit" + tcpV6},
		"v6_reassembly":    {v6(3, 1, q6), 0, "2001:db8::1: fragment reassembly time exceeded" + tcpV6},
		"v6_parameter":     {v6(4, 1, q6), 0, "2001:db8::1: parameter problem, code 1" + tcpV6},
		"v6_behind_option": {outer6(0, extension(58, 0)+head(1, 4)+q6), 0, "2001:db8::1: port unreachable" + tcpV6},

		"quoted_whole":      {v4(3, 3, ip4(45, 6)+tcp20+hello), 0, "192.0.2.1: port unreachable" + tcp},
		"quoted_options":    {v4(3, 3, "47"+ip4(1053, 6)[2:]+"9404000001010100"+ports8), 0, "192.0.2.1: port unreachable" + tcp},
		"quoted_ports":      {v4(3, 3, ip4(1045, 6)+first(4, ports8)), 0, "192.0.2.1: port unreachable" + tcp},
		"quoted_cut":        {v4(3, 3, ip4(1045, 6)+first(3, ports8)), 0, none},
		"quoted_cut_snap":   {first(51, v4(3, 3, q4)), 5, none},
		"quoted_snap":       {first(52, v4(3, 3, q4)), 4, "192.0.2.1: port unreachable" + tcp},
		"options_cut":       {v4(3, 3, "47"+ip4(1053, 6)[2:]+"9404000001010100"+first(3, ports8)), 0, none},
		"options_lie":       {v4(3, 3, "4f"+ip4(1053, 6)[2:]+ports8), 0, none},
		"header_below_5":    {v4(3, 3, "44"+ip4(1045, 6)[2:]+ports8), 0, none},
		"v6_quoted_ports":   {v6(1, 4, ip6(1025, 6)+first(4, ports8)), 0, "2001:db8::1: port unreachable" + tcpV6},
		"v6_quoted_cut":     {v6(1, 4, ip6(1025, 6)+first(3, ports8)), 0, none},
		"fragment_first":    {v4(11, 1, ip4frag(1045, 0x2000, 6)+ports8), 0, "192.0.2.1: fragment reassembly time exceeded" + tcp},
		"fragment_middle":   {v4(11, 1, ip4frag(1045, 0x2001, 6)+ports8), 0, none},
		"fragment_last":     {v4(11, 1, ip4frag(1045, 0x0001, 6)+ports8), 0, none},
		"v6_fragment":       {v6(3, 1, ip6(1033, 44)+"0600 0001 00000001"+ports8), 0, none},
		"of_icmp":           {v4(11, 0, ip4(1045, 1)+ports8), 0, none},
		"of_a_tunnel":       {v4(11, 0, ip4(1045, 47)+ports8), 0, none},
		"of_ipv6":           {v4(3, 3, q6), 0, none},
		"v6_of_ipv4":        {v6(1, 4, q4+strings.Repeat("00", 40)), 0, none},
		"padding":           {v4(3, 3, "") + q4, 0, none},
		"echo":              {v4(8, 0, q4), 0, none},
		"echo_reply":        {v4(0, 0, q4), 0, none},
		"timestamp":         {v4(13, 0, q4), 0, none},
		"v6_echo":           {v6(128, 0, q6), 0, none},
		"v6_echo_reply":     {v6(129, 0, q6), 0, none},
		"v6_neighbor":       {v6(135, 0, q6), 0, none},
		"type_of_the_other": {v6(11, 0, q6), 0, none},
		"empty":             {outer4(1, ""), 0, none},
		"v6_empty":          {outer6(58, ""), 0, none},
		// Who says so is inside the tunnel too.
		"tunnelled": {outer6(41, strings.Replace(v6(1, 4, q6), "20010db8000000000000000000000001", "20010db8000000000000000000000009", 1)), 0, "2001:db8::9: port unreachable" + tcpV6},
		"tcp":       {ip4(45, 6) + tcp20 + hello, 0, none},
	}
	var d Decoder
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, tt.hex)
			k := d.Decode(&capture.Packet{Data: data, Length: len(data) + tt.cut, Link: capture.LinkRaw})
			if want := name == "tcp"; want != (k == TCP) || !want && k != Other {
				t.Errorf("%s", describe(&d, k))
			}
			got := ""
			if e := d.Error; e != nil {
				got = fmt.Sprintf("%s: %s about %s", e.From, e, e.Flow)
				if e.V6 != strings.Contains(e.From.String(), ":") {
					t.Errorf("of version 6: %v, from %s", e.V6, e.From)
				}
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestICMPErrorInFragments puts an error together.
func TestICMPErrorInFragments(t *testing.T) {
	body := "0303 0000 00000000" + ip4(45, 6) + tcp20 + hello
	var d Decoder
	for i, p := range []capture.Packet{
		packetOf(unhex(t, ip4frag(20+24, 0x2000, 1)+first(24, body))),
		packetOf(unhex(t, ip4frag(20+size(body)-24, 0x0003, 1)+strings.ReplaceAll(body, " ", "")[48:])),
	} {
		k := d.Decode(&p)
		if i == 0 && (k != Fragment || d.Error != nil) || i == 1 && (k != Other || d.Error == nil) {
			t.Fatalf("packet %d: %s, error %v", i, describe(&d, k), d.Error)
		}
	}
	if got := d.Error.Flow.String(); got != "tcp 10.0.0.1:1000 > 10.0.0.2:80" {
		t.Error(got)
	}
}

func packetOf(data []byte) capture.Packet {
	return capture.Packet{Data: data, Length: len(data), Link: capture.LinkRaw}
}
