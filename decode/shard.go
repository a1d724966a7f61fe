package decode

import (
	"cmp"
	"crypto/sha256"
	"hash"
	"slices"
	"time"

	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
	"netlab/decode/tcp"
)

// shard has the conversations of some flows.
type shard struct {
	d     *Decoder
	index int
	sink  Sink
	part  Part // the same, of a Forker; else nil
	err   error

	table *flow.Table[talk]
	tcp   *tcp.Assembler
	gaps  flow.Room
	// waiting are the conversations in which something waits for a gap to fill,
	// the one that has waited longest first.
	waiting list
	// hoards are the conversations that have a dialogue, the one that has had it
	// longest first; held is what all of them hold.
	hoards list
	held   int64
	spare  []*dialogue
	// reused is the memory of exchanges, and free that of conversations that are
	// over and written, where the sink keeps none. Those in gone are not written.
	reused     *proto.Spare
	free, gone []*entry
	// endings are those that ended, to be looked at when they have been silent
	// for quiet.
	endings, over []ending
	found         []*talk // what those return that look for some
	left          []*talk // at the end, those that are not finished
	batch         *batch  // that is being worked on
	warm          uint64  // of no use but that it must be read
	hashes        [ahead]uint64
	near          [ahead]*entry
	unpacked      packet.Segment
	// current is the conversation that the latest packet was of, line where that
	// stood, and along the direction of its flow.
	current *entry
	line    int32
	along   flow.Direction
	related bool // one conversation may have to do with another
	opens   bool // there was a protocol that has conversations open others

	// What was made of a batch: the conversations that began, and what is to be
	// written, of which some is.
	begun  []*flow.Conversation
	pieces []piece // not of packets, which are in batch.made
	marked int     // where the latest ends
	handed int     // how many pieces are written

	conversations map[flow.Transport]int64
	exchanges     [3]int64 // by state
	anomalies     map[string]int64
	badChecksums  int64
	traits        Traits

	starter   Starter
	finisher  Finisher
	closer    Closer
	packeter  Packeter
	streamer  Streamer
	gapper    Gapper
	ignorer   Ignorer
	inner     InnerStreamer
	framer    Framer
	anomalist Anomalist
	bytes     bool // somebody wants the streams as they are
}

// entry is a conversation with the stages that work on it, in its place in the
// table.
type entry = flow.Entry[talk]

// extent is a part of what a Part has gathered.
type extent struct{ from, end int }

// piece is what was made at one time.
type piece struct {
	extent
	phase phase
	first int64 // of the conversation, or another number that orders those of a phase
}

// phase orders what is made in a batch.
type phase uint8

const (
	phaseIdle    phase = iota // when no packet came: of what waited
	phaseQuiet                // before its packets: of connections that have ended
	phaseExpired              // of conversations that were silent for long
	phasePacket               // of the packets, in their order
	phaseBetween              // behind a batch: of what there was too much of
	phaseEnd                  // behind all
)

func (p *piece) compare(q *piece) int {
	return cmp.Or(cmp.Compare(p.phase, q.phase), cmp.Compare(p.first, q.first))
}

// quiet is how long a connection must be silent after its end to be taken for
// over: a forged RST does not stop its victims.
const quiet = 2 * time.Second

// expireEvery is how often to look for what timed out, by the capture's clock: the
// timeouts are seconds and more.
const expireEvery = 10 * time.Millisecond

// ending is a conversation that ended, by its first packet, and when to look
// whether it is over. Its talk may be another's by then.
type ending struct {
	talk  *talk
	first int64
	when  time.Duration
}

func newShard(d *Decoder, sink Sink, part Part) *shard {
	s := &shard{d: d, index: len(d.shards), sink: sink, part: part, table: flow.NewTable[talk]()}
	limits := d.opts.TCP
	limits.Gaps = &s.gaps
	s.tcp = tcp.NewAssembler(limits)
	s.conversations = make(map[flow.Transport]int64)
	s.anomalies = make(map[string]int64)
	if part != nil {
		s.reused = new(proto.Spare)
	}
	s.starter, _ = sink.(Starter)
	s.finisher, _ = sink.(Finisher)
	s.closer, _ = sink.(Closer)
	s.packeter, _ = sink.(Packeter)
	s.streamer, _ = sink.(Streamer)
	s.gapper, _ = sink.(Gapper)
	s.ignorer, _ = sink.(Ignorer)
	s.inner, _ = sink.(InnerStreamer)
	s.framer, _ = sink.(Framer)
	s.anomalist, _ = sink.(Anomalist)
	s.bytes = s.streamer != nil || s.inner != nil || d.opts.Digest
	return s
}

