package proto

import "netlab/decode/flow"

// registry lists the protocols, in the order in which they are tried. A new one
// is a line here. The last takes whatever no other does.
var registry = []*Protocol{
	&HTTP,
	&HTTP2,
	&TLS,
	&DNS,
	&QUIC,
	&Redis,
	&SMTP,
	&FTP,
	&Postgres,
	&MySQL,
	&MySQLCompressed,
	&MQTT,
	&WebSocket,
	&SSE,
	&Raw,
}

// Protocols returns all protocols, in the order in which they are tried.
func Protocols() []*Protocol { return registry }

// Lookup returns the protocol of that name, or nil.
func Lookup(name string) *Protocol {
	for _, p := range registry {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// MaxOpening is how many bytes of a conversation may be looked at before it is
// taken for raw.
const MaxOpening = 16 << 10

// Find returns the protocol of a conversation from its first bytes, or nil when
// more are needed.
func Find(o Opening) *Protocol {
	need := false
	for _, p := range registry {
		if o.Transport == flow.UDP && !p.UDP {
			continue
		}
		switch p.Probe(o) {
		case Match:
			if p == &Raw && need {
				return nil
			}
			return p
		case NeedMore:
			need = need || !(o.Ended[0] && o.Ended[1]) && len(o.First[0])+len(o.First[1]) < MaxOpening
		}
	}
	return &Raw
}

// probeEach probes each direction by itself, over TCP: one that can't fit is enough,
// and else one that fits for sure is. So what was ruled out once stays so, however the
// bytes are cut.
func probeEach(o Opening, probe func(flow.Direction, []byte) Verdict) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	verdict := NoMatch
	for d, b := range o.First {
		if len(b) == 0 {
			continue
		}
		switch v := probe(flow.Direction(d), b); {
		case v == NoMatch, v == NeedMore && o.Ended[d]:
			return NoMatch
		default:
			verdict = max(verdict, v)
		}
	}
	return verdict
}

// SideOf tells from bytes alone who said them, and whether it could tell.
func SideOf(t flow.Transport, data []byte) (flow.Direction, bool) {
	if len(data) == 0 {
		return flow.ClientToServer, false
	}
	// How well the bytes fit a direction: not, perhaps, or well.
	fits := func(d flow.Direction) int {
		o := Opening{Transport: t}
		o.First[d] = data
		o.Ended[d.Reverse()] = true
		switch Find(o) {
		case &Raw:
			return 0
		case nil:
			return 1
		}
		return 2
	}
	c, s := fits(flow.ClientToServer), fits(flow.ServerToClient)
	if s > c {
		return flow.ServerToClient, true
	}
	return flow.ClientToServer, c > s
}
