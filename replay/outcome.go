package replay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// outcomes says what became of every check of the connection, and of itself.
func (k *call) outcomes() ([]Outcome, *ConnOutcome) {
	c := k.conn
	list := make([]Outcome, len(c.Checks))
	for i := range list {
		list[i] = Outcome{Conn: c, Check: &c.Checks[i], RecordedLatency: -1, Latency: -1, Late: -1, Pass: k.player.pass}
	}
	skip := k.skip()
	if skip == "" && k.sock != nil {
		if c.Parsed() {
			k.judgeExchanges(list)
		} else {
			k.judgeTurns(list)
		}
	}
	var count [compare.VerdictCount]int
	for i := range list {
		o := &list[i]
		Describe(o)
		switch {
		case skip != "":
			o.Verdict, o.Reason = compare.Skipped, skip
		case o.Check.Skip != "":
			o.Verdict, o.Reason, o.Differences = compare.Skipped, o.Check.Skip, nil
		case errors.Is(k.failed, errStopped) && o.Verdict == compare.Failed:
			o.Verdict, o.Reason = compare.Skipped, errStopped.Error()
		case k.sock == nil:
			o.Verdict, o.Reason = compare.Failed, k.why()
			if errors.Is(k.failed, errStopped) {
				o.Verdict = compare.Skipped
			}
		}
		count[o.Verdict]++
	}
	conn := &ConnOutcome{Conn: c, Pass: k.player.pass, Opened: k.sock != nil, Verdict: compare.Same}
	switch {
	case skip != "":
		conn.Verdict, conn.Reason = compare.Skipped, skip
	case errors.Is(k.failed, errStopped):
		conn.Verdict, conn.Reason = compare.Skipped, errStopped.Error()
	case k.failed != nil:
		conn.Verdict, conn.Reason = compare.Failed, k.why()
	case k.finding != "":
		conn.Verdict, conn.Reason = compare.Different, k.finding
	case count[compare.Different]+count[compare.Failed] > 0:
		conn.Verdict = compare.Different
	}
	return list, conn
}

// why says why the connection went no further.
func (k *call) why() string {
	switch {
	case k.failed != nil && k.odd != "":
		return fmt.Sprintf("%v; the server broke the rules of %s: %s", k.failed, k.conn.Protocol.Name, k.odd)
	case k.failed != nil:
		return k.failed.Error()
	case k.odd != "":
		return fmt.Sprintf("the server broke the rules of %s: %s", k.conn.Protocol.Name, k.odd)
	case k.closed:
		return "the server closed the connection without an answer"
	}
	return "no answer came"
}

// Describe fills in what was asked and answered in the recording.
func Describe(o *Outcome) {
	if t := o.Check.Turn; t != nil {
		o.Request = (&proto.Turn{Bytes: t.Sent, Preview: t.Preview}).Summary()
		if t.Sent == 0 {
			o.Request = "(the server speaks first)"
		}
		if len(t.Answer) == 0 {
			return
		}
		o.Recorded = turnSummary(t.Answer)
		if t.Sent > 0 {
			o.RecordedLatency = t.Latency
		}
		return
	}
	e := o.Check.Exchange
	if e.Request != nil {
		o.Request = e.Request.Body.Summary()
	}
	if e.Response != nil {
		o.Recorded = e.Response.Body.Summary()
	}
	if d, ok := e.Latency(); ok {
		o.RecordedLatency = d
	}
}

func turnSummary(data []byte) string {
	return (&proto.Turn{Bytes: int64(len(data)), Preview: data[:min(len(data), 48)]}).Summary()
}

// judgeExchanges holds the live exchanges against the recorded ones. Those with a
// request pair by the request's place, for the same requests were sent; answers
// that nobody asked for pair by their own.
func (k *call) judgeExchanges(list []Outcome) {
	slices.SortFunc(k.exchanges, func(a, b *proto.Exchange) int { return a.Index - b.Index })
	var asked, unasked []*proto.Exchange
	for _, e := range k.exchanges {
		if e.Request != nil {
			asked = append(asked, e)
		} else {
			unasked = append(unasked, e)
		}
	}
	take := func(from *[]*proto.Exchange) *proto.Exchange {
		if len(*from) == 0 {
			return nil
		}
		e := (*from)[0]
		*from = (*from)[1:]
		return e
	}
	for i := range list {
		o := &list[i]
		if o.Check.Left {
			continue
		}
		recorded := o.Check.Exchange
		var live *proto.Exchange
		if recorded.Request != nil {
			live = take(&asked)
		} else {
			live = take(&unasked)
		}
		k.judge(o, recorded, live)
	}
	if len(unasked) > 0 && k.finding == "" {
		k.finding = fmt.Sprintf("the server said more than in the recording: %s", unasked[0].Messages()[0].Body.Summary())
	}
}

