package flow

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Timeouts after which a silent conversation is over, by the capture's clock.
const (
	// IdleTCP is RFC 5382's minimum for an established connection (REQ-5).
	IdleTCP = 2*time.Hour + 4*time.Minute
	// IdleUDP is longer than the two minutes of RFC 4787 (REQ-5): what is asked
	// once an hour is still one conversation to whoever reads a capture.
	IdleUDP = time.Hour
	// Linger is how long a closed connection waits for stragglers: twice the
	// maximum segment lifetime that systems use (RFC 9293, section 3.4.2, has
	// two minutes; one is what is implemented).
	Linger = 2 * time.Minute
)

// Clock turns the times of packets into one that never goes back: how much time
// has passed since the first of them.
type Clock struct {
	latest  time.Time
	elapsed time.Duration
}

const (
	// maxLate is how far packets may come out of order; a time before that is of a
	// clock that was set back, and what follows counts on from it.
	maxLate = time.Minute
	// maxLeap is the most that passes from one packet to the next: all timeouts
	// are over by then.
	maxLeap = IdleTCP + IdleUDP
	// maxElapsed is when it stands still: only lies are so long, and timeouts may
	// be added to it.
	maxElapsed = 1 << 62
)

// Read returns the time that has passed at the packet time now.
func (c *Clock) Read(now time.Time) time.Duration {
	ahead := since(c.latest, now)
	switch {
	case c.latest.IsZero(), ahead < -maxLate:
		c.latest = now
	case ahead > 0:
		c.elapsed = min(c.elapsed+min(ahead, maxLeap), maxElapsed)
		c.latest = now
	}
	return c.elapsed
}

// since is to.Sub(from), which takes long to find that nothing overflows.
func since(from, to time.Time) time.Duration {
	const near = 1 << 30 // seconds
	if s := to.Unix() - from.Unix(); -near < s && s < near {
		return time.Duration(s)*time.Second + time.Duration(to.Nanosecond()-from.Nanosecond())
	}
	return to.Sub(from)
}

// Table finds the conversation that a packet belongs to. V is what its user
// keeps for each. Create one with NewTable.
//
// It is a table of open addressing with linear probing, for what limits it is
// memory that is not in the cache: a lookup touches one slot, mostly, and the
// entry. No deleted slots stay: those behind are moved up.
//
// Two tables that hold one part each of the same conversations do with them what
// one would: what happens to an entry does not depend on the others.
type Table[V any] struct {
	slots  []slot[V] // a power of two
	used   int
	closed int
	queues [queueCount]queue[V]
	due    []*Entry[V] // what Expired found
}

type slot[V any] struct {
	hash  uint64
	entry *Entry[V] // nil when free
}

// Entry is a conversation's place in the table.
type Entry[V any] struct {
	Conversation Conversation
	Value        V

	last   time.Duration // when its latest packet came, by the Clock
	queued time.Duration // when it entered the queue
	// stamp is the turn at which it did: in a queue, they rise.
	stamp      int64
	prev, next *Entry[V]
	hash       uint32 // its lower half, more of which no table has need
	queue      queueKind
}

// queueKind groups entries of the same timeout: in a queue, who entered first
// is looked at first, so that expiring needs no scan.
type queueKind uint8

const (
	queueTCP queueKind = iota
	queueUDP
	queueClosed
	queueCount
)

var timeouts = [queueCount]time.Duration{IdleTCP, IdleUDP, Linger}

type queue[V any] struct{ head, tail *Entry[V] }

// minSlots is how small a table is at first.
const minSlots = 1 << 10

// SlotCost is what a conversation's place in a table takes, in bytes, about.
const SlotCost = 32

// NewTable returns an empty table.
func NewTable[V any]() *Table[V] { return &Table[V]{slots: make([]slot[V], minSlots)} }

// Len returns how many conversations are held, and how many of them only wait for
// stragglers.
func (t *Table[V]) Len() (all, closed int) { return t.used, t.closed }

// Lookup returns the entry of f's conversation and which direction f is of it;
// nil when there is none. Hash is f's.
func (t *Table[V]) Lookup(f *Flow, hash uint64) (*Entry[V], Direction) {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.entry == nil {
			return nil, ClientToServer
		}
		if s.hash != hash {
			continue
		}
		if d, ok := s.entry.Conversation.Direction(f); ok {
			return s.entry, d
		}
	}
}

// Turn is a moment at which entries are put in, or looked at: its number, and the
// time by the Clock. Both rise.
type Turn struct {
	Number int64
	At     time.Duration
}

// Touch reads of the slots what a Near of the hash will look at first, and returns
// something that can't be known without; see Entry.Warm.
func (t *Table[V]) Touch(hash uint64) uint64 { return t.slots[hash&uint64(len(t.slots)-1)].hash }

// Near returns the entry that a Lookup of the hash will look at, without looking at it;
// nil when there is none.
func (t *Table[V]) Near(hash uint64) *Entry[V] {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.hash == hash || s.entry == nil {
			return s.entry
		}
	}
}

// Warm reads a little of each line of the cache that e lies in, and returns something
// that can't be known without. Done for several entries in a row, before they are used,
// it takes hardly longer than for one, for memory is slow, not narrow. What is in V,
// their user has to read.
func (e *Entry[V]) Warm() uint64 {
	c := &e.Conversation
	return uint64(c.ID) + uint64(c.Start) + uint64(c.Sides[1].Packets) + uint64(e.last) + uint64(e.queue)
}

