package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"netlab/capture"
)

// stages tell on a terminal what share is at, and how far, when all of it takes more than a second.
type stages struct {
	now   atomic.Pointer[stage]
	shown *statusLine
}

// stage is one of them.
type stage struct {
	name  string
	begun time.Time
	read  atomic.Pointer[progress] // nil before something is read
}

// show has them told, if there is a terminal.
func (s *stages) show(std stdio) *stages {
	s.begin("reading")
	if std.watched(false) {
		s.shown = showLine(std.err, 200*time.Millisecond, s.line)
	}
	return s
}

// Close takes the line away.
func (s *stages) Close() error { return s.shown.Close() }

// begin begins another stage.
func (s *stages) begin(name string) { s.now.Store(&stage{name: name, begun: time.Now()}) }

// watched is a Source of the present stage, of total bytes; 0 when that is not known.
func (s *stages) watched(src capture.Source, total int64) capture.Source {
	p := &progress{src: src, total: total}
	s.now.Load().read.Store(p)
	return lending(p, src)
}

// line says how things stand.
func (s *stages) line(time.Duration) string {
	now := s.now.Load()
	line := fmt.Sprintf("netlab: %s", now.name)
	if p := now.read.Load(); p != nil {
		line += remaining(p.bytes.Load(), p.total, time.Since(now.begun))
	}
	return line
}
