package serve

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// talks are the protocols whose requests are answered by what they ask, one after the
// other, and what is known of each.
type talks map[*proto.Protocol]*talk

// talk is what is known of a protocol.
type talk struct {
	greetings []*answer // what the server said first
}

// askable are those protocols, and what is said to what the recording does not have:
// nil where nothing can be said, and the connection ends.
var askable = map[*proto.Protocol]func(request *proto.Message, what string) []byte{
	&proto.Redis: func(_ *proto.Message, what string) []byte {
		return []byte("-ERR netlab: not in the recording: " + what + "\r\n")
	},
	&proto.SMTP: func(_ *proto.Message, what string) []byte {
		return []byte("502 netlab: not in the recording: " + what + "\r\n")
	},
	&proto.FTP: func(_ *proto.Message, what string) []byte {
		return []byte("502 netlab: not in the recording: " + what + "\r\n")
	},
	&proto.Postgres: postgresError,
	&proto.MySQL:    mysqlError,
}

// postgresError is an error of PostgreSQL with what makes it ready for another query
// (section 53.7 of its documentation).
func postgresError(_ *proto.Message, what string) []byte {
	text := "SERROR\x00VERROR\x00C0A000\x00Mnetlab: not in the recording: " + what + "\x00\x00"
	out := append([]byte{'E'}, be32(len(text)+4)...)
	out = append(out, text...)
	return append(out, 'Z', 0, 0, 0, 5, 'I')
}

// mysqlError is an error of MySQL (section 14.1.3 of its internals manual).
func mysqlError(request *proto.Message, what string) []byte {
	text := "\xff\x69\x04#42000netlab: not in the recording: " + what // 1129 and more would be taken for trouble with the host
	n, next := len(text), byte(1)
	if len(request.Raw) > 3 {
		next = request.Raw[3] + 1
	}
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), next}, text...)
}

func be32(n int) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// speaksOnly reports whether a conversation was in one protocol from its beginning to
// its end, with whole messages.
func speaksOnly(r *recorded) bool {
	for i := range r.conn.Checks {
		e := r.conn.Checks[i].Exchange
		if e.Protocol != r.conn.Protocol {
			return false
		}
		for _, m := range e.Messages() {
			if !m.Complete || m.RawMissing > 0 {
				return false
			}
		}
	}
	return true
}

// learnTalk keeps the answers of a conversation by what was asked. What nobody asked for
// is said behind the answer before it, or first.
func learnTalk(s *Server, r *recorded) {
	p := r.conn.Protocol
	t := s.talks[p]
	if t == nil {
		t = &talk{}
		s.talks[p] = t
	}
	var last *answer
	for i := range r.conn.Checks {
		e := r.conn.Checks[i].Exchange
		a := &answer{}
		if p == &proto.FTP {
			a.transfer = s.transferOf(e)
		}
		for _, m := range e.Interim {
			a.bytes = append(a.bytes, m.Raw...)
		}
		if a.transfer != nil {
			a.before, a.bytes = a.bytes, nil // what is transferred stands between them
		}
		if m := e.Response; m != nil {
			a.bytes = append(a.bytes, m.Raw...)
			a.summary, a.at = m.Body.Summary(), m.Time
		}
		a.latency, _ = e.Latency()
		switch q := e.Request; {
		case q == nil && last != nil:
			a.request = "(said by itself)"
			r.add(a)
			last.behind = append(last.behind, a)
		case q == nil:
			a.request = "(the server speaks first)"
			last = r.add(a)
			t.greetings = append(t.greetings, a)
		case len(a.bytes) == 0 && !q.Alone && hungUp(r.conn, i):
			a.request, a.summary, a.closes, a.at = q.Body.Summary(), "(it hung up)", true, q.End
			last = r.add(a)
			s.learnAsked(p, q, a)
		case len(a.bytes) == 0:
			s.learnAsked(p, q, &answer{of: r, index: len(r.answers), request: q.Body.Summary(), summary: "(no answer)"})
		default:
			a.request = q.Body.Summary()
			last = r.add(a)
			s.learnAsked(p, q, a)
		}
	}
}

