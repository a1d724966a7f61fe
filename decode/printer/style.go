package printer

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
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
func fit(s string, n int) string {
	if n <= 0 || utf8.RuneCountInString(s) <= n {
		return s
	}
	i := 0
	for range n - 1 {
		_, w := utf8.DecodeRuneInString(s[i:])
		i += w
	}
	return s[:i] + "…"
}

// Count writes a number with its noun, in the plural where that is right.
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// table aligns columns.
type table struct {
	style Style
	head  []string
	right []bool // columns that are aligned to the right
	spare []int  // columns that one can do without, the first of them first
	rows  []row
}

type row struct {
	cells  []string
	paints []paint
}

func (t *table) add(paints []paint, cells ...string) {
	t.rows = append(t.rows, row{cells, paints})
}

// gap is how much room is between columns.
const gap = 2

// widths returns how wide each column is, with 0 for those that are left out. When all would
// be too wide, the widest are cut to one width; before they can't be read any more, empty
// columns and spare ones go.
func (t *table) widths() []int {
	full, empty := make([]int, len(t.head)), make([]bool, len(t.head))
	for i, h := range t.head {
		full[i], empty[i] = utf8.RuneCountInString(h), true
	}
	for _, r := range t.rows {
		for i, c := range r.cells {
			full[i], empty[i] = max(full[i], utf8.RuneCountInString(c)), empty[i] && c == ""
		}
	}
	const readable, least = 16, 12
	width, fits := t.cut(full, readable)
	for i := range full {
		if !fits && empty[i] && len(t.rows) > 0 {
			full[i] = 0
			width, fits = t.cut(full, readable)
		}
	}
	for _, i := range t.spare {
		if !fits {
			full[i] = 0
			width, fits = t.cut(full, readable)
		}
	}
	if !fits {
		width, _ = t.cut(full, least)
	}
	return width
}

// cut cuts the widest columns until all fit, though not below least, and reports whether they
// do.
func (t *table) cut(full []int, least int) ([]int, bool) {
	width := slices.Clone(full)
	if t.style.Width <= 0 {
		return width, true
	}
	for limit := max(t.style.Width, least); limit >= least; limit-- {
		total := -gap
		for i, w := range width {
			if width[i] = min(w, limit); w > 0 {
				total += width[i] + gap
			}
		}
		if total <= t.style.Width {
			return width, true
		}
	}
	return width, false
}

// write renders the table.
func (t *table) write(w *bufio.Writer) {
	width := t.widths()
	var out []byte // a line
	line := func(cells []string, paints []paint, all paint) {
		out = out[:0]
		for i, c := range cells {
			if width[i] == 0 {
				continue
			}
			c = fit(c, width[i])
			pad := width[i] - utf8.RuneCountInString(c)
			p := all
			if i < len(paints) && paints[i] != "" {
				p = paints[i]
			}
			if len(out) > 0 {
				out = spaces(out, gap)
			}
			right := i < len(t.right) && t.right[i]
			if right {
				out = spaces(out, pad)
			}
			out = append(out, t.style.paint(p, c)...)
			if !right && i < len(cells)-1 {
				out = spaces(out, pad)
			}
		}
		w.Write(bytes.TrimRight(out, " "))
		w.WriteByte('\n')
	}
	line(t.head, nil, bold)
	for _, r := range t.rows {
		line(r.cells, r.paints, "")
	}
}

func spaces(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, ' ')
	}
	return dst
}
