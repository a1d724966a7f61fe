package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"netlab/capture"
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

	shown *statusLine
}

// recordBytes is about what a packet takes in a file beside its own bytes.
const recordBytes = 16

// watchProgress returns a Source that reads src, of total bytes. It is a Lender if src
// is. What it shows is taken away at the end of src, or when it is closed.
func watchProgress(w io.Writer, src capture.Source, total int64) (capture.Source, io.Closer) {
	p := &progress{src: src, total: total}
	p.shown = showLine(w, 200*time.Millisecond, p.line)
	return lending(p, src), p
}

// Close takes the line away.
func (p *progress) Close() error { return p.shown.Close() }

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

// line says how things stand after some time.
func (p *progress) line(took time.Duration) string {
	packets, bytes := p.packets.Load(), p.bytes.Load()
	return fmt.Sprintf("netlab: %d packets, %.0f a second", packets, float64(packets)/took.Seconds()) + remaining(bytes, p.total, took)
}

// watched is src with its progress shown, where there is a terminal to show it on that
// nothing else is printed on meanwhile.
func (d *decoding) watched(src capture.Source) (capture.Source, io.Closer) {
	if d.growing || !d.std.watched(!d.tables) {
		return src, closers{}
	}
	return watchProgress(d.std.err, src, sizeOf(d.files...))
}

// sizeOf is how many bytes some files have; 0 when that does not say how much is read from them.
func sizeOf(files ...string) int64 {
	var total int64
	for _, name := range files {
		st, err := os.Stat(name)
		if err != nil || !st.Mode().IsRegular() || slices.Contains([]string{".gz", ".zst", ".lz4", ".zip"}, filepath.Ext(name)) {
			return 0
		}
		total += st.Size()
	}
	return total
}
