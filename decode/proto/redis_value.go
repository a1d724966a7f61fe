package proto

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// RedisKind is the byte that a value begins with.
type RedisKind byte

// The kinds of value; those from RedisNull on are of version 3.
const (
	RedisSimple    RedisKind = '+'
	RedisError     RedisKind = '-'
	RedisInteger   RedisKind = ':'
	RedisBulk      RedisKind = '$'
	RedisArray     RedisKind = '*'
	RedisNull      RedisKind = '_'
	RedisBool      RedisKind = '#'
	RedisDouble    RedisKind = ','
	RedisBigNumber RedisKind = '('
	RedisBlobError RedisKind = '!'
	RedisVerbatim  RedisKind = '='
	RedisMap       RedisKind = '%'
	RedisSet       RedisKind = '~'
	RedisPush      RedisKind = '>'
	RedisAttribute RedisKind = '|'
)

// isText reports whether the kind is a line of text that may be anybody's.
func (k RedisKind) isText() bool { return k == RedisSimple || k == RedisError }

// isBulk reports whether a length and so many bytes follow.
func (k RedisKind) isBulk() bool { return k == RedisBulk || k == RedisBlobError || k == RedisVerbatim }

// isList reports whether a number and so many values follow.
func (k RedisKind) isList() bool { return strings.IndexByte("*%~>|", byte(k)) >= 0 }

// isPairs reports whether these values are keys with values.
func (k RedisKind) isPairs() bool { return k == RedisMap || k == RedisAttribute }

// redisKindNames are what JSON calls the kinds.
var redisKindNames = map[RedisKind]string{
	RedisSimple: "simple", RedisError: "error", RedisInteger: "integer", RedisBulk: "bulk", RedisArray: "array", RedisNull: "null",
	RedisBool: "boolean", RedisDouble: "double", RedisBigNumber: "big_number", RedisBlobError: "error", RedisVerbatim: "verbatim",
	RedisMap: "map", RedisSet: "set", RedisPush: "push", RedisAttribute: "attribute",
}

// RedisValue is a value, as far as it is kept.
type RedisValue struct {
	Kind RedisKind // 0 when nothing of it was seen
	Null bool      // of any kind
	// Text is how a string begins, or what another scalar says. Length counts the
	// bytes of the text in full; of a list its elements, of a map its pairs.
	Text   string
	Length int64
	// Values are the first elements of a list; of a map keys and values in turn.
	Values []RedisValue
}

// kind is what JSON calls it.
func (v *RedisValue) kind() string {
	if v.Null {
		return "null"
	}
	return redisKindNames[v.Kind]
}

// elements returns how many values a list has.
func (v *RedisValue) elements() int64 {
	if v.Kind.isPairs() {
		return 2 * v.Length
	}
	return v.Length
}

// whole reports whether all of it is kept, but for what is within its elements.
func (v *RedisValue) whole() bool {
	if v.Kind.isList() {
		return int64(len(v.Values)) == v.elements()
	}
	return int64(len(v.Text)) == v.Length
}

// appendWord appends a value as one word of a summary.
func (v *RedisValue) appendWord(dst []byte) []byte {
	switch {
	case v.Null:
		return append(dst, "(nil)"...)
	case v.Kind.isList():
		return fmt.Appendf(dst, "(%s of %d)", v.kind(), v.Length)
	case v.Kind == 0:
		return append(dst, '?')
	case v.Kind == RedisBool:
		return strconv.AppendBool(dst, v.Text == "t")
	}
	text := v.Text[:min(len(v.Text), maxRedisWord)]
	if text == "" || strings.ContainsAny(text, " \t\r\n\"") || !printable([]byte(text)) {
		dst = strconv.AppendQuote(dst, text)
	} else {
		dst = append(dst, text...)
	}
	if int64(len(text)) < v.Length {
		dst = fmt.Appendf(dst, "… (%d bytes)", v.Length)
	}
	return dst
}

