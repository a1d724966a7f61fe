package plan

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// listens is where a talk of FTP last had a data connection awaited (RFC 959, section 3.3).
type listens struct {
	port   uint16
	client bool           // it is the client that listens
	times  map[uint16]int // how often each port was agreed on
}

// note takes note of what an exchange negotiates.
func (l *listens) note(e *proto.Exchange) {
	if e.Protocol.Opens == nil {
		return
	}
	at := e.Protocol.Opens(e)
	if len(at) == 0 {
		return
	}
	reply, _ := e.Response.Body.(*proto.FTPReply)
	l.port, l.client = at[0].Port(), reply.Code != 227 && reply.Code != 229
	if l.times == nil {
		l.times = make(map[uint16]int)
	}
	l.times[l.port]++
}

// parent returns the tape of what a conversation carries content for; nil when that is
// nothing, or is not known any more.
func (r *Recorder) parent(c *flow.Conversation) *tape {
	if c.For == nil {
		return nil
	}
	if t := r.tapes[c.For.Parent]; t != nil || r.kin == nil {
		return t
	}
	for _, other := range r.kin.recorders {
		if t := other.tapes[c.For.Parent]; t != nil {
			return t
		}
	}
	return nil
}

// isTurned reports whether a conversation was opened by the one who is called the server
// where it is said what it is for.
func (r *Recorder) isTurned(c *flow.Conversation) bool {
	p := r.parent(c)
	return p != nil && p.listens.client
}

// side returns who a side is.
func (t *tape) side(d flow.Direction) flow.Direction {
	if t.turned {
		return d.Reverse()
	}
	return d
}

// errand returns what a conversation was opened for.
func (r *Recorder) errand(c *flow.Conversation) *Errand {
	p := r.parent(c)
	if p == nil || p.conn == nil {
		return nil
	}
	return &Errand{For: p.conn, Port: p.listens.port, Before: max(0, p.listens.times[p.listens.port]-1)}
}
