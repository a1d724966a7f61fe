package redact

import (
	"math"
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// http2Head is a header block: what it says, and that as lines of a head of HTTP/1, for the
// same to become of them.
type http2Head struct {
	coded   []proto.HPACKField
	broken  bool
	raw     []byte
	fields  []httpField
	of      []int // which of coded each of them is
	changes []change
	http    proto.HTTPMessage
}

// cost is about what a head takes.
func (h *http2Head) cost() int {
	const each = 256
	return len(h.raw) + each*len(h.coded)
}

// Block takes a header block, whose frames have come.
func (x *Reading) Block(c *flow.Conversation, d flow.Direction, _ int64, coded []proto.HPACKField, broken bool) error {
	s := x.http2(c, d)
	if len(s.block) == 0 {
		return nil
	}
	h := &http2Head{coded: coded, broken: broken}
	h.gather(x.f)
	x.look(h)
	i := &http2Item{parts: s.block, head: h}
	s.block = nil
	first := &i.parts[0]
	stream := http2Stream(first.head)
	ends := first.head[4]&proto.HTTP2EndStream != 0
	status, method := h.pseudo(":status"), h.pseudo(":method")
	m := s.streams[stream]
	switch {
	case first.typ() == proto.HTTP2PushPromise, len(status) == 3 && status[0] == '1':
	case status != "" || method != "" || m == nil && !ends:
		if m != nil {
			x.finish(s, m, false)
		}
		m = x.begin(s, stream, h)
		i.message = m
		x.queue(c, d, s, i)
		if ends {
			x.finish(s, m, true)
		}
		x.tell(c, d, s)
		return nil
	case m != nil && ends:
		x.finish(s, m, true)
	}
	x.queue(c, d, s, i)
	return nil
}

// http2Stream is the number in a frame's header.
func http2Stream(head []byte) uint32 {
	return (uint32(head[5])<<24 | uint32(head[6])<<16 | uint32(head[7])<<8 | uint32(head[8])) & math.MaxInt32
}

// gather writes the fields as lines.
func (h *http2Head) gather(f *finder) {
	for i := range h.coded {
		k := &h.coded[i]
		if k.Form == proto.HPACKResize || k.Name == proto.UnknownName {
			continue
		}
		a := httpField{httpName: f.z.httpName([]byte(k.Name)), begin: len(h.raw)}
		h.raw = append(append(h.raw, k.Name...), ": "...)
		a.from = len(h.raw)
		h.raw = append(h.raw, k.Value...)
		a.to = len(h.raw)
		h.raw = append(h.raw, "\r\n"...)
		h.fields, h.of = append(h.fields, a), append(h.of, i)
		if strings.HasPrefix(k.Name, ":") {
			continue
		}
		h.http.Fields = append(h.http.Fields, k.Field)
	}
}

// pseudo is the value of a pseudo-field.
func (h *http2Head) pseudo(name string) string {
	for i := range h.coded {
		if h.coded[i].Name == name && h.coded[i].Form != proto.HPACKResize {
			return h.coded[i].Value
		}
	}
	return ""
}

// with has f go through a head, with the changes so far.
func (x *Reading) with(h *http2Head, f func(*httpMessage)) {
	x.f.raw, x.f.changes = h.raw, h.changes
	f(&httpMessage{finder: x.f, h: &h.http, fields: h.fields})
	h.changes = x.f.changes
	x.f.raw, x.f.changes = nil, nil
}

// look looks at the fields. What is called by gRPC stays: it is a name in a program, and has to be known
// to who answers.
func (x *Reading) look(h *http2Head) {
	typ, _ := h.http.Get("Content-Type")
	calls := isGRPC(mediaType(typ))
	x.with(h, func(m *httpMessage) {
		for i := range m.fields {
			a := &m.fields[i]
			if path := h.raw[a.from:a.to]; calls && a.name == ":path" && isCall(path) {
				x.f.z.stays(string(path[1:]))
				continue
			}
			m.known(a)
		}
	})
}

// values puts what is to be said in the place of what was.
func (x *Reading) values(h *http2Head) {
	x.with(h, func(*httpMessage) { x.f.order() })
	rest := h.changes
	for i := range h.fields {
		a, k := &h.fields[i], &h.coded[h.of[i]]
		n := 0
		for n < len(rest) && rest[n].from < a.to {
			n++
		}
		if n == 0 {
			continue
		}
		line := rest[:n]
		rest = rest[n:]
		split := 0
		for split < n && line[split].from < a.from {
			split++
		}
		k.Name = changed(h.raw, a.begin, a.begin+len(a.name), line[:split])
		k.Value = changed(h.raw, a.from, a.to, line[split:])
	}
}

// changed is what is between two offsets, with changes.
func changed(raw []byte, from, to int, changes []change) string {
	list := slices.Clone(changes)
	for i := range list {
		list[i].from -= from
		list[i].to -= from
	}
	return string(apply(raw[from:to], list))
}

// tellBlock tells of a header block that says other things: in the same forms, for as long as what they
// refer to is the same. It has as many frames, unless there is no room in them.
func (x *Reading) tellBlock(c *flow.Conversation, d flow.Direction, s *http2Side, i *http2Item) {
	if !x.f.editing() {
		return
	}
	x.values(i.head)
	var block []byte
	for k := range i.head.coded {
		now := &i.head.coded[k]
		if now.Name == proto.UnknownName && now.Form != proto.HPACKResize && now.Form != proto.HPACKIndexed {
			// It could be anything.
			now.Value = string(appendBlank(nil, []byte(now.Value)))
			x.blanks("a field of HTTP/2 whose name is not known", len(now.Value))
		}
		block = s.encode(block, now)
	}
	if i.head.broken {
		const noIndex = 0x80 // malformed, as it was (RFC 7541, section 6.1)
		block = append(block, noIndex)
	}
	for k := range i.parts {
		p, left := &i.parts[k], len(i.parts)-1-k
		n := len(block)
		if left > 0 { // the others have something too, if there is enough
			n = min(p.size, max(0, n-left))
		}
		x.tellPart(c, d, p, []http2Judged{{size: p.size, was: p.content, is: block[:n]}})
		block = block[n:]
	}
}

// encode appends a field in the form that it had, as far as that says the same.
func (s *http2Side) encode(dst []byte, k *proto.HPACKField) []byte {
	switch {
	case k.Form == proto.HPACKResize:
		s.table.Resize(int(min(k.Index, math.MaxInt32)))
		return hpackInt(dst, k.Form, k.Index)
	case k.Form == proto.HPACKIndexed:
		if e, ok := s.table.At(k.Index); k.Name == proto.UnknownName || ok && e == k.Field {
			return hpackInt(dst, k.Form, k.Index)
		}
		literal := *k
		literal.Form, literal.CodedName, literal.CodedValue = proto.HPACKPlain, isShort(k.Name), isShort(k.Value)
		return s.encode(dst, &literal)
	}
	index := k.Index
	if e, ok := s.table.At(index); k.Name != proto.UnknownName && !(ok && e.Name == k.Name) {
		index = s.named(k.Name)
	}
	dst = hpackInt(dst, k.Form, index)
	if index == 0 {
		dst = hpackString(dst, k.Name, k.CodedName)
	}
	if k.Form == proto.HPACKAdded {
		s.table.Add(k.Field)
	}
	return hpackString(dst, k.Value, k.CodedValue)
}

// hpackStatic is how many entries every table has.
const hpackStatic = 61

// named is an entry with a name that every table has; 0 when there is none.
func (s *http2Side) named(name string) uint64 {
	for i := uint64(1); i <= hpackStatic; i++ {
		if e, _ := s.table.At(i); e.Name == name {
			return i
		}
	}
	return 0
}

// isShort reports whether a text is shorter in Huffman's code.
func isShort(text string) bool { return hpack.HuffmanEncodeLength(text) < uint64(len(text)) }

// hpackInt appends a number (RFC 7541, section 5.1), with the first bits of a form.
func hpackInt(dst []byte, f proto.HPACKForm, n uint64) []byte {
	return appendHPACKInt(dst, byte(f), f.Prefix(), n)
}

func appendHPACKInt(dst []byte, first byte, prefix int, n uint64) []byte {
	most := uint64(1)<<prefix - 1
	if n < most {
		return append(dst, first|byte(n))
	}
	dst = append(dst, first|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// hpackString appends a text (RFC 7541, section 5.2).
func hpackString(dst []byte, text string, coded bool) []byte {
	const inHuffman, prefix = 0x80, 7
	if !coded {
		return append(appendHPACKInt(dst, 0, prefix, uint64(len(text))), text...)
	}
	return hpack.AppendHuffmanString(appendHPACKInt(dst, inHuffman, prefix, hpack.HuffmanEncodeLength(text)), text)
}
