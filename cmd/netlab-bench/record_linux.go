package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What is recorded, and how long that may take.
const (
	recordConnections = 64
	recordTime        = 2 * time.Minute // on the slowest machine; a fast one is done in ten seconds
	recordBuffer      = 256 << 10       // KiB that tcpdump may fall behind
	recordAddr        = "127.0.0.1:8080"
	recordStatus      = "127.0.0.1:8081"
)

// record records wrk talking to nginx, until the file has about this many bytes.
// All of it runs in namespaces of its own, where the ports are free, nobody else's
// packets pass, and all processes end with the first.
func record(ctx context.Context, file string, size int64) (Truth, error) {
	var t Truth
	for _, program := range []string{"nginx", "wrk", "tcpdump"} {
		if _, err := find(program); err != nil {
			return t, missing(program + " is not installed; it takes nginx, wrk and tcpdump to record this")
		}
	}
	self, err := os.Executable()
	if err != nil {
		return t, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), "record-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	if err := writeSite(dir, 1); err != nil {
		return t, fmt.Errorf("write what nginx serves: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*recordTime)
	defer cancel()
	var known tail
	c := child{args: []string{self, "record", dir, file, strconv.FormatInt(size, 10)}, out: &known, isolated: true}
	switch res := c.run(ctx); {
	case !res.started:
		return t, missing("no network of its own can be made for it (" + res.failure + "): that takes root, or the right to make user namespaces")
	case res.failure != "":
		os.Remove(file)
		return t, missing("wrk and nginx could not be recorded: " + res.failure)
	}
	return t, json.Unmarshal([]byte(known.String()), &t)
}

// recordCommand is the part of record that runs in its own network: it starts the
// programs, and prints what they know.
func recordCommand(ctx context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("record", flag.ContinueOnError)
	if err := std.parse(fs, args, "DIR FILE BYTES", "Is run by make, in a network of its own."); err != nil {
		return err
	}
	if fs.NArg() != 3 {
		return usageError("it takes DIR FILE BYTES")
	}
	dir, file := fs.Arg(0), fs.Arg(1)
	size, err := strconv.ParseInt(fs.Arg(2), 10, 64)
	if err != nil {
		return usageError(err.Error())
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set lo up in a network of its own: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, recordTime+time.Minute)
	defer cancel()
	r := &recording{ctx: ctx, dir: dir, file: file, size: size}
	t, err := r.run()
	if err != nil {
		return err
	}
	return json.NewEncoder(std.out).Encode(t)
}

// recording is nginx, wrk and tcpdump at work.
type recording struct {
	ctx  context.Context
	dir  string
	file string
	size int64
}

func (r *recording) run() (Truth, error) {
	var t Truth
	nginx, err := r.start("nginx", "-p", r.dir, "-c", filepath.Join(r.dir, "nginx.conf"))
	if err != nil {
		return t, err
	}
	defer nginx.stop(syscall.SIGKILL)
	before, err := r.await(nginx, func(status) bool { return true })
	if err != nil {
		return t, err
	}

	syscall.Umask(0o077)
	args := []string{"-i", "lo", "-s", "0", "-B", strconv.Itoa(recordBuffer), "-w", r.file, "tcp port 8080"}
	if os.Geteuid() == 0 {
		args = append([]string{"-Z", "root"}, args...) // it stays who may write there
	}
	dump, err := r.start("tcpdump", args...)
	if err != nil {
		return t, err
	}
	defer dump.stop(syscall.SIGKILL)
	if err := r.until(dump, 10*time.Second, func() bool { return strings.Contains(dump.said.String(), "listening on") }); err != nil {
		return t, err
	}

	wrk, err := r.start("wrk", "-t", "1", "-c", strconv.Itoa(recordConnections), "-d", strconv.Itoa(2*int(recordTime.Seconds())), // it is stopped
		"-s", filepath.Join(r.dir, "mix.lua"), "http://"+recordAddr+"/")
	if err != nil {
		return t, err
	}
	defer wrk.stop(syscall.SIGKILL)
	err = r.until(wrk, recordTime, func() bool { st, err := os.Stat(r.file); return err == nil && st.Size() >= r.size })
	if err != nil && !errors.Is(err, context.DeadlineExceeded) { // a smaller file will do
		return t, err
	}
	if err := wrk.stop(syscall.SIGINT); err != nil {
		return t, err
	}
	after, err := r.await(nginx, func(s status) bool { return s.active == 1 }) // which is who asks
	if err != nil {
		return t, err
	}
	if err := r.silent(dump); err != nil {
		return t, err
	}
	if err := dump.stop(syscall.SIGINT); err != nil {
		return t, err
	}

	lost, err := countIn(dump.said.String(), droppedPackets)
	switch {
	case err != nil:
		return t, err
	case lost > 0:
		return t, fmt.Errorf("tcpdump lost %d packets, so nobody knows what is in %s; try again when the machine has less to do", lost, r.file)
	}
	// nginx counts that it was asked for its status, too.
	t.Conversations = after.accepts - before.accepts - after.readings
	t.Requests = after.requests - before.requests - after.readings
	t.Cut = recordConnections
	if t.Packets, err = countIn(dump.said.String(), capturedPackets); err != nil {
		return t, err
	}
	t.Responses, err = countIn(wrk.said.String(), `(\d+) requests in`)
	return t, err
}

// status is what nginx tells of itself.
type status struct {
	active, accepts, requests int64
	readings                  int64 // how often it was asked meanwhile
}

// await reads nginx's status until it is as wanted.
func (r *recording) await(nginx *program, as func(status) bool) (status, error) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var s status
	err := r.until(nginx, 10*time.Second, func() bool {
		resp, err := client.Get("http://" + recordStatus + "/status")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return false
		}
		s.readings++
		var handled int64
		_, err = fmt.Sscanf(string(body), "Active connections: %d\nserver accepts handled requests\n %d %d %d", &s.active, &s.accepts, &handled, &s.requests)
		return err == nil && as(s)
	})
	if err != nil {
		return s, fmt.Errorf("ask nginx for its status: %w", err)
	}
	return s, nil
}

