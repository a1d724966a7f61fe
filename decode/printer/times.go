package printer

import (
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// times counts how long things took, in the buckets of a histogram of microseconds.
// There may be one for each of thousands of endpoints, which are counted one after the
// other: it has room only for the buckets between the first and the last that came.
type times struct {
	counts  []int64
	first   int // bucket that counts begins with
	digits  int // that buckets tell apart, 1 or 2
	longest time.Duration
	whole   *hdrhistogram.Histogram // of all that was counted, once it was asked for
}

// maxTime is the longest that is told from longer ones, in microseconds: an hour.
const maxTime = int64(time.Hour / time.Microsecond)

// fineBits is how many bits behind the highest one tell values of the same magnitude
// apart, for 1 and 2 digits.
var fineBits = [...]int{1: 4, 2: 7}

// add counts one.
func (t *times) add(d time.Duration) {
	v := max(0, min(d.Microseconds(), maxTime))
	fine := fineBits[t.digits]
	shift := max(bits.Len64(uint64(v))-fine-1, 0)
	*t.at(shift<<fine + int(v>>shift))++
	t.longest = max(t.longest, d)
}

// at returns the count of a bucket, for which it makes room.
func (t *times) at(bucket int) *int64 {
	if i := bucket - t.first; uint(i) < uint(len(t.counts)) {
		return &t.counts[i]
	}
	const line = 8 // a cache line of them at a time
	from, to := bucket&^(line-1), bucket|(line-1)+1
	if len(t.counts) > 0 {
		from, to = min(from, t.first), max(to, t.first+len(t.counts))
	}
	counts := make([]int64, to-from)
	if len(t.counts) > 0 {
		copy(counts[t.first-from:], t.counts)
	}
	t.counts, t.first = counts, from
	return &t.counts[bucket-from]
}

// merge adds what another of the same digits has counted.
func (t *times) merge(o *times) {
	for i, n := range o.counts {
		if n > 0 {
			*t.at(o.first + i) += n
		}
	}
	t.longest = max(t.longest, o.longest)
}

// histogram returns all that was counted. Nothing is counted afterwards.
func (t *times) histogram() *hdrhistogram.Histogram {
	if t.whole != nil {
		return t.whole
	}
	t.whole = hdrhistogram.New(1, maxTime, t.digits)
	fine := fineBits[t.digits]
	for i, n := range t.counts {
		bucket := t.first + i
		shift := max(bucket>>fine-1, 0)
		if err := t.whole.RecordValues(int64(bucket-shift<<fine)<<shift, n); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	return t.whole
}

// any reports whether something was counted.
func (t *times) any() bool { return len(t.counts) > 0 }

// total returns how long all took, about.
func (t *times) total() float64 {
	h := t.histogram()
	return h.Mean() * float64(h.TotalCount())
}

// quantile returns the time that q percent do not exceed, to the digits; of all it is
// exact.
func (t *times) quantile(q float64) time.Duration {
	if q == 100 {
		return t.longest
	}
	return min(time.Duration(t.histogram().ValueAtQuantile(q))*time.Microsecond, t.longest)
}
