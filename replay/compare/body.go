package compare

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"netlab/decode/proto"
)

// format is what a body is taken for.
type format uint8

const (
	formatBytes format = iota
	formatJSON
	formatForm
	formatMultipart
	formatHTML
	formatXML
	formatText
	formatGRPC
)

// formatOf tells a body's format from its type, and from itself when it has none.
func formatOf(h *proto.HTTPMessage, body []byte) format {
	typ, _ := h.Get("Content-Type")
	if typ == "" && len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		return formatJSON
	}
	return formatOfType(typ)
}

func formatOfType(typ string) format {
	typ, _, _ = strings.Cut(strings.ToLower(typ), ";")
	typ = strings.TrimSpace(typ)
	switch {
	case typ == "application/json", strings.HasSuffix(typ, "+json"), typ == "text/json":
		return formatJSON
	case typ == "application/x-www-form-urlencoded":
		return formatForm
	case strings.HasPrefix(typ, "multipart/"):
		return formatMultipart
	case typ == "text/html":
		return formatHTML
	case typ == "text/xml", typ == "application/xml", strings.HasSuffix(typ, "+xml"):
		return formatXML
	case typ == "application/grpc", strings.HasPrefix(typ, "application/grpc+"):
		return formatGRPC
	case strings.HasPrefix(typ, "text/"), typ == "application/javascript", typ == "application/jsonl", typ == "application/x-ndjson",
		typ == "application/yaml":
		return formatText
	}
	return formatBytes
}

// bodies compares decoded bodies as what both are.
func (c *comparer) bodies(a, b *proto.HTTPMessage, old, fresh []byte) {
	if bytes.Equal(old, fresh) {
		return
	}
	f := formatOf(a, old)
	if f != formatOf(b, fresh) || c.rules.Strict || len(old) == 0 || len(fresh) == 0 {
		c.bytes("body", old, fresh)
		return
	}
	c.formatted("body", f, headPair{a, b}, old, fresh)
}

// headPair are the heads of two bodies, which say more about how they are to be read.
type headPair struct{ a, b head }

type head interface {
	Get(name string) (string, bool)
}

// formatted compares what has a format, byte by byte if one has it not.
func (c *comparer) formatted(part string, f format, heads headPair, old, fresh []byte) {
	done := false
	switch f {
	case formatJSON:
		x, err1 := parseJSON(old)
		y, err2 := parseJSON(fresh)
		switch {
		case err1 == nil && err2 == nil:
			c.tree(part, x, y)
			return
		case err1 == nil:
			c.add(Type, part, plainSide("JSON"), plainSide("no JSON: "+err2.Error()))
			return
		}
	case formatForm:
		done = c.trees(part, true, parseForm(old), parseForm(fresh))
	case formatMultipart:
		done = c.multipart(part, heads, old, fresh)
	case formatHTML, formatXML:
		done = c.markup(part, f == formatHTML, old, fresh)
	case formatText:
		done = c.lines(part, old, fresh)
	case formatGRPC:
		done = c.trees(part, false, readGRPC(heads.a, old), readGRPC(heads.b, fresh))
	}
	if !done {
		c.bytes(part, old, fresh)
	}
}

// trees compares two values that were made of bodies, if both were.
func (c *comparer) trees(part string, form bool, a, b *node) bool {
	if a == nil || b == nil {
		return false
	}
	c.form = form
	c.tree(part, a, b)
	c.form = false
	return true
}

// count is how much was noted and excused.
func (c *comparer) count() int { return len(c.list) + c.beyond + c.pardoned }

// maxFields bounds the fields of a form.
const maxFields = 1 << 16

// parseForm reads fields as browsers send them; nil when it can't.
func parseForm(data []byte) *node {
	n := &node{kind: nodeObject}
	for pair := range strings.SplitSeq(string(data), "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(key)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || len(n.keys) == maxFields {
			return nil
		}
		n.keys, n.items = append(n.keys, key), append(n.items, &node{kind: nodeString, text: value})
	}
	return n
}

