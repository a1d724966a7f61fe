package plan

import (
	"fmt"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Keep is how many bytes of a message a Recorder needs (decode.Options.Keep): what is larger
// is compared by its length and digest.
const Keep = 16 << 20

const (
	// maxAhead bounds what a client said that waits for what the client had read to be
	// seen: a capture may have it in another order.
	maxAhead = 1 << 20

	// maxDelay bounds for how long, when it is played while it is said.
	maxDelay = time.Second

	// maxUnread bounds what is kept of an answer whose end is not known yet: what is more is
	// summed up.
	maxUnread = Keep
)

// Recorder makes parts of what a pipeline pushes to it, as soon as they are known. It is a
// decode.Sink with most of the abilities.
type Recorder struct {
	out    Taker
	pickBy func(*proto.Exchange) bool // as Collector.pickBy
	known  *Plan                      // what an earlier pass found; nil in the first
	live   bool                       // there will be no other pass
	start  time.Time
	tapes  map[*flow.Conversation]*tape
	latest *flow.Conversation // of which tape is the latest that was asked for
	tape   *tape
	kin    *Kin    // nil when it is told of all conversations
	spare  []chunk // room for what a client says, of which there is nothing
}

// tape is what is known of a conversation that goes on.
type tape struct {
	onward  string    // what is replayed by turns, and follows what is not
	turned  bool      // the client is who is called the server elsewhere
	conn    *Conn     // nil until it is opened
	ahead   []chunk   // what the client said, in as far as it is not looked at yet
	held    int       // bytes of it
	read    int64     // how much of the server's stream was seen, or is missing
	spoke   time.Time // when the latest of both spoke
	server  time.Time // when the server did
	gap     *flow.Gap // the first in what the client said
	steps   int
	whole   int64 // how much of the client's stream belongs to what can be compared
	closed  bool
	listens listens
	all     Wait
	slowest time.Duration
	said    int64  // where what the client said ends
	picks   *picks // nil when all is picked
	asked   asked
	turns   *turns // nil before there is anything of one
}

// chunk is a run of bytes of one packet.
type chunk struct {
	offset int64
	length int64
	data   []byte // nil when it is not kept; of Kin, not nil but empty when it would be
	time   time.Time
	packet int64
	ack    int64
}

func (c *chunk) end() int64 { return c.offset + c.length }

// kept is how many bytes of it are.
func (c *chunk) kept() int {
	if c.data == nil {
		return 0
	}
	return int(c.length)
}

// Live returns a Recorder of what is played while it is said: what only the end of a
// conversation tells is not waited for. Host is as Collector.Host.
func Live(out Taker, host string) *Recorder {
	r := newRecorder(&reviser{out: out, host: host})
	r.live = true
	return r
}

// NewRecorder returns a Recorder that hands the parts to out as they were recorded.
func NewRecorder(out Taker) *Recorder { return newRecorder(out) }

func newRecorder(out Taker) *Recorder {
	return &Recorder{out: out, tapes: make(map[*flow.Conversation]*tape)}
}

// of returns the tape of a conversation; nil when it is not known.
func (r *Recorder) of(c *flow.Conversation) *tape {
	if c != r.latest {
		r.latest, r.tape = c, r.tapes[c]
	}
	return r.tape
}

// Start begins a tape.
func (r *Recorder) Start(c *flow.Conversation) error {
	if r.start.IsZero() {
		r.start = c.Start.Time()
	}
	t := &tape{turned: r.isTurned(c)}
	if r.pickBy != nil {
		t.picks = new(picks)
	}
	r.tapes[c], r.latest, r.tape = t, c, t
	if r.known == nil {
		return nil
	}
	if c.ID >= len(r.known.Conns) {
		return fmt.Errorf("plan: conversation %d was not there when the recording was first read", c.ID)
	}
	t.conn = r.known.Conns[c.ID]
	return r.push(t, &Part{Kind: Opened})
}

// push hands on a part of a conversation.
func (r *Recorder) push(t *tape, p *Part) error {
	p.Conn = t.conn
	p.Cost += partCost
	return r.out.Take(p)
}

// byTurns reports whether what a conversation speaks is replayed by turns: it is not
// parsed, both sides ask, or messages do not follow each other.
func byTurns(protocol string) bool {
	p := proto.Lookup(protocol)
	return p == nil || p == &proto.Raw || p == &proto.MQTT || p.Interleaves
}

// Stream takes what is said. Of a protocol that is parsed, the server's messages come
// with the exchanges.
func (r *Recorder) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	t := r.of(c)
	t.spoke, d = k.Time, t.side(d)
	x := chunk{k.Offset, int64(len(k.Data)), nil, k.Time, k.Packet, k.Ack}
	if d == flow.ClientToServer {
		x.data = r.copy(k.Data)
		if t.ahead == nil {
			t.ahead, r.spare = r.spare, nil
		}
		t.ahead = append(t.ahead, x)
		t.held += x.kept()
		t.said = x.end()
		return nil
	}
	t.read, t.server = max(t.read, x.end()), k.Time
	if byTurns(c.Protocol) {
		r.turns(t).heard(x, k.Data, c.Transport())
	}
	return nil
}

