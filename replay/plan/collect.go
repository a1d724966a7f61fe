package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"netlab/decode/proto"
)

// DefaultLimit bounds the bytes of memory that a Plan may take.
const DefaultLimit = 1 << 30

// connCost is about what a conversation takes in a Plan, without what was said in it.
const connCost = 512

// maxReasons bounds how many reasons are told apart in one conversation.
const maxReasons = 8

// Collector makes a Plan of parts. When that is too much for its Limit, it makes a bare one,
// where that will do.
type Collector struct {
	// Limit is how many bytes of memory it may take; 0 is DefaultLimit.
	Limit int64
	// Host takes the place of that which requests of HTTP/1 are for, when it is not empty.
	Host string
	// Pick says which exchanges are to be played; nil plays all. Of a conversation in
	// which some are picked, only requests of HTTP/1 can be left out.
	Pick func(*proto.Exchange) bool
	// MayBeBare says that a bare plan will do.
	MayBeBare bool

	recorder *Recorder
	plan     Plan
	kept     int64
	parts    map[*Conn][]Part
	begun    begun
}

// Recorder returns a Recorder that the Collector takes parts of.
func (k *Collector) Recorder() *Recorder {
	k.recorder = newRecorder(k)
	k.recorder.pickBy = k.Pick
	return k.recorder
}

// Take takes a part.
func (k *Collector) Take(p *Part) error {
	c := p.Conn
	if k.kept += int64(p.Cost); p.Kind == Opened {
		k.kept += connCost
		k.plan.Conns = append(k.plan.Conns, c)
	}
	if k.kept > k.limit() {
		if err := k.strip(p); err != nil {
			return err
		}
	}
	if p.Kind == Answered {
		c.count(p.Check)
		if e := p.Check.Exchange; e != nil && e.Request != nil {
			k.begun.add(e.Request.Packet)
		}
	}
	if p.Kind != Over {
		if !k.plan.Bare {
			if k.parts == nil {
				k.parts = make(map[*Conn][]Part)
			}
			k.parts[c] = append(k.parts[c], *p)
		}
		return nil
	}
	return k.finish(c, p.Ending)
}

func (k *Collector) limit() int64 {
	if k.Limit > 0 {
		return k.Limit
	}
	return DefaultLimit
}

// strip lets go of all that was said.
func (k *Collector) strip(p *Part) error {
	if !k.plan.Bare && k.MayBeBare {
		k.plan.Bare, k.parts = true, nil
		for _, c := range k.plan.Conns {
			c.Steps, c.Checks = nil, nil
		}
	}
	if k.plan.Bare {
		k.kept = int64(len(k.plan.Conns))*connCost + k.begun.size()
		if k.kept <= k.limit() {
			return nil
		}
		return fmt.Errorf("plan: %d conversations and more are too many for %d MiB; give it more with --memory, or a part of the recording", len(k.plan.Conns), k.limit()>>20)
	}
	return fmt.Errorf("plan: more was said than the %d MiB that are kept in memory, up to %v after the beginning; give it more with --memory, or a part of the recording", k.limit()>>20, p.at())
}

// at returns about when a part was seen, since the beginning.
func (p *Part) at() time.Duration {
	if p.Kind == Said {
		return p.Step.At
	}
	return p.Conn.Open
}

// count counts a check.
func (c *Conn) count(k *Check) {
	c.Answers++
	if k.Skip == "" {
		c.Compared++
		return
	}
	i := slices.IndexFunc(c.Why, func(r Reason) bool { return r.Why == k.Skip })
	switch {
	case i >= 0:
		c.Why[i].Count++
	case len(c.Why) < maxReasons:
		c.Why = append(c.Why, Reason{k.Skip, 1, k.Packet()})
	default:
		last := &c.Why[maxReasons-1]
		last.Why, last.Count = "other reasons", last.Count+1
	}
}

// finish makes a conversation whole.
func (k *Collector) finish(c *Conn, e *Ending) error {
	c.Protocol, c.Close, c.Skip, c.Slowest, c.ending = e.Protocol, e.Close, e.Skip, e.Slowest, e
	if e.Note != "" {
		c.Notes = append(c.Notes, e.Note)
	}
	if e.left != nil {
		c.leave(e.left.requests.count)
	}
	v := &reviser{out: filler{}, host: k.Host}
	for i := range k.parts[c] {
		if err := v.Take(&k.parts[c][i]); err != nil {
			return err
		}
	}
	delete(k.parts, c)
	slices.SortFunc(c.Checks, func(a, b Check) int { return cmp.Compare(a.Index, b.Index) })
	c.begins()
	return nil
}

// leave counts those that are left out.
func (c *Conn) leave(n int) {
	c.Compared -= n
	c.Why = append(c.Why, Reason{Why: notPicked, Count: n, Packet: c.Packet})
}

// filler puts revised parts into their conversations.
type filler struct{}

func (filler) Take(p *Part) error {
	switch p.Kind {
	case Said:
		p.Conn.Steps = append(p.Conn.Steps, *p.Step)
	case Answered:
		p.Conn.Checks = append(p.Conn.Checks, *p.Check)
	}
	return nil
}

// begins notes how many exchanges begin with each step of a protocol that is parsed.
func (c *Conn) begins() {
	if !c.Parsed() {
		return
	}
	i := 0
	for n := range c.Checks {
		q := c.Checks[n].Exchange.Request
		if q == nil || c.Checks[n].Left {
			continue
		}
		from := i
		for i < len(c.Steps) && c.Steps[i].Packet != q.Packet {
			i++
		}
		if i == len(c.Steps) {
			i = from // it can't be sent
			continue
		}
		c.Steps[i].Begins++
	}
}

// Plan returns the plan, when everything has been taken.
func (k *Collector) Plan() *Plan {
	p := &k.plan
	p.Start = k.recorder.start
	slices.SortFunc(p.Conns, func(a, b *Conn) int { return cmp.Compare(a.ID, b.ID) })
	ends := slices.Clone(p.Conns)
	slices.SortStableFunc(ends, func(a, b *Conn) int {
		return cmp.Or(a.ending.over.Compare(b.ending.over), cmp.Compare(a.ID, b.ID))
	})
	for i, c := range ends {
		c.Rank = i
		c.Ended, _ = slices.BinarySearchFunc(ends, p.Start.Add(c.Open), func(x *Conn, open time.Time) int { return x.ending.over.Compare(open) })
	}
	return p
}

// begun counts in which packets exchanges begin.
type begun struct {
	once  []uint64      // by the packets' numbers
	twice map[int64]int // how many more
}

func (b *begun) add(packet int64) {
	for int64(len(b.once)) <= packet/64 {
		b.once = append(b.once, 0)
	}
	if b.in(packet) > 0 {
		if b.twice == nil {
			b.twice = make(map[int64]int)
		}
		b.twice[packet]++
	}
	b.once[packet/64] |= 1 << (packet % 64)
}

// in returns how many begin in a packet.
func (b *begun) in(packet int64) int {
	if b == nil || packet/64 >= int64(len(b.once)) || b.once[packet/64]>>(packet%64)&1 == 0 {
		return 0
	}
	return 1 + b.twice[packet]
}

func (b *begun) size() int64 { return int64(8*len(b.once) + 48*len(b.twice)) }
