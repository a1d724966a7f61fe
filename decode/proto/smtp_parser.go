package proto

import (
	"fmt"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// Bounds: of a line, which RFC 4954, section 4 wants to be 12288 bytes at least; of
// a reply of several; of what a client says before the reply that it should wait
// for; and of a chunk.
const (
	maxSMTPLine  = 16 << 10
	maxSMTPReply = 64 << 10
	maxSMTPWait  = 64 << 10
	maxSMTPChunk = 1 << 40
)

// smtpParser reads both directions. What a client says behind some commands means
// one thing or another: it is not looked at until their reply is there.
type smtpParser struct {
	waiting Waiting
	ended   [2]bool
	lost    [2]bool // the next line is one, or is not; look for one
	asked   *SMTPCommand
	unheard bool // the reply to asked may be missing
	expect  smtpExpect
	mail    *smtpReading // content that is being read
	chunks  bool         // chunks of a mail were sent, and not the last
	reply   *smtpLines   // a reply that is being read
	rest    int          // the code of a reply whose end may follow a gap
	inLine  [2]bool      // the rest of a line that is too long follows

	lmtp       bool
	recipients int // accepted of the mail
	answered   int // how many replies there were for them
}

// smtpExpect is what a client says next.
type smtpExpect uint8

const (
	smtpCommand smtpExpect = iota
	smtpMail
	smtpCredentials
)

// smtpLines is a reply as far as it is there.
type smtpLines struct {
	code int
	text []byte
	bad  string // what is wrong with it
	torn bool   // its beginning may be missing
}

// Held returns how much is kept of what is being read.
func (p *smtpParser) Held() int {
	n := 0
	if p.mail != nil {
		n += len(p.mail.header)
	}
	if p.reply != nil {
		n += len(p.reply.text)
	}
	return n
}

func (p *smtpParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	p.ended[d] = p.ended[d] || end
	if d == flow.ServerToClient {
		return p.replies(data, end)
	}
	if p.mail != nil {
		return p.content(data, end)
	}
	if len(data) == 0 {
		return 0, nil
	}
	if p.asked != nil && !p.decide(data, end) {
		return 0, nil
	}
	switch {
	case p.lost[d]:
		return p.resync(data, end)
	case p.expect == smtpMail:
		p.mail, p.expect = &smtpReading{newline: true}, smtpCommand
		return p.content(data, end)
	case p.expect == smtpCommand && (data[0] < ' ' && data[0] != '\r' && data[0] != '\n' || data[0] > '~'):
		p.lost[d] = true
		return 0, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "what follows is no SMTP command"}
	}
	n, line, why := takeLine(data, end, maxSMTPLine)
	if n == 0 {
		return 0, nil
	}
	m := &Message{Direction: d, Complete: why == "", Malformed: why == lineTooLong, Why: why}
	if m.Malformed {
		p.lost[d], p.inLine[d] = true, true
	}
	c := &SMTPCommand{Argument: line, Credentials: p.expect == smtpCredentials}
	p.expect = smtpCommand
	if m.Body = c; c.Credentials {
		p.asked, p.unheard = c, false
		return n, m
	}
	c.Command, c.Argument, _ = strings.Cut(line, " ")
	c.Command = strings.ToUpper(c.Command)
	if m.Complete && p.commanded(c) {
		if p.mail.left == 0 {
			return n, p.mailed("")
		}
		return n, nil // its content follows
	}
	return n, m
}

// commanded notes what a command means for what follows it, and reports whether
// that is content and a part of it.
func (p *smtpParser) commanded(c *SMTPCommand) bool {
	switch c.Command {
	case "LHLO":
		p.lmtp = true
	case "DATA", "AUTH", "STARTTLS":
		p.asked, p.unheard = c, false
	case "MAIL", "RSET", "EHLO", "HELO":
		p.chunks = false
	case "BDAT": // RFC 3030, section 2
		size, last, _ := strings.Cut(c.Argument, " ")
		n, err := strconv.ParseUint(size, 10, 63)
		if err != nil || n > maxSMTPChunk {
			return false
		}
		p.mail = &smtpReading{command: c, counted: true, left: int64(n), plain: p.chunks}
		p.chunks = !strings.EqualFold(strings.TrimSpace(last), "LAST")
		return true
	}
	return false
}

// decide reports whether it is known how to read on behind asked. When its reply
// will not be heard, what the client does next tells it.
func (p *smtpParser) decide(data []byte, end bool) bool {
	if !p.unheard && !p.ended[flow.ServerToClient] && len(data) < maxSMTPWait {
		return false
	}
	guess := smtpCommandBegins(data)
	if guess == smtpMore && !end {
		return false
	}
	if guess == smtpNever || guess == smtpMore {
		switch {
		case p.asked.Command == "DATA":
			p.expect = smtpMail
		case p.asked.Command != "STARTTLS":
			p.expect = smtpCredentials
		}
	}
	p.asked, p.unheard = nil, false
	return true
}

// resync looks for a line that is a command.
func (p *smtpParser) resync(data []byte, end bool) (int, *Message) {
	d := flow.ClientToServer
	n, _, why := takeLine(data, end, maxSMTPLine)
	if n == 0 {
		return 0, nil
	}
	if !p.inLine[d] && why == "" && smtpCommandBegins(data[:n]) >= smtpPerhaps {
		p.lost[d] = false
		return p.Next(d, data, end)
	}
	p.inLine[d] = why == lineTooLong
	return n, &Message{Direction: d, Kind: Skipped}
}

// content reads on in a mail.
func (p *smtpParser) content(data []byte, end bool) (int, *Message) {
	n, done := p.mail.take(data, end)
	switch {
	case done:
		return n, p.mailed("")
	case end:
		return len(data), p.mailed("the connection ended inside the mail")
	}
	return n, nil
}

