package values

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"

	"netlab/decode/proto"
)

// spot is a text in an answer, with where it stands. All is valid for the call only.
type spot struct {
	kind   Kind
	name   string
	nth    int
	leaves *leaves // of JSON, in place of the name: a path is written when it is needed
	text   string
}

// is reports whether it is the place that is looked for.
func (s *spot) is(p *Place) bool {
	switch {
	case s.kind != p.Kind || s.nth != p.Nth:
		return false
	case s.leaves == nil:
		return s.name == p.Name
	}
	last, _ := s.leaves.names()
	return strings.Contains(p.Name, last) && s.leaves.path() == p.Name
}

// usual are header fields of answers that say nothing for a client to say again.
var usual = map[string]bool{
	"date": true, "server": true, "vary": true, "connection": true, "keep-alive": true, "transfer-encoding": true, "cache-control": true,
	"expires": true, "age": true, "pragma": true, "via": true, "x-powered-by": true, "strict-transport-security": true, "alt-svc": true,
	"x-frame-options": true, "x-content-type-options": true, "x-xss-protection": true, "referrer-policy": true, "allow": true, "p3p": true,
	"server-timing": true, "permissions-policy": true, "nel": true, "report-to": true, "upgrade": true, "trailer": true,
}

func isUsual(name string) bool {
	return usual[name] || strings.HasPrefix(name, "content-") || strings.HasPrefix(name, "access-control-") || strings.HasPrefix(name, "accept-") || strings.HasPrefix(name, "cross-origin-")
}

// answer goes through answers, one at a time.
type answer struct {
	leaves leaves
	names  []string
	spot   spot
	f      func(*spot)
}

// yield calls f for a text.
func (a *answer) yield(s spot) {
	a.spot = s
	a.f(&a.spot)
}

// walk calls f for the texts of an answer that may be values: header fields first, the
// surest before others.
func (a *answer) walk(m *proto.Message, h *proto.HTTPMessage, f func(*spot)) {
	a.head(h, f)
	if typ, ok := looksInto(m, h); ok {
		a.content(m, h, typ)
	}
}

// head goes through the header fields. All behind it is for f, too.
func (a *answer) head(h *proto.HTTPMessage, f func(*spot)) {
	a.f = f
	fields := h.Fields[:min(len(h.Fields), maxFields)]
	names := a.names[:0]
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, "Set-Cookie") {
			continue
		}
		pair, _, _ := strings.Cut(fields[i].Value, ";")
		if name, value, ok := strings.Cut(pair, "="); ok {
			name = strings.TrimSpace(name)
			a.yield(spot{kind: SetCookie, name: name, nth: nth(names, name), text: unquoted(strings.TrimSpace(value))})
			names = append(names, name)
		}
	}
	names = names[:0]
	for i := range fields {
		name := strings.ToLower(fields[i].Name)
		if name == "set-cookie" || isUsual(name) {
			continue
		}
		if len(fields[i].Value) <= maxValue {
			a.yield(spot{kind: Header, name: fields[i].Name, nth: nth(names, name), text: fields[i].Value})
		}
		names = append(names, name)
	}
	a.names = names
}

// looksInto returns what the body of an answer says that it is, if it is there and may have
// values.
func looksInto(m *proto.Message, h *proto.HTTPMessage) (typ string, ok bool) {
	if h.BodyBytes == 0 || m.RawMissing > 0 || !m.Complete {
		return "", false
	}
	typ, _ = h.Get("Content-Type")
	typ, _, _ = strings.Cut(strings.ToLower(typ), ";")
	typ = strings.TrimSpace(typ)
	switch {
	case strings.HasSuffix(typ, "json"), strings.Contains(typ, "html"), typ == "", strings.HasSuffix(typ, "xml"), typ == "application/x-www-form-urlencoded":
		return typ, true
	}
	return typ, strings.HasPrefix(typ, "text/") && typ != "text/css" && !strings.HasSuffix(typ, "javascript")
}

