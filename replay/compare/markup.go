package compare

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// mark is a piece of markup: a tag, or what stands between two.
type mark struct {
	kind   markKind
	name   string      // of an element
	text   string      // of all others
	fields [][2]string // attributes, sorted by name
	parent int         // the mark that opens the element it stands in; -1
}

type markKind uint8

const (
	markStart markKind = iota
	markEnd
	markText
	markComment
	markOther // a declaration or an instruction
)

// maxMarks bounds the pieces of a body. A mark is some 100 bytes, and stands for as
// little as four bytes of text.
const maxMarks = 1 << 20

// markup compares HTML or XML piece by piece, if both can be read. The order of
// attributes does not count, nor does white space between elements; in HTML, a run of it
// is as good as another.
func (c *comparer) markup(part string, isHTML bool, old, fresh []byte) bool {
	read := readXML
	if isHTML {
		read = readHTML
	}
	a, err1 := read(old)
	b, err2 := read(fresh)
	if err1 != nil || err2 != nil {
		return false
	}
	for _, g := range gaps(align(markSums(a, (*mark).sum), markSums(b, (*mark).sum)), len(b)) {
		c.markGap(part, a, b, g)
	}
	return true
}

func markSums(list []mark, sum func(*mark) uint64) []uint64 {
	out := make([]uint64, len(list))
	for i := range list {
		out[i] = sum(&list[i])
	}
	return out
}

// markGap compares pieces of which none is paired with an equal one: elements of the
// same name, and texts, with each other.
func (c *comparer) markGap(part string, a, b []mark, g gap) {
	x, y := a[g.a[0]:g.a[1]], b[g.b[0]:g.b[1]]
	pair := align(markSums(x, (*mark).outline), markSums(y, (*mark).outline))
	there := make([]bool, len(y))
	for i := range x {
		m := &x[i]
		j := pair[i]
		if j < 0 {
			if m.kind != markEnd {
				c.add(Missing, part+" "+pathOf(a, g.a[0]+i), m.side(), nothing)
			}
			continue
		}
		there[j] = true
		c.marks(part+" "+pathOf(a, g.a[0]+i), m, &y[j])
	}
	for j := range y {
		if !there[j] && y[j].kind != markEnd {
			c.add(Extra, part+" "+pathOf(b, g.b[0]+j), nothing, y[j].side())
		}
	}
}

// marks compares two pieces of the same kind and name.
func (c *comparer) marks(path string, a, b *mark) {
	if a.text != b.text {
		was, is := textSides(a.text, b.text)
		c.add(Value, path, was, is)
	}
	i, j := 0, 0
	for i < len(a.fields) || j < len(b.fields) {
		switch {
		case j == len(b.fields) || i < len(a.fields) && a.fields[i][0] < b.fields[j][0]:
			c.add(Missing, path+"/@"+a.fields[i][0], textSide(a.fields[i][1]), nothing)
			i++
		case i == len(a.fields) || b.fields[j][0] < a.fields[i][0]:
			c.add(Extra, path+"/@"+b.fields[j][0], nothing, textSide(b.fields[j][1]))
			j++
		default:
			if was, is := a.fields[i][1], b.fields[j][1]; was != is {
				old, now := textSides(was, is)
				c.add(Value, path+"/@"+a.fields[i][0], old, now)
			}
			i, j = i+1, j+1
		}
	}
}

func (m *mark) side() side {
	if m.kind == markStart {
		return plainSide("<" + m.name + ">")
	}
	return textSide(m.text)
}

func (m *mark) sum() uint64 {
	h := mix(m.outline(), textSum(m.text))
	for _, f := range m.fields {
		h = mix(mix(h, textSum(f[0])), textSum(f[1]))
	}
	return h
}

// outline is the same for pieces that may be compared with each other.
func (m *mark) outline() uint64 { return mix(uint64(m.kind)+1, textSum(m.name+" "+m.label())) }

// label is what tells an element from its neighbours of the same name, if its author gave
// it something.
func (m *mark) label() string {
	for _, name := range []string{"id", "name"} {
		for _, f := range m.fields {
			if f[0] == name && len(f[1]) <= long && !isIdentifier(f[1]) && !isToken(f[1]) {
				return "[" + name + "=" + f[1] + "]"
			}
		}
	}
	return ""
}

// maxLevels bounds the elements that a path names, from the inside.
const maxLevels = 64

