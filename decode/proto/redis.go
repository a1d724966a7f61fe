package proto

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// Redis is RESP, versions 2 and 3
// (https://redis.io/docs/latest/develop/reference/protocol-spec), and what Valkey
// and others made of it.
var Redis = Protocol{
	Name:       "redis",
	Probe:      probeRedis,
	New:        func(w Waiting) Parser { return &redisParser{waiting: w} },
	Unasked:    true, // what was subscribed to
	AnyStart:   true,
	Attributes: redisAttributes,
}

// RedisCommand is what a client says.
type RedisCommand struct {
	Command   string       // in capital letters
	Arguments []RedisValue // the first of them, strings all
	Count     int64        // how many arguments there are
	Inline    bool         // it came as a line of words
	Missing   int64        // bytes of it that were never seen

	held int
}

// Held returns how much memory the command has need of.
func (c *RedisCommand) Held() int { return c.held }

// argument returns the beginning of the i-th argument; empty when there is none.
func (c *RedisCommand) argument(i int) string {
	if i < len(c.Arguments) {
		return c.Arguments[i].Text
	}
	return ""
}

// redisPasswords are the settings that are passwords.
var redisPasswords = map[string]bool{
	"requirepass": true, "masterauth": true, "primaryauth": true, "tls-key-file-pass": true, "tls-client-key-file-pass": true,
}

// IsSecret reports whether the i-th argument is a password.
func (c *RedisCommand) IsSecret(i int) bool {
	before := func(n int, words ...string) bool { // whether the n-th before it is one of them
		for _, w := range words {
			if i >= n && strings.EqualFold(c.argument(i-n), w) {
				return true
			}
		}
		return false
	}
	switch c.Command {
	case "AUTH":
		return i > 0 || c.Count == 1
	case "HELLO": // HELLO 3 AUTH user password
		return before(2, "AUTH")
	case "MIGRATE":
		return before(1, "AUTH") || before(2, "AUTH2")
	case "CONFIG":
		// CONFIG SET of any number of names and values.
		return i >= 2 && i%2 == 0 && redisPasswords[strings.ToLower(c.argument(i-1))]
	case "SENTINEL":
		return before(1, "auth-pass", "sentinel-pass")
	case "ACL":
		rule := c.argument(i)
		return i >= 2 && strings.EqualFold(c.argument(0), "SETUSER") && rule != "" && strings.IndexByte("><#!", rule[0]) >= 0
	}
	return false
}

// redisContainers are commands whose first argument says what they do.
var redisContainers = map[string]bool{
	"ACL": true, "CLIENT": true, "CLUSTER": true, "COMMAND": true, "CONFIG": true, "DEBUG": true, "FUNCTION": true, "LATENCY": true,
	"MEMORY": true, "MODULE": true, "OBJECT": true, "PUBSUB": true, "SCRIPT": true, "SENTINEL": true, "SLOWLOG": true, "XGROUP": true, "XINFO": true,
}

// Endpoint is the command, with the word behind it when that says what it does.
func (c *RedisCommand) Endpoint() string {
	if redisContainers[c.Command] && len(c.Arguments) > 0 {
		return c.Command + " " + strings.ToUpper(c.argument(0))
	}
	return c.Command
}

// redisKeys says where the keys of commands are when that is not the first
// argument alone: at which arguments they begin, and in steps of what. A step of
// 0 is for one key.
var redisKeys = map[string]struct{ first, step int }{
	"DEL": {0, 1}, "UNLINK": {0, 1}, "EXISTS": {0, 1}, "TOUCH": {0, 1}, "MGET": {0, 1}, "WATCH": {0, 1}, "MSET": {0, 2}, "MSETNX": {0, 2},
	"SUNION": {0, 1}, "SINTER": {0, 1}, "SDIFF": {0, 1}, "SUNIONSTORE": {0, 1}, "SINTERSTORE": {0, 1}, "SDIFFSTORE": {0, 1}, "PFCOUNT": {0, 1},
	"PFMERGE": {0, 1}, "RENAME": {0, 1}, "RENAMENX": {0, 1}, "BITOP": {1, 1}, "OBJECT": {1, 0}, "XGROUP": {1, 0}, "XINFO": {1, 0},
}

