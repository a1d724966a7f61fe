package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/pcaps"
	"netlab/pcaps/samples"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func planOf(t *testing.T, name string) *plan.Plan {
	t.Helper()
	data, err := samples.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pcaps.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	k := &plan.Collector{}
	if _, err := decode.Run(f, k.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	return k.Plan()
}

// tell tells a report of one outcome of each kind, in no order.
func tell(t *testing.T, r report.Report) {
	t.Helper()
	p := planOf(t, "http1-keepalive")
	greeting := planOf(t, "tcp-greeting").Conns[0]
	c := p.Conns[0]
	sent := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	outcomes := []replay.Outcome{
		{Conn: greeting, Check: &greeting.Checks[1], Verdict: compare.Failed, Reason: "no answer for 10s", RecordedLatency: -1, Latency: -1, Late: -1},
		{Conn: c, Check: &c.Checks[1], Verdict: compare.Different, Live: "500 Oh\x1b[2J no", Sent: sent, RecordedLatency: time.Millisecond, Latency: 2 * time.Millisecond, Late: 30 * time.Microsecond,
			Differences: []compare.Difference{
				{Kind: compare.Status, Path: "status", Recorded: "201 Created", Live: "500 Oh\x1b[2J no", Offset: -1},
				{Kind: compare.Missing, Path: "header location", Recorded: `"/users/8"`, Offset: -1},
				{Kind: compare.Value, Path: "body", Recorded: `"{"`, Live: `"x"`, Offset: 0},
			}},
		{Conn: c, Check: &c.Checks[0], Verdict: compare.Same, Live: "200 OK, 36 bytes", Sent: sent, RecordedLatency: time.Millisecond, Latency: time.Millisecond, Pass: 2},
		{Conn: greeting, Check: &greeting.Checks[3], Verdict: compare.Skipped, Reason: "no answer in the recording", RecordedLatency: -1, Latency: -1, Late: -1},
	}
	for i := range outcomes {
		replay.Describe(&outcomes[i])
		if err := r.Outcome(&outcomes[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []replay.ConnOutcome{
		{Conn: greeting, Verdict: compare.Failed, Reason: "no answer for 10s", Opened: true},
		{Conn: c, Verdict: compare.Different, Reason: "the server left the connection open, and had closed it", Opened: true, Pass: 2},
	} {
		if err := r.Connection(&x); err != nil {
			t.Fatal(err)
		}
	}
	result := &replay.Result{
		Checks: [compare.VerdictCount]int64{1, 1, 1, 1}, Conns: [compare.VerdictCount]int64{0, 1, 1, 0},
		Opened: 2, Bytes: 1234, Took: 1500 * time.Millisecond,
		Slip: hdrhistogram.New(1, 1e6, 3), Recorded: hdrhistogram.New(1, 1e6, 3), Live: hdrhistogram.New(1, 1e6, 3),
		Planned: hdrhistogram.New(1, 1e6, 3), Waited: hdrhistogram.New(1, 1e6, 3), Passes: 2,
	}
	for _, us := range []int64{10, 20, 900} {
		if err := errors.Join(result.Slip.RecordValue(us), result.Recorded.RecordValue(us*10), result.Live.RecordValue(us*20),
			result.Planned.RecordValue(us*30), result.Waited.RecordValue(us*40)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Result(result); err != nil {
		t.Fatal(err)
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	tell(t, report.NewText(&out))
	golden(t, "text", out.String())
	if strings.Contains(out.String(), "\x1b") {
		t.Error("an escape of the server reached the terminal")
	}
}

func TestTextAll(t *testing.T) {
	var out bytes.Buffer
	r := report.NewText(&out)
	r.All = true
	tell(t, r)
	golden(t, "all", out.String())
}

// TestJSON wants every line to be JSON, and the sums to be whole.
func TestJSON(t *testing.T) {
	var out bytes.Buffer
	tell(t, report.NewJSON(&out))
	golden(t, "json", out.String())
	var last map[string]any
	for line := range strings.Lines(out.String()) {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	answers := last["answers"].(map[string]any)
	if last["type"] != "replay" || answers["recorded"] != answers["same"].(float64)+answers["different"].(float64)+answers["failed"].(float64)+answers["skipped"].(float64) {
		t.Errorf("%v", last)
	}
}

// result is of a replay of nothing.
func result() *replay.Result {
	none := hdrhistogram.New(1, 10, 1)
	return &replay.Result{Slip: none, Live: none, Recorded: none, Planned: none, Waited: none}
}

// outcomeOf is the outcome of a check that nothing became of yet.
func outcomeOf(c *plan.Conn, index int) *replay.Outcome {
	o := &replay.Outcome{Conn: c, Check: &c.Checks[index], Verdict: compare.Different}
	replay.Describe(o)
	return o
}

// TestManyOutcomes prints some and counts all.
func TestManyOutcomes(t *testing.T) {
	var out bytes.Buffer
	r := report.NewText(&out)
	c := planOf(t, "tcp-hello").Conns[0]
	for i := range 1500 {
		if err := r.Outcome(&replay.Outcome{Conn: c, Check: &c.Checks[0], Verdict: compare.Failed, Reason: fmt.Sprint("no ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Result(result()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "failed  "); n != 1000 || !strings.Contains(out.String(), "and 500 more") {
		t.Errorf("%d printed", n)
	}
}

func TestDryRunOfEverySample(t *testing.T) {
	for _, s := range samples.List() {
		var out bytes.Buffer
		p := planOf(t, s.Name)
		if err := report.DryRun(&out, p); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if !strings.HasSuffix(out.String(), report.Replayability(p)+"\n") || strings.ContainsAny(out.String(), "\x1b\x00") {
			t.Errorf("%s:\n%s", s.Name, &out)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	if err := report.DryRun(full{}, planOf(t, "tcp-hello")); !errors.Is(err, errFull) {
		t.Errorf("dry run: %v", err)
	}
	c := planOf(t, "tcp-hello").Conns[0]
	if err := report.NewJSON(full{}).Connection(&replay.ConnOutcome{Conn: c}); !errors.Is(err, errFull) {
		t.Errorf("json: %v", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
