package compare

import "slices"

// maxEdits bounds how many insertions and removals are found exactly between two
// sequences. That takes memory and time by its square; where there are more, what
// stands once on both sides holds them together.
const maxEdits = 100

// maxAnchorings bounds how often spans between anchors are anchored again.
const maxAnchorings = 16

// aligner pairs the equal elements of two sequences, which are given by their hashes.
type aligner struct {
	a, b []uint64
	// pair holds for each element of a its place in b, or -1. The places ascend.
	pair []int
}

// align pairs as many equal elements of a and b as it can, in their order: one that was
// put in between moves the others, and does not change them. It returns for each
// element of a its place in b, or -1.
func align(a, b []uint64) []int {
	x := aligner{a, b, slices.Repeat([]int{-1}, len(a))}
	x.span(0, len(a), 0, len(b), 0)
	return x.pair
}

// span pairs a[i:k] with b[j:l].
func (x *aligner) span(i, k, j, l, depth int) {
	for i < k && j < l && x.a[i] == x.b[j] {
		x.pair[i] = j
		i, j = i+1, j+1
	}
	for i < k && j < l && x.a[k-1] == x.b[l-1] {
		k, l = k-1, l-1
		x.pair[k] = l
	}
	if i == k || j == l || x.shortest(i, k, j, l) || depth == maxAnchorings {
		return
	}
	anchors := x.anchors(i, k, j, l)
	if len(anchors) == 0 {
		return
	}
	for _, p := range anchors {
		x.span(i, p[0], j, p[1], depth+1)
		x.pair[p[0]] = p[1]
		i, j = p[0]+1, p[1]+1
	}
	x.span(i, k, j, l, depth+1)
}

// shortest finds the shortest way from a[i:k] to b[j:l] by E. Myers, "An O(ND)
// Difference Algorithm and Its Variations" (1986), unless it is longer than maxEdits.
func (x *aligner) shortest(i, k, j, l int) bool {
	n, m := k-i, l-j
	if d := n - m; max(d, -d) > maxEdits {
		return false
	}
	// far[maxEdits+d] is how far in a the furthest path has come on diagonal d, which is
	// the place in a less that in b.
	var far [2*maxEdits + 2]int
	var trail [][]int // far before each edit
	for edits := range maxEdits + 1 {
		trail = append(trail, slices.Clone(far[maxEdits-edits:maxEdits+edits+2]))
		for d := -edits; d <= edits; d += 2 {
			at := maxEdits + d
			var p int
			if d == -edits || d != edits && far[at-1] < far[at+1] {
				p = far[at+1]
			} else {
				p = far[at-1] + 1
			}
			for p < n && p-d < m && p-d >= 0 && x.a[i+p] == x.b[j+p-d] {
				p++
			}
			far[at] = p
			if p >= n && p-d >= m {
				x.back(trail, i, j, n, m)
				return true
			}
		}
	}
	return false
}

// back goes the way back that shortest has found, and pairs what is equal.
func (x *aligner) back(trail [][]int, i, j, p, q int) {
	for edits := len(trail) - 1; edits >= 0; edits-- {
		far := trail[edits] // far[edits+d]
		d := p - q
		before := d - 1
		if d == -edits || d != edits && far[edits+d-1] < far[edits+d+1] {
			before = d + 1
		}
		from := 0
		if edits > 0 {
			from = far[edits+before]
		}
		for p > from && q > from-before && p > 0 && q > 0 && x.a[i+p-1] == x.b[j+q-1] {
			p, q = p-1, q-1
			x.pair[i+p] = j + q
		}
		p, q = from, from-before
	}
}

// anchors are elements that stand once in a[i:k] and once in b[j:l], as many as stand
// in the same order (the patience algorithm of Bram Cohen).
func (x *aligner) anchors(i, k, j, l int) [][2]int {
	type places struct{ inA, inB, countA, countB int }
	seen := make(map[uint64]*places, k-i)
	for p := i; p < k; p++ {
		s := seen[x.a[p]]
		if s == nil {
			s = &places{}
			seen[x.a[p]] = s
		}
		s.inA, s.countA = p, s.countA+1
	}
	for p := j; p < l; p++ {
		if s := seen[x.b[p]]; s != nil {
			s.inB, s.countB = p, s.countB+1
		}
	}
	var list [][2]int
	for p := i; p < k; p++ {
		if s := seen[x.a[p]]; s.countA == 1 && s.countB == 1 {
			list = append(list, [2]int{p, s.inB})
		}
	}
	return ascending(list)
}

// ascending returns the longest part of a list in which the second numbers ascend, as
// the first do.
func ascending(list [][2]int) [][2]int {
	var last []int // of the best of each length: its last element
	before := make([]int, len(list))
	for i, p := range list {
		n, _ := slices.BinarySearchFunc(last, p[1], func(e, place int) int { return list[e][1] - place })
		before[i] = -1
		if n > 0 {
			before[i] = last[n-1]
		}
		if n == len(last) {
			last = append(last, i)
		} else {
			last[n] = i
		}
	}
	out := make([][2]int, len(last))
	if len(last) > 0 {
		for n, i := len(last)-1, last[len(last)-1]; n >= 0; n, i = n-1, before[i] {
			out[n] = list[i]
		}
	}
	return out
}

// gap is a span of both sequences between elements that were paired.
type gap struct{ a, b [2]int }

// gaps lists the spans in which nothing was paired.
func gaps(pair []int, lenB int) []gap {
	var list []gap
	i, j := 0, 0
	for p := 0; p <= len(pair); p++ {
		q := lenB
		if p < len(pair) {
			if q = pair[p]; q < 0 {
				continue
			}
		}
		if p > i || q > j {
			list = append(list, gap{[2]int{i, p}, [2]int{j, q}})
		}
		i, j = p+1, q+1
	}
	return list
}
