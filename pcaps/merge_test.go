package pcaps_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/pcaps"
)

// script is a Source that does what it is told, and lends its packets from one
// place, so whoever looks at one too late sees another.
type script struct {
	steps  []any // int64 is a packet of this second, an error is that
	packet capture.Packet
	data   [1]byte
}

func (s *script) Next() (*capture.Packet, error) {
	if len(s.steps) == 0 {
		return nil, io.EOF
	}
	step := s.steps[0]
	if err, ok := step.(error); ok {
		if errors.Is(err, capture.ErrIdle) {
			s.steps = s.steps[1:]
			return &capture.Packet{Time: at(99, 0)}, err
		}
		return nil, err
	}
	s.steps = s.steps[1:]
	sec := int64(step.(int))
	s.data[0] = byte(sec)
	s.packet = capture.Packet{Number: s.packet.Number + 1, Time: at(sec, 0), Data: s.data[:], Length: 1, Interface: s.packet.Interface}
	return &s.packet, nil
}

func TestMerge(t *testing.T) {
	damage := func(name string) error { return fmt.Errorf("%s: %w", name, capture.ErrDamaged) }
	boom := errors.New("boom")
	for _, test := range []struct {
		trait   string
		sources [][]any
		want    string // second and interface of each packet, and idle; then the end
	}{
		{"nothing", nil, "EOF"},
		{"empty", [][]any{{}, {}}, "EOF"},
		{"one", [][]any{{1, 2, 3}}, "1/0 2/0 3/0 EOF"},
		{"two", [][]any{{1, 4, 5}, {2, 3, 6}}, "1/0 2/1 3/1 4/0 5/0 6/1 EOF"},
		{"one_empty", [][]any{{}, {1, 2}}, "1/1 2/1 EOF"},
		{"equal_times", [][]any{{1, 1, 2}, {1, 2}, {1, 1}}, "1/0 1/0 1/1 1/2 1/2 2/0 2/1 EOF"},
		{"back_in_time", [][]any{{5, 1, 6}, {2, 7, 3}}, "2/1 5/0 1/0 6/0 7/1 3/1 EOF"},
		{"damage", [][]any{{1, damage("a")}, {2, 3}}, "1/0 2/1 3/1 a: capture is damaged"},
		{"damage_twice", [][]any{{1, damage("a")}, {damage("b")}, {4}}, "1/0 4/2 b: capture is damaged; a: capture is damaged"},
		{"failure", [][]any{{1, 2, boom}, {1, 9}}, "1/0 1/1 2/0 boom"},
		{"failure_at_once", [][]any{{1}, {boom}}, "boom"},
		// Time stands still while one is idle: what it has to say may come first.
		{"idle", [][]any{{capture.ErrIdle, 1, capture.ErrIdle, capture.ErrIdle, 4}, {2, 3}}, "idle@99 1/0 idle@2 idle@2 2/1 3/1 4/0 EOF"},
		{"all_idle", [][]any{{capture.ErrIdle}, {capture.ErrIdle, 1}}, "idle@99 idle@99 1/1 EOF"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			var sources []capture.Source
			for _, steps := range test.sources {
				sources = append(sources, &script{steps: slices.Clone(steps)})
			}
			m := pcaps.Merge(sources...)
			got := ""
			for n := int64(1); ; {
				p, err := m.Next()
				if errors.Is(err, capture.ErrIdle) {
					got += fmt.Sprintf("idle@%d ", p.Time.Unix())
					continue
				}
				if err != nil {
					got += err.Error()
					if p, again := m.Next(); p != nil || again != err {
						t.Errorf("asked again: %v, %v", p, again)
					}
					break
				}
				if p.Number != n || p.Data[0] != byte(p.Time.Unix()) {
					t.Errorf("packet %d has the number %d, and the bytes of second %d at %v", n, p.Number, p.Data[0], p.Time)
				}
				n++
				got += fmt.Sprintf("%d/%d ", p.Time.Unix(), p.Interface)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestMergeFiles wants the packets of a file that was dealt to several in their
// old order, and their interfaces told apart.
func TestMergeFiles(t *testing.T) {
	const k = 5
	random := rand.New(rand.NewPCG(1, 2))
	hands := make([][]capture.Packet, k)
	var want []capture.Packet
	for i := range 3000 {
		to, iface := random.IntN(k), random.IntN(3)
		p := capture.Packet{Number: int64(i) + 1, Time: at(1, int64(i)), Data: fill(i % 100), Length: i % 100, Link: 1, Interface: iface}
		hands[to] = append(hands[to], p)
	}
	ids := make([]map[int]int, k) // of the interfaces, in the order in which the Writer meets them
	for to, hand := range hands {
		ids[to] = make(map[int]int)
		for _, p := range hand {
			if _, ok := ids[to][p.Interface]; !ok {
				ids[to][p.Interface] = len(ids[to])
			}
			p.Interface = ids[to][p.Interface]*k + to
			want = append(want, p)
		}
	}
	slices.SortFunc(want, func(a, b capture.Packet) int { return int(a.Number - b.Number) })
	var sources []capture.Source
	for _, hand := range hands {
		sources = append(sources, open(t, write(t, pcaps.Options{Format: pcaps.PcapNG}, hand)))
	}
	got, err := drain(t, pcaps.Merge(sources...))
	if err != io.EOF {
		t.Errorf("ends with %v", err)
	}
	same(t, want, got)
}

// TestMergeAllocates holds merging to no allocation for a packet.
func TestMergeAllocates(t *testing.T) {
	const runs = 3000
	file, _ := large(pcaps.Pcap, runs+10, small)
	m := pcaps.Merge(open(t, file), open(t, file), open(t, file))
	if _, err := m.Next(); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(runs, func() {
		if _, err := m.Next(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}

func BenchmarkMerge(b *testing.B) {
	const packets = 20_000
	for _, k := range []int{1, 2, 16} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			file, _ := large(pcaps.Pcap, packets/k, small)
			b.SetBytes(int64(len(file) * k))
			b.ReportAllocs()
			for b.Loop() {
				var sources []capture.Source
				for range k {
					r, err := pcaps.NewReader(bytes.NewReader(file))
					if err != nil {
						b.Fatal(err)
					}
					sources = append(sources, r)
				}
				m := pcaps.Merge(sources...)
				var err error
				for err == nil {
					_, err = m.Next()
				}
				if err != io.EOF {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/packets, "ns/packet")
		})
	}
}
