package plan

import (
	"cmp"
	"fmt"
	"slices"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// asked is what is known of the answers of a protocol that is parsed.
type asked struct {
	unread   []answer // by their ends; the client had not acknowledged them
	seen     Wait     // those that it had
	known    int64    // where the latest of them ends
	answered int      // requests
	passed   int      // requests whose answer was not captured, since the last whose was
}

// answer is where a response ends in the server's stream, and how many final ones there are
// up to it since the one before: none when it is interim.
type answer struct {
	end    int64
	finals int
}

// exchange hands on a recorded answer.
func (r *Recorder) exchange(t *tape, e *proto.Exchange) error {
	check := &Check{Index: e.Index, Exchange: e, Skip: whyNot(e)}
	q, sent := e.Request, true
	switch {
	case t.gap != nil && q != nil && (!q.Complete || q.Offset+q.Length > t.gap.Offset):
		check.Skip, sent = missing(t.gap), false
	case q != nil:
		t.whole = max(t.whole, q.Offset+q.Length)
	}
	for _, m := range e.Interim {
		t.asked.add(answer{m.Offset + m.Length, 0})
	}
	switch m := e.Response; {
	case m == nil:
		if q != nil && !q.Alone && e.Protocol.Pairing == proto.InOrder {
			t.asked.passed++
		}
	case q != nil:
		// Requests before it were answered too, though that was not captured.
		n := 1 + t.asked.passed
		t.asked.passed = 0
		t.asked.answered += n
		t.asked.add(answer{m.Offset + m.Length, n})
		if sent {
			t.all.Finals += n
		}
	case e.Protocol.Unasked && check.Skip == "":
		t.asked.add(answer{m.Offset + m.Length, 1})
		t.all.Finals++
	}
	if d, ok := e.Total(); ok {
		t.slowest = max(t.slowest, d)
	}
	cost := 2 << 10   // about what a head takes
	if r.kin == nil { // else the exchange is not the Recorder's
		for _, m := range e.Messages() {
			m.Shorten()
			cost += len(m.Raw)
		}
	}
	return r.push(t, &Part{Kind: Answered, Check: check, Cost: cost})
}

func (a *asked) add(x answer) {
	i, _ := slices.BinarySearchFunc(a.unread, x.end+1, func(y answer, end int64) int { return cmp.Compare(y.end, end) })
	a.unread = slices.Insert(a.unread, i, x)
	a.known = max(a.known, x.end)
}

// after returns what must have come before something that was said by who had read ack
// bytes.
func (a *asked) after(ack int64) Wait {
	if ack == flow.NoAck {
		// What the client had read is not known: take it for patient.
		return Wait{Finals: a.answered, Quiet: MinQuiet}
	}
	n := 0
	for ; n < len(a.unread) && a.unread[n].end <= ack; n++ {
		if finals := a.unread[n].finals; finals == 0 {
			a.seen.Interims++
		} else {
			a.seen.Finals, a.seen.Interims = a.seen.Finals+finals, 0
		}
	}
	a.unread = slices.Delete(a.unread, 0, n)
	a.seen.Quiet = MinQuiet
	return a.seen
}

// whyNot says why an exchange can't be compared.
func whyNot(e *proto.Exchange) string {
	switch why := Unawaited(e); {
	case why != "":
		return why
	case e.Response == nil && e.State == proto.Unanswered:
		return noAnswer
	case e.Response == nil && e.Request != nil && e.Request.Alone:
		return "no answer is awaited"
	case e.Request == nil && (e.Conversation.Transport() == flow.UDP || e.Protocol == &proto.DNS):
		return notAsked
	case e.State == proto.Broken:
		return "not whole in the recording: " + e.Why()
	case e.Response != nil && e.Response.RawMissing > 0 && e.Response.Digest == nil:
		return tooLarge
	}
	return ""
}

// Unawaited says why what a server said does not count as something that is awaited, then and
// now; empty when it does. How a message of WebSocket is cut into frames is the server's affair,
// and when it looks whether the client is there.
func Unawaited(e *proto.Exchange) string {
	if e.Protocol != &proto.WebSocket || e.Response == nil {
		return ""
	}
	switch f, ok := e.Response.Body.(*proto.WebSocketFrame); {
	case ok && f.IsPart():
		return "a part of a message, which is compared where it ends"
	case ok && f.IsPing():
		return "a ping, which a server sends when it wants"
	}
	return ""
}

const (
	noAnswer = "no answer in the recording"
	notAsked = "nobody asked for it in the recording"
)

var tooLarge = fmt.Sprintf("the answer is larger than the %d MiB that are kept", Keep>>20)
