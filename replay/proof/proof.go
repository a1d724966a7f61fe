// Package proof tells whether two recordings are the same to replay, though other bytes stand
// in them: whether a sanitised one still has the conversations, the exchanges, the causality
// and the values that live of the original, so that it reproduces the same bug.
//
// An Outline takes down what a plan is made of without what was said: some 130 bytes for a
// conversation, and nothing for an exchange but a hash. Compare holds two of them against
// each other. What may differ is what sanitising changes: addresses, as long as it is
// one for one, the bytes, and how many packets they came in.
package proof

import (
	"hash/maphash"
	"net/netip"
	"reflect"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
	"netlab/replay/values"
)

// Outline is what a recording comes to when it is replayed. It takes one reading of it.
type Outline struct {
	conns  []conversation
	open   map[*plan.Conn]*talk
	names  map[string]string // of protocols and reasons, one of each
	finder *values.Finder
	found  *values.Found
}

// conversation is one of the recording.
type conversation struct {
	id, opened     int32 // the latter is for which other conversation; -1 for none
	client, server endpoint
	transport      flow.Transport
	protocol, skip string
	close          string
	exchanges      int64
	comparable     int64
	said           uint64 // what it waits for, in order
	answered       uint64 // what was asked and answered
}

// endpoint is one without its address: it is enough to know which are the same.
type endpoint struct {
	addr uint64
	port uint16
}

func endpointOf(a netip.AddrPort) endpoint {
	return endpoint{maphash.Comparable(seed, a.Addr()), a.Port()}
}

// talk is a conversation that is not over.
type talk struct {
	at             int // in Outline.conns
	said, answered sequence
}

// sequence is a number of things in order, by their hash.
type sequence struct {
	hash uint64
	last [3]int64
	n    int64
}

// seed makes hashes of all Outlines of a process comparable.
var seed = maphash.MakeSeed()

// New returns an Outline of a recording that is still to be read. Memory is about how many
// bytes may be held of values that may live; 0 is values.DefaultMemory.
func New(memory int64) *Outline {
	return &Outline{open: make(map[*plan.Conn]*talk), names: make(map[string]string), finder: values.NewFinder(values.Options{Memory: memory})}
}

// Sinks are what the recording is read into.
func (o *Outline) Sinks() []decode.Sink { return []decode.Sink{plan.NewRecorder(taker{o}), o.finder} }

// taker takes the parts of a plan for an Outline.
type taker struct{ *Outline }

func (o taker) Take(p *plan.Part) error {
	if p.Kind == plan.Opened {
		o.begin(p.Conn)
		return nil
	}
	t := o.open[p.Conn]
	c := &o.conns[t.at]
	switch p.Kind {
	case plan.Said:
		t.say(p)
		c.said = t.said.hash
	case plan.Answered:
		c.exchanges++
		if p.Check.Skip == "" {
			c.comparable++
		}
		t.answer(p.Check)
		c.answered = t.answered.hash
	case plan.Over:
		c.close, c.skip, c.protocol = o.name(p.Ending.Close.String()), o.name(apart(p.Ending.Skip)), p.Ending.Protocol.Name
		delete(o.open, p.Conn)
	}
	return nil
}

// name is a text of which there are few, once.
func (o *Outline) name(s string) string {
	if kept, ok := o.names[s]; ok {
		return kept
	}
	o.names[s] = s
	return s
}

// begin takes down a conversation that begins.
func (o *Outline) begin(c *plan.Conn) {
	x := conversation{id: int32(c.ID), transport: c.Transport, client: endpointOf(c.Client), server: endpointOf(c.Server), opened: -1}
	if c.Errand != nil {
		x.opened = int32(c.Errand.For.ID)
	}
	o.open[c] = &talk{at: len(o.conns)}
	o.conns = append(o.conns, x)
}

// say takes down what is waited for before something is said. In how many pieces that is
// does not count.
func (c *talk) say(p *plan.Part) {
	w := p.Step.After
	now := [3]int64{int64(w.Finals), int64(w.Interims), int64(p.Step.Turn)}
	if c.said.n > 0 && now == c.said.last {
		return
	}
	c.said.last = now
	c.said.add(now[:]...)
}

// answer takes down an exchange: how it stands, of what kind it is, and what came of it.
func (c *talk) answer(k *plan.Check) {
	if t := k.Turn; t != nil {
		c.answered.add(int64(k.Index), sign(t.Sent), sign(t.Length), int64(len(t.Datagrams)))
		return
	}
	e := k.Exchange
	c.answered.add(int64(e.Index), int64(e.State), int64(len(e.Interim)))
	for _, m := range []*proto.Message{e.Request, e.Response} {
		if m == nil {
			c.answered.text("nothing")
			continue
		}
		c.answered.text(reflect.TypeOf(m.Body).String())
		if b, ok := m.Body.(proto.Outcome); ok {
			code, _, failed := b.Outcome()
			c.answered.add(int64(code), truth(failed))
		}
		if q, ok := m.Body.(*proto.HTTPMessage); ok {
			c.answered.text(q.Method)
		}
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func sign(n int64) int64 { return min(n, 1) }

func (s *sequence) add(list ...int64) {
	s.n++
	for _, x := range list {
		s.hash = maphash.Comparable(seed, [2]uint64{s.hash, uint64(x)})
	}
}

func (s *sequence) text(t string) {
	s.hash = maphash.Comparable(seed, [2]uint64{s.hash, maphash.String(seed, t)})
}

// Counts returns how many conversations and exchanges the recording has, and how many values
// that a server made up and a client says again.
func (o *Outline) Counts() (conversations, exchanges int64, values int) {
	for i := range o.conns {
		exchanges += o.conns[i].exchanges
	}
	values, _ = o.values().Used()
	return int64(len(o.conns)), exchanges, values
}

// values are those that were found, when all was read.
func (o *Outline) values() *values.Found {
	if o.found == nil {
		o.found = o.finder.Found()
	}
	return o.found
}
