package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/printer"
	"netlab/decode/where"
	"netlab/pcaps"
)

// outputs makes the sinks for what was asked for: one view, which is printed, and
// files beside it.
func (d *decoding) outputs() error {
	views := d.asked("json", "stats", "follow", "bodies", "e", "csv", "curl", "stage")
	files := d.asked("har", "extract", "write")
	if err := d.conflicts(views, files); err != nil {
		return err
	}
	if len(views) > 0 || len(files) == 0 {
		sink, err := d.view()
		if err != nil {
			return err
		}
		d.add(sink)
	}
	if d.c.IsSet("har") {
		if err := d.har(d.c.String("har")); err != nil {
			return err
		}
	}
	if d.c.IsSet("extract") {
		if err := d.extract(d.c.String("extract"), len(views) > 0); err != nil {
			return err
		}
	}
	if d.c.IsSet("write") {
		return d.write(d.c.String("write"))
	}
	return nil
}

// asked returns those flags that are set.
func (d *decoding) asked(names ...string) []string {
	var set []string
	for _, name := range names {
		if d.c.IsSet(name) {
			set = append(set, name)
		}
	}
	return set
}

// conflicts explains what can't be asked for together.
func (d *decoding) conflicts(views, files []string) error {
	set := func(name string) bool { return d.c.IsSet(name) }
	together := map[string][]string{"json": {"stats", "bodies", "stage"}, "e": {"csv"}}
	for i, a := range views {
		for _, b := range views[i+1:] {
			if !slices.Contains(together[a], b) {
				return usagef("netlab decode: %s and %s are two ways of looking; ask for one at a time", flagName(a), flagName(b))
			}
		}
	}
	switch {
	case set("header") && !set("e"):
		return usagef("netlab decode: --header names the fields of -e, and there is none")
	case (set("follow-as") || set("side")) && !set("follow"):
		return usagef("netlab decode: --follow-as and --side say how to --follow a conversation: which?")
	case set("follow") && d.filter != nil:
		return usagef("netlab decode: --follow shows one conversation as it is, without --where")
	case d.hide != nil && (set("follow") || set("bodies") || set("extract") || set("curl")):
		return usagef("netlab decode: --follow, --bodies, --extract and --curl show whatever there is, and --redact can't hide any of it")
	case set("proto-descriptor") && !d.c.Bool("json"):
		return usagef("netlab decode: --proto-descriptor is about what --json prints of gRPC")
	case set("stats") && d.growing:
		return usagef("netlab decode: --stats counts what is in whole files, without --follow-file")
	case len(files) > 0 && d.growing:
		return usagef("netlab decode: %s wants whole files, without --follow-file", flagName(files[0]))
	}
	return nil
}

