package compare

import "strings"

// compareJSON lists where two values differ. Objects are compared by key, whatever
// their order, arrays in order unless a rule says otherwise, and numbers by value.
func compareJSON(a, b *node) []Difference {
	c := comparer{rules: &Rules{}}
	c.tree("body", a, b)
	return c.told()
}

// tree compares two values with a structure, the part of a message that is so called.
func (c *comparer) tree(part string, a, b *node) {
	c.part, c.path, c.exact = part+" $", c.path[:0], c.asksSpelling()
	c.nodes(a, b)
	c.part = ""
}

// differ notes a difference at the path that was come to.
func (c *comparer) differ(kind Kind, was, is side) {
	var path, place strings.Builder
	path.WriteString(c.part)
	place.WriteString(c.part)
	appendSteps(&path, c.path)
	appendPlace(&place, c.path)
	c.note(kind, path.String(), place.String(), was, is, -1)
}

func (n *node) side() side { return side{n.spelled(), n.show(), n.shape()} }

// at compares what stands at a step; nil is nothing.
func (c *comparer) at(s step, a, b *node) {
	c.path = append(c.path, s)
	switch {
	case a == nil:
		c.differ(Extra, nothing, b.side())
	case b == nil:
		c.differ(Missing, a.side(), nothing)
	default:
		c.nodes(a, b)
	}
	c.path = c.path[:len(c.path)-1]
}

func (c *comparer) nodes(a, b *node) {
	switch {
	case a.kind == nodeWire && b.kind == nodeWire:
		c.wire(a, b)
	case a.kind != b.kind:
		c.differ(Type, a.side(), b.side())
	case a.kind == nodeObject:
		c.objects(a, b)
	case a.kind == nodeArray:
		c.arrays(a, b)
	case a.text == b.text:
	case a.kind == nodeString:
		was, is := textSides(a.spelled(), b.spelled())
		c.differ(Value, was, is)
	case a.kind != nodeNumber || canonical(a.text) != canonical(b.text) || c.spelling():
		c.differ(Value, a.side(), b.side())
	}
}

// objects compares by key. Of a key that stands there more than once, the first
// is compared with the first, and so on.
func (c *comparer) objects(a, b *node) {
	if len(a.keys) == len(b.keys) && c.inStep(a, b) {
		return
	}
	place := make(map[string][]int, len(b.keys))
	for i, key := range b.keys {
		place[key] = append(place[key], i)
	}
	for i, key := range a.keys {
		var other *node
		if p := place[key]; len(p) > 0 {
			other, place[key] = b.items[p[0]], p[1:]
		}
		c.at(step{key: key}, a.items[i], other)
	}
	for i, key := range b.keys {
		if p := place[key]; len(p) > 0 && p[0] == i {
			c.at(step{key: key}, nil, b.items[i])
			place[key] = p[1:]
		}
	}
}

// inStep compares two objects whose keys stand in the same order, as they mostly do.
func (c *comparer) inStep(a, b *node) bool {
	for i, key := range a.keys {
		if key != b.keys[i] {
			return false
		}
	}
	for i, key := range a.keys {
		c.at(step{key: key}, a.items[i], b.items[i])
	}
	return true
}

// arrays compares by what a rule says, else in order: what is equal on both sides is
// paired, and so one insertion is one difference.
func (c *comparer) arrays(a, b *node) {
	if a.sum(c.exact) == b.sum(c.exact) {
		return
	}
	switch how, key := c.arrayRule(); {
	case how == set:
		c.sets(a, b)
		return
	case how == byKey && c.byKey(a.items, b.items, 0, 0, key):
		return
	}
	for _, g := range gaps(pairing(c.sums(a.items), c.sums(b.items)), len(b.items)) {
		c.gap(a.items[g.a[0]:g.a[1]], b.items[g.b[0]:g.b[1]], g.a[0], g.b[0])
	}
}

// pairing is align, unless that many are on both sides and few stand elsewhere: then a
// difference is one of value, and not of places.
func pairing(a, b []uint64) []int {
	pair := align(a, b)
	if len(a) != len(b) {
		return pair
	}
	stay := make([]int, len(a))
	still, paired := 0, 0
	for i := range a {
		if stay[i] = -1; a[i] == b[i] {
			stay[i] = i
			still++
		}
		if pair[i] >= 0 {
			paired++
		}
	}
	if 2*(paired-still) > len(a)-still {
		return pair
	}
	return stay
}

func (c *comparer) sums(items []*node) []uint64 {
	list := make([]uint64, len(items))
	for i, item := range items {
		list[i] = item.sum(c.exact)
	}
	return list
}

