package plan

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"
)

// Parts hands on all parts of the plan, in the order in which they were seen, until ctx
// ends. Those of conversations that go on at a time are merged, and no others are held.
func (p *Plan) Parts(ctx context.Context, out Taker) error {
	if p.Bare {
		return p.again(ctx, out)
	}
	conns := slices.Clone(p.Conns)
	slices.SortStableFunc(conns, func(a, b *Conn) int { return cmp.Compare(a.Open, b.Open) })
	var open cursors
	for ctx.Err() == nil {
		for len(conns) > 0 && (len(open) == 0 || conns[0].Open <= open[0].at) {
			heap.Push(&open, p.cursor(conns[0]))
			conns = conns[1:]
		}
		if len(open) == 0 {
			break
		}
		c := open[0]
		if err := out.Take(&c.part); err != nil {
			return err
		}
		if c.next() {
			heap.Fix(&open, 0)
		} else {
			heap.Pop(&open)
		}
	}
	return nil
}

// cursor goes through the parts of a conversation. Each check stands before what was said
// behind its answer.
type cursor struct {
	plan   *Plan
	at     time.Duration // when part was seen
	part   Part
	steps  []Step   // that are still to be said
	checks []*Check // that are still to be answered
	closed bool
}

// cursor stands at the first part of a conversation.
func (p *Plan) cursor(c *Conn) *cursor {
	return &cursor{plan: p, at: c.Open, part: Part{Kind: Opened, Conn: c}, steps: c.Steps, checks: p.byAnswer(c)}
}

// next goes on to the next part, and reports whether there is one.
func (c *cursor) next() bool {
	next := Part{Conn: c.part.Conn}
	switch {
	case c.part.Kind == Over:
		return false
	case len(c.checks) > 0 && (c.closed || len(c.steps) > 0 && c.plan.isBefore(c.checks[0], &c.steps[0])):
		next.Kind, next.Check = Answered, c.checks[0]
		c.checks = c.checks[1:]
	case len(c.steps) > 0:
		s := &c.steps[0]
		next.Kind, next.Step, next.At = Said, s, s.At
		c.at = max(c.at, s.At) // those of a conversation keep their order
		c.steps = c.steps[1:]
	case !c.closed:
		next.Kind, next.Closing = Closed, &next.Conn.ending.Closing
		c.closed = true
	default:
		next.Kind = Over
	}
	c.part = next
	return true
}

// cursors are a heap: first is what was seen first, and of several that of the conversation
// that stands first in the plan.
type cursors []*cursor

func (h cursors) Len() int { return len(h) }
func (h cursors) Less(i, j int) bool {
	a, b := h[i], h[j]
	return a.at < b.at || a.at == b.at && a.part.Conn.ID < b.part.Conn.ID
}
func (h cursors) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *cursors) Push(x any)   { *h = append(*h, x.(*cursor)) }
func (h *cursors) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return c
}

// byAnswer returns the checks of a conversation in the order of their answers.
func (p *Plan) byAnswer(c *Conn) []*Check {
	list := make([]*Check, len(c.Checks))
	for i := range list {
		list[i] = &c.Checks[i]
	}
	if c.Parsed() {
		slices.SortStableFunc(list, func(a, b *Check) int { return cmp.Compare(p.answered(a), p.answered(b)) })
	}
	return list
}

// answered returns when the answer of a check was there, far away when it never was.
func (p *Plan) answered(k *Check) time.Duration {
	if m := k.Exchange.Response; m != nil {
		return m.End.Sub(p.Start)
	}
	return far
}

// isBefore reports whether a check is over before a step.
func (p *Plan) isBefore(k *Check, s *Step) bool {
	if k.Turn != nil {
		return k.Index < s.Turn
	}
	return p.answered(k) < s.At
}

// Read makes the plan of what run pushes to a Recorder. Where that is more than the
// Collector may keep and a bare plan will do, run is called again when it is played, and
// has to push the same.
func Read(ctx context.Context, k *Collector, run func(context.Context, *Recorder) error) (*Plan, error) {
	if err := run(ctx, k.Recorder()); err != nil {
		return nil, err
	}
	p := k.Plan()
	p.again = func(ctx context.Context, out Taker) error {
		r := newRecorder(&reviser{out: out, host: k.Host, begun: &k.begun})
		r.pickBy, r.known = k.Pick, p
		return run(ctx, r)
	}
	return p, nil
}
