package serve

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
)

// script is a recorded conversation as turns.
type script struct {
	*recorded
	turns []turn
	taken int64 // how often it was begun; guarded by book.mu
}

// turn is what a client says until it is answered, and the answer.
type turn struct {
	said   []byte
	answer *answer // nil when nothing was said
}

// Bounds of turns.
const (
	// silence ends what a client says when it says less than it did.
	silence = 200 * time.Millisecond
	// firstBytes is how much of what a client says first has to be as recorded, at least.
	firstBytes = 8
)

// learnTurns keeps a conversation of a protocol that is not parsed.
func learnTurns(s *Server, r *recorded) {
	x := &script{recorded: r}
	step := 0
	for i := range r.conn.Checks {
		t := r.conn.Checks[i].Turn
		var said []byte
		for ; step < len(r.conn.Steps) && r.conn.Steps[step].Turn <= i; step++ {
			said = joined(said, r.conn.Steps[step].Bytes)
		}
		why, bytes := r.conn.Checks[i].Skip, t.Answer
		if len(t.Answer) == 0 {
			why = ""
		} else if large := t.TooLarge(); large != "" {
			why, bytes = large, nil
		}
		if why != "" {
			s.leave(r.conn, why, 1)
		}
		a := &answer{bytes: bytes, latency: t.Latency, request: described(said)}
		x.add(s, said, a)
	}
	s.scripts = append(s.scripts, x)
}

// joined appends without a copy where there is nothing to append to.
func joined(a, b []byte) []byte {
	if a == nil {
		return b[:len(b):len(b)]
	}
	return append(a, b...)
}

// described is a turn in a line.
func described(data []byte) string {
	if len(data) == 0 {
		return "(the server speaks first)"
	}
	return (&proto.Turn{Bytes: int64(len(data)), Preview: data[:min(len(data), 48)]}).Summary()
}

// add adds a turn.
func (x *script) add(s *Server, said []byte, a *answer) {
	if len(a.bytes) > 0 {
		if a.summary == "" {
			a.summary = described(a.bytes)
		}
		x.recorded.add(a)
	} else {
		a = nil
	}
	x.turns = append(x.turns, turn{said, a})
}

// learnScript keeps a conversation of a protocol that is parsed as turns.
func learnScript(s *Server, r *recorded) {
	x := &script{recorded: r}
	for i := range r.conn.Checks {
		e := r.conn.Checks[i].Exchange
		a, said := &answer{}, []byte(nil)
		if q := e.Request; q != nil {
			said, a.request = q.Raw, q.Body.Summary()
		} else {
			a.request = "(the server speaks first)"
		}
		for _, m := range e.Interim {
			a.bytes = append(a.bytes, m.Raw...)
		}
		if m := e.Response; m != nil {
			a.bytes, a.summary, a.at = append(a.bytes, m.Raw...), m.Body.Summary(), m.Time
		}
		a.latency, _ = e.Latency()
		x.add(s, said, a)
	}
	s.scripts = append(s.scripts, x)
}

// opening is what a client says before the server does.
func (x *script) opening() []byte {
	var b []byte
	for i := range x.turns {
		b = joined(b, x.turns[i].said)
		if x.turns[i].answer != nil {
			break
		}
	}
	return b
}

// greets reports whether the server speaks first.
func (x *script) greets() bool {
	return len(x.turns) > 0 && len(x.turns[0].said) == 0 && x.turns[0].answer != nil
}

// begins reports whether what a client said is how a recorded conversation begins that
// is answered by turns.
func (c *client) begins() bool {
	for _, x := range c.scripts {
		if o := x.opening(); len(o) > 0 && bytes.HasPrefix(c.rest(), o) {
			return true
		}
	}
	return false
}

// byTurns answers by turns.
func (c *client) byTurns() {
	x, why := c.pick()
	if x == nil {
		what := described(c.rest())
		if len(c.rest()) == 0 {
			what = "(nothing)"
		}
		c.unknown(&proto.Raw, what, why, nil)
		return
	}
	c.play(x)
}

// play plays a recorded conversation, or another that began with the same words when the
// client goes on as there.
func (c *client) play(x *script) {
	for i := 0; i < len(x.turns); i++ {
		var heard string
		var ok bool
		if x, heard, ok = c.hear(x, i); !ok {
			return
		}
		a := x.turns[i].answer
		if a == nil {
			continue
		}
		err := c.send(a)
		c.book.give(&c.follower, a)
		c.knows(&proto.Raw, heard, a)
		if err != nil || c.flush() != nil {
			return
		}
	}
	switch {
	case x.conn.Close.By == flow.ServerToClient && x.conn.Close.Kind == plan.CloseRST:
		c.breakOff()
	case x.conn.Close.By == flow.ServerToClient && x.conn.Close.Kind == plan.CloseFIN:
		c.linger()
	default:
		for c.more() { // the client closes first, as it did
			c.take(len(c.rest()))
			c.between()
		}
	}
}

