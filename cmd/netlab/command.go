package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"netlab/capture"
	"netlab/capture/process"
	"netlab/decode/packet"
)

// watchedCommand is the COMMAND of a capture, and the Source of its packets.
type watchedCommand struct {
	src     capture.Source
	decoder packet.Decoder
	sockets *process.Command
	over    chan struct{} // closed when it has ended
	err     error         // how
}

// start runs a command; the capture ends with it. The keys that it logs go where they are
// looked for.
func (k *captureRun) start(ctx context.Context, words []string) error {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = k.std.in, k.std.out, k.std.err
	if !k.c.IsSet("write") || k.c.String("write") == "-" {
		cmd.Stdout = k.std.err // our own output is ours
	}
	cmd.Env = os.Environ()
	if k.c.IsSet("keylog") {
		log, err := filepath.Abs(k.c.String("keylog"))
		if err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		cmd.Env = append(cmd.Env, "SSLKEYLOGFILE="+log)
	}
	w := &watchedCommand{src: k.src, over: make(chan struct{})}
	var err error
	if w.sockets, err = process.Start(cmd); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })
	go func() {
		defer close(w.over)
		w.err = cmd.Wait()
		stop()
		k.from.handle.Stop()
	}()
	k.src, k.command = w, w
	return nil
}

// Next returns the next packet of the command.
func (w *watchedCommand) Next() (*capture.Packet, error) {
	for {
		p, err := w.src.Next()
		if err != nil || w.owns(p) {
			return p, err
		}
	}
}

func (w *watchedCommand) owns(p *capture.Packet) bool {
	transport := uint8(process.TCP)
	switch w.decoder.Decode(p) {
	case packet.TCP:
	case packet.UDP:
		transport = process.UDP
	default:
		return false
	}
	f := &w.decoder.Segment.Flow
	return w.sockets.Owns(transport, f.Src().Port(), f.Dst().Port())
}

// ended waits for the command, and passes its exit status on when nothing else went
// wrong.
func (k *captureRun) ended(err error) error {
	if k.command == nil {
		return err
	}
	<-k.command.over
	k.command.sockets.Close()
	var exit *exec.ExitError
	switch {
	case err != nil, k.command.err == nil:
		return err
	case !errors.As(k.command.err, &exit):
		return fmt.Errorf("capture: %w", k.command.err)
	}
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return status(128 + int(s.Signal())) // as shells say it
	}
	return status(exit.ExitCode())
}
