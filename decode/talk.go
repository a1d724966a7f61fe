package decode

import (
	"hash"
	"math"
	"net/netip"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/tcp"
)

// talk is what the stages keep of a conversation. It receives what they find.
// There are many, most of which are silent: what only some have is elsewhere.
type talk struct {
	shard    *shard
	entry    *entry    // that it is in
	tcp      *tcp.Conn // nil over UDP
	dialogue *dialogue // nil until something is said, and when it is over
	rare     *rare     // nil until there is something

	// Of the dialogue that was put away.
	spoken *proto.Protocol
	count  uint32

	over bool // nothing more is looked at
}

// dialogue is a Dialogue in its place in shard.hoards.
type dialogue struct {
	proto.Dialogue
	node
	held int // what it was counted with
}

// rare is what few conversations have.
type rare struct {
	digests *[2]hash.Hash
	// waits is its place in shard.waiting, when it is there.
	waits node
	// awaited is where a conversation is to come that carries content for this one,
	// child the latest that came.
	awaited []netip.AddrPort
	child   *flow.Conversation
	parent  bool // of one that refers to it
}

func (t *talk) conv() *flow.Conversation { return &t.entry.Conversation }

// turn makes the client the server.
func (t *talk) turn() {
	t.conv().Turn()
	if s := t.shard; s.current == t.entry {
		s.along = s.along.Reverse()
	}
}

func (t *talk) more() *rare {
	if t.rare == nil {
		t.rare = new(rare)
	}
	return t.rare
}

// said returns the dialogue, to be told of something; nil when it is over.
func (t *talk) said() *dialogue {
	if t.dialogue != nil || t.over {
		return t.dialogue
	}
	s, c := t.shard, t.conv()
	opts := proto.Options{Keep: s.d.opts.Keep, Protocol: t.spoken, Spare: s.reused, Secrets: s.d.opts.Secrets}
	if s.framer != nil {
		opts.Framer = t
	}
	switch {
	case c.For != nil:
		opts.Protocol = &proto.Raw // whatever its content looks like
	case opts.Protocol == nil && len(s.d.opts.As) > 0:
		opts.Protocol = s.d.opts.named(c.Transport(), c.Tuple.DstPort())
	}
	if n := len(s.spare); n > 0 {
		t.dialogue, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		t.dialogue = new(dialogue)
	}
	t.dialogue.Renew(c, t, opts, int(t.count))
	return t.dialogue
}

// maxSpare bounds the dialogues that are kept for other conversations.
const maxSpare = 256

// putAway lets go of the dialogue, in which nothing waits. If more is said, another
// goes on where this one stopped.
func (t *talk) putAway() {
	s, g := t.shard, t.dialogue
	t.spoken, t.count, t.dialogue = g.Protocol(), uint32(g.Count()), nil
	if g.held > 0 {
		s.held -= int64(g.held)
		s.hoards.remove(&g.node)
		g.held = 0
	}
	if len(s.spare) < maxSpare {
		g.Clear()
		s.spare = append(s.spare, g)
	}
}

// pause hands on what waits in the dialogue, and lets go of it.
func (t *talk) pause() {
	if t.dialogue != nil {
		t.dialogue.Close()
		t.putAway()
	}
}

// hush ends the dialogue for good.
func (t *talk) hush() {
	t.pause()
	t.over = true
}

// Begin looks at what was said first to tell who is the client.
func (t *talk) Begin(first [2][]byte) bool {
	if !t.conv().Guessed {
		return false
	}
	if d, known := t.shard.d.opts.server(&t.conv().Tuple); known {
		if d == flow.ServerToClient {
			t.turn()
		}
		return d == flow.ServerToClient
	}
	for d, data := range first {
		if side, known := proto.SideOf(flow.TCP, data); known {
			if side != flow.Direction(d) {
				t.turn()
				return true
			}
			return false
		}
	}
	return false
}

// Chunk takes the next bytes of a direction.
func (t *talk) Chunk(d flow.Direction, k flow.Chunk) {
	wanted := t.shard.bytes
	if wanted {
		t.stream(d, k)
	}
	if g := t.said(); g != nil {
		g.Chunk(d, k)
	}
	if wanted {
		t.streamed()
	}
}

// streamed says that what was streamed was looked at.
func (t *talk) streamed() {
	if s := t.shard; s.inner != nil {
		s.fail(s.inner.Streamed(t.conv()))
	}
}

// Sealed shows which bytes are encrypted.
func (t *talk) Sealed(d flow.Direction, from int64, sealed bool) {
	if s := t.shard; s.inner != nil {
		s.fail(s.inner.Sealed(t.conv(), d, from, sealed))
	}
}

// Inner shows what was inside of them.
func (t *talk) Inner(d flow.Direction, from, to int64, k flow.Chunk) {
	if s := t.shard; s.inner != nil {
		s.fail(s.inner.InnerStream(t.conv(), d, from, to, k))
	}
}

// InnerGap shows what is missing inside.
func (t *talk) InnerGap(d flow.Direction, to int64, g flow.Gap) {
	if s := t.shard; s.inner != nil {
		s.fail(s.inner.InnerGap(t.conv(), d, to, g))
	}
}

