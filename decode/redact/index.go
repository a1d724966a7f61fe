package redact

import (
	"encoding/base64"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
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
	dict   *dictionary
	but    entry // the mark of those that are not looked for all the same
	count  int
	sizes  sizes
	starts bitmap // of beginnings
	coded  bitmap // of beginnings in base64, if that is looked for
	grams  bitmap // of both
}

// wanted says what something that is looked for is.
type wanted struct {
	secret  string
	kind    Kind
	encoded bool // in base64
}

// gram is how many bytes are looked at at once, and stride how far apart.
const (
	gram   = 4
	stride = least - gram + 1
)

// A beginning in base64 has some characters that others are in too, and what is not in both alphabets.
const forms, alphabets = 3, 2

// newIndex makes one that has room for all values that it may have.
func newIndex(d *dictionary) *index {
	n := int(d.telling.Load())
	return &index{dict: d, sizes: newSizes(n), starts: newBitmap(n), grams: newBitmap(stride * n)}
}

// indexSize is what an index of n values takes, with the one that it makes for base64.
func indexSize(n int) int64 {
	size := int64(placeCost * placesFor(n))
	for _, n := range [...]int{n, stride * n, forms * n, (1 + forms) * stride * n} {
		size += 1 << bitsFor(n) / 8
	}
	return size
}

// add has a value of the dictionary looked for.
func (x *index) add(v string, e *entry) {
	*e |= isSought
	key := beginning(v)
	x.sizes.add(key, len(v))
	x.starts.add(key)
	x.grams.addGrams(key)
}

// spare has nothing looked for that is a part of a text.
func (x *index) spare(text string) {
	var few [16]int
	for ; len(text) >= least; text = text[1:] {
		for _, size := range x.sizes.of(beginning(text), few[:0]) {
			if size > len(text) {
				continue
			}
			if e := x.dict.entry(text[:size]); e != nil {
				*e &^= isSought
			}
		}
	}
}

// encoded returns an index that finds secrets in base64 too (RFC 4648, sections 4 and 5), wherever they stand in the
// groups of three, but none that are pseudonyms of others. Of a weak one, which is no part of a word, it is all.
func (x *index) encoded() *index {
	y := *x
	y.but = isMade
	y.coded, y.grams = newBitmap(forms*x.count), newBitmap((1+forms)*stride*x.count)
	for key, size := range x.sizes.all() {
		y.grams.addGrams(key)
		var padded [2 + 8]byte
		binary.LittleEndian.PutUint64(padded[2:], key)
		for pad := range forms {
			for _, e := range [alphabets]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				var text [11]byte
				e.Encode(text[:], padded[2-pad:2+least])
				key := beginning(view(text[firstWhole(pad):]))
				y.coded.add(key)
				y.grams.addGrams(key)
			}
			if size < strong { // as all of that length are weak
				break
			}
		}
	}
	y.counted()
	return &y
}

// counted counts what is looked for.
func (x *index) counted() { x.count = x.dict.marked(isSought, x.but) }

// firstWhole is the first character of base64 that nothing is in but what is behind some bytes.
func firstWhole(pad int) int { return (8*pad + 5) / 6 }

// find returns what is known of a value that is looked for; nil if it is not.
func (x *index) find(v string) *entry {
	if e := x.dict.entry(v); e != nil && *e&(isSought|x.but) == isSought {
		return e
	}
	return nil
}

// beginning is what the first bytes of s are, of which it has least.
func beginning(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40
}

// next returns where something that is looked for stands in data at or behind an offset, and what
// that is; none when there is nothing. Of several that begin there, it is the longest.
func (x *index) next(data []byte, at int) (int, wanted) {
	if x.count == 0 {
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
	var few [16]int
	if x.starts.has(key) {
		for _, size := range x.sizes.of(key, few[:0]) {
			end := at + size
			if end > len(data) {
				continue
			}
			v := view(data[at:end])
			if e := x.find(v); e != nil && (!isWeak(v) || standsAlone(data, at, end)) {
				return wanted{secret: v, kind: e.kind()}, true
			}
		}
	}
	if x.coded.bits != nil && x.coded.has(key) {
		return x.decoded(data, at)
	}
	return wanted{}, false
}

// decoded is begins, of what is in base64 there.
func (x *index) decoded(data []byte, at int) (wanted, bool) {
	for pad := range 3 {
		from := at
		if pad > 0 { // some bits are in the character before
			from--
		}
		var first [least]byte
		if from < 0 || decodeBits(first[:], data[from:], 2*pad) < least {
			continue
		}
		var few [16]int
		list := x.sizes.of(beginning(view(first[:])), few[:0])
		if len(list) == 0 {
			continue
		}
		b := make([]byte, list[0])
		n := decodeBits(b, data[from:], 2*pad)
		for _, size := range list {
			if size > n {
				continue
			}
			v := view(b[:size])
			if e := x.find(v); e != nil && (!isWeak(v) || pad == 0 && isAll(data, at, v)) {
				return wanted{v, e.kind(), true}, true
			}
		}
	}
	return wanted{}, false
}

// isAll reports whether at an offset of data is the base64 of a value, and stands alone there.
func isAll(data []byte, at int, value string) bool {
	for _, e := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if text := e.EncodeToString([]byte(value)); strings.HasPrefix(view(data[at:]), text) && standsAlone(data, at, at+len(text)) {
			return true
		}
	}
	return false
}

