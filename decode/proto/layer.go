package proto

import (
	"sort"

	"netlab/decode/flow"
)

// carrier is a Parser of a protocol that carries another inside, as TLS does.
type carrier interface {
	Parser
	// Carried returns a piece of the inner stream of a direction that the latest call
	// of Next or Gap brought, valid until the next call; it is asked until there is
	// none. What had to wait for the other direction comes with what that brought.
	Carried() (flow.Direction, Carried, bool)
	// Within returns about how much of the inner stream n bytes of d hold, of which
	// nothing else is known.
	Within(d flow.Direction, n int64) int64
	// Inside names what is spoken inside; empty when it is to be found out. A
	// method InsideWith, if there is one, returns Waiting.With of that.
	Inside() string
}

// Carried is a piece of an inner stream: bytes, or that some are missing, or its
// end.
type Carried struct {
	Data []byte
	Lost int64
	End  bool
	// At is where the last byte of what it came in stands, or of what is missing.
	At Mark
}

// maxLayers bounds how deep protocols may carry others.
const maxLayers = 4

// layer is what a carrier carries, and the Dialogue of it.
type layer struct {
	carrier  carrier
	dialogue *Dialogue // nil until there is something
	sides    [2]layerSide
}

// layerSide relates the offsets of a direction's inner stream to the outer one's.
type layerSide struct {
	end   int64 // of the inner stream
	read  int64 // of it, as far as was acknowledged
	steps []step
}

// step says that with the outer stream up to one offset, the inner one is there up
// to another.
type step struct{ outer, inner int64 }

// maxSteps bounds the steps that wait for an acknowledgement.
const maxSteps = 1024

// take hands on what the carrier has.
func (l *layer) take(g *Dialogue) {
	for {
		d, c, ok := l.carrier.Carried()
		if !ok {
			return
		}
		if l.dialogue == nil && !l.begin(g) {
			continue
		}
		s := &l.sides[d]
		switch {
		case c.End:
			l.dialogue.End(d)
		case c.Lost > 0:
			l.dialogue.Gap(d, flow.Gap{Offset: s.end, Length: c.Lost, Packet: c.At.Packet, Time: c.At.Time})
			s.end += c.Lost
			s.step(c.At.Offset + 1)
		case len(c.Data) > 0:
			r := d.Reverse()
			seen := g.sides[r].offset + int64(len(g.sides[r].buf))
			ack := l.sides[r].acknowledged(min(c.At.Ack, seen))
			if c.At.Ack > seen { // a gap, as it seems, of which something was read
				ack = l.sides[r].end + l.carrier.Within(r, c.At.Ack-seen)
			}
			l.dialogue.Chunk(d, flow.Chunk{Data: c.Data, Offset: s.end, Time: c.At.Time, Packet: c.At.Packet, Ack: ack})
			s.end += int64(len(c.Data))
			s.step(c.At.Offset + 1)
		}
	}
}

// begin begins the Dialogue of what is inside, unless that is too deep.
func (l *layer) begin(g *Dialogue) bool {
	depth := 1
	for o := g; o.outer != nil; o = o.outer {
		depth++
	}
	if depth >= maxLayers {
		return false
	}
	opts := g.opts
	opts.Protocol, opts.With = Lookup(l.carrier.Inside()), ""
	if w, ok := l.carrier.(interface{ InsideWith() string }); ok {
		opts.With = w.InsideWith()
	}
	l.dialogue = new(Dialogue)
	l.dialogue.outer = g
	l.dialogue.Renew(g.conv, g.out, opts, 0)
	return true
}

func (l *layer) close() {
	if l.dialogue != nil {
		l.dialogue.Close()
	}
}

// held returns how much memory the Dialogue and the steps have need of.
func (l *layer) held() int {
	n := 16 * (len(l.sides[0].steps) + len(l.sides[1].steps))
	if l.dialogue != nil {
		n += l.dialogue.Held()
	}
	return n
}

// step notes how far the inner stream is there with the outer one up to an offset.
func (s *layerSide) step(outer int64) {
	if len(s.steps) == maxSteps { // nobody acknowledges
		s.steps = s.steps[:copy(s.steps, s.steps[maxSteps/2:])]
	}
	s.steps = append(s.steps, step{outer, s.end})
}

// acknowledged returns how much of the inner stream was there for who had read the
// outer one up to ack. Later ones have read no less.
func (s *layerSide) acknowledged(ack int64) int64 {
	if ack == flow.NoAck {
		return flow.NoAck
	}
	i := sort.Search(len(s.steps), func(i int) bool { return s.steps[i].outer > ack })
	if i > 0 {
		s.read = s.steps[i-1].inner
		s.steps = s.steps[:copy(s.steps, s.steps[i:])]
	}
	return s.read
}
