package redact

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/memo"
	"netlab/decode/proto"
	"netlab/decode/rewrite"
)

// Search looks for secrets in what came out. It knows nothing of how they were replaced: it takes
// all bytes for whatever they may be, and looks for every secret that was found in the recording. A
// Search is a decode.Forker, whose pipeline keeps KeepBytes of each message; while its Parts are at
// work, one goroutine may have it look at packets, and at other things.
//
// What is too short, or is a word, stands in other places for its own reasons: it is not looked for.
// Nor is what is the pseudonym of another, as addresses of one network are.
type Search struct {
	*sought
	parts   []*Search // that were forked
	digests *memo.Digester
	text    []byte // what was read of a message
	found   []Find
	count   int64
	settled int    // finds that say where they are
	at      []spot // of the others
}

// sought is what all parts of a Search look for.
type sought struct {
	index *index // of secrets as they are, and in base64
	// emptyLines says that some secret has one.
	emptyLines      bool
	looked, omitted int
	clean           *memo.Memo[struct{}]
	key             []byte
}

// Find is a secret that was found.
type Find struct {
	Kind Kind
	// Where names what it is in, and Offset says where there, of what was decoded if Encoding
	// is not empty.
	Where    string
	Offset   int64
	Encoding string // "base64", "url", "json", or what a message has, as "gzip"
	// Shown is how it begins, for people to know it again.
	Shown string
}

// String is a line for people.
func (f Find) String() string {
	encoded := ""
	if f.Encoding != "" {
		encoded = ", decoded from " + f.Encoding
	}
	return fmt.Sprintf("a %s (%s) in %s, at %d%s", f.Kind, f.Shown, f.Where, f.Offset, encoded)
}

// spot is something that is looked through.
type spot struct {
	c        *flow.Conversation // nil for what is in none
	d        flow.Direction
	protocol string // of a message; empty for bytes as they come
	body     bool   // of that
	at       int64  // in the direction; or the number of a packet
	name     string // of what is no packet, either
}

// String names it for people, when the conversation has its number.
func (p *spot) String() string {
	switch {
	case p.c == nil && p.name != "":
		return p.name
	case p.c == nil:
		return fmt.Sprintf("packet %d", p.at)
	case p.protocol == "":
		return fmt.Sprintf("conversation %d, %s, from %d", p.c.ID, p.d, p.at)
	}
	body := ""
	if p.body {
		body = ", body"
	}
	return fmt.Sprintf("conversation %d, %s, %s at %d%s", p.c.ID, p.d, p.protocol, p.at, body)
}

// maxFinds bounds those that are kept; all are counted.
const maxFinds = 1000

// Search returns one for all that was learned.
func (z *Sanitizer) Search() *Search {
	z.learned()
	z.forget()
	s := &sought{index: z.index.encoded(), emptyLines: z.emptyLines, clean: memo.New[struct{}](z.limit), key: z.key}
	values, _ := z.dict.values()
	s.looked, s.omitted = s.index.count, values-s.index.count
	return s.search()
}

func (s *sought) search() *Search { return &Search{sought: s, digests: memo.NewDigester(s.key)} }

// Fork returns a Search through some of the conversations. What it finds is found.
func (s *Search) Fork() decode.Part {
	part := s.sought.search()
	s.parts = append(s.parts, part)
	return part
}

// Len, Write and Flush have nothing to do: finds are put in order at the end.
func (s *Search) Len() int { return 0 }

// Write does nothing.
func (s *Search) Write(int, int) error { return nil }

// Flush does nothing.
func (s *Search) Flush() error { return nil }

// Reset names the conversations of what was found, whose numbers are known now.
func (s *Search) Reset() {
	for i := range s.at {
		s.found[s.settled+i].Where = s.at[i].String()
	}
	s.settled, s.at = len(s.found), s.at[:0]
}

// Looked counts the secrets that are looked for, and those that are not.
func (s *Search) Looked() (looked, omitted int) { return s.looked, s.omitted }

// Found returns what was found, as far as it is kept, and how much that was in all.
func (s *Search) Found() ([]Find, int64) {
	s.Reset()
	found, count := s.found, s.count
	if len(s.parts) > 0 {
		found = slices.Clone(found)
		for _, part := range s.parts {
			more, n := part.Found()
			found, count = append(found, more...), count+n
		}
		slices.SortFunc(found, func(a, b Find) int {
			return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Encoding, b.Encoding))
		})
	}
	return found[:min(len(found), maxFinds)], count
}

