package replay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// bare returns the plan of a recording in which nothing of what was said is kept: there is
// room for the conversations only.
func bare(t testing.TB, open func() capture.Source) *plan.Plan {
	t.Helper()
	whole := record(t, open(), &plan.Collector{})
	k := &plan.Collector{MayBeBare: true, Limit: 1000*int64(len(whole.Conns)) + 200}
	p, err := plan.Read(t.Context(), k, func(ctx context.Context, r *plan.Recorder) error {
		_, err := decode.Run(stopping{ctx, open()}, r, decode.Options{Keep: plan.Keep})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Bare || len(p.Conns) != len(whole.Conns) {
		t.Fatalf("bare: %v, %d conversations of %d", p.Bare, len(p.Conns), len(whole.Conns))
	}
	return p
}

// stopping is a Source that ends when its context does.
type stopping struct {
	ctx context.Context
	capture.Source
}

func (s stopping) Next() (*capture.Packet, error) {
	if s.ctx.Err() != nil {
		return nil, io.EOF
	}
	return s.Source.Next()
}

func bareSample(t testing.TB, name string) *plan.Plan {
	t.Helper()
	p := bare(t, func() capture.Source {
		data, err := samples.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := pcaps.NewReader(data)
		if err != nil {
			t.Fatal(err)
		}
		return f
	})
	p.Only(p.Servers()[0])
	return p
}

func bareOf(t testing.TB, recipe string) *plan.Plan {
	t.Helper()
	return bare(t, func() capture.Source {
		b, err := craft.Recipe(strings.NewReader(recipe))
		if err != nil {
			t.Fatal(err)
		}
		return b.Source()
	})
}

// verdicts are what outcomes come to, in the order of the recording.
func (o *outcomes) verdicts() map[string]string {
	all := make(map[string]string)
	for _, x := range o.checks {
		live := x.Live
		if strings.HasPrefix(live, "227 ") {
			live = "227" // the port is another each time
		}
		all[fmt.Sprintf("%d.%d", x.Conn.ID, x.Check.Index)] = fmt.Sprint(x.Verdict, x.Reason, x.Request, x.Recorded, live)
	}
	for _, x := range o.conns {
		all[fmt.Sprint(x.Conn.ID)] = fmt.Sprint(x.Verdict, x.Reason)
	}
	return all
}

// TestStreamedSamplesAreTheSame plays recordings of which nothing is kept, with room for
// a part at a time: all comes to what it does when all is kept.
func TestStreamedSamplesAreTheSame(t *testing.T) {
	for _, s := range samples.List() {
		if s.Name == "websocket-deflate" {
			continue // as in TestSamplesAreTheSame
		}
		t.Run(s.Name, func(t *testing.T) {
			p := planOfSample(t, s.Name)
			_, want := play(t, p, replay.Options{Target: standIn(t, p)})
			b := bareSample(t, s.Name)
			_, got := play(t, b, replay.Options{Target: standIn(t, p)})
			if g, w := fmt.Sprint(got.verdicts()), fmt.Sprint(want.verdicts()); g != w {
				t.Errorf("streamed:\n%s\nkept:\n%s", got, want)
			}
		})
	}
}

// TestStall has a recording that can't be played in the memory there is: connections wait for
// a place, and who has it waits for what comes behind all that they say. Those are given up,
// and accounted for.
func TestStall(t *testing.T) {
	var recipe strings.Builder
	const others = 30
	fmt.Fprint(&recipe, "tcp a 10.1.0.1:40000 > 10.1.0.2:80\na open\na > \"GET /first HTTP/1.1\\r\\n\\r\\n\"\na < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\n")
	for i := range others {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\nc%d > \"PUT /%d HTTP/1.1\\r\\nContent-Length: 1000\\r\\n\\r\\n\" 1000 * \"x\"\nc%d < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\nc%d close\n", i, 41000+i, i, i, i, i, i)
	}
	fmt.Fprint(&recipe, "a > \"GET /last HTTP/1.1\\r\\n\\r\\n\"\na < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\na close\n")
	for _, memory := range []int{1, 20 << 10, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			n := &pipes{handle: func(c net.Conn) {
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if strings.HasSuffix(string(buf[:n]), "\r\n\r\n") && !strings.HasPrefix(string(buf[:n]), "PUT") || strings.HasSuffix(string(buf[:n]), "x") {
						io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
					}
				}
			}}
			r, o := play(t, bareOf(t, recipe.String()), replay.Options{Target: "x", Connections: 1, Memory: memory, Dial: n.dial})
			same, skipped := r.Checks[compare.Same], r.Checks[compare.Skipped]
			switch {
			case r.Checks[compare.Failed]+r.Checks[compare.Different] > 0, same < 2:
				t.Errorf("in %d bytes:\n%s", memory, o)
			case memory == 1<<20 && same != others+2, memory < 1<<20 && (skipped == 0 || !strings.Contains(o.String(), "too much had to wait")):
				t.Errorf("in %d bytes: %d same, %d skipped\n%s", memory, same, skipped, o)
			}
			synctest.Wait()
		})
	}
}

