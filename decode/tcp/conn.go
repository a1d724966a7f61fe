package tcp

import (
	"bytes"
	"fmt"
	"time"

	"netlab/decode/flow"
	"netlab/decode/packet"
)

// reordering is how late a segment may come by another way or from another queue of
// the network card; one that comes later was lost and sent again.
const reordering = 3 * time.Millisecond

// Limits bound what is held back, for a direction and in all. Zero fields are
// their defaults.
type Limits struct {
	// Bytes and Pieces that may wait in one direction: 4 MiB, the largest window
	// that Linux's defaults grow to is 6 MiB, and 4096.
	Bytes  int
	Pieces int
	// AckedPackets and AckedTime are how long a gap stays open whose bytes the
	// receiver has: the capture missed them, or saw them late. 64 packets of the
	// connection, or 1 s.
	AckedPackets int
	AckedTime    time.Duration
	// Time is how long any gap stays open: 60 s, the longest retransmission
	// timeout that RFC 6298 section 2.5 lets a sender stop at.
	Time time.Duration
	// HoldPackets, HoldBytes and HoldTime are how long a direction without a SYN
	// waits for an earlier beginning: 16, 64 KiB, 100 ms.
	HoldPackets int
	HoldBytes   int
	HoldTime    time.Duration
	// Gaps counts the gaps that are listed; nil has no bound.
	Gaps *flow.Room
}

// maxRecent bounds what is kept for comparing in one direction: more than is
// usually on its way between two hosts of one site.
const maxRecent = 64 << 10

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Bytes, 4<<20)
	def(&l.Pieces, 4096)
	def(&l.AckedPackets, 64)
	def(&l.HoldPackets, 16)
	def(&l.HoldBytes, 64<<10)
	if l.AckedTime <= 0 {
		l.AckedTime = time.Second
	}
	if l.Time <= 0 {
		l.Time = time.Minute
	}
	if l.HoldTime <= 0 {
		l.HoldTime = 100 * time.Millisecond
	}
	return l
}

// Receiver takes what an Assembler puts in order.
type Receiver interface {
	// Begin comes once, before anything is handed on of a connection whose SYN
	// was not seen. It gets what waits first in each direction, and answers
	// whether the client is really the server: then the Conn has turned.
	Begin(first [2][]byte) (turn bool)
	// Chunk hands on the next bytes of a direction; they are valid during the
	// call.
	Chunk(flow.Direction, flow.Chunk)
	// Gap says that bytes are missing before what comes next.
	Gap(flow.Direction, flow.Gap)
	// End says that a direction has sent its last byte.
	End(flow.Direction)
	// Anomaly tells of odd traffic.
	Anomaly(flow.Anomaly)
	// Ignored says that a part of a packet's payload is not in the stream, nor known
	// to say what is there already.
	Ignored(flow.Direction, flow.Ignored)
}

// Assembler puts the segments of many connections in order.
type Assembler struct {
	limits  Limits
	waiting int64 // bytes in pending pieces of all connections, with their cost
	recent  int64 // bytes allocated for recent of all connections
	spare   [recentSizes][][]byte
	halfs   []*[2]half // of connections that were settled, for the next
	live    int64      // connections that are not settled
	// forgetful means that no more memory is taken for recent.
	forgetful bool
}

// NewAssembler returns an Assembler.
func NewAssembler(limits Limits) *Assembler {
	return &Assembler{limits: limits.withDefaults()}
}

// connCost is about what a connection takes that is not settled, without what
// waits in it.
const connCost = 320

// Held returns about how many bytes of memory the connections have need of that
// are not settled, without what Limits bounds.
func (a *Assembler) Held() int64 { return a.live * connCost }

// Waiting returns how many bytes of memory wait in all connections. Where that is
// too much, the connection that waits longest is to go on with Release.
func (a *Assembler) Waiting() int64 { return a.waiting }

// Remembered returns how many bytes of memory are kept for comparing.
func (a *Assembler) Remembered() int64 { return a.recent }

// Forgetful has no more memory taken for comparing, as long as it is set.
func (a *Assembler) Forgetful(set bool) { a.forgetful = set }

// Conn is one TCP connection. It counts into the Conversation that it was made
// for.
type Conn struct {
	conv  *flow.Conversation
	out   Receiver
	halfs *[2]half // nil once it is settled
	rest  [2]rest
}

