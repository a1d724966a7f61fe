package rewrite

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Edit puts New in the place of Length bytes, at least one, from Offset on of a
// direction's stream. Offsets are those of flow.Chunk; over UDP an Edit is within one
// datagram.
type Edit struct {
	Offset, Length int64
	New            []byte
	// Blank puts filler there, of the same length, instead of New.
	Blank bool
}

// Edits are what one reading of a capture finds. They are a decode.Sink, and stand
// behind the one that finds: all that belongs to a conversation has to be said before they
// are told that it is finished. Create them with NewEdits. They are for one goroutine; others
// tell what they find to a Fork.
type Edits struct {
	*kept
	parts   []*Edits        // that were forked
	live    map[int64]*talk // those that are not finished, by their first packet
	latest  *talk           // one of these, of which much is told in a row
	talks   []*talk         // those that are
	open    open
	ignored []ignored
	// lost is set when there was no room for what was ignored: which bytes of a stream are
	// its own is not known then.
	lost bool
}

// kept is what Edits have in common with all that were forked of them.
type kept struct {
	left    atomic.Int64 // memory that may still be taken
	full    atomic.Bool  // it was not enough
	journal journal
}

// DefaultMemory bounds what Edits take, when it is not said.
const DefaultMemory = 128 << 20

// What is counted for the memory that things take, with their place in a table.
const (
	talkCost    = 192
	runCost     = 24
	editCost    = 8 // with no Scratch
	ignoredCost = 24
)

// talk is a conversation.
type talk struct {
	first   int64
	packets int64
	sides   [2]side
	// rising means that the client's endpoint is before the server's, in the order of
	// netip: it tells the directions apart without keeping both.
	rising bool
}

// edited reports whether there is an Edit of it.
func (t *talk) edited() bool { return len(t.sides[0].runs)+len(t.sides[1].runs) > 0 }

// side is one direction of a talk.
type side struct {
	runs   []run
	shift  int64  // of what is behind the last edit
	looked int64  // where what was looked at ends
	end    int64  // of the stream; before it is finished, of the last edit
	start  uint32 // the sequence number of its first byte
	closed bool   // there was no room for what comes behind looked
	wild   bool   // where a sequence number stands in it is not sure
	ends   bool   // with its last byte comes a FIN
}

// maxEdit is how long an edit can be; a longer Edit becomes several, up to maxPieces.
const (
	maxEdit   = 1 << 30
	maxPieces = 1 << 10
)

type ignored struct {
	packet       int64
	from, length int32
}

// NewEdits returns Edits that take up to about memory bytes; 0 is DefaultMemory. Where
// that is too little, what is found later is blanked as a whole. With a Scratch, which is
// theirs from then on, memory is needed for conversations, and 16 bytes for each message that
// has edits, or for 64 edits of a larger one; without one, for all.
func NewEdits(memory int64, s Scratch) *Edits {
	if memory <= 0 {
		memory = DefaultMemory
	}
	k := &kept{journal: journal{scratch: s}}
	k.left.Store(memory)
	return &Edits{kept: k, live: make(map[int64]*talk)}
}

// Fork returns Edits that another goroutine tells of other conversations: what they are told counts
// as if these were told. None is told of anything any more when packets are rewritten.
func (x *Edits) Fork() *Edits {
	part := &Edits{kept: x.kept, live: make(map[int64]*talk)}
	x.parts = append(x.parts, part)
	return part
}

// Edit adds an edit of a conversation. Those of a direction come in the order of the
// stream and do not overlap. What is in New is copied.
func (x *Edits) Edit(c *flow.Conversation, d flow.Direction, e Edit) {
	s := &x.talk(c).sides[d]
	if e.Blank && e.Length > maxEdit {
		e.Length = x.pieces(s, &e)
	}
	switch {
	case s.closed:
		return
	case e.Length < 1 || e.Length > maxEdit || len(e.New) > maxEdit:
		panic("BUG: rewrite: an edit of no bytes, or of too many")
	case len(s.runs) > 0 && e.Offset < s.end:
		panic("BUG: rewrite: an edit begins before the end of the one before it")
	}
	if e.Blank {
		x.add(s, blanked(e.Offset, e.Length), nil)
	} else {
		x.add(s, edit{off: e.Offset, length: e.Length, size: int64(len(e.New))}, e.New)
	}
}