// ahead is how many units are fetched into the cache at a time: several to be
// waited for at once, and no more than there is room for.
const ahead = 64

// work does the shard's part of a batch.
func (s *shard) work(b *batch) {
	begin(b, false, s)
	lines := &b.lines[s.index]
	for order := lines.inLine(); len(order) > 0; {
		next := order[:min(len(order), ahead)]
		order = order[len(next):]
		s.fetch(b, lines, next)
		for _, i := range next {
			s.do(int(i), &b.units[i])
		}
	}
	s.leave()
}

// fetch has what units need come into the cache: what is far is asked for at once,
// step by step, which takes hardly longer than for one.
func (s *shard) fetch(b *batch, lines *lines, units []int32) {
	hashes, last := s.hashes[:0], int32(-1)
	for _, i := range units {
		u := &b.units[i]
		s.warm += uint64(u.Warm())
		if u.line != last {
			last = u.line
			hash := lines.all[last].hash
			hashes = append(hashes, hash)
			s.warm += s.table.Touch(hash)
		}
	}
	near := s.near[:0]
	for _, hash := range hashes {
		if e := s.table.Near(hash); e != nil {
			near = append(near, e)
		}
	}
	for _, e := range near {
		s.warm += e.Warm()
	}
	for _, e := range near {
		if e.Value.tcp != nil {
			s.warm += e.Value.tcp.Warm()
		}
		if e.Value.dialogue != nil {
			s.warm += e.Value.dialogue.Warm()
		}
	}
}

// begin has shards let go of what is over before a batch: what one conversation
// says then may change what another is, so they do it in one order.
func begin(b *batch, related bool, shards ...*shard) {
	for _, s := range shards {
		s.batch, s.related = b, related
	}
	if b.idle {
		inTurn(shards, (*shard).waits, (*shard).idle)
	}
	if b.look {
		inTurn(shards, (*shard).silent, (*shard).settle)
		inTurn(shards, (*shard).expired, (*shard).expire)
	}
}

// inTurn does something with the talks of all shards that are found, in the order
// of their first packets.
func inTurn(shards []*shard, find func(*shard) []*talk, do func(*shard, *talk)) {
	var talks []*talk
	for i, s := range shards {
		if found := find(s); i == 0 {
			talks = found
		} else {
			talks = append(talks, found...)
			clear(found)
		}
	}
	sortByFirst(talks)
	for _, t := range talks {
		do(t.shard, t)
	}
	clear(talks)
}

func sortByFirst(talks []*talk) {
	slices.SortFunc(talks, func(a, b *talk) int { return cmp.Compare(a.conv().First, b.conv().First) })
}

// do does what a packet asks for, the i-th of the batch.
func (s *shard) do(i int, u *unit) {
	g, l := &s.unpacked, s.lineOf(u)
	if u.back {
		g.Flow.SetReverse(&l.flow)
	} else {
		g.Flow = l.flow
	}
	u.Unpack(g)
	if !s.d.opts.NoChecksums && g.BadChecksum() {
		s.badChecksums++
	}
	switch u.kind {
	case unitSegment:
		s.segment(u, g)
	case unitDatagram:
		s.datagram(u, g)
	case unitICMP:
		s.icmp(u, g)
	case unitOverlap:
		s.anomaly(flow.Anomaly{Kind: flow.FragmentConflict, Detail: "an ip fragment says otherwise than another, which is kept", Packet: g.Packet, Time: g.Time})
	}
	s.batch.made[i] = s.made()
}

// lineOf returns the line that a unit stands in.
func (s *shard) lineOf(u *unit) *line { return &s.batch.lines[s.index].all[u.line] }

// made returns what was made since the last time that this was asked.
func (s *shard) made() (x extent) {
	if s.part != nil {
		x.from, x.end = s.marked, s.part.Len()
		s.marked = x.end
	}
	return x
}

// mark notes what was made in a phase until now.
func (s *shard) mark(p phase, first int64) {
	if x := s.made(); x.end > x.from {
		s.pieces = append(s.pieces, piece{x, p, first})
	}
}

