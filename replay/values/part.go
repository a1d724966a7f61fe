package values

import (
	"slices"
	"strings"
	"time"
	"unsafe"

	"netlab/decode/flow"
	"netlab/decode/memo"
	"netlab/decode/proto"
)

// part looks into exchanges for a Finder, in a goroutine of its own: it copies what was asked, and
// finds what answers offer. What that means depends on what was said before, in other conversations
// too: so the Finder takes it in the order of the exchanges.
type part struct {
	f      *Finder
	digest *memo.Digester
	names  map[string]string // a copy of each, of which there are many of one

	looked []looked
	raw    []byte  // what was asked, one behind the other
	offers []offer // of heads, and of bodies that are not remembered
	count  int     // of offers, those of bodies too
	lost   int64   // that there was no room for

	// of the exchange it is told of
	request  request
	answer   answer
	look     func(*spot)
	resource string
	creates  bool
	how      []string // the body is to be looked into
	path     string   // of the latest leaf; empty when it is not written yet
}

// looked is an exchange.
type looked struct {
	conversation *flow.Conversation
	index        int
	asked        bool
	when         time.Time
	from, to     int // of what was asked
	at, length   int64
	answered     int64
	first, last  int // of offers
	body         []offer
}

// offer is a text of an answer, in one of its forms, by its key.
type offer struct {
	key   uint64
	place Place
	text  string // of which it is a part, if it is
	slot  int32  // where in the ring it was when the Finder last looked
	bits  uint16
	form  Form
	weak  bool
}

// offerBytes is what one takes, beside its text.
const offerBytes = int64(unsafe.Sizeof(offer{}))

// Bounds of what a part gathers: offers in all until they are taken, beside which others are not
// remembered, names that are kept, and how much room for requests.
const (
	maxOffers = 1 << 18
	maxNames  = 4096
	maxRaw    = 1 << 20
)

func newPart(f *Finder) *part {
	p := &part{f: f, digest: memo.NewDigester(f.again.key), names: make(map[string]string)}
	p.look = p.spot
	return p
}

// Exchange looks at one.
func (p *part) Exchange(e *proto.Exchange) error {
	if e.Protocol != &proto.HTTP || e.Inside() {
		return nil
	}
	x := looked{conversation: e.Conversation, index: e.Index, first: len(p.offers)}
	p.resource, p.creates = "", false
	if q := e.Request; q != nil {
		x.at, x.length = q.Offset, q.Length
		if q.Complete && q.RawMissing == 0 {
			p.asked(&x, q)
		}
	}
	if a := e.Response; a != nil && e.Request != nil && !p.f.opts.SetOnly {
		if h, ok := a.Body.(*proto.HTTPMessage); ok {
			x.answered = a.End.UnixNano()
			p.answer.head(h, p.look)
			x.body = p.content(a, h)
		}
	}
	x.last = len(p.offers)
	p.looked = append(p.looked, x)
	return nil
}

// asked keeps what was asked, and looks at what it is about.
func (p *part) asked(x *looked, q *proto.Message) {
	x.asked, x.when, x.from = true, q.Time, len(p.raw)
	p.raw = append(p.raw, q.Raw...)
	x.to = len(p.raw)
	if h, ok := q.Body.(*proto.HTTPMessage); ok {
		p.creates = h.Method != "GET" && h.Method != "HEAD"
	}
	if p.request.parse(q.Raw) {
		p.request.walkTarget(func(u unit) {
			if word, ok := u.resource(); ok && u.to-u.from <= maxValue {
				p.resource = word
			}
		})
	}
}

// Len is how many exchanges were looked at.
func (p *part) Len() int { return len(p.looked) }

// Write has the Finder take some.
func (p *part) Write(from, to int) error {
	for i := from; i < to; i++ {
		p.f.take(p, &p.looked[i])
	}
	return nil
}

// Reset forgets them.
func (p *part) Reset() {
	p.f.found.Forgotten += p.lost
	clear(p.looked)
	clear(p.offers)
	p.looked, p.offers, p.count, p.lost = p.looked[:0], p.offers[:0], 0, 0
	if p.raw = p.raw[:0]; cap(p.raw) > maxRaw {
		p.raw = nil
	}
}

// key is that of a text under a name.
func (p *part) key(kind, name, text string) uint64 { return keyOf(p.f.seed, kind, name, text) }

