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
	kin    plan.Kin
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
	said           sequence // what it waits for, in order
	answered       sequence // what was asked and answered
}

// endpoint is one without its address: it is enough to know which are the same.
type endpoint struct {
	addr uint64
	port uint16
}

func endpointOf(a netip.AddrPort) endpoint {
	return endpoint{maphash.Comparable(seed, a.Addr()), a.Port()}
}

// talk is a conversation, of which more may come as long as it is not over.
type talk struct {
	conversation
	of     *flow.Conversation
	errand bool     // it was opened for another
	speaks bool     // something was said
	waits  [3]int64 // for what the latest of that did
}

// sequence is a number of things in order, by their hash.
type sequence uint64

// seed makes hashes of all Outlines of a process comparable.
var seed = maphash.MakeSeed()

// New returns an Outline of a recording that is still to be read. Memory is about how many
// bytes may be held of values that may live; 0 is values.DefaultMemory.
func New(memory int64) *Outline {
	return &Outline{finder: values.NewFinder(values.Options{Memory: memory})}
}

// Sinks are what the recording is read into. All are decode.Forkers.
func (o *Outline) Sinks() []decode.Sink { return []decode.Sink{conversations{o.part()}, o.finder} }

func (o *Outline) part() *part {
	p := &part{whole: o, open: make(map[*plan.Conn]*talk), names: make(map[string]string)}
	p.Recorder = o.kin.Recorder(p)
	return p
}

// conversations is a part that is told of all of them; or a Forker.
type conversations struct{ *part }

// Fork returns what takes down some of them.
func (o conversations) Fork() decode.Part { return o.whole.part() }

// Flush does nothing.
func (o conversations) Flush() error { return nil }

// Finish takes down a conversation that is over, and adds it.
func (o conversations) Finish(c *flow.Conversation) error {
	err := o.part.Finish(c)
	if err == nil {
		err = o.Write(0, o.Len())
	}
	o.Reset()
	return err
}

// part takes the parts of a plan of some conversations, and gathers those that are over.
type part struct {
	*plan.Recorder
	whole *Outline
	open  map[*plan.Conn]*talk
	over  []*talk
	names map[string]string // of protocols and reasons, one of each
}

// Finish takes down a conversation that is over.
func (p *part) Finish(c *flow.Conversation) error {
	if err := p.Recorder.Finish(c); err != nil {
		return err
	}
	p.over[len(p.over)-1].of = c
	return nil
}

// Len is how many conversations are over.
func (p *part) Len() int { return len(p.over) }

// Write adds some to the Outline.
func (p *part) Write(from, to int) error {
	for _, t := range p.over[from:to] {
		t.id = int32(t.of.ID)
		if t.errand {
			t.opened = int32(t.of.For.Parent.ID)
		}
		p.whole.conns = append(p.whole.conns, t.conversation)
	}
	return nil
}

// Reset forgets them.
func (p *part) Reset() {
	clear(p.over)
	p.over = p.over[:0]
}

// Take takes a part of a plan.
func (p *part) Take(x *plan.Part) error {
	if x.Kind == plan.Opened {
		p.begin(x.Conn)
		return nil
	}
	t := p.open[x.Conn]
	switch x.Kind {
	case plan.Said:
		t.say(x)
	case plan.Answered:
		if turn := x.Check.Turn; turn != nil && turn.Sent+turn.Length == 0 {
			return nil // there is a turn where nothing is said, too
		}
		t.exchanges++
		if x.Check.Skip == "" {
			t.comparable++
		}
		t.answer(x.Check)
	case plan.Over:
		t.close, t.skip, t.protocol = p.name(x.Ending.Close.String()), p.name(apart(x.Ending.Skip)), x.Ending.Protocol.Name
		delete(p.open, x.Conn)
		p.over = append(p.over, t)
	}
	return nil
}

// name is a text of which there are few, once.
func (p *part) name(s string) string {
	if kept, ok := p.names[s]; ok {
		return kept
	}
	p.names[s] = s
	return s
}

// begin takes down a conversation that begins.
func (p *part) begin(c *plan.Conn) {
	x := conversation{transport: c.Transport, client: endpointOf(c.Client), server: endpointOf(c.Server), opened: -1}
	p.open[c] = &talk{conversation: x, errand: c.Errand != nil}
}

// say takes down what is waited for before something is said. In how many pieces that is
// does not count.
func (c *talk) say(p *plan.Part) {
	w := p.Step.After
	now := [3]int64{int64(w.Finals), int64(w.Interims), int64(p.Step.Turn)}
	if c.speaks && now == c.waits {
		return
	}
	c.speaks, c.waits = true, now
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
	for _, x := range list {
		*s = sequence(maphash.Comparable(seed, [2]uint64{uint64(*s), uint64(x)}))
	}
}

func (s *sequence) text(t string) {
	*s = sequence(maphash.Comparable(seed, [2]uint64{uint64(*s), maphash.String(seed, t)}))
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
