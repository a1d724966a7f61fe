package proto

import (
	"bytes"
	"fmt"
	"strings"

	"netlab/decode/flow"
)

// redisParser reads commands and replies. What waits for what is known from the
// commands: most have one reply, some several, some none.
type redisParser struct {
	waiting Waiting
	sides   [2]redisSide
	// confirmed counts the confirmations of the subscription that waits.
	confirmed int
	// subscribed means that messages of version 2 may come unasked.
	subscribed bool
	// silent says how many of the next commands have no reply; mute that none has.
	silent int
	mute   bool
}

// redisSide is one direction.
type redisSide struct {
	redisReader
	lost bool // the place in the stream is lost
	// atLine says that the lost place is behind the end of a line, or unknown.
	atLine bool
	// turn is the first command that came when the server's place was lost: when
	// that is found, the reply is the one to it.
	turn *Message
}

// Held returns how much of the values in progress is kept.
func (p *redisParser) Held() int { return p.sides[0].room() + p.sides[1].room() }

// Pass takes what is within a string, behind what is kept of it.
func (p *redisParser) Pass(d flow.Direction, data []byte) bool {
	return !p.sides[d].lost && p.sides[d].pass(data)
}

func (p *redisParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	if s.lost {
		if len(data) == 0 {
			return 0, nil
		}
		n, found := p.resync(d, data, end)
		switch {
		case n > 0:
			return n, &Message{Direction: d, Kind: Skipped}
		case !found:
			return 0, nil
		}
		s.lost = false
	}
	if d == flow.ClientToServer && !s.begun && len(data) > 0 && data[0] != '*' {
		return p.inline(data, end)
	}
	s.command = d == flow.ClientToServer
	n, done, why := s.read(data)
	switch {
	case done:
		return n, p.done(d, "")
	case why != "" && !s.begun && d == flow.ServerToClient:
		m := p.done(d, why) // it stands where a reply should
		m.Malformed = true
		p.lose(d)
		return n + 1, m
	case why != "" && !s.begun:
		p.lose(d)
		return n, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: why}
	case why != "":
		m := p.done(d, why)
		m.Malformed = true
		p.lose(d)
		return n, m
	case end && (s.begun || n < len(data)):
		return len(data), p.done(d, "the connection ended inside the value")
	}
	return n, nil
}

// lose gives up the place in the stream.
func (p *redisParser) lose(d flow.Direction) {
	s := &p.sides[d]
	s.reset()
	s.lost, s.atLine, s.turn = true, false, nil
	p.confirmed = 0
}

// maxRedisInlineKept is how many words of a line are kept.
const maxRedisInlineKept = 32

// inline takes a command that is a line of words.
func (p *redisParser) inline(data []byte, end bool) (int, *Message) {
	d, s := flow.ClientToServer, &p.sides[flow.ClientToServer]
	if data[0] < ' ' && data[0] != '\r' && data[0] != '\n' || data[0] > '~' {
		p.lose(d)
		return 0, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "what follows is no command"}
	}
	i := bytes.IndexByte(data[s.scanned:min(len(data), maxRedisLine)], '\n') + s.scanned
	if i < s.scanned {
		s.scanned = len(data)
	}
	why := ""
	switch {
	case i >= 0 && i < len(data) && data[i] == '\n':
		i++
	case len(data) >= maxRedisLine:
		i, why = maxRedisLine, lineTooLong
	case end:
		i, why = len(data), "the connection ended inside the line"
	default:
		return 0, nil
	}
	s.scanned = 0
	words, count, held := redisWords(trimEOL(view(data[:i])))
	if count == 0 {
		return i, &Message{Direction: d, Kind: Skipped}
	}
	c := &RedisCommand{Command: strings.ToUpper(words[0].Text), Arguments: words[1:], Count: count - 1, Inline: true, held: held}
	m := &Message{Direction: d, Complete: why == "", Malformed: why == lineTooLong, Why: why, Body: c}
	if why == lineTooLong {
		p.lose(d)
	}
	p.asked(c, m)
	return i, m
}

// redisWords splits a line into words, which quotation marks may hold together.
func redisWords(line string) (words []RedisValue, count int64, held int) {
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, count, held
		}
		var word string
		if q := line[0]; q == '"' || q == '\'' {
			n := 1
			for n < len(line) && line[n] != q {
				if q == '"' && line[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n, len(line))
			word, line = line[1:n], line[min(n+1, len(line)):]
		} else if n := strings.IndexAny(line, " \t"); n >= 0 {
			word, line = line[:n], line[n:]
		} else {
			word, line = line, ""
		}
		if count++; len(words) < maxRedisInlineKept {
			text := strings.Clone(word[:min(len(word), maxRedisText)])
			words = append(words, RedisValue{Kind: RedisBulk, Text: text, Length: int64(len(word))})
			held += redisValueCost + len(text)
		}
	}
}

