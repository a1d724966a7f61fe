package main

import (
	"context"
	"fmt"
	"os"
)

// shareLineup is what sharing is measured beside: decoding, as little of it as there is first.
var shareLineup = []command{
	{"netlab decode --json", "{netlab} decode --json {file}", both, ""},
	{"netlab decode", "{netlab} decode {file}", both, ""},
	{"netlab decode --json --bodies", "{netlab} decode --json --bodies {file}", both, ""},
	{"netlab share -o x.pcapng", "{netlab} share -o {scratch}/x.pcapng {file}", both, ""},
	{"netlab share -o x.zip", "{netlab} share -o {scratch}/x.zip {file}", both, ""},
}

// shareCommand measures what it takes to share the workloads, and prints tables.
func shareCommand(ctx context.Context, std stdio, args []string) error {
	c, err := newContest(std, "share", args, "Shares the workloads, and decodes them, in turn, and prints tables.")
	if err != nil {
		return err
	}
	if c.scratch, err = os.MkdirTemp(c.place.dir, "run-"); err != nil {
		return fmt.Errorf("make a place for what is shared: %w", err)
	}
	defer os.RemoveAll(c.scratch)
	c.places = map[string]string{"{netlab}": c.netlab}
	_, err = c.tables(ctx, shareLineup)
	return err
}
