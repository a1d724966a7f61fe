package packet

import (
	"fmt"
	"strings"
	"testing"

	"netlab/capture"
)

func TestLink(t *testing.T) {
	const (
		eth  = capture.LinkEthernet
		vlan = "0007"
		sll  = "0000 0001 0006 020000000001 0000"
		sll2 = "0000 00000003 0001 00 06 020000000001 0000"
	)
	v4, v6 := ip4(45, 6)+tcp20+hello, ip6(25, 6)+tcp20+hello
	run(t, map[string]layout{
		"ethernet":                  {eth, frame("0800") + v4, 0, tcp4},
		"ethernet_ipv6":             {eth, frame("86dd") + v6, 0, tcp6},
		"ethernet_empty":            {eth, "", 0, "undecoded: short link header"},
		"ethernet_short":            {eth, macs + "08", 0, "undecoded: short link header"},
		"ethernet_cut":              {eth, macs + "08", 1, "cut: short link header"},
		"ethernet_short_and_cut":    {eth, "0200", 11, "undecoded: short link header"},
		"ethernet_without_ip":       {eth, frame("0800"), 0, "undecoded: short ip header"},
		"ethernet_ipv6_cut_away":    {eth, frame("86dd"), 60, "cut: short ip header"},
		"ethertype_against_version": {eth, frame("0800") + v6, 0, tcp6},

		"tag_802_1q":          {eth, frame("8100") + vlan + "0800" + v4, 0, tcp4},
		"tag_802_1q_ipv6":     {eth, frame("8100") + vlan + "86dd" + v6, 0, tcp6},
		"tag_priority_only":   {eth, frame("8100") + "e000 0800" + v4, 0, tcp4},
		"tag_qinq":            {eth, frame("88a8") + vlan + "8100" + vlan + "0800" + v4, 0, tcp4},
		"tag_qinq_old":        {eth, frame("9100") + vlan + "8100" + vlan + "0800" + v4, 0, tcp4},
		"tags_three":          {eth, frame("88a8") + vlan + "8100" + vlan + "8100" + vlan + "0800" + v4, 0, tcp4},
		"tags_at_the_bound":   {eth, frame("8100") + strings.Repeat(vlan+"8100", maxTags-1) + vlan + "0800" + v4, 0, tcp4},
		"tags_over_the_bound": {eth, frame("8100") + strings.Repeat(vlan+"8100", maxTags) + vlan + "0800" + v4, 0, "undecoded: ethertype 0x8100"},
		"tag_short":           {eth, frame("8100") + vlan + "08", 0, "undecoded: short link header"},
		"tag_cut":             {eth, frame("8100") + vlan + "08", 1, "cut: short link header"},
		"tag_second_cut":      {eth, frame("88a8") + vlan + "8100", 40, "cut: short link header"},
		"tag_and_arp":         {eth, frame("8100") + vlan + "0806" + pad, 0, "other: arp"},
		"tag_and_802_3":       {eth, frame("8100") + vlan + "0026" + "424203", 0, "other: 802.3 frame"},

		"802_3_length":         {eth, frame("0026") + "424203", 0, "other: 802.3 frame"},
		"802_3_length_0":       {eth, frame("0000") + pad, 0, "other: 802.3 frame"},
		"802_3_highest_length": {eth, frame("05ff") + "424203", 0, "other: 802.3 frame"},
		"lowest_ethertype":     {eth, frame("0600") + pad, 0, "undecoded: ethertype 0x0600"},

		"arp":               {eth, frame("0806") + pad, 0, "other: arp"},
		"arp_cut":           {eth, frame("0806"), 28, "other: arp"},
		"rarp":              {eth, frame("8035") + pad, 0, "other: rarp"},
		"flow_control":      {eth, frame("8808") + pad, 0, "other: ethernet flow control"},
		"lacp":              {eth, frame("8809") + pad, 0, "other: lacp"},
		"eapol":             {eth, frame("888e") + pad, 0, "other: eapol"},
		"lldp":              {eth, frame("88cc") + pad, 0, "other: lldp"},
		"ptp":               {eth, frame("88f7") + pad, 0, "other: ptp"},
		"loopback_test":     {eth, frame("9000") + pad, 0, "other: ethernet loopback"},
		"ethertype_unknown": {eth, frame("88b5") + v4, 0, "undecoded: ethertype 0x88b5"},

		"sll":             {capture.LinkLinuxSLL, sll + "0800" + v4, 0, tcp4},
		"sll_ipv6":        {capture.LinkLinuxSLL, sll + "86dd" + v6, 0, tcp6},
		"sll_vlan":        {capture.LinkLinuxSLL, sll + "8100" + vlan + "0800" + v4, 0, tcp4},
		"sll_arp":         {capture.LinkLinuxSLL, sll + "0806" + pad, 0, "other: arp"},
		"sll_802_2":       {capture.LinkLinuxSLL, sll + "0004" + "424203", 0, "other: 802.3 frame"},
		"sll_without_ip":  {capture.LinkLinuxSLL, sll + "0800", 0, "undecoded: short ip header"},
		"sll2_without_ip": {capture.LinkLinuxSLL2, "0800" + sll2, 0, "undecoded: short ip header"},
		"sll_short":       {capture.LinkLinuxSLL, sll + "08", 0, "undecoded: short link header"},
		"sll_cut":         {capture.LinkLinuxSLL, sll + "08", 1, "cut: short link header"},
		"sll2":            {capture.LinkLinuxSLL2, "0800" + sll2 + v4, 0, tcp4},
		"sll2_ipv6":       {capture.LinkLinuxSLL2, "86dd" + sll2 + v6, 0, tcp6},
		"sll2_vlan":       {capture.LinkLinuxSLL2, "8100" + sll2 + vlan + "0800" + v4, 0, tcp4},
		"sll2_arp":        {capture.LinkLinuxSLL2, "0806" + sll2 + pad, 0, "other: arp"},
		"sll2_short":      {capture.LinkLinuxSLL2, "0800" + first(17, sll2), 0, "undecoded: short link header"},
		"sll2_cut":        {capture.LinkLinuxSLL2, "0800" + first(17, sll2), 1, "cut: short link header"},

		"null_ipv4_little_endian":         {capture.LinkNull, "02000000" + v4, 0, tcp4},
		"null_ipv4_big_endian":            {capture.LinkNull, "00000002" + v4, 0, tcp4},
		"null_ipv6_linux_little_endian":   {capture.LinkNull, "0a000000" + v6, 0, tcp6},
		"null_ipv6_linux_big_endian":      {capture.LinkNull, "0000000a" + v6, 0, tcp6},
		"null_ipv6_openbsd_little_endian": {capture.LinkNull, "18000000" + v6, 0, tcp6},
		"null_ipv6_openbsd_big_endian":    {capture.LinkNull, "00000018" + v6, 0, tcp6},
		"null_ipv6_freebsd_little_endian": {capture.LinkNull, "1c000000" + v6, 0, tcp6},
		"null_ipv6_freebsd_big_endian":    {capture.LinkNull, "0000001c" + v6, 0, tcp6},
		"null_ipv6_macos_little_endian":   {capture.LinkNull, "1e000000" + v6, 0, tcp6},
		"null_ipv6_macos_big_endian":      {capture.LinkNull, "0000001e" + v6, 0, tcp6},
		"null_family_against_version":     {capture.LinkNull, "02000000" + v6, 0, tcp6},
		"null_appletalk_little_endian":    {capture.LinkNull, "10000000" + v4, 0, "undecoded: address family 16"},
		"null_appletalk_big_endian":       {capture.LinkNull, "00000010" + v4, 0, "undecoded: address family 16"},
		"null_lowest_family":              {capture.LinkNull, "00000000" + v4, 0, "undecoded: address family 0"},
		"null_highest_family":             {capture.LinkNull, "0000ffff" + v4, 0, "undecoded: address family 65535"},
		"null_lowest_that_is_turned":      {capture.LinkNull, "00010000" + v4, 0, "undecoded: address family 256"},
		"null_family_in_no_order":         {capture.LinkNull, "12345678" + v4, 0, "undecoded: malformed link header"},
		"null_family_in_no_order_either":  {capture.LinkNull, "0f0f0f0f" + v4, 0, "undecoded: malformed link header"},
		"null_without_ip":                 {capture.LinkNull, "02000000", 0, "undecoded: short ip header"},
		"null_short":                      {capture.LinkNull, "020000", 0, "undecoded: short link header"},
		"null_cut":                        {capture.LinkNull, "020000", 50, "cut: short link header"},
		"loop_ipv4":                       {capture.LinkLoop, "00000002" + v4, 0, tcp4},
		"loop_ipv6":                       {capture.LinkLoop, "00000018" + v6, 0, tcp6},
		"loop_unknown":                    {capture.LinkLoop, "00000007" + v4, 0, "undecoded: address family 7"},

		"raw":                     {capture.LinkRaw, v4, 0, tcp4},
		"raw_ipv6":                {capture.LinkRaw, v6, 0, tcp6},
		"raw_linux":               {capture.LinkRawLinux, v4, 0, tcp4},
		"raw_linux_ipv6":          {capture.LinkRawLinux, v6, 0, tcp6},
		"raw_openbsd":             {capture.LinkRawBSD, v4, 0, tcp4},
		"raw_openbsd_ipv6":        {capture.LinkRawBSD, v6, 0, tcp6},
		"raw_other_version":       {capture.LinkRaw, "5" + v4[1:], 0, "undecoded: ip version 5"},
		"raw_empty":               {capture.LinkRaw, "", 0, "undecoded: short ip header"},
		"raw_cut_away":            {capture.LinkRaw, "", 40, "cut: short ip header"},
		"ipv4":                    {228, v4, 0, tcp4},
		"ipv4_against_version":    {228, v6, 0, tcp6},
		"ipv6":                    {229, v6, 0, tcp6},
		"ipv6_against_version":    {229, v4, 0, tcp4},
		"unknown_link":            {147, v4, 0, "undecoded: linktype 147"},
		"unknown_link_of_32_bits": {1<<32 - 1, v4, 0, "undecoded: linktype 4294967295"},
		"unknown_link_and_empty":  {147, "", 0, "undecoded: linktype 147"},
	})
}

