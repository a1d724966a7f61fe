package decode

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
	"netlab/decode/tcp"
)

// Options of the pipeline. The zero value is right for looking.
type Options struct {
	// TCP bounds reassembly.
	TCP tcp.Limits
	// Memory is about how many bytes of memory the pipeline may have need of; 0
	// is DefaultMemory. Where that is too little, what has waited longest is given
	// up, and an anomaly says so.
	Memory int64
	// Conversations bounds how many are followed at a time; 0 has it follow from
	// Memory.
	Conversations int
	// Digest asks for the SHA-256 of each direction's bytes.
	Digest bool
	// Keep is how many bytes of each message to keep in Message.Raw.
	Keep int64
	// NoChecksums leaves the checksums of TCP and UDP unverified.
	NoChecksums bool
}

// DefaultMemory is Options.Memory when it is 0.
const DefaultMemory = 256 << 20

// MinMemory is the least that Options.Memory can be: below it, one message may
// be more than there is.
const MinMemory = 32 << 20

// conversationCost is about what a conversation takes that is followed, without
// what is said in it: itself, its entry, and its place in the table.
const conversationCost = 736

// budget shares the memory out. A quarter is left to the garbage collector, and
// to whoever reads the packets. It returns what conversations may take, of which
// a third may be what is said in them.
func (o *Options) budget() int64 {
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	m := max(o.Memory, MinMemory)
	if o.Conversations <= 0 {
		o.Conversations = math.MaxInt
	}
	if o.TCP.TotalBytes <= 0 {
		o.TCP.TotalBytes = m / 8
	}
	if o.TCP.RecentBytes <= 0 {
		o.TCP.RecentBytes = m / 32
	}
	if o.TCP.Gaps == nil {
		o.TCP.Gaps = &flow.Room{Limit: int(m / 32 / flow.GapCost)}
	}
	return m * 9 / 16
}

// Summary accounts for everything the pipeline was given.
type Summary struct {
	Packets   int64
	Bytes     int64 // captured
	WireBytes int64
	// First and Last are the times of the first and the last packet.
	First, Last time.Time
	// Kinds counts each packet once, by what became of it.
	Kinds [packet.KindCount]int64
	// Reasons counts the packets that carried no transport, by name.
	Reasons map[packet.Kind]map[packet.Reason]int64
	Links   map[capture.LinkType]int64
	// Conversations counts them by transport, Exchanges by their state.
	Conversations map[flow.Transport]int64
	Exchanges     map[proto.State]int64
	Anomalies     map[string]int64
	BadChecksums  int64
	// Truncated means that the capture is damaged: Damage says how.
	Truncated bool
	Damage    string
}

// Decoder is the pipeline. It is a capture.Sink.
type Decoder struct {
	opts  Options
	sink  Sink
	err   error // of the sink, sticky
	sum   Summary
	count int // conversations

	packet packet.Decoder
	table  *flow.Table[*talk]
	tcp    *tcp.Assembler
	// waiting are the conversations in which something waits for a gap to fill,
	// the one that has waited longest first.
	waiting list
	// hoards are the conversations that have a dialogue, the one that has had it
	// longest first; held is what all of them hold, of the room there is.
	hoards list
	held   int64
	room   int64
	// awaited are the places at which a conversation is to come that carries
	// content for another.
	awaited map[netip.AddrPort]*talk
	spare   []*proto.Dialogue
	// endings are those that ended, to be looked at when they have been silent
	// for quiet.
	endings []ending
	expired time.Time // when those that timed out were last looked for

	starter   Starter
	finisher  Finisher
	closer    Closer
	streamer  Streamer
	gapper    Gapper
	anomalist Anomalist
}

// quiet is how long a connection must be silent after its end to be taken for
// over: a forged RST does not stop its victims.
const quiet = 2 * time.Second

// ending is a conversation that ended, and when it last spoke.
type ending struct {
	talk  *talk
	since time.Time
}

// New returns a pipeline that pushes to sink.
func New(sink Sink, opts Options) *Decoder {
	room := opts.budget()
	d := &Decoder{opts: opts, sink: sink, room: room, table: flow.NewTable[*talk](opts.Conversations), tcp: tcp.NewAssembler(opts.TCP)}
	d.waiting.at = func(t *talk) (*links, *bool) { return &t.gaps, &t.waits }
	d.hoards.at = func(t *talk) (*links, *bool) { return &t.hoarded, &t.hoards }
	d.awaited = make(map[netip.AddrPort]*talk)
	d.packet.Checksums = !opts.NoChecksums
	d.sum = Summary{
		Reasons:       make(map[packet.Kind]map[packet.Reason]int64),
		Links:         make(map[capture.LinkType]int64),
		Conversations: make(map[flow.Transport]int64),
		Exchanges:     make(map[proto.State]int64),
		Anomalies:     make(map[string]int64),
	}
	d.starter, _ = sink.(Starter)
	d.finisher, _ = sink.(Finisher)
	d.closer, _ = sink.(Closer)
	d.streamer, _ = sink.(Streamer)
	d.gapper, _ = sink.(Gapper)
	d.anomalist, _ = sink.(Anomalist)
	return d
}