func blanked(off, length int64) edit {
	return edit{off: off, length: length, size: length, text: blank}
}

// pieces adds all but the last part of an Edit that is too long, and returns how long that
// is. What goes on for ever is the end of what may pass.
func (x *Edits) pieces(s *side, e *Edit) int64 {
	if e.Length > maxPieces*maxEdit {
		s.close(e.Offset)
	}
	for ; e.Length > maxEdit && !s.closed; e.Offset, e.Length = e.Offset+maxEdit, e.Length-maxEdit {
		x.add(s, blanked(e.Offset, maxEdit), nil)
	}
	return e.Length
}

// take reports whether there is room for n bytes more.
func (k *kept) take(n int64) bool {
	if k.left.Add(-n) < 0 {
		k.left.Add(n)
		k.full.Store(true)
		return false
	}
	return true
}

// Full reports whether there was no room for all that was found, so that more is blanked than
// had to be.
func (x *Edits) Full() bool { return x.full.Load() }

// close has nothing from an offset on pass.
func (s *side) close(at int64) { s.closed, s.looked = true, min(s.looked, at) }

// Looked says that all before an offset has been looked at: what is in no Edit may stay.
// What is behind the last such offset is blanked.
func (x *Edits) Looked(c *flow.Conversation, d flow.Direction, to int64) {
	if s := &x.talk(c).sides[d]; !s.closed {
		s.looked = max(s.looked, to)
	}
}

// End has a direction of TCP end with the packet that brings its last byte, whatever becomes of
// that.
func (x *Edits) End(c *flow.Conversation, d flow.Direction) { x.talk(c).sides[d].ends = true }

// talk returns what is kept of a conversation.
func (x *Edits) talk(c *flow.Conversation) *talk {
	if x.latest != nil && x.latest.first == c.First {
		return x.latest
	}
	t := x.live[c.First]
	if t == nil {
		t = &talk{first: c.First}
		x.live[c.First] = t
		if !x.take(talkCost) {
			t.sides[0].closed, t.sides[1].closed = true, true
		}
	}
	x.latest = t
	return t
}

// Exchange does nothing: what is in it is for the one who finds. It is an error that what was found
// can't be kept.
func (x *Edits) Exchange(*proto.Exchange) error { return x.journal.failed() }

// Ignored keeps what is not in a stream.
func (x *Edits) Ignored(_ *flow.Conversation, _ flow.Direction, i flow.Ignored) error {
	if !x.take(ignoredCost) {
		x.lost = true
		return nil
	}
	x.ignored = append(x.ignored, ignored{i.Packet, int32(min(i.From, math.MaxInt32)), int32(min(i.Length, math.MaxInt32))})
	return nil
}

// maxGaps is how much of a direction may be missing for a sequence number to be found
// in a stream that is longer than half of them; see state.offset.
const maxGaps = 1 << 29

// Finish keeps what is known of a conversation at its end.
func (x *Edits) Finish(c *flow.Conversation) error {
	t := x.talk(c)
	delete(x.live, c.First)
	x.latest = nil
	t.rising = c.Client().Compare(c.Server()) < 0
	for i := range t.sides {
		s, from := &t.sides[i], &c.Sides[i]
		t.packets += from.Packets
		s.start, s.end = from.Start, from.End()
		s.wild = c.Transport() == flow.TCP && s.end >= 1<<31 && from.Extra().GapBytes >= maxGaps
	}
	for i := range t.sides {
		if s := &t.sides[i]; s.wild {
			x.endRun()
			s.runs = nil // there is no place for them
		}
	}
	x.talks = append(x.talks, t)
	return x.journal.failed()
}

// finish puts all in the order of the packets.
func (x *Edits) finish() {
	x.endRun()
	for _, part := range x.parts {
		part.finish()
		x.talks = append(x.talks, part.talks...)
		x.ignored = append(x.ignored, part.ignored...)
		x.lost = x.lost || part.lost
	}
	x.parts = nil
	slices.SortFunc(x.talks, func(a, b *talk) int { return cmp.Compare(a.first, b.first) })
	slices.SortStableFunc(x.ignored, func(a, b ignored) int { return cmp.Compare(a.packet, b.packet) })
}
