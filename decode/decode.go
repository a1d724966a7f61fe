package decode

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"maps"
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
	// Conversations bounds how many are followed at a time; 0 is
	// flow.MaxConversations.
	Conversations int
	// Digest asks for the SHA-256 of each direction's bytes.
	Digest bool
	// Keep is how many bytes of each message to keep in Message.Raw.
	Keep int64
	// NoChecksums leaves the checksums of TCP and UDP unverified.
	NoChecksums bool
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
	// resets are those that a RST broke off, to be looked at when they have been
	// silent for resetQuiet.
	resets []reset

	starter   Starter
	finisher  Finisher
	closer    Closer
	streamer  Streamer
	gapper    Gapper
	anomalist Anomalist
}

// resetQuiet is how long a connection must be silent after a RST to be taken for
// over: a forged RST does not stop its victims.
const resetQuiet = 2 * time.Second

// reset is a conversation that was broken off, and when it last spoke.
type reset struct {
	talk  *talk
	since time.Time
}

// New returns a pipeline that pushes to sink.
func New(sink Sink, opts Options) *Decoder {
	d := &Decoder{opts: opts, sink: sink, table: flow.NewTable[*talk](opts.Conversations), tcp: tcp.NewAssembler(opts.TCP)}
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
		if s.Reasons[kind] == nil {
			s.Reasons[kind] = make(map[packet.Reason]int64)
		}
		s.Reasons[kind][d.packet.Why]++
	}
	return d.err
}

// Tick lets the time pass when no packet comes.
func (d *Decoder) Tick(now time.Time) error {
	for t := d.waiting.head; t != nil; {
		next := t.next
		d.tcp.Tick(&t.tcp, now)
		d.track(t)
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
	e, dir := d.table.Lookup(&s.Flow)
	if e != nil && (e.Due(s.Time) || e.Value.tcp.Restarts(dir, s)) {
		d.table.Remove(e)
		d.finish(e.Value)
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
		e.Value.tcp.Init(&e.Value.conv, e.Value)
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
	if t.dialogue != nil && t.tcp.Done() {
		t.dialogue.Close()
		t.dialogue = nil
	}
	for d.tcp.Full() && d.waiting.head != nil {
		t := d.waiting.head
		t.Anomaly(flow.Anomaly{Kind: flow.PendingLimit, Detail: "too much waits in all connections", Conversation: &t.conv, Packet: s.Packet, Time: s.Time})
		d.tcp.Release(&t.tcp)
		d.track(t)
	}
}

// datagram adds a datagram to its conversation.
func (d *Decoder) datagram(g *packet.Datagram) {
	if g.BadChecksum {
		d.sum.BadChecksums++
	}
	e, dir := d.table.Lookup(&g.Flow)
	if e != nil && e.Due(g.Time) {
		d.table.Remove(e)
		d.finish(e.Value)
		e = nil
	}
	if e == nil {
		// Whoever speaks first asks, unless it is an answer.
		dir, _ = proto.SideOf(flow.UDP, g.Payload)
		e = d.begin(&g.Flow, dir, dir == flow.ServerToClient, g.Time, g.Packet)
	}
	t := e.Value
	e.Last, t.conv.End = g.Time, g.Time
	side := &t.conv.Sides[dir]
	side.Packets++
	k := flow.Chunk{Data: g.Payload, Offset: side.Bytes + side.GapBytes, Time: g.Time, Packet: g.Packet, Ack: t.conv.Sides[dir.Reverse()].Bytes}
	side.Bytes += int64(len(g.Payload))
	t.stream(dir, k)
	missing := g.Length - len(g.Payload)
	t.dialogue.Datagram(dir, k, missing)
	if missing > 0 {
		gap := flow.Gap{Offset: k.Offset + int64(len(g.Payload)), Length: int64(missing), Cut: true, Packet: g.Packet, Time: g.Time}
		side.AddGap(gap)
		t.gap(dir, gap)
	}
}

// begin makes a conversation of which the first packet, of direction dir, has
// the flow f.
func (d *Decoder) begin(f *flow.Flow, dir flow.Direction, guessed bool, now time.Time, packet int64) *flow.Entry[*talk] {
	if d.table.Full() {
		old := d.table.Oldest().Value
		old.Anomaly(flow.Anomaly{Kind: flow.TableLimit, Detail: "its place was needed for another", Conversation: &old.conv, Packet: packet, Time: now})
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
	t.dialogue = proto.NewDialogue(&t.conv, t, proto.Options{Keep: d.opts.Keep})
	if d.opts.Digest {
		t.digests = &[2]hash.Hash{sha256.New(), sha256.New()}
	}
	if d.starter != nil {
		d.fail(d.starter.Start(&t.conv))
	}
	return t.entry
}

// ended notes that a conversation was closed or broken off.
func (d *Decoder) ended(t *talk) {
	d.table.Close(t.entry, t.conv.End)
	if t.conv.State == flow.Reset {
		d.resets = append(d.resets, reset{t, t.conv.End})
	}
	if d.closer != nil {
		d.fail(d.closer.Close(&t.conv))
	}
}

// expire finishes what has been silent for long.
func (d *Decoder) expire(now time.Time) {
	for len(d.resets) > 0 && now.Sub(d.resets[0].since) >= resetQuiet {
		t := d.resets[0].talk
		d.resets = d.resets[1:]
		switch {
		case t.dialogue == nil:
		case now.Sub(t.conv.End) < resetQuiet:
			d.resets = append(d.resets, reset{t, t.conv.End})
		default:
			d.tcp.Release(&t.tcp)
			d.track(t)
			t.dialogue.Close()
		}
	}
	for e := d.table.Expired(now); e != nil; e = d.table.Expired(now) {
		d.finish(e.Value)
	}
}

// finish hands on what is left of a conversation that is out of the table.
func (d *Decoder) finish(t *talk) {
	if t.conv.Transport == flow.TCP {
		d.tcp.Finish(&t.tcp)
		d.track(t)
	}
	if t.dialogue != nil {
		t.dialogue.Close()
		t.dialogue = nil
	}
	if t.digests != nil {
		for i, h := range t.digests {
			t.conv.Sides[i].Digest = h.Sum(nil)
		}
	}
	if d.finisher != nil {
		d.fail(d.finisher.Finish(&t.conv))
	}
}

// track keeps the list of those that wait.
func (d *Decoder) track(t *talk) {
	if w := t.tcp.Waiting(); w != t.listed {
		t.listed = w
		if w {
			d.waiting.push(t)
		} else {
			d.waiting.remove(t)
		}
	}
}

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