// Preface shows what a client of HTTP/2 says first.
func (t *talk) Preface(at int64, size int) {
	t.shard.fail(t.shard.framer.Preface(t.conv(), at, size))
}

// Frame shows a frame.
func (t *talk) Frame(d flow.Direction, f *proto.HTTP2Frame) {
	t.shard.fail(t.shard.framer.Frame(t.conv(), d, f))
}

// Framed shows what is in a frame that passes.
func (t *talk) Framed(d flow.Direction, at int64, data []byte) {
	t.shard.fail(t.shard.framer.Framed(t.conv(), d, at, data))
}

// Block shows a header block.
func (t *talk) Block(d flow.Direction, at int64, fields []proto.HPACKField, broken bool) {
	t.shard.fail(t.shard.framer.Block(t.conv(), d, at, fields, broken))
}

// InnerEnd shows where it is said that no more comes.
func (t *talk) InnerEnd(d flow.Direction, to int64) {
	if s := t.shard; s.inner != nil {
		s.fail(s.inner.InnerEnd(t.conv(), d, to))
	}
}

// stream shows bytes to whoever wants them as they are.
func (t *talk) stream(d flow.Direction, k flow.Chunk) {
	if t.rare != nil && t.rare.digests != nil {
		t.rare.digests[d].Write(k.Data)
	}
	if s := t.shard; s.streamer != nil {
		s.fail(s.streamer.Stream(t.conv(), d, k))
	}
}

// Gap takes note of bytes that were never seen.
func (t *talk) Gap(d flow.Direction, g flow.Gap) {
	t.gap(d, g)
	if said := t.said(); said != nil {
		said.Gap(d, g)
	}
	t.streamed()
}

func (t *talk) gap(d flow.Direction, g flow.Gap) {
	if s := t.shard; s.gapper != nil {
		s.fail(s.gapper.Gap(t.conv(), d, g))
	}
}

// Ignored takes note of bytes that are not in the stream.
func (t *talk) Ignored(d flow.Direction, i flow.Ignored) {
	if s := t.shard; s.ignorer != nil {
		s.fail(s.ignorer.Ignored(t.conv(), d, i))
	}
}

// End takes note that a direction is done.
func (t *talk) End(d flow.Direction) {
	if t.dialogue != nil {
		t.dialogue.End(d)
	}
}

// Exchange hands an exchange on.
func (t *talk) Exchange(e *proto.Exchange) {
	s := t.shard
	if e.Protocol.Opens != nil {
		s.opens = true
		if s.related {
			t.relate(e)
		}
	}
	s.exchanges[e.State]++
	s.fail(s.sink.Exchange(e))
}

// Anomaly hands an anomaly on.
func (t *talk) Anomaly(a flow.Anomaly) { t.shard.anomaly(a) }

// relate ties an exchange to the conversation that carried its content.
func (t *talk) relate(e *proto.Exchange) {
	if at := e.Protocol.Opens(e); at != nil {
		t.expect(at)
	}
	if x := t.rare; x != nil && x.child != nil && e.Protocol.Uses(e) {
		e.Data = x.child
		e.Data.For.Purpose = e.Request.Body.Summary()
		x.child = nil
	}
}

// expect waits for a conversation at one of some addresses, in place of those
// before.
func (t *talk) expect(at []netip.AddrPort) {
	if at == nil && (t.rare == nil || t.rare.awaited == nil) {
		return
	}
	x, awaited := t.more(), t.shard.d.awaited
	for _, a := range x.awaited {
		if awaited[a] == t {
			delete(awaited, a)
		}
	}
	x.awaited = at
	for _, a := range at {
		awaited[a] = t
	}
}

// adopt makes t the conversation that another awaits, if it is.
func (t *talk) adopt() {
	c, awaited := t.conv(), t.shard.d.awaited
	parent := awaited[c.Server()]
	if parent == nil && c.Guessed {
		parent = awaited[c.Client()]
	}
	if parent == nil || c.Transport() != flow.TCP {
		return
	}
	parent.expect(nil)
	x := parent.more()
	x.child, x.parent = c, true
	c.For = &flow.Errand{Parent: parent.conv()}
	c.Protocol = c.For.Parent.Protocol + "-data"
}

// node is a talk's place in a list, where it is since the turn of that number.
type node struct {
	prev, next *node
	talk       *talk
	since      int64
}

// list is a list of talks, the one that is in it for longest first.
type list struct{ head, tail *node }

func (l *list) add(n *node, t *talk, turn int64) {
	*n = node{prev: l.tail, talk: t, since: turn}
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}
	l.tail = n
}

func (l *list) remove(n *node) {
	if n.prev == nil {
		l.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	*n = node{}
}

// oldest adds the talks to some that are in the list for longest, and returns since
// when; if there are none, that is the most there is.
func (l *list) oldest(talks []*talk) ([]*talk, int64) {
	if l.head == nil {
		return talks, math.MaxInt64
	}
	since := l.head.since
	for n := l.head; n != nil && n.since == since; n = n.next {
		talks = append(talks, n.talk)
	}
	return talks, since
}
