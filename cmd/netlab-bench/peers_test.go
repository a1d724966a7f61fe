package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// timeout is more than anything here takes.
const timeout = time.Minute

func TestChild(t *testing.T) {
	for _, c := range []struct {
		args    string
		started bool
		failure string
	}{
		{"true", true, ""},
		{"false", true, "exit status 1"},
		{"ls /nonexistent", true, "exit status 2: ls: "},
		{"/nonexistent", false, "no such file"},
	} {
		run := child{args: strings.Fields(c.args)}
		res := run.run(t.Context())
		if res.started != c.started || !strings.HasPrefix(res.failure, c.failure) && !strings.Contains(res.failure, c.failure) || c.failure == "" && res.failure != "" {
			t.Errorf("%s: %+v", c.args, res)
		}
		if res.started && res.wall <= 0 {
			t.Errorf("%s took no time", c.args)
		}
	}
}

// TestOnce runs commands as the contest does: with a limit to their time, and
// with what they write taken away.
func TestOnce(t *testing.T) {
	c := contest{scratch: t.TempDir(), timeout: timeout}
	for line, want := range map[string]string{
		"true":                      "",
		"false":                     "exit status 1",
		"cp {file} {scratch}/there": "",
		"a-program-nobody-has":      "executable file not found",
	} {
		res, err := c.once(t.Context(), command{line: line}, "peers_test.go")
		if err != nil || !strings.Contains(res.failure, want) || want == "" && res.failure != "" {
			t.Errorf("%s: %+v, %v", line, res, err)
		}
	}
	c.timeout = time.Millisecond
	if res, err := c.once(t.Context(), command{line: "sleep 60"}, ""); err != nil || !strings.HasPrefix(res.failure, "ended after") {
		t.Errorf("sleep: %+v, %v", res, err)
	}
	if left, err := os.ReadDir(c.scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPeers runs the whole contest on one workload, with what is in the house.
func TestPeers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "dns10.pcap")
	truth, err := generate(t.Context(), workload{generate: makeDNS}, file, 1, 500)
	if err != nil {
		t.Fatal(err)
	}
	if err := truth.write(file); err != nil {
		t.Fatal(err)
	}
	peers := func() (int, string) {
		status, out, _ := bench(t, "peers", "-size", "quick", "-dir", dir, "-netlab", self, "-rounds", "2", "-only", "dns10/,http10/", "-skip", "workers,stats,gopacket,tcpflow,tshark")
		return status, out
	}
	status, out := peers()
	if status != exitDone {
		t.Errorf("exit status %d", status)
	}
	for _, want := range []string{"## dns10.pcap", "1,000 packets; 2 rounds", "| netlab --json |", "## http10.pcap\n\nNot measured", "- dns10: right: 1,000 packets, 100 conversations, 500 complete"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}

	truth.Responses--
	if err := truth.write(file); err != nil {
		t.Fatal(err)
	}
	if status, _ := peers(); status != exitDone {
		t.Error("more answers than anybody read are no mistake where requests are as many")
	}
	truth.Packets++
	if err := truth.write(file); err != nil {
		t.Fatal(err)
	}
	if status, out := peers(); status != exitWrong || !strings.Contains(out, "- dns10: WRONG: 1,000 packets, not 1,001") {
		t.Errorf("exit status %d for:\n%s", status, out)
	}
}

// TestPeersCount holds the peers that are ours against the truth.
func TestPeersCount(t *testing.T) {
	data, truth, _ := made(t, makeSmall, 1, 300)
	file := filepath.Join(t.TempDir(), "small.pcap")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, walked, _ := bench(t, "walk", file)
	if want := fmt.Sprintf("%d packets, %d 5-tuples, ", truth.Packets, truth.Conversations); !strings.HasPrefix(walked, want) {
		t.Errorf("walk-go: %s, not %s", walked, want)
	}
	for mode, want := range map[string]string{
		"layers":      fmt.Sprintf("%d packets, 0 streams", truth.Packets),
		"tcpassembly": fmt.Sprintf("%d packets, %d streams, %d bytes", truth.Packets, 2*truth.Conversations, truth.Streams.Bytes),
		"http":        fmt.Sprintf(" %d requests, %d responses", truth.Requests, truth.Responses),
	} {
		if _, got, _ := bench(t, "gopacket", mode, file); !strings.Contains(got, want) {
			t.Errorf("gopacket %s: %s, not %s", mode, got, want)
		}
	}

	walk := filepath.Join(t.TempDir(), "walk")
	if err := compile(t.Context(), walk); err != nil {
		t.Skipf("walk-c is not tried: %v", err)
	}
	got, err := exec.Command(walk, file).Output()
	if err != nil || string(got) != walked {
		t.Errorf("walk-c: %s, %v, but walk-go: %s", got, err, walked)
	}
}

