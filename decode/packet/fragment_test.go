package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
)

// part4 and part6 are fragments.
func part4(id, offset int, more bool, proto byte, body string) string {
	f := offset / 8
	if more {
		f |= 0x2000
	}
	return fmt.Sprintf("4500 %04x %04x %04x 40 %02x 0000 0a000001 0a000002", 20+size(body), id, f, proto) + body
}

func part6(id, offset int, more bool, next byte, body string) string {
	return ip6(8+size(body), 44) + fragmentHeader(id, offset, more, next) + body
}

func fragmentHeader(id, offset int, more bool, next byte) string {
	f := offset
	if more {
		f |= 1
	}
	return fmt.Sprintf("%02x00 %04x %08x", next, f, id)
}

// from returns the bytes of hex from n on, up to m.
func from(n, m int, hex string) string { return strings.ReplaceAll(hex, " ", "")[2*n : 2*m] }

const letters = "abcdefghijklmnopqrstuvwxyz012345"

// quartet is a datagram of 40 bytes, in hex: a header and 32 letters.
var quartet = ports(1000, 53, fmt.Sprintf("%x", letters))

// story is packets one after the other, with what they come to, and what is
// counted at the end.
type story struct {
	packets        []layout
	lost, overlaps int64
}

// tell decodes the packets of a story.
func tell(t *testing.T, d *Decoder, s story) {
	t.Helper()
	d.Flush()
	d.Lost, d.Overlaps = 0, 0
	waiting := int64(0)
	for i, l := range s.packets {
		data := unhex(t, l.hex)
		p := capture.Packet{Number: int64(i + 1), Data: data, Length: len(data) + l.cut, Link: l.link}
		k := d.Decode(&p)
		if k == Fragment {
			waiting++
			if d.Why != FragmentReason {
				t.Errorf("packet %d: %#v", i+1, d.Why)
			}
		}
		if got := describe(d, k); got != l.want {
			t.Errorf("packet %d: %s, want %s", i+1, got, l.want)
		}
	}
	d.Flush()
	if d.Lost != s.lost || d.Overlaps != s.overlaps {
		t.Errorf("%d lost of %d, %d overlaps; want %d and %d", d.Lost, waiting, d.Overlaps, s.lost, s.overlaps)
	}
	if fs := &d.frags; fs.bytes != 0 || len(fs.byKey) != 0 || fs.head != nil || fs.tail != nil {
		t.Errorf("%d bytes and %d datagrams are left behind", fs.bytes, len(fs.byKey))
	}
}

