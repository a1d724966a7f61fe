package values

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"

	"netlab/decode/proto"
	"netlab/replay/plan"
)

// Live holds what has been seen of the values while a recording is played once. Its methods
// may be called by several goroutines; those of a nil Live do nothing.
type Live struct {
	found  *Found
	places int // how many connections may be open; 0 is any number

	mu      sync.Mutex // guards what follows
	seen    []seen     // by the Value
	pairs   map[string][]pair
	waiting map[*waiter]bool
	held    int // bytes of live values, Found.room at most
	paired  int // bytes of pairs, as many
	counts  Counts
}

// Counts sums up what became of the uses of values.
type Counts struct {
	// Replaced are those that were put into requests, Same those where the live value is
	// what was recorded, and Stale those that were sent as recorded for another reason.
	Replaced, Same, Stale int64
}

// Add adds those of another pass.
func (c *Counts) Add(o Counts) {
	c.Replaced += o.Replaced
	c.Same += o.Same
	c.Stale += o.Stale
}

// seen is what is known of a value.
type seen struct {
	known bool
	text  string // empty when it is what was recorded, or missed
	same  bool
	why   string // it is missed
	quiet bool   // as was to be expected
}

// pair is what stands for something that was recorded.
type pair struct {
	live string
	name string // of a short one, that around it
	weak bool
	one  bool // it is an identifier
}

// maxPairs bounds what may stand for one thing: each client has its own.
const maxPairs = 64

// waiter waits for values.
type waiter struct {
	values  []int
	foreign bool // some are of other conversations
	wake    func()
}

// NewLive returns a Live of what was found. Where only so many connections may be open at a
// time, those that wait for a value must not keep out the one that it comes from.
func NewLive(f *Found, places int) *Live {
	if f == nil {
		return nil
	}
	l := &Live{found: f, places: places, seen: make([]seen, len(f.Values)), pairs: make(map[string][]pair), waiting: make(map[*waiter]bool)}
	for i := range f.Values {
		if s := f.Values[i].Set; s != nil {
			l.seen[i] = seen{known: true, text: s.Text}
		}
	}
	return l
}

// Requests are those of a conversation that have values.
func (l *Live) Requests(conversation int) []Request {
	if l == nil {
		return nil
	}
	return l.found.Requests(conversation)
}

// Value is one by its index.
func (l *Live) Value(n int) *Value { return &l.found.Values[n] }

// Answers are the indices of the values that the answers of a conversation have, in their
// order.
func (l *Live) Answers(conversation int) []int {
	if l == nil {
		return nil
	}
	return l.found.in(Ref{conversation, 0}, Ref{conversation + 1, 0})
}

// Take takes these values from the live answer that has them.
func (l *Live) Take(list []int, live *proto.Message) {
	if len(list) == 0 {
		return
	}
	texts := l.found.extract(list, live)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range list {
		if v := &l.found.Values[n]; v.Uses > 0 {
			l.settle(n, meets(v, texts[i], l.found.seed))
		}
	}
}

// meets is what a text in a live answer comes to.
func meets(v *Value, text string, seed maphash.Seed) seen {
	text, ok := decoded(text, v.Form)
	switch {
	case text == "":
		return seen{known: true, why: fmt.Sprintf("the answer of %s no longer has %s", v.From, v.Place)}
	case !ok:
		return seen{known: true, why: fmt.Sprintf("%s in the answer of %s is something else now", v.Place, v.From)}
	}
	return seen{known: true, text: text, same: maphash.String(seed, text) == v.same}
}

// settle says what is known of a value, and wakes who waits for it.
func (l *Live) settle(n int, s seen) {
	if l.seen[n].known {
		return
	}
	if l.held += len(s.text); l.held > l.found.room {
		s = seen{known: true, why: "there is no room for more live values"}
	}
	l.seen[n] = s
	for w := range l.waiting {
		if l.ready(w.values) {
			delete(l.waiting, w)
			w.wake()
		}
	}
}

func (l *Live) ready(values []int) bool {
	for _, n := range values {
		if !l.seen[n].known {
			return false
		}
	}
	return true
}

