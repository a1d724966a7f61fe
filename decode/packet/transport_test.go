package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"testing"

	"netlab/capture"
	"netlab/decode/flow"
)

func TestTCP(t *testing.T) {
	const raw = capture.LinkRaw
	// offset is a TCP header without its options that says how long it is.
	offset := func(words int) string {
		return fmt.Sprintf("03e8 0050 01020304 05060708 %x018 0400 0000 0000", words)
	}
	run(t, map[string]layout{
		"plain":                 {raw, ip4(45, 6) + tcp20 + hello, 0, tcp4},
		"empty":                 {raw, ip4(40, 6) + tcp20, 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 ""`},
		"options":               {raw, ip4(57, 6) + tcp32 + hello, 0, tcp4},
		"options_without_sense": {raw, ip4(49, 6) + offset(6) + "02ff ff00" + hello, 0, tcp4},
		"options_longest":       {raw, ip4(85, 6) + offset(15) + fmt.Sprintf("%080x", 0) + hello, 0, tcp4},
		"options_cut":           {raw, ip4(57, 6) + first(24, tcp32), 13, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "" of 5`},
		"options_cut_away":      {raw, ip4(57, 6) + first(20, tcp32), 17, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "" of 5`},
		"payload_cut_away":      {raw, ip4(57, 6) + tcp32, 5, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "" of 5`},
		"payload_cut":           {raw, ip4(57, 6) + tcp32 + "6865", 3, `tcp 10.0.0.1:1000 > 10.0.0.2:80 "he" of 5`},

		"offset_below_5":           {raw, ip4(45, 6) + offset(4) + hello, 0, "undecoded: malformed tcp header"},
		"offset_0":                 {raw, ip4(45, 6) + offset(0) + hello, 0, "undecoded: malformed tcp header"},
		"offset_below_5_cut":       {raw, ip4(45, 6) + offset(4), 5, "undecoded: malformed tcp header"},
		"offset_at_the_end":        {raw, ip4(44, 6) + offset(6) + "01010101", 0, `tcp 10.0.0.1:1000 > 10.0.0.2:80 ""`},
		"offset_past_the_end":      {raw, ip4(43, 6) + offset(6) + "010101", 0, "undecoded: malformed tcp header"},
		"offset_past_the_end_cut":  {raw, ip4(43, 6) + offset(6), 3, "undecoded: malformed tcp header"},
		"offset_into_the_padding":  {raw, ip4(43, 6) + offset(6) + "010101" + pad, 0, "undecoded: malformed tcp header"},
		"short":                    {raw, ip4(39, 6) + first(19, tcp20), 0, "undecoded: short tcp header"},
		"cut":                      {raw, ip4(40, 6) + first(19, tcp20), 1, "cut: short tcp header"},
		"short_and_cut":            {raw, ip4(39, 6) + first(18, tcp20), 1, "undecoded: short tcp header"},
		"declares_more_than_there": {raw, ip4(45, 6) + first(19, tcp20), 0, "undecoded: short tcp header"},
		"nothing_behind_ip":        {raw, ip4(20, 6), 0, "undecoded: short tcp header"},
		"all_cut_behind_ip":        {raw, ip4(45, 6), 25, "cut: short tcp header"},
		"short_ipv6":               {raw, ip6(19, 6) + first(19, tcp20), 0, "undecoded: short tcp header"},
		"cut_ipv6":                 {raw, ip6(25, 6) + first(19, tcp20), 6, "cut: short tcp header"},
	})
}

