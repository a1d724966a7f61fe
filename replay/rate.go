package replay

import (
	"time"

	"netlab/replay/plan"
)

// rate gives exchanges, in the order of their beginning, a time each: perSecond in a second.
// What is sent later of one is due with its beginning, and a connection with the first of its
// own.
type rate struct {
	perSecond float64
	count     int // exchanges begun
}

// schedule gives a part its time, and reports whether its call may be opened now.
func (r *rate) schedule(k *call, p *plan.Part) bool {
	begins := 0
	switch {
	case p.Kind == plan.Said:
		begins = p.Step.Begins
	case p.Kind == plan.Closed && !k.queue.listed:
		begins = 1 // nothing is asked on it
	}
	if begins > 0 {
		k.rated = time.Duration(float64(r.count) / r.perSecond * float64(time.Second))
		r.count += begins
	}
	if !k.queue.listed {
		k.open = k.rated
	}
	p.At = k.rated
	return begins > 0
}
