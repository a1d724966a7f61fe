package proto

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The first and plain form of what json.go writes, which it is held to: the same
// bytes for every input.

func oldAppendString[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= 0x20 && b < 0x7f && b != '"' && b != '\\' && b != '<' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
			i++
		case b == '\n':
			dst = append(dst, '\\', 'n')
			i++
		case b == '\r':
			dst = append(dst, '\\', 'r')
			i++
		case b == '\t':
			dst = append(dst, '\\', 't')
			i++
		case b < utf8.RuneSelf: // control characters, DEL and <
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
			i++
		default:
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(dst, "\ufffd"...)
			case Harmful(r):
				dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			default:
				dst = append(dst, s[i:i+n]...)
			}
			i += n
		}
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func oldAppendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	if y := t.Year(); y < 0 || y > 9999 {
		t = time.Time{} // RFC 3339 has four digits; such a clock says nothing
	}
	dst = t.AppendFormat(dst, "2006-01-02T15:04:05.000000000Z07:00")
	return append(dst, '"')
}

func oldAppendMillis(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, float64(d)/1e6, 'f', -1, 64)
}
