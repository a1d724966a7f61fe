// Command netlab records real traffic, shows what was said in it, and holds any
// server to it. It wires the other packages together and explains their errors.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"netlab/capture/process"
)

func main() {
	process.Child()
	// A reader that goes away, as head does, is no failure: writes to it then
	// return an error that run knows.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}