// redisKeyless are commands that name no key, or name it where only they know.
var redisKeyless = map[string]bool{
	"AUTH": true, "HELLO": true, "PING": true, "ECHO": true, "SELECT": true, "INFO": true, "CLIENT": true, "CONFIG": true, "ACL": true, "SCAN": true,
	"KEYS": true, "CLUSTER": true, "COMMAND": true, "DEBUG": true, "FUNCTION": true, "LATENCY": true, "MEMORY": true, "MODULE": true, "PUBSUB": true,
	"SCRIPT": true, "SENTINEL": true, "SLOWLOG": true, "SUBSCRIBE": true, "PSUBSCRIBE": true, "SSUBSCRIBE": true, "UNSUBSCRIBE": true,
	"PUNSUBSCRIBE": true, "SUNSUBSCRIBE": true, "PUBLISH": true, "SPUBLISH": true, "XREAD": true, "XREADGROUP": true, "MIGRATE": true, "WAIT": true,
	"WAITAOF": true, "REPLCONF": true, "PSYNC": true, "SWAPDB": true, "FLUSHALL": true, "FLUSHDB": true, "SHUTDOWN": true, "REPLICAOF": true,
	"SLAVEOF": true, "FAILOVER": true, "LOLWUT": true, "BGSAVE": true, "BGREWRITEAOF": true,
}

// redisNumbered are commands that say how many keys follow, and where they say so.
var redisNumbered = map[string]int{
	"EVAL": 1, "EVALSHA": 1, "EVAL_RO": 1, "EVALSHA_RO": 1, "FCALL": 1, "FCALL_RO": 1, "ZUNION": 0, "ZINTER": 0, "ZDIFF": 0, "SINTERCARD": 0,
	"ZINTERCARD": 0, "LMPOP": 0, "ZMPOP": 0, "BLMPOP": 1, "BZMPOP": 1,
}

// Keys returns the keys that a command names, as far as they are kept.
func (c *RedisCommand) Keys() []string {
	first, step, n := 0, 0, len(c.Arguments)
	if at, ok := redisNumbered[c.Command]; ok {
		count, err := strconv.Atoi(c.argument(at))
		if err != nil || count <= 0 {
			return nil
		}
		first, step, n = at+1, 1, min(n, at+1+min(count, n))
	} else if k, ok := redisKeys[c.Command]; ok {
		first, step = k.first, k.step
	} else if redisKeyless[c.Command] {
		return nil
	}
	var keys []string
	for i := first; i < n; i += step {
		keys = append(keys, c.Arguments[i].Text)
		if step == 0 {
			break
		}
	}
	return keys
}

// maxRedisSummary bounds the words of a summary, and maxRedisWord each of them.
const (
	maxRedisSummary = 20
	maxRedisWord    = 80
)

// Summary is the command with its arguments; a password is not shown.
func (c *RedisCommand) Summary() string {
	if c.Command == "" {
		return "part of a command"
	}
	b := []byte(c.Command)
	for i := range c.Arguments[:min(len(c.Arguments), maxRedisSummary)] {
		b = append(b, ' ')
		if c.IsSecret(i) {
			b = append(b, "***"...)
		} else {
			b = c.Arguments[i].appendWord(b)
		}
	}
	if more := c.Count - int64(min(len(c.Arguments), maxRedisSummary)); more > 0 {
		b = fmt.Appendf(b, " … %d more", more)
	}
	return string(b)
}

