package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"netlab/decode/proto"
	"netlab/replay/plan"
)

// Options of a Server. Zero fields are as said.
type Options struct {
	// Only is the recorded server to be; nil is whoever is in the plan. It has no counts.
	Only *plan.Server
	// Match says which requests of HTTP/1 are the same; DefaultMatch.
	Match Match
	// Repeat says what follows when all that was answered to a question has been given.
	Repeat Repeat
	// Recorded waits before each answer as long as the recorded server took; else Delay
	// does, which is not at all when it is zero.
	Recorded bool
	Delay    time.Duration
	// Refresh moves the dates in answers of HTTP/1 from when they were recorded to now.
	Refresh bool
	// Fault is what goes wrong on purpose.
	Fault Fault
	// Limits bound what clients can have; DefaultLimits where they are zero.
	Limits Limits
	// Log is told of each thing asked; nil tells nobody. Calls don't overlap.
	Log func(Event)
}

// Limits bound what clients can have.
type Limits struct {
	// Clients may be connected at a time; more are turned away.
	Clients int
	// Request bounds what is buffered of one client: a request that is looked at as a
	// whole. Buffered bounds that of all of them.
	Request, Buffered int64
	// Idle is how long a client may say nothing between requests, Patience how long it
	// may take for one, and for some progress in reading an answer.
	Idle, Patience time.Duration
}

// DefaultLimits are those of a Server that is told no others: as many clients as the
// usual number of open files allows, requests as large as a plan keeps them.
var DefaultLimits = Limits{Clients: 4096, Request: plan.Keep, Buffered: 256 << 20, Idle: 5 * time.Minute, Patience: time.Minute}

// Event is one thing that was asked.
type Event struct {
	Client   string
	Protocol string
	Request  string
	Answer   string
	// Known says that it was in the recording; Near, of what was not, what comes nearest.
	Known bool
	Near  []Near
	// Fault is what went wrong with the answer on purpose.
	Fault string
}

// Counts sums up what was asked, and what of the recording was.
type Counts struct {
	// Answered and Unmatched count what was asked; Refused the clients that were turned
	// away or given up because a limit was reached.
	Answered, Unmatched, Refused int64
	// Recorded counts the answers in the recording: each was Given at least once, was
	// NeverAsked for, or cannot be given at all, as Left says.
	Recorded, Given, NeverAsked int64
}

// Server answers from a plan.
type Server struct {
	opts    Options
	book    book
	all     []*recorded
	conns   map[int]*plan.Conn // all of the plan, by their IDs
	learned map[*plan.Conn]bool
	scripts []*script // what is answered by turns
	http    web
	talks   talks
	spoken  []*proto.Protocol // what clients that speak first are looked at for
	hears   bool              // some recorded clients spoke first
	// greetings are what the server said first, where it did; greeters go on from there.
	greetings list
	greeters  map[*answer]func(*client)
	left      []left
	recorded  int64

	answered, unmatched, refused atomic.Int64
	buffered                     atomic.Int64 // bytes of all clients
	waiting                      atomic.Int64 // datagrams that are sent later
	connections, datagrams       atomic.Uint64
	log                          sync.Mutex
}

// Serve answers connections to l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	places := make(chan struct{}, s.opts.Limits.Clients)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve: accept: %w", err)
		case err != nil:
			// A client that was gone already, or no more files to open: others may follow.
			if !sleep(ctx, 10*time.Millisecond) {
				return nil
			}
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			s.refuse(conn.RemoteAddr(), fmt.Sprintf("there are %d clients already", cap(places)))
			conn.Close()
			continue
		}
		all.Go(func() {
			defer func() { <-places }()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			s.connection(ctx, conn)
		})
	}
}

// ServePacket answers datagrams until ctx ends.
func (s *Server) ServePacket(ctx context.Context, pc net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { pc.Close() })
	defer stop()
	var late sync.WaitGroup
	defer late.Wait()
	p := &packets{Server: s, ctx: ctx, conn: pc, late: &late}
	b := make([]byte, 64<<10)
	for {
		n, from, err := pc.ReadFrom(b)
		switch {
		case err == nil:
			p.answer(b[:n], from)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve: read: %w", err)
		}
		// Any other error is one that an earlier answer caused.
	}
}

// Counts returns what was asked so far.
func (s *Server) Counts() Counts {
	c := Counts{
		Answered: s.answered.Load(), Unmatched: s.unmatched.Load(), Refused: s.refused.Load(),
		Recorded: s.recorded,
	}
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	for _, r := range s.all {
		for _, a := range r.answers {
			if a.given > 0 {
				c.Given++
			} else {
				c.NeverAsked++
			}
		}
	}
	return c
}

// Unasked calls f for each recorded answer that was not asked for, up to some number of
// them.
func (s *Server) Unasked(most int, f func(conversation int, request, answer string)) {
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	for _, r := range s.all {
		for _, a := range r.answers {
			if a.given > 0 {
				continue
			}
			if most--; most < 0 {
				return
			}
			f(r.conn.ID, a.request, a.summary)
		}
	}
}

// tell counts and logs what was asked.
func (s *Server) tell(e Event) {
	if e.Known {
		s.answered.Add(1)
	} else {
		s.unmatched.Add(1)
	}
	s.say(e)
}

func (s *Server) say(e Event) {
	if s.opts.Log != nil {
		s.log.Lock()
		defer s.log.Unlock()
		s.opts.Log(e)
	}
}

// refuse counts a client that is turned away, or given up.
func (s *Server) refuse(client net.Addr, why string) {
	s.refused.Add(1)
	s.say(Event{Client: client.String(), Request: "(a client)", Answer: "turned away: " + why, Known: true})
}

// sleep returns after a while, or when ctx ends, and reports whether it slept to the
// end.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(a.String()) // a socket of a test has no such address
	return ap
}
