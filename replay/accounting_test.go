package replay_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/pcaps"
	"netlab/pcaps/samples"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
)

// tracesVariable names a folder of captures that TestAccounting replays beside the
// samples: NETLAB_TRACES=/some/folder go test -run TestAccounting -v ./replay
const tracesVariable = "NETLAB_TRACES"

// census counts what decode finds of each conversation: exchanges, but for those that are
// part of another.
type census map[int]int

func (c census) Start(v *flow.Conversation) error { c[v.ID] += 0; return nil }

func (c census) Exchange(e *proto.Exchange) error {
	if !e.Inside() {
		c[e.Conversation.ID]++
	}
	return nil
}

// bad are servers that answer nothing right, on loopback, TCP and UDP on one port.
var bad = map[string]func(*testing.T) string{
	"refuses": func(t *testing.T) string { return replaytest.Refusing(t) },
	"hangs": func(t *testing.T) string {
		return serveBoth(t, func(c net.Conn) { io.Copy(io.Discard, c) }, "")
	},
	"garbage": func(t *testing.T) string {
		const what = "\x00\xff what?\r\n\r\n\x16\x03\x01"
		return serveBoth(t, func(c net.Conn) {
			for range 20 {
				if _, err := io.WriteString(c, what); err != nil {
					return
				}
			}
			io.Copy(io.Discard, c)
		}, what)
	},
}

// serveBoth serves connections with handle, and answers each datagram with say, if that is
// not empty.
func serveBoth(t *testing.T, handle func(net.Conn), say string) string {
	t.Helper()
	l, u := replaytest.Listen(t)
	replaytest.ServeOn(t, l, handle)
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			_, from, err := u.ReadFrom(buf)
			switch {
			case err != nil:
				return
			case say != "":
				u.WriteTo([]byte(say), from)
			}
		}
	})
	t.Cleanup(func() { u.Close(); done.Wait() })
	return l.Addr().String()
}

// TestAccounting replays all samples, and the captures of a folder, to bad servers: each
// message and conversation that decode finds ends in exactly one place.
func TestAccounting(t *testing.T) {
	files := make(map[string]func() (capture.Source, error))
	for _, s := range samples.List() {
		files["sample:"+s.Name] = func() (capture.Source, error) {
			data, err := samples.Open(s.Name)
			if err != nil {
				return nil, err
			}
			return pcaps.NewReader(data)
		}
	}
	if dir := os.Getenv(tracesVariable); dir != "" {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(names) == 0 {
			t.Fatalf("there is nothing in %s, which %s names: %v", dir, tracesVariable, err)
		}
		for _, name := range names {
			files[filepath.Base(name)] = func() (capture.Source, error) { return pcaps.Open(name) }
		}
	}
	for server, serve := range bad {
		t.Run(server, func(t *testing.T) {
			target := serve(t)
			var sums sumsOf
			t.Run("captures", func(t *testing.T) {
				for name, open := range files {
					t.Run(name, func(t *testing.T) {
						t.Parallel() // most of it is waiting
						sums.add(accountFor(t, open, target))
					})
				}
			})
			t.Logf("%d captures to a server that %s: %s", len(files), server, &sums)
		})
	}
}

// sumsOf adds up what became of answers and connections.
type sumsOf struct {
	mu             sync.Mutex
	answers, conns [compare.VerdictCount]int64
}

func (s *sumsOf) add(r *replay.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range r.Checks {
		s.answers[v] += r.Checks[v]
		s.conns[v] += r.Conns[v]
	}
}

func (s *sumsOf) String() string {
	var b strings.Builder
	for i, counts := range [...][compare.VerdictCount]int64{s.answers, s.conns} {
		all := int64(0)
		var parts []string
		for v, n := range counts {
			all += n
			parts = append(parts, fmt.Sprintf("%d %s", n, compare.Verdict(v)))
		}
		fmt.Fprintf(&b, "%s%d %s = %s", [...]string{"", ", "}[i], all, [...]string{"answers", "connections"}[i], strings.Join(parts, " + "))
	}
	return b.String()
}

// accountFor replays a capture and holds the account against what decode finds.
func accountFor(t *testing.T, open func() (capture.Source, error), target string) *replay.Result {
	src, err := open()
	if err != nil {
		t.Fatal(err)
	}
	found := make(census)
	if _, err := decode.Run(src, found, decode.Options{}); err != nil {
		t.Fatal(err)
	}
	if src, err = open(); err != nil {
		t.Fatal(err)
	}
	p := record(t, src, new(plan.Collector))
	_, o := play(t, p, replay.Options{Target: target, Timeout: 50 * time.Millisecond})
	told := make(census)
	var r replay.Result
	for _, x := range o.conns {
		if _, twice := told[x.Conn.ID]; twice {
			t.Errorf("connection %d was told twice", x.Conn.ID)
		}
		told[x.Conn.ID] = 0
		r.Conns[x.Verdict]++
	}
	for _, x := range o.checks {
		told[x.Conn.ID]++
		r.Checks[x.Verdict]++
		if (x.Verdict == compare.Failed || x.Verdict == compare.Skipped) && x.Reason == "" {
			t.Errorf("%d.%d %s without a reason", x.Conn.ID, x.Check.Index, x.Verdict)
		}
	}
	for _, c := range p.Conns {
		n, known := told[c.ID]
		exchanges, decoded := found[c.ID]
		switch {
		case !known:
			t.Errorf("connection %d was not told", c.ID)
		case !decoded:
			t.Errorf("connection %d is unknown to decode", c.ID)
		case c.Parsed() && n != exchanges:
			t.Errorf("connection %d (%s) has %d exchanges, %d were told", c.ID, c.Protocol.Name, exchanges, n)
		case !c.Parsed() && n == 0:
			t.Errorf("connection %d has no turn", c.ID)
		}
	}
	if len(found) != len(told) {
		t.Errorf("%d conversations, %d told", len(found), len(told))
	}
	return &r
}
