package replay

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPacer has many wait at a time, some for what is over, some earlier than all that
// are there, and wants each to be woken once, and never early.
func TestPacer(t *testing.T) {
	p := newPacer()
	if p == nil {
		t.Fatal("there is no alarm")
	}
	defer p.close()
	rnd := rand.New(rand.NewPCG(1, 2))
	var all sync.WaitGroup
	var early atomic.Int64
	for range 2000 {
		due := time.Now().Add(time.Duration(rnd.Int64N(int64(100*time.Millisecond))) - 10*time.Millisecond)
		all.Add(1)
		p.at(due, func() {
			defer all.Done() // which panics when it is called twice
			if time.Now().Before(due) {
				early.Add(1)
			}
		})
	}
	all.Wait()
	if early.Load() > 0 {
		t.Errorf("%d were woken early", early.Load())
	}
}

// TestPacerCancels wants nothing woken that was taken back, and what stands behind it
// in time.
func TestPacerCancels(t *testing.T) {
	p := newPacer()
	if p == nil {
		t.Fatal("there is no alarm")
	}
	defer p.close()
	start := time.Now()
	var woken atomic.Int64
	late := int64(0)
	for i := range 100 {
		due := start.Add(time.Duration(10+i) * time.Millisecond)
		a := p.at(due, func() { woken.Add(1) })
		if i%2 == 0 {
			p.cancel(a)
			p.cancel(a)
			if !time.Now().Before(due) {
				late++ // it may have been woken before that
			}
		}
	}
	done := make(chan struct{})
	p.at(start.Add(200*time.Millisecond), func() { close(done) })
	<-done
	if n := woken.Load(); n < 50 || n > 50+late {
		t.Errorf("%d were woken, want 50, and %d may have been", n, late)
	}
}

// TestPacerCloses wants it to end while something waits that is far away.
func TestPacerCloses(t *testing.T) {
	p := newPacer()
	if p == nil {
		t.Fatal("there is no alarm")
	}
	p.at(time.Now().Add(time.Hour), func() { t.Error("woken") })
	p.close()
}