// Warm reads a little of what the next segment needs; see flow.Entry.
func (c *Conn) Warm() uint64 {
	if c.halfs == nil {
		return uint64(c.rest[1].bound)
	}
	a, b := &c.halfs[0], &c.halfs[1]
	return uint64(a.next) + uint64(b.next) + uint64(len(a.recent)+len(b.recent))
}

// rest is what is still known of a direction of a settled connection.
type rest struct {
	syn   bool
	base  uint32 // sequence number of offset 0
	bound uint32 // and of what is behind the last byte
}

// maxHalfs bounds the memory of settled connections that is kept for others.
const maxHalfs = 1024

// Init makes c the connection of conv, which hands on to out.
func (a *Assembler) Init(c *Conn, conv *flow.Conversation, out Receiver) {
	*c = Conn{conv: conv, out: out}
	a.live++
	if n := len(a.halfs); n > 0 {
		c.halfs, a.halfs = a.halfs[n-1], a.halfs[:n-1]
	} else {
		c.halfs = new([2]half)
	}
	for i := range c.halfs {
		c.halfs[i] = half{fin: noFin}
	}
	conv.State = flow.Midstream
}

// Settle finishes a connection that is over, and keeps of it only what tells a
// straggler from a new connection.
func (a *Assembler) Settle(c *Conn) {
	if c.halfs == nil {
		return
	}
	a.finish(c)
	for i := range c.halfs {
		h := &c.halfs[i]
		c.rest[i] = rest{syn: h.syn, base: h.base, bound: h.base + uint32(h.next)}
		c.conv.Sides[i].Start = h.base
		a.recycle(h)
	}
	if len(a.halfs) < maxHalfs {
		a.halfs = append(a.halfs, c.halfs)
	}
	c.halfs = nil
	a.live--
}

// straggler counts a segment of a settled connection.
func (c *Conn) straggler(d flow.Direction, s *packet.Segment) {
	r, side := &c.rest[d], &c.conv.Sides[d]
	side.Packets++
	side.Syn = side.Syn || s.Flags.Has(packet.SYN)
	side.Rst = side.Rst || s.Flags.Has(packet.RST)
	if s.Length == 0 {
		return
	}
	c.ignored(d, s.Packet, len(s.Payload), len(s.Payload))
	if s.Flags.Has(packet.RST) {
		return
	}
	switch beyond := int32(s.Seq + uint32(s.Length) - r.bound); {
	case s.Length == 1 && beyond == 0: // a keep-alive probe
	case beyond > 0:
		c.anomaly(flow.DataAfterFin, d, side.End(), s.Packet, s.Time, fmt.Sprintf("%d bytes, long after the end", s.Length))
	default:
		side.More().Retransmitted++
	}
}

// Turn makes the client the server. Nothing may have been handed on yet. The
// Conversation is the caller's to turn.
func (c *Conn) Turn() {
	if c.halfs == nil {
		c.rest[0], c.rest[1] = c.rest[1], c.rest[0]
		return
	}
	c.halfs[0], c.halfs[1] = c.halfs[1], c.halfs[0]
}

// youngLead is how far the first data seen may be ahead of a SYN that is seen
// after it, to be of the same connection: a window's worth, as TCP Fast Open and
// reordered captures show it.
const youngLead = 1 << 20

// Restarts reports whether s, of direction d, belongs to a new connection
// between the same endpoints (rule R8).
func (c *Conn) Restarts(d flow.Direction, s *packet.Segment) bool {
	if !s.Flags.Has(packet.SYN) {
		return false
	}
	first := s.Seq + 1
	if c.halfs == nil {
		return !c.rest[d].syn || c.rest[d].base != first
	}
	h, peer := &c.halfs[d], &c.halfs[d.Reverse()]
	answers := s.Flags.Has(packet.ACK) && peer.phase != unseen && near(s.Ack, peer.base)
	switch {
	case h.syn && h.base == first:
		return false // sent again
	case answers && peer.syn && s.Ack == peer.base && h.next == 0 && !h.waiting():
		// It answers this connection's SYN, and not a byte was sent yet: a server
		// that keeps no state took another ISN, or what came before was forged.
		return false
	case h.syn:
		return true
	case h.phase == running:
		return true
	case h.phase == holding:
		// Data came before the SYN: reordered, or of an older connection?
		return !near(h.base+uint32(h.low), first)
	case s.Flags.Has(packet.ACK):
		return !answers
	case peer.phase == unseen, peer.syn && !c.conv.Ended:
		return false // both open at once, the handshake is split, or it came reordered
	}
	// The other side is in the middle of something: of this connection if what
	// it acknowledged is near.
	return !h.ackKnown || !near(h.acked, first)
}