// Exchange looks through the messages of an exchange: their bytes, what is in them without encodings
// and masks, and what is read of them, as names of DNS are.
func (s *Search) Exchange(e *proto.Exchange) error {
	for _, m := range e.Messages() {
		p := spot{c: e.Conversation, d: m.Direction, protocol: e.Protocol.Name, at: m.Offset}
		if m.Body != nil {
			s.text = m.Body.AppendJSON(s.text[:0])
			s.once(p, s.text, "what was read", 1)
		}
		switch b := m.Body.(type) {
		case *proto.HTTPMessage:
			s.http(p, m, b)
			continue
		case *proto.WebSocketFrame:
			if content, err := proto.WebSocketContent(m); err == nil {
				s.once(p, content, "websocket", 0)
			}
		case *proto.SMTPContent:
			if content, err := proto.MailContent(m, maxContent); err == nil {
				s.once(p, content, "mail", 0)
			}
		}
		s.once(p, m.Raw, "", 0)
	}
	return nil
}

// once looks at data, unless that was done with the same and there was nothing.
func (s *Search) once(p spot, data []byte, encoding string, depth int) {
	if len(data) < memo.Worth {
		s.bytes(p, data, encoding, depth)
		return
	}
	how := ""
	if depth > 0 {
		how = encoding
	}
	s.unless(data, func() { s.bytes(p, data, encoding, depth) }, how)
}

// unless looks at data, unless that was done with the same and there was nothing. What else that
// depends on is in how.
func (s *Search) unless(data []byte, look func(), how ...string) {
	k := s.digests.Of(data, how...)
	if _, ok := s.clean.Get(k); ok {
		return
	}
	before := s.count
	if look(); s.count == before {
		s.clean.Put(k, struct{}{}, 0)
	}
}

// http looks through a message of HTTP. The same bodies come with other heads, as there is a date
// in these: so each is looked at on its own.
func (s *Search) http(p spot, m *proto.Message, h *proto.HTTPMessage) {
	head, body := m.Raw, []byte(nil)
	if n := len(h.Head); len(m.Raw) > n {
		head, body = m.Raw[:n], m.Raw[n:]
		if s.maySpan(head, body) {
			head = m.Raw
		}
	}
	s.once(p, head, "", 0)
	if p.body = true; len(body) < memo.Worth {
		s.body(p, m, h, body)
		return
	}
	how := []string{"body"}
	if h.Chunked {
		how[0] = "chunked body"
	}
	if h.GRPC != nil {
		how[0] = "gRPC"
	}
	how = h.AppendEncodings(how)
	s.unless(body, func() { s.body(p, m, h, body) }, how...)
}

// body looks through the body of a message, as it is, without its chunks, and decoded.
func (s *Search) body(p spot, m *proto.Message, h *proto.HTTPMessage, body []byte) {
	if len(body) == 0 {
		return
	}
	s.bytes(p, body, "", 0)
	if h.GRPC != nil {
		s.grpc(p, body)
	}
	coding, coded := h.Get("Content-Encoding")
	if !coded && !h.Chunked {
		return
	}
	sent, err := proto.Transferred(m)
	if err != nil {
		return
	}
	if p.body = false; h.Chunked {
		s.bytes(p, sent, "chunks", 0)
	}
	if content, err := h.Decoded(sent, maxContent); err == nil && coded {
		s.bytes(p, content, coding, 0)
	}
}

// grpc looks through the messages of gRPC that are compressed.
func (s *Search) grpc(p spot, body []byte) {
	for {
		head, size, ok := grpcMessage(body)
		if !ok || size > len(body)-head {
			return
		}
		if how, content, ok := unpacked(body[head : head+size]); ok && body[0]&grpcCompressed != 0 {
			s.bytes(p, content, how, 0)
		}
		body = body[head+size:]
	}
}

// maySpan reports whether something that is looked for may be a part of both a head and the body behind
// it: it has an empty line, or lines of mail go on there.
func (s *Search) maySpan(head, body []byte) bool {
	line := bytes.TrimRight(head, "\r\n")
	n := 0
	for n < len(line) && n < mailLine && base64Byte[line[len(line)-1-n]] {
		n++
	}
	return s.emptyLines || n == mailLine && base64Byte[body[0]]
}

// Block looks through what is said in a header block of HTTP/2, which may be in Huffman's code, or in the block
// of another message.
func (s *Search) Block(c *flow.Conversation, d flow.Direction, at int64, fields []proto.HPACKField, _ bool) error {
	s.text = s.text[:0]
	for i := range fields {
		s.text = append(append(append(append(s.text, fields[i].Name...), ": "...), fields[i].Value...), "\r\n"...)
	}
	s.once(spot{c: c, d: d, protocol: "header block", at: at}, s.text, "hpack", 1)
	return nil
}

// Preface does nothing: all of it is known.
func (s *Search) Preface(*flow.Conversation, int64, int) error { return nil }

// Frame does nothing: what frames have comes with the exchanges, and with the packets.
func (s *Search) Frame(*flow.Conversation, flow.Direction, *proto.HTTP2Frame) error { return nil }

// Framed does nothing.
func (s *Search) Framed(*flow.Conversation, flow.Direction, int64, []byte) error { return nil }

