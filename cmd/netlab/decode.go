package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/decode/where"
)

func decodeCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "decode",
		Usage:     "show what was said in a capture file",
		ArgsUsage: "FILE",
		Description: "Prints a table of conversations, then one of their exchanges.\n\n" +
			"Example: netlab decode sample:http1-keepalive",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON Lines"},
			&cli.BoolFlag{Name: "digest", Usage: "with --json: the SHA-256 of each direction's bytes"},
			&cli.IntFlag{Name: "follow", Usage: "print what both sides of conversation `ID` said", DefaultText: "none"},
			&cli.StringFlag{Name: "where", Usage: "only exchanges for which `EXPR` holds, as 'http.status >= 500 && latency > 250ms'"},
			&cli.BoolFlag{Name: "redact", Usage: "hide passwords, cookies and tokens"},
		},
		Action: func(c *cli.Context) error { return std.decode(c.Context, c) },
	}
}

func (std stdio) decode(ctx context.Context, c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	var hide printer.Hider
	if c.Bool("redact") {
		hide = redact.Finder{}
	}
	var sink decode.Sink
	var follow *printer.Follow
	switch {
	case c.IsSet("follow") && (c.Bool("json") || c.IsSet("where")):
		return usagef("netlab decode: --follow shows one conversation as it is, without --json and --where")
	case c.IsSet("follow") && hide != nil:
		return usagef("netlab decode: --follow shows all bytes, and --redact can't hide any of them")
	case c.IsSet("follow"):
		follow = printer.NewFollow(std.out, std.style(), c.Int("follow"))
		sink = follow
	case c.Bool("json"):
		p := printer.NewJSON(std.out)
		p.File, p.Hide = file, hide
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
	src, closer, err := std.openFile(file)
	if err != nil {
		return err
	}
	defer closer.Close()
	sum, err := decode.Run(until(ctx, src), sink, decode.Options{Digest: c.Bool("digest")})
	if err != nil {
		return err
	}
	if sum.Truncated && (c.Bool("json") || follow != nil) {
		fmt.Fprintf(std.err, "netlab: %s\n", printer.Clean(sum.Damage))
	}
	if follow != nil && !follow.Found {
		return hinted{fmt.Errorf("decode: %s has no conversation %d", file, c.Int("follow")), "netlab decode " + file}
	}
	if ctx.Err() != nil {
		return status(exitCanceled)
	}
	return nil
}
