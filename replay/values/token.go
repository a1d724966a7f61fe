package values

import (
	"encoding/base64"
	"math"
	"net/url"
	"strings"
	"unicode/utf8"
)

// bits estimates how much chance is in a value, in bits; 0 is what may well be a word, a
// small number, a date or a version, which other messages hold for their own reasons.
func bits(s string) float64 {
	const shortest = 6
	if len(s) < shortest || len(s) > maxValue {
		return 0
	}
	var digits, lower, upper, other int
	hex := true
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z':
			lower++
			hex = hex && c <= 'f'
		case 'A' <= c && c <= 'Z':
			upper++
			hex = hex && c <= 'F'
		case c <= ' ' || c >= 0x7f:
			return 0
		default:
			other++
			hex = hex && c == '-'
		}
	}
	letters := lower + upper
	perByte := 4.0 // what is not known to be from a smaller alphabet
	switch {
	case letters == 0 && other == 0:
		if digits < 9 {
			return 0
		}
		perByte = math.Log2(10)
	case letters == 0, isDate(s):
		return 0 // a number with a point, an address, a range
	case digits == 0 && (lower == 0 || upper == 0 || len(s) < 16):
		if len(s) < 24 || other*4 > len(s) {
			return 0
		}
	case digits == 1 && len(s) < 12, digits > 0 && len(s) < 8:
		return 0
	case hex:
	case other*3 > len(s):
		return 0
	default:
		perByte = 5
	}
	return perByte * float64(len(s)-other)
}

// isDate reports whether a value begins as dates do: 2026-01-02, or Fri, 02.
func isDate(s string) bool {
	digit := func(i int) bool { return '0' <= s[i] && s[i] <= '9' }
	if len(s) >= 10 && s[4] == '-' && s[7] == '-' && digit(0) && digit(3) && digit(5) && digit(6) && digit(8) && digit(9) {
		return len(s) == 10 || s[10] == 'T' || s[10] == 't'
	}
	return false
}

// telling are the ends of names that say that a value was made up to be said again.
var telling = []string{
	"id", "token", "csrf", "xsrf", "nonce", "state", "code", "key", "session", "sid", "cursor", "ticket", "version", "etag",
	"rev", "otp", "secret", "auth", "signature", "sig", "hash",
}

// isTelling reports whether a normal name is such a one.
func isTelling(name string) bool {
	for _, t := range telling {
		if strings.HasSuffix(name, t) {
			return true
		}
	}
	return false
}

// normal is a name as people spell it differently: userId, user_id and User-ID are one.
func normal(name string) string {
	same := true
	for i := range len(name) {
		c := name[i]
		same = same && ('a' <= c && c <= 'z' || '0' <= c && c <= '9')
	}
	if same {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			b.WriteByte(c)
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c | 0x20)
		}
	}
	return b.String()
}

// stem is what an identifier is one of: "user" for the normal names userid and users.
// It is empty for id.
func stem(name string) string {
	name = strings.TrimSuffix(name, "id")
	if len(name) > 1 {
		name = strings.TrimSuffix(name, "s")
	}
	return name
}

// decoded returns what a value stands for in another form, and whether it can be read in
// that.
func decoded(s string, f Form) (string, bool) {
	switch f {
	case Raw:
		return s, true
	case FromURL:
		out, err := url.PathUnescape(s)
		return out, err == nil && out != s
	}
	e, ok := base64Of(s)
	if !ok {
		return "", false
	}
	var first [6]byte // as a rule, that is enough to see that it is no text
	if n, err := e.Decode(first[:], []byte(s[:8])); len(s) > 8 && (err != nil || !isText(first[:n-1])) {
		return "", false
	}
	out, err := e.DecodeString(s)
	return string(out), err == nil && isText(out)
}

// base64Of returns which kind of base64 (RFC 4648, sections 4 and 5) a value may be.
func base64Of(s string) (*base64.Encoding, bool) {
	const shortest = 8 // of less, nearly every word is base64
	if len(s) < shortest || len(s) > maxValue {
		return nil, false
	}
	url, padded := strings.ContainsAny(s, "-_"), s[len(s)-1] == '=' || len(s)%4 == 0
	switch {
	case url && padded:
		return base64.URLEncoding, true
	case url:
		return base64.RawURLEncoding, true
	case padded:
		return base64.StdEncoding, true
	}
	return base64.RawStdEncoding, true
}

// isText reports whether what was decoded from base64 is text: most that can be decoded
// was none.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0 && utf8.Valid(b)
}

// run is a part of a text: letters and digits, and what stands within names.
type run struct{ from, to int }

// inRun reports whether a byte belongs to a run.
func inRun(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

// nextRun returns the first run of s at or behind an offset; an empty one at its end.
func nextRun[S string | []byte](s S, at int) run {
	for at < len(s) && !inRun(s[at]) {
		at++
	}
	r := run{at, at}
	for r.to < len(s) && inRun(s[r.to]) {
		r.to++
	}
	for r.to > r.from && s[r.to-1] == '.' { // the end of a sentence
		r.to--
	}
	if r.to == r.from && at < len(s) {
		return nextRun(s, at+1)
	}
	return r
}

// inURL cuts the scheme and the authority off what looks like a URL: they are where the
// server is, and no value of its.
func inURL(s string) (path string, at int) {
	if i := strings.Index(s, "://"); i > 0 && i < 10 {
		at = i + len("://")
		if n := strings.IndexAny(s[at:], "/?#"); n >= 0 {
			return s[at+n:], at + n
		}
		return "", len(s)
	}
	return s, 0
}

// partOf returns a run of a value by its number from 1, and what stands between all of them,
// with an a for each: it has to be the same in another such value.
func partOf(s string, number int) (part, shape string) {
	path, _ := inURL(s)
	var b strings.Builder
	last := 0
	for n := 1; n <= maxFields; n++ {
		r := nextRun(path, last)
		if r.from == r.to {
			break
		}
		if n == number {
			part = path[r.from:r.to]
		}
		b.WriteString(path[last:r.from])
		b.WriteByte('a')
		last = r.to
	}
	b.WriteString(path[last:])
	return part, b.String()
}