// fail keeps the first error of the sink, for the Decoder.
func (s *shard) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// icmp ties an ICMP error to the conversation that it is about. It makes none,
// and keeps none alive.
func (s *shard) icmp(u *unit, g *packet.Segment) {
	if e, dir := s.table.Lookup(&g.Flow, s.lineOf(u).hash); e != nil {
		c, x := &e.Conversation, &s.batch.errors[g.Length]
		s.anomaly(flow.Anomaly{
			Kind: flow.ICMPError, Detail: x.String() + ", says " + x.From.String(),
			Conversation: c, Direction: dir, Offset: c.Sides[dir].End(), Packet: g.Packet, Time: g.Time,
		})
	}
}

// anomaly hands an anomaly on.
func (s *shard) anomaly(a flow.Anomaly) {
	s.anomalies[a.Kind]++
	if s.anomalist != nil {
		s.fail(s.anomalist.Anomaly(a))
	}
}

// segment adds a segment to its conversation.
func (s *shard) segment(u *unit, g *packet.Segment) {
	e, dir := s.lookup(u, g)
	if e != nil && g.Flags.Has(packet.SYN) && e.Value.tcp.Restarts(dir, g) {
		s.retire(e)
		e = nil
	}
	if e == nil {
		dir = flow.ClientToServer
		opening := g.Flags.Has(packet.SYN)
		// Whoever answers a SYN is the server; with no SYN, whoever has the
		// lower port.
		if g.Flags.Has(packet.SYN|packet.ACK) || !opening && g.Flow.SrcPort() < g.Flow.DstPort() {
			dir = flow.ServerToClient
		}
		e = s.start(u, g, dir, !opening)
		if e.Value.tcp == nil {
			e.Value.tcp = new(tcp.Conn)
		}
		s.tcp.Init(e.Value.tcp, &e.Conversation, &e.Value)
	} else if c := &e.Conversation; c.Guessed && g.Flags.Has(packet.SYN) {
		answer := g.Flags.Has(packet.ACK)
		if wrong := answer == (dir == flow.ClientToServer); wrong && c.Sides[0].Bytes+c.Sides[1].Bytes == 0 {
			e.Value.turn()
			e.Value.tcp.Turn()
			dir = dir.Reverse()
		}
		c.Guessed = false
	}
	t, c := &e.Value, &e.Conversation
	s.came(e, u, g, dir)
	if s.tcp.Usual(t.tcp, dir, g) {
		return
	}
	was := c.State
	s.tcp.Segment(t.tcp, dir, g)
	if c.State != was && (c.State == flow.Closed || c.State == flow.Reset) {
		s.ended(t)
	}
	if !t.over && t.tcp.Done() {
		t.hush()
		if c.Sides[0].Extra().GapCount+c.Sides[1].Extra().GapCount == 0 { // else the bytes of a gap may still come
			s.tcp.Settle(t.tcp)
		}
	}
}

// came notes a packet of a conversation, which is the current one now.
func (s *shard) came(e *entry, u *unit, g *packet.Segment, dir flow.Direction) {
	if s.current != e {
		if u.back {
			dir = dir.Reverse()
		}
		s.current, s.line, s.along = e, u.line, dir
	}
	if s.packeter != nil {
		s.fail(s.packeter.Packet(&e.Conversation, g.Packet))
	}
	e.Seen(u.at)
	e.Conversation.End = flow.At(g.Time)
}

// leave sees to what the packets of a conversation in a row have left.
func (s *shard) leave() {
	if s.current == nil {
		return
	}
	t := &s.current.Value
	s.current = nil
	if t.conv().Transport() == flow.TCP {
		s.track(t)
	} else if t.dialogue.Idle() {
		t.putAway()
	}
	s.weigh(t)
}

// track keeps the list of those that wait for a gap to fill.
func (s *shard) track(t *talk) {
	listed := t.rare != nil && t.rare.waits.talk != nil
	switch waits := t.tcp.Waiting(); {
	case waits && !listed:
		s.waiting.add(&t.more().waits, t, s.batch.Number)
	case !waits && listed:
		s.waiting.remove(&t.rare.waits)
	}
}

// weigh counts what a conversation's dialogue holds.
func (s *shard) weigh(t *talk) {
	g := t.dialogue
	if g == nil {
		return
	}
	now := g.Held()
	if g.held == 0 {
		s.hoards.add(&g.node, t, s.batch.Number)
	}
	s.held += int64(now - g.held)
	g.held = now
}