// Add puts e in, which is filled in but for its place, and Seen; it was looked for
// with hash, and the table must hold none for its Tuple.
func (t *Table[V]) Add(e *Entry[V], hash uint64, now Turn) {
	if 4*(t.used+1) > 3*len(t.slots) {
		t.grow()
	}
	e.hash = uint32(hash)
	e.queue = queueTCP
	if e.Conversation.Tuple.transport == UDP {
		e.queue = queueUDP
	}
	t.used++
	t.insert(slot[V]{hash, e})
	t.push(e, now)
}

func (t *Table[V]) insert(s slot[V]) {
	mask := uint64(len(t.slots) - 1)
	i := s.hash & mask
	for t.slots[i].entry != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

func (t *Table[V]) grow() {
	old := t.slots
	t.slots = make([]slot[V], 2*len(old))
	for _, s := range old {
		if s.entry != nil {
			t.insert(s)
		}
	}
}

// Seen notes that a packet of e came.
func (e *Entry[V]) Seen(at time.Duration) { e.last = at }

// Silent returns for how long none came.
func (e *Entry[V]) Silent(at time.Duration) time.Duration { return at - e.last }

// Due reports whether the entry was silent for its timeout: what comes now begins
// another conversation, whether or not Expired has come to it.
func (e *Entry[V]) Due(at time.Duration) bool { return at-e.last >= timeouts[e.queue] }

// Close puts the entry among those that only wait for stragglers.
func (t *Table[V]) Close(e *Entry[V], now Turn) {
	if e.queue != queueClosed {
		t.unlink(e)
		t.closed++
		e.queue = queueClosed
		t.push(e, now)
	}
}

// Remove takes the entry out.
func (t *Table[V]) Remove(e *Entry[V]) {
	t.unlink(e)
	t.used--
	if e.queue == queueClosed {
		t.closed--
	}
	mask := uint64(len(t.slots) - 1)
	i := uint64(e.hash) & mask
	for t.slots[i].entry != e {
		i = (i + 1) & mask
	}
	// Those behind it move up that would not be found beyond a free slot (Knuth,
	// volume 3, 6.4, algorithm R).
	for j := (i + 1) & mask; t.slots[j].entry != nil; j = (j + 1) & mask {
		if home := t.slots[j].hash & mask; (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot[V]{}
}

// Expired takes out and returns the entries that were silent for their timeout,
// in the order of their conversations' first packets. Each is looked at when its
// timeout has passed since the last look, so one that was busy stays for up to
// twice as long. What is returned is valid until the next call.
func (t *Table[V]) Expired(now Turn) []*Entry[V] {
	clear(t.due)
	t.due = t.due[:0]
	for k := range t.queues {
		for e := t.queues[k].head; e != nil && now.At-e.queued >= timeouts[k]; e = t.queues[k].head {
			if e.Due(now.At) {
				t.Remove(e)
				t.due = append(t.due, e)
			} else { // and is no longer the head, or waits anew
				t.unlink(e)
				t.push(e, now)
			}
		}
	}
	sortByFirst(t.due)
	return t.due
}

func sortByFirst[V any](list []*Entry[V]) {
	slices.SortFunc(list, func(a, b *Entry[V]) int { return cmp.Compare(a.Conversation.First, b.Conversation.First) })
}

// All returns the entries, in the order of their conversations' first packets.
func (t *Table[V]) All() []*Entry[V] {
	all := make([]*Entry[V], 0, t.used)
	for k := range t.queues { // where most stand in order, also in memory
		for e := t.queues[k].head; e != nil; e = e.next {
			all = append(all, e)
		}
	}
	sortByFirst(all)
	return all
}

// Oldest returns the entries that are easiest to do without: of those that are
// closed, else of all, those that were looked after the longest time ago, and at
// the same. They have no order. Age is the less, the easier they are; with no
// entries it is the most that there is.
func (t *Table[V]) Oldest(list []*Entry[V]) (oldest []*Entry[V], age int64) {
	if head := t.queues[queueClosed].head; head != nil {
		return head.alike(list), head.stamp - math.MaxInt64 // before all that are not
	}
	age = math.MaxInt64
	for k := range queueClosed {
		if head := t.queues[k].head; head != nil {
			age = min(age, head.stamp)
		}
	}
	for k := range queueClosed {
		if head := t.queues[k].head; head != nil && head.stamp == age {
			list = head.alike(list)
		}
	}
	return list, age
}

// alike adds the entries from e on that entered its queue at the same turn.
func (e *Entry[V]) alike(list []*Entry[V]) []*Entry[V] {
	for stamp := e.stamp; e != nil && e.stamp == stamp; e = e.next {
		list = append(list, e)
	}
	return list
}

func (t *Table[V]) push(e *Entry[V], now Turn) {
	q := &t.queues[e.queue]
	e.queued, e.stamp, e.prev, e.next = now.At, now.Number, q.tail, nil
	if q.tail == nil {
		q.head = e
	} else {
		q.tail.next = e
	}
	q.tail = e
}

func (t *Table[V]) unlink(e *Entry[V]) {
	q := &t.queues[e.queue]
	if e.prev == nil {
		q.head = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.tail = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
}
