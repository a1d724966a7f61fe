package packet

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"netlab/capture"
)

// wired are full-sized packets, for what they cost.
func wired(t testing.TB) map[string]capture.Packet {
	data := bytes.Repeat([]byte("0123456789abcdef"), 90)
	plain, tagged := crafted(t, capture.LinkEthernet, 0, data), crafted(t, capture.LinkEthernet, 7, data)
	return map[string]capture.Packet{"tcp_v4": plain[0], "udp_v4": plain[2], "tcp_v6": plain[4], "udp_v6": plain[6], "tcp_v4_vlan": tagged[0]}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	for name, p := range wired(t) {
		var d Decoder
		if n := testing.AllocsPerRun(100, func() { d.Decode(&p); d.Segment.BadChecksum() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	var d Decoder
	for _, l := range slices.Concat(odd, slices.Collect(maps.Values(good()))) {
		p := capture.Packet{Data: unhex(t, l.hex), Link: l.link}
		p.Length = len(p.Data) + l.cut
		if n := testing.AllocsPerRun(100, func() { d.Decode(&p) }); n != 0 {
			t.Errorf("%s: %v allocations", describe(&d, d.Decode(&p)), n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	packets := wired(b)
	for _, name := range []string{"tcp_v4", "tcp_v6", "tcp_v4_vlan", "udp_v4", "udp_v6"} {
		p := packets[name]
		for _, sums := range []string{"plain", "checksums"} {
			b.Run(name+"/"+sums, func(b *testing.B) {
				var d Decoder
				b.SetBytes(int64(len(p.Data)))
				b.ReportAllocs()
				for b.Loop() {
					d.Decode(&p)
					if sums == "checksums" {
						d.Segment.BadChecksum()
					}
				}
			})
		}
	}
}
