package pcaps

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"slices"

	"netlab/capture"
)

// Merge is a Source of the packets of several, in the order of their times; those
// of one time are in the order of the arguments. A Source that goes back in time
// is not sorted: its packets come no earlier than those before them.
//
// Packets are numbered anew. Interface i of the n-th of k sources, counted from 0,
// is interface i*k+n of the merged one, so no two become one. Nothing is copied: a
// source is asked for its next packet only when the one that it has lent was.
//
// While a source is idle, so is the merge, for the next packet may be of that
// source. The damage of one ends only this one, and is the error at the end in
// place of io.EOF. Any other error ends all.
func Merge(sources ...capture.Source) capture.Source {
	m := &merge{total: len(sources)}
	for i, src := range slices.Backward(sources) {
		m.asking = append(m.asking, &feeder{src: src, index: i})
	}
	return m
}

// feeder is one of the sources of a merge, with the packet that it has lent.
type feeder struct {
	src    capture.Source
	index  int
	packet *capture.Packet
}

type merge struct {
	total  int
	asking []*feeder // those that have to be asked before anything can follow, the last first
	ready  feeders   // those that have lent a packet
	packet capture.Packet
	damage error
	err    error // sticky
}

func (m *merge) Next() (*capture.Packet, error) {
	for len(m.asking) > 0 && m.err == nil {
		f := m.asking[len(m.asking)-1]
		p, err := f.src.Next()
		switch {
		case err == nil:
			f.packet = p
			heap.Push(&m.ready, f)
		case errors.Is(err, capture.ErrIdle):
			return m.idle(p), err
		case errors.Is(err, io.EOF):
		case errors.Is(err, capture.ErrDamaged) && m.damage == nil:
			m.damage = err
		case errors.Is(err, capture.ErrDamaged):
			m.damage = fmt.Errorf("%w; %w", m.damage, err)
		default:
			m.err = err
		}
		m.asking = m.asking[:len(m.asking)-1]
	}
	if m.err == nil && len(m.ready) == 0 {
		m.err = io.EOF
		if m.damage != nil {
			m.err = m.damage
		}
	}
	if m.err != nil {
		return nil, m.err
	}
	f := heap.Pop(&m.ready).(*feeder)
	m.asking = append(m.asking, f)
	number := m.packet.Number + 1
	m.packet = *f.packet
	m.packet.Number = number
	m.packet.Interface = m.packet.Interface*m.total + f.index
	return &m.packet, nil
}

// idle says how late it is: not later than the packets that still wait.
func (m *merge) idle(p *capture.Packet) *capture.Packet {
	now := p.Time
	if len(m.ready) > 0 && m.ready[0].packet.Time.Before(now) {
		now = m.ready[0].packet.Time
	}
	return &capture.Packet{Time: now}
}

// feeders is a heap: the earliest packet is first.
type feeders []*feeder

func (h feeders) Len() int      { return len(h) }
func (h feeders) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h feeders) Less(i, j int) bool {
	if c := h[i].packet.Time.Compare(h[j].packet.Time); c != 0 {
		return c < 0
	}
	return h[i].index < h[j].index
}

func (h *feeders) Push(x any) { *h = append(*h, x.(*feeder)) }

func (h *feeders) Pop() any {
	last := len(*h) - 1
	f := (*h)[last]
	*h = (*h)[:last]
	return f
}