// done ends the value of a direction and returns its message.
func (p *redisParser) done(d flow.Direction, why string) *Message {
	s := &p.sides[d]
	s.letText()
	m := &Message{Direction: d, Complete: why == "" && s.missing == 0, Why: why}
	if m.Why == "" && s.missing > 0 {
		m.Why = fmt.Sprintf("%d bytes of a string were not captured", s.missing)
	}
	if d == flow.ServerToClient {
		r := &RedisReply{RedisValue: s.top, Attributes: s.about, Missing: s.missing, held: s.held()}
		m.Kind, m.Body = Response, r
		request := s.turn
		if request == nil {
			request = p.waiting.Request()
		}
		if p.answers(r, m, request); !m.Alone {
			m.answers, s.turn = s.turn, nil
		}
		s.reset()
		return m
	}
	v, missing, held := s.top, s.missing, s.held()
	s.reset()
	if why == "" && (v.Null || v.Length == 0) {
		return &Message{Direction: d, Kind: Skipped} // servers pass over it
	}
	c := &RedisCommand{Count: max(v.Length-1, 0), Missing: missing, held: held}
	if len(v.Values) > 0 {
		c.Command, c.Arguments = strings.ToUpper(v.Values[0].Text), v.Values[1:]
	}
	m.Body = c
	p.asked(c, m)
	return m
}

// asked notes what a command has for answers.
func (p *redisParser) asked(c *RedisCommand, m *Message) {
	m.Alone = p.mute || p.silent > 0
	p.silent = max(p.silent-1, 0)
	switch {
	case c.Command == "CLIENT" && strings.EqualFold(c.argument(0), "REPLY"):
		switch strings.ToUpper(c.argument(1)) {
		case "OFF":
			p.mute, m.Alone = true, true
		case "SKIP":
			p.silent, m.Alone = 1, true
		case "ON":
			p.mute, p.silent, m.Alone = false, 0, false
		}
	case c.Command == "REPLCONF" && strings.EqualFold(c.argument(0), "ACK"):
		m.Alone = true
	}
	if s := &p.sides[flow.ServerToClient]; s.lost && s.turn == nil && !m.Alone {
		s.turn = m
	}
}

// redisConfirms are replies to the commands of the same name, one for each
// channel.
var redisConfirms = map[string]bool{
	"subscribe": true, "psubscribe": true, "ssubscribe": true, "unsubscribe": true, "punsubscribe": true, "sunsubscribe": true,
}

// redisMessages are what comes of these.
var redisMessages = map[string]bool{"message": true, "pmessage": true, "smessage": true}

// answers finds out what a reply is, with that request waiting: the answer to it,
// one of several, or none.
func (p *redisParser) answers(r *RedisReply, m *Message, request *Message) {
	push := r.Kind == RedisPush
	if r.Kind == RedisSimple && isMonitored(r.Text) {
		m.Alone = true
		return
	}
	command, _ := bodyOf[*RedisCommand](request)
	if command != nil && command.Command == "PSYNC" && r.Kind == RedisSimple && m.Complete {
		m.Next = Raw.Name // a stream of another form follows, from the server
	}
	if !push && r.Kind != RedisArray || len(r.Values) == 0 {
		m.Alone = push
		return
	}
	word := r.Values[0].Text
	confirms := redisConfirms[word] && len(r.Values) == 3
	switch was := p.subscribed; {
	case confirms && command != nil && strings.EqualFold(word, command.Command):
		p.subscribed = r.Values[2].Text != "0"
		if p.confirmed++; int64(p.confirmed) < command.Count {
			m.Kind = Interim
		} else {
			p.confirmed = 0
		}
	case push:
		m.Alone = true
	case confirms, redisMessages[word] && len(r.Values) <= 4:
		m.Alone = request == nil || was
		p.subscribed = was && !(confirms && r.Values[2].Text == "0")
	}
}

// isMonitored reports whether a text is a line of MONITOR:
// 1339518083.107412 [0 127.0.0.1:60866] "keys" "*".
func isMonitored(text string) bool {
	seconds, rest, ok := strings.Cut(text, ".")
	micros, rest, found := strings.Cut(rest, " ")
	return ok && found && len(seconds) >= 9 && len(micros) == 6 && strings.Trim(seconds+micros, "0123456789") == "" && strings.HasPrefix(rest, "[")
}

// resync looks for the beginning of a message in a stream whose place is lost. It
// returns how many bytes to skip before it, and whether it is there.
func (p *redisParser) resync(d flow.Direction, data []byte, end bool) (int, bool) {
	s := &p.sides[d]
	if d == flow.ServerToClient {
		// Anything may be inside of what was lost, replies too. A client that asks
		// again when it has read all that there was waits for nothing else.
		if s.turn == nil {
			return len(data), false
		}
		switch v := redisReplyBegins(data, true); {
		case v == NeedMore && !end:
			return 0, false
		case v == Match && p.waiting.At(d, 0).Offset == s.turn.Ack && p.waiting.Request() != nil:
			return 0, true
		}
		s.turn = nil
		return len(data), false
	}
	for n := 0; n < len(data); n++ {
		i := bytes.IndexByte(data[n:], '*')
		if i < 0 {
			break
		}
		n += i
		if n > 0 && data[n-1] != '\n' || n == 0 && !s.atLine {
			continue
		}
		switch v := redisCommandBegins(data[n:]); {
		case v == Match, v == NeedMore && !end:
			s.atLine = true
			return n, v == Match
		}
	}
	s.atLine = data[len(data)-1] == '\n'
	return len(data), false
}

// Gap goes on behind what is missing when that lies within a string.
func (p *redisParser) Gap(d flow.Direction, data []byte, n int64) (took int64, m *Message) {
	s := &p.sides[d]
	if !s.lost && len(data) == 0 {
		if known, done := s.skip(n); done {
			return n, p.done(d, "")
		} else if known {
			return n, nil
		}
	}
	if !s.lost && s.begun {
		if s.inText {
			took = min(n, s.left)
		}
		m = p.done(d, "a gap in the recording")
	}
	p.lose(d)
	s.atLine = true // perhaps
	return took, m
}
