package printer

import (
	"fmt"
	"unicode/utf8"
)

// Style says what the output may use.
type Style struct {
	// Color uses the terminal's colours.
	Color bool
	// Width is the terminal's, in columns; 0 is no limit.
	Width int
}

// paint is a colour of the terminal (ECMA-48, SGR).
type paint string

const (
	bold   paint = "1"
	dim    paint = "2"
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	cyan   paint = "36"
)

// paint colours s, if that is wanted.
func (y Style) paint(p paint, s string) string {
	if !y.Color || p == "" || s == "" {
		return s
	}
	return "\x1b[" + string(p) + "m" + s + "\x1b[0m"
}

// begin appends what begins text of a colour, and end what ends it.
func (y Style) begin(dst []byte, p paint) []byte {
	if !y.Color || p == "" {
		return dst
	}
	return append(append(append(dst, "\x1b["...), p...), 'm')
}

func (y Style) end(dst []byte, p paint) []byte {
	if !y.Color || p == "" {
		return dst
	}
	return append(dst, "\x1b[0m"...)
}

// fit cuts s to n columns.
func fit(s string, n int) string { return string(appendFit(nil, []byte(s), n)) }

func appendFit(dst, s []byte, n int) []byte {
	if n <= 0 || utf8.RuneCount(s) <= n {
		return append(dst, s...)
	}
	i := 0
	for range n - 1 {
		_, w := utf8.DecodeRune(s[i:])
		i += w
	}
	return append(append(dst, s[:i]...), "…"...)
}

// Count writes a number with its noun, in the plural where that is right.
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
