package pcaps

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"netlab/capture"
)

// A bundle for a bug report is a zip file with a capture in it, beside what explains it. It
// is read where it lies: nothing is unpacked to a disk.

// zipMagic begins a zip file that has something in it.
var zipMagic = []byte("PK\x03\x04")

// BundleCapture is the capture of a bundle that netlab made.
const BundleCapture = "capture.pcapng"

// maxDirectory bounds what is read of a zip file to know what it holds: its directory has
// some 100 bytes an entry, and a bundle has ten.
const maxDirectory = 4 << 20

// errDirectory is of a zip file with too large a directory.
var errDirectory = fmt.Errorf("%w: its directory is larger than the %d MiB that are read", ErrFormat, maxDirectory>>20)

// openZip returns what reads the one capture in a zip file of size bytes.
func openZip(f io.ReaderAt, size int64) (io.Reader, error) {
	z, err := newZipped(f, size)
	if err != nil {
		return nil, err
	}
	return z.open(z.capture)
}

// Beside returns what reads the entry of a name beside the capture in a bundle; nil where
// there is none, or the file is no bundle.
func Beside(f io.ReaderAt, size int64, name string) (io.Reader, error) {
	if !isZip(f) {
		return nil, nil
	}
	z, err := newZipped(f, size)
	if err != nil {
		return nil, err
	}
	name = path.Join(path.Dir(z.capture.Name), name)
	i := slices.IndexFunc(z.entries, func(e *zip.File) bool { return e.Name == name })
	if i < 0 {
		return nil, nil
	}
	return z.open(z.entries[i])
}

// zipped is a zip file with a capture in it.
type zipped struct {
	entries []*zip.File
	capture *zip.File // one of them
	bounded *boundedAt
}

func newZipped(f io.ReaderAt, size int64) (*zipped, error) {
	bounded := &boundedAt{r: f, left: maxDirectory}
	r, err := zip.NewReader(bounded, size)
	if err != nil {
		if bounded.left < 0 {
			err = errDirectory
		}
		return nil, fmt.Errorf("%w: zip: %w", ErrFormat, err)
	}
	capture, err := captureIn(r.File)
	return &zipped{r.File, capture, bounded}, err
}

func (z *zipped) open(entry *zip.File) (io.Reader, error) {
	z.bounded.open = true
	r, err := entry.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: zip: %s: %w", ErrFormat, entry.Name, err)
	}
	return &unzipped{r, entry.Name}, nil
}

// captureIn picks the capture among the entries of a zip file, which may lie in a folder: the
// one that netlab names, else the only one by its name.
func captureIn(entries []*zip.File) (*zip.File, error) {
	var found []*zip.File
	for _, e := range entries {
		base := path.Base(e.Name)
		if strings.HasPrefix(base, "._") || e.Mode().IsDir() { // what macOS adds, and folders
			continue
		}
		if base == BundleCapture {
			found = []*zip.File{e}
			break
		}
		if _, format, _ := splitName(base); slices.Contains([]string{".pcap", ".pcapng", ".cap"}, strings.ToLower(format)) {
			found = append(found, e)
		}
	}
	const encrypted = 1
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%w: it is a zip file without a capture in it", ErrFormat)
	case len(found) > 1:
		return nil, fmt.Errorf("%w: it is a zip file with %d captures, as %.100q and %.100q; unzip it and take one", ErrFormat, len(found), found[0].Name, found[1].Name)
	case found[0].Flags&encrypted != 0:
		return nil, fmt.Errorf("%w: it is a zip file with a password; unzip it first", ErrFormat)
	}
	return found[0], nil
}

// boundedAt is an io.ReaderAt of which only so much can be read until it is opened.
type boundedAt struct {
	r    io.ReaderAt
	left int64
	open bool
}

func (b *boundedAt) ReadAt(p []byte, at int64) (int, error) {
	if !b.open {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, errDirectory
		}
	}
	return b.r.ReadAt(p, at)
}

// unzipped reports as damage what is wrong with the compressed data.
type unzipped struct {
	r    io.Reader
	name string
}

func (u *unzipped) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: zip: %s: %w", capture.ErrDamaged, u.name, err)
	}
	return n, err
}

// isZip reports whether a file begins as a zip file does.
func isZip(f io.ReaderAt) bool {
	head := make([]byte, len(zipMagic))
	_, err := f.ReadAt(head, 0)
	return err == nil && bytes.Equal(head, zipMagic)
}
