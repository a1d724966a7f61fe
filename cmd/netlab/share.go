package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/redact"
	"netlab/pcaps"
	"netlab/replay/bundle"
	"netlab/replay/proof"
)

func shareCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "share",
		Usage:     "sanitise a recording, prove it, and pack it for a bug report",
		ArgsUsage: "FILE [BPF...]",
		Description: "Takes whole conversations, those of which all that is asked for holds; puts pseudonyms in place of addresses, names and\n" +
			"secrets, blanks what can't be understood, and searches the result for each original and holds it against the recording:\n" +
			"the same conversations, exchanges and values that live. FILE stays as it is. Exit status: 0 done, 1 done, but the result\n" +
			"is not the same to replay, 2 it could not be done, or a secret was left: then nothing is written.\n\n" +
			"Example: netlab share bug.pcap -o bug.zip",
		Flags: append([]cli.Flag{
			outputFlag("write a bundle to `FILE`.zip, or the packets alone to FILE.pcapng or FILE.pcap"),
			&cli.StringFlag{Name: "where", Usage: "take conversations with an exchange for which `EXPR` holds, as 'http.status >= 500' (see netlab fields)"},
			&cli.StringFlag{Name: "conversation", Usage: "take those whose IDs are in `LIST`, as 3,7-9"},
			&cli.StringFlag{Name: "from-report", Usage: "take those that answered differently, by `FILE`, which replay --report json=FILE wrote"},
		}, append(wholeFlags(), []cli.Flag{
			&cli.StringSliceFlag{Name: "keep", Usage: "let some values stay: `RULE` is a kind, as email; a name, as x-trace-*; or a /regular expression/; may be given several times"},
			&cli.StringSliceFlag{Name: "hide", Usage: "take some for secrets, too: `RULE` as --keep has it; may be given several times"},
			&cli.StringSliceFlag{Name: "allow", Usage: "let bodies of media `TYPE` stay, as image/*, though nothing is understood of them; may be given several times"},
			&cli.StringFlag{Name: "key", Usage: "have the pseudonyms that another bundle made with the key in `FILE` has; one is made if it is not there"},
			&cli.StringFlag{Name: "map", Usage: "write what stands for what to `FILE`, which is for you alone", DefaultText: "the output's name and .map.json"},
			&cli.BoolFlag{Name: "strict", Usage: "write nothing if something had to be blanked"},
			&cli.BoolFlag{Name: "no-sanitise", Usage: "share all secrets as they were said"},
			&cli.BoolFlag{Name: "json", Usage: "tell what was done as a line of JSON"},
			keylogFlag(),
			memoryFlag("512MiB", "keep within about `SIZE` of memory; where there is more to replace than fits in it, nothing is written"),
		}...)...),
		Action: func(c *cli.Context) error { return std.share(c.Context, c) },
	}
}

// wholeFlags are pickFlags, of which one packet is enough for its conversation.
func wholeFlags() []cli.Flag {
	flags := slices.Clone(pickFlags)
	for i, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			own := *f
			own.Usage = strings.Replace(own.Usage, "take those", "take those with a packet", 1)
			flags[i] = &own
		case *cli.DurationFlag:
			own := *f
			own.Usage = strings.Replace(own.Usage, "take those of", "take those with a packet of", 1)
			flags[i] = &own
		case *cli.Int64Flag:
			own := *f
			own.Usage = "take those with a packet among the first `N`"
			flags[i] = &own
		}
	}
	flags[0].(*cli.StringFlag).Usage = "take those with a packet whose number is in `LIST`, as 1-100,205,300-"
	return flags
}

// sharing is a run of share. What it makes lies in scratch files until all of it is whole.
type sharing struct {
	std       stdio
	c         *cli.Context
	file, out string
	room      int64
	cut       *cut
	scratch   *scratch
	cleaning  *cleaning // nil with --no-sanitise
	findings  []bundle.Finding

	spooled *os.File // FILE, where it can be read once only
	keyed   bool     // there are keys to what it holds
	opened  unsealed
	packets *os.File // that are shared, as pcapng
	draft   *draft   // which this is, if it is what is written; else nil
	written int64    // of these
	mapped  bool     // there is something that stands for something else
	packed  *packed  // the same for a bundle
	views   *views
	was, is *proof.Outline
	search  *redact.Search // in what would be shared
	differs []proof.Difference
	told    sync.Once // that FILE is damaged
	stages  stages
}

