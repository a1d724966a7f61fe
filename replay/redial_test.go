package replay_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netlab/replay"
	"netlab/replay/compare"
)

// TestRedial has a server close connections that it had kept open, at several places.
func TestRedial(t *testing.T) {
	const recipe = `
step 1ms
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
wait 1s
a > "GET /2 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
wait 1s
a > "GET /3 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a close`
	answer := func(c net.Conn, n int, head string) {
		for range n {
			request(c)
			fmt.Fprintf(c, "HTTP/1.1 204 No\r\n%s\r\n", head)
		}
	}
	const idle = "closed the connection while it was idle"
	for name, test := range map[string]struct {
		handle func(net.Conn)
		redial bool
		speeds []float64
		same   int64
		again  int64
		reason string
	}{
		"not_asked_for":        {func(c net.Conn) { answer(c, 1, ""); time.Sleep(time.Second / 2) }, false, []float64{1}, 1, 0, idle},
		"idle_too_long":        {func(c net.Conn) { answer(c, 1, ""); time.Sleep(time.Second / 2) }, true, []float64{1}, 3, 2, ""},
		"says_so":              {func(c net.Conn) { answer(c, 1, "Connection: close\r\n") }, true, []float64{0, 1}, 3, 2, ""},
		"says_so_and_does_not": {func(c net.Conn) { answer(c, 3, "Connection: close\r\n"); io.Copy(io.Discard, c) }, true, []float64{0, 1}, 3, 0, ""},
		"behind_two":           {func(c net.Conn) { answer(c, 2, ""); time.Sleep(time.Second / 2) }, true, []float64{1}, 3, 1, ""},
		"without_an_answer":    {func(c net.Conn) { request(c) }, true, []float64{0, 1}, 0, 0, "without an answer"},
		"inside_an_answer":     {func(c net.Conn) { request(c); io.WriteString(c, "HTTP/1.1 204") }, true, []float64{0, 1}, 0, 0, "broke the rules of http"},
		"before_it_is_asked":   {func(c net.Conn) {}, true, []float64{1}, 0, 1, "closed"},
	} {
		for _, speed := range test.speeds {
			t.Run(fmt.Sprintf("%s_%v", name, speed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &pipes{handle: test.handle}
					r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Speed: speed, Redial: test.redial, Timeout: 5 * time.Second, Dial: n.dial})
					if r.Checks[compare.Same] != test.same || r.Checks[compare.Failed] != 3-test.same || r.Redialled != test.again || int64(len(n.dials)) != 1+test.again || !strings.Contains(o.String(), test.reason) {
						t.Errorf("%d the same, %d dialled again\n%s", r.Checks[compare.Same], r.Redialled, o)
					}
					time.Sleep(time.Minute) // by the bubble's clock: the servers end
					synctest.Wait()
				})
			})
		}
	}
}