// appendSummary appends a reply: its elements too, but not theirs, nor those that
// are secret.
func (v *RedisValue) appendSummary(dst []byte, secret func(i int) bool) []byte {
	switch {
	case v.Kind == 0:
		return append(dst, "part of a reply"...)
	case v.Null || !v.Kind.isList():
		if !v.Null && v.Kind.isText() && v.whole() && len(v.Text) <= maxRedisWord {
			return append(dst, v.Text...)
		}
		return v.appendWord(dst)
	}
	dst = fmt.Appendf(dst, "%s of %d:", v.kind(), v.Length)
	n := min(len(v.Values), maxRedisSummary)
	for i := range v.Values[:n] {
		dst = append(dst, ' ')
		if secret(i) {
			dst = append(dst, "***"...)
		} else {
			dst = v.Values[i].appendWord(dst)
		}
	}
	if int64(n) < v.elements() {
		dst = append(dst, "…"...)
	}
	return dst
}

// appendFields appends kind and value; what is not all kept has its length, and a
// preview in the value's place when it is a string.
func (v *RedisValue) appendFields(dst []byte) []byte {
	dst = append(dst, `"kind":`...)
	dst = AppendString(dst, v.kind())
	if v.Kind.isList() && !v.Null {
		dst = append(dst, `,"length":`...)
		dst = strconv.AppendInt(dst, v.Length, 10)
		dst = append(dst, `,"value":`...)
		if v.Kind.isPairs() {
			return appendRedisPairs(dst, v.Values)
		}
		return appendRedisList(dst, v.Values)
	}
	if !v.Null && !v.whole() {
		dst = append(dst, `,"length":`...)
		dst = strconv.AppendInt(dst, v.Length, 10)
		dst = append(dst, `,"preview":`...)
		return AppendString(dst, v.Text)
	}
	dst = append(dst, `,"value":`...)
	return v.appendScalar(dst)
}

// appendScalar appends what JSON has a form for: null, a number, a string.
func (v *RedisValue) appendScalar(dst []byte) []byte {
	switch {
	case v.Null, v.Kind == 0:
		return append(dst, "null"...)
	case v.Kind == RedisBool:
		return strconv.AppendBool(dst, v.Text == "t")
	case v.Kind == RedisInteger:
		if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
			return strconv.AppendInt(dst, n, 10)
		}
	case v.Kind == RedisDouble:
		if f, err := strconv.ParseFloat(v.Text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
	}
	return AppendString(dst, v.Text)
}

// appendValue appends an element: as it is when JSON has such a value, else as an
// object that says what it is.
func (v *RedisValue) appendValue(dst []byte) []byte {
	switch {
	case v.Null, !v.Kind.isList() && v.whole() && v.Kind != RedisError && v.Kind != RedisBlobError:
		return v.appendScalar(dst)
	case v.Kind == RedisArray && v.whole():
		return appendRedisList(dst, v.Values)
	}
	dst = append(dst, '{')
	dst = v.appendFields(dst)
	return append(dst, '}')
}

func appendRedisList(dst []byte, values []RedisValue) []byte {
	dst = append(dst, '[')
	for i := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = values[i].appendValue(dst)
	}
	return append(dst, ']')
}

// appendRedisPairs appends keys with their values as pairs: a key may be anything.
func appendRedisPairs(dst []byte, values []RedisValue) []byte {
	dst = append(dst, '[')
	for i := 0; i < len(values); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendRedisList(dst, values[i:min(i+2, len(values))])
	}
	return append(dst, ']')
}

// Bounds of what is read. Servers take strings of 512 MB and 1M arguments unless
// they are told otherwise, and lines of 64 KiB.
const (
	maxRedisBulk  = 1 << 40
	maxRedisCount = 1<<31 - 1
	maxRedisLine  = 64 << 10
	maxRedisDepth = 64
)

// Bounds of what is kept of a message: of one text, of all of them, and how many
// values.
const (
	maxRedisText   = 1 << 10
	maxRedisTexts  = 32 << 10
	maxRedisValues = 256
)

