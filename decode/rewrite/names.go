package rewrite

import (
	"encoding/binary"
	"net/netip"
)

// names asks Names, and remembers what it said.
type names struct {
	Names
	v4   [namesKept]pair[[4]byte]
	v6   [namesKept]pair[[16]byte]
	macs [namesKept]pair[[6]byte]
}

// namesKept is how many of each kind are remembered: each has one place where it can
// be, and takes it from another.
const namesKept = 1 << 10

type pair[K comparable] struct {
	was, is K
	known   bool
}

// put writes what takes an address's place, and returns in how many places that is another.
func (p *pair[K]) put(b []byte, is []byte) int64 {
	copy(b, is)
	if p.is == p.was {
		return 0
	}
	return 1
}

// theirOwn are Names that stay.
type theirOwn struct{}

func (theirOwn) Addr(a netip.Addr) netip.Addr { return a }
func (theirOwn) MAC(m [6]byte) [6]byte        { return m }
func (theirOwn) Name(s string) string         { return s }

func newNames(n Names) names { return names{Names: n} }

// place hashes an address to where it is remembered.
func place(v uint64) uint64 { return v * 0x9e3779b97f4a7c15 >> 54 }

// ip replaces the address in b, of 4 or 16 bytes.
func (r *Rewriter) ip(b []byte) {
	n := &r.names
	if len(b) == 4 {
		p := &n.v4[place(uint64(be.Uint32(b)))]
		if a := [4]byte(b); !p.known || p.was != a {
			*p = pair[[4]byte]{a, n.Addr(netip.AddrFrom4(a)).As4(), true}
		}
		r.sum.Addresses += p.put(b, p.is[:])
		return
	}
	p := &n.v6[place(be.Uint64(b)^be.Uint64(b[8:])*3)]
	if a := [16]byte(b); !p.known || p.was != a {
		*p = pair[[16]byte]{a, n.Addr(netip.AddrFrom16(a)).As16(), true}
	}
	r.sum.Addresses += p.put(b, p.is[:])
}

// ips replaces the addresses of a list, each of size bytes, as far as they are there.
func (r *Rewriter) ips(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		r.ip(b[:size])
	}
}

// mac replaces the address in b, of 6 bytes.
func (r *Rewriter) mac(b []byte) {
	n := &r.names
	p := &n.macs[place(uint64(be.Uint32(b))<<16|uint64(be.Uint16(b[4:])))]
	if a := [6]byte(b); !p.known || p.was != a {
		*p = pair[[6]byte]{a, n.MAC(a), true}
	}
	r.sum.MACs += p.put(b, p.is[:])
}

// prefix replaces the first bits of an address: those behind them are not said.
func (r *Rewriter) prefix(b []byte, bits int) {
	r.ip(b)
	for i := range b {
		switch left := bits - 8*i; {
		case left <= 0:
			b[i] = 0
		case left < 8:
			b[i] &= ^byte(0xff >> left)
		}
	}
}

// name replaces a name outside of streams.
func (r *Rewriter) name(b []byte) bool {
	was := string(b)
	is := r.names.Name(was)
	if len(is) != len(was) {
		return false
	}
	for i := range is {
		if (is[i] == '.') != (was[i] == '.') {
			return false
		}
	}
	r.sum.Names++
	copy(b, is)
	return true
}

var (
	be = binary.BigEndian
	le = binary.LittleEndian
)