// copy returns bytes as they are kept.
func (r *Recorder) copy(data []byte) []byte {
	if r.kin != nil {
		return []byte{}
	}
	return append([]byte{}, data...)
}

// Gap notes what is missing.
func (r *Recorder) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	t := r.of(c)
	switch d = t.side(d); {
	case d == flow.ServerToClient:
		t.read = max(t.read, g.Offset+g.Length)
		if byTurns(c.Protocol) {
			u := r.turns(t)
			u.gaps = append(u.gaps, g)
		}
	case t.gap == nil:
		t.gap = &g
	}
	return nil
}

// Sealed, InnerStream and InnerGap do nothing: what is encrypted is not replayed.
func (r *Recorder) Sealed(*flow.Conversation, flow.Direction, int64, bool) error { return nil }

// InnerStream does nothing.
func (r *Recorder) InnerStream(*flow.Conversation, flow.Direction, int64, int64, flow.Chunk) error {
	return nil
}

// InnerEnd does nothing.
func (r *Recorder) InnerEnd(*flow.Conversation, flow.Direction, int64) error { return nil }

// InnerGap does nothing.
func (r *Recorder) InnerGap(*flow.Conversation, flow.Direction, int64, flow.Gap) error { return nil }

// Streamed hands on what the client said whose place among the answers is known now.
func (r *Recorder) Streamed(c *flow.Conversation) error {
	t := r.of(c)
	if t.conn == nil && c.Protocol == "" {
		return nil
	}
	return r.say(c, t, false)
}

// say hands on what the client said, all of it when nothing more of the server comes.
func (r *Recorder) say(c *flow.Conversation, t *tape, all bool) error {
	if err := r.open(c, t); err != nil {
		return err
	}
	n := 0
	defer func() { r.said(t, n) }()
	for ; n < len(t.ahead); n++ {
		k := &t.ahead[n]
		if !all && r.early(t, k) {
			return nil
		}
		t.held -= k.kept()
		s := Step{At: k.time.Sub(r.start), Bytes: k.data, Packet: k.packet, Offset: k.offset}
		k.data = nil
		if t.conn.Parsed() {
			s.After = t.asked.after(k.ack)
		} else if err := r.turn(t, &s, k); err != nil {
			return err
		}
		t.steps++
		if err := r.push(t, &Part{Kind: Said, Step: &s, At: s.At, Cost: len(s.Bytes)}); err != nil {
			return err
		}
	}
	return nil
}

// maxSpare is how much room is kept.
const maxSpare = 256

// said lets go of the first chunks that wait. There are many conversations in which nothing does: so
// the room for it goes on to the next.
func (r *Recorder) said(t *tape, n int) {
	if t.ahead = t.ahead[:copy(t.ahead, t.ahead[n:])]; len(t.ahead) == 0 {
		if cap(t.ahead) <= maxSpare {
			r.spare = t.ahead
		}
		t.ahead = nil
	}
}

// early reports whether it is too early to say after what a client spoke: what it had read
// was not seen, or belongs to an answer that goes on, before which there may have been interim
// ones.
func (r *Recorder) early(t *tape, k *chunk) bool {
	switch {
	case t.held > maxAhead, r.live && t.spoke.Sub(k.time) > maxDelay:
		return false
	case k.ack > t.read:
		return true
	}
	return t.conn.Parsed() && k.ack > t.asked.known
}

// open begins a conversation, whose protocol is known.
func (r *Recorder) open(c *flow.Conversation, t *tape) error {
	if t.conn != nil {
		return nil
	}
	t.conn = &Conn{
		ID: c.ID, Transport: c.Transport(), Client: c.Client(), Server: c.Server(), Packet: c.First,
		Protocol: spoken(c), Open: c.Start.Time().Sub(r.start), Errand: r.errand(c),
	}
	if t.turned {
		t.conn.Client, t.conn.Server = t.conn.Server, t.conn.Client
	}
	if r.live {
		t.conn.Skip = r.skip(c, t)
	}
	if t.conn.Parsed() {
		t.turns = nil
	}
	return r.push(t, &Part{Kind: Opened})
}

