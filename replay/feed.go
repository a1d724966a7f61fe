package replay

import (
	"fmt"
	"sync"
	"time"

	"netlab/replay/plan"
)

// DefaultMemory is Options.Memory when it is 0.
const DefaultMemory = 128 << 20

// feed holds the parts of a recording between who brings them and who plays them, so many
// bytes at most: who brings more waits, or where that must not be, conversations are given up.
//
// Nobody waits for ever. Who brings parts waits only for calls to be done with some. Calls
// wait for a time, for the server, to whom they give a time, or for parts; and whoever opens
// them for a time, or for others to end. When all calls wait for parts, and no other can be
// opened before one has ended, nothing more would happen: then that conversation is given up
// of which most is held.
type feed struct {
	player *Player
	limit  int
	lossy  bool // who brings parts never waits

	mu      sync.Mutex // guards what follows, and all queues
	changed sync.Cond  // there is something to open, or no more, or no more room
	room    sync.Cond  // there may be room, or nobody who will make some
	calls   map[*plan.Conn]*call
	queued  map[*call]struct{} // those that are not told directly
	branch  func(*call)        // plays what is opened from within another call
	opened  []*call            // and not begun yet, in order
	held    int                // bytes
	full    bool               // who brings parts waits
	ended   bool               // no more come
	stopped bool
	opening bool // whoever opens calls is at one
	parked  bool // which has to wait for the end of others
	running int  // calls
	hungry  int  // those that wait for parts
	rate    rate
	cuts    cuts
}

// queue holds the parts of a conversation that a call has not taken.
type queue struct {
	parts  []plan.Part
	held   int    // bytes of these, and of those taken that the call is not done with
	cancel func() // ends the call; nil when it has not begun
	wake   func() // is called when something comes; nil when nobody waits for it
	direct bool   // nobody takes them: they are told the call by who brings them
	lost   string // why the conversation was given up; empty when it was not
	listed bool   // it is in feed.opened, or was
}

func newFeed(p *Player) *feed {
	f := &feed{player: p, limit: p.opts.Memory, lossy: p.opts.Lossy, calls: make(map[*plan.Conn]*call), queued: make(map[*call]struct{})}
	f.changed.L, f.room.L = &f.mu, &f.mu
	f.rate.perSecond, f.cuts.most = p.opts.Rate, p.opts.IdleMax
	if p.opts.Speed <= 0 || p.opts.Rate > 0 {
		f.cuts.most = 0
	}
	return f
}

// Take takes a part.
func (f *feed) Take(p *plan.Part) error {
	f.mu.Lock()
	k := f.calls[p.Conn]
	switch {
	case p.Kind == plan.Opened:
		k = newCall(f.player, p.Conn, f.parent(p.Conn))
		f.calls[p.Conn] = k
		if !k.queue.direct {
			f.queued[k] = struct{}{}
		}
		if k.parent != nil {
			defer f.branch(k)
		}
	case p.Kind == plan.Over:
		delete(f.calls, p.Conn)
	}
	if !k.queue.direct && p.Cost > 0 {
		f.makeRoom(k, p.Cost)
	}
	if k.queue.direct {
		f.mu.Unlock()
		return k.tell(p)
	}
	part := *p
	f.schedule(k, &part)
	if k.queue.lost != "" && part.Kind == plan.Said {
		f.mu.Unlock()
		return nil // it is not said any more
	}
	k.queue.parts = append(k.queue.parts, part)
	k.queue.held += p.Cost
	f.held += p.Cost
	f.rouse(k)
	f.mu.Unlock()
	return f.player.failure()
}

// parent returns the call whose content a conversation carries; nil when there is none.
func (f *feed) parent(c *plan.Conn) *call {
	if c.Errand == nil {
		return nil
	}
	return f.calls[c.Errand.For]
}

// rouse wakes the call if it waits for parts.
func (f *feed) rouse(k *call) {
	if k.queue.wake != nil {
		k.queue.wake()
		k.queue.wake = nil
		f.hungry--
	}
}

// makeRoom waits until there is room for something of a call, or gives it up.
func (f *feed) makeRoom(k *call, cost int) {
	for f.held > 0 && f.held+cost > f.limit && !f.stopped && !k.queue.direct {
		if f.lossy {
			f.lose(k, "dropped: the target is slower than the traffic")
			return
		}
		if !f.full {
			f.full = true
			f.changed.Broadcast()
		}
		if !f.relieve() {
			f.room.Wait()
		}
	}
	f.full = false
}

// relieve gives a conversation up when nothing else can make room, and reports whether it
// did.
func (f *feed) relieve() bool {
	if f.hungry < f.running || !f.parked && (f.opening || len(f.opened) > 0) {
		return false
	}
	var most *call
	for k := range f.queued {
		if k.queue.held > 0 && k.queue.lost == "" && (most == nil || k.queue.held > most.queue.held) {
			most = k
		}
	}
	if most == nil {
		return false // those that were given up will make room
	}
	f.lose(most, fmt.Sprintf("too much had to wait: more than the %d MiB that are held in memory", f.limit>>20))
	return true
}