// frames returns what stands in frames of other kinds than Ethernet's, and LLC
// and MPLS, with packets of both families inside.
func frames() map[string]layout {
	const (
		eth    = capture.LinkEthernet
		labels = "00064040"
		bottom = "00064140"
		sll    = "0000 0001 0006 020000000001 0000"
		pktap  = "6c000000 01000000"
	)
	rows := make(map[string]layout)
	for name, l := range map[string]layout{
		"mpls":                 {eth, frame("8847") + bottom + "{ip}", 0, ""},
		"mpls_multicast":       {eth, frame("8848") + bottom + "{ip}", 0, ""},
		"mpls_padded":          {eth, frame("8847") + bottom + "{ip}" + pad, 0, ""},
		"mpls_three":           {eth, frame("8847") + labels + labels + bottom + "{ip}", 0, ""},
		"mpls_at_the_bound":    {eth, frame("8847") + strings.Repeat(labels, maxTags-1) + bottom + "{ip}", 0, ""},
		"mpls_on_vlan":         {eth, frame("8100") + "0007 8847" + bottom + "{ip}", 0, ""},
		"mpls_bare":            {capture.LinkMPLS, bottom + "{ip}", 0, ""},
		"mpls_on_sll":          {capture.LinkLinuxSLL, sll + "8847" + bottom + "{ip}", 0, ""},
		"mpls_ethernet":        {eth, frame("8847") + bottom + "{frame}{ip}", 0, ""},
		"mpls_control_word":    {eth, frame("8847") + bottom + "00000000 {frame}{ip}", 0, ""},
		"mpls_control_counts":  {eth, frame("8847") + bottom + "0000abcd {frame}{ip}" + pad, 0, ""},
		"mpls_ethernet_of_00":  {eth, frame("8847") + bottom + "001b21000001 020000000002 {type} {ip}", 0, ""}, // the address of a card
		"mpls_ethernet_vlan":   {eth, frame("8847") + bottom + frame("8100") + "0007 {type} {ip}", 0, ""},
		"mpls_ethernet_labels": {eth, frame("8847") + bottom + frame("8847") + bottom + "{ip}", 0, ""},

		"nflog":             {capture.LinkNFLOG, "02 00 0001 0800 0100 0800 0001 {nf}", 0, ""},
		"nflog_names":       {capture.LinkNFLOG, "0a 00 0001 0800 0100 0800 0001 0600 0a00 6100 0000 {nf}", 0, ""},
		"nflog_big_endian":  {capture.LinkNFLOG, "02 00 0001 0008 0001 0800 0001 0006 000a 6100 0000 {fn}", 0, ""},
		"nflog_nested":      {capture.LinkNFLOG, "02 00 0001 0c00 1380 0800 0100 00000000 {nf}", 0, ""},
		"nflog_nested_big":  {capture.LinkNFLOG, "02 00 0001 000c 8013 0008 0001 00000000 {fn}", 0, ""},
		"nflog_only_packet": {capture.LinkNFLOG, "02 00 0000 {nf}", 0, ""},

		"ppi":             {capture.LinkPPI, "00 00 0800 65000000 {ip}", 0, ""},
		"ppi_ethernet":    {capture.LinkPPI, "00 00 0800 01000000 {frame}{ip}" + pad, 0, ""},
		"ppi_fields":      {capture.LinkPPI, "00 00 1000 65000000 0200 0400 eeeeeeee {ip}", 0, ""},
		"ppi_wifi":        {capture.LinkPPI, "00 00 0800 69000000 0800" + dot11 + snap + "{type} {ip}", 0, ""},
		"pktap":           {capture.LinkPKTAP, pktap + "0c000000" + strings.Repeat("ee", 96) + "{ip}", 0, ""},
		"pktap_ethernet":  {capture.LinkPKTAP, pktap + "01000000" + strings.Repeat("ee", 96) + "{frame}{ip}" + pad, 0, ""},
		"pktap_user":      {capture.LinkPKTAPUser, pktap + "00000000" + strings.Repeat("ee", 96) + "02000000 {ip}", 0, ""},
		"pktap_of_12":     {capture.LinkPKTAP, "0c000000 01000000 65000000 {ip}", 0, ""},
		"pktap_radiotap":  {capture.LinkPKTAP, "0c000000 01000000 7f000000" + radiotap("", 0) + "0800" + dot11 + snap + "{type} {ip}", 0, ""},
		"sll_802_2_snap":  {capture.LinkLinuxSLL, sll + "0004" + snap + "{type} {ip}", 0, ""},
		"sll_802_2_ip":    {capture.LinkLinuxSLL, sll + "0004 060603 {ip}", 0, ""},
		"sll2_802_2_snap": {capture.LinkLinuxSLL2, "0004 0000 00000003 0001 00 06 020000000001 0000" + snap + "{type} {ip}", 0, ""},
	} {
		for _, v6 := range []bool{false, true} {
			ip, family, want := inside("{ip}", v6), "_of_ipv4", tcp4
			if v6 {
				family, want = "_of_ipv6", tcp6
			}
			n, filler := size(ip)+4, strings.Repeat("00", -size(ip)&3)
			hex := inside(l.hex, v6)
			hex = strings.Replace(hex, "{nf}", fmt.Sprintf("%02x00 0900", n)+ip+filler, 1)
			hex = strings.Replace(hex, "{fn}", fmt.Sprintf("00%02x 0009", n)+ip+filler, 1)
			rows[name+family] = layout{l.link, hex, 0, want}
		}
	}
	for _, v6 := range []bool{false, true} {
		family, want := "_of_ipv4", tcp4
		if v6 {
			family, want = "_of_ipv6", tcp6
		}
		for name, hex := range map[string]string{
			"snap":         snap + "{type} {ip}",
			"snap_bridged": "aaaa03 0000f8 {type} {ip}",
			"snap_cisco":   "aaaa03 00000c {type} {ip}",
			"snap_group":   "abab03 000000 {type} {ip}",
			"snap_vlan":    snap + "8100 0007 {type} {ip}",
			"llc_ip":       "060603 {ip}",
		} {
			hex = inside(hex, v6)
			rows["802_3_"+name+family] = layout{eth, frame(fmt.Sprintf("%04x", size(hex))) + hex, 0, want}
			rows["802_3_"+name+family+"_padded"] = layout{eth, frame(fmt.Sprintf("%04x", size(hex))) + hex + pad, 0, want}
			rows["802_3_"+name+family+"_length_0"] = layout{eth, frame("0000") + hex, 0, want}
			rows["802_3_"+name+family+"_tagged"] = layout{eth, frame("8100") + "0007" + fmt.Sprintf("%04x", size(hex)) + hex + pad, 0, want}
		}
	}
	return rows
}

