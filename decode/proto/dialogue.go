package proto

import (
	"bytes"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// MaxBuffered bounds the bytes of one direction that a parser may leave for
// later: the head of a message must fit. Browsers and servers stop at 8 to 256
// KiB.
const MaxBuffered = 1 << 20

// MaxWaiting bounds the requests of a conversation that wait for a response.
const MaxWaiting = 4096

// Receiver takes what a Dialogue finds.
type Receiver interface {
	// Exchange gets each exchange once, when nothing more can belong to it. It is
	// the Receiver's own, unless there is Options.Spare.
	Exchange(*Exchange)
	// Anomaly gets what is odd.
	Anomaly(flow.Anomaly)
}

// Listener is a Receiver that is told of each request as soon as it is whole. Its
// exchange comes when it is answered.
type Listener interface {
	Request(*Message)
}

// Options of a Dialogue.
type Options struct {
	// Keep is how many bytes of each message to keep in Message.Raw; 0 keeps
	// none.
	Keep int64
	// Protocol is what the conversation speaks; nil finds it from the bytes.
	Protocol *Protocol
	// Spare, if any, has what is handed on used again, once it is handed on.
	Spare *Spare
	// With is Waiting.With of Protocol.
	With string
	// Secrets are what opens encrypted connections; nil when there are none.
	Secrets *tls.Secrets
	// Framer, if any, is shown the frames of HTTP/2.
	Framer Framer
}

// Dialogue turns the ordered bytes of a conversation into exchanges. Thousands are
// live at once, each with little to say: what a packet within a body touches
// stands together, in few cache lines.
type Dialogue struct {
	passer   passer    // the parser, if it is one
	protocol *Protocol // nil until found
	held     int       // what Held returns
	calm     bool      // passer is there, and nothing is buffered
	stale    bool      // held and calm are not true any more
	ended    [2]bool   // by End and Close
	told     [2]bool   // the parser was told that it ended
	opts     Options
	sides    [2]side

	conv     *flow.Conversation
	out      Receiver
	parser   Parser
	keeper   keeper // the parser, if it keeps much
	shelf    *shelf // of the protocol in opts.Spare, if any
	waiting  []*Exchange
	early    []*Message // answers to a request that is not all there yet
	count    int        // exchanges begun
	finals   int        // final responses seen
	interims int        // interim ones since the last of them
	kept     int        // what waiting and early hold
	gaps     [2]span    // the last gap of each direction, for pairing
	opening  opening    // what came before the protocol was found
	idle     idleParser
	shown    [2]Mark // of what is shown when nothing was left before it, for At
	with     string
	inner    *layer // what the parser carries, if it does
	outer    *Dialogue
}

// side is what a Dialogue knows of one direction.
type side struct {
	last   Mark    // of the last byte that the parser took, and when all before it was there
	length int64   // bytes of the message in progress
	offset int64   // of what the parser is shown next
	buf    []byte  // left by the parser
	marks  []Mark  // where buf's bytes came from, oldest first; none without buf
	raw    []byte  // the beginning of the message in progress, when it is kept
	digest *digest // of all of it, when that is more
	pauses int     // in the message in progress
	start  Mark    // of the first byte of the message in progress
	busy   bool    // run is at it
	wide   bool    // buf has room for a large record, whatever it holds
}

// span is a part of a stream.
type span struct{ start, end int64 }

// Mark says where the bytes from an offset on came from: which packet brought them,
// when, and how much its sender had of the other direction.
type Mark struct {
	Offset int64
	Time   time.Time
	Packet int64
	Ack    int64
}

// opening is what waits for the protocol to be found, MaxOpening bytes at most
// and what comes with the last of them.
type opening struct {
	events []held // in order
	bytes  int
	first  [2][]byte // as a Probe is shown them
	behind [2]bool   // a gap is behind first
	// serverFirst is Opening.ServerFirst.
	serverFirst bool
}

// held is an event that waits for the protocol to be found.
type held struct {
	d     flow.Direction
	chunk flow.Chunk // owned; when the others are zero
	gap   flow.Gap
	end   bool
}

// add keeps an event. Which bytes are looked at does not depend on how they were
// cut: the first MaxOpening, without those behind a gap.
func (o *opening) add(h held) {
	if h.gap.Length > 0 {
		// What follows a gap is no beginning, unless it is all there is.
		o.behind[h.d] = o.behind[h.d] || len(o.first[h.d]) > 0
		for i := len(o.events) - 1; i >= 0 && o.events[i].gap.Length > 0; i-- {
			if o.events[i].d == h.d { // so that gaps do not pile up
				o.events[i].gap.Length += h.gap.Length
				return
			}
		}
	} else if room := MaxOpening - o.bytes; room > 0 && !o.behind[h.d] {
		o.serverFirst = o.serverFirst || h.d == flow.ServerToClient && len(h.chunk.Data) > 0 && len(o.first[flow.ClientToServer]) == 0
		o.first[h.d] = append(o.first[h.d], h.chunk.Data[:min(room, len(h.chunk.Data))]...)
	}
	o.bytes += len(h.chunk.Data)
	o.events = append(o.events, h)
}

// NewDialogue returns a Dialogue of conv that hands on to out.
func NewDialogue(conv *flow.Conversation, out Receiver, opts Options) *Dialogue {
	g := new(Dialogue)
	g.Renew(conv, out, opts, 0)
	return g
}

// Renew makes g the Dialogue of a conversation anew, which is to count its
// exchanges from count on.
func (g *Dialogue) Renew(conv *flow.Conversation, out Receiver, opts Options, count int) {
	if g.again(conv, out, opts, count) {
		return
	}
	if g.conv != nil {
		g.forget()
	}
	g.conv, g.out, g.opts, g.count, g.stale = conv, out, opts, count, true
	if opts.Protocol != nil {
		g.speak(opts.Protocol, opts.With)
	}
}

// again does what Renew does when g was Idle and goes on with the same protocol, as is
// usual where many datagrams are: little of it has to be set then. Of all else it
// reports false, and has done nothing with it.
func (g *Dialogue) again(conv *flow.Conversation, out Receiver, opts Options, count int) bool {
	if g.conv == nil || opts.Protocol != g.protocol || opts.With != g.with || conv.Protocol == "" || conv.Transport() != flow.UDP || !g.Idle() {
		return false
	}
	p, ok := g.parser.(resetter)
	if !ok {
		return false
	}
	g.conv, g.out, g.opts, g.count, g.stale = conv, out, opts, count, true
	g.finals, g.interims = 0, 0
	for i := range g.sides {
		g.sides[i].offset, g.sides[i].length = 0, 0
	}
	p.Reset(g)
	return true
}

// Clear lets go of all memory but a little with which Renew makes g the Dialogue of
// another conversation.
func (g *Dialogue) Clear() {
	if !g.Idle() {
		g.forget()
		return
	}
	g.waiting, g.early = emptied(g.waiting), emptied(g.early)
	for i := range g.sides {
		s := &g.sides[i]
		s.buf, s.marks, s.raw = emptied(s.buf), emptied(s.marks), emptied(s.raw)
	}
}

// forget makes g a new one, but for some memory.
func (g *Dialogue) forget() {
	if p, ok := g.parser.(resetter); ok {
		p.Reset(g)
		g.idle = idleParser{g.protocol, p}
	}
	waiting, early, idle := emptied(g.waiting), emptied(g.early), g.idle
	var memory [2]side
	for i := range g.sides {
		s := &g.sides[i]
		memory[i].buf, memory[i].marks, memory[i].raw = emptied(s.buf), emptied(s.marks), emptied(s.raw)
	}
	*g = Dialogue{sides: memory, waiting: waiting, early: early, idle: idle}
}

// maxIdle bounds the bytes of each buffer that is kept for later: the usual head
// fits.
const maxIdle = 4 << 10

// emptied returns the memory of a slice that is done with, unless it is large.
func emptied[E any](s []E) []E {
	var e E
	if uintptr(cap(s))*unsafe.Sizeof(e) > maxIdle {
		return nil
	}
	clear(s)
	return s[:0]
}

// trimmed returns s without memory that it has far too much of, beside some room.
func trimmed[E any](s []E, room int) []E {
	if cap(s) > 4*len(s)+room {
		return slices.Clone(s)
	}
	return s
}

// idleParser is a parser that a conversation is done with.
type idleParser struct {
	protocol *Protocol
	parser   resetter
}

// resetter is a Parser that can be made the parser of another conversation.
type resetter interface {
	Parser
	Reset(Waiting)
}

// Idle reports whether g holds nothing: one that is new, of the same protocol, is
// as good for what comes next.
func (g *Dialogue) Idle() bool {
	p := g.protocol
	if g.conv.Transport() != flow.UDP || p == nil || !p.AnyStart && p != &Raw || len(g.waiting)+len(g.early) > 0 {
		return false
	}
	for i := range g.sides {
		if len(g.sides[i].buf) > 0 || len(g.sides[i].raw) > 0 {
			return false
		}
	}
	return true
}

// Warm reads a little of what the next bytes need; see flow.Entry.
func (g *Dialogue) Warm() uint64 {
	return uint64(g.held) + uint64(g.sides[0].length+g.sides[1].length) + uint64(len(g.sides[1].raw)+len(g.waiting)+g.count)
}

// Count returns how many exchanges were begun.
func (g *Dialogue) Count() int { return g.count }

// Conversation returns who talks.
func (g *Dialogue) Conversation() *flow.Conversation { return g.conv }

// Protocol returns what the conversation speaks; nil when it is not known yet.
func (g *Dialogue) Protocol() *Protocol { return g.protocol }

// Answers returns how many final responses were seen, and how many interim ones
// behind the last of them.
func (g *Dialogue) Answers() (finals, interims int) { return g.finals, g.interims }

// speak makes p the protocol from here on.
func (g *Dialogue) speak(p *Protocol, with string) {
	g.stale = true
	g.protocol, g.shelf, g.with = p, g.opts.Spare.shelf(p), with
	if g.idle.protocol == p {
		g.idle.parser.Reset(g)
		g.parser, g.idle = g.idle.parser, idleParser{}
	} else {
		g.parser = p.New(g)
	}
	g.keeper, _ = g.parser.(keeper)
	g.passer, _ = g.parser.(passer)
	g.inner = nil
	if c, ok := g.parser.(carrier); ok {
		g.inner = g.begun(c)
	}
	if g.conv.Protocol == "" || g.conv.Protocol == Raw.Name || g.outer != nil && p != &Raw {
		g.conv.Protocol = p.Name
	}
}

// Chunk adds the next bytes of a direction.
func (g *Dialogue) Chunk(d flow.Direction, c flow.Chunk) {
	if g.passes(d, &c) {
		return
	}
	g.ended[d] = false // if it was, that was a lie
	switch {
	case g.protocol != nil:
		g.add(d, &c)
	case g.tells(d, c.Data):
		g.add(d, &c)
	default:
		c.Data = bytes.Clone(c.Data)
		g.hold(held{d: d, chunk: c})
	}
	if g.protocol == nil {
		g.find()
	}
}

// passes does what Chunk does when c is within a body, and the parser knows that
// without a look. It reports false of all else, with which it has done nothing.
func (g *Dialogue) passes(d flow.Direction, c *flow.Chunk) bool {
	if g.stale {
		g.settle()
	}
	if !g.calm || !g.passer.Pass(d, c.Data) {
		return false
	}
	s := &g.sides[d]
	g.ended[d], g.told[d] = false, false
	at := Mark{c.Offset, c.Time, c.Packet, c.Ack}
	if g.opts.Keep > 0 {
		s.paused(at.Time)
		g.keep(d, c.Data, nil)
	} else {
		s.length += int64(len(c.Data))
	}
	s.reach(at)
	s.offset = c.Offset + int64(len(c.Data))
	return true
}

// tells reports whether the very first bytes tell the protocol, which is spoken
// from here on: there is no need to hold them.
func (g *Dialogue) tells(d flow.Direction, data []byte) bool {
	if len(g.opening.events) > 0 || g.ended[d.Reverse()] || len(data) == 0 {
		return false
	}
	o := Opening{Transport: flow.TCP, ServerFirst: d == flow.ServerToClient}
	o.First[d] = data[:min(len(data), MaxOpening)]
	if len(data) >= MaxOpening {
		o.Ended = [2]bool{true, true}
	}
	p := Find(o)
	if p != nil {
		g.speak(p, g.with)
	}
	return p != nil
}

// hold keeps an event for when the protocol is found.
func (g *Dialogue) hold(h held) {
	g.stale = true
	g.opening.add(h)
}

// Datagram adds one datagram of a direction, which ends where it ends. Cut says
// how many bytes of it were cut off.
func (g *Dialogue) Datagram(d flow.Direction, c *flow.Chunk, cut int) {
	g.stale = true
	if g.protocol == nil {
		o := Opening{Transport: flow.UDP, Ended: [2]bool{true, true}}
		o.First[d] = c.Data
		g.speak(Find(o), "")
	}
	s := &g.sides[d]
	s.offset, s.length = c.Offset, 0
	for _, at := range [...]*Mark{&s.start, &s.last, &g.shown[d]} { // a copy would wait for what was just written
		at.Offset, at.Time, at.Packet, at.Ack = c.Offset, c.Time, c.Packet, c.Ack
	}
	data := c.Data
	for {
		n, m := g.next(d, data, true)
		g.keep(d, data[:n], m)
		s.offset += int64(n)
		data = data[n:]
		if m != nil {
			if cut > 0 { // what seems malformed is only cut
				m.Complete, m.Malformed = false, false
				m.Why = fmt.Sprintf("%d bytes were cut off by the snapshot length", cut)
			}
			g.message(m)
		}
		if len(data) == 0 || n == 0 && m == nil {
			return
		}
	}
}

// Gap says that bytes of a direction are missing.
func (g *Dialogue) Gap(d flow.Direction, gap flow.Gap) {
	if g.protocol == nil {
		g.hold(held{d: d, gap: gap})
	} else {
		g.gap(d, gap)
	}
	g.find()
}

// End says that a direction sends no more. More may still come after a lie. Datagrams
// have ended each for itself.
func (g *Dialogue) End(d flow.Direction) {
	if g.conv.Transport() == flow.UDP {
		return
	}
	known := g.ended[d]
	g.ended[d] = true
	switch {
	case g.protocol != nil:
		g.end(d)
	case !known:
		g.hold(held{d: d, end: true})
	}
	g.find()
}

// Close ends both directions, and hands on what still waits.
func (g *Dialogue) Close() {
	g.stale = true
	g.ended = [2]bool{true, true}
	if g.conv.Transport() == flow.TCP { // datagrams have ended each for itself
		for d := range g.sides {
			if g.protocol != nil {
				g.end(flow.Direction(d))
			}
		}
		g.find()
	}
	if g.inner != nil {
		g.inner.close(g)
	}
	g.late()
	for len(g.waiting) > 0 {
		g.unanswered(0)
	}
}

// Abandon lets go of all that waits, as Close does, to make room, and says so.
func (g *Dialogue) Abandon(at time.Time, packet int64, why string) {
	d := flow.ClientToServer
	g.anomaly(flow.MemoryLimit, d, g.sides[d].offset, Mark{Time: at, Packet: packet}, why)
	g.Close()
}

// Costs of what a Dialogue keeps, about, in bytes.
const (
	dialogueCost = 1 << 10
	messageCost  = 512
	eventCost    = 128
)

// Held returns how many bytes of memory the Dialogue has need of, about. It is
// asked after each packet.
func (g *Dialogue) Held() int {
	if g.stale {
		g.settle()
	}
	return g.held
}

// settle finds anew what changes only when something is buffered or handed on.
func (g *Dialogue) settle() {
	g.held = g.weigh()
	g.calm = g.passer != nil && len(g.sides[0].buf)+len(g.sides[1].buf) == 0
	g.stale = g.inner != nil // nobody says when that keeps more
}

// weigh counts what the Dialogue holds itself. It goes by lengths: how much room a
// slice has depends on what its memory served before. So none may have much more.
func (g *Dialogue) weigh() int {
	n := dialogueCost + g.kept + 2*g.opening.bytes + eventCost*len(g.opening.events)
	for i := range g.sides {
		s := &g.sides[i]
		room := maxIdle
		if g.inner != nil && g.inner.dialogue != nil {
			s.wide = s.wide || len(s.buf) > maxIdle
			if s.wide {
				room = wideRoom
				n += wideRoom
			}
		}
		s.buf, s.raw, s.marks = trimmed(s.buf, room), trimmed(s.raw, maxIdle), trimmed(s.marks, room)
		n += 2 * (len(s.buf) + len(s.raw) + len(s.marks)*markCost)
	}
	if g.keeper != nil {
		n += g.keeper.Held()
	}
	if g.inner != nil {
		n += g.inner.held()
	}
	return n
}

// keeper is a Parser or a Body that keeps more than a few hundred bytes: Held
// returns how many.
type keeper interface{ Held() int }

// wideRoom is the room in which a direction whose records are opened gathers one after
// the other: the largest of TLS, as append makes room for it. To let go of it between
// them would take more time than to open them.
const wideRoom = 32 << 10

// markCost is the size of a mark.
const markCost = 48

// cost returns what a message costs.
func cost(m *Message) int {
	n := messageCost + len(m.Raw)
	if k, ok := m.Body.(keeper); ok {
		n += k.Held()
	}
	return n
}

// find looks for the protocol in what is held, and lets that go when it is found;
// again when that switched to another.
func (g *Dialogue) find() {
	for g.protocol == nil {
		o := &g.opening
		ended := [2]bool{g.ended[0] || o.behind[0], g.ended[1] || o.behind[1]}
		if o.bytes >= MaxOpening {
			ended = [2]bool{true, true}
		}
		p := &Raw
		if len(o.first[0])+len(o.first[1]) > 0 {
			p = Find(Opening{Transport: flow.TCP, First: o.first, Ended: ended, ServerFirst: o.serverFirst})
		} else if !(ended[0] && ended[1]) {
			return
		}
		if p == nil {
			return
		}
		g.speak(p, g.with)
		list := o.events
		*o = opening{}
		for _, h := range list {
			switch {
			case g.protocol == nil: // it switched again
				o.add(h)
			case h.end:
				g.end(h.d)
			case h.gap.Length > 0:
				g.gap(h.d, h.gap)
			default:
				g.add(h.d, &h.chunk)
			}
		}
		for d := range g.sides { // when it is closed
			if g.ended[d] && !g.told[d] && g.protocol != nil {
				g.end(flow.Direction(d))
			}
		}
	}
}

// add shows the parser what is buffered of d with c behind it.
func (g *Dialogue) add(d flow.Direction, c *flow.Chunk) {
	s := &g.sides[d]
	g.told[d] = false
	at := Mark{c.Offset, c.Time, c.Packet, c.Ack}
	if len(s.buf) == 0 {
		// Nothing was left: the bytes are shown where they lie.
		s.offset = c.Offset
		left := g.run(d, c.Data, &at, false)
		if len(left) > 0 {
			g.stale = true
			s.buf, s.marks = append(s.buf[:0], left...), append(s.marks[:0], at)
		}
	} else {
		g.stale = true
		s.buf, s.marks = append(s.buf, c.Data...), append(s.marks, at)
		s.left(g.run(d, s.buf, nil, false))
	}
	if len(s.buf) > MaxBuffered && g.protocol != nil {
		g.anomaly(flow.MessageLimit, d, s.offset, s.marks[0], fmt.Sprintf("%d bytes without the end of a message head", len(s.buf)))
		g.lose(d, flow.Gap{})
	}
	g.other(d.Reverse())
}

// left makes the end of what was buffered all that is.
func (s *side) left(data []byte) {
	s.buf = s.buf[:copy(s.buf, data)]
	if len(data) == 0 {
		s.marks = s.marks[:0]
	}
}

// other shows the parser what it left of the other direction, which may make
// sense now.
func (g *Dialogue) other(d flow.Direction) {
	s := &g.sides[d]
	if len(s.buf) == 0 || s.busy || g.protocol == nil {
		return
	}
	g.stale = true
	s.left(g.run(d, s.buf, nil, g.told[d]))
}

// next asks the parser.
func (g *Dialogue) next(d flow.Direction, data []byte, end bool) (int, *Message) {
	n, m := g.parser.Next(d, data, end)
	if n < 0 || n > len(data) {
		panic(fmt.Sprintf("BUG: the %s parser took %d of %d bytes", g.protocol.Name, n, len(data)))
	}
	return n, m
}

// At returns where the i-th of the bytes shown now came from.
func (g *Dialogue) At(d flow.Direction, i int) Mark {
	s := &g.sides[d]
	at, offset := g.shown[d], s.offset+int64(i)
	for j := len(s.marks) - 1; j >= 0; j-- {
		if at = s.marks[j]; at.Offset <= offset {
			break
		}
	}
	at.Offset = offset
	return at
}

// Keep returns how many bytes of a message are kept.
func (g *Dialogue) Keep() int64 { return g.opts.Keep }

// With returns what led to the protocol.
func (g *Dialogue) With() string { return g.with }

// Secrets returns what opens encrypted connections.
func (g *Dialogue) Secrets() *tls.Secrets { return g.opts.Secrets }

// passer is a Parser that knows, as a rule, what the next bytes are before they
// come: the rest of a body. Pass takes data when Next would take all of it and
// there would be no message; else it does nothing. It is asked within messages and
// between them, when nothing is left of what came before in either direction.
type passer interface {
	Pass(d flow.Direction, data []byte) bool
}

// run shows data to the parser until it wants no more of it, and returns what it
// left. All of data is from at; nil says that it is what is buffered. After each
// step, what was left of the other direction may make sense: it is looked at
// before the next, however the bytes were cut.
func (g *Dialogue) run(d flow.Direction, data []byte, at *Mark, end bool) []byte {
	s := &g.sides[d]
	s.busy = true
	if at != nil {
		g.shown[d] = *at
	}
	if g.keeper != nil {
		g.stale = true // it may keep more, or less, from here on
	}
	for {
		if s.length == 0 {
			if at != nil {
				s.start = *at
			} else {
				s.start = s.marks[0]
			}
			s.start.Offset = s.offset
		}
		n, m := g.next(d, data, end)
		if n > 0 {
			if at != nil {
				s.paused(at.Time)
			} else {
				s.paused(s.marks[0].Time)
			}
			g.keep(d, data[:n], m)
			s.offset += int64(n)
			data = data[n:]
			if at != nil {
				s.reach(*at)
			} else {
				s.pass()
			}
		}
		if m != nil {
			g.message(m)
		}
		if g.inner != nil {
			g.inner.take(g)
		}
		if n > 0 || m != nil {
			g.other(d.Reverse())
		}
		if g.protocol == nil {
			g.holdRest(d, data, at)
			data = nil
			break
		}
		if n == 0 && m == nil || len(data) == 0 && !end {
			break
		}
	}
	s.busy = false
	return data
}

// holdRest keeps what an earlier protocol left, of both directions, for the next
// one to be found from. The other direction's bytes were there before; if run is
// at them, it will keep them.
func (g *Dialogue) holdRest(d flow.Direction, data []byte, at *Mark) {
	if r := &g.sides[d.Reverse()]; !r.busy {
		g.holdMarked(d.Reverse(), r.buf, nil)
		r.left(nil)
		r.buf = emptied(r.buf)
	}
	g.holdMarked(d, data, at)
}

func (g *Dialogue) holdMarked(d flow.Direction, data []byte, at *Mark) {
	s := &g.sides[d]
	for len(data) > 0 {
		m, n := at, len(data)
		if at == nil {
			m = &s.marks[0]
			if len(s.marks) > 1 {
				n = min(n, int(s.marks[1].Offset-s.offset))
			}
		}
		g.hold(held{d: d, chunk: flow.Chunk{
			Data: bytes.Clone(data[:n]), Offset: s.offset, Time: m.Time, Packet: m.Packet, Ack: m.Ack,
		}})
		s.offset += int64(n)
		data = data[n:]
		if at == nil {
			s.pass()
		}
	}
	if g.told[d] { // the next protocol is told so too
		g.told[d] = false
		g.hold(held{d: d, end: true})
	}
}

// Pause is how long nothing of a message comes where its sender had let go of what there was:
// longer than it takes to send a segment again, mostly.
const Pause = 50 * time.Millisecond

// paused notes when more of a message in progress comes.
func (s *side) paused(at time.Time) {
	if s.length > 0 && at.Sub(s.last.Time) > Pause {
		s.pauses++
	}
}

// reach makes at the mark of the last byte taken. Where that came before others in
// front of it, it was there to be read when they were.
func (s *side) reach(at Mark) {
	if at.Time.Before(s.last.Time) {
		at.Time, at.Packet = s.last.Time, s.last.Packet
	}
	s.last = at
}

// pass makes last the mark of the byte before offset, and drops the marks of
// bytes that are done with, but for one.
func (s *side) pass() {
	i := 0
	s.reach(s.marks[i])
	for i+1 < len(s.marks) && s.marks[i+1].Offset < s.offset {
		i++
		s.reach(s.marks[i])
	}
	if i+1 < len(s.marks) && s.marks[i+1].Offset == s.offset {
		i++
	}
	switch {
	case i >= len(s.marks)-i: // so that each is moved once at most
		s.marks = s.marks[:copy(s.marks, s.marks[i:])]
	case i > 0:
		s.marks = s.marks[i:]
	}
}

// keep counts the bytes that a message takes, m where it ends with them, and copies them when
// asked to.
func (g *Dialogue) keep(d flow.Direction, data []byte, m *Message) {
	s := &g.sides[d]
	s.length += int64(len(data))
	if g.opts.Keep == 0 || g.protocol.Interleaves {
		return
	}
	if n := min(g.opts.Keep-int64(len(s.raw)), int64(len(data))); n > 0 && s.digest == nil {
		g.stale = true
		s.raw = append(s.raw, data[:n]...)
		data = data[n:]
	}
	if len(data) > 0 {
		g.beyond(d, data, m)
	}
}

func (g *Dialogue) gap(d flow.Direction, gap flow.Gap) {
	s := &g.sides[d]
	g.gaps[d] = span{gap.Offset, gap.Offset + gap.Length}
	if len(s.buf) == 0 {
		s.offset = gap.Offset
	}
	g.lose(d, gap)
	if g.inner != nil {
		g.inner.take(g)
	}
	g.other(d.Reverse())
}

// lose tells the parser that what it left is followed by a gap.
func (g *Dialogue) lose(d flow.Direction, gap flow.Gap) {
	g.stale = true
	s := &g.sides[d]
	took, m := g.parser.Gap(d, s.buf, gap.Length)
	if len(s.buf) > 0 {
		g.keep(d, s.buf, m)
		s.offset += int64(len(s.buf))
		s.pass()
		s.left(nil)
	}
	if took > 0 {
		if s.length == 0 {
			s.start = g.unseen(s.offset, gap)
			s.last = s.start
		}
		s.length += took
	}
	s.offset += gap.Length
	switch {
	case m != nil:
		g.message(m)
	case took == 0: // what was left belongs to no message
		s.raw, s.length, s.digest, s.pauses = emptied(s.raw), 0, nil, 0
	}
}

// unseen is the mark of a message that begins in a gap. When nothing follows the
// gap, the best guess at its time is when anything was last said, or the conversation
// began.
func (g *Dialogue) unseen(offset int64, gap flow.Gap) Mark {
	at := Mark{offset, gap.Time, gap.Packet, flow.NoAck}
	if gap.Packet == 0 {
		at.Time = g.conv.Start.Time()
		for d := range g.sides {
			if t := g.sides[d].last.Time; t.After(at.Time) {
				at.Time = t
			}
		}
	}
	return at
}

func (g *Dialogue) end(d flow.Direction) {
	g.stale = true
	s := &g.sides[d]
	g.told[d] = true
	if len(s.buf) > 0 {
		// The parser may leave some for when the other direction has spoken.
		s.left(g.run(d, s.buf, nil, true))
	} else {
		at := s.last
		g.run(d, nil, &at, true)
		s.buf = emptied(s.buf)
	}
	g.other(d.Reverse())
}

// Request returns the request that a response beginning now would answer.
func (g *Dialogue) Request() *Message {
	s := &g.sides[flow.ServerToClient]
	if i := g.match(s.start.Offset, s.start.Ack); i >= 0 {
		return g.waiting[i].Request
	}
	return nil
}

// match returns which of the waiting requests is answered, in order, by a
// response that begins at offset and whose sender had acknowledged ack bytes;
// -1 when it is none of them.
//
// After a gap in either direction, counting alone would pair every later message
// wrongly. The acknowledgements tell better: a request sent after its sender had
// read the bytes in the gap is not the one answered in the gap, and a request
// that the server had not read can't be answered at all.
func (g *Dialogue) match(offset, ack int64) int {
	if len(g.waiting) == 0 {
		return -1
	}
	i, gap := 0, g.gaps[flow.ServerToClient]
	for i+1 < len(g.waiting) {
		older, newer := g.waiting[i].Request, g.waiting[i+1].Request
		if !(newer.Ack > older.Ack && newer.Ack <= offset && older.Ack < gap.end && gap.start < newer.Ack) {
			break
		}
		i++
	}
	if ack != flow.NoAck && g.gaps[flow.ClientToServer].end > 0 && g.waiting[i].Request.Offset >= ack {
		return -1
	}
	return i
}

// message fills in what the parser does not know, and pairs the message.
func (g *Dialogue) message(m *Message) {
	if m.Within != nil {
		g.within(m)
		return
	}
	s := &g.sides[m.Direction]
	if m.Malformed {
		at := s.start
		if g.protocol.Interleaves {
			at = Mark{Offset: m.Offset, Time: m.Time, Packet: m.Packet}
		}
		g.anomaly(flow.MalformedMessage, m.Direction, at.Offset, at, m.Why)
	}
	if m.Kind == Skipped {
		s.raw, s.length, s.digest, s.pauses = emptied(s.raw), 0, nil, 0
		return
	}
	g.stale = true
	if !g.protocol.Interleaves {
		m.Place(s.start, s.last, s.length)
		// One that is used again brings memory for the next.
		m.Raw, m.RawMissing, s.raw = s.raw, s.length-int64(len(s.raw)), m.Raw[:0]
		m.Digest, s.digest = s.digest.sum(), nil
		m.Pauses, s.pauses = s.pauses, 0
	}
	s.length = 0
	next, with := m.Next, m.With
	g.pair(m) // it may be another's now
	if next != "" {
		g.switchTo(next, with)
	}
}

// within hands on a message found inside of another, which is left as it is.
func (g *Dialogue) within(m *Message) {
	g.stale = true
	if m.Malformed {
		g.anomaly(flow.MalformedMessage, m.Direction, m.Offset, Mark{Time: m.Time, Packet: m.Packet}, m.Why)
	}
	m.Alone, m.RawMissing = true, m.Length
	g.emit(g.begin(m))
}

// Place says where a message was: its first and its last byte, and how long it is.
func (m *Message) Place(first, last Mark, length int64) {
	m.Time, m.Packet, m.Ack = first.Time, first.Packet, first.Ack
	m.End, m.LastPacket = last.Time, last.Packet
	m.Offset, m.Length = first.Offset, length
}

// switchTo goes on with another protocol behind the message just seen.
func (g *Dialogue) switchTo(name, with string) {
	if g.inner != nil {
		g.inner.close(g)
		g.inner = nil
	}
	g.late()
	for len(g.waiting) > 0 {
		g.unanswered(0)
	}
	g.protocol, g.parser, g.keeper, g.passer, g.with = nil, nil, nil, nil, with
	if p := Lookup(name); p != nil {
		g.speak(p, with)
	}
}

// pair makes exchanges of messages.
func (g *Dialogue) pair(m *Message) {
	p := g.protocol
	switch m.Kind {
	case Response:
		g.finals, g.interims = g.finals+1, 0
	case Interim:
		g.interims++
	}
	if m.Alone = m.Alone || p.Pairing == Alone; m.Alone {
		if l, ok := g.out.(Listener); ok && m.Kind == Request {
			l.Request(m)
		}
		g.emit(g.begin(m))
		return
	}
	if m.Kind == Request {
		if l, ok := g.out.(Listener); ok {
			l.Request(m)
		}
		e := g.begin(m)
		g.waiting = append(g.waiting, e)
		g.keepMessage(e, m)
		d, offset := m.Direction, m.Offset
		g.answerEarly()
		if len(g.waiting) > MaxWaiting {
			g.anomaly(flow.MessageLimit, d, offset, g.sides[d].start, fmt.Sprintf("more than %d requests wait for a response", MaxWaiting))
			g.unanswered(0)
		}
		return
	}
	if len(g.waiting) == 0 && p.Pairing == InOrder && g.isEarly(m) {
		g.early = append(g.early, m)
		g.kept += cost(m)
		return
	}
	g.answer(m)
}

// maxEarly bounds the answers whose request is not all there yet.
const maxEarly = 256

// isEarly reports whether a response answers what is still being said, as 100
// Continue and refusals do, or what the server has read and we have not: its
// bytes wait for a gap before them.
func (g *Dialogue) isEarly(m *Message) bool {
	c := &g.sides[flow.ClientToServer]
	return len(g.early) < maxEarly && (c.length > 0 || len(c.buf) > 0 || m.Ack > c.offset+int64(len(c.buf)))
}

// answerEarly pairs what came early with the request that has come now. What was
// sent before the server had read it answers another one, in a gap.
func (g *Dialogue) answerEarly() {
	for len(g.early) > 0 && len(g.waiting) > 0 {
		m := g.early[0]
		g.early = g.early[1:]
		g.kept -= cost(m)
		if m.Ack != flow.NoAck && g.waiting[0].Request.Offset >= m.Ack {
			g.emit(g.begin(m))
		} else {
			g.answer(m)
		}
	}
}

// late lets go of answers whose request never came.
func (g *Dialogue) late() {
	for _, m := range g.early {
		g.kept -= cost(m)
		g.emit(g.begin(m))
	}
	g.early = nil
}

// answer pairs a response with its request.
func (g *Dialogue) answer(m *Message) {
	i := -1
	if g.protocol.Pairing == ByID {
		for j, e := range g.waiting {
			if e.Request.ID == m.ID {
				i = j
				break
			}
		}
	} else {
		i = g.match(m.Offset, m.Ack)
		if m.answers != nil {
			i = slices.IndexFunc(g.waiting, func(e *Exchange) bool { return e.Request == m.answers })
			m.answers = nil
		}
		for ; i > 0; i-- {
			g.unanswered(0) // their responses are in a gap
		}
	}
	switch {
	case i < 0, m.Kind == Interim && len(g.waiting[i].Interim) >= maxEarly:
		g.emit(g.begin(m))
	case m.Kind == Interim:
		e := g.waiting[i]
		e.Interim = append(e.Interim, m)
		g.keepMessage(e, m)
	default:
		e := g.waiting[i]
		g.waiting = slices.Delete(g.waiting, i, i+1)
		e.Response = m
		g.emit(e)
	}
}

// keepMessage counts a message of an exchange that waits.
func (g *Dialogue) keepMessage(e *Exchange, m *Message) {
	n := cost(m)
	e.held += n
	g.kept += n
}

// begin starts an exchange with m.
func (g *Dialogue) begin(m *Message) *Exchange {
	e := g.opts.Spare.exchange()
	e.Conversation, e.Protocol, e.Index = g.conv, g.protocol, g.index()
	if m.Within != nil {
		e.Protocol = m.Within
	}
	switch m.Kind {
	case Request:
		e.Request = m
	case Interim:
		e.Interim = append(e.Interim, m)
	default:
		e.Response = m
	}
	return e
}

// index counts the exchanges of the conversation, those inside of others too.
func (g *Dialogue) index() int {
	for g.outer != nil {
		g = g.outer
	}
	g.count++
	return g.count - 1
}

// unanswered gives up waiting for a response to the i-th request.
func (g *Dialogue) unanswered(i int) {
	e := g.waiting[i]
	g.waiting = slices.Delete(g.waiting, i, i+1)
	g.emit(e)
}

// emit hands on an exchange that has all it will get.
func (g *Dialogue) emit(e *Exchange) {
	g.kept -= e.held
	e.held = 0
	switch {
	case e.Request != nil && !e.Request.Complete, e.Response != nil && !e.Response.Complete:
		e.State = Broken
	case e.Request == nil && !e.Protocol.Unasked && !(e.Response != nil && e.Response.Alone):
		e.State = Broken
	case e.Request != nil && e.Response == nil && !e.Request.Alone:
		e.State = Unanswered
	}
	g.out.Exchange(e)
	if g.opts.Spare != nil && !e.kept {
		k := g.shelf
		if e.Protocol != g.protocol { // within another
			k = nil
		}
		g.opts.Spare.put(e, k)
	}
}

func (g *Dialogue) anomaly(kind string, d flow.Direction, offset int64, at Mark, detail string) {
	g.out.Anomaly(flow.Anomaly{Kind: kind, Detail: detail, Conversation: g.conv, Direction: d, Offset: offset, Packet: at.Packet, Time: at.Time})
}
