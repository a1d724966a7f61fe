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

	// held is what the dialogue was counted with.
	held int
	// awaited is where a conversation is to come that carries content for this
	// one, child the latest that came.
	awaited []netip.AddrPort
	child   *flow.Conversation
	gaps    links // in Decoder.waiting
	hoarded links // in Decoder.hoards
}

// said returns the dialogue, to be told of something; nil when it is over.
func (t *talk) said() *proto.Dialogue {
	if t.dialogue == nil && !t.over {
		opts := proto.Options{Keep: t.d.opts.Keep}
		if t.conv.Parent != nil {
			opts.Protocol = &proto.Raw // whatever its content looks like
		}
		t.dialogue = proto.NewDialogue(&t.conv, t, opts)
	}
	return t.dialogue
}

// hush ends the dialogue.
func (t *talk) hush() {
	if t.dialogue != nil {
		t.dialogue.Close()
		t.dialogue = nil
	}
	t.over = true
	t.d.weigh(t)
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

// links are a talk's place in a list.
type links struct {
	in         bool
	prev, next *talk
}

// relate ties an exchange to the conversation that carried its content.
func (t *talk) relate(e *proto.Exchange) {
	if at := e.Protocol.Opens(e); at != nil {
		t.expect(at)
	}
	if t.child != nil && e.Protocol.Uses(e) {
		e.Data, t.child.Purpose = t.child, e.Request.Body.Summary()
		t.child = nil
	}
}

// expect waits for a conversation at one of some addresses, in place of those
// before.
func (t *talk) expect(at []netip.AddrPort) {
	for _, a := range t.awaited {
		if t.d.awaited[a] == t {
			delete(t.d.awaited, a)
		}
	}
	t.awaited = at
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
	parent.child = &t.conv
	t.conv.Parent = &parent.conv
	t.conv.Protocol = parent.conv.Protocol + "-data"
}

// list is a list of talks through links of their own, which at returns.
type list struct {
	head, tail *talk
	at         func(*talk) *links
}

// set has t in the list, at its end, or not.
func (l *list) set(t *talk, in bool) {
	k := l.at(t)
	switch {
	case k.in == in:
	case in:
		*k = links{in: true, prev: l.tail}
		if l.tail == nil {
			l.head = t
		} else {
			l.at(l.tail).next = t
		}
		l.tail = t
	default:
		if k.prev == nil {
			l.head = k.next
		} else {
			l.at(k.prev).next = k.next
		}
		if k.next == nil {
			l.tail = k.prev
		} else {
			l.at(k.next).prev = k.prev
		}
		*k = links{}
	}
}
