package decode

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// TestLines puts units in line, and wants what a map and a list do.
func TestLines(t *testing.T) {
	tests := map[string]func(r *rand.Rand, i int) uint64{
		"one":          func(*rand.Rand, int) uint64 { return 7 },
		"zero":         func(*rand.Rand, int) uint64 { return 0 },
		"all_others":   func(_ *rand.Rand, i int) uint64 { return uint64(i) },
		"few":          func(r *rand.Rand, _ int) uint64 { return r.Uint64N(10) },
		"many":         func(r *rand.Rand, _ int) uint64 { return r.Uint64N(3000) },
		"one_slot":     func(r *rand.Rand, _ int) uint64 { return r.Uint64N(200) << 32 },
		"last_slot":    func(r *rand.Rand, _ int) uint64 { return r.Uint64N(200)<<32 | 1<<32 - 1 },
		"neighbouring": func(r *rand.Rand, _ int) uint64 { return r.Uint64N(2000) / 3 << 1 },
	}
	for name, hash := range tests {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var l lines
			for round := range 30 {
				var order []uint64
				model := make(map[uint64][]int32)
				unit := int32(0)
				for i := range r.IntN(1 + 300*round) {
					h := hash(r, i)
					if model[h] == nil {
						order = append(order, h)
					}
					model[h] = append(model[h], unit)
					f, turned := flowOf(h), r.IntN(2) > 0
					if turned {
						f = f.Reverse()
					}
					line, back := l.put(&f, h, unit)
					if first := l.all[line].flow; back && f != first.Reverse() || !back && f != first {
						t.Fatalf("%v, back %v, stands in the line of %v", f, back, first)
					}
					unit += 1 + r.Int32N(3) // those between are other shards'
				}
				var want []int32
				for _, h := range order {
					want = append(want, model[h]...)
				}
				if got := l.inLine(); !slices.Equal(got, want) {
					t.Fatalf("round %d: %d units in line are %v, want %v", round, len(want), got, want)
				}
				l.reset()
			}
		})
	}
}

// flowOf returns a flow of its own for each number.
func flowOf(n uint64) (f flow.Flow) {
	src, dst := binary.BigEndian.AppendUint64(make([]byte, 8), n), make([]byte, 16)
	f.SetAddrs(src, dst)
	f.SetPorts(flow.UDP, 1, 2)
	return f
}

// datagrams is a Source of UDP packets of a size, in turn of so many
// conversations.
type datagrams struct {
	n, size, of int
	buf         []byte
	at          int
	swap        func([]byte) []byte
	p           capture.Packet
}

func (s *datagrams) Next() (*capture.Packet, error) {
	if s.n--; s.n < 0 {
		return nil, io.EOF
	}
	switch {
	case s.swap == nil:
		s.buf, s.at = make([]byte, s.size), 0
	case len(s.buf) == 0:
		s.buf = make([]byte, bufferBytes)
	case s.at+s.size > len(s.buf):
		s.buf, s.at = s.swap(s.buf), 0
	}
	d := s.buf[s.at : s.at+s.size]
	clear(d)
	d[0], d[9] = 0x45, 17
	binary.BigEndian.PutUint16(d[2:], uint16(s.size))
	binary.BigEndian.PutUint32(d[12:], 0x0a010001)
	binary.BigEndian.PutUint32(d[16:], 0x0a010002)
	binary.BigEndian.PutUint16(d[20:], uint16(1024+int(s.p.Number*7)%s.of))
	binary.BigEndian.PutUint16(d[22:], 7777)
	binary.BigEndian.PutUint16(d[24:], uint16(s.size-20))
	s.at += s.size
	s.p = capture.Packet{Number: s.p.Number + 1, Time: time.Unix(1, 0), Data: d, Length: s.size, Link: capture.LinkRaw}
	return &s.p, nil
}

// lentDatagrams is the same as a Lender.
type lentDatagrams struct{ *datagrams }

func (l lentDatagrams) Lend(swap func([]byte) []byte) { l.swap = swap }

// told is a Forker that writes down the packets that it is told of, as it is told
// of those before each Flush.
type told struct {
	batches [][]int64
	now     []int64
}

func (w *told) Exchange(*proto.Exchange) error { return nil }
func (w *told) Fork() Part                     { return &toldPart{whole: w} }
func (w *told) Flush() error {
	w.batches, w.now = append(w.batches, w.now), nil
	return nil
}

type toldPart struct {
	whole   *told
	packets []int64
	written int
}

func (p *toldPart) Exchange(*proto.Exchange) error { return nil }
func (p *toldPart) Stream(_ *flow.Conversation, _ flow.Direction, k flow.Chunk) error {
	p.packets = append(p.packets, k.Packet)
	return nil
}
func (p *toldPart) Len() int { return len(p.packets) }

// Write takes pieces in any order, but each once.
func (p *toldPart) Write(from, to int) error {
	p.whole.now = append(p.whole.now, p.packets[from:to]...)
	p.written += to - from
	return nil
}

func (p *toldPart) Reset() {
	if p.written != len(p.packets) {
		panic(fmt.Sprintf("%d of %d were written", p.written, len(p.packets)))
	}
	p.packets, p.written = p.packets[:0], 0
}

// TestBatches wants batches to end where they should, and what they hold to be
// written in the order of the packets, whoever had to do with it.
func TestBatches(t *testing.T) {
	perBuffer := func(size int) int { return bufferBytes / size }
	tests := map[string]struct {
		n, size int
		lent    bool
		want    []int // packets of the batches, but for the rest
	}{
		"units":          {20_000, 40, true, []int{batchUnits}},
		"units_not_lent": {20_000, 28, false, []int{batchUnits}},
		// Behind the first batch, one of the buffers holds the end of that before.
		"buffers":          {20_000, 200, true, []int{8 * perBuffer(200), 7 * perBuffer(200)}},
		"bytes_not_lent":   {1000, 1028, false, []int{261, 261, 261}}, // 1008 bytes of each are copied
		"all_at_once":      {1000, 100, true, nil},
		"all_not_lent":     {1000, 100, false, nil},
		"larger_than_that": {40, 60_000, true, []int{8 * 4}},
	}
	for name, test := range tests {
		for _, workers := range []int{1, 3} {
			for _, of := range []int{1, 3000} {
				t.Run(fmt.Sprintf("%s of %d, %d workers", name, of, workers), func(t *testing.T) {
					d := &datagrams{n: test.n, size: test.size, of: of}
					var src capture.Source = d
					if test.lent {
						src = lentDatagrams{d}
					}
					var out told
					if _, err := Run(src, &out, Options{Workers: workers}); err != nil {
						t.Fatal(err)
					}
					next := int64(1)
					var sizes []int
					for _, b := range out.batches {
						for _, packet := range b {
							if packet != next {
								t.Fatalf("packet %d comes in place of %d", packet, next)
							}
							next++
						}
						if len(b) > 0 {
							sizes = append(sizes, len(b))
						}
					}
					if next != int64(test.n)+1 {
						t.Errorf("%d packets came of %d", next-1, test.n)
					}
					want, rest := test.want, test.n
					for _, n := range want {
						rest -= n
					}
					if rest > 0 {
						want = append(slices.Clone(want), rest)
					}
					if !slices.Equal(sizes, want) {
						t.Errorf("batches of %d packets, want %d", sizes, want)
					}
				})
			}
		}
	}
}
