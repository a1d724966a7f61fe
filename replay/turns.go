package replay

import (
	"bytes"
	"crypto/sha256"
	"hash"
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
	sum     sum  // of the answer to the first pending turn, when a digest is known of it
}

// sum is what an answer comes to that is compared by its digest.
type sum struct {
	hash  hash.Hash // SHA-256; nil before there is any of it
	bytes int64
	first []byte
}

func (s *sum) add(data []byte) {
	if s.hash == nil {
		s.hash = sha256.New()
	}
	s.hash.Write(data)
	s.bytes += int64(len(data))
	s.first = append(s.first, data[:min(len(data), proto.Shortened-len(s.first))]...)
}

// heard keeps what the server said.
func (t *turns) heard(data []byte) {
	if len(t.stream)+len(data) > maxRaw {
		t.fold()
	}
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

// fold sums up what is there of an answer of which a digest is known, and lets go of it.
func (t *turns) fold() {
	if t.lost || len(t.pending) == 0 || t.pending[0].check.Turn.Digest == nil {
		return
	}
	if data := t.between(t.from+t.sum.bytes, t.from+t.pending[0].check.Turn.Length); len(data) > 0 {
		t.sum.add(data)
		t.drop(t.from + t.sum.bytes)
	}
}

// drop lets go of what the server said before a place.
func (t *turns) drop(to int64) {
	if n := to - t.base; n > 0 {
		t.stream = append(t.stream[:0], t.stream[n:]...)
		t.base += n
	}
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
		t.pending, t.sum = t.pending[1:], sum{}
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
	if turn.Digest != nil && from == t.from {
		all = t.sum.bytes == turn.Length
		return !all || bytes.Equal(t.sum.hash.Sum(nil), turn.Digest), all
	} else if turn.Digest != nil {
		n := min(len(live), len(turn.Answer))
		return bytes.Equal(live[:n], turn.Answer[:n]), false
	}
	same = bytes.HasPrefix(turn.Answer, live)
	return same, same && int64(len(live)) == turn.Length
}

// same reports whether the answer to the first pending turn is as it was, and whether that
// is known yet.
func (t *turns) same(k *call, next *mark) (same, known bool) {
	c := t.pending[0].check
	turn := c.Turn
	t.fold()
	if t.lost || turn.Digest == nil && int64(len(turn.Answer)) != turn.Length || c.Skip != "" && turn.Length > 0 {
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
	if following.Digest != nil {
		return agrees, true
	}
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
		o.Sent, o.Late, o.Slip = m.sent, m.late, m.slip
		if !m.first.IsZero() && !m.spoke.IsZero() {
			o.Latency = max(0, m.first.Sub(m.spoke))
		}
	}
	if next != nil {
		to = *next
	}
	live := t.between(max(from.bytes, t.from+t.sum.bytes), to.bytes)
	o.Digest = turn.Digest != nil
	o.Live = turnSummary(live)
	switch {
	case same:
		o.Live = o.Recorded
	case len(live) == 0 && t.sum.bytes == 0 && turn.Length > 0:
		o.Verdict, o.Reason = compare.Failed, k.why()
	case turn.Digest != nil && !t.lost:
		t.sum.add(live)
		o.Live = (&proto.Turn{Bytes: t.sum.bytes, Preview: t.sum.first[:min(len(t.sum.first), maxPreview)]}).Summary()
		o.Differences = compare.Sums("answer", recordedSum(turn), compare.Sum{Bytes: t.sum.bytes, SHA256: t.sum.hash.Sum(nil), First: t.sum.first})
		o.Verdict = verdict(o.Differences)
		live = t.sum.first
	case t.lost && next == nil:
		o.Differences = compare.Sums("answer", recordedSum(turn), compare.Sum{Bytes: k.received - t.from, First: live})
		o.Verdict = verdict(o.Differences)
	default:
		o.Differences = compare.Bytes("answer", turn.Answer, live)
		o.Verdict = verdict(o.Differences)
	}
	k.show(o, &proto.Message{Raw: live, Body: &proto.Turn{}})
	if o.Check.Skip != "" && turn.Length == 0 && len(live) > 0 && next == nil && k.close.Kind != plan.CloseNone && k.finding == "" {
		k.finding = "the server said more than in the recording: " + o.Live
	}
}

// recordedSum is what a recorded answer comes to.
func recordedSum(turn *plan.Turn) compare.Sum {
	if turn.Digest == nil {
		return compare.SumOf(turn.Answer)
	}
	return compare.Sum{Bytes: turn.Length, SHA256: turn.Digest, First: turn.Answer}
}

// forget lets go of what belongs to turns that were judged.
func (t *turns) forget(k *call, next *mark) {
	keep := t.from
	if next != nil {
		keep = min(keep, next.bytes)
		k.marks = k.marks[slices.IndexFunc(k.marks, func(m mark) bool { return m.turn == next.turn }):]
	}
	t.drop(keep)
}

// mark returns when a turn began, or nil when it did not.
func (k *call) mark(turn int) *mark {
	i, found := slices.BinarySearchFunc(k.marks, turn, func(m mark, turn int) int { return m.turn - turn })
	if !found {
		return nil
	}
	return &k.marks[i]
}
