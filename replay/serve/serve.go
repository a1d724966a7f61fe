// Package serve is the stand-in server: it answers as a recorded one did.
//
// It consumes the same plan that the player sends. Requests of HTTP and DNS are
// answered by what they ask; a protocol that is not parsed is answered turn by
// turn. Nothing is ever forwarded. What the recording does not know is said to be
// unknown, and counted.
package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/tls"
	"netlab/replay/plan"
)

// maxRequest bounds what is buffered of a request.
const maxRequest = 16 << 20

// idle is how long a silent client is waited for.
const idle = 5 * time.Minute

// Event is one thing that was asked.
type Event struct {
	Client  string
	Request string
	Answer  string
	Known   bool // it was in the recording
}

// Counts sums up what was asked.
type Counts struct{ Answered, Unknown int64 }

// Server answers from a plan.
type Server struct {
	// Log is told of each thing asked; nil tells nobody. Calls don't overlap.
	Log func(Event)

	mu     sync.Mutex
	http   map[string]*answers
	dns    map[string]*answers
	udp    map[string]*answers
	raw    []*plan.Conn
	taken  []bool
	counts Counts
}

// answers are what was answered to one question, in the order of the recording.
type answers struct {
	list [][][]byte // messages, each of datagrams
	next int
}

// take returns the next answer; the last is given again and again.
func (a *answers) take() [][]byte {
	out := a.list[a.next]
	if a.next+1 < len(a.list) {
		a.next++
	}
	return out
}

// New returns a Server of a plan.
func New(p *plan.Plan) *Server {
	s := &Server{http: make(map[string]*answers), dns: make(map[string]*answers), udp: make(map[string]*answers)}
	for _, c := range p.Conns {
		if c.Skip != "" {
			continue
		}
		if c.Transport == flow.TCP && c.Protocol != &proto.HTTP && c.Protocol != &proto.DNS {
			s.raw = append(s.raw, script(c))
			continue
		}
		for i := range c.Checks {
			s.learn(c, &c.Checks[i])
		}
	}
	s.taken = make([]bool, len(s.raw))
	return s
}

// script is a conversation as turns, also of a protocol that is parsed.
func script(c *plan.Conn) *plan.Conn {
	if !c.Parsed() {
		return c
	}
	out := *c
	out.Checks, out.Steps = nil, nil
	var said int64
	for _, check := range c.Checks {
		turn := &plan.Turn{}
		if q := check.Exchange.Request; q != nil {
			turn.Sent = q.Length
			out.Steps = append(out.Steps, plan.Step{Bytes: q.Raw, After: plan.Wait{Bytes: said}})
		}
		for _, m := range append(check.Exchange.Interim, check.Exchange.Response) {
			if m != nil {
				turn.Answer = append(turn.Answer, m.Raw...)
			}
		}
		said += int64(len(turn.Answer))
		out.Checks = append(out.Checks, plan.Check{Turn: turn})
	}
	return &out
}

// learn keeps one answer.
func (s *Server) learn(c *plan.Conn, check *plan.Check) {
	if t := check.Turn; t != nil {
		var sent []byte
		for i := range c.Steps {
			if c.Steps[i].Turn == check.Index {
				sent = append(sent, c.Steps[i].Bytes...)
			}
		}
		add(s.udp, string(sent), t.Datagrams)
		return
	}
	e := check.Exchange
	if e.Request == nil || e.Response != nil && (!e.Response.Complete || e.Response.RawMissing > 0) {
		return
	}
	switch q := e.Request.Body.(type) {
	case *proto.HTTPMessage:
		if e.Response == nil {
			if c.Close.By == flow.ServerToClient && c.Close.Kind != plan.CloseNone {
				add(s.http, httpKey(q), nil) // it hung up
			}
			return
		}
		var raw []byte
		for _, m := range e.Interim {
			// 100 Continue is sent when a client waits for it.
			if h := m.Body.(*proto.HTTPMessage); h.Status != 100 {
				raw = append(raw, m.Raw...)
			}
		}
		add(s.http, httpKey(q), [][]byte{append(raw, e.Response.Raw...)})
	case *proto.DNSMessage:
		if e.Response == nil {
			return
		}
		add(s.dns, dnsKey(q), [][]byte{e.Response.Body.(*proto.DNSMessage).Wire})
	}
}

func add(m map[string]*answers, key string, pieces [][]byte) {
	if m[key] == nil {
		m[key] = &answers{}
	}
	m[key].list = append(m[key].list, pieces)
}

func httpKey(h *proto.HTTPMessage) string { return h.Method + " " + h.Target }

func dnsKey(m *proto.DNSMessage) string {
	questions, _ := m.Sections()
	var b strings.Builder
	for _, q := range questions {
		fmt.Fprintf(&b, "%s %s,", strings.ToLower(q.Name), q.TypeName())
	}
	return b.String()
}

