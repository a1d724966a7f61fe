package proto

import (
	"math/bits"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string (RFC 8259, section 7). Bytes that are
// no UTF-8 become U+FFFD; what could end a script or mislead a terminal is
// escaped.
func AppendString[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	i, start := 0, 0
	if len(s) >= 8 {
		i = plainLen(s, 0)
	}
	for i < len(s) {
		b := s[i]
		if plain[b] {
			if i++; i%8 == 0 { // short runs are left to the table
				i = plainLen(s, i)
			}
		} else if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + n
			} else if Harmful(r) {
				dst = append(dst, s[start:i]...)
				dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
				start = i + n
			}
			i += n
		} else {
			dst = append(dst, s[start:i]...)
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default: // control characters, DEL and <
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
			}
			i++
			start = i
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// quote makes a JSON string of what stands in dst from start on: a quotation mark
// and text.
func quote(dst []byte, start int) []byte {
	text := dst[start+1:]
	if plainLen(text, 0) == len(text) {
		return append(dst, '"')
	}
	end := len(dst)
	dst = AppendString(dst, text)
	return dst[:start+copy(dst[start:], dst[end:])]
}

// plain tells which bytes stand in a JSON string as they are.
var plain = func() (t [256]bool) {
	for b := ' '; b <= '~'; b++ {
		t[b] = b != '"' && b != '\\' && b != '<'
	}
	return t
}()

// plainLen returns the offset of the first byte of s from i on that is not plain,
// len(s) when all are: most strings need no escape, and are copied as one. It
// looks at eight bytes at a time.
func plainLen[S string | []byte](s S, i int) int {
	for ; i+8 <= len(s); i += 8 {
		c := s[i : i+8]
		w := uint64(c[0]) | uint64(c[1])<<8 | uint64(c[2])<<16 | uint64(c[3])<<24 |
			uint64(c[4])<<32 | uint64(c[5])<<40 | uint64(c[6])<<48 | uint64(c[7])<<56
		if n := notPlain(w); n != 0 {
			return i + bits.TrailingZeros64(n)/8
		}
	}
	for i < len(s) && plain[s[i]] {
		i++
	}
	return i
}

// notPlain sets the highest bit of the lowest byte of w that is not plain, and
// perhaps of some above it; it returns 0 when all are plain. A byte becomes
// negative, or is it already, when it is less than a space, DEL, not ASCII, or
// nothing is left of it behind an exclusive or with what has to be escaped.
func notPlain(w uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	return (w | (w - ones*' ') | (w + ones) | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones) | ((w ^ ones*'<') - ones)) & high
}

// Harmful reports whether a terminal might do something else with r than show it:
// C0 and C1 controls, separators, bidirectional marks.
func Harmful(r rune) bool {
	switch {
	case r < ' ', 0x7f <= r && r < 0xa0:
		return true
	case r == 0x061c, 0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f, r == 0xfeff:
		return true
	}
	return false
}

// AppendTime appends t as a JSON string in RFC 3339 with nanoseconds.
func AppendTime(dst []byte, t time.Time) []byte {
	if usual(t) {
		return appendFraction(appendSecond(dst, t), t)
	}
	dst = append(dst, '"')
	if y := t.Year(); y < 0 || y > 9999 {
		t = time.Time{} // RFC 3339 has four digits; such a clock says nothing
	}
	dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000000000Z07:00")
	return append(dst, '"')
}

// Clock appends times as AppendTime does, and quicker when they fall into the
// second of the one before, as those of packets do. The zero value is ready.
type Clock struct {
	second int64
	text   [len(`"2006-01-02T15:04:05`)]byte // of that second; 0 before the first
}

// AppendTime appends t as a JSON string in RFC 3339 with nanoseconds.
func (c *Clock) AppendTime(dst []byte, t time.Time) []byte {
	if !usual(t) {
		return AppendTime(dst, t)
	}
	if s := t.Unix(); s != c.second || c.text[0] == 0 {
		c.second = s
		appendSecond(c.text[:0], t)
	}
	return appendFraction(append(dst, c.text[:]...), t)
}

// usual reports whether t is in UTC and in the years 0 to 9999.
func usual(t time.Time) bool {
	const first, last = -62167219200, 253402300799
	s := t.Unix()
	return t.Location() == time.UTC && first <= s && s <= last
}

// appendSecond appends the first part of a usual time.
func appendSecond(dst []byte, t time.Time) []byte {
	const form = `"0000-00-00T00:00:00`
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, form...)
	b := dst[len(dst)-len(form):]
	put2(b[1:], uint32(year)/100)
	put2(b[3:], uint32(year)%100)
	put2(b[6:], uint32(month))
	put2(b[9:], uint32(day))
	put2(b[12:], uint32(hour))
	put2(b[15:], uint32(minute))
	put2(b[18:], uint32(second))
	return dst
}

// appendFraction appends the rest of it.
func appendFraction(dst []byte, t time.Time) []byte {
	const form = `.000000000Z"`
	dst = append(dst, form...)
	b := dst[len(dst)-len(form):]
	ns := uint32(t.Nanosecond())
	put2(b[1:], ns/1e7)
	put2(b[3:], ns/1e5%100)
	put2(b[5:], ns/1e3%100)
	put2(b[7:], ns/10%100)
	b[9] = byte('0' + ns%10)
	return dst
}

// AppendNatural appends a number that is not negative, where it is to stand: most that
// are written are small, and done before strconv has copied them.
func AppendNatural(dst []byte, n uint64) []byte {
	if n < 10 {
		return append(dst, byte('0'+n))
	}
	end := len(dst) + digits(n)
	dst = slices.Grow(dst, maxDigits)[:end]
	for ; n >= 100; n /= 100 {
		end -= 2
		put2(dst[end:], uint32(n%100))
	}
	if n >= 10 {
		put2(dst[end-2:], uint32(n))
	} else { // the first of an odd number
		dst[end-1] = byte('0' + n)
	}
	return dst
}

// maxDigits is how many a number can have.
const maxDigits = 20

// powers are those of 10.
var powers = func() (p [maxDigits]uint64) {
	p[0] = 1
	for i := range p[1:] {
		p[i+1] = 10 * p[i]
	}
	return p
}()

// digits returns how many digits n has.
func digits(n uint64) int {
	const log2 = 1233 // of 10, in parts of 4096: that or one more is a number's
	d := bits.Len64(n|1) * log2 >> 12
	if n|1 >= powers[d] {
		d++
	}
	return d
}

// put2 writes a number of two digits.
func put2(b []byte, n uint32) {
	b[0], b[1] = byte('0'+n/10), byte('0'+n%10)
}

// AppendMillis appends d as a number of milliseconds, with the digits that it
// needs.
func AppendMillis(dst []byte, d time.Duration) []byte {
	// Up to 15 digits a float64 holds them all, and its shortest form is what is
	// written here. Beyond, which is 11 days, rounding is left to who knows it.
	const exact = 1e15
	if d <= -exact || d >= exact {
		return strconv.AppendFloat(dst, float64(d)/1e6, 'f', -1, 64)
	}
	if d < 0 {
		dst, d = append(dst, '-'), -d
	}
	dst = AppendNatural(dst, uint64(d/1e6))
	if ns := uint32(d % 1e6); ns > 0 {
		dst = append(dst, ".000000"...)
		b := dst[len(dst)-6:]
		put2(b[0:], ns/1e4)
		put2(b[2:], ns/100%100)
		put2(b[4:], ns%100)
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst
}