// TestStreamedOnBadDays has every reason to stop, while what is to come is not known.
func TestStreamedOnBadDays(t *testing.T) {
	for name, handle := range map[string]func(net.Conn){
		"hangs":  func(c net.Conn) { io.Copy(io.Discard, c) },
		"closes": func(c net.Conn) { request(c) },
		"garbage": func(c net.Conn) {
			go io.Copy(io.Discard, c)
			io.WriteString(c, "\x00\xff what?\r\n\r\n")
			time.Sleep(time.Hour)
		},
	} {
		for _, s := range samples.List() {
			for _, stop := range []time.Duration{0, time.Second} {
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					if stop > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, stop)
						defer cancel()
					}
					n := &pipes{handle: handle}
					p, o := bareSample(t, s.Name), &outcomes{}
					r, err := replay.Play(ctx, p, o, replay.Options{Target: "x", Memory: 1, Timeout: 2 * time.Second, Dial: n.dial})
					if err != nil {
						t.Fatal(err)
					}
					accountStopped(t, p, r, o)
					if r.Checks[compare.Same] > 0 {
						t.Errorf("%s %s:\n%s", name, s.Name, o)
					}
					time.Sleep(2 * time.Hour)
					synctest.Wait()
				})
			}
		}
	}
}

// goesOn is traffic that is played while it goes on.
type goesOn struct{ source capture.Source }

func (g goesOn) Parts(_ context.Context, to plan.Taker) error {
	_, err := decode.Run(g.source, plan.Live(to, ""), decode.Options{Keep: plan.Keep})
	return err
}

// TestDropped has traffic go on that the target is too slow for: what there is no room for is
// dropped, and counted.
func TestDropped(t *testing.T) {
	var recipe strings.Builder
	const conns, puts = 5, 6
	for i := range conns {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\n", i, 41000+i, i)
		for range puts {
			fmt.Fprintf(&recipe, "c%d > \"PUT /%d HTTP/1.1\\r\\nContent-Length: 1000\\r\\n\\r\\n\" 1000 * \"x\"\nc%d < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\n", i, i, i)
		}
		fmt.Fprintf(&recipe, "c%d close\n", i)
	}
	for _, memory := range []int{10 << 10, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			n := &pipes{handle: func(c net.Conn) {
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if buf[n-1] == 'x' {
						time.Sleep(time.Second)
						io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
					}
				}
			}}
			b, err := craft.Recipe(strings.NewReader(recipe.String()))
			if err != nil {
				t.Fatal(err)
			}
			o := &outcomes{}
			r, err := replay.Play(t.Context(), goesOn{b.Source()}, o, replay.Options{Target: "x", Memory: memory, Lossy: true, Dial: n.dial})
			if err != nil {
				t.Fatal(err)
			}
			same, skipped := r.Checks[compare.Same], r.Checks[compare.Skipped]
			if same+skipped != conns*puts || len(o.conns) != conns || len(o.checks) != conns*puts {
				t.Errorf("in %d bytes: %d same, %d skipped, of %d\n%s", memory, same, skipped, conns*puts, o)
			}
			if dropped := strings.Count(o.String(), "dropped: the target is slower"); (dropped > 0) != (memory < 1<<20) {
				t.Errorf("in %d bytes: %d dropped\n%s", memory, dropped, o)
			}
			time.Sleep(time.Minute) // by the bubble's clock: who answers a connection that was given up ends
			synctest.Wait()
		})
	}
}
