package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/noise"
)

// JSON writes a record for each answer and connection as it is known, and one
// with the sums at the end.
type JSON struct{ enc *json.Encoder }

// NewJSON returns a report to w.
func NewJSON(w io.Writer) *JSON { return &JSON{json.NewEncoder(w)} }

type outcomeRecord struct {
	Type         string             `json:"type"` // "outcome"
	Pass         int                `json:"pass,omitempty"`
	Conversation int                `json:"conversation"`
	Index        int                `json:"index"`
	Protocol     string             `json:"protocol"`
	Verdict      string             `json:"verdict"`
	Reason       string             `json:"reason,omitempty"`
	Request      string             `json:"request"`
	Recorded     string             `json:"recorded"`
	Live         string             `json:"live"`
	Sent         *time.Time         `json:"sent,omitempty"`
	LateMS       *float64           `json:"late_ms,omitempty"` // behind the schedule
	SlipMS       float64            `json:"slip_ms,omitempty"` // of that, what no answer had to do with
	RecordedMS   *float64           `json:"recorded_latency_ms,omitempty"`
	LiveMS       *float64           `json:"latency_ms,omitempty"`
	Packet       int64              `json:"packet,omitempty"`
	AnswerPacket int64              `json:"answer_packet,omitempty"`
	Endpoint     string             `json:"endpoint,omitempty"`
	Digest       bool               `json:"by_digest,omitempty"` // too large to keep
	Differences  []differenceRecord `json:"differences,omitempty"`
	Noise        []differenceRecord `json:"noise,omitempty"`
}

type differenceRecord struct {
	Kind     string `json:"kind"`
	Path     string `json:"path"`
	Recorded string `json:"recorded"`
	Live     string `json:"live"`
	Offset   *int64 `json:"offset,omitempty"`
	More     int    `json:"more,omitempty"` // at the same place
}

type noiseRecord struct {
	Type     string `json:"type"` // "noise"
	Endpoint string `json:"endpoint"`
	Kind     string `json:"kind"`
	Place    string `json:"place"`
	Varied   int    `json:"varied"` // of so many pairs of right answers
	Pairs    int    `json:"pairs"`
	Differed int    `json:"differed"` // of so many answers from the recorded
	Compared int    `json:"compared"`
	Excused  int    `json:"excused"`
	Shape    string `json:"shape,omitempty"`
}

type connectionRecord struct {
	Type         string `json:"type"` // "connection"
	Pass         int    `json:"pass,omitempty"`
	Conversation int    `json:"conversation"`
	Verdict      string `json:"verdict"`
	Reason       string `json:"reason,omitempty"`
	Opened       bool   `json:"opened"`
	Redials      int    `json:"redials,omitempty"`
}

type replayRecord struct {
	Type        string           `json:"type"` // "replay", last
	Answers     map[string]int64 `json:"answers"`
	Connections map[string]int64 `json:"connections"`
	Opened      int64            `json:"opened"`
	Redialled   int64            `json:"redialled,omitempty"`
	Unread      int64            `json:"unread,omitempty"`
	BytesSent   int64            `json:"bytes_sent"`
	TookMS      float64          `json:"took_ms"`
	Canceled    bool             `json:"canceled"`
	CutMS       float64          `json:"cut_ms,omitempty"`
	SlipMS      *quantileRecord  `json:"slip_ms,omitempty"`
	LatencyMS   *quantileRecord  `json:"latency_ms,omitempty"`
	PlannedMS   *quantileRecord  `json:"latency_from_due_ms,omitempty"`
	Waited      int64            `json:"waited_for_a_place,omitempty"`
	WaitedMS    *quantileRecord  `json:"waited_for_a_place_ms,omitempty"`
	Passes      int              `json:"passes,omitempty"`
	Values      *valuesRecord    `json:"values,omitempty"`
	RecordedMS  *quantileRecord  `json:"recorded_latency_ms,omitempty"`
	Noise       int64            `json:"noise,omitempty"` // differences that are none
	Notes       []string         `json:"notes,omitempty"`
}

