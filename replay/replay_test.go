package replay_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/pcaps"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
	"netlab/replay/serve"
)

// outcomes keeps what a replay came to.
type outcomes struct {
	checks []replay.Outcome
	conns  []replay.ConnOutcome
	fail   error
}

func (o *outcomes) Outcome(x *replay.Outcome) error {
	o.checks = append(o.checks, *x)
	return o.fail
}

func (o *outcomes) Connection(x *replay.ConnOutcome) error {
	o.conns = append(o.conns, *x)
	return o.fail
}

func (o *outcomes) String() string {
	var b strings.Builder
	for _, x := range o.checks {
		fmt.Fprintf(&b, "%d.%d %s: %s > %s, was %s; %s %v\n", x.Conn.ID, x.Check.Index, x.Verdict, x.Request, x.Live, x.Recorded, x.Reason, x.Differences)
	}
	for _, x := range o.conns {
		fmt.Fprintf(&b, "connection %d %s %s\n", x.Conn.ID, x.Verdict, x.Reason)
	}
	return b.String()
}

func planOf(t testing.TB, recipe string) *plan.Plan {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	return record(t, b.Source(), &plan.Collector{})
}

// record returns the plan of what src holds.
func record(t testing.TB, src capture.Source, k *plan.Collector) *plan.Plan {
	t.Helper()
	if _, err := decode.Run(src, k.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	return k.Plan()
}

// recordSample returns the plan of a sample.
func recordSample(t testing.TB, name string, k *plan.Collector) *plan.Plan {
	t.Helper()
	data, err := samples.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pcaps.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	return record(t, f, k)
}

// planOfSample returns the plan of a sample's busiest server.
func planOfSample(t testing.TB, name string) *plan.Plan {
	t.Helper()
	p := recordSample(t, name, &plan.Collector{})
	p.Only(p.Servers()[0])
	return p
}

// play plays a plan and wants every check and every connection in one bucket.
func play(t testing.TB, p *plan.Plan, opts replay.Options) (*replay.Result, *outcomes) {
	t.Helper()
	o := &outcomes{}
	r, err := replay.Play(t.Context(), p, o, opts)
	if err != nil {
		t.Fatal(err)
	}
	account(t, p, r, o)
	return r, o
}

func account(t testing.TB, p *plan.Plan, r *replay.Result, o *outcomes) {
	t.Helper()
	checks, sum := 0, int64(0)
	for _, c := range p.Conns {
		checks += c.Answers
	}
	for _, n := range r.Checks {
		sum += n
	}
	if sum != int64(checks) || len(o.checks) != checks {
		t.Errorf("%d answers recorded, %d counted, %d told", checks, sum, len(o.checks))
	}
	sum = 0
	for _, n := range r.Conns {
		sum += n
	}
	if sum != int64(len(p.Conns)) || len(o.conns) != len(p.Conns) {
		t.Errorf("%d connections recorded, %d counted, %d told", len(p.Conns), sum, len(o.conns))
	}
}

// standIn serves a plan on loopback, TCP and UDP on one port.
func standIn(t *testing.T, p *plan.Plan) string {
	t.Helper()
	l, u := replaytest.Listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := serve.New(p, serve.Options{})
	var all sync.WaitGroup
	all.Go(func() { s.Serve(ctx, l) })
	all.Go(func() { s.ServePacket(ctx, u) })
	t.Cleanup(func() { cancel(); all.Wait() })
	return l.Addr().String()
}

// TestSamplesAreTheSame closes the loop: what the stand-in answers from a
// recording, the player must find the same.
func TestSamplesAreTheSame(t *testing.T) {
	t.Run("max", func(t *testing.T) { samplesAreTheSame(t, func(*plan.Plan) float64 { return 0 }) })
	// Each in a tenth of a second, what is due sent by the pacer.
	t.Run("paced", func(t *testing.T) {
		samplesAreTheSame(t, func(p *plan.Plan) float64 {
			last := time.Millisecond
			for _, c := range p.Conns {
				last = max(last, c.Close.At)
				for i := range c.Steps {
					last = max(last, c.Steps[i].At)
				}
			}
			return last.Seconds() / 0.1
		})
	})
}

func samplesAreTheSame(t *testing.T, speed func(*plan.Plan) float64) {
	compared := int64(0)
	for _, s := range samples.List() {
		t.Run(s.Name, func(t *testing.T) {
			p := planOfSample(t, s.Name)
			r, o := play(t, p, replay.Options{Target: standIn(t, planOfSample(t, s.Name)), Speed: speed(p), Exact: true})
			want := int64(0)
			for _, c := range p.Conns {
				want += int64(c.Comparable())
			}
			if r.Checks[compare.Same] != want || r.Checks[compare.Different]+r.Checks[compare.Failed] != 0 || r.Conns[compare.Different]+r.Conns[compare.Failed] != 0 {
				t.Errorf("%d of %d are the same:\n%s", r.Checks[compare.Same], want, o)
			}
			compared += want
		})
	}
	if compared < 25 {
		t.Errorf("only %d answers were compared", compared)
	}
}

// oneRequest is a recording of a single exchange.
const oneRequest = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Served: yes\r\n\r\nhello"
a close
`

const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Served: yes\r\n\r\nhello"

// request reads up to the end of a request's head.
func request(c net.Conn) error {
	buf := make([]byte, 0, 4096)
	for !bytes.Contains(buf, []byte("\r\n\r\n")) {
		b := make([]byte, 512)
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		buf = append(buf, b[:n]...)
	}
	return nil
}

// TestBadDays replays to servers that misbehave.
func TestBadDays(t *testing.T) {
	tests := map[string]struct {
		handle  func(net.Conn)
		verdict compare.Verdict
		reason  string // part of it
	}{
		"answers_right": {func(c net.Conn) { request(c); io.WriteString(c, answer); io.Copy(io.Discard, c) }, compare.Same, ""},
		"answers_a_byte_at_a_time": {func(c net.Conn) {
			request(c)
			for i := range answer {
				io.WriteString(c, answer[i:i+1])
			}
			io.Copy(io.Discard, c)
		}, compare.Same, ""},
		"another_body":             {func(c net.Conn) { request(c); io.WriteString(c, strings.Replace(answer, "hello", "jello", 1)) }, compare.Different, ""},
		"another_header":           {func(c net.Conn) { request(c); io.WriteString(c, strings.Replace(answer, "yes", "no", 1)) }, compare.Different, ""},
		"closes_at_once":           {func(c net.Conn) { c.(*net.TCPConn).CloseWrite(); io.Copy(io.Discard, c) }, compare.Failed, "closed the connection"},
		"closes_unread":            {func(c net.Conn) {}, compare.Failed, ""},
		"closes_after_the_request": {func(c net.Conn) { request(c) }, compare.Failed, "closed the connection without an answer"},
		"resets":                   {func(c net.Conn) { request(c); c.(*net.TCPConn).SetLinger(0) }, compare.Failed, "reset"},
		"hangs":                    {func(c net.Conn) { request(c); io.Copy(io.Discard, c) }, compare.Failed, "no answer for 300ms"},
		"garbage":                  {func(c net.Conn) { request(c); io.WriteString(c, "\x00\x01\x02 what?\r\n\r\n"); io.Copy(io.Discard, c) }, compare.Failed, "broke the rules of http"},
		"speaks_tls": {func(c net.Conn) {
			request(c)
			io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x46")
		}, compare.Failed, "broke the rules of http"},
		"ends_inside_the_body":  {func(c net.Conn) { request(c); io.WriteString(c, answer[:len(answer)-2]) }, compare.Failed, "not whole"},
		"body_that_never_comes": {func(c net.Conn) { request(c); io.WriteString(c, answer[:len(answer)-5]); io.Copy(io.Discard, c) }, compare.Failed, "no answer for 300ms"},
		"trickles_for_ever": {func(c net.Conn) {
			request(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
			for range 100 {
				if _, err := io.WriteString(c, strings.Repeat("x", 100)); err != nil {
					return
				}
			}
			io.Copy(io.Discard, c)
		}, compare.Failed, "no answer for 300ms"},
		"says_more_than_it_did": {func(c net.Conn) {
			request(c)
			io.WriteString(c, answer+answer)
			io.Copy(io.Discard, c)
		}, compare.Same, ""},
	}
	for name, test := range tests {
		badDay := func(t *testing.T, opts replay.Options) {
			p := planOf(t, oneRequest)
			opts.Target = replaytest.Serve(t, test.handle)
			if name == "garbage" || strings.Contains(test.reason, "no answer for") { // the others end by themselves
				opts.Timeout = 300 * time.Millisecond
			}
			r, o := play(t, p, opts)
			x := o.checks[0]
			if x.Verdict != test.verdict || !strings.Contains(x.Reason, test.reason) {
				t.Errorf("%s", o)
			}
			if name == "says_more_than_it_did" && (r.Conns[compare.Different] != 1 || !strings.Contains(o.conns[0].Reason, "more than in the recording")) {
				t.Errorf("%s", o)
			}
		}
		t.Run(name, func(t *testing.T) { badDay(t, replay.Options{}) })
		t.Run(name+"_paced", func(t *testing.T) { badDay(t, replay.Options{Speed: 0.1, Exact: true}) })
	}
}

// TestWithoutEnd has servers that go on for ever: they are given up, and what they said behind
// an answer is told.
func TestWithoutEnd(t *testing.T) {
	const timeout = time.Second
	trickle, flood := []byte("x"), bytes.Repeat([]byte("what? "), 1000)
	for name, test := range map[string]struct {
		begin         string
		more          []byte
		every         time.Duration
		verdict, conn compare.Verdict
		reason        string // part of both
		most          time.Duration
	}{
		"body_trickles": {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", trickle, timeout / 2, compare.Failed, compare.Failed, "it still went on after 6s", 6 * timeout},
		"head_trickles": {"HTTP/1.1 200 OK\r\nX: ", trickle, timeout / 2, compare.Failed, compare.Failed, "it still went on after 6s", 6 * timeout},
		"body_to_close": {"HTTP/1.1 200 OK\r\n\r\n", flood, 10 * time.Millisecond, compare.Failed, compare.Failed, "it still went on after 6s", 6 * timeout},
		"chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []byte("5\r\nhello\r\n"), 10 * time.Millisecond, compare.Failed, compare.Failed, "it still went on after 6s", 6 * timeout},
		"more":          {answer, flood, 10 * time.Millisecond, compare.Same, compare.Different, "more than in the recording", timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &pipes{handle: func(c net.Conn) {
					request(c)
					_, err := io.WriteString(c, test.begin)
					for ; err == nil; _, err = c.Write(test.more) {
						time.Sleep(test.every) // by the bubble's clock
					}
				}}
				begin := time.Now()
				_, o := play(t, planOf(t, oneRequest), replay.Options{Target: "x", Timeout: timeout, Dial: n.dial})
				x, c := o.checks[0], o.conns[0]
				if x.Verdict != test.verdict || c.Verdict != test.conn || !strings.Contains(c.Reason, test.reason) || x.Verdict == compare.Failed && !strings.Contains(x.Reason, test.reason) {
					t.Errorf("%s", o)
				}
				if took := time.Since(begin); took > test.most+test.every {
					t.Errorf("took %v", took)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
			})
		})
	}
}

// TestResetAtEveryByte breaks the answer off at each place.
func TestResetAtEveryByte(t *testing.T) {
	for n := range len(answer) {
		p := planOf(t, oneRequest)
		_, o := play(t, p, replay.Options{Target: replaytest.Serve(t, func(c net.Conn) {
			request(c)
			io.WriteString(c, answer[:n])
			c.(*net.TCPConn).SetLinger(0)
		})})
		if x := o.checks[0]; x.Verdict != compare.Failed || x.Reason == "" {
			t.Errorf("after %d bytes: %s", n, o)
		}
	}
}

// TestResetAtEveryByteAsked breaks a connection off while the request is read.
func TestResetAtEveryByteAsked(t *testing.T) {
	p := planOf(t, oneRequest)
	for n := range p.Conns[0].Sent() {
		_, o := play(t, p, replay.Options{Target: replaytest.Serve(t, func(c net.Conn) {
			io.ReadFull(c, make([]byte, n))
			c.(*net.TCPConn).SetLinger(0)
		})})
		if x := o.checks[0]; x.Verdict != compare.Failed || !strings.Contains(x.Reason, "reset") && !strings.Contains(x.Reason, "broken pipe") {
			t.Errorf("after %d bytes: %s", n, o)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, name := range []string{"http1-keepalive", "tcp-greeting", "http1-gap"} {
		p := planOfSample(t, name)
		r, o := play(t, p, replay.Options{Target: replaytest.Refusing(t)})
		var dial *replay.DialError
		if r.Opened != 0 || !errors.As(r.DialError, &dial) || r.Checks[compare.Same]+r.Checks[compare.Different] != 0 {
			t.Errorf("%s: %+v\n%s", name, r, o)
		}
	}
}

func TestRefusedDatagrams(t *testing.T) {
	r, o := play(t, planOfSample(t, "udp-echo"), replay.Options{Target: replaytest.Refusing(t)})
	if r.Checks[compare.Failed] != 2 || !strings.Contains(o.String(), "refused") {
		t.Errorf("%s", o)
	}
}

func TestTLSServer(t *testing.T) {
	addr := replaytest.Serve(t, func(c net.Conn) {
		tls.Server(c, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}).Handshake()
	})
	_, o := play(t, planOf(t, oneRequest), replay.Options{Target: addr})
	if x := o.checks[0]; x.Verdict != compare.Failed || !strings.Contains(x.Reason, "closed the connection without an answer") && !strings.Contains(x.Reason, "reset") {
		t.Errorf("%s", o)
	}
}

// pipes is a network in memory: every dial is a pipe to the handler.
type pipes struct {
	handle func(net.Conn)
	mu     sync.Mutex
	dials  []time.Time
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	p.mu.Lock()
	p.dials = append(p.dials, time.Now())
	p.mu.Unlock()
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		p.handle(server)
	}()
	return client, nil
}

// TestPace looks at when things are sent, by the clock of a bubble.
func TestPace(t *testing.T) {
	const recipe = `
step 1ms
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
wait 97ms
a > "one"
a < "1"
wait 498ms
a > "two"
a < "2"
wait 1s
a > "three"
a < "3"
a close`
	for _, test := range []struct {
		speed float64
		think time.Duration // of the server
		want  []time.Duration
	}{
		{1, 0, []time.Duration{100 * time.Millisecond, 600 * time.Millisecond, 1602 * time.Millisecond}},
		{2, 0, []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 801 * time.Millisecond}},
		{0, 0, []time.Duration{0, 0, 0}},
		// A slow server delays what waits for it, and nothing else: deadlines are
		// absolute.
		{1, 700 * time.Millisecond, []time.Duration{100 * time.Millisecond, 800 * time.Millisecond, 1602 * time.Millisecond}},
		{0, 700 * time.Millisecond, []time.Duration{0, 700 * time.Millisecond, 1400 * time.Millisecond}},
	} {
		t.Run(fmt.Sprintf("speed_%v_think_%v", test.speed, test.think), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var at []time.Duration
				n := &pipes{handle: func(c net.Conn) {
					buf := make([]byte, 100)
					for i := 1; ; i++ {
						if _, err := c.Read(buf); err != nil {
							return
						}
						at = append(at, time.Since(start))
						time.Sleep(test.think)
						fmt.Fprintf(c, "%d", i)
					}
				}}
				r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Speed: test.speed, Dial: n.dial})
				if r.Checks[compare.Same] != 3 {
					t.Errorf("%s", o)
				}
				if len(at) != 3 || at[0] != test.want[0] || at[1] != test.want[1] || at[2] != test.want[2] {
					t.Errorf("sent at %v, want %v", at, test.want)
				}
				if slip := r.Slip.Max(); slip > 1 {
					t.Errorf("%d µs behind schedule, on a clock that waits", slip)
				}
				synctest.Wait()
			})
		})
	}
}

// TestHangIsBounded wants a hanging server to cost one timeout a connection.
func TestHangIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n := &pipes{handle: func(c net.Conn) { io.Copy(io.Discard, c) }}
		r, o := play(t, planOfSample(t, "http1-keepalive"), replay.Options{Target: "x", Timeout: 3 * time.Second, Dial: n.dial})
		if r.Checks[compare.Failed] != 2 || time.Since(start) != 3*time.Second {
			t.Errorf("took %v\n%s", time.Since(start), o)
		}
		synctest.Wait()
	})
}

// TestSlowAnswersAreWaitedFor: an answer that took long may take long again.
func TestSlowAnswersAreWaitedFor(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
a open
a > "GET / HTTP/1.1\r\n\r\n"
wait 20s
a < "HTTP/1.1 204 No\r\n\r\n"
a close`
	synctest.Test(t, func(t *testing.T) {
		n := &pipes{handle: func(c net.Conn) {
			request(c)
			time.Sleep(40 * time.Second)
			io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
			io.Copy(io.Discard, c)
		}}
		r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Dial: n.dial})
		if r.Checks[compare.Same] != 1 {
			t.Errorf("%s", o)
		}
		synctest.Wait()
	})
}

