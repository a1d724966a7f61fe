package printer

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestTimes has what was counted in parts be what a histogram makes of it all.
func TestTimes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for digits := 1; digits <= 2; digits++ {
		for _, n := range []int{1, 10, 10_000, 1_000_000} {
			want := hdrhistogram.New(1, maxTime, digits)
			parts := [3]times{{digits: digits}, {digits: digits}, {digits: digits}}
			for range n {
				d := time.Duration(random.Int64N(1 << random.IntN(44))) // up to five hours
				parts[random.IntN(len(parts))].add(d)
				if err := want.RecordValue(min(d.Microseconds(), maxTime)); err != nil {
					t.Fatal(err)
				}
			}
			got := times{digits: digits}
			if got.any() {
				t.Error("something was counted before anything came")
			}
			for i := range parts {
				got.merge(&parts[i])
			}
			if !got.any() || !got.histogram().Equals(want) {
				t.Errorf("of %d times, to %d digits, the histogram is another", n, digits)
			}
		}
	}
}
