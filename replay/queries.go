package replay

import (
	"netlab/decode/proto"
	"netlab/replay/compare"
)

// queries are the answers in datagrams of a protocol that is parsed: each has the number of
// its request.
type queries struct {
	open        map[int64]*query          // by the packet of the request, in the recording
	order       []*query                  // those in open, and some that are not any more
	lives       map[int64]*proto.Exchange // whose recorded answer did not come yet
	unasked     []*query
	unaskedLive []*proto.Exchange
	was, is     recent // answers, then and now
	twice       int    // how many came twice in the recording
	twiceNow    []string
	pardoned    int // how many that nobody asked for are not compared
}

// query is a recorded answer that is awaited.
type query struct {
	awaited
	sentAt
	datagram *awaitedDatagram
}

func newQueries() *queries {
	return &queries{open: make(map[int64]*query), lives: make(map[int64]*proto.Exchange)}
}

func (q *queries) expect(k *call, x awaited, then sentAt) {
	recorded := x.check.Exchange
	if recorded.Response == nil {
		if recorded.Request != nil {
			delete(q.lives, recorded.Request.Packet)
		}
		k.report(k.outcome(x.check), x.cost)
		return
	}
	again := recorded.Request == nil && q.was.has(recorded.Response.Raw)
	q.was.add(recorded.Response.Raw)
	y := &query{awaited: x, sentAt: then}
	switch {
	case again:
		q.twice++
		o := k.outcome(x.check)
		o.Verdict, o.Reason = compare.Skipped, "an answer that came twice in the recording"
		k.report(o, x.cost)
	case recorded.Request == nil && x.check.Skip != "":
		q.pardoned++
		k.report(k.outcome(x.check), x.cost)
	case recorded.Request == nil && len(q.unaskedLive) > 0:
		q.judge(k, y, q.unaskedLive[0])
		q.unaskedLive = q.unaskedLive[1:]
	case recorded.Request == nil && !k.over:
		y.datagram = k.datagrams.await(then, nil)
		q.unasked = append(q.unasked, y)
	case recorded.Request != nil && q.lives[recorded.Request.Packet] != nil:
		live := q.lives[recorded.Request.Packet]
		delete(q.lives, recorded.Request.Packet)
		y.datagram = k.datagrams.await(then, nil)
		y.datagram.came = live.Response.Time
		q.judge(k, y, live)
	case then.at.IsZero() || k.over:
		q.judge(k, y, nil)
	default:
		y.datagram = k.datagrams.await(then, nil)
		q.open[recorded.Request.Packet] = y
		q.order = append(q.order, y)
		q.retire(k, window)
	}
}

// retire judges those that were given up, but for some of the latest, which may still come.
func (q *queries) retire(k *call, but int) {
	for len(q.order) > 0 {
		y := q.order[0]
		packet := y.check.Exchange.Request.Packet
		switch {
		case q.open[packet] != y:
		case len(q.order) <= but || y.datagram.lost == "" && !k.over:
			return
		default:
			delete(q.open, packet)
			q.judge(k, y, nil)
		}
		q.order = q.order[1:]
	}
}

// answered takes note of a live answer.
func (q *queries) answered(k *call, e *proto.Exchange) {
	if e.Response == nil {
		return
	}
	if e.Request == nil {
		q.volunteered(k, e)
		return
	}
	q.is.add(e.Response.Raw)
	y := q.open[e.Request.Packet]
	if y == nil {
		q.lives[e.Request.Packet] = e
		return
	}
	delete(q.open, e.Request.Packet)
	y.datagram.came = e.Response.Time
	q.judge(k, y, e)
}

// volunteered takes note of an answer that nobody had asked for.
func (q *queries) volunteered(k *call, e *proto.Exchange) {
	switch {
	case q.is.has(e.Response.Raw):
		q.twiceNow = append(q.twiceNow, e.Response.Body.Summary())
	case len(q.unasked) > 0:
		y := q.unasked[0]
		q.unasked = q.unasked[1:]
		y.datagram.came = e.Response.Time
		q.judge(k, y, e)
	case len(q.unaskedLive) == window && q.pardoned > 0: // as it did in the recording
	case len(q.unaskedLive) == window:
		k.find("the server said more than in the recording: " + e.Response.Body.Summary())
	default:
		q.unaskedLive = append(q.unaskedLive, e)
	}
	q.is.add(e.Response.Raw)
}

func (q *queries) judge(k *call, y *query, live *proto.Exchange) {
	o := k.outcome(y.check)
	o.Sent, o.Late, o.Slip = y.at, y.late, y.slip
	if y.at.IsZero() {
		o.Late = -1
	}
	if live == nil {
		o.Verdict, o.Reason = compare.Failed, k.why()
	} else {
		o.Live = live.Response.Body.Summary()
		if d, ok := live.Latency(); ok {
			o.Latency = d
		}
		k.answers.compare(k, o, y.check.Exchange, live.Response)
	}
	if y.datagram != nil {
		k.lose(o, y.datagram)
	}
	k.report(o, y.cost)
}

func (q *queries) end(k *call) {
	q.retire(k, 0)
	for _, y := range q.unasked {
		q.judge(k, y, nil)
	}
	q.unasked = nil
	switch {
	case len(q.twiceNow) > q.twice:
		k.find("an answer came twice: " + q.twiceNow[0])
	case len(q.unaskedLive) > q.pardoned:
		k.find("the server said more than in the recording: " + q.unaskedLive[0].Response.Body.Summary())
	}
}
