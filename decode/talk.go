package decode

import (
	"hash"
	"net/netip"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/tcp"
)

// talk is a conversation with the stages that work on it. It receives what they
// find.
type talk struct {
	conv     flow.Conversation
	d        *Decoder
	entry    *flow.Entry[*talk]
	tcp      tcp.Conn
	dialogue *proto.Dialogue // nil until something is said, and when it is over
	over     bool            // nothing more is looked at
	digests  *[2]hash.Hash

	// Of the dialogue that was put away.
	spoken *proto.Protocol
	count  int

	ties          *ties // nil until there are some
	held          int   // what the dialogue was counted with
	gaps          links // in Decoder.waiting, when waits
	hoarded       links // in Decoder.hoards, when hoards
	waits, hoards bool
}

// ties are what belongs to a conversation: where one is to come that carries
// content for it, and the latest that came.
type ties struct {
	awaited []netip.AddrPort
	child   *flow.Conversation
}

// said returns the dialogue, to be told of something; nil when it is over.
func (t *talk) said() *proto.Dialogue {
	if t.dialogue != nil || t.over {
		return t.dialogue
	}
	d := t.d
	opts := proto.Options{Keep: d.opts.Keep, Protocol: t.spoken}
	if t.conv.Parent != nil {
		opts.Protocol = &proto.Raw // whatever its content looks like
	}
	if n := len(d.spare); n > 0 {
		t.dialogue, d.spare = d.spare[n-1], d.spare[:n-1]
	} else {
		t.dialogue = new(proto.Dialogue)
	}
	t.dialogue.Renew(&t.conv, t, opts, t.count)
	return t.dialogue
}

// maxSpare bounds the dialogues that are kept for other conversations.
const maxSpare = 64

// putAway lets go of the dialogue, in which nothing waits. If more is said, another
// goes on where this one stopped.
func (t *talk) putAway() {
	t.spoken, t.count = t.dialogue.Protocol(), t.dialogue.Count()
	if len(t.d.spare) < maxSpare {
		*t.dialogue = proto.Dialogue{} // its buffers go
		t.d.spare = append(t.d.spare, t.dialogue)
	}
	t.dialogue = nil
}

// pause hands on what waits in the dialogue, and lets go of it.
func (t *talk) pause() {
	if t.dialogue != nil {
		t.dialogue.Close()
		t.putAway()
	}
	t.d.weigh(t)
}

// hush ends the dialogue for good.
func (t *talk) hush() {
	t.pause()
	t.over = true
}

// turn makes the client the server.
func (t *talk) turn() {
	t.conv.Turn()
	t.entry.Turn()
}

// Begin looks at what was said first to tell who is the client.
func (t *talk) Begin(first [2][]byte) bool {
	if !t.conv.Guessed {
		return false
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
	t.stream(d, k)
	if g := t.said(); g != nil {
		g.Chunk(d, k)
	}
}

// stream shows bytes to whoever wants them as they are.
func (t *talk) stream(d flow.Direction, k flow.Chunk) {
	if t.digests != nil {
		t.digests[d].Write(k.Data)
	}
	if t.d.streamer != nil {
		t.d.fail(t.d.streamer.Stream(&t.conv, d, k))
	}
}

// Gap takes note of bytes that were never seen.
func (t *talk) Gap(d flow.Direction, g flow.Gap) {
	t.gap(d, g)
	if said := t.said(); said != nil {
		said.Gap(d, g)
	}
}

func (t *talk) gap(d flow.Direction, g flow.Gap) {
	if t.d.gapper != nil {
		t.d.fail(t.d.gapper.Gap(&t.conv, d, g))
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
	if e.Protocol.Opens != nil {
		t.relate(e)
	}
	t.d.sum.Exchanges[e.State]++
	t.d.fail(t.d.sink.Exchange(e))
}

// Anomaly hands an anomaly on.
func (t *talk) Anomaly(a flow.Anomaly) { t.d.anomaly(a) }

// relate ties an exchange to the conversation that carried its content.
func (t *talk) relate(e *proto.Exchange) {
	if at := e.Protocol.Opens(e); at != nil {
		t.expect(at)
	}
	if t.ties != nil && t.ties.child != nil && e.Protocol.Uses(e) {
		e.Data = t.ties.child
		e.Data.Purpose = e.Request.Body.Summary()
		t.ties.child = nil
	}
}

// expect waits for a conversation at one of some addresses, in place of those
// before.
func (t *talk) expect(at []netip.AddrPort) {
	if t.ties == nil {
		if at == nil {
			return
		}
		t.ties = &ties{}
	}
	for _, a := range t.ties.awaited {
		if t.d.awaited[a] == t {
			delete(t.d.awaited, a)
		}
	}
	t.ties.awaited = at
	for _, a := range at {
		t.d.awaited[a] = t
	}
}

// adopt makes t the conversation that another awaits, if it is.
func (t *talk) adopt() {
	parent := t.d.awaited[t.conv.Server]
	if parent == nil && t.conv.Guessed {
		parent = t.d.awaited[t.conv.Client]
	}
	if parent == nil || t.conv.Transport != flow.TCP {
		return
	}
	parent.expect(nil)
	parent.ties.child = &t.conv
	t.conv.Parent = &parent.conv
	t.conv.Protocol = parent.conv.Protocol + "-data"
}

// links are a talk's place in a list.
type links struct{ prev, next *talk }

// list is a list of talks through links of their own, which at returns, with
// whether they are in it.
type list struct {
	head, tail *talk
	at         func(*talk) (*links, *bool)
}

// set has t in the list, at its end, or not.
func (l *list) set(t *talk, in bool) {
	k, is := l.at(t)
	if *is == in {
		return
	}
	if *is = in; in {
		*k = links{prev: l.tail}
		if l.tail == nil {
			l.head = t
		} else {
			last, _ := l.at(l.tail)
			last.next = t
		}
		l.tail = t
		return
	}
	if k.prev == nil {
		l.head = k.next
	} else {
		before, _ := l.at(k.prev)
		before.next = k.next
	}
	if k.next == nil {
		l.tail = k.prev
	} else {
		behind, _ := l.at(k.next)
		behind.prev = k.prev
	}
	*k = links{}
}
