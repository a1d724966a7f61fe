package rewrite

import (
	"slices"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Opener makes Edits that have what was inside of encrypted conversations be there in clear, as far
// as it was opened: each record becomes what was inside of it, which is never longer, and the
// handshake nothing, nor what was said to agree on it. Of what could not be opened nothing is left,
// which is counted. It is a decode.Sink that stands before its Edits. Conversations of which nothing
// was opened stay as they are.
//
// Of a conversation it keeps where it is, and the gaps since.
type Opener struct {
	// Conversations counts those that were opened, when they are finished; Upgraded those of them
	// that were in clear at first.
	Conversations, Upgraded int64
	// Unopened are bytes of these that could not be opened, in some Places.
	Unopened, Places int64

	edits *Edits
	live  map[int64]*opening // by their first packet
}

// NewOpener returns an Opener.
func NewOpener(edits *Edits) *Opener {
	return &Opener{edits: edits, live: make(map[int64]*opening)}
}

// opening is an encrypted conversation, or one that is about to be.
type opening struct {
	opened   bool // something was
	upgraded bool // it was in clear at first
	sides    [2]openingSide
}

// openingSide is one direction.
type openingSide struct {
	agreed  span  // what it said to agree on encryption
	sealed  bool  // it is encrypted
	at      int64 // before it there is nothing more to be done
	passing int64 // up to there nothing was inside, which counts when something is opened
	gaps    []span
	ends    int64 // where it said that it ends
}

// span is a part of a stream.
type span struct{ from, to int64 }

// maxOpeningGaps bounds the gaps that are kept of a direction: of those since the last record,
// more than one are rare.
const maxOpeningGaps = 256

// Exchange notes what leads to TLS: it would not be true of what is in clear.
func (o *Opener) Exchange(e *proto.Exchange) error {
	both := []*proto.Message{e.Request, e.Response}
	if !slices.ContainsFunc(both, func(m *proto.Message) bool { return m != nil && m.Next == proto.TLS.Name }) {
		return nil
	}
	x := o.of(e.Conversation)
	for _, m := range both {
		if m != nil {
			x.sides[m.Direction].agreed = span{m.Offset, m.Offset + m.Length}
		}
	}
	return nil
}

// of returns what is kept of a conversation.
func (o *Opener) of(c *flow.Conversation) *opening {
	x := o.live[c.First]
	if x == nil {
		x = new(opening)
		o.live[c.First] = x
	}
	return x
}

// Sealed notes from where on a direction is encrypted.
func (o *Opener) Sealed(c *flow.Conversation, d flow.Direction, from int64, sealed bool) error {
	x := o.of(c)
	if s := &x.sides[d]; sealed && !s.sealed {
		s.sealed, s.at, s.passing = true, from, from
		x.upgraded = x.upgraded || from > 0
	}
	return nil
}

// Stream does nothing: what is in clear stays.
func (o *Opener) Stream(*flow.Conversation, flow.Direction, flow.Chunk) error { return nil }

// Gap takes note of what is missing of what is encrypted.
func (o *Opener) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	x := o.live[c.First]
	if x == nil || !x.sides[d].sealed {
		return nil
	}
	s := &x.sides[d]
	if n := len(s.gaps); n == maxOpeningGaps { // what is between two is not shown then
		s.gaps[n-1].to = g.Offset + g.Length
	} else {
		s.gaps = append(s.gaps, span{g.Offset, g.Offset + g.Length})
	}
	return nil
}

// InnerStream puts what was inside of a record in its place.
func (o *Opener) InnerStream(c *flow.Conversation, d flow.Direction, from, to int64, k flow.Chunk) error {
	x := o.of(c)
	s := &x.sides[d]
	if c.Secured {
		o.open(c, x)
	}
	switch {
	case from < s.at: // it was told of already
	case !x.opened:
		s.passing = to
	default:
		o.remove(c, d, from)
		o.replace(c, d, to, k.Data)
	}
	return nil
}

// InnerEnd notes that a direction says that it ends: what says so of TCP may come later, when the
// other side has closed because of it.
func (o *Opener) InnerEnd(c *flow.Conversation, d flow.Direction, to int64) error {
	o.of(c).sides[d].ends = to
	return nil
}

