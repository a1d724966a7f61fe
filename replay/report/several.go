package report

import (
	"errors"
	"io"

	"netlab/replay"
	"netlab/replay/latency"
	"netlab/replay/noise"
)

// Report is a sink of outcomes that is told what is noise, and the sums at the end.
type Report interface {
	replay.Sink
	// Noise gets what was learned, behind all outcomes.
	Noise([]noise.Evidence) error
	// Latency gets how long answers took, by endpoint, behind that.
	Latency([]latency.Row) error
	// Result gets the sums, last.
	Result(*replay.Result) error
}

// Several are reports that are all told the same, also when one of them fails.
type Several []Report

func (s Several) each(f func(Report) error) error {
	var first error
	for _, r := range s {
		if err := f(r); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Outcome tells all.
func (s Several) Outcome(o *replay.Outcome) error {
	return s.each(func(r Report) error { return r.Outcome(o) })
}

// Connection tells all.
func (s Several) Connection(c *replay.ConnOutcome) error {
	return s.each(func(r Report) error { return r.Connection(c) })
}

// Noise tells all.
func (s Several) Noise(list []noise.Evidence) error {
	return s.each(func(r Report) error { return r.Noise(list) })
}

// Latency tells all.
func (s Several) Latency(rows []latency.Row) error {
	return s.each(func(r Report) error { return r.Latency(rows) })
}

// Result tells all.
func (s Several) Result(result *replay.Result) error {
	return s.each(func(r Report) error { return r.Result(result) })
}

// Closing returns a report that closes its file behind the sums: what a disk refuses may
// be known then only.
func Closing(r Report, file io.Closer) Report { return &closing{r, file} }

type closing struct {
	Report
	file io.Closer
}

func (c *closing) Result(r *replay.Result) error {
	return errors.Join(c.Report.Result(r), c.file.Close())
}

// gathered keeps what is told by endpoint, kind and place, for reports that are written
// at the end.
type gathered struct {
	groups groups
	conns  []connRecord
	noise  []noise.Evidence
	rows   []latency.Row
}

type connRecord struct{ number, reason string }

func (g *gathered) Outcome(o *replay.Outcome) error {
	g.groups.add(o)
	return nil
}

func (g *gathered) Connection(c *replay.ConnOutcome) error {
	if ownFinding(c) && len(g.conns) < maxShown {
		g.conns = append(g.conns, connRecord{connNumber(c), c.Reason})
	}
	return nil
}

func (g *gathered) Noise(list []noise.Evidence) error {
	g.noise = list
	return nil
}

func (g *gathered) Latency(rows []latency.Row) error {
	g.rows = rows
	return nil
}

// slower lists what endpoints are slower in, by their names.
func (g *gathered) slower() map[string][]string {
	m := make(map[string][]string)
	for i := range g.rows {
		if len(g.rows[i].Slower) > 0 {
			m[g.rows[i].Endpoint] = g.rows[i].Slower
		}
	}
	return m
}