// lose gives a conversation up. What of it is held is told at once, or when its call has
// come to an end.
func (f *feed) lose(k *call, why string) {
	q := &k.queue
	if q.lost != "" {
		return
	}
	q.lost = why
	if q.cancel != nil {
		q.cancel()
		f.rouse(k)
		return
	}
	delete(f.queued, k)
	q.direct, k.over, k.failed = true, true, errLost(why)
	f.player.order.done(k.conn.Rank)
	for i := range q.parts {
		k.tell(&q.parts[i])
	}
	q.parts = nil
	f.free(k, q.held)
}

// free gives back room.
func (f *feed) free(k *call, cost int) {
	k.queue.held -= cost
	f.held -= cost
	f.room.Broadcast()
}

// release says that a call is done with something.
func (f *feed) release(k *call, cost int) {
	if cost > 0 {
		f.mu.Lock()
		f.free(k, cost)
		f.mu.Unlock()
	}
}

// list has a call opened in its turn.
func (f *feed) list(k *call) {
	if !k.queue.listed {
		k.queue.listed = true
		f.opened = append(f.opened, k)
		f.changed.Broadcast()
	}
}

// schedule gives what is to be done its time.
func (f *feed) schedule(k *call, p *plan.Part) {
	if f.rate.perSecond > 0 {
		if f.rate.schedule(k, p) && k.parent == nil {
			f.list(k)
		}
		return
	}
	switch p.Kind {
	case plan.Opened:
		k.open = p.Conn.Open
		f.cuts.add(k.open)
		if k.parent == nil {
			f.list(k)
		}
	case plan.Said:
		f.cuts.add(p.At)
	case plan.Closed:
		if p.Closing.Close.Kind != plan.CloseNone {
			f.cuts.later(p.Closing.Close.At)
		}
	}
}

// end says that no more parts come.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.cuts.settle()
	f.changed.Broadcast()
}

// stop has nobody wait any more.
func (f *feed) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	for k := range f.queued {
		f.rouse(k)
	}
	f.changed.Broadcast()
	f.room.Broadcast()
}

// fill waits until no more fits in, or comes: the beginning is kept exactly then.
func (f *feed) fill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.full && !f.ended && !f.stopped && !f.lossy {
		f.changed.Wait()
	}
}

// next waits for the next call that is to be opened; nil when there is none.
func (f *feed) next() *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opening, f.parked = false, false
	for len(f.opened) == 0 {
		if f.ended {
			return nil
		}
		f.room.Broadcast()
		f.changed.Wait()
	}
	f.opening = true
	k := f.opened[0]
	f.opened[0] = nil
	f.opened = f.opened[1:]
	return k
}

// park says whether the next call has to wait for the end of others.
func (f *feed) park(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parked = on
	f.room.Broadcast()
}

// begin says that a call takes its parts from now on, and is ended by cancel. It reports
// whether there is a call: not where nothing is played, or it was given up.
func (f *feed) begin(k *call, cancel func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k.queue.direct {
		return false
	}
	k.queue.cancel = cancel
	f.running++
	return true
}

// leave says that a call takes none any more.
func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	f.room.Broadcast()
}

// peek returns the next part of a call if it is there, and why the conversation was given
// up.
func (f *feed) peek(k *call) (p *plan.Part, lost string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(k.queue.parts) > 0 {
		p = &k.queue.parts[0]
	}
	return p, k.queue.lost
}

// lost says why the conversation of a call was given up.
func (f *feed) lost(k *call) string {
	_, why := f.peek(k)
	return why
}

// take takes the part away that peek returned.
func (f *feed) take(k *call) plan.Part {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := k.queue.parts[0]
	k.queue.parts[0] = plan.Part{}
	if k.queue.parts = k.queue.parts[1:]; len(k.queue.parts) == 0 {
		k.queue.parts = nil
	}
	return p
}

// wait has wake called when there is something for a call, unless there is already; begin
// is called first, before anything can come.
func (f *feed) wait(k *call, begin, wake func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(k.queue.parts) > 0 || k.queue.lost != "" || f.stopped {
		return false
	}
	begin()
	k.queue.wake = wake
	f.hungry++
	f.room.Broadcast()
	return true
}

// unwait ends that.
func (f *feed) unwait(k *call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k.queue.wake != nil {
		k.queue.wake = nil
		f.hungry--
	}
}

// turnDirect has the parts of a call told it as they come, when it has taken all there are.
func (f *feed) turnDirect(k *call) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(k.queue.parts) > 0 {
		return false
	}
	k.queue.direct = true
	delete(f.queued, k)
	f.free(k, k.queue.held)
	return true
}

// due returns when something at a time of the recording is to be done.
func (f *feed) due(at time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cuts.apply(at)
}
