package printer

import (
	"math"
	"strconv"
	"time"

	"netlab/decode/proto"
)

// Bytes writes a number of bytes for people.
func Bytes(n int64) string { return string(appendBytes(nil, n)) }

func appendBytes(dst []byte, n int64) []byte {
	if n < 1000 {
		return append(strconv.AppendInt(dst, n, 10), " B"...)
	}
	f, units := float64(n), "kMGTPE"
	i := -1
	for f >= 999.5 && i+1 < len(units) {
		f /= 1000
		i++
	}
	return append(strconv.AppendFloat(dst, f, 'g', 3, 64), ' ', units[i], 'B')
}

// Duration writes a span of time for people, with three digits.
func Duration(d time.Duration) string { return string(appendDuration(nil, d)) }

func appendDuration(dst []byte, d time.Duration) []byte {
	// What would be rounded to a thousand of a unit is one of the next.
	const ms, s = 999_500 * time.Nanosecond, 999_500 * time.Microsecond
	switch {
	case d == math.MinInt64: // has no positive; a capture's clock may be that wrong
		return appendDuration(dst, d+1)
	case d < 0:
		return appendDuration(append(dst, '-'), -d)
	case d == 0:
		return append(dst, '0')
	case d < time.Microsecond:
		return append(proto.AppendNatural(dst, uint64(d)), " ns"...)
	case d < ms:
		return append(appendDigits(dst, d, time.Microsecond), " µs"...)
	case d < s:
		return append(appendDigits(dst, d, time.Millisecond), " ms"...)
	case d < 100*time.Second:
		return append(appendDigits(dst, d, time.Second), " s"...)
	}
	return append(dst, d.Round(time.Second).String()...)
}

// appendDigits writes d in a unit with three digits, and no exponent.
func appendDigits(dst []byte, d, unit time.Duration) []byte {
	decimals := 2
	switch {
	case 100*d >= 9995*unit:
		decimals = 0
	case 1000*d >= 9995*unit:
		decimals = 1
	}
	return appendRounded(dst, d, unit, decimals, float64(d)/float64(unit))
}

// appendSeconds writes d in seconds, to the microsecond.
func appendSeconds(dst []byte, d time.Duration) []byte {
	const most = 10 * 24 * time.Hour // of which a float64 knows the nanoseconds
	f := d.Seconds()
	if d < -most || d > most {
		return strconv.AppendFloat(dst, f, 'f', 6, 64)
	}
	if d < 0 {
		dst, d, f = append(dst, '-'), -d, -f
	}
	return appendRounded(dst, d, time.Second, 6, f)
}

// appendRounded writes d, which is not negative, in a unit with some decimals: what
// strconv makes of that number, f, which takes longer. Where d is half-way between
// two, it is asked.
func appendRounded(dst []byte, d, unit time.Duration, decimals int, f float64) []byte {
	step := unit
	for range decimals {
		step /= 10
	}
	n, rest := uint64(d/step), 2*(d%step)
	switch {
	case rest == step:
		return strconv.AppendFloat(dst, f, 'f', decimals, 64)
	case rest > step:
		n++
	}
	whole := uint64(unit / step)
	dst = proto.AppendNatural(dst, n/whole)
	if decimals == 0 {
		return dst
	}
	point := len(dst)
	dst = proto.AppendNatural(dst, n%whole+whole) // with its zeros in front, behind a 1
	dst[point] = '.'
	return dst
}
