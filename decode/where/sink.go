package where

import (
	"sync/atomic"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Sink hands on to another sink what an expression picks: those exchanges, and
// the conversations and anomalies that they belong to.
type Sink struct {
	filter   *Filter
	next     decode.Sink
	packeter decode.Packeter // the same, if it is one
	picked   map[*flow.Conversation]bool
	// early are the anomalies of conversations of which nothing is picked yet:
	// what is odd in an exchange comes before it.
	early   map[*flow.Conversation][]flow.Anomaly
	waiting *atomic.Int64 // how many, in all parts
	left    *atomic.Int64
}

// Bounds of the anomalies that wait for an exchange: those of a conversation, and
// all, which are some 20 MB. Others are only counted, in the Summary.
const (
	maxEarly    = 64
	maxEarlyAll = 100_000
)

// NewSink returns a sink in front of next. It is a decode.Forker if next is one,
// unless the expression asks for conversations by their numbers: a Part knows these
// too late.
func NewSink(f *Filter, next decode.Sink) decode.Sink {
	s := newSink(f, next)
	if n, ok := next.(decode.Forker); ok && !f.numbered {
		return &forker{s, n}
	}
	return s
}

func newSink(f *Filter, next decode.Sink) *Sink {
	s := &Sink{
		filter: f, next: next, picked: make(map[*flow.Conversation]bool), early: make(map[*flow.Conversation][]flow.Anomaly),
		waiting: new(atomic.Int64), left: new(atomic.Int64),
	}
	s.packeter, _ = next.(decode.Packeter)
	return s
}

// Left counts the exchanges that were left out.
func (s *Sink) Left() int64 { return s.left.Load() }

// Exchange hands on an exchange that is picked, and before the first of a
// conversation that it began.
func (s *Sink) Exchange(e *proto.Exchange) error {
	if !s.filter.Match(e) {
		s.left.Add(1)
		return nil
	}
	if c := e.Conversation; !s.picked[c] {
		s.picked[c] = true
		if n, ok := s.next.(decode.Starter); ok {
			if err := n.Start(c); err != nil {
				return err
			}
		}
		for _, a := range s.takeEarly(c) {
			if err := s.Anomaly(a); err != nil {
				return err
			}
		}
	}
	return s.next.Exchange(e)
}

// takeEarly takes the anomalies that waited for a conversation.
func (s *Sink) takeEarly(c *flow.Conversation) []flow.Anomaly {
	list := s.early[c]
	if list != nil {
		delete(s.early, c)
		s.waiting.Add(-int64(len(list)))
	}
	return list
}

// Packet hands on a packet of a picked conversation.
func (s *Sink) Packet(c *flow.Conversation, number int64) error {
	if s.packeter != nil && s.picked[c] {
		return s.packeter.Packet(c, number)
	}
	return nil
}

// Close hands on the end of a picked conversation.
func (s *Sink) Close(c *flow.Conversation) error {
	if n, ok := s.next.(decode.Closer); ok && s.picked[c] {
		return n.Close(c)
	}
	return nil
}

// Finish hands on a picked conversation.
func (s *Sink) Finish(c *flow.Conversation) error {
	s.takeEarly(c)
	if !s.picked[c] {
		return nil
	}
	delete(s.picked, c)
	if n, ok := s.next.(decode.Finisher); ok {
		return n.Finish(c)
	}
	return nil
}

// Anomaly hands on what is odd in a picked conversation.
func (s *Sink) Anomaly(a flow.Anomaly) error {
	n, ok := s.next.(decode.Anomalist)
	c := a.Conversation
	switch {
	case !ok || c == nil:
	case s.picked[c]:
		return n.Anomaly(a)
	case len(s.early[c]) == maxEarly:
	case s.waiting.Add(1) > maxEarlyAll:
		s.waiting.Add(-1)
	default:
		s.early[c] = append(s.early[c], a)
	}
	return nil
}

// Summary hands on the sums, which are of the whole capture.
func (s *Sink) Summary(m *decode.Summary) error {
	if n, ok := s.next.(decode.Summarizer); ok {
		return n.Summary(m)
	}
	return nil
}

// forker is a Sink whose next is a Forker.
type forker struct {
	*Sink
	next decode.Forker
}

// Fork returns a sink in front of a part of the next.
func (f *forker) Fork() decode.Part {
	next := f.next.Fork()
	s := newSink(f.filter, next)
	s.waiting, s.left = f.waiting, f.left
	return &part{s, next}
}

// Flush has the next flush.
func (f *forker) Flush() error { return f.next.Flush() }

// part is a Sink whose next is a Part, which gathers what it is told.
type part struct {
	*Sink
	next decode.Part
}

func (p *part) Len() int                 { return p.next.Len() }
func (p *part) Write(from, to int) error { return p.next.Write(from, to) }
func (p *part) Reset()                   { p.next.Reset() }
