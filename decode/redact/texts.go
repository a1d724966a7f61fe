package redact

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"netlab/decode/rewrite"
)

// texts are the values that were found, each once, in runs that are in order: beside memory, if there
// is a place for them. Several may add to them. An error sticks.
type texts struct {
	scratch rewrite.Scratch // nil: in memory
	mu      sync.Mutex
	size    int64 // in the scratch
	runs    []io.ReadSeeker
	err     error
}

// runSize is about how much is gathered before it is a run, and readSize how much of one is read at
// once.
const (
	runSize  = 256 << 10
	readSize = 8 << 10
)

// gathered are values that are to be a run.
type gathered struct {
	buf  []byte // one behind the other
	ends []int
}

// add adds a value, and reports whether it is enough.
func (g *gathered) add(value string) bool {
	g.buf = append(g.buf, value...)
	g.ends = append(g.ends, len(g.buf))
	return len(g.buf) >= runSize
}

// add makes a run of values.
func (t *texts) add(g *gathered) {
	if len(g.ends) == 0 {
		return
	}
	list, from := make([]string, len(g.ends)), 0
	for i, end := range g.ends {
		list[i], from = view(g.buf[from:end]), end
	}
	slices.Sort(list)
	run := make([]byte, 0, len(g.buf)+2*len(list))
	for _, v := range list {
		run = append(binary.AppendUvarint(run, uint64(len(v))), v...)
	}
	g.buf, g.ends = g.buf[:0], g.ends[:0]
	r := t.keep(run)
	t.mu.Lock()
	t.runs = append(t.runs, r)
	t.mu.Unlock()
}

// keep keeps bytes that are the keeper's from then on.
func (t *texts) keep(data []byte) io.ReadSeeker {
	if t.scratch == nil {
		return bytes.NewReader(data)
	}
	t.mu.Lock()
	at := t.size
	t.size += int64(len(data))
	t.mu.Unlock()
	if _, err := t.scratch.WriteAt(data, at); err != nil {
		t.fail(fmt.Errorf("redact: keep what is to be replaced: %w", err))
	}
	return io.NewSectionReader(t.scratch, at, int64(len(data)))
}

func (t *texts) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

// failed returns what went wrong, if anything did.
func (t *texts) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// cursor is where a run is read.
type cursor struct {
	r     *bufio.Reader
	value []byte
}

// next reads the next value; io.EOF is behind the last.
func (c *cursor) next() error {
	n, err := binary.ReadUvarint(c.r)
	if err != nil {
		return err
	}
	if n > maxSecret {
		return errors.New("it is not what was written")
	}
	c.value = slices.Grow(c.value[:0], int(n))[:n]
	_, err = io.ReadFull(c.r, c.value)
	return err
}

// sorted are all values in order, once; each is valid until the next.
func (t *texts) sorted() iter.Seq[string] {
	return func(yield func(string) bool) {
		var heap []*cursor // the least is the first
		for _, r := range t.runs {
			c := &cursor{r: bufio.NewReaderSize(r, readSize)}
			if heap = append(heap, c); !t.advance(c) {
				heap = heap[:len(heap)-1]
			}
		}
		t.runs = nil
		for i := len(heap)/2 - 1; i >= 0; i-- {
			sink(heap, i)
		}
		for len(heap) > 0 && yield(view(heap[0].value)) {
			if !t.advance(heap[0]) {
				heap[0] = heap[len(heap)-1]
				heap = heap[:len(heap)-1]
			}
			sink(heap, 0)
		}
	}
}

// advance goes to the next value of a run, and reports whether there is one.
func (t *texts) advance(c *cursor) bool {
	err := c.next()
	if err != nil && err != io.EOF {
		t.fail(fmt.Errorf("redact: read what is to be replaced: %w", err))
	}
	return err == nil
}

// sink puts the i-th of a heap in its place.
func sink(heap []*cursor, i int) {
	for {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(heap) && bytes.Compare(heap[k].value, heap[least].value) < 0 {
				least = k
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