func (std stdio) share(ctx context.Context, c *cli.Context) error {
	s := &sharing{std: std, c: c, file: c.Args().First(), out: c.String("output")}
	if err := s.check(); err != nil {
		return err
	}
	var err error
	if s.room, err = memory(c); err != nil {
		return err
	}
	// Two readings may go on at a time, of a quarter of the room each, beside what is held of all.
	s.was, s.is = proof.New(s.room/16), proof.New(s.room/16)
	s.scratch = &scratch{dir: filepath.Dir(s.out)}
	defer s.scratch.Close()
	if !c.Bool("no-sanitise") {
		if s.cleaning, err = newCleaning(c, s.room/16*5, s.scratch); err != nil {
			return err
		}
	}
	if err := s.cutting(); err != nil {
		return err
	}
	defer s.drop()
	defer s.stages.show(std).Close()
	for _, step := range []func(context.Context) error{s.spool, s.lookForKeys, s.choose, s.unseal, s.make, s.judge, s.pack} {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return status(exitCanceled)
		}
	}
	s.stages.Close()
	if err := s.summary(); err != nil {
		return err
	}
	if len(s.differs) > 0 {
		return status(exitDiffers)
	}
	return nil
}

// drop takes away what is not kept.
func (s *sharing) drop() {
	if s.draft != nil {
		s.packets.Close()
		s.draft.drop()
	}
}

// check looks at the flags that do not depend on what is in FILE.
func (s *sharing) check() error {
	switch {
	case s.file == "":
		_, err := oneFile(s.c)
		return err
	case s.out == "" || s.out == "-":
		return hinted{usagef("netlab share: to which file?"), "netlab share " + s.file + " -o bug.zip"}
	case !s.isBundle() && !slices.ContainsFunc([]string{".pcap", ".pcapng"}, func(kind string) bool { return strings.Contains(filepath.Base(s.out), kind) }):
		return hinted{usagef("netlab share: --output %s: that is neither a bundle, .zip, nor a capture, .pcapng or .pcap", s.out), "netlab share " + s.file + " -o bug.zip"}
	}
	for _, out := range []string{s.out, s.mapName()} {
		if same, err := sameFile(out, s.file); isPath(s.file) && (same || err != nil) {
			return usagef("netlab share: %s would write over what is read", out)
		}
	}
	if s.c.Bool("no-sanitise") {
		for _, name := range []string{"keep", "hide", "allow", "key", "map", "strict"} {
			if s.c.IsSet(name) {
				return usagef("netlab share: --no-sanitise replaces nothing, so --%s makes no sense beside it", name)
			}
		}
	}
	return nil
}

func (s *sharing) isBundle() bool { return strings.EqualFold(filepath.Ext(s.out), ".zip") }

func (s *sharing) mapName() string {
	if s.c.IsSet("map") {
		return s.c.String("map")
	}
	return s.out + ".map.json"
}

// spool copies what can be read only once, for it is read several times.
func (s *sharing) spool(ctx context.Context) error {
	if readsTwice(s.file) {
		return nil
	}
	in := s.std.in
	if s.file != "-" {
		f, err := os.Open(s.file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	var err error
	if s.spooled, err = s.scratch.file(); err != nil {
		return err
	}
	if _, err = io.Copy(s.spooled, &interruptible{ctx, in}); err != nil {
		return fmt.Errorf("share: keep what is read from %s: %w", s.file, err)
	}
	return nil
}

// interruptible is a Reader that ends with ctx.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, io.EOF
	}
	return i.r.Read(p)
}

