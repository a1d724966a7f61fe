package replay_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/replaytest"
)

// TestWhoCloses tells with Rules.Wire of a server that closes first where the client had;
// without, how it takes leave is its affair.
func TestWhoCloses(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
wait 200ms
a close
`
	for _, test := range []struct {
		wire, first bool // the server is
		want        compare.Verdict
	}{{false, true, compare.Same}, {true, false, compare.Same}, {true, true, compare.Different}} {
		target := replaytest.Serve(t, func(c net.Conn) {
			request(c)
			c.Write([]byte("HTTP/1.1 204 No\r\n\r\n"))
			if !test.first {
				c.Read(make([]byte, 1)) // which ends when the client closes
			}
		})
		_, o := play(t, planOf(t, recipe), replay.Options{Target: target, Speed: 1, Rules: compare.Rules{Wire: test.wire}})
		if got := o.conns[0]; got.Verdict != test.want {
			t.Errorf("wire %v, server first %v: %v %s", test.wire, test.first, got.Verdict, got.Reason)
		}
	}
}

// TestFlush tells with Rules.Wire of a server that gathers what it had sent bit by bit, or the
// other way round; how segments are cut says nothing.
func TestFlush(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
wait 100ms
a < "ab"
wait 100ms
a < "c"
a < "d"
wait 100ms
a < "ef"
a close
`
	whole := strings.ReplaceAll(recipe, "wait 100ms\n", "")
	for name, test := range map[string]struct {
		recipe string
		wire   bool
		pauses int // of the live server
		want   string
	}{
		"same":          {recipe, true, 3, "[]"},
		"one_less":      {recipe, true, 2, "[]"},
		"gathered":      {recipe, true, 0, "[wire flush was in 4 pieces, more than 50ms apart, is in one piece]"},
		"gathered_fine": {recipe, false, 0, "[]"},
		"bit_by_bit":    {whole, true, 3, "[wire flush was in one piece, is in 4 pieces, more than 50ms apart]"},
		"in_segments":   {whole, true, 0, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, test.recipe)
			synctest.Test(t, func(t *testing.T) {
				n := &pipes{handle: func(c net.Conn) {
					request(c)
					for i, part := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", "a", "bcd", "ef"} {
						if i > 0 && i <= test.pauses {
							time.Sleep(100 * time.Millisecond)
						}
						c.Write([]byte(part))
					}
					c.Read(make([]byte, 1))
				}}
				_, o := play(t, p, replay.Options{Target: "x", Dial: n.dial, Rules: compare.Rules{Wire: test.wire}})
				if got := fmt.Sprint(o.checks[0].Differences); got != test.want {
					t.Errorf("%s, want %s", got, test.want)
				}
			})
		})
	}
}
