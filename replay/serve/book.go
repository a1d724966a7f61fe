package serve

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/plan"
)

// answer is one recorded answer, as it is given.
type answer struct {
	of    *recorded
	index int // among of.answers
	// request and summary are a line each on what was asked and answered.
	request, summary string

	bytes     []byte   // over TCP
	datagrams [][]byte // over UDP
	latency   time.Duration
	at        time.Time // when it was given in the recording
	dates     []date    // in bytes
	// head is the response of HTTP/1, when frames of WebSocket follow it.
	head   *proto.HTTPMessage
	frames *frames
	behind []*answer // what the server said by itself behind it
	// transfer is what a data connection of FTP carried, behind what was said before.
	transfer *transfer
	before   []byte
	// closes says that nothing follows on the connection; resets that it was broken off.
	closes, resets bool
	// lost says that the answer is not in the recording, though the request is: it keeps
	// the place among the answers to such requests, another of which is given.
	lost bool

	given int64 // how often; guarded by book.mu
}

// recorded is one recorded conversation.
type recorded struct {
	conn    *plan.Conn
	answers []*answer // in order
	asked   int       // how much the client asked, whether or not it can be answered
	// closes says that the server ended the connection soon behind the last answer, and
	// resets that it broke it off.
	closes, resets bool
	by             *follower // who follows it now; guarded by book.mu
}

// add appends an answer.
func (r *recorded) add(a *answer) *answer {
	a.of, a.index = r, len(r.answers)
	r.answers = append(r.answers, a)
	return a
}

// follower is a client that is given the answers of a recorded conversation as long
// as that has what it asks for. It is guarded by book.mu.
type follower struct {
	at *recorded
	// next is the index of the answer behind the last one; whole says that the first one
	// was given to this client too.
	next  int
	whole bool
	asked int // what the client asked in all, whether or not it was answered
}

// list is what was answered to one question, in the order of the recording.
type list struct {
	answers []*answer
	next    int   // all before it were given in this round
	round   int64 // how often all were given; Loop begins another
}

// book is all that can be answered, and counts what was.
type book struct {
	repeat Repeat
	known  map[string]*list // by what is asked

	mu      sync.Mutex
	clients map[netip.AddrPort]*follower // of datagrams
}

// Repeat says what is answered when all answers to a question have been given.
type Repeat uint8

// The ways to repeat.
const (
	Last Repeat = iota // the last one, again and again
	Loop               // the first one, and so on
	Once               // nothing: it is not in the recording so often
)

// learn adds an answer to what is asked by key.
func (b *book) learn(key string, a *answer) {
	l := b.known[key]
	if l == nil {
		l = &list{}
		b.known[key] = l
	}
	l.answers = append(l.answers, a)
}

// find returns what is known by the first of some keys, from the closest to the
// loosest.
func (b *book) find(keys ...string) *list {
	for _, key := range keys {
		if l := b.known[key]; l != nil {
			return l
		}
	}
	return nil
}

// maxAhead bounds how many answers that were not given are looked at for the one that
// fits a client best.
const maxAhead = 64

// take returns the next answer for a client, or nil when all were given Once. That of
// the conversation that it follows comes first, then what belongs to nobody.
func (b *book) take(l *list, f *follower) *answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.choose(l, f)
	if a == nil {
		return nil
	}
	a.given++
	b.follow(f, a)
	if a.lost {
		return l.instead(a)
	}
	return a
}

// instead returns an answer in place of one that was lost: of those that were not, the
// next; nil when there is none.
func (l *list) instead(a *answer) *answer {
	i := slices.Index(l.answers, a)
	for _, x := range slices.Concat(l.answers[i:], l.answers[:i]) {
		if !x.lost {
			return x
		}
	}
	return nil
}

func (b *book) choose(l *list, f *follower) *answer {
	for l.next < len(l.answers) && l.answers[l.next].given > l.round {
		l.next++
	}
	if l.next == len(l.answers) {
		switch b.repeat {
		case Once:
			return nil
		case Last:
			return l.answers[l.next-1]
		}
		l.next = 0
		l.round++
	}
	var free, first *answer
	for _, a := range l.answers[l.next:min(len(l.answers), l.next+maxAhead)] {
		switch {
		case a.given > l.round:
		case a.of == f.at && a.index >= f.next:
			return a
		case free == nil && (a.of.by == nil || a.of.by == f):
			free = a
		case first == nil:
			first = a
		}
	}
	if free != nil {
		return free
	}
	if first != nil {
		return first
	}
	return l.answers[l.next]
}

// follow notes which answer a client was given.
func (b *book) follow(f *follower, a *answer) {
	if f.at != a.of {
		if a.of.by != nil && a.of.by != f {
			return
		}
		b.leave(f)
		f.at, f.whole = a.of, false
		a.of.by = f
	}
	f.whole = f.whole || a.index == 0
	if f.next = a.index; !a.lost {
		f.next++
	}
}

// leave lets go of the conversation that a client follows; the lock is held.
func (b *book) leave(f *follower) {
	if f.at != nil && f.at.by == f {
		f.at.by = nil
	}
	f.at = nil
}

// gone lets go of it when the client is gone.
func (b *book) gone(f *follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leave(f)
}

// give notes that a client was given an answer that it was not asked for by key.
func (b *book) give(f *follower, a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.given++
	b.follow(f, a)
}

// ending reports whether an answer ends the connection of a client: it says so itself,
// or it was the last of a conversation that the client followed from its beginning to
// where the server had closed it.
func (b *book) ending(f *follower, a *answer) (closes, resets bool) {
	if a.closes || a.resets {
		return true, a.resets
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := a.of
	over := f.at == r && f.whole && f.next == len(r.answers) && f.asked >= r.asked
	return over && (r.closes || r.resets), over && r.resets
}

// maxClients bounds the senders of datagrams that are told apart.
const maxClients = 4096

// client returns the follower that stands for a sender of datagrams.
func (b *book) client(from netip.AddrPort) *follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.clients[from]
	if f == nil {
		if len(b.clients) >= maxClients {
			for addr, old := range b.clients { // any one of them
				b.leave(old)
				delete(b.clients, addr)
				break
			}
		}
		f = &follower{}
		b.clients[from] = f
	}
	return f
}

// promptClose is how soon behind the last answer a server must have closed for its
// closing to belong to that: later it is a matter of timeouts.
const promptClose = time.Second

// ended notes how much was asked in a conversation, and how the server ended it.
func (r *recorded) ended(p *plan.Plan) {
	for i := range r.conn.Checks {
		if e := r.conn.Checks[i].Exchange; e != nil && e.Request != nil && !e.Request.Alone {
			r.asked++
		}
	}
	c := r.conn.Close
	if c.Kind == plan.CloseNone || c.By != flow.ServerToClient || len(r.answers) == 0 {
		return
	}
	if last := r.answers[len(r.answers)-1].at; last.IsZero() || p.Start.Add(c.At).Sub(last) > promptClose {
		return
	}
	r.closes, r.resets = c.Kind == plan.CloseFIN, c.Kind == plan.CloseRST
}
