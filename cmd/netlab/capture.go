package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/capture/live"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/pcaps"
)

func captureCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "capture",
		Usage:     "record traffic, or watch what is said in it",
		ArgsUsage: "[BPF...]",
		Description: "With -w it writes a capture file, else it prints conversations and exchanges as they happen.\n" +
			"What stands behind the flags is a filter in the language of tcpdump. Ctrl-C ends it.\n\n" +
			"Example: netlab capture -i lo -w bug.pcap tcp port 8080",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "interface", Aliases: []string{"i"}, Usage: "listen on `IFACE`; any is all of them"},
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Usage: "write packets to `FILE` (.pcap or .pcapng), - is standard output"},
			&cli.Int64Flag{Name: "count", Aliases: []string{"c"}, Usage: "end after `N` packets"},
			&cli.DurationFlag{Name: "duration", Usage: "end after `D`, as 30s"},
			&cli.IntFlag{Name: "snaplen", Aliases: []string{"s"}, Usage: "keep `LEN` bytes of each packet; 0 keeps all"},
			&cli.BoolFlag{Name: "promiscuous", Usage: "listen to what is for others too"},
			&cli.BoolFlag{Name: "json", Usage: "without -w: print JSON Lines"},
			&cli.BoolFlag{Name: "redact", Usage: "without -w: hide passwords, cookies and tokens"},
			keylogFlag(), decodeMemoryFlag(),
		},
		Action: func(c *cli.Context) error { return std.capture(c.Context, c) },
	}
}

func (std stdio) capture(ctx context.Context, c *cli.Context) error {
	opts := live.Options{
		Interface: c.String("interface"), SnapLen: c.Int("snaplen"), Promiscuous: c.Bool("promiscuous"),
		Filter: strings.Join(c.Args().Slice(), " "), Immediate: !c.IsSet("write") || c.String("write") == "-",
	}
	switch {
	case opts.Interface == "":
		return hinted{usagef("netlab capture: which interface? There are: %s", strings.Join(interfaceNames(), ", ")), "netlab capture -i lo"}
	case c.IsSet("count") && c.Int64("count") <= 0:
		return usagef("netlab capture: -c wants a number of packets above 0")
	case opts.SnapLen < 0:
		return usagef("netlab capture: -s wants a number of bytes")
	case c.IsSet("write") && c.Bool("json"):
		return usagef("netlab capture: with -w packets are written, and --json has nothing to print; decode the file with --json")
	case c.IsSet("write") && c.IsSet("keylog"):
		return usagef("netlab capture: with -w packets are written as they are; decode the file with --keylog")
	}
	room, err := memory(c)
	if err != nil {
		return err
	}
	if c.IsSet("duration") {
		if c.Duration("duration") <= 0 {
			return usagef("netlab capture: --duration wants a time above 0, as 30s")
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Duration("duration"))
		defer cancel()
	}
	h, err := live.Open(opts)
	if err != nil {
		return captureHint(err)
	}
	defer h.Close()
	defer context.AfterFunc(ctx, h.Stop)()
	var src capture.Source = h
	if c.IsSet("count") {
		src = capture.Limit(src, c.Int64("count"))
	}
	fmt.Fprintf(std.err, "netlab: listening on %s, %s; Ctrl-C ends\n", opts.Interface, h.Link())
	if c.IsSet("write") {
		return std.record(c.String("write"), src, h, opts)
	}
	return std.watch(c, src, h, room)
}

// record writes the packets of src to a file.
func (std stdio) record(name string, src capture.Source, h live.Handle, opts live.Options) error {
	file := pcaps.Options{Format: pcaps.FormatOf(name), Link: h.Link(), SnapLen: uint32(opts.SnapLen)}
	var w *pcaps.Writer
	var done func() error
	if name == "-" {
		var err error
		if w, err = pcaps.NewWriter(std.out, file); err != nil {
			return err
		}
		done = w.Flush
	} else {
		f, err := pcaps.Create(name, file)
		if err != nil {
			return err
		}
		w, done = f.Writer, f.Close
	}
	captured, err := capture.Copy(w, src)
	if e := done(); err == nil {
		err = e
	}
	std.summary(captured, h, fmt.Sprintf(", %s written to %s", printer.Count(w.Packets(), "packet"), name))
	return err
}

// watch decodes the packets of src in room bytes of memory, and prints what
// happens.
func (std stdio) watch(c *cli.Context, src capture.Source, h live.Handle, room int64) error {
	var hide printer.Hider
	if c.Bool("redact") {
		hide = redact.Finder{}
	}
	var sink decode.Sink
	if c.Bool("json") {
		p := printer.NewJSON(std.out)
		p.File, p.Hide, p.Live = c.String("interface"), hide, true
		sink = p
	} else {
		p := printer.NewLive(std.out, std.style())
		p.Hide = hide
		sink = p
	}
	keys, err := openKeylog(c.String("keylog"), true)
	if err != nil {
		return err
	}
	defer keys.Close()
	sum, err := decode.Run(keys.watch(src), sink, decode.Options{Memory: room, Secrets: keys.secrets})
	std.summary(sum.Packets, h, fmt.Sprintf("\n%s", strings.TrimRight(printer.Account(sum), "\n")))
	return err
}

// summary says what became of the packets.
func (std stdio) summary(captured int64, h live.Handle, more string) {
	line := printer.Count(captured, "packet") + " captured"
	if s, err := h.Stats(); err == nil {
		line += fmt.Sprintf(", %d received by the filter, %d dropped by the kernel", s.Received, s.Dropped)
		if s.IfDropped > 0 {
			line += fmt.Sprintf(", %d by the interface", s.IfDropped)
		}
	}
	fmt.Fprintln(std.err, "netlab: "+line+more)
}

func interfaceNames() []string {
	list, err := live.Interfaces()
	if err != nil {
		return nil
	}
	var out []string
	for _, i := range list {
		out = append(out, i.Name)
	}
	return append(out, "any")
}

// captureHint adds what to do when an interface can't be listened on.
func captureHint(err error) error {
	var permission *live.PermissionError
	var filter *live.FilterError
	switch {
	case errors.As(err, &permission):
		self, e := os.Executable()
		if e != nil {
			self = "$(command -v netlab)"
		}
		return hinted{err, "sudo setcap cap_net_raw+ep " + self}
	case errors.As(err, &filter):
		return hinted{err, "man pcap-filter, or an example as 'tcp port 8080 and host 10.0.0.1'"}
	case errors.Is(err, live.ErrNoEngine):
		return hinted{err, "make build, where libpcap's headers are (apt-get install libpcap-dev)"}
	}
	return err
}
