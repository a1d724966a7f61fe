package decode

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
	"netlab/decode/tcp"
	"netlab/decode/tls"
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
	// Waiting is how many bytes may wait for gaps to fill; 0 has it follow from
	// Memory.
	Waiting int64
	// Workers is how many goroutines may work on conversations at a time, where the
	// Sink is a Forker; 0 is one for each processor, as far as it pays. What the Sink
	// gets does not depend on it.
	Workers int
	// Digest asks for the SHA-256 of each direction's bytes.
	Digest bool
	// Keep is how many bytes of each message to keep in Message.Raw.
	Keep int64
	// As names what conversations speak by their server's port; of several about one
	// port, the last counts.
	As []As
	// NoChecksums leaves the checksums of TCP and UDP unverified.
	NoChecksums bool
	// Secrets are what opens encrypted connections; nil when there are none. What is
	// staged in them while the Source is asked for a packet counts for this packet and
	// those behind it.
	Secrets *tls.Secrets
}

// DefaultMemory is Options.Memory when it is 0.
const DefaultMemory = 128 << 20

// usefulWorkers is how many pay: one goroutine takes all packets apart, and more
// than these would wait for it.
const usefulWorkers = 8

// shardsFor returns how many shards there are for some workers: several each, so that
// all have something to do until a batch is done, and one of them may be reading
// meanwhile.
func shardsFor(workers int) int {
	if workers == 1 {
		return 1
	}
	return max(workers, min(4*workers, 16))
}

// MinMemory is the least that Options.Memory can be: below it, one message may
// be more than there is.
const MinMemory = 32 << 20

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
	Traits        Traits
	// Chosen means that the Source was a capture.Chooser, which LeftOut packets:
	// they are in none of the other counts.
	Chosen  bool
	LeftOut int64
	// Truncated means that the capture is damaged: Damage says how.
	Truncated bool
	Damage    string
}

// Decoder is the pipeline. It is a capture.Sink.
//
// Packets are taken apart in order, by the one who calls. What belongs to
// conversations is gathered in a batch, and then handed to the shards: each has
// the conversations of some flows, by their hash. Between batches, when all shards
// have come to the same packet, conversations get their numbers, what all of them
// share is seen to, and what was made of them is written in one order.
type Decoder struct {
	opts   Options
	limits limits
	sink   Sink
	err    error // of the sink, sticky
	sum    Summary

	packet packet.Decoder
	links  int64            // packets of link, not counted in sum yet
	link   capture.LinkType // of the latest packet
	clock  flow.Clock
	at     time.Duration // what it said last
	latest int64         // packet, by its number
	look   time.Duration // when what timed out is looked for next
	seed   flow.Seed
	own    bool // the bytes of packets have to be copied
	turns  int64
	batch  *batch // that is being filled

	workers int // goroutines that may work at a time
	shards  []*shard
	forker  Forker               // nil where sink is none: then a batch is one packet
	count   int                  // conversations that have a number
	begun   []*flow.Conversation // those that are given theirs
	// related is set when a conversation may open others: all shards' work is then
	// done in the order of the packets.
	related bool
	// awaited are the places at which a conversation is to come that carries
	// content for another.
	awaited map[netip.AddrPort]*talk
}

// New returns a pipeline that pushes to sink.
func New(sink Sink, opts Options) *Decoder {
	d := &Decoder{opts: opts, limits: opts.limits(), sink: sink, seed: flow.NewSeed()}
	d.awaited = make(map[netip.AddrPort]*talk)
	d.sum = Summary{
		Reasons:       make(map[packet.Kind]map[packet.Reason]int64),
		Links:         make(map[capture.LinkType]int64),
		Conversations: make(map[flow.Transport]int64),
		Exchanges:     make(map[proto.State]int64),
		Anomalies:     make(map[string]int64),
	}
	d.forker, _ = sink.(Forker)
	if d.forker == nil {
		d.workers = 1
		d.shards = []*shard{newShard(d, sink, nil)}
	} else {
		d.workers = min(opts.Workers, math.MaxUint8)
		if d.workers <= 0 {
			d.workers = min(runtime.GOMAXPROCS(0), usefulWorkers)
		}
		for range shardsFor(d.workers) {
			part := d.forker.Fork()
			d.shards = append(d.shards, newShard(d, part, part))
		}
	}
	d.batch = d.newBatch()
	return d
}

// Run decodes all of src. A damaged capture is no error, but noted in the
// Summary. After another error of the source or the sink, what was decoded up to
// then is still handed on where that is possible.
func Run(src capture.Source, sink Sink, opts Options) (*Summary, error) {
	d := New(sink, opts)
	var work *work
	if d.forker != nil {
		work = newWork(d, src)
	}
	var failed error
	for failed == nil {
		p, err := src.Next()
		if opts.Secrets.Staged() {
			p = d.publish(work, p)
		}
		switch {
		case err == nil && work != nil:
			failed = work.add(p)
			continue
		case err == nil:
			failed = d.WritePacket(p)
			continue
		case errors.Is(err, capture.ErrIdle):
			if work != nil {
				work.turn()
				work.wait()
			}
			failed = d.Tick(p.Time)
			continue
		case errors.Is(err, capture.ErrDamaged):
			d.sum.Truncated, d.sum.Damage = true, err.Error()
		case !errors.Is(err, io.EOF):
			failed = err
		}
		break
	}
	if work != nil {
		work.close()
	}
	if c, ok := src.(capture.Chooser); ok {
		d.sum.Chosen, d.sum.LeftOut = true, c.LeftOut()
	}
	sum, err := d.Close()
	if failed != nil {
		return sum, failed
	}
	return sum, err
}

