package printer

import (
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// times counts how long things took, in the buckets of a histogram of microseconds.
// There may be one for each of thousands of endpoints, in no order: so that many of
// them stay in the processor's cache, there is room only for the buckets between the
// first and the last that came, and little for each.
type times struct {
	counts  []uint16
	carries []int64 // how often each of counts went over; nil while none did
	first   int     // bucket that counts begins with
	digits  int     // that buckets tell apart, 1 or 2
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
	i := t.at(shift<<fine + int(v>>shift))
	if t.counts[i]++; t.counts[i] == 0 {
		t.carry(i, 1)
	}
	t.longest = max(t.longest, d)
}

// at returns where in counts a bucket is, for which it makes room.
func (t *times) at(bucket int) int {
	i := bucket - t.first
	if uint(i) >= uint(len(t.counts)) {
		t.grow(bucket)
		i = bucket - t.first
	}
	return i
}

// grow makes room for a bucket, and for those in the same line of the cache.
func (t *times) grow(bucket int) {
	const line = 32
	first, end := bucket&^(line-1), bucket|(line-1)+1
	if len(t.counts) == 0 {
		t.first = first
	}
	before := max(t.first-first, 0)
	t.first -= before
	size := max(before+len(t.counts), end-t.first)
	if t.carries != nil {
		t.carries = append(make([]int64, before, size), t.carries...)[:size]
	}
	t.counts = append(make([]uint16, before, size), t.counts...)[:size]
}

// carry notes that one of counts went over n times.
func (t *times) carry(i int, n int64) {
	if t.carries == nil {
		t.carries = make([]int64, len(t.counts))
	}
	t.carries[i] += n
}

// count returns how many came for one of counts.
func (t *times) count(i int) int64 {
	n := int64(t.counts[i])
	if t.carries != nil {
		n += t.carries[i] << 16
	}
	return n
}

// merge adds what another of the same digits has counted.
func (t *times) merge(o *times) {
	for i := range o.counts {
		if n := o.count(i); n > 0 {
			here := t.at(o.first + i)
			n += int64(t.counts[here])
			t.counts[here] = uint16(n)
			if n>>16 > 0 {
				t.carry(here, n>>16)
			}
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
	for i := range t.counts {
		n, bucket := t.count(i), t.first+i
		if n == 0 {
			continue
		}
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
