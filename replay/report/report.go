// Package report shows what a replay found: as text for people, as JSON Lines for
// programs. Each is a replay.Sink. What a server sent is made harmless before it
// is shown.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netlab/decode/printer"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/latency"
	"netlab/replay/noise"
	"netlab/replay/plan"
)

// Text gathers outcomes and prints what differs by endpoint, kind and place, the riskiest
// first; or with All each answer, in the order of the recording.
type Text struct {
	// All prints each answer, also those that are the same, or were skipped.
	All bool

	w        io.Writer
	outcomes []shown
	groups   groups
	conns    []string
	more     int
	skipped  map[string]int // by reason
	noise    []noise.Evidence
	rows     []latency.Row
}

// shown is an outcome as it will be printed.
type shown struct {
	pass, conn, index int
	text              string
}

// maxShown bounds how many outcomes are printed; all are counted.
const maxShown = 1000

// maxLines bounds the differences printed of one answer.
const maxLines = 10

// NewText returns a report to w.
func NewText(w io.Writer) *Text { return &Text{w: w, skipped: make(map[string]int)} }

// Outcome takes note of one answer.
func (t *Text) Outcome(o *replay.Outcome) error {
	if o.Verdict == compare.Skipped {
		t.skipped[o.Reason]++
	}
	if !t.All {
		t.groups.add(o)
		return nil
	}
	if len(t.outcomes) >= maxShown {
		t.more++
		return nil
	}
	var b strings.Builder
	b.WriteString(heading(o))
	switch {
	case o.Verdict == compare.Same:
		fmt.Fprintf(&b, "            %s\n", printer.Clean(o.Live))
	case o.Reason != "":
		fmt.Fprintf(&b, "            %s\n", printer.Clean(o.Reason))
	}
	for i, d := range o.Differences {
		if i == maxLines {
			fmt.Fprintf(&b, "            and %d more\n", len(o.Differences)-maxLines)
			break
		}
		fmt.Fprintf(&b, "            %s\n", printer.Clean(d.String()))
	}
	for i, d := range o.Noise {
		if i == maxLines {
			fmt.Fprintf(&b, "            and %d more noise\n", len(o.Noise)-maxLines)
			break
		}
		fmt.Fprintf(&b, "            noise: %s\n", printer.Clean(d.String()))
	}
	t.outcomes = append(t.outcomes, shown{o.Pass, o.Conn.ID, o.Check.Index, b.String()})
	return nil
}

// heading is the line that says what was asked, and what became of it.
func heading(o *replay.Outcome) string {
	return fmt.Sprintf("%-9s #%d.%d%s %s\n", o.Verdict, o.Conn.ID, o.Check.Index, inPass(o.Pass), printer.Clean(o.Request))
}

// Noise takes note of what was learned.
func (t *Text) Noise(list []noise.Evidence) error {
	t.noise = list
	return nil
}

// Latency takes note of how long answers took.
func (t *Text) Latency(rows []latency.Row) error {
	t.rows = rows
	return nil
}

// inPass names a pass, when there are several.
func inPass(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" in pass %d", n)
}

// Connection takes note of what is wrong with a connection.
func (t *Text) Connection(c *replay.ConnOutcome) error {
	if ownFinding(c) {
		if len(t.conns) < maxShown {
			t.conns = append(t.conns, fmt.Sprintf("%-9s %s %s\n", c.Verdict, connNumber(c), printer.Clean(c.Reason)))
		} else {
			t.more++
		}
	}
	return nil
}

// ownFinding reports whether there is something to say about a connection that none of its
// answers says.
func ownFinding(c *replay.ConnOutcome) bool {
	return c.Reason != "" && (len(c.Conn.Checks) == 0 || c.Verdict == compare.Different)
}

func connNumber(c *replay.ConnOutcome) string { return fmt.Sprintf("#%d%s", c.Conn.ID, inPass(c.Pass)) }

