package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/proto"
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
			&cli.StringFlag{Name: "where", Usage: "only exchanges for which `EXPR` holds, as 'http.status >= 500 && latency > 250ms'"},
			&cli.StringFlag{Name: "proto-descriptor", Usage: "with --json: names for the fields of gRPC from `FILE`, as protoc --include_imports --descriptor_set_out writes it"},
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
	schema, err := readSchema(c)
	if err != nil {
		return err
	}
	var sink decode.Sink
	var follow *printer.Follow
	switch {
	case c.IsSet("follow") && (c.Bool("json") || c.IsSet("where")):
		return usagef("netlab decode: --follow shows one conversation as it is, without --json and --where")
	case c.IsSet("follow") && hide != nil:
		return usagef("netlab decode: --follow shows all bytes, and --redact can't hide any of them")
	case c.Bool("bodies") && (hide != nil || c.IsSet("follow")):
		return usagef("netlab decode: --bodies shows whatever is in them, without --redact and --follow")
	case c.Bool("stats") && (c.IsSet("follow") || c.IsSet("where") || c.Bool("bodies") || growing):
		return usagef("netlab decode: --stats counts what is in whole files, without --follow, --follow-file, --where and --bodies")
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
		p.File, p.Hide, p.Live, p.Bodies, p.Schema = file, hide, growing, c.Bool("bodies"), schema
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
	opts := decode.Options{Digest: c.Bool("digest"), Memory: room, Workers: c.Int("workers")}
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
	if sum.Truncated && (c.Bool("json") || follow != nil || growing) {
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

// maxSchema bounds a file of descriptors; those of large companies have some megabytes.
const maxSchema = 64 << 20

// readSchema reads the names for gRPC, if there is a file of them.
func readSchema(c *cli.Context) (*proto.Schema, error) {
	name := c.String("proto-descriptor")
	switch {
	case name == "":
		return nil, nil
	case !c.Bool("json"):
		return nil, usagef("netlab decode: --proto-descriptor is about what --json prints of gRPC")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSchema+1))
	if err == nil && len(data) > maxSchema {
		err = fmt.Errorf("more than %d MiB", maxSchema>>20)
	}
	var s *proto.Schema
	if err == nil {
		s, err = proto.ReadSchema(data)
	}
	if err != nil {
		return nil, fmt.Errorf("decode: %s: %w", name, err)
	}
	return s, nil
}
