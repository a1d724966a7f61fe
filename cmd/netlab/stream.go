package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"netlab/capture"
	"netlab/capture/filter"
	"netlab/capture/live"
	"netlab/pcaps"
)

// tcpPrefix is of a connection over which somebody sends a capture file while it is
// made, which is called pcap-over-IP.
const tcpPrefix = "tcp:"

func isStream(name string) bool { return name == "-" || strings.HasPrefix(name, tcpPrefix) }

// listenToStream reads a capture that somebody else makes, until ctx ends. What of it a
// filter picks is known here only.
func (std stdio) listenToStream(ctx context.Context, name string, opts live.Options) (*origin, error) {
	if opts.Program != nil {
		return nil, usagef("netlab capture: a compiled filter is for an interface; write the expression behind the flags")
	}
	from, what := std.in, "standard input"
	closes := closers{}
	if addr, ok := strings.CutPrefix(name, tcpPrefix); ok {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, hinted{fmt.Errorf("capture: %w", err), "tcp:HOST:PORT, where a capture is sent to whoever connects"}
		}
		from, what, closes = c, name, append(closes, c)
	}
	// The reader is told of the end by the pipe: it can't be of one that waits.
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, from)
		w.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { w.Close() })
	closes = append(closes, closer(func() { stop(); r.Close() }))
	file, err := pcaps.NewReader(r)
	if err != nil {
		closes.Close()
		if ctx.Err() != nil {
			return nil, usagef("netlab capture: %s had not begun when it ended", what)
		}
		return nil, fileError("-", fmt.Errorf("capture from %s: %w", what, err))
	}
	closes = append(closes, abandoned{file})
	var src capture.Source = &interrupted{ctx, file}
	if opts.Filter != "" {
		f, err := filter.New(opts.Filter)
		if err != nil {
			closes.Close()
			return nil, &live.FilterError{Filter: opts.Filter, Err: err}
		}
		src = f.Source(src)
	}
	return &origin{Source: cutTo(src, opts.SnapLen), Closer: closes, name: what}, nil
}

// interrupted is a Source that may end within a packet when ctx has ended.
type interrupted struct {
	ctx context.Context
	src capture.Source
}

func (i *interrupted) Next() (*capture.Packet, error) {
	p, err := i.src.Next()
	if i.ctx.Err() != nil && errors.Is(err, capture.ErrDamaged) {
		err = io.EOF
	}
	return p, err
}

// cutTo keeps n bytes of each packet; 0 keeps all.
func cutTo(src capture.Source, n int) capture.Source {
	if n == 0 {
		return src
	}
	return &cutting{src, n}
}

type cutting struct {
	src capture.Source
	n   int
}

func (c *cutting) Next() (*capture.Packet, error) {
	p, err := c.src.Next()
	if err == nil && len(p.Data) > c.n {
		p.Data = p.Data[:c.n]
	}
	return p, err
}
