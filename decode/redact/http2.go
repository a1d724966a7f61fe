package redact

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/rewrite"
)

// HTTP/2 (RFC 9113) keeps its frames: each stays where it is, with its type, flags and
// stream. Header blocks say what they said in the same forms, with the same entries of
// the table, of other fields (http2_head.go); content is divided among the frames that it
// came in (http2_body.go). Where a head says how long its content is, it waits for that,
// and what is behind it waits too, up to a bound: then what is not whole is blanked.

// maxHTTP2Held bounds what waits of a direction, and http2FrameCost is about what a frame
// takes beside its bytes.
const (
	maxHTTP2Held   = 8 << 20
	http2FrameCost = 256
)

// http2Window is that of a connection and of each stream until something else is said
// (RFC 9113, section 6.9.2).
const http2Window = 1<<16 - 1

// http2Side is one direction of a connection.
type http2Side struct {
	table   proto.HPACKTable // of who reads what comes out
	streams map[uint32]*http2Message
	queue   []*http2Item // what is not told yet, in order
	held    int

	block []http2Part // frames of a header block that goes on
	now   *http2Item  // a frame that passes, of which is left
	left  int
	next  int64 // where it goes on

	window  http2Budget
	initial int64 // of streams
}

// http2Part is a frame: what is before its content, that, and padding.
type http2Part struct {
	at      int64
	head    []byte
	content []byte // of a header block; else it is the message's
	size    int    // of the content
	pad     int
	dirty   bool // the padding is not all zeros, as it has to be
}

func (p *http2Part) length() int { return len(p.head) + p.size + p.pad }
func (p *http2Part) typ() byte   { return p.head[3] }

// http2Item is a frame, or those of a header block, that may have to wait.
type http2Item struct {
	parts   []http2Part
	head    *http2Head    // of a header block
	message *http2Message // whose head or content it is, if that has to wait
	from    int64         // of the content
	passing bool          // not all of it was seen
	seen    int           // of the content of one of which some is missing
	with    []byte        // the content, when it is no message's
	blank   bool          // which is blanked
}

// newHTTP2Part is of a frame whose payload begins with other things than its content.
func newHTTP2Part(f *proto.HTTP2Frame, before []byte, size, pad int) http2Part {
	head := make([]byte, proto.HTTP2HeaderLen, proto.HTTP2HeaderLen+len(before))
	putHTTP2Length(head, f.Length)
	head[3], head[4] = f.Type, f.Flags
	binary.BigEndian.PutUint32(head[5:], f.Stream)
	return http2Part{at: f.Offset, head: append(head, before...), size: size, pad: pad}
}

func putHTTP2Length(head []byte, n int) { head[0], head[1], head[2] = byte(n>>16), byte(n>>8), byte(n) }

// http2 returns what is known of a direction.
func (x *Reading) http2(c *flow.Conversation, d flow.Direction) *http2Side {
	lines := x.of(c)
	if lines[d].http2 == nil {
		for i := range lines {
			lines[i].http2 = &http2Side{
				table: proto.NewHPACKTable(), streams: make(map[uint32]*http2Message), initial: http2Window, window: http2Budget{may: http2Window},
			}
		}
	}
	return lines[d].http2
}

// Preface takes note that the client's is understood.
func (x *Reading) Preface(c *flow.Conversation, at int64, size int) error {
	d := flow.ClientToServer
	s := x.http2(c, d)
	x.queue(c, d, s, &http2Item{parts: []http2Part{{at: at, head: []byte(proto.HTTP2Preface[:size])}}})
	return nil
}

// Frame takes a frame.
func (x *Reading) Frame(c *flow.Conversation, d flow.Direction, f *proto.HTTP2Frame) error {
	s := x.http2(c, d)
	x.abandon(s)
	if len(s.block) > 0 && f.Type != proto.HTTP2Continuation {
		x.unblock(c, d, s)
	}
	switch {
	case f.Type == proto.HTTP2Data:
		x.content(c, d, s, f)
	case f.Passes:
		x.opaque(c, d, s, f)
	case f.Type == proto.HTTP2Headers, f.Type == proto.HTTP2PushPromise, f.Type == proto.HTTP2Continuation:
		fragment, skip, ok := f.Fragment()
		if !ok || f.Type == proto.HTTP2Continuation && len(s.block) == 0 {
			x.fill(c, d, s, f)
			break
		}
		p := newHTTP2Part(f, f.Payload[:skip], len(fragment), f.Length-skip-len(fragment))
		p.content, p.dirty = slices.Clone(fragment), !isZero(f.Payload[skip+len(fragment):])
		s.block = append(s.block, p)
	default:
		x.control(c, d, s, f)
	}
	return nil
}