func TestFragments(t *testing.T) {
	const raw = capture.LinkRaw
	const waits = "fragment: ip fragment"
	udp4, udp6 := fmt.Sprintf("udp 10.0.0.1:1000 > 10.0.0.2:53 %q", letters), fmt.Sprintf("udp [fd00::1]:1000 > [fd00::2]:53 %q", letters)
	other := strings.Repeat("5a", 40)
	// a returns the bytes of the datagram as a fragment over IPv4, b over IPv6.
	a := func(n, m int, want string) layout {
		return layout{raw, part4(1, n, m < 40, 17, from(n, m, quartet)), 0, want}
	}
	b := func(n, m int, want string) layout {
		return layout{raw, part6(1, n, m < 40, 17, from(n, m, quartet)), 0, want}
	}
	// wrong has other bytes there.
	wrong := func(n, m int, want string) layout {
		return layout{raw, part4(1, n, m < 40, 17, from(n, m, other)), 0, want}
	}
	with := func(l layout, change func(*layout)) layout { change(&l); return l }
	with4 := func(id int, proto byte, n, m int, want string) layout {
		return layout{raw, part4(id, n, m < 40, proto, from(n, m, quartet)), 0, want}
	}
	of := func(n int) string { return fmt.Sprintf("udp 10.0.0.1:1000 > 10.0.0.2:53 %q of 32", letters[:n]) }
	icmp := "other: icmp"
	segment := tcp32 + hello
	tests := map[string]story{
		"in_order":         {[]layout{a(0, 24, waits), a(24, 40, udp4)}, 0, 0},
		"in_order_v6":      {[]layout{b(0, 24, waits), b(24, 40, udp6)}, 0, 0},
		"reversed":         {[]layout{a(24, 40, waits), a(0, 24, udp4)}, 0, 0},
		"reversed_v6":      {[]layout{b(24, 40, waits), b(0, 24, udp6)}, 0, 0},
		"tiny":             {[]layout{a(0, 8, waits), a(8, 16, waits), a(16, 24, waits), a(24, 32, waits), a(32, 40, udp4)}, 0, 0},
		"tiny_v6":          {[]layout{b(0, 8, waits), b(8, 16, waits), b(16, 24, waits), b(24, 32, waits), b(32, 40, udp6)}, 0, 0},
		"padded":           {[]layout{a(24, 40, waits), with(a(0, 24, udp4), func(l *layout) { l.hex += pad })}, 0, 0},
		"padded_last":      {[]layout{a(0, 24, waits), with(a(24, 40, udp4), func(l *layout) { l.hex += pad })}, 0, 0},
		"padded_v6":        {[]layout{b(24, 40, waits), with(b(0, 24, udp6), func(l *layout) { l.hex += pad })}, 0, 0},
		"never_fragmented": {[]layout{with4(1, 17, 0, 40, udp4)}, 0, 0},
		"first_missing":    {[]layout{a(8, 24, waits), a(24, 40, waits)}, 2, 0},
		"middle_missing":   {[]layout{a(0, 16, waits), a(24, 40, waits)}, 2, 0},
		"last_missing":     {[]layout{a(0, 24, waits), a(24, 32, waits)}, 2, 0},
		"twice":            {[]layout{a(0, 24, waits), a(24, 40, udp4), a(0, 24, waits), a(24, 40, udp4)}, 0, 0},

		"duplicate":                  {[]layout{a(0, 24, waits), a(0, 24, waits), a(24, 40, udp4)}, 0, 0},
		"duplicate_last":             {[]layout{a(24, 40, waits), a(24, 40, waits), a(0, 24, udp4)}, 0, 0},
		"duplicate_late":             {[]layout{a(0, 24, waits), a(24, 40, udp4), a(24, 40, waits)}, 1, 0},
		"overlap":                    {[]layout{a(0, 24, waits), a(8, 40, udp4)}, 0, 0},
		"overlap_v6":                 {[]layout{b(0, 24, waits), b(8, 40, udp6)}, 0, 0},
		"overlap_before":             {[]layout{a(16, 40, waits), a(0, 32, udp4)}, 0, 0},
		"overlap_around":             {[]layout{a(16, 24, waits), a(8, 32, waits), a(32, 40, waits), a(0, 16, udp4)}, 0, 0},
		"overlap_within":             {[]layout{a(0, 32, waits), a(8, 16, waits), a(32, 40, udp4)}, 0, 0},
		"overlap_bridges_two":        {[]layout{a(0, 16, waits), a(24, 40, waits), a(8, 32, udp4)}, 0, 0},
		"overlap_differs":            {[]layout{a(0, 24, waits), wrong(8, 32, waits), a(32, 40, "")}, 0, 1},
		"overlap_differs_fits":       {[]layout{a(0, 24, waits), wrong(8, 24, waits), a(24, 40, udp4)}, 0, 1},
		"overlap_differs_every_time": {[]layout{a(0, 24, waits), wrong(8, 24, waits), wrong(0, 16, waits), a(24, 40, udp4)}, 0, 2},
		"overlap_differs_later":      {[]layout{wrong(8, 16, waits), a(0, 40-8, waits), a(32, 40, "")}, 0, 1},
		"overlap_differs_last_byte": {[]layout{a(0, 24, waits), with(a(16, 40, udp4), func(l *layout) {
			l.hex = strings.Replace(l.hex, from(23, 24, quartet)+from(24, 25, quartet), "5a"+from(24, 25, quartet), 1)
		})}, 0, 1},

		"two_ends":             {[]layout{a(24, 40, waits), {raw, part4(1, 24, false, 17, from(24, 32, quartet)), 0, waits}, a(0, 24, udp4)}, 0, 1},
		"two_ends_longer":      {[]layout{a(24, 40, waits), {raw, part4(1, 24, false, 17, from(24, 40, quartet)+"5a5a"), 0, waits}, a(0, 24, udp4)}, 0, 1},
		"beyond_the_end":       {[]layout{a(24, 40, waits), {raw, part4(1, 40, true, 17, from(0, 16, other)), 0, waits}, a(0, 24, udp4)}, 0, 1},
		"over_the_end":         {[]layout{a(24, 40, waits), {raw, part4(1, 32, true, 17, from(32, 40, quartet)+other), 0, waits}, a(0, 24, udp4)}, 0, 1},
		"end_comes_later":      {[]layout{{raw, part4(1, 48, true, 17, other), 0, waits}, {raw, part4(1, 32, true, 17, from(32, 40, quartet)+other), 0, waits}, a(24, 40, waits), a(0, 24, udp4)}, 0, 1},
		"end_is_there_already": {[]layout{{raw, part4(1, 0, true, 17, quartet+other), 0, waits}, a(32, 40, udp4)}, 0, 1},
		"all_but_the_end_beyond": {[]layout{{raw, part4(1, 0, true, 17, quartet+other), 0, waits}, {raw, part4(1, 40, false, 17, "5a"), 0,
			fmt.Sprintf("udp 10.0.0.1:1000 > 10.0.0.2:53 %q", letters)}}, 0, 1},

		"df_set":  {[]layout{with(a(0, 24, waits), func(l *layout) { l.hex = strings.Replace(l.hex, "0001 2000", "0001 6000", 1) }), a(24, 40, udp4)}, 0, 0},
		"options": {[]layout{{raw, "4700 0034 0001 2000 40 11 0000 0a000001 0a000002 9404000001010100" + from(0, 24, quartet), 0, waits}, {raw, "4600 0028 0001 0003 40 11 0000 0a000001 0a000002 94040000" + from(24, 40, quartet), 0, udp4}}, 0, 0},
		"offload": {[]layout{a(24, 40, waits), with(a(0, 24, udp4), func(l *layout) { l.hex = strings.Replace(l.hex, "4500 002c", "4500 0000", 1) })}, 0, 0},

		"interleaved_ids":       {[]layout{a(0, 24, waits), with4(2, 17, 24, 40, waits), a(24, 40, udp4), with4(2, 17, 0, 24, udp4)}, 0, 0},
		"interleaved_protocols": {[]layout{a(0, 24, waits), with4(1, 1, 24, 40, waits), a(24, 40, udp4), with4(1, 1, 0, 24, icmp)}, 0, 0},
		"interleaved_addresses": {[]layout{a(0, 24, waits),
			with(a(24, 40, waits), func(l *layout) { l.hex = strings.Replace(l.hex, "0a000002", "0a000003", 1) }),
			with(a(24, 40, waits), func(l *layout) { l.hex = strings.Replace(l.hex, "0a000001", "0a000003", 1) }),
			with(a(24, 40, waits), func(l *layout) { l.hex = strings.Replace(l.hex, "0a000001 0a000002", "0a000002 0a000001", 1) }),
			a(24, 40, udp4)}, 3, 0},
		"interleaved_families": {[]layout{a(0, 24, waits), b(24, 40, waits), a(24, 40, udp4), b(0, 24, udp6)}, 0, 0},
		"interleaved_ids_v6":   {[]layout{b(0, 24, waits), {raw, part6(0x10001, 24, false, 17, from(24, 40, quartet)), 0, waits}, b(24, 40, udp6)}, 1, 0},

		// The first fragment says what is inside, the others may say otherwise
		// (RFC 8200, section 4.5).
		"v6_other_next":       {[]layout{{raw, part6(1, 24, false, 6, from(24, 40, quartet)), 0, waits}, b(0, 24, udp6)}, 0, 0},
		"v6_other_next_late":  {[]layout{b(0, 24, waits), {raw, part6(1, 24, false, 59, from(24, 40, quartet)), 0, udp6}}, 0, 0},
		"v6_two_firsts":       {[]layout{b(0, 24, waits), {raw, part6(1, 0, true, 59, from(0, 24, quartet)), 0, waits}, b(24, 40, udp6)}, 0, 1},
		"v6_behind_options":   {[]layout{{raw, ip6(8+8+24, 0) + extension(44, 0) + fragmentHeader(1, 0, true, 17) + from(0, 24, quartet), 0, waits}, {raw, ip6(16+8+16, 43) + extension(44, 1) + fragmentHeader(1, 24, false, 17) + from(24, 40, quartet), 0, udp6}}, 0, 0},
		"v6_before_options":   {[]layout{{raw, part6(1, 0, true, 60, extension(17, 0)+from(0, 16, quartet)), 0, waits}, {raw, part6(1, 24, false, 60, from(16, 40, quartet)), 0, udp6}}, 0, 0},
		"v6_options_split":    {[]layout{{raw, part6(1, 0, true, 60, from(0, 8, extension(17, 1))), 0, waits}, {raw, part6(1, 8, false, 60, from(8, 16, extension(17, 1))+quartet), 0, udp6}}, 0, 0},
		"v6_atomic":           {[]layout{b(0, 24, waits), {raw, part6(1, 0, false, 17, quartet), 0, udp6}, b(24, 40, udp6)}, 0, 0},
		"v6_reserved_bits":    {[]layout{{raw, ip6(32, 44) + "11ff 0007 00000001" + from(0, 24, quartet), 0, waits}, {raw, ip6(24, 44) + "11ff 001e 00000001" + from(24, 40, quartet), 0, udp6}}, 0, 0},
		"v6_offload":          {[]layout{b(24, 40, waits), {raw, ip6(0, 44) + fragmentHeader(1, 0, true, 17) + from(0, 24, quartet), 0, udp6}}, 0, 0},
		"v6_fragments_inside": {[]layout{{raw, part6(1, 0, true, 44, fragmentHeader(2, 0, true, 17)+from(0, 8, quartet)), 0, waits}, {raw, part6(1, 16, false, 44, from(8, 16, quartet)), 0, waits}, {raw, part6(2, 16, false, 17, from(16, 40, quartet)), 0, udp6}}, 0, 0},

		"empty":               {[]layout{{raw, part4(1, 0, true, 17, ""), 0, "undecoded: short fragment"}, {raw, part4(1, 24, false, 17, ""), 0, "undecoded: short fragment"}}, 0, 0},
		"empty_v6":            {[]layout{{raw, part6(1, 0, true, 17, ""), 0, "undecoded: short fragment"}}, 0, 0},
		"empty_padded":        {[]layout{{raw, part4(1, 0, true, 17, "") + pad, 0, "undecoded: short fragment"}}, 0, 0},
		"longest":             {[]layout{{raw, part4(1, 65528, false, 17, "5a5a5a5a5a5a5a"), 0, waits}}, 1, 0},
		"too_long":            {[]layout{{raw, part4(1, 65528, false, 17, "5a5a5a5a5a5a5a5a"), 0, "undecoded: malformed ip fragment"}}, 0, 0},
		"too_long_v6":         {[]layout{{raw, part6(1, 65528, true, 17, "5a5a5a5a5a5a5a5a"), 0, "undecoded: malformed ip fragment"}}, 0, 0},
		"header_of_6_bytes":   {[]layout{{raw, part4(1, 0, true, 6, from(0, 8, tcp20)), 0, waits}, {raw, part4(1, 8, false, 6, from(8, 16, tcp20)), 0, "undecoded: short tcp header"}}, 0, 0},
		"tcp_header_split":    {[]layout{{raw, part4(1, 0, true, 6, from(0, 8, segment)), 0, waits}, {raw, part4(1, 8, false, 6, from(8, 37, segment)), 0, tcp4}}, 0, 0},
		"tcp_header_split_v6": {[]layout{{raw, part6(1, 16, false, 6, from(16, 37, segment)), 0, waits}, {raw, part6(1, 0, true, 6, from(0, 16, segment)), 0, tcp6}}, 0, 0},

		// Of what the snapshot length cut off, nothing behind is payload either.
		"cut_first":          {[]layout{{raw, from(0, 40, part4(1, 0, true, 17, from(0, 24, quartet))), 4, waits}, a(24, 40, of(12))}, 0, 0},
		"cut_first_reversed": {[]layout{a(24, 40, waits), {raw, from(0, 40, part4(1, 0, true, 17, from(0, 24, quartet))), 4, of(12)}}, 0, 0},
		"cut_last":           {[]layout{a(0, 24, waits), {raw, from(0, 21, part4(1, 24, false, 17, from(24, 40, quartet))), 15, of(17)}}, 0, 0},
		"cut_both":           {[]layout{{raw, from(0, 43, part4(1, 0, true, 17, from(0, 24, quartet))), 1, waits}, {raw, from(0, 21, part4(1, 24, false, 17, from(24, 40, quartet))), 15, of(15)}}, 0, 0},
		"cut_away":           {[]layout{a(0, 24, waits), {raw, from(0, 20, part4(1, 24, false, 17, from(24, 40, quartet))), 16, of(16)}}, 0, 0},
		"cut_v6":             {[]layout{{raw, from(0, 68, part6(1, 0, true, 17, from(0, 24, quartet))), 4, waits}, b(24, 40, fmt.Sprintf("udp [fd00::1]:1000 > [fd00::2]:53 %q of 32", letters[:12]))}, 0, 0},
		"cut_in_header":      {[]layout{{raw, from(0, 27, part4(1, 0, true, 17, from(0, 24, quartet))), 17, waits}, a(24, 40, "cut: short udp header")}, 0, 0},
		"cut_in_padding":     {[]layout{with(a(0, 24, waits), func(l *layout) { l.hex += "ee"; l.cut = 3 }), a(24, 40, udp4)}, 0, 0},
		"cut_duplicate":      {[]layout{a(0, 24, waits), {raw, from(0, 40, part4(1, 0, true, 17, from(0, 24, quartet))), 4, waits}, a(24, 40, udp4)}, 0, 0},
		"cut_before_whole":   {[]layout{{raw, from(0, 40, part4(1, 0, true, 17, from(0, 24, quartet))), 4, waits}, a(0, 24, waits), a(24, 40, of(12))}, 0, 0},
		"cut_and_differs":    {[]layout{{raw, from(0, 40, part4(1, 0, true, 17, from(0, 24, quartet))), 4, waits}, wrong(8, 24, waits), a(24, 40, of(12))}, 0, 1},
		"cut_of_another":     {[]layout{{raw, from(0, 40, part4(1, 0, true, 17, from(0, 24, quartet))), 4, waits}, a(24, 40, of(12)), a(0, 24, waits), a(24, 40, udp4)}, 0, 0},
		"cut_packet_is_last": {[]layout{a(0, 24, waits), with(a(24, 40, udp4), func(l *layout) { l.cut = 6 })}, 0, 0},
		// It is the sender who says more than there is.
		"lies":           {[]layout{{raw, strings.Replace(part4(1, 0, true, 17, from(0, 16, quartet)), "4500 0024", "4500 002c", 1), 0, waits}, a(24, 40, of(8))}, 0, 0},
		"lies_in_header": {[]layout{{raw, strings.Replace(part4(1, 0, true, 17, from(0, 7, quartet)), "4500 001b", "4500 002c", 1), 0, waits}, a(24, 40, "undecoded: short udp header")}, 0, 0},
		"lies_and_padding_cut": {[]layout{{raw, strings.Replace(part4(1, 0, true, 17, from(0, 7, quartet)), "4500 001b", "4500 002c", 1), 0, waits},
			with(a(24, 40, "undecoded: short udp header"), func(l *layout) { l.cut = 6 })}, 0, 0},
		"cut_duplicate_and_lies_inside": {[]layout{
			{raw, part4(1, 0, true, 4, ip4(40, 6)+first(4, tcp20)), 0, waits},
			{raw, from(0, 40, part4(1, 0, true, 4, ip4(40, 6)+first(4, tcp20))), 4, waits},
			{raw, part4(1, 24, false, 4, from(4, 10, tcp20)), 0, "undecoded: short tcp header"}}, 0, 0},

		"within_a_tunnel": {[]layout{
			{raw, outer6(4, part4(1, 0, true, 17, from(0, 24, quartet))), 0, waits},
			{raw, outer4(47, "0000 0800"+part4(1, 24, false, 17, from(24, 40, quartet))), 0, udp4}}, 0, 0},
		"tunnel_within": {[]layout{
			{raw, part4(1, 0, true, 47, first(40, "0000 86dd"+ip6(40, 17)+quartet)), 0, waits},
			{raw, part4(1, 40, false, 47, from(40, 84, "0000 86dd"+ip6(40, 17)+quartet)), 0, udp6}}, 0, 0},
		"udp_tunnel_within": {[]layout{
			{raw, part6(1, 0, true, 17, first(24, ports(1000, 4789, "08000000 00000700"+inside("{frame}{ip}", true)))), 0, waits},
			{raw, part6(1, 24, false, 17, from(24, 16+14+65, ports(1000, 4789, "08000000 00000700"+inside("{frame}{ip}", true)))), 0, tcp6}}, 0, 0},
		// The second datagram is whole when the first is, of which it is a part.
		"fragments_within_fragments": {[]layout{
			{raw, part4(1, 0, true, 4, first(24, part4(2, 0, true, 17, from(0, 24, quartet)))), 0, waits},
			{raw, part4(1, 24, false, 4, from(24, 44, part4(2, 0, true, 17, from(0, 24, quartet)))), 0, waits},
			{raw, part4(1, 0, true, 4, first(24, part4(2, 24, false, 17, from(24, 40, quartet)))), 0, waits},
			{raw, part4(1, 24, false, 4, from(24, 36, part4(2, 24, false, 17, from(24, 40, quartet)))), 0, udp4}}, 0, 0},
		"fragments_within_fragments_reversed": {[]layout{
			{raw, part4(1, 0, true, 4, first(24, part4(2, 24, false, 17, from(24, 40, quartet)))), 0, waits},
			{raw, part4(1, 24, false, 4, from(24, 36, part4(2, 24, false, 17, from(24, 40, quartet)))), 0, waits},
			{raw, part4(1, 24, false, 4, from(24, 44, part4(2, 0, true, 17, from(0, 24, quartet)))), 0, waits},
			{raw, part4(1, 0, true, 4, first(24, part4(2, 0, true, 17, from(0, 24, quartet)))), 0, udp4}}, 0, 0},
		"too_deep_when_whole": {[]layout{
			{raw, part4(1, 0, true, 4, first(24, strings.Repeat(ip4(0, 4), maxNested)+inside("{ip}", false))), 0, waits},
			{raw, part4(1, 24, false, 4, from(24, 20*maxNested+45, strings.Repeat(ip4(0, 4), maxNested)+inside("{ip}", false))), 0, "undecoded: too many headers one within another"}}, 0, 0},
	}
	mixed := letters[:16] + "ZZZZZZZZ" + letters[24:]
	for name, at := range map[string]int{"overlap_differs": 2, "overlap_differs_later": 2} {
		s := mixed
		if name == "overlap_differs_later" {
			s = "ZZZZZZZZ" + letters[8:]
		}
		tests[name].packets[at].want = fmt.Sprintf("udp 10.0.0.1:1000 > 10.0.0.2:53 %q", s)
	}
	var d Decoder
	for name, s := range tests {
		t.Run(name, func(t *testing.T) { tell(t, &d, s) })
	}
}

