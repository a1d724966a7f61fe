// Package replay is the player: it sends the client's side of a recording again
// over fresh sockets, and holds the answers against the recorded ones.
//
// It consumes a plan.Plan and pushes an Outcome for each recorded answer to a
// Sink. One recorded connection is one connection, played by one goroutine that
// both writes and reads, so that nothing is shared between them. Answers are read
// with the same parsers that read the recording. Every check of the plan ends in
// exactly one Verdict, whatever the server does. Nothing is sent anywhere but to
// Options.Target, or for some servers to what Options.Map says.
package replay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/values"
)

// DefaultTimeout is how long an answer may take.
const DefaultTimeout = 10 * time.Second

// Options of a Player. Zero fields are as said.
type Options struct {
	// Target is where everything is sent, as HOST:PORT, or unix:PATH.
	Target string
	// Map says where what was said to some servers is sent, in place of Target. Its keys
	// have no counts.
	Map map[plan.Server]string
	// TLS, if any, is what is spoken around TCP. Where it has no ServerName, the host of
	// the target is sent and verified.
	TLS *tls.Config
	// Speed is how many times as fast as recorded; 0 is as fast as the answers
	// come.
	Speed float64
	// IdleMax cuts the schedule short where no client had anything to do for longer;
	// 0 leaves it as it was.
	IdleMax time.Duration
	// Rate begins so many exchanges a second, in the order of the recording and whatever
	// becomes of those before, in place of the recorded times and of Speed. A connection
	// does not wait for the end of those that had ended before it then; 0 is off.
	Rate float64
	// Connections is how many may be open at a time; the others wait for a place. 0 is
	// any number.
	Connections int
	// Loop is how often all is played; 0 is once. A pass begins when the one before has
	// ended.
	Loop int
	// Memory is how many bytes may be held of what is to be sent and compared; 0 is
	// DefaultMemory.
	Memory int
	// Lossy has conversations given up where that is too little, for who brings them can't
	// wait: it is traffic that goes on.
	Lossy bool
	// Exact has what is due sent to the microsecond, by a thread that waits for it,
	// where the runtime's timers are a millisecond late. It has a clock of its own, and
	// so none that a test has made.
	Exact bool
	// Redial has another connection made in place of one that the server closed while it
	// was idle, if it had kept it open, and what is spoken allows it: HTTP/1, or DNS.
	Redial bool
	// Timeout is for connecting, and for each answer; DefaultTimeout. An answer
	// that took long in the recording is waited for three times as long. It is of silence:
	// an answer that goes on may take six times that.
	Timeout time.Duration
	// Values are what the server makes up and clients say again: it is taken from the live
	// answers. Nil sends everything as it was recorded.
	Values *values.Found
	// Rules say what counts as a difference.
	Rules compare.Rules
	// Show, if any, gets each answer that was compared. It is called by several
	// connections at a time.
	Show func(o *Outcome, live *proto.Message)
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
	// Digest means that it was compared by length and digest, for it is larger than what is
	// kept.
	Digest bool
	// Differences are where the answers differ; Noise, where they do as two right answers
	// do too.
	Differences, Noise []compare.Difference
	// Request, Recorded and Live are one line each on what was asked, and
	// answered then and now.
	Request, Recorded, Live string
	// RecordedLatency and Latency are from the request's end to the answer's
	// beginning; negative when that is not known.
	RecordedLatency, Latency time.Duration
	// Sent is when the request's first byte went out, zero when it did not.
	Sent time.Time
	// Late is how long after its time in the schedule that was; negative when no pace was
	// kept. Slip is how much of that was our own doing: neither the plan nor an answer that
	// was awaited stood in the way.
	Late, Slip time.Duration
	// Pass counts from 1 when there are several.
	Pass int
}

// ConnOutcome is what became of one recorded conversation.
type ConnOutcome struct {
	Conn    *plan.Conn
	Verdict compare.Verdict
	Reason  string
	// Opened means that a connection was made, for what is left to be skipped.
	Opened bool
	// Redials counts those that were made in its place, by Options.Redial.
	Redials int
	// Pass counts from 1 when there are several.
	Pass int
}

