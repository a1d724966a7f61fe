package replay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netlab/pcaps/craft"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
)

// largeBody is more than is kept of an answer.
var largeBody = bytes.Repeat([]byte("0123456789abcdef"), (plan.Keep+1<<20)/16)

// largePlan is a recording in which a client says something twice, and is answered with
// largeBody behind a head, and then briefly.
func largePlan(t *testing.T, ask, head, tail string) *plan.Plan {
	t.Helper()
	b := craft.New(craft.Options{})
	c := b.TCP(netip.MustParseAddrPort("10.1.0.1:40000"), netip.MustParseAddrPort("10.1.0.2:80"))
	c.Open()
	c.Send(craft.Client, []byte(ask))
	c.Send(craft.Server, []byte(head))
	for rest := largeBody; len(rest) > 0; {
		n := min(32<<10, len(rest))
		c.Send(craft.Server, rest[:n])
		rest = rest[n:]
	}
	c.Send(craft.Server, []byte(tail))
	c.Send(craft.Client, []byte(ask))
	c.Send(craft.Server, []byte("HTTP/1.1 204 No\r\n\r\n"))
	c.Close(craft.Client)
	p := record(t, b.Source(), &plan.Collector{})
	held := 0
	for i := range p.Conns[0].Checks {
		k := &p.Conns[0].Checks[i]
		if k.Turn != nil {
			held += len(k.Turn.Answer)
		} else {
			held += len(k.Exchange.Response.Raw)
		}
	}
	if held > 128<<10 {
		t.Errorf("%d bytes of answers are held", held)
	}
	return p
}

// TestLargeAnswers compares answers that are larger than what is kept.
func TestLargeAnswers(t *testing.T) {
	changed := func(at int) []byte {
		b := bytes.Clone(largeBody)
		b[at] = '!'
		return b
	}
	chunked := func(body []byte) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n1\r\n%s\r\n0\r\n\r\n", len(body)-1, body[:len(body)-1], body[len(body)-1:])
	}
	sized := func(body []byte) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	http := largePlan(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(largeBody)), "")
	chunks := largePlan(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(largeBody)), "\r\n0\r\n\r\n")
	turns := largePlan(t, "\x01 more", "", "")
	last := len(largeBody) - 1
	for name, test := range map[string]struct {
		plan *plan.Plan
		live []byte
		want string // differences; empty when it is the same
	}{
		"http":              {http, sized(largeBody), ""},
		"http_chunked_now":  {http, chunked(largeBody), ""},
		"http_chunked_then": {chunks, sized(largeBody), ""},
		"http_last_byte":    {http, chunked(changed(last)), "[body was 17825792 bytes with SHA-256"},
		"http_first_byte":   {chunks, sized(changed(0)), "[body at byte 0 was 17825792 bytes with SHA-256"},
		"http_short":        {http, sized(largeBody[:1000]), "[body at byte 1000 was 17825792 bytes with SHA-256"},
		"turns":             {turns, largeBody, ""},
		"turns_last_byte":   {turns, changed(last), "[answer was 17825792 bytes with SHA-256"},
		"turns_first_byte":  {turns, changed(0), "[answer at byte 0 was 17825792 bytes with SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := replaytest.Serve(t, func(c net.Conn) {
				ask := make([]byte, test.plan.Conns[0].Steps[0].Ends())
				for _, answer := range [][]byte{test.live, []byte("HTTP/1.1 204 No\r\n\r\n")} {
					if _, err := io.ReadFull(c, ask); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			})
			res, o := play(t, test.plan, replay.Options{Target: target, Timeout: time.Minute})
			first := &o.checks[0]
			got := fmt.Sprint(first.Differences)
			if !first.Digest || res.Digests != 1 || o.checks[1].Verdict != compare.Same || len(first.Differences) > 1 ||
				(first.Verdict == compare.Same) != (test.want == "") || !strings.HasPrefix(got, strings.TrimSuffix(test.want, "]")) {
				t.Errorf("by digest %v, %s, want %s\n%s", first.Digest, got, test.want, o)
			}
		})
	}
}
