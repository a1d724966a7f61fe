package decode

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
)

// batch is what a number of packets have for the shards.
type batch struct {
	flow.Turn
	units []unit
	// lines are the units of each shard, in lines, one for each conversation. So a shard
	// does all that the batch has for one conversation at once, which is in the
	// cache then: there are thousands, and what they need is not.
	lines []lines
	flows int // lines of all shards
	// first and from are the number of the first packet and its time by the Clock,
	// packet and time those of the last. There is none when first is 0.
	first, packet int64
	from          time.Duration
	time          time.Time
	// related has one goroutine do all shards' work, in the order of the packets:
	// what is said in one conversation may change what another is.
	related bool
	idle    bool // no packet comes
	look    bool // it is time to look for what timed out

	errors  []packet.ICMPError // of the units that are such, by their Length
	arena   []byte             // bytes of packets that had to be copied
	used    [][]byte           // the buffers that nobody reads any more when this is done
	swapped int                // how many units there were when a buffer was full
	left    atomic.Int32
	done    chan struct{}
}

// unit is a packet's part in a batch: a line of the cache.
type unit struct {
	at    time.Duration // by the Clock
	line  int32         // of its shard, that it stands in
	kind  unitKind
	shard uint8
	back  bool // its flow is the reverse of the line's
	packet.Packed
}

type unitKind uint8

const (
	unitSegment unitKind = iota
	unitDatagram
	unitICMP
	unitOverlap // fragments that disagree
)

// The sizes of a batch. A buffer should stay in the cache until it is worked on,
// unless it is full of small packets: then it pays more to have many of each
// conversation. Of packets of ever more conversations, there is no use in many: what
// is made of them should stay in the cache, too.
const (
	batchUnits   = 16 << 10
	batchLines   = 4 << 10
	bufferBytes  = 256 << 10
	fewBuffers   = 4   // of a batch, when they hold fewer than
	manyUnits    = 512 // each, for then their bytes are what counts
	batchBuffers = 8
)

// add returns a unit to fill in, which is part of the batch from then on.
func (b *batch) add() *unit {
	if len(b.units) == cap(b.units) {
		b.units = append(b.units, unit{})
	} else {
		b.units = b.units[:len(b.units)+1]
	}
	return &b.units[len(b.units)-1]
}

// drop takes the latest unit back.
func (b *batch) drop() { b.units = b.units[:len(b.units)-1] }

func (b *batch) reset() {
	b.units, b.arena, b.used, b.swapped = b.units[:0], b.arena[:0], b.used[:0], 0
	b.errors = b.errors[:0]
	b.first, b.related, b.idle, b.look, b.flows = 0, false, false, false, 0
	for i := range b.lines {
		b.lines[i].reset()
	}
}

// lines are the units of a shard. Those of the same conversation are a line.
type lines struct {
	units []int32 // in the order of the packets
	of    []int32 // the line of each
	all   []line  // in the order of their first packets
	slots []place // a table of open addressing, of a power of two
	order []int32 // units, line by line
}

// line is the flow of its first unit, with the hash, and how many units there are.
type line struct {
	flow flow.Flow
	hash uint64
	size int32
}

type place struct {
	hash uint64
	line int32 // its number and one; 0 is a free place
}

// minLines is how many places there are at first.
const minLines = 256

// put has the i-th unit of the batch stand in its line, whose number it returns,
// and whether f is the reverse of its flow.
func (l *lines) put(f *flow.Flow, hash uint64, i int32) (number int32, back bool) {
	if len(l.slots) <= 2*len(l.all) {
		l.grow()
	}
	number, back = l.find(f, hash)
	l.all[number].size++
	l.units = append(l.units, i)
	l.of = append(l.of, number)
	return number, back
}

