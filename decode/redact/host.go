package redact

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Host returns the name that stands for the name of a host: label by label, so that
// a.example.com and b.example.com stay siblings, and whatever the case, which stays. What
// everybody's names end with stays (https://publicsuffix.org), as do names of services, _tcp,
// and www. The names of addresses are those of the addresses' pseudonyms, whose
// length may be another. So a label's pseudonym depends on what is behind it, and on nothing
// before it.
func (p *Pseudonyms) Host(name string) string {
	if isAddress(name) {
		return p.address(name)
	}
	return strings.Join(p.host(strings.Split(name, ".")), ".")
}

// Name is Host, for names in packets.
func (p *Pseudonyms) Name(name string) string { return p.Host(name) }

// host maps the labels of a name in their place. The name may end with an empty one: the root.
func (p *Pseudonyms) host(list []string) []string {
	n := len(list)
	for n > 0 && list[n-1] == "" {
		n--
	}
	kept := staying(list[:n])
	from := n - kept
	if kept == 1 && n > 1 && lowered(list[n-1]) == "arpa" {
		if before, ok := p.reverse(list[:n]); ok {
			from = before
		}
	}
	for i := range from {
		list[i] = cased(p.label(lowered(list[i])), list[i])
	}
	return list
}

// staying returns how many labels of a name stay, as everybody's names end with them.
func staying(list []string) int {
	var few [256]byte
	name := few[:0]
	for i, label := range list {
		if i > 0 {
			name = append(name, '.')
		}
		for _, c := range []byte(label) {
			switch {
			case c == '.': // as a label may have one
				c = '_'
			case c >= 'A' && c <= 'Z':
				c += 'a' - 'A'
			}
			name = append(name, c)
		}
	}
	suffix := commonSuffix(view(name))
	if suffix == "" {
		return 0
	}
	return 1 + strings.Count(suffix, ".")
}

// label maps one label in small letters.
func (p *Pseudonyms) label(s string) string {
	const punycode = "xn--" // RFC 5890, section 2.3.2.1
	switch {
	case s == "www", s == "", s == "localhost", s[0] == '_':
		return s
	}
	at, known := p.labels.get(s)
	if known != "" {
		return known
	}
	if rest, ok := strings.CutPrefix(s, punycode); ok {
		known = punycode + p.plain(rest)
	} else {
		known = p.plain(s)
	}
	p.labels.put(at, s, known)
	return known
}

// lowered is s in small letters, as names of DNS know them (RFC 4343).
func lowered(s string) string {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// cased writes s with capital letters where like has them. Both are of one length.
func cased(s, like string) string {
	if lowered(like) == like {
		return s
	}
	b := []byte(s)
	for i := range b {
		if like[i] >= 'A' && like[i] <= 'Z' && b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

// commonDomains are top-level domains that nobody registers (RFC 6761, RFC 6762, RFC
// 8375), and those that people use in their stead.
var commonDomains = map[string]bool{
	"example": true, "test": true, "invalid": true, "localhost": true, "local": true, "internal": true, "lan": true, "home": true,
	"corp": true, "intranet": true, "private": true, "localdomain": true, "onion": true, "arpa": true, "home.arpa": true,
}

// commonSuffix returns what everybody's names end with; empty when that is not known.
func commonSuffix(name string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if commonDomains[last] {
		return last
	}
	suffix, listed := publicsuffix.PublicSuffix(name)
	for !listed && strings.Contains(suffix, ".") { // somebody's, who lends names to others
		suffix, listed = publicsuffix.PublicSuffix(suffix[strings.IndexByte(suffix, '.')+1:])
	}
	if !listed {
		return ""
	}
	return suffix
}

// isHost reports whether a text is the name of a host, of two labels at least, which ends
// as names of hosts do.
func isHost(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) < 4 || len(s) > 253 || strings.IndexByte(s, '.') <= 0 {
		return false
	}
	for rest := s; rest != ""; {
		label, after, more := strings.Cut(rest, ".")
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || more && after == "" {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !(c == '-' || c == '_' || isAlnum(c)) {
				return false
			}
		}
		rest = after
	}
	last := lowered(s[strings.LastIndexByte(s, '.')+1:])
	if fileNames[last] {
		return false
	}
	return commonSuffix(lowered(s)) != ""
}

// fileNames are top-level domains by which names of files end: in a text, they are rather
// those.
var fileNames = map[string]bool{
	"zip": true, "mov": true, "py": true, "sh": true, "pl": true, "rs": true, "md": true, "so": true, "ps": true, "app": true, "js": true, "ts": true,
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// reverse maps the name of an address (RFC 1035, section 3.5; RFC 3596, section 2.5), or of a
// network, in its place. It returns how many labels are before it.
func (p *Pseudonyms) reverse(list []string) (before int, ok bool) {
	zone := len(list) - 2
	base, most, perByte := 10, 4, 1
	switch lowered(list[zone]) {
	case "in-addr":
	case "ip6":
		base, most, perByte = 16, 32, 2
	default:
		return 0, false
	}
	list[zone] = lowered(list[zone])
	var b [16]byte
	n := 0
	for ; n < most && n < zone; n++ {
		digit := list[zone-1-n]
		d, err := strconv.ParseUint(digit, base, 8/perByte)
		if err != nil || base == 16 && len(digit) != 1 {
			break
		}
		b[n/perByte] |= byte(d) << (8 / perByte * (perByte - 1 - n%perByte))
	}
	a := netip.AddrFrom16(b)
	if base == 10 {
		a = netip.AddrFrom4([4]byte(b[:4]))
	}
	mapped := p.Addr(a).AsSlice()
	for i := range n {
		d := mapped[i/perByte] >> (8 / perByte * (perByte - 1 - i%perByte))
		if base == 16 {
			d &= 15
		}
		list[zone-1-i] = strconv.FormatUint(uint64(d), base)
	}
	return zone - n, true
}
