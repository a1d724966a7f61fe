package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/capture/filter"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/decode/where"
	"netlab/pcaps"
)

func decodeCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "decode",
		Usage:     "show what was said in a capture file",
		ArgsUsage: "FILE... [BPF...]",
		Description: "Prints a table of conversations, then a ledger of their exchanges. Several files are read at once, in the\n" +
			"order of time, and their packets numbered so. netlab FILE is netlab decode FILE.\n" +
			"What stands behind them is a filter of packets in the language of tcpdump, which is applied to the packets\n" +
			"as they are in the file: a fragment or a tunnel is not looked into.\n\n" +
			"Example: netlab decode sample:http1-keepalive",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON Lines"},
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of what --json prints, and read nothing"},
			&cli.BoolFlag{Name: "stats", Usage: "print what protocols, endpoints and TCP come to, in place of conversations and exchanges"},
			&cli.BoolFlag{Name: "digest", Usage: "with --json: the SHA-256 of each direction's bytes"},
			&cli.IntFlag{Name: "follow", Usage: "print what both sides of conversation `ID` said, inside of TLS where it was opened", DefaultText: "none"},
			&cli.StringFlag{Name: "follow-as", Usage: "with --follow: as `FORM` text, hex, or raw, which is the bytes alone", DefaultText: "text or hex, as fits"},
			&cli.StringFlag{Name: "side", Usage: "with --follow: only what the `SIDE` client or server said", DefaultText: "both"},
			&cli.BoolFlag{Name: "bodies", Usage: "print what the messages carry too, without its encodings"},
			&cli.BoolFlag{Name: "follow-file", Usage: "decode a FILE that is still being written, and print what happens until Ctrl-C"},
			&cli.StringFlag{Name: "where", Usage: "only exchanges for which `EXPR` holds, as 'http.status >= 500 && latency > 250ms' (see netlab fields)"},
			&cli.StringSliceFlag{Name: "e", Usage: "print a line for each exchange: a `FIELD` for each -e, with tabs between them (see netlab fields)"},
			&cli.BoolFlag{Name: "header", Usage: "with -e: the names of the fields first"},
			&cli.BoolFlag{Name: "csv", Usage: "print exchanges as CSV, with a header: the fields that -e names, or the usual ones"},
			&cli.StringFlag{Name: "curl", Usage: "print the HTTP requests of conversation `ID`, or its exchange ID.INDEX, as curl commands"},
			&cli.StringFlag{Name: "stage", Usage: "print what is there at one stage of decoding: `STAGE` is " + strings.Join(printer.Stages, ", ")},
			&cli.StringFlag{Name: "har", Usage: "write HTTP as an HTTP Archive to `FILE`, for browsers' network panels"},
			&cli.StringFlag{Name: "extract", Usage: "write bodies, files that FTP transferred, and mail into the folder `DIR`"},
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Usage: "write the packets of the conversations that --where picks to `FILE`"},
			&cli.StringFlag{Name: "filter-ddd", Usage: "only packets that the filter picks which tcpdump -r FILE -ddd compiled to `FILE`"},
			&cli.StringSliceFlag{Name: "decode-as", Usage: "take conversations with a server's port for a protocol: `RULE` is tcp.port==8000:http or 8000=http"},
			&cli.StringFlag{Name: "proto-descriptor", Usage: "with --json: names for the fields of gRPC from `FILE`, as protoc --include_imports --descriptor_set_out writes it"},
			&cli.BoolFlag{Name: "redact", Usage: "hide passwords, cookies and tokens"},
			&cli.IntFlag{Name: "workers", Usage: "decode on up to `N` processors at a time", DefaultText: "all there are, 8 at most"},
			keylogFlag(), decodeMemoryFlag(),
		},
		Action: func(c *cli.Context) error { return std.decode(c.Context, c) },
	}
}

// decoding is one run of decode: where it reads, and what it makes of it.
type decoding struct {
	std     stdio
	c       *cli.Context
	files   []string
	growing bool // --follow-file
	hide    printer.Hider
	packets *filter.Filter // nil for all
	filter  *where.Filter  // of exchanges; nil for all
	opts    decode.Options

	sinks []decode.Sink
	left  interface{ Left() int64 } // of a sink behind filter
	// begin, if any, is called before the first packet, and end behind the last.
	begin func() error
	end   []func() error
	// tables means that the account of the packets is printed with the rest.
	tables bool
}