// TestFragmentsInAnyOrder has four fragments in each of their orders.
func TestFragmentsInAnyOrder(t *testing.T) {
	cuts := []int{0, 8, 24, 32, 40}
	var d Decoder
	var permute func(order, rest []int)
	permute = func(order, rest []int) {
		for i, n := range rest {
			permute(append(slices.Clone(order), n), slices.Delete(slices.Clone(rest), i, i+1))
		}
		if len(rest) > 0 {
			return
		}
		for _, v6 := range []bool{false, true} {
			var s story
			for i, n := range order {
				l := layout{capture.LinkRaw, part4(1, cuts[n], n < 3, 17, from(cuts[n], cuts[n+1], quartet)), 0, "fragment: ip fragment"}
				if v6 {
					l.hex = part6(1, cuts[n], n < 3, 17, from(cuts[n], cuts[n+1], quartet))
				}
				if i == 3 {
					l.want = fmt.Sprintf("udp 10.0.0.1:1000 > 10.0.0.2:53 %q", letters)
					if v6 {
						l.want = fmt.Sprintf("udp [fd00::1]:1000 > [fd00::2]:53 %q", letters)
					}
				}
				s.packets = append(s.packets, l)
			}
			tell(t, &d, s)
		}
	}
	permute(nil, []int{0, 1, 2, 3})
}

