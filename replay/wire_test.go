package replay_test

import (
	"net"
	"testing"

	"netlab/replay"
	"netlab/replay/compare"
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
		target := serveWith(t, func(c net.Conn) {
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