// silent waits until tcpdump has read what is there: until it counts no more for
// longer than the kernel keeps packets from it, which is a second.
func (r *recording) silent(dump *program) error {
	const kept = time.Second
	var packets int64
	since := time.Now()
	return r.until(dump, 30*time.Second, func() bool {
		if err := dump.cmd.Process.Signal(syscall.SIGUSR1); err != nil { // has it say how many there are
			return false
		}
		now, err := countIn(dump.said.String(), capturedPackets)
		if err != nil || now != packets {
			packets, since = now, time.Now()
		}
		return time.Since(since) > 2*kept
	})
}

// What tcpdump says of its counts.
const (
	capturedPackets = `(\d+) packets captured`
	droppedPackets  = `(\d+) packets dropped by kernel`
)

// until waits for a condition while a program runs.
func (r *recording) until(p *program, most time.Duration, ok func() bool) error {
	ctx, cancel := context.WithTimeout(r.ctx, most)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", p.name, ctx.Err())
		case <-p.ended:
			return fmt.Errorf("%s ended: %v: %s", p.name, p.err, p.said.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// program is one that was started.
type program struct {
	name  string
	cmd   *exec.Cmd
	said  *tail
	ended chan struct{}
	err   error // after ended
}

func (r *recording) start(name string, args ...string) (*program, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	p := &program{name: name, cmd: exec.CommandContext(r.ctx, path, args...), said: &tail{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.Dir = r.dir
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// over tells whether it has ended.
func (p *program) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop asks a program to end, and waits for that.
func (p *program) stop(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s does not end", p.name)
	}
}

// countIn finds a number in what a program said, the last that there is.
func countIn(said, pattern string) (int64, error) {
	all := regexp.MustCompile(pattern).FindAllStringSubmatch(said, -1)
	if len(all) == 0 {
		return 0, fmt.Errorf("no %q in: %s", pattern, strings.TrimSpace(said))
	}
	return strconv.ParseInt(all[len(all)-1][1], 10, 64)
}

// loopbackUp sets up the only interface of a new network.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
