package pcaps

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"netlab/capture"
)

// NewFile is a Writer of a file that it made. Its methods leave a file that can be read
// up to the last packet, whatever becomes of the program or the disk.
type NewFile struct {
	*Writer
	f      *os.File
	pack   compressor // nil when the file is not compressed
	packed counted    // what came out of it
	// flushed is how much had gone into pack when it was flushed last.
	flushed int64
}

// Create makes a capture file at path, which only its owner can read: traffic is
// private. A file that is there is overwritten. A name that ends in .gz, .zst or .lz4 asks
// for compression.
func Create(path string, opts Options) (*NewFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pcaps: create: %w", err)
	}
	n, err := newFile(f, path, opts)
	if err != nil {
		f.Close()
		return nil, err
	}
	return n, nil
}

func newFile(f *os.File, path string, opts Options) (*NewFile, error) {
	n := &NewFile{f: f}
	under, err := n.under(path)
	if err != nil {
		return nil, err
	}
	n.Writer, err = NewWriter(under, opts)
	return n, err
}

// under makes the file private, and returns what is written to: that, or what compresses as
// the name asks.
func (f *NewFile) under(path string) (io.Writer, error) {
	if st, err := f.f.Stat(); err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 {
		if err := f.f.Chmod(0o600); err != nil {
			return nil, fmt.Errorf("pcaps: make private: %w", err)
		}
	}
	_, _, ext := splitName(path)
	if ext == "" {
		return f.f, nil
	}
	f.packed.f = f.f
	var err error
	if f.pack, err = compressors[strings.ToLower(ext)](&f.packed); err != nil {
		return nil, fmt.Errorf("pcaps: compress %s: %w", path, err)
	}
	return f.pack, nil
}

// CreateCopy makes a file as Create does, for what is a whole capture file already, as Filter
// writes it.
func CreateCopy(path string) (io.WriteCloser, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pcaps: create: %w", err)
	}
	n := &NewFile{f: f}
	under, err := n.under(path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &copied{under, n}, nil
}

// copied is a file that bytes are copied to.
type copied struct {
	io.Writer
	file *NewFile
}

func (c *copied) Close() error { return c.file.close(nil) }

// WritePacket adds p to the file. When that fails, what is in the file of a packet that
// is not whole is taken away.
func (f *NewFile) WritePacket(p *capture.Packet) error {
	return f.mend(f.Writer.WritePacket(p))
}

// Flush has the file hold all packets so far.
func (f *NewFile) Flush() error {
	before := f.flushed
	if err := f.mend(f.Writer.Flush()); err != nil || f.pack == nil || f.written == before {
		return err
	}
	f.flushed = f.written
	if err := f.pack.Flush(); err != nil {
		return fmt.Errorf("pcaps: write: %w", err)
	}
	return nil
}

// mend cuts a file that could not be written to behind its last whole record.
func (f *NewFile) mend(err error) error {
	if err != nil && f.pack == nil && f.written > f.whole {
		if f.f.Truncate(f.whole) == nil {
			f.written = f.whole
		}
	}
	return err
}

// Stored returns how many bytes the file has on the disk, or soon will.
func (f *NewFile) Stored() int64 {
	if f.pack == nil {
		return f.Size()
	}
	return f.packed.n
}

// counted counts what goes into a file.
type counted struct {
	f *os.File
	n int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.f.Write(b)
	c.n += int64(n)
	return n, err
}

// Close flushes and closes the file.
func (f *NewFile) Close() error { return f.close(f.Flush()) }

// close closes the file after what went wrong before, if anything.
func (f *NewFile) close(err error) error {
	if f.pack != nil {
		if cerr := f.pack.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("pcaps: write: %w", cerr)
		}
	}
	if cerr := f.f.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("pcaps: close: %w", cerr))
	}
	return err
}
