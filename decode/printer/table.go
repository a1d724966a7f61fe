package printer

import (
	"bufio"
	"cmp"
	"slices"
	"unicode/utf8"

	"netlab/decode/proto"
)

// table aligns columns. What its cells say is in one piece, one behind the other: there
// may be many.
type table struct {
	style Style
	head  []string
	right []bool // columns that are aligned to the right
	spare []int  // columns that one can do without, the first of them first

	cells
	rows []row // in the order in which they are printed
	keys []key // that they are sorted by, if they are
}

// cells are texts in one piece.
type cells struct {
	text []byte
	all  []cell
}

// cell is where a text ends, which begins where the one before ends, and how wide it is.
type cell struct{ end, width uint32 }

// row is a line of a table.
type row struct {
	first  int // of its cells, of which there is one for each column
	paints []paint
}

// key is what the n-th of the rows is sorted by.
type key struct {
	by int64
	n  int
}

// cell makes a cell of what was appended to the text behind the one before.
func (c *cells) cell() {
	text := c.text[c.begin(len(c.all)):]
	c.all = append(c.all, cell{uint32(len(c.text)), uint32(utf8.RuneCount(text))})
}

// begin returns where the i-th begins.
func (c *cells) begin(i int) int {
	if i == 0 {
		return 0
	}
	return int(c.all[i-1].end)
}

// put adds a cell.
func (c *cells) put(text string) {
	c.text = append(c.text, text...)
	c.cell()
}

// natural adds a cell with a number.
func (c *cells) natural(n int) {
	c.text = proto.AppendNatural(c.text, uint64(n))
	c.cell()
}

// move adds cells of another, between from and to.
func (c *cells) move(o *cells, from, to int) {
	begin := o.begin(from)
	shift := uint32(len(c.text) - begin)
	for _, x := range o.all[from:to] {
		c.all = append(c.all, cell{x.end + shift, x.width})
	}
	c.text = append(c.text, o.text[begin:o.begin(to)]...)
}

func (c *cells) reset() { c.text, c.all = c.text[:0], c.all[:0] }

// row begins one, of the cells that are put next.
func (t *table) row(paints []paint) { t.rows = append(t.rows, row{len(t.all), paints}) }

// rowBy begins a row of a table that is sorted.
func (t *table) rowBy(by int64, paints []paint) {
	t.keys = append(t.keys, key{by, len(t.rows)})
	t.row(paints)
}

// sort sorts the rows by their keys, and those of the same key as they came.
func (t *table) sort() {
	slices.SortFunc(t.keys, func(a, b key) int {
		if a.by != b.by {
			return cmp.Compare(a.by, b.by)
		}
		return a.n - b.n
	})
	n := len(t.rows)
	for _, k := range t.keys {
		t.rows = append(t.rows, t.rows[k.n])
	}
	t.rows = t.rows[:copy(t.rows, t.rows[n:])]
}

func (t *table) add(paints []paint, cells ...string) {
	t.row(paints)
	for _, c := range cells {
		t.put(c)
	}
}

func (t *table) reset() {
	t.cells.reset()
	t.rows, t.keys = t.rows[:0], t.keys[:0]
}

// gap is how much room is between columns.
const gap = 2

// widths returns how wide each column is, with 0 for those that are left out. When all would
// be too wide, the widest are cut to one width; before they can't be read any more, empty
// columns and spare ones go.
func (t *table) widths() []int {
	full, widest := make([]int, len(t.head)), make([]int, len(t.head))
	for i, h := range t.head {
		full[i] = utf8.RuneCountInString(h)
	}
	for _, r := range t.rows {
		for i := range widest {
			widest[i] = max(widest[i], int(t.all[r.first+i].width))
		}
	}
	for i, n := range widest {
		full[i] = max(full[i], n)
	}
	const readable, least = 16, 12
	width, fits := t.cut(full, readable)
	for i := range full {
		if !fits && widest[i] == 0 && len(t.rows) > 0 {
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
	var head cells
	for _, h := range t.head {
		head.put(h)
	}
	w.Write(t.line(w.AvailableBuffer(), &head, 0, width, nil, bold))
	for _, r := range t.rows {
		w.Write(t.line(w.AvailableBuffer(), &t.cells, r.first, width, r.paints, ""))
	}
}

// line appends a line of cells, the first of which is given. What has no paint of its
// own has that of all.
func (t *table) line(dst []byte, c *cells, first int, width []int, paints []paint, all paint) []byte {
	begin, start := c.begin(first), len(dst)
	for i, x := range c.all[first : first+len(t.head)] {
		text := c.text[begin:x.end]
		if begin = int(x.end); width[i] == 0 {
			continue
		}
		if len(dst) > start {
			dst = spaces(dst, gap)
		}
		right, pad := i < len(t.right) && t.right[i], width[i]-int(x.width)
		if right {
			dst = spaces(dst, pad)
		}
		if len(text) > 0 {
			p := all
			if i < len(paints) && paints[i] != "" {
				p = paints[i]
			}
			dst = t.style.begin(dst, p)
			if pad < 0 {
				dst = appendFit(dst, text, width[i])
			} else {
				dst = append(dst, text...)
			}
			dst = t.style.end(dst, p)
		}
		if !right && i < len(t.head)-1 {
			dst = spaces(dst, pad)
		}
	}
	for len(dst) > start && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '\n')
}

const blank = "                                                                "

func spaces(dst []byte, n int) []byte {
	for ; n > len(blank); n -= len(blank) {
		dst = append(dst, blank...)
	}
	return append(dst, blank[:max(n, 0)]...)
}
