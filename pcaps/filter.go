package pcaps

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"netlab/capture"
)

// Keep says whether a packet is copied. An error ends the copy, and is its error.
type Keep func(*capture.Packet) (bool, error)

// Filter copies the file that r has opened, and not yet read from, to dst, without
// the packets that keep refuses, and returns how many are in the copy. Nothing is
// decoded and encoded again: records and blocks go over as they stand, with the
// file's byte order, interfaces, clocks, comments and secrets. A nil keep makes a
// copy that is the same, byte by byte, but for compression.
//
// With a keep, two things change as draft-ietf-opsawg-pcapng asks: sections no
// longer say how long they are (section 4.1), and custom blocks that are not to be
// copied are not (5.2).
//
// A damaged file is copied up to the damage, which is then the error.
func Filter(dst io.Writer, r *Reader, keep Keep) (int64, error) {
	c := &copier{w: bufio.NewWriterSize(dst, windowSize), r: r, keep: keep}
	if r.record != nil || r.err != nil {
		return 0, fmt.Errorf("pcaps: copy %s: it has been read from already; open it anew", r.what())
	}
	if r.format == Pcap {
		c.w.Write(r.pcap.header[:])
	}
	see := r.OnBlock
	defer func() { r.OnBlock = see }()
	r.OnBlock = func(b Block) error {
		if see != nil {
			if err := see(b); err != nil {
				return err
			}
		}
		c.block(b)
		return nil
	}
	_, err := capture.Copy(c, r)
	if e := c.Flush(); err == nil {
		err = e
	}
	return c.kept, err
}

// copier is a Sink of what r has just read. Errors stick to w, so those of writing
// blocks show with the next packet, or at the end.
type copier struct {
	w    *bufio.Writer
	r    *Reader
	keep Keep
	kept int64
}

func (c *copier) WritePacket(p *capture.Packet) error {
	if c.keep != nil {
		if ok, err := c.keep(p); !ok || err != nil {
			return err
		}
	}
	if _, err := c.w.Write(c.r.record); err != nil {
		return fmt.Errorf("pcaps: write the copy of packet %d: %w", p.Number, err)
	}
	c.kept++
	return nil
}

// unknownLength is that of a section which may be of any length.
var unknownLength = bytes.Repeat([]byte{0xff}, 8)

func (c *copier) block(b Block) {
	switch {
	case c.keep != nil && b.Type == blockCustomNoCopy:
	case c.keep != nil && b.Type == blockSection:
		c.w.Write(b.whole[:16])
		c.w.Write(unknownLength)
		c.w.Write(b.whole[24:])
	default:
		c.w.Write(b.whole)
	}
}

func (c *copier) Flush() error {
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("pcaps: write: %w", err)
	}
	return nil
}
