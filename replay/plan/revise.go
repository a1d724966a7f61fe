package plan

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// reviser makes of what was recorded what is to be played: it leaves out what can't be said,
// or is not picked, and puts a host in place of another. Of a conversation whose end is known
// it says so with the last step, and has it closed then.
type reviser struct {
	out   Taker
	host  string // empty leaves it
	begun *begun // in which packets exchanges begin, when it is known
	conns map[*Conn]*revision
}

// revision is how far a conversation has come.
type revision struct {
	steps   int // recorded
	turn    int // of the latest step
	packet  int64
	checks  int
	closed  bool
	rewrite *rewriter // nil when nothing is to be changed
}

// Take revises a part.
func (v *reviser) Take(p *Part) error {
	c := p.Conn
	x := v.conns[c]
	switch p.Kind {
	case Opened:
		x = &revision{turn: -1}
		if v.conns == nil {
			v.conns = make(map[*Conn]*revision)
		}
		v.conns[c] = x
		x.rewrite = v.rewriter(c)
		if err := v.out.Take(p); err != nil {
			return err
		}
		return v.closeBehind(c, x)
	case Said:
		if c.Skip != "" || x.closed {
			return nil
		}
		x.steps++
		if err := v.said(p, x); err != nil {
			return err
		}
		return v.closeBehind(c, x)
	case Answered:
		if left := c.left(); left != nil {
			if left.requests.at(x.checks) {
				p.Check.Skip, p.Check.Left = notPicked, true
			}
		}
		x.checks++
	case Closed:
		if x.closed {
			return nil
		}
		x.closed = true
		if err := v.flush(c, x); err != nil {
			return err
		}
	case Over:
		delete(v.conns, c)
	}
	return v.out.Take(p)
}

// left returns what is left out of a conversation; nil when nothing is.
func (c *Conn) left() *leftOut {
	if c.ending == nil {
		return nil
	}
	return c.ending.left
}

// Omits reports whether the request of an exchange is left out of what is said.
func (c *Conn) Omits(index int) bool {
	left := c.left()
	return left != nil && left.requests.at(index)
}

// rewriter returns what changes the requests of a conversation; nil when nothing does.
func (v *reviser) rewriter(c *Conn) *rewriter {
	if c.Protocol != &proto.HTTP || c.Transport != flow.TCP || v.host == "" && c.left() == nil {
		return nil
	}
	return newRewriter(v.host, c.left())
}

// closeBehind closes a conversation of which all was said.
func (v *reviser) closeBehind(c *Conn, x *revision) error {
	e := c.ending
	if e == nil || x.closed || x.steps < e.steps {
		return nil
	}
	x.closed = true
	if err := v.flush(c, x); err != nil {
		return err
	}
	return v.out.Take(&Part{Kind: Closed, Conn: c, Closing: &e.Closing, Cost: partCost})
}

// said hands on a step.
func (v *reviser) said(p *Part, x *revision) error {
	c, s := p.Conn, p.Step
	if e := c.ending; e != nil && e.cut {
		if s.Offset >= e.whole {
			return nil
		}
		s.Bytes = s.Bytes[:min(int64(len(s.Bytes)), e.whole-s.Offset)]
	}
	if left := c.left(); left != nil {
		if left.finals.at(s.After.Finals) {
			s.After.Interims = 0
		}
		s.After.Finals -= left.finals.before(s.After.Finals)
	}
	if x.rewrite == nil {
		return v.step(p, x)
	}
	for _, piece := range x.rewrite.take(*p.Step) {
		if err := v.piece(c, x, piece); err != nil {
			return err
		}
	}
	return nil
}

// flush hands on what the rewriter held.
func (v *reviser) flush(c *Conn, x *revision) error {
	if x.rewrite == nil {
		return nil
	}
	for _, piece := range x.rewrite.rest() {
		if err := v.piece(c, x, piece); err != nil {
			return err
		}
	}
	return nil
}

func (v *reviser) piece(c *Conn, x *revision, s Step) error {
	return v.step(&Part{Kind: Said, Conn: c, Step: &s, At: s.At, Cost: len(s.Bytes) + partCost}, x)
}

// step notes how many exchanges begin with a step.
func (v *reviser) step(p *Part, x *revision) error {
	switch s := p.Step; {
	case !p.Conn.Parsed() && s.Turn != x.turn:
		x.turn, s.Begins = s.Turn, 1
	case p.Conn.Parsed() && s.Packet != x.packet:
		x.packet, s.Begins = s.Packet, v.begun.in(s.Packet)
	}
	return v.out.Take(p)
}
