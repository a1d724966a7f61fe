package pcaps_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/pcaps"
)

func TestReadPcap(t *testing.T) {
	const (
		micro    = 0xa1b2c3d4
		nano     = 0xa1b23c4d
		modified = 0xa1b2cd34
	)
	data := fill(60)
	// all is the packet of every case that does not say otherwise.
	all := capture.Packet{Number: 1, Time: at(1e9, 123456000), Data: data, Length: 60, Link: 1}
	with := func(f func(*capture.Packet)) []capture.Packet {
		p := all
		f(&p)
		return []capture.Packet{p}
	}
	for _, test := range []struct {
		trait string
		make  func(o order) *maker
		want  []capture.Packet
		iface pcaps.Interface // where it is not Ethernet with 65535
	}{
		{
			trait: "no_packets",
			make:  func(o order) *maker { return pcap(o, micro) },
		},
		{
			trait: "micro",
			make:  func(o order) *maker { return pcap(o, micro).record(1e9, 123456, 60, 60, data) },
			want:  []capture.Packet{all},
		},
		{
			trait: "nano",
			make:  func(o order) *maker { return pcap(o, nano).record(1e9, 123456789, 60, 60, data) },
			want:  with(func(p *capture.Packet) { p.Time = at(1e9, 123456789) }),
		},
		{
			trait: "modified",
			make: func(o order) *maker {
				return pcap(o, modified).record(1e9, 123456, 60, 60, data).record(1e9, 123457, 1, 1, data[:1])
			},
			want: []capture.Packet{all, {Number: 2, Time: at(1e9, 123457000), Data: data[:1], Length: 1, Link: 1}},
		},
		{
			trait: "cut",
			make:  func(o order) *maker { return pcap(o, micro).record(1e9, 123456, 60, 1500, data) },
			want:  with(func(p *capture.Packet) { p.Length = 1500 }),
		},
		{
			// Some writers say less than they captured.
			trait: "length_below_captured",
			make:  func(o order) *maker { return pcap(o, micro).record(1e9, 123456, 60, 59, data) },
			want:  []capture.Packet{all},
		},
		{
			trait: "length_huge",
			make:  func(o order) *maker { return pcap(o, micro).record(1e9, 123456, 60, math.MaxUint32, data) },
			want:  with(func(p *capture.Packet) { p.Length = math.MaxUint32 }),
		},
		{
			trait: "empty_packet",
			make: func(o order) *maker {
				return pcap(o, micro).record(1e9, 123456, 0, 0, nil).record(1e9, 123456, 0, 9, nil)
			},
			want: []capture.Packet{
				{Number: 1, Time: all.Time, Link: 1},
				{Number: 2, Time: all.Time, Link: 1, Length: 9},
			},
		},
		{
			// Before version 2.3 the length on the wire came first.
			trait: "version_2_2_swapped",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 2, 65535, 1).record(1e9, 123456, 1500, 60, data)
			},
			want: with(func(p *capture.Packet) { p.Length = 1500 }),
		},
		{
			// In 2.3 it depends on the writer, and the smaller one is what is there.
			trait: "version_2_3_swapped",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 3, 65535, 1).record(1e9, 123456, 1500, 60, data)
			},
			want: with(func(p *capture.Packet) { p.Length = 1500 }),
		},
		{
			trait: "version_2_3_in_order",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 3, 65535, 1).record(1e9, 123456, 60, 1500, data)
			},
			want: with(func(p *capture.Packet) { p.Length = 1500 }),
		},
		{
			trait: "snaplen_0_is_no_limit",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 4, 0, 1).record(1e9, 123456, 60, 60, data)
			},
			want:  []capture.Packet{all},
			iface: pcaps.Interface{Link: 1, SnapLen: 0},
		},
		{
			// What the header promised is not what was written; the bytes are there.
			trait: "snaplen_below_packet",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 4, 40, 1).record(1e9, 123456, 60, 60, data)
			},
			want:  []capture.Packet{all},
			iface: pcaps.Interface{Link: 1, SnapLen: 40},
		},
		{
			trait: "link_beyond_8_bits",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 4, 65535, 276).record(1e9, 123456, 60, 60, data)
			},
			want:  with(func(p *capture.Packet) { p.Link = capture.LinkLinuxSLL2 }),
			iface: pcaps.Interface{Link: 276, SnapLen: 65535},
		},
		{
			// The four top bits are the length of the frame check sequence, the next
			// one says that it is known.
			trait: "frame_check_sequence",
			make: func(o order) *maker {
				return pcapHeader(o, micro, 2, 4, 65535, 0x24000001).record(1e9, 123456, 60, 60, data)
			},
			want: []capture.Packet{all},
		},
		{
			trait: "beyond_2038",
			make:  func(o order) *maker { return pcap(o, micro).record(math.MaxUint32, 999999, 60, 60, data) },
			want:  with(func(p *capture.Packet) { p.Time = at(math.MaxUint32, 999999000) }),
		},
		{
			trait: "fraction_beyond_a_second",
			make:  func(o order) *maker { return pcap(o, nano).record(1e9, 2e9+5, 60, 60, data) },
			want:  with(func(p *capture.Packet) { p.Time = at(1e9+2, 5) }),
		},
	} {
		for name, o := range orders {
			t.Run(test.trait+"/"+name, func(t *testing.T) {
				got, r := readWhole(t, test.make(o).out)
				same(t, test.want, got)
				if r.Format() != pcaps.Pcap {
					t.Errorf("format %v", r.Format())
				}
				iface := test.iface
				if iface == (pcaps.Interface{}) {
					iface = pcaps.Interface{Link: 1, SnapLen: 65535}
				}
				if diff := cmp.Diff([]pcaps.Interface{iface}, r.Interfaces()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