// Run decodes all of src. A damaged capture is no error, but noted in the
// Summary. After another error of the source or the sink, what was decoded up to
// then is still handed on where that is possible.
func Run(src capture.Source, sink Sink, opts Options) (*Summary, error) {
	d := New(sink, opts)
	var failed error
	for failed == nil {
		p, err := src.Next()
		switch {
		case err == nil:
			failed = d.WritePacket(p)
			continue
		case errors.Is(err, capture.ErrIdle):
			failed = d.Tick(p.Time)
			continue
		case errors.Is(err, capture.ErrDamaged):
			d.sum.Truncated, d.sum.Damage = true, err.Error()
		case !errors.Is(err, io.EOF):
			failed = err
		}
		break
	}
	sum, err := d.Close()
	if failed != nil {
		return sum, failed
	}
	return sum, err
}

// WritePacket decodes one packet.
func (d *Decoder) WritePacket(p *capture.Packet) error {
	if d.err != nil {
		return d.err
	}
	s := &d.sum
	if s.Packets == 0 {
		s.First = p.Time
	}
	s.Packets++
	s.Last = p.Time
	s.Bytes += int64(len(p.Data))
	s.WireBytes += int64(p.Length)
	s.Links[p.Link]++
	d.expire(p.Time)
	kind := d.packet.Decode(p)
	s.Kinds[kind]++
	switch kind {
	case packet.TCP:
		d.segment(&d.packet.Segment)
	case packet.UDP:
		d.datagram(&d.packet.Datagram)
	default:
		s.reason(kind, d.packet.Why, 1)
		if d.packet.Error != nil {
			d.icmp(d.packet.Error, p)
		}
	}
	if n := d.packet.Overlaps; n > 0 {
		d.packet.Overlaps = 0
		d.anomaly(flow.Anomaly{Kind: flow.FragmentConflict, Detail: "an ip fragment says otherwise than another, which is kept", Packet: p.Number, Time: p.Time})
	}
	return d.err
}

// reason counts packets that carried no transport.
func (s *Summary) reason(k packet.Kind, r packet.Reason, n int64) {
	if s.Reasons[k] == nil {
		s.Reasons[k] = make(map[packet.Reason]int64)
	}
	if s.Reasons[k][r] += n; s.Reasons[k][r] == 0 {
		delete(s.Reasons[k], r)
	}
}

// icmp ties an ICMP error to the conversation that it is about. It makes none,
// and keeps none alive.
func (d *Decoder) icmp(e *packet.ICMPError, p *capture.Packet) {
	if entry, dir := d.table.Lookup(&e.Flow); entry != nil {
		c := &entry.Value.conv
		d.anomaly(flow.Anomaly{
			Kind: flow.ICMPError, Detail: e.String() + ", says " + e.From.String(),
			Conversation: c, Direction: dir, Offset: c.Sides[dir].End(), Packet: p.Number, Time: p.Time,
		})
	}
}

// anomaly hands an anomaly on.
func (d *Decoder) anomaly(a flow.Anomaly) {
	d.sum.Anomalies[a.Kind]++
	if d.anomalist != nil {
		d.fail(d.anomalist.Anomaly(a))
	}
}

// Tick lets the time pass when no packet comes.
func (d *Decoder) Tick(now time.Time) error {
	for t := d.waiting.head; t != nil; {
		next := t.gaps.next
		d.tcp.Tick(&t.tcp, now)
		d.track(t)
		d.weigh(t)
		t = next
	}
	d.expire(now)
	return d.err
}

// Close hands on everything that is left, in the order of the conversations.
func (d *Decoder) Close() (*Summary, error) {
	var left []*talk
	for e := d.table.Oldest(); e != nil; e = d.table.Oldest() {
		left = append(left, e.Value)
	}
	slices.SortFunc(left, func(a, b *talk) int { return a.conv.ID - b.conv.ID })
	for _, t := range left {
		d.finish(t)
	}
	d.packet.Flush()
	if n := d.packet.Lost; n > 0 {
		d.packet.Lost = 0
		s := &d.sum
		s.Kinds[packet.Fragment] -= n
		s.Kinds[packet.Undecoded] += n
		s.reason(packet.Fragment, packet.FragmentReason, -n)
		s.reason(packet.Undecoded, packet.LostFragmentReason, n)
	}
	if s, ok := d.sink.(Summarizer); ok && d.err == nil {
		d.err = s.Summary(&d.sum)
	}
	return &d.sum, d.err
}

