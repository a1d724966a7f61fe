package serve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Fault is what goes wrong on purpose, to see what a client makes of it. What happens to
// the n-th connection, or to the n-th datagram, follows from Seed and n alone.
type Fault struct {
	Seed uint64
	// Latency is waited before each answer, MaxLatency at most when that is larger.
	Latency, MaxLatency time.Duration
	// Trickle sends so many bytes a second.
	Trickle int64
	// ResetAfter breaks a connection off behind so many bytes.
	ResetAfter int64
	// Reset, Cut, Drop and Dup are how likely it is that a connection is broken off in
	// place of an answer, that an answer is cut short and the connection closed, that a
	// datagram is lost, and that it comes twice.
	Reset, Cut, Drop, Dup float64
}

// ParseFault reads a list with commas of NAME=VALUE.
func ParseFault(s string) (Fault, error) {
	var f Fault
	for word := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		var err error
		switch name {
		case "latency":
			least, most, isRange := strings.Cut(value, "..")
			if f.Latency, err = time.ParseDuration(least); err == nil && isRange {
				f.MaxLatency, err = time.ParseDuration(most)
			}
			if err == nil && (f.Latency < 0 || isRange && f.MaxLatency < f.Latency) {
				err = errors.New("a time is negative, or the second less than the first")
			}
		case "trickle":
			f.Trickle, err = positive(value)
		case "reset-after":
			f.ResetAfter, err = positive(value)
		case "reset":
			f.Reset, err = probability(value)
		case "cut-body":
			f.Cut, err = probability(value)
		case "drop":
			f.Drop, err = probability(value)
		case "dup":
			f.Dup, err = probability(value)
		default:
			return f, fmt.Errorf("there is no fault %q; there are latency=TIME or TIME..TIME, trickle=BYTES, reset-after=BYTES, reset=P, cut-body=P, drop=P and dup=P", name)
		}
		if err != nil {
			return f, fmt.Errorf("%s=%s: %w", name, value, err)
		}
	}
	return f, nil
}

func positive(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, errors.New("a number of bytes above 0 is wanted")
	}
	return n, nil
}

func probability(s string) (float64, error) {
	p, err := strconv.ParseFloat(s, 64)
	if err != nil || !(p >= 0 && p <= 1) {
		return 0, errors.New("a probability from 0 to 1 is wanted")
	}
	return p, nil
}

// String is the list that ParseFault reads.
func (f Fault) String() string {
	var list []string
	add := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(f.Latency > 0 && f.MaxLatency == 0, "latency=%v", f.Latency)
	add(f.MaxLatency > 0, "latency=%v..%v", f.Latency, f.MaxLatency)
	add(f.Trickle > 0, "trickle=%d", f.Trickle)
	add(f.ResetAfter > 0, "reset-after=%d", f.ResetAfter)
	add(f.Reset > 0, "reset=%v", f.Reset)
	add(f.Cut > 0, "cut-body=%v", f.Cut)
	add(f.Drop > 0, "drop=%v", f.Drop)
	add(f.Dup > 0, "dup=%v", f.Dup)
	return strings.Join(list, ",")
}

// Any reports whether anything goes wrong.
func (f Fault) Any() bool { return f.String() != "" }

// harm is what is done to one connection.
type harm struct {
	Fault
	random *rand.Rand
	left   int64  // bytes until it is broken off
	done   string // what was done last, until it is told
}

// of returns what is done to the n-th connection; nil is nothing.
func (f Fault) of(n uint64) *harm {
	if !f.Any() {
		return nil
	}
	return &harm{Fault: f, random: rand.New(rand.NewPCG(f.Seed, n)), left: f.ResetAfter}
}

// delay is how long an answer is late.
func (f *Fault) delay(r *rand.Rand) time.Duration {
	if f.MaxLatency <= f.Latency {
		return f.Latency
	}
	return f.Latency + time.Duration(r.Int64N(int64(f.MaxLatency-f.Latency)+1))
}

// errHarm ends a connection on purpose.
var errHarm = errors.New("broken off on purpose")

// write writes an answer, or what is left of it.
func (h *harm) write(c *client, data []byte) error {
	h.done = ""
	if d := h.delay(h.random); d > 0 {
		h.note("late by %v", d)
		if !sleep(c.ctx, d) {
			return c.ctx.Err()
		}
	}
	// All is drawn each time, so that one fault does not move the others.
	resets, cuts, part := h.random.Float64() < h.Reset, h.random.Float64() < h.Cut, h.random.Float64()
	if resets {
		h.note("broken off before the answer")
		c.breakOff()
		return errHarm
	}
	if cuts {
		data = data[:bodyCut(data, part)]
		h.note("cut to %d bytes", len(data))
	}
	breaks := h.ResetAfter > 0 && int64(len(data)) >= h.left
	if breaks {
		data = data[:h.left]
		h.note("broken off behind %d bytes", h.ResetAfter)
	}
	h.left -= int64(len(data))
	if err := h.trickle(c, data); err != nil {
		return err
	}
	switch {
	case breaks:
		c.breakOff()
		return errHarm
	case cuts:
		c.linger()
		return errHarm
	}
	return nil
}

// bodyCut is where an answer is cut: within its body when it has one.
func bodyCut(data []byte, part float64) int {
	from := strings.Index(string(data[:min(len(data), 64<<10)]), "\r\n\r\n") + 4
	if from < 4 || from >= len(data) {
		from = 0
	}
	return from + int(part*float64(len(data)-from))
}

// trickle writes some bytes at a time.
func (h *harm) trickle(c *client, data []byte) error {
	if h.Trickle == 0 {
		return c.write(data)
	}
	h.note("%d bytes a second", h.Trickle)
	const perSecond = 20 // writes
	n := int(max(1, h.Trickle/perSecond))
	start, sent := time.Now(), 0
	for len(data) > 0 {
		k := min(n, len(data))
		if err := c.write(data[:k]); err != nil {
			return err
		}
		data, sent = data[k:], sent+k
		due := start.Add(time.Duration(float64(sent) / float64(h.Trickle) * float64(time.Second)))
		if len(data) > 0 && !sleep(c.ctx, time.Until(due)) {
			return c.ctx.Err()
		}
	}
	return nil
}

func (h *harm) note(format string, args ...any) {
	if h.done != "" {
		h.done += ", "
	}
	h.done += fmt.Sprintf(format, args...)
}

// told returns what was done last.
func (h *harm) told() string {
	if h == nil {
		return ""
	}
	return h.done
}

// datagram says how often the n-th datagram is sent, and how late.
func (f *Fault) datagram(n uint64) (copies int, late time.Duration) {
	if !f.Any() {
		return 1, 0
	}
	r := rand.New(rand.NewPCG(f.Seed, ^n))
	late = f.delay(r)
	drop, dup := r.Float64() < f.Drop, r.Float64() < f.Dup
	switch {
	case drop:
		return 0, 0
	case dup:
		return 2, late
	}
	return 1, late
}