func TestUDP(t *testing.T) {
	const raw = capture.LinkRaw
	const empty = `udp 10.0.0.1:1000 > 10.0.0.2:53 ""`
	run(t, map[string]layout{
		"plain": {raw, ip4(33, 17) + udp8(13) + hello, 0, udp4},
		"empty": {raw, ip4(28, 17) + udp8(8), 0, empty},

		"length_0":                       {raw, ip4(33, 17) + udp8(0) + hello, 0, udp4},
		"length_0_and_padding":           {raw, ip4(33, 17) + udp8(0) + hello + pad, 0, udp4},
		"length_0_empty":                 {raw, ip4(28, 17) + udp8(0), 0, empty},
		"length_0_cut":                   {raw, ip4(33, 17) + udp8(0) + "6865", 3, `udp 10.0.0.1:1000 > 10.0.0.2:53 "he" of 5`},
		"length_1":                       {raw, ip4(33, 17) + udp8(1) + hello, 0, "undecoded: malformed udp header"},
		"length_7":                       {raw, ip4(33, 17) + udp8(7) + hello, 0, "undecoded: malformed udp header"},
		"length_7_cut":                   {raw, ip4(33, 17) + udp8(7), 5, "undecoded: malformed udp header"},
		"length_8_before_more":           {raw, ip4(33, 17) + udp8(8) + hello, 0, empty},
		"length_below_the_payload_of_ip": {raw, ip4(33, 17) + udp8(10) + hello, 0, `udp 10.0.0.1:1000 > 10.0.0.2:53 "he"`},
		"length_above_the_payload_of_ip": {raw, ip4(33, 17) + udp8(99) + hello, 0, udp4},
		"length_above_into_the_padding":  {raw, ip4(33, 17) + udp8(19) + hello + pad, 0, udp4},
		"length_above_ip_cut":            {raw, ip4(33, 17) + udp8(99) + "6865", 3, `udp 10.0.0.1:1000 > 10.0.0.2:53 "he" of 5`},
		"length_below_ip_cut":            {raw, ip4(33, 17) + udp8(12) + "6865", 3, `udp 10.0.0.1:1000 > 10.0.0.2:53 "he" of 4`},
		"cut_behind_what_udp_has":        {raw, ip4(33, 17) + udp8(10) + "6865", 3, `udp 10.0.0.1:1000 > 10.0.0.2:53 "he"`},

		"payload_cut_away":  {raw, ip4(33, 17) + udp8(13), 5, `udp 10.0.0.1:1000 > 10.0.0.2:53 "" of 5`},
		"short":             {raw, ip4(27, 17) + first(7, udp8(7)), 0, "undecoded: short udp header"},
		"cut":               {raw, ip4(33, 17) + first(7, udp8(13)), 6, "cut: short udp header"},
		"short_and_padding": {raw, ip4(27, 17) + first(7, udp8(7)) + pad, 0, "undecoded: short udp header"},
		"short_padding_cut": {raw, ip4(27, 17) + first(7, udp8(7)) + pad, 9, "undecoded: short udp header"},
		"short_and_cut":     {raw, ip4(27, 17) + first(6, udp8(7)), 1, "undecoded: short udp header"},
		"all_cut_behind_ip": {raw, ip4(33, 17), 13, "cut: short udp header"},
		"short_ipv6":        {raw, ip6(7, 17) + first(7, udp8(7)), 0, "undecoded: short udp header"},
		"cut_ipv6":          {raw, ip6(13, 17) + first(7, udp8(13)), 6, "cut: short udp header"},
	})
}

// bad decodes p, which must be TCP or UDP, and returns what is said of its
// checksum.
func bad(t *testing.T, d *Decoder, p *capture.Packet) bool {
	t.Helper()
	if k := d.Decode(p); k != TCP && k != UDP {
		t.Fatal(describe(d, k))
	}
	return d.Segment.BadChecksum()
}

// TestChecksum takes packets of every length, of which gopacket computed the
// checksums, and looks at them whole, damaged and cut.
func TestChecksum(t *testing.T) {
	var d Decoder
	random := rand.New(rand.NewSource(1))
	for size := range 80 {
		data := make([]byte, size)
		random.Read(data)
		for _, p := range crafted(t, capture.LinkRaw, 0, data) {
			name := fmt.Sprintf("packet %d with a payload of %d bytes", p.Number, size)
			if bad(t, &d, &p) {
				t.Fatalf("%s: the right checksum is wrong", name)
			}
			v4 := p.Data[0]>>4 == 4
			transport, addrs := 40, 8
			if v4 {
				transport, addrs = 20, 12
			}
			udp := d.Decode(&p) == UDP
			for i := addrs; i < len(p.Data); i++ {
				if udp && (i == transport+4 || i == transport+5) {
					continue // UDP's length has a case of its own
				}
				p.Data[i] ^= 1
				if !bad(t, &d, &p) {
					t.Errorf("%s: damage at byte %d is not noticed", name, i)
				}
				p.Data[i] ^= 1
			}
			// What is behind the packet is not summed up, even when it is odd.
			padded := p
			padded.Data = append(bytes.Clone(p.Data), 0xee, 0xee, 0xee)
			padded.Length = len(padded.Data)
			if bad(t, &d, &padded) {
				t.Errorf("%s: padding counts for the checksum", name)
			}
			if size == 0 {
				continue
			}
			cut := p
			cut.Data = bytes.Clone(p.Data[:len(p.Data)-1])
			cut.Data[transport] ^= 1
			if bad(t, &d, &cut) {
				t.Errorf("%s: a checksum is judged of bytes that were cut off", name)
			}
		}
	}
}