// learnAsked keeps an answer by its request, and by what kind of request that is.
func (s *Server) learnAsked(p *proto.Protocol, q *proto.Message, a *answer) {
	s.book.learn(talkedKey(p, q), a)
	if kind := kindOf(p, q); kind != "" {
		s.book.learn(kind, a)
	}
}

// talkedKey is by what a request is found: all its bytes; in Redis and FTP, commands are
// the same in capital letters.
func talkedKey(p *proto.Protocol, q *proto.Message) string {
	raw := q.Raw
	switch b := q.Body.(type) {
	case *proto.RedisCommand:
		raw = bytes.Replace(raw, []byte("\r\n"+strings.ToLower(b.Command)+"\r\n"), []byte("\r\n"+b.Command+"\r\n"), 1)
	case *proto.FTPCommand:
		raw = []byte(strings.ToUpper(b.Command) + " " + b.Argument)
	case *proto.SMTPCommand:
		if b.Chunk == nil && !b.Credentials {
			raw = []byte(b.Command + " " + b.Argument)
		}
	}
	return string(talkKey) + p.Name + exact(raw)
}

// kindOf is by what a request is found whose bytes are not in the recording: what kind
// it is, where the answer depends on that alone, as to who somebody says to be. It is
// empty where it depends on more.
func kindOf(p *proto.Protocol, q *proto.Message) string {
	kind := ""
	switch b := q.Body.(type) {
	case *proto.SMTPCommand:
		kind = b.Endpoint()
	case *proto.SMTPContent:
		kind = "content"
	case *proto.FTPCommand:
		switch kind = strings.ToUpper(b.Command); kind {
		case "RETR", "STOR", "STOU", "APPE", "DELE", "SIZE", "MDTM", "RNFR", "RNTO", "RMD", "MKD", "CWD", "LIST", "NLST", "MLSD", "MLST":
			return ""
		}
	case *proto.PostgresRequest:
		if b.Command != "startup" && b.Command != "authenticate" {
			return ""
		}
		kind = b.Command
	default:
		return ""
	}
	return string(kindKey) + p.Name + " " + kind
}

// talk answers a client by what it asks in a protocol.
func (c *client) talk(p *proto.Protocol) { c.talkBehind(p, nil) }

// talkBehind does so behind a greeting, if any.
func (c *client) talkBehind(p *proto.Protocol, greeting *answer) {
	t := &talker{client: c, protocol: p}
	conv := &flow.Conversation{Tuple: flow.NewFlow(flow.TCP, addrPort(c.conn.RemoteAddr()), addrPort(c.conn.LocalAddr()))}
	t.dialogue = proto.NewDialogue(conv, t, proto.Options{Keep: c.opts.Limits.Request, Protocol: p})
	defer t.data.close()
	c.between()
	if greeting != nil {
		c.book.give(&c.follower, greeting)
		if !t.say(greeting, greeting.request) {
			return
		}
	}
	for {
		data := c.rest()
		if len(data) > 0 {
			t.dialogue.Chunk(flow.ClientToServer, flow.Chunk{Data: data, Offset: t.heard, Time: time.Now(), Ack: t.said})
			t.heard += int64(len(data))
			c.take(len(data))
			if t.broken {
				return
			}
			for len(t.requests) > 0 {
				m := t.requests[0]
				t.requests = t.requests[1:]
				c.between()
				if !t.answer(m) {
					return
				}
			}
		}
		if int64(t.dialogue.Held()) > 2*c.opts.Limits.Request {
			c.refuse(c.conn.RemoteAddr(), errTooMuch.Error())
			return
		}
		if !c.more() && len(c.rest()) == 0 {
			return
		}
	}
}

// talker is a connection whose requests are answered by what they ask.
type talker struct {
	*client
	protocol    *proto.Protocol
	dialogue    *proto.Dialogue
	requests    []*proto.Message // not answered yet
	heard, said int64            // bytes
	data        data             // of FTP
	broken      bool
}

