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

	errors []packet.ICMPError // of the units that are such, by their Length
	arena  []byte             // bytes of packets that had to be copied
	used   [][]byte           // the buffers that nobody reads any more when this is done

	made []extent // of each unit, by its shard
	// Of the parts in which it is worked on, how many nobody has begun, and how many
	// are not done; begun says which are. Somebody finishes it when none is left.
	open, left int
	begun      []bool
	finishing  bool
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

// The sizes of a batch. Its bytes should stay in the cache until they are worked on;
// but whoever waits for a batch has to be woken, and of small packets it pays to have
// many of each conversation. Of packets of ever more conversations, there is no use in
// many: what is made of them should stay in the cache, too.
const (
	batchUnits   = 16 << 10
	batchLines   = 4 << 10
	bufferBytes  = 256 << 10
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
	b.units, b.arena, b.used = b.units[:0], b.arena[:0], b.used[:0]
	b.errors, b.made = b.errors[:0], b.made[:0]
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
	slots []place // a table of open addressing, of a power of two, where all are found
	order []int32 // units, line by line
}

// line is the flow of its first unit, with the hash, and how many units there are.
type line struct {
	flow flow.Flow
	hash uint64
	size int32
}

// place is the number of a line and one, behind the upper half of its hash; 0 is a
// free place. They are read in no order, by who reads the packets: the less room they
// take, the more of them are in the cache.
type place uint64

func placeOf(hash uint64, number int32) place {
	return place(hash>>32<<32 | uint64(number+1))
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
		p := l.slots[i]
		if p == 0 {
			number = int32(len(l.all))
			l.all = append(l.all, line{flow: *f, hash: hash})
			l.slots[i] = placeOf(hash, number)
			return number, false
		}
		number = int32(p) - 1
		if p != placeOf(hash, number) {
			continue
		}
		switch first := &l.all[number].flow; {
		case f.Is(first):
			return number, false
		case f.Reverses(first):
			return number, true
		}
	}
}

func (l *lines) grow() {
	l.slots = make([]place, max(minLines, 2*len(l.slots)))
	mask := uint64(len(l.slots) - 1)
	for number := range l.all {
		hash := l.all[number].hash
		i := hash & mask
		for l.slots[i] != 0 {
			i = (i + 1) & mask
		}
		l.slots[i] = placeOf(hash, int32(number))
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

// work has batches worked on, one after the other: by some goroutines, and by the
// one who reads the packets, when it would have to wait. The parts of a batch are
// taken by whoever is free.
type work struct {
	d       *Decoder
	buffers chan []byte
	workers sync.WaitGroup
	failed  atomic.Bool

	mu      sync.Mutex // of what follows, and of who does what
	changed sync.Cond
	free    []*batch
	full    []*batch // the first is worked on
	closed  bool
}

// depth is how many batches may be under way: one that is filled, one that is
// worked on, and one between them, for there to be something to do until all of that
// is done.
const depth = 3

// newWork starts the workers, one less than may work.
func newWork(d *Decoder, src capture.Source) *work {
	w := &work{d: d, buffers: make(chan []byte, (depth+1)*batchBuffers)}
	w.changed.L = &w.mu
	if lender, ok := src.(capture.Lender); ok {
		lender.Lend(w.swap)
	} else {
		d.own = true
	}
	if d.workers > 1 { // else each batch is worked on at once
		for range depth - 1 {
			w.free = append(w.free, d.newBatch())
		}
	}
	for i := range d.workers - 1 {
		w.workers.Go(func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.helpWhile(i, func() bool { return !w.closed })
		})
	}
	return w
}

// swap takes over a buffer that the source has filled, and gives it another.
func (w *work) swap(used []byte) []byte {
	if len(w.d.batch.used)+1 >= batchBuffers {
		w.turn()
	}
	b := w.d.batch // its last packets may be among those to come
	b.used = append(b.used, used)
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
	w.mu.Lock()
	if w.full = append(w.full, b); len(w.full) == 1 {
		w.begin()
	}
	// Nothing is read ahead while there is something to help with: so there is
	// something to read when there is not.
	w.helpWhile(w.reader(), func() bool { return len(w.free) == 0 || len(w.full) > 1 && w.full[0].open > 0 })
	last := len(w.free) - 1
	d.batch, w.free = w.free[last], w.free[:last]
	w.mu.Unlock()
	d.batch.reset() // not before: so it comes into the cache of who fills it
}

// begin has the first batch worked on, if there is any.
func (w *work) begin() {
	if len(w.full) > 0 {
		b := w.full[0]
		b.open = w.d.parts(b)
		b.left, b.finishing = b.open, false
		b.begun = append(b.begun[:0], make([]bool, b.open)...)
	}
	w.changed.Broadcast()
}

// take has a part begun that nobody has: the one asked for, or else one behind it.
func (b *batch) take(i int) int {
	for b.begun[i] {
		i = (i + 1) % len(b.begun)
	}
	b.begun[i] = true
	b.open--
	return i
}

// reader is the number of the one who reads, behind those of the others.
func (w *work) reader() int { return w.d.workers - 1 }

// helpWhile does parts of batches, or waits for some, as long as something holds.
// w.mu is locked, but while there is something to do. Each begins at parts of its own,
// whose conversations its processor has seen in the batch before.
func (w *work) helpWhile(me int, holds func() bool) {
	for holds() {
		switch {
		case len(w.full) > 0 && w.full[0].open > 0:
			b := w.full[0]
			i := b.take(me * len(b.begun) / w.d.workers)
			w.mu.Unlock()
			w.d.part(b, i)
			w.mu.Lock()
			b.left--
		case w.unfinished():
			w.finish(w.full[0])
		default:
			w.changed.Wait()
		}
	}
	if w.unfinished() { // there is something better to do: another may have waited for this
		w.changed.Signal()
	}
}

// unfinished reports whether all parts of the first batch are done, and nobody
// finishes it yet.
func (w *work) unfinished() bool {
	return len(w.full) > 0 && w.full[0].left == 0 && !w.full[0].finishing
}

// finish does what is to be done behind the first batch, and has the next begun.
func (w *work) finish(b *batch) {
	b.finishing = true
	w.mu.Unlock()
	w.d.between(b)
	w.failed.Store(w.d.err != nil)
	w.giveBack(b)
	w.mu.Lock()
	w.full = slices.Delete(w.full, 0, 1)
	w.free = append(w.free, b)
	w.begin()
}

// giveBack gives back the buffers that a batch used.
func (w *work) giveBack(b *batch) {
	for _, buf := range b.used {
		if cap(buf) < bufferBytes {
			continue // where batches end must not depend on which buffer is at hand
		}
		select {
		case w.buffers <- buf[:bufferBytes]:
		default:
		}
	}
}

// wait waits for all that was handed on.
func (w *work) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.helpWhile(w.reader(), func() bool { return len(w.full) > 0 })
}

