package pcaps_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
)

// growing is a file that is being written: before each piece, and after the last,
// it has nothing more for now.
type growing struct {
	left  []byte
	piece int // bytes
	ready bool
}

func (g *growing) Read(b []byte) (int, error) {
	if g.ready = !g.ready; g.ready || len(g.left) == 0 {
		return 0, capture.ErrIdle
	}
	n := copy(b, g.left[:min(g.piece, len(g.left))])
	g.left = g.left[n:]
	return n, nil
}

// TestGrowing wants the same packets of a file that is read while it is written,
// wherever it ends for now.
func TestGrowing(t *testing.T) {
	for trait, file := range files(t) {
		want, _ := readWhole(t, file)
		for _, piece := range []int{1, 7, 1 << 20} {
			src := &growing{left: file, piece: piece}
			var r *pcaps.Reader
			var err error
			// A header that is not whole is waited for, from the start.
			for have := 0; r == nil; have++ {
				if have > len(file) {
					t.Fatalf("%s: the header is never whole: %v", trait, err)
				}
				src.left, src.ready = file[have:], true
				r, err = pcaps.NewReader(io.MultiReader(bytes.NewReader(file[:have]), src))
				if err != nil && !errors.Is(err, capture.ErrIdle) {
					t.Fatalf("%s: %v", trait, err)
				}
			}
			var got []capture.Packet
			for idle := 0; len(src.left) > 0 || idle < 3; {
				p, err := r.Next()
				switch {
				case err == nil:
					kept := *p
					kept.Data = bytes.Clone(p.Data)
					got, idle = append(got, kept), 0
					continue
				case !errors.Is(err, capture.ErrIdle):
					t.Fatalf("%s: after %d packets: %v", trait, len(got), err)
				}
				idle++
				if len(p.Data) > 0 || p.Length > 0 {
					t.Errorf("%s: idle with a packet of %d bytes", trait, p.Length)
				}
				if last := len(got) - 1; last >= 0 && !p.Time.Equal(got[last].Time) {
					t.Errorf("%s: idle at %v, after a packet of %v", trait, p.Time, got[last].Time)
				}
			}
			same(t, want, got)
		}
	}
}

// TestGrowingPacked wants it told that compressed files can't be read like this,
// and not that they are damaged.
func TestGrowingPacked(t *testing.T) {
	file := sections().out
	for name, to := range packers {
		packed := pack(t, to, file)
		for _, n := range []int{4, 7, 20, len(packed) / 2, len(packed) - 1, len(packed)} {
			_, _, err := read(t, io.MultiReader(bytes.NewReader(packed[:n]), &growing{}))
			if err == nil || errors.Is(err, capture.ErrIdle) || errors.Is(err, capture.ErrDamaged) || errors.Is(err, pcaps.ErrFormat) {
				t.Fatalf("%s, %d of %d bytes: %v", name, n, len(packed), err)
			}
		}
	}
}

// TestFilterGrowing wants what is there so far to be in the copy while there is
// nothing more.
func TestFilterGrowing(t *testing.T) {
	file := sections().out
	stop := errors.New("stop")
	var out bytes.Buffer
	end := &check{f: func() error {
		if !bytes.Equal(out.Bytes(), file) {
			return nil
		}
		return stop
	}}
	r, err := pcaps.NewReader(io.MultiReader(bytes.NewReader(file), end))
	if err != nil {
		t.Fatal(err)
	}
	_, err = pcaps.Filter(&out, r, nil)
	wantError(t, err, stop, "")
	if end.n != 2 {
		t.Errorf("the copy was whole when asked for more the %d. time, want 2", end.n)
	}
}

// check is idle until f fails.
type check struct {
	f func() error
	n int
}

func (c *check) Read([]byte) (int, error) {
	c.n++
	if err := c.f(); err != nil {
		return 0, err
	}
	return 0, capture.ErrIdle
}
