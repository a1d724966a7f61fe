// Package diff holds one recording against another: before and after a deploy, a good
// host and a bad one. Each exchange of the first is aligned with one of the second that
// asked for the same, and their answers are compared as a replay's are; the outcomes go
// to the same reports.
package diff

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// Recording keeps the exchanges of a capture. It is a decode.Sink, and wants
// decode.Options.Keep to be plan.Keep.
type Recording struct {
	// Name is what messages call it.
	Name string
	// Pick says which exchanges count; nil is all.
	Pick func(*proto.Exchange) bool

	exchanges []*proto.Exchange
	kept      int64
}

// Exchange keeps one, up to plan.DefaultLimit bytes of all.
func (r *Recording) Exchange(e *proto.Exchange) error {
	if r.Pick != nil && !r.Pick(e) {
		return nil
	}
	for _, m := range e.Messages() {
		m.Shorten()
		r.kept += int64(len(m.Raw))
	}
	if r.kept > plan.DefaultLimit {
		return fmt.Errorf("diff: more was said in %s than the %d MiB that are kept in memory; compare less with --where", r.Name, plan.DefaultLimit>>20)
	}
	r.exchanges = append(r.exchanges, e)
	return nil
}

// Options say how recordings are compared.
type Options struct {
	Rules compare.Rules
	// Requests has the requests compared, too.
	Requests bool
	// Show, if any, gets each pair of answers that was compared.
	Show func(o *replay.Outcome, live *proto.Message)
}

// Recordings compares two recordings and pushes an outcome for each exchange of the
// first. What only the second has is counted, and told in the result's Notes.
func Recordings(a, b *Recording, sink replay.Sink, opts Options) (*replay.Result, error) {
	r := replay.NewResult()
	d := differ{opts: opts, name: b.Name, conns: make(map[int]*plan.Conn)}
	partner, only := align(a.exchanges, b.exchanges)
	for i, e := range a.exchanges {
		o := d.outcome(e, partner[i])
		r.Count(o)
		if err := sink.Outcome(o); err != nil {
			return r, err
		}
	}
	if len(only) > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d exchanges only in %s, the first #%d.%d %s", len(only), b.Name, only[0].Conversation.ID, only[0].Index, summary(only[0])))
	}
	return r, nil
}

func summary(e *proto.Exchange) string {
	if e.Request != nil {
		return e.Request.Body.Summary()
	}
	return e.First().Body.Summary()
}

// key is what an exchange is aligned by.
type key struct {
	protocol *proto.Protocol
	endpoint string
	asked    uint64 // 0 for whatever was asked of the endpoint
}

var seed = maphash.MakeSeed()

// keyOf tells what was asked: of HTTP method, target and body, of DNS all but the number,
// of others all bytes.
func keyOf(e *proto.Exchange) key {
	k := key{protocol: e.Protocol, endpoint: compare.EndpointOf(e.Request)}
	if e.Request == nil {
		return k
	}
	var h maphash.Hash
	h.SetSeed(seed)
	switch b := e.Request.Body.(type) {
	case *proto.HTTPMessage:
		body, _ := proto.Content(e.Request) // what there is of it
		_, _ = h.WriteString(b.Method + " " + b.Target + "\n")
		_, _ = h.Write(body)
		_, _ = h.Write(e.Request.Digest)
	case *proto.DNSMessage:
		_, _ = h.Write(b.Wire[2:])
	default:
		_, _ = h.Write(e.Request.Raw)
	}
	k.asked = max(h.Sum64(), 1)
	return k
}

