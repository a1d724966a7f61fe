package replay

import (
	"errors"
	"fmt"

	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// outcome begins the outcome of a check.
func (k *call) outcome(c *plan.Check) *Outcome {
	o := &Outcome{Conn: k.conn, Check: c, RecordedLatency: -1, Latency: -1, Late: -1, Pass: k.player.pass}
	Describe(o)
	return o
}

// report hands on what became of a check, unless there is a reason to skip it.
func (k *call) report(o *Outcome, cost int) {
	switch given := k.given(); {
	case k.skipped != "":
		o.Verdict, o.Reason = compare.Skipped, k.skipped
	case o.Check.Skip != "":
		o.Verdict, o.Reason, o.Differences = compare.Skipped, o.Check.Skip, nil
	case given && o.Verdict == compare.Failed:
		o.Verdict, o.Reason = compare.Skipped, k.failed.Error()
	}
	k.count[o.Verdict]++
	k.player.outcome(o)
	k.player.feed.release(k, cost)
}

// given reports whether the connection was given up by us.
func (k *call) given() bool {
	var lost errLost
	return errors.Is(k.failed, errStopped) || errors.As(k.failed, &lost)
}

// end hands on what became of the connection itself, behind all checks.
func (k *call) end() {
	c := &ConnOutcome{Conn: k.conn, Pass: k.player.pass, Opened: k.opened, Redials: k.redials, Verdict: compare.Same}
	if k.finding == "" {
		k.finding = k.answers.finding()
	}
	if k.finding == "" && k.stray != "" {
		k.finding = fmt.Sprintf("the server said more than in the recording, which is no %s: %s", k.conn.Protocol.Name, k.stray)
	}
	switch {
	case k.skipped != "":
		c.Verdict, c.Reason = compare.Skipped, k.skipped
	case k.given():
		c.Verdict, c.Reason = compare.Skipped, k.failed.Error()
	case k.failed != nil:
		c.Verdict, c.Reason = compare.Failed, k.why()
	case k.finding != "":
		c.Verdict, c.Reason = compare.Different, k.finding
	case k.count[compare.Different]+k.count[compare.Failed] > 0:
		c.Verdict = compare.Different
	}
	k.player.connection(k, c)
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
		if t.Length == 0 {
			return
		}
		o.Recorded = (&proto.Turn{Bytes: t.Length, Preview: t.Answer[:min(len(t.Answer), maxPreview)]}).Summary()
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
	if e.Request == nil {
		o.Request = "(unasked) " + o.Recorded
	}
	if d, ok := e.Latency(); ok {
		o.RecordedLatency = d
	}
}

// maxPreview is how much of what was said is shown.
const maxPreview = 48

func turnSummary(data []byte) string {
	return (&proto.Turn{Bytes: int64(len(data)), Preview: data[:min(len(data), maxPreview)]}).Summary()
}

// Lighten lets go of the bytes of the recorded messages, so that an outcome can be kept.
func (o *Outcome) Lighten() {
	c := *o.Check
	if c.Exchange != nil {
		e := *c.Exchange
		e.Request, e.Response, e.Interim = lightened(e.Request), lightened(e.Response), nil
		c.Exchange = &e
	}
	if c.Turn != nil {
		t := *c.Turn
		t.Answer, t.Datagrams = nil, nil
		c.Turn = &t
	}
	o.Check = &c
}

func lightened(m *proto.Message) *proto.Message {
	if m == nil {
		return nil
	}
	light := *m
	light.Raw = nil
	return &light
}

// show lets somebody see a live answer.
func (k *call) show(o *Outcome, live *proto.Message) {
	if k.player.opts.Show != nil {
		k.player.opts.Show(o, live)
	}
}

func verdict(differences []compare.Difference) compare.Verdict {
	if len(differences) > 0 {
		return compare.Different
	}
	return compare.Same
}
