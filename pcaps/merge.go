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
		m.asking = append(m.asking, &lender{src: src, index: i})
	}
	return m
}

// lender is one of the sources of a merge, with the packet that it has lent.
type lender struct {
	src    capture.Source
	index  int
	packet *capture.Packet
}

type merge struct {
	total  int
	asking []*lender // those that have to be asked before anything can follow, the last first
	ready  lenders   // those that have lent a packet
	packet capture.Packet
	damage error
	err    error // sticky
}

func (m *merge) Next() (*capture.Packet, error) {
	for len(m.asking) > 0 && m.err == nil {
		l := m.asking[len(m.asking)-1]
		p, err := l.src.Next()
		switch {
		case err == nil:
			l.packet = p
			heap.Push(&m.ready, l)
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
	l := heap.Pop(&m.ready).(*lender)
	m.asking = append(m.asking, l)
	number := m.packet.Number + 1
	m.packet = *l.packet
	m.packet.Number = number
	m.packet.Interface = m.packet.Interface*m.total + l.index
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

// lenders is a heap: the earliest packet is first.
type lenders []*lender

func (h lenders) Len() int      { return len(h) }
func (h lenders) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h lenders) Less(i, j int) bool {
	if c := h[i].packet.Time.Compare(h[j].packet.Time); c != 0 {
		return c < 0
	}
	return h[i].index < h[j].index
}

func (h *lenders) Push(x any) { *h = append(*h, x.(*lender)) }

func (h *lenders) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	*h = (*h)[:last]
	return l
}
