package serve

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// learnDatagrams keeps answers by the datagram that they were to.
func learnDatagrams(s *Server, r *recorded) {
	for i := range r.conn.Checks {
		t := r.conn.Checks[i].Turn
		var sent []byte
		for j := range r.conn.Steps {
			if r.conn.Steps[j].Turn == i {
				sent = append(sent, r.conn.Steps[j].Bytes...)
			}
		}
		if t.Sent == 0 {
			s.leave(r.conn, "the server sent a datagram that nobody had asked for", int64(min(1, len(t.Datagrams))))
			continue
		}
		a := &answer{datagrams: t.Datagrams, latency: t.Latency, request: described(sent), summary: "(no answer)"}
		if len(t.Datagrams) > 0 {
			a.summary = described(t.Answer)
			r.add(a)
		} else {
			a.of, a.index = r, len(r.answers)
		}
		s.book.learn(string(udpKey)+exact(sent), a)
	}
}

// learnDNS keeps answers by their questions.
func learnDNS(s *Server, r *recorded) {
	for i := range r.conn.Checks {
		e := r.conn.Checks[i].Exchange
		switch {
		case e.Request == nil && e.Response != nil:
			s.leave(r.conn, "an answer without a question", 1)
			continue
		case e.Request == nil:
			continue
		case e.Response != nil && (!e.Response.Complete || e.Response.RawMissing > 0):
			s.leave(r.conn, "the answer is not whole in the recording", 1)
			continue
		}
		q := e.Request.Body.(*proto.DNSMessage)
		a := &answer{of: r, index: len(r.answers), request: q.Summary(), summary: "(no answer)"}
		if e.Response != nil {
			d := e.Response.Body.(*proto.DNSMessage)
			a.bytes, a.summary, a.at = d.Wire, d.Summary(), e.Response.Time
			a.latency, _ = e.Latency()
			r.add(a)
		}
		s.book.learn(dnsQuestion(r.conn.Transport, q), a)
	}
}

// dnsQuestion is by what an answer is found: how it was asked, and for what. Names are
// the same in either case (RFC 4343).
func dnsQuestion(t flow.Transport, m *proto.DNSMessage) string {
	questions, _ := m.Sections()
	var b strings.Builder
	fmt.Fprintf(&b, "%c%s ", dnsKey, t)
	for _, q := range questions {
		fmt.Fprintf(&b, "%s %s,", strings.ToLower(q.Name), q.TypeName())
	}
	return b.String()
}

// findDNS finds what is known of a question, by what it was asked then; else by the
// other transport.
func (s *Server) findDNS(t flow.Transport, q *proto.DNSMessage) *list {
	other := flow.TCP
	if t == flow.TCP {
		other = flow.UDP
	}
	return s.book.find(dnsQuestion(t, q), dnsQuestion(other, q))
}

// dnsHead is how long the head of a message is (RFC 1035, section 4.1.1).
const dnsHead = 12

// answerDNS is an answer with the id of the question, and its spelling: a client may
// have it in capital letters to know its answers by (draft-vixie-dnsext-dns0x20).
func answerDNS(wire []byte, q *proto.DNSMessage) []byte {
	out := bytes.Clone(wire)
	copy(out, q.Wire[:min(2, len(q.Wire))])
	n := questionEnd(q.Wire)
	if n > 0 && n == questionEnd(wire) && strings.EqualFold(string(wire[dnsHead:n]), string(q.Wire[dnsHead:n])) {
		copy(out[dnsHead:], q.Wire[dnsHead:n])
	}
	return out
}

// questionEnd returns where the name of the only question ends; 0 when there is another
// number of them.
func questionEnd(wire []byte) int {
	if len(wire) < dnsHead || wire[4] != 0 || wire[5] != 1 {
		return 0
	}
	for i := dnsHead; i < len(wire) && wire[i] < 64; i += int(wire[i]) + 1 {
		if wire[i] == 0 {
			return i + 1
		}
	}
	return 0
}

// refusedDNS is an answer to what is not in the recording: its head and question, with
// the code REFUSED (RFC 1035, section 4.1.1).
func refusedDNS(q *proto.DNSMessage) []byte {
	n := questionEnd(q.Wire)
	if n == 0 || n+4 > len(q.Wire) {
		return nil
	}
	out := bytes.Clone(q.Wire[:n+4])
	const response, refused = 0x80, 5
	out[2] = out[2]&0x79 | response // opcode and RD stay
	out[3] = refused
	clear(out[6:dnsHead])
	return out
}