// Counts returns what was asked so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// find looks an answer up, and tells of it. Nothing may be the answer.
func (s *Server) find(m map[string]*answers, key string, client net.Addr, request string) (pieces [][]byte, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := m[key]
	if a == nil {
		s.tell(Event{Client: client.String(), Request: request, Answer: "unknown"})
		return nil, false
	}
	out := a.take()
	n := 0
	for _, piece := range out {
		n += len(piece)
	}
	s.tell(Event{client.String(), request, fmt.Sprintf("%d bytes", n), true})
	return out, true
}

// tell counts and logs; the lock is held.
func (s *Server) tell(e Event) {
	if e.Known {
		s.counts.Answered++
	} else {
		s.counts.Unknown++
	}
	if s.Log != nil {
		s.Log(e)
	}
}

// Serve answers connections to l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("serve: accept: %w", err)
		}
		all.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			s.connection(conn)
		})
	}
}

// connection answers one client: by turns when the recording holds connections of
// a protocol that is not parsed, else by what it asks.
func (s *Server) connection(conn net.Conn) {
	c := &client{Server: s, conn: conn}
	if len(s.raw) > 0 && c.turns() {
		return
	}
	c.requests()
}

// client is one connection.
type client struct {
	*Server
	conn net.Conn
	buf  []byte // read and not yet understood
	eof  bool
}

// more reads on; it reports whether anything came.
func (c *client) more() bool {
	if c.eof || len(c.buf) > maxRequest {
		return false
	}
	c.conn.SetReadDeadline(time.Now().Add(idle))
	b := make([]byte, 32<<10)
	n, err := c.conn.Read(b)
	c.buf = append(c.buf, b[:n]...)
	c.eof = err != nil
	return n > 0
}