// TestAgainst has every number of the truth be wrong in turn.
func TestAgainst(t *testing.T) {
	_, truth, got := made(t, makeSmall, 1, 50)
	for name, change := range map[string]func(*Truth){
		"packets":       func(t *Truth) { t.Packets++ },
		"conversations": func(t *Truth) { t.Conversations++ },
		"requests":      func(t *Truth) { t.Requests++ },
		"fewer":         func(t *Truth) { t.Requests-- },
		"responses":     func(t *Truth) { t.Responses++ },
		"bytes":         func(t *Truth) { t.Streams.Bytes++ },
		"retransmitted": func(t *Truth) { t.Streams.Retransmitted++ },
		"out of order":  func(t *Truth) { t.Streams.OutOfOrder++ },
	} {
		other, streams := truth, *truth.Streams
		other.Streams = &streams
		change(&other)
		if len(got.against(other, "http")) == 0 {
			t.Errorf("%s: it is not noticed", name)
		}
	}
	if len(got.against(truth, "dns")) == 0 {
		t.Error("another protocol is not noticed")
	}
	if _, err := count(strings.NewReader(`{"type":"http"}`)); err == nil {
		t.Error("a missing last record is not noticed")
	}
}

func TestTable(t *testing.T) {
	ran := func(seconds ...float64) []result {
		var runs []result
		for _, s := range seconds {
			d := time.Duration(s * float64(time.Second))
			runs = append(runs, result{wall: d, user: d / 2, system: d / 4, peak: 64 << 20, floor: 20 << 20, started: true})
		}
		return runs
	}
	full := table{
		workload: workload{name: "small", what: "small packets"}, rounds: 3, machine: "a machine, 2 cores",
		truth: Truth{FileBytes: 590_000_000, Packets: 4_900_000},
		rows: []row{
			{"broken", []result{{failure: "exit status 1: a|b"}}},
			{"walk-c", ran(0.5, 0.25, 1)},
			{"netlab", ran(2, 1.5, 3)},
			{"tiny", []result{{wall: time.Second, peak: 20 << 20, floor: 20 << 20}}},
		},
	}
	tenth := table{workload: workload{name: "small10", tenth: true}, truth: Truth{Packets: 490_000}, rows: []row{{"netlab", ran(0.2)}}}
	var out bytes.Buffer
	full.print(&out)
	printGrowth(&out, []table{full, tenth})
	want := `## small.pcap

small packets: 590 MB, 4,900,000 packets; 3 rounds; a machine, 2 cores

| command | wall s (median) | min..max | user+sys s | peak MiB | MB/s | kpkt/s | × walk-c |
|---|---|---|---|---|---|---|---|
| broken | failed: exit status 1: a\|b | | | | | | |
| walk-c | 0.50 | 0.25..1.00 | 0.25+0.12 | 64.0 | 1180 | 9800 | 1.00 |
| netlab | 2.00 | 1.50..3.00 | 1.00+0.50 | 64.0 | 295 | 2450 | 4.00 |
| tiny | 1.00 | 1.00..1.00 | 0.000+0.000 | ≤ 20.0 | 590 | 4900 | 2.00 |

## Growth

| command | files | packets | wall | peak MiB |
|---|---|---|---|---|
| netlab | small10 to small | × 10.0 | × 10.0 | 64.0 to 64.0 |

`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

// TestGrowth wants a line for each step of each workload, whatever the times are.
func TestGrowth(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	status, out, errs := bench(t, "growth", "-size", "2", "-rounds", "1", "-netlab", self)
	if status != exitDone && status != exitWrong {
		t.Fatalf("exit status %d: %s", status, errs)
	}
	for _, want := range []string{"| small | netlab --stats | ", "| dns | netlab --json | "} {
		if n := strings.Count(out, want); n != 2 {
			t.Errorf("%d lines of %q\n%s", n, want, out)
		}
	}
	if status, _, errs := bench(t, "growth", "-size", "2", "-rounds", "1", "-netlab", filepath.Join(t.TempDir(), "none")); status != exitFailed || !strings.Contains(errs, "none") {
		t.Errorf("exit status %d with no netlab: %s", status, errs)
	}
}
