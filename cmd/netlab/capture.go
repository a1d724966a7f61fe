package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/capture/filter"
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
		ArgsUsage: "[BPF...] [-- COMMAND ARGS...]",
		Description: "With -w it writes a capture file, else it prints conversations and exchanges as they happen.\n" +
			"What stands behind the flags is a filter in the language of tcpdump. Ctrl-C ends it.\n" +
			"With -- COMMAND it runs that, captures its sockets alone, and ends with its exit status.\n\n" +
			"Example: netlab capture -i lo -w bug.pcap tcp port 8080",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "interface", Aliases: []string{"i"}, Usage: "listen on `IFACE`, once or several times; any is all of them, - reads a capture from standard input, tcp:HOST:PORT from a connection"},
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Usage: "write packets to `FILE` (.pcap or .pcapng, and .gz, .zst or .lz4 to compress), - is standard output"},
			&cli.Int64Flag{Name: "count", Aliases: []string{"c"}, Usage: "end after `N` packets"},
			&cli.DurationFlag{Name: "duration", Usage: "end after `D`, as 30s"},
			&cli.IntFlag{Name: "snaplen", Aliases: []string{"s"}, Usage: "keep `LEN` bytes of each packet; 0 keeps all"},
			&cli.StringFlag{Name: "rotate-size", Usage: "with -w: go on in another file before one is larger than `SIZE`, as 100MB"},
			&cli.DurationFlag{Name: "rotate-every", Usage: "with -w: go on in another file after `D`, as 5m"},
			&cli.IntFlag{Name: "keep", Usage: "keep the last `N` of the files, and remove older ones"},
			&cli.BoolFlag{Name: "promiscuous", Usage: "listen to what is for others too"},
			&cli.StringFlag{Name: "engine", Usage: "listen with `ENGINE`: auto, ring or pcap", Value: "auto"},
			&cli.StringFlag{Name: "buffer", Aliases: []string{"B"}, Usage: "let the kernel keep `SIZE` of packets for us; KiB when it has no unit", DefaultText: fmt.Sprint(live.DefaultBuffer()>>20) + "MiB"},
			&cli.StringFlag{Name: "filter-ddd", Usage: "take the filter that tcpdump -ddd compiled to `FILE`"},
			&cli.BoolFlag{Name: "fail-on-drop", Usage: "exit with status 2 if packets were dropped"},
			&cli.StringFlag{Name: "user", Usage: "be `NAME` once the interface is open, when started by root"},
			&cli.BoolFlag{Name: "json", Usage: "without -w: print JSON Lines"},
			&cli.BoolFlag{Name: "redact", Usage: "without -w: hide passwords, cookies and tokens"},
			keylogFlag(), decodeMemoryFlag(),
		},
		Action: func(c *cli.Context) error { return std.capture(c.Context, c) },
	}
}

// captureRun is a capture under way.
type captureRun struct {
	std  stdio
	c    *cli.Context
	from *origin
	src  capture.Source // from, with what is done to it on the way
	room int64          // memory to decode in
	keys *keylog

	begin time.Time
	live  *meter // nil where there is nobody to look at it

	command *watchedCommand // nil where everything is captured
}

func (std stdio) capture(ctx context.Context, c *cli.Context) error {
	if err := checkCapture(c); err != nil {
		return err
	}
	room, err := memory(c)
	if err != nil {
		return err
	}
	opts, err := captureOptions(c)
	if err != nil {
		return err
	}
	if c.IsSet("duration") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Duration("duration"))
		defer cancel()
	}
	from, err := std.listenOn(ctx, c.StringSlice("interface"), opts)
	if err != nil {
		return captureHint(err)
	}
	defer from.Close()
	if c.IsSet("user") {
		if err := become(c.String("user")); err != nil {
			return err
		}
	}
	keys, err := openKeylog(c.String("keylog"), true)
	if err != nil {
		return err
	}
	defer keys.Close()
	k := &captureRun{std: std, c: c, from: from, src: from, room: room, keys: keys, begin: time.Now()}
	if words := command(c); len(words) > 0 {
		if err := k.start(ctx, words); err != nil {
			return err
		}
	}
	if c.IsSet("count") {
		k.src = capture.Limit(k.src, c.Int64("count"))
	}
	if c.IsSet("write") {
		err = k.record(c.String("write"))
	} else {
		err = k.watch()
	}
	return k.ended(k.dropped(err))
}

