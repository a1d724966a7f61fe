package decode

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// As names what conversations with a port speak, in place of what is found from
// their bytes; over UDP only what datagrams may carry.
type As struct {
	Transport flow.Transport // 0 is any
	Port      uint16         // of the server
	Protocol  *proto.Protocol
}

// named returns what a server at that port speaks, by the last As about it; nil when
// there is none.
func (o *Options) named(t flow.Transport, port uint16) *proto.Protocol {
	for i := len(o.As) - 1; i >= 0; i-- {
		a := &o.As[i]
		if a.Port == port && (a.Transport == 0 || a.Transport == t) && (t != flow.UDP || a.Protocol.UDP) {
			return a.Protocol
		}
	}
	return nil
}

// server tells from the named ports which direction goes to the server, and whether
// they tell.
func (o *Options) server(f *flow.Flow) (flow.Direction, bool) {
	if len(o.As) == 0 {
		return 0, false
	}
	src, dst := o.named(f.Transport(), f.SrcPort()) != nil, o.named(f.Transport(), f.DstPort()) != nil
	if src && !dst {
		return flow.ServerToClient, true
	}
	return flow.ClientToServer, dst && !src
}
