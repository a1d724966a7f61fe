package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// contest is what is run, how often, and where.
type contest struct {
	std     stdio
	place   place
	rounds  int
	timeout time.Duration
	netlab  string
	only    words // none is all
	skip    words

	scratch string
	places  map[string]string
	absent  []string
	machine string
}

// words are a flag's, with commas between them: what a shell would not take for
// something of its own.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }

func (w *words) Set(s string) error {
	*w = strings.Split(s, ",")
	return nil
}

// in reports whether one of the words is part of a name.
func (w words) in(name string) bool {
	return slices.ContainsFunc(w, func(word string) bool { return strings.Contains(name, word) })
}

// peersCommand measures, and prints tables.
func peersCommand(ctx context.Context, std stdio, args []string) error {
	c, err := newContest(std, "peers", args, "Runs netlab and whichever peers are installed on the workloads, in turn, and prints tables.\nThe exit status is 1 when netlab counts wrong.")
	if err != nil {
		return err
	}
	return c.run(ctx)
}

// newContest reads the flags of a command that measures the workloads.
func newContest(std stdio, name string, args []string, what string) (*contest, error) {
	c := &contest{std: std}
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	c.place.flags(fs)
	fs.IntVar(&c.rounds, "rounds", 3, "how often each command is run")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Minute, "how long a command may run")
	fs.StringVar(&c.netlab, "netlab", filepath.Join("bin", "netlab"), "the netlab to measure")
	fs.Var(&c.only, "only", "run only what has one of these `words` in its WORKLOAD/COMMAND, as small/,netlab")
	fs.Var(&c.skip, "skip", "do not run what has one of these `words` there, as tshark,tcpflow")
	err := std.parse(fs, args, "", what)
	switch {
	case err != nil:
		return nil, err
	case fs.NArg() > 0:
		return nil, usageError(fmt.Sprintf("%q is more than it takes", fs.Arg(0)))
	case c.rounds < 1:
		return nil, usageError("-rounds is 1 at least")
	}
	if err := c.place.check(); err != nil {
		return nil, err
	}
	if c.netlab, err = filepath.Abs(c.netlab); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.netlab); err != nil {
		return nil, fmt.Errorf("find the netlab to measure: %w; make build builds it, -netlab names another", err)
	}
	if _, err := os.Stat(c.place.dir); err != nil {
		return nil, fmt.Errorf("find the workloads: %w; netlab-bench make -size %s makes them", err, c.place.size)
	}
	return c, nil
}

func (c *contest) run(ctx context.Context) error {
	var err error
	if c.scratch, err = os.MkdirTemp(c.place.dir, "run-"); err != nil {
		return fmt.Errorf("make a place for what the peers write: %w", err)
	}
	defer os.RemoveAll(c.scratch)
	if c.places, c.absent, err = tools(ctx, c.std, c.netlab, c.scratch); err != nil {
		return err
	}
	tables, err := c.tables(ctx, lineup)
	if err != nil {
		return err
	}
	if len(c.absent) > 0 {
		fmt.Fprintf(c.std.out, "Not installed here: %s.\n\n", strings.ReplaceAll(strings.Join(c.absent, ", "), "{walk}", "a C compiler"))
	}
	printGrowth(c.std.out, tables)
	return c.checkAll(ctx, tables)
}

// tables measures commands on all workloads that are there, and prints a table for each.
func (c *contest) tables(ctx context.Context, lineup []command) ([]table, error) {
	c.machine = machine()
	var tables []table
	for _, w := range workloads {
		chosen := c.chosen(w, lineup)
		if len(chosen) == 0 {
			continue
		}
		truth, err := readTruth(c.place.file(w))
		if err != nil {
			fmt.Fprintf(c.std.out, "## %s.pcap\n\nNot measured: %v. netlab-bench make -size %s %s makes it, or says why not.\n\n", w.name, err, c.place.size, w.name)
			continue
		}
		t, err := c.measure(ctx, w, truth, chosen)
		if err != nil {
			return nil, err
		}
		t.print(c.std.out)
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("nothing was measured: no workload is there, or -only and -skip leave none")
	}
	return tables, nil
}

// chosen returns those of some commands that are for a workload.
func (c *contest) chosen(w workload, lineup []command) []command {
	var chosen []command
	for _, cmd := range lineup {
		name := w.name + "/" + cmd.name
		switch {
		case !cmd.suits(w), slices.Contains(c.absent, cmd.program()):
		case len(c.only) > 0 && !c.only.in(name), c.skip.in(name):
		default:
			chosen = append(chosen, cmd)
		}
	}
	return chosen
}

// measure runs the commands in turn. One that fails is not run again.
func (c *contest) measure(ctx context.Context, w workload, truth Truth, chosen []command) (table, error) {
	file := c.place.file(w)
	t := table{workload: w, truth: truth, rounds: c.rounds, machine: c.machine, rows: make([]row, len(chosen))}
	if err := warm(file); err != nil {
		return t, err
	}
	for round := range c.rounds {
		for i, cmd := range chosen {
			r := &t.rows[i]
			r.name = cmd.name
			if r.failure() != "" {
				continue
			}
			res, err := c.once(ctx, cmd, file)
			if err != nil {
				return t, err
			}
			if ctx.Err() != nil {
				return t, ctx.Err()
			}
			r.runs = append(r.runs, res)
			fmt.Fprintf(c.std.err, "%s, round %d: %s: %s\n", w.name, round+1, cmd.name, res)
		}
	}
	return t, nil
}

// once runs a command on a file.
func (c *contest) once(ctx context.Context, cmd command, file string) (result, error) {
	scratch, err := os.MkdirTemp(c.scratch, "")
	if err != nil {
		return result{}, fmt.Errorf("make a place for what %s writes: %w", cmd.name, err)
	}
	defer os.RemoveAll(scratch)
	line := cmd.in(c.places)
	for i, word := range line {
		line[i] = strings.NewReplacer("{file}", file, "{scratch}", scratch).Replace(word)
	}
	if line[0], err = find(line[0]); err != nil {
		return result{failure: err.Error()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	run := child{args: line}
	return run.run(ctx), nil
}

// warm reads a file once, so that the first command is not the one to wait for
// the disk.
func warm(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return err
}