// datagram adds a datagram to its conversation.
func (s *shard) datagram(u *unit, g *packet.Segment) {
	e, dir := s.lookup(u, g)
	if e == nil {
		// Whoever speaks first asks, unless it is an answer.
		known := false
		if dir, known = s.d.opts.server(&g.Flow); !known {
			dir, _ = proto.SideOf(flow.UDP, g.Payload)
		}
		e = s.start(u, g, dir, dir == flow.ServerToClient)
	}
	t, c := &e.Value, &e.Conversation
	s.came(e, u, g, dir)
	side := &c.Sides[dir]
	side.Packets++
	k := flow.Chunk{Data: g.Payload, Offset: side.End(), Time: g.Time, Packet: g.Packet, Ack: c.Sides[dir.Reverse()].Bytes}
	side.Bytes += int64(len(g.Payload))
	if s.bytes {
		t.stream(dir, k)
	}
	missing := g.Length - len(g.Payload)
	t.said().Datagram(dir, &k, missing)
	if missing > 0 {
		gap := flow.Gap{Offset: k.Offset + int64(len(g.Payload)), Length: int64(missing), Cut: true, Packet: g.Packet, Time: g.Time}
		side.AddGap(gap, &s.gaps)
		t.gap(dir, gap)
	}
	t.streamed()
}

// lookup returns the conversation of a flow and its direction; nil when there is
// none, or when it was silent for so long that what comes begins another.
func (s *shard) lookup(u *unit, g *packet.Segment) (*entry, flow.Direction) {
	e, dir := s.current, s.along
	if e != nil && s.line == u.line {
		if u.back {
			dir = dir.Reverse()
		}
	} else {
		s.leave()
		e, dir = s.table.Lookup(&g.Flow, s.lineOf(u).hash)
	}
	if e != nil && e.Due(u.at) {
		s.retire(e)
		e = nil
	}
	return e, dir
}

// retire finishes a conversation to which nothing more belongs.
func (s *shard) retire(e *entry) {
	if e == s.current {
		s.current = nil
	}
	s.table.Remove(e)
	s.finish(&e.Value)
}

// start makes the conversation of which u is the first packet, of direction dir.
func (s *shard) start(u *unit, g *packet.Segment, dir flow.Direction, guessed bool) *entry {
	e := s.entry()
	e.Conversation = flow.Conversation{Tuple: g.Flow, First: g.Packet, Guessed: guessed, Start: flow.At(g.Time), End: flow.At(g.Time)}
	c := &e.Conversation
	if dir == flow.ServerToClient {
		c.Tuple = c.Tuple.Reverse()
	}
	if s.part == nil {
		c.ID = s.d.count
		s.d.count++
	} else {
		c.ID = Unnumbered
		s.begun = append(s.begun, c)
	}
	s.conversations[c.Transport()]++
	t := &e.Value
	*t = talk{shard: s, entry: e, tcp: t.tcp}
	s.table.Add(e, s.lineOf(u).hash, s.batch.Turn)
	e.Seen(u.at)
	if s.related && len(s.d.awaited) > 0 {
		t.adopt()
	}
	if s.d.opts.Digest {
		t.more().digests = &[2]hash.Hash{sha256.New(), sha256.New()}
	}
	if s.starter != nil {
		s.fail(s.starter.Start(c))
	}
	return e
}

// ended notes that a conversation was closed or broken off.
func (s *shard) ended(t *talk) {
	s.table.Close(t.entry, s.batch.Turn)
	s.endings = append(s.endings, ending{t, t.conv().First, s.batch.At + quiet})
	if s.closer != nil {
		s.fail(s.closer.Close(t.conv()))
	}
}

// waits returns those in which something waits for a gap to fill.
func (s *shard) waits() []*talk {
	s.found = s.found[:0]
	for n := s.waiting.head; n != nil; n = n.next {
		s.found = append(s.found, n.talk)
	}
	return s.found
}

// idle gives up the gaps that were open too long when no packet comes.
func (s *shard) idle(t *talk) {
	s.tcp.Tick(t.tcp, s.batch.time)
	s.track(t)
	s.weigh(t)
	s.mark(phaseIdle, t.conv().First)
}

