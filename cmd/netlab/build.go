package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// buildFlags are about the server under test: they start it, and fit into git bisect.
var buildFlags = []cli.Flag{
	&cli.StringFlag{Name: "exec", Usage: "start the server under test with shell command `CMD`, and stop it in the end; what it prints goes to standard error"},
	&cli.DurationFlag{Name: "wait-for", Usage: "wait up to `D` for the target to listen; with --exec 10s"},
	&cli.BoolFlag{Name: "bisect", Usage: "for git bisect run: exit with status 125, which skips a commit, where nothing could be compared"},
}

// exitSkip has git bisect skip a commit.
const exitSkip = 125

// bisected turns what can't be done into exitSkip, when --bisect is there.
func (std stdio) bisected(c *cli.Context, err error) error {
	var s status
	switch {
	case !c.Bool("bisect"):
	case errors.As(err, &s) && s == exitNothing:
		return status(exitSkip)
	case err != nil && !errors.As(err, &s):
		explain(std.err, err)
		return status(exitSkip)
	}
	return err
}

const (
	// defaultWait is how long a server that --exec starts may take to listen.
	defaultWait = 10 * time.Second
	// grace is how long it may take to stop when asked to.
	grace = 3 * time.Second
	// between is the time between two tries whether somebody listens.
	between = 20 * time.Millisecond
)

// build starts the server under test, if told to, and waits for it to listen. It returns
// what stops it.
func (std stdio) build(ctx context.Context, c *cli.Context, target string) (stop func(), err error) {
	patience := c.Duration("wait-for")
	if c.IsSet("wait-for") && patience <= 0 {
		return nil, usagef("netlab replay: --wait-for wants a time above 0, as 10s")
	}
	stop = func() {}
	var ended <-chan error
	if command := c.String("exec"); command != "" {
		if target == "" {
			return nil, usagef("netlab replay: --exec starts one server, and wants its address with --to")
		}
		if somebodyListens(ctx, target) {
			return nil, hinted{fmt.Errorf("replay: somebody listens on %s before --exec has started anything", target), "end that server, or choose another port"}
		}
		if patience == 0 {
			patience = defaultWait
		}
		if stop, ended, err = std.start(command); err != nil {
			return nil, err
		}
	}
	if patience > 0 && target != "" {
		if err := waitFor(ctx, target, patience, ended); err != nil {
			stop()
			return nil, err
		}
	}
	return stop, nil
}

// start runs a command in a process group of its own, so that what it starts ends with
// it. The channel gets what became of it, once.
func (std stdio) start(command string) (stop func(), ended <-chan error, err error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = std.err, std.err
	ownGroup(cmd)
	cmd.WaitDelay = grace // for what still holds its output
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("replay: start --exec: %w", err)
	}
	done, over := make(chan error, 1), make(chan struct{})
	go func() {
		done <- cmd.Wait()
		close(over)
	}()
	return func() {
		signalGroup(cmd, syscall.SIGTERM)
		select {
		case <-over:
		case <-time.After(grace):
		}
		signalGroup(cmd, syscall.SIGKILL) // whoever is left
		<-over
	}, done, nil
}

// waitFor returns when somebody listens on a target, or the server has ended.
func waitFor(ctx context.Context, target string, patience time.Duration, ended <-chan error) error {
	deadline := time.After(patience)
	for {
		if somebodyListens(ctx, target) {
			return nil
		}
		select {
		case <-ctx.Done():
			return status(exitCanceled)
		case err := <-ended:
			if err == nil {
				err = errors.New("exit status 0")
			}
			return fmt.Errorf("replay: the server that --exec started has ended before it listened on %s: %w", target, err)
		case <-deadline:
			return hinted{fmt.Errorf("replay: nobody listens on %s after %v", target, patience), "does the server listen there? --wait-for 30s waits longer"}
		case <-time.After(between):
		}
	}
}

func somebodyListens(ctx context.Context, target string) bool {
	network := "tcp"
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		network, target = "unix", path
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, network, target)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
