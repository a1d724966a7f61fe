package redact

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
)

// dictionary knows the secrets that were found, up to a bound. What is found behind it is
// replaced where it is found, and not looked for elsewhere. There may be millions of them: so
// it has a fingerprint of each, and no more; what they are is in texts. Several may add to it, and
// when all is learned, several ask.
//
// A fingerprint has 58 bits, of a hash that nobody knows who makes a recording. That what is asked
// for is taken for one of n that are there has a chance of n/2^58, and is asked only of what
// begins as one of them does.
type dictionary struct {
	seed    maphash.Seed
	stripes [1 << stripeBits]stripe // by the first bits of fingerprints
	limit   int64                   // of bytes, with the index that is made when all is learned
	beside  bool                    // texts are no part of that
	taken   atomic.Int64
	telling atomic.Int64 // values that an index may have
	lost    atomic.Int64 // that there was no room for

	mu      sync.Mutex      // of what follows
	domains map[string]bool // of hosts, as people register them
	tops    map[string]bool // what these end with
}

// stripe has some of the values.
type stripe struct {
	mu    sync.Mutex
	table []entry // of a power of two, not more than three quarters full
	count int
	found [kindCount]int64 // distinct values
}

const stripeBits = 5

// entry is a fingerprint, with the value's marks and its kind in the lower bits; 0 is none.
type entry uint64

// Marks of a value, beside its kind.
const (
	kindMask = 0x0f
	isSought = 0x10 // it is looked for everywhere
	isMade   = 0x20 // it is the pseudonym of another
	markMask = 0x3f

	_ = uint(kindMask + 1 - kindCount) // which has room for all kinds
)

func (e entry) kind() Kind { return Kind(e & kindMask) }

// Bounds of a dictionary: the longest secret, which is a private key, and the places that there are at first in a
// stripe; what one takes, and about what a domain and a text take.
const (
	maxSecret  = 16 << 10
	minPlaces  = 16
	placeCost  = 8
	domainCost = 64
	textCost   = 3 // of each byte: with that of its pseudonym, and again
	runCost    = 32
)

func newDictionary(limit int64) *dictionary {
	return &dictionary{seed: maphash.MakeSeed(), limit: limit}
}

// fingerprint is that of a value, and its stripe.
func (d *dictionary) fingerprint(value string) (entry, *stripe) {
	f := entry(maphash.String(d.seed, value)) &^ markMask
	if f == 0 {
		f = markMask + 1
	}
	return f, &d.stripes[f>>(64-stripeBits)]
}

// add takes note of a secret, and reports whether it is a new one.
func (d *dictionary) add(k Kind, value string) bool {
	f, s := d.fingerprint(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.find(f); at != nil {
		if old := at.kind(); k < old { // named is surer than matched
			s.found[old]--
			s.found[k]++
			*at = *at&^kindMask | entry(k)
			if old == Address && isTelling(value) {
				d.telling.Add(1)
			}
		}
		return false
	}
	telling := k != Address && isTelling(value)
	if len(value) > maxSecret || !d.room(s, value, telling) {
		d.lost.Add(1)
		return false
	}
	if telling {
		d.telling.Add(1)
	}
	s.found[k]++
	s.count++
	s.enter(f | entry(k))
	if k == Host {
		d.host(lowered(value))
	}
	return true
}

// room makes room for another value in a stripe, and reports whether there is.
func (d *dictionary) room(s *stripe, value string, telling bool) bool {
	places, cost := len(s.table), int64(0)
	if 4*(s.count+1) > 3*places {
		places = max(minPlaces, 2*places)
		cost = int64(placeCost * (places - len(s.table)))
	}
	if !d.beside {
		cost += textCost * int64(len(value)+runCost)
	}
	if cost == 0 && !telling {
		return true
	}
	if d.taken.Load()+cost+indexSize(int(d.telling.Load())+1) > d.limit {
		return false
	}
	if d.taken.Add(cost); places > len(s.table) {
		old := s.table
		s.table = make([]entry, places)
		for _, e := range old {
			if e != 0 {
				s.enter(e)
			}
		}
	}
	return true
}

// full returns for how many values there was no room so far.
func (d *dictionary) full() int64 { return d.lost.Load() }

// host takes note of the domain of a host.
func (d *dictionary) host(name string) {
	domain := registered(name)
	if domain == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	cost := int64(len(domain)) + domainCost
	if d.domains[domain] || d.taken.Load()+cost > d.limit {
		return
	}
	if d.domains == nil {
		d.domains, d.tops = make(map[string]bool), make(map[string]bool)
	}
	domain = strings.Clone(domain)
	d.taken.Add(cost)
	d.domains[domain] = true
	d.tops[domain[strings.LastIndexByte(domain, '.')+1:]] = true
}

// slot is where in the table a fingerprint is to be, or behind that.
func (s *stripe) slot(e entry) int {
	return int(uint64(e) << stripeBits >> (64 - bits.TrailingZeros(uint(len(s.table)))))
}

// enter puts in what is not there.
func (s *stripe) enter(e entry) {
	i := s.slot(e)
	for s.table[i] != 0 {
		i = (i + 1) & (len(s.table) - 1)
	}
	s.table[i] = e
}

// find returns where a fingerprint is; nil if it is not there.
func (s *stripe) find(f entry) *entry {
	if len(s.table) == 0 {
		return nil
	}
	for i := s.slot(f); s.table[i] != 0; i = (i + 1) & (len(s.table) - 1) {
		if s.table[i]&^markMask == f {
			return &s.table[i]
		}
	}
	return nil
}

// entry returns what is known of a value, when all is learned; nil if it is not there.
func (d *dictionary) entry(value string) *entry {
	f, s := d.fingerprint(value)
	return s.find(f)
}

// kind is that of a value; false if it is not there.
func (d *dictionary) kind(value string) (Kind, bool) {
	if e := d.entry(value); e != nil {
		return e.kind(), true
	}
	return 0, false
}

// values returns how many there are, in all and of each kind.
func (d *dictionary) values() (count int, kinds [kindCount]int64) {
	for i := range d.stripes {
		s := &d.stripes[i]
		count += s.count
		for k, n := range s.found {
			kinds[k] += n
		}
	}
	return count, kinds
}

// marked counts the values that have a mark, and not another.
func (d *dictionary) marked(mark, but entry) (n int) {
	for i := range d.stripes {
		for _, e := range d.stripes[i].table {
			if e&(mark|but) == mark {
				n++
			}
		}
	}
	return n
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