// gap compares elements of which none is paired with an equal one; they begin at those
// places of their arrays. Objects with an identifier are paired by it, others by what
// they look like, and the rest in order.
func (c *comparer) gap(a, b []*node, atA, atB int) {
	if len(a) != 1 || len(b) != 1 {
		for _, key := range identifiers {
			if c.byKey(a, b, atA, atB, key) {
				return
			}
		}
	}
	if len(a) == len(b) || len(a) == 0 || len(b) == 0 {
		c.inOrder(a, b, atA, atB)
		return
	}
	pair := align(outlines(a), outlines(b))
	i, j := 0, 0
	for p, q := range pair {
		if q < 0 {
			continue
		}
		c.inOrder(a[i:p], b[j:q], atA+i, atB+j)
		c.at(step{inArray: true, index: atA + p}, a[p], b[q])
		i, j = p+1, q+1
	}
	c.inOrder(a[i:], b[j:], atA+i, atB+j)
}

// inOrder compares the first with the first, and so on.
func (c *comparer) inOrder(a, b []*node, atA, atB int) {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			c.at(step{inArray: true, index: atB + i}, nil, b[i])
		case i >= len(b):
			c.at(step{inArray: true, index: atA + i}, a[i], nil)
		default:
			c.at(step{inArray: true, index: atA + i}, a[i], b[i])
		}
	}
}

// outlines are numbers that values have in common which look alike: with the same keys,
// and the same texts but for those that are made anew each time.
func outlines(items []*node) []uint64 {
	list := make([]uint64, len(items))
	for i, item := range items {
		list[i] = item.outline()
	}
	return list
}

func (n *node) outline() uint64 {
	h := uint64(n.kind) + 1
	for i, item := range n.items {
		x := item.outline()
		if n.kind == nodeObject {
			h += mix(textSum(n.keys[i]), x) // in any order
		} else {
			h = mix(h, x)
		}
	}
	switch s := n.shape(); {
	case n.items != nil || n.kind == nodeNumber:
	case s == ShapeText:
		h = mix(h, textSum(n.text))
	default:
		h = mix(h, uint64(s))
	}
	return h
}

// identifiers are keys whose values tell the elements of an array apart, when they do.
var identifiers = []string{"id", "uuid", "key", "name"}

// byKey compares objects by the value of a key, if that tells them apart on both sides
// and most are on both.
func (c *comparer) byKey(a, b []*node, atA, atB int, key string) bool {
	inA, inB := c.keyed(a, key), c.keyed(b, key)
	if inA == nil || inB == nil {
		return false
	}
	both := 0
	for id := range inA {
		if _, ok := inB[id]; ok {
			both++
		}
	}
	if 2*both < min(len(a), len(b)) {
		return false
	}
	for i, item := range a {
		s := step{inArray: true, index: atA + i}
		if j, ok := inB[item.get(key).sum(c.exact)]; ok {
			c.at(s, item, b[j])
		} else {
			c.at(s, item, nil)
		}
	}
	for j, item := range b {
		if _, ok := inA[item.get(key).sum(c.exact)]; !ok {
			c.at(step{inArray: true, index: atB + j}, nil, item)
		}
	}
	return true
}

// keyed finds objects by the value of a key; nil when one has none, or the same as
// another.
func (c *comparer) keyed(items []*node, key string) map[uint64]int {
	m := make(map[uint64]int, len(items))
	for i, item := range items {
		id := item.get(key)
		if item.kind != nodeObject || id == nil || id.kind == nodeArray || id.kind == nodeObject {
			return nil
		}
		if _, twice := m[id.sum(c.exact)]; twice {
			return nil
		}
		m[id.sum(c.exact)] = i
	}
	return m
}

// sets compares arrays without an order, in which what is there twice counts twice.
func (c *comparer) sets(a, b *node) {
	count := make(map[uint64]int, len(b.items))
	for _, item := range b.items {
		count[item.sum(c.exact)]++
	}
	var only [2][]int // places of what is not on the other side
	for i, item := range a.items {
		if count[item.sum(c.exact)] == 0 {
			only[0] = append(only[0], i)
		} else {
			count[item.sum(c.exact)]--
		}
	}
	for j := len(b.items) - 1; j >= 0; j-- { // the last of equal ones are those too many
		if s := b.items[j].sum(c.exact); count[s] > 0 {
			count[s]--
			only[1] = append(only[1], j)
		}
	}
	for _, i := range only[0] {
		c.at(step{inArray: true, index: i}, a.items[i], nil)
	}
	for n := len(only[1]) - 1; n >= 0; n-- {
		c.at(step{inArray: true, index: only[1][n]}, nil, b.items[only[1][n]])
	}
}