// Framed takes what passes of the payload of a frame.
func (x *Reading) Framed(c *flow.Conversation, d flow.Direction, at int64, data []byte) error {
	s := x.http2(c, d)
	if s.now == nil {
		return nil
	}
	if at != s.next || len(data) > s.left {
		x.abandon(s)
		return nil
	}
	i, p := s.now, &s.now.parts[0]
	n := max(0, min(len(data), s.left-p.pad))
	if i.message != nil {
		x.receive(s, i.message, data[:n])
	} else if i.with != nil {
		i.with = append(i.with, data[:n]...)
	}
	p.dirty = p.dirty || !isZero(data[n:])
	s.next += int64(len(data))
	if s.left -= len(data); s.left == 0 {
		x.passed(c, d, s)
	}
	return nil
}

// passes begins a frame that passes.
func (x *Reading) passes(c *flow.Conversation, d flow.Direction, s *http2Side, i *http2Item) {
	p := &i.parts[0]
	s.now, s.left, s.next = i, p.size+p.pad, p.at+int64(len(p.head))
	i.passing = true
	x.queue(c, d, s, i)
	if s.left == 0 {
		x.passed(c, d, s)
	}
}

// passed ends one.
func (x *Reading) passed(c *flow.Conversation, d flow.Direction, s *http2Side) {
	i := s.now
	s.now, i.passing = nil, false
	if i.with != nil {
		i.with = http2Extension(i.parts[0].typ(), i.with)
	}
	if m := i.message; m != nil {
		if i.parts[0].head[4]&proto.HTTP2EndStream != 0 {
			x.finish(s, m, true)
		} else {
			x.proceed(s, m)
		}
	}
	x.tell(c, d, s)
}

// abandon leaves a frame of which some is missing: what was seen of its content is not told, so
// it is blanked.
func (x *Reading) abandon(s *http2Side) {
	i := s.now
	if i == nil {
		return
	}
	s.now, i.passing = nil, false
	p := &i.parts[0]
	p.size, p.pad, i.with = 0, 0, nil
	if m := i.message; m != nil {
		i.seen = int(m.received - i.from)
		x.finish(s, m, false)
	}
}

// opaque has a frame that is not known pass.
func (x *Reading) opaque(c *flow.Conversation, d flow.Direction, s *http2Side, f *proto.HTTP2Frame) {
	i := &http2Item{parts: []http2Part{newHTTP2Part(f, nil, f.Length, 0)}}
	switch f.Type {
	case http2AltSvc, http2Origin, http2PriorityUpdate:
		if f.Length <= maxHTTP2Extension {
			i.with = make([]byte, 0, f.Length)
			break
		}
		fallthrough
	default:
		i.blank = true
		x.blanks("a frame of HTTP/2 that is not understood", f.Length)
	}
	x.passes(c, d, s, i)
}

// fill blanks the payload of a frame that is malformed.
func (x *Reading) fill(c *flow.Conversation, d flow.Direction, s *http2Side, f *proto.HTTP2Frame) {
	x.blanks("a malformed frame of HTTP/2", f.Length)
	x.queue(c, d, s, &http2Item{parts: []http2Part{newHTTP2Part(f, nil, f.Length, 0)}, blank: true})
}

// unblock blanks frames of a header block that has no end.
func (x *Reading) unblock(c *flow.Conversation, d flow.Direction, s *http2Side) {
	parts := s.block
	s.block = nil
	for _, p := range parts {
		x.blanks("a header block of HTTP/2 that has no end", p.size)
		x.queue(c, d, s, &http2Item{parts: []http2Part{p}, blank: true})
	}
}

// blanks counts what is blanked.
func (x *Reading) blanks(why string, n int) {
	if x.f.editing() && n > 0 {
		x.f.z.blank(why, int64(n))
	}
}

// The frames of extensions that are known, and how long one of them may be: ALTSVC (RFC 7838), ORIGIN
// (RFC 8336), PRIORITY_UPDATE (RFC 9218).
const (
	http2AltSvc, http2Origin, http2PriorityUpdate = 0x0a, 0x0c, 0x10

	maxHTTP2Extension = 16 << 10
)

