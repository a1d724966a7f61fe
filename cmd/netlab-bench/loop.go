package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// loopCommand closes the loop over captures: what netlab serve answers from one, netlab
// replay has to find the same.
func loopCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("loop", flag.ContinueOnError)
	netlab := fs.String("netlab", "bin/netlab", "the netlab to run")
	least := fs.Float64("min", 95, "the share of conversations, in percent, that has to be the same")
	timeout := fs.Duration("timeout", 5*time.Second, "of each answer")
	only := fs.String("only", "", "only files whose names have this in them")
	err := std.parse(fs, args, "FILE|DIR...", "For each capture, netlab serve stands in for all recorded servers, on loopback, and netlab replay --speed max\nsends what the clients said and compares. The share of conversations that are the same is printed.")
	if err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return usageError("over which captures?")
	}
	files, err := captures(fs.Args())
	if err != nil {
		return err
	}
	var all loopResult
	for _, file := range files {
		if !strings.Contains(filepath.Base(file), *only) {
			continue
		}
		begin := time.Now()
		r, err := closeLoop(ctx, *netlab, file, *timeout)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		r.took = time.Since(begin)
		r.print(std.out, filepath.Base(file))
		all.add(r)
	}
	fmt.Fprintf(std.out, "\n%d captures: %d the same, %d of which nothing can be replayed, %d not\n", all.files, all.sameFiles, all.emptyFiles, all.files-all.sameFiles-all.emptyFiles)
	fmt.Fprintf(std.out, "%d conversations: %d left out, each for a reason, and of the others %d of %d are the same (%.1f %%), with %d answers compared\n",
		all.same+all.different+all.left, all.left, all.same, all.same+all.different, all.share(), all.compared)
	if all.share() < *least {
		return errShare
	}
	return nil
}

// errShare means that too few conversations were the same, which was printed already.
var errShare = errors.New("too few conversations are the same")

// captures lists files, those in directories too.
func captures(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && (path == arg || strings.Contains(filepath.Base(path), ".pcap")) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// loopResult is what became of the conversations of a capture.
type loopResult struct {
	same, different, left int // conversations
	compared              int // answers
	reasons               map[string]int
	findings              []string // about those that are not the same
	status                int      // of replay
	took                  time.Duration

	files, sameFiles, emptyFiles int
}

// share is that of the conversations that are the same, in percent.
func (r *loopResult) share() float64 {
	if r.same+r.different == 0 {
		return 100
	}
	return 100 * float64(r.same) / float64(r.same+r.different)
}

func (r *loopResult) add(x *loopResult) {
	r.same += x.same
	r.different += x.different
	r.left += x.left
	r.compared += x.compared
	r.files++
	switch {
	case x.different > 0:
	case x.compared == 0:
		r.emptyFiles++
	default:
		r.sameFiles++
	}
}

// most bounds the findings that are printed of a capture.
const most = 5

func (r *loopResult) print(w io.Writer, name string) {
	word := "same"
	switch {
	case r.different > 0:
		word = "NOT SAME"
	case r.compared == 0:
		word = "nothing"
	}
	fmt.Fprintf(w, "%-8s  %s: %d of %d conversations are the same, %d answers compared, %d left out, exit status %d, in %.1f s\n",
		word, name, r.same, r.same+r.different, r.compared, r.left, r.status, r.took.Seconds())
	for i, f := range r.findings {
		if i == most {
			fmt.Fprintf(w, "          and %d more\n", len(r.findings)-most)
			break
		}
		fmt.Fprintf(w, "          %s\n", f)
	}
	for _, why := range slices.SortedFunc(maps.Keys(r.reasons), func(a, b string) int {
		return cmp.Or(r.reasons[b]-r.reasons[a], strings.Compare(a, b))
	}) {
		fmt.Fprintf(w, "          left out: %d %s\n", r.reasons[why], why)
	}
}

// loopRecord is any record that serve and replay print.
type loopRecord struct {
	Type, Address, Server, Verdict, Reason, Request, Recorded, Live string
	Conversation, Index                                             int
	Differences                                                     []struct{ Path, Recorded, Live string }
	Answers                                                         json.RawMessage
	Count                                                           int `json:"-"`
}

// answersOf is how many answers a record says cannot be given.
func answersOf(x *loopRecord) int {
	n, err := strconv.Atoi(string(x.Answers))
	if err != nil {
		return 0
	}
	return n
}

// records calls f for each record of JSON Lines, until it returns false.
func records(r io.Reader, f func(*loopRecord) bool) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var x loopRecord
			if e := json.Unmarshal(line, &x); e != nil {
				return fmt.Errorf("%q: %w", line, e)
			}
			if !f(&x) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// closeLoop serves a capture and replays it.
func closeLoop(ctx context.Context, netlab, file string, timeout time.Duration) (*loopResult, error) {
	res := &loopResult{reasons: make(map[string]int)}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, netlab, "serve", file, "--all", "--listen", "127.0.0.1:0", "--json", "--quiet")
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGINT) }
	server.WaitDelay = 5 * time.Second
	var said tail
	server.Stderr = &said
	out, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	at := make(map[string]string)
	cannot := make(map[int]loopRecord)
	err = records(out, func(x *loopRecord) bool {
		switch x.Type {
		case "listening":
			at[x.Server] = x.Address
		case "cannot_give":
			n := cannot[x.Conversation].Count + answersOf(x)
			cannot[x.Conversation] = loopRecord{Reason: x.Reason, Count: n}
		}
		return x.Type != "ready"
	})
	stop := func() {
		server.Process.Signal(syscall.SIGINT)
		io.Copy(io.Discard, out)
		server.Wait()
	}
	if len(at) == 0 {
		stop()
		if code := server.ProcessState.ExitCode(); err == nil && code != 3 {
			err = fmt.Errorf("netlab serve: exit status %d: %s", code, said.lastWords())
		}
		res.status = 3
		res.reasons["nothing: "+said.lastWords()] = 1
		return res, err
	}
	defer stop()
	if err != nil {
		return nil, err
	}
	args := []string{"replay", file, "--speed", "max", "--json", "--timeout", timeout.String()}
	for _, recorded := range slices.Sorted(maps.Keys(at)) {
		args = append(args, "--map", recorded+"="+at[recorded])
	}
	return res, res.replay(ctx, netlab, args, cannot)
}