// maxParts bounds the parts of a multipart body.
const maxParts = 1000

// multipartPart is one part, by its name, or by its number.
type multipartPart struct {
	name    string
	head    proto.HTTPMessage
	content []byte
}

// readMultipart takes a body apart (RFC 2046, section 5.1); nil when it can't.
func readMultipart(h head, data []byte) []multipartPart {
	typ, _ := h.Get("Content-Type")
	_, params, err := mime.ParseMediaType(typ)
	if err != nil || params["boundary"] == "" {
		return nil
	}
	var list []multipartPart
	for r := multipart.NewReader(bytes.NewReader(data), params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil || len(list) == maxParts {
			return nil
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return nil
		}
		x := multipartPart{name: p.FormName(), content: content}
		if x.name == "" {
			x.name = strconv.Itoa(len(list))
		}
		for _, name := range []string{"Content-Type", "Content-Disposition"} {
			if v := p.Header.Get(name); v != "" {
				x.head.Fields = append(x.head.Fields, proto.Field{Name: name, Value: v})
			}
		}
		list = append(list, x)
	}
}

// multipart compares part by part: the boundary between them is new each time.
func (c *comparer) multipart(part string, heads headPair, old, fresh []byte) bool {
	a, b := readMultipart(heads.a, old), readMultipart(heads.b, fresh)
	if a == nil || b == nil {
		return false
	}
	names := func(parts []multipartPart) []uint64 {
		list := make([]uint64, len(parts))
		for i := range parts {
			list[i] = textSum(parts[i].name)
		}
		return list
	}
	path := func(p *multipartPart) string { return part + " part " + quote(p.name) }
	pair := align(names(a), names(b))
	there := make([]bool, len(b))
	for i := range a {
		j := pair[i]
		if j < 0 {
			c.add(Missing, path(&a[i]), side{shown: around(a[i].content, 0)}, nothing)
			continue
		}
		there[j] = true
		c.headers(a[i].head.Fields, b[j].head.Fields)
		if !bytes.Equal(a[i].content, b[j].content) {
			f := formatOf(&a[i].head, a[i].content)
			if f == formatMultipart || f != formatOf(&b[j].head, b[j].content) {
				f = formatBytes // one level is what forms have
			}
			c.formatted(path(&a[i]), f, headPair{&a[i].head, &b[j].head}, a[i].content, b[j].content)
		}
	}
	for j := range b {
		if !there[j] {
			c.add(Extra, path(&b[j]), nothing, side{shown: around(b[j].content, 0)})
		}
	}
	return true
}

// maxLines bounds the lines of a text that is compared by them.
const maxLines = 1 << 20

// lines compares text line by line, if it has some.
func (c *comparer) lines(part string, old, fresh []byte) bool {
	if !utf8.Valid(old) || !utf8.Valid(fresh) || max(bytes.Count(old, []byte("\n")), bytes.Count(fresh, []byte("\n"))) > maxLines {
		return false
	}
	a, b := splitLines(old), splitLines(fresh)
	if len(a) < 2 || len(b) < 2 {
		return false
	}
	for _, g := range gaps(align(textSums(a), textSums(b)), len(b)) {
		for i := range max(g.a[1]-g.a[0], g.b[1]-g.b[0]) {
			x, y := g.a[0]+i, g.b[0]+i
			switch {
			case x >= g.a[1]:
				c.note(Extra, fmt.Sprintf("%s line %d", part, y+1), part+" line", nothing, textSide(b[y]), -1)
			case y >= g.b[1]:
				c.note(Missing, fmt.Sprintf("%s line %d", part, x+1), part+" line", textSide(a[x]), nothing, -1)
			default:
				was, is := textSides(a[x], b[y])
				c.note(Value, fmt.Sprintf("%s line %d", part, x+1), part+" line", was, is, -1)
			}
		}
	}
	return true
}

// splitLines keeps the ends of lines: another end is another line.
func splitLines(data []byte) []string {
	var list []string
	for line := range strings.Lines(string(data)) {
		list = append(list, line)
	}
	return list
}
