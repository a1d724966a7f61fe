package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"netlab/pcaps/craft"
	"netlab/replay/replaytest"
)

// manyAsked writes a recording of connections with an exchange each, one behind the other,
// and so many bytes in each request.
func manyAsked(t *testing.T, conns, size int) string {
	t.Helper()
	var recipe strings.Builder
	for i := range conns {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\nc%d > \"PUT /%d HTTP/1.1\\r\\nHost: a.example\\r\\nContent-Length: %d\\r\\n\\r\\n\" %d * \"x\"\nc%d < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\nc%d close\n", i, 20000+i, i, i, i, size, size, i, i)
	}
	b, err := craft.Recipe(strings.NewReader(recipe.String()))
	if err != nil {
		t.Fatal(err)
	}
	return saved(t, b)
}

// sums are the last line of --json, and how many lines of a kind stand before it.
type sums struct {
	Answers, Connections map[string]int64
	Unread               int64
	Canceled             bool
	told                 map[string]int64
}

func readSums(t *testing.T, out string) *sums {
	t.Helper()
	s := &sums{told: make(map[string]int64)}
	for line := range strings.Lines(out) {
		var kind struct{ Type string }
		if err := json.Unmarshal([]byte(line), &kind); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if s.told[kind.Type]++; kind.Type == "replay" {
			if err := json.Unmarshal([]byte(line), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

// check wants the account of so many answers and connections to be exact.
func (s *sums) check(t *testing.T, all int64) {
	t.Helper()
	for what, account := range map[string]map[string]int64{"answers": s.Answers, "connections": s.Connections} {
		if sum := account["same"] + account["different"] + account["failed"] + account["skipped"]; sum != all || account["recorded"] != all {
			t.Errorf("%d %s recorded, and these are accounted for: %v", all, what, account)
		}
	}
	if told := s.told["outcome"]; told+s.Unread != all {
		t.Errorf("%d outcomes were told, %d unread, of %d", told, s.Unread, all)
	}
}

// answering serves each connection one answer on loopback, and tells when it was asked.
func answering(t *testing.T, asked func()) string {
	t.Helper()
	return replaytest.Serve(t, func(c net.Conn) {
		q, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return
		}
		asked()
		io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
		io.Copy(io.Discard, c)
	})
}

// TestReplayDiskFills has no room for what is told: that is said with the file's name, and
// whoever can still be told gets an account that sums.
func TestReplayDiskFills(t *testing.T) {
	const all = 40
	file, target := manyAsked(t, all, 10), answering(t, func() {})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("there is no disk that is full: %v", err)
	}
	defer full.Close()
	for _, form := range []string{"text", "json"} {
		args := []string{"netlab", "replay", file, "--to", target, "--speed", "max", "--report", "json=report.json"}
		t.Run("stdout_"+form, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if form == "json" {
				args = append(args, "--json")
			}
			var errs bytes.Buffer
			code := run(t.Context(), args, strings.NewReader(""), full, &errs)
			if code != exitFailed || !strings.Contains(errs.String(), "write /dev/full: no space left on device") {
				t.Errorf("exit status %d: %s", code, &errs)
			}
			report, err := os.ReadFile("report.json")
			if err != nil {
				t.Fatal(err)
			}
			readSums(t, string(report)).check(t, all)
		})
	}
	for _, form := range []string{"json", "junit", "html"} {
		t.Run("report_"+form, func(t *testing.T) {
			code, out, errs := netlab(t, "replay", file, "--to", target, "--speed", "max", "--json", "--report", form+"=/dev/full")
			if code != exitFailed || !strings.Contains(errs, "write /dev/full: no space left on device") {
				t.Errorf("exit status %d: %s", code, errs)
			}
			readSums(t, out).check(t, all)
		})
	}
}

// TestReplayInterrupted stops a replay in its middle, of a recording that is held and of one
// that is streamed: what was done is told, and all is accounted for.
func TestReplayInterrupted(t *testing.T) {
	const all = 400
	file := manyAsked(t, all, 40000)
	t.Setenv("GOMEMLIMIT", "off") // --memory would set one for all tests
	for name, memory := range map[string]string{"held": "512MiB", "streamed": "32MiB"} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			var mu sync.Mutex
			asked := 0
			target := answering(t, func() {
				mu.Lock()
				defer mu.Unlock()
				if asked++; asked == 20 {
					interrupt()
				}
			})
			var out, errs bytes.Buffer
			code := run(ctx, []string{"netlab", "replay", file, "--to", target, "--speed", "max", "--connections", "2", "--json", "--memory", memory}, strings.NewReader(""), &out, &errs)
			s := readSums(t, out.String())
			s.check(t, all)
			if code != exitCanceled || !s.Canceled || s.Answers["same"] < 10 || s.Answers["skipped"] < all/2 || s.Answers["failed"] > 0 {
				t.Errorf("exit status %d, answers %v, %d unread: %s", code, s.Answers, s.Unread, &errs)
			}
			if streamed := name == "streamed"; streamed != (s.Unread > 0) {
				t.Errorf("%d unread", s.Unread)
			}
		})
	}
}
