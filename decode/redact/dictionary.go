package redact

import (
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