// TestContinueIsNotWaitedForEver sends the body when a server never says 100.
func TestContinueIsNotWaitedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n := &pipes{handle: func(c net.Conn) {
			request(c)
			body := make([]byte, 11)
			io.ReadFull(c, body)
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			io.Copy(io.Discard, c)
		}}
		r, o := play(t, planOfSample(t, "http1-continue"), replay.Options{Target: "x", Dial: n.dial})
		if r.Checks[compare.Same] != 1 || time.Since(start) > 3*time.Second {
			t.Errorf("took %v\n%s", time.Since(start), o)
		}
		synctest.Wait()
	})
}

// TestShorterTurnIsOverAfterSilence goes on when a server says less than it did.
func TestShorterTurnIsOverAfterSilence(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a > "one"
a < "a long answer"
a > "two"
a < "2"
a close`
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		n := &pipes{handle: func(c net.Conn) {
			buf := make([]byte, 100)
			for _, say := range []string{"short", "2"} {
				if _, err := c.Read(buf); err != nil {
					return
				}
				io.WriteString(c, say)
			}
			io.Copy(io.Discard, c)
		}}
		r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Dial: n.dial})
		if r.Checks[compare.Different] != 1 || r.Checks[compare.Same] != 1 || time.Since(start) > 2*time.Second {
			t.Errorf("took %v\n%s", time.Since(start), o)
		}
		synctest.Wait()
	})
}

// TestLastTurnTrickles waits for the end of an answer for longer than the timeout, as long as it
// goes on, though it looked as if it was over.
func TestLastTurnTrickles(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a > "one"
a < "an answer of 41 bytes, all of which comes"
a close`
	synctest.Test(t, func(t *testing.T) {
		n := &pipes{handle: func(c net.Conn) {
			c.Read(make([]byte, 100))
			for _, b := range []byte("an answer of 41 bytes, all of which comes") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second / 2)
			}
		}}
		r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Dial: n.dial})
		if r.Checks[compare.Same] != 1 {
			t.Errorf("%s", o)
		}
		time.Sleep(time.Minute) // by the bubble's clock: the server ends
		synctest.Wait()
	})
}

