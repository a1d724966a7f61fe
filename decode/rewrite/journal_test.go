package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/pcaps/craft"
)

// scratch is one in memory, of which only so much can be written if that is said.
type scratch struct {
	data []byte
	room int
	deaf bool // reading fails
}

var errFull = errors.New("it is full")

func (s *scratch) WriteAt(p []byte, at int64) (int, error) {
	if s.room > 0 && int(at)+len(p) > s.room {
		return 0, errFull
	}
	s.data = append(s.data[:at], p...)
	return len(p), nil
}

func (s *scratch) ReadAt(p []byte, at int64) (int, error) {
	n := copy(p, s.data[at:])
	if n < len(p) || s.deaf {
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// TestJournal reads what was written from any place.
func TestJournal(t *testing.T) {
	for _, to := range []Scratch{nil, &scratch{}} {
		j := journal{scratch: to}
		r := rand.New(rand.NewPCG(1, 2))
		var want []byte
		for len(want) < 3*cachedBlocks*blockSize {
			piece := make([]byte, r.IntN(3*blockSize))
			for i := range piece {
				piece[i] = byte(r.Uint32())
			}
			j.add(piece)
			want = append(want, piece...)
		}
		for range 2000 {
			from := r.IntN(len(want))
			got := make([]byte, r.IntN(min(2*blockSize, len(want)-from)+1))
			if j.read(got, int64(from)); j.err != nil || !bytes.Equal(got, want[from:from+len(got)]) {
				t.Fatalf("%d bytes from %d are others, %v", len(got), from, j.err)
			}
		}
	}
}

// many are conversations at the same time, with what is replaced in them: much more than is kept in
// memory.
func many(t *testing.T) ([]capture.Packet, func(*flow.Conversation, flow.Direction) []Edit) {
	t.Helper()
	b := craft.New(craft.Options{})
	var talks []*craft.Talk
	for i := range uint16(40) {
		talks = append(talks, b.TCP(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 40000+i), netip.MustParseAddrPort("10.0.0.2:80")))
		talks[i].Open()
	}
	const size, rounds, pieces = 1000, 40, 10
	for n := range rounds {
		for _, talk := range talks {
			talk.Send(craft.Client, bytes.Repeat([]byte{byte('a' + n%20)}, size))
		}
	}
	in, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return in, func(c *flow.Conversation, d flow.Direction) (list []Edit) {
		if d == flow.ServerToClient {
			return nil
		}
		for i := range int64(rounds * pieces) {
			e := Edit{Offset: i * size / pieces, Length: 40, New: fmt.Appendf(nil, "%d of %d, %*d", i, c.Client().Port(), 20+i%20, i)}
			e.Blank = i%7 == 0
			list = append(list, e)
		}
		return append(list, Edit{Offset: rounds * size, Length: 5, New: bytes.Repeat([]byte("long"), 100_000)})
	}
}

// TestScratch makes the same packets whether edits are kept in memory or beside it.
func TestScratch(t *testing.T) {
	in, edits := many(t)
	write := func(to Scratch) []capture.Packet {
		x := NewEdits(1<<30, to)
		if _, err := decode.Run(&list{packets: in}, finder{x, edits}, decode.Options{}); err != nil {
			t.Fatal(err)
		}
		var out list
		if _, err := capture.Copy(New(&out, x, same{}, Options{}), &list{packets: in}); err != nil {
			t.Fatal(err)
		}
		return out.packets
	}
	beside := &scratch{}
	if diff := cmp.Diff(write(nil), write(beside)); diff != "" {
		t.Errorf("(-in memory +beside it)\n%s", diff)
	}
	if len(beside.data) < 10*blockSize {
		t.Errorf("only %d bytes are beside it", len(beside.data))
	}
}

// TestScratchFails hands on no packet that may have in it what was to be replaced.
func TestScratchFails(t *testing.T) {
	in, edits := many(t)
	if _, err := decode.Run(&list{packets: in}, finder{NewEdits(1<<30, &scratch{room: 5 * blockSize}), edits}, decode.Options{}); !errors.Is(err, errFull) {
		t.Errorf("it is full: %v", err)
	}
	to := &scratch{}
	x := NewEdits(1<<30, to)
	if _, err := decode.Run(&list{packets: in}, finder{x, edits}, decode.Options{}); err != nil {
		t.Fatal(err)
	}
	to.deaf = true
	var out list
	_, err := capture.Copy(New(&out, x, same{}, Options{}), &list{packets: in})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it can't be read: %v", err)
	}
	for _, p := range out.packets {
		if bytes.Contains(p.Data, []byte("aaaa")) {
			t.Errorf("packet %d has what it had", p.Number)
		}
	}
}
