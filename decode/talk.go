package decode

import (
	"hash"

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
	dialogue *proto.Dialogue // nil once both sides are done
	digests  *[2]hash.Hash

	listed     bool // in Decoder.waiting
	prev, next *talk
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
	if t.dialogue != nil {
		t.dialogue.Chunk(d, k)
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
	if t.dialogue != nil {
		t.dialogue.Gap(d, g)
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
	t.d.sum.Exchanges[e.State]++
	t.d.fail(t.d.sink.Exchange(e))
}

// Anomaly hands an anomaly on.
func (t *talk) Anomaly(a flow.Anomaly) {
	t.d.sum.Anomalies[a.Kind]++
	if t.d.anomalist != nil {
		t.d.fail(t.d.anomalist.Anomaly(a))
	}
}

// list is a list of talks through their own links.
type list struct{ head, tail *talk }

func (l *list) push(t *talk) {
	t.prev, t.next = l.tail, nil
	if l.tail == nil {
		l.head = t
	} else {
		l.tail.next = t
	}
	l.tail = t
}

func (l *list) remove(t *talk) {
	if t.prev == nil {
		l.head = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.tail = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}