// silent returns those that ended and have been silent since.
func (s *shard) silent() []*talk {
	b, n := s.batch, 0
	for n < len(s.endings) && s.endings[n].when <= b.from {
		n++
	}
	s.over = append(s.over[:0], s.endings[:n]...)
	s.endings = s.endings[:copy(s.endings, s.endings[n:])]
	s.found = s.found[:0]
	for _, e := range s.over {
		switch t := e.talk; {
		case t.conv().First != e.first:
		case t.entry.Silent(b.from) < quiet:
			s.endings = append(s.endings, ending{t, e.first, b.from + quiet})
		default:
			s.found = append(s.found, t)
		}
	}
	clear(s.over)
	return s.found
}

// settle gives up the gaps of a connection that ended.
func (s *shard) settle(t *talk) {
	c := t.conv()
	if c.State == flow.Closed || c.Sides[0].Bytes+c.Sides[1].Bytes == 0 {
		s.tcp.Settle(t.tcp)
		t.hush()
	} else {
		s.tcp.Release(t.tcp)
		t.pause()
	}
	s.track(t)
	s.weigh(t)
	s.mark(phaseQuiet, c.First)
}

// expired takes out those that were silent for long.
func (s *shard) expired() []*talk {
	return s.talks(s.table.Expired(flow.Turn{Number: s.batch.Number, At: s.batch.from}))
}

// all returns those that are left when nothing more comes.
func (s *shard) all() []*talk {
	all := s.table.All()
	s.table = nil // to take them out one by one would be for nothing
	return s.talks(all)
}

// leftBefore returns those that are left of the conversations before a number.
func (s *shard) leftBefore(number int) []*talk {
	n := 0
	for n < len(s.left) && s.left[n].conv().ID < number {
		n++
	}
	talks := s.left[:n:n]
	s.left = s.left[n:]
	return talks
}

// last finishes one of those that are left.
func (s *shard) last(t *talk) {
	s.finish(t)
	s.mark(phaseEnd, t.conv().First)
}

func (s *shard) talks(entries []*entry) []*talk {
	for _, e := range entries {
		s.warm += e.Warm()
	}
	s.found = s.found[:0]
	for _, e := range entries {
		s.found = append(s.found, &e.Value)
	}
	return s.found
}

// expire finishes what was silent for long.
func (s *shard) expire(t *talk) {
	s.finish(t)
	s.mark(phaseExpired, t.conv().First)
}

// finish hands on what is left of a conversation that is out of the table.
func (s *shard) finish(t *talk) {
	c := t.conv()
	if c.Transport() == flow.TCP {
		s.tcp.Settle(t.tcp)
		s.track(t)
	}
	t.hush()
	t.expect(nil)
	if c.Protocol == "" { // nothing was said
		c.Protocol = proto.Raw.Name
	}
	if t.rare != nil && t.rare.digests != nil {
		for i, h := range t.rare.digests {
			c.Sides[i].More().Digest = (*[sha256.Size]byte)(h.Sum(nil))
		}
	}
	s.traits.count(c)
	if s.finisher != nil {
		s.fail(s.finisher.Finish(c))
	}
	s.gaps.Leave(c)
	if s.reused != nil && c.For == nil && (t.rare == nil || !t.rare.parent) { // else another may refer to it
		s.gone = append(s.gone, t.entry)
	}
}

// maxFree bounds the conversations of which the memory is kept for others.
const maxFree = 4096

// entry returns one to fill in.
func (s *shard) entry() *entry {
	n := len(s.free)
	if n == 0 {
		return new(entry)
	}
	e := s.free[n-1]
	s.free = s.free[:n-1]
	return e
}

// written frees what is gone, when all that was made of it is written.
func (s *shard) written() {
	s.free = append(s.free, s.gone[:min(len(s.gone), maxFree-len(s.free))]...)
	clear(s.gone)
	s.gone = s.gone[:0]
}

// account adds what was counted to the sums.
func (s *shard) account(sum *Summary) {
	for t, n := range s.conversations {
		sum.Conversations[t] += n
	}
	for state, n := range s.exchanges {
		if n > 0 {
			sum.Exchanges[proto.State(state)] += n
		}
	}
	for kind, n := range s.anomalies {
		sum.Anomalies[kind] += n
	}
	sum.BadChecksums += s.badChecksums
	sum.Traits.add(&s.traits)
}
