package plan

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Parts hands on all parts of the plan, in the order in which they were seen, until ctx
// ends.
func (p *Plan) Parts(ctx context.Context, out Taker) error {
	if p.Bare {
		return p.again(ctx, out)
	}
	var events []event
	for _, c := range p.Conns {
		events = p.events(events, c)
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for i := range events {
		if ctx.Err() != nil {
			return nil
		}
		if err := out.Take(&events[i].part); err != nil {
			return err
		}
	}
	return nil
}

// event is a part at its time.
type event struct {
	at   time.Duration
	part Part
}

// events appends the parts of a conversation. Each check stands before what was said behind
// its answer.
func (p *Plan) events(list []event, c *Conn) []event {
	at := c.Open
	add := func(t time.Duration, part Part) {
		at = max(at, t) // those of a conversation keep their order
		part.Conn = c
		list = append(list, event{at, part})
	}
	add(0, Part{Kind: Opened})
	checks := p.byAnswer(c)
	for i := range c.Steps {
		s := &c.Steps[i]
		for len(checks) > 0 && p.isBefore(checks[0], s) {
			add(0, Part{Kind: Answered, Check: checks[0]})
			checks = checks[1:]
		}
		add(s.At, Part{Kind: Said, Step: s, At: s.At})
	}
	add(0, Part{Kind: Closed, Closing: &c.ending.Closing})
	for _, k := range checks {
		add(0, Part{Kind: Answered, Check: k})
	}
	add(0, Part{Kind: Over})
	return list
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
