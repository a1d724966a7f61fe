package pcaps

import (
	"errors"
	"io"

	"netlab/capture"
)

const (
	// maxEmptyReads is how many reads may return nothing in a row, as in bufio.
	maxEmptyReads = 100
	// windowSize is read from the file at once: large enough that the cost of a
	// system call disappears, small enough to stay in the cache. Half as much and
	// four times as much measure the same.
	windowSize = 256 << 10

	// MaxRecord bounds the bytes of one packet in a capture file. The largest
	// seen in practice are BIG TCP's of some 500 KiB; what is larger is taken for
	// damage.
	MaxRecord = 16 << 20
)

// window shows the bytes of a file in order without copying them out.
type window struct {
	src  io.Reader
	buf  []byte
	r, w int   // buf[r:w] holds what was read and not yet taken
	pos  int64 // offset in the file of buf[r]
	err  error // what src said last

	swap func(used []byte) []byte // takes buf for another; nil keeps it
	tail []byte                   // carries what was not taken over to that
}

func newWindow(src io.Reader) window {
	return window{src: src, buf: make([]byte, windowSize)}
}

// ahead returns n bytes as peek does, and all that is there behind them: nearly
// always a whole record, so that one look is enough. It is small, to be inlined.
func (w *window) ahead(n int) ([]byte, error) {
	if w.w-w.r >= n {
		return w.buf[w.r:w.w], nil
	}
	return w.peek(n)
}

// peek returns the next n bytes without taking them. They are valid until the
// next peek; those taken, until swap returns their buffer again. At the end of the
// file it returns what is left with io.EOF (when nothing is) or
// io.ErrUnexpectedEOF.
func (w *window) peek(n int) ([]byte, error) {
	for w.w-w.r < n {
		if w.err != nil {
			left, err := w.buf[w.r:w.w], w.err
			switch {
			case errors.Is(err, capture.ErrIdle):
				w.err = nil // there may be more the next time
			case errors.Is(err, io.EOF) && len(left) > 0:
				err = io.ErrUnexpectedEOF
			}
			return left, err
		}
		w.fill(n)
	}
	return w.buf[w.r : w.r+n], nil
}

// take returns the next n bytes, valid until the next peek or take.
func (w *window) take(n int) ([]byte, error) {
	b, err := w.peek(n)
	if err == nil {
		w.skip(n)
	}
	return b, err
}

// skip takes n bytes that were seen with peek.
func (w *window) skip(n int) {
	w.r += n
	w.pos += int64(n)
}

// lend has what comes from now on read into buffers that swap returns; see
// capture.Lender.
func (w *window) lend(swap func(used []byte) []byte) {
	w.swap = swap
	w.buf = w.buf[:w.w] // nothing more goes into this one
}

// fill reads once, towards having n bytes. The buffer doubles only when it is
// full of bytes that arrived, so a record that lies about its length costs no
// more than twice what is really in the file.
func (w *window) fill(n int) {
	switch tooSmall := len(w.buf)-w.r < n; {
	case w.r > 0 && tooSmall && w.swap != nil:
		// The tail is saved first: with swap, buf is no longer ours.
		w.tail = append(w.tail[:0], w.buf[w.r:w.w]...)
		w.buf = w.swap(w.buf)
		if len(w.buf) <= len(w.tail) {
			w.buf = make([]byte, max(windowSize, 2*len(w.tail)))
		}
		w.r, w.w = 0, copy(w.buf, w.tail)
	case w.r > 0 && (tooSmall || w.r == w.w && w.swap == nil):
		w.r, w.w = 0, copy(w.buf, w.buf[w.r:w.w])
	}
	if w.w == len(w.buf) {
		grown := make([]byte, 2*len(w.buf))
		w.w = copy(grown, w.buf[w.r:w.w])
		w.r, w.buf = 0, grown
	}
	m, err := readSome(w.src, w.buf[w.w:])
	w.w, w.err = w.w+m, err
}

// readSome reads once, and again while nothing comes; nothing for ever is
// io.ErrNoProgress.
func readSome(r io.Reader, p []byte) (int, error) {
	for range maxEmptyReads {
		if n, err := r.Read(p); n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