// http2Extension is the payload of such a frame with nothing said in it: names of length 0, or no
// priority at all. A priority that is only one stays.
func http2Extension(typ byte, b []byte) []byte {
	out := make([]byte, len(b))
	if typ != http2PriorityUpdate {
		return out
	}
	const idLen = 4
	plain := true
	for i, c := range b {
		switch {
		case i < idLen:
			out[i] = c
		case c >= '0' && c <= '7', c == 'u', c == 'i', c == '=', c == ',', c == ' ', c == '?':
			out[i] = c
		default:
			plain = false
		}
	}
	const longest = idLen + len("u=7, i=?1") + 2
	for i := idLen; i < len(out) && (!plain || len(b) > longest); i++ {
		out[i] = ' '
	}
	return out
}

// Settings of RFC 9113, section 6.5.2, and those of RFC 8441 and RFC 9218: what they are set to are numbers
// that say how to talk.
const (
	firstSetting, lastSetting     = 1, 6
	settingConnect, settingNoPrio = 8, 9
	settingInitialWindow          = 4
	settingLen                    = 6
)

// goAwayLen is what is before the debug data of GOAWAY.
const goAwayLen = 8

// control changes a frame that is looked at whole.
func (x *Reading) control(c *flow.Conversation, d flow.Direction, s *http2Side, f *proto.HTTP2Frame) {
	now := slices.Clone(f.Payload)
	other := x.http2(c, d.Reverse())
	switch f.Type {
	case proto.HTTP2Settings:
		for b := now; len(b) >= settingLen; b = b[settingLen:] {
			id := binary.BigEndian.Uint16(b)
			if id == settingInitialWindow {
				other.resize(int64(binary.BigEndian.Uint32(b[2:])))
			}
			if (id < firstSetting || id > lastSetting) && id != settingConnect && id != settingNoPrio {
				binary.BigEndian.PutUint32(b[2:], 0)
			}
		}
	case proto.HTTP2Ping:
		clear(now) // its answer is the same
	case proto.HTTP2GoAway:
		x.blanks("what is said in GOAWAY beside the code", len(now)-goAwayLen)
		rewrite.Fill(now[min(goAwayLen, len(now)):])
	case proto.HTTP2WindowUpdate:
		n := int64(binary.BigEndian.Uint32(now) & math.MaxInt32)
		if m := other.streams[f.Stream]; m != nil {
			m.window.may += n
		} else if f.Stream == 0 {
			other.window.may += n
		}
	case proto.HTTP2RstStream:
		for _, side := range []*http2Side{s, other} {
			if m := side.streams[f.Stream]; m != nil {
				x.finish(side, m, false)
			}
		}
		x.tell(c, d.Reverse(), other)
	}
	x.queue(c, d, s, &http2Item{parts: []http2Part{newHTTP2Part(f, nil, f.Length, 0)}, with: now})
}

