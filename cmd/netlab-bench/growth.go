package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// growth measures how netlab's time and memory grow with what it is given.
type growth struct {
	contest
	size  int64 // of the smallest file, in connections or lookups
	files []grown
}

// grown is a file, ten times as large as the one before it of the same workload.
type grown struct {
	workload
	file  string
	truth Truth
}

// step is how much larger a file is than the one before it, and maxGrowth how much
// longer it may take: a tenth is for caches, which the smaller fits in better.
const (
	step      = 10
	maxGrowth = 1.1 * step
)

// growthCommand makes files of three sizes, and prints how long they take.
func growthCommand(ctx context.Context, std stdio, args []string) error {
	g := growth{contest: contest{std: std}}
	fs := flag.NewFlagSet("growth", flag.ContinueOnError)
	fs.Int64Var(&g.size, "size", 2000, "connections, and lookups by ten, of the smallest file; the largest has a hundred times as many")
	fs.IntVar(&g.rounds, "rounds", 5, "how often each command is run")
	fs.DurationVar(&g.timeout, "timeout", 10*time.Minute, "how long a command may run")
	fs.StringVar(&g.netlab, "netlab", filepath.Join("bin", "netlab"), "the netlab to measure")
	err := std.parse(fs, args, "", "Decodes files of three sizes, each with ten times the packets and connections of the one before, of which\nfew are open at a time, and says how time and memory grow. The exit status is 1 when a step takes more than 11\ntimes the processor's time.")
	switch {
	case err != nil:
		return err
	case fs.NArg() > 0:
		return usageError(fmt.Sprintf("%q is more than it takes", fs.Arg(0)))
	case g.rounds < 1 || g.size < 1:
		return usageError("-rounds and -size are 1 at least")
	}
	dir, err := os.MkdirTemp("", "netlab-bench-growth-")
	if err != nil {
		return fmt.Errorf("make a place for the files: %w", err)
	}
	defer os.RemoveAll(dir)
	if g.scratch, err = filepath.Abs(dir); err != nil {
		return err
	}
	if g.netlab, err = filepath.Abs(g.netlab); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	g.places = map[string]string{"{netlab}": g.netlab}
	for _, w := range workloads {
		if w.generate == nil || w.tenth {
			continue
		}
		if err := g.grow(ctx, self, w); err != nil {
			return fmt.Errorf("make the files of %s: %w", w.name, err)
		}
	}
	return g.run(ctx)
}

// grow makes the files of a workload, in another process: what memory this one has
// ever had counts for those that it starts.
func (g *growth) grow(ctx context.Context, self string, w workload) error {
	size := g.size
	if w.protocol == "dns" {
		size *= step // lookups are smaller
	}
	for range 3 {
		f := grown{workload: w, file: filepath.Join(g.scratch, fmt.Sprintf("%s-%d.pcap", w.name, size))}
		fmt.Fprintf(g.std.err, "making %s\n", f.file)
		making := child{args: []string{self, "grow", w.name, f.file, strconv.FormatInt(size, 10)}}
		if res := making.run(ctx); res.failure != "" {
			return errors.New(res.failure)
		}
		var err error
		if f.truth, err = readTruth(f.file); err != nil {
			return err
		}
		g.files = append(g.files, f)
		size *= step
	}
	return nil
}

// growCommand makes one of the files: WORKLOAD FILE SIZE.
func growCommand(ctx context.Context, _ stdio, args []string) error {
	if len(args) != 3 {
		return usageError("grow takes WORKLOAD FILE SIZE")
	}
	chosen, err := choose(args[:1])
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || chosen[0].generate == nil {
		return usageError("grow takes a workload that is made, and a number")
	}
	t, err := generate(ctx, chosen[0], args[1], 1, size)
	if err != nil {
		return err
	}
	return t.write(args[1])
}

// run has all files decoded in turn, round by round, and prints what came of it.
func (g *growth) run(ctx context.Context) error {
	failed := false
	fmt.Fprintf(g.std.out, "%d rounds; %s\n\n| workload | command | packets | wall | user+sys | peak MiB |\n|---|---|---|---|---|---|\n", g.rounds, machine())
	for _, cmd := range lineup {
		if !strings.HasPrefix(cmd.name, "netlab") || strings.Contains(cmd.name, "workers") {
			continue
		}
		rows := make([]row, len(g.files))
		for range g.rounds {
			for i, f := range g.files {
				res, err := g.once(ctx, cmd, f.file)
				switch {
				case err != nil:
					return err
				case ctx.Err() != nil:
					return ctx.Err()
				case res.failure != "":
					return fmt.Errorf("%s on %s: %s", cmd.name, f.file, res.failure)
				}
				rows[i].runs = append(rows[i].runs, res)
			}
		}
		for i := 1; i < len(rows); i++ {
			from, to := g.files[i-1], g.files[i]
			if from.name != to.name {
				continue
			}
			longer := median(rows[i].over(rows[i-1], processor))
			failed = failed || longer > maxGrowth
			fmt.Fprintf(g.std.out, "| %s | %s | %s to %s | × %s | × %s | %s to %s |\n", to.name, cmd.name, thousands(from.truth.Packets), thousands(to.truth.Packets),
				number(median(rows[i].over(rows[i-1], wall))), number(longer), rows[i-1].memory(), rows[i].memory())
		}
	}
	if failed {
		return errGrowth
	}
	return nil
}

// errGrowth means that time grew by more than it should.
var errGrowth = errors.New("ten times as much took more than 11 times as long")
