package serve_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"netlab/replay/serve"
)

// TestParse holds that lists of words are read, and that what they can't mean is told.
func TestParse(t *testing.T) {
	if m, err := serve.ParseMatch("method, path,query,header:X-Key"); err != nil || !m.Method || !m.Path || !m.Query || m.Target || len(m.Headers) != 1 || m.Headers[0] != "x-key" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, s := range []string{"", "header:", "colour"} {
		if m, err := serve.ParseMatch(s); err == nil {
			t.Errorf("%q is %+v", s, m)
		}
	}
	const faults = "latency=10ms..20ms,trickle=100,reset-after=7,reset=0.5,cut-body=1,drop=0.25,dup=0.75"
	if f, err := serve.ParseFault(faults); err != nil || f.String() != faults {
		t.Errorf("%s, %v", f, err)
	}
	for _, s := range []string{"", "latency=20ms..10ms", "latency=-1s", "trickle=0", "drop=2", "drop=NaN", "noise=1"} {
		if f, err := serve.ParseFault(s); err == nil {
			t.Errorf("%q is %+v", s, f)
		}
	}
}

// asks says something on a connection of its own, and returns all that comes back in a
// time.
func asks(t *testing.T, addr, what string) string {
	t.Helper()
	conn := dial(t, "tcp", addr)
	io.WriteString(conn, what)
	conn.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(conn)
	return string(got)
}

// TestNearest tells what comes nearest to what is not in the recording, and HEAD without
// a body.
func TestNearest(t *testing.T) {
	s, addr := start(t, web)
	got := asks(t, addr, "GET /nn?x=1 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
	for _, part := range []string{"501 Not Implemented", `GET a/n: path is "/nn", was "/n"; parameter "x" is missing`, `PUT a/f: method is "GET", was "PUT"`} {
		if part = strings.Replace(part, `"x" is missing`, `"x" is new`, 1); !strings.Contains(got, part) {
			t.Errorf("%s is not in %s", part, got)
		}
	}
	if got := asks(t, addr, "HEAD /n HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 501") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("HEAD got %s", got)
	}
	if c := s.Counts(); c.Unmatched != 2 || c.Answered != 0 || c.NeverAsked != c.Recorded || c.Recorded != 4 {
		t.Errorf("%+v", c)
	}
}

// TestPipelined answers requests that come at once, in their order.
func TestPipelined(t *testing.T) {
	s, addr := start(t, web)
	r := bufio.NewReader(strings.NewReader(asks(t, addr, strings.Repeat("GET /n HTTP/1.1\r\nHost: a\r\n\r\n", 40))))
	for i := range 40 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if want := []string{"1", "2"}[min(i, 1)]; string(body) != want {
			t.Errorf("answer %d is %s, want %s", i, body, want)
		}
	}
	if c := s.Counts(); c.Answered != 40 || c.Given != 2 {
		t.Errorf("%+v", c)
	}
}

// TestHostile has clients that never end what they say, or say what is nothing: each is
// given up, and the next is answered.
func TestHostile(t *testing.T) {
	s := serve.New(planOf(t, web), serve.Options{Limits: serve.Limits{Request: 4 << 10, Patience: 200 * time.Millisecond, Clients: 8}})
	addr := listening(t, s)
	for name, says := range map[string]string{
		"half a head": "GET /n HTTP/1.1\r\nHost: a\r\n",
		"huge head":   "GET /n HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10),
		"huge body":   "PUT /f HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 64<<10),
		"garbage":     "\x00\xff\x16\x03\x01 what?\r\n\r\n",
	} {
		conn := dial(t, "tcp", addr)
		io.WriteString(conn, says) // it may be closed before all is said
		if got, _ := io.ReadAll(conn); strings.Contains(string(got), "200 OK") {
			t.Errorf("%s: %s", name, got)
		}
	}
	got := ""
	for range 20 { // it may lose its patience with us, too, where much else is done
		if got = asks(t, addr, "GET /n HTTP/1.1\r\nHost: a\r\n\r\n"); got != "" {
			break
		}
	}
	if !strings.HasSuffix(got, "\r\n\r\n1") {
		t.Errorf("after them: %s", got)
	}
	if c := s.Counts(); c.Answered != 1 || c.Unmatched+c.Refused < 4 {
		t.Errorf("%+v", c)
	}
}

// TestFault cuts and breaks off by a seed, the same each time.
func TestFault(t *testing.T) {
	var runs [2]string
	for i := range runs {
		s := serve.New(planOf(t, web), serve.Options{Fault: serve.Fault{Seed: 7, Cut: 0.5}})
		addr := listening(t, s)
		for range 12 {
			runs[i] += asks(t, addr, "GET /n HTTP/1.1\r\nHost: a\r\n\r\n") + "|"
		}
	}
	if runs[0] != runs[1] || strings.Count(runs[0], "\r\n\r\n|") == 0 || !strings.Contains(runs[0], "\r\n\r\n2|") {
		t.Errorf("%q and %q", runs[0], runs[1])
	}
}

// TestRefresh moves dates by as much as has gone by.
func TestRefresh(t *testing.T) {
	s := serve.New(planOf(t, `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2015 00:00:00 GMT\r\nExpires: Thu, 01 Jan 2015 01:00:00 GMT\r\nLast-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\nSet-Cookie: a=b; Expires=Thu, 01 Jan 2015 02:00:00 GMT; Path=/\r\nContent-Length: 0\r\n\r\n"`), serve.Options{Refresh: true})
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(asks(t, listening(t, s), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	date, err1 := http.ParseTime(resp.Header.Get("Date"))
	expires, err2 := http.ParseTime(resp.Header.Get("Expires"))
	if err1 != nil || err2 != nil || expires.Sub(date) != time.Hour || date.Equal(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)) || resp.Cookies()[0].Expires.Sub(date) != 2*time.Hour || resp.Header.Get("Last-Modified") != "Thu, 01 Jan 2015 00:00:00 GMT" {
		t.Errorf("%v", resp.Header)
	}
}