// Request takes a request when it is whole.
func (t *talker) Request(m *proto.Message) { t.requests = append(t.requests, m) }

// Exchange takes an exchange, which is one that was answered.
func (t *talker) Exchange(*proto.Exchange) {}

// Anomaly notes when the client breaks the protocol.
func (t *talker) Anomaly(a flow.Anomaly) {
	if a.Direction == flow.ClientToServer && !t.broken {
		t.broken = true
		t.unknown(t.protocol, "(no request of "+t.protocol.Name+")", "nothing: "+a.Detail, nil)
	}
}

// answer answers a request, and reports whether the connection goes on.
func (t *talker) answer(m *proto.Message) bool {
	request := m.Body.Summary()
	if !m.Alone {
		t.client.asked++
	}
	var a *answer
	if l := t.book.find(talkedKey(t.protocol, m)); l != nil {
		a = t.book.take(l, &t.follower)
	}
	if a == nil {
		if kind := kindOf(t.protocol, m); kind != "" {
			if l := t.book.find(kind); l != nil {
				a = t.book.take(l, &t.follower)
			}
		}
	}
	if b, ok := m.Body.(*proto.PostgresRequest); a == nil && ok && (b.Command == "ssl" || b.Command == "gss") {
		return t.write([]byte("N")) // it was not asked for then, and is not spoken
	}
	if a == nil {
		refusal := askable[t.protocol](m, oneLine(request))
		t.unknown(t.protocol, request, "unknown", nil)
		return t.write(refusal)
	}
	data := a.bytes
	if t.protocol == &proto.FTP {
		var err error
		if data, err = t.agree(m, a); err != nil {
			t.unknown(t.protocol, request, "refused: "+err.Error(), nil)
			return t.write([]byte("425 netlab: " + oneLine(err.Error()) + "\r\n"))
		}
	}
	if a.transfer != nil {
		if !t.write(a.before) || t.flush() != nil {
			return false
		}
		if err := t.carry(a.transfer); err != nil {
			t.unknown(t.protocol, request, "not transferred: "+err.Error(), nil)
			return t.write([]byte("425 netlab: " + oneLine(err.Error()) + "\r\n"))
		}
	}
	return t.sayAs(a, data, request)
}

// oneLine is what a protocol of lines can quote.
func oneLine(s string) string {
	const long = 100
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), long)]
}

// say gives an answer and what stands behind it.
func (t *talker) say(a *answer, request string) bool { return t.sayAs(a, a.bytes, request) }

// sayAs does so with what was made of it.
func (t *talker) sayAs(a *answer, data []byte, request string) bool {
	if err := t.sendBytes(a, data); err != nil {
		return false
	}
	t.knows(t.protocol, request, a)
	if !t.tellDialogue(data) {
		return false
	}
	for _, b := range a.behind {
		t.book.give(&t.follower, b)
		if !t.say(b, b.request) {
			return false
		}
	}
	closes, resets := t.book.ending(&t.follower, a)
	if resets {
		t.breakOff()
	} else if closes {
		t.linger()
	}
	return !closes
}

// write says something that was not recorded.
func (t *talker) write(data []byte) bool {
	t.out = append(t.out, data...)
	return t.tellDialogue(data)
}

// tellDialogue shows the parser what is said: what the client says next may be read in
// its light.
func (t *talker) tellDialogue(data []byte) bool {
	if len(data) > 0 {
		t.dialogue.Chunk(flow.ServerToClient, flow.Chunk{Data: data, Offset: t.said, Time: time.Now(), Ack: t.heard})
		t.said += int64(len(data))
	}
	if p := t.dialogue.Protocol(); p != t.protocol {
		t.unknown(t.protocol, "(what follows)", fmt.Sprintf("nothing: the connection goes on in another protocol than %s", t.protocol.Name), nil)
		return false
	}
	return true
}