// pathOf leads to a piece, by the names of elements: /html/body/input[name=csrf].
func pathOf(list []mark, i int) string {
	var names []string
	switch list[i].kind {
	case markText:
		names = append(names, "text()")
	case markComment:
		names = append(names, "comment()")
	case markOther:
		names = append(names, "declaration()")
	}
	if list[i].kind != markStart {
		i = list[i].parent
	}
	for ; i >= 0 && len(names) < maxLevels; i = list[i].parent {
		names = append(names, shortName(list[i].name)+list[i].label())
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

func shortName(s string) string { return s[:min(len(s), long)] }

// marker builds a list of marks.
type marker struct {
	list []mark
	open []int // the elements that are
	html bool
}

var errTooManyMarks = errors.New("too many elements")

func (b *marker) put(m mark) error {
	if len(b.list) == maxMarks {
		return errTooManyMarks
	}
	m.parent = -1
	if n := len(b.open); n > 0 {
		m.parent = b.open[n-1]
	}
	slices.SortStableFunc(m.fields, func(x, y [2]string) int { return strings.Compare(x[0], y[0]) })
	b.list = append(b.list, m)
	return nil
}

func (b *marker) start(m mark, empty bool) error {
	if err := b.put(m); err != nil {
		return err
	}
	if !empty {
		b.open = append(b.open, len(b.list)-1)
	}
	return nil
}

// maxUnclosed bounds how far up an end is looked for: HTML leaves ends out.
const maxUnclosed = 64

func (b *marker) end(name string) error {
	for n := len(b.open) - 1; n >= max(0, len(b.open)-maxUnclosed); n-- {
		if b.list[b.open[n]].name == name {
			b.open = b.open[:n]
			break
		}
	}
	return b.put(mark{kind: markEnd, name: name})
}

// asItIs are elements of HTML in which white space counts.
var asItIs = []string{"pre", "textarea", "script", "style"}

func (b *marker) text(s string) error {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	if n := len(b.open); b.html && (n == 0 || !slices.Contains(asItIs, b.list[b.open[n-1]].name)) {
		s = strings.Join(strings.Fields(s), " ")
	}
	return b.put(mark{kind: markText, text: s})
}

// void are elements of HTML without an end (HTML Living Standard, section 13.1.2).
var void = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

// readHTML reads whatever there is: everything is HTML.
func readHTML(data []byte) ([]mark, error) {
	b := marker{html: true}
	z := html.NewTokenizer(bytes.NewReader(data))
	for {
		var err error
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() == io.EOF {
				return b.list, nil
			}
			return nil, z.Err()
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			m := mark{name: t.Data}
			for _, a := range t.Attr {
				m.fields = append(m.fields, [2]string{a.Key, a.Val})
			}
			err = b.start(m, slices.Contains(void, t.Data) || t.Type == html.SelfClosingTagToken)
		case html.EndTagToken:
			err = b.end(z.Token().Data)
		case html.TextToken:
			err = b.text(z.Token().Data)
		case html.CommentToken:
			err = b.put(mark{kind: markComment, text: z.Token().Data})
		case html.DoctypeToken:
			err = b.put(mark{kind: markOther, text: z.Token().Data})
		}
		if err != nil {
			return nil, err
		}
	}
}

// readXML reads XML; what is none is an error.
func readXML(data []byte) ([]mark, error) {
	var b marker
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // both sides as they are
	for {
		t, err := d.RawToken()
		if err == io.EOF {
			if len(b.open) > 0 {
				err = errors.New("an element does not end")
				return nil, err
			}
			return b.list, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			m := mark{name: xmlName(t.Name)}
			for _, a := range t.Attr {
				m.fields = append(m.fields, [2]string{xmlName(a.Name), a.Value})
			}
			err = b.start(m, false)
		case xml.EndElement:
			if n := len(b.open); n == 0 || b.list[b.open[n-1]].name != xmlName(t.Name) {
				return nil, errors.New("an end has no beginning")
			}
			err = b.end(xmlName(t.Name))
		case xml.CharData:
			err = b.text(string(t))
		case xml.Comment:
			err = b.put(mark{kind: markComment, text: string(t)})
		case xml.ProcInst:
			err = b.put(mark{kind: markOther, text: t.Target + " " + string(t.Inst)})
		case xml.Directive:
			err = b.put(mark{kind: markOther, text: string(t)})
		}
		if err != nil {
			return nil, err
		}
	}
}

func xmlName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}
