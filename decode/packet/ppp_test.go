package packet

import (
	"strings"
	"testing"

	"netlab/capture"
)

// serial returns every framing of a serial line, and PPPoE, with packets of both
// families inside.
func serial() map[string]layout {
	pppoe := func(length string) string { return "11 00 0007" + length }
	rows := make(map[string]layout)
	for name, l := range map[string]layout{
		"ppp":                    {capture.LinkPPP, "{ppp} {ip}", 0, ""},
		"ppp_framed":             {capture.LinkPPP, "ff03 {ppp} {ip}", 0, ""},
		"ppp_compressed":         {capture.LinkPPP, "{p} {ip}", 0, ""},
		"ppp_framed_compressed":  {capture.LinkPPP, "ff03 {p} {ip}", 0, ""},
		"ppp_padded":             {capture.LinkPPP, "ff03 {ppp} {ip}" + pad, 0, ""},
		"ppp_mpls":               {capture.LinkPPP, "ff03 0281 00064140 {ip}", 0, ""},
		"ppp_bridge":             {capture.LinkPPP, "ff03 0031 0001 {frame}{ip}", 0, ""},
		"ppp_bridge_checked":     {capture.LinkPPP, "ff03 0031 8001 {frame}{ip} eeeeeeee", 0, ""},
		"ppp_bridge_lan":         {capture.LinkPPP, "ff03 0031 4001 00000007 {frame}{ip}", 0, ""},
		"hdlc":                   {capture.LinkPPPHDLC, "ff03 {ppp} {ip}", 0, ""},
		"hdlc_without_address":   {capture.LinkPPPHDLC, "{ppp} {ip}", 0, ""},
		"hdlc_cisco":             {capture.LinkPPPHDLC, "0f00 {type} {ip}", 0, ""},
		"hdlc_cisco_broadcast":   {capture.LinkPPPHDLC, "8f00 {type} {ip}", 0, ""},
		"cisco":                  {capture.LinkCiscoHDLC, "0f00 {type} {ip}", 0, ""},
		"cisco_broadcast":        {capture.LinkCiscoHDLC, "8f00 {type} {ip}", 0, ""},
		"cisco_mpls":             {capture.LinkCiscoHDLC, "0f00 8847 00064140 {ip}", 0, ""},
		"cisco_direction":        {capture.LinkCiscoDir, "01 0f00 {type} {ip}", 0, ""},
		"ppp_direction":          {capture.LinkPPPDir, "00 ff03 {ppp} {ip}", 0, ""},
		"ppp_direction_unframed": {capture.LinkPPPDir, "01 {ppp} {ip}", 0, ""},
		// The direction stands in place of the address.
		"pppd_in":         {capture.LinkPPPD, "00 03 {ppp} {ip}", 0, ""},
		"pppd_out":        {capture.LinkPPPD, "01 03 {ppp} {ip}", 0, ""},
		"pppd_compressed": {capture.LinkPPPD, "01 03 {p} {ip}", 0, ""},
		// One that says too much is as long as the frame.
		"pppoe":              {capture.LinkPPPEther, pppoe("ffff") + "{ppp} {ip}", 0, ""},
		"pppoe_on_ethernet":  {capture.LinkEthernet, frame("8864") + pppoe("ffff") + "{ppp} {ip}", 0, ""},
		"pppoe_on_vlan":      {capture.LinkEthernet, frame("8100") + "0007 8864" + pppoe("ffff") + "{ppp} {ip}", 0, ""},
		"pppoe_on_sll":       {capture.LinkLinuxSLL, "0000 0001 0006 020000000001 0000 8864" + pppoe("ffff") + "{ppp} {ip}", 0, ""},
		"pppoe_framed":       {capture.LinkPPPEther, pppoe("ffff") + "ff03 {ppp} {ip}", 0, ""},
		"pppoe_ipv4_padding": {capture.LinkEthernet, frame("8864") + pppoe("ffff") + "{ppp} {ip}" + pad, 0, ""},
	} {
		l4, l6 := l, l
		l4.hex, l4.want = inside(l.hex, false), tcp4
		l6.hex, l6.want = inside(l.hex, true), tcp6
		rows[name+"_of_ipv4"], rows[name+"_of_ipv6"] = l4, l6
	}
	return rows
}

func TestSerial(t *testing.T) {
	rows := serial()
	run(t, rows)
	cutLink(t, rows)
}