// judge holds one live exchange against a recorded one.
func (k *call) judge(o *Outcome, recorded, live *proto.Exchange) {
	if live != nil && live.Request != nil {
		o.Sent = live.Request.Time
		o.Late = k.lateness(live.Request.Packet)
	}
	if live == nil || live.Response == nil {
		o.Verdict, o.Reason = compare.Failed, k.why()
		return
	}
	o.Live = live.Response.Body.Summary()
	if d, ok := live.Latency(); ok {
		o.Latency = d
	}
	switch {
	case !live.Response.Complete:
		// When we gave up, the parser only knows that nothing more came.
		o.Verdict, o.Reason = compare.Failed, "the answer is not whole: "+live.Response.Why
		if k.failed != nil {
			o.Reason = "the answer is not whole: " + k.failed.Error()
		}
	case live.Response.RawMissing > 0:
		o.Verdict, o.Reason = compare.Skipped, fmt.Sprintf("the answer is larger than the %d MiB that are kept", plan.Keep>>20)
	case recorded.Response == nil:
		o.Verdict, o.Reason = compare.Skipped, "no answer in the recording"
	default:
		o.Differences = k.player.opts.Rules.To(recorded.Request).Messages(recorded.Response, live.Response)
		o.Verdict = verdict(o.Differences)
	}
}

func verdict(differences []compare.Difference) compare.Verdict {
	if len(differences) > 0 {
		return compare.Different
	}
	return compare.Same
}

// judgeTurns holds what the server said against what it had said, turn by turn.
// Where a turn's answer ends is a matter of timing, so when all bytes are the
// same, all turns are.
func (k *call) judgeTurns(list []Outcome) {
	var all []byte
	whole := true
	for i := range list {
		all = append(all, list[i].Check.Turn.Answer...)
		whole = whole && list[i].Check.Skip == "" || list[i].Check.Turn.Answer == nil
	}
	same := whole && bytes.Equal(all, k.stream) && k.received == int64(len(k.stream)) && k.samePieces(list)
	for i := range list {
		o := &list[i]
		t := o.Check.Turn
		m, next := k.mark(i), k.mark(i+1)
		if m == nil && t.Sent > 0 {
			o.Verdict, o.Reason = compare.Failed, "not sent: "+k.why()
			continue
		}
		var from, to mark
		if m != nil {
			from = *m
			o.Sent, o.Late = m.sent, k.lateness(m.packet)
			if !m.first.IsZero() && !m.spoke.IsZero() {
				o.Latency = max(0, m.first.Sub(m.spoke))
			}
		}
		to = mark{bytes: int64(len(k.stream)), datagrams: len(k.pieces)}
		if next != nil {
			to = *next
		}
		live := k.stream[min(from.bytes, int64(len(k.stream))):min(to.bytes, int64(len(k.stream)))]
		o.Live = turnSummary(live)
		switch {
		case same:
			o.Live = o.Recorded
		case len(live) == 0 && len(t.Answer) > 0:
			o.Verdict, o.Reason = compare.Failed, k.why()
		case k.received > int64(len(k.stream)) && next == nil:
			o.Verdict, o.Reason = compare.Skipped, fmt.Sprintf("the answer is larger than the %d MiB that are kept", maxRaw>>20)
		case k.conn.Transport == flow.UDP:
			o.Differences = k.datagrams(t.Datagrams, from.datagrams, to.datagrams)
			o.Verdict = verdict(o.Differences)
		default:
			o.Differences = compare.Bytes("answer", t.Answer, live)
			o.Verdict = verdict(o.Differences)
		}
		if o.Check.Skip != "" && len(t.Answer) == 0 && len(live) > 0 && next == nil && k.conn.Close.Kind != plan.CloseNone && k.finding == "" {
			k.finding = "the server said more than in the recording: " + o.Live
		}
	}
}

// lateness is how late what stood in a packet was sent; negative when no pace was kept.
func (k *call) lateness(packet int64) time.Duration {
	if late, ok := k.late[packet]; ok {
		return late
	}
	return -1
}

// mark returns when a turn began, or nil when it did not.
func (k *call) mark(turn int) *mark {
	i, found := slices.BinarySearchFunc(k.marks, turn, func(m mark, turn int) int { return m.turn - turn })
	if !found {
		return nil
	}
	return &k.marks[i]
}

// piece returns the i-th datagram that came.
func (k *call) piece(i int) []byte {
	from := 0
	if i > 0 {
		from = k.pieces[i-1]
	}
	return k.stream[from:k.pieces[i]]
}

// samePieces reports whether the datagrams were cut as in the recording.
func (k *call) samePieces(list []Outcome) bool {
	n := 0
	for i := range list {
		for _, d := range list[i].Check.Turn.Datagrams {
			if n >= len(k.pieces) || len(k.piece(n)) != len(d) {
				return false
			}
			n++
		}
	}
	return n == len(k.pieces)
}

// datagrams compares the datagrams of a turn one by one.
func (k *call) datagrams(recorded [][]byte, from, to int) []compare.Difference {
	var list []compare.Difference
	for i := range max(len(recorded), to-from) {
		path := fmt.Sprintf("datagram %d", i+1)
		switch {
		case i >= len(recorded):
			list = append(list, compare.Difference{Kind: compare.Extra, Path: path, Live: turnSummary(k.piece(from + i)), Offset: -1})
		case i >= to-from:
			list = append(list, compare.Difference{Kind: compare.Missing, Path: path, Recorded: turnSummary(recorded[i]), Offset: -1})
		default:
			list = append(list, compare.Bytes(path, recorded[i], k.piece(from+i))...)
		}
		if len(list) >= compare.MaxDifferences {
			break
		}
	}
	return list
}
