package where

import (
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Sink hands on to another sink what an expression picks: those exchanges, and
// the conversations and anomalies that they belong to.
type Sink struct {
	filter Filter
	next   decode.Sink
	picked map[int]bool
	// early are the anomalies of conversations of which nothing is picked yet:
	// what is odd in an exchange comes before it.
	early   map[int][]flow.Anomaly
	waiting int // how many
	// Left counts the exchanges that were left out.
	Left int64
}

// maxEarly bounds the anomalies that wait for an exchange: some 2 MB. Those that
// come when it is reached are only counted, in the Summary.
const maxEarly = 10_000

// NewSink returns a sink in front of next.
func NewSink(f Filter, next decode.Sink) *Sink {
	return &Sink{filter: f, next: next, picked: make(map[int]bool), early: make(map[int][]flow.Anomaly)}
}

// Exchange hands on an exchange that is picked, and before the first of a
// conversation that it began.
func (s *Sink) Exchange(e *proto.Exchange) error {
	if !s.filter(e) {
		s.Left++
		return nil
	}
	if c := e.Conversation; !s.picked[c.ID] {
		s.picked[c.ID] = true
		if n, ok := s.next.(decode.Starter); ok {
			if err := n.Start(c); err != nil {
				return err
			}
		}
		for _, a := range s.takeEarly(c.ID) {
			if err := s.Anomaly(a); err != nil {
				return err
			}
		}
	}
	return s.next.Exchange(e)
}

// takeEarly takes the anomalies that waited for a conversation.
func (s *Sink) takeEarly(id int) []flow.Anomaly {
	list := s.early[id]
	delete(s.early, id)
	s.waiting -= len(list)
	return list
}

// Close hands on the end of a picked conversation.
func (s *Sink) Close(c *flow.Conversation) error {
	if n, ok := s.next.(decode.Closer); ok && s.picked[c.ID] {
		return n.Close(c)
	}
	return nil
}

// Finish hands on a picked conversation.
func (s *Sink) Finish(c *flow.Conversation) error {
	s.takeEarly(c.ID)
	if !s.picked[c.ID] {
		return nil
	}
	delete(s.picked, c.ID)
	if n, ok := s.next.(decode.Finisher); ok {
		return n.Finish(c)
	}
	return nil
}

// Anomaly hands on what is odd in a picked conversation.
func (s *Sink) Anomaly(a flow.Anomaly) error {
	n, ok := s.next.(decode.Anomalist)
	switch {
	case !ok || a.Conversation == nil:
	case s.picked[a.Conversation.ID]:
		return n.Anomaly(a)
	case s.waiting < maxEarly:
		s.early[a.Conversation.ID] = append(s.early[a.Conversation.ID], a)
		s.waiting++
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