// TestFragmentsNested has one packet make a datagram whole in which it makes
// another whole, and so on, until it is too much.
func TestFragmentsNested(t *testing.T) {
	const raw, waits = capture.LinkRaw, "fragment: ip fragment"
	for n, want := range map[int]string{
		maxNested - 1: fmt.Sprintf("udp [fd00::1]:1000 > [fd00::2]:53 %q", strings.Repeat("Z", 8*(maxNested-1))),
		maxNested:     "undecoded: too many headers one within another",
	} {
		next := func(id int) byte {
			if id == n {
				return 17
			}
			return 44
		}
		var s story
		body := ""
		for id := 1; id <= n; id++ {
			if id > 1 {
				body += fragmentHeader(id, 0, true, next(id))
			}
			s.packets = append(s.packets, layout{raw, part6(id, 8*n, false, next(id), "5a5a5a5a5a5a5a5a"), 0, waits})
		}
		s.packets = append(s.packets, layout{raw, part6(1, 0, true, next(1), body+udp8(0)), 0, want})
		var d Decoder
		tell(t, &d, s)
	}
}

// TestFragmentTimeout lets the capture's clock run.
func TestFragmentTimeout(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d *Decoder, id, n int, after time.Duration) Kind {
		p := packetOf(unhex(t, part4(id, n, n == 0, 17, from(n, n+20, quartet+quartet))))
		p.Time = start.Add(after)
		return d.Decode(&p)
	}
	tests := map[string]struct {
		first, then time.Duration
		want        Kind
	}{
		"soon":         {0, time.Second, UDP},
		"just_in_time": {0, fragmentTimeout - 1, UDP},
		"too_late":     {0, fragmentTimeout, Fragment},
		"back_in_time": {0, -time.Hour, UDP},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			p := packetOf(unhex(t, part4(1, 0, true, 17, from(0, 24, quartet))))
			p.Time = start.Add(tt.first)
			d.Decode(&p)
			p = packetOf(unhex(t, part4(1, 24, false, 17, from(24, 40, quartet))))
			p.Time = start.Add(tt.then)
			if k := d.Decode(&p); k != tt.want {
				t.Errorf("%s, want %s", k, tt.want)
			}
			if lost := d.Lost; (lost == 1) != (tt.want == Fragment) {
				t.Errorf("%d lost", lost)
			}
		})
	}
	// It runs from the first fragment on, and whoever asks may say how late it is.
	var d Decoder
	at(&d, 1, 0, 0)
	at(&d, 2, 0, 30*time.Second)
	at(&d, 1, 0, 59*time.Second)
	d.expire(start.Add(59 * time.Second))
	if d.Lost != 0 {
		t.Errorf("%d lost too early", d.Lost)
	}
	d.expire(start.Add(60 * time.Second))
	if d.Lost != 2 {
		t.Errorf("%d lost at 60 seconds, want the two of the first datagram", d.Lost)
	}
	d.expire(start.Add(90 * time.Second))
	if d.Lost != 3 {
		t.Errorf("%d lost at 90 seconds, want all", d.Lost)
	}
}

