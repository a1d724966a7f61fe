// Package replay is the player: it sends the client's side of a recording again
// over fresh sockets, and holds the answers against the recorded ones.
//
// It consumes a plan.Plan and pushes an Outcome for each recorded answer to a
// Sink. One recorded connection is one connection, played by one goroutine that
// both writes and reads, so that nothing is shared between them. Answers are read
// with the same parsers that read the recording. Every check of the plan ends in
// exactly one Verdict, whatever the server does. Nothing is sent anywhere but to
// Options.Target.
package replay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netlab/decode/flow"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// DefaultTimeout is how long an answer may take.
const DefaultTimeout = 10 * time.Second

// Options of a Player. Zero fields are as said.
type Options struct {
	// Target is where everything is sent, as HOST:PORT.
	Target string
	// Speed is how many times as fast as recorded; 0 is as fast as the answers
	// come.
	Speed float64
	// IdleMax cuts the schedule short where no client had anything to do for longer;
	// 0 leaves it as it was.
	IdleMax time.Duration
	// Exact has what is due sent to the microsecond, by a thread that waits for it,
	// where the runtime's timers are a millisecond late. It has a clock of its own, and
	// so none that a test has made.
	Exact bool
	// Timeout is for connecting, and for each answer; DefaultTimeout. An answer
	// that took long in the recording is waited for three times as long.
	Timeout time.Duration
	// Rules say what counts as a difference.
	Rules compare.Rules
	// Dial connects; net.Dialer's DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Outcome is what became of one recorded answer.
type Outcome struct {
	Conn    *plan.Conn
	Check   *plan.Check
	Verdict compare.Verdict
	// Reason says why it failed or was skipped.
	Reason string
	// Differences are where the answers differ.
	Differences []compare.Difference
	// Request, Recorded and Live are one line each on what was asked, and
	// answered then and now.
	Request, Recorded, Live string
	// RecordedLatency and Latency are from the request's end to the answer's
	// beginning; negative when that is not known.
	RecordedLatency, Latency time.Duration
	// Sent is when the request's first byte went out, zero when it did not.
	Sent time.Time
}

// ConnOutcome is what became of one recorded conversation.
type ConnOutcome struct {
	Conn    *plan.Conn
	Verdict compare.Verdict
	Reason  string
	// Opened means that a connection was made, for what is left to be skipped.
	Opened bool
}

// Sink takes outcomes, one at a time.
type Sink interface {
	// Outcome gets each check's outcome once.
	Outcome(*Outcome) error
	// Connection gets each conversation's outcome once, behind those of its
	// checks.
	Connection(*ConnOutcome) error
}

// Result sums up a replay.
type Result struct {
	// Checks and Conns count outcomes by their verdict.
	Checks, Conns [compare.VerdictCount]int64
	// Opened counts connections that were made.
	Opened int64
	// DialError is the first reason why one could not be made.
	DialError error
	Bytes     int64 // sent
	Took      time.Duration
	// Slip is how late bytes went out behind what the plan and the answers
	// allowed, in microseconds; empty when no pace was kept.
	Slip *hdrhistogram.Histogram
	// Cut is how much of the recording's time was cut out by Options.IdleMax.
	Cut time.Duration
	// Recorded and Live are latencies of the answers compared, in microseconds.
	Recorded, Live *hdrhistogram.Histogram
	// Canceled means that it was stopped before its end.
	Canceled bool
}

// Compared counts the answers that were held against one.
func (r *Result) Compared() int64 {
	return r.Checks[compare.Same] + r.Checks[compare.Different] + r.Checks[compare.Failed]
}

// DialError means that the target could not be connected to.
type DialError struct {
	Target string
	Err    error
}

func (e *DialError) Error() string { return fmt.Sprintf("connect to %s: %v", e.Target, e.Err) }

func (e *DialError) Unwrap() error { return e.Err }

// Player plays plans.
type Player struct {
	opts   Options
	plan   *plan.Plan
	sink   Sink
	start  time.Time // of the replay
	cuts   cuts
	pacer  *pacer // nil when the runtime's timers will do
	order  order
	mu     sync.Mutex // guards what follows
	result Result
	err    error // of the sink
}

// newHistogram holds 1 µs to an hour, with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Hour.Microseconds(), 3)
}

