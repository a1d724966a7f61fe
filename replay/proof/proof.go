// Package proof tells whether two recordings are the same to replay, though other bytes stand
// in them: whether a sanitised one still has the conversations, the exchanges, the causality
// and the values that live of the original, so that it reproduces the same bug.
//
// An Outline takes down what a plan is made of without what was said: some 200 bytes for a
// conversation, and nothing for an exchange but a hash. Compare holds two of them against
// each other. What may differ is what sanitising changes: addresses, as long as it is
// one for one, the bytes, and how many packets they came in.
package proof

import (
	"fmt"
	"hash/maphash"
	"net/netip"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
	"netlab/replay/values"
)

// Outline is what a recording comes to when it is replayed. It takes one reading of it.
type Outline struct {
	conns  []conversation
	byConn map[*plan.Conn]int
	finder *values.Finder
	found  *values.Found
}

// conversation is one of the recording.
type conversation struct {
	id             int
	transport      flow.Transport
	client, server netip.AddrPort
	protocol       string
	opened         int // for which other conversation; -1 for none
	errand         bool
	close          plan.Close
	skip           string
	exchanges      int64
	comparable     int64
	said           sequence // what it waits for, in order
	answered       sequence // what was asked and answered
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
	return &Outline{byConn: make(map[*plan.Conn]int), finder: values.NewFinder(values.Options{Memory: memory})}
}

// Sinks are what the recording is read into.
func (o *Outline) Sinks() []decode.Sink { return []decode.Sink{plan.NewRecorder(taker{o}), o.finder} }

// taker takes the parts of a plan for an Outline.
type taker struct{ *Outline }

func (o taker) Take(p *plan.Part) error {
	switch p.Kind {
	case plan.Opened:
		o.open(p.Conn)
	case plan.Said:
		o.conn(p).say(p)
	case plan.Answered:
		o.conn(p).answer(p.Check)
	case plan.Over:
		c := o.conn(p)
		c.close, c.skip, c.protocol = p.Ending.Close, p.Ending.Skip, p.Ending.Protocol.Name
		delete(o.byConn, p.Conn)
	}
	return nil
}

func (o *Outline) conn(p *plan.Part) *conversation { return &o.conns[o.byConn[p.Conn]] }

func (o *Outline) open(c *plan.Conn) {
	x := conversation{id: c.ID, transport: c.Transport, client: c.Client, server: c.Server, opened: -1}
	if c.Errand != nil {
		x.errand, x.opened = true, c.Errand.For.ID
	}
	o.byConn[c] = len(o.conns)
	o.conns = append(o.conns, x)
}

// say takes down what is waited for before something is said. In how many pieces that is
// does not count.
func (c *conversation) say(p *plan.Part) {
	w := p.Step.After
	now := [3]int64{int64(w.Finals), int64(w.Interims), int64(p.Step.Turn)}
	if c.said.n > 0 && now == c.said.last {
		return
	}
	c.said.last = now
	c.said.add(now[:]...)
}

// answer takes down an exchange: how it stands, of what kind it is, and what came of it.
func (c *conversation) answer(k *plan.Check) {
	c.exchanges++
	if k.Skip == "" {
		c.comparable++
	}
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
		c.answered.text(fmt.Sprintf("%T", m.Body))
		if b, ok := m.Body.(proto.Outcome); ok {
			code, _, failed := b.Outcome()
			c.answered.text(fmt.Sprint(code, failed))
		}
		if q, ok := m.Body.(*proto.HTTPMessage); ok {
			c.answered.text(q.Method)
		}
	}
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