// decodeBits fills b with what is in base64 of either alphabet, without the first bits. It returns
// how many bytes there are of that.
func decodeBits(b, text []byte, skip int) int {
	bits, have := uint32(0), -skip
	i := 0
	for n := range b {
		for have < 8 {
			if i == len(text) || base64Value[text[i]] < 0 {
				return n
			}
			bits = bits<<6 | uint32(base64Value[text[i]])
			have += 6
			i++
		}
		have -= 8
		b[n] = byte(bits >> have)
	}
	return len(b)
}

// base64Value are the bits that characters of base64 stand for, in either alphabet; -1 for others.
var base64Value = func() (t [256]int8) {
	for c := range t {
		t[c] = -1
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for i, chars := range append(strings.Split(letters, ""), "+-", "/_") {
		for _, c := range []byte(chars) {
			t[c] = int8(i)
		}
	}
	return t
}()

// bitmap is a set of hashes: what it has not is not there.
type bitmap struct {
	bits   []uint64
	shift  uint
	spread uint64
}

// newBitmap makes one for n values.
func newBitmap(n int) bitmap {
	size := bitsFor(n)
	return bitmap{make([]uint64, 1<<size/64), 64 - size, oddChance()}
}

// bitsFor is the size of a bitmap for n values, of a power of two, which is bounded: with more, it tells
// less.
func bitsFor(n int) uint {
	const sparse, low, high = 4, 18, 26 // what is as low stays near
	return min(max(uint(bits.Len(uint(max(n, 1)-1)))+sparse, low), high)
}

// oddChance is what a hash multiplies with (M. Dietzfelbinger et al., "A Reliable Randomized Algorithm for the
// Closest-Pair Problem", 1997): who makes a recording can't make its secrets have one hash.
func oddChance() uint64 { return maphash.Bytes(maphash.MakeSeed(), nil) | 1 }

func (b *bitmap) hash(v uint64) uint64 { return v * b.spread >> (b.shift & 63) }

func (b *bitmap) add(v uint64) {
	h := b.hash(v)
	b.bits[h/64] |= 1 << (h % 64)
}

// addGrams adds those that something that is looked for begins with.
func (b *bitmap) addGrams(beginning uint64) {
	for i := range stride {
		b.add(beginning >> (8 * i) & (1<<(8*gram) - 1))
	}
}

func (b *bitmap) has(v uint64) bool {
	h := b.hash(v)
	return b.bits[h/64]>>(h%64)&1 != 0
}

// seek returns the first of every stride places in data where a gram is that the set may have; the
// length of data when there is none. It is has in a loop without calls, for that is where the time goes.
func (b *bitmap) seek(data []byte, at int) int {
	bits, shift, spread := b.bits, b.shift&63, b.spread
	for i := at; i+gram <= len(data); i += stride {
		h := uint64(binary.LittleEndian.Uint32(data[i:])) * spread >> shift
		if bits[h/64]>>(h%64)&1 != 0 {
			return i
		}
	}
	return len(data)
}

// sizes are the lengths that secrets have, by their beginning.
type sizes struct {
	set    []uint64 // of the length in 16 bits, and the beginning below; 0 is none
	spread uint64
}

const beginningBits = 8 * least

// newSizes makes room for n.
func newSizes(n int) sizes { return sizes{set: make([]uint64, placesFor(n)), spread: oddChance()} }

// placesFor are those for n sizes, of a power of two, a quarter of which is free at least.
func placesFor(n int) int { return max(64, 1<<bits.Len(uint(4*n/3))) }

// slot is where a beginning is to be, or behind that.
func (s *sizes) slot(key uint64) int { return int(key*s.spread>>32) & (len(s.set) - 1) }

func (s *sizes) add(key uint64, size int) {
	v := key | uint64(size)<<beginningBits
	i := s.slot(key)
	for s.set[i] != 0 && s.set[i] != v {
		i = (i + 1) & (len(s.set) - 1)
	}
	s.set[i] = v
}

// all are those that there are, with their beginnings.
func (s *sizes) all() iter.Seq2[uint64, int] {
	return func(yield func(uint64, int) bool) {
		for _, v := range s.set {
			if v != 0 && !yield(v&(1<<beginningBits-1), int(v>>beginningBits)) {
				return
			}
		}
	}
}

// of appends those of a beginning, the largest first.
func (s *sizes) of(key uint64, list []int) []int {
	for i := s.slot(key); s.set[i] != 0; i = (i + 1) & (len(s.set) - 1) {
		if s.set[i]&(1<<beginningBits-1) == key {
			list = append(list, int(s.set[i]>>beginningBits))
		}
	}
	if len(list) > 1 {
		slices.SortFunc(list, func(a, b int) int { return b - a })
	}
	return list
}

// strong is how long a secret is at least that may be no weak one.
const strong = 10

// isWeak reports whether a secret may well be a part of something else.
func isWeak(s string) bool {
	return len(s) < strong || len(s) < 20 && strings.Trim(s, "0123456789.-: ") == "" || len(s) < 20 && len(letters(s)) == len(s)
}

// standsAlone reports whether what is between two offsets is no part of a longer word.
func standsAlone(data []byte, from, to int) bool {
	return !(from > 0 && isAlnum(data[from-1]) && isAlnum(data[from])) && !(to < len(data) && isAlnum(data[to]) && isAlnum(data[to-1]))
}