// redisValueCost is the size of a RedisValue.
const redisValueCost = 64

// redisLine judges the line that a value begins with: the number in it, -1 for
// null, redisStreamed when it is not known yet; and what is wrong.
func redisLine(kind RedisKind, line string) (number int64, null bool, why string) {
	switch {
	case kind.isBulk() || kind.isList():
		limit := int64(maxRedisCount)
		if kind.isBulk() {
			limit = maxRedisBulk
		}
		switch {
		case line == "-1" && (kind == RedisBulk || kind == RedisArray):
			return 0, true, ""
		case line == "?" && kind != RedisBlobError && kind != RedisVerbatim && kind != RedisAttribute && kind != RedisPush:
			return redisStreamed, false, ""
		}
		n, err := strconv.ParseUint(line, 10, 63)
		if err != nil || line[0] == '+' || int64(n) > limit {
			return 0, false, fmt.Sprintf("malformed length %.20q", line)
		}
		return int64(n), false, ""
	case kind == RedisInteger:
		if _, err := strconv.ParseInt(line, 10, 64); err != nil {
			return 0, false, fmt.Sprintf("malformed integer %.24q", line)
		}
	case kind == RedisDouble:
		if _, err := strconv.ParseFloat(line, 64); err != nil && !strings.Contains(err.Error(), strconv.ErrRange.Error()) || strings.ContainsAny(line, "xXpP_") {
			return 0, false, fmt.Sprintf("malformed double %.24q", line)
		}
	case kind == RedisBigNumber:
		if digits := strings.TrimLeft(line, "+-"); digits == "" || len(line) > len(digits)+1 || strings.Trim(digits, "0123456789") != "" {
			return 0, false, fmt.Sprintf("malformed number %.24q", line)
		}
	case kind == RedisBool:
		if line != "t" && line != "f" {
			return 0, false, fmt.Sprintf("malformed boolean %.24q", line)
		}
	case kind == RedisNull:
		if line != "" {
			return 0, false, fmt.Sprintf("malformed null %.24q", line)
		}
		return 0, true, ""
	case !kind.isText():
		return 0, false, fmt.Sprintf("%.1q begins no value", string([]byte{byte(kind)}))
	}
	return 0, false, ""
}

// redisStreamed is the length of what says itself where it ends.
const redisStreamed = -1

// redisReader reads values of one direction as their bytes come, and keeps the
// beginning of each.
type redisReader struct {
	command bool // only arrays of strings are values

	begun   bool // a value is in progress
	top     RedisValue
	about   *RedisValue // attributes of top
	open    []redisOpen // lists in progress, the innermost last
	scanned int         // bytes of the buffer without an end of line

	// The string in progress.
	inText   bool
	streamed bool        // it comes in chunks
	value    *RedisValue // nil when it is not kept
	left     int64       // bytes until its end or its chunk's, with the end of line
	length   int64
	text     []byte
	torn     bool // behind text something is missing

	values, texts int // what is kept
	missing       int64
}

// redisOpen is a list in progress.
type redisOpen struct {
	value     *RedisValue // nil when it is not kept
	pairs     bool
	attribute bool // it is no element of what it is in
	streamed  bool
	left      int64 // elements to come; when streamed, those that came
}

// reset makes it ready for the next value.
func (r *redisReader) reset() {
	*r = redisReader{command: r.command, open: r.open[:0], text: r.text[:0]}
}

// held returns how much memory the value has need of.
func (r *redisReader) held() int { return redisValueCost*(1+r.values) + r.texts }

// room returns how much the reader holds.
func (r *redisReader) room() int { return r.held() + len(r.text) + 32*len(r.open) }

// read goes on reading. It returns how many bytes it is done with, whether a value
// ends with them, and what is malformed.
func (r *redisReader) read(data []byte) (n int, done bool, why string) {
	for {
		var m int
		if r.inText {
			m, done, why = r.string(data[n:])
		} else {
			m, done, why = r.line(data[n:])
		}
		n += m
		if m == 0 || done || why != "" {
			return n, done, why
		}
	}
}

