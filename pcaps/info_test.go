package pcaps_test

import (
	"testing"
	"time"

	"netlab/pcaps"
)

func inspected(t testing.TB, file []byte) *pcaps.Info {
	t.Helper()
	i, err := pcaps.Inspect(open(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestInspect looks at what a file says of itself.
func TestInspect(t *testing.T) {
	for name, o := range orders {
		t.Run(name, func(t *testing.T) {
			m := pcapng(o).iface(1, 99, m0(o).option(2, []byte("eth7")...), m0(o).option(3, []byte("the cable")...), m0(o).option(11, []byte("\x00tcp port 80")...), m0(o).option(1, []byte("a comment")...))
			m.enhanced(0, 3e6, 3, 30, append(pad(fill(3)), m.option(1, []byte("odd")...)...)).enhanced(0, 1e6, 5, 5, fill(5)).names().secrets(1, fill(3)).block(77, fill(5))
			count := func(n uint64) []byte { return m.AppendUint64(nil, n) }
			start := m.AppendUint32(m.AppendUint32(nil, 0), 1e6)
			m.statistics(0, m.option(2, start...), m.option(4, count(1000)...), m.option(5, count(3)...), m.option(7, count(4)...))
			i := inspected(t, m.out)
			if i.Packets != 2 || i.Bytes != 8 || i.WireBytes != 35 || i.Cut != 1 || i.Longest != 5 || i.Backwards != 1 || i.FileBytes != int64(len(m.out)) {
				t.Errorf("counts %+v", i)
			}
			if i.First != at(1, 0) || i.Last != at(3, 0) || i.BigEndian != (name == "big") || i.Sections != 1 || i.Damage != "" {
				t.Errorf("what is said of all: %+v", i)
			}
			if i.CommentCount != 1 || i.Comments[0] != "a comment" || i.PacketComments != 1 || i.Secrets != 1 || i.Names != 1 || i.Unknown != 1 {
				t.Errorf("what stands beside: %+v", i)
			}
			f := i.Interfaces[0]
			if len(i.Interfaces) != 1 || f.Name != "eth7" || f.Description != "the cable" || f.Filter != "tcp port 80" || f.SnapLen != 99 || f.Packets != 2 {
				t.Errorf("interfaces %+v", i.Interfaces)
			}
			want := pcaps.Counts{Start: at(1, 0), Received: 1000, IfDropped: 3, Accepted: -1, OSDropped: 4, Delivered: -1}
			if f.Statistics == nil || *f.Statistics != want {
				t.Errorf("statistics %+v, want %+v", f.Statistics, want)
			}

			if cut := inspected(t, m.out[:len(m.out)-1]); cut.Damage == "" || cut.Packets != 2 {
				t.Errorf("a damaged file: %+v", cut)
			}
			old := inspected(t, pcap(o, 0xa1b23c4d).record(1, 2, 9, 9, fill(9)).out)
			if !old.Nano || old.Packets != 1 || old.Interfaces[0].Packets != 1 || old.First != time.Unix(1, 2).UTC() {
				t.Errorf("a pcap file: %+v", old)
			}
		})
	}
}
