package replay

import (
	"context"
	"fmt"
	"slices"
	"time"

	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/values"
)

// carried is what a call puts into its requests: values out of live answers, its own or those
// of other connections.
type carried struct {
	requests []values.Request // those to come
	answers  []int            // the values of answers to come
	editor   plan.Editor
	missed   map[int][]values.Miss // by the exchange, until it is judged
}

// carry gets ready, where there are values.
func (k *call) carry() {
	c, v := k.conn, k.player.values
	switch {
	case k.skipped != "":
		v.Over(c.ID, k.skipped, true)
	case c.Protocol == &proto.HTTP:
		k.carried.requests = v.Requests(c.ID)
		k.carried.answers = slices.DeleteFunc(slices.Clone(v.Answers(c.ID)), func(n int) bool {
			from := v.Value(n).From
			omitted := c.Omits(from.Index)
			if omitted {
				v.Skip(from, "it was left out")
			}
			return omitted
		})
	}
}

// takeValues takes those that a live answer has: the request that it is to is found by where
// it stood in the recording. Answers come in the order of their requests.
func (k *call) takeValues(e *proto.Exchange) {
	c, v := &k.carried, k.player.values
	if e.Request == nil || e.Response == nil {
		return
	}
	n, first := 0, 0
	for ; n < len(c.answers); n++ {
		x := v.Value(c.answers[n])
		at := k.answers.place(x.Asked)
		if at > e.Request.Offset {
			break
		}
		if at < e.Request.Offset {
			first = n + 1
		}
	}
	v.Take(c.answers[first:n], e.Response)
	c.answers = c.answers[n:]
}

// begins reports whether a request with values begins in a step.
func (c *carried) begins(s *plan.Step) bool {
	return len(c.requests) > 0 && c.requests[0].At < s.Ends()
}

// fill waits for the values of all requests that begin in a step, and has them put in.
func (k *call) fill(ctx context.Context, s *plan.Step) error {
	c, v := &k.carried, k.player.values
	for c.begins(s) {
		q := &c.requests[0]
		if q.End > s.Offset { // else it was left out
			if err := k.awaitValues(ctx, q); err != nil {
				return err
			}
			edits, missed := v.Edits(q)
			c.editor.Add(edits...)
			if len(missed) > 0 {
				if c.missed == nil {
					c.missed = make(map[int][]values.Miss)
				}
				c.missed[q.In.Index] = missed
			}
		}
		c.requests = c.requests[1:]
	}
	return nil
}

// awaitValues waits until all values of a request are known: for the own ones as long as for
// an answer, for those of others until they have them or end.
func (k *call) awaitValues(ctx context.Context, q *values.Request) error {
	begin := time.Now()
	own := false
	for i := range q.Uses {
		own = own || k.player.values.Value(q.Uses[i].Value).From.Conversation == k.conn.ID
	}
	for {
		var until time.Time
		if own {
			until = later(begin, later(k.lastSent, k.lastRead)).Add(k.timeout)
		}
		var stop func()
		waited, err := k.idle(ctx, until, func(begin, wake func()) (wait bool) {
			stop, wait = k.player.values.Wait(q, begin, wake)
			return wait
		})
		if !waited {
			return nil
		}
		stop()
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return errStopped
		}
	}
}

// stale says what is wrong with the values that an answer has, and with those that its request
// had.
func (k *call) stale(index int) []compare.Difference {
	var list []compare.Difference
	places, first := k.player.values.Missed(values.Ref{Conversation: k.conn.ID, Index: index})
	for i, p := range places {
		list = append(list, compare.Difference{Kind: compare.Missing, Path: "value " + p.String(), Offset: -1,
			Recorded: fmt.Sprintf("what request %d of conversation %d says", first[i].Index, first[i].Conversation)})
	}
	for _, m := range k.carried.missed[index] {
		if !m.Expected {
			list = append(list, compare.Difference{Kind: compare.Missing, Path: "request " + m.Use.Place.String(), Offset: -1,
				Recorded: "a value of the server, and was sent as recorded: " + m.Why})
		}
	}
	delete(k.carried.missed, index)
	return list
}
