package filter

import "slices"

// block is a test, and where the program goes on: the index of another block.
// That is always a lower one, so there are no loops.
type block struct {
	test
	yes, no int
}

// The first two blocks are the ends.
const (
	reject = 0
	accept = 1
	ends   = 2
)

// maxProgram bounds a program, in instructions: a kernel takes no longer one.
const maxProgram = 4096

// flow is a program as branches.
type flow struct {
	blocks []block
	entry  int
}

// build makes branches of a tree of tests. A program that would be too long has no
// entry.
func build(c *cond) *flow {
	f := &flow{blocks: make([]block, ends)}
	f.entry = f.add(c, accept, reject)
	if len(f.blocks) > maxProgram {
		return &flow{entry: -1}
	}
	f.shorten()
	return f
}

// add appends the tests of c, which go on at yes or at no, and returns the first.
func (f *flow) add(c *cond, yes, no int) int {
	if len(f.blocks) > maxProgram {
		return reject
	}
	switch c.kind {
	case always:
		return yes
	case never:
		return no
	case not:
		return f.add(c.a, no, yes)
	case both:
		return f.add(c.a, f.add(c.b, yes, no), no)
	case either:
		return f.add(c.a, yes, f.add(c.b, yes, no))
	}
	t := c.test
	if t.code == nil && t.op == jumpEq && t.k == 0 && t.value.mask != allOnes {
		// No bit of these: then A holds the whole field still, for others.
		t.op, t.k, t.value.mask = jumpSet, t.value.mask, allOnes
		yes, no = no, yes
	}
	f.blocks = append(f.blocks, block{t, yes, no})
	return len(f.blocks) - 1
}

// fact is the outcome of a test that the program has come through.
type fact struct {
	value value
	op    uint16
	k     uint32
	holds bool
}

// maxFacts bounds what is known at a block: what is forgotten is asked again.
const maxFacts = 32

// learn adds a fact; one that says what a value is stays longest.
func learn(facts []fact, n fact) []fact {
	if len(facts) >= maxFacts {
		i := slices.IndexFunc(facts, func(o fact) bool { return o.op != jumpEq || !o.holds })
		i = max(i, 0)
		facts = slices.Delete(facts, i, i+1)
	}
	return append(facts, n)
}

// outcome tells how a test ends, where that is known: it could be asked before,
// so its bytes are there.
func (t *test) outcome(facts []fact) (holds, known bool) {
	if t.code != nil {
		return false, false
	}
	for _, f := range facts {
		switch {
		case f.value != t.value:
		case f.op == t.op && f.k == t.k:
			return f.holds, true
		case f.op == jumpEq && f.holds:
			return t.of(f.k), true
		}
	}
	return false, false
}

// of is the outcome for a value.
func (t *test) of(a uint32) bool {
	switch t.op {
	case jumpEq:
		return a == t.k
	case jumpGt:
		return a > t.k
	case jumpGe:
		return a >= t.k
	}
	return a&t.k != 0
}

// shorten lets branches pass tests whose outcome is known where they come from:
// that a packet is IPv4 need not be asked twice.
func (f *flow) shorten() {
	known := make([][]fact, len(f.blocks))
	seen := make([]bool, len(f.blocks))
	for i := f.entry; i >= ends; i-- {
		if i != f.entry && !seen[i] {
			continue
		}
		b := &f.blocks[i]
		for _, holds := range []bool{true, false} {
			facts := slices.Clone(known[i])
			if b.code == nil {
				facts = learn(facts, fact{b.value, b.op, b.k, holds})
			}
			to := &b.no
			if holds {
				to = &b.yes
			}
			for *to >= ends {
				next := &f.blocks[*to]
				yes, ok := next.outcome(facts)
				if !ok {
					break
				}
				if *to = next.no; yes {
					*to = next.yes
				}
			}
			if seen[*to] {
				known[*to] = slices.DeleteFunc(known[*to], func(k fact) bool { return !slices.Contains(facts, k) })
			} else {
				known[*to], seen[*to] = facts, true
			}
		}
	}
}
