package noise_test

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netlab/decode"
	"netlab/pcaps/craft"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/noise"
	"netlab/replay/plan"
)

// site answers requests in JSON; some of its fields are noise.
type site struct {
	mu        sync.Mutex
	r         *rand.Rand
	now       func() time.Time
	endpoints []*endpoint
	counter   int
}

// endpoint has fields, each with what makes its value of the number that was asked for.
type endpoint struct {
	path   string // with %d
	names  []string
	fields []func(s *site, id int) string
	header bool // a random one
}

// noisy are the kinds of noise.
var noisy = []func(s *site, id int) string{
	func(s *site, _ int) string { return fmt.Sprintf("%q", s.now().UTC().Format(time.RFC3339)) },
	func(s *site, _ int) string {
		return fmt.Sprintf(`"%08x-%04x-4%03x-a%03x-%012x"`, s.r.Uint32(), s.r.Intn(1<<16), s.r.Intn(1<<12), s.r.Intn(1<<12), s.r.Int63n(1<<48))
	},
	func(s *site, _ int) string { s.counter++; return fmt.Sprint(s.counter) },
	func(s *site, _ int) string { return fmt.Sprintf(`"%016x"`, s.r.Uint64()) },
}

// still are values that mean something, each with another that is a regression.
var still = [][2]func(s *site, id int) string{
	{func(_ *site, id int) string { return fmt.Sprintf(`"name %d"`, id) }, func(_ *site, id int) string { return fmt.Sprintf(`"name %d"`, id+1) }},
	{func(_ *site, id int) string { return fmt.Sprint(id * 100) }, func(_ *site, id int) string { return fmt.Sprintf(`"%d"`, id*100) }},
	{func(_ *site, id int) string { return fmt.Sprintf(`"%08x"`, id*7919) }, func(_ *site, id int) string { return fmt.Sprintf(`"%08x"`, id*7919+1) }},
	{func(_ *site, id int) string { return `["a","b"]` }, func(_ *site, id int) string { return `["a"]` }},
	{func(_ *site, id int) string { return `true` }, func(_ *site, id int) string { return `null` }},
}

// plant makes a site, and the place of the regression that breaks it: a field that is
// noise elsewhere.
func plant(seed int64) (s *site, broken func(), where string) {
	r := rand.New(rand.NewSource(seed))
	s = &site{r: r}
	names := []string{"alpha", "beta", "gamma", "delta", "at", "token"}
	for i, path := range []string{"/users/%d", "/orders/%d/items", "/search?q=%d"} {
		e := &endpoint{path: path, header: r.Intn(2) == 0, names: slices.Clone(names)}
		for n := range names {
			if (n+i)%3 == 0 || r.Intn(3) == 0 && n != i {
				e.fields = append(e.fields, noisy[r.Intn(len(noisy))])
			} else {
				e.fields = append(e.fields, still[r.Intn(len(still))][0])
			}
		}
		s.endpoints = append(s.endpoints, e)
	}
	// A field of the second endpoint that is noise in the first: every third is.
	e, n, kind := s.endpoints[1], 3*r.Intn(2), r.Intn(len(still))
	e.fields[n] = still[kind][0]
	return s, func() { e.fields[n] = still[kind][1] }, "body $." + names[n]
}

// answer is a body, its keys in any order, and a header line.
func (s *site) answer(target string) (body, header string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		var id int
		if _, err := fmt.Sscanf(target, e.path, &id); err != nil {
			continue
		}
		var parts []string
		for i, f := range e.fields {
			parts = append(parts, fmt.Sprintf("%q:%s", e.names[i], f(s, id)))
		}
		s.r.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
		if e.header {
			header = fmt.Sprintf("%x", s.r.Uint64())
		}
		return "{" + strings.Join(parts, ",") + "}", header
	}
	return "{}", ""
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, header := s.answer(r.URL.RequestURI())
	w.Header().Set("Content-Type", "application/json")
	w.Header()["Date"] = nil
	if header != "" {
		w.Header().Set("X-Trace", header)
	}
	fmt.Fprint(w, body)
}