// cutLink cuts the packets of rows, which must come to TCP, everywhere: they
// stay that, or lost a header, to the capture or not.
func cutLink(t *testing.T, rows map[string]layout) {
	t.Helper()
	var d Decoder
	for name, l := range rows {
		data := unhex(t, l.hex)
		for n := range data {
			p := capture.Packet{Data: data[:n], Length: len(data), Link: l.link}
			switch k := d.Decode(&p); {
			case k == CutShort:
			case k == TCP && d.Segment.Length == len("hello") && strings.HasPrefix("hello", string(d.Segment.Payload)):
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

func TestMalformedSerial(t *testing.T) {
	const (
		ppp   = capture.LinkPPP
		cisco = capture.LinkCiscoHDLC
		pppoe = capture.LinkPPPEther
	)
	ip := inside("{ip}", false)
	run(t, map[string]layout{
		"ppp_empty":            {ppp, "", 0, "undecoded: short link header"},
		"ppp_short":            {ppp, "00", 0, "undecoded: short link header"},
		"ppp_cut":              {ppp, "00", 1, "cut: short link header"},
		"ppp_framed_short":     {ppp, "ff03 00", 0, "undecoded: short link header"},
		"ppp_framed_cut":       {ppp, "ff03 00", 46, "cut: short link header"},
		"ppp_of_nothing":       {ppp, "ff03 0021", 0, "undecoded: short ip header"},
		"ppp_lcp":              {ppp, "ff03 c021 0101 0004", 0, "other: ppp lcp"},
		"ppp_pap":              {ppp, "ff03 c023 0101 0004", 0, "other: ppp pap"},
		"ppp_quality":          {ppp, "ff03 c025 0101 0004", 0, "other: ppp quality report"},
		"ppp_chap":             {ppp, "ff03 c223 0101 0004", 0, "other: ppp chap"},
		"ppp_ipcp":             {ppp, "ff03 8021 0101 0004", 0, "other: ppp ipcp"},
		"ppp_ipv6cp":           {ppp, "ff03 8057 0101 0004", 0, "other: ppp ipv6cp"},
		"ppp_ccp":              {ppp, "ff03 80fd 0101 0004", 0, "other: ppp ccp"},
		"ppp_unknown":          {ppp, "ff03 002d" + ip, 0, "undecoded: ppp protocol 0x002d"},
		"ppp_compressed_other": {ppp, "ff03 2d" + ip, 0, "undecoded: ppp protocol 0x002d"},
		"ppp_bridge_short":     {ppp, "ff03 0031 00", 0, "undecoded: short link header"},
		"ppp_bridge_cut":       {ppp, "ff03 0031 00", 60, "cut: short link header"},
		"ppp_bridge_lan_short": {ppp, "ff03 0031 4001 000000", 0, "undecoded: short tunnel header"},
		"ppp_bridge_of_tokens": {ppp, "ff03 0031 0003" + inside("{frame}{ip}", false), 0, "undecoded: ppp protocol 0x0031"},
		"direction_empty":      {capture.LinkPPPDir, "", 0, "undecoded: short link header"},
		"direction_cut":        {capture.LinkCiscoDir, "", 49, "cut: short link header"},
		"direction_of_nothing": {capture.LinkPPPDir, "00", 0, "undecoded: short link header"},
		"pppd_short":           {capture.LinkPPPD, "00", 0, "undecoded: short link header"},
		"pppd_cut":             {capture.LinkPPPD, "00", 49, "cut: short link header"},

		"cisco_short":          {cisco, "0f00 08", 0, "undecoded: short link header"},
		"cisco_cut":            {cisco, "0f00 08", 46, "cut: short link header"},
		"cisco_of_nothing":     {cisco, "0f00 0800", 0, "undecoded: short ip header"},
		"cisco_slarp":          {cisco, "8f00 8035 00000002 00000001 00000001 ffff", 0, "other: cisco slarp"},
		"cisco_cdp":            {cisco, "8f00 2000 02b4", 0, "other: cdp"},
		"cisco_no_length":      {cisco, "0f00 0031" + ip, 0, "undecoded: ethertype 0x0031"},
		"hdlc_cisco_short":     {capture.LinkPPPHDLC, "0f00 08", 0, "undecoded: short link header"},
		"hdlc_empty":           {capture.LinkPPPHDLC, "", 0, "undecoded: short link header"},
		"cisco_in_ppp":         {ppp, "0f00 0800" + ip, 0, tcp4}, // no protocol has that number
		"cisco_is_cisco's":     {cisco, "ff03 0800" + ip, 0, tcp4},
		"slarp_is_no_rarp":     {capture.LinkEthernet, frame("8035") + pad, 0, "other: rarp"},
		"ppp_on_ethernet":      {capture.LinkEthernet, frame("880b") + "0021" + ip, 0, "undecoded: ethertype 0x880b"},
		"pppoe_short":          {pppoe, "11 00 0007 00", 0, "undecoded: short link header"},
		"pppoe_cut":            {pppoe, "11 00 0007 00", 48, "cut: short link header"},
		"pppoe_discovery":      {pppoe, "11 09 0000 0004 0101 0000", 0, "other: pppoe discovery"},
		"pppoe_discovery_8863": {capture.LinkEthernet, frame("8863") + "11 09 0000 0004 0101 0000", 0, "other: pppoe discovery"},
		"pppoe_version_2":      {pppoe, "21 00 0007 002f 0021" + ip, 0, "undecoded: malformed link header"},
		"pppoe_type_2":         {pppoe, "12 00 0007 002f 0021" + ip, 0, "undecoded: malformed link header"},
		"pppoe_of_nothing":     {pppoe, "11 00 0007 0000 0021" + ip, 0, "undecoded: short link header"},
		"pppoe_length":         {pppoe, "11 00 0007 002f 0021" + ip + pad, 0, tcp4},
		"pppoe_lcp_padded":     {pppoe, "11 00 0007 0006 c021 0901 0004" + pad, 0, "other: ppp lcp"},
		// What is behind the length is padding, and not the rest of the packet.
		"pppoe_length_below":     {pppoe, "11 00 0007 002d 0021" + ip, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hel" of 5`},
		"pppoe_offload":          {pppoe, "11 00 0007 002f 0021" + ip4(0, 6) + tcp20 + hello + pad, 0, tcp4},
		"pppoe_length_within_ip": {pppoe, "11 00 0007 0012 0021" + ip, 0, "undecoded: short ipv4 header"},
	})
}