// open opens FILE from its beginning, or what was opened of it.
func (s *sharing) open() (capture.Source, io.Closer, error) {
	scratch := cmp.Or(s.opened.packets, s.spooled)
	if scratch == nil {
		return s.std.openFile(s.file)
	}
	r, err := again(scratch)
	if err != nil {
		return nil, nil, fileError("-", err)
	}
	return r, r, nil
}

// followed is a Source of FILE of which is told how far it is, and that ends with ctx.
func (s *sharing) followed(ctx context.Context, src capture.Source) capture.Source {
	return until(ctx, s.stages.watched(src, sizeOf(s.file)))
}

// again reads a scratch file from its beginning; several may at a time.
func again(f *os.File) (*pcaps.Reader, error) {
	content, err := contentOf(f)
	if err != nil {
		return nil, err
	}
	return pcaps.NewReader(content)
}

// contentOf is all that is in a scratch file.
func contentOf(f *os.File) (io.Reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(f, 0, st.Size()), nil
}

// make makes what would be shared, and looks at it.
func (s *sharing) make(ctx context.Context) error {
	return inTurn(ctx, s.learn, s.write, s.read)
}

// inTurn takes one step after the other.
func inTurn(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// besides takes steps at the same time. An error of one ends the others.
func besides(ctx context.Context, steps ...func(context.Context) error) error {
	g, group := errgroup.WithContext(ctx)
	for _, step := range steps {
		g.Go(func() error { return step(either{group, ctx}) })
	}
	return g.Wait()
}

// either is a context of a group that has ended as soon as its parent has, not when it is told so.
type either struct {
	context.Context
	parent context.Context
}

func (e either) Err() error { return cmp.Or(e.Context.Err(), e.parent.Err()) }

// run reads the conversations that are shared, into some sinks.
func (s *sharing) run(ctx context.Context, from func(capture.Source) *cutSource, sinks ...decode.Sink) error {
	src, closer, err := s.open()
	if err != nil {
		return err
	}
	defer closer.Close()
	src = s.followed(ctx, src)
	return s.decode(lending(from(src), src), s.decoding(), sinks...)
}

// decode reads packets of FILE into some sinks.
func (s *sharing) decode(src capture.Source, opts decode.Options, sinks ...decode.Sink) error {
	sum, err := decode.Run(src, decode.Tee(sinks...), opts)
	if err == nil && sum.Truncated {
		s.told.Do(func() {
			fmt.Fprintf(s.std.err, "netlab: the capture is damaged, all before is shared: %s\n", printer.Clean(sum.Damage))
		})
	}
	return err
}

// decoding are the options of all readings: what one of them tells of, the others find again. What
// reads is in several shards, as long as all sinks are decode.Forkers.
func (s *sharing) decoding() decode.Options {
	return decode.Options{Keep: redact.KeepBytes, Memory: s.room / 4}
}

// judge looks at what was found in what would be shared.
func (s *sharing) judge(context.Context) error {
	if s.cleaning == nil {
		return nil
	}
	s.differs = proof.Compare(s.was, s.is)
	if err := s.left(); err != nil {
		return err
	}
	if blanked := s.cleaning.blanked(); s.c.Bool("strict") && len(blanked) > 0 {
		return hinted{fmt.Errorf("share: --strict: not everything could be understood, so nothing was written:\n  %s", strings.Join(blanked, "\n  ")), "without --strict it is blanked; --allow TYPE lets bodies of a type stay"}
	}
	return nil
}

// left says which originals are still in what would be shared, if any are.
func (s *sharing) left() error {
	found, count := s.search.Found()
	if count == 0 {
		return nil
	}
	lines := []string{"share: what was to be replaced is still in what would be shared, so nothing was written:"}
	for _, f := range found[:min(len(found), maxTold)] {
		lines = append(lines, "  "+f.String())
	}
	if n := count - maxTold; n > 0 {
		lines = append(lines, fmt.Sprintf("  and in %s more", printer.Count(n, "place")))
	}
	return hinted{errors.New(strings.Join(lines, "\n")), "--hide RULE for what was not seen as a secret, --keep RULE for what is none; and tell us, for this should not happen"}
}

// maxTold bounds the lines of a list that is told.
const maxTold = 20

func countOf(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