// align finds for each exchange of a the one of b that it is compared with, nil when
// there is none; and those of b that are left. Exchanges that asked for the same go
// together, the first with the first; then those of the same endpoint.
func align(a, b []*proto.Exchange) (partner []*proto.Exchange, left []*proto.Exchange) {
	byTime := func(x, y *proto.Exchange) int {
		return cmp.Or(x.First().Time.Compare(y.First().Time), cmp.Compare(x.Conversation.ID, y.Conversation.ID), cmp.Compare(x.Index, y.Index))
	}
	slices.SortStableFunc(a, byTime)
	slices.SortStableFunc(b, byTime)
	partner = make([]*proto.Exchange, len(a))
	rest := b
	for _, exact := range []bool{true, false} {
		waiting := make(map[key][]*proto.Exchange)
		keys := make([]key, len(rest))
		for i, e := range rest {
			keys[i] = keyOf(e)
			if !exact {
				keys[i].asked = 0
			}
			waiting[keys[i]] = append(waiting[keys[i]], e)
		}
		taken := make(map[*proto.Exchange]bool)
		for i, e := range a {
			if partner[i] != nil {
				continue
			}
			k := keyOf(e)
			if !exact {
				k.asked = 0
			}
			if list := waiting[k]; len(list) > 0 {
				partner[i], waiting[k] = list[0], list[1:]
				taken[list[0]] = true
			}
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(e *proto.Exchange) bool { return taken[e] })
	}
	return partner, rest
}

// differ makes outcomes.
type differ struct {
	opts  Options
	name  string
	conns map[int]*plan.Conn
}

func (d *differ) conn(c *flow.Conversation, p *proto.Protocol) *plan.Conn {
	x := d.conns[c.ID]
	if x == nil {
		x = &plan.Conn{ID: c.ID, Transport: c.Transport(), Client: c.Client(), Server: c.Server(), Protocol: p}
		d.conns[c.ID] = x
	}
	return x
}

// outcome compares two exchanges.
func (d *differ) outcome(a, b *proto.Exchange) *replay.Outcome {
	o := &replay.Outcome{
		Conn: d.conn(a.Conversation, a.Protocol), Check: &plan.Check{Index: a.Index, Exchange: a}, RecordedLatency: -1, Latency: -1, Late: -1,
	}
	replay.Describe(o)
	switch {
	case b == nil:
		o.Verdict, o.Reason = compare.Skipped, "not asked in "+d.name
		return o
	case a.Response == nil && b.Response == nil && (!d.opts.Requests || a.Request == nil || b.Request == nil):
		o.Verdict, o.Reason = compare.Skipped, "no answer in either recording"
		return o
	case a.Response == nil && b.Response != nil:
		o.Verdict, o.Reason = compare.Skipped, "no answer in the first recording"
		return o
	case a.Response != nil && b.Response == nil:
		o.Verdict, o.Reason = compare.Failed, "no answer in "+d.name
		return o
	}
	for _, e := range []*proto.Exchange{a, b} {
		if e.State == proto.Broken {
			o.Verdict, o.Reason = compare.Skipped, "not whole in a recording: "+e.Why()
			return o
		}
		for _, m := range e.Messages() {
			o.Digest = o.Digest || m.RawMissing > 0
			if m.RawMissing > 0 && m.Digest == nil {
				o.Verdict, o.Reason = compare.Skipped, fmt.Sprintf("a message is larger than the %d MiB that are kept", plan.Keep>>20)
				return o
			}
		}
	}
	d.compare(o, a, b)
	return o
}

func (d *differ) compare(o *replay.Outcome, a, b *proto.Exchange) {
	rules := d.opts.Rules.To(a.Request)
	if d.opts.Requests && a.Request != nil && b.Request != nil {
		for _, x := range rules.Messages(a.Request, b.Request) {
			x.Path, x.Place = "request "+x.Path, "request "+x.Place
			o.Differences = append(o.Differences, x)
		}
	}
	if a.Response != nil {
		o.Differences = append(o.Differences, rules.Messages(a.Response, b.Response)...)
		o.Live = b.Response.Body.Summary()
		if l, ok := b.Latency(); ok {
			o.Latency = l
		}
		if d.opts.Show != nil {
			d.opts.Show(o, b.Response)
		}
	}
	if len(o.Differences) > 0 {
		o.Verdict = compare.Different
	}
}