// Result prints everything.
func (t *Text) Result(r *replay.Result) error {
	slices.SortFunc(t.outcomes, func(a, b shown) int { return cmp.Or(a.pass-b.pass, a.conn-b.conn, a.index-b.index) })
	slices.Sort(t.conns)
	var b strings.Builder
	t.groups.write(&b)
	for _, o := range t.outcomes {
		b.WriteString(o.text)
	}
	for _, c := range t.conns {
		b.WriteString(c)
	}
	if t.more > 0 {
		fmt.Fprintf(&b, "and %d more (--json lists all)\n", t.more)
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "answers:     %s\n", sum(r.Checks))
	if r.Passes > 0 {
		fmt.Fprintf(&b, "connections: %s\n", sum(r.Conns))
	}
	b.WriteString(reasons(t.skipped, "skipped", nil))
	if r.Digests > 0 {
		fmt.Fprintf(&b, "%s too large to keep, and compared by length and SHA-256\n", printer.Count(r.Digests, "answer"))
	}
	writeNoise(&b, t.noise, r.Noise)
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n", printer.Clean(note))
	}
	if r.Passes > 0 {
		writeSent(&b, r)
	}
	writeRows(&b, t.rows)
	if r.Live.TotalCount() > 0 {
		fmt.Fprintf(&b, "latency now: %s; in the recording: %s\n", quantiles(r.Live), quantiles(r.Recorded))
	}
	if r.Planned.TotalCount() > 0 {
		fmt.Fprintf(&b, "latency now, from when the request was due: %s\n", quantiles(r.Planned))
	}
	if r.Redialled > 0 {
		fmt.Fprintf(&b, "%s made in place of one that the server had closed\n", printer.Count(r.Redialled, "connection"))
	}
	if r.Unread > 0 {
		fmt.Fprintf(&b, "%s not read from the recording any more\n", printer.Count(r.Unread, "answer"))
	}
	if n := r.Waited.TotalCount(); n > 0 {
		fmt.Fprintf(&b, "%s waited for a place: %s\n", printer.Count(n, "connection"), quantiles(r.Waited))
	}
	b.WriteString(valueCounts(r.Values))
	if r.Canceled {
		b.WriteString("stopped before the end\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// writeSent says what was sent, and how late.
func writeSent(b *strings.Builder, r *replay.Result) {
	fmt.Fprintf(b, "%s sent in %s", printer.Bytes(r.Bytes), printer.Duration(r.Took))
	if r.Passes > 1 {
		fmt.Fprintf(b, " in %d passes", r.Passes)
	}
	if r.Slip.TotalCount() > 0 {
		fmt.Fprintf(b, "; behind schedule by %s", quantiles(r.Slip))
	}
	if r.Cut > 0 {
		fmt.Fprintf(b, "; %s of silence cut out", printer.Duration(r.Cut))
	}
	b.WriteByte('\n')
}

// sum writes an account: the parts are all of the whole.
func sum(counts [compare.VerdictCount]int64) string {
	var total int64
	var parts []string
	for v, n := range counts {
		total += n
		parts = append(parts, fmt.Sprintf("%d %s", n, compare.Verdict(v)))
	}
	return fmt.Sprintf("%d recorded = %s", total, strings.Join(parts, " + "))
}

// quantiles writes a histogram of microseconds in one line.
func quantiles(h *hdrhistogram.Histogram) string {
	at := func(q float64) string {
		return printer.Duration(time.Duration(h.ValueAtQuantile(q)) * time.Microsecond)
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s", at(50), at(99), at(100))
}

// DryRun writes a plan out: what would be sent, when, and after which answer.
func DryRun(w io.Writer, p *plan.Plan) error {
	var b strings.Builder
	for _, c := range p.Conns {
		fmt.Fprintf(&b, "#%d %s %s %s > %s, opens at %s", c.ID, c.Transport, c.Protocol.Name, c.Client, c.Server, printer.Duration(c.Open))
		if c.Ended > 0 {
			fmt.Fprintf(&b, " after %s", printer.Count(int64(c.Ended), "connection that had ended"))
		}
		b.WriteByte('\n')
		if c.Skip != "" {
			fmt.Fprintf(&b, "  skipped: %s\n", printer.Clean(c.Skip))
		}
		for _, note := range c.Notes {
			fmt.Fprintf(&b, "  note: %s\n", printer.Clean(note))
		}
		if c.Skip == "" {
			for i := range c.Steps {
				s := &c.Steps[i]
				fmt.Fprintf(&b, "  %12s  packet %-6d send %s%s\n", printer.Duration(s.At), s.Packet, printer.Count(int64(len(s.Bytes)), "byte"), after(c, s))
			}
		}
		for i := range c.Checks {
			k := &c.Checks[i]
			o := replay.Outcome{Conn: c, Check: k}
			replay.Describe(&o)
			fmt.Fprintf(&b, "  check %d: %s", k.Index, printer.Clean(o.Request))
			switch {
			case k.Skip != "":
				fmt.Fprintf(&b, " (not compared: %s)", printer.Clean(k.Skip))
			default:
				fmt.Fprintf(&b, " > %s", printer.Clean(o.Recorded))
			}
			b.WriteByte('\n')
		}
		if c.Close.Kind != plan.CloseNone {
			fmt.Fprintf(&b, "  %12s  %s\n", printer.Duration(c.Close.At), c.Close)
		}
		if b.Len() > 64<<10 {
			if _, err := io.WriteString(w, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	b.WriteString(Replayability(p))
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// after says what a step waits for.
func after(c *plan.Conn, s *plan.Step) string {
	w := s.After
	switch {
	case c.Parsed() && w.Finals+w.Interims == 0, !c.Parsed() && w.Bytes == 0:
		return ""
	case c.Parsed() && w.Interims > 0:
		return fmt.Sprintf(" after %s and %s", printer.Count(int64(w.Finals), "response"), printer.Count(int64(w.Interims), "interim response"))
	case c.Parsed():
		return " after " + printer.Count(int64(w.Finals), "response")
	}
	return fmt.Sprintf(" after %s of the server, or %s of silence", printer.Count(w.Bytes, "byte"), printer.Duration(w.Quiet))
}
