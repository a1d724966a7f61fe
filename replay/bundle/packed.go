package bundle

import (
	"archive/zip"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// Packed compresses what is written to it, before it is known which entry of a bundle it
// becomes, or a part of which. Its errors stick.
type Packed struct {
	z    *flate.Writer
	size int64 // of what was written
	sum  uint32
	to   counted
}

// counted is a Writer that counts.
type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// NewPacked returns a Packed to w. Compressing must not take longer than finding what has to be
// replaced did.
func NewPacked(w io.Writer) *Packed {
	p := &Packed{to: counted{w: w}}
	p.z, _ = flate.NewWriter(&p.to, flate.BestSpeed) // which is a level
	return p
}

func (p *Packed) Write(b []byte) (int, error) {
	n, err := p.z.Write(b)
	p.size += int64(n)
	p.sum = crc32.Update(p.sum, crc32.IEEETable, b[:n])
	return n, err
}

// Flush writes what is left. It ends at a byte, and is not the last: others can follow.
func (p *Packed) Flush() error { return p.z.Flush() }

// Part is a Packed that was flushed, and what it wrote.
type Part struct {
	*Packed
	Written io.Reader
}

// lastBlock ends what was compressed: it is empty (RFC 1951, section 3.2.4).
var lastBlock = []byte{0x01, 0x00, 0x00, 0xff, 0xff}

// Append adds an entry that is made of parts, one behind another.
func (b *Writer) Append(name string, parts ...Part) error {
	if b.err != nil {
		return b.err
	}
	h := rawHeader(name)
	for _, p := range parts {
		h.CRC32 = together(h.CRC32, p.sum, p.size)
		h.UncompressedSize64 += uint64(p.size)
		h.CompressedSize64 += uint64(p.to.n)
	}
	h.CompressedSize64 += uint64(len(lastBlock))
	b.err = b.raw(h, parts)
	return b.err
}

// rawHeader is a header for what is compressed already, in which nothing is put by archive/zip (APPNOTE.TXT,
// section 4.4).
func rawHeader(name string) *zip.FileHeader {
	h := header(name)
	const version = 20 // with deflate
	h.CreatorVersion, h.ReaderVersion = h.CreatorVersion|version, version
	h.Flags |= 8 // sizes and sum stand behind it, with room for large ones
	//lint:ignore SA1019 of an entry that is raw, Modified is not written
	h.ModifiedDate = uint16(epoch.Year()-1980)<<9 | uint16(epoch.Month())<<5 | uint16(epoch.Day())
	return h
}

func (b *Writer) raw(h *zip.FileHeader, parts []Part) error {
	w, err := b.z.CreateRaw(h)
	for _, p := range parts {
		var n int64
		if err == nil {
			n, err = io.Copy(w, p.Written)
		}
		if err == nil && n != p.to.n {
			err = io.ErrUnexpectedEOF
		}
	}
	if err == nil {
		_, err = w.Write(lastBlock)
	}
	if err != nil {
		return fmt.Errorf("bundle: add %s: %w", h.Name, err)
	}
	return nil
}

// together returns the CRC-32 of a and b of those of both, where b is n bytes: that of a, times x to
// the 8n, plus that of b.
func together(a, b uint32, n int64) uint32 {
	shift := uint32(1) << 31 // 1: the lowest power stands in the highest bit
	for x := uint32(1) << (31 - 8); n > 0; n >>= 1 {
		if n&1 == 1 {
			shift = times(shift, x)
		}
		x = times(x, x)
	}
	return times(shift, a) ^ b
}

// times multiplies two polynomials modulo that of CRC-32.
func times(a, b uint32) uint32 {
	product := uint32(0)
	for ; a != 0; a <<= 1 {
		if a>>31 == 1 {
			product ^= b
		}
		if b&1 == 1 {
			b = b>>1 ^ crc32.IEEE
		} else {
			b >>= 1
		}
	}
	return product
}
