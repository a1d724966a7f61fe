package replay

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// cuts are what is taken out of a schedule, where no client does anything for longer than
// most. What servers do does not count: where a client had waited for it, it will wait again.
type cuts struct {
	most    time.Duration // 0 takes nothing out
	last    time.Duration // when a client did something
	earlier time.Duration // all from here on
	list    []cut         // in the order of time: from each on, all is earlier by so much
	ahead   times         // when clients will have done something
}

type cut struct{ at, earlier time.Duration }

// add notes that a client does something.
func (c *cuts) add(at time.Duration) {
	for len(c.ahead) > 0 && c.ahead[0] <= at {
		c.step(heap.Pop(&c.ahead).(time.Duration))
	}
	c.step(at)
}

// later notes that a client does something before what is added next, or later.
func (c *cuts) later(at time.Duration) {
	if c.most > 0 {
		heap.Push(&c.ahead, at)
	}
}

// settle notes that nothing more is added.
func (c *cuts) settle() {
	for len(c.ahead) > 0 {
		c.step(heap.Pop(&c.ahead).(time.Duration))
	}
}

func (c *cuts) step(at time.Duration) {
	if idle := at - c.last; c.most > 0 && idle > c.most {
		c.earlier += idle - c.most
		c.list = append(c.list, cut{at, c.earlier})
	}
	c.last = max(c.last, at)
}

// apply returns when something recorded at a time happens without what was cut out.
func (c *cuts) apply(at time.Duration) time.Duration {
	i, found := slices.BinarySearchFunc(c.list, at, func(x cut, at time.Duration) int { return cmp.Compare(x.at, at) })
	if found {
		i++
	}
	if i == 0 {
		return at
	}
	return at - c.list[i-1].earlier
}

// times are a heap, the earliest first.
type times []time.Duration

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i] < t[j] }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *times) Push(x any)        { *t = append(*t, x.(time.Duration)) }

func (t *times) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}