// sound holds what is kept against its bounds and its own books.
func sound(t testing.TB, d *Decoder) {
	t.Helper()
	fs := &d.frags
	n, sum := 0, 0
	var prev *partial
	for p := fs.head; p != nil; prev, p = p, p.succ {
		n++
		sum += p.cost()
		if p.prev != prev || fs.byKey[p.key] != p {
			t.Fatal("the list is broken")
		}
	}
	if fs.tail != prev || n != len(fs.byKey) {
		t.Fatalf("%d datagrams in the list, %d in the map", n, len(fs.byKey))
	}
	if sum != fs.bytes || sum > maxFragmentBytes || len(fs.spare) > maxSpare {
		t.Fatalf("%d bytes, of which %d are counted; %d spare", sum, fs.bytes, len(fs.spare))
	}
}

// TestFragmentBytes begins more datagrams than are kept: the oldest are given up.
func TestFragmentBytes(t *testing.T) {
	big := strings.Repeat("5a", 1000)
	tests := map[string]struct {
		offset int
		body   string
		least  int // that must have room
	}{
		"small":      {0, "5a5a5a5a5a5a5a5a", 4000},
		"big":        {0, big, 1500},
		"far_behind": {64000, big, 50},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			sent := int64(0)
			for id := range 0x8000 {
				p := packetOf(unhex(t, part6(id, tt.offset, true, 17, tt.body)))
				if k := d.Decode(&p); k != Fragment {
					t.Fatal(describe(&d, k))
				}
				sent++
				if n := len(d.frags.byKey); int64(n) != sent-d.Lost {
					t.Fatalf("%d sent, %d lost, %d kept", sent, d.Lost, n)
				}
				if oldest := d.frags.head.key.id; int64(oldest) != d.Lost {
					t.Fatalf("%d are lost, but the oldest is %d", d.Lost, oldest)
				}
				if id%1000 == 0 || d.Lost == 1 {
					sound(t, &d)
				}
				if d.Lost > 100 {
					break
				}
			}
			if n := len(d.frags.byKey); d.Lost == 0 || n < tt.least {
				t.Errorf("%d lost, %d kept", d.Lost, n)
			}
		})
	}
}

