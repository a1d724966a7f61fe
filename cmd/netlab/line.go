package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"netlab/decode/printer"
)

// statusLine is a line on a terminal that is written over now and then, and taken away in
// the end. One that is nil shows nothing.
type statusLine struct {
	w     io.Writer
	line  func(took time.Duration) string
	every time.Duration
	stop  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
}

// showLine shows what line returns: after a second first, and every so often then.
func showLine(w io.Writer, every time.Duration, line func(took time.Duration) string) *statusLine {
	l := &statusLine{w: w, line: line, every: every, stop: make(chan struct{})}
	start := time.Now()
	l.ended.Go(func() { l.print(start) })
	return l
}

func (l *statusLine) print(start time.Time) {
	const patience, wipe = time.Second, "\r\x1b[K"
	shown := false
	for wait := time.After(patience); ; wait = time.After(l.every) {
		select {
		case <-wait:
			shown = true
			fmt.Fprint(l.w, wipe+l.line(time.Since(start)))
		case <-l.stop:
			if shown {
				fmt.Fprint(l.w, wipe)
			}
			return
		}
	}
}

// Close takes the line away.
func (l *statusLine) Close() error {
	if l != nil {
		l.once.Do(func() { close(l.stop) })
		l.ended.Wait()
	}
	return nil
}

// remaining says how much of something is done, and how long the rest will take if it goes
// on so; it is empty when that is not known.
func remaining(done, total int64, took time.Duration) string {
	if total <= 0 || done <= 0 {
		return ""
	}
	share := min(1, float64(done)/float64(total))
	return fmt.Sprintf(", %.0f %%, %s left", 100*share, printer.Duration(time.Duration(float64(took)*(1-share)/share).Round(time.Second)))
}

// watched reports whether there is a terminal for a status line: that of errors, unless
// something is printed on it meanwhile.
func (std stdio) watched(prints bool) bool {
	f, ok := std.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && !(prints && std.terminal())
}
