package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
	"netlab/replay/plan"
)

// make builds the plan of a recipe.
func makePlan(t *testing.T, recipe string) *plan.Plan {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	return record(t, b.Source())
}

// record returns the plan of what src holds.
func record(t *testing.T, src capture.Source) *plan.Plan {
	t.Helper()
	k := &plan.Collector{}
	if _, err := decode.Run(src, k.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	return k.Plan()
}

// write writes a plan out in short, to compare with what is wanted.
func write(p *plan.Plan) string {
	var b strings.Builder
	for _, c := range p.Conns {
		fmt.Fprintf(&b, "conn %d %s ended %d rank %d", c.ID, c.Protocol.Name, c.Ended, c.Rank)
		if c.Skip != "" {
			fmt.Fprintf(&b, " skip %q", c.Skip)
		}
		b.WriteByte('\n')
		for _, n := range c.Notes {
			fmt.Fprintf(&b, "  note %s\n", n)
		}
		for _, s := range c.Steps {
			fmt.Fprintf(&b, "  send %q", s.Bytes)
			if w := s.After; c.Parsed() {
				fmt.Fprintf(&b, " after %d+%d", w.Finals, w.Interims)
			} else {
				fmt.Fprintf(&b, " turn %d after %d bytes, %d datagrams", s.Turn, w.Bytes, w.Datagrams)
			}
			b.WriteByte('\n')
		}
		for _, k := range c.Checks {
			fmt.Fprintf(&b, "  check %d", k.Index)
			if k.Turn != nil {
				fmt.Fprintf(&b, " %d bytes > %q", k.Turn.Sent, k.Turn.Answer)
			}
			if k.Skip != "" {
				fmt.Fprintf(&b, " skip %q", k.Skip)
			}
			b.WriteByte('\n')
		}
		if c.Close.Kind != plan.CloseNone {
			half := ""
			if c.Close.HalfClosed {
				half = ", half"
			}
			fmt.Fprintf(&b, "  close %s%s\n", c.Close, half)
		}
	}
	return b.String()
}

const conn = "tcp a 10.1.0.1:40000 > 10.1.0.2:80\n"

func TestPlans(t *testing.T) {
	tests := map[string]struct{ recipe, want string }{
		"patient_client": {conn + `
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
a > "GET /2 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"
a close`, `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  send "GET /2 HTTP/1.1\r\n\r\n" after 1+0
  check 0
  check 1
  close fin by the client`},
		"mqtt_by_turns": {conn + `
a open
a > "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
a < "\x20\x02\x00\x00"
a < "\x32\x05\x00\x01a\x00\x01"
a > "\x40\x02\x00\x01\xc0\x00"
a < "\xd0\x00"
a close`, `
conn 0 raw ended 0 rank 0
  send "\x10\f\x00\x04MQTT\x04\x02\x00<\x00\x00" turn 0 after 0 bytes, 0 datagrams
  send "@\x02\x00\x01\xc0\x00" turn 1 after 11 bytes, 0 datagrams
  check 0 14 bytes > " \x02\x00\x002\x05\x00\x01a\x00\x01"
  check 1 6 bytes > "\xd0\x00"
  close fin by the client`},
		"pipelined_in_packets_of_their_own": {conn + `
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a > "GET /2 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"
a close <`, `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  send "GET /2 HTTP/1.1\r\n\r\n" after 0+0
  check 0
  check 1
  close fin by the server`},
		"next_request_after_half_a_response": {conn + `
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1"
a > "GET /2 HTTP/1.1\r\n\r\n"
a < "1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"`, `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  send "GET /2 HTTP/1.1\r\n\r\n" after 0+0
  check 0
  check 1`},
		"continue": {conn + `
a open
a > "PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
a < "HTTP/1.1 100 Continue\r\n\r\n"
a > "hi"
a < "HTTP/1.1 204 No Content\r\n\r\n"
a > "GET / HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No Content\r\n\r\n"`, `
conn 0 http ended 0 rank 0
  send "PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n" after 0+0
  send "hi" after 0+1
  send "GET / HTTP/1.1\r\n\r\n" after 1+0
  check 0
  check 1`},
		"server_speaks_first": {conn + `
a open
a < "READY\n"
a > "ADD"
a > " 1 2\n"
a < "3\n"
a > "QUIT\n"
a close <`, `
conn 0 raw ended 0 rank 0
  send "ADD" turn 1 after 6 bytes, 0 datagrams
  send " 1 2\n" turn 1 after 6 bytes, 0 datagrams
  send "QUIT\n" turn 2 after 8 bytes, 0 datagrams
  check 0 0 bytes > "READY\n"
  check 1 8 bytes > "3\n"
  check 2 5 bytes > "" skip "no answer in the recording"
  close fin by the server`},
		"only_the_server_speaks": {conn + `
a open
a < "12:00:00\n"
a close <`, `
conn 0 raw ended 0 rank 0
  check 0 0 bytes > "12:00:00\n"
  close fin by the server`},
		"half_close_and_reset": {conn + `
a open
a > "all of it"
a > fin
a < "done"
a < rst`, `
conn 0 raw ended 0 rank 0
  send "all of it" turn 0 after 0 bytes, 0 datagrams
  check 0 9 bytes > "done"
  close fin by the client, half`},
		"reset_by_the_client": {conn + `
a open
a > "hm"
a < "hm"
a > rst`, `
conn 0 raw ended 0 rank 0
  send "hm" turn 0 after 0 bytes, 0 datagrams
  check 0 2 bytes > "hm"
  close rst by the client`},
		"gap_in_the_client_of_http": {conn + `
a open
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a > "GET /2 HTTP/1.1\r\nX: "
a > drop "yyyy"
a > "zz\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"
a > "GET /3 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"`, `
conn 0 http ended 0 rank 0
  note 4 bytes of the client were not captured before packet 7
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  check 0
  check 1 skip "4 bytes of the client were not captured before packet 7"
  check 2 skip "4 bytes of the client were not captured before packet 7"`},
		"gap_in_the_client_of_anything": {conn + `
a open
a > "one"
a < "1"
a > "two"
a > drop "two"
a > "two"
a < "2"`, `
conn 0 raw ended 0 rank 0
  note 3 bytes of the client were not captured before packet 7
  send "one" turn 0 after 0 bytes, 0 datagrams
  check 0 3 bytes > "1"
  check 1 6 bytes > "2" skip "3 bytes of the client were not captured before packet 7"`},
		"gap_in_the_server": {conn + `
a open
a > "one"
a < "1"
a < drop "1"
a < "1"
a > "two"
a < "2"`, `
conn 0 raw ended 0 rank 0
  send "one" turn 0 after 0 bytes, 0 datagrams
  send "two" turn 1 after 3 bytes, 0 datagrams
  check 0 3 bytes > "11" skip "1 bytes of the answer were not captured"
  check 1 3 bytes > "2"`},
		"midstream_http_is_played": {conn + `
a > "GET /1 HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 204 No\r\n\r\n"`, `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  check 0`},
		"midstream_anything_is_not": {conn + `
a > "more"
a < "less"`, `
conn 0 raw ended 0 rank 0 skip "its beginning was not captured"
  check 0 4 bytes > "less"`},
		"one_sided": {conn + `
a > syn
a > "GET /1 HTTP/1.1\r\n\r\n"
a > "GET /2 HTTP/1.1\r\n\r\n"`, `
conn 0 http ended 0 rank 0
  send "GET /1 HTTP/1.1\r\n\r\n" after 0+0
  send "GET /2 HTTP/1.1\r\n\r\n" after 0+0
  check 0 skip "no answer in the recording"
  check 1 skip "no answer in the recording"`},
		"nothing_said": {conn + `
a open
a close`, `
conn 0 raw ended 0 rank 0 skip "nothing was said"
  check 0 0 bytes > "" skip "no answer in the recording"
  close fin by the client`},
		"datagrams": {`
udp a 10.1.0.1:40000 > 10.1.0.2:7
a > "1"
a < "1"
a < "one"
a > "2"
a > "3"
a < "3"`, `
conn 0 raw ended 0 rank 0
  send "1" turn 0 after 0 bytes, 0 datagrams
  send "2" turn 1 after 4 bytes, 2 datagrams
  send "3" turn 2 after 4 bytes, 2 datagrams
  check 0 1 bytes > "1one"
  check 1 1 bytes > "" skip "no answer in the recording"
  check 2 1 bytes > "3"`},
		"dns": {`
udp a 10.1.0.1:40000 > 10.1.0.2:53
a > dns 1 query a.example A
a > dns 2 query b.example A
a < dns 2 answer "b.example. 1 IN A 192.0.2.2"
a > dns 3 query c.example A`, `
conn 0 dns ended 0 rank 0
  send "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\aexample\x00\x00\x01\x00\x01" after 0+0
  send "\x00\x02\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01b\aexample\x00\x00\x01\x00\x01" after 0+0
  send "\x00\x03\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01c\aexample\x00\x00\x01\x00\x01" after 1+0
  check 0 skip "no answer in the recording"
  check 1
  check 2 skip "no answer in the recording"`},
		"connections_in_their_order": {`
tcp a 10.1.0.1:40000 > 10.1.0.2:80
tcp b 10.1.0.1:40001 > 10.1.0.2:80
tcp c 10.1.0.1:40002 > 10.1.0.2:80
a open
a > "x"
b open
b > "x"
b close
a < "y"
c open
c > "x"
c close
a close`, `
conn 0 raw ended 0 rank 2
  send "x" turn 0 after 0 bytes, 0 datagrams
  check 0 1 bytes > "y"
  close fin by the client
conn 1 raw ended 0 rank 0
  send "x" turn 0 after 0 bytes, 0 datagrams
  check 0 1 bytes > "" skip "no answer in the recording"
  close fin by the client
conn 2 raw ended 1 rank 1
  send "x" turn 0 after 0 bytes, 0 datagrams
  check 0 1 bytes > "" skip "no answer in the recording"
  close fin by the client`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, want := strings.TrimSpace(write(makePlan(t, test.recipe))), strings.TrimSpace(test.want)
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	p := makePlan(t, "step 1ms\n"+conn+`
wait 7ms
a open
a > "one"
wait 10ms
a < "1"
wait 5ms
a < "1"
a > "two"`)
	c := p.Conns[0]
	if !p.Start.Equal(time.Date(2026, 1, 2, 3, 4, 5, 7e6, time.UTC)) || c.Open != 0 {
		t.Errorf("starts at %v, opens at %v", p.Start, c.Open)
	}
	if got := []time.Duration{c.Steps[0].At, c.Steps[1].At}; got[0] != 3*time.Millisecond || got[1] != 21*time.Millisecond {
		t.Errorf("sends at %v", got)
	}
	if got := c.Checks[0].Turn.Latency; got != 11*time.Millisecond {
		t.Errorf("the answer took %v", got)
	}
	// The pause inside the answer was 6 ms, less than a third of the least.
	if got := c.Steps[1].After.Quiet; got != plan.MinQuiet {
		t.Errorf("silence of %v ends the answer", got)
	}
}

func TestQuietIsThreePauses(t *testing.T) {
	p := makePlan(t, conn+`
a open
a > "one"
a < "1"
wait 50ms
a < "1"
a > "two"`)
	if got, want := p.Conns[0].Steps[1].After.Quiet, 3*(50*time.Millisecond+100*time.Microsecond); got != want {
		t.Errorf("silence of %v ends the answer, want %v", got, want)
	}
}

func TestEncryptedIsSkippedAndDataConnectionsAreKnown(t *testing.T) {
	p := makePlan(t, conn+`
a open
a > hex 1603010005 0100000100`)
	if got := p.Conns[0].Skip; got != "encrypted (TLS)" {
		t.Errorf("TLS: %q", got)
	}
	data, err := samples.Open("ftp-passive")
	if err != nil {
		t.Fatal(err)
	}
	f, err := pcaps.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	conns := record(t, f).Conns
	if control, data := conns[0], conns[1]; control.Skip+data.Skip != "" || control.Errand != nil || data.Errand == nil || data.Errand.For != control || data.Recorded() != control.Recorded() {
		t.Errorf("FTP: %+v, %+v", control, data)
	}
}

// TestErrandsOfOnePort tells data connections apart that a server had at the same port.
func TestErrandsOfOnePort(t *testing.T) {
	p := makePlan(t, `
tcp c 10.1.0.1:40021 > 10.1.0.2:21
c open
c < "220 files ready\r\n"
c > "PASV\r\n"
c < "227 Entering Passive Mode (10,1,0,2,195,80)\r\n"
tcp d 10.1.0.1:40022 > 10.1.0.2:50000
d open
c > "NLST\r\n"
c < "150 Opening\r\n"
d < "notes.txt\r\n"
d close <
c < "226 Done\r\n"
c > "PASV\r\n"
c < "227 Entering Passive Mode (10,1,0,2,195,80)\r\n"
tcp e 10.1.0.1:40023 > 10.1.0.2:50000
e open
c > "RETR notes.txt\r\n"
c < "150 Opening\r\n"
e < "buy milk\n"
e close <
c < "226 Done\r\n"`)
	if len(p.Conns) != 3 {
		t.Fatalf("%d conversations", len(p.Conns))
	}
	for before, c := range p.Conns[1:] {
		if c.Errand == nil || c.Errand.Port != 50000 || c.Errand.Before != before {
			t.Errorf("#%d: %+v, want %d before it", c.ID, c.Errand, before)
		}
	}
}

func TestLimit(t *testing.T) {
	b, err := craft.Recipe(strings.NewReader(conn + `
a open
a > 100 * "x"
a > 100 * "y"`))
	if err != nil {
		t.Fatal(err)
	}
	k := &plan.Collector{Limit: 1500}
	_, err = decode.Run(b.Source(), k.Recorder(), decode.Options{})
	if err == nil || !strings.Contains(err.Error(), "--memory") {
		t.Errorf("error %v", err)
	}
}

func TestServers(t *testing.T) {
	p := makePlan(t, `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
tcp b 127.0.0.1:40001 > 127.0.0.1:8080
tcp c [::1]:40002 > [::1]:8080
a open
a > "x"
a < "y"
b open
b > "x"
b < "y"
c open
c > "x"
c < "y"`)
	got := fmt.Sprint(p.Servers())
	if want := "[localhost:8080 10.1.0.2:80]"; got != want {
		t.Errorf("servers %s, want %s", got, want)
	}
	p.Only(p.Servers()[0])
	if p.Conns[0].Skip != "with another server: 10.1.0.2:80" || p.Conns[1].Skip != "" || p.Conns[2].Skip != "" {
		t.Errorf("skips %q, %q, %q", p.Conns[0].Skip, p.Conns[1].Skip, p.Conns[2].Skip)
	}
}