// TestFragmentSpareBytes makes long datagrams whole, and leaves short ones in the
// memory of those: it still counts.
func TestFragmentSpareBytes(t *testing.T) {
	var d Decoder
	body := strings.Repeat("5a", 32000)
	for i := range 200 {
		for _, p := range []capture.Packet{
			packetOf(unhex(t, part6(1, 0, true, 59, body))), packetOf(unhex(t, part6(1, 32000, false, 59, body))),
			packetOf(unhex(t, part6(i+2, 0, true, 59, "5a5a5a5a5a5a5a5a"))),
		} {
			d.Decode(&p)
			sound(t, &d)
		}
	}
	if d.Lost == 0 {
		t.Error("none are lost")
	}
}

// TestFragmentPieces leaves holes in a datagram, until there are too many.
func TestFragmentPieces(t *testing.T) {
	var d Decoder
	piece := func(i int) {
		p := packetOf(unhex(t, part4(1, 16*i, true, 17, "5a5a5a5a5a5a5a5a")))
		if k := d.Decode(&p); k != Fragment {
			t.Fatal(describe(&d, k))
		}
		sound(t, &d)
	}
	for i := range maxSpans {
		piece(i)
	}
	if d.Lost != 0 {
		t.Fatalf("%d lost of %d pieces", d.Lost, maxSpans)
	}
	piece(maxSpans)
	if d.Lost != maxSpans+1 || len(d.frags.byKey) != 0 {
		t.Errorf("%d lost of %d pieces", d.Lost, maxSpans+1)
	}
}