func TestChecksumUDP(t *testing.T) {
	packets := crafted(t, capture.LinkRaw, 0, []byte("hello"))
	v4, v6 := packets[2], packets[6]
	tests := map[string]struct {
		packet capture.Packet
		change func(udp []byte) []byte // and what is behind it
		bad    bool
	}{
		"right":      {v4, func(b []byte) []byte { return b }, false},
		"right_ipv6": {v6, func(b []byte) []byte { return b }, false},
		"wrong":      {v4, func(b []byte) []byte { b[6] ^= 0x80; return b }, true},
		"wrong_ipv6": {v6, func(b []byte) []byte { b[6] ^= 0x80; return b }, true},
		// RFC 768: the sender made none. RFC 6935 lets tunnels do so over IPv6.
		"zero":             {v4, func(b []byte) []byte { b[6], b[7] = 0, 0; return b }, false},
		"zero_ipv6":        {v6, func(b []byte) []byte { b[6], b[7] = 0, 0; return b }, false},
		"zero_and_damaged": {v4, func(b []byte) []byte { b[6], b[7] = 0, 0; b[8] ^= 1; return b }, false},
		// The pseudo-header and the header count the length: both change.
		"shorter_than_ip_says": {v4, func(b []byte) []byte {
			n := binary.BigEndian.Uint16(b[4:])
			binary.BigEndian.PutUint16(b[4:], n-1)
			sum := binary.BigEndian.Uint16(b[6:])
			add := func(n uint32) { // RFC 1624
				n += uint32(sum)
				sum = uint16(n + n>>16)
			}
			add(2)                   // the length, twice
			add(uint32(b[n-1]) << 8) // the last byte, which is now outside
			binary.BigEndian.PutUint16(b[6:], sum)
			return b
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := tt.packet
			transport := len(p.Data) - 13
			p.Data = append(bytes.Clone(p.Data[:transport]), tt.change(bytes.Clone(p.Data[transport:]))...)
			d := Decoder{}
			if got := bad(t, &d, &p); got != tt.bad {
				t.Errorf("bad checksum: %v, want %v", got, tt.bad)
			}
		})
	}
}

// TestChecksumIsForgotten wants nothing of one packet's checksum in the next.
func TestChecksumIsForgotten(t *testing.T) {
	d := Decoder{}
	packets := crafted(t, capture.LinkRaw, 0, []byte("hello"))
	for i := range packets {
		p := &packets[i]
		last := len(p.Data) - 1
		p.Data[last] ^= 1
		if !bad(t, &d, p) {
			t.Fatal("damage is not noticed")
		}
		p.Data[last] ^= 1
		if bad(t, &d, p) {
			t.Error("the checksum of the packet before is still held against this one")
		}
	}
}

// TestSum compares with a sum in steps of two bytes, as RFC 1071 has it, over
// bytes that carry at every step.
func TestSum(t *testing.T) {
	naive := func(f flow.Flow, proto byte, b []byte) uint16 {
		pseudo := binary.BigEndian.AppendUint32([]byte{0, proto}, uint32(len(b)))
		pseudo = append(pseudo, f.Src().Addr().AsSlice()...)
		pseudo = append(pseudo, f.Dst().Addr().AsSlice()...)
		var sum uint64
		for _, part := range [][]byte{pseudo, b} {
			for i, x := range part {
				if i%2 == 0 {
					sum += uint64(x) << 8
				} else {
					sum += uint64(x)
				}
			}
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		return uint16(sum)
	}
	random := rand.New(rand.NewSource(1))
	for i := range 4000 {
		b := make([]byte, random.Intn(200))
		if i%1000 == 999 {
			b = make([]byte, 60000+random.Intn(10000))
		}
		addrs := make([]byte, []int{8, 32}[i%2])
		random.Read(b)
		random.Read(addrs)
		if i%3 == 0 {
			for i := range b {
				b[i] |= byte(0xff * random.Intn(2)) // mostly ones
			}
			for i := range addrs {
				addrs[i] = 0xff
			}
		}
		s := Segment{Flow: flow.Unknown(flow.TCP), wire: b}
		s.Flow.SetAddrs(addrs[:len(addrs)/2], addrs[len(addrs)/2:])
		if got, want := s.sum(), naive(s.Flow, 6, b); got != want {
			t.Fatalf("%d bytes between %d: sum %#04x, want %#04x", len(b), len(addrs)/2, got, want)
		}
	}
}
