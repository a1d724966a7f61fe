package replay_test

import (
	"fmt"
	"strings"
	"testing"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
)

// answerOf is an answer as most are, with some values that are new each time.
func answerOf(n int) string {
	body := fmt.Sprintf(`{"id":7,"name":"Ann Example","email":"ann@a.example","roles":["admin","user"],"seen":%d,"at":"2026-01-05T00:00:%02dZ"}`, 1000+n, n%60)
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: a\r\nX-Request-Id: %08x\r\nContent-Length: %d\r\n\r\n%s", n, len(body), body)
}

// BenchmarkCompared plays as fast as it can: to a server that answers as it did, and to one
// whose answers differ in a header field and two values, which costs the comparing. It has
// to stay within 25 % of the requests a second.
func BenchmarkCompared(b *testing.B) {
	const conns, each = 4, 500
	var recipe strings.Builder
	for c := range conns {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:4000%d > 10.1.0.2:80\nc%d open\n", c, c, c)
		for range each {
			fmt.Fprintf(&recipe, "c%d > %q\nc%d < %q\n", c, "GET /users/7 HTTP/1.1\r\nHost: a.example\r\n\r\n", c, answerOf(0))
		}
		fmt.Fprintf(&recipe, "c%d close\n", c)
	}
	p := planOf(b, recipe.String())
	for _, test := range []struct {
		name  string
		n     int // of the server's answers
		rules compare.Rules
	}{
		{"same", 0, compare.Rules{}},
		{"different", 1, compare.Rules{}},
	} {
		b.Run(test.name, func(b *testing.B) {
			target := replaytest.Serve(b, answerAll(answerOf(test.n)))
			for b.Loop() {
				playAll(b, p, target, test.rules)
			}
			b.ReportMetric(float64(b.N)*conns*each/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

func playAll(b *testing.B, p *plan.Plan, target string, rules compare.Rules) {
	r, err := replay.Play(b.Context(), p, &outcomes{}, replay.Options{Target: target, Rules: rules})
	if err != nil {
		b.Fatal(err)
	}
	if r.Checks[compare.Failed]+r.Checks[compare.Skipped] > 0 {
		b.Fatal(r.Checks)
	}
}