// queries answers DNS over TCP.
func (c *client) queries() {
	parser := proto.DNS.New(c)
	c.between()
	for {
		n, m := parser.Next(flow.ClientToServer, c.rest(), c.eof)
		c.take(n)
		switch {
		case m != nil && m.Kind == proto.Request:
			q, ok := m.Body.(*proto.DNSMessage)
			if !ok || !c.answerQuery(q) {
				return
			}
			c.between()
		case m != nil && m.Malformed:
			c.unknown(&proto.DNS, "(no question)", "nothing: "+m.Why, nil)
			return
		case n == 0 && m == nil && !c.more():
			return
		}
	}
}

// answerQuery answers a question over TCP, and reports whether the connection goes on.
func (c *client) answerQuery(q *proto.DNSMessage) bool {
	c.asked++
	var a *answer
	if l := c.findDNS(flow.TCP, q); l != nil {
		a = c.book.take(l, &c.follower)
	}
	var wire []byte
	if a == nil {
		c.unknown(&proto.DNS, q.Summary(), "refused", nil)
		wire = refusedDNS(q)
		a = &answer{}
	} else {
		c.knows(&proto.DNS, q.Summary(), a)
		if a.bytes != nil {
			wire = answerDNS(a.bytes, q)
		}
	}
	if wire == nil {
		return true
	}
	if c.sendBytes(a, append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...)) != nil {
		return false
	}
	if a.of != nil {
		if closes, _ := c.book.ending(&c.follower, a); closes {
			c.linger()
			return false
		}
	}
	return true
}

// packets answers datagrams.
type packets struct {
	*Server
	ctx  context.Context
	conn net.PacketConn
	late *sync.WaitGroup // answers that are sent later
}

// maxLate bounds the answers that wait to be sent.
const maxLate = 4096

// answer answers a datagram.
func (p *packets) answer(data []byte, from net.Addr) {
	f := p.book.client(addrPort(from))
	o := proto.Opening{Transport: flow.UDP, First: [2][]byte{data}, Ended: [2]bool{true, true}}
	if proto.Find(o) != &proto.DNS {
		a := p.known(p.book.find(string(udpKey)+exact(data)), f)
		p.tellOf(from, &proto.Raw, described(data), a, "unknown")
		if a != nil {
			p.send(from, a, a.datagrams)
		}
		return
	}
	q := &proto.DNSMessage{Wire: bytes.Clone(data)}
	a := p.known(p.findDNS(flow.UDP, q), f)
	p.tellOf(from, &proto.DNS, q.Summary(), a, "refused")
	switch {
	case a != nil && a.bytes != nil:
		p.send(from, a, [][]byte{answerDNS(a.bytes, q)})
	case a == nil:
		if wire := refusedDNS(q); wire != nil {
			p.send(from, &answer{}, [][]byte{wire})
		}
	}
}

func (p *packets) known(l *list, f *follower) *answer {
	if l == nil {
		return nil
	}
	return p.book.take(l, f)
}

func (p *packets) tellOf(from net.Addr, protocol *proto.Protocol, request string, a *answer, unknown string) {
	e := Event{Client: from.String(), Protocol: protocol.Name, Request: request, Answer: unknown}
	if a != nil {
		e.Known, e.Answer = true, a.summary
	}
	p.tell(e)
}

// send sends datagrams, after a while when the recorded server took one.
func (p *packets) send(to net.Addr, a *answer, list [][]byte) {
	pause := p.opts.pause(a)
	for _, data := range list {
		n := p.datagrams.Add(1)
		copies, wait := p.opts.Fault.datagram(n)
		if wait += pause; wait > 0 {
			p.sendLate(to, data, copies, wait)
			continue
		}
		for range copies {
			p.conn.WriteTo(data, to)
		}
	}
}

func (p *packets) sendLate(to net.Addr, data []byte, copies int, wait time.Duration) {
	if p.waiting.Add(1) > maxLate {
		p.waiting.Add(-1)
		p.refuse(to, "too many answers wait to be sent")
		return
	}
	p.late.Go(func() {
		defer p.waiting.Add(-1)
		if sleep(p.ctx, wait) {
			for range copies {
				p.conn.WriteTo(data, to)
			}
		}
	})
}
