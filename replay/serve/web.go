package serve

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
)

// What keys of the book begin with.
const (
	webKey   = 'h' // parts of a request of HTTP/1
	exactKey = 'x' // all bytes of a request
	dnsKey   = 'd' // a question, and by what it came
	udpKey   = 'u' // a datagram
	talkKey  = 't' // a protocol and a request
	kindKey  = 'k' // a protocol and what kind of request
)

// web is what is known of HTTP/1.
type web struct {
	knows     bool
	questions []*question // each once
	simple    map[string]*list

	// heads are requests without a body that were asked before, by all their bytes: they
	// are not taken apart again. It is copied to be changed.
	heads atomic.Pointer[map[string]*asked]
	mu    sync.Mutex // of who changes it
}

// Bounds of web.heads.
const (
	maxHeads    = 1 << 10
	maxHeadKept = 4 << 10
)

func (w *web) init() {
	w.heads.Store(&map[string]*asked{})
	w.simple = make(map[string]*list)
}

// asked is a request as it came.
type asked struct {
	list    *list // what is known of it; nil when nothing is
	summary string
	last    bool // the client wants the connection closed behind the answer
	message *proto.Message
}

// exact is the key of all bytes of a request.
func exact(raw []byte) string {
	sum := sha256.Sum256(raw)
	return string(exactKey) + string(sum[:])
}

// learnWeb keeps the answers of a conversation in HTTP/1.
func learnWeb(s *Server, r *recorded) {
	for i := range r.conn.Checks {
		check := &r.conn.Checks[i]
		e := check.Exchange
		if e.Protocol != &proto.HTTP {
			if e.Protocol != &proto.WebSocket {
				s.leave(r.conn, "the connection went on in "+e.Protocol.Name, int64(len(r.conn.Checks)-i))
				return
			}
			continue // they belong to the answer that agreed to them
		}
		if e.Response == nil && e.Request != nil && hungUp(r.conn, i) {
			a := s.learnWebAnswer(r, e.Request, &answer{summary: "(it hung up)", at: e.Request.End})
			a.closes, a.resets = true, true
			continue
		}
		if e.Response != nil {
			if why := unfit(r.conn, e); why != "" {
				s.leave(r.conn, why, 1)
				s.loseWebAnswer(r, e.Request)
				continue
			}
		} else {
			s.loseWebAnswer(r, e.Request)
			continue
		}
		a := webAnswer(s, e)
		s.learnWebAnswer(r, e.Request, a)
		if e.Response.Next == proto.WebSocket.Name {
			a.closes, a.head = false, e.Response.Body.(*proto.HTTPMessage)
			s.learnFrames(r, a, r.conn.Checks[i+1:])
		}
	}
}

// hungUp reports whether the server ended the connection in place of an answer to the
// last request.
func hungUp(c *plan.Conn, i int) bool {
	return i == len(c.Checks)-1 && c.Close.By == flow.ServerToClient && c.Close.Kind != plan.CloseNone && c.Checks[i].Exchange.Request.Complete
}

// unfit says why an exchange can't be answered as it was. One that the server itself
// broke off can.
func unfit(c *plan.Conn, e *proto.Exchange) string {
	q, a := e.Request, e.Response
	switch {
	case q == nil:
		return "an answer without a request"
	case !q.Complete || q.RawMissing > 0:
		return "the request is not whole in the recording"
	case a.RawMissing > 0:
		return fmt.Sprintf("the answer is larger than the %d MiB that are kept", plan.Keep>>20)
	case !a.Complete && (c.Close.By != flow.ServerToClient || c.Close.Kind == plan.CloseNone || int64(len(a.Raw)) != a.Length || a.Body.(*proto.HTTPMessage).BodyMissing > 0):
		return "the answer is not whole in the recording"
	}
	return ""
}

// webAnswer makes the answer of an exchange.
func webAnswer(s *Server, e *proto.Exchange) *answer {
	h := e.Response.Body.(*proto.HTTPMessage)
	var raw []byte
	for _, m := range e.Interim {
		// 100 Continue is sent when a client waits for it.
		if x, ok := m.Body.(*proto.HTTPMessage); ok && x.Status != 100 {
			raw = append(raw, m.Raw...)
		}
	}
	a := &answer{summary: h.Summary(), bytes: e.Response.Raw, at: e.Response.Time}
	if len(raw) > 0 {
		a.bytes = append(raw, e.Response.Raw...)
	}
	if d, ok := e.Latency(); ok {
		a.latency = d
	}
	a.closes = !e.Response.Complete || ends(h, e.Request.Body.(*proto.HTTPMessage).Method)
	if s.opts.Refresh {
		a.dates = findDates(a.bytes)
	}
	return a
}

