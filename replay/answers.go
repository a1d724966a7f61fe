package replay

import (
	"slices"
	"time"

	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/values"
)

// answers hold the live answers of a protocol that is parsed against the recorded ones, as
// both become known. Those with a request pair by its place in what the client said, for the
// same requests are sent; answers that nobody asked for pair in their order.
type answers struct {
	asked, unasked      []awaited         // recorded
	lives, unaskedLives []*proto.Exchange // live, of which the recorded one did not come yet
	since               time.Time         // when the latest was expected
	shifts              []shift
	late                []lateness
}

// awaited is a recorded answer, and what it costs.
type awaited struct {
	check *plan.Check
	cost  int
}

// shift says that what was recorded at an offset is sent at another.
type shift struct{ recorded, live int64 }

// lateness says how late what begins at an offset was sent; negative when no pace was kept.
// Slip is how much of that was our own doing.
type lateness struct {
	offset     int64
	late, slip time.Duration
}

// maxShifts bounds how far back requests are found whose place has changed.
const maxShifts = proto.MaxWaiting

// shift notes that what was recorded at an offset is sent at another.
func (a *answers) shift(recorded, live int64) {
	by := int64(0)
	if n := len(a.shifts); n > 0 {
		by = a.shifts[n-1].live - a.shifts[n-1].recorded
	}
	if live-recorded == by {
		return
	}
	if len(a.shifts) >= 2*maxShifts {
		a.shifts = append(a.shifts[:0], a.shifts[maxShifts:]...)
	}
	a.shifts = append(a.shifts, shift{recorded, live})
}

// moved notes where what was recorded is sent, of a step that begins at an offset.
func (a *answers) moved(s *plan.Step, live int64) {
	a.shift(s.Offset, live)
	grown := live - s.Offset
	for _, e := range s.Edits {
		grown += int64(len(e.With)) - e.Length
		a.shift(e.At+e.Length, e.At+e.Length+grown)
	}
}

// place returns where a recorded request is in what is sent.
func (a *answers) place(recorded int64) int64 {
	for i := len(a.shifts) - 1; i >= 0; i-- {
		if s := a.shifts[i]; s.recorded <= recorded {
			return recorded - s.recorded + s.live
		}
	}
	return recorded
}

// expect takes note of a recorded answer.
func (a *answers) expect(k *call, c *plan.Check, cost int) {
	x := awaited{c, cost}
	q := c.Exchange.Request
	switch {
	case c.Left:
		a.judge(k, x, nil)
		return
	case c.Skip != "" && plan.Unawaited(c.Exchange) != "":
		a.judge(k, x, nil)
		return
	case q == nil:
		if i := slices.IndexFunc(a.unaskedLives, func(e *proto.Exchange) bool { return isPong(e) == isPong(c.Exchange) }); i >= 0 {
			e := a.unaskedLives[i]
			a.unaskedLives = slices.Delete(a.unaskedLives, i, i+1)
			a.judge(k, x, e)
			return
		}
	default:
		at := a.place(q.Offset)
		for i, e := range a.lives {
			if e.Request.Offset == at {
				a.lives = append(a.lives[:i], a.lives[i+1:]...)
				a.judge(k, x, e)
				return
			}
		}
	}
	switch {
	case k.over:
		a.judge(k, x, nil)
		return
	case q == nil:
		a.unasked = append(a.unasked, x)
	default:
		a.asked = append(a.asked, x)
	}
	a.since = time.Now()
}

// answered takes note of a live answer.
func (a *answers) answered(k *call, e *proto.Exchange) {
	if e.Request == nil {
		i := slices.IndexFunc(a.unasked, func(x awaited) bool { return isPong(x.check.Exchange) == isPong(e) })
		if i < 0 {
			e.Keep()
			a.unaskedLives = append(a.unaskedLives, e)
			return
		}
		x := a.unasked[i]
		a.unasked = slices.Delete(a.unasked, i, i+1)
		a.judge(k, x, e)
		return
	}
	for i, x := range a.asked {
		if a.place(x.check.Exchange.Request.Offset) == e.Request.Offset {
			a.asked = append(a.asked[:i], a.asked[i+1:]...)
			a.judge(k, x, e)
			return
		}
	}
	e.Keep()
	a.lives = append(a.lives, e)
}

