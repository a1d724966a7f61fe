package flow

import "time"

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

// MaxConversations is the Table's default Limit.
const MaxConversations = 1 << 18

// Table finds the conversation that a packet belongs to. V is what its user
// keeps for each. Create one with NewTable.
type Table[V any] struct {
	// Limit bounds the conversations held at a time.
	Limit   int
	entries map[Flow]*Entry[V]
	epoch   time.Time // the first time it was told
	queues  [queueCount]queue[V]
}

// Entry is a conversation's place in the table.
type Entry[V any] struct {
	Value V
	// Last is the time of the latest packet.
	Last time.Time

	key        Flow // canonical
	clientIsTo bool // the client is the destination of key
	queue      queueKind
	queued     time.Duration // when it entered the queue, since Table.epoch
	prev, next *Entry[V]
}

// queueKind groups entries of the same timeout: in a queue, who entered first
// is due first, so that expiring needs no scan.
type queueKind uint8

const (
	queueTCP queueKind = iota
	queueUDP
	queueClosed
	queueCount
)

var timeouts = [queueCount]time.Duration{IdleTCP, IdleUDP, Linger}

type queue[V any] struct{ head, tail *Entry[V] }

// NewTable returns an empty table; limit 0 is MaxConversations.
func NewTable[V any](limit int) *Table[V] {
	if limit <= 0 {
		limit = MaxConversations
	}
	return &Table[V]{Limit: limit, entries: make(map[Flow]*Entry[V])}
}

// Len returns how many conversations are held.
func (t *Table[V]) Len() int { return len(t.entries) }

// Full reports whether one must go before another is added.
func (t *Table[V]) Full() bool { return len(t.entries) >= t.Limit }

// Lookup returns the entry of f's conversation and which direction f is of it;
// nil when there is none.
func (t *Table[V]) Lookup(f *Flow) (*Entry[V], Direction) {
	key, reversed := f.canonical()
	e := t.entries[key]
	if e == nil {
		return nil, ClientToServer
	}
	if reversed != e.clientIsTo {
		return e, ServerToClient
	}
	return e, ClientToServer
}

// Add makes an entry for f, of which d says the direction. The table must hold
// none for it.
func (t *Table[V]) Add(f *Flow, d Direction, now time.Time) *Entry[V] {
	key, reversed := f.canonical()
	e := &Entry[V]{key: key, Last: now, clientIsTo: reversed == (d == ClientToServer)}
	if key.transport == UDP {
		e.queue = queueUDP
	}
	t.entries[key] = e
	t.push(e, now)
	return e
}

// Due reports whether the entry was silent for its timeout: what comes now begins
// another conversation, whether or not Expired has come to it.
func (e *Entry[V]) Due(now time.Time) bool { return now.Sub(e.Last) >= timeouts[e.queue] }

// Turn makes the entry's client its server.
func (e *Entry[V]) Turn() { e.clientIsTo = !e.clientIsTo }

// Close puts the entry among those that only wait for stragglers.
func (t *Table[V]) Close(e *Entry[V], now time.Time) {
	if e.queue != queueClosed {
		t.unlink(e)
		e.queue = queueClosed
		t.push(e, now)
	}
}

// Remove takes the entry out.
func (t *Table[V]) Remove(e *Entry[V]) {
	t.unlink(e)
	delete(t.entries, e.key)
}

// Expired takes out and returns an entry that was silent for its timeout at the
// time now; nil when there is none.
func (t *Table[V]) Expired(now time.Time) *Entry[V] {
	for k := range t.queues {
		for {
			e := t.queues[k].head
			if e == nil || t.since(now)-e.queued < timeouts[k] {
				break
			}
			if e.Due(now) {
				t.Remove(e)
				return e
			}
			t.unlink(e)
			t.push(e, e.Last)
		}
	}
	return nil
}

// Oldest takes out and returns the entry that is easiest to do without: one that
// is closed, else the one that was looked after the longest time ago; nil when
// the table is empty.
func (t *Table[V]) Oldest() *Entry[V] {
	var oldest *Entry[V]
	if e := t.queues[queueClosed].head; e != nil {
		oldest = e
	} else {
		for k := range t.queues {
			if e := t.queues[k].head; e != nil && (oldest == nil || e.queued < oldest.queued) {
				oldest = e
			}
		}
	}
	if oldest != nil {
		t.Remove(oldest)
	}
	return oldest
}

// since returns the time since the epoch, which it sets when it has none. Times
// that are some 70 years from it, which only lies are, are as good as that.
func (t *Table[V]) since(now time.Time) time.Duration {
	const most = 1 << 61
	if t.epoch.IsZero() {
		t.epoch = now
	}
	return min(max(now.Sub(t.epoch), -most), most)
}

func (t *Table[V]) push(e *Entry[V], now time.Time) {
	q := &t.queues[e.queue]
	e.queued, e.prev, e.next = t.since(now), q.tail, nil
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