// hear waits for what a client says in a turn: as much as it said then, or less and then
// nothing for a while. It returns the conversation that goes on so, what that was, in a
// line, and whether it came.
func (c *client) hear(x *script, i int) (*script, string, bool) {
	c.between()
	for {
		said := x.turns[i].said
		data := c.rest()[:min(len(c.rest()), len(said))]
		if !bytes.HasPrefix(said, data) {
			if y := c.branch(x, i); y != nil {
				x = y
				continue
			}
		}
		if len(data) == len(said) {
			break
		}
		if len(data) == 0 {
			if !c.more() {
				return x, "", false
			}
			continue
		}
		err := c.moreUntil(time.Now().Add(silence))
		if errors.Is(err, os.ErrDeadlineExceeded) && c.ctx.Err() == nil && !bytes.HasPrefix(said, data) {
			break // it says something else, and has said it
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || c.eof || c.ctx.Err() != nil {
			return x, "", false
		}
	}
	said := x.turns[i].said
	heard := c.rest()[:min(len(c.rest()), len(said))]
	text := described(heard)
	if !bytes.Equal(heard, said) {
		text += fmt.Sprintf(" (not as recorded from byte %d on)", common(heard, said))
	}
	c.take(len(heard))
	return x, text, true
}

// common counts the bytes at their beginning in which a and b are the same.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// branch finds another conversation that was the same up to a turn, in which the client
// says what it says now.
func (c *client) branch(x *script, i int) *script {
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	var best *script
	for _, y := range c.scripts {
		if y == x || i >= len(y.turns) || c.opts.Repeat == Once && y.taken > 0 || !y.sameUpTo(x, i) {
			continue
		}
		n := min(len(y.turns[i].said), len(c.rest()))
		if bytes.Equal(y.turns[i].said[:n], c.rest()[:n]) && (best == nil || y.better(best, c.opts.Repeat)) {
			best = y
		}
	}
	if best != nil {
		x.taken--
		best.taken++
		for j := range i { // what was given was said there too
			give(x.turns[j].answer, -1)
			give(best.turns[j].answer, 1)
		}
	}
	return best
}

func give(a *answer, n int64) {
	if a != nil {
		a.given += n
	}
}

// sameUpTo reports whether two conversations are the same before a turn.
func (x *script) sameUpTo(y *script, turn int) bool {
	for i := range turn {
		a, b := &x.turns[i], &y.turns[i]
		if !bytes.Equal(a.said, b.said) || (a.answer == nil) != (b.answer == nil) || a.answer != nil && !bytes.Equal(a.answer.bytes, b.answer.bytes) {
			return false
		}
	}
	return true
}

// pick finds the recorded conversation to play: one where the server speaks first, else
// the one that begins with what the client said, or at least with its first bytes; those
// not yet played come first. It says why there is none.
func (c *client) pick() (*script, string) {
	for {
		data := c.rest()
		var whole, near *script
		possible, most := false, firstBytes-1
		c.book.mu.Lock()
		for _, x := range c.scripts {
			if c.opts.Repeat == Once && x.taken > 0 {
				continue
			}
			o := x.opening()
			n := common(o, data)
			switch {
			case n == len(o) && (len(o) > 0 || x.greets() || len(data) == 0):
				if whole == nil || x.better(whole, c.opts.Repeat) {
					whole = x
				}
			case n == len(data):
				possible = true
			case n > most && !isHTTP2(o):
				near, most = x, n
			}
		}
		if whole == nil && !possible {
			whole = near
		}
		if whole != nil {
			whole.taken++
		}
		c.book.mu.Unlock()
		switch {
		case whole != nil:
			return whole, ""
		case possible && c.more():
			continue
		case isHTTP2(data):
			return nil, "nothing: HTTP/2 is answered by turns, to a client that says the same bytes as the recorded one"
		}
		return nil, "nothing: no recorded conversation begins so"
	}
}

// better reports whether a script is to be played rather than another: one that was
// played less often, then the one with which more is known of what the client said.
func (x *script) better(than *script, repeat Repeat) bool {
	if a, b := len(x.opening()), len(than.opening()); a != b {
		return a > b
	}
	if repeat == Loop {
		return x.taken < than.taken
	}
	return than.taken > 0 // of those that were all played, the last
}

// isHTTP2 reports whether a connection begins as one of HTTP/2 does (RFC 9113, section
// 3.4).
func isHTTP2(data []byte) bool { return bytes.HasPrefix(data, []byte("PRI * HTTP/2.0\r\n")) }
