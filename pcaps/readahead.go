package pcaps

import (
	"io"
	"os"
	"sync"
)

const (
	// aheadSize is read at once by what reads ahead; what unpacks hands over less.
	aheadSize = 256 << 10
	// aheadBuffers bounds how far it gets: 1 MiB.
	aheadBuffers = 4
)

// readAhead reads from a reader in a goroutine of its own, so that unpacking goes
// on beside decoding. The goroutine ends with what it reads, at an error, or when
// it is told to stop.
type readAhead struct {
	src   io.Reader
	full  chan piece // room for all buffers, so the goroutine never waits to hand one over
	free  chan []byte
	now   piece
	rest  []byte // of now, not yet read
	stop  func()
	quit  chan struct{} // closed by stop
	ended chan struct{} // closed by the goroutine
}

// piece is what one Read returned.
type piece struct {
	data []byte
	err  error
}

func newReadAhead(src io.Reader) *readAhead {
	a := &readAhead{
		src:   src,
		full:  make(chan piece, aheadBuffers),
		free:  make(chan []byte, aheadBuffers),
		quit:  make(chan struct{}),
		ended: make(chan struct{}),
	}
	a.stop = sync.OnceFunc(func() { close(a.quit) })
	for range aheadBuffers {
		a.free <- nil // made when needed: many files are small
	}
	go a.run()
	return a
}

func (a *readAhead) run() {
	defer close(a.ended)
	if c, ok := a.src.(io.Closer); ok {
		defer c.Close()
	}
	for {
		select {
		case <-a.quit:
			return
		case b := <-a.free:
			if b == nil {
				b = make([]byte, aheadSize)
			}
			n, err := readSome(a.src, b[:aheadSize])
			a.full <- piece{b[:n], err}
			if err != nil {
				return
			}
		}
	}
}

// Read returns an error behind the bytes that came before it.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.data != nil {
			a.free <- a.now.data
		}
		select {
		case a.now = <-a.full:
			a.rest = a.now.data
		case <-a.quit:
			a.now = piece{err: os.ErrClosed}
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// wait waits until src is read no more, behind a stop.
func (a *readAhead) wait() { <-a.ended }