// TestFragmentsAllocateNothing completes datagrams.
func TestFragmentsAllocateNothing(t *testing.T) {
	for name, parts := range map[string][2]string{
		"ipv4":     {part4(1, 0, true, 17, from(0, 24, quartet)), part4(1, 24, false, 17, from(24, 40, quartet))},
		"ipv6":     {part6(1, 24, false, 17, from(24, 40, quartet)), part6(1, 0, true, 17, from(0, 24, quartet))},
		"tunnel":   {outer4(4, part4(1, 0, true, 17, from(0, 24, quartet))), outer4(4, part4(1, 24, false, 17, from(24, 40, quartet)))},
		"overlaps": {part4(1, 8, false, 17, from(8, 40, strings.Repeat("5a", 40))), part4(1, 0, true, 17, from(0, 24, quartet))},
	} {
		one, two := packetOf(unhex(t, parts[0])), packetOf(unhex(t, parts[1]))
		var d Decoder
		if n := testing.AllocsPerRun(100, func() {
			if a, b := d.Decode(&one), d.Decode(&two); a != Fragment || b != UDP {
				t.Fatalf("%s: %s, then %s", name, a, b)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// scrap is a fragment of a datagram that is mostly known: its bytes are those of
// scrapByte.
type scrap struct {
	id, offset, length, captured int
	v6, more                     bool
	variant                      byte // of the bytes
	after                        time.Duration
}

// scrapByte returns what is at an offset: a UDP header that claims all, then
// anything.
func scrapByte(id, at int, variant byte) byte {
	if header := "\x03\xe8\x00\x35\x00\x00\x00\x00"; at < len(header) {
		return header[at]
	}
	return byte(at*7+at>>8+id*31) ^ variant
}

func (s scrap) packet() capture.Packet {
	data := make([]byte, s.length)
	for i := range data {
		data[i] = scrapByte(s.id, s.offset+i, s.variant)
	}
	var b []byte
	if s.v6 {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(8+s.length))
		b = append(b, 44, 64)
		b = append(b, netip.MustParseAddr("fd00::1").AsSlice()...)
		b = append(b, netip.MustParseAddr("fd00::2").AsSlice()...)
		f := uint16(s.offset)
		if s.more {
			f |= 1
		}
		b = append(b, 17, 0)
		b = binary.BigEndian.AppendUint16(b, f)
		b = binary.BigEndian.AppendUint32(b, uint32(s.id))
	} else {
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(20+s.length))
		b = binary.BigEndian.AppendUint16(b, uint16(s.id))
		f := uint16(s.offset / 8)
		if s.more {
			f |= 0x2000
		}
		b = binary.BigEndian.AppendUint16(b, f)
		b = append(b, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	}
	b = append(b, data...)
	return capture.Packet{Data: b[:len(b)-s.length+s.captured], Length: len(b), Link: capture.LinkRaw}
}

// table is what fragments come to, said simply: for each byte, what was first
// seen of it.
type table struct {
	waiting                         map[[2]int]*tableDatagram
	fragments, used, lost, overlaps int64
}

type tableDatagram struct {
	value        [maxDatagram]byte
	sent         [maxDatagram]bool
	end, missing int
	top          int // nothing was sent from here on
	since        time.Duration
	packets      int64
}

// add returns what a packet comes to.
func (m *table) add(s scrap, now time.Duration) string {
	switch {
	case s.offset == 0 && !s.more: // no fragment
		d := &tableDatagram{end: s.length, missing: s.captured}
		for i := range s.captured {
			d.value[i] = scrapByte(s.id, i, s.variant)
		}
		return d.line(s.v6)
	case s.length == 0:
		return "undecoded: short fragment"
	case s.offset+s.length > maxDatagram:
		return "undecoded: malformed ip fragment"
	}
	for k, d := range m.waiting {
		if now-d.since >= 60*time.Second {
			m.lost += d.packets
			delete(m.waiting, k)
		}
	}
	key := [2]int{s.id, 4}
	if s.v6 {
		key[1] = 6
	}
	d := m.waiting[key]
	if d == nil {
		d = &tableDatagram{end: -1, missing: maxDatagram, since: now}
		m.waiting[key] = d
	}
	d.packets++
	differs := false
	to := s.offset + s.length
	if !s.more {
		differs = d.end >= 0 && d.end != to
		if d.end < 0 {
			d.end = to
		}
	}
	d.top = max(d.top, to)
	for i := d.end; d.end >= 0 && i < d.top; i++ {
		differs = differs || d.sent[i] || i < to
		d.sent[i] = false
	}
	for i := s.offset; i < to; i++ {
		seen := i < s.offset+s.captured
		v := scrapByte(s.id, i, s.variant)
		switch {
		case d.end >= 0 && i >= d.end:
		case d.sent[i]:
			differs = differs || seen && i < d.missing && v != d.value[i]
		case seen:
			d.sent[i], d.value[i] = true, v
		default:
			d.sent[i] = true
			d.missing = min(d.missing, i)
		}
	}
	if differs {
		m.overlaps++
	}
	if d.end >= 0 && !slices.Contains(d.sent[:d.end], false) {
		delete(m.waiting, key)
		m.used += d.packets - 1
		return d.line(s.v6)
	}
	m.fragments++
	return "fragment: ip fragment"
}

// line says what a datagram comes to that is whole.
func (d *tableDatagram) line(v6 bool) string {
	n := min(d.end, d.missing)
	switch {
	case n < 8 && d.end >= 8:
		return "cut: short udp header"
	case n < 8:
		return "undecoded: short udp header"
	}
	flow := "udp 10.0.0.1:1000 > 10.0.0.2:53"
	if v6 {
		flow = "udp [fd00::1]:1000 > [fd00::2]:53"
	}
	s := fmt.Sprintf("%s %q", flow, d.value[8:n])
	if n != d.end {
		s += fmt.Sprintf(" of %d", d.end-8)
	}
	return s
}

// compare decodes scraps and looks up in the table what they should come to. At
// the end the sums must come out.
func compare(t *testing.T, d *Decoder, scraps []scrap) {
	d.Flush()
	d.Lost, d.Overlaps = 0, 0
	m := table{waiting: make(map[[2]int]*tableDatagram)}
	now := time.Duration(0)
	for i, s := range scraps {
		now += s.after
		p := s.packet()
		p.Time = time.Unix(1000, 0).Add(now)
		before := bytes.Clone(p.Data)
		want := m.add(s, now)
		k := d.Decode(&p)
		if diff := cmp.Diff(want, describe(d, k)); diff != "" {
			t.Fatalf("packet %d, %+v (-want +got)\n%s", i, s, diff)
		}
		if !bytes.Equal(before, p.Data) {
			t.Fatalf("packet %d was changed", i)
		}
		if d.Lost != m.lost || d.Overlaps != m.overlaps {
			t.Fatalf("packet %d, %+v: %d lost and %d overlaps, want %d and %d", i, s, d.Lost, d.Overlaps, m.lost, m.overlaps)
		}
		clear(p.Data) // nothing may be kept of the packet's memory
	}
	sound(t, d)
	d.Flush()
	if d.Lost+m.used != m.fragments {
		t.Fatalf("%d fragments, of which %d were lost and %d used", m.fragments, d.Lost, m.used)
	}
}

// TestFragmentModel splits datagrams at random, and overlaps, repeats, cuts and
// shuffles what comes of them. One Decoder sees them all.
func TestFragmentModel(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var d Decoder
	for range 300 {
		var scraps []scrap
		for id := range 1 + random.Intn(3) {
			size, v6, variant := 9+random.Intn(400), random.Intn(2) == 0, byte(random.Intn(256))
			if random.Intn(20) == 0 {
				size = 60000
			}
			for from := 0; from < size; {
				n := 8 * (1 + random.Intn(6))
				if size > 1000 {
					n *= 100
				}
				to := min(from+n, size)
				s := scrap{id: id, offset: from, length: to - from, v6: v6, more: to < size, variant: variant}
				if s.more && random.Intn(4) == 0 { // reaches into the next
					s.length = min(s.length+random.Intn(24), size-from)
				}
				if from > 0 && random.Intn(4) == 0 { // and the one before
					back := min(from, 8*random.Intn(3))
					s.offset, s.length = from-back, s.length+back
				}
				s.captured = s.length
				if random.Intn(30) == 0 {
					s.captured = random.Intn(s.length + 1)
				}
				for range 1 + random.Intn(5)/4 {
					scraps = append(scraps, s)
				}
				if random.Intn(10) == 0 {
					s.variant ^= 1
					scraps = append(scraps, s)
				}
				from = to
			}
		}
		switch random.Intn(3) {
		case 0:
			random.Shuffle(len(scraps), func(i, j int) { scraps[i], scraps[j] = scraps[j], scraps[i] })
		case 1:
			slices.Reverse(scraps)
		}
		compare(t, &d, scraps)
	}
}

// FuzzFragments makes up fragments of four datagrams, six bytes for each.
func FuzzFragments(f *testing.F) {
	f.Add([]byte{0x10, 0, 3, 0xff, 0, 0, 0, 3, 2, 0xff, 0, 0})
	f.Add([]byte{0x10, 0, 3, 20, 0, 0, 0x10, 2, 9, 0xff, 1, 0, 0, 3, 2, 0xff, 0, 0})
	f.Add([]byte{0x14, 0, 200, 0xff, 0, 0, 0x04, 3, 2, 0xff, 7, 40, 0x04, 0, 2, 0xff, 7, 40})
	f.Add([]byte{0x38, 60, 255, 0xff, 0, 0, 0x28, 63, 255, 0xff, 0, 0})
	var d Decoder
	f.Fuzz(func(t *testing.T, b []byte) {
		var scraps []scrap
		for ; len(b) >= 6 && len(scraps) < 60; b = b[6:] {
			s := scrap{
				id: int(b[0] & 3), v6: b[0]&4 != 0, more: b[0]&0x10 != 0,
				offset: int(b[1]) * 8, length: int(b[2]),
				variant: b[4] & 7, after: time.Duration(b[5]>>1) * time.Second,
			}
			if b[0]&8 != 0 {
				s.length *= 8
			}
			if b[0]&0x20 != 0 {
				s.offset = int(b[1]) * 0x100
			}
			s.captured = min(s.length, int(b[3]))
			if b[3] == 0xff {
				s.captured = s.length
			}
			scraps = append(scraps, s)
		}
		compare(t, &d, scraps)
	})
}
