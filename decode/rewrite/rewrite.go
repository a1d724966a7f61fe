package rewrite

import (
	"bytes"
	"net/netip"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
)

// Names says what stands in the place of names and addresses. The same always has to
// become the same, and what is special to stay so: a broadcast or multicast address, the
// one that is not specified.
type Names interface {
	// Addr returns an address of the same family.
	Addr(netip.Addr) netip.Addr
	MAC([6]byte) [6]byte
	// Name returns a name of a host or domain of the same length, with dots in the same
	// places; else what stands there is blanked.
	Name(string) string
}

// Options of a Rewriter.
type Options struct {
	// OnPacket is told, for each packet that is handed on, which one it was, both by
	// Number. It may be nil.
	OnPacket func(in, out int64)
	// EditedOnly has packets pass as they are but for those of conversations that have an
	// Edit. Of these, too, only what is edited becomes another.
	EditedOnly bool
}

// Rewriter writes packets anew. It is a capture.Sink that hands on to another.
type Rewriter struct {
	dst   capture.Sink
	opts  Options
	edits *Edits
	names names
	err   error // of dst, sticky

	decoder packet.Decoder
	trace   packet.Trace
	table   *flow.Table[state]
	seed    flow.Seed
	begun   int // of the talks
	passed  int // of what was ignored
	held    held

	taken   [maxTaken]taken // by their place
	runHead []byte
	over    []edit // of the part that is looked at

	buf   []byte // the packet that is made
	new   []byte // its payload, where that has another length
	head  []byte // its headers, where it becomes several
	marks []byte // what becomes of each byte
	out   capture.Packet
	sum   Summary
	// datagramNew is what a datagram in fragments becomes.
	datagramNew []byte
	job         job
}

// state is what a Rewriter keeps of a conversation that is under way.
type state struct {
	talk  *talk
	left  int64 // packets to come
	sides [2]position
}

// position is how far a direction is.
type position struct {
	at   int64 // UDP: offset of the next datagram; TCP: of the end of what came
	near int   // runs before the place that was looked for last
}

// New returns a Rewriter that hands on to dst. It reads the same packets, with the same
// numbers, that edits were found in, which are its own from then on. Without Names, all stay.
func New(dst capture.Sink, edits *Edits, n Names, opts Options) *Rewriter {
	edits.finish()
	if n == nil {
		n = theirOwn{}
	}
	r := &Rewriter{dst: dst, opts: opts, edits: edits, names: newNames(n), table: flow.NewTable[state](), seed: flow.NewSeed()}
	r.decoder.Trace = &r.trace
	r.sum.Dropped = make(map[string]int64)
	r.sum.Blanks = make(map[string]int64)
	return r
}

// WritePacket hands on what p becomes.
func (r *Rewriter) WritePacket(p *capture.Packet) error {
	if r.err != nil {
		return r.err
	}
	r.sum.Packets++
	r.sum.Bytes += int64(len(p.Data))
	kind := r.decoder.Decode(p)
	j := &r.job
	*j = job{in: p, kind: kind, data: p.Data, layers: r.trace.Layers}
	if r.decoder.Assembled {
		j.layers = j.layers[:r.trace.Outer]
	}
	j.find()
	if kind == packet.Fragment || r.decoder.Assembled {
		r.fragment(j)
	} else {
		j.begin(r)
		r.whole(j)
	}
	if len(r.held.packets) > 0 {
		r.release(p.Time)
	}
	return r.err
}

// Close hands on what was held back, and returns the sums.
func (r *Rewriter) Close() (*Summary, error) {
	r.giveUp()
	r.sum.close()
	return &r.sum, r.err
}

// find returns the conversation that a segment belongs to, and its direction; nil when it
// has none.
func (r *Rewriter) find(g *packet.Segment) (*flow.Entry[state], flow.Direction) {
	hash := r.seed.Hash(&g.Flow)
	e, d := r.table.Lookup(&g.Flow, hash)
	for r.begun < len(r.edits.talks) && r.edits.talks[r.begun].first < g.Packet {
		r.begun++ // of a packet that is not here
	}
	if r.begun < len(r.edits.talks) && r.edits.talks[r.begun].first == g.Packet {
		if e != nil {
			r.table.Remove(e)
		}
		e, d = r.start(g, hash)
	}
	if e == nil {
		return nil, d
	}
	if e.Value.left--; e.Value.left == 0 {
		r.table.Remove(e)
	}
	return e, d
}

// start begins the conversation whose first packet g is.
func (r *Rewriter) start(g *packet.Segment, hash uint64) (*flow.Entry[state], flow.Direction) {
	t := r.edits.talks[r.begun]
	r.edits.talks[r.begun] = nil // the memory is free when it is over
	r.begun++
	e := new(flow.Entry[state])
	e.Conversation.Tuple = g.Flow
	e.Value.talk, e.Value.left = t, t.packets
	d := flow.ClientToServer
	if (g.Flow.Src().Compare(g.Flow.Dst()) < 0) != t.rising && g.Flow.Src() != g.Flow.Dst() {
		d = flow.ServerToClient
		e.Conversation.Tuple = g.Flow.Reverse()
	}
	r.table.Add(e, hash, flow.Turn{})
	return e, d
}

// ignoredOf returns what of a packet is in no stream. Packets are asked for in order.
func (r *Rewriter) ignoredOf(packet int64) []ignored {
	all := r.edits.ignored
	for r.passed < len(all) && all[r.passed].packet < packet {
		r.passed++
	}
	n := r.passed
	for n < len(all) && all[n].packet == packet {
		n++
	}
	return all[r.passed:n]
}

// write hands on the packet that was made of p, as soon as those before it are.
func (r *Rewriter) write(p *capture.Packet, data []byte, length int) {
	if len(r.held.packets) == 0 {
		r.hand(p, data, length)
		return
	}
	f := &heldPacket{in: *p, data: bytes.Clone(data), length: length, ready: true}
	f.in.Data = f.data
	r.hold(f, len(data))
}

// hand hands a packet on.
func (r *Rewriter) hand(p *capture.Packet, data []byte, length int) {
	if r.err == nil {
		r.err = r.edits.journal.err // some of it may be as it was
	}
	if r.err != nil {
		return
	}
	r.sum.Written++
	r.out = *p
	r.out.Number, r.out.Data, r.out.Length = r.sum.Written, data, length
	if r.opts.OnPacket != nil {
		r.opts.OnPacket(p.Number, r.sum.Written)
	}
	r.err = r.dst.WritePacket(&r.out)
}
