package replay

import (
	"cmp"
	"slices"
	"time"

	"netlab/replay/plan"
)

// rated are the times of a connection's exchanges at a rate.
type rated struct {
	open  time.Duration
	steps []time.Duration
}

// asked is an exchange, or a connection on which nothing is asked.
type asked struct {
	conn *plan.Conn
	step int // that begins it; -1 when nothing is asked
	at   time.Duration
}

// rate gives the exchanges of a plan, in the order of their beginning, a time each:
// perSecond in a second. What is sent later of one is due with its beginning, and a
// connection with the first of its own.
func rate(p *plan.Plan, perSecond float64) map[*plan.Conn]*rated {
	var all []asked
	for _, c := range p.Conns {
		if c.Skip == "" {
			all = append(all, asks(c)...)
		}
	}
	slices.SortStableFunc(all, func(a, b asked) int { return cmp.Compare(a.at, b.at) })
	times := make(map[*plan.Conn]*rated)
	const unset = -1
	for i, a := range all {
		due := time.Duration(float64(i) / perSecond * float64(time.Second))
		r := times[a.conn]
		if r == nil {
			r = &rated{open: due, steps: slices.Repeat([]time.Duration{unset}, len(a.conn.Steps))}
			times[a.conn] = r
		}
		if a.step >= 0 && r.steps[a.step] == unset {
			r.steps[a.step] = due // of several in one packet the first counts
		}
	}
	for _, r := range times {
		last := r.open
		for i, due := range r.steps {
			last = max(last, due)
			r.steps[i] = last
		}
	}
	return times
}

// asks lists the exchanges of a connection by the steps that begin them.
func asks(c *plan.Conn) []asked {
	var list []asked
	if !c.Parsed() {
		turn := -1
		for i := range c.Steps {
			if s := &c.Steps[i]; s.Turn != turn {
				turn = s.Turn
				list = append(list, asked{c, i, s.At})
			}
		}
	} else {
		i := 0
		for n := range c.Checks {
			q := c.Checks[n].Exchange.Request
			if q == nil || c.Checks[n].Left {
				continue
			}
			from := i
			for i < len(c.Steps) && c.Steps[i].Packet != q.Packet {
				i++
			}
			if i == len(c.Steps) {
				i = from // it can't be sent
				continue
			}
			list = append(list, asked{c, i, c.Steps[i].At})
		}
	}
	if len(list) == 0 {
		list = append(list, asked{c, -1, c.Open})
	}
	return list
}
