package redact

import (
	"bytes"
	"strconv"
	"strings"

	"netlab/decode/proto"
)

const inRedis = "redis"

// redisText is a string of RESP, by where it stands, with where its length does; that is
// empty when it has none.
type redisText struct {
	from, to   int
	size       [2]int
	level, nth int // in how many lists it is, and which of them
}

// redis looks at a command or a reply, string by string.
func (f *finder) redis(e *proto.Exchange, m *proto.Message) int {
	command, _ := m.Body.(*proto.RedisCommand)
	if command != nil && command.Inline {
		f.redisLine(command)
		return len(f.raw)
	}
	var list []redisText
	w := redisWalk{raw: f.raw, text: func(t redisText) { list = append(list, t) }}
	if end, ok := w.value(0, 0, 0); !ok || end != len(f.raw) {
		return 0
	}
	reply, _ := m.Body.(*proto.RedisReply)
	before := ""
	if reply != nil {
		before = redisKey(e)
	}
	for _, t := range list {
		secret := command != nil && t.level == 1 && t.nth > 0 && command.IsSecret(t.nth-1) ||
			reply != nil && t.level == 1 && t.nth > 0 && t.nth < len(reply.Values) && reply.IsSecret(t.nth)
		f.redisText(t, before, secret)
		before = ""
		if t.to-t.from <= maxName {
			before = string(f.raw[t.from:t.to])
		}
	}
	return len(f.raw)
}

// redisKey is the name of what is asked for, where that is one value: what stands there is the
// same secret as where it was set.
func redisKey(e *proto.Exchange) string {
	if e.Request == nil {
		return ""
	}
	c, ok := e.Request.Body.(*proto.RedisCommand)
	if !ok {
		return ""
	}
	at := 0
	switch c.Command {
	case "GET", "GETDEL", "GETEX", "GETSET":
	case "HGET":
		at = 1
	default:
		return ""
	}
	if at >= len(c.Arguments) {
		return ""
	}
	return c.Arguments[at].Text
}

// redisKind returns what the value of a key is by its name, and which part of that says so: keys
// are made of words with colons between them, as session:17. Of a user, more is known than
// who that is: so that has to be the last of the words.
func (f *finder) redisKind(key string) (word string, k Kind, named bool) {
	last := true
	for rest := key; rest != ""; {
		i := strings.LastIndexByte(rest, ':')
		word = rest[i+1:]
		if k, named = f.kindOf(word); named && (last || k != User) {
			return word, k, true
		}
		last = last && letters(word[:min(len(word), maxName)]) == ""
		rest = rest[:max(i, 0)]
	}
	return key, 0, false
}

// redisText looks at a string. What is before it may be its name, as in HSET.
func (f *finder) redisText(t redisText, before string, secret bool) {
	before, k, named := f.redisKind(before)
	n := len(f.changes)
	switch {
	case secret:
		f.hidden(Password, inRedis, "", t.from, t.to, plainly)
	case named && isJSON(f.raw[t.from:t.to]):
		if k != User { // of whom more is known than what the name says
			f.inside = before
		}
		list, _ := f.json(nil, inRedis, f.raw, t.from, t.to)
		if f.inside = ""; f.editing() {
			f.changes = append(f.changes, list...)
		}
	case named && isWorth(k, view(f.raw[t.from:t.to])):
		f.hidden(k, inRedis, before, t.from, t.to, plainly)
	default:
		list, known := f.content(nil, inRedis, "", f.raw, t.from, t.to, 0)
		switch {
		case !known:
			f.blank(t.from, t.to, "a value of Redis that is no text")
		case f.editing():
			f.changes = append(f.changes, list...)
		}
	}
	if t.size[0] == t.size[1] {
		return
	}
	grown := 0
	for _, c := range f.changes[n:] {
		if !c.blank {
			grown += len(c.with) - (c.to - c.from)
		}
	}
	if grown != 0 {
		f.change(t.size[0], t.size[1], strconv.Itoa(t.to-t.from+grown))
	}
}

// redisLine looks at a command that is a line of words.
func (f *finder) redisLine(c *proto.RedisCommand) {
	at, before := 0, ""
	for i := -1; ; i++ {
		for at < len(f.raw) && bytes.IndexByte([]byte(" \t\r\n"), f.raw[at]) >= 0 {
			at++
		}
		if at >= len(f.raw) {
			return
		}
		end := at
		quote := f.raw[at]
		if quote == '"' || quote == '\'' {
			at++
			for end = at; end < len(f.raw) && f.raw[end] != quote && f.raw[end] != '\n'; end++ {
				if f.raw[end] == '\\' && quote == '"' {
					end++
				}
			}
			end = min(end, len(f.raw))
		} else {
			for end < len(f.raw) && bytes.IndexByte([]byte(" \t\r\n"), f.raw[end]) < 0 {
				end++
			}
		}
		f.redisText(redisText{from: at, to: end}, before, i >= 0 && c.IsSecret(i))
		before = string(f.raw[at:min(end, at+maxName)])
		at = end + 1
	}
}

// redisWalk goes through a value of RESP.
type redisWalk struct {
	raw  []byte
	text func(redisText)
}

// maxRedisDepth bounds lists in lists; proto keeps no more of them.
const maxRedisDepth = 128

// value goes through the value that begins at an offset, and returns where it ends.
func (w *redisWalk) value(at, level, nth int) (int, bool) {
	i := -1
	if at < len(w.raw) {
		i = bytes.IndexByte(w.raw[at:], '\n')
	}
	if i < 1 || level > maxRedisDepth {
		return 0, false
	}
	next := at + i + 1
	from, to := at+1, at+i
	if w.raw[to-1] == '\r' {
		to--
	}
	if to < from {
		return 0, false
	}
	switch kind := w.raw[at]; kind {
	case '$', '!', '=':
		n, err := strconv.Atoi(string(w.raw[from:to]))
		if err != nil || n > len(w.raw)-next {
			return 0, false
		}
		if n < 0 {
			return next, true
		}
		w.text(redisText{next, next + n, [2]int{from, to}, level, nth})
		if next += n; next+2 > len(w.raw) {
			return 0, false
		}
		return next + 2, true
	case '*', '%', '~', '>', '|':
		n, err := strconv.Atoi(string(w.raw[from:to]))
		if err != nil || n > len(w.raw) {
			return 0, false
		}
		if kind == '%' || kind == '|' {
			n *= 2
		}
		for j := range max(n, 0) {
			var ok bool
			if next, ok = w.value(next, level+1, j); !ok {
				return 0, false
			}
		}
		if kind == '|' { // it is about what follows
			return w.value(next, level, nth)
		}
		return next, true
	case '+', '-':
		w.text(redisText{from: from, to: to, level: level, nth: nth})
	}
	return next, true
}
