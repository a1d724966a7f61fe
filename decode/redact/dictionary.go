package redact

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
)

// dictionary holds the secrets that were found, up to a bound. What is found behind it is
// replaced where it is found, and not looked for elsewhere. There may be millions of them: so
// they stand in a few large pieces of memory, and a table says where. Several may add to it.
type dictionary struct {
	mu    sync.Mutex
	texts [][]byte // of each value a byte of its kind and its marks, its length, and itself
	table []ref    // by hash, not more than three quarters full
	count int
	seed  maphash.Seed

	found [kindCount]int64 // distinct values
	bytes int64
	limit int64
	lost  atomic.Int64 // that there was no room for

	domains map[string]bool // of hosts, as people register them
	tops    map[string]bool // what these end with
}

// ref is where a value stands in the texts, from 1 on; 0 is none.
type ref uint32

// Marks of a value, beside its kind.
const (
	kindMask = 0x0f
	isSought = 0x10 // it is looked for everywhere
	isMade   = 0x20 // it is the pseudonym of another

	_ = uint(kindMask + 1 - kindCount) // which has room for all kinds
)

// Bounds of what a dictionary holds: the size of a piece of its texts, how many there are, and the longest
// secret: a private key.
const (
	pieceBits = 20
	maxPieces = 1 << (31 - pieceBits)
	maxSecret = 16 << 10
)

// Costs of a value beside its text, of its place in an index, if it may have one, and of a domain.
const (
	valueCost  = 12
	soughtCost = 24
	domainCost = 64
)

// add takes note of a secret.
func (d *dictionary) add(k Kind, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.find(value); r != 0 {
		if _, old := d.at(r); k < old { // named is surer than matched
			d.found[old]--
			d.found[k]++
			m := d.marks(r)
			*m = *m&^kindMask | byte(k)
		}
		return
	}
	cost := int64(len(value)) + valueCost
	if k != Address && isTelling(value) {
		cost += soughtCost
	}
	if len(value) > maxSecret || d.bytes+cost > d.limit || len(d.texts) == maxPieces {
		d.lost.Add(1)
		return
	}
	d.bytes += cost
	d.found[k]++
	d.put(k, value)
	if k == Host {
		d.host(lowered(value))
	}
}

// full reports for how many values there was no room so far.
func (d *dictionary) full() int64 { return d.lost.Load() }

// host takes note of the domain of a host.
func (d *dictionary) host(name string) {
	domain := registered(name)
	if domain == "" || d.domains[domain] || d.bytes+int64(len(domain))+domainCost > d.limit {
		return
	}
	if d.domains == nil {
		d.domains, d.tops = make(map[string]bool), make(map[string]bool)
	}
	domain = strings.Clone(domain)
	d.bytes += int64(len(domain)) + domainCost
	d.domains[domain] = true
	d.tops[domain[strings.LastIndexByte(domain, '.')+1:]] = true
}

// put adds a value that is not there.
func (d *dictionary) put(k Kind, value string) {
	const piece = 1 << pieceBits
	last := len(d.texts) - 1
	if last < 0 || len(d.texts[last])+1+binary.MaxVarintLen16+len(value) > piece {
		d.texts = append(d.texts, nil)
		last++
	}
	r := ref(last<<pieceBits|len(d.texts[last])) + 1
	text := append(d.texts[last], byte(k))
	d.texts[last] = append(binary.AppendUvarint(text, uint64(len(value))), value...)
	if d.count++; 4*d.count > 3*len(d.table) {
		d.grow()
	}
	d.enter(r, value)
}

// grow makes the table larger.
func (d *dictionary) grow() {
	if d.table == nil {
		d.seed = maphash.MakeSeed()
	}
	old := d.table
	d.table = make([]ref, max(64, 2*len(old)))
	for _, r := range old {
		if r != 0 {
			text, _ := d.at(r)
			d.enter(r, text)
		}
	}
}

func (d *dictionary) enter(r ref, value string) {
	i := d.slot(value)
	for d.table[i] != 0 {
		i = (i + 1) & (len(d.table) - 1)
	}
	d.table[i] = r
}

// slot is where in the table a value is to be, or behind that.
func (d *dictionary) slot(value string) int {
	return int(maphash.String(d.seed, value)) & (len(d.table) - 1)
}

// find returns where a value stands; 0 if it does not.
func (d *dictionary) find(value string) ref {
	if len(d.table) == 0 {
		return 0
	}
	for i := d.slot(value); d.table[i] != 0; i = (i + 1) & (len(d.table) - 1) {
		if text, _ := d.at(d.table[i]); text == value {
			return d.table[i]
		}
	}
	return 0
}

// marks are those of a value, with its kind.
func (d *dictionary) marks(r ref) *byte {
	return &d.texts[(r-1)>>pieceBits][(r-1)&(1<<pieceBits-1)]
}

// at returns the value that stands somewhere. Its text is a view of the dictionary's.
func (d *dictionary) at(r ref) (string, Kind) {
	text := d.texts[(r-1)>>pieceBits][(r-1)&(1<<pieceBits-1):]
	size, n := binary.Uvarint(text[1:])
	return view(text[1+n : 1+n+int(size)]), Kind(text[0] & kindMask)
}

// kind is that of a value; false if it is not there.
func (d *dictionary) kind(value string) (Kind, bool) {
	r := d.find(value)
	if r == 0 {
		return 0, false
	}
	_, k := d.at(r)
	return k, true
}

// all are the values that there are, in the order of the table, which is chance.
func (d *dictionary) all() iter.Seq[ref] {
	return func(yield func(ref) bool) {
		for _, r := range d.table {
			if r != 0 && !yield(r) {
				return
			}
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
