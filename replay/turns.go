package replay

import (
	"bytes"
	"fmt"
	"slices"

	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// turns hold what a server says against what it had said, turn by turn, for a protocol that is
// not parsed. Where a turn's answer ends is a matter of timing: as long as the bytes are the
// same, the turns are.
type turns struct {
	pending []awaited // recorded turns
	from    int64     // where the answer to the first of them begins, in what the server says
	stream  []byte    // what it said, from base on
	base    int64
	lost    bool // more was said than is kept
}

// heard keeps what the server said.
func (t *turns) heard(data []byte) {
	if len(t.stream)+len(data) > maxRaw {
		t.lost = true
	} else {
		t.stream = append(t.stream, data...)
	}
}

// end is where what the server said ends, as far as it is kept.
func (t *turns) end() int64 { return t.base + int64(len(t.stream)) }

// between returns what the server said between two places.
func (t *turns) between(from, to int64) []byte {
	from, to = max(from, t.base)-t.base, min(to, t.end())-t.base
	if to <= from {
		return nil
	}
	return t.stream[from:to]
}

// expect takes note of a recorded turn.
func (t *turns) expect(k *call, c *plan.Check, cost int) {
	t.pending = append(t.pending, awaited{c, cost})
	t.settle(k)
}

// close says that nothing live comes any more.
func (t *turns) close(k *call) { t.settle(k) }

// settle judges the turns of which enough is known.
func (t *turns) settle(k *call) {
	for len(t.pending) > 0 {
		x := t.pending[0]
		next := k.mark(x.check.Index + 1)
		if next == nil && !k.over {
			return // it goes on
		}
		same, known := t.same(k, next)
		if !known {
			return
		}
		o := k.outcome(x.check)
		t.judge(k, o, next, same)
		t.pending = t.pending[1:]
		if same {
			t.from += x.check.Turn.Length
		} else if next != nil {
			t.from = max(t.from, next.bytes)
		} else {
			t.from = t.end()
		}
		t.forget(k, next)
		k.report(o, x.cost)
	}
}

// agrees compares a recorded answer with what stands at a place. It returns whether all that
// is there agrees, and whether all is there.
func (t *turns) agrees(turn *plan.Turn, from int64) (same, all bool) {
	live := t.between(from, from+turn.Length)
	same = bytes.HasPrefix(turn.Answer, live)
	return same, same && int64(len(live)) == turn.Length
}

// same reports whether the answer to the first pending turn is as it was, and whether that
// is known yet.
func (t *turns) same(k *call, next *mark) (same, known bool) {
	c := t.pending[0].check
	turn := c.Turn
	if t.lost || int64(len(turn.Answer)) != turn.Length || c.Skip != "" && turn.Length > 0 {
		return false, true
	}
	agrees, all := t.agrees(turn, t.from)
	end := t.from + turn.Length
	switch {
	case !agrees:
		return false, true
	case !all:
		return false, k.over // it may still come
	case next == nil:
		return t.end() == end, true
	case next.bytes <= end:
		return true, true
	case len(t.pending) == 1:
		return false, k.over // what is too much may be of the next
	}
	// More was said than is this turn's, before the client spoke again.
	following := t.pending[1].check.Turn
	agrees, all = t.agrees(following, end)
	if !agrees || all || k.over {
		return all && following.Length > 0, true
	}
	return false, false
}

// judge fills in what became of a turn.
func (t *turns) judge(k *call, o *Outcome, next *mark, same bool) {
	turn := o.Check.Turn
	m := k.mark(o.Check.Index)
	if !k.opened && k.conn.Errand != nil {
		o.Verdict, o.Reason = compare.Failed, k.why()
		return
	}
	if m == nil && turn.Sent > 0 {
		o.Verdict, o.Reason = compare.Failed, "not sent: "+k.why()
		return
	}
	from, to := mark{}, mark{bytes: t.end()}
	if m != nil {
		from = *m
		o.Sent, o.Late = m.sent, m.late
		if !m.first.IsZero() && !m.spoke.IsZero() {
			o.Latency = max(0, m.first.Sub(m.spoke))
		}
	}
	if next != nil {
		to = *next
	}
	live := t.between(max(from.bytes, t.from), to.bytes)
	o.Live = turnSummary(live)
	switch {
	case same:
		o.Live = o.Recorded
	case len(live) == 0 && turn.Length > 0:
		o.Verdict, o.Reason = compare.Failed, k.why()
	case t.lost && next == nil:
		o.Verdict, o.Reason = compare.Skipped, fmt.Sprintf("the answer is larger than the %d MiB that are kept", maxRaw>>20)
	default:
		o.Differences = compare.Bytes("answer", turn.Answer, live)
		o.Verdict = verdict(o.Differences)
	}
	k.show(o, &proto.Message{Raw: live, Body: &proto.Turn{}})
	if o.Check.Skip != "" && turn.Length == 0 && len(live) > 0 && next == nil && k.close.Kind != plan.CloseNone && k.finding == "" {
		k.finding = "the server said more than in the recording: " + o.Live
	}
}

// forget lets go of what belongs to turns that were judged.
func (t *turns) forget(k *call, next *mark) {
	keep := t.from
	if next != nil {
		keep = min(keep, next.bytes)
		k.marks = k.marks[slices.IndexFunc(k.marks, func(m mark) bool { return m.turn == next.turn }):]
	}
	if n := keep - t.base; n > 0 {
		t.stream = append(t.stream[:0], t.stream[n:]...)
		t.base += n
	}
}

// mark returns when a turn began, or nil when it did not.
func (k *call) mark(turn int) *mark {
	i, found := slices.BinarySearchFunc(k.marks, turn, func(m mark, turn int) int { return m.turn - turn })
	if !found {
		return nil
	}
	return &k.marks[i]
}
