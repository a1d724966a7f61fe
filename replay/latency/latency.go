// Package latency holds how long answers take against how long they took, for each
// endpoint, and says which is slower: only when that is there, and not by chance.
//
// A Gatherer is told every outcome. A condition, as p99 > 1.5x, holds where the live
// quantile is larger than so many times the recorded with a confidence of 95 % over all
// endpoints. The bounds of a quantile are order statistics (H. A. David, "Order
// Statistics", section 7.1): they suppose nothing about how latencies are distributed,
// and of few answers there are none, so that nothing fails on a handful of them.
package latency

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/noise"
)

// maxSamples bounds what is kept of an endpoint, maxEndpoints those that are told apart:
// what more there is counts as "others".
const (
	maxSamples   = 20_000
	maxEndpoints = 1000
)

// Row is what is known of an endpoint.
type Row struct {
	Endpoint string
	// Recorded and Live are from the end of a request to the beginning of its answer;
	// Planned counts from when the request was due, and so what earlier ones have held
	// up. All are sorted.
	Recorded, Live, Planned []time.Duration
	// Answers counts all, Slower says which conditions hold.
	Answers int
	Slower  []string
}

// Quantile of sorted times, 0 of none.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted), max(1, int(math.Ceil(q*float64(len(sorted))))))-1]
}

// Gatherer keeps the latencies of answers. It is a replay.Sink in front of another.
type Gatherer struct {
	replay.Sink
	rows map[string]*Row
}

// New returns a Gatherer in front of a Sink.
func New(next replay.Sink) *Gatherer { return &Gatherer{next, make(map[string]*Row)} }

// Outcome takes note of an answer, and hands it on.
func (g *Gatherer) Outcome(o *replay.Outcome) error {
	if o.Verdict == compare.Same || o.Verdict == compare.Different {
		g.take(o)
	}
	return g.Sink.Outcome(o)
}

func (g *Gatherer) take(o *replay.Outcome) {
	name := noise.EndpointOf(o)
	r := g.rows[name]
	if r == nil {
		if len(g.rows) >= maxEndpoints {
			name = "others"
		}
		if r = g.rows[name]; r == nil {
			r = &Row{Endpoint: name}
			g.rows[name] = r
		}
	}
	r.Answers++
	keep(&r.Recorded, o.RecordedLatency, r.Answers)
	keep(&r.Live, o.Latency, r.Answers)
	if d, ok := o.Planned(); ok {
		keep(&r.Planned, d, r.Answers)
	}
}

// keep keeps a time, and beyond maxSamples one in so many, evenly.
func keep(list *[]time.Duration, d time.Duration, nth int) {
	switch {
	case d < 0:
	case len(*list) < maxSamples:
		*list = append(*list, d)
	default:
		(*list)[nth%maxSamples] = d
	}
}

// Rows returns what was gathered, the endpoints that took the longest first, with the
// conditions that hold.
func (g *Gatherer) Rows(conditions []Condition) []Row {
	var rows []Row
	for _, name := range slices.Sorted(maps.Keys(g.rows)) {
		r := *g.rows[name]
		for _, list := range [][]time.Duration{r.Recorded, r.Live, r.Planned} {
			slices.Sort(list)
		}
		for _, c := range conditions {
			if why := c.holds(&r, len(g.rows)*len(conditions)); why != "" {
				r.Slower = append(r.Slower, why)
			}
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(len(b.Slower), len(a.Slower)), cmp.Compare(Quantile(b.Live, .5), Quantile(a.Live, .5)))
	})
	return rows
}

// Condition is one that a replay must not meet: p99 > 1.5x, p50 > 200ms.
type Condition struct {
	text  string
	q     float64
	times float64       // as often as recorded; 0 when it is a time
	limit time.Duration // that no answer may take
}

// Parse reads a condition.
func Parse(s string) (Condition, error) {
	c := Condition{text: s}
	left, right, ok := strings.Cut(s, ">")
	left, right = strings.TrimSpace(left), strings.TrimSpace(right)
	percent, err := strconv.ParseFloat(strings.TrimPrefix(left, "p"), 64)
	if !ok || err != nil || !strings.HasPrefix(left, "p") || !(percent > 0 && percent < 100) {
		return c, fmt.Errorf("a condition looks like p99 > 1.5x or p50 > 200ms, and not like %q", s)
	}
	c.q = percent / 100
	if times, ok := strings.CutSuffix(right, "x"); ok {
		if c.times, err = strconv.ParseFloat(times, 64); err != nil || !(c.times > 0 && c.times < 1e6) {
			return c, fmt.Errorf("%q is not so many times as recorded, as 1.5x, in %q", right, s)
		}
		return c, nil
	}
	if c.limit, err = time.ParseDuration(right); err != nil || c.limit <= 0 {
		return c, fmt.Errorf("%q is neither a time, as 200ms, nor so many times as recorded, as 1.5x, in %q", right, s)
	}
	return c, nil
}

// doubt is the chance that all conditions of a replay together may hold by chance.
const doubt = 0.05

// holds says how an endpoint meets the condition for certain; "" when it does not. It is
// one of so many that are asked.
func (c *Condition) holds(r *Row, of int) string {
	alpha := doubt / float64(of)
	if c.times > 0 {
		alpha /= 2 // either side may be off
	}
	low, ok := lower(r.Live, c.q, alpha)
	if !ok {
		return ""
	}
	limit := c.limit
	if c.times > 0 {
		high, ok := upper(r.Recorded, c.q, alpha)
		if !ok {
			return ""
		}
		limit = time.Duration(c.times * float64(high))
	}
	if low <= limit {
		return ""
	}
	return fmt.Sprintf("%s: it is %v, was %v", c.text, Quantile(r.Live, c.q).Round(time.Microsecond), Quantile(r.Recorded, c.q).Round(time.Microsecond))
}

// lower is a bound that the true quantile is below with a chance of alpha at most.
func lower(sorted []time.Duration, q, alpha float64) (time.Duration, bool) {
	// The i-th smallest of n is above the quantile when fewer than i are below it.
	i := 0
	for sum, k := 0.0, 0; k < len(sorted); k++ {
		if sum += binomial(len(sorted), k, q); sum > alpha {
			break
		}
		i = k + 1
	}
	if i == 0 {
		return 0, false
	}
	return sorted[i-1], true
}

// upper is a bound that the true quantile is above with a chance of alpha at most.
func upper(sorted []time.Duration, q, alpha float64) (time.Duration, bool) {
	n := len(sorted)
	i := n
	for sum, k := 0.0, n; k > 0; k-- {
		if sum += binomial(n, k, q); sum > alpha {
			break
		}
		i = k - 1
	}
	if i >= n {
		return 0, false
	}
	return sorted[i], true
}

// binomial is the chance of k in n, each of which has chance q.
func binomial(n, k int, q float64) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(a - b - c + float64(k)*math.Log(q) + float64(n-k)*math.Log1p(-q))
}
