package decode

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Tee hands everything on to several sinks, in order. It is a Forker if all of them are.
func Tee(sinks ...Sink) Sink {
	t, forkers := newTee(sinks), abilities[Forker](sinks)
	if len(sinks) == 0 || len(forkers) < len(sinks) {
		return &t
	}
	return &forkedTee{t, forkers}
}

// tee has the sinks by their abilities: it is asked about each packet.
type tee struct {
	sinks       []Sink
	starters    []Starter
	finishers   []Finisher
	closers     []Closer
	packeters   []Packeter
	streamers   []Streamer
	gappers     []Gapper
	ignorers    []Ignorer
	inner       []InnerStreamer
	framers     []Framer
	anomalists  []Anomalist
	summarizers []Summarizer
}

func newTee(sinks []Sink) tee {
	return tee{
		sinks:       sinks,
		starters:    abilities[Starter](sinks),
		finishers:   abilities[Finisher](sinks),
		closers:     abilities[Closer](sinks),
		packeters:   abilities[Packeter](sinks),
		streamers:   abilities[Streamer](sinks),
		gappers:     abilities[Gapper](sinks),
		ignorers:    abilities[Ignorer](sinks),
		inner:       abilities[InnerStreamer](sinks),
		framers:     abilities[Framer](sinks),
		anomalists:  abilities[Anomalist](sinks),
		summarizers: abilities[Summarizer](sinks),
	}
}

// abilities are the sinks that have the ability A.
func abilities[A any](sinks []Sink) []A {
	var list []A
	for _, s := range sinks {
		if a, ok := s.(A); ok {
			list = append(list, a)
		}
	}
	return list
}

// each calls f for all of a list, until one fails.
func each[A any](list []A, f func(A) error) error {
	for _, a := range list {
		if err := f(a); err != nil {
			return err
		}
	}
	return nil
}

func (t *tee) Exchange(e *proto.Exchange) error {
	return each(t.sinks, func(s Sink) error { return s.Exchange(e) })
}

func (t *tee) Start(c *flow.Conversation) error {
	return each(t.starters, func(s Starter) error { return s.Start(c) })
}

func (t *tee) Finish(c *flow.Conversation) error {
	return each(t.finishers, func(s Finisher) error { return s.Finish(c) })
}

func (t *tee) Close(c *flow.Conversation) error {
	return each(t.closers, func(s Closer) error { return s.Close(c) })
}

func (t *tee) Packet(c *flow.Conversation, number int64) error {
	return each(t.packeters, func(s Packeter) error { return s.Packet(c, number) })
}

func (t *tee) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	return each(t.streamers, func(s Streamer) error { return s.Stream(c, d, k) })
}

func (t *tee) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	return each(t.gappers, func(s Gapper) error { return s.Gap(c, d, g) })
}

func (t *tee) Ignored(c *flow.Conversation, d flow.Direction, i flow.Ignored) error {
	return each(t.ignorers, func(s Ignorer) error { return s.Ignored(c, d, i) })
}

func (t *tee) Sealed(c *flow.Conversation, d flow.Direction, from int64, sealed bool) error {
	return each(t.inner, func(s InnerStreamer) error { return s.Sealed(c, d, from, sealed) })
}

func (t *tee) InnerStream(c *flow.Conversation, d flow.Direction, from, to int64, k flow.Chunk) error {
	return each(t.inner, func(s InnerStreamer) error { return s.InnerStream(c, d, from, to, k) })
}

func (t *tee) InnerGap(c *flow.Conversation, d flow.Direction, to int64, g flow.Gap) error {
	return each(t.inner, func(s InnerStreamer) error { return s.InnerGap(c, d, to, g) })
}

func (t *tee) InnerEnd(c *flow.Conversation, d flow.Direction, to int64) error {
	return each(t.inner, func(s InnerStreamer) error { return s.InnerEnd(c, d, to) })
}

func (t *tee) Streamed(c *flow.Conversation) error {
	return each(t.inner, func(s InnerStreamer) error { return s.Streamed(c) })
}

func (t *tee) Preface(c *flow.Conversation, at int64, size int) error {
	return each(t.framers, func(s Framer) error { return s.Preface(c, at, size) })
}

func (t *tee) Frame(c *flow.Conversation, d flow.Direction, f *proto.HTTP2Frame) error {
	return each(t.framers, func(s Framer) error { return s.Frame(c, d, f) })
}

func (t *tee) Framed(c *flow.Conversation, d flow.Direction, at int64, data []byte) error {
	return each(t.framers, func(s Framer) error { return s.Framed(c, d, at, data) })
}

func (t *tee) Block(c *flow.Conversation, d flow.Direction, at int64, fields []proto.HPACKField, broken bool) error {
	return each(t.framers, func(s Framer) error { return s.Block(c, d, at, fields, broken) })
}

func (t *tee) Anomaly(a flow.Anomaly) error {
	return each(t.anomalists, func(s Anomalist) error { return s.Anomaly(a) })
}

func (t *tee) Summary(m *Summary) error {
	return each(t.summarizers, func(s Summarizer) error { return s.Summary(m) })
}

// forkedTee is a tee of Forkers.
type forkedTee struct {
	tee
	forkers []Forker
}

// Fork returns a tee of a Part of each.
func (t *forkedTee) Fork() Part {
	p := &teePart{ends: make([]int, len(t.forkers))}
	var sinks []Sink
	for _, f := range t.forkers {
		next := f.Fork()
		p.parts, sinks = append(p.parts, next), append(sinks, next)
	}
	p.tee = newTee(sinks)
	return p
}

// Flush has all of them flush.
func (t *forkedTee) Flush() error {
	return each(t.forkers, func(f Forker) error { return f.Flush() })
}

// teePart is the Part of a Tee. What it has gathered is counted in steps, at each of which some of
// its parts had more than at the one before.
type teePart struct {
	tee
	parts []Part
	ends  []int // where each part was at each step, step by step; at the first, all at 0
}

// Len takes another step if a part has gathered more.
func (p *teePart) Len() int {
	n := len(p.parts)
	last := p.ends[len(p.ends)-n:]
	for i, part := range p.parts {
		if part.Len() == last[i] {
			continue
		}
		for _, part := range p.parts {
			p.ends = append(p.ends, part.Len())
		}
		break
	}
	return len(p.ends)/n - 1
}

// Write has each part hand on what it gathered between two steps.
func (p *teePart) Write(from, to int) error {
	n := len(p.parts)
	for i, part := range p.parts {
		if at, end := p.ends[from*n+i], p.ends[to*n+i]; at < end {
			if err := part.Write(at, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// Reset has all parts forget.
func (p *teePart) Reset() {
	for _, part := range p.parts {
		part.Reset()
	}
	p.ends = p.ends[:len(p.parts)]
	clear(p.ends)
}