// resize has streams have another window.
func (s *http2Side) resize(to int64) {
	for _, m := range s.streams {
		m.window.may += to - s.initial
	}
	s.initial = to
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// queue has something told when what is before it is, and it need not wait.
func (x *Reading) queue(c *flow.Conversation, d flow.Direction, s *http2Side, i *http2Item) {
	s.queue = append(s.queue, i)
	s.held += i.cost()
	for s.held > maxHTTP2Held && len(s.queue) > 0 { // the first is what all others wait for
		m := s.queue[0].message
		if m == nil || s.queue[0].passing {
			break
		}
		x.giveUp(s, m, "an HTTP body for which too much has to wait")
		x.tell(c, d, s)
	}
	x.tell(c, d, s)
}

// cost is about what an item takes, without what its message holds.
func (i *http2Item) cost() int {
	n := len(i.with)
	for k := range i.parts {
		n += http2FrameCost + len(i.parts[k].head) + len(i.parts[k].content)
	}
	if i.head != nil {
		n += i.head.cost()
	}
	return n
}

// ready reports whether it is known what becomes of an item.
func (i *http2Item) ready() bool {
	switch m := i.message; {
	case i.passing:
		return false
	case m == nil:
		return true
	case i.head != nil:
		return m.settled
	default:
		return m.done || i.from+int64(i.parts[0].size) <= m.judged
	}
}

// tell tells what is ready.
func (x *Reading) tell(c *flow.Conversation, d flow.Direction, s *http2Side) {
	n := 0
	for ; n < len(s.queue) && s.queue[n].ready(); n++ {
		i := s.queue[n]
		s.held -= i.cost()
		switch {
		case i.head != nil:
			x.tellBlock(c, d, s, i)
		case i.message != nil:
			p := &i.parts[0]
			content := i.message.take(s, i.from+int64(p.size+i.seen))
			if i.seen > 0 {
				content = nil
			}
			x.tellPart(c, d, p, content)
		default:
			x.tellPlain(c, d, i)
		}
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// tellPlain tells of a frame that has its length whatever becomes of it.
func (x *Reading) tellPlain(c *flow.Conversation, d flow.Direction, i *http2Item) {
	if !x.f.editing() {
		return
	}
	p := &i.parts[0]
	x.f.changes = x.f.changes[:0]
	from, to := len(p.head), len(p.head)+p.size
	switch {
	case i.blank && p.size > 0:
		x.f.changes = append(x.f.changes, change{from: from, to: to, blank: true})
	case len(i.with) > 0:
		x.f.changes = append(x.f.changes, change{from: from, to: to, with: view(i.with)})
	}
	if p.dirty {
		x.f.changes = append(x.f.changes, change{from: to, to: to + p.pad, with: view(make([]byte, p.pad))})
	}
	x.add(c, d, p.at, int64(p.length()))
}

// tellPart tells of a frame that has other content.
func (x *Reading) tellPart(c *flow.Conversation, d flow.Direction, p *http2Part, content []http2Judged) {
	if !x.f.editing() {
		return
	}
	x.f.changes = x.f.changes[:0]
	same := !p.dirty // in length
	for i := range content {
		same = same && content[i].size == content[i].now()
	}
	at := len(p.head)
	for i := range content {
		if !same {
			break
		}
		k := &content[i]
		if k.blank {
			x.f.changes = append(x.f.changes, change{from: at, to: at + k.size, blank: true})
		} else if a, b := differing(k.was, k.is); a < b {
			x.f.changes = append(x.f.changes, change{from: at + a, to: at + b, with: view(k.is[a:b])})
		}
		at += k.size
	}
	if !same {
		x.f.changes = append(x.f.changes, change{from: 0, to: p.length(), with: view(p.frames(joined(content)))})
	}
	x.add(c, d, p.at, int64(p.length()))
}

// differing returns between which offsets two texts of one length differ.
func differing(a, b []byte) (from, to int) {
	if string(a) == string(b) {
		return 0, 0
	}
	to = len(a)
	for a[from] == b[from] {
		from++
	}
	for a[to-1] == b[to-1] {
		to--
	}
	return from, to
}

// joined is what takes the place of parts.
func joined(content []http2Judged) []byte {
	var out []byte
	for i := range content {
		if k := &content[i]; k.blank {
			out = append(out, make([]byte, k.size)...)
			rewrite.Fill(out[len(out)-k.size:])
		} else {
			out = append(out, k.is...)
		}
	}
	return out
}

// frames is the frame with other content; if that is more than a frame may have, with others
// behind it.
func (p *http2Part) frames(content []byte) []byte {
	ends, more := byte(proto.HTTP2EndHeaders), byte(proto.HTTP2Continuation)
	if p.typ() == proto.HTTP2Data {
		ends, more = proto.HTTP2EndStream, proto.HTTP2Data
	}
	before := len(p.head) - proto.HTTP2HeaderLen
	n := min(len(content), max(proto.HTTP2FrameSize, before+p.size+p.pad)-before-p.pad)
	out := slices.Clone(p.head)
	putHTTP2Length(out, before+n+p.pad)
	end := p.head[4] & ends
	if n < len(content) {
		out[4] &^= ends
	}
	out = append(append(out, content[:n]...), make([]byte, p.pad)...)
	for content = content[n:]; len(content) > 0; content = content[n:] {
		n = min(len(content), proto.HTTP2FrameSize)
		head := slices.Clone(p.head[:proto.HTTP2HeaderLen])
		putHTTP2Length(head, n)
		head[3], head[4] = more, 0
		if n == len(content) {
			head[4] = end
		}
		out = append(append(out, head...), content[:n]...)
	}
	return out
}

// endHTTP2 has all be told of a conversation that is over.
func (x *Reading) endHTTP2(c *flow.Conversation, lines *[2]line) {
	for i := range lines {
		s, d := lines[i].http2, flow.Direction(i)
		if s == nil {
			return
		}
		x.abandon(s)
		x.unblock(c, d, s)
		for _, id := range slices.Sorted(maps.Keys(s.streams)) { // in an order, as they spend one budget
			m := s.streams[id]
			x.finish(s, m, m.declared >= 0 && m.declared == m.received)
		}
		x.tell(c, d, s)
	}
}
