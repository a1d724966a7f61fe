package printer

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"netlab/decode"
	"netlab/decode/proto"
)

// Columns prints a line for each exchange: what it is in some attributes, between
// tabs, or as CSV (RFC 4180). The values of a list have commas between them.
type Columns struct {
	// CSV writes lines that end with CR LF, quotes what has to be, and puts an
	// apostrophe before a text that a spreadsheet would take for a formula.
	CSV bool
	// Hide puts what must not be shown out of sight; nil shows all.
	Hide Hider
	// Live writes each line at once.
	Live bool

	w       io.Writer
	columns []proto.Attribute
	gathered
	values []proto.Value
	cell   []byte
	whole  *Columns // of which it is a part; else nil
}

// NewColumns returns a printer to w.
func NewColumns(w io.Writer, columns []proto.Attribute) *Columns {
	return &Columns{w: w, columns: columns}
}

// Fork returns a printer of a shard.
func (p *Columns) Fork() decode.Part {
	return &Columns{CSV: p.CSV, Hide: p.Hide, columns: p.columns, whole: p}
}

// Write has the whole print what a part has, between from and to.
func (p *Columns) Write(from, to int) error {
	w := p.whole
	w.buf = p.appendTo(w.buf, from, to)
	return w.flush(jsonFlush)
}

// Flush writes what has been gathered.
func (p *Columns) Flush() error { return p.flush(1) }

// flush writes it when it is as much as least.
func (p *Columns) flush(least int) error {
	if len(p.buf) < least || p.whole != nil {
		return nil
	}
	_, err := p.w.Write(p.buf)
	p.buf = p.buf[:0]
	return err
}

// Header prints the names of the columns.
func (p *Columns) Header() error {
	for i, c := range p.columns {
		p.next(i)
		p.cell = append(p.cell[:0], c.Name...)
		p.put(true)
	}
	return p.end()
}

// Exchange prints a line.
func (p *Columns) Exchange(e *proto.Exchange) error {
	if p.Hide != nil {
		e = hidden(e, p.Hide)
	}
	for i := range p.columns {
		p.next(i)
		c := &p.columns[i]
		if c.Kind == proto.Identity {
			p.number(e.Conversation)
			continue
		}
		p.values = c.Get(p.values[:0], e)
		p.cell = p.cell[:0]
		for i, v := range p.values {
			if i > 0 {
				p.cell = append(p.cell, ',')
			}
			p.cell = c.Kind.Append(p.cell, v)
		}
		p.put(c.Kind == proto.Text)
	}
	return p.end()
}

// Summary writes what is left.
func (p *Columns) Summary(*decode.Summary) error { return p.Flush() }

// hidden returns an exchange with bodies that may be shown.
func hidden(e *proto.Exchange, hide Hider) *proto.Exchange {
	x := *e
	message := func(m *proto.Message) *proto.Message {
		if m == nil {
			return nil
		}
		o := *m
		o.Body, o.Why, o.Raw = hide.Hide(m.Body), remark(m.Why, hide), nil
		return &o
	}
	x.Request, x.Response, x.Interim = message(e.Request), message(e.Response), nil
	for _, m := range e.Interim {
		x.Interim = append(x.Interim, message(m))
	}
	return &x
}

// next puts what stands before the column i.
func (p *Columns) next(i int) {
	switch {
	case i == 0:
	case p.CSV:
		p.buf = append(p.buf, ',')
	default:
		p.buf = append(p.buf, '\t')
	}
}

// end ends a line.
func (p *Columns) end() error {
	if p.CSV {
		p.buf = append(p.buf, '\r')
	}
	p.buf = append(p.buf, '\n')
	if p.Live {
		return p.Flush()
	}
	return p.flush(jsonFlush)
}

// put puts the cell, which is a text, or a number or the like.
func (p *Columns) put(text bool) {
	cell := p.cell
	if text && !plainText(cell) {
		cell = []byte(Clean(string(cell)))
	}
	if !p.CSV {
		p.buf = append(p.buf, cell...)
		return
	}
	formula := text && isFormula(p.cell)
	if !formula && !bytes.ContainsAny(cell, "\",;") && !bytes.HasPrefix(cell, []byte{' '}) && !bytes.HasSuffix(cell, []byte{' '}) {
		p.buf = append(p.buf, cell...)
		return
	}
	p.buf = append(p.buf, '"')
	if formula {
		p.buf = append(p.buf, '\'')
	}
	for {
		i := bytes.IndexByte(cell, '"')
		if i < 0 {
			break
		}
		p.buf = append(p.buf, cell[:i+1]...)
		p.buf = append(p.buf, '"')
		cell = cell[i+1:]
	}
	p.buf = append(p.buf, cell...)
	p.buf = append(p.buf, '"')
}

// plainText reports whether b is printable ASCII.
func plainText(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// isFormula reports whether a spreadsheet would calculate with a text: it does with
// these signs, also in their wide forms.
func isFormula(b []byte) bool {
	r, _ := utf8.DecodeRune(b)
	return strings.ContainsRune("=+-@\t\r\n＝＋－＠", r) && len(b) > 0
}