// Stream looks through bytes as they come, whatever they mean.
func (s *Search) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	s.find(spot{c: c, d: d, at: k.Offset}, k.Data, "")
	return nil
}

// Gap does nothing: nothing is there.
func (s *Search) Gap(*flow.Conversation, flow.Direction, flow.Gap) error { return nil }

// Packet looks through the bytes of a packet as they are: what is decoded of them comes with the
// exchanges.
func (s *Search) Packet(number int64, data []byte) { s.find(spot{at: number}, data, "") }

// Bytes looks through data, and through what it is when it is decoded.
func (s *Search) Bytes(name string, data []byte) { s.bytes(spot{name: name}, data, "", 0) }

// maxDecoded bounds how often something is decoded.
const maxDecoded = 3

// within names an encoding in another.
func within(encoding, as string) string {
	if encoding != "" {
		return encoding + ", " + as
	}
	return as
}

// find takes note of all that is there.
func (s *Search) find(p spot, data []byte, encoding string) {
	for at := 0; ; {
		i, w := s.index.next(data, at)
		if w.secret == "" {
			return
		}
		s.count++
		if len(s.found) < maxFinds {
			as := encoding
			if w.encoded {
				as = within(encoding, "base64")
			}
			s.found = append(s.found, Find{w.kind, "", int64(i), as, shown(w.secret)})
			s.at = append(s.at, p)
		}
		at = i + 1
	}
}

func (s *Search) bytes(p spot, data []byte, encoding string, depth int) {
	s.find(p, data, encoding)
	if depth >= maxDecoded {
		return
	}
	if bytes.IndexByte(data, '%') >= 0 {
		s.bytes(p, unescaped(data), within(encoding, "url"), depth+1)
	}
	if bytes.IndexByte(data, '\\') >= 0 {
		s.bytes(p, unslashed(data), within(encoding, "json"), depth+1)
	}
	s.base64(p, data, within(encoding, "base64"), depth)
}

// unescaped decodes all %XX.
func unescaped(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c == '%' && i+2 < len(data) {
			if hi, lo := unhex(data[i+1]), unhex(data[i+2]); hi <= 15 && lo <= 15 {
				c = hi<<4 | lo
				i += 2
			}
		} else if c == '+' {
			c = ' '
		}
		out = append(out, c)
	}
	return out
}

// unslashed decodes all escapes of JSON.
func unslashed(data []byte) []byte {
	text := view(data)
	var out []byte
	for i := 0; i < len(text); {
		r, n, ok := jsonUnit(text[i:])
		switch {
		case !ok:
			n = 1
			out = append(out, text[i])
		case r < 0:
			out = append(out, text[i])
		default:
			out = append(out, string(r)...)
		}
		i += n
	}
	return out
}

// longRun is how long what may be base64 is that is decoded, to look into what is encoded in it. In
// what is shorter, only secrets as they are are looked for.
const longRun = 24

// base64 looks through what may be base64, from each of its characters on that another group of
// four may begin with. Lines of mail are one.
func (s *Search) base64(p spot, data []byte, encoding string, depth int) {
	for i := 0; i < len(data); {
		if !base64Byte[data[i]] {
			i++
			continue
		}
		from := i
		for i < len(data) && (base64Byte[data[i]] || i-from >= mailLine && (data[i] == '\r' || data[i] == '\n')) {
			i++
		}
		if i-from < longRun || isBlank(data[from:i]) {
			continue
		}
		run := make([]byte, 0, i-from)
		for _, c := range data[from:i] {
			switch c {
			case '-':
				c = '+'
			case '_':
				c = '/'
			case '\r', '\n':
				continue
			}
			run = append(run, c)
		}
		b := make([]byte, base64.RawStdEncoding.DecodedLen(len(run)))
		for skip := range 4 {
			part := run[skip:]
			if len(part)%4 == 1 {
				part = part[:len(part)-1]
			}
			n, _ := base64.RawStdEncoding.Decode(b, part)
			s.bytes(p, b[:n], encoding, max(depth+1, maxDecoded-1))
		}
	}
}

// mailLine is how long a line is at least that goes on in the next.
const mailLine = 60

// base64Byte are the characters of base64.
var base64Byte = func() (t [256]bool) {
	for c := range t {
		t[c] = isAlnum(byte(c)) || strings.IndexByte("+/-_", byte(c)) >= 0
	}
	return t
}()

// isBlank reports whether a run is what takes the place of what is blanked.
func isBlank(run []byte) bool {
	for _, c := range run {
		if c != rewrite.Filler {
			return false
		}
	}
	return true
}

// shown is how a secret begins, with its length.
func shown(v string) string {
	return fmt.Sprintf("%s…, %d characters", url.QueryEscape(v[:min(2, len(v))]), len(v))
}