// find returns the line of a flow or its reverse, which it begins if there is none.
func (l *lines) find(f *flow.Flow, hash uint64) (number int32, back bool) {
	mask := uint64(len(l.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		p := &l.slots[i]
		if p.line == 0 {
			l.all = append(l.all, line{flow: *f, hash: hash})
			p.hash, p.line = hash, int32(len(l.all))
			return p.line - 1, false
		}
		if p.hash != hash {
			continue
		}
		switch first := &l.all[p.line-1].flow; {
		case f.Is(first):
			return p.line - 1, false
		case f.Reverses(first):
			return p.line - 1, true
		}
	}
}

func (l *lines) grow() {
	old := l.slots
	l.slots = make([]place, max(minLines, 2*len(old)))
	mask := uint64(len(l.slots) - 1)
	for _, p := range old {
		if p.line == 0 {
			continue
		}
		i := p.hash & mask
		for l.slots[i].line != 0 {
			i = (i + 1) & mask
		}
		l.slots[i] = p
	}
}

// inLine returns the units line by line, each in the order of the packets.
func (l *lines) inLine() []int32 {
	at := int32(0)
	for i := range l.all { // from here on, where the next of a line goes
		n := &l.all[i].size
		at, *n = at+*n, at
	}
	l.order = slices.Grow(l.order[:0], len(l.units))[:len(l.units)]
	for i, of := range l.of {
		n := &l.all[of].size
		l.order[*n] = l.units[i]
		*n++
	}
	return l.order
}

func (l *lines) reset() {
	l.units, l.of, l.all = l.units[:0], l.of[:0], l.all[:0]
	clear(l.slots)
}

// work hands batches to workers, a goroutine for each shard.
type work struct {
	d       *Decoder
	free    chan *batch
	buffers chan []byte
	todo    []chan *batch // of each shard
	workers sync.WaitGroup
	pending sync.WaitGroup // batches
	failed  atomic.Bool
}

// depth is how many batches may be under way: one that is filled, one that is
// worked on. A third that waits between them gains nothing that can be measured.
const depth = 2

// newWork starts the workers.
func newWork(d *Decoder, src capture.Source) *work {
	w := &work{d: d, free: make(chan *batch, depth), buffers: make(chan []byte, (depth+1)*batchBuffers)}
	for range depth - 1 {
		w.free <- d.newBatch()
	}
	if lender, ok := src.(capture.Lender); ok {
		lender.Lend(w.swap)
	} else {
		d.own = true
	}
	if len(d.shards) > 1 {
		for _, s := range d.shards {
			todo := make(chan *batch, depth)
			w.todo = append(w.todo, todo)
			w.workers.Go(func() {
				for b := range todo {
					w.do(s, b)
				}
			})
		}
	}
	return w
}

// swap takes over a buffer that the source has filled, and gives it another.
func (w *work) swap(used []byte) []byte {
	b := w.d.batch
	most := batchBuffers
	if len(b.units)-b.swapped < manyUnits {
		most = fewBuffers
	}
	if len(b.used)+1 >= most {
		w.turn()
	}
	b = w.d.batch // its last packets may be among those to come
	b.used, b.swapped = append(b.used, used), len(b.units)
	select {
	case buf := <-w.buffers:
		return buf
	default:
		return make([]byte, bufferBytes)
	}
}

// add takes one packet.
func (w *work) add(p *capture.Packet) error {
	d := w.d
	d.read(p)
	if b := d.batch; len(b.units) >= batchUnits || b.flows >= batchLines || len(b.arena) >= bufferBytes {
		w.turn()
	}
	if w.failed.Load() {
		w.wait()
		return d.err
	}
	return nil
}

// turn hands the batch on and begins another.
func (w *work) turn() {
	d := w.d
	b := d.batch
	if len(b.units) == 0 && len(b.used) == 0 {
		return
	}
	d.close(b)
	if len(w.todo) == 0 {
		d.work(b)
		w.failed.Store(d.err != nil)
		w.over(b)
		return
	}
	b.left.Store(int32(len(w.todo)))
	b.done = make(chan struct{})
	w.pending.Add(1)
	for _, todo := range w.todo {
		todo <- b
	}
	d.batch = <-w.free
}

// do does a shard's part of a batch. Who is last to finish does what is to be
// done when all have; the others wait for that.
func (w *work) do(s *shard, b *batch) {
	related := b.related || w.d.related
	if !related {
		s.work(b)
	}
	done := b.done // behind what follows, the batch may be used again
	if b.left.Add(-1) > 0 {
		<-done
		return
	}
	if related {
		w.d.inOrder(b)
	}
	w.d.between(b)
	if w.d.err != nil {
		w.failed.Store(true)
	}
	w.over(b)
	w.free <- b
	close(done)
	w.pending.Done()
}

// over gives back what a batch used.
func (w *work) over(b *batch) {
	for _, buf := range b.used {
		if cap(buf) < bufferBytes {
			continue // where batches end must not depend on which buffer is at hand
		}
		select {
		case w.buffers <- buf[:bufferBytes]:
		default:
		}
	}
	b.reset()
}

// wait waits for all that was handed on.
func (w *work) wait() { w.pending.Wait() }

// close finishes the work.
func (w *work) close() {
	w.turn()
	for _, todo := range w.todo {
		close(todo)
	}
	w.workers.Wait()
}

func (d *Decoder) newBatch() *batch { return &batch{lines: make([]lines, len(d.shards))} }

// open notes that a packet belongs to the batch, when d.at was read.
func (d *Decoder) open(b *batch, packet int64) {
	if b.first == 0 {
		b.first, b.from = packet, d.at
		if d.at >= d.look {
			d.look, b.look = d.at+expireEvery, true
		}
	}
}

// close makes a batch whole, of which the last packet was read.
func (d *Decoder) close(b *batch) {
	d.turns++
	b.Number, b.At = d.turns, d.at
	b.packet, b.time = d.latest, d.sum.Last
}

// work does a whole batch.
func (d *Decoder) work(b *batch) {
	if b.related || d.related {
		d.inOrder(b)
	} else {
		for _, s := range d.shards {
			s.work(b)
		}
	}
	d.between(b)
}

// inOrder does what all shards have to, packet by packet.
func (d *Decoder) inOrder(b *batch) {
	begin(b, true, d.shards...)
	for i := range b.units {
		u := &b.units[i]
		s := d.shards[u.shard]
		s.do(u)
		s.leave() // how many of a shard stand in a row depends on how many shards there are
	}
	for _, s := range d.shards {
		s.end()
	}
}

// between does what is to be done between batches, when all shards stand at the
// same packet.
func (d *Decoder) between(b *batch) {
	for _, s := range d.shards {
		d.related = d.related || s.opens
	}
	d.number()
	d.keepWithin(b)
	d.write()
}

// number gives the conversations that have begun their numbers, in the order of
// their first packets.
func (d *Decoder) number() {
	if d.forker == nil {
		return // they have them
	}
	for _, s := range d.shards {
		d.begun = append(d.begun, s.begun...)
		clear(s.begun)
		s.begun = s.begun[:0]
	}
	slices.SortFunc(d.begun, func(a, b *flow.Conversation) int { return cmp.Compare(a.First, b.First) })
	for _, c := range d.begun {
		c.ID = d.count
		d.count++
	}
	clear(d.begun)
	d.begun = d.begun[:0]
}

// finish finishes all that is left, in the order of the conversations.
func (d *Decoder) finish() {
	n := 0
	inTurn(d.shards, (*shard).all, func(s *shard, t *talk) {
		s.retire(t.entry)
		s.mark(math.MaxInt64, phaseEnd, t.conv().First)
		if n++; n%batchUnits == 0 {
			d.write()
		}
	})
	d.write()
}

// write hands on what the shards have made, in the order of the packets.
func (d *Decoder) write() {
	for _, s := range d.shards {
		d.fail(s.err)
	}
	if d.forker == nil {
		return
	}
	for {
		var next *shard
		for _, s := range d.shards {
			if s.handed < len(s.pieces) && (next == nil || s.pieces[s.handed].compare(&next.pieces[next.handed]) < 0) {
				next = s
			}
		}
		if next == nil {
			break
		}
		p := &next.pieces[next.handed]
		next.handed++
		if d.err == nil {
			d.fail(next.part.Write(p.from, p.end))
		}
	}
	for _, s := range d.shards {
		s.pieces, s.handed, s.marked = s.pieces[:0], 0, 0
		s.part.Reset()
		s.written()
	}
	if d.err == nil {
		d.fail(d.forker.Flush())
	}
}