// InnerGap has as much be missing as was missing inside.
func (o *Opener) InnerGap(c *flow.Conversation, d flow.Direction, to int64, g flow.Gap) error {
	x := o.of(c)
	s := &x.sides[d]
	o.open(c, x)
	gaps := s.gaps
	for len(gaps) > 0 && gaps[len(gaps)-1].from >= to {
		gaps = gaps[:len(gaps)-1]
	}
	left := g.Length
	for i, k := range gaps {
		if k.from < s.at {
			continue
		}
		o.remove(c, d, k.from)
		n := left
		if i < len(gaps)-1 {
			n = min(n, k.to-k.from)
		}
		o.missing(c, d, k.to, n)
		left -= n
	}
	if left == g.Length { // it was there, without its key
		o.giveUp(c, d, to)
	}
	o.remove(c, d, to)
	return nil
}

// Streamed does nothing.
func (o *Opener) Streamed(*flow.Conversation) error { return nil }

// Finish ends a conversation.
func (o *Opener) Finish(c *flow.Conversation) error {
	x := o.live[c.First]
	if x == nil {
		return nil
	}
	defer delete(o.live, c.First)
	if c.Secured {
		o.open(c, x)
	}
	if x.opened {
		for i := range x.sides {
			d, end := flow.Direction(i), c.Sides[i].End()
			if x.sides[d].ends == end { // nothing comes behind it
				o.edits.End(c, d)
			}
			o.giveUp(c, d, end)
		}
		o.Conversations++
		if x.upgraded {
			o.Upgraded++
		}
	}
	return nil
}

// open says that something of a conversation was opened: what came before it becomes nothing, and
// what was in clear may stay.
func (o *Opener) open(c *flow.Conversation, x *opening) {
	if x.opened {
		return
	}
	x.opened = true
	for d := range x.sides {
		s, d := &x.sides[d], flow.Direction(d)
		begin := s.at
		if a := s.agreed; a.to > a.from && a.to <= begin {
			s.at = a.from
			o.remove(c, d, a.to)
		}
		s.at = begin
		o.remove(c, d, s.passing)
		o.edits.Looked(c, d, maxOffset)
	}
}

// maxOffset is behind every stream.
const maxOffset = 1 << 62

// pass says that nothing more is to be done before an offset.
func (s *openingSide) pass(to int64) {
	s.at = max(s.at, to)
	for len(s.gaps) > 0 && s.gaps[0].to <= s.at {
		s.gaps = s.gaps[1:]
	}
	if len(s.gaps) == 0 {
		s.gaps = nil
	}
}

// remove removes what is before an offset and was not looked at, gaps too: nothing is missing
// inside where nobody says so.
func (o *Opener) remove(c *flow.Conversation, d flow.Direction, to int64) {
	s := &o.live[c.First].sides[d]
	for at := s.at; at < to; {
		n := min(to-at, maxEdit)
		o.edits.Edit(c, d, Edit{Offset: at, Length: n})
		at += n
	}
	s.pass(to)
}

// giveUp removes what is before an offset and was not opened.
func (o *Opener) giveUp(c *flow.Conversation, d flow.Direction, to int64) {
	s := &o.live[c.First].sides[d]
	n := to - s.at
	for _, k := range s.gaps {
		n -= max(0, min(k.to, to)-max(k.from, s.at))
	}
	if s.sealed && n > 0 {
		o.Unopened += n
		o.Places++
	}
	if s.sealed {
		o.remove(c, d, to)
	}
}

// replace puts text in the place of what is before an offset.
func (o *Opener) replace(c *flow.Conversation, d flow.Direction, to int64, text []byte) {
	s := &o.live[c.First].sides[d]
	if to > s.at {
		o.edits.Edit(c, d, Edit{Offset: s.at, Length: to - s.at, New: text})
		s.pass(to)
	}
}

// missing has n bytes be missing in the place of a gap that ends at an offset. No packet has
// them, so it does not matter which.
func (o *Opener) missing(c *flow.Conversation, d flow.Direction, to, n int64) {
	s := &o.live[c.First].sides[d]
	if size := to - s.at; n > size { // parts of the records on both sides are there
		more := min(n-size, maxParts)
		o.replace(c, d, s.at+1, make([]byte, 1+more))
		n = size - 1
	}
	if n > 0 {
		o.edits.Edit(c, d, Edit{Offset: s.at, Length: n, Blank: true})
		s.pass(s.at + n)
	}
	o.remove(c, d, to)
}

// maxParts bounds what is there of the records round a gap: as far as one is looked for.
const maxParts = 128 << 10