// near reports whether seq is at or a little after first.
func near(seq, first uint32) bool { return seq-first <= youngLead }

// Segment adds a segment of direction d.
func (a *Assembler) Segment(c *Conn, d flow.Direction, s *packet.Segment) {
	if c.halfs == nil {
		c.straggler(d, s)
		return
	}
	if a.Usual(c, d, s) {
		return
	}
	c.conv.Sides[d].Packets++
	a.general(c, d, s)
}

// Usual does what Segment does when s is what most segments are: the next bytes, or
// an acknowledgement, in the middle of a connection in which nothing waits. It
// reports false of all else, with which it has done nothing.
func (a *Assembler) Usual(c *Conn, d flow.Direction, s *packet.Segment) bool {
	if c.halfs == nil || s.Flags&(packet.SYN|packet.FIN|packet.RST|packet.ACK) != packet.ACK {
		return false
	}
	h, peer := &c.halfs[d], &c.halfs[d.Reverse()]
	if !h.calm() || !peer.calm() || (s.Window == 0) != h.full {
		return false
	}
	if s.Length > 0 && (len(s.Payload) != s.Length || s.Seq != h.base+uint32(h.next)) {
		return false
	}
	side := &c.conv.Sides[d]
	side.Packets++
	if s.Length > 0 {
		off := h.next
		h.next += int64(s.Length)
		h.high = max(h.high, h.next)
		side.Bytes += int64(s.Length)
		if h.ackKnown {
			h.remember(a, s.Payload)
		}
		c.out.Chunk(d, flow.Chunk{Data: s.Payload, Offset: off, Time: s.Time, Packet: s.Packet, Ack: max(0, peer.offset(s.Ack))})
	}
	if !peer.ackKnown || int32(s.Ack-peer.acked) > 0 {
		c.acknowledge(a, d.Reverse(), s.Ack, s.Time)
	}
	return true
}

// window notes when a side has no room for more, and when it has again (RFC 9293,
// section 3.8.6).
func (c *Conn) window(d flow.Direction, s *packet.Segment) {
	h, side := &c.halfs[d], &c.conv.Sides[d]
	full := s.Window == 0 && s.Flags&(packet.SYN|packet.FIN|packet.RST) == 0
	switch {
	case full == h.full:
	case full:
		h.fullSince = s.Time
		side.More().ZeroWindows++
	default:
		side.AddDelay(flow.Delay{At: flow.At(s.Time), Span: max(0, s.Time.Sub(h.fullSince)), Kind: flow.Full})
	}
	h.full = full
}

// general adds any segment.
func (a *Assembler) general(c *Conn, d flow.Direction, s *packet.Segment) {
	h, side := &c.halfs[d], &c.conv.Sides[d]
	c.window(d, s)
	if s.Flags.Has(packet.SYN) {
		side.Syn = true
		c.synced(a, d, s)
	}
	if h.phase == unseen {
		h.phase, h.base = holding, s.Seq
		h.low = 0
		h.waitSince, h.waitPackets = s.Time, 0
	}
	if peer := &c.halfs[d.Reverse()]; h.phase == running && s.Length > 0 && s.Flags.Has(packet.ACK) && peer.answered(s.Ack) {
		c.begin(a) // what is answered goes before the answer
	}
	off := h.offset(s.Seq)
	if s.Flags.Has(packet.SYN) {
		off++ // the SYN itself takes a sequence number
	}
	switch {
	case s.Flags.Has(packet.RST):
		side.Rst = true
		c.ignored(d, s.Packet, len(s.Payload), len(s.Payload))
	case s.Length > 0:
		a.data(c, d, off, s)
	case h.phase == holding && off < h.low && !(off == h.low-1 && h.waiting()):
		h.low = off // an empty segment tells where the next byte will be
	case h.phase == holding && off == h.low+1 && !h.waiting():
		h.low = off // the one before it was a keep-alive probe
	}
	if s.Flags.Has(packet.FIN) && !s.Flags.Has(packet.RST) {
		side.Fin = true
		if h.fin == noFin {
			h.fin = off + int64(s.Length)
		}
	}
	if s.Flags.Has(packet.ACK) {
		c.acknowledge(a, d.Reverse(), s.Ack, s.Time)
	}
	if s.Flags&(packet.SYN|packet.FIN|packet.RST) != 0 {
		c.state(d, s)
	}
	for i := range c.halfs {
		if c.halfs[i].phase != unseen {
			c.halfs[i].waitPackets++
		}
	}
	a.Tick(c, s.Time)
	c.end(a, d)
}

