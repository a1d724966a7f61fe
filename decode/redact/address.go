package redact

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
)

// cryptoPAn maps addresses so that two which have the first n bits in common still
// have: J. Fan, J. Xu, M. Ammar, S. Moon, "Prefix-Preserving IP Address
// Anonymization", Computer Networks 46 (2004). For IPv6 it is the same with 128 bits.
type cryptoPAn struct {
	block cipher.Block
	pad   [16]byte
	// recent are prefixes that were mapped lately, as most addresses are of some networks: which
	// bits of what begins so change. Each takes one encryption.
	recent [1 << recentBits]atomic.Pointer[prefix]
}

const recentBits = 12

// prefix is what addresses of a network begin with, and which of those bits change.
type prefix struct {
	bits    int
	is, xor [16]byte
}

// Lengths of prefixes that are kept, the longest first: of each, what is left has few bits.
var (
	prefixes4 = [...]int{24, 16}
	prefixes6 = [...]int{112, 96, 64, 48, 32}
)

// newCryptoPAn has a key of two halves: one of the cipher, one of which the pad is made.
func newCryptoPAn(key [32]byte) *cryptoPAn {
	c := &cryptoPAn{block: newAES(key[:16])}
	c.block.Encrypt(c.pad[:], key[16:])
	return c
}

// Map maps an address, of which the first bits stay.
func (c *cryptoPAn) Map(addr []byte, stay int) {
	lengths := prefixes6[:]
	if len(addr) == 4 {
		lengths = prefixes4[:]
	}
	var whole prefix
	copy(whole.is[:], addr)
	for _, n := range lengths { // where it may begin
		if known := c.slot(&whole.is, n).Load(); known != nil && known.begins(&whole.is, n) {
			whole.bits, whole.xor = n, known.xor
			break
		}
	}
	for i := len(lengths) - 1; i >= 0; i-- {
		if n := lengths[i]; n > whole.bits {
			c.extend(&whole, n)
			known := &prefix{bits: n, xor: whole.xor}
			copy(known.is[:n/8], whole.is[:])
			c.slot(&whole.is, n).Store(known)
		}
	}
	c.extend(&whole, 8*len(addr))
	for i := range addr {
		change := whole.xor[i]
		if kept := stay - 8*i; kept > 0 {
			change &= byte(0xff >> min(kept, 8))
		}
		addr[i] ^= change
	}
}

// extend finds which bits of an address change up to one, behind those that are known.
func (c *cryptoPAn) extend(a *prefix, to int) {
	if a.bits == to {
		return
	}
	s := aesBlocks.Get().(*aesBlock)
	s.in = c.pad
	copy(s.in[:a.bits/8], a.is[:]) // whole bytes, as all lengths are
	for ; a.bits < to; a.bits++ {
		c.block.Encrypt(s.out[:], s.in[:])
		i, bit := a.bits/8, byte(0x80)>>(a.bits%8)
		a.xor[i] |= s.out[0] >> 7 << (7 - a.bits%8)
		// The next is asked about one more of the address's own bits.
		s.in[i] = s.in[i]&^bit | a.is[i]&bit
	}
	aesBlocks.Put(s)
}

// begins reports whether an address begins with a prefix of n bits.
func (p *prefix) begins(addr *[16]byte, n int) bool {
	return p.bits == n && bytes.Equal(p.is[:n/8], addr[:n/8])
}

// slot is where the first n bits of an address may be. What network has which is no secret.
func (c *cryptoPAn) slot(addr *[16]byte, n int) *atomic.Pointer[prefix] {
	hi, lo := binary.BigEndian.Uint64(addr[:]), binary.BigEndian.Uint64(addr[8:])
	if n <= 64 {
		hi, lo = hi>>(64-n), 0
	} else {
		lo >>= 128 - n
	}
	const odd = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio (D. Knuth, TAOCP 3, section 6.4)
	return &c.recent[((hi^uint64(n))*odd^lo)*odd>>(64-recentBits)]
}

// aesBlock is what is encrypted, and what that is then: an interface takes it, so it is used again.
type aesBlock struct{ in, out [16]byte }

var aesBlocks = sync.Pool{New: func() any { return new(aesBlock) }}

// classes are the ranges that say what an address is for: such an address stays within
// its range. What has been private, or everybody's, is no secret for it, and programs
// that read the recording go by it. Of an address outside, those bits stay that it has
// in common with one of them, so that it stays outside.
var classes = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2000::/3"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("ff00::/8"),
}