// count takes note of a conversation.
func (r *loopResult) count(x *loopRecord, compared int, why string, findings []string) {
	r.compared += compared
	switch {
	case x.Verdict == "skipped":
		r.left++
		r.reasons[x.Reason]++
	case compared == 0:
		r.left++
		r.reasons[why]++
	case x.Verdict == "same":
		r.same++
	default:
		r.different++
		r.findings = append(r.findings, fmt.Sprintf("#%d %s %s", x.Conversation, x.Verdict, x.Reason))
		r.findings = append(r.findings, findings...)
	}
}

// replay runs netlab replay and takes note of what became of each conversation.
func (r *loopResult) replay(ctx context.Context, netlab string, args []string, cannot map[int]loopRecord) error {
	player := exec.CommandContext(ctx, netlab, args...)
	var said tail
	player.Stderr = &said
	out, err := player.StdoutPipe()
	if err != nil {
		return err
	}
	if err := player.Start(); err != nil {
		return err
	}
	findings := make(map[int][]string)
	compared := make(map[int]int)
	why := make(map[int]string) // answers were not compared
	err = records(out, func(x *loopRecord) bool {
		if x.Type == "connection" {
			n := compared[x.Conversation]
			because := cmp.Or(cannot[x.Conversation].Reason, why[x.Conversation], "nothing was answered")
			if k := cannot[x.Conversation].Count; k > 0 && len(findings[x.Conversation]) > 0 && len(findings[x.Conversation]) <= k {
				n, because = 0, "not served: "+because // what is not as it was is what cannot be given
			}
			r.count(x, n, because, findings[x.Conversation])
		}
		if x.Type != "outcome" {
			return true
		}
		what := fmt.Sprintf("#%d.%d %s", x.Conversation, x.Index, x.Request)
		switch x.Verdict {
		case "different":
			findings[x.Conversation] = append(findings[x.Conversation], fmt.Sprintf("%s > %s, was %s: %v", what, x.Live, x.Recorded, x.Differences))
		case "failed":
			findings[x.Conversation] = append(findings[x.Conversation], what+": "+x.Reason)
		case "skipped":
			why[x.Conversation] = x.Reason
			return true
		}
		compared[x.Conversation]++
		return true
	})
	waited := player.Wait()
	if r.status = player.ProcessState.ExitCode(); r.status != 0 && r.status != 1 && r.status != 3 {
		return fmt.Errorf("netlab replay: %w: %s", waited, said.lastWords())
	}
	return err
}
