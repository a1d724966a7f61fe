package printer

import (
	"bytes"
	"encoding/hex"
	"slices"
	"unicode/utf8"
)

// appendVisible appends bytes as lines of text, or as a dump where they are none.
func appendVisible(dst, data []byte) []byte {
	if !textual(data) {
		return appendDump(dst, data)
	}
	return appendVisibleText(dst, data)
}

func appendVisibleText(dst, data []byte) []byte {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, newline)
		data = rest
		line = bytes.TrimSuffix(line, carriageReturn)
		for {
			text, after, tab := bytes.Cut(line, tabulator)
			if dst = appendClean(dst, text); !tab {
				break
			}
			dst, line = append(dst, "    "...), after
		}
		dst = append(dst, '\n')
	}
	return dst
}

var newline, carriageReturn, tabulator = []byte("\n"), []byte("\r"), []byte("\t")

// textual reports whether data is better read as text.
func textual(data []byte) bool {
	odd := 0
	for i := 0; i < len(data) && odd*16 <= len(data); {
		c := data[i]
		switch {
		case printable[c]:
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(data[i:])
			if i += n - 1; r == utf8.RuneError && n == 1 {
				odd++
			}
		case c < ' ' && c != '\n' && c != '\r' && c != '\t':
			odd++
		}
		i++
	}
	return odd*16 <= len(data)
}

// A line of a dump: where it begins, 16 bytes in two groups, and what they are as text.
const (
	dumpBytes = 16
	dumpHex   = len("00000000  ")
	dumpText  = dumpHex + 3*dumpBytes + len("  |")
	dumpLine  = dumpText + dumpBytes + len("|\n")
)

// emptyLine is one without its bytes, hexOf what those are written as, and charOf as
// text.
var (
	emptyLine = func() (line [dumpLine]byte) {
		copy(line[:], bytes.Repeat([]byte{' '}, dumpLine))
		line[dumpText-1], line[dumpLine-2], line[dumpLine-1] = '|', '|', '\n'
		return line
	}()
	hexOf, charOf = func() (digits [256][2]byte, chars [256]byte) {
		for i := range 256 {
			hex.Encode(digits[i][:], []byte{byte(i)})
			if chars[i] = '.'; printable[i] {
				chars[i] = byte(i)
			}
		}
		return digits, chars
	}()
)

// appendDump appends data as hex.Dump writes it.
func appendDump(dst, data []byte) []byte {
	dst = slices.Grow(dst, (len(data)+dumpBytes-1)/dumpBytes*dumpLine)
	for off := uint32(0); len(data) > 0; off += dumpBytes {
		n := min(len(data), dumpBytes)
		dst = append(dst, emptyLine[:]...)
		line := (*[dumpLine]byte)(dst[len(dst)-dumpLine:])
		for i := range 4 {
			copy(line[2*i:], hexOf[byte(off>>(24-8*i))][:])
		}
		for i, c := range data[:n] {
			at := dumpHex + 3*i + i/(dumpBytes/2)
			line[at], line[at+1] = hexOf[c][0], hexOf[c][1]
			line[dumpText+i] = charOf[c]
		}
		if n < dumpBytes {
			end := dumpText + n + copy(line[dumpText+n:], "|\n")
			dst = dst[:len(dst)-dumpLine+end]
		}
		data = data[n:]
	}
	return dst
}