// record is a plan of a client that asks every endpoint some times.
func (s *site) record(t *testing.T) *plan.Plan {
	t.Helper()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.now = func() time.Time { return start }
	var b strings.Builder
	b.WriteString("time 2026-01-02T03:04:05Z\ntcp a 10.1.0.1:40000 > 10.1.0.2:80\na open\n")
	for id := range 6 {
		for _, e := range s.endpoints {
			target := fmt.Sprintf(e.path, id+1)
			body, header := s.answer(target)
			if header != "" {
				header = "X-Trace: " + header + "\r\n"
			}
			fmt.Fprintf(&b, "a > %q\na < %q\n", "GET "+target+" HTTP/1.1\r\nHost: a.example\r\n\r\n",
				fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", header, len(body), body))
		}
	}
	b.WriteString("a close\n")
	return planOf(t, b.String())
}

func planOf(t *testing.T, recipe string) *plan.Plan {
	t.Helper()
	packets, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Read(t.Context(), &plan.Collector{}, func(_ context.Context, r *plan.Recorder) error {
		_, err := decode.Run(packets.Source(), r, decode.Options{Keep: plan.Keep})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// listing keeps outcomes.
type listing struct {
	outcomes []*replay.Outcome
	conns    []*replay.ConnOutcome
}

func (l *listing) Outcome(o *replay.Outcome) error {
	l.outcomes = append(l.outcomes, o)
	return nil
}

func (l *listing) Connection(c *replay.ConnOutcome) error {
	l.conns = append(l.conns, c)
	return nil
}

// judged plays a plan to a handler some times, first perhaps to a baseline, and returns
// what is left.
func judged(t *testing.T, p *plan.Plan, h, base http.Handler, times int) (*listing, *noise.Judge, *replay.Result) {
	t.Helper()
	l := &listing{}
	j := noise.New(l, compare.Rules{})
	play := func(h http.Handler, sink replay.Sink, loop int) *replay.Result {
		server := httptest.NewServer(h)
		defer server.Close()
		r, err := replay.Play(t.Context(), p, sink, replay.Options{Target: server.Listener.Addr().String(), Loop: loop})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if base != nil {
		play(base, j.Baseline(), 1)
	}
	r := play(h, j, times)
	if err := j.Settle(r); err != nil {
		t.Fatal(err)
	}
	var counted, told [compare.VerdictCount]int64
	for _, o := range l.outcomes {
		told[o.Verdict]++
	}
	if counted = r.Checks; counted != told {
		t.Errorf("%v are counted, %v told", counted, told)
	}
	clear(told[:])
	for _, c := range l.conns {
		told[c.Verdict]++
	}
	if told != r.Conns {
		t.Errorf("connections: %v are counted, %v told", r.Conns, told)
	}
	return l, j, r
}

// places are where answers differ.
func (l *listing) places() map[string]int {
	m := make(map[string]int)
	for _, o := range l.outcomes {
		for _, d := range o.Differences {
			place, _, _ := strings.Cut(d.Place, " null")
			m[strings.Join(strings.Fields(place)[:min(2, len(strings.Fields(place)))], " ")]++
		}
		if o.Verdict == compare.Failed {
			m["failed: "+o.Reason]++
		}
	}
	return m
}

// TestPlanted plants noise and one regression in a field that is noise in another
// endpoint: in ten plantings, none is missed, and at most one place is told that is
// noise.
func TestPlanted(t *testing.T) {
	wrong := 0
	for seed := range int64(10) {
		for _, baseline := range []bool{false, true} {
			s, breakIt, where := plant(seed)
			p := s.record(t)
			s.now = time.Now
			var base http.Handler
			times := 2
			if baseline {
				right, _, _ := plant(seed)
				right.r, right.now, right.counter = rand.New(rand.NewSource(seed+100)), time.Now, 1000
				base, times = right, 1
			}
			l, _, _ := judged(t, p, s, base, times)
			if got := l.places(); len(got) > 0 {
				t.Logf("seed %d, baseline %v: without a regression: %v", seed, baseline, got)
				wrong += len(got)
			}
			breakIt()
			l, _, r := judged(t, p, s, base, times)
			got := l.places()
			regressed := false
			for place := range got {
				if place == where || strings.HasPrefix(place, where+"[") {
					regressed = true
				} else {
					t.Logf("seed %d, baseline %v: %s is told, and is noise", seed, baseline, place)
					wrong++
				}
			}
			if !regressed || r.Checks[compare.Different] == 0 {
				t.Errorf("seed %d, baseline %v: the regression at %s is not told: %v", seed, baseline, where, got)
			}
		}
	}
	if wrong > 1 {
		t.Errorf("%d places are told that are noise", wrong)
	}
}
