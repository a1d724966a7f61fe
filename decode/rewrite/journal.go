package rewrite

import (
	"fmt"
	"io"
	"sync"
)

// Scratch is where Edits may keep what they are told, beside memory; as an *os.File is.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
}

// journal keeps bytes in the order in which they come, to be read at any place when all are there: in a
// Scratch but for the latest and some that were read lately, or without one in memory. Several may
// add to it. Its errors stick.
type journal struct {
	scratch Scratch
	mu      sync.Mutex // while bytes are added
	size    int64
	blocks  [][]byte             // without a Scratch: all
	tail    []byte               // with one: the block that is not whole
	lately  [cachedBlocks]cached // allocated when they are read
	err     error
}

// cached is a block that was read.
type cached struct {
	number int64 // from 1; 0 is none
	data   []byte
}

// Packets are read in about the order in which edits came, but for those that came at about the same time, which
// several have added in an order of their own. What is far from that was said long before it was understood.
const (
	blockSize    = 64 << 10
	cachedBlocks = 128
)

// add adds pieces, one behind the other, and returns where they begin.
func (j *journal) add(pieces ...[]byte) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	at := j.size
	for _, b := range pieces {
		j.append(b)
	}
	return at
}

// failed returns what went wrong while bytes were added, if anything did.
func (j *journal) failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

func (j *journal) append(b []byte) {
	for len(b) > 0 && j.err == nil {
		at := int(j.size % blockSize)
		if at == 0 {
			j.begin()
		}
		n := copy(j.tail[at:blockSize], b)
		j.size += int64(n)
		if b = b[n:]; at+n == blockSize && j.scratch != nil {
			if _, err := j.scratch.WriteAt(j.tail, j.size-blockSize); err != nil {
				j.err = fmt.Errorf("rewrite: keep what is to be replaced: %w", err)
			}
		}
	}
}

// begin begins a block.
func (j *journal) begin() {
	if j.scratch == nil || j.tail == nil {
		j.tail = make([]byte, blockSize)
	}
	if j.scratch == nil {
		j.blocks = append(j.blocks, j.tail)
	}
}

// read fills b with the bytes from an offset on, which are there.
func (j *journal) read(b []byte, from int64) {
	for len(b) > 0 && j.err == nil {
		n := copy(b, j.block(from / blockSize)[from%blockSize:])
		b, from = b[n:], from+int64(n)
	}
}

// block returns one by its number from 0, until another is asked for.
func (j *journal) block(number int64) []byte {
	switch {
	case j.scratch == nil:
		return j.blocks[number]
	case number == j.size/blockSize:
		return j.tail
	}
	c := &j.lately[number%cachedBlocks]
	if c.number != number+1 {
		if c.data == nil {
			c.data = make([]byte, blockSize)
		}
		c.number = number + 1
		if _, err := j.scratch.ReadAt(c.data, number*blockSize); err != nil {
			c.number, j.err = 0, fmt.Errorf("rewrite: read what is to be replaced: %w", err)
		}
	}
	return c.data
}