// synced fixes where a direction starts from its SYN.
func (c *Conn) synced(a *Assembler, d flow.Direction, s *packet.Segment) {
	h := &c.halfs[d]
	switch {
	case h.phase == holding && h.waiting():
		h.settle(h.offset(s.Seq + 1))
		c.drain(a, d)
	case h.next == 0 && !h.waiting():
		h.phase, h.base, h.high, h.fin = running, s.Seq+1, 0, noFin
	}
	h.syn = true
}

// data adds the payload of s at off.
func (a *Assembler) data(c *Conn, d flow.Direction, off int64, s *packet.Segment) {
	h, side := &c.halfs[d], &c.conv.Sides[d]
	end := off + int64(s.Length)
	if s.Length == 1 && (h.phase == running && end == h.next || h.phase == holding && end <= h.ackedTo()) {
		c.ignored(d, s.Packet, len(s.Payload), len(s.Payload))
		return // a keep-alive probe (RFC 9293, section 3.8.4)
	}
	if h.fin != noFin && off >= h.fin {
		c.anomaly(flow.DataAfterFin, d, off, s.Packet, s.Time, fmt.Sprintf("%d bytes", s.Length))
	}
	reordered := off < h.high
	h.high = max(h.high, end)

	// The hot path: the next bytes, and nothing waits.
	if h.phase == running && off == h.next && !h.waiting() {
		c.deliver(a, d, flow.Chunk{Data: s.Payload, Offset: off, Time: s.Time, Packet: s.Packet, Ack: c.ackOf(d, s.Ack, s.Flags.Has(packet.ACK))})
		c.skip(a, d, end, true, s.Packet, s.Time)
		return
	}

	var fresh int64
	waited := h.waiting()
	switch {
	case h.phase == holding:
		if !waited && off == h.low+1 {
			h.low = off // the empty segment before it was a keep-alive probe
		}
		h.low = min(h.low, off)
		fresh = h.store(a, c, d, off, s)
	case off >= h.next:
		fresh = h.store(a, c, d, off, s)
	default:
		fresh = c.again(a, d, off, s)
	}
	if h.phase == running && !waited && h.waiting() {
		h.waitSince, h.waitPackets = s.Time, 0
	}
	switch {
	case reordered && fresh > 0:
		side.More().OutOfOrder++
		if waited && s.Time.Sub(h.waitSince) > reordering {
			side.AddDelay(flow.Delay{At: flow.At(s.Time), Kind: flow.Resent})
		}
	case fresh == 0 && len(s.Payload) > 0:
		side.More().Retransmitted++
		side.AddDelay(flow.Delay{At: flow.At(s.Time), Kind: flow.Resent})
	}
	if h.phase == running {
		c.drain(a, d)
	}
}

// again adds a segment that begins before next, and returns how many of its
// bytes had not been seen, whether or not they still have a place.
func (c *Conn) again(a *Assembler, d flow.Direction, off int64, s *packet.Segment) int64 {
	h := &c.halfs[d]
	old := s.Payload[:min(int64(len(s.Payload)), h.next-off)]
	known, at := h.remembered(off, len(old))
	before := int(at - off)
	c.ignored(d, s.Packet, len(s.Payload), before)
	if known != nil {
		c.compare(d, known, old[before:][:len(known)], at, s, len(s.Payload)-before)
	}
	c.ignored(d, s.Packet, len(s.Payload)-before-len(known), len(old)-before-len(known))
	late := c.conv.Sides[d].Missing(off, off+int64(len(old)))
	if late > 0 {
		c.anomaly(flow.LateData, d, off, s.Packet, s.Time, fmt.Sprintf("%d bytes came after their gap had been given up", late))
	}
	rest := *s
	rest.Payload = s.Payload[len(old):]
	rest.Length = int(max(0, off+int64(s.Length)-h.next))
	return late + h.store(a, c, d, h.next, &rest)
}

// ackOf turns the acknowledgement of a segment of direction d into an offset of
// the other direction.
func (c *Conn) ackOf(d flow.Direction, ack uint32, has bool) int64 {
	peer := &c.halfs[d.Reverse()]
	if !has || peer.phase != running {
		return flow.NoAck
	}
	return max(0, peer.offset(ack))
}

