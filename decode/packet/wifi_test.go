package packet

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
	"testing"

	"netlab/capture"
)

// radiotap is a header with the words that say what is present, and fields.
func radiotap(fields string, present ...uint32) string {
	b := binary.LittleEndian.AppendUint16([]byte{0, 0}, uint16(4+4*len(present)+size(fields)))
	for _, p := range present {
		b = binary.LittleEndian.AppendUint32(b, p)
	}
	return fmt.Sprintf("%x", b) + fields
}

const (
	// dot11 is what is behind the frame control of an 802.11 header: a duration,
	// three addresses, the sequence control (fragment 0 of 0x123).
	dot11 = "3a01 020000000001 020000000002 020000000003 3012"
	// snap is an 802.2 header before an EtherType.
	snap = "aaaa03 000000"
)

// wireless returns every header of 802.11 with packets of both families inside.
func wireless() map[string]layout {
	const (
		rest = snap + "{type} {ip}"
		htc  = "01020304"
		to4  = "020000000004"
		data = "0800" + dot11 + rest
		// The same with two bytes of padding behind its 26.
		qos       = "8800" + dot11 + "0000" + rest
		qosPadded = "8800" + dot11 + "0000 eeee" + rest
		flags     = 1 << 1
		tsft      = 1
		more      = 1 << 31
		dataPad   = "20"
		prism     = "44000000 90000000"
	)
	amsdu := func(next string) string {
		return "8801" + dot11 + "8000 020000000001 020000000002" + next + rest
	}
	rows := make(map[string]layout)
	both := func(name string, link capture.LinkType, hex string) {
		rows[name+"_of_ipv4"] = layout{link, inside(hex, false), 0, tcp4}
		rows[name+"_of_ipv6"] = layout{link, inside(hex, true), 0, tcp6}
	}
	for name, hex := range map[string]string{
		"data":           data,
		"data_to_ds":     "0801" + dot11 + rest,
		"data_from_ds":   "0802" + dot11 + rest,
		"data_four":      "0803" + dot11 + to4 + rest,
		"data_cf_ack":    "1800" + dot11 + rest,
		"data_cf_poll":   "2800" + dot11 + rest,
		"data_retry":     "0808" + dot11 + rest,
		"data_ordered":   "0880" + dot11 + rest, // without QoS there is no HT control
		"data_checked":   data + "eeeeeeee",
		"qos":            qos,
		"qos_four":       "8803" + dot11 + to4 + "0000" + rest,
		"qos_ht":         "8880" + dot11 + "0000" + htc + rest,
		"qos_four_ht":    "8883" + dot11 + to4 + "0000" + htc + rest,
		"qos_priority":   "8801" + dot11 + "0700" + rest,
		"data_llc_of_ip": "0800" + dot11 + "060603 {ip}",
		"data_bridged":   "0800" + dot11 + "aaaa03 0000f8 {type} {ip}",
		"data_vlan":      "0800" + dot11 + snap + "8100 0007 {type} {ip}",
		"aggregate":      amsdu("ffff"), // longer than there is
		"aggregate_four": "8803" + dot11 + to4 + "8000 020000000001 020000000002 ffff" + rest,
	} {
		both("bare_"+name, capture.LinkWiFi, hex)
		both("radiotap_"+name, capture.LinkRadiotap, radiotap("", 0)+hex)
		both("prism_"+name, capture.LinkPrism, prism+strings.Repeat("00", 136)+hex)
		both("avs_"+name, capture.LinkAVS, "80211001 00000040"+strings.Repeat("00", 56)+hex)
	}
	for name, hex := range map[string]string{
		"pad":            radiotap(dataPad, flags) + qosPadded,
		"pad_time":       radiotap("0102030405060708"+dataPad, flags|tsft) + qosPadded,
		"pad_not_needed": radiotap(dataPad, flags) + data,
		"pad_four":       radiotap(dataPad, flags) + "8803" + dot11 + to4 + "0000" + rest,
		"pad_ht":         radiotap(dataPad, flags) + "8880" + dot11 + "0000" + htc + "eeee" + rest,
		"pad_aggregate":  radiotap(dataPad, flags) + strings.Replace(amsdu("ffff"), "8000", "8000 eeee", 1),
		"no_pad":         radiotap("df", flags) + qos,
		"no_flags":       radiotap("20", 1<<2) + qos,
		"two_words":      radiotap(dataPad, flags|more, 0) + qosPadded,
		// Of three words and the length, 16 bytes, the time needs no aligning; of
		// two and the length, 12, it does.
		"three_words_time":  radiotap("0102030405060708"+dataPad, flags|tsft|more, more, 0) + qosPadded,
		"two_words_time":    radiotap("eeeeeeee 0102030405060708"+dataPad, flags|tsft|more, 0) + qosPadded,
		"second_word_flags": radiotap("20", more, flags) + qos,
		"flags_missing":     radiotap("", flags) + qos,
		"words_missing":     radiotap("", flags|more) + qos,
		"long":              radiotap(strings.Repeat("20", 300), 1<<20) + qos,
	} {
		both("radiotap_"+name, capture.LinkRadiotap, hex)
	}
	for name, hex := range map[string]string{
		"big_endian": "00000044 00000090" + strings.Repeat("00", 136),
		"length_0":   "44000000 00000000" + strings.Repeat("00", 136),
		"avs":        "80211001 00000040" + strings.Repeat("00", 56),
		"avs_2":      "80211002 00000050" + strings.Repeat("00", 72),
		"short":      "44000000 08000000",
	} {
		both("prism_"+name, capture.LinkPrism, hex+data)
	}
	// Its own length, and what may be behind it.
	rows["aggregate_padded"] = layout{capture.LinkWiFi, inside(amsdu("0035"), false) + "eeeeee eeeeeeee", 0, tcp4}
	rows["aggregate_offload"] = layout{capture.LinkWiFi, strings.Replace(inside(amsdu("0035"), false), ip4(45, 6), ip4(0, 6), 1) + "eeeeee", 0, tcp4}
	return rows
}

