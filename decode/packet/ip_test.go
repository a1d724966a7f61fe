package packet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
)

func TestIPv4(t *testing.T) {
	const (
		eth  = capture.LinkEthernet
		opts = "94040000 01010100" // router alert, then nothing
		body = tcp20 + hello
	)
	// header has eight bytes of options.
	header := func(total int) string { return "47" + ip4(total, 6)[2:] + opts }
	f := frame("0800")
	run(t, map[string]layout{
		"plain":           {eth, f + ip4(45, 6) + body, 0, tcp4},
		"options":         {eth, f + header(53) + body, 0, tcp4},
		"options_longest": {eth, f + "4f" + ip4(85, 6)[2:] + strings.Repeat("01", 40) + body, 0, tcp4},
		"options_short":   {eth, f + first(27, header(53)), 0, "undecoded: short ipv4 header"},
		"options_cut":     {eth, f + first(27, header(53)), 26, "cut: short ipv4 header"},
		"short":           {eth, f + first(16, ip4(45, 6)), 0, "undecoded: short ipv4 header"},
		"cut":             {eth, f + first(16, ip4(45, 6)), 40, "cut: short ipv4 header"},

		"header_length_below_5":      {eth, f + "44" + ip4(45, 6)[2:] + body, 0, "undecoded: malformed ipv4 header"},
		"header_length_0":            {eth, f + "40" + ip4(45, 6)[2:] + body, 0, "undecoded: malformed ipv4 header"},
		"header_length_below_5_cut":  {eth, f + "44" + ip4(45, 6)[2:], 25, "undecoded: malformed ipv4 header"},
		"total_below_20":             {eth, f + ip4(19, 6) + body, 0, "undecoded: malformed ipv4 header"},
		"total_within_options":       {eth, f + header(27) + body, 0, "undecoded: malformed ipv4 header"},
		"total_is_the_header":        {eth, f + ip4(20, 6) + body, 0, "undecoded: short tcp header"},
		"total_0_offload":            {eth, f + ip4(0, 6) + body, 0, tcp4},
		"total_0_offload_options":    {eth, f + header(0) + body, 0, tcp4},
		"total_0_offload_udp":        {eth, f + ip4(0, 17) + udp8(13) + hello, 0, udp4},
		"total_0_offload_cut":        {eth, f + ip4(0, 6) + body, 70000, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hello" of 70005`},
		"total_0_offload_within_tcp": {eth, f + ip4(0, 6) + first(8, body), 0, "undecoded: short tcp header"},

		"ah":           {eth, f + ip4(69, 51) + "06 04" + strings.Repeat("00", 22) + body + pad, 0, tcp4},
		"ah_short":     {eth, f + ip4(26, 51) + "06 04 00000000", 0, "undecoded: short ipv4 header"},
		"ah_too_long":  {eth, f + ip4(69, 51) + "06 ff" + strings.Repeat("00", 22) + body, 0, "undecoded: malformed ipv4 header"},
		"ah_cut":       {eth, f + ip4(69, 51) + "06 04" + strings.Repeat("00", 10), 37, "cut: short ipv4 header"},
		"ah_within_ah": {eth, f + ip4(20+11*24, 51) + strings.Repeat("33 04"+strings.Repeat("00", 22), 11), 0, "undecoded: too many headers one within another"},

		"padding_behind_empty_segment":      {eth, f + ip4(40, 6) + tcp20 + pad, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 ""`},
		"padding_behind_payload":            {eth, f + ip4(45, 6) + body + pad, 0, tcp4},
		"padding_behind_datagram":           {eth, f + ip4(33, 17) + udp8(13) + hello + pad, 0, udp4},
		"padding_cut":                       {eth, f + ip4(45, 6) + body + "ee", 3, tcp4},
		"padding_cut_away":                  {eth, f + ip4(45, 6) + body, 4, tcp4},
		"payload_and_padding_cut":           {eth, f + ip4(45, 6) + tcp20 + "6865", 7, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "he" of 5`},
		"padding_is_no_tcp_header":          {eth, f + ip4(36, 6) + first(16, tcp20) + pad, 0, "undecoded: short tcp header"},
		"padding_is_no_tcp_header_when_cut": {eth, f + ip4(36, 6) + first(16, tcp20) + pad, 4, "undecoded: short tcp header"},

		// The lengths of IP are the only trace of a cut that a tool made without
		// keeping the packet's own.
		"declares_more_than_was_sent": {eth, f + ip4(1020, 6) + body, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hello" of 980`},

		"fragment_first":               {eth, f + ip4frag(45, 0x2000, 6) + body, 0, "fragment: ip fragment"},
		"fragment_middle":              {eth, f + ip4frag(45, 0x2001, 6) + body, 0, "fragment: ip fragment"},
		"fragment_last":                {eth, f + ip4frag(45, 0x0001, 6) + body, 0, "fragment: ip fragment"},
		"fragment_of_highest_offset":   {eth, f + ip4frag(45, 0x1000, 6) + body, 0, "fragment: ip fragment"},
		"fragment_in_spite_of_df":      {eth, f + ip4frag(45, 0x6000, 6) + body, 0, "fragment: ip fragment"},
		"fragment_of_another_protocol": {eth, f + ip4frag(45, 0x2000, 1) + body, 0, "fragment: ip fragment"},
		"no_fragment_df":               {eth, f + ip4frag(45, 0x4000, 6) + body, 0, tcp4},
		"no_fragment_reserved_flag":    {eth, f + ip4frag(45, 0x8000, 6) + body, 0, tcp4},

		// RFC 792 has the headers of the packet that went wrong behind eight bytes:
		// those are of no conversation (rule R7).
		"icmp_quotes_tcp": {eth, f + ip4(56, 1) + "0301000000000000" + ip4(45, 6) + first(8, body), 0, "other: icmp"},
		"icmp_cut":        {eth, f + ip4(56, 1), 36, "other: icmp"},
		"ip_in_ip":        {eth, f + ip4(65, 4) + ip4(45, 6) + body, 0, tcp4},
		"unknown":         {eth, f + ip4(45, 253) + body, 0, "undecoded: ip protocol 253"},
	})
}

func TestIPv6(t *testing.T) {
	const (
		eth  = capture.LinkEthernet
		body = tcp20 + hello        // 25 bytes
		atom = "0600 0000 00000001" // a fragment header of a packet in one piece
		zero = "000000000000"
	)
	f := frame("86dd")
	repeat := func(n int) string { return strings.Repeat(extension(60, 0), n-1) + extension(6, 0) }
	run(t, map[string]layout{
		"plain": {eth, f + ip6(25, 6) + body, 0, tcp6},
		"udp":   {eth, f + ip6(13, 17) + udp8(13) + hello, 0, udp6},
		"short": {eth, f + first(30, ip6(25, 6)), 0, "undecoded: short ipv6 header"},
		"cut":   {eth, f + first(30, ip6(25, 6)), 60, "cut: short ipv6 header"},

		"hop_by_hop":          {eth, f + ip6(33, 0) + extension(6, 0) + body, 0, tcp6},
		"routing":             {eth, f + ip6(33, 43) + extension(6, 0) + body, 0, tcp6},
		"destination_options": {eth, f + ip6(33, 60) + extension(6, 0) + body, 0, tcp6},
		"mobility":            {eth, f + ip6(33, 135) + extension(6, 0) + body, 0, tcp6},
		"hip":                 {eth, f + ip6(33, 139) + extension(6, 0) + body, 0, tcp6},
		"shim6":               {eth, f + ip6(33, 140) + extension(6, 0) + body, 0, tcp6},
		"authentication":      {eth, f + ip6(49, 51) + "0604 0000" + strings.Repeat("00", 20) + body, 0, tcp6},
		"atomic_fragment":     {eth, f + ip6(33, 44) + atom + body, 0, tcp6},
		"long_extension":      {eth, f + ip6(49, 60) + extension(6, 2) + body, 0, tcp6},
		"many_extensions": {eth, f + ip6(25+8+16+8+12+8, 0) + extension(43, 0) + extension(44, 1) +
			"3300 0000 00000001" + "3c01 0000 00000000 00000000" + extension(6, 0) + body, 0, tcp6},
		"extension_and_udp":         {eth, f + ip6(21, 0) + extension(17, 0) + udp8(13) + hello, 0, udp6},
		"extension_and_icmpv6":      {eth, f + ip6(33, 0) + extension(58, 0) + body, 0, "other: icmpv6"},
		"extension_and_nothing":     {eth, f + ip6(8, 0) + extension(59, 0), 0, "other: no next header"},
		"extensions_at_the_bound":   {eth, f + ip6(25+8*maxExtensions, 60) + repeat(maxExtensions) + body, 0, tcp6},
		"extensions_over_the_bound": {eth, f + ip6(33+8*maxExtensions, 60) + repeat(maxExtensions+1) + body, 0, "undecoded: malformed ipv6 header"},

		"extension_past_the_payload":     {eth, f + ip6(33, 0) + "06ff" + zero + body, 0, "undecoded: malformed ipv6 header"},
		"extension_past_by_one_unit":     {eth, f + ip6(33, 0) + "0604" + zero + body, 0, "undecoded: malformed ipv6 header"},
		"extension_past_and_cut":         {eth, f + ip6(33, 0) + "06ff" + zero, 25, "undecoded: malformed ipv6 header"},
		"authentication_past_payload":    {eth, f + ip6(33, 51) + "06ff" + zero + body, 0, "undecoded: malformed ipv6 header"},
		"extension_short":                {eth, f + ip6(7, 0) + first(7, extension(6, 0)), 0, "undecoded: short ipv6 header"},
		"extension_short_before_padding": {eth, f + ip6(7, 0) + first(7, extension(6, 0)) + pad, 2, "undecoded: short ipv6 header"},
		"extension_cut":                  {eth, f + ip6(33, 0) + first(7, extension(6, 0)), 26, "cut: short ipv6 header"},
		"long_extension_cut":             {eth, f + ip6(49, 60) + first(16, extension(6, 2)), 33, "cut: short ipv6 header"},
		"authentication_short":           {eth, f + ip6(7, 51) + first(7, extension(6, 0)), 0, "undecoded: short ipv6 header"},
		"fragment_header_short":          {eth, f + ip6(7, 44) + first(7, atom), 0, "undecoded: short ipv6 header"},
		"fragment_header_cut":            {eth, f + ip6(33, 44) + first(7, atom), 26, "cut: short ipv6 header"},

		"fragment_first":           {eth, f + ip6(33, 44) + "0600 0001 00000001" + body, 0, "fragment: ip fragment"},
		"fragment_middle":          {eth, f + ip6(33, 44) + "0600 0009 00000001" + body, 0, "fragment: ip fragment"},
		"fragment_last":            {eth, f + ip6(33, 44) + "0600 0008 00000001" + body, 0, "fragment: ip fragment"},
		"atomic_fragment_reserved": {eth, f + ip6(33, 44) + "06ff 0006 00000001" + body, 0, tcp6},

		"no_next_header":             {eth, f + ip6(0, 59), 0, "other: no next header"},
		"no_next_header_and_payload": {eth, f + ip6(25, 59) + body, 0, "other: no next header"},
		"no_next_header_and_padding": {eth, f + ip6(0, 59) + pad, 0, "other: no next header"},

		"length_0_offload":          {eth, f + ip6(0, 6) + body, 0, tcp6},
		"length_0_offload_udp":      {eth, f + ip6(0, 17) + udp8(0) + hello, 0, udp6},
		"length_0_offload_cut":      {eth, f + ip6(0, 6) + body, 70000, `tcp [fd00::1]:1000 > [fd00::2]:80 "hello" of 70005`},
		"length_0_jumbogram":        {eth, f + ip6(0, 0) + "0600 c204 00000021" + body, 0, tcp6},
		"length_0_jumbogram_cut":    {eth, f + ip6(0, 0) + "0600 c204 00011191" + body, 70000, `tcp [fd00::1]:1000 > [fd00::2]:80 "hello" of 70005`},
		"length_0_jumbogram_of_udp": {eth, f + ip6(0, 0) + "1100 c204 00000015" + udp8(0) + hello, 0, udp6},

		"ah":           {eth, f + ip4(69, 51) + "06 04" + strings.Repeat("00", 22) + body + pad, 0, tcp4},
		"ah_short":     {eth, f + ip4(26, 51) + "06 04 00000000", 0, "undecoded: short ipv4 header"},
		"ah_too_long":  {eth, f + ip4(69, 51) + "06 ff" + strings.Repeat("00", 22) + body, 0, "undecoded: malformed ipv4 header"},
		"ah_cut":       {eth, f + ip4(69, 51) + "06 04" + strings.Repeat("00", 10), 37, "cut: short ipv4 header"},
		"ah_within_ah": {eth, f + ip4(20+11*24, 51) + strings.Repeat("33 04"+strings.Repeat("00", 22), 11), 0, "undecoded: too many headers one within another"},

		"padding_behind_empty_segment": {eth, f + ip6(20, 6) + tcp20 + pad, 0, `tcp [fd00::1]:1000 > [fd00::2]:80 ""`},
		"padding_behind_payload":       {eth, f + ip6(25, 6) + body + pad, 0, tcp6},
		"padding_behind_hop_by_hop":    {eth, f + ip6(33, 0) + extension(6, 0) + body + pad, 0, tcp6},
		"padding_behind_fragment":      {eth, f + ip6(33, 44) + atom + body + pad, 0, tcp6},
		"padding_cut_away":             {eth, f + ip6(25, 6) + body, 6, tcp6},
		"payload_cut":                  {eth, f + ip6(25, 6) + tcp20 + "6865", 3, `tcp [fd00::1]:1000 > [fd00::2]:80 "he" of 5`},
		"payload_cut_hop_by_hop":       {eth, f + ip6(33, 0) + extension(6, 0) + tcp20 + "6865", 3, `tcp [fd00::1]:1000 > [fd00::2]:80 "he" of 5`},
		"padding_is_no_tcp_header":     {eth, f + ip6(16, 6) + first(16, tcp20) + pad, 4, "undecoded: short tcp header"},

		"icmpv6_quotes_tcp": {eth, f + ip6(68, 58) + "0103000000000000" + ip6(25, 6) + first(20, body), 0, "other: icmpv6"},
		"unknown":           {eth, f + ip6(25, 253) + body, 0, "undecoded: ip protocol 253"},

		"extension_at_the_end":       {eth, f + ip6(8, 60) + extension(59, 0), 0, "other: no next header"},
		"authentication_at_the_end":  {eth, f + ip6(8, 51) + extension(59, 0), 0, "other: no next header"},
		"atomic_fragment_at_the_end": {eth, f + ip6(8, 44) + extension(59, 0), 0, "other: no next header"},
	})
}

// TestProtocols tries every protocol number that stands for no header to walk
// through.
func TestProtocols(t *testing.T) {
	known := map[int]string{
		1: "icmp", 2: "igmp", 50: "esp", 58: "icmpv6", 88: "eigrp", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp",
		59: "no next header",
	}
	tunnel := map[int]bool{4: true, 41: true, 47: true, 51: true, 97: true, 137: true}
	walked6 := map[int]bool{0: true, 43: true, 44: true, 51: true, 60: true, 135: true, 139: true, 140: true}
	name := func(n int, known map[int]string) string {
		if s := known[n]; s != "" {
			return "other: " + s
		}
		return fmt.Sprintf("undecoded: ip protocol %d", n)
	}
	var d Decoder
	for n := range 256 {
		if n == 6 || n == 17 || tunnel[n] {
			continue
		}
		data := unhex(t, ip4(45, byte(n))+tcp20+hello)
		k := d.Decode(&capture.Packet{Data: data, Length: len(data), Link: capture.LinkRaw})
		if diff := cmp.Diff(name(n, known), describe(&d, k)); diff != "" {
			t.Errorf("over IPv4 (-want +got)\n%s", diff)
		}
		if walked6[n] {
			continue
		}
		data = unhex(t, ip6(25, byte(n))+tcp20+hello)
		k = d.Decode(&capture.Packet{Data: data, Length: len(data), Link: capture.LinkRaw})
		if diff := cmp.Diff(name(n, known), describe(&d, k)); diff != "" {
			t.Errorf("over IPv6 (-want +got)\n%s", diff)
		}
	}
}