// acknowledge notes that the receiver of direction d has all before ack.
func (c *Conn) acknowledge(a *Assembler, d flow.Direction, ack uint32, at time.Time) {
	h := &c.halfs[d]
	if h.ackKnown && int32(ack-h.acked) <= 0 {
		return
	}
	if !h.ackKnown {
		c.shaken(d, at)
	}
	h.acked, h.ackKnown = ack, true
	if len(h.recent) > 0 && h.offset(ack) >= h.next {
		h.forget(a)
	}
}

// shaken measures the round trip: from a client's SYN to its acknowledgement of the
// server's, wherever between them the capture was made. Where one of these came
// twice it is not known which was answered.
func (c *Conn) shaken(d flow.Direction, at time.Time) {
	client, server := &c.conv.Sides[flow.ClientToServer], &c.conv.Sides[flow.ServerToClient]
	if d == flow.ServerToClient && client.Syn && server.Syn && client.Packets == 2 && server.Packets == 1 {
		c.conv.RoundTrip = max(0, flow.At(at).Sub(c.conv.Start))
	}
}

// deliver hands on the chunk at next.
func (c *Conn) deliver(a *Assembler, d flow.Direction, k flow.Chunk) {
	h := &c.halfs[d]
	if len(k.Data) == 0 {
		return
	}
	h.next += int64(len(k.Data))
	c.conv.Sides[d].Bytes += int64(len(k.Data))
	if h.ackKnown {
		h.remember(a, k.Data)
	}
	c.out.Chunk(d, k)
}

// skip gives up the bytes up to end, or to the first that wait.
func (c *Conn) skip(a *Assembler, d flow.Direction, end int64, cut bool, packet int64, t time.Time) {
	h := &c.halfs[d]
	if h.waiting() {
		end = min(end, h.pending[0].off)
	}
	if end <= h.next {
		return
	}
	g := flow.Gap{Offset: h.next, Length: end - h.next, Cut: cut, Packet: packet, Time: t}
	h.forget(a)
	h.next = end
	c.conv.Sides[d].AddGap(g, a.limits.Gaps)
	c.out.Gap(d, g)
}

// drain hands on the pending pieces that are next.
func (c *Conn) drain(a *Assembler, d flow.Direction) {
	h := &c.halfs[d]
	for h.waiting() && h.pending[0].off <= h.next {
		p := h.take(a)
		data := p.data
		if p.off < h.next { // it came before the SYN, and stands before what that begins
			data = data[min(int64(len(data)), h.next-p.off):]
			c.ignored(d, p.packet, flow.WholePayload, flow.WholePayload)
		}
		c.deliver(a, d, flow.Chunk{Data: data, Offset: h.next, Time: p.time, Packet: p.packet, Ack: c.ackOf(d, p.ack, p.hasAck)})
		c.skip(a, d, p.end()+p.cut, true, p.packet, p.time)
		h.waitPackets = 0
		if h.waiting() {
			h.waitSince = h.pending[0].time
		} else { // what was sent and does not wait was cut off
			c.skip(a, d, h.high, true, p.packet, p.time)
		}
	}
}

// ignored tells of n bytes, the first of which is the from-th last of a payload.
func (c *Conn) ignored(d flow.Direction, packet int64, from, n int) {
	if n > 0 {
		c.out.Ignored(d, flow.Ignored{Packet: packet, From: from, Length: n})
	}
}

// compare tells when bytes came again with another value; the first of the fresh ones
// is the from-th last of the payload of s.
func (c *Conn) compare(d flow.Direction, old, fresh []byte, off int64, s *packet.Segment, from int) {
	if bytes.Equal(old, fresh) {
		return
	}
	at, detail, n := difference(old, fresh, off)
	first := int(at - off)
	last := first
	for i := range old[first:] {
		if old[first+i] != fresh[first+i] {
			last = first + i
		}
	}
	c.ignored(d, s.Packet, from-first, last+1-first)
	c.conv.Sides[d].More().Conflicts += n
	c.anomaly(flow.OverlapConflict, d, at, s.Packet, s.Time, detail)
}

func (c *Conn) anomaly(kind string, d flow.Direction, off, packet int64, t time.Time, detail string) {
	c.out.Anomaly(flow.Anomaly{Kind: kind, Detail: detail, Conversation: c.conv, Direction: d, Offset: off, Packet: packet, Time: t})
}

