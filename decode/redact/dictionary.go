package redact

import (
	"encoding/binary"
	"slices"
	"strings"
)

// dictionary holds the secrets that were found, up to a bound. What is found behind it is
// replaced where it is found, and not looked for elsewhere.
type dictionary struct {
	values map[string]Kind
	found  [kindCount]int64 // distinct values
	bytes  int64
	limit  int64
	lost   int64 // that there was no room for

	domains map[string]bool // of hosts, as people register them
	tops    map[string]bool // what these end with
}

// Costs of what a dictionary holds, and the longest secret it does: a private key.
const (
	secretCost = 96
	maxSecret  = 16 << 10
)

// add takes note of a secret.
func (d *dictionary) add(k Kind, value string) {
	if old, ok := d.values[value]; ok {
		if k < old { // named is surer than matched
			d.found[old]--
			d.found[k]++
			d.values[value] = k
		}
		return
	}
	if len(value) > maxSecret || d.bytes+int64(len(value))+secretCost > d.limit {
		d.lost++
		return
	}
	value = strings.Clone(value)
	if d.values == nil {
		d.values, d.domains, d.tops = make(map[string]Kind), make(map[string]bool), make(map[string]bool)
	}
	d.values[value] = k
	d.found[k]++
	d.bytes += int64(len(value)) + secretCost
	if k == Host {
		if domain := registered(lowered(value)); domain != "" {
			d.domains[domain] = true
			d.tops[domain[strings.LastIndexByte(domain, '.')+1:]] = true
		}
	}
}

// registered returns the end of a host's name that somebody has registered: example.com; empty
// when it has none.
func registered(host string) string {
	host = strings.TrimSuffix(host, ".")
	suffix := commonSuffix(host)
	if suffix == "" || len(host) <= len(suffix) {
		return ""
	}
	rest := host[:len(host)-len(suffix)-1]
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + suffix
}

// least is how long a secret is at least that is looked for everywhere.
const least = 6

// isTelling reports whether a secret is looked for everywhere: a word, or a small number,
// stands in other messages for its own reasons.
func isTelling(s string) bool {
	if len(s) < least {
		return false
	}
	var digits, lower, upper, other int
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= 'A' && c <= 'Z':
			upper++
		default:
			other++
		}
	}
	switch letters := lower + upper; {
	case letters == 0 && other == 0:
		return digits >= 9
	case letters == 0:
		return digits >= 12 // less may be a date
	case digits == 0 && other == 0:
		return letters >= 16 || letters >= 8 && lower > 0 && upper > 1
	case digits == 0:
		return len(s) >= 8 && other > 0
	}
	return true
}

// index finds the secrets of a dictionary in bytes. How long that takes does not depend on how many
// there are, but on how many lengths those have that begin alike.
type index struct {
	values map[string]wanted
	sizes  map[uint64][]int32 // by the beginning, the largest first
	bits   []uint64           // of a hash of beginnings
	shift  uint
}

// wanted says what something that is looked for is.
type wanted struct {
	secret  string
	encoded bool // in base64
	weak    bool // it may well be a part of something else
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
	x.shift = 64 - 12
	for n := len(x.values); n > 1<<(64-x.shift-5) && x.shift > 64-24; {
		x.shift--
	}
	x.bits = make([]uint64, 1<<(64-x.shift)/64)
	for v := range x.values {
		key := beginning(v)
		if size := int32(len(v)); !slices.Contains(x.sizes[key], size) {
			x.sizes[key] = append(x.sizes[key], size)
		}
		h := x.hash(key)
		x.bits[h/64] |= 1 << (h % 64)
	}
	for _, list := range x.sizes {
		slices.SortFunc(list, func(a, b int32) int { return int(b - a) })
	}
}

func (x *index) hash(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> x.shift }

func beginning(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40
}

// next returns where something that is looked for stands in data at or behind an offset, and what
// that is; none when there is nothing.
func (x *index) next(data []byte, at int) (int, wanted) {
	if len(x.values) == 0 {
		return 0, wanted{}
	}
	for ; at+least <= len(data); at++ {
		var key uint64
		if at+8 <= len(data) {
			key = binary.LittleEndian.Uint64(data[at:]) & (1<<48 - 1)
		} else {
			key = beginning(view(data[at:]))
		}
		if h := x.hash(key); x.bits[h/64]>>(h%64)&1 == 0 {
			continue
		}
		for _, size := range x.sizes[key] {
			end := at + int(size)
			if end > len(data) {
				continue
			}
			if w, ok := x.values[view(data[at:end])]; ok && (!w.weak || standsAlone(data, at, end)) {
				return at, w
			}
		}
	}
	return 0, wanted{}
}

// isWeak reports whether a secret may well be a part of something else.
func isWeak(s string) bool {
	return len(s) < 10 || len(s) < 20 && strings.Trim(s, "0123456789.-: ") == "" || len(s) < 20 && len(letters(s)) == len(s)
}

// standsAlone reports whether what is between two offsets is no part of a longer word.
func standsAlone(data []byte, from, to int) bool {
	return !(from > 0 && isAlnum(data[from-1]) && isAlnum(data[from])) && !(to < len(data) && isAlnum(data[to]) && isAlnum(data[to-1]))
}