// name is a copy of a name.
func (p *part) name(s string) string {
	if kept, ok := p.names[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	if len(p.names) >= maxNames {
		clear(p.names)
	}
	p.names[s] = s
	return s
}

// spot looks at a text in an answer.
func (p *part) spot(s *spot) {
	text := s.text
	if text == "" || len(text) > maxValue {
		return
	}
	p.path = ""
	if s.kind == SetCookie {
		p.offer(p.key(keyCookie, s.name, text), s, 0, Raw, bits(text), false)
	}
	if !p.strong(s, text, 0) && isShort(text) {
		p.short(s, text)
	}
	if s.kind == SetCookie || s.kind == Text || s.kind == Whole || strings.IndexByte(text, ' ') >= 0 || strings.IndexByte(text, '/') < 0 && s.kind == JSON {
		return
	}
	path, _ := inURL(text)
	last := ""
	for n, at := 1, 0; n <= maxFields; n++ {
		r := nextRun(path, at)
		if r.from == r.to {
			return
		}
		at = r.to
		if part := path[r.from:r.to]; len(part) < len(text) && !p.strong(s, part, n) && hasDigit(part) && isShort(part) && last != "" {
			p.offer(p.key(keyOne, last, part), s, n, Raw, 0, true)
		}
		last = stem(normal(path[r.from:r.to]))
	}
}

// strong offers a text that has some chance in it, in its forms, and reports whether it has.
func (p *part) strong(s *spot, text string, part int) bool {
	b := bits(text)
	if b == 0 {
		return false
	}
	p.offer(p.key(keyValue, "", text), s, part, Raw, b, false)
	if strings.IndexByte(text, '%') >= 0 {
		if inner, ok := decoded(text, FromURL); ok && bits(inner) > 0 {
			p.offer(p.key(keyValue, "", inner), s, part, FromURL, bits(inner), false)
		}
	}
	if inner, ok := decoded(text, Base64); ok && bits(inner) > 0 {
		p.offer(p.key(keyValue, "", inner), s, part, Base64, bits(inner), false)
	}
	return true
}

// short offers a short text by the names around it.
func (p *part) short(s *spot, text string) {
	name, before := s.name, ""
	if s.leaves != nil {
		name, before = s.leaves.names()
	}
	name = normal(name)
	offer := func(kind, name string) { p.offer(p.key(kind, name, text), s, 0, Raw, 0, true) }
	if s.kind == Input || s.kind == Meta || isTelling(name) {
		offer(keyNamed, name)
	}
	if s.kind == Text || s.kind == Whole || !strings.HasSuffix(name, "id") || !hasDigit(text) {
		return
	}
	for _, one := range [...]string{stem(name), stem(normal(before)), p.resource} {
		if one != "" {
			offer(keyOne, one)
		}
	}
	if p.creates {
		offer(keyOne, "")
	}
}

// offer notes that a text is offered, as a part of a spot if that is not 0.
func (p *part) offer(key uint64, s *spot, part int, form Form, bits float64, weak bool) {
	if p.count >= maxOffers {
		p.lost++
		return
	}
	p.count++
	o := offer{key: key, place: Place{Kind: s.kind, Nth: s.nth, Part: part}, form: form, bits: uint16(min(bits, maxCounted)), weak: weak}
	if s.leaves == nil {
		o.place.Name = p.name(s.name)
	} else {
		if p.path == "" {
			p.path = p.name(s.leaves.path())
		}
		o.place.Name = p.path
	}
	if part > 0 {
		if n := len(p.offers); n > 0 && p.offers[n-1].text == s.text { // of which there are several parts
			o.text = p.offers[n-1].text
		} else {
			o.text = strings.Clone(s.text)
		}
	}
	p.offers = append(p.offers, o)
}

// content returns what the body of an answer offers, if it has to be looked into and is worth being
// remembered; else that is with the others.
func (p *part) content(m *proto.Message, h *proto.HTTPMessage) []offer {
	typ, ok := looksInto(m, h)
	if !ok {
		return nil
	}
	coded := h.Chunked
	how := append(p.how[:0], typ, p.resource) // the latter and the next may be a name around a short value
	if p.creates {
		how = append(how, "creates")
	}
	if h.Chunked {
		how = append(how, "chunked")
	}
	h.Values("Content-Encoding", func(v string) { coded, how = true, append(how, "in "+v) })
	p.how = how
	if len(m.Raw) < len(h.Head) || !coded && len(m.Raw)-len(h.Head) < memo.Worth {
		p.answer.content(m, h, typ)
		return nil
	}
	k := p.digest.Of(m.Raw[len(h.Head):], how...)
	if list, ok := p.f.again.get(k); ok {
		return list
	}
	first, lost := len(p.offers), p.lost
	p.answer.content(m, h, typ)
	list := slices.Clone(p.offers[first:])
	clear(p.offers[first:])
	p.offers = p.offers[:first]
	if p.lost == lost {
		p.f.again.put(k, list)
	}
	return list
}