// segment adds a segment to its conversation.
func (d *Decoder) segment(s *packet.Segment) {
	if s.BadChecksum {
		d.sum.BadChecksums++
	}
	e, dir := d.lookup(&s.Flow, s.Time)
	if e != nil && e.Value.tcp.Restarts(dir, s) {
		d.retire(e)
		e = nil
	}
	if e == nil {
		dir = flow.ClientToServer
		opening := s.Flags.Has(packet.SYN)
		// Whoever answers a SYN is the server; with no SYN, whoever has the
		// lower port.
		if s.Flags.Has(packet.SYN|packet.ACK) || !opening && s.Flow.SrcPort() < s.Flow.DstPort() {
			dir = flow.ServerToClient
		}
		e = d.begin(&s.Flow, dir, !opening, s.Time, s.Packet)
		d.tcp.Init(&e.Value.tcp, &e.Value.conv, e.Value)
	} else if t := e.Value; t.conv.Guessed && s.Flags.Has(packet.SYN) {
		answer := s.Flags.Has(packet.ACK)
		if wrong := answer == (dir == flow.ClientToServer); wrong && t.conv.Sides[0].Bytes+t.conv.Sides[1].Bytes == 0 {
			t.turn()
			t.tcp.Turn()
			dir = dir.Reverse()
		}
		t.conv.Guessed = false
	}
	t := e.Value
	e.Last, t.conv.End = s.Time, s.Time
	was := t.conv.State
	d.tcp.Segment(&t.tcp, dir, s)
	d.track(t)
	if t.conv.State != was && (t.conv.State == flow.Closed || t.conv.State == flow.Reset) {
		d.ended(t)
	}
	if !t.over && t.tcp.Done() {
		t.hush()
	}
	if s.Length > 0 { // else nothing was said
		d.weigh(t)
	}
	for d.tcp.Full() && d.waiting.head != nil {
		t := d.waiting.head
		t.Anomaly(flow.Anomaly{Kind: flow.PendingLimit, Detail: "too much waits in all connections", Conversation: &t.conv, Packet: s.Packet, Time: s.Time})
		d.tcp.Release(&t.tcp)
		d.track(t)
		d.weigh(t)
	}
	d.makeRoom(s.Time, s.Packet)
}

// weigh counts what a conversation's dialogue holds.
func (d *Decoder) weigh(t *talk) {
	now := 0
	if t.dialogue != nil {
		now = t.dialogue.Held()
	}
	d.held += int64(now - t.held)
	t.held = now
	d.hoards.set(t, now > 0)
}

// makeRoom has the oldest dialogues let go of what they hold.
func (d *Decoder) makeRoom(now time.Time, packet int64) {
	for d.held > d.room/3 && d.hoards.head != nil {
		t := d.hoards.head
		t.dialogue.Abandon(now, packet, "the memory is needed for others")
		t.putAway()
		d.weigh(t)
	}
}

// datagram adds a datagram to its conversation.
func (d *Decoder) datagram(g *packet.Datagram) {
	if g.BadChecksum {
		d.sum.BadChecksums++
	}
	e, dir := d.lookup(&g.Flow, g.Time)
	if e == nil {
		// Whoever speaks first asks, unless it is an answer.
		dir, _ = proto.SideOf(flow.UDP, g.Payload)
		e = d.begin(&g.Flow, dir, dir == flow.ServerToClient, g.Time, g.Packet)
	}
	t := e.Value
	e.Last, t.conv.End = g.Time, g.Time
	side := &t.conv.Sides[dir]
	side.Packets++
	k := flow.Chunk{Data: g.Payload, Offset: side.End(), Time: g.Time, Packet: g.Packet, Ack: t.conv.Sides[dir.Reverse()].Bytes}
	side.Bytes += int64(len(g.Payload))
	t.stream(dir, k)
	missing := g.Length - len(g.Payload)
	t.said().Datagram(dir, k, missing)
	if t.dialogue.Idle() {
		t.putAway()
	}
	if missing > 0 {
		gap := flow.Gap{Offset: k.Offset + int64(len(g.Payload)), Length: int64(missing), Cut: true, Packet: g.Packet, Time: g.Time}
		side.AddGap(gap, d.opts.TCP.Gaps)
		t.gap(dir, gap)
	}
	d.weigh(t)
	d.makeRoom(g.Time, g.Packet)
}