// state keeps the conversation's state.
func (c *Conn) state(d flow.Direction, s *packet.Segment) {
	v := c.conv
	if !v.Ended && (s.Flags.Has(packet.FIN) || s.Flags.Has(packet.RST)) {
		v.Ended, v.CloseBy, v.EndedAt = true, d, flow.At(s.Time)
	}
	switch {
	case v.Sides[0].Fin && v.Sides[1].Fin:
		v.State = flow.Closed
	case v.Sides[0].Rst || v.Sides[1].Rst:
		v.State = flow.Reset
	case v.Sides[0].Syn || v.Sides[1].Syn:
		v.State = flow.Open
	}
}

// end tells the receiver when a direction has come to its FIN.
func (c *Conn) end(a *Assembler, d flow.Direction) {
	for range 2 {
		h := &c.halfs[d]
		if !h.ended && h.phase == running && h.fin != noFin && h.next >= h.fin {
			h.ended = true
			h.forget(a)
			c.out.End(d)
		}
		d = d.Reverse()
	}
}

// Done reports whether both directions came to their end with nothing missing.
func (c *Conn) Done() bool {
	return c.halfs == nil || c.halfs[0].ended && c.halfs[1].ended
}

// Waiting reports whether anything is held back.
func (c *Conn) Waiting() bool {
	return c.halfs != nil && (c.halfs[0].waiting() || c.halfs[1].waiting())
}

// Tick gives up the gaps that were open too long at the time now.
func (a *Assembler) Tick(c *Conn, now time.Time) {
	if c.halfs == nil {
		return
	}
	if a.heldEnough(&c.halfs[0], now) || a.heldEnough(&c.halfs[1], now) {
		c.begin(a)
	}
	for d := range c.halfs {
		h := &c.halfs[d]
		for h.phase == running && h.waiting() && a.waitedEnough(h, now) {
			c.giveUp(a, flow.Direction(d))
		}
	}
	c.end(a, flow.ClientToServer)
}

func (a *Assembler) heldEnough(h *half, now time.Time) bool {
	return h.phase == holding && h.waiting() && (h.waitPackets >= a.limits.HoldPackets ||
		h.pendingBytes >= a.limits.HoldBytes || now.Sub(h.waitSince) >= a.limits.HoldTime)
}

func (a *Assembler) waitedEnough(h *half, now time.Time) bool {
	waited := now.Sub(h.waitSince)
	return h.pendingBytes > a.limits.Bytes || len(h.pending) > a.limits.Pieces || waited >= a.limits.Time ||
		h.ackedTo() >= h.pending[0].off && (h.waitPackets >= a.limits.AckedPackets || waited >= a.limits.AckedTime)
}

// begin ends the hold of directions whose SYN was not seen: of both at once, so
// that each knows what the other's acknowledgements mean.
func (c *Conn) begin(a *Assembler) {
	if c.halfs[0].phase != running && c.halfs[1].phase != running {
		var first [2][]byte
		for i := range c.halfs {
			if c.halfs[i].waiting() {
				first[i] = c.halfs[i].pending[0].data
			}
		}
		if c.out.Begin(first) {
			c.Turn()
		}
	}
	for i := range c.halfs {
		if h := &c.halfs[i]; h.phase == holding {
			h.settle(h.low)
		}
	}
	c.drain(a, flow.ClientToServer)
	c.drain(a, flow.ServerToClient)
}

// giveUp skips the gap before the first pending piece.
func (c *Conn) giveUp(a *Assembler, d flow.Direction) {
	h := &c.halfs[d]
	if h.pendingBytes > a.limits.Bytes || len(h.pending) > a.limits.Pieces {
		c.anomaly(flow.PendingLimit, d, h.next, h.pending[0].packet, h.pending[0].time,
			fmt.Sprintf("%d bytes waited for a gap of %d", h.pendingBytes, h.pending[0].off-h.next))
	}
	c.skip(a, d, h.pending[0].off, false, h.pending[0].packet, h.pending[0].time)
	c.drain(a, d)
}

// Release hands on all that waits, giving up every gap before it.
func (a *Assembler) Release(c *Conn) {
	if c.halfs == nil {
		return
	}
	c.begin(a)
	for i := range c.halfs {
		d, h := flow.Direction(i), &c.halfs[i]
		for h.waiting() {
			c.giveUp(a, d)
		}
	}
}

// finish hands on all that waits and ends both directions.
func (a *Assembler) finish(c *Conn) {
	a.Release(c)
	for i := range c.halfs {
		d, h := flow.Direction(i), &c.halfs[i]
		if h.phase == running && h.fin != noFin {
			c.skip(a, d, h.fin, false, 0, time.Time{})
		}
		h.forget(a)
		if !h.ended {
			h.ended = true
			c.out.End(d)
		}
	}
}
