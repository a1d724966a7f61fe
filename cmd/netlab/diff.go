package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/where"
	"netlab/replay"
	"netlab/replay/diff"
	"netlab/replay/latency"
	"netlab/replay/noise"
	"netlab/replay/plan"
	"netlab/replay/report"
)

func diffCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "compare two recordings, answer by answer",
		ArgsUsage: "A B",
		Description: "Aligns what was asked in A with what was asked in B, and compares the answers as replay does. Nothing is sent.\n" +
			"Exit status: 0 all answers are the same, 1 some differ, 2 it could not be done, 3 nothing was compared.\n\n" +
			"Example: netlab diff before.pcap after.pcap",
		Flags: append(slices.Clone(compareFlags), []cli.Flag{
			&cli.StringFlag{Name: "where", Usage: "compare only exchanges for which `EXPR` holds, as host == a.example; netlab fields lists what can be asked"},
			&cli.BoolFlag{Name: "requests", Usage: "compare the requests, too"},
			&cli.StringFlag{Name: "show", Usage: "print both answers of exchange `ID` of A, as 3.0, and where they differ"},
		}...),
		Action: func(c *cli.Context) error { return std.diff(c.Context, c) },
	}
}

func (std stdio) diff(ctx context.Context, c *cli.Context) error {
	if c.NArg() != 2 {
		return hinted{usagef("netlab diff: which two recordings?"), "netlab diff before.pcap after.pcap"}
	}
	opts := diff.Options{Requests: c.Bool("requests")}
	var err error
	if opts.Rules, err = readRules(c); err != nil {
		return err
	}
	var filter *where.Filter
	if c.IsSet("where") {
		if filter, err = where.Compile(c.String("where")); err != nil {
			return err
		}
	}
	if id := c.String("show"); id != "" {
		conn, index, err := exchangeID(c, "show", id)
		if err != nil {
			return err
		}
		shown := &report.Shown{Conn: conn, Index: index}
		opts.Show = shown.Take
		defer func() { _, _ = io.WriteString(std.out, shown.String()) }()
	}
	var sides [2]*diff.Recording
	for i := range sides {
		if sides[i], err = std.recording(ctx, c.Args().Get(i), filter); err != nil {
			return err
		}
	}
	out, err := std.reporters(c, c.Args().First()+" and "+c.Args().Get(1))
	if err != nil {
		return err
	}
	times := latency.New(out)
	judge := noise.New(times, opts.Rules)
	var sink replay.Sink = judge
	if opts.Rules.Strict {
		sink = times
	}
	result, err := diff.Recordings(sides[0], sides[1], sink, opts)
	if err != nil {
		return err
	}
	if !opts.Rules.Strict {
		if err := std.settle(c, judge, out, result); err != nil {
			return err
		}
	}
	if err := std.finish(out, times, nil, result); err != nil {
		return err
	}
	return judgeResult(result)
}

// recording reads a file for diff.
func (std stdio) recording(ctx context.Context, file string, filter *where.Filter) (*diff.Recording, error) {
	src, closer, err := std.openFile(file)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	r := &diff.Recording{Name: file}
	if filter != nil {
		r.Pick = filter.Match
	}
	sum, err := decode.Run(until(ctx, src), r, decode.Options{Keep: plan.Keep, Memory: plan.DefaultLimit})
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, status(exitCanceled)
	}
	if sum.Truncated {
		fmt.Fprintf(std.err, "netlab: %s: %s\n", file, printer.Clean(sum.Damage))
	}
	return r, nil
}
