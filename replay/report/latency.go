package report

import (
	"fmt"
	"strings"
	"time"

	"netlab/decode/printer"
	"netlab/replay/latency"
)

// maxRows bounds the endpoints whose latencies are printed for people.
const maxRows = 10

// writeRows writes how long answers took by endpoint, when there are several or one is
// slower.
func writeRows(b *strings.Builder, rows []latency.Row) {
	if len(rows) == 0 || len(rows) == 1 && len(rows[0].Slower) == 0 {
		return
	}
	b.WriteString("latency by endpoint, in the recording > now:\n")
	for i := range rows {
		r := &rows[i]
		if i >= maxRows && len(r.Slower) == 0 {
			fmt.Fprintf(b, "  and %s more (--json lists all)\n", printer.Count(int64(len(rows)-i), "endpoint"))
			break
		}
		fmt.Fprintf(b, "  p50 %s, p90 %s, p99 %s  %s\n", both(r, .5), both(r, .9), both(r, .99), printer.Clean(r.Endpoint))
		for _, why := range r.Slower {
			fmt.Fprintf(b, "    slower for certain: %s\n", printer.Clean(why))
		}
	}
}

func both(r *latency.Row, q float64) string {
	at := func(list []time.Duration) string {
		if len(list) == 0 {
			return "-"
		}
		return printer.Duration(latency.Quantile(list, q))
	}
	return at(r.Recorded) + " > " + at(r.Live)
}

type latencyRecord struct {
	Type       string          `json:"type"` // "latency"
	Endpoint   string          `json:"endpoint"`
	Count      int             `json:"count"`
	RecordedMS *quantileRecord `json:"recorded_latency_ms,omitempty"`
	LiveMS     *quantileRecord `json:"latency_ms,omitempty"`
	PlannedMS  *quantileRecord `json:"latency_from_due_ms,omitempty"`
	Slower     []string        `json:"slower,omitempty"`
}

// Latency writes an endpoint each.
func (j *JSON) Latency(rows []latency.Row) error {
	for i := range rows {
		r := &rows[i]
		if err := j.enc.Encode(latencyRecord{"latency", r.Endpoint, r.Answers, sorted(r.Recorded), sorted(r.Live), sorted(r.Planned), r.Slower}); err != nil {
			return err
		}
	}
	return nil
}

func sorted(list []time.Duration) *quantileRecord {
	if len(list) == 0 {
		return nil
	}
	at := func(q float64) float64 { return float64(latency.Quantile(list, q)) / 1e6 }
	return &quantileRecord{at(.5), at(.9), at(.99), at(1)}
}