// expression are the words of the filter, command those behind it.
func expression(c *cli.Context) []string {
	words := c.Args().Slice()
	if i := slices.Index(words, "--"); i >= 0 {
		return words[:i]
	}
	return words
}

func command(c *cli.Context) []string {
	words := c.Args().Slice()
	if i := slices.Index(words, "--"); i >= 0 {
		return words[i+1:]
	}
	return nil
}

// announce tells that packets are taken from now on.
func (k *captureRun) announce() {
	fmt.Fprintf(k.std.err, "netlab: listening on %s; Ctrl-C ends\n", k.from)
}

// checkCapture finds flags that mean nothing.
func checkCapture(c *cli.Context) error {
	writes := c.IsSet("write")
	rotates := c.IsSet("rotate-size") || c.IsSet("rotate-every")
	switch {
	case len(c.StringSlice("interface")) == 0:
		return hinted{usagef("netlab capture: which interface? There are: %s", strings.Join(interfaceNames(), ", ")), "netlab capture -i lo"}
	case c.IsSet("count") && c.Int64("count") <= 0:
		return usagef("netlab capture: -c wants a number of packets above 0")
	case c.Int("snaplen") < 0:
		return usagef("netlab capture: -s wants a number of bytes")
	case c.IsSet("duration") && c.Duration("duration") <= 0:
		return usagef("netlab capture: --duration wants a time above 0, as 30s")
	case writes && c.Bool("json"):
		return usagef("netlab capture: with -w packets are written, and --json has nothing to print; decode the file with --json")
	case writes && c.IsSet("keylog") && pcaps.FormatOf(c.String("write")) != pcaps.PcapNG:
		return usagef("netlab capture: only a file named .pcapng has a place for keys; or decode the file with --keylog")
	case rotates && (!writes || c.String("write") == "-"):
		return usagef("netlab capture: only files that -w writes can be rotated")
	case c.IsSet("keep") && (!rotates || c.Int("keep") < 1):
		return usagef("netlab capture: --keep wants a number of files above 0, and --rotate-size or --rotate-every")
	case c.IsSet("rotate-every") && c.Duration("rotate-every") <= 0:
		return usagef("netlab capture: --rotate-every wants a time above 0, as 5m")
	case c.IsSet("filter-ddd") && len(expression(c)) > 0:
		return usagef("netlab capture: --filter-ddd is one filter, and %q another", strings.Join(expression(c), " "))
	case slices.Contains(c.Args().Slice(), "--") && len(command(c)) == 0:
		return usagef("netlab capture: behind -- a COMMAND is missing")
	case len(command(c)) > 0 && slices.ContainsFunc(c.StringSlice("interface"), isStream):
		return usagef("netlab capture: a COMMAND's packets are captured on interfaces")
	}
	return nil
}

// captureOptions reads the flags that say what is listened to.
func captureOptions(c *cli.Context) (live.Options, error) {
	opts := live.Options{
		Engine: live.Engine(c.String("engine")), SnapLen: c.Int("snaplen"), Promiscuous: c.Bool("promiscuous"),
		Filter: strings.Join(expression(c), " "), Immediate: !c.IsSet("write") || c.String("write") == "-",
	}
	switch {
	case opts.Engine == "auto":
		opts.Engine = live.Auto
	case opts.Engine != live.Ring && opts.Engine != live.Pcap:
		return opts, usagef("netlab capture: --engine is auto, ring or pcap, not %q", opts.Engine)
	}
	if c.IsSet("buffer") {
		n, err := size(c.String("buffer"), humanize.KiByte)
		if err != nil || n < 1 || n > math.MaxInt32 {
			return opts, usagef("netlab capture: -B wants a size, as 64MiB; %q is none", c.String("buffer"))
		}
		opts.Buffer = int(n)
	}
	if c.IsSet("filter-ddd") {
		var err error
		if opts.Program, err = readDDD(c.String("filter-ddd")); err != nil {
			return opts, err
		}
	}
	return opts, nil
}

// readDDD reads a compiled filter.
func readDDD(name string) (filter.Program, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	defer f.Close()
	code, err := filter.ReadDDD(f)
	if err != nil {
		return nil, hinted{fmt.Errorf("%s: %w", name, err), "tcpdump -ddd -i lo tcp port 80 > FILE"}
	}
	return code, nil
}

// size reads a size; one without a unit counts in these.
func size(s string, unit uint64) (uint64, error) {
	n, err := humanize.ParseBytes(s)
	if err == nil && !strings.ContainsFunc(s, func(r rune) bool { return r >= 'A' }) {
		n *= unit
	}
	return n, err
}