func flagName(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// add adds a sink, behind --where.
func (d *decoding) add(s decode.Sink) {
	if d.filter != nil {
		s = where.NewSink(d.filter, s)
		d.left = s.(interface{ Left() int64 })
	}
	d.sinks = append(d.sinks, s)
}

// keep has messages kept up to n bytes at least.
func (d *decoding) keep(n int64) { d.opts.Keep = max(d.opts.Keep, n) }

// view makes what is printed.
func (d *decoding) view() (decode.Sink, error) {
	c, out, style := d.c, d.std.out, d.std.style()
	switch {
	case c.IsSet("e") || c.Bool("csv"):
		return d.columns()
	case c.Bool("stats"):
		p := printer.NewStats(out, style)
		d.tables = !c.Bool("json")
		if c.Bool("json") {
			p.JSON = printer.NewJSON(out)
			p.JSON.File = d.name()
		}
		return p, nil
	case c.IsSet("follow"):
		return d.follow()
	case c.IsSet("curl"):
		return d.curl()
	case c.IsSet("stage") && c.String("stage") != "exchanges":
		return d.late(c.String("stage"))
	case c.Bool("json"):
		schema, err := readSchema(c)
		if err != nil {
			return nil, err
		}
		p := printer.NewJSON(out)
		p.File, p.Hide, p.Live, p.Bodies, p.Schema = d.name(), d.hide, d.growing, c.Bool("bodies"), schema
		if p.Bodies {
			d.keep(printer.KeepBodies)
		}
		return p, nil
	case c.Bool("bodies"):
		d.keep(printer.KeepBodies)
		return printer.NewBodies(out, style), nil
	case d.growing:
		p := printer.NewLive(out, style)
		p.Hide = d.hide
		return p, nil
	}
	p := printer.NewText(out, style)
	p.Hide, d.tables = d.hide, true
	return p, nil
}

// name is what the capture is called.
func (d *decoding) name() string { return strings.Join(d.files, " ") }

// columns makes -e and --csv.
func (d *decoding) columns() (decode.Sink, error) {
	fields := ledgerColumns()
	if d.c.IsSet("e") {
		var err error
		if fields, err = columns(d.c.StringSlice("e")); err != nil {
			return nil, err
		}
	}
	p := printer.NewColumns(d.std.out, fields)
	p.CSV, p.Hide, p.Live = d.c.Bool("csv"), d.hide, d.growing
	if p.CSV || d.c.Bool("header") {
		d.begin = p.Header
	}
	return p, nil
}

// follow makes --follow.
func (d *decoding) follow() (decode.Sink, error) {
	id := d.c.Int("follow")
	f := printer.NewFollow(d.std.out, d.std.style(), id)
	switch form := d.c.String("follow-as"); form {
	case "", "auto":
	case "text":
		f.Form = printer.AsText
	case "hex":
		f.Form = printer.Hex
	case "raw":
		f.Form = printer.Bare
	default:
		return nil, usagef("netlab decode: --follow-as %s: there are text, hex and raw", form)
	}
	switch side := d.c.String("side"); side {
	case "", "both":
	case "client", "server":
		only := flow.ClientToServer
		if side == "server" {
			only = flow.ServerToClient
		}
		f.Only = &only
	default:
		return nil, usagef("netlab decode: --side %s: there are client, server and both", side)
	}
	d.end = append(d.end, func() error {
		if f.Found {
			return nil
		}
		return d.missing(fmt.Sprintf("has no conversation %d", id))
	})
	return f, nil
}

// missing says that something is not there, and how to see what is.
func (d *decoding) missing(what string) error {
	return hinted{fmt.Errorf("decode: %s %s", d.name(), what), "netlab decode " + d.name()}
}

// curl makes --curl.
func (d *decoding) curl() (decode.Sink, error) {
	arg := d.c.String("curl")
	conversation, index, one := strings.Cut(arg, ".")
	id, err := strconv.Atoi(conversation)
	p := printer.NewCurl(d.std.out, id)
	if one && err == nil {
		p.Index, err = strconv.Atoi(index)
	}
	if err != nil {
		return nil, usagef("netlab decode: --curl %s: that is no conversation, as 3, and no exchange of one, as 3.0", arg)
	}
	d.keep(printer.KeepExtract)
	d.end = append(d.end, func() error {
		if p.Found > 0 {
			return nil
		}
		return d.missing("has no HTTP request in " + arg)
	})
	return p, nil
}

// stage runs the stages before conversations by themselves, and reports whether it was
// one of them.
func (d *decoding) stage(ctx context.Context) (bool, error) {
	name := d.c.String("stage")
	switch {
	case !slices.Contains(printer.Stages, name):
		return true, usagef("netlab decode: --stage %s: there are %s", name, strings.Join(printer.Stages, ", "))
	case name != "packets" && name != "segments":
		return false, nil
	case d.filter != nil || d.hide != nil || d.growing:
		return true, usagef("netlab decode: --stage %s prints packets of whole files, without --where, --redact and --follow-file", name)
	}
	src, closer, err := d.open(ctx)
	if err != nil {
		return true, err
	}
	defer closer.Close()
	w := bufio.NewWriter(d.std.out)
	p := printer.NewPackets(w, d.std.style())
	p.Segments = name == "segments"
	if d.c.Bool("json") {
		p.JSON = printer.NewJSON(w)
	}
	_, err = capture.Copy(p, src)
	if errors.Is(err, capture.ErrDamaged) {
		fmt.Fprintf(d.std.err, "netlab: %s\n", printer.Clean(err.Error()))
		err = nil
	}
	for _, flush := range []func() error{p.Flush, w.Flush} {
		if e := flush(); err == nil {
			err = e
		}
	}
	return true, err
}

// late makes the stages behind conversations.
func (d *decoding) late(name string) (decode.Sink, error) {
	w := bufio.NewWriter(d.std.out)
	d.end = append(d.end, w.Flush)
	var json *printer.JSON
	if d.tables = !d.c.Bool("json"); !d.tables {
		json = printer.NewJSON(w)
		json.File = d.name()
	}
	if name == "chunks" {
		if d.filter != nil || d.hide != nil {
			return nil, usagef("netlab decode: --stage chunks prints all bytes' places, without --where and --redact")
		}
		p := printer.NewChunks(w, d.std.style())
		p.JSON = json
		return p, nil
	}
	p := printer.NewMessages(w, d.std.style())
	p.JSON, p.Hide = json, d.hide
	return p, nil
}

// create makes a file that only its owner can read, or stands for standard output.
func (d *decoding) create(name string) (io.Writer, func() error, error) {
	if name == "-" {
		w := bufio.NewWriter(d.std.out)
		return w, w.Flush, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	return w, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}

// har makes --har.
func (d *decoding) har(name string) error {
	if name == "-" && len(d.sinks) > 0 {
		return usagef("netlab decode: --har - prints the archive, beside nothing else")
	}
	if err := spares(d.c, "har", name, d.files); err != nil {
		return err
	}
	w, done, err := d.create(name)
	if err != nil {
		return err
	}
	p := printer.NewHAR(w, version())
	p.Hide = d.hide
	d.keep(printer.KeepExtract)
	d.add(p)
	d.end = append(d.end, func() error {
		if err := done(); err != nil {
			return fmt.Errorf("decode: write %s: %w", name, err)
		}
		if name != "-" {
			fmt.Fprintf(d.std.err, "netlab: %s written to %s\n", printer.Count(p.Entries, "HTTP exchange"), name)
		}
		return nil
	})
	return nil
}

// extract makes --extract. Where something else is printed, its lines are notes.
func (d *decoding) extract(dir string, beside bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	out := d.std.out
	if beside {
		out = d.std.err
	}
	d.keep(printer.KeepExtract)
	d.add(printer.NewExtract(out, d.std.style(), folder{root, dir}))
	d.end = append(d.end, root.Close)
	return nil
}

// folder is a folder that nothing can be written out of, whatever it is called. What
// is there stays.
type folder struct {
	root *os.Root
	name string
}

func (f folder) Create(name string) (io.WriteCloser, error) {
	file, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, hinted{fmt.Errorf("decode: %s is there already in %s, and nothing is written over", name, f.name), "an empty folder for --extract"}
	}
	return file, err
}

func (f folder) Rename(from, to string) error {
	if _, err := f.root.Lstat(to); err == nil && from != to {
		return hinted{fmt.Errorf("decode: %s is there already in %s, and nothing is written over", to, f.name), "an empty folder for --extract"}
	}
	return f.root.Rename(from, to)
}

// write makes --write: which packets to copy is known when all were read, so the file
// is read again.
func (d *decoding) write(name string) error {
	if len(d.files) != 1 || !readsTwice(d.files[0]) {
		return usagef("netlab decode: --write reads twice, so it wants one FILE that can be, and no pipe")
	}
	if err := spares(d.c, "write", name, d.files); err != nil {
		return err
	}
	picked := where.NewCollector(where.Choice{Filter: d.filter})
	d.sinks = append(d.sinks, picked)
	d.end = append(d.end, func() error { return d.copy(name, picked) })
	return nil
}

// readsTwice reports whether a FILE argument can be read again from its beginning.
func readsTwice(name string) bool {
	if !isPath(name) {
		return name != "-"
	}
	st, err := os.Stat(name)
	return err != nil || st.Mode().IsRegular() // an error is told when it is opened
}

// copy writes the packets that were picked, and all IP fragments: which of them are
// part of what is known only when they are put together.
func (d *decoding) copy(name string, picked *where.Collector) error {
	_, file, err := d.std.openFile(d.files[0])
	if err != nil {
		return err
	}
	defer file.Close()
	w, done, err := d.create(name)
	if err != nil {
		return err
	}
	var look packet.Decoder
	n, err := pcaps.Filter(w, readers(file)[0], func(p *capture.Packet) (bool, error) {
		return look.Decode(p) == packet.Fragment || picked.Has(p.Number), nil
	})
	if e := done(); err == nil || errors.Is(err, capture.ErrDamaged) {
		err = e // the damage was told
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(d.std.err, "netlab: %s written to %s\n", printer.Count(n, "packet"), name)
	return nil
}