// requests answers requests of HTTP, or of DNS over TCP.
func (c *client) requests() {
	var protocol *proto.Protocol
	for protocol == nil {
		if len(c.buf) == 0 && !c.more() {
			return
		}
		protocol = c.speaks()
		if protocol == nil && !c.more() {
			protocol = &proto.Raw
		}
	}
	if protocol == &proto.Raw {
		turn := &proto.Turn{Bytes: int64(len(c.buf)), Preview: c.buf[:min(len(c.buf), 48)]}
		c.unknown(turn.Summary())
		return
	}
	parser := protocol.New(c)
	for {
		n, m := parser.Next(flow.ClientToServer, c.buf, c.eof)
		if m == nil && waitsForContinue(c.buf[:n]) {
			io.WriteString(c.conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		c.buf = c.buf[n:]
		if m != nil && m.Kind != proto.Skipped && !c.answer(m) {
			return
		}
		if n == 0 && m == nil && (c.eof || !c.more() && !c.eof) {
			return
		}
	}
}

// speaks returns which of those protocols it is that requests are known of, Raw when
// none, nil when more is needed.
func (c *client) speaks() *proto.Protocol {
	o, answer := proto.Opening{Transport: flow.TCP, First: [2][]byte{c.buf}, Ended: [2]bool{c.eof, true}}, &proto.Raw
	for _, p := range [...]*proto.Protocol{&proto.HTTP, &proto.DNS} {
		switch p.Probe(o) {
		case proto.Match:
			return p
		case proto.NeedMore:
			answer = nil
		}
	}
	return answer
}

// waitsForContinue reports whether a request's head asks for 100 Continue.
func waitsForContinue(head []byte) bool {
	return bytes.HasSuffix(head, []byte("\r\n\r\n")) && bytes.Contains(bytes.ToLower(head), []byte("\nexpect: 100-continue\r\n"))
}

// Conversation, Request, At, Keep, With and Secrets make a client what a parser may ask.
func (c *client) Conversation() *flow.Conversation {
	return &flow.Conversation{Tuple: flow.Unknown(flow.TCP)}
}

// Request returns nil: only requests are parsed here.
func (c *client) Request() *proto.Message { return nil }

// At returns nothing: where requests stand is not looked at here.
func (c *client) At(flow.Direction, int) proto.Mark { return proto.Mark{} }

// Keep returns 0: what to answer is found by the heads of requests.
func (c *client) Keep() int64 { return 0 }

// With returns what led to the protocol, which is nothing.
func (c *client) With() string { return "" }

// Secrets returns nil: what comes is not encrypted.
func (c *client) Secrets() *tls.Secrets { return nil }

// answer sends what was answered to a request, and reports whether the
// connection goes on.
func (c *client) answer(m *proto.Message) bool {
	switch q := m.Body.(type) {
	case *proto.HTTPMessage:
		out, known := c.find(c.http, httpKey(q), c.conn.RemoteAddr(), q.Summary())
		if !known {
			body := fmt.Sprintf("netlab: %s %s is not in the recording\n", q.Method, q.Target)
			_, err := fmt.Fprintf(c.conn, "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			return err == nil
		}
		if out == nil {
			if t, ok := c.conn.(*net.TCPConn); ok {
				t.SetLinger(0) // it hung up, and so do we
			}
			return false
		}
		_, err := c.conn.Write(out[0])
		return err == nil && !endsConnection(out[0])
	case *proto.DNSMessage:
		out, known := c.find(c.dns, dnsKey(q), c.conn.RemoteAddr(), q.Summary())
		if !known {
			return false
		}
		wire := withID(out[0], q)
		_, err := c.conn.Write(append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...))
		return err == nil
	}
	c.unknown(m.Body.Summary())
	return false
}

// unknown tells of something that the recording has no answer to.
func (c *client) unknown(request string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(Event{Client: c.conn.RemoteAddr().String(), Request: request, Answer: "unknown"})
}

// endsConnection reports whether a response says that nothing follows it, or ends
// where the connection does.
func endsConnection(raw []byte) bool {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	head = bytes.ToLower(head)
	if bytes.Contains(head, []byte("\nconnection: close")) || bytes.HasPrefix(head, []byte("http/1.0")) {
		return true
	}
	length := bytes.Contains(head, []byte("\ncontent-length:")) || bytes.Contains(head, []byte("\ntransfer-encoding:"))
	empty := bytes.Contains(head, []byte(" 204 ")) || bytes.Contains(head, []byte(" 304 "))
	return !length && !empty
}

// withID returns an answer with the id, and the spelling, of the question.
func withID(wire []byte, q *proto.DNSMessage) []byte {
	out := bytes.Clone(wire)
	copy(out, q.Wire[:2])
	return out
}

// turns answers by turns, and reports whether it did: not when no recorded
// connection begins like this one.
func (c *client) turns() bool {
	rec := c.pick()
	if rec == nil {
		return false
	}
	for i := range rec.Checks {
		t := rec.Checks[i].Turn
		for int64(len(c.buf)) < t.Sent {
			if !c.more() {
				return true
			}
		}
		request := (&proto.Turn{Bytes: t.Sent, Preview: c.buf[:min(int64(len(c.buf)), t.Sent, 48)]}).Summary()
		c.buf = c.buf[t.Sent:]
		c.mu.Lock()
		c.tell(Event{c.conn.RemoteAddr().String(), request, fmt.Sprintf("%d bytes", len(t.Answer)), true})
		c.mu.Unlock()
		if _, err := c.conn.Write(t.Answer); err != nil {
			return true
		}
	}
	if rec.Close.By == flow.ServerToClient && rec.Close.Kind != plan.CloseNone {
		return true
	}
	for c.more() { // the client closes first, as it did
	}
	return true
}

// pick finds the recorded connection to play: one where the server speaks first,
// else the one that begins with what the client said; those not yet played come
// first.
func (c *client) pick() *plan.Conn {
	for {
		c.mu.Lock()
		best, possible := -1, false
		for i, rec := range c.raw {
			opening := opening(rec)
			switch {
			case len(opening) <= len(c.buf) && bytes.HasPrefix(c.buf, opening):
				if best < 0 || c.taken[best] && !c.taken[i] {
					best = i
				}
			case bytes.HasPrefix(opening, c.buf):
				possible = true
			}
		}
		if best >= 0 {
			c.taken[best] = true
		}
		c.mu.Unlock()
		if best >= 0 {
			return c.raw[best]
		}
		if !possible || !c.more() {
			return nil
		}
	}
}

// opening is what a client says before the server does.
func opening(c *plan.Conn) []byte {
	var b []byte
	for i := range c.Steps {
		if c.Steps[i].After.Bytes > 0 {
			break
		}
		b = append(b, c.Steps[i].Bytes...)
	}
	return b
}

// ServePacket answers datagrams until ctx ends.
func (s *Server) ServePacket(ctx context.Context, pc net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { pc.Close() })
	defer stop()
	b := make([]byte, 64<<10)
	for {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("serve: read: %w", err)
			}
			continue // an error that an earlier answer caused
		}
		data := b[:n]
		o := proto.Opening{Transport: flow.UDP, First: [2][]byte{data}, Ended: [2]bool{true, true}}
		if proto.Find(o) == &proto.DNS {
			q := &proto.DNSMessage{Wire: bytes.Clone(data)}
			pieces, _ := s.find(s.dns, dnsKey(q), from, q.Summary())
			for _, wire := range pieces {
				pc.WriteTo(withID(wire, q), from)
			}
			continue
		}
		turn := &proto.Turn{Bytes: int64(n), Preview: data[:min(n, 48)]}
		pieces, _ := s.find(s.udp, string(data), from, turn.Summary())
		for _, piece := range pieces {
			pc.WriteTo(piece, from)
		}
	}
}
