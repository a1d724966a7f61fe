package proto

import (
	"bytes"
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
	// Known returns the offset of the outer stream of d from which on it is not known
	// yet what was inside, if anything, of the bytes that are missing.
	Known(d flow.Direction) int64
	// Within returns about how much of the inner stream n bytes of d hold, of which
	// nothing else is known.
	Within(d flow.Direction, n int64) int64
	// Inside names what is spoken inside, empty when it is to be found out, and
	// returns Waiting.With of that.
	Inside() (protocol, with string)
}

// sealer is a carrier whose carried bytes are encrypted.
type sealer interface {
	carrier
	// Passes reports whether nothing more of a direction can be opened.
	Passes(d flow.Direction) bool
}

// Insider is a Receiver that wants to see what is inside of encrypted bytes, as it is.
type Insider interface {
	// Sealed says of a direction that its bytes are encrypted from an offset on, with
	// their handshake; or that they can't be opened from there on.
	Sealed(d flow.Direction, from int64, sealed bool)
	// Inner gets what was inside of what stands between two offsets, valid during the
	// call: no bytes where that is the encryption's own, as its handshake is.
	Inner(d flow.Direction, from, to int64, c flow.Chunk)
	// InnerGap is told of what is missing inside, up to an offset.
	InnerGap(d flow.Direction, to int64, g flow.Gap)
	// InnerEnd is told that what stands before an offset says that no more comes.
	InnerEnd(d flow.Direction, to int64)
}

// Carried is a piece of an inner stream: bytes, or that some are missing, or its
// end; or that there is nothing of it in what stood there.
type Carried struct {
	Data []byte
	Lost int64
	End  bool
	// At is where the last byte of what it came in stands, or of what is missing; that
	// was Size bytes.
	At   Mark
	Size int
}

// maxLayers bounds how deep protocols may carry others.
const maxLayers = 4

// layer is what a carrier carries, and the Dialogue of it.
type layer struct {
	carrier  carrier
	dialogue *Dialogue // nil until there is something
	sides    [2]layerSide
	kept     int // what the pieces that wait take
	sealer   sealer
	insider  Insider // nil unless sealer is to be watched for it
}

// begun returns the layer of a carrier, whose bytes are those not taken yet.
func (g *Dialogue) begun(c carrier) *layer {
	l := &layer{carrier: c}
	sealer, ok := c.(sealer)
	insider, wants := g.out.(Insider)
	if !ok || !wants || g.outer != nil {
		return l
	}
	l.sealer, l.insider = sealer, insider
	for d := range g.sides {
		from := g.sides[d].offset
		for i := range g.opening.events {
			if h := &g.opening.events[i]; int(h.d) == d && !h.end {
				from = max(h.chunk.Offset, h.gap.Offset) // one of them is there
				break
			}
		}
		insider.Sealed(flow.Direction(d), from, true)
	}
	return l
}

// watch tells when nothing more of a direction can be opened.
func (l *layer) watch(g *Dialogue) {
	if l.insider == nil {
		return
	}
	for i := range l.sides {
		if d := flow.Direction(i); !l.sides[i].passes && l.sealer.Passes(d) && len(l.sides[i].held) == 0 {
			l.sides[i].passes = true
			l.insider.Sealed(d, g.sides[d].offset, false)
		}
	}
}

// layerSide relates the offsets of a direction's inner stream to the outer one's.
type layerSide struct {
	end   int64 // of the inner stream
	read  int64 // of it, as far as was acknowledged
	steps []step
	held  []Carried // pieces that wait, with bytes of their own
	// passes means that it was told that nothing more can be opened.
	passes bool
}

// step says that with the outer stream up to one offset, the inner one is there up
// to another.
type step struct{ outer, inner int64 }

// maxSteps bounds the steps that wait for an acknowledgement, and maxLayerHeld the
// bytes of pieces that wait.
const (
	maxSteps     = 1024
	maxLayerHeld = 256 << 10
)

// take hands on what the carrier has. A piece whose sender had read what has not come
// yet from the other direction waits for that, as bytes do that wait for a gap to fill:
// else an answer would come before its request.
func (l *layer) take(g *Dialogue) {
	for {
		d, c, ok := l.carrier.Carried()
		if !ok {
			break
		}
		switch {
		case !c.none():
			if l.dialogue == nil && !l.begin(g) {
				continue
			}
		case l.insider == nil:
			continue
		}
		s := &l.sides[d]
		if len(s.held) == 0 && l.ready(g, d, &c) {
			l.hand(g, d, &c)
			continue
		}
		c.Data = bytes.Clone(c.Data)
		s.held = append(s.held, c)
		l.kept += len(c.Data) + carriedCost
	}
	l.release(g, false)
	l.watch(g)
}