func TestFrames(t *testing.T) {
	rows := frames()
	run(t, rows)
	cutLink(t, rows)
}

func TestMalformedFrames(t *testing.T) {
	const (
		eth    = capture.LinkEthernet
		bottom = "00064140"
	)
	ip := inside("{ip}", false)
	run(t, map[string]layout{
		"snap_short":           {eth, frame("0007") + "aaaa03 000000 08", 0, "undecoded: short link header"},
		"snap_short_by_length": {eth, frame("0007") + snap + "0800" + ip, 0, "undecoded: short link header"},
		"snap_cut":             {eth, frame("0035") + "aaaa03 000000 08", 46, "cut: short link header"},
		"snap_of_another":      {eth, frame("0035") + "aaaa03 00e02b 00bb" + ip, 0, "other: 802.3 frame"},
		"snap_of_length":       {eth, frame("0035") + snap + "0026" + ip, 0, "other: 802.3 frame"},
		"snap_cdp":             {eth, frame("0035") + "aaaa03 00000c 2000" + ip, 0, "other: cdp"},
		"snap_numbered":        {eth, frame("0035") + "aaaa00 000000 0800" + ip, 0, "other: 802.3 frame"},
		"llc_short":            {eth, frame("0002") + "0606" + pad, 0, "other: 802.3 frame"},
		"llc_cut":              {eth, frame("0030") + "0606", 46, "cut: short link header"},
		"llc_ip_of_nothing":    {eth, frame("0003") + "060603" + pad, 0, "undecoded: short ip header"},
		"llc_ip_numbered":      {eth, frame("0030") + "060600" + ip, 0, "other: 802.3 frame"},
		"llc_length_below_ip":  {eth, frame("002e") + "060603" + ip, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hel" of 5`},
		"llc_offload_padded":   {eth, frame("0030") + "060603" + ip4(0, 6) + tcp20 + hello + pad, 0, tcp4},
		"802_3_length_1":       {eth, frame("0001") + "060603" + ip, 0, "other: 802.3 frame"},
		"802_3_length_4":       {eth, frame("0004") + "060603" + ip, 0, "undecoded: short ipv4 header"},
		"ppi_802_3_length_4":   {capture.LinkPPI, "00 00 0800 01000000" + frame("0004") + "060603" + ip, 0, "undecoded: short ipv4 header"},
		"sll_802_3":            {capture.LinkLinuxSLL, "0000 0001 0006 020000000001 0000 0001" + "ffff" + ip, 0, "other: 802.3 frame"},
		"mpls_short":           {eth, frame("8847") + "000641", 0, "undecoded: short link header"},
		"mpls_cut":             {eth, frame("8847") + "000641", 46, "cut: short link header"},
		"mpls_no_bottom":       {eth, frame("8847") + "00064040 00064040", 0, "undecoded: short link header"},
		"mpls_over_the_bound":  {eth, frame("8847") + strings.Repeat("00064040", maxTags) + bottom + ip, 0, "undecoded: malformed link header"},
		"mpls_of_nothing":      {eth, frame("8847") + bottom, 0, "undecoded: short ip header"},
		"mpls_cut_away":        {eth, frame("8847") + bottom, 45, "cut: short ip header"},
		"mpls_channel":         {eth, frame("8847") + bottom + "10000021" + ip, 0, "other: mpls associated channel"},
		"mpls_control_short":   {eth, frame("8847") + bottom + "000000", 0, "undecoded: short link header"},
		"mpls_control_cut":     {eth, frame("8847") + bottom + "000000", 60, "cut: short link header"},
		// The address looks like a version of IP, but nothing else does.
		"mpls_ethernet_of_4":   {eth, frame("8847") + bottom + "42000000ffff 020000000002 0800" + ip, 0, tcp4},
		"mpls_ethernet_of_6":   {eth, frame("8847") + bottom + "62000000ffff 020000000002 0800" + ip, 0, tcp4},
		"mpls_ethernet_short":  {eth, frame("8847") + bottom + macs, 0, "undecoded: short link header"},
		"nflog_short":          {capture.LinkNFLOG, "020000", 0, "undecoded: short link header"},
		"nflog_cut":            {capture.LinkNFLOG, "020000", 60, "cut: short link header"},
		"nflog_nothing":        {capture.LinkNFLOG, "02000001", 0, "other: a log entry without a packet"},
		"nflog_no_packet":      {capture.LinkNFLOG, "02000001 0800 0100 0800 0001", 0, "other: a log entry without a packet"},
		"nflog_no_packet_odd":  {capture.LinkNFLOG, "02000001 0500 0a00 00", 0, "other: a log entry without a packet"},
		"nflog_attribute_cut":  {capture.LinkNFLOG, "02000001 0800 0100 0800", 60, "cut: short link header"},
		"nflog_header_cut":     {capture.LinkNFLOG, "02000001 0800 01", 60, "cut: short link header"},
		"nflog_attribute_lies": {capture.LinkNFLOG, "02000001 ff00 0100 0800 0001", 0, "undecoded: malformed link header"},
		"nflog_attribute_of_3": {capture.LinkNFLOG, "02000001 0300 0100 0800 0001", 0, "undecoded: malformed link header"},
		"nflog_attribute_of_0": {capture.LinkNFLOG, "02000001 0000 0000 0000 0000", 0, "undecoded: malformed link header"},
		"nflog_packet_of_none": {capture.LinkNFLOG, "02000001 0400 0900", 0, "undecoded: short ip header"},
		"nflog_packet_lies":    {capture.LinkNFLOG, "02000001 3200 0900" + ip, 0, "undecoded: malformed link header"},
		"nflog_packet_below":   {capture.LinkNFLOG, "02000001 2f00 0900" + ip, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hel" of 5`},
		"nflog_bridge":         {capture.LinkNFLOG, "07000001 3100 0900" + ip, 0, "undecoded: address family 7"},
		"ppi_short":            {capture.LinkPPI, "00 00 0800 650000", 0, "undecoded: short link header"},
		"ppi_cut":              {capture.LinkPPI, "00 00 0800 650000", 60, "cut: short link header"},
		"ppi_length_7":         {capture.LinkPPI, "00 00 0700 65000000" + ip, 0, "undecoded: malformed link header"},
		"ppi_lies":             {capture.LinkPPI, "00 00 3600 65000000" + ip, 0, "undecoded: malformed link header"},
		"ppi_fields_cut":       {capture.LinkPPI, "00 00 2000 65000000", 60, "cut: short link header"},
		"ppi_unknown":          {capture.LinkPPI, "00 00 0800 93000000" + ip, 0, "undecoded: linktype 147"},
		"ppi_highest":          {capture.LinkPPI, "00 00 0800 ffff0000" + ip, 0, "undecoded: linktype 65535"},
		// Or a hostile capture could make up a Reason for each packet.
		"ppi_over_16_bits":   {capture.LinkPPI, "00 00 0800 00000100" + ip, 0, "undecoded: malformed link header"},
		"pktap_over_16_bits": {capture.LinkPKTAP, "0c000000 01000000 efbeadde" + ip, 0, "undecoded: malformed link header"},
		"pktap_short":        {capture.LinkPKTAP, "0c000000 01000000 650000", 0, "undecoded: short link header"},
		"pktap_cut":          {capture.LinkPKTAP, "6c000000 01000000 65000000", 180, "cut: short link header"},
		"pktap_length_11":    {capture.LinkPKTAP, "0b000000 01000000 65000000" + ip, 0, "undecoded: malformed link header"},
		"pktap_length_huge":  {capture.LinkPKTAP, "ffffffff 01000000 65000000" + ip, 0, "undecoded: malformed link header"},
	})
}