// Sink takes outcomes, one at a time. The first error ends the replay; what was under way is
// told all the same.
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
	// Opened counts connections that were made, Redialled those made in place of one that
	// the server had closed.
	Opened, Redialled int64
	// Unread counts answers that were recorded and not read again, for the replay was
	// stopped; they are skipped.
	Unread int64
	// Digests counts answers that were compared by length and digest.
	Digests int64
	// DialError is the first reason why one could not be made.
	DialError error
	// Noise counts differences that are none, and Notes are for people to know.
	Noise int64
	Notes []string
	Bytes int64 // sent
	Took  time.Duration
	// Slip is how late bytes went out behind what the plan and the answers
	// allowed, in microseconds; empty when no pace was kept.
	Slip *hdrhistogram.Histogram
	// Cut is how much of the recording's time was cut out by Options.IdleMax.
	Cut time.Duration
	// Recorded and Live are latencies of the answers compared, in microseconds.
	Recorded, Live *hdrhistogram.Histogram
	// Planned are the latencies now from when the request was due, without Slip: a server
	// that is slow to answer one makes the next on its connection late.
	Planned *hdrhistogram.Histogram
	// Waited is how long connections waited for a place, those that had to.
	Waited *hdrhistogram.Histogram
	// Values counts what became of the values in requests.
	Values values.Counts
	// Slower counts endpoints of which somebody has found that they are.
	Slower int
	// Passes is how often the plan was begun.
	Passes int
	// Canceled means that it was stopped before its end.
	Canceled bool
}

// NewResult returns the sums of nothing.
func NewResult() *Result {
	return &Result{Slip: newHistogram(), Recorded: newHistogram(), Live: newHistogram(), Planned: newHistogram(), Waited: newHistogram()}
}

// Count adds an answer.
func (r *Result) Count(o *Outcome) {
	r.Checks[o.Verdict]++
	if o.Verdict != compare.Same && o.Verdict != compare.Different {
		return
	}
	if o.Digest {
		r.Digests++
	}
	record(r.Recorded, o.RecordedLatency)
	record(r.Live, o.Latency)
	if d, ok := o.Planned(); ok {
		record(r.Planned, d)
	}
}

// Planned is the latency now from when the request was due, without our own slip; it is not
// known without a pace.
func (o *Outcome) Planned() (time.Duration, bool) {
	return o.Latency + o.Late - o.Slip, o.Latency >= 0 && o.Late >= 0
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

// Source is a recording: a *plan.Plan, or what is being captured.
type Source interface {
	// Parts hands on all that is known, in order. When ctx ends it may leave out the rest.
	Parts(ctx context.Context, to plan.Taker) error
}

// Player plays recordings.
type Player struct {
	opts   Options
	sink   Sink
	start  time.Time // of the replay
	feed   *feed
	values *values.Live
	places chan struct{} // one for each connection that is open; nil without a limit
	pass   int
	pacer  *pacer // nil when the runtime's timers will do
	order  order
	cancel context.CancelFunc
	mu     sync.Mutex // guards what follows
	result Result
	err    error // of the sink, or of the source
}

// newHistogram holds 1 µs to an hour, with three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Hour.Microseconds(), 3)
}

// Play plays a recording and returns when all of it is done, or ctx is. The error is of the
// sink or the source; what goes wrong with the target is in the outcomes.
func Play(ctx context.Context, src Source, sink Sink, opts Options) (*Result, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.Memory <= 0 {
		opts.Memory = DefaultMemory
	}
	if opts.Dial == nil {
		opts.Dial = new(net.Dialer).DialContext
	}
	pl := &Player{opts: opts, sink: sink}
	pl.result = *NewResult()
	if opts.Exact && (opts.Speed > 0 || opts.Rate > 0) {
		if pl.pacer = newPacer(); pl.pacer != nil {
			defer pl.pacer.close()
		}
	}
	if opts.Connections > 0 {
		pl.places = make(chan struct{}, opts.Connections)
	}
	ctx, pl.cancel = context.WithCancel(ctx)
	defer pl.cancel()
	begin := time.Now()
	for pl.result.Passes < max(1, opts.Loop) && (pl.result.Passes == 0 || ctx.Err() == nil) {
		pl.result.Passes++
		if opts.Loop > 1 {
			pl.pass = pl.result.Passes
		}
		pl.playOnce(ctx, src)
	}
	pl.result.Took = time.Since(begin)
	pl.result.Canceled = pl.err == nil && ctx.Err() != nil
	return &pl.result, pl.err
}