// ends reports whether a response says that nothing follows it, or ends where the
// connection does (RFC 9112, sections 6.3 and 9.3).
func ends(h *proto.HTTPMessage, method string) bool {
	_, length := h.Get("Content-Length")
	_, coded := h.Get("Transfer-Encoding")
	switch {
	case h.Has("Connection", "close"), h.IsSimple():
		return true
	case h.Version == "HTTP/1.0" && !h.Has("Connection", "keep-alive"):
		return true
	case h.Status < 200 || h.Status == 204 || h.Status == 304 || method == "HEAD" || method == "CONNECT" && h.Status/100 == 2:
		return false
	}
	return !length && !coded || coded && !h.Has("Transfer-Encoding", "chunked")
}

// loseWebAnswer keeps the place of an answer that is not in the recording.
func (s *Server) loseWebAnswer(r *recorded, m *proto.Message) {
	if m != nil && m.Complete && m.RawMissing == 0 {
		s.findBy(m, &answer{of: r, index: len(r.answers), lost: true})
	}
}

// learnWebAnswer keeps what was answered to a request.
func (s *Server) learnWebAnswer(r *recorded, m *proto.Message, a *answer) *answer {
	return s.findBy(m, r.add(a))
}

// findBy has an answer found by a request.
func (s *Server) findBy(m *proto.Message, a *answer) *answer {
	s.http.knows = true
	a.request = m.Body.Summary()
	q := newQuestion(m)
	if q.head.Version == "" {
		s.http.simple[string(m.Raw)] = &list{}
		s.book.learn(exact(m.Raw), a)
		s.http.simple[string(m.Raw)] = s.book.known[exact(m.Raw)]
		return a
	}
	keys := s.opts.Match.keys(q)
	if s.book.known[keys[0]] == nil {
		s.http.questions = append(s.http.questions, q)
	}
	s.book.learn(exact(m.Raw), a)
	s.book.learn(keys[0], a)
	if keys[1] != keys[0] {
		s.book.learn(keys[1], a)
	}
	return a
}

