package replay_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"netlab/pcaps/samples"
	"netlab/replay"
	"netlab/replay/compare"
)

// TestEverySampleOnBadDays replays all samples to servers that answer nothing right: all
// ends within a time that follows from the timeout, each answer and each connection is
// in one bucket, and none is the same.
func TestEverySampleOnBadDays(t *testing.T) {
	const timeout = 2 * time.Second
	garbage := func(c net.Conn) {
		go io.Copy(io.Discard, c)
		for range 20 {
			if _, err := c.Write([]byte("\x00\xff what?\r\n\r\n\x16\x03\x01")); err != nil {
				return
			}
		}
	}
	tests := map[string]struct {
		handle func(net.Conn)
		dial   error
		stop   time.Duration // of the replay
	}{
		"refuses":         {dial: errors.New("connection refused")},
		"hangs":           {handle: func(c net.Conn) { io.Copy(io.Discard, c) }},
		"reads_nothing":   {handle: func(c net.Conn) { time.Sleep(time.Hour) }},
		"closes_at_once":  {handle: func(c net.Conn) { c.Close() }},
		"closes_later":    {handle: func(c net.Conn) { c.Read(make([]byte, 10)); time.Sleep(time.Second); c.Close() }},
		"garbage":         {handle: func(c net.Conn) { garbage(c); time.Sleep(time.Hour) }},
		"garbage_and_end": {handle: garbage},
		"without_end": {handle: func(c net.Conn) {
			go io.Copy(io.Discard, c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
			for range 100000 {
				time.Sleep(timeout / 4)
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
			}
		}, stop: time.Minute},
		"stopped_before":  {handle: func(c net.Conn) { io.Copy(io.Discard, c) }, stop: time.Nanosecond},
		"stopped_waiting": {handle: func(c net.Conn) { io.Copy(io.Discard, c) }, stop: timeout / 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, s := range samples.List() {
				for _, speed := range []float64{0, 1} {
					synctest.Test(t, func(t *testing.T) {
						ctx := t.Context()
						if test.stop > 0 {
							var cancel context.CancelFunc
							ctx, cancel = context.WithTimeout(ctx, test.stop)
							defer cancel()
						}
						n := &pipes{handle: func(c net.Conn) { test.handle(c) }}
						dial := n.dial
						if test.dial != nil {
							dial = func(context.Context, string, string) (net.Conn, error) { return nil, test.dial }
						}
						p := planOfSample(t, s.Name)
						o := &outcomes{}
						start := time.Now()
						r, err := replay.Play(ctx, p, o, replay.Options{Target: "x", Speed: speed, Timeout: timeout, Dial: dial})
						if err != nil {
							t.Fatalf("%s: %v", s.Name, err)
						}
						account(t, p, r, o)
						if r.Checks[compare.Same] != 0 {
							t.Errorf("%s at speed %v: nothing came right, and yet:\n%s", s.Name, speed, o)
						}
						for _, x := range o.checks {
							if (x.Verdict == compare.Failed || x.Verdict == compare.Skipped) && x.Reason == "" {
								t.Errorf("%s: %s without a reason:\n%s", s.Name, x.Verdict, o)
							}
						}
						// A few connections, each of which may wait for a timeout, or the stop.
						most := time.Duration(len(p.Conns)+1) * 3 * timeout
						if test.stop > 0 {
							most = test.stop
						}
						if took := time.Since(start); took > most {
							t.Errorf("%s at speed %v: took %v", s.Name, speed, took)
						}
						if test.stop == time.Nanosecond && r.Checks[compare.Failed] > 0 {
							t.Errorf("%s: stopped, and failed:\n%s", s.Name, o)
						}
						time.Sleep(2 * time.Hour) // by the bubble's clock: the servers end
						synctest.Wait()
					})
				}
			}
		})
	}
}
