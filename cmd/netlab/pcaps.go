package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/capture/filter"
	"netlab/decode/printer"
	"netlab/pcaps"
)

func pcapsCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "pcaps",
		Usage:     "look at capture files, cut, merge and convert them",
		ArgsUsage: "info|slice|merge|convert FILE...",
		Description: "These work on packets as they are, whatever they say, and never on the file itself: what is written is another file.\n\n" +
			"Example: netlab pcaps slice big.pcap --after 10s --duration 30s -o small.pcap tcp port 8080",
		Subcommands: []*cli.Command{pcapsInfoCommand(std), pcapsSliceCommand(std), pcapsMergeCommand(std), pcapsConvertCommand(std)},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return hinted{usagef("netlab pcaps: there is no %q; there are info, slice, merge and convert", name), "netlab pcaps info " + name}
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

// outputFlag names the file that is made.
func outputFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o", "w"}, Usage: usage}
}

// kindFlags say what kind of capture file is made.
var kindFlags = []cli.Flag{
	outputFlag("write to `FILE`, whose name asks for the kind, as .pcap or .pcapng, and for compression, as .gz, .zst or .lz4; - is standard output"),
	&cli.StringFlag{Name: "format", Usage: "write `KIND` pcap or pcapng", DefaultText: "what the name asks for, else that of FILE"},
	&cli.StringFlag{Name: "precision", Usage: "write times in `UNIT` us or ns", DefaultText: "ns, or as they are where nothing is converted"},
}

// rewriting is a run of what makes one capture file of others.
type rewriting struct {
	std   stdio
	c     *cli.Context
	files []string
	out   string
	how   pcaps.Conversion
	// asIs means that what is copied need not be changed, if the kind is the same.
	asIs bool

	opened []*pcaps.Reader
	opts   pcaps.Options
}

// newRewriting looks at the flags and files.
func (std stdio) newRewriting(c *cli.Context, files []string) (*rewriting, error) {
	k := &rewriting{std: std, c: c, files: files, out: c.String("output")}
	if k.out == "" {
		return nil, hinted{usagef("%s: to which file?", commandName(c)), commandName(c) + " " + files[0] + " -o out.pcapng"}
	}
	if err := spares(c, "output", k.out, files); err != nil {
		return nil, err
	}
	if f := c.String("format"); f != "" && f != "pcap" && f != "pcapng" {
		return nil, usagef("%s: --format wants pcap or pcapng, not %q", commandName(c), f)
	}
	if p := c.String("precision"); p != "" && p != "us" && p != "ns" {
		return nil, usagef("%s: --precision wants us or ns, not %q", commandName(c), p)
	}
	return k, nil
}

// run opens the files, makes another of them, and says what became of the packets.
func (k *rewriting) run(ctx context.Context) error {
	_, closer, err := k.std.openFiles(k.files)
	if err != nil {
		return err
	}
	defer closer.Close()
	k.opened = readers(closer)
	k.opts = pcaps.Options{Format: k.format(), Micro: k.c.String("precision") == "us"}
	keep := k.how.Keep
	k.how.Keep = func(p *capture.Packet) (bool, error) {
		switch {
		case ctx.Err() != nil:
			return false, status(exitCanceled)
		case keep == nil:
			return true, nil
		}
		return keep(p)
	}
	if k.out == "-" {
		return k.copy(k.std.out)
	}
	d, err := newDraft(k.out)
	if err != nil {
		return err
	}
	defer d.drop()
	w, err := pcaps.CreateCopy(d.path)
	if err != nil {
		return err
	}
	err = k.copy(w)
	if e := w.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = d.keep()
	}
	return err
}

// format is what is asked for: by its name, or that of the output, or the first of the inputs
// unless they do not fit into one.
func (k *rewriting) format() pcaps.Format {
	asked := k.c.String("format")
	switch {
	case asked == "pcapng":
		return pcaps.PcapNG
	case asked == "pcap":
		return pcaps.Pcap
	case k.out != "-":
		return pcaps.FormatOf(k.out)
	}
	for _, r := range k.opened {
		if r.Format() == pcaps.PcapNG || r.Interfaces()[0].Link != k.opened[0].Interfaces()[0].Link {
			return pcaps.PcapNG
		}
	}
	return pcaps.Pcap
}

// copy copies the packets to w: as they stand, where they can stay so.
func (k *rewriting) copy(w io.Writer) error {
	done, err := k.convert(w)
	switch {
	case errors.Is(err, capture.ErrDamaged):
		fmt.Fprintf(k.std.err, "netlab: the capture is damaged, all before was copied: %s\n", printer.Clean(err.Error()))
	case err != nil && !errors.Is(err, errEnough):
		return err
	}
	k.told(done)
	return nil
}

func (k *rewriting) convert(w io.Writer) (pcaps.Converted, error) {
	if k.asIs && len(k.opened) == 1 && k.opened[0].Format() == k.opts.Format && !k.c.IsSet("precision") {
		n, err := pcaps.Filter(w, k.opened[0], k.how.Keep)
		return pcaps.Converted{Packets: n}, err
	}
	to, err := pcaps.NewWriter(w, k.opts)
	if err != nil {
		return pcaps.Converted{}, err
	}
	return pcaps.Convert(to, k.opened, k.how)
}

// errEnough ends a copy when all that was asked for is in it.
var errEnough = errors.New("no more is asked for")

// told says what became of the packets.
func (k *rewriting) told(done pcaps.Converted) {
	line := printer.Count(done.Packets, "packet")
	if done.Cut > 0 {
		line += fmt.Sprintf(", %d of them cut,", done.Cut)
	}
	if k.out != "-" {
		line += " written to " + k.out
	}
	if done.Lost > 0 {
		line += fmt.Sprintf("; %s, secrets and the like had no place there", printer.Count(done.Lost, "comment"))
	}
	fmt.Fprintf(k.std.err, "netlab: %s\n", printer.Clean(line))
}

func pcapsMergeCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "make one capture file of several, in the order of time",
		ArgsUsage: "FILE...",
		Description: "Packets of several link types go into a pcapng file only.\n\n" +
			"Example: netlab pcaps merge client.pcap server.pcap.gz -o both.pcapng",
		Flags: kindFlags,
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return hinted{usagef("netlab pcaps merge: which FILE...?"), "netlab pcaps merge a.pcap b.pcap -o both.pcapng"}
			}
			k, err := std.newRewriting(c, c.Args().Slice())
			if err != nil {
				return err
			}
			return k.run(c.Context)
		},
	}
}

func pcapsConvertCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "convert",
		Usage:     "write a capture file as another kind, or with another compression",
		ArgsUsage: "FILE",
		Description: "Comments of packets, names of interfaces and secrets go over where there is a place for them; what has none is counted.\n\n" +
			"Example: netlab pcaps convert bug.pcapng.zst -o bug.pcap --precision us",
		Flags: kindFlags,
		Action: func(c *cli.Context) error {
			file, err := oneFile(c)
			if err != nil {
				return err
			}
			k, err := std.newRewriting(c, []string{file})
			if err != nil {
				return err
			}
			k.asIs = true
			return k.run(c.Context)
		},
	}
}

// packetFilter reads the words of a filter; there is none without words.
func packetFilter(words []string) (*filter.Filter, error) {
	if len(words) == 0 {
		return nil, nil
	}
	return filter.New(strings.Join(words, " "))
}