// requests answers requests of HTTP/1.
func (c *client) requests() {
	parser := proto.HTTP.New(c)
	var raw []byte // of the request that is being read
	c.between()
	for {
		if len(raw) == 0 {
			if done, on := c.again(); done {
				if !on {
					return
				}
				continue
			}
		}
		data := c.rest()
		n, m := parser.Next(flow.ClientToServer, data, c.eof)
		if n > 0 && (m == nil || m.Kind != proto.Skipped) {
			raw = append(raw, data[:n]...)
			if int64(len(raw)) > c.opts.Limits.Request {
				c.unknown(&proto.HTTP, "(a request)", fmt.Sprintf("it is larger than %d bytes", c.opts.Limits.Request), nil)
				return
			}
		}
		continues := m == nil && waitsForContinue(data[:n])
		c.take(n)
		switch {
		case continues:
			c.out = append(c.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
		case m != nil && m.Kind == proto.Skipped:
			if m.Malformed {
				c.unknown(&proto.HTTP, "(no request of HTTP)", "nothing", nil)
				return
			}
		case m != nil:
			m.Raw, raw = raw, nil
			if !m.Complete {
				c.unknown(&proto.HTTP, m.Body.Summary(), "nothing: "+m.Why, nil)
				return
			}
			if !c.answerWeb(c.lookUp(m)) {
				return
			}
			c.between()
			parser = proto.HTTP.New(c) // it would wait for an answer to an upgrade
		case n == 0 && (c.simple() || !c.more() && len(c.rest()) == 0 && len(raw) == 0):
			return
		case n == 0 && c.eof && len(c.rest()) == 0 && raw == nil:
			return
		}
	}
}

// waitsForContinue reports whether a request's head asks for 100 Continue.
func waitsForContinue(head []byte) bool {
	return bytes.HasSuffix(head, []byte("\r\n\r\n")) && bytes.Contains(bytes.ToLower(head), []byte("\nexpect: 100-continue\r\n"))
}

// again answers a request whose bytes were seen before; done reports whether there was
// one, and on whether the connection goes on.
func (c *client) again() (done, on bool) {
	data := c.rest()
	n := bytes.Index(data[:min(len(data), maxHeadKept)], []byte("\r\n\r\n"))
	if n < 0 {
		return false, true
	}
	n += len("\r\n\r\n")
	known := (*c.http.heads.Load())[string(data[:n])]
	if known == nil {
		return false, true
	}
	c.take(n)
	on = c.answerWeb(known)
	c.between()
	return true, on
}

// lookUp finds what is known of a request.
func (c *client) lookUp(m *proto.Message) *asked {
	h := m.Body.(*proto.HTTPMessage)
	q := newQuestion(m)
	keys := c.opts.Match.keys(q)
	k := &asked{list: c.book.find(exact(m.Raw), keys[0], keys[1]), summary: h.Summary(), message: m}
	k.last = h.Has("Connection", "close") || h.Version != "HTTP/1.1" && !h.Has("Connection", "keep-alive")
	if k.list == nil || h.BodyBytes > 0 || h.Chunked || len(m.Raw) > maxHeadKept || len(h.Head) != len(m.Raw) || h.Method == "CONNECT" || h.Has("Connection", "upgrade") || h.Has("Expect", "100-continue") {
		return k
	}
	c.http.keep(string(m.Raw), &asked{list: k.list, summary: k.summary, last: k.last})
	return k
}

// keep has a request known by its bytes.
func (w *web) keep(head string, k *asked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := *w.heads.Load()
	if len(old) >= maxHeads {
		return
	}
	fresh := maps.Clone(old)
	fresh[head] = k
	w.heads.Store(&fresh)
}

// answerWeb answers a request, and reports whether the connection goes on.
func (c *client) answerWeb(k *asked) bool {
	c.asked++
	var a *answer
	if k.list != nil {
		a = c.book.take(k.list, &c.follower)
	}
	if a == nil {
		return c.notImplemented(k)
	}
	if a.frames != nil {
		c.upgraded(k, a)
		return false
	}
	err := c.send(a)
	if c.opts.Log == nil {
		c.answered.Add(1)
	} else {
		c.knows(&proto.HTTP, k.summary, a)
	}
	if err != nil {
		return false
	}
	closes, resets := c.book.ending(&c.follower, a)
	switch {
	case resets:
		c.breakOff()
		return false
	case closes || k.last:
		c.linger()
		return false
	}
	return true
}

// notImplemented says that a request is not in the recording, and what comes nearest.
func (c *client) notImplemented(k *asked) bool {
	var q *question
	if k.message != nil {
		q = newQuestion(k.message)
	}
	body := fmt.Sprintf("netlab: %s is not in the recording", k.summary)
	var near []Near
	if q != nil {
		body = fmt.Sprintf("netlab: %s %s is not in the recording", q.method, q.target())
		near = c.http.nearest(&c.opts.Match, q)
	}
	var b strings.Builder
	b.WriteString(body + "\n")
	for i, n := range near {
		if i == 0 {
			b.WriteString("The nearest recorded requests, and what differs:\n")
		}
		fmt.Fprintf(&b, "  %s: %s\n", n.Request, strings.Join(n.Differs, "; "))
	}
	c.unknown(&proto.HTTP, k.summary, "unknown", near)
	last := ""
	if k.last {
		last = "Connection: close\r\n"
	}
	c.out = fmt.Appendf(c.out, "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n%sContent-Length: %d\r\n\r\n", last, b.Len())
	if q == nil || q.method != "HEAD" {
		c.out = append(c.out, b.String()...)
	}
	if k.last {
		c.linger()
		return false
	}
	return true
}

// simple answers a request of HTTP/0.9 that was recorded, which is a line without a
// version: where it ends is known from the recording.
func (c *client) simple() bool {
	l := c.http.simple[string(c.rest())]
	if l == nil {
		return false
	}
	a := c.book.take(l, &c.follower)
	if a == nil {
		return false
	}
	c.take(len(c.rest()))
	c.asked++
	c.send(a)
	c.knows(&proto.HTTP, a.request, a)
	c.linger()
	return true
}