// Stays reports whether an address is nobody's, and stays: loopback and unspecified
// addresses are the same on each machine, and who reads that a server listened on
// 127.0.0.1 learns nothing of where; multicast groups and broadcast name a protocol, not
// a host.
func Stays(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Addr returns the address that stands for another, of the same class: private,
// link-local, shared, or one of all the others. Addresses that have a prefix in common
// still have. It takes up to some microseconds.
func (p *Pseudonyms) Addr(a netip.Addr) netip.Addr {
	if a.Zone() != "" {
		return p.Addr(a.WithZone("")).WithZone(a.Zone())
	}
	if a.Is4In6() {
		return netip.AddrFrom16(p.Addr(a.Unmap()).As16())
	}
	if !a.IsValid() || Stays(a) {
		return a
	}
	stay := 0
	for _, c := range classes {
		if c.Addr().Is4() == a.Is4() {
			stay = max(stay, min(common(c.Addr(), a)+1, c.Bits()))
		}
	}
	if a.Is4() {
		b := a.As4()
		p.addrs.Map(b[:], stay)
		return netip.AddrFrom4(b)
	}
	b := a.As16()
	p.addrs.Map(b[:], stay)
	return netip.AddrFrom16(b)
}

// common counts the bits that two addresses of one family have in common.
func common(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	n := bits.LeadingZeros64(binary.BigEndian.Uint64(x[:]) ^ binary.BigEndian.Uint64(y[:]))
	if n == 64 {
		n += bits.LeadingZeros64(binary.BigEndian.Uint64(x[8:]) ^ binary.BigEndian.Uint64(y[8:]))
	}
	if a.Is4() {
		n -= 96 // which are the same for all of them
	}
	return n
}

// MAC returns the address of a network interface that stands for another. Whether it is
// a group's and whether it is local stays; the vendor does not. Broadcast, zero,
// and the groups that are made of IP's stay.
func (p *Pseudonyms) MAC(a [6]byte) [6]byte {
	if a == [6]byte{} || a[0]&1 == 1 {
		return a
	}
	const hexDigits = "0123456789abcdef"
	var text [12]byte
	for i, c := range a {
		text[2*i], text[2*i+1] = hexDigits[c>>4], hexDigits[c&15]
	}
	out := [6]byte(p.bytes(append([]byte("mac "), text[:]...))[:6])
	out[0] = out[0]&^3 | a[0]&3
	return out
}

// isAddress reports whether a text is an IP or MAC address.
func isAddress(s string) bool {
	if len(s) < 2 || len(s) > 45 {
		return false
	}
	seps := 0
	for i := range len(s) { // most that is none shows at once
		switch c := s[i]; {
		case c == '.', c == ':', c == '-':
			seps++
		case unhex(c) > 15:
			return false
		}
	}
	if seps == 0 {
		return false
	}
	if _, ok := parseMAC(s); ok {
		return true
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

// address maps an address in a text.
func (p *Pseudonyms) address(s string) string {
	if mac, ok := parseMAC(s); ok {
		return formatMAC(p.MAC(mac), s)
	}
	a, _ := netip.ParseAddr(s)
	return p.Addr(a).String()
}

const macLen = len("00:00:00:00:00:00")

// parseMAC reads six bytes with colons or hyphens between.
func parseMAC(s string) (mac [6]byte, ok bool) {
	if len(s) != macLen || s[2] != ':' && s[2] != '-' {
		return mac, false
	}
	for i := range mac {
		hi, lo := unhex(s[3*i]), unhex(s[3*i+1])
		if hi > 15 || lo > 15 || i < 5 && s[3*i+2] != s[2] {
			return mac, false
		}
		mac[i] = hi<<4 | lo
	}
	return mac, true
}

// formatMAC writes an address as another is spelled.
func formatMAC(mac [6]byte, like string) string {
	digits := "0123456789abcdef"
	if strings.ContainsAny(like, "ABCDEF") {
		digits = "0123456789ABCDEF"
	}
	out := []byte(like)
	for i, c := range mac {
		out[3*i], out[3*i+1] = digits[c>>4], digits[c&15]
	}
	return string(out)
}

// unhex returns what a digit stands for; more than 15 when it is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
