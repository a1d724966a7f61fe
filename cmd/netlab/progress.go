package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"netlab/capture"
	"netlab/decode/printer"
)

// progress is a Source that tells on a terminal how fast it is read and how long that
// will still take, when it takes more than a second.
type progress struct {
	src   capture.Source
	total int64 // bytes there are; 0 when that is not known
	read  int64
	count int64
	// What read and count were a little ago, for who prints them.
	bytes, packets atomic.Int64

	w     io.Writer
	start time.Time
	stop  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
}

// recordBytes is about what a packet takes in a file beside its own bytes.
const recordBytes = 16

// watchProgress returns a Source that reads src, of total bytes. It is a Lender if src
// is. What it shows is taken away at the end of src, or when it is closed.
func watchProgress(w io.Writer, src capture.Source, total int64) (capture.Source, io.Closer) {
	p := &progress{src: src, total: total, w: w, start: time.Now(), stop: make(chan struct{})}
	p.ended.Go(p.print)
	if lender, ok := src.(capture.Lender); ok {
		return struct {
			*progress
			capture.Lender
		}{p, lender}, p
	}
	return p, p
}

// Close takes the line away.
func (p *progress) Close() error {
	p.once.Do(func() { close(p.stop) })
	p.ended.Wait()
	return nil
}

func (p *progress) Next() (*capture.Packet, error) {
	q, err := p.src.Next()
	if err == nil {
		p.read += int64(len(q.Data)) + recordBytes
		if p.count++; p.count%1024 == 0 {
			p.bytes.Store(p.read)
			p.packets.Store(p.count)
		}
		return q, nil
	}
	if !errors.Is(err, capture.ErrIdle) {
		p.Close()
	}
	return q, err
}

// print prints a line now and then, in the place of the one before, and takes it away
// in the end.
func (p *progress) print() {
	const patience, every = time.Second, 200 * time.Millisecond
	shown := false
	for wait := time.After(patience); ; wait = time.After(every) {
		select {
		case <-wait:
			shown = true
			fmt.Fprintf(p.w, "\r\x1b[K%s", p.line(time.Since(p.start)))
		case <-p.stop:
			if shown {
				fmt.Fprint(p.w, "\r\x1b[K")
			}
			return
		}
	}
}

// line says how things stand after some time.
func (p *progress) line(took time.Duration) string {
	packets, bytes := p.packets.Load(), p.bytes.Load()
	s := fmt.Sprintf("netlab: %d packets, %.0f a second", packets, float64(packets)/took.Seconds())
	if p.total > 0 && bytes > 0 {
		share := min(1, float64(bytes)/float64(p.total))
		s += fmt.Sprintf(", %.0f %%, %s left", 100*share, printer.Duration(time.Duration(float64(took)*(1-share)/share).Round(time.Second)))
	}
	return s
}

// watched is src with its progress shown, where there is a terminal to show it on that
// nothing else is printed on meanwhile.
func (d *decoding) watched(src capture.Source) (capture.Source, io.Closer) {
	f, ok := d.std.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || d.growing || d.std.terminal() && !d.tables {
		return src, closers{}
	}
	var total int64
	for _, name := range d.files {
		st, err := os.Stat(name)
		if err != nil || !st.Mode().IsRegular() || slices.Contains([]string{".gz", ".zst", ".lz4"}, filepath.Ext(name)) {
			total = 0
			break
		}
		total += st.Size()
	}
	return watchProgress(d.std.err, src, total)
}
