package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Server is a recorded server: an address and a port, or just the port of the
// loopback interface, which has several addresses.
type Server struct {
	Addr    netip.Addr // not valid for loopback
	Port    uint16
	Conns   int // conversations with it
	Played  int // those that can be played
	Answers int // what it was asked, whether or not that can be replayed
}

func (s Server) String() string {
	if !s.Addr.IsValid() {
		return fmt.Sprintf("localhost:%d", s.Port)
	}
	return netip.AddrPortFrom(s.Addr, s.Port).String()
}

// Bare returns the server without counts.
func (s Server) Bare() Server { return Server{Addr: s.Addr, Port: s.Port} }

// Recorded returns who is talked to in a conversation, without counts: that is the server
// of the one that it carries something for.
func (c *Conn) Recorded() Server {
	if c.Errand != nil {
		return c.Errand.For.Recorded()
	}
	return ServerAt(c.Server)
}

// ServerAt returns the server at an address, without counts.
func ServerAt(at netip.AddrPort) Server {
	a := at.Addr().Unmap()
	if a.IsLoopback() {
		a = netip.Addr{}
	}
	return Server{Addr: a, Port: at.Port()}
}

// Servers lists the recorded servers, the one with the most answers first.
func (p *Plan) Servers() []Server {
	found := make(map[Server]Server)
	for _, c := range p.Conns {
		key := c.Recorded()
		s := found[key]
		s.Addr, s.Port = key.Addr, key.Port
		s.Conns++
		s.Answers += c.Answers
		if c.Skip == "" {
			s.Played++
		}
		found[key] = s
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Server) int {
		return cmp.Or(b.Answers-a.Answers, b.Conns-a.Conns, a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port))
	})
}

// Only skips all conversations but those with s.
func (p *Plan) Only(s Server) {
	s = s.Bare()
	for _, c := range p.Conns {
		if c.Recorded() != s && c.Skip == "" {
			c.Skip = "with another server: " + c.Recorded().String()
		}
	}
}
