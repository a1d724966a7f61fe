package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

// openFile opens what a user calls FILE: a path, - for standard input, or
// sample:NAME.
func (s stdio) openFile(name string) (capture.Source, io.Closer, error) {
	switch sample, isSample := strings.CutPrefix(name, "sample:"); {
	case name == "-":
		r, err := pcaps.NewReader(s.in)
		if err != nil {
			return nil, nil, fileError(name, err)
		}
		return r, abandoned{r}, nil
	case isSample:
		data, err := samples.Open(sample)
		if err != nil {
			return nil, nil, hinted{err, "netlab samples"}
		}
		r, err := pcaps.NewReader(data)
		return r, r, err
	}
	f, err := pcaps.Open(name)
	if err != nil {
		return nil, nil, fileError(name, err)
	}
	return f, f, nil
}

// abandoned closes without waiting: standard input may have no more to say, and
// not end either.
type abandoned struct{ io.Closer }

func (a abandoned) Close() error {
	go a.Closer.Close()
	return nil
}

// fileError adds what to do about a file that can't be read.
func fileError(name string, err error) error {
	switch {
	case errors.Is(err, pcaps.ErrFormat):
		return hinted{err, "a pcap or pcapng file, as netlab capture, tcpdump -w and Wireshark write"}
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "/."):
		return hinted{err, "netlab samples lists what can be opened as sample:NAME"}
	}
	return err
}

// oneFile returns the FILE argument of a command that takes one.
func oneFile(c *cli.Context) (string, error) {
	switch c.NArg() {
	case 0:
		return "", hinted{usagef("%s: which FILE?", commandName(c)), commandName(c) + " sample:http1-keepalive"}
	case 1:
		return c.Args().First(), nil
	}
	return "", hinted{usagef("%s: one FILE at a time, and %q is another", commandName(c), c.Args().Get(1)), commandName(c) + " --help"}
}

// commandName is how a command is called: netlab decode, netlab pcaps info.
func commandName(c *cli.Context) string { return c.Command.HelpName }

// until is a Source that ends when ctx does. It is a Lender if src is.
func until(ctx context.Context, src capture.Source) capture.Source {
	return lending(&cancelable{ctx, src}, src)
}

// lending is a Source in front of another, as a Lender if that is one.
func lending(src, other capture.Source) capture.Source {
	if lender, ok := other.(capture.Lender); ok {
		return struct {
			capture.Source
			capture.Lender
		}{src, lender}
	}
	return src
}

type cancelable struct {
	ctx context.Context
	src capture.Source
}

func (c *cancelable) Next() (*capture.Packet, error) {
	if c.ctx.Err() != nil {
		return nil, io.EOF
	}
	return c.src.Next()
}