// Skip says that an answer does not come, as was to be expected: nothing was to be asked.
func (l *Live) Skip(r Ref, why string) {
	l.end(r, Ref{r.Conversation, r.Index + 1}, seen{known: true, why: why, quiet: true})
}

// Over says that no more answers come in a conversation.
func (l *Live) Over(conversation int, why string, expected bool) {
	l.end(Ref{conversation, 0}, Ref{conversation + 1, 0}, seen{known: true, why: why, quiet: expected})
}

func (l *Live) end(first, behind Ref, s seen) {
	if l == nil {
		return
	}
	list := l.found.in(first, behind)
	if len(list) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range list {
		s := s
		s.why = fmt.Sprintf("the answer of %s, which has it, did not come: %s", l.found.Values[n].From, s.why)
		l.settle(n, s)
	}
}

// Wait has wake called when all values of a request are known, and reports whether they are
// not yet; begin is called first, before wake can be. Nobody waits when that would be for
// ever, because all that may be open wait.
func (l *Live) Wait(q *Request, begin, wake func()) (stop func(), wait bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &waiter{wake: wake}
	for i := range q.Uses {
		n := q.Uses[i].Value
		w.values = append(w.values, n)
		if !l.seen[n].known && l.found.Values[n].From.Conversation != q.In.Conversation {
			w.foreign = true
		}
	}
	if l.ready(w.values) {
		return nil, false
	}
	if w.foreign && l.places > 0 && l.others()+1 >= l.places {
		for _, n := range w.values {
			v := &l.found.Values[n]
			l.settle(n, seen{known: true, why: fmt.Sprintf("the answer of %s, which has it, comes on a connection that has no place before this one ends", v.From)})
		}
		return nil, false
	}
	begin()
	l.waiting[w] = true
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, w)
	}, true
}

// others counts those who wait for other conversations.
func (l *Live) others() int {
	n := 0
	for w := range l.waiting {
		if w.foreign {
			n++
		}
	}
	return n
}

// Miss is a use that was sent as it was recorded.
type Miss struct {
	Use *Use
	Why string
	// Expected means that it is no finding: what has the value was not asked for, or the
	// value is one by chance perhaps.
	Expected bool
}

// Edits returns what to change in a request, and what is sent as it was recorded though
// it should not be.
func (l *Live) Edits(q *Request) ([]plan.Edit, []Miss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var misses []Miss
	texts := make([][]byte, len(q.Uses))
	changed := false
	for i := range q.Uses {
		u := &q.Uses[i]
		s := &l.seen[u.Value]
		v := &l.found.Values[u.Value]
		why := s.why
		if why == "" && !s.same {
			texts[i], why = u.spell(s.text)
		}
		switch {
		case why != "":
			l.counts.Stale++
			misses = append(misses, Miss{u, why, s.quiet || v.Confidence == Possible})
		case s.same:
			l.counts.Same++
		default:
			changed = true
			l.counts.Replaced++
		}
	}
	if !changed {
		return nil, misses
	}
	return q.edits(texts), misses
}

// Counts returns what became of the uses so far.
func (l *Live) Counts() Counts {
	if l == nil {
		return Counts{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Missed returns what a live answer no longer has and requests carry, by its place and by
// who carries it first.
func (l *Live) Missed(r Ref) (places []Place, first []Ref) {
	if l == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.found.In(r) {
		if v := &l.found.Values[n]; l.seen[n].why != "" && v.Uses > 0 && v.Confidence > Possible {
			places, first = append(places, v.Place), append(first, v.First.In)
		}
	}
	return places, first
}

// extract returns what stands in an answer at the places of some values; "" for nothing.
func (f *Found) extract(list []int, m *proto.Message) []string {
	out := make([]string, len(list))
	h, ok := m.Body.(*proto.HTTPMessage)
	if !ok {
		return out
	}
	var a answer
	a.walk(m, h, func(s *spot) {
		for i, n := range list {
			p := &f.Values[n].Place
			if out[i] != "" || !s.is(p) {
				continue
			}
			text := s.text
			if p.Part > 0 {
				part, shape := partOf(text, p.Part)
				if text = part; shape != p.Shape {
					continue
				}
			}
			out[i] = strings.Clone(text)
		}
	})
	return out
}
