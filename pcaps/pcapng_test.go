package pcaps_test

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/pcaps"
)

func TestReadPcapNG(t *testing.T) {
	data := fill(60)
	const ts = 1e15 + 123456 // microseconds
	all := capture.Packet{Number: 1, Time: at(1e9, 123456000), Data: data, Length: 60, Link: 1}
	one := []capture.Packet{all}
	with := func(f func(*capture.Packet)) []capture.Packet {
		p := all
		f(&p)
		return []capture.Packet{p}
	}
	ethernet := []pcaps.Interface{{Link: 1, SnapLen: 65535}}
	for _, test := range []struct {
		trait  string
		make   func(m *maker) // continues a file behind its first section header
		want   []capture.Packet
		ifaces []pcaps.Interface
	}{
		{
			trait: "no_packets",
			make:  func(*maker) {},
		},
		{
			trait:  "enhanced",
			make:   func(m *maker) { m.iface(1, 65535).enhanced(0, ts, 60, 60, data) },
			want:   one,
			ifaces: ethernet,
		},
		{
			trait:  "enhanced_cut",
			make:   func(m *maker) { m.iface(1, 65535).enhanced(0, ts, 60, 1500, data) },
			want:   with(func(p *capture.Packet) { p.Length = 1500 }),
			ifaces: ethernet,
		},
		{
			trait:  "enhanced_length_below_captured",
			make:   func(m *maker) { m.iface(1, 65535).enhanced(0, ts, 60, 1, data) },
			want:   one,
			ifaces: ethernet,
		},
		{
			// Options behind the packet, here a comment, are no part of it.
			trait: "enhanced_with_options",
			make: func(m *maker) {
				m.iface(1, 65535).enhanced(0, ts, 58, 58, slices.Concat(pad(fill(58)), m.option(1, []byte("note")...), m.option(0)))
			},
			want:   with(func(p *capture.Packet) { p.Data, p.Length = fill(58), 58 }),
			ifaces: ethernet,
		},
		{
			trait:  "obsolete",
			make:   func(m *maker) { m.iface(1, 65535).obsolete(0, ts, 60, 1500, data) },
			want:   with(func(p *capture.Packet) { p.Length = 1500 }),
			ifaces: ethernet,
		},
		{
			trait: "obsolete_second_interface",
			make: func(m *maker) {
				m.iface(1, 65535).iface(101, 0, m.tsresol(3)).obsolete(1, 1e12+7, 60, 60, data)
			},
			want: with(func(p *capture.Packet) {
				p.Time, p.Interface, p.Link = at(1e9, 7e6), 1, capture.LinkRaw
			}),
			ifaces: []pcaps.Interface{{Link: 1, SnapLen: 65535}, {Link: 101}},
		},
		{
			trait:  "simple_without_snaplen",
			make:   func(m *maker) { m.iface(1, 0).simple(59, fill(59)) },
			want:   with(func(p *capture.Packet) { p.Time, p.Data, p.Length = at(0, 0), fill(59), 59 }),
			ifaces: []pcaps.Interface{{Link: 1}},
		},
		{
			trait:  "simple_below_snaplen",
			make:   func(m *maker) { m.iface(1, 96).simple(60, data) },
			want:   with(func(p *capture.Packet) { p.Time = at(0, 0) }),
			ifaces: []pcaps.Interface{{Link: 1, SnapLen: 96}},
		},
		{
			// The block says only how long the packet was; what was captured of it
			// is what the interface's snapshot length left. 42 needs two bytes of
			// padding, which are not data.
			trait:  "simple_cut_by_snaplen",
			make:   func(m *maker) { m.iface(1, 42).simple(60, data[:42]) },
			want:   with(func(p *capture.Packet) { p.Time, p.Data = at(0, 0), data[:42] }),
			ifaces: []pcaps.Interface{{Link: 1, SnapLen: 42}},
		},
		{
			// Without a snapshot length the block itself is the limit.
			trait:  "simple_longer_than_its_block",
			make:   func(m *maker) { m.iface(1, 0).simple(1500, data) },
			want:   with(func(p *capture.Packet) { p.Time, p.Length = at(0, 0), 1500 }),
			ifaces: []pcaps.Interface{{Link: 1}},
		},
		{
			trait: "simple_keeps_the_time_before",
			make: func(m *maker) {
				m.iface(1, 65535).iface(101, 65535).enhanced(1, ts, 60, 60, data).simple(60, data)
			},
			want: []capture.Packet{
				{Number: 1, Time: all.Time, Data: data, Length: 60, Link: 101, Interface: 1},
				{Number: 2, Time: all.Time, Data: data, Length: 60, Link: 1, Interface: 0},
			},
			ifaces: []pcaps.Interface{{Link: 1, SnapLen: 65535}, {Link: 101, SnapLen: 65535}},
		},
		{
			trait: "other_blocks_are_skipped",
			make: func(m *maker) {
				m.block(4, fill(20)).iface(1, 65535)
				for _, typ := range []uint32{
					4,          // name resolution
					5,          // interface statistics
					9,          // systemd journal
					0x0a,       // decryption secrets
					0x0bad,     // custom, to be copied
					0x40000bad, // custom, not to be copied
					0,          // reserved
					0xffffffff,
				} {
					m.block(typ, fill(32)).block(typ, nil)
				}
				m.enhanced(0, ts, 60, 60, data)
			},
			want:   one,
			ifaces: ethernet,
		},
		{
			trait: "interface_between_packets",
			make: func(m *maker) {
				m.iface(1, 65535).enhanced(0, ts, 60, 60, data).iface(276, 0).enhanced(1, ts, 1, 1, data[:1]).enhanced(0, ts, 2, 2, data[:2])
			},
			want: []capture.Packet{
				all,
				{Number: 2, Time: all.Time, Data: data[:1], Length: 1, Link: 276, Interface: 1},
				{Number: 3, Time: all.Time, Data: data[:2], Length: 2, Link: 1},
			},
			ifaces: []pcaps.Interface{{Link: 1, SnapLen: 65535}, {Link: 276}},
		},
		{
			// The second section numbers its interfaces anew, has a clock of its own
			// and the other byte order.
			trait: "sections",
			make: func(m *maker) {
				other := map[order]order{littleEndian: bigEndian, bigEndian: littleEndian}[m.order]
				m.iface(1, 65535, m.tsresol(9)).iface(113, 65535).enhanced(1, ts, 60, 60, data)
				m.section(other).iface(101, 96).enhanced(0, ts, 60, 60, data)
				m.section(m.order)
				m.section(m.order).iface(1, 65535).enhanced(0, ts, 60, 60, data)
			},
			want: []capture.Packet{
				{Number: 1, Time: all.Time, Data: data, Length: 60, Link: 113, Interface: 1},
				{Number: 2, Time: all.Time, Data: data, Length: 60, Link: 101, Interface: 2},
				{Number: 3, Time: all.Time, Data: data, Length: 60, Link: 1, Interface: 3},
			},
			ifaces: []pcaps.Interface{{Link: 1, SnapLen: 65535}, {Link: 113, SnapLen: 65535}, {Link: 101, SnapLen: 96}, {Link: 1, SnapLen: 65535}},
		},
		{
			trait: "names",
			make: func(m *maker) {
				m.iface(1, 0, m.option(2, []byte("eth0")...), m.option(3, []byte("a description")...), m.option(0))
				m.iface(1, 0, m.option(2, []byte("wlan0\x00\x00")...))
				m.iface(1, 0, m.option(2))
				m.iface(1, 0, m.option(2, bytes.Repeat([]byte("n"), 10_000)...))
			},
			ifaces: []pcaps.Interface{{Name: "eth0", Link: 1}, {Name: "wlan0", Link: 1}, {Link: 1}, {Name: strings.Repeat("n", 256), Link: 1}},
		},
		{
			// Options only describe: a list that is cut or lies costs no packet. What
			// comes before the fault counts.
			trait: "options_cut",
			make: func(m *maker) {
				name := m.option(2, []byte("eth0")...)
				m.iface(1, 0, name, []byte{0, 9})                                              // half an option header
				m.iface(1, 0, name, m.option(9, 9)[:4])                                        // no value
				m.iface(1, 0, name, (&maker{order: m.order}).u16(9).u16(math.MaxUint16).out)   // longer than the block
				m.iface(1, 0, name, m.option(9), m.option(14), m.option(14, 1, 2, 3))          // too short for what they are
				m.iface(1, 0, name, m.option(0), m.tsresol(0))                                 // behind the end
				m.iface(1, 0, m.option(2, []byte("cut")...)[:7], []byte{0})                    // ends with its padding
				m.iface(1, 0, (&maker{order: m.order}).u16(2).u16(3).bytes([]byte("cut")).out) // padded by the block
				for i := range uint32(7) {
					m.enhanced(i, ts, 60, 60, data)
				}
			},
			want: func() (list []capture.Packet) {
				for i := range 7 {
					list = append(list, capture.Packet{Number: int64(i) + 1, Time: all.Time, Data: data, Length: 60, Link: 1, Interface: i})
				}
				return list
			}(),
			ifaces: []pcaps.Interface{
				{Name: "eth0", Link: 1}, {Name: "eth0", Link: 1}, {Name: "eth0", Link: 1}, {Name: "eth0", Link: 1}, {Name: "eth0", Link: 1},
				{Name: "cut", Link: 1}, {Name: "cut", Link: 1},
			},
		},
	} {
		for name, o := range orders {
			t.Run(test.trait+"/"+name, func(t *testing.T) {
				m := pcapng(o)
				test.make(m)
				got, r := readWhole(t, m.out)
				same(t, test.want, got)
				if r.Format() != pcaps.PcapNG {
					t.Errorf("format %v", r.Format())
				}
				if diff := cmp.Diff(test.ifaces, r.Interfaces()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestSectionHeader wants whatever else a section header says to be skipped.
func TestSectionHeader(t *testing.T) {
	m := &maker{order: littleEndian}
	body := (&maker{order: littleEndian}).u32(0x1a2b3c4d).u16(1).u16(9).u32(4).u32(0) // version 1.9, a length that is wrong
	m.block(0x0a0d0d0a, body.bytes(m.option(4, []byte("a writer")...)).out)
	m.iface(1, 0).enhanced(0, 0, 1, 1, []byte{7})
	got, _ := readWhole(t, m.out)
	same(t, []capture.Packet{{Number: 1, Time: at(0, 0), Data: []byte{7}, Length: 1, Link: 1}}, got)
}

// instant is what a timestamp means, in arithmetic that can't overflow.
func instant(resolution byte, ts uint64, offset int64) (time.Time, bool) {
	base := int64(10)
	if resolution&0x80 != 0 {
		base = 2
	}
	unit := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(resolution&0x7f)), nil)
	ns := new(big.Int).Mul(new(big.Int).SetUint64(ts), big.NewInt(1e9))
	ns.Div(ns, unit)
	sec, frac := ns.DivMod(ns, big.NewInt(1e9), new(big.Int))
	sec.Add(sec, big.NewInt(offset))
	return time.Unix(sec.Int64(), frac.Int64()).UTC(), sec.IsInt64() && sec.BitLen() < 56
}

// TestResolutions reads each of the 256 possible resolutions of timestamps.
func TestResolutions(t *testing.T) {
	stamps := []uint64{
		0, 1, 999, 1000, 1e9 - 1, 1e9, 1<<32 - 1, 1 << 32, 1767323045123456, 1767323045123456789,
		1<<63 - 1, 1 << 63, 1e19, math.MaxUint64 - 1, math.MaxUint64,
	}
	offsets := []int64{0, 1, -1, 1767323045, -1 << 33, math.MaxInt64, math.MinInt64}
	checked := make(map[byte]int)
	for v := range 256 {
		resolution := byte(v)
		for _, offset := range offsets {
			m := pcapng(alternate(v))
			m.iface(1, 0, m.tsresol(resolution), m.tsoffset(offset))
			for _, ts := range stamps {
				m.enhanced(0, ts, 1, 1, []byte{1})
			}
			packets, _ := readWhole(t, m.out)
			if len(packets) != len(stamps) {
				t.Fatalf("resolution %#x: %d packets", resolution, len(packets))
			}
			for i, ts := range stamps {
				want, ok := instant(resolution, ts, offset)
				if !ok {
					continue // no year that any clock counts; it was read, that is enough
				}
				checked[resolution]++
				// Bits below 2^-63 seconds are dropped, which may round a nanosecond off.
				var off time.Duration
				if resolution > 0x80|63 {
					off = 1
				}
				if got := packets[i].Time; want.Sub(got) < 0 || want.Sub(got) > off {
					t.Errorf("resolution %#x, offset %d, timestamp %d: got %v, want %v", resolution, offset, ts, got, want)
				}
			}
		}
	}
	for _, resolution := range []byte{0, 3, 6, 9, 18, 19, 20, 0x7f, 0x80, 0x80 | 10, 0x80 | 63, 0x80 | 64, 0xff} {
		if checked[resolution] < 20 {
			t.Errorf("resolution %#x: only %d instants were compared", resolution, checked[resolution])
		}
	}
}

// alternate alternates the byte order.
func alternate(i int) order { return []order{littleEndian, bigEndian}[i%2] }

// TestInstants holds a few timestamps to dates that were worked out by hand.
func TestInstants(t *testing.T) {
	for _, test := range []struct {
		trait      string
		resolution byte
		ts         uint64
		offset     int64
		want       string
	}{
		{"seconds", 0, 1767323045, 0, "2026-01-02T03:04:05Z"},
		{"milliseconds", 3, 1767323045678, 0, "2026-01-02T03:04:05.678Z"},
		{"nanoseconds", 9, 1767323045123456789, 0, "2026-01-02T03:04:05.123456789Z"},
		{"attoseconds", 18, 5123456789012345678, 1767323040, "2026-01-02T03:04:05.123456789Z"},
		{"ten_to_the_19", 19, 11234567890123456789, 1767323044, "2026-01-02T03:04:05.123456789Z"},
		{"ten_to_the_20", 20, 12345678901234567890, 1767323045, "2026-01-02T03:04:05.123456789Z"},
		{"binary_10", 0x80 | 10, 1767323045<<10 | 512, 0, "2026-01-02T03:04:05.5Z"},
		{"binary_63", 0x80 | 63, 1<<63 | 1<<61, 1767323044, "2026-01-02T03:04:05.25Z"},
		{"binary_64", 0x80 | 64, 1 << 63, 1767323045, "2026-01-02T03:04:05.5Z"},
		{"finest_binary", 0xff, math.MaxUint64, 1767323045, "2026-01-02T03:04:05Z"},
		{"finest_decimal", 0x7f, math.MaxUint64, 1767323045, "2026-01-02T03:04:05Z"},
		{"offset_below_1970", 6, 500000, -1, "1969-12-31T23:59:59.5Z"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			m := pcapng(littleEndian)
			m.iface(1, 0, m.tsresol(test.resolution), m.tsoffset(test.offset)).enhanced(0, test.ts, 0, 0, nil)
			packets, _ := readWhole(t, m.out)
			if len(packets) != 1 {
				t.Fatalf("%d packets", len(packets))
			}
			if got := packets[0].Time.Format(time.RFC3339Nano); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestManyInterfaces wants the number of interfaces bounded over all sections.
func TestManyInterfaces(t *testing.T) {
	const limit = 1 << 16
	m := pcapng(littleEndian)
	for i := range limit {
		if i == limit/2 {
			m.section(littleEndian)
		}
		m.iface(1, 0)
	}
	m.enhanced(limit/2-1, 0, 1, 1, []byte{1})
	packets, _ := readWhole(t, m.out)
	same(t, []capture.Packet{{Number: 1, Time: at(0, 0), Data: []byte{1}, Length: 1, Link: 1, Interface: limit - 1}}, packets)

	_, _, err := read(t, bytes.NewReader(m.iface(1, 0).out))
	wantError(t, err, capture.ErrDamaged, fmt.Sprintf("more than %d interfaces", limit))
}
