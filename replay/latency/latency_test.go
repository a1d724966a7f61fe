package latency

import (
	"math/rand"
	"slices"
	"testing"
	"time"
)

// times makes n latencies around a middle, with a long tail.
func times(r *rand.Rand, n int, middle time.Duration) []time.Duration {
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = time.Duration(float64(middle) * (0.5 + r.ExpFloat64()))
	}
	slices.Sort(list)
	return list
}

func condition(t *testing.T, s string) Condition {
	t.Helper()
	c, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestByChance never fails the same server, however the samples fall, and always one that
// is three times as slow.
func TestByChance(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, c := range []Condition{condition(t, "p50 > 1.2x"), condition(t, "p99 > 1.5x")} {
		wrong, missed := 0, 0
		for range 300 {
			was := times(r, 1000, time.Millisecond)
			if row := (Row{Recorded: was, Live: times(r, 1000, time.Millisecond)}); c.holds(&row, 1) != "" {
				wrong++
			}
			if row := (Row{Recorded: was, Live: times(r, 1000, 3*time.Millisecond)}); c.holds(&row, 1) == "" {
				missed++
			}
		}
		if wrong > 3 || missed > 30 {
			t.Errorf("%s: %d of 300 fail by chance, %d are missed", c.text, wrong, missed)
		}
	}
}

// TestBounds wants the true median between both bounds as often as they promise.
func TestBounds(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	const rounds = 2000
	below, above := 0, 0
	for range rounds {
		list := make([]time.Duration, 50)
		for i := range list {
			list[i] = time.Duration(r.Intn(1_000_001))
		}
		slices.Sort(list)
		low, ok1 := lower(list, .5, .05)
		high, ok2 := upper(list, .5, .05)
		if !ok1 || !ok2 {
			t.Fatal("no bounds of 50")
		}
		if low > 500_000 {
			above++
		}
		if high < 500_000 {
			below++
		}
	}
	for _, n := range []int{above, below} {
		if n > rounds*6/100 || n < rounds*1/100 {
			t.Errorf("a bound is wrong %d times of %d, want 5 %% at most and not never", n, rounds)
		}
	}
}

func TestFew(t *testing.T) {
	c := condition(t, "p99 > 1.5x")
	r := rand.New(rand.NewSource(3))
	row := Row{Recorded: times(r, 20, time.Millisecond), Live: times(r, 20, time.Hour)}
	if why := c.holds(&row, 1); why != "" {
		t.Errorf("%s, from 20 answers", why)
	}
	limit := condition(t, "p50 > 200ms")
	if why := limit.holds(&row, 1); why == "" {
		t.Error("half of 20 answers take an hour, and that is not seen")
	}
}

func TestParse(t *testing.T) {
	for _, s := range []string{"", "p99", "p99 < 1x", "p0 > 1x", "p100 > 1x", "99 > 1x", "p99 > -1x", "p99 > x", "p99 > 5", "p99 > 0ms", "pNaN > 1x", "p99 > NaNx"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q is a condition", s)
		}
	}
}

func TestQuantile(t *testing.T) {
	list := []time.Duration{1, 2, 3, 4}
	for q, want := range map[float64]time.Duration{0: 1, .25: 1, .5: 2, .51: 3, .99: 4, 1: 4} {
		if got := Quantile(list, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if Quantile(nil, .5) != 0 {
		t.Error("of nothing")
	}
}