// AppendJSON appends the command, its arguments and its keys.
func (c *RedisCommand) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"command":`...)
	dst = AppendString(dst, c.Command)
	dst = append(dst, `,"arguments":`...)
	dst = appendRedisList(dst, c.Arguments)
	if n := int64(len(c.Arguments)); c.Count > n {
		dst = append(dst, `,"arguments_omitted":`...)
		dst = strconv.AppendInt(dst, c.Count-n, 10)
	}
	if keys := c.Keys(); len(keys) > 0 {
		dst = append(dst, `,"keys":[`...)
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, k)
		}
		dst = append(dst, ']')
	}
	if c.Inline {
		dst = append(dst, `,"inline":true`...)
	}
	return appendMissing(dst, c.Missing)
}

func appendMissing(dst []byte, n int64) []byte {
	if n > 0 {
		dst = append(dst, `,"missing":`...)
		dst = strconv.AppendInt(dst, n, 10)
	}
	return dst
}

// RedisReply is what a server says.
type RedisReply struct {
	RedisValue
	// Attributes are said about it before it (version 3); nil as a rule.
	Attributes *RedisValue
	Missing    int64 // bytes of it that were never seen

	held int
}

// Held returns how much memory the reply has need of.
func (r *RedisReply) Held() int { return r.held }

// Error returns the word that an error begins with: WRONGTYPE, ERR; empty when
// the reply is none.
func (r *RedisReply) Error() string {
	if r.Kind != RedisError && r.Kind != RedisBlobError {
		return ""
	}
	word, _, _ := strings.Cut(r.Text, " ")
	return word
}

// Outcome is an error's word, or OK.
func (r *RedisReply) Outcome() (code int, word string, failed bool) {
	if word := r.Error(); word != "" {
		return 0, word, true
	}
	return 0, "OK", false
}

// IsSecret reports whether the i-th of the values is a password: CONFIG GET is
// answered by names with their values.
func (r *RedisReply) IsSecret(i int) bool {
	return i%2 == 1 && redisPasswords[r.Values[i-1].Text]
}

// Summary is the value as one line.
func (r *RedisReply) Summary() string {
	return string(r.appendSummary(nil, r.IsSecret))
}

// AppendJSON appends the kind of value and the value.
func (r *RedisReply) AppendJSON(dst []byte) []byte {
	if word := r.Error(); word != "" {
		dst = append(dst, `"error":`...)
		dst = AppendString(dst, word)
		dst = append(dst, ',')
	}
	dst = r.appendFields(dst)
	if r.Attributes != nil {
		dst = append(dst, `,"attributes":`...)
		dst = appendRedisPairs(dst, r.Attributes.Values)
	}
	return appendMissing(dst, r.Missing)
}

var redisAttributes = []Attribute{
	{Name: "redis.command", About: "the command in capital letters", Get: func(values []Value, e *Exchange) []Value {
		if c, ok := bodyOf[*RedisCommand](e.Request); ok {
			values = AppendText(values, c.Command)
		}
		return values
	}},
	{Name: "redis.arguments", About: "what stands behind the command", Get: func(values []Value, e *Exchange) []Value {
		if c, ok := bodyOf[*RedisCommand](e.Request); ok {
			for i := range c.Arguments {
				values = AppendText(values, c.Arguments[i].Text)
			}
		}
		return values
	}},
	{Name: "redis.keys", About: "the keys that the command names", Get: func(values []Value, e *Exchange) []Value {
		if c, ok := bodyOf[*RedisCommand](e.Request); ok {
			for _, k := range c.Keys() {
				values = AppendText(values, k)
			}
		}
		return values
	}},
	{Name: "redis.kind", About: "of the reply: simple, error, integer, bulk, array, map…", Get: func(values []Value, e *Exchange) []Value {
		if r, ok := bodyOf[*RedisReply](e.Response); ok {
			values = AppendText(values, r.kind())
		}
		return values
	}},
	{Name: "redis.error", About: "the word that an error begins with, as WRONGTYPE", Get: func(values []Value, e *Exchange) []Value {
		if r, ok := bodyOf[*RedisReply](e.Response); ok && r.Error() != "" {
			values = AppendText(values, r.Error())
		}
		return values
	}},
}

// redisInline are the commands that are believed when they come as a line. Those
// that POP3 has too are not among them: its servers answer alike.
var redisInline = map[string]bool{
	"PING": true, "ECHO": true, "GET": true, "SET": true, "DEL": true, "INCR": true, "DECR": true, "EXISTS": true, "KEYS": true, "INFO": true,
	"HELLO": true, "SELECT": true, "MONITOR": true, "SUBSCRIBE": true, "PSUBSCRIBE": true, "DBSIZE": true, "CONFIG": true, "CLIENT": true,
	"EXPIRE": true, "TTL": true, "TYPE": true, "HGET": true, "HSET": true, "HGETALL": true, "LPUSH": true, "RPUSH": true, "LRANGE": true,
	"SADD": true, "SMEMBERS": true, "ZADD": true, "ZRANGE": true, "MULTI": true, "FLUSHALL": true, "FLUSHDB": true, "PUBLISH": true,
}

// maxRedisInlineWord bounds what may be the command of a line.
const maxRedisInlineWord = 16

// probeRedis knows a client by a command, *1\r\n$4\r\nPING, or by a line with a
// usual one when a reply follows; and a server by a reply that nobody else's looks
// like, when its client is not to be heard.
func probeRedis(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	client, server := o.First[flow.ClientToServer], o.First[flow.ServerToClient]
	verdict := NoMatch
	switch {
	case len(client) == 0 && o.Ended[flow.ClientToServer]:
		verdict = redisReplyBegins(server, false)
		if verdict == Match && isRedisCommand(server) {
			verdict = NoMatch // it is the client, taken for the server
		}
	case len(client) == 0:
		verdict = NeedMore
		if len(server) > 0 && redisReplyBegins(server, false) == NoMatch {
			return NoMatch
		}
	case client[0] == '*':
		verdict = redisCommandBegins(client)
	case !o.ServerFirst:
		verdict = redisLineBegins(client)
		if v := redisReplyBegins(server, true); verdict == Match || v == NoMatch {
			verdict = v
		}
		if verdict == NeedMore && len(server) == 0 && o.Ended[flow.ServerToClient] {
			return NoMatch
		}
	}
	if verdict == NeedMore && o.Ended[flow.ClientToServer] && o.Ended[flow.ServerToClient] {
		return NoMatch
	}
	return verdict
}

// redisLineBegins tells whether data begins with a line that holds a usual command.
func redisLineBegins(data []byte) Verdict {
	line, _, whole := bytes.Cut(data, []byte("\n"))
	word, _, _ := strings.Cut(trimEOL(view(line)), " ")
	for i := range len(word) {
		if c := word[i] | 0x20; c < 'a' || c > 'z' || i == maxRedisInlineWord {
			return NoMatch
		}
	}
	switch known := redisInline[strings.ToUpper(word)]; {
	case len(word) < len(line) && !known:
		return NoMatch
	case whole && known:
		return Match
	case whole:
		return NoMatch
	}
	return NeedMore
}

// redisCommandBegins tells whether data begins with a command as an array:
// *1\r\n$4\r\nP.
func redisCommandBegins(data []byte) Verdict {
	count, n, v := redisHeader(data, '*')
	if v != Match {
		return v
	}
	if count < 1 || count > maxRedisCount {
		return NoMatch
	}
	length, m, v := redisHeader(data[n:], '$')
	n += m
	switch {
	case v != Match:
		return v
	case length < 1 || length > maxRedisName:
		return NoMatch
	case n == len(data):
		return NeedMore
	case data[n]|0x20 < 'a' || data[n]|0x20 > 'z':
		return NoMatch
	}
	return Match
}

// isRedisCommand reports whether data begins with a usual command.
func isRedisCommand(data []byte) bool {
	_, n, v := redisHeader(data, '*')
	if v != Match {
		return false
	}
	length, m, v := redisHeader(data[n:], '$')
	if n += m; v != Match || length > maxRedisName || int64(len(data)-n) < length {
		return false
	}
	name := strings.ToUpper(string(data[n:][:length]))
	_, isKeys := redisKeys[name]
	_, isNumbered := redisNumbered[name]
	return redisInline[name] || redisKeyless[name] || redisContainers[name] || isKeys || isNumbered
}

// maxRedisName bounds a command's name; modules have some of 30 letters.
const maxRedisName = 64

// redisHeader reads a kind with a number behind it: the number and how long that
// is with the end of line.
func redisHeader(data []byte, kind byte) (number int64, n int, v Verdict) {
	if len(data) == 0 {
		return 0, 0, NeedMore
	}
	if data[0] != kind {
		return 0, 0, NoMatch
	}
	for n = 1; n < len(data) && n <= maxRedisDigits && isDigit(data[n]); n++ {
		number = number*10 + int64(data[n]-'0')
	}
	switch {
	case n == len(data), n > 1 && n+1 == len(data) && data[n] == '\r':
		return 0, 0, NeedMore
	case n == 1, data[n] != '\r', data[n+1] != '\n':
		return 0, 0, NoMatch
	}
	return number, n + 2, Match
}

// maxRedisDigits bounds a number that is a length.
const maxRedisDigits = 12

// redisReplyBegins tells whether data begins as a reply does. Of lines of text,
// which others send too, only an answer is believed.
func redisReplyBegins(data []byte, answer bool) Verdict {
	if len(data) == 0 {
		return NeedMore
	}
	kind := RedisKind(data[0])
	i := bytes.IndexByte(data[:min(len(data), maxRedisReplyLine)], '\n')
	switch {
	case strings.IndexByte("+-:$*_#,(!=%~>|", data[0]) < 0, kind.isText() && !answer:
		return NoMatch
	case i < 0 && (len(data) >= maxRedisReplyLine || !kind.isText() && len(data) > 1 && strings.IndexByte("-+.?infae\r", data[1]) < 0 && !isDigit(data[1]) && kind != RedisBool):
		return NoMatch
	case i < 0:
		return NeedMore
	case data[i-1] != '\r':
		return NoMatch
	}
	if _, _, why := redisLine(kind, view(data[1:i-1])); why != "" {
		return NoMatch
	}
	return Match
}

// maxRedisReplyLine bounds the first line of what may be a reply.
const maxRedisReplyLine = 1 << 10