// content goes through the body as what it says that it is.
func (a *answer) content(m *proto.Message, h *proto.HTTPMessage, typ string) {
	asJSON, asHTML := strings.HasSuffix(typ, "json"), strings.Contains(typ, "html")
	content, ok := contentOf(m, h)
	if !ok {
		return
	}
	if asJSON || typ == "" && looksJSON(content) {
		a.walkLeaves(content)
		return
	}
	if asHTML {
		a.tags(content)
	}
	if text := bytes.TrimSpace(content[:min(len(content), maxValue)]); !asHTML && len(content) <= maxValue && isText(text) {
		a.yield(spot{kind: Whole, text: view(text)})
	}
	a.text(content[:min(len(content), maxText)])
}

// contentOf returns a body without its encodings; the message's own bytes where it has none.
func contentOf(m *proto.Message, h *proto.HTTPMessage) ([]byte, bool) {
	if _, coded := h.Get("Content-Encoding"); !coded && !h.Chunked && len(m.Raw) >= len(h.Head) {
		return m.Raw[len(h.Head):], true
	}
	content, err := proto.ContentUpTo(m, maxContent)
	return content, err == nil
}

// walkLeaves goes through a body in JSON.
func (a *answer) walkLeaves(content []byte) {
	l := &a.leaves
	*l = leaves{data: content, steps: l.steps[:0], written: l.written}
	l.leaf = func(from, to int, quoted bool) {
		text := view(content[from:to])
		if quoted {
			text, _ = unquote(content[from:to])
		}
		if text != "" {
			a.yield(spot{kind: JSON, leaves: l, text: text})
		}
	}
	l.walk()
}

// tags goes through the hidden fields and the meta tags of a page in HTML.
func (a *answer) tags(content []byte) {
	z := html.NewTokenizer(bytes.NewReader(content))
	z.SetMaxBuf(maxContent)
	var inputs, metas []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			tag, more := z.TagName()
			isInput := string(tag) == "input"
			if !isInput && string(tag) != "meta" || !more {
				continue
			}
			is := attributes(z)
			name, text := is["name"], is["value"]
			if !isInput {
				text = is["content"]
			}
			switch {
			case name == "" || len(text) > maxValue:
			case isInput && strings.EqualFold(is["type"], "hidden") && len(inputs) < maxFields:
				a.yield(spot{kind: Input, name: name, nth: nth(inputs, name), text: text})
				inputs = append(inputs, name)
			case !isInput && isTelling(normal(name)) && len(metas) < maxFields:
				a.yield(spot{kind: Meta, name: name, nth: nth(metas, name), text: text})
				metas = append(metas, name)
			}
		}
	}
}

// attributes are those of a tag, the first of each name.
func attributes(z *html.Tokenizer) map[string]string {
	a := make(map[string]string, 4)
	for more := true; more && len(a) < maxFields; {
		var name, value []byte
		name, value, more = z.TagAttr()
		if _, twice := a[string(name)]; !twice {
			a[string(name)] = string(value)
		}
	}
	return a
}

// maxBefore is how much text before a value says where it stands.
const maxBefore = 24

// text goes through the runs of a text that have some chance in them, each by what
// stands before it.
func (a *answer) text(content []byte) {
	clear := 0 // where what may be a secret ends: it is no part of what stands before another
	names := make(map[string]int)
	for at, n := 0, 0; n < maxRuns; {
		r := nextRun(content, at)
		if r.from == r.to {
			return
		}
		r = inQuotes(content, r)
		at = r.to
		text := view(content[r.from:min(r.to, r.from+maxValue)])
		if bits(text) == 0 {
			continue
		}
		n++
		before := content[max(clear, r.from-maxBefore):r.from]
		if i := bytes.LastIndexByte(before, '\n'); i >= 0 {
			before = before[i+1:]
		}
		if name := string(before); len(before) > 1 {
			a.yield(spot{kind: Text, name: name, nth: names[name], text: text})
			names[name]++
		}
		clear = r.to
	}
}

// inQuotes is all that stands between quotation marks, when a run is the beginning of it and
// it is one word, as base64 is.
func inQuotes(content []byte, r run) run {
	if r.from == 0 || content[r.from-1] != '"' && content[r.from-1] != '\'' {
		return r
	}
	for i := r.to; i < len(content) && i-r.from <= maxValue; i++ {
		c := content[i]
		if c == content[r.from-1] {
			return run{r.from, i}
		}
		if !inWord(c) && c != '=' {
			break
		}
	}
	return r
}
