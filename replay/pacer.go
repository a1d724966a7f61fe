package replay

import (
	"container/heap"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pacer wakes goroutines at absolute times, more exactly than the runtime does: its
// timers go off when the poller comes back, which on Linux counts in milliseconds.
// One goroutine with a thread of its own waits for the earliest time of all.
type pacer struct {
	alarm alarm
	rung  atomic.Bool // since run looked at the queue
	mu    sync.Mutex  // guards what follows, and is held while something is woken
	queue appointments
	over  bool
	ended sync.WaitGroup

	// What follows is run's alone.
	lead   time.Duration // so much earlier than what is due it wakes
	credit time.Duration // that it may look at the clock
	asked  time.Time     // when that was last looked at
}

// Who sleeps is woken late, by as much as the machine takes for it. So a pacer sleeps for a
// little less and looks at the clock for the rest: maxLead at most, and over maxCredit only one
// part in share of the time.
const (
	maxLead   = 150 * time.Microsecond
	leadStep  = maxLead / 16
	maxCredit = 100 * time.Millisecond
	share     = 5
)

// alarm is what a pacer waits in.
type alarm interface {
	// begin is called once, in the goroutine that will wait.
	begin()
	// wait returns at a time, or soon after ring was called; without a time, only
	// then. It may return early.
	wait(until time.Time)
	// ring ends the wait that goes on, or the next.
	ring()
	close()
}

// appointment is something to be woken at a time.
type appointment struct {
	due   time.Time
	wake  func()
	index int // in the queue; -1 when it is over
}

// newPacer starts a pacer, or returns nil when there is no alarm to be had.
func newPacer() *pacer {
	a, err := newAlarm()
	if err != nil {
		return nil
	}
	p := &pacer{alarm: a}
	p.ended.Go(p.run)
	return p
}

// close ends the pacer. Nothing is woken any more.
func (p *pacer) close() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.ring()
	p.ended.Wait()
	p.alarm.close()
}

// at has wake called at a time. It must not block.
func (p *pacer) at(due time.Time, wake func()) *appointment {
	a := &appointment{due: due, wake: wake}
	p.mu.Lock()
	heap.Push(&p.queue, a)
	first := a.index == 0
	p.mu.Unlock()
	if first {
		p.ring()
	}
	return a
}

// cancel takes an appointment back. When it returns, wake was called or never will be.
func (p *pacer) cancel(a *appointment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.index >= 0 {
		heap.Remove(&p.queue, a.index)
	}
}

// isOver reports whether wake was called, or never will be.
func (p *pacer) isOver(a *appointment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return a.index < 0
}

// ring has the queue looked at anew.
func (p *pacer) ring() {
	p.rung.Store(true)
	p.alarm.ring()
}

func (p *pacer) run() {
	// The thread is changed by begin, and ends with the goroutine.
	runtime.LockOSThread()
	p.alarm.begin()
	p.asked = time.Now()
	for {
		p.rung.Store(false)
		p.mu.Lock()
		if p.over {
			p.mu.Unlock()
			return
		}
		woken := false
		for len(p.queue) > 0 && !p.queue[0].due.After(time.Now()) {
			heap.Pop(&p.queue).(*appointment).wake()
			woken = true
		}
		var next time.Time
		if len(p.queue) > 0 {
			next = p.queue[0].due
		}
		p.mu.Unlock()
		if woken && (next.IsZero() || time.Until(next) > maxLead) {
			// Those woken would have to wait for the runtime to find that this thread
			// sleeps, if it still had the right to run them.
			runtime.Gosched()
		}
		p.wait(next)
	}
}

// wait returns at a time, or when it is rung.
func (p *pacer) wait(until time.Time) {
	if until.IsZero() {
		p.alarm.wait(until)
		return
	}
	now := time.Now()
	p.credit = min(maxCredit, p.credit+now.Sub(p.asked)/share)
	p.asked = now
	lead := p.lead
	if p.credit <= 0 {
		lead = 0
	}
	if early := until.Add(-lead); now.Before(early) {
		p.alarm.wait(early)
		now = time.Now()
		p.learn(now, until)
	}
	from := now
	for now.Before(until) && !p.rung.Load() && until.Sub(now) <= lead {
		now = time.Now()
	}
	p.credit -= now.Sub(from)
}

// learn has the next lead be such that few are woken late: each that is makes it longer by
// as much as many that are not make it shorter.
func (p *pacer) learn(now, due time.Time) {
	switch {
	case p.rung.Load():
	case now.After(due):
		p.lead = min(maxLead, p.lead+leadStep)
	default:
		p.lead = max(0, p.lead-leadStep/32)
	}
}

// appointments are a heap, the earliest first.
type appointments []*appointment

func (q appointments) Len() int           { return len(q) }
func (q appointments) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q appointments) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *appointments) Push(x any) {
	a := x.(*appointment)
	a.index = len(*q)
	*q = append(*q, a)
}

func (q *appointments) Pop() any {
	old := *q
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	a.index = -1
	return a
}
