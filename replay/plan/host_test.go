package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"netlab/replay/plan"
)

// TestSetHost changes the host where it stands, and no other byte, however the request
// was cut.
func TestSetHost(t *testing.T) {
	const name = "new.example:81"
	tests := map[string]struct {
		in      string // {} stands around what is replaced
		changed int
	}{
		"plain":              {"GET / HTTP/1.1\r\nHost: {a.example}\r\nX: y\r\n\r\n", 1},
		"odd_spelling":       {"GET / HTTP/1.1\r\nX: Host: no\r\nhOsT:\t  {a.example} \t\r\n\r\n", 1},
		"empty":              {"GET / HTTP/1.1\r\nHost:{}\r\n\r\n", 1},
		"none":               {"GET / HTTP/1.0\r\nHostess: a.example\r\n\r\n", 0},
		"absolute":           {"GET http://{a.example:80}/x?u=http://b HTTP/1.1\r\nHost: {a.example}\r\n\r\n", 1},
		"absolute_user":      {"GET http://me:too@{a.example}?q HTTP/1.1\r\n\r\n", 1},
		"not_absolute":       {"GET /a://b HTTP/1.1\r\nHost: {a.example}\r\n\r\n", 1},
		"connect":            {"CONNECT b.example:443 HTTP/1.1\r\nHost: {b.example:443}\r\n\r\n", 1},
		"body_stays":         {"POST / HTTP/1.1\r\nHost: {a.example}\r\nContent-Length: 18\r\n\r\n\r\nHost: a.example\r\n", 1},
		"bare_newlines":      {"GET / HTTP/1.1\nHost: {a.example}\n\n", 1},
		"pipelined":          {"GET /1 HTTP/1.1\r\nHost: {a.example}\r\n\r\nGET /2 HTTP/1.1\r\nHost: {b}\r\n\r\n", 2},
		"empty_line_before":  {"GET /1 HTTP/1.1\r\nHost: {a.example}\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: {a.example}\r\n\r\n", 2},
		"chunked":            {"POST / HTTP/1.1\r\nHost: {a.example}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHost:\r\n0\r\n\r\n", 1},
		"twice_in_a_request": {"GET / HTTP/1.1\r\nHost: {a.example}\r\nHost: {b.example}\r\n\r\n", 1},
	}
	for trait, test := range tests {
		t.Run(trait, func(t *testing.T) {
			in := strings.NewReplacer("{", "", "}", "").Replace(test.in)
			var want strings.Builder
			for i, part := range strings.Split(test.in, "{") {
				_, rest, found := strings.Cut(part, "}")
				if i > 0 && found {
					want.WriteString(name)
					part = rest
				}
				want.WriteString(part)
			}
			for _, mss := range []int{1460, 1, 2, 7, 20} {
				p := makePlan(t, fmt.Sprintf("tcp a 10.1.0.1:40000 > 10.1.0.2:80 mss %d\na open\na > %q\na < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\na close", mss, in))
				if n := p.SetHost(name); n != test.changed {
					t.Errorf("cut at %d: %d requests changed, want %d", mss, n, test.changed)
				}
				if got := sent(p); got != want.String() {
					t.Errorf("cut at %d: sends\n%q, want\n%q", mss, got, want.String())
				}
			}
		})
	}
}

// sent is all that the client of the first conversation sends.
func sent(p *plan.Plan) string {
	var b bytes.Buffer
	for _, s := range p.Conns[0].Steps {
		b.Write(s.Bytes)
	}
	return b.String()
}
