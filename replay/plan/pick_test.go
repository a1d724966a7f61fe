package plan_test

import (
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/proto"
	"netlab/pcaps/craft"
	"netlab/replay/plan"
)

// TestPick leaves out requests of HTTP where that can be, and else conversations.
func TestPick(t *testing.T) {
	const three = conn + `
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
a > "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n" "GET /3 "
a > "HTTP/1.1\r\nHost: h\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3"
a > "GET /4 HTTP/1.1\r\nConnection: close\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
`
	tests := map[string]struct{ recipe, pick, host, want string }{
		"all": {three + "a close", "GET", "", `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  send "GET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 " after 1+0
  send "HTTP/1.1\r\nHost: h\r\n\r\n" after 1+0
  send "GET /4 HTTP/1.1\r\nConnection: close\r\n\r\n" after 3+0
  check 0
  check 1
  check 2
  check 3
  close fin by the client`},
		"one_of_several_in_a_packet": {three + "a close <", "/3", "new", `
conn 0 http ended 0 rank 0
  send "GET /3 " after 0+0
  send "HTTP/1.1\r\nHost: new\r\n\r\n" after 0+0
  check 0 skip "left out: not picked"
  check 1 skip "left out: not picked"
  check 2
  check 3 skip "left out: not picked"
  close fin by the client`},
		"what_the_server_closes_behind": {three + "a close <", "/4", "", `
conn 0 http ended 0 rank 0
  send "GET /4 HTTP/1.1\r\nConnection: close\r\n\r\n" after 0+0
  check 0 skip "left out: not picked"
  check 1 skip "left out: not picked"
  check 2 skip "left out: not picked"
  check 3
  close fin by the server`},
		"waits_for_less": {three + "a close", "/2 /4", "", `
conn 0 http ended 0 rank 0
  send "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n" after 0+0
  send "GET /4 HTTP/1.1\r\nConnection: close\r\n\r\n" after 1+0
  check 0 skip "left out: not picked"
  check 1
  check 2 skip "left out: not picked"
  check 3
  close fin by the client`},
		"none": {three + "a close", "/5", "", `
conn 0 http ended 0 rank 0 skip "left out: not picked"
  check 0
  check 1
  check 2
  check 3
  close fin by the client`},
		"an_answer_without_a_request_keeps_it_whole": {conn + `
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a > "GET /2 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a > drop "GET /3 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"`, "/2", "", `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  send "GET /2 HTTP/1.1\r\n\r\n" after 1+0
  check 0
  check 1
  check 2 skip "not whole in the recording: no request in the recording"`},
		"turns_are_whole": {strings.Replace(conn, ":80", ":7", 1) + `
a open
a > "one"
a < "1"
a > "two"
a < "2"
a close`, "two", "", `
conn 0 raw ended 0 rank 0
  send "one" turn 0 after 0 bytes, 0 datagrams
  send "two" turn 1 after 1 bytes, 0 datagrams
  check 0 3 bytes > "1"
  check 1 3 bytes > "2"
  close fin by the client`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := craft.Recipe(strings.NewReader(test.recipe))
			if err != nil {
				t.Fatal(err)
			}
			k := &plan.Collector{Host: test.host}
			k.Pick = func(e *proto.Exchange) bool {
				if e.Request == nil {
					return false
				}
				for word := range strings.FieldsSeq(test.pick) {
					if strings.Contains(e.Request.Body.Summary(), word) {
						return true
					}
				}
				return false
			}
			if _, err := decode.Run(b.Source(), k.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
				t.Fatal(err)
			}
			if got := write(k.Plan()); strings.TrimSpace(got) != strings.TrimSpace(test.want) {
				t.Errorf("got\n%s\nwant%s", got, test.want)
			}
		})
	}
}
