package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/pcaps/craft"
	"netlab/replay/plan"
)

// TestHost changes the host where it stands, and no other byte, however the request
// was cut.
func TestHost(t *testing.T) {
	const name = "new.example:81"
	tests := map[string]string{ // {} stands around what is replaced
		"plain":              "GET / HTTP/1.1\r\nHost: {a.example}\r\nX: y\r\n\r\n",
		"odd_spelling":       "GET / HTTP/1.1\r\nX: Host: no\r\nhOsT:\t  {a.example} \t\r\n\r\n",
		"empty":              "GET / HTTP/1.1\r\nHost:{}\r\n\r\n",
		"none":               "GET / HTTP/1.0\r\nHostess: a.example\r\n\r\n",
		"absolute":           "GET http://{a.example:80}/x?u=http://b HTTP/1.1\r\nHost: {a.example}\r\n\r\n",
		"absolute_user":      "GET http://me:too@{a.example}?q HTTP/1.1\r\n\r\n",
		"not_absolute":       "GET /a://b HTTP/1.1\r\nHost: {a.example}\r\n\r\n",
		"connect":            "CONNECT b.example:443 HTTP/1.1\r\nHost: {b.example:443}\r\n\r\n",
		"body_stays":         "POST / HTTP/1.1\r\nHost: {a.example}\r\nContent-Length: 18\r\n\r\n\r\nHost: a.example\r\n",
		"bare_newlines":      "GET / HTTP/1.1\nHost: {a.example}\n\n",
		"pipelined":          "GET /1 HTTP/1.1\r\nHost: {a.example}\r\n\r\nGET /2 HTTP/1.1\r\nHost: {b}\r\n\r\n",
		"empty_line_before":  "GET /1 HTTP/1.1\r\nHost: {a.example}\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: {a.example}\r\n\r\n",
		"chunked":            "POST / HTTP/1.1\r\nHost: {a.example}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHost:\r\n0\r\n\r\n",
		"twice_in_a_request": "GET / HTTP/1.1\r\nHost: {a.example}\r\nHost: {b.example}\r\n\r\n",
	}
	for trait, test := range tests {
		t.Run(trait, func(t *testing.T) {
			in := strings.NewReplacer("{", "", "}", "").Replace(test)
			var want strings.Builder
			for i, part := range strings.Split(test, "{") {
				_, rest, found := strings.Cut(part, "}")
				if i > 0 && found {
					want.WriteString(name)
					part = rest
				}
				want.WriteString(part)
			}
			for _, mss := range []int{1460, 1, 2, 7, 20} {
				b, err := craft.Recipe(strings.NewReader(fmt.Sprintf("tcp a 10.1.0.1:40000 > 10.1.0.2:80 mss %d\na open\na > %q\na < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\na close", mss, in)))
				if err != nil {
					t.Fatal(err)
				}
				k := &plan.Collector{Host: name}
				if _, err := decode.Run(b.Source(), k.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
					t.Fatal(err)
				}
				if got := sent(k.Plan()); got != want.String() {
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
