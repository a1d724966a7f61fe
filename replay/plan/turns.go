package plan

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// turns are what is known of a protocol that is not parsed. A turn is over when the
// client speaks again and had read more of the server than when the turn began.
type turns struct {
	bare   bool // nothing of what was said is kept
	count  int
	check  *Check    // of the turn that goes on; nil before the first
	ack    int64     // where its answer begins in the server's stream
	spoke  time.Time // when the client's last byte went out
	after  Wait      // what its steps wait for
	server []chunk   // from ack on
	unread int       // bytes of them
	gaps   []flow.Gap

	// Of the answer to the turn that goes on, as far as it was looked at:
	last   time.Time     // when the latest of it came
	pause  time.Duration // the longest
	large  bool          // more was said than is kept
	digest hash.Hash     // SHA-256, when it is; nil otherwise
	folded int64         // where in the server's stream that ends
}

// maxPreview is how much of what a client said is kept to show what it is.
const maxPreview = 48

// turns are those of a conversation.
func (r *Recorder) turns(t *tape) *turns {
	if t.turns == nil {
		t.turns = &turns{bare: r.kin != nil}
	}
	return t.turns
}

// heard keeps what the server said; of datagrams, as much as fits in.
func (t *turns) heard(k chunk, data []byte, transport flow.Transport) {
	if transport == flow.UDP && t.unread+len(data) > maxUnread {
		t.server = append(t.server, k)
		return
	}
	if k.data = []byte{}; !t.bare {
		k.data = append(k.data, data...)
	}
	t.unread += k.kept()
	if t.server = append(t.server, k); t.unread > maxUnread {
		t.fold()
	}
}

// turn gives a step of the client its place.
func (r *Recorder) turn(t *tape, s *Step, k *chunk) error {
	u, ack := r.turns(t), max(k.ack, 0)
	if u.check == nil && ack > 0 {
		u.begin(0, 0) // the server spoke first
	}
	if u.check == nil || ack > u.ack || t.conn.Transport == flow.UDP {
		if err := r.endTurn(t, ack, k.offset); err != nil {
			return err
		}
		u.begin(ack, k.packet)
	}
	turn := u.check.Turn
	u.spoke = k.time
	turn.Sent += k.length
	turn.Preview = append(turn.Preview, s.Bytes[:min(len(s.Bytes), maxPreview-len(turn.Preview))]...)
	s.Turn, s.After = u.check.Index, u.after
	return nil
}

func (t *turns) begin(ack, packet int64) {
	t.check = &Check{Index: t.count, Turn: &Turn{Packet: packet}}
	t.count++
	t.ack, t.after.Bytes, t.spoke = ack, ack, time.Time{}
	t.after.Quiet = max(t.after.Quiet, MinQuiet)
}

// far is behind the end of every stream.
const far = 1 << 62

// lastTurn ends the last turn; there is always one.
func (r *Recorder) lastTurn(t *tape) error {
	if u := r.turns(t); u.check == nil {
		u.begin(0, 0)
	}
	return r.endTurn(t, far, far)
}

// endTurn hands on the turn that goes on, if any, which ends where the next begins: in the
// server's stream, and in the client's.
func (r *Recorder) endTurn(t *tape, end, next int64) error {
	u := r.turns(t)
	if u.check == nil {
		return nil
	}
	check := u.check
	u.after.Quiet = u.answered(t.conn.Transport, end)
	u.after.Datagrams += len(check.Turn.Datagrams)
	if check.Skip == noAnswer && t.conn.Errand != nil {
		check.Skip = "" // what is sent one way only has come, when nothing else did
	}
	t.slowest = max(t.slowest, check.Turn.Latency)
	t.all.Bytes += check.Turn.Length
	t.all.Datagrams = u.after.Datagrams
	t.all.Quiet = max(t.all.Quiet, u.after.Quiet)
	if t.gap != nil && next > t.gap.Offset {
		check.Skip = missing(t.gap)
	} else {
		t.whole = max(t.whole, next)
	}
	return r.push(t, &Part{Kind: Answered, Check: check, Cost: len(check.Turn.Answer)})
}

// answered fills in what the server said in the turn, up to an offset of its stream, and
// returns the silence that ends it.
func (t *turns) answered(transport flow.Transport, end int64) time.Duration {
	turn := t.check.Turn
	n := 0
	for ; n < len(t.server) && t.server[n].offset < end; n++ {
		k := &t.server[n]
		t.add(k, transport, end)
		if k.end() > end {
			break // the rest is the next turn's
		}
		t.unread -= k.kept()
	}
	t.server = slices.Delete(t.server, 0, n)
	t.missing(end)
	switch {
	case t.check.Skip != "":
	case t.large, t.folded > end:
		t.check.Skip, turn.Answer, turn.Datagrams = tooLarge, nil, nil
	case turn.Length == 0:
		t.check.Skip = noAnswer
	case t.digest != nil:
		turn.Digest = t.digest.Sum(nil)
	}
	quiet := max(MinQuiet, 3*t.pause)
	t.large, t.digest, t.pause, t.last = false, nil, 0, time.Time{}
	return quiet
}

// add adds what was said to the turn's answer, up to an offset.
func (t *turns) add(k *chunk, transport flow.Transport, end int64) {
	turn := t.check.Turn
	from, to := max(0, t.ack-k.offset), min(k.length, end-k.offset)
	if to < from {
		return // it was said before
	}
	turn.Length += to - from
	switch t.large = t.large || k.data == nil; {
	case t.large:
	case t.bare:
		if transport == flow.UDP {
			turn.Datagrams = append(turn.Datagrams, nil)
		}
	case t.digest != nil:
		t.digest.Write(k.data[from:to])
		turn.Answer = append(turn.Answer, k.data[from:min(to, from+int64(proto.Shortened-len(turn.Answer)))]...)
	default:
		turn.Answer = append(turn.Answer, k.data[from:to]...)
		if transport == flow.UDP {
			turn.Datagrams = append(turn.Datagrams, k.data[from:to])
		}
	}
	if t.last.IsZero() {
		turn.AnswerPacket = k.packet
		if !t.spoke.IsZero() {
			turn.Latency = max(0, k.time.Sub(t.spoke))
		}
	} else {
		t.pause = max(t.pause, k.time.Sub(t.last))
	}
	t.last = k.time
}

// fold sums up the older half of an answer of which there is more than is kept. It is taken
// for the turn's: who speaks next has read it by then.
func (t *turns) fold() {
	if t.check == nil {
		t.begin(0, 0) // the server speaks first
	}
	if t.digest == nil {
		t.digest = sha256.New()
	}
	n := 0
	for ; t.unread > maxUnread/2; n++ {
		k := &t.server[n]
		t.add(k, flow.TCP, far)
		t.unread -= k.kept()
		t.folded = k.end()
	}
	t.server = slices.Delete(t.server, 0, n)
}

// missing notes what of the turn's answer was not captured.
func (t *turns) missing(end int64) {
	n := 0
	for _, g := range t.gaps {
		if g.Offset < end && g.Offset+g.Length > t.ack {
			t.check.Skip = fmt.Sprintf("%d bytes of the answer were not captured", g.Length)
		}
		if g.Offset+g.Length <= end {
			n++
		}
	}
	t.gaps = slices.Delete(t.gaps, 0, n)
}