// watch decodes the packets in room bytes of memory, and prints what happens.
func (k *captureRun) watch() error {
	var hide printer.Hider
	if k.c.Bool("redact") {
		hide = redact.Finder{}
	}
	k.meter()
	var sink decode.Sink
	if k.c.Bool("json") {
		p := printer.NewJSON(k.std.out)
		p.File, p.Hide, p.Live = strings.Join(k.c.StringSlice("interface"), " "), hide, true
		sink = p
	} else {
		p := printer.NewLive(k.std.out, k.std.style())
		p.Hide = hide
		sink = p
	}
	if k.live != nil {
		sink = decode.Tee(sink, k.live)
	}
	k.announce()
	sum, err := decode.Run(k.keys.watch(k.src), sink, decode.Options{Memory: k.room, Secrets: k.keys.secrets})
	k.summary(sum.Packets, fmt.Sprintf("\n%s", strings.TrimRight(printer.Account(sum), "\n")))
	return err
}

// summary says what became of the packets.
func (k *captureRun) summary(captured int64, more string) {
	k.live.Close()
	fmt.Fprintln(k.std.err, "netlab: "+captureCounts(captured, k.from)+more)
}

// captureCounts says how many packets there were, and how many were lost.
func captureCounts(captured int64, from interface{ Stats() (live.Stats, error) }) string {
	line := printer.Count(captured, "packet") + " captured"
	if s, err := from.Stats(); err == nil {
		line += fmt.Sprintf(", %d received by the filter, %d dropped by the kernel", s.Received, s.Dropped)
		if s.IfDropped > 0 {
			line += fmt.Sprintf(", %d by the interface", s.IfDropped)
		}
	}
	return line
}

// dropped makes an error of packets that were dropped, where that is asked for and
// nothing else went wrong.
func (k *captureRun) dropped(err error) error {
	s, e := k.from.Stats()
	if err != nil || e != nil || !k.c.Bool("fail-on-drop") || s.Dropped+s.IfDropped == 0 {
		return err
	}
	return hinted{fmt.Errorf("capture: %s dropped", printer.Count(s.Dropped+s.IfDropped, "packet")), "a larger buffer, as -B 256MiB, or a filter"}
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
	return append(out, live.Any)
}

// captureHint adds what to do when an interface can't be listened on.
func captureHint(err error) error {
	var permission *live.PermissionError
	var expression *live.FilterError
	switch {
	case errors.As(err, &permission):
		self, e := os.Executable()
		if e != nil {
			self = "$(command -v netlab)"
		}
		return hinted{err, "sudo setcap cap_net_raw+ep " + self}
	case errors.As(err, &expression):
		return hinted{err, "man pcap-filter, or an example as 'tcp port 8080 and host 10.0.0.1'"}
	case errors.Is(err, live.ErrNoEngine) && slices.Contains(live.Engines(), live.Ring):
		return hinted{err, "--engine ring, or make build where libpcap's headers are (apt-get install libpcap-dev)"}
	case errors.Is(err, live.ErrNoEngine):
		return hinted{err, "make build where libpcap's headers are (apt-get install libpcap-dev)"}
	}
	return err
}

// origin is where the packets of a capture come from: interfaces, or a capture that
// somebody else makes.
type origin struct {
	capture.Source
	io.Closer
	handle live.Handle // nil for a stream
	name   string
}

func (o *origin) String() string {
	if o.handle == nil {
		return o.name
	}
	return o.name + ", " + o.handle.Link().String()
}

// Stats are known of interfaces only.
func (o *origin) Stats() (live.Stats, error) {
	if o.handle == nil {
		return live.Stats{}, errors.ErrUnsupported
	}
	return o.handle.Stats()
}

// closer closes by calling it.
type closer func()

func (c closer) Close() error {
	c()
	return nil
}

// listenOn opens what -i names; it ends when ctx does.
func (std stdio) listenOn(ctx context.Context, names []string, opts live.Options) (*origin, error) {
	if i := slices.IndexFunc(names, isStream); i >= 0 {
		if len(names) > 1 {
			return nil, usagef("netlab capture: %s is captured alone", names[i])
		}
		return std.listenToStream(ctx, names[0], opts)
	}
	h, err := live.OpenAll(names, opts)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, h.Stop)
	return &origin{Source: h, Closer: closer(func() { stop(); h.Close() }), handle: h, name: strings.Join(names, ", ")}, nil
}