func (std stdio) decode(ctx context.Context, c *cli.Context) error {
	if c.Bool("schema") {
		if c.NArg() > 0 {
			return usagef("netlab decode: --schema is the same whatever FILE is read")
		}
		_, err := std.out.Write(printer.Schema)
		return err
	}
	files, words, err := fileArgs(c)
	switch {
	case err != nil:
		return err
	case c.Bool("follow-file") && (len(files) > 1 || !isPath(files[0])):
		return usagef("netlab decode: --follow-file follows one file that has a name")
	case c.IsSet("workers") && c.Int("workers") < 1:
		return usagef("netlab decode: --workers wants a number of 1 or more")
	}
	d := &decoding{std: std, c: c, files: files, growing: c.Bool("follow-file")}
	if d.packets, err = decodeFilter(c, words); err != nil {
		return err
	}
	if d.opts.Memory, err = memory(c); err != nil {
		return err
	}
	d.opts.Digest, d.opts.Workers = c.Bool("digest"), c.Int("workers")
	if d.opts.As, err = decodeAs(c.StringSlice("decode-as")); err != nil {
		return err
	}
	if c.Bool("redact") {
		d.hide = redact.Finder{}
	}
	if c.IsSet("where") {
		if d.filter, err = where.Compile(c.String("where")); err != nil {
			return err
		}
	}
	if c.IsSet("stage") {
		if done, err := d.stage(ctx); done || err != nil {
			return err
		}
	}
	if err := d.outputs(); err != nil {
		return err
	}
	return d.run(ctx)
}

// run reads the files.
func (d *decoding) run(ctx context.Context) error {
	src, closer, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer closer.Close()
	if d.begin != nil {
		if err := d.begin(); err != nil {
			return err
		}
	}
	sink := d.sinks[0]
	if len(d.sinks) > 1 {
		sink = decode.Tee(d.sinks...)
	}
	if slices.ContainsFunc(d.files, isLarge) {
		limitHeap(d.opts.Memory / 4 * 3) // large pages are not there by halves
		largePages(min(d.opts.Memory/4*3, maxLargePages))
	}
	sum, err := decode.Run(src, sink, d.opts)
	if err != nil {
		return err
	}
	if d.growing {
		fmt.Fprintf(d.std.err, "netlab: %s", printer.Account(sum))
	}
	if sum.Truncated && (!d.tables || d.growing) {
		fmt.Fprintf(d.std.err, "netlab: %s\n", printer.Clean(sum.Damage))
	}
	for _, end := range d.end {
		if err := end(); err != nil {
			return err
		}
	}
	if ctx.Err() != nil && !d.growing {
		return status(exitCanceled)
	}
	hints := printer.Hints(sum)
	if n := total(sum.Exchanges); d.left != nil && n > 0 && d.left.Left() == n {
		hints = append(hints, fmt.Sprintf("--where leaves out all of %s", printer.Count(n, "exchange")))
	}
	for _, line := range hints {
		fmt.Fprintf(d.std.err, "netlab: %s\n", line)
	}
	return nil
}

func total[K comparable](counts map[K]int64) (n int64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// open opens the files, as one Source of the packets that are asked for, which ends
// with ctx. Keys that are found in them count from where they stand.
func (d *decoding) open(ctx context.Context) (capture.Source, io.Closer, error) {
	var src capture.Source
	var closer io.Closer
	var err error
	if d.growing {
		fmt.Fprintf(d.std.err, "netlab: following %s; Ctrl-C ends\n", d.files[0])
		src, closer, err = followFile(ctx, d.files[0])
	} else {
		src, closer, err = d.std.openFiles(d.files)
	}
	if err != nil {
		return nil, nil, err
	}
	keys, err := openKeylog(d.c.String("keylog"), d.growing)
	if err != nil {
		closer.Close()
		return nil, nil, err
	}
	following, _ := src.(*pcaps.Reader)
	keys.within(append(readers(closer), following)...)
	d.opts.Secrets = keys.secrets
	src, shown := d.watched(keys.watch(until(ctx, src)))
	if d.packets != nil {
		src = d.packets.Source(src)
	}
	return src, closers{closer, shown, keys}, nil
}

// decodeFilter returns the filter that picks packets; nil when all are wanted.
func decodeFilter(c *cli.Context, words []string) (*filter.Filter, error) {
	switch {
	case c.IsSet("filter-ddd") && len(words) > 0:
		return nil, usagef("netlab decode: --filter-ddd is one filter, and %q another", strings.Join(words, " "))
	case c.IsSet("filter-ddd"):
		code, err := readDDD(c.String("filter-ddd"))
		if err != nil {
			return nil, err
		}
		return filter.Compiled(code)
	case len(words) > 0:
		f, err := filter.New(strings.Join(words, " "))
		if err != nil {
			return nil, filterError(words, err)
		}
		return f, nil
	}
	return nil, nil
}

// filterError adds what the words behind the files may have been meant for: the
// first is no file that is there.
func filterError(words []string, err error) error {
	if strings.ContainsAny(words[0], "./") && !strings.ContainsAny(words[0], "()[]!") {
		return usagef("netlab decode: there is no file %q, and it is no filter either: %v", words[0], err)
	}
	return hinted{usagef("netlab decode: %v", err), "man pcap-filter, or an example as 'tcp port 8080 and host 10.0.0.1'"}
}
