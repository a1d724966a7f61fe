package compare

import (
	"math/rand"
	"testing"
)

// aligned checks that what is paired is equal and in order, and counts it.
func aligned(t testing.TB, a, b []uint64) int {
	t.Helper()
	n, last := 0, -1
	for i, j := range align(a, b) {
		if j < 0 {
			continue
		}
		if j <= last || a[i] != b[j] {
			t.Fatalf("%d is paired with %d, after %d: %v %v", i, j, last, a, b)
		}
		n, last = n+1, j
	}
	return n
}

// longest is the length of the longest common subsequence, by the book.
func longest(a, b []uint64) int {
	best := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := best[j+1]
			if x == y {
				best[j+1] = diagonal + 1
			} else {
				best[j+1] = max(above, best[j])
			}
			diagonal = above
		}
	}
	return best[len(b)]
}

func sequence(r *rand.Rand, n, of int) []uint64 {
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(r.Intn(of))
	}
	return list
}

// TestAlign holds what is paired to the most that can be.
func TestAlign(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 5000 {
		a, b := sequence(r, r.Intn(30), 1+r.Intn(8)), sequence(r, r.Intn(30), 1+r.Intn(8))
		if got, want := aligned(t, a, b), longest(a, b); got != want {
			t.Fatalf("%d are paired, want %d: %v %v", got, want, a, b)
		}
	}
}

// TestAlignFar pairs sequences that are too far apart for the shortest way: what is
// there once on both sides still holds them together.
func TestAlignFar(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	var a, b []uint64
	kept := 0
	for i := range uint64(5000) {
		if r.Intn(4) == 0 {
			a = append(a, 1<<32+i)
		}
		if r.Intn(4) == 0 {
			b = append(b, 2<<32+i)
		}
		if r.Intn(4) > 0 {
			a, b = append(a, i), append(b, i)
			kept++
		}
	}
	if got := aligned(t, a, b); got != kept {
		t.Errorf("%d are paired, want %d", got, kept)
	}
	aligned(t, sequence(r, 3000, 3), sequence(r, 3000, 3)) // nothing is there once
}

func FuzzAlign(f *testing.F) {
	f.Add([]byte("abcabba"), []byte("cbabac"))
	f.Add([]byte("aaaaaaaa"), []byte("aaa"))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		list := func(data []byte) []uint64 {
			out := make([]uint64, len(data))
			for i, c := range data {
				out[i] = uint64(c)
			}
			return out
		}
		a, b := list(x), list(y)
		got := aligned(t, a, b)
		if aligned(t, a, a) != len(a) {
			t.Errorf("%v is not itself", a)
		}
		if len(a)+len(b) <= maxEdits && got != longest(a, b) {
			t.Errorf("%d are paired, want %d: %v %v", got, longest(a, b), a, b)
		}
		covered := got
		for _, g := range gaps(align(a, b), len(b)) {
			covered += g.a[1] - g.a[0]
		}
		if covered != len(a) {
			t.Errorf("pairs and gaps hold %d of %d", covered, len(a))
		}
	})
}