// playOnce plays connections, each when its time has come, and returns at the end of
// all.
func (p *Player) playOnce(ctx context.Context, src Source) {
	p.order.init()
	p.values = values.NewLive(p.opts.Values, p.opts.Connections)
	f := newFeed(p)
	p.feed = f
	var all sync.WaitGroup
	f.branch = func(k *call) {
		own, cancel := context.WithCancel(ctx)
		if !f.begin(k, cancel) {
			cancel()
			return
		}
		all.Go(func() {
			defer cancel()
			k.play(own)
		})
	}
	stop := context.AfterFunc(ctx, f.stop)
	defer stop()
	all.Go(func() {
		err := src.Parts(ctx, f)
		f.end()
		p.fail(err)
	})
	f.fill()
	p.start = time.Now()
	for k := f.next(); k != nil; k = f.next() {
		admitted := p.admit(ctx, k)
		own, cancel := context.WithCancel(ctx)
		switch begun := f.begin(k, cancel); {
		case begun && admitted:
			all.Go(func() {
				defer cancel()
				k.placed = p.places != nil
				k.play(own)
			})
			continue
		case begun:
			k.failed = errStopped
			k.settle()
		case admitted:
			p.leave()
		}
		cancel()
	}
	all.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Cut = f.cuts.earlier
	p.result.Values.Add(p.values.Counts())
	if t, ok := src.(totaler); ok {
		conns, checks := t.Total()
		p.unread(conns*int64(p.result.Passes), checks*int64(p.result.Passes))
	}
}

// totaler is a Source that knows how much there is of it.
type totaler interface{ Total() (conns, checks int64) }

// unread counts what a source has left out.
func (p *Player) unread(conns, checks int64) {
	r := &p.result
	for v := range compare.VerdictCount {
		conns, checks = conns-r.Conns[v], checks-r.Checks[v]
	}
	r.Conns[compare.Skipped] += conns
	r.Checks[compare.Skipped] += checks
	r.Unread += checks
}

// admit waits until a connection may be opened, and reports whether it may, and has a
// place.
func (p *Player) admit(ctx context.Context, k *call) bool {
	if p.opts.Rate <= 0 && !p.order.ended(k.conn.Ended) {
		p.feed.park(true)
		p.order.wait(ctx, k.conn.Ended)
		p.feed.park(false)
	}
	if !p.sleep(ctx, p.due(k.open)) {
		return false
	}
	if p.places == nil {
		return true
	}
	select {
	case p.places <- struct{}{}:
		return true
	default:
	}
	p.feed.park(true)
	defer p.feed.park(false)
	begin := time.Now()
	select {
	case p.places <- struct{}{}:
		p.mu.Lock()
		record(p.result.Waited, time.Since(begin))
		p.mu.Unlock()
		return true
	case <-ctx.Done():
		return false
	}
}

// leave gives a place back.
func (p *Player) leave() {
	if p.places != nil {
		<-p.places
	}
}

// fail keeps the first error of the sink or the source, which ends the replay.
func (p *Player) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told(err)
}

// failure returns that error.
func (p *Player) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// outcome hands on what became of a check.
func (p *Player) outcome(o *Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Count(o)
	p.told(p.sink.Outcome(o))
}

// told keeps the first error, which ends the replay. It is called with mu held.
func (p *Player) told(err error) {
	if err != nil && p.err == nil {
		p.err = err
		p.cancel()
	}
}

// slipped adds how late a call was to what others were.
func (p *Player) slipped(k *call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addSlips(k)
}

func (p *Player) addSlips(k *call) {
	for _, late := range k.slips {
		record(p.result.Slip, late)
	}
	k.slips = k.slips[:0]
}

// connection hands on what became of a conversation.
func (p *Player) connection(k *call, c *ConnOutcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Conns[c.Verdict]++
	if c.Opened {
		p.result.Opened++
	}
	p.result.Redialled += int64(c.Redials)
	p.result.Bytes += k.sent
	p.addSlips(k)
	var dial *DialError
	if p.result.DialError == nil && errors.As(k.failed, &dial) {
		p.result.DialError = dial
	}
	p.told(p.sink.Connection(c))
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	if d >= 0 {
		// What is beyond an hour counts as an hour.
		_ = h.RecordValue(min(d.Microseconds(), h.HighestTrackableValue()))
	}
}

// due returns when something at a time of the schedule is to be done; zero when no pace
// is kept.
func (p *Player) due(at time.Duration) time.Time {
	switch {
	case p.opts.Rate > 0:
		return p.start.Add(at)
	case p.opts.Speed <= 0:
		return time.Time{}
	}
	return p.start.Add(time.Duration(float64(p.feed.due(at)) / p.opts.Speed))
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
	over    map[int]bool // ranks, beyond low
	low     int          // all ranks below have ended
}

func (o *order) init() {
	o.over, o.low = make(map[int]bool), 0
	o.changed = sync.NewCond(&o.mu)
}

func (o *order) done(rank int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over[rank] = true
	for o.over[o.low] {
		delete(o.over, o.low)
		o.low++
	}
	o.changed.Broadcast()
}

// ended reports whether the first n ranks have ended.
func (o *order) ended(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.low >= n
}

// wait returns when they have, or ctx has.
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
