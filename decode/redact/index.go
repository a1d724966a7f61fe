package redact

import (
	"encoding/binary"
	"slices"
	"strings"
)

// index finds the secrets of a dictionary in bytes. How long that takes does not depend on how many
// there are, but on how many lengths those have that begin alike.
//
// A secret has least bytes, so wherever it stands, one of every stride places in data is where one of
// its first stride grams begins. Only these places are looked at, and where such a gram
// may be, the few beginnings that it may belong to.
type index struct {
	values map[string]wanted
	sizes  map[uint64][]int32 // by the beginning, the largest first
	starts bitmap             // of beginnings
	grams  bitmap
}

// wanted says what something that is looked for is.
type wanted struct {
	secret  string
	encoded bool // in base64
	weak    bool // it may well be a part of something else
}

// gram is how many bytes are looked at at once, and stride how far apart.
const (
	gram   = 4
	stride = least - gram + 1
)

// bitmap is a set of hashes: what it has not is not there.
type bitmap struct {
	bits  []uint64
	shift uint
}

// newBitmap makes one for n values, and of a bounded size: with more, it tells less.
func newBitmap(n int) bitmap {
	const sparse, low, high = 5, 12, 24 // bits
	size := uint(low)
	for size < high && n > 1<<(size-sparse) {
		size++
	}
	return bitmap{make([]uint64, 1<<size/64), 64 - size}
}

// spread is 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4).
const spread = 0x9e3779b97f4a7c15

func (b *bitmap) hash(v uint64) uint64 { return v * spread >> b.shift }

func (b *bitmap) add(v uint64) {
	h := b.hash(v)
	b.bits[h/64] |= 1 << (h % 64)
}

func (b *bitmap) has(v uint64) bool {
	h := b.hash(v)
	return b.bits[h/64]>>(h%64)&1 != 0
}

// seek returns the first of every stride places in data where a gram is that the set may have; the
// length of data when there is none. It is has in a loop without calls, for that is where the time goes.
func (b *bitmap) seek(data []byte, at int) int {
	bits, shift := b.bits, b.shift&63
	for i := at; i+gram <= len(data); i += stride {
		h := uint64(binary.LittleEndian.Uint32(data[i:])) * spread >> shift
		if bits[h/64]>>(h%64)&1 != 0 {
			return i
		}
	}
	return len(data)
}

// newIndex makes one of those that keep wants.
func newIndex(d *dictionary, keep func(k Kind, value string) bool) *index {
	x := &index{values: make(map[string]wanted), sizes: make(map[uint64][]int32)}
	for v, k := range d.values {
		if isTelling(v) && k != Address && keep(k, v) {
			x.values[v] = wanted{secret: v, weak: isWeak(v)}
		}
	}
	x.build()
	return x
}

// build makes what is looked for quick to find.
func (x *index) build() {
	clear(x.sizes)
	x.starts, x.grams = newBitmap(len(x.values)), newBitmap(stride*len(x.values))
	for v := range x.values {
		key := beginning(v)
		if size := int32(len(v)); !slices.Contains(x.sizes[key], size) {
			x.sizes[key] = append(x.sizes[key], size)
		}
		x.starts.add(key)
		for i := range stride {
			x.grams.add(key >> (8 * i) & (1<<(8*gram) - 1))
		}
	}
	for _, list := range x.sizes {
		slices.SortFunc(list, func(a, b int32) int { return int(b - a) })
	}
}

// beginning is what the first bytes of s are, of which it has least.
func beginning(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40
}

// next returns where something that is looked for stands in data at or behind an offset, and what
// that is; none when there is nothing. Of several that begin there, it is the longest.
func (x *index) next(data []byte, at int) (int, wanted) {
	if len(x.values) == 0 {
		return 0, wanted{}
	}
	for i := x.grams.seek(data, at); i < len(data); i = x.grams.seek(data, i+stride) {
		for from := max(at, i-stride+1); from <= i && from+least <= len(data); from++ {
			if w, ok := x.begins(data, from); ok {
				return from, w
			}
		}
	}
	return 0, wanted{}
}

// begins returns the longest of what is looked for that begins at an offset, of data that
// has least bytes from there on.
func (x *index) begins(data []byte, at int) (wanted, bool) {
	key := beginning(view(data[at:]))
	if !x.starts.has(key) {
		return wanted{}, false
	}
	for _, size := range x.sizes[key] {
		end := at + int(size)
		if end > len(data) {
			continue
		}
		if w, ok := x.values[view(data[at:end])]; ok && (!w.weak || standsAlone(data, at, end)) {
			return w, true
		}
	}
	return wanted{}, false
}

// isWeak reports whether a secret may well be a part of something else.
func isWeak(s string) bool {
	return len(s) < 10 || len(s) < 20 && strings.Trim(s, "0123456789.-: ") == "" || len(s) < 20 && len(letters(s)) == len(s)
}

// standsAlone reports whether what is between two offsets is no part of a longer word.
func standsAlone(data []byte, from, to int) bool {
	return !(from > 0 && isAlnum(data[from-1]) && isAlnum(data[from])) && !(to < len(data) && isAlnum(data[to]) && isAlnum(data[to-1]))
}
