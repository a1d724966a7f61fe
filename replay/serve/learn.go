package serve

import (
	"cmp"
	"net/netip"
	"slices"

	"netlab/decode/proto"
	"netlab/replay/plan"
)

// New returns a Server of a plan.
func New(p *plan.Plan, opts Options) *Server {
	if opts.Match.empty() {
		opts.Match = DefaultMatch
	}
	d := &opts.Limits
	d.Clients = cmp.Or(d.Clients, DefaultLimits.Clients)
	d.Request = cmp.Or(d.Request, DefaultLimits.Request)
	d.Buffered = cmp.Or(d.Buffered, DefaultLimits.Buffered)
	d.Idle = cmp.Or(d.Idle, DefaultLimits.Idle)
	d.Patience = cmp.Or(d.Patience, DefaultLimits.Patience)
	s := &Server{opts: opts, talks: make(talks), greeters: make(map[*answer]func(*client))}
	s.book = book{repeat: opts.Repeat, known: make(map[string]*list), clients: make(map[netip.AddrPort]*follower)}
	s.http.init()
	s.conns, s.learned = make(map[int]*plan.Conn), make(map[*plan.Conn]bool)
	for _, c := range p.Conns {
		s.conns[c.ID] = c
	}
	for _, c := range p.Conns {
		if opts.Only != nil && c.Recorded() != *opts.Only {
			continue
		}
		s.learn(p, c)
	}
	s.speak()
	return s
}

// learn keeps what a conversation can answer.
func (s *Server) learn(p *plan.Plan, c *plan.Conn) {
	switch {
	case c.Errand != nil:
		s.learned[c] = true // it is given with the answer to the command
		return
	case c.Skip != "":
		s.leave(c, c.Skip, answers(c))
		return
	}
	r := &recorded{conn: c}
	wayOf(r)(s, r)
	r.ended(p)
	s.all, s.learned[c] = append(s.all, r), true
	s.recorded += int64(len(r.answers))
}

// left are answers of a conversation that cannot be given.
type left struct {
	conversation int
	why          string
	answers      int64
}

// Answers reports whether the server has learned from a conversation.
func (s *Server) Answers(c *plan.Conn) bool { return s.learned[c] }

// leave counts answers that cannot be given.
func (s *Server) leave(c *plan.Conn, why string, n int64) {
	if n > 0 {
		s.left = append(s.left, left{c.ID, why, n})
		s.recorded += n
	}
}

// Left calls f for what cannot be given: how many answers of a conversation, and why.
func (s *Server) Left(f func(conversation int, why string, answers int64)) {
	for _, l := range s.left {
		f(l.conversation, l.why, l.answers)
	}
}

// speak notes what the server can be spoken to in, and whether it speaks first.
func (s *Server) speak() {
	if s.http.knows {
		s.spoken = append(s.spoken, &proto.HTTP)
	}
	for _, r := range s.all {
		if p := r.conn.Protocol; p == &proto.DNS && !slices.Contains(s.spoken, p) {
			s.spoken = append(s.spoken, p)
		}
	}
	for p, t := range s.talks {
		s.spoken = append(s.spoken, p)
		for _, a := range t.greetings {
			s.greeters[a] = func(c *client) { c.talkBehind(p, a) }
			s.greetings.answers = append(s.greetings.answers, a)
		}
		s.hears = s.hears || len(t.greetings) == 0
	}
	s.hears = s.hears || len(s.spoken) > len(s.talks)
	for _, x := range s.scripts {
		if !x.greets() {
			s.hears = true
			continue
		}
		a := x.turns[0].answer
		s.greeters[a] = func(c *client) { c.play(x) }
		s.greetings.answers = append(s.greetings.answers, a)
	}
	slices.SortFunc(s.greetings.answers, func(a, b *answer) int { return a.of.conn.ID - b.of.conn.ID })
}
