package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/pcaps"
)

// fileArgs returns the FILE arguments of a command that takes several, and the
// words behind them. The first is a FILE whatever it is; so are those behind it
// that can be opened, up to the first that can't.
func fileArgs(c *cli.Context) (files, words []string, err error) {
	if c.NArg() == 0 {
		_, err := oneFile(c) // which says so
		return nil, nil, err
	}
	files, words = []string{c.Args().First()}, c.Args().Tail()
	for len(words) > 0 && isFile(words[0]) {
		files, words = append(files, words[0]), words[1:]
	}
	if i := slices.Index(files, "-"); i >= 0 && slices.Contains(files[i+1:], "-") {
		return nil, nil, usagef("netlab %s: standard input can be read once, and - is there twice", c.Command.Name)
	}
	return files, words, nil
}

func isFile(arg string) bool {
	_, err := os.Stat(arg)
	return err == nil || !isPath(arg)
}

// isPath reports whether a FILE argument names a file.
func isPath(arg string) bool { return arg != "-" && !strings.HasPrefix(arg, "sample:") }

// spares wants what a flag writes to be none of the files that are read.
func spares(c *cli.Context, flag, out string, files []string) error {
	for _, name := range files {
		if same, err := sameFile(out, name); out != "-" && isPath(name) && (same || err != nil) {
			return usagef("%s: --%s %s would write over what is read", commandName(c), flag, out)
		}
	}
	return nil
}

func sameFile(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y), nil
}

// openFiles opens what a user calls FILE..., as one Source in the order of time.
func (s stdio) openFiles(names []string) (capture.Source, io.Closer, error) {
	var sources []capture.Source
	var opened closers
	for _, name := range names {
		src, closer, err := s.openFile(name)
		if err != nil {
			opened.Close()
			return nil, nil, err
		}
		sources, opened = append(sources, src), append(opened, closer)
	}
	if len(sources) == 1 {
		return sources[0], opened, nil
	}
	return pcaps.Merge(sources...), opened, nil
}

type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}
