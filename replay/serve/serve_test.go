package serve_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"netlab/decode"
	"netlab/pcaps/craft"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
	"netlab/replay/serve"
)

func planOf(t *testing.T, recipe string) *plan.Plan {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	k := &plan.Collector{}
	if _, err := decode.Run(b.Source(), k.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	return k.Plan()
}

// start serves a plan on loopback and returns its address.
func start(t *testing.T, recipe string) (*serve.Server, string) {
	t.Helper()
	s := serve.New(planOf(t, recipe), serve.Options{})
	return s, listening(t, s)
}

// listening has a server answer on a port of loopback, over both transports.
func listening(t *testing.T, s *serve.Server) string {
	t.Helper()
	l, u := replaytest.Listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() {
		if err := s.ServePacket(ctx, u); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); all.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute)) // which is for ever
	t.Cleanup(func() { c.Close() })
	return c
}

const web = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET /n HTTP/1.1\r\nHost: a\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
a > "GET /n HTTP/1.1\r\nHost: a\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"
a > "PUT /f HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
a < "HTTP/1.1 100 Continue\r\n\r\n"
a > "hi"
a < "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
a > "GET /hung HTTP/1.1\r\nHost: a\r\n\r\n"
a < rst`

// TestHTTP asks with Go's own client, on one connection.
func TestHTTP(t *testing.T) {
	s, addr := start(t, web)
	conn := dial(t, "tcp", addr)
	r := bufio.NewReader(conn)
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	for _, want := range []string{"1", "2", "2"} { // repeats in order, then the last again
		if status, body := ask("GET", "/n", ""); status != 200 || body != want {
			t.Errorf("got %d %q, want %q", status, body, want)
		}
	}
	if status, body := ask("GET", "/never", ""); status != 501 || !strings.Contains(body, "GET /never is not in the recording") {
		t.Errorf("unknown: %d %q", status, body)
	}
	if c := s.Counts(); c.Answered != 3 || c.Unmatched != 1 {
		t.Errorf("%+v", c)
	}
}

// TestContinue waits for 100 Continue before it sends the body, as curl does.
func TestContinue(t *testing.T) {
	_, addr := start(t, web)
	conn := dial(t, "tcp", addr)
	r := bufio.NewReader(conn)
	io.WriteString(conn, "PUT /f HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if line, _ := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q", line)
	}
	r.ReadString('\n')
	io.WriteString(conn, "hi")
	if line, _ := r.ReadString('\n'); line != "HTTP/1.1 201 Created\r\n" {
		t.Fatalf("got %q", line)
	}
}

func TestHangsUpWhereItDid(t *testing.T) {
	_, addr := start(t, web)
	conn := dial(t, "tcp", addr)
	io.WriteString(conn, "GET /hung HTTP/1.1\r\nHost: a\r\n\r\n")
	if n, err := conn.Read(make([]byte, 10)); err == nil || n > 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

const greeting = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a < "hello\n"
a > "first\n"
a < "1\n"
a close
tcp b 10.1.0.1:40001 > 10.1.0.2:7
b open
b < "hello\n"
b > "second\n"
b < "2\n"
b close`

// TestTurns gives each connection its recorded one.
func TestTurns(t *testing.T) {
	_, addr := start(t, greeting)
	for _, turn := range [][2]string{{"first\n", "1\n"}, {"second\n", "2\n"}} {
		conn := dial(t, "tcp", addr)
		r := bufio.NewReader(conn)
		if line, err := r.ReadString('\n'); line != "hello\n" {
			t.Fatalf("greeting %q, %v", line, err)
		}
		io.WriteString(conn, turn[0])
		if line, err := r.ReadString('\n'); line != turn[1] {
			t.Errorf("%q was answered %q, want %q, %v", turn[0], line, turn[1], err)
		}
	}
}

const byOpening = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a > "A\n"
a < "a\n"
tcp b 10.1.0.1:40001 > 10.1.0.2:7
b open
b > "B\n"
b < "b\n"`

// TestOpenings finds the recorded connection by what a client says first, in any
// order, and has nothing to say to others.
func TestOpenings(t *testing.T) {
	s, addr := start(t, byOpening)
	for _, say := range []string{"B\n", "A\n", "B\n"} {
		conn := dial(t, "tcp", addr)
		io.WriteString(conn, say)
		if line, err := bufio.NewReader(conn).ReadString('\n'); line != strings.ToLower(say) {
			t.Errorf("%q was answered %q, %v", say, line, err)
		}
	}
	conn := dial(t, "tcp", addr)
	io.WriteString(conn, "Z\n")
	if n, _ := conn.Read(make([]byte, 10)); n != 0 {
		t.Error("what the recording does not know was answered")
	}
	if c := s.Counts(); c.Answered != 3 || c.Unmatched != 1 {
		t.Errorf("%+v", c)
	}
}

func TestDatagrams(t *testing.T) {
	s, addr := start(t, `
udp a 10.1.0.1:40000 > 10.1.0.2:7
a > "ping"
a < "pong"
a < "pang"`)
	conn := dial(t, "udp", addr)
	io.WriteString(conn, "what?") // unknown: no answer
	io.WriteString(conn, "ping")
	buf := make([]byte, 10)
	for _, want := range []string{"pong", "pang"} {
		if n, err := conn.Read(buf); string(buf[:n]) != want {
			t.Errorf("got %q, want %q, %v", buf[:n], want, err)
		}
	}
	if c := s.Counts(); c.Answered != 1 || c.Unmatched != 1 {
		t.Errorf("%+v", c)
	}
}

// TestDNS answers by the question, with the id of who asks.
func TestDNS(t *testing.T) {
	_, addr := start(t, `
udp a 10.1.0.1:40000 > 10.1.0.2:53
a > dns 1 query a.example A
a < dns 1 answer "a.example. 1 IN A 192.0.2.1"
tcp b 10.1.0.1:40000 > 10.1.0.2:53
b open
b > hex 001b 0007 0100 0001 0000 0000 0000 0162 076578616d706c65 00 0001 0001
b < hex 002b 0007 8180 0001 0001 0000 0000 0162 076578616d706c65 00 0001 0001 c00c 0001 0001 00000001 0004 c0000202`)
	query := func(name string) string {
		return "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01" + name + "\x07example\x00\x00\x01\x00\x01"
	}
	buf := make([]byte, 512)
	conn := dial(t, "udp", addr)
	io.WriteString(conn, query("A")) // names are the same in either case (RFC 4343)
	n, err := conn.Read(buf)
	if err != nil || string(buf[:2]) != "\x12\x34" || !strings.HasSuffix(string(buf[:n]), "\xc0\x00\x02\x01") {
		t.Errorf("UDP: %x, %v", buf[:n], err)
	}
	conn = dial(t, "tcp", addr)
	io.WriteString(conn, "\x00\x1b"+query("b"))
	n, err = io.ReadFull(conn, buf[:2+0x2b])
	if err != nil || string(buf[2:4]) != "\x12\x34" || !strings.HasSuffix(string(buf[:n]), "\xc0\x00\x02\x02") {
		t.Errorf("TCP: %x, %v", buf[:n], err)
	}
}

// TestLog tells of each thing asked.
func TestLog(t *testing.T) {
	p := planOf(t, web)
	var events []serve.Event
	s := serve.New(p, serve.Options{Log: func(e serve.Event) { events = append(events, e) }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/n")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(events) != 1 || !events[0].Known || !strings.HasPrefix(events[0].Request, "GET ") || events[0].Answer != "200 OK, 1 byte" {
		t.Errorf("%+v", events)
	}
}
