package serve

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
)

// wayOf chooses how a conversation is answered.
func wayOf(r *recorded) func(*Server, *recorded) {
	c := r.conn
	p := c.Protocol
	switch {
	case p == &proto.DNS:
		return learnDNS
	case c.Transport == flow.UDP:
		return learnDatagrams
	case p == &proto.HTTP:
		return learnWeb
	case !c.Parsed():
		return learnTurns
	case askable[p] != nil && speaksOnly(r):
		return learnTalk
	}
	return learnScript
}

// answers counts those of a conversation that the server gave.
func answers(c *plan.Conn) int64 {
	var n int64
	for i := range c.Checks {
		if t := c.Checks[i].Turn; t != nil && len(t.Answer) > 0 || t == nil && c.Checks[i].Exchange.Response != nil {
			n++
		}
	}
	return n
}
