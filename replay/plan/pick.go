package plan

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// notPicked is why what Recorder.Pick leaves out is skipped.
const notPicked = "left out: not picked"

// picks are what Recorder.Pick says of a conversation.
type picks struct {
	some, all bool // of its exchanges
	left      map[*proto.Exchange]bool
}

// pick asks for an exchange.
func (r *Recorder) pick(t *tape, e *proto.Exchange) {
	switch {
	case r.Pick == nil:
	case !r.Pick(e):
		if t.picks.left == nil {
			t.picks.left = make(map[*proto.Exchange]bool)
		}
		t.picks.left[e] = true
	case e.Inside():
		t.picks.some, t.picks.all = true, true // what it stands in has to be said
	default:
		t.picks.some = true
	}
}

// divisible reports whether some requests of a conversation can be left out: those of
// HTTP/1 over TCP stand for themselves, where the client said nothing else. Any other
// conversation is a whole.
func divisible(c *Conn, t *tape) bool {
	client := &t.sides[flow.ClientToServer]
	if c.Protocol != &proto.HTTP || c.Transport != flow.TCP || len(client.gaps) > 0 {
		return false
	}
	var said int64
	for _, e := range t.exchanges { // in their order
		switch q := e.Request; {
		case q == nil || !q.Complete || q.Offset < said:
			return false
		default:
			said = q.Offset + q.Length
		}
	}
	return len(client.chunks) > 0 && said == client.chunks[len(client.chunks)-1].end()
}

// leaveOut takes the requests that were not picked out of what is sent.
func (c *Conn) leaveOut(t *tape) {
	var edits []edit
	last := false
	for i := range c.Checks {
		e := c.Checks[i].Exchange
		if last = t.picks.left[e]; last {
			edits = append(edits, edit{e.Request.Offset, e.Request.Length})
			c.Checks[i].Skip, c.Checks[i].Left = notPicked, true
		}
	}
	c.edit(edits, nil)
	if last && c.Close.By == flow.ServerToClient {
		c.Close.By = flow.ClientToServer // what the server was asked to close behind is not asked
	}
}