// TestConnectionsKeepTheirOrder opens a connection only after those that had
// ended before it.
func TestConnectionsKeepTheirOrder(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:80
tcp b 10.1.0.1:40001 > 10.1.0.2:80
a open
a > "GET /a HTTP/1.0\r\n\r\n"
a < "HTTP/1.0 204 No\r\n\r\n"
a close <
b open
b > "GET /b HTTP/1.0\r\n\r\n"
b < "HTTP/1.0 204 No\r\n\r\n"
b close <`
	synctest.Test(t, func(t *testing.T) {
		n := &pipes{handle: func(c net.Conn) {
			request(c)
			time.Sleep(5 * time.Second)
			io.WriteString(c, "HTTP/1.0 204 No\r\n\r\n")
		}}
		r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Dial: n.dial})
		if r.Checks[compare.Same] != 2 || len(n.dials) != 2 || n.dials[1].Sub(n.dials[0]) != 5*time.Second {
			t.Errorf("dials at %v\n%s", n.dials, o)
		}
		synctest.Wait()
	})
}

// TestStopped accounts for what was not done.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		n := &pipes{handle: func(c net.Conn) { io.Copy(io.Discard, c) }}
		p := planOfSample(t, "http1-keepalive")
		o := &outcomes{}
		r, err := replay.Play(ctx, p, o, replay.Options{Target: "x", Dial: n.dial})
		if err != nil || !r.Canceled || r.Checks[compare.Skipped] != 2 || r.Took != 2*time.Second {
			t.Errorf("%v %+v\n%s", err, r, o)
		}
		account(t, p, r, o)
		synctest.Wait()
	})
}

// TestSinkErrorStops has outcomes that can't be written: nothing more is sent, and all is
// accounted for.
func TestSinkErrorStops(t *testing.T) {
	full := errors.New("disk full")
	p := planOf(t, manyRequests(50))
	for name, p := range map[string]*plan.Plan{"kept": p, "streamed": bareOf(t, manyRequests(50))} {
		synctest.Test(t, func(t *testing.T) {
			n := &pipes{handle: answering204}
			o := &outcomes{fail: full}
			r, err := replay.Play(t.Context(), p, o, replay.Options{Target: "x", Memory: 1, Dial: n.dial})
			if !errors.Is(err, full) || len(n.dials) > 2 || r.Checks[compare.Same] == 0 || r.Checks[compare.Skipped] < 40 {
				t.Errorf("%s: error %v, %d dials, answers %v", name, err, len(n.dials), r.Checks)
			}
			accountStopped(t, p, r, o)
			synctest.Wait()
		})
	}
}

// manyRequests is a recording of connections with an exchange each, one behind the other.
func manyRequests(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\nc%d > \"GET /%d HTTP/1.1\\r\\n\\r\\n\"\nc%d < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\nc%d close\n", i, 41000+i, i, i, i, i, i)
	}
	return b.String()
}

// answering204 answers each request without a body.
func answering204(c net.Conn) {
	for {
		if request(c) != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
	}
}

// accountStopped wants all in one bucket when a replay was stopped: what was not read again
// is counted, and not told.
func accountStopped(t testing.TB, p *plan.Plan, r *replay.Result, o *outcomes) {
	t.Helper()
	conns, checks := p.Total()
	for v := range compare.VerdictCount {
		conns, checks = conns-r.Conns[v], checks-r.Checks[v]
	}
	_, all := p.Total()
	if conns != 0 || checks != 0 || int64(len(o.checks))+r.Unread != all {
		t.Errorf("%d connections and %d answers are not accounted for; %d were told, %d unread, of %d", conns, checks, len(o.checks), r.Unread, all)
	}
}

// TestGoesAway has a server that goes away in the middle, its listener and its connections:
// what was answered is the same, and all else fails with a reason.
func TestGoesAway(t *testing.T) {
	const before, all = 5, 20
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if request(c); n == before {
				l.Close()
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
				return
			}
			io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
			io.Copy(io.Discard, c)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); served.Wait() })
	r, o := play(t, planOf(t, manyRequests(all)), replay.Options{Target: l.Addr().String(), Connections: 1})
	if r.Checks[compare.Same] != before || r.Checks[compare.Failed] != all-before || r.Opened != before+1 {
		t.Errorf("answers %v\n%s", r.Checks, o)
	}
	for _, x := range o.checks { // told as connections end, which need not be as they began
		if x.Verdict == compare.Failed && !strings.Contains(x.Reason, "reset") && !strings.Contains(x.Reason, "refused") {
			t.Errorf("%s", o)
		}
	}
}

// TestStoppedStreaming stops while the recording is still read: what was done is told, and
// the rest counted.
func TestStoppedStreaming(t *testing.T) {
	const all = 200
	p := bareOf(t, manyRequests(all))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := 0
		n := &pipes{handle: func(c net.Conn) {
			if done++; done > 10 {
				cancel()
			}
			answering204(c)
		}}
		o := &outcomes{}
		r, err := replay.Play(ctx, p, o, replay.Options{Target: "x", Memory: 1, Connections: 1, Dial: n.dial})
		if err != nil || !r.Canceled || r.Checks[compare.Same] < 10 || r.Checks[compare.Failed] != 0 || r.Unread == 0 {
			t.Errorf("error %v, answers %v, %d unread", err, r.Checks, r.Unread)
		}
		accountStopped(t, p, r, o)
		synctest.Wait()
	})
}

// bigEcho is a recording of 8 MiB sent, and sent back.
func bigEcho(t *testing.T) *plan.Plan {
	t.Helper()
	b := craft.New(craft.Options{})
	c := b.TCP(netip.MustParseAddrPort("10.1.0.1:40000"), netip.MustParseAddrPort("10.1.0.2:7"))
	c.Open()
	big := bytes.Repeat([]byte("0123456789abcdef"), 2048) // 32 KiB
	for range 256 {
		c.Send(craft.Client, big)
	}
	for range 256 {
		c.Send(craft.Server, big)
	}
	c.Close(craft.Client)
	return record(t, b.Source(), &plan.Collector{})
}

// TestFullDuplex sends much while the server sends much: neither waits for the
// other to read.
func TestFullDuplex(t *testing.T) {
	// An echo server that reads nothing while it can't write.
	target := replaytest.Serve(t, func(c net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	res, o := play(t, bigEcho(t), replay.Options{Target: target})
	if res.Checks[compare.Same] != 1 {
		t.Errorf("%s", o)
	}
}

// TestCloses wants each connection to end as it did.
func TestCloses(t *testing.T) {
	const begin = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a > "hi"
a < "ho"
`
	tests := map[string]struct {
		end     string
		handle  func(net.Conn)
		seen    string // by the server at the end
		verdict compare.Verdict
	}{
		"client_fin":          {"a close", nil, "EOF", compare.Same},
		"client_rst":          {"a > rst", nil, "reset", compare.Same},
		"server_fin":          {"a close <", func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }, "EOF", compare.Same},
		"server_rst":          {"a < rst", func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }, "closed", compare.Same},
		"server_stays":        {"a close <", nil, "EOF", compare.Different},
		"server_closes_first": {"a close", func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }, "EOF", compare.Same},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			seen := make(chan error, 1)
			target := replaytest.Serve(t, func(c net.Conn) {
				buf := make([]byte, 10)
				c.Read(buf)
				io.WriteString(c, "ho")
				if test.handle != nil {
					test.handle(c)
				}
				_, err := c.Read(buf)
				seen <- err
			})
			_, o := play(t, planOf(t, begin+test.end), replay.Options{Target: target})
			if o.conns[0].Verdict != test.verdict || o.checks[0].Verdict != compare.Same {
				t.Errorf("%s", o)
			}
			if err := <-seen; err == nil || !strings.Contains(err.Error(), test.seen) {
				t.Errorf("the server saw %v, want %s", err, test.seen)
			}
		})
	}
}

