package main

import (
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	p := &progress{total: 4000}
	p.packets.Store(3000)
	p.bytes.Store(1000)
	if got, want := p.line(10*time.Second), "netlab: 3000 packets, 300 a second, 25 %, 30.0 s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.total = 0
	if got, want := p.line(10*time.Second), "netlab: 3000 packets, 300 a second"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
