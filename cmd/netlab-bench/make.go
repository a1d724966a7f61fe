package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"netlab/capture"
	"netlab/pcaps"
)

// workload is a capture file to measure with.
type workload struct {
	name     string
	what     string
	protocol string // what is said in it
	size     int64  // connections, pairs or bytes of the file; a tenth of it is quick
	tenth    bool   // of the one before: for what is slow, and to see how time grows
	generate func(dst capture.Sink, seed, size int64) (Truth, error)
}

// workloads are all that there are. One without a generator is recorded.
var workloads = []workload{
	{"small", "short TCP connections with an HTTP request each, in small packets", "http", 200_000, false, makeSmall},
	{"small10", "a tenth of small", "http", 20_000, true, makeSmall},
	{"dns", "DNS lookups over many 5-tuples", "dns", 1_000_000, false, makeDNS},
	{"dns10", "a tenth of dns", "dns", 100_000, true, makeDNS},
	{"http", "nginx and wrk on loopback, bodies of 300 B to 100 KiB", "http", 1_200_000_000, false, nil},
	{"http10", "a tenth of http", "http", 120_000_000, true, nil},
}

// place is where the workloads are, and of which size.
type place struct {
	dir  string
	size string
}

func (p *place) flags(fs *flag.FlagSet) {
	fs.StringVar(&p.size, "size", "full", "full or quick, which is a tenth")
	fs.StringVar(&p.dir, "dir", "", "where the workloads are (default "+filepath.Join(os.TempDir(), "netlab-bench", "SIZE")+")")
}

// check completes what the flags said.
func (p *place) check() error {
	if p.size != "full" && p.size != "quick" {
		return usageError(fmt.Sprintf("-size is full or quick, not %q", p.size))
	}
	if p.dir == "" {
		p.dir = filepath.Join(os.TempDir(), "netlab-bench", p.size)
	}
	return nil
}

func (p *place) file(w workload) string { return filepath.Join(p.dir, w.name+".pcap") }

// sized is how large a workload is here.
func (p *place) sized(w workload) int64 {
	if p.size == "quick" {
		return w.size / 10
	}
	return w.size
}

// makeCommand makes the workloads that are not there yet.
func makeCommand(ctx context.Context, std stdio, args []string) error {
	var p place
	var seed int64
	fs := flag.NewFlagSet("make", flag.ContinueOnError)
	p.flags(fs)
	fs.Int64Var(&seed, "seed", 1, "the same seed makes the same connections and lookups")
	if err := std.parse(fs, args, "[WORKLOAD...]", "Makes the workloads, those that are not there yet: "+names()+"."); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	chosen, err := choose(fs.Args())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("make a place for the workloads: %w; -dir names another", err)
	}
	for _, w := range chosen {
		switch err := p.make(ctx, std, w, seed); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, new(missing)):
			fmt.Fprintf(std.err, "%s: skipped: %v\n", w.name, err)
		case err != nil:
			return fmt.Errorf("make %s: %w", p.file(w), err)
		}
	}
	return nil
}

// missing says why a workload can't be made here. The others can be.
type missing string

func (m missing) Error() string { return string(m) }

// make makes a workload, unless it is there.
func (p *place) make(ctx context.Context, std stdio, w workload, seed int64) error {
	file, size := p.file(w), p.sized(w)
	if t, err := readTruth(file); err == nil && t.Recipe == recipe && t.Seed == seed && t.Size == size {
		fmt.Fprintf(std.err, "%s: there, %s packets in %s\n", w.name, thousands(t.Packets), file)
		return nil
	}
	fmt.Fprintf(std.err, "%s: making %s, %s\n", w.name, file, w.what)
	if err := os.Remove(truthOf(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var t Truth
	var err error
	if w.generate == nil {
		t, err = record(ctx, file, size)
	} else {
		t, err = generate(ctx, w, file, seed, size)
	}
	if err != nil {
		return err
	}
	t.Recipe, t.Seed, t.Size = recipe, seed, size
	return t.write(file)
}

// generate writes what a generator makes.
func generate(ctx context.Context, w workload, file string, seed, size int64) (Truth, error) {
	f, err := pcaps.Create(file, pcaps.Options{Link: capture.LinkEthernet})
	if err != nil {
		return Truth{}, err
	}
	t, err := w.generate(&ending{ctx, f}, seed, size)
	return t, errors.Join(err, f.Close())
}

// ending is a Sink that takes no more packets when its context ends.
type ending struct {
	ctx context.Context
	dst capture.Sink
}

func (e *ending) WritePacket(p *capture.Packet) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	return e.dst.WritePacket(p)
}

// choose returns the workloads of these names, all when there are none.
func choose(chosen []string) ([]workload, error) {
	if len(chosen) == 0 {
		return workloads, nil
	}
	var ws []workload
	for _, name := range chosen {
		n := len(ws)
		for _, w := range workloads {
			if w.name == name {
				ws = append(ws, w)
			}
		}
		if len(ws) == n {
			return nil, usageError(fmt.Sprintf("there is no workload %q; there are: %s", name, names()))
		}
	}
	return ws, nil
}

// names lists the workloads.
func names() string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.name)
	}
	return strings.Join(all, ", ")
}