// Play plays a plan and returns when all of it is done, or ctx is. The error is
// of the sink; what goes wrong with the target is in the outcomes.
func Play(ctx context.Context, p *plan.Plan, sink Sink, opts Options) (*Result, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Dial == nil {
		opts.Dial = new(net.Dialer).DialContext
	}
	pl := &Player{opts: opts, plan: p, sink: sink, start: time.Now()}
	pl.result = Result{Slip: newHistogram(), Recorded: newHistogram(), Live: newHistogram()}
	pl.order.init(len(p.Conns))
	if opts.Speed > 0 {
		pl.cuts = cutIdle(p, opts.IdleMax)
		pl.result.Cut = pl.cuts.total()
	}
	if opts.Speed > 0 && opts.Exact {
		if pl.pacer = newPacer(); pl.pacer != nil {
			defer pl.pacer.close()
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range p.Conns {
		all.Go(func() {
			defer pl.order.done(c.Rank)
			k := &call{player: pl, conn: c}
			k.play(ctx)
			if pl.report(k) != nil {
				cancel()
			}
		})
	}
	all.Wait()
	pl.result.Took = time.Since(pl.start)
	pl.result.Canceled = pl.err == nil && ctx.Err() != nil
	return &pl.result, pl.err
}

// report hands on what became of a connection and its checks.
func (p *Player) report(k *call) error {
	outcomes, conn := k.outcomes()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range outcomes {
		o := &outcomes[i]
		p.result.Checks[o.Verdict]++
		if o.Verdict == compare.Same || o.Verdict == compare.Different {
			record(p.result.Recorded, o.RecordedLatency)
			record(p.result.Live, o.Latency)
		}
		if p.err == nil {
			p.err = p.sink.Outcome(o)
		}
	}
	p.result.Conns[conn.Verdict]++
	if conn.Opened {
		p.result.Opened++
	}
	p.result.Bytes += k.sent
	for _, late := range k.slips {
		record(p.result.Slip, late)
	}
	var dial *DialError
	if p.result.DialError == nil && errors.As(k.failed, &dial) {
		p.result.DialError = dial
	}
	if p.err == nil {
		p.err = p.sink.Connection(conn)
	}
	return p.err
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	if d >= 0 {
		// What is beyond an hour counts as an hour.
		_ = h.RecordValue(min(d.Microseconds(), h.HighestTrackableValue()))
	}
}

// due returns when something recorded at a time is to be done; zero when no pace
// is kept.
func (p *Player) due(at time.Duration) time.Time {
	if p.opts.Speed <= 0 {
		return time.Time{}
	}
	return p.start.Add(time.Duration(float64(p.cuts.apply(at)) / p.opts.Speed))
}

// sleep returns at a time, or when ctx ends, and reports whether it slept to the end.
func (p *Player) sleep(ctx context.Context, due time.Time) bool {
	if due.IsZero() || !time.Now().Before(due) {
		return ctx.Err() == nil
	}
	if p.pacer != nil {
		awake := make(chan struct{})
		a := p.pacer.at(due, func() { close(awake) })
		defer p.pacer.cancel(a)
		select {
		case <-ctx.Done():
			return false
		case <-awake:
			return true
		}
	}
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// order keeps connections from being opened before those that had ended by then
// in the recording have ended now.
type order struct {
	mu      sync.Mutex
	changed *sync.Cond
	over    []bool // by rank
	low     int    // all ranks below have ended
}

func (o *order) init(n int) {
	o.over = make([]bool, n)
	o.changed = sync.NewCond(&o.mu)
}

func (o *order) done(rank int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over[rank] = true
	for o.low < len(o.over) && o.over[o.low] {
		o.low++
	}
	o.changed.Broadcast()
}

// wait returns when the first n ranks have ended, or ctx has.
func (o *order) wait(ctx context.Context, n int) {
	stop := context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.changed.Broadcast()
	})
	defer stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.low < n && ctx.Err() == nil {
		o.changed.Wait()
	}
}

// transport names a conversation's network as net.Dial has it.
func transport(t flow.Transport) string {
	if t == flow.UDP {
		return "udp"
	}
	return "tcp"
}
