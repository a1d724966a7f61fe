// Package bundle makes what is attached to a bug report: a zip file with a capture, what was
// said in it for any viewer to read, and how to replay it.
//
// What goes into it is given by others, who see to it that it may. The package has no files and
// no clock, and a bundle of the same contents is the same to the byte: its entries have no
// times of their own, and nothing of the machine that it was made on is in it.
package bundle

import (
	"archive/zip"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
)

// Names of the entries. That of the capture is pcaps.BundleCapture.
const (
	Readme    = "README.md"
	Exchanges = "exchanges.txt"
	HAR       = "exchanges.har"
	Report    = "replay.jsonl"

	PseudonymList = "pseudonyms.jsonl"
)

// Writer writes a bundle. Its errors stick.
type Writer struct {
	z   *zip.Writer
	err error
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return &Writer{z: z}
}

// Add adds an entry.
func (b *Writer) Add(name string, content io.Reader) error {
	if b.err != nil {
		return b.err
	}
	w, err := b.z.CreateHeader(header(name))
	if err == nil {
		_, err = io.Copy(w, content)
	}
	if err != nil {
		b.err = fmt.Errorf("bundle: add %s: %w", name, err)
	}
	return b.err
}

// epoch is the first day that the files of a zip can be of: when a bundle was made is nobody's affair.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func header(name string) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: epoch}
	h.SetMode(0o600)
	return h
}

// Close ends the bundle.
func (b *Writer) Close() error {
	if err := b.z.Close(); b.err == nil && err != nil {
		b.err = fmt.Errorf("bundle: %w", err)
	}
	return b.err
}
