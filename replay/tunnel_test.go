package replay_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/replaytest"
)

// TestTunnel plays what is said behind a CONNECT in HTTP. What has no known ends is skipped as a
// whole, and told so.
func TestTunnel(t *testing.T) {
	for name, talk := range map[string][2]string{
		"http": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer},
		"raw":  {"hello there", "general"},
	} {
		t.Run(name, func(t *testing.T) {
			recipe := fmt.Sprintf("tcp a 10.1.0.1:40000 > 10.1.0.2:80\na open\na > %q\na < %q\na > %q\na < %q\na > %q\na < %q\na close\n",
				"CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n", established, talk[0], talk[1], talk[0], talk[1])
			p := planOf(t, recipe)
			for _, say := range []string{talk[1], talk[1][:len(talk[1])-1] + "!"} {
				want := [compare.VerdictCount]int64{compare.Same: 3}
				switch {
				case name == "raw":
					want = [compare.VerdictCount]int64{compare.Skipped: 3}
				case say != talk[1]:
					want = [compare.VerdictCount]int64{compare.Same: 1, compare.Different: 2}
				}
				target := replaytest.Serve(t, func(c net.Conn) { tunnel(c, len(talk[0]), say) })
				if r, o := play(t, p, replay.Options{Target: target}); r.Checks != want || name == "raw" && !strings.Contains(o.conns[0].Reason, "by turns: raw") {
					t.Errorf("%v\n%s", r.Checks, o)
				}
			}
		})
	}
}

const established = "HTTP/1.1 200 Established\r\n\r\n"

// tunnel is a proxy, at whose other end each message of a size is answered.
func tunnel(c net.Conn, size int, say string) {
	in := bufio.NewReader(c)
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	io.WriteString(c, established)
	for {
		if _, err := io.ReadFull(in, make([]byte, size)); err != nil {
			return
		}
		io.WriteString(c, say)
	}
}
