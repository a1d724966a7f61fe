package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/proto"
	"netlab/pcaps/craft"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
	"netlab/replay/values"
)

const oldToken, newToken = "8f3cA91bE77d4402", "a-new-one-that-is-longer-Zz9"

// tokens hands out a token, and wants it for everything else: the live server of the tests
// below, whose recorded one had another.
func tokens(delay time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		switch {
		case r.URL.Path == "/token":
			time.Sleep(delay)
			w.Header().Set("X-Token", newToken)
			fmt.Fprint(w, "here")
		case r.Header.Get("X-Token") != newToken:
			http.Error(w, "no", http.StatusUnauthorized)
		default:
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s of %s: %s", r.URL.Path, r.Host, body)
		}
	})
}

// said writes a request that has the token, and its answer.
func said(path, body string) (request, response string) {
	request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a.example\r\nX-Token: %s\r\nContent-Length: %d\r\n\r\n%s", path, oldToken, len(body), body)
	answer := fmt.Sprintf("%s of a.example: %s", path, body)
	return request, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", len(answer), answer)
}

// carryRecipe has the token on one connection, and what says it on the same and on another.
func carryRecipe() string {
	one, oneAnswer := said("/1", "x")
	two, twoAnswer := said("/2", "t="+oldToken+"&u=2")
	three, threeAnswer := said("/3", "")
	return fmt.Sprintf(`
tcp b 10.1.0.1:40001 > 10.1.0.2:80
tcp a 10.1.0.1:40000 > 10.1.0.2:80
b open
a open
a > "GET /token HTTP/1.1\r\nHost: a.example\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nX-Token: %s\r\nContent-Length: 4\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhere"
a > ack
b > %q
b < %q
a > %q
a < %q
a < %q
a close
b close`, oldToken, three, threeAnswer, one+two, oneAnswer, twoAnswer)
}

// carryPlan returns a plan and what was found.
func carryPlan(t *testing.T, k *plan.Collector) (*plan.Plan, *values.Found) {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(carryRecipe()))
	if err != nil {
		t.Fatal(err)
	}
	f := values.NewFinder(values.Options{})
	if _, err := decode.Run(b.Source(), decode.Tee(k.Recorder(), f), decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	return k.Plan(), f.Found()
}

func site(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// TestCarried puts live values into what waits for them: on the connection that has them, where
// two requests are in one packet, and on another, which was opened before.
func TestCarried(t *testing.T) {
	for trait, test := range map[string]struct {
		opts replay.Options
		host string
	}{
		"max":      {opts: replay.Options{}},
		"recorded": {opts: replay.Options{Speed: 1}},
		"rate":     {opts: replay.Options{Rate: 1000}},
		"loop":     {opts: replay.Options{Loop: 2}},
		"host":     {opts: replay.Options{}, host: "another.example"},
	} {
		t.Run(trait, func(t *testing.T) {
			p, found := carryPlan(t, &plan.Collector{Host: test.host})
			test.opts.Target, test.opts.Values = site(t, tokens(100*time.Millisecond)), found
			o := &outcomes{}
			r, err := replay.Play(t.Context(), p, o, test.opts)
			if err != nil {
				t.Fatal(err)
			}
			passes := int64(max(1, test.opts.Loop))
			if r.Values != (values.Counts{Replaced: 4 * passes}) {
				t.Errorf("%+v", r.Values)
			}
			same := 4 * passes
			if test.host != "" {
				same = 1 // the server says what it is called
				if strings.Contains(o.String(), "401") {
					t.Errorf("%s", o)
				}
			}
			if r.Checks[compare.Same] != same || r.Conns[compare.Failed] != 0 {
				t.Errorf("%s", o)
			}
		})
	}
}

// TestCarriedStreamed plays what is read again as it is played.
func TestCarriedStreamed(t *testing.T) {
	_, found := carryPlan(t, &plan.Collector{})
	p := bare(t, func() capture.Source {
		b, err := craft.Recipe(strings.NewReader(carryRecipe()))
		if err != nil {
			t.Fatal(err)
		}
		return b.Source()
	})
	r, o := play(t, p, replay.Options{Target: site(t, tokens(50*time.Millisecond)), Values: found})
	if r.Checks[compare.Same] != 4 || r.Values.Replaced != 4 {
		t.Errorf("%+v\n%s", r.Values, o)
	}
}

// TestNotCarried says of every request what it had to say as recorded, and why.
func TestNotCarried(t *testing.T) {
	hangsUp := func(c net.Conn) {
		buf := make([]byte, 4096)
		if n, _ := c.Read(buf); bytes.Contains(buf[:n], []byte("/token")) {
			return
		}
		io.WriteString(c, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c)
	}
	t.Run("no_answer", func(t *testing.T) {
		p, found := carryPlan(t, &plan.Collector{})
		r, o := play(t, p, replay.Options{Target: replaytest.Serve(t, hangsUp), Values: found, Timeout: time.Second})
		if r.Values.Stale != 1 || !strings.Contains(o.String(), "the answer of #1.0, which has it, did not come: ") || r.Checks[compare.Same] != 0 {
			t.Errorf("%+v\n%s", r.Values, o)
		}
	})
	t.Run("refused", func(t *testing.T) {
		p, found := carryPlan(t, &plan.Collector{})
		target := site(t, tokens(0))
		var dialed atomic.Int32
		r, o := play(t, p, replay.Options{Target: target, Values: found, Speed: 1, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if dialed.Add(1) == 2 {
				return nil, errors.New("no")
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}})
		if r.Values.Stale != 1 || !strings.Contains(o.String(), "was sent as recorded: the answer of #1.0, which has it, did not come: connect to") {
			t.Errorf("%+v\n%s", r.Values, o)
		}
	})
	t.Run("no_place", func(t *testing.T) {
		p, found := carryPlan(t, &plan.Collector{})
		r, o := play(t, p, replay.Options{Target: site(t, tokens(0)), Values: found, Connections: 1})
		if r.Values != (values.Counts{Replaced: 3, Stale: 1}) && r.Values.Stale != 4 || !strings.Contains(o.String(), "has no place before this one ends") {
			t.Errorf("%+v\n%s", r.Values, o)
		}
	})
	t.Run("left_out", func(t *testing.T) {
		pick := func(e *proto.Exchange) bool { return !strings.Contains(e.Request.Body.Summary(), "/token") }
		p, found := carryPlan(t, &plan.Collector{Pick: pick})
		r, o := play(t, p, replay.Options{Target: site(t, tokens(0)), Values: found})
		if r.Values != (values.Counts{Stale: 4}) || strings.Contains(o.String(), "as recorded") || r.Checks[compare.Skipped] != 1 {
			t.Errorf("%+v\n%s", r.Values, o)
		}
	})
}
