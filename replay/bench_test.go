package replay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/replaytest"
)

// BenchmarkPlay plays exchanges of HTTP as fast as they are answered, on loopback. It
// counts what the server does, too, which is as little as can be.
func BenchmarkPlay(b *testing.B) {
	const conns, each = 16, 500
	body := "HTTP/1.1 200 OK\r\nServer: nginx/1.26\r\nDate: Sat, 28 Nov 2026 16:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 300\r\nConnection: keep-alive\r\nETag: \"abc-12c\"\r\nAccept-Ranges: bytes\r\n\r\n" + strings.Repeat("x", 300)
	target := replaytest.Serve(b, answerAll(body))
	var recipe strings.Builder
	for i := range conns {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\n", i, 40000+i, i)
	}
	for range each {
		for i := range conns {
			fmt.Fprintf(&recipe, "c%d > \"GET /small.json HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n\"\nc%d < %q\n", i, i, body)
		}
	}
	p := planOf(b, recipe.String())
	b.ReportAllocs()
	for b.Loop() {
		r, err := replay.Play(b.Context(), p, nothing{}, replay.Options{Target: target})
		if err != nil || r.Checks[compare.Same] != conns*each {
			b.Fatal(err, r.Checks)
		}
	}
	b.ReportMetric(float64(b.N*conns*each)/b.Elapsed().Seconds(), "exchanges/s")
}

// nothing takes outcomes.
type nothing struct{}

func (nothing) Outcome(*replay.Outcome) error        { return nil }
func (nothing) Connection(*replay.ConnOutcome) error { return nil }

// answerAll is a server that gives each request the same answer, with as little work as can be:
// requests have no body, and come whole.
func answerAll(answer string) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			for range bytes.Count(buf[:n], []byte("\r\n\r\n")) {
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
			}
		}
	}
}