// isPong reports whether an exchange is a pong of WebSocket: these come between others as it
// happens, and keep their own order.
func isPong(e *proto.Exchange) bool {
	if e.Protocol != &proto.WebSocket || e.Response == nil {
		return false
	}
	f, ok := e.Response.Body.(*proto.WebSocketFrame)
	return ok && f.IsPong()
}

// awaited reports whether an answer is to come whose request was sent.
func (a *answers) awaited(k *call) bool {
	for _, x := range a.asked {
		if x.check.Skip == "" && a.place(x.check.Exchange.Request.Offset) < k.sent {
			return true
		}
	}
	return false
}

// end says that nothing live comes any more.
func (a *answers) end(k *call) {
	for _, x := range append(a.asked, a.unasked...) {
		a.judge(k, x, nil)
	}
	a.asked, a.unasked = nil, nil
}

// judge holds one live exchange against a recorded one; nil when there is none.
func (a *answers) judge(k *call, x awaited, live *proto.Exchange) {
	if k.transfers != nil {
		k.transfers.agreed(x.check.Exchange, live)
	}
	o := k.outcome(x.check)
	if live != nil && live.Request != nil {
		o.Sent = live.Request.Time
		o.Late, o.Slip = a.lateness(live.Request.Offset)
	}
	recorded := x.check.Exchange
	switch {
	case live == nil || live.Response == nil:
		o.Verdict, o.Reason = compare.Failed, k.why()
	default:
		o.Live = live.Response.Body.Summary()
		if d, ok := live.Latency(); ok {
			o.Latency = d
		}
		a.compare(k, o, recorded, live.Response)
	}
	if live != nil && (len(o.Differences) > 0 || k.player.opts.Show != nil) {
		live.Keep() // parts of it are told
	}
	if list := k.stale(x.check.Index); len(list) > 0 {
		o.Differences = append(list, o.Differences...)
		if o.Verdict == compare.Same {
			o.Verdict = compare.Different
		}
	}
	k.report(o, x.cost)
}

func (a *answers) compare(k *call, o *Outcome, recorded *proto.Exchange, live *proto.Message) {
	switch {
	case !live.Complete || k.cutOff:
		// When we gave up, the parser only knows that nothing more came; to it, that may
		// be the end of a body.
		o.Verdict, o.Reason = compare.Failed, "the answer is not whole: "+live.Why
		if k.failed != nil {
			o.Reason = "the answer is not whole: " + k.failed.Error()
		}
	case recorded.Response == nil:
		o.Verdict, o.Reason = compare.Skipped, "no answer in the recording"
	case o.Check.Skip == "":
		rules := k.player.opts.Rules.To(recorded.Request)
		rules.Alike = compare.Either(rules.Alike, k.player.values.Alike(values.Ref{Conversation: k.conn.ID, Index: o.Check.Index}, recorded.Response, live))
		o.Differences = rules.Messages(recorded.Response, live)
		o.Digest = recorded.Response.RawMissing > 0 || live.RawMissing > 0
		o.Verdict = verdict(o.Differences)
		k.show(o, live)
	}
}

// lateness is how late what stands at an offset was sent; negative when no pace was kept.
func (a *answers) lateness(offset int64) (late, slip time.Duration) {
	for i := len(a.late) - 1; i >= 0; i-- {
		if a.late[i].offset <= offset {
			return a.late[i].late, a.late[i].slip
		}
	}
	return -1, 0
}

// sent notes how late what begins at an offset was sent.
func (a *answers) sent(offset int64, late, slip time.Duration) {
	if len(a.late) >= 2*maxShifts {
		a.late = append(a.late[:0], a.late[maxShifts:]...)
	}
	if n := len(a.late); n == 0 || late >= 0 {
		a.late = append(a.late, lateness{offset, late, slip})
	}
}

// finding says what the server said that nobody had expected.
func (a *answers) finding() string {
	if len(a.unaskedLives) == 0 {
		return ""
	}
	return "the server said more than in the recording: " + a.unaskedLives[0].Messages()[0].Body.Summary()
}
