package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestStatusLine has a line shown after a second, written over, and taken away; and nothing
// printed of what takes less.
func TestStatusLine(t *testing.T) {
	for took, want := range map[time.Duration]string{
		900 * time.Millisecond:  "",
		1300 * time.Millisecond: "\r\x1b[Kafter 1s\r\x1b[Kafter 1.2s\r\x1b[K",
	} {
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			l := showLine(&b, 200*time.Millisecond, func(took time.Duration) string { return "after " + took.String() })
			time.Sleep(took) // by the bubble's clock
			l.Close()
			l.Close()
			if b.String() != want {
				t.Errorf("%v: %q, want %q", took, b.String(), want)
			}
		})
	}
}

func TestPlayingLine(t *testing.T) {
	p := &playing{total: 400}
	p.done.Store(100)
	if got, want := p.line(10*time.Second), "netlab: 100 of 400 answers, 10 a second, 25 %, 30.0 s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.total = 0
	if got, want := p.line(10*time.Second), "netlab: 100 answers, 10 a second"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