// close finishes the work.
func (w *work) close() {
	w.turn()
	w.wait()
	w.mu.Lock()
	w.closed = true
	w.changed.Broadcast()
	w.mu.Unlock()
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
	b.made = slices.Grow(b.made, len(b.units))[:len(b.units)]
}

// parts returns how many parts a batch has, which may be worked on at the same time.
func (d *Decoder) parts(b *batch) int {
	if b.related || d.related {
		return 1
	}
	return len(d.shards)
}

// part does the i-th of them.
func (d *Decoder) part(b *batch, i int) {
	if b.related || d.related {
		d.inOrder(b)
	} else {
		d.shards[i].work(b)
	}
}

// work does a whole batch.
func (d *Decoder) work(b *batch) {
	for i := range d.parts(b) {
		d.part(b, i)
	}
	d.between(b)
}

// inOrder does what all shards have to, packet by packet.
func (d *Decoder) inOrder(b *batch) {
	begin(b, true, d.shards...)
	for i := range b.units {
		u := &b.units[i]
		s := d.shards[u.shard]
		s.do(i, u)
		s.leave() // how many of a shard stand in a row depends on how many shards there are
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
	d.write(b)
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

// finishAtOnce is of how many conversations in a row those that are left are
// finished before what was made of them is written.
const finishAtOnce = 4 << 10

// finish finishes all that is left, in the order of the conversations.
func (d *Decoder) finish() {
	d.each(func(s *shard) { s.left = s.all() })
	for {
		end := math.MaxInt
		for _, s := range d.shards {
			if len(s.left) > 0 {
				end = min(end, s.left[0].conv().ID+finishAtOnce)
			}
		}
		if end == math.MaxInt {
			break
		}
		if d.related || d.shards[0].related {
			inTurn(d.shards, func(s *shard) []*talk { return s.leftBefore(end) }, (*shard).last)
		} else {
			d.each(func(s *shard) {
				for _, t := range s.leftBefore(end) {
					s.last(t)
				}
			})
		}
		d.write(d.batch)
	}
	d.write(d.batch)
}

// each does something for all shards, as many at a time as may work.
func (d *Decoder) each(do func(*shard)) {
	var next atomic.Int32
	var workers sync.WaitGroup
	for range d.workers {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= len(d.shards); i = int(next.Add(1)) {
				do(d.shards[i-1])
			}
		})
	}
	workers.Wait()
}

// write hands on what the shards have made, in the order of the packets.
func (d *Decoder) write(b *batch) {
	for _, s := range d.shards {
		d.fail(s.err)
	}
	if d.forker == nil {
		return
	}
	d.merge(phasePacket)
	for i, x := range b.made {
		if x.end > x.from {
			d.hand(d.shards[b.units[i].shard], x)
		}
	}
	d.merge(phaseEnd + 1)
	for _, s := range d.shards {
		s.pieces, s.handed, s.marked = s.pieces[:0], 0, 0
		s.part.Reset()
		s.written()
	}
	if d.err == nil {
		d.fail(d.forker.Flush())
	}
}

// merge hands on the pieces of the phases before one.
func (d *Decoder) merge(before phase) {
	for {
		var next *shard
		for _, s := range d.shards {
			if s.handed < len(s.pieces) && s.pieces[s.handed].phase < before && (next == nil || s.pieces[s.handed].compare(&next.pieces[next.handed]) < 0) {
				next = s
			}
		}
		if next == nil {
			return
		}
		d.hand(next, next.pieces[next.handed].extent)
		next.handed++
	}
}

// hand hands on something that a shard has made.
func (d *Decoder) hand(s *shard, x extent) {
	if d.err == nil {
		d.fail(s.part.Write(x.from, x.end))
	}
}
