package pcaps_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
)

var _ capture.Lender = (*pcaps.File)(nil)

// batch holds the packets of one buffer, their bytes still in it.
type batch struct {
	used    []byte
	packets []capture.Packet
}

// borrower looks at packets when those of some more buffers have been read, and
// then breaks their bytes.
type borrower struct {
	t        testing.TB
	size     int // of the buffers
	delay    int // batches that wait to be looked at
	waiting  []batch
	now      []capture.Packet
	packets  []capture.Packet // with bytes of their own
	swaps    int
	recycled bool // used buffers are used again
}

func (b *borrower) swap(used []byte) []byte {
	b.swaps++
	b.waiting, b.now = append(b.waiting, batch{used, b.now}), nil
	if len(b.waiting) <= b.delay {
		return make([]byte, b.size)
	}
	free := b.settle()
	if b.recycled {
		return free
	}
	return make([]byte, b.size)
}

// settle takes the packets out of the oldest batch, and returns its buffer.
func (b *borrower) settle() []byte {
	first := b.waiting[0]
	b.waiting = b.waiting[1:]
	b.copy(first.packets)
	for i := range first.used {
		first.used[i] = 0xdb
	}
	for _, p := range first.packets {
		if bytes.Count(p.Data, []byte{0xdb}) != len(p.Data) {
			b.t.Errorf("packet %d is not in the buffer that was swapped behind it", p.Number)
		}
	}
	return first.used
}

func (b *borrower) copy(packets []capture.Packet) {
	for _, p := range packets {
		p.Data = bytes.Clone(p.Data)
		b.packets = append(b.packets, p)
	}
}

// borrow returns the packets of src, and the error they end in.
func (b *borrower) borrow(src capture.Source) ([]capture.Packet, error) {
	src.(capture.Lender).Lend(b.swap)
	for {
		p, err := src.Next()
		if err == nil {
			b.now = append(b.now, *p)
			continue
		}
		for len(b.waiting) > 0 {
			b.settle()
		}
		b.copy(b.now) // the last buffer is not swapped
		return b.packets, err
	}
}

// compareLent wants the same packets and the same end when they are lent in
// buffers of several sizes, as soon as the first bytes of file have come.
func compareLent(t testing.TB, file []byte, want []capture.Packet, end error) {
	t.Helper()
	for _, b := range []borrower{
		{size: 0, delay: 2},
		{size: 1, delay: 3, recycled: true},
		{size: 64}, // whatever is not copied before the swap is broken
		{size: 64, recycled: true},
		{size: 1000, delay: 3, recycled: true},
	} {
		first := min(len(file), 64)
		r, err := pcaps.NewReader(io.MultiReader(bytes.NewReader(file[:first]), bytes.NewReader(file[first:])))
		if err != nil {
			t.Fatal(err)
		}
		b.t = t
		got, err := b.borrow(r)
		if fmt.Sprint(err) != fmt.Sprint(end) {
			t.Errorf("in buffers of %d bytes it ends with %v, want %v", b.size, err, end)
		}
		same(t, want, got)
	}
}

// TestLend wants the packets of files to be the same when they are lent.
func TestLend(t *testing.T) {
	all := files(t)
	size := func(i int) int {
		if i == 300 {
			return 600_000
		}
		return small(i)
	}
	all["large_pcap"], _ = large(pcaps.Pcap, 4000, size)
	all["large_pcapng"], _ = large(pcaps.PcapNG, 4000, size)
	for trait, file := range all {
		t.Run(trait, func(t *testing.T) {
			want, _ := readWhole(t, file)
			compareLent(t, file, want, io.EOF)
			cut := file[:len(file)-1]
			if want, _, err := read(t, bytes.NewReader(cut)); len(want) > 0 {
				compareLent(t, cut, want, err)
			}
		})
	}
}

// TestLendLate wants what was read before to come first, in a buffer that is
// swapped like any other, and a Limit to lend as well.
func TestLendLate(t *testing.T) {
	file, want := large(pcaps.Pcap, 10_000, small)
	src := capture.Limit(open(t, file), 9_000)
	for range 5 {
		if _, err := src.Next(); err != nil {
			t.Fatal(err)
		}
	}
	b := &borrower{t: t, size: 10_000}
	got, err := b.borrow(src)
	if err != io.EOF {
		t.Error(err)
	}
	same(t, want[5:9_000], got)
	if b.swaps < 50 {
		t.Errorf("%d buffers of 10 kB were asked for, for 1 MB", b.swaps)
	}
}

// TestLendBlocks wants the block of a packet to be in its buffer, with its options.
func TestLendBlocks(t *testing.T) {
	m := pcapng(littleEndian).iface(1, 0)
	for i := range 1000 {
		m.enhanced(0, uint64(i), 4, 4, append(fill(4), m.option(1, byte(i))...))
	}
	r := open(t, m.out)
	var blocks []pcaps.Block
	r.Lend(func([]byte) []byte { return make([]byte, 100) })
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, r.Block())
	}
	for i, b := range blocks {
		for _, v := range b.Options() {
			if v[0] != byte(i) {
				t.Fatalf("the option of packet %d is that of another", i+1)
			}
		}
	}
}

// TestLendGrowing wants what is lent to stay while there is nothing more.
func TestLendGrowing(t *testing.T) {
	for trait, file := range files(t) {
		want, _ := readWhole(t, file)
		const head = 28 // the longest header
		r, err := pcaps.NewReader(io.MultiReader(bytes.NewReader(file[:head]), &growing{left: file[head:], piece: 7}))
		if err != nil {
			t.Fatal(err)
		}
		b := &borrower{t: t, size: 64, delay: 1, recycled: true}
		got, err := b.borrow(&patient{Reader: r, left: 2 * len(file)})
		if err != io.EOF {
			t.Errorf("%s: %v", trait, err)
		}
		same(t, want, got)
	}
}

// patient asks again when its Reader is idle, for some times.
type patient struct {
	*pcaps.Reader
	left int
}

func (p *patient) Next() (*capture.Packet, error) {
	for ; p.left > 0; p.left-- {
		if packet, err := p.Reader.Next(); !errors.Is(err, capture.ErrIdle) {
			return packet, err
		}
	}
	return nil, io.EOF
}
