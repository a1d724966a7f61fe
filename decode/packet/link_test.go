package packet

import (
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
