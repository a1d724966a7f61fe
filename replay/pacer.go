package replay

import (
	"container/heap"
	"runtime"
	"sync"
	"time"
)

// pacer wakes goroutines at absolute times, more exactly than the runtime does: its
// timers go off when the poller comes back, which on Linux counts in milliseconds.
// One goroutine with a thread of its own waits for the earliest time of all.
type pacer struct {
	alarm alarm
	mu    sync.Mutex // guards what follows, and is held while something is woken
	queue appointments
	over  bool
	ended sync.WaitGroup
}

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
	p.alarm.ring()
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
		p.alarm.ring()
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

func (p *pacer) run() {
	// The thread is changed by begin, and ends with the goroutine.
	runtime.LockOSThread()
	p.alarm.begin()
	for {
		p.mu.Lock()
		if p.over {
			p.mu.Unlock()
			return
		}
		woken := false
		for now := time.Now(); len(p.queue) > 0 && !p.queue[0].due.After(now); woken = true {
			heap.Pop(&p.queue).(*appointment).wake()
		}
		var next time.Time
		if len(p.queue) > 0 {
			next = p.queue[0].due
		}
		p.mu.Unlock()
		if woken {
			// Those woken would have to wait for the runtime to find that this thread
			// sleeps, if it still had the right to run them.
			runtime.Gosched()
		}
		p.alarm.wait(next)
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