// none reports whether there is nothing of the inner stream in a piece.
func (c *Carried) none() bool { return len(c.Data) == 0 && c.Lost == 0 && !c.End }

// carriedCost is about what a piece that waits takes beside its bytes.
const carriedCost = 128

// ready reports whether what the sender of a piece had read was handed on.
func (l *layer) ready(g *Dialogue, d flow.Direction, c *Carried) bool {
	r := d.Reverse()
	held := l.sides[r].held
	return c.At.Ack <= l.seen(g, r) && (len(held) == 0 || held[0].At.Offset >= c.At.Ack)
}

// seen returns how far the outer stream of a direction was seen, and what is inside is
// known.
func (l *layer) seen(g *Dialogue, d flow.Direction) int64 {
	s := &g.sides[d]
	return min(s.offset+int64(len(s.buf)), l.carrier.Known(d))
}

// release hands on the pieces that need not wait any more; with all, and when there
// are too many, those that do.
func (l *layer) release(g *Dialogue, all bool) {
	for len(l.sides[0].held)+len(l.sides[1].held) > 0 {
		next := -1
		for d := range l.sides {
			if held := l.sides[d].held; len(held) > 0 && l.ready(g, flow.Direction(d), &held[0]) {
				next = d
				break
			}
		}
		if next < 0 && (all || l.kept > maxLayerHeld) {
			if next = 0; len(l.sides[0].held) == 0 || len(l.sides[1].held) > 0 && l.sides[1].held[0].At.Packet < l.sides[0].held[0].At.Packet {
				next = 1
			}
		}
		if next < 0 {
			return
		}
		s := &l.sides[next]
		c := s.held[0]
		if s.held = s.held[1:]; len(s.held) == 0 {
			s.held = nil
		}
		l.kept -= len(c.Data) + carriedCost
		l.hand(g, flow.Direction(next), &c)
	}
}

// hand hands a piece on.
func (l *layer) hand(g *Dialogue, d flow.Direction, c *Carried) {
	s := &l.sides[d]
	switch {
	case c.End:
		if l.insider != nil && c.Size > 0 {
			l.insider.InnerEnd(d, c.At.Offset+1)
		}
		l.dialogue.End(d)
	case c.Lost > 0:
		gap := flow.Gap{Offset: s.end, Length: c.Lost, Packet: c.At.Packet, Time: c.At.Time}
		if l.insider != nil {
			l.insider.InnerGap(d, c.At.Offset+1, gap)
		}
		l.dialogue.Gap(d, gap)
		s.end += c.Lost
		s.step(c.At.Offset + 1)
	case len(c.Data) == 0:
		l.insider.Inner(d, c.At.Offset+1-int64(c.Size), c.At.Offset+1, flow.Chunk{Offset: s.end, Time: c.At.Time, Packet: c.At.Packet, Ack: flow.NoAck})
	default:
		r := d.Reverse()
		seen := l.seen(g, r)
		ack := l.sides[r].acknowledged(min(c.At.Ack, seen))
		if c.At.Ack > seen { // a gap, as it seems, of which something was read
			ack = l.sides[r].end + l.carrier.Within(r, c.At.Ack-seen)
		}
		chunk := flow.Chunk{Data: c.Data, Offset: s.end, Time: c.At.Time, Packet: c.At.Packet, Ack: ack}
		if l.insider != nil {
			l.insider.Inner(d, c.At.Offset+1-int64(c.Size), c.At.Offset+1, chunk)
		}
		l.dialogue.Chunk(d, chunk)
		s.end += int64(len(c.Data))
		s.step(c.At.Offset + 1)
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
	protocol, with := l.carrier.Inside()
	opts.Protocol, opts.With = Lookup(protocol), with
	l.dialogue = new(Dialogue)
	l.dialogue.outer = g
	l.dialogue.Renew(g.conv, g.out, opts, 0)
	return true
}

func (l *layer) close(g *Dialogue) {
	l.release(g, true)
	if l.dialogue != nil {
		l.dialogue.Close()
	}
}

// held returns how much memory the Dialogue and the steps have need of.
func (l *layer) held() int {
	n := 16*(len(l.sides[0].steps)+len(l.sides[1].steps)) + l.kept
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
