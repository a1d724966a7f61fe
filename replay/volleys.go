package replay

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"netlab/replay/compare"
)

// volleys are the answers in datagrams of a protocol that is not parsed: what belongs to what
// is told from what they say, and from the order.
type volleys struct {
	list     []*volley  // that are not judged yet, in order
	loose    []*arrival // that belong to none of them yet
	guessed  []*missile // that were hit by something else than was awaited
	is       recent
	kept     int // bytes
	twiceNow string
}

// volley is a recorded answer.
type volley struct {
	awaited
	sentAt
	missiles []*missile
	extra    [][]byte // what came beyond
	live     []byte   // in place of no answer
}

// missile is one datagram of an answer.
type missile struct {
	*awaitedDatagram
	data []byte
	hit  *arrival
}

// arrival is a datagram that came.
type arrival struct {
	at     time.Time
	data   []byte
	unkept bool // there was no room for data
}

// expect takes note of what one datagram was answered with.
func (v *volleys) expect(k *call, x awaited, then sentAt) {
	turn := x.check.Turn
	y := &volley{awaited: x, sentAt: then}
	v.list = append(v.list, y)
	if k.over {
		v.retire(k, 0)
		return
	}
	if turn.Sent > 0 && then.at.IsZero() {
		v.retire(k, window)
		return
	}
	var last *awaitedDatagram
	for _, d := range turn.Datagrams {
		last = k.datagrams.await(then, last)
		y.missiles = append(y.missiles, &missile{awaitedDatagram: last, data: d})
	}
	loose := v.loose
	v.loose = nil
	for _, a := range loose {
		v.place(a)
	}
	if len(turn.Datagrams) == 0 {
		v.absorb(y)
	}
	v.retire(k, window)
}

// absorb takes what came in answer to what was not answered in the recording.
func (v *volleys) absorb(y *volley) {
	for _, a := range v.loose {
		y.live = append(y.live, a.data...)
	}
	v.loose = nil
}

// heard takes a datagram.
func (v *volleys) heard(data []byte, now time.Time) {
	a := &arrival{at: now, unkept: v.kept+len(data) > maxRaw}
	if !a.unkept {
		a.data = bytes.Clone(data)
		v.kept += len(data)
	}
	v.place(a)
}

// place finds what a datagram is: that which is equal to it, among those that are awaited, and
// then those that were given up; else the one that is awaited longest, which gives it back
// when what is equal to it comes after all.
func (v *volleys) place(a *arrival) {
	var first *missile
	for _, given := range [...]bool{false, true} {
		seen := 0
		for _, y := range v.list {
			for _, m := range y.missiles {
				if m.hit != nil || (m.lost != "") != given {
					continue
				}
				if !a.unkept && bytes.Equal(m.data, a.data) {
					v.hit(m, a)
					return
				}
				if first == nil && !given {
					first = m
				}
				if seen++; seen == window {
					break
				}
			}
		}
	}
	for i, m := range v.guessed {
		if !a.unkept && bytes.Equal(m.data, a.data) {
			v.guessed = slices.Delete(v.guessed, i, i+1)
			other := m.hit
			v.is.forget(other.data)
			v.hit(m, a)
			v.place(other)
			return
		}
	}
	switch {
	case first != nil:
		v.hit(first, a)
		if len(v.guessed) == window {
			v.guessed = slices.Delete(v.guessed, 0, 1)
		}
		v.guessed = append(v.guessed, first)
	case !a.unkept && v.is.has(a.data):
		if v.twiceNow == "" {
			v.twiceNow = turnSummary(a.data)
		}
	default:
		v.loose = append(v.loose, a)
	}
}

func (v *volleys) hit(m *missile, a *arrival) {
	m.hit, m.came = a, a.at
	if !a.unkept {
		v.is.add(a.data)
	}
}

// retire judges those of which all is settled, but for some of the latest.
func (v *volleys) retire(k *call, but int) {
	for len(v.list) > but {
		y := v.list[0]
		if !k.over && slices.ContainsFunc(y.missiles, func(m *missile) bool { return !m.isSettled() }) {
			return
		}
		v.guessed = slices.DeleteFunc(v.guessed, func(m *missile) bool { return slices.Contains(y.missiles, m) })
		v.list = v.list[1:]
		v.judge(k, y)
	}
	if n := len(v.loose) - window; n > 0 && !k.over {
		v.loose = v.loose[n:]
		k.find("the server said more than in the recording")
	}
}

// end judges the rest. What is left belongs to the latest answer, if any.
func (v *volleys) end(k *call) {
	if v.twiceNow != "" {
		k.find("an answer came twice: " + v.twiceNow)
	}
	for _, a := range v.loose {
		v.leave(k, a)
	}
	v.loose = nil
	v.retire(k, 0)
}

// leave leaves what belongs to nothing to what was not answered in the recording, or makes it
// one more of the latest answer.
func (v *volleys) leave(k *call, a *arrival) {
	for i := len(v.list) - 1; i >= 0; i-- {
		if y := v.list[i]; len(y.missiles) == 0 && !y.at.IsZero() && !y.at.After(a.at) && a.at.Sub(y.at) < k.timeout {
			y.live = append(y.live, a.data...)
			return
		}
	}
	if n := len(v.list); n > 0 {
		v.list[n-1].extra = append(v.list[n-1].extra, a.data)
		return
	}
	k.find("the server said more than in the recording: " + turnSummary(a.data))
}

// judge holds what came against what had come.
func (v *volleys) judge(k *call, y *volley) {
	o := k.outcome(y.check)
	o.Sent, o.Late, o.Slip = y.at, y.late, y.slip
	if y.at.IsZero() {
		o.Late = -1
	}
	var live []byte
	came, unkept := 0, false
	for i, m := range y.missiles {
		path := fmt.Sprintf("datagram %d", i+1)
		if m.hit == nil {
			o.Differences = append(o.Differences, compare.Difference{Kind: compare.Missing, Path: path, Recorded: turnSummary(m.data), Offset: -1})
			continue
		}
		if came++; came == 1 && !y.at.IsZero() {
			o.Latency = max(0, m.came.Sub(y.at))
		}
		v.kept -= len(m.hit.data)
		live = append(live, m.hit.data...)
		unkept = unkept || m.hit.unkept
		o.Differences = append(o.Differences, compare.Bytes(path, m.data, m.hit.data)...)
	}
	for i, data := range y.extra {
		path := fmt.Sprintf("datagram %d", len(y.missiles)+i+1)
		o.Differences = append(o.Differences, compare.Difference{Kind: compare.Extra, Path: path, Live: turnSummary(data), Offset: -1})
		live = append(live, data...)
	}
	o.Differences = o.Differences[:min(len(o.Differences), compare.MaxDifferences)]
	if live = append(live, y.live...); len(live) > 0 {
		o.Live = turnSummary(live)
	}
	switch {
	case unkept:
		o.Verdict, o.Reason, o.Differences = compare.Skipped, fmt.Sprintf("the answer is larger than the %d MiB that are kept", maxRaw>>20), nil
	case y.check.Turn.Sent > 0 && y.at.IsZero():
		o.Verdict, o.Reason, o.Differences = compare.Failed, "not sent: "+k.why(), nil
	case came == 0 && len(y.check.Turn.Datagrams) > 0:
		o.Verdict, o.Reason, o.Differences = compare.Failed, k.why(), nil
	default:
		o.Verdict = verdict(o.Differences)
	}
	if len(y.missiles) > 0 && o.Verdict != compare.Different && !unkept {
		k.lose(o, y.missiles[0].awaitedDatagram)
	}
	k.report(o, y.cost)
}