// spoken is the protocol by which a conversation is replayed.
func spoken(c *flow.Conversation) *proto.Protocol {
	if byTurns(c.Protocol) {
		return &proto.Raw
	}
	return proto.Lookup(c.Protocol)
}

// Exchange takes what was asked and answered.
func (r *Recorder) Exchange(e *proto.Exchange) error {
	c := e.Conversation
	t := r.of(c)
	r.pick(t, e)
	if byTurns(c.Protocol) || e.Inside() {
		return nil // its bytes are kept, or it is compared as part of another
	}
	if err := r.open(c, t); err != nil {
		return err
	}
	if t.conn.Parsed() && byTurns(e.Protocol.Name) {
		t.onward = e.Protocol.Name
	}
	t.listens.note(e)
	return r.exchange(t, e)
}

// Close closes a conversation at once that is played while it goes on.
func (r *Recorder) Close(c *flow.Conversation) error {
	t := r.of(c)
	if !r.live || t.conn == nil {
		return nil
	}
	if err := r.say(c, t, true); err != nil {
		return err
	}
	return r.close(t, r.closing(c, t))
}

// close says how a conversation ended, once.
func (r *Recorder) close(t *tape, how Close) error {
	if t.closed {
		return nil
	}
	t.closed = true
	return r.push(t, &Part{Kind: Closed, Closing: &Closing{how, t.all}})
}

// Finish ends a conversation.
func (r *Recorder) Finish(c *flow.Conversation) error {
	t := r.of(c)
	delete(r.tapes, c)
	r.latest, r.tape = nil, nil
	if err := r.say(c, t, true); err != nil {
		return err
	}
	if !t.conn.Parsed() {
		if err := r.lastTurn(t); err != nil {
			return err
		}
	}
	e := &Ending{Protocol: spoken(c), Closing: Closing{Close: r.closing(c, t)}, Skip: r.skip(c, t), Slowest: t.slowest, steps: t.steps, over: c.End.Time()}
	if c.Ended {
		e.over = c.EndedAt.Time()
	}
	if t.gap != nil {
		e.cut, e.whole, e.Note = true, t.whole, missing(t.gap)
		if t.whole == 0 && e.Skip == "" {
			e.Skip = e.Note
		}
	}
	if e.Skip == "" {
		r.leaveOut(c, t, e)
	}
	e.All = t.all
	if err := r.close(t, e.Close); err != nil {
		return err
	}
	return r.push(t, &Part{Kind: Over, Ending: e})
}

// missing says what is not there of a client.
func missing(g *flow.Gap) string {
	return fmt.Sprintf("%d bytes of the client were not captured before packet %d", g.Length, g.Packet)
}

// skip says why a conversation can't be played, as far as it is known.
func (r *Recorder) skip(c *flow.Conversation, t *tape) string {
	begun := c.Transport() == flow.UDP || c.Sides[0].Syn || c.Sides[1].Syn
	switch p := spoken(c); {
	case p == &proto.TLS:
		return "encrypted (TLS)"
	case p == &proto.QUIC:
		return "encrypted (QUIC)"
	case t.onward != "":
		return "behind an upgrade it goes on in what is replayed by turns: " + t.onward
	case !begun && !p.AnyStart:
		return "its beginning was not captured"
	case c.For != nil:
		return "" // what it is for is picked as a whole, and nothing is content too
	case c.Sides[0].Bytes == 0 && c.Sides[1].Bytes == 0 && c.Transport() == flow.TCP:
		return "nothing was said"
	case (c.Transport() == flow.UDP || p == &proto.DNS) && t.steps == 0 && !r.live:
		return notAsked
	case r.pickBy != nil && !t.picks.some:
		return notPicked
	}
	return ""
}

// closing says how a conversation ended.
func (r *Recorder) closing(c *flow.Conversation, t *tape) Close {
	if !c.Ended {
		return Close{}
	}
	how := Close{By: t.side(c.CloseBy), Kind: CloseRST, At: c.EndedAt.Time().Sub(r.start)}
	if c.Sides[c.CloseBy].Fin {
		how.Kind = CloseFIN
	}
	if !t.spoke.IsZero() {
		how.Silence = c.EndedAt.Time().Sub(t.spoke)
	}
	how.HalfClosed = how.By == flow.ClientToServer && t.server.After(c.EndedAt.Time())
	return how
}
