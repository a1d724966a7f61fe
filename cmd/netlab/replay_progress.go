package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"netlab/decode/printer"
	"netlab/replay"
)

// playing is a replay.Sink in front of another that counts answers, for who prints how a
// replay goes.
type playing struct {
	replay.Sink
	total int64 // answers there will be; 0 when that is not known
	done  atomic.Int64
}

// Outcome counts an answer, and hands it on.
func (p *playing) Outcome(o *replay.Outcome) error {
	p.done.Add(1)
	return p.Sink.Outcome(o)
}

// line says how things stand after some time.
func (p *playing) line(took time.Duration) string {
	done := p.done.Load()
	s := "netlab: " + printer.Count(done, "answer")
	if p.total > 0 {
		s = fmt.Sprintf("netlab: %d of %s", done, printer.Count(p.total, "answer"))
	}
	return s + fmt.Sprintf(", %.0f a second", float64(done)/took.Seconds()) + remaining(done, p.total, took)
}

// play plays a recording, and shows how that goes where there is a terminal for it.
func (std stdio) play(ctx context.Context, src replay.Source, sink replay.Sink, opts replay.Options, prints bool) (*replay.Result, error) {
	if !std.watched(prints) {
		return replay.Play(ctx, src, sink, opts)
	}
	p := &playing{Sink: sink}
	if t, ok := src.(interface{ Total() (conns, answers int64) }); ok {
		_, p.total = t.Total()
		p.total *= int64(max(1, opts.Loop))
	}
	defer showLine(std.err, 200*time.Millisecond, p.line).Close()
	return replay.Play(ctx, src, p, opts)
}