// lookup returns the conversation of a flow and its direction; nil when there is
// none, or when it was silent for so long that what comes begins another.
func (d *Decoder) lookup(f *flow.Flow, now time.Time) (*flow.Entry[*talk], flow.Direction) {
	e, dir := d.table.Lookup(f)
	if e != nil && e.Due(now) {
		d.retire(e)
		e = nil
	}
	return e, dir
}

// retire finishes a conversation to which nothing more belongs.
func (d *Decoder) retire(e *flow.Entry[*talk]) {
	d.table.Remove(e)
	d.finish(e.Value)
}

// begin makes a conversation of which the first packet, of direction dir, has
// the flow f.
func (d *Decoder) begin(f *flow.Flow, dir flow.Direction, guessed bool, now time.Time, packet int64) *flow.Entry[*talk] {
	for d.full() {
		old := d.table.Oldest().Value
		if !old.over { // else only stragglers could still come
			old.Anomaly(flow.Anomaly{Kind: flow.TableLimit, Detail: "its place was needed for another", Conversation: &old.conv, Packet: packet, Time: now})
		}
		d.finish(old)
	}
	t := &talk{d: d}
	t.conv = flow.Conversation{ID: d.count, Transport: f.Transport(), Client: f.Src(), Server: f.Dst(), Guessed: guessed, Start: now, End: now}
	if dir == flow.ServerToClient {
		t.conv.Client, t.conv.Server = t.conv.Server, t.conv.Client
	}
	d.count++
	d.sum.Conversations[t.conv.Transport]++
	t.entry = d.table.Add(f, dir, now)
	t.entry.Value = t
	if len(d.awaited) > 0 {
		t.adopt()
	}
	if d.opts.Digest {
		t.digests = &[2]hash.Hash{sha256.New(), sha256.New()}
	}
	if d.starter != nil {
		d.fail(d.starter.Start(&t.conv))
	}
	return t.entry
}

// full reports whether a conversation must go before another is begun.
func (d *Decoder) full() bool {
	n := d.table.Len()
	return d.table.Full() || n > 0 && int64(n)*conversationCost+d.tcp.Held()+d.held > d.room
}

// ended notes that a conversation was closed or broken off.
func (d *Decoder) ended(t *talk) {
	d.table.Close(t.entry, t.conv.End)
	d.endings = append(d.endings, ending{t, t.conv.End})
	if d.closer != nil {
		d.fail(d.closer.Close(&t.conv))
	}
}

// expireEvery is how often to look, by the capture's clock: the timeouts are
// seconds and more.
const expireEvery = 10 * time.Millisecond

// expire finishes what has been silent for long.
func (d *Decoder) expire(now time.Time) {
	if since := now.Sub(d.expired); since >= 0 && since < expireEvery {
		return
	}
	d.expired = now
	for len(d.endings) > 0 && now.Sub(d.endings[0].since) >= quiet {
		t := d.endings[0].talk
		d.endings[0] = ending{}
		d.endings = d.endings[1:]
		if now.Sub(t.conv.End) < quiet {
			d.endings = append(d.endings, ending{t, t.conv.End})
			continue
		}
		if t.conv.State == flow.Closed || t.conv.Sides[0].Bytes+t.conv.Sides[1].Bytes == 0 {
			d.tcp.Settle(&t.tcp)
			t.hush()
		} else {
			d.tcp.Release(&t.tcp)
			t.pause()
		}
		d.track(t)
	}
	for e := d.table.Expired(now); e != nil; e = d.table.Expired(now) {
		d.finish(e.Value)
	}
}

// finish hands on what is left of a conversation that is out of the table.
func (d *Decoder) finish(t *talk) {
	if t.conv.Transport == flow.TCP {
		d.tcp.Settle(&t.tcp)
		d.track(t)
	}
	t.hush()
	t.expect(nil)
	if t.conv.Protocol == "" { // nothing was said
		t.conv.Protocol = proto.Raw.Name
	}
	if t.digests != nil {
		for i, h := range t.digests {
			t.conv.Sides[i].Digest = (*[sha256.Size]byte)(h.Sum(nil))
		}
	}
	if d.finisher != nil {
		d.fail(d.finisher.Finish(&t.conv))
	}
	d.opts.TCP.Gaps.Leave(&t.conv)
}

// track keeps the list of those that wait for a gap to fill.
func (d *Decoder) track(t *talk) { d.waiting.set(t, t.tcp.Waiting()) }

// fail keeps the first error of the sink.
func (d *Decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Anomalous returns the kinds of anomaly that were seen, sorted.
func (s *Summary) Anomalous() []string { return slices.Sorted(maps.Keys(s.Anomalies)) }

// Undecoded returns how many packets were not understood or not whole.
func (s *Summary) Undecoded() int64 { return s.Kinds[packet.Undecoded] + s.Kinds[packet.CutShort] }
