package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// child is a program to be run to its end. It never outlives us.
type child struct {
	args     []string
	out      io.Writer // nil is /dev/null
	isolated bool      // in namespaces of its own
}

// result is how a run went.
type result struct {
	wall, user, system time.Duration
	peak, floor        int64  // bytes of memory; at floor it may be less, and 0 is unknown
	failure            string // empty when all went well
	started            bool
}

// run runs the program until it or the context ends.
func (c *child) run(ctx context.Context) result {
	// The kernel ends the child with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var said tail
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Stdout, cmd.Stderr = c.out, &said
	cmd.WaitDelay = time.Second
	contain(cmd, c.isolated)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return result{failure: err.Error()}
	}
	err := cmd.Wait()
	res := result{wall: time.Since(begin), user: cmd.ProcessState.UserTime(), system: cmd.ProcessState.SystemTime(), started: true}
	res.peak, res.floor = peak(cmd.ProcessState)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		res.failure = fmt.Sprintf("ended after %.0f s", res.wall.Seconds())
	case ctx.Err() != nil:
		res.failure = ctx.Err().Error()
	case err != nil:
		res.failure = err.Error()
		if words := said.lastWords(); words != "" {
			res.failure += ": " + words
		}
	}
	return res
}

// find looks for a program, also where only root looks.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// maxTail is enough for the last words of any program.
const maxTail = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// lastWords returns the last lines as one: an error, and perhaps a hint behind it.
func (t *tail) lastWords() string {
	lines := strings.FieldsFunc(t.String(), func(r rune) bool { return r == '\n' })
	return strings.Join(lines[max(0, len(lines)-2):], "; ")
}