type quantileRecord struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Outcome writes one answer.
func (j *JSON) Outcome(o *replay.Outcome) error {
	r := outcomeRecord{
		Type: "outcome", Pass: o.Pass, Conversation: o.Conn.ID, Index: o.Check.Index, Protocol: o.Conn.Protocol.Name, Verdict: o.Verdict.String(),
		Reason: o.Reason, Request: o.Request, Recorded: o.Recorded, Live: o.Live,
		RecordedMS: millis(o.RecordedLatency), LiveMS: millis(o.Latency),
		LateMS: millis(o.Late), SlipMS: float64(o.Slip) / 1e6,
	}
	if !o.Sent.IsZero() {
		sent := o.Sent.UTC()
		r.Sent = &sent
	}
	if e := o.Check.Exchange; e != nil {
		if e.Request != nil {
			r.Packet = e.Request.Packet
		}
		if e.Response != nil {
			r.AnswerPacket = e.Response.Packet
		}
	} else {
		r.Packet, r.AnswerPacket = o.Check.Turn.Packet, o.Check.Turn.AnswerPacket
	}
	r.Endpoint = noise.EndpointOf(o)
	r.Digest = o.Digest
	r.Differences, r.Noise = differencesOf(o.Differences), differencesOf(o.Noise)
	return j.enc.Encode(r)
}

func differencesOf(list []compare.Difference) []differenceRecord {
	var out []differenceRecord
	for _, d := range list {
		x := differenceRecord{Kind: d.Kind.String(), Path: d.Path, Recorded: d.Recorded, Live: d.Live, More: d.More}
		if d.Offset >= 0 {
			x.Offset = &d.Offset
		}
		out = append(out, x)
	}
	return out
}

// Noise writes what was learned.
func (j *JSON) Noise(list []noise.Evidence) error {
	for _, e := range list {
		if err := j.enc.Encode(noiseRecord{"noise", e.Endpoint, e.Kind.String(), e.Place, e.Varied, e.Pairs, e.Differed, e.Compared, e.Excused, e.Shape.String()}); err != nil {
			return err
		}
	}
	return nil
}

// Connection writes one connection.
func (j *JSON) Connection(c *replay.ConnOutcome) error {
	return j.enc.Encode(connectionRecord{"connection", c.Pass, c.Conn.ID, c.Verdict.String(), c.Reason, c.Opened, c.Redials})
}

// Result writes the sums.
func (j *JSON) Result(r *replay.Result) error {
	return j.enc.Encode(replayRecord{
		Type: "replay", Answers: account(r.Checks), Connections: account(r.Conns), Opened: r.Opened, Redialled: r.Redialled, Unread: r.Unread, BytesSent: r.Bytes,
		TookMS: float64(r.Took) / 1e6, Canceled: r.Canceled,
		CutMS: float64(r.Cut) / 1e6, SlipMS: quantilesOf(r.Slip), LatencyMS: quantilesOf(r.Live), RecordedMS: quantilesOf(r.Recorded),
		PlannedMS: quantilesOf(r.Planned), Waited: r.Waited.TotalCount(), WaitedMS: quantilesOf(r.Waited), Passes: r.Passes, Values: valuesOf(r.Values),
		Noise: r.Noise, Notes: r.Notes,
	})
}

func account(counts [compare.VerdictCount]int64) map[string]int64 {
	m := map[string]int64{"recorded": 0}
	for v, n := range counts {
		m[compare.Verdict(v).String()] = n
		m["recorded"] += n
	}
	return m
}

func millis(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	ms := float64(d) / 1e6
	return &ms
}

func quantilesOf(h *hdrhistogram.Histogram) *quantileRecord {
	if h.TotalCount() == 0 {
		return nil
	}
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	return &quantileRecord{at(50), at(90), at(99), at(100)}
}