// publish has what was staged in the secrets count from packet p on, which may be
// nil: all before it is done first. It returns p with bytes of its own, for those
// that p was lent may come back with what is done.
func (d *Decoder) publish(w *work, p *capture.Packet) *capture.Packet {
	if p != nil {
		own := *p
		own.Data = bytes.Clone(p.Data)
		p = &own
	}
	if w != nil {
		w.turn()
		w.wait()
	}
	d.opts.Secrets.Publish()
	return p
}

// WritePacket decodes one packet.
func (d *Decoder) WritePacket(p *capture.Packet) error {
	if d.err != nil {
		return d.err
	}
	d.read(p)
	d.close(d.batch)
	d.work(d.batch)
	d.batch.reset()
	return d.err
}

// read takes a packet apart and adds it to the batch.
func (d *Decoder) read(p *capture.Packet) {
	s, b := &d.sum, d.batch
	if s.Packets == 0 {
		s.First = p.Time
	}
	s.Packets++
	s.Last = p.Time
	s.Bytes += int64(len(p.Data))
	s.WireBytes += int64(p.Length)
	if p.Link != d.link {
		d.countLinks()
		d.link = p.Link
	}
	d.links++
	d.at, d.latest = d.clock.Read(p.Time), p.Number
	d.open(b, p.Number)
	u := b.add()
	kind := d.packet.Pack(p, &u.Packed)
	s.Kinds[kind]++
	switch kind {
	case packet.TCP:
		b.related = b.related || proto.MayOpen(&d.packet.Segment.Flow, u.Payload())
		d.put(u, unitSegment)
	case packet.UDP:
		d.put(u, unitDatagram)
	default:
		b.drop()
		d.other(kind, p)
	}
	if n := d.packet.Overlaps; n > 0 {
		d.packet.Overlaps = 0
		d.note(packet.Segment{Time: p.Time, Packet: p.Number}, unitOverlap)
	}
}

// put has the latest unit of the batch stand in line.
func (d *Decoder) put(u *unit, kind unitKind) {
	b, f := d.batch, &d.packet.Segment.Flow
	switch {
	case d.packet.Assembled:
		u.Own(nil)
	case d.own:
		b.arena = u.Own(b.arena)
	}
	hash := d.seed.Hash(f)
	u.kind, u.at, u.shard = kind, d.at, uint8(hash>>32*uint64(len(d.shards))>>32)
	l := &b.lines[u.shard]
	before := len(l.all)
	u.line, u.back = l.put(f, hash, int32(len(b.units)-1))
	b.flows += len(l.all) - before
}

// other counts a packet that carries no transport.
func (d *Decoder) other(kind packet.Kind, p *capture.Packet) {
	d.sum.reason(kind, d.packet.Why, 1)
	if e := d.packet.Error; e != nil {
		b := d.batch
		d.note(packet.Segment{Flow: e.Flow, Length: len(b.errors), Time: p.Time, Packet: p.Number}, unitICMP)
		b.errors = append(b.errors, *e)
	}
}

// note adds a unit without bytes.
func (d *Decoder) note(g packet.Segment, kind unitKind) {
	d.packet.Segment, d.packet.Assembled = g, false
	u := d.batch.add()
	u.Pack(&g)
	d.put(u, kind)
}

// countLinks adds the packets of the latest link type to the sums.
func (d *Decoder) countLinks() {
	if d.links > 0 {
		d.sum.Links[d.link] += d.links
		d.links = 0
	}
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

// Tick lets the time pass when no packet comes.
func (d *Decoder) Tick(now time.Time) error {
	b := d.batch
	d.at = d.clock.Read(now)
	d.open(b, d.sum.Packets)
	b.idle = true
	d.close(b)
	b.packet, b.time = d.sum.Packets, now
	d.work(b)
	b.reset()
	return d.err
}

// Close hands on everything that is left, in the order of the conversations.
func (d *Decoder) Close() (*Summary, error) {
	d.finish()
	s := &d.sum
	for _, h := range d.shards {
		h.account(s)
	}
	d.countLinks()
	d.packet.Flush()
	if n := d.packet.Lost; n > 0 {
		d.packet.Lost = 0
		s.Kinds[packet.Fragment] -= n
		s.Kinds[packet.Undecoded] += n
		s.reason(packet.Fragment, packet.FragmentReason, -n)
		s.reason(packet.Undecoded, packet.LostFragmentReason, n)
	}
	if to, ok := d.sink.(Summarizer); ok && d.err == nil {
		d.err = to.Summary(s)
	}
	return s, d.err
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
