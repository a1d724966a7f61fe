package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"netlab/capture"
	"netlab/pcaps"
)

// tailPoll is how long to wait at the end of a file for more: soon enough to look
// live, seldom enough to cost nothing.
const tailPoll = 100 * time.Millisecond

// tail reads a file that is still being written. Where it ends for now Read waits
// a little, and returns capture.ErrIdle; when ctx ends, it no longer waits.
type tail struct {
	ctx  context.Context
	f    *os.File
	have int64 // bytes read
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.f.Read(p)
	t.have += int64(n)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	if err := t.same(); err != nil {
		return 0, err
	}
	select {
	case <-t.ctx.Done():
	case <-time.After(tailPoll):
	}
	return 0, capture.ErrIdle
}

// same makes sure that there can be more: what was read is still in the file, and
// the file still has its name. Whoever rotates files takes one of these away.
func (t *tail) same() error {
	name := t.f.Name()
	st, err := t.f.Stat()
	if err != nil {
		return err
	}
	if st.Size() < t.have {
		return hinted{fmt.Errorf("%s was cut to %d bytes while it was followed, %d were read", name, st.Size(), t.have), "netlab decode --follow-file " + name}
	}
	if now, err := os.Stat(name); err != nil || !os.SameFile(st, now) {
		return hinted{fmt.Errorf("%s is no longer the file that was followed: it was renamed, removed or replaced", name), "netlab decode --follow-file " + name}
	}
	return nil
}

// followFile opens a capture file that is still being written, and waits for its
// header, or for ctx to end.
func followFile(ctx context.Context, name string) (capture.Source, io.Closer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fileError(name, fmt.Errorf("follow: %w", err))
	}
	r, err := followHeader(ctx, f)
	if err != nil {
		f.Close()
		return nil, nil, fileError(name, fmt.Errorf("follow %s: %w", name, err))
	}
	return r, f, nil
}

func followHeader(ctx context.Context, f *os.File) (capture.Source, error) {
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, hinted{errors.New("only a file can be followed"), "netlab decode " + f.Name()}
	}
	for {
		r, err := pcaps.NewReader(&tail{ctx: ctx, f: f})
		switch {
		case err == nil && r.Compression() != "":
			r.Close()
			return nil, hinted{fmt.Errorf("it is compressed with %s, and only files that are not can be followed", r.Compression()), "netlab decode " + f.Name()}
		case err == nil:
			return r, nil
		case !errors.Is(err, capture.ErrIdle):
			return nil, err
		case ctx.Err() != nil:
			return capture.Limit(nil, 0), nil // ended before there was a packet
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
}
