package compare

import (
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Shape is what a value looks like, as a set with one element; of several values, with
// one for each. A shape proves nothing: it says what a value that is known to be noise
// may become without anybody having to look.
type Shape uint16

// The shapes.
const (
	ShapeNull Shape = 1 << iota
	ShapeBool
	ShapeArray
	ShapeObject
	ShapeEmpty   // ""
	ShapeText    // none of these
	ShapeInteger // a counter, perhaps: no sign, no leading zero
	ShapeNumber  // any other
	ShapeUUID    // RFC 9562
	ShapeDate
	ShapeHex   // eight digits or more, some of them letters
	ShapeToken // one word that nobody would choose: letters and digits, upper and lower case
)

var shapeNames = [...]string{"null", "bool", "array", "object", "empty", "text", "counter", "number", "uuid", "date", "hex", "token"}

func (s Shape) String() string {
	var names []string
	for rest := s; rest != 0; rest &= rest - 1 {
		names = append(names, shapeNames[bits.TrailingZeros16(uint16(rest))])
	}
	return strings.Join(names, " or ")
}

// Known reports whether all values look like something that is made anew each time.
func (s Shape) Known() bool {
	return s != 0 && s&^(ShapeInteger|ShapeUUID|ShapeDate|ShapeHex|ShapeToken) == 0
}

// Allows reports whether values of a shape may stand where values of shape s did: hex
// digits may happen to have no letters, a token to be hex.
func (s Shape) Allows(o Shape) bool {
	if s&ShapeToken != 0 {
		s |= ShapeHex
	}
	if s&ShapeHex != 0 {
		s |= ShapeInteger
	}
	return o&^s == 0
}

// shapeOf returns the shape of a text, or of a number's.
func shapeOf(s string) Shape {
	switch {
	case s == "":
		return ShapeEmpty
	case isInteger(s):
		return ShapeInteger
	case isUUID(s):
		return ShapeUUID
	case len(s) >= minHex && isHex(s):
		return ShapeHex
	}
	if _, ok := readDate(s); ok {
		return ShapeDate
	}
	if strings.IndexByte("-+.0123456789", s[0]) >= 0 {
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return ShapeNumber
		}
	}
	if isToken(s) {
		return ShapeToken
	}
	return ShapeText
}

// minHex is how many digits have to be there to look like a number of a machine.
const minHex = 8

// isInteger reports whether s is a number as a counter writes it.
func isInteger(s string) bool {
	if s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// isUUID reports whether s is written as RFC 9562, section 4 has it.
func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
}

// Tokens have eight characters or more. Sixteen bits of chance are six of base64.
const minToken = 8

// isToken reports whether s is a word that looks random.
func isToken(s string) bool {
	if len(s) < minToken {
		return false
	}
	var digits, upper, lower bool
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits = true
		case 'a' <= c && c <= 'z':
			lower = true
		case 'A' <= c && c <= 'Z':
			upper = true
		case strings.IndexByte("-_+/=.~:", c) < 0:
			return false
		}
	}
	return digits && (upper || lower) || upper && lower && len(s) >= 2*minToken
}

// isIdentifier reports whether a key looks like one that was made, and not named.
func isIdentifier(key string) bool {
	return key != "" && (isInteger(key) || shapeOf(key)&(ShapeUUID|ShapeHex|ShapeDate) != 0)
}

// dateForms are how servers write times, by what they begin with: a year, a weekday, a day.
var dateForms = [...][]string{
	{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		"2006-01-02 15:04:05.999999999 -0700", "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly,
	},
	{"Mon, 02 Jan 2006 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 -0700", "Monday, 02-Jan-06 15:04:05 MST", time.ANSIC, time.UnixDate},
	{"02/Jan/2006:15:04:05 -0700", "02 Jan 2006 15:04:05 MST", "02 Jan 2006 15:04:05 -0700"},
}

// Dates have at least as many characters as 2006-01-02, and at most as the longest form.
const minDate, maxDate = len(time.DateOnly), 40

// readDate reads a time as text.
func readDate(s string) (time.Time, bool) {
	if len(s) < minDate || len(s) > maxDate {
		return time.Time{}, false
	}
	var forms []string
	switch {
	case isDigit(s[0]) && s[4] == '-' && s[7] == '-':
		forms = dateForms[0]
	case !isDigit(s[0]) && strings.IndexByte(", dnsru", s[3]) >= 0 && strings.Contains(s, ":"):
		forms = dateForms[1]
	case isDigit(s[0]) && strings.IndexByte("/ ", s[2]) >= 0 && strings.Contains(s, ":"):
		forms = dateForms[2]
	}
	for _, form := range forms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// readClock reads a time as text, or as seconds or milliseconds since 1970.
func readClock(s string) (time.Time, bool) {
	whole, _, _ := strings.Cut(s, ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		const first, last = 1e9, 4e9 // 2001 to 2096
		switch {
		case first <= n && n < last:
			return time.Unix(n, 0), true
		case first*1e3 <= n && n < last*1e3:
			return time.UnixMilli(n), true
		case first*1e6 <= n && n < last*1e6:
			return time.UnixMicro(n), true
		}
		return time.Time{}, false
	}
	return readDate(s)
}

// clockError is how far two clocks and their readers may be apart.
const clockError = time.Minute

// followsClock reports whether two values are times as far from when they were said:
// now, or an hour from now. A date of which that is not true means something.
func followsClock(was, is string, said, saidNow time.Time) bool {
	if said.IsZero() || saidNow.IsZero() || len(was) != len(is) && max(len(was), len(is)) > maxDate {
		return false
	}
	a, ok := readClock(was)
	if !ok {
		return false
	}
	b, ok := readClock(is)
	if !ok {
		return false
	}
	off := a.Sub(said) - b.Sub(saidNow)
	return -clockError <= off && off <= clockError
}