func TestWiFi(t *testing.T) {
	rows := wireless()
	run(t, rows)
	maps.DeleteFunc(rows, func(name string, _ layout) bool {
		return strings.HasSuffix(name, "_missing_of_ipv4") || strings.HasSuffix(name, "_missing_of_ipv6")
	})
	cutLink(t, rows)
}

func TestMalformedWiFi(t *testing.T) {
	const wifi = capture.LinkWiFi
	rest := inside(snap+"{type} {ip}", false)
	inner := "020000000001 020000000002 0035" + rest
	run(t, map[string]layout{
		"empty":                     {wifi, "", 0, "undecoded: short link header"},
		"cut_away":                  {wifi, "", 80, "cut: short link header"},
		"short":                     {wifi, "0800" + first(21, dot11), 0, "undecoded: short link header"},
		"cut":                       {wifi, "0800" + first(21, dot11), 60, "cut: short link header"},
		"four_short":                {wifi, "0803" + dot11 + "0200000000", 0, "undecoded: short link header"},
		"qos_short":                 {wifi, "8800" + dot11 + "00", 0, "undecoded: short link header"},
		"ht_short":                  {wifi, "8880" + dot11 + "0000 010203", 0, "undecoded: short link header"},
		"beacon":                    {wifi, "8000" + dot11 + rest, 0, "other: 802.11 management"},
		"acknowledgement":           {wifi, "d400 0000 020000000001", 0, "other: 802.11 control"},
		"extension":                 {wifi, "0c00" + dot11 + rest, 0, "other: 802.11 extension"},
		"null":                      {wifi, "4800" + dot11, 0, "other: 802.11 null data"},
		"null_qos":                  {wifi, "c801" + dot11 + "0000", 0, "other: 802.11 null data"},
		"null_cf_poll":              {wifi, "6800" + dot11, 0, "other: 802.11 null data"},
		"null_cut":                  {wifi, "4800", 22, "other: 802.11 null data"},
		"encrypted":                 {wifi, "0841" + dot11 + "0102030405060708" + rest, 0, "other: 802.11 encrypted data"},
		"encrypted_qos":             {wifi, "8842" + dot11 + "0000 0102030405060708" + rest, 0, "other: 802.11 encrypted data"},
		"fragment_first":            {wifi, "0804" + dot11 + rest, 0, "undecoded: 802.11 fragment"},
		"fragment_middle":           {wifi, "0804" + dot11[:len(dot11)-4] + "3112" + rest, 0, "undecoded: 802.11 fragment"},
		"fragment_last":             {wifi, "0800" + dot11[:len(dot11)-4] + "3f12" + rest, 0, "undecoded: 802.11 fragment"},
		"llc_of_nothing":            {wifi, "0800" + dot11, 0, "other: 802.3 frame"},
		"llc_short":                 {wifi, "0800" + dot11 + "aaaa03 0000", 0, "undecoded: short link header"},
		"llc_cut":                   {wifi, "0800" + dot11 + "aaaa03 0000", 3, "cut: short link header"},
		"eapol":                     {wifi, "8802" + dot11 + "0000" + snap + "888e 0203 0000", 0, "other: eapol"},
		"spanning_tree":             {wifi, "0802" + dot11 + "424203 0000", 0, "other: 802.3 frame"},
		"aggregate_of_two":          {wifi, "8801" + dot11 + "8000" + inner + "eeeeee" + inner, 0, "undecoded: 802.11 aggregate of several frames"},
		"aggregate_of_two_cut":      {wifi, "8801" + dot11 + "8000" + inner, 80, "undecoded: 802.11 aggregate of several frames"},
		"aggregate_short":           {wifi, "8801" + dot11 + "8000 020000000001 020000000002 00", 0, "undecoded: short link header"},
		"aggregate_cut":             {wifi, "8801" + dot11 + "8000 020000000001 020000000002 00", 54, "cut: short link header"},
		"aggregate_bit_without_qos": {wifi, "0800" + dot11[:len(dot11)-4] + "3012" + rest, 0, tcp4},
		// What is behind the length of the frame in it is padding.
		"aggregate_length_below": {wifi, "8801" + dot11 + "8000 020000000001 020000000002 0033" + rest, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "hel" of 5`},

		"radiotap_short":        {capture.LinkRadiotap, first(7, radiotap("", 0)), 0, "undecoded: short link header"},
		"radiotap_cut":          {capture.LinkRadiotap, first(7, radiotap("", 0)), 80, "cut: short link header"},
		"radiotap_length_7":     {capture.LinkRadiotap, "0000 0700 00000000 0800" + dot11 + rest, 0, "undecoded: malformed link header"},
		"radiotap_length_0":     {capture.LinkRadiotap, "0000 0000 00000000 0800" + dot11 + rest, 0, "undecoded: malformed link header"},
		"radiotap_lies":         {capture.LinkRadiotap, "0000 ffff 02000080 0800" + dot11 + rest, 0, "undecoded: malformed link header"},
		"radiotap_fields_cut":   {capture.LinkRadiotap, "0000 4000 ffffffff 00", 100, "cut: short link header"},
		"radiotap_more_forever": {capture.LinkRadiotap, "0000 2000" + strings.Repeat("ffffffff", 7) + "4800" + dot11, 0, "other: 802.11 null data"},
		"prism_short":           {capture.LinkPrism, "44000000 900000", 0, "undecoded: short link header"},
		"prism_cut":             {capture.LinkPrism, "44000000 90000000" + strings.Repeat("00", 100), 100, "cut: short link header"},
		"prism_lies":            {capture.LinkPrism, "44000000 90000000" + strings.Repeat("00", 100), 0, "undecoded: malformed link header"},
		"prism_length_7":        {capture.LinkPrism, "44000000 07000000 0800" + dot11 + rest, 0, "undecoded: malformed link header"},
		"avs_lies":              {capture.LinkAVS, "80211001 ffffffff 0800" + dot11 + rest, 0, "undecoded: malformed link header"},
		"avs_cut":               {capture.LinkAVS, "80211001 00000040" + strings.Repeat("00", 55), 80, "cut: short link header"},
	})
}