// TestHalfClose sends the FIN before the answer, as the client did.
func TestHalfClose(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
a > "all of it"
a > fin
a < "9 bytes"
a < fin`
	target := replaytest.Serve(t, func(c net.Conn) {
		data, err := io.ReadAll(c) // answers only at the end
		if err == nil {
			fmt.Fprintf(c, "%d bytes", len(data))
		}
	})
	r, o := play(t, planOf(t, recipe), replay.Options{Target: target})
	if r.Checks[compare.Same] != 1 {
		t.Errorf("%s", o)
	}
}

// TestNothingGoesElsewhere wants the target to be the only address dialled.
func TestNothingGoesElsewhere(t *testing.T) {
	for _, s := range samples.List() {
		p := planOfSample(t, s.Name)
		dial := func(_ context.Context, network, address string) (net.Conn, error) {
			if address != "127.0.0.1:9" || network != "tcp" && network != "udp" {
				t.Errorf("%s: dials %s %s", s.Name, network, address)
			}
			return nil, errors.New("no")
		}
		play(t, p, replay.Options{Target: "127.0.0.1:9", Dial: dial})
	}
}

// TestIdleMax cuts a silence of all clients out, and no other.
func TestIdleMax(t *testing.T) {
	const recipe = `
step 1ms
tcp a 10.1.0.1:40000 > 10.1.0.2:7
tcp b 10.1.0.1:40001 > 10.1.0.2:7
a open
b open
wait 94ms
a > "one"
a < "1"
wait 498ms
b > "one"
b < "1"
wait 59998ms
a > "two"
a < "2"
a close
wait 3s
b close`
	for _, test := range []struct {
		most, cut time.Duration
		speed     float64
		at        []time.Duration // in ms
	}{
		{0, 0, 1, []time.Duration{100, 600, 60600}},
		{100 * time.Second, 0, 1, []time.Duration{100, 600, 60600}},
		{time.Second, 61003 * time.Millisecond, 1, []time.Duration{100, 600, 1600}},
		{time.Second, 61003 * time.Millisecond, 2, []time.Duration{50, 300, 800}},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var mu sync.Mutex
			var at []time.Duration
			n := &pipes{handle: func(c net.Conn) {
				buf := make([]byte, 100)
				for i := 1; ; i++ {
					if _, err := c.Read(buf); err != nil {
						return
					}
					mu.Lock()
					at = append(at, time.Since(start)/time.Millisecond)
					mu.Unlock()
					fmt.Fprintf(c, "%d", i)
				}
			}}
			r, o := play(t, planOf(t, recipe), replay.Options{Target: "x", Speed: test.speed, IdleMax: test.most, Dial: n.dial})
			if r.Checks[compare.Same] != 3 || r.Cut != test.cut {
				t.Errorf("--idle-max %v: %v cut\n%s", test.most, r.Cut, o)
			}
			if !slices.Equal(at, test.at) {
				t.Errorf("--idle-max %v: sent at %v, want %v", test.most, at, test.at)
			}
			synctest.Wait()
		})
	}
}

// TestExact keeps the pace with a thread that waits for it, while answers come.
func TestExact(t *testing.T) {
	const recipe = `
step 1ms
tcp a 10.1.0.1:40000 > 10.1.0.2:7
a open
wait 27ms
a > "one"
a < "1"
wait 28ms
a > "two"
wait 29ms
a > "three"
a < "3"
wait 28ms
a close`
	target := replaytest.Serve(t, func(c net.Conn) {
		buf := make([]byte, 100)
		io.ReadFull(c, buf[:len("one")])
		io.WriteString(c, "1")
		io.ReadFull(c, buf[:len("twothree")])
		io.WriteString(c, "3")
		io.Copy(io.Discard, c)
	})
	for _, name := range []string{"tcp", "refused"} {
		t.Run(name, func(t *testing.T) {
			opts := replay.Options{Target: target, Speed: 1, Exact: true}
			if name == "refused" {
				opts.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
			}
			r, o := play(t, planOf(t, recipe), opts)
			switch {
			case name == "refused" && r.Checks[compare.Failed] != 2:
				t.Errorf("%s", o)
			case name == "tcp" && (r.Checks[compare.Same] != 2 || r.Took < 120*time.Millisecond || r.Slip.TotalCount() != 3):
				t.Errorf("took %v, %d slips\n%s", r.Took, r.Slip.TotalCount(), o)
			}
		})
	}
}
