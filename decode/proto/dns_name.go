package proto

import (
	"encoding/binary"
	"slices"
)

// appendUsualName appends a name as walkName does, when it has no pointer and all its
// bytes stand for themselves, also in JSON: nearly all are such. It returns the offset
// behind it; else 0, and dst as it was. It takes eight bytes at a time.
func appendUsualName(dst, b []byte, off int) ([]byte, int) {
	const word = 8
	dst = slices.Grow(dst, maxDNSName+word)
	text, size := dst[len(dst):cap(dst)], 0
	for off < len(b) {
		n := int(b[off])
		switch {
		case n == 0:
			return dst[:len(dst)+max(size-1, 0)], off + 1 // without the last dot
		case n >= 0x40, off+1+n > len(b), size+1+n >= maxDNSName:
			return dst, 0
		}
		label := b[off+1:]
		for i := 0; i < n; i += word {
			w := firstBytes(label[i:], n-i)
			if notPlain(w)|isByte(w, '.') != 0 {
				return dst, 0
			}
			binary.LittleEndian.PutUint64(text[size+i:], w)
		}
		text[size+n] = '.'
		size, off = size+1+n, off+1+n
	}
	return dst, 0
}

// firstBytes returns the first n bytes of b, eight at most, the first as the lowest;
// above them are plain ones.
func firstBytes(b []byte, n int) uint64 {
	const plain = 0x6161616161616161
	switch w := uint64(plain); {
	case len(b) < 8:
		for i, c := range b[:n] {
			w = w&^(0xff<<(8*i)) | uint64(c)<<(8*i)
		}
		return w
	case n < 8:
		return binary.LittleEndian.Uint64(b)&(1<<(8*n)-1) | w<<(8*n)
	}
	return binary.LittleEndian.Uint64(b)
}

// isByte returns 0 when no byte of w is c, of those that are ASCII.
func isByte(w uint64, c byte) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	return ((w ^ ones*uint64(c)) - ones) & high
}