// mailed ends a mail, or a chunk of one.
func (p *smtpParser) mailed(why string) *Message {
	r := p.mail
	p.mail = nil
	c := r.ended()
	m := &Message{Direction: flow.ClientToServer, Complete: why == "" && c.Missing == 0, Why: why, Body: c}
	if m.Why == "" && c.Missing > 0 {
		m.Why = fmt.Sprintf("%d bytes of the mail were not captured", c.Missing)
	}
	if r.command != nil {
		r.command.Chunk = c
		m.Body = r.command
	}
	return m
}

// replies reads a reply, line by line (RFC 5321, section 4.2.1).
func (p *smtpParser) replies(data []byte, end bool) (int, *Message) {
	d := flow.ServerToClient
	if p.mail != nil && p.mail.missing > 0 && p.reply == nil && len(data) > 0 && p.waiting.Request() == nil {
		return 0, p.mailed("a gap in the recording") // the server has seen its end
	}
	n, line, why := takeLine(data, end, maxSMTPLine)
	switch {
	case n == 0 && end && p.reply != nil:
		return 0, p.replied("the connection ended inside the reply")
	case n == 0:
		return 0, nil
	}
	inLine := p.inLine[d]
	p.inLine[d] = why == lineTooLong
	code, more, ok := replyCode(line)
	rest := ok && p.reply == nil && code == p.rest && p.waiting.Request() == nil
	if ok && !(rest && more) {
		p.rest = 0
	}
	switch {
	case rest:
		return n, &Message{Direction: d, Kind: Skipped}
	case p.reply == nil && (inLine || !ok && p.lost[d]):
		return n, &Message{Direction: d, Kind: Skipped}
	case p.reply == nil && !ok:
		return n, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: fmt.Sprintf("%.40q is not an SMTP reply", line)}
	case p.reply == nil:
		p.reply = &smtpLines{code: code, torn: p.lost[d] && more}
		p.lost[d] = false
	default:
		p.reply.text = append(p.reply.text, '\n')
		if !ok || code != p.reply.code {
			p.reply.bad = "a line of the reply has another code"
			more = more || !ok
		}
	}
	text := line
	if ok {
		text = line[min(4, len(line)):]
	}
	r := p.reply
	if room := maxSMTPReply - len(r.text); room < len(text) {
		r.bad, text = replyTooLong, text[:max(room, 0)]
	}
	if r.text = append(r.text, text...); len(r.text) > maxSMTPReply {
		r.text = r.text[:maxSMTPReply]
	}
	switch {
	case why != "":
		m := p.replied(why)
		m.Malformed = m.Malformed || why == lineTooLong
		return n, m
	case more:
		return n, nil
	}
	return n, p.replied("")
}

// replied ends a reply.
func (p *smtpParser) replied(why string) *Message {
	l := p.reply
	p.reply = nil
	if why == "" && l.torn {
		why = "a gap in the recording, perhaps inside the reply"
	}
	r := &SMTPReply{Code: l.code, Text: string(l.text)}
	m := &Message{Direction: flow.ServerToClient, Kind: Response, Complete: why == "", Malformed: l.bad != "", Why: why, Body: r}
	if m.Why == "" {
		m.Why = l.bad
	}
	request := p.waiting.Request()
	c, _ := bodyOf[*SMTPCommand](request)
	if c == nil {
		c = &SMTPCommand{}
	}
	switch {
	case r.Code == 354 && p.mail == nil:
		p.expects(smtpMail)
	case r.Code == 334 && p.mail == nil:
		p.expects(smtpCredentials)
	case c.Command == "STARTTLS" && r.Code == 220 && m.Complete: // RFC 3207, section 4
		m.Next, m.With = TLS.Name, SMTP.Name
	case p.asked != nil && (c == p.asked || request == nil):
		p.asked = nil
	}
	p.count(c, request, r, m)
	return m
}

// expects notes what the client says next.
func (p *smtpParser) expects(e smtpExpect) {
	p.asked, p.expect = nil, e
	p.lost[flow.ClientToServer], p.inLine[flow.ClientToServer] = false, false
}

// count follows the recipients: in LMTP, a mail has a reply for each that was
// accepted (RFC 2033, section 4.2).
func (p *smtpParser) count(c *SMTPCommand, request *Message, r *SMTPReply, m *Message) {
	_, content := bodyOf[*SMTPContent](request)
	switch {
	case c.Command == "MAIL":
		p.recipients, p.answered = 0, 0
	case c.Command == "RCPT" && r.Code/100 == 2:
		p.recipients++
	case p.lmtp && (content || c.Chunk != nil && strings.HasSuffix(strings.ToUpper(c.Argument), "LAST")):
		if p.answered++; p.answered < p.recipients {
			m.Kind = Interim
		}
	}
}

// Gap goes on behind what is missing of a mail; of other things, it looks for the
// next line that makes sense.
func (p *smtpParser) Gap(d flow.Direction, data []byte, n int64) (took int64, m *Message) {
	p.lost[d], p.inLine[d] = true, false
	if d == flow.ServerToClient {
		p.unheard = true
		if p.rest = 0; p.reply != nil {
			p.rest = p.reply.code
			m = p.replied("a gap in the recording")
		}
		return 0, m
	}
	p.expect, p.asked = smtpCommand, nil
	if p.mail == nil {
		return 0, nil
	}
	p.mail.content(data) // what was left: a point where a line begins
	before := p.mail.bytes
	known, done := p.mail.skip(n)
	took = p.mail.bytes - before
	switch {
	case done:
		p.lost[d] = !known
		m = p.mailed("")
	case known:
		p.lost[d] = false
	}
	return took, m
}
