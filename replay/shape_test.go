package replay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netlab/replay"
	"netlab/replay/compare"
)

// clock notes when things happen in a bubble, in milliseconds since its start.
type clock struct {
	start time.Time
	mu    sync.Mutex
	at    []int64
}

func (c *clock) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Since(c.start).Milliseconds())
}

// several are a recording of five connections at once, the first with two exchanges.
const several = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
tcp b 10.1.0.1:40001 > 10.1.0.2:80
tcp c 10.1.0.1:40002 > 10.1.0.2:80
tcp d 10.1.0.1:40003 > 10.1.0.2:80
a open
a > "GET /a HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
wait 1h
b open
c open
c > "GET /c HTTP/1.1\r\n\r\n"
a > "GET /a2 HTTP/1.1\r\n\r\n"
b > "GET /b HTTP/1.1\r\n\r\n"
c < "HTTP/1.1 204 No\r\n\r\n"
b < "HTTP/1.1 204 No\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a close
b close
c close
d open
d > "GET /d HTTP/1.1\r\n\r\n"
d < "HTTP/1.1 204 No\r\n\r\n"
d close`

// answering is a server that thinks, and then answers.
func answering(k *clock, think time.Duration) *pipes {
	return &pipes{handle: func(c net.Conn) {
		buf := make([]byte, 1000)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			k.note()
			time.Sleep(think)
			io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
		}
	}}
}

// TestRate begins an exchange every 100 ms, whether or not the server keeps up: only
// those wait that stand behind another on their connection.
func TestRate(t *testing.T) {
	for _, test := range []struct {
		think time.Duration
		want  []int64 // ms
		late  time.Duration
	}{
		{0, []int64{0, 100, 200, 300, 400}, 0},
		{150 * time.Millisecond, []int64{0, 100, 200, 300, 400}, 0},
		// The second of connection a waits for the first.
		{time.Second, []int64{0, 100, 300, 400, 1000}, 800 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := &clock{start: time.Now()}
			r, o := play(t, planOf(t, several), replay.Options{Target: "x", Rate: 10, Dial: answering(k, test.think).dial})
			if r.Checks[compare.Same] != 5 || !slices.Equal(k.at, test.want) {
				t.Errorf("asked at %v ms, want %v\n%s", k.at, test.want, o)
			}
			for _, x := range o.checks {
				want := time.Duration(0)
				if x.Conn.ID == 0 && x.Check.Index == 1 {
					want = test.late
				}
				if x.Late != want {
					t.Errorf("#%d.%d was %v late, want %v", x.Conn.ID, x.Check.Index, x.Late, want)
				}
			}
			if got := time.Duration(r.Planned.Max()) * time.Microsecond; got < test.think+test.late || got > test.think+test.late+2*time.Millisecond {
				t.Errorf("at most %v from when it was due, want %v", got, test.think+test.late)
			}
			synctest.Wait()
		})
	}
}

// TestRateOfTurns gives a protocol that is not parsed a time for each turn.
func TestRateOfTurns(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a > "one"
a > " half"
a < "1"
wait 1m
a > "two"
a < "2"
a close`
	synctest.Test(t, func(t *testing.T) {
		k := &clock{start: time.Now()}
		n := &pipes{handle: func(c net.Conn) {
			buf := make([]byte, 8)
			for i, size := range []int{8, 3} {
				if _, err := io.ReadFull(c, buf[:size]); err != nil {
					return
				}
				k.note()
				fmt.Fprintf(c, "%d", i+1)
			}
			io.Copy(io.Discard, c)
		}}
		r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Rate: 2, Dial: n.dial})
		if r.Checks[compare.Same] != 2 || !slices.Equal(k.at, []int64{0, 500}) {
			t.Errorf("asked at %v ms\n%s", k.at, o)
		}
		synctest.Wait()
	})
}

// TestConnectionsAreCapped has connections wait for a place, counted, and no more open
// than there may be.
func TestConnectionsAreCapped(t *testing.T) {
	var recipe strings.Builder
	for i := range 6 {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\nc%d > \"GET /%d HTTP/1.0\\r\\n\\r\\n\"\n", i, 40000+i, i, i, i)
	}
	for i := range 6 {
		fmt.Fprintf(&recipe, "c%d < \"HTTP/1.0 204 No\\r\\n\\r\\n\"\nc%d close <\n", i, i)
	}
	for _, limit := range []int{0, 1, 2, 6} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var mu sync.Mutex
			open, most := 0, 0
			n := &pipes{handle: func(c net.Conn) {
				mu.Lock()
				open++
				most = max(most, open)
				mu.Unlock()
				request(c)
				time.Sleep(time.Second)
				mu.Lock()
				open--
				mu.Unlock()
				io.WriteString(c, "HTTP/1.0 204 No\r\n\r\n")
			}}
			r, o := play(t, planOf(t, recipe.String()), replay.Options{Target: "x", Connections: limit, Dial: n.dial})
			want, waited, took := limit, int64(6-limit), 6*time.Second
			switch limit {
			case 0, 6:
				want, waited, took = 6, 0, time.Second
			case 2:
				took = 3 * time.Second
			}
			if r.Checks[compare.Same] != 6 || most != want || time.Since(start) != took {
				t.Errorf("limit %d: %d at a time, took %v\n%s", limit, most, time.Since(start), o)
			}
			// Some find a place without waiting, when one becomes free at that moment.
			if n := r.Waited.TotalCount(); n > waited || waited > 0 && n == 0 {
				t.Errorf("limit %d: %d waited, want %d", limit, n, waited)
			}
			synctest.Wait()
		})
	}
}

// TestStoppedInLine accounts for connections that were waiting for a place.
func TestStoppedInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		n := &pipes{handle: func(c net.Conn) { io.Copy(io.Discard, c) }}
		p := planOf(t, several)
		o := &outcomes{}
		r, err := replay.Play(ctx, p, o, replay.Options{Target: "x", Connections: 1, Loop: 100, Dial: n.dial})
		if err != nil || !r.Canceled || r.Checks[compare.Skipped] != 5 || r.Opened != 1 || r.Passes != 1 || r.Took != 2*time.Second {
			t.Errorf("%v %+v\n%s", err, r, o)
		}
		account(t, p, r, o)
		synctest.Wait()
	})
}

// TestLoop plays all of it several times, one after the other, and accounts for each.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &clock{start: time.Now()}
		p := planOf(t, several)
		o := &outcomes{}
		r, err := replay.Play(t.Context(), p, o, replay.Options{Target: "x", Loop: 3, Rate: 10, Dial: answering(k, 0).dial})
		if err != nil || r.Passes != 3 || r.Checks[compare.Same] != 15 || r.Conns[compare.Same] != 12 || r.Opened != 12 {
			t.Errorf("%v %+v\n%s", err, r, o)
		}
		var passes [4]int
		for _, x := range o.checks {
			passes[x.Pass]++
		}
		if passes != [4]int{0, 5, 5, 5} {
			t.Errorf("outcomes by pass: %v", passes)
		}
		synctest.Wait()
	})
}
