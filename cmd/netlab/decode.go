package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/decode/where"
)

func decodeCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "decode",
		Usage:     "show what was said in a capture file",
		ArgsUsage: "FILE...",
		Description: "Prints a table of conversations, then one of their exchanges. Several files are read at once, in the\n" +
			"order of time, and their packets numbered so.\n\n" +
			"Example: netlab decode sample:http1-keepalive",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON Lines"},
			&cli.BoolFlag{Name: "stats", Usage: "print what each protocol comes to, in place of conversations and exchanges"},
			&cli.BoolFlag{Name: "digest", Usage: "with --json: the SHA-256 of each direction's bytes"},
			&cli.IntFlag{Name: "follow", Usage: "print what both sides of conversation `ID` said", DefaultText: "none"},
			&cli.BoolFlag{Name: "bodies", Usage: "print what the messages carry too, without its encodings"},
			&cli.BoolFlag{Name: "follow-file", Usage: "decode a FILE that is still being written, and print what happens until Ctrl-C"},
			&cli.StringFlag{Name: "where", Usage: "only exchanges for which `EXPR` holds, as 'http.status >= 500 && latency > 250ms' (see netlab fields)"},
			&cli.StringSliceFlag{Name: "e", Usage: "print a line for each exchange: a `FIELD` for each -e, with tabs between them (see netlab fields)"},
			&cli.BoolFlag{Name: "header", Usage: "with -e: the names of the fields first"},
			&cli.BoolFlag{Name: "csv", Usage: "print exchanges as CSV, with a header: the fields that -e names, or the usual ones"},
			&cli.StringSliceFlag{Name: "decode-as", Usage: "take conversations with a server's port for a protocol: `RULE` is tcp.port==8000:http or 8000=http"},
			&cli.BoolFlag{Name: "redact", Usage: "hide passwords, cookies and tokens"},
			&cli.IntFlag{Name: "workers", Usage: "decode on up to `N` processors at a time", DefaultText: "all there are, 8 at most"},
			memoryFlag(),
		},
		Action: func(c *cli.Context) error { return std.decode(c.Context, c) },
	}
}

func (std stdio) decode(ctx context.Context, c *cli.Context) error {
	files, words, err := fileArgs(c)
	switch {
	case err != nil:
		return err
	case len(words) > 0:
		return usagef("netlab decode: there is no file %q, and packets of a file are not filtered as netlab capture does; --where picks exchanges", words[0])
	case c.Bool("follow-file") && (len(files) > 1 || !isPath(files[0])):
		return usagef("netlab decode: --follow-file follows one file that has a name")
	case c.IsSet("workers") && c.Int("workers") < 1:
		return usagef("netlab decode: --workers wants a number of 1 or more")
	}
	room, err := memory(c)
	if err != nil {
		return err
	}
	file, growing := strings.Join(files, " "), c.Bool("follow-file")
	var hide printer.Hider
	if c.Bool("redact") {
		hide = redact.Finder{}
	}
	lines := c.IsSet("e") || c.Bool("csv")
	as, err := decodeAs(c.StringSlice("decode-as"))
	if err != nil {
		return err
	}
	var sink decode.Sink
	var follow *printer.Follow
	var header func() error
	switch {
	case c.IsSet("follow") && (c.Bool("json") || c.IsSet("where")):
		return usagef("netlab decode: --follow shows one conversation as it is, without --json and --where")
	case c.IsSet("follow") && hide != nil:
		return usagef("netlab decode: --follow shows all bytes, and --redact can't hide any of them")
	case c.Bool("bodies") && (hide != nil || c.IsSet("follow")):
		return usagef("netlab decode: --bodies shows whatever is in them, without --redact and --follow")
	case c.Bool("stats") && (c.IsSet("follow") || c.Bool("bodies") || growing):
		return usagef("netlab decode: --stats counts what is in whole files, without --follow, --follow-file and --bodies")
	case lines && (c.Bool("json") || c.Bool("stats") || c.Bool("bodies") || c.IsSet("follow")):
		return usagef("netlab decode: -e and --csv print a line for each exchange, without --json, --stats, --bodies and --follow")
	case c.Bool("header") && !lines:
		return usagef("netlab decode: --header names the fields of -e, and there is none")
	case lines:
		fields := ledgerColumns()
		if c.IsSet("e") {
			if fields, err = columns(c.StringSlice("e")); err != nil {
				return err
			}
		}
		p := printer.NewColumns(std.out, fields)
		p.CSV, p.Hide, p.Live = c.Bool("csv"), hide, growing
		if p.CSV || c.Bool("header") {
			header = p.Header
		}
		sink = p
	case c.Bool("stats"):
		p := printer.NewStats(std.out, std.style())
		if c.Bool("json") {
			p.JSON = printer.NewJSON(std.out)
			p.JSON.File = file
		}
		sink = p
	case c.IsSet("follow"):
		follow = printer.NewFollow(std.out, std.style(), c.Int("follow"))
		sink = follow
	case c.Bool("json"):
		p := printer.NewJSON(std.out)
		p.File, p.Hide, p.Live, p.Bodies = file, hide, growing, c.Bool("bodies")
		sink = p
	case c.Bool("bodies"):
		sink = printer.NewBodies(std.out, std.style())
	case growing:
		p := printer.NewLive(std.out, std.style())
		p.Hide = hide
		sink = p
	default:
		p := printer.NewText(std.out, std.style())
		p.Hide = hide
		sink = p
	}
	if c.IsSet("where") {
		f, err := where.Compile(c.String("where"))
		if err != nil {
			return err
		}
		sink = where.NewSink(f, sink)
	}
	var src capture.Source
	var closer io.Closer
	if growing {
		fmt.Fprintf(std.err, "netlab: following %s; Ctrl-C ends\n", file)
		src, closer, err = followFile(ctx, file)
	} else {
		src, closer, err = std.openFiles(files)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if header != nil {
		if err := header(); err != nil {
			return err
		}
	}
	opts := decode.Options{As: as, Digest: c.Bool("digest"), Memory: room, Workers: c.Int("workers")}
	if c.Bool("bodies") {
		opts.Keep = printer.KeepBodies
	}
	sum, err := decode.Run(until(ctx, src), sink, opts)
	if err != nil {
		return err
	}
	if growing {
		fmt.Fprintf(std.err, "netlab: %s", printer.Account(sum))
	}
	if sum.Truncated && (c.Bool("json") || lines || follow != nil || growing) {
		fmt.Fprintf(std.err, "netlab: %s\n", printer.Clean(sum.Damage))
	}
	if follow != nil && !follow.Found {
		return hinted{fmt.Errorf("decode: %s has no conversation %d", file, c.Int("follow")), "netlab decode " + file}
	}
	if ctx.Err() != nil && !growing {
		return status(exitCanceled)
	}
	return nil
}