// line reads the line that a value begins with.
func (r *redisReader) line(data []byte) (n int, done bool, why string) {
	if len(data) == 0 {
		return 0, false, ""
	}
	kind := RedisKind(data[0])
	if why := r.allowed(kind); why != "" {
		return 0, false, why
	}
	i := bytes.IndexByte(data[r.scanned:min(len(data), maxRedisLine)], '\n')
	switch {
	case i < 0 && len(data) >= maxRedisLine:
		return 0, false, lineTooLong
	case i < 0:
		r.scanned = len(data)
		return 0, false, ""
	}
	i += r.scanned
	r.scanned = 0
	if data[i-1] != '\r' || i == 1 {
		return 0, false, "a line does not end with CR and LF"
	}
	line := view(data[1 : i-1])
	if kind == redisEnd || kind == redisChunk {
		done, why = r.special(kind, line)
	} else {
		done, why = r.begin(kind, line)
	}
	if why != "" {
		return 0, false, why
	}
	return i + 1, done, ""
}

// What is no value: a part of a string, and the end of a list, that are streamed.
const (
	redisChunk RedisKind = ';'
	redisEnd   RedisKind = '.'
)

// allowed says what is wrong with a value, or something else, of that kind here.
func (r *redisReader) allowed(kind RedisKind) string {
	depth := len(r.open)
	switch {
	case r.command && (depth == 0 && kind != RedisArray || depth > 0 && kind != RedisBulk):
		return "a command is an array of strings"
	case r.streamed != (kind == redisChunk):
		return "a part of a string is missing, or too many"
	case kind == redisEnd:
		if depth == 0 || !r.open[depth-1].streamed || r.open[depth-1].pairs && r.open[depth-1].left%2 != 0 {
			return "a list ends where it may not"
		}
	case kind != redisChunk && redisKindNames[kind] == "":
		return "what follows is no value"
	}
	return ""
}

// special reads a line that begins no value.
func (r *redisReader) special(kind RedisKind, line string) (done bool, why string) {
	if kind == redisEnd {
		if line != "" {
			return false, "a list ends where it may not"
		}
		o := &r.open[len(r.open)-1]
		if o.value != nil {
			if o.value.Length = o.left; o.pairs {
				o.value.Length /= 2
			}
		}
		o.streamed, o.left = false, 0
		return r.close(), ""
	}
	size, _, why := redisLine(RedisBlobError, line)
	if why != "" {
		return false, why
	}
	if size == 0 {
		return r.endString(), ""
	}
	r.inText, r.left = true, size+2
	return false, ""
}

// begin begins a value, of which a scalar ends too.
func (r *redisReader) begin(kind RedisKind, line string) (done bool, why string) {
	number, null, why := redisLine(kind, line)
	if why == "" && r.command && (null && len(r.open) > 0 || number == redisStreamed) {
		why = "a command is an array of strings"
	}
	if why == "" && kind.isList() && number != 0 && len(r.open) >= maxRedisDepth {
		why = fmt.Sprintf("lists are nested deeper than %d", maxRedisDepth)
	}
	if why != "" {
		return false, why
	}
	v := r.place(kind)
	r.begun = true
	if v != nil {
		*v = RedisValue{Kind: kind, Null: null, Length: max(number, 0)}
	}
	switch {
	case null:
	case kind.isBulk():
		r.value, r.length, r.text, r.torn = v, 0, r.text[:0], false
		if r.streamed = number == redisStreamed; !r.streamed {
			r.inText, r.left = true, number+2
		}
		return false, ""
	case kind.isList():
		o := redisOpen{v, kind.isPairs(), kind == RedisAttribute, number == redisStreamed, max(number, 0)}
		if o.pairs {
			o.left *= 2
		}
		if o.left > 0 || o.streamed {
			r.open = append(r.open, o)
			return false, ""
		}
		if o.attribute {
			return false, ""
		}
	case v != nil:
		v.Length, v.Text = int64(len(line)), r.keep(line)
	}
	return r.ended(), ""
}

