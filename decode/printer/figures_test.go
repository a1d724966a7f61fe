package printer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// TestFigures compares what is calculated in whole numbers with what strconv makes of
// floats, also half-way between two.
func TestFigures(t *testing.T) {
	var ds []time.Duration
	for n := range time.Duration(10_100) { // what three digits tell apart, and more
		ds = append(ds, n, n*time.Microsecond+1, n*time.Millisecond/10)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		d := time.Duration(r.Uint64() >> r.IntN(64))
		ds = append(ds, d, -d, d/1000*1000+500)
	}
	ds = append(ds, math.MaxInt64, math.MinInt64)
	for _, d := range ds {
		if got, want := string(appendSeconds(nil, d)), strconv.FormatFloat(d.Seconds(), 'f', 6, 64); got != want {
			t.Fatalf("%d ns are %s s, want %s", d, got, want)
		}
		for _, unit := range []time.Duration{time.Microsecond, time.Millisecond, time.Second} {
			if d < 0 || d >= 1000*unit {
				continue
			}
			f, want := float64(d)/float64(unit), ""
			switch {
			case f >= 99.95:
				want = fmt.Sprintf("%.0f", f)
			case f >= 9.995:
				want = fmt.Sprintf("%.1f", f)
			default:
				want = fmt.Sprintf("%.2f", f)
			}
			if got := string(appendDigits(nil, d, unit)); got != want {
				t.Fatalf("%d ns in %v are %s, want %s", d, unit, got, want)
			}
		}
	}
}
