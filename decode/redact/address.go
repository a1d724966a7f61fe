package redact

import (
	"crypto/cipher"
	"net/netip"
	"strings"
)

// cryptoPAn maps addresses so that two which have the first n bits in common still
// have: J. Fan, J. Xu, M. Ammar, S. Moon, "Prefix-Preserving IP Address
// Anonymization", Computer Networks 46 (2004). For IPv6 it is the same with 128 bits.
type cryptoPAn struct {
	block cipher.Block
	pad   [16]byte
}

// newCryptoPAn has a key of two halves: one of the cipher, one of which the pad is made.
func newCryptoPAn(key [32]byte) cryptoPAn {
	c := cryptoPAn{block: newAES(key[:16])}
	c.block.Encrypt(c.pad[:], key[16:])
	return c
}

// Map maps an address. Keep, if any, says of each of its bits whether it stays.
func (c *cryptoPAn) Map(addr []byte, keep func(bit int) bool) {
	in := c.pad
	orig := [16]byte{}
	copy(orig[:], addr)
	var out [16]byte
	for i := range 8 * len(addr) {
		if keep == nil || !keep(i) {
			c.block.Encrypt(out[:], in[:])
			addr[i/8] ^= out[0] >> 7 << (7 - i%8)
		}
		// The next is asked about one more of the address's own bits.
		bit := byte(0x80) >> (i % 8)
		in[i/8] = in[i/8]&^bit | orig[i/8]&bit
	}
}

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
// still have. It takes some microseconds.
func (p *Pseudonyms) Addr(a netip.Addr) netip.Addr {
	zone := a.Zone()
	a = a.WithZone("")
	if a.Is4In6() {
		return netip.AddrFrom16(p.Addr(a.Unmap()).As16()).WithZone(zone)
	}
	if !a.IsValid() || Stays(a) {
		return a.WithZone(zone)
	}
	b := a.AsSlice()
	p.addrs.Map(b, func(bit int) bool {
		for _, c := range classes {
			if c.Addr().Is4() == a.Is4() && bit < c.Bits() && common(c.Addr(), a) >= bit {
				return true
			}
		}
		return false
	})
	out, _ := netip.AddrFromSlice(b)
	return out.WithZone(zone)
}

// common counts the bits that two addresses have in common.
func common(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range x {
		if d := x[i] ^ y[i]; d != 0 {
			n := 8 * i
			for ; d&0x80 == 0; d <<= 1 {
				n++
			}
			return n
		}
	}
	return 8 * len(x)
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
	if len(s) < 2 || len(s) > 45 || strings.IndexByte(s, '.') < 0 && strings.IndexByte(s, ':') < 0 && strings.IndexByte(s, '-') < 0 {
		return false
	}
	if _, ok := parseMAC(s); ok {
		return true
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == ""
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