// place returns where the next value is kept, nil when it is not.
func (r *redisReader) place(kind RedisKind) *RedisValue {
	if len(r.open) == 0 {
		if kind == RedisAttribute {
			r.about = new(RedisValue)
			r.values++
			return r.about
		}
		return &r.top
	}
	in := r.open[len(r.open)-1].value
	if in == nil || r.values >= maxRedisValues || kind == RedisAttribute {
		return nil
	}
	r.values++
	in.Values = append(in.Values, RedisValue{})
	return &in.Values[len(in.Values)-1]
}

// keep returns as much of a text as is kept.
func (r *redisReader) keep(text string) string {
	text = text[:min(len(text), maxRedisText, maxRedisTexts-r.texts)]
	r.texts += len(text)
	return strings.Clone(text)
}

// string reads on in a string, whose end is a line's end.
func (r *redisReader) string(data []byte) (n int, done bool, why string) {
	if content := min(r.left-2, int64(len(data))); content > 0 {
		n = int(content)
		r.content(data[:n])
	}
	for ; r.left <= 2 && n < len(data); n++ {
		if data[n] != "\n\r"[r.left-1] {
			return n, false, "a string is longer than its length says"
		}
		if r.left--; r.left == 0 {
			return n + 1, r.endPart(), ""
		}
	}
	return n, false, ""
}

// content takes what is in a string.
func (r *redisReader) content(data []byte) {
	r.left -= int64(len(data))
	r.length += int64(len(data))
	if room := maxRedisText - len(r.text); room > 0 && r.value != nil && !r.torn {
		r.text = append(r.text, data[:min(room, len(data))]...)
	}
}

// pass takes data when it is inside a string and nothing of it is kept.
func (r *redisReader) pass(data []byte) bool {
	if !r.inText || int64(len(data)) > r.left-2 || r.value != nil && !r.torn && len(r.text) < maxRedisText {
		return false
	}
	r.content(data)
	return true
}

// skip passes over n missing bytes when all of them are in one string, and reports
// whether the value ends with them.
func (r *redisReader) skip(n int64) (known, done bool) {
	if !r.inText || n > r.left {
		return false, false
	}
	r.missing += n
	r.torn = true
	content := min(n, max(r.left-2, 0))
	r.length += content
	r.left -= n
	return true, r.left == 0 && r.endPart()
}

// endPart ends a string, or a part of one.
func (r *redisReader) endPart() (done bool) {
	r.inText = false
	return !r.streamed && r.endString()
}

func (r *redisReader) endString() (done bool) {
	r.streamed = false
	r.letText()
	return r.ended()
}

// letText puts what was read of a string into the value.
func (r *redisReader) letText() {
	if r.value != nil {
		// The length is what was announced, if it was.
		r.value.Length, r.value.Text = max(r.value.Length, r.length), r.keep(view(r.text))
		r.value = nil
	}
	r.text = emptied(r.text)
}

// ended ends an element, and all lists that end with it; it reports whether
// nothing is left open.
func (r *redisReader) ended() (done bool) {
	if len(r.open) == 0 {
		return true
	}
	o := &r.open[len(r.open)-1]
	if o.streamed {
		o.left++
		return false
	}
	o.left--
	return r.close()
}

// close closes the innermost list when it is full, and those that are full then.
func (r *redisReader) close() (done bool) {
	for len(r.open) > 0 {
		o := r.open[len(r.open)-1]
		if o.streamed || o.left > 0 {
			return false
		}
		r.open = r.open[:len(r.open)-1]
		if o.attribute {
			return false // what it is about follows
		}
		if len(r.open) > 0 {
			if in := &r.open[len(r.open)-1]; in.streamed {
				in.left++
			} else {
				in.left--
			}
		}
	}
	return true
}
