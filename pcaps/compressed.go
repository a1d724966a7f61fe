package pcaps

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"netlab/capture"
)

// compression is a way to make files small, known by how such a file begins.
type compression struct {
	name  string
	magic []byte
	open  func(io.Reader) (io.Reader, error)
}

// maxWindow bounds what a zstd file may have its reader remember: `zstd --long`
// needs 128 MiB, and so much is not promised to be there.
const maxWindow = 64 << 20

var compressions = []compression{
	{"gzip", []byte{0x1f, 0x8b}, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}, func(r io.Reader) (io.Reader, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}},
	{"lz4", []byte{0x04, 0x22, 0x4d, 0x18}, func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }},
}

// decompressed returns what reads src without its compression, and the name of
// that, which a readAhead does; src itself, seen through a buffer, when it has none.
func decompressed(src io.Reader) (io.Reader, string, error) {
	whole := bufio.NewReaderSize(src, 16<<10)
	head, err := whole.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	for _, c := range compressions {
		if !bytes.HasPrefix(head, c.magic) {
			continue
		}
		from := &faithful{r: whole}
		r, err := c.open(from)
		if err != nil && from.err != nil {
			return nil, "", from.err
		}
		if err != nil {
			return nil, "", fmt.Errorf("%w: %s: %v", ErrFormat, c.name, err)
		}
		return newReadAhead(&unpacker{r: r, from: from, name: c.name}), c.name, nil
	}
	return whole, "", nil
}

// errGrowing is of a compressed file that ends for now: no unpacker can be told to
// wait and go on.
var errGrowing = errors.New("it is compressed, and can be read only when it is no longer written to")

// faithful remembers what its reader failed with, to tell a broken disk from a
// broken file; returning nothing for ever is a failure.
type faithful struct {
	r   io.Reader
	err error
}

func (f *faithful) Read(p []byte) (int, error) {
	n, err := readSome(f.r, p)
	if errors.Is(err, capture.ErrIdle) {
		err = errGrowing
	}
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// unpacker reports as damage what is wrong with the compressed data.
type unpacker struct {
	r    io.Reader
	from *faithful
	name string
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	switch {
	case err == nil, err == io.EOF:
	case u.from.err != nil:
		err = u.from.err
	default:
		err = fmt.Errorf("%w: %s: %v", capture.ErrDamaged, u.name, err)
	}
	return n, err
}

// Close lets go of what unpacking needs.
func (u *unpacker) Close() error {
	if c, ok := u.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
