package replay

import (
	"cmp"
	"slices"
	"time"

	"netlab/replay/plan"
)

// cuts are what is taken out of a schedule, in the order of time: from each on, all is
// earlier by so much.
type cuts []cut

type cut struct{ at, earlier time.Duration }

// cutIdle finds where no client does anything for longer than a time. What servers do
// does not count: where a client had waited for it, it will wait again.
func cutIdle(p *plan.Plan, most time.Duration) cuts {
	if most <= 0 {
		return nil
	}
	var events []time.Duration
	for _, c := range p.Conns {
		if c.Skip != "" {
			continue
		}
		events = append(events, c.Open)
		for i := range c.Steps {
			events = append(events, c.Steps[i].At)
		}
		if c.Close.Kind != plan.CloseNone {
			events = append(events, c.Close.At)
		}
	}
	slices.Sort(events)
	var list cuts
	var last, earlier time.Duration
	for _, at := range events {
		if idle := at - last; idle > most {
			earlier += idle - most
			list = append(list, cut{at, earlier})
		}
		last = at
	}
	return list
}

// apply returns when something recorded at a time happens without what was cut out.
func (c cuts) apply(at time.Duration) time.Duration {
	i, found := slices.BinarySearchFunc(c, at, func(x cut, at time.Duration) int { return cmp.Compare(x.at, at) })
	if found {
		i++
	}
	if i == 0 {
		return at
	}
	return at - c[i-1].earlier
}

// total is how much was cut out.
func (c cuts) total() time.Duration {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1].earlier
}
