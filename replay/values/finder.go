package values

import (
	"cmp"
	"hash/maphash"
	"math"
	"strings"
	"time"

	"netlab/decode"
	"netlab/decode/proto"
)

// DefaultMemory is Options.Memory when it is 0: enough for half a million values that were
// said.
const DefaultMemory = 150 << 20

// bounds are what a Finder may hold.
type bounds struct{ tokens, places, values, uses, again int }

// boundsOf shares memory out, by about what one takes of what is remembered, of different
// places, of values found, and of uses. A little goes to what bodies had, in bytes.
func boundsOf(memory int64) bounds {
	if memory <= 0 {
		memory = DefaultMemory
	}
	share := func(percent, each int64) int { return int(min(memory/100*percent/each, math.MaxInt32)) }
	return bounds{tokens: share(20, 60), places: share(5, 100), values: share(25, 250), uses: share(50, 150), again: share(5, 1)}
}

// maxCommon is how many answers may have a short value before it says nothing: a client
// that says it too need not have it from there.
const maxCommon = 32

// Options of a Finder.
type Options struct {
	// Set is what takes the place of what was recorded.
	Set []Set
	// SetOnly leaves everything else as it was recorded.
	SetOnly bool
	// Memory is about how many bytes may be held of what was said, and of what is found; 0 is
	// DefaultMemory. What is older is forgotten.
	Memory int64
}

// Finder finds Values. It is told of exchanges in the order in which they ended.
type Finder struct {
	opts   Options
	bounds bounds
	seed   maphash.Seed
	byKey  map[uint64]int32
	ring   []origin
	oldest int // in the ring, once that is full
	places map[Place]uint32
	found  Found
	list   []Place // by their number
	names  map[string]string
	sets   []int // for each of Options.Set its Value; -1 before the first use
	again  *again
	alone  *part // that is told of all, where there are no others

	// of the exchange it is told of
	request     request
	credentials bool // a header that is set has them
	ref         Ref
	asked       time.Time
	at          int64 // where its request stands
	answered    int64
	carried     map[uint64]bool // keys that its request says
	resource    string          // what it is about: the last word in the path
}

// origin is who said a value first.
type origin struct {
	key    uint64
	at     int64 // when its answer had ended
	asked  int64
	conv   int32
	index  int32
	place  uint32
	value  int32 // -1 before a request says it
	form   Form
	client bool // it was said by a client before
	weak   bool
	bits   uint16
	common uint16 // answers to requests without it that had it, up to maxCounted
}

const maxCounted = math.MaxUint16

// NewFinder returns a Finder that was told of nothing yet.
func NewFinder(opts Options) *Finder {
	b := boundsOf(opts.Memory)
	f := &Finder{
		opts: opts, bounds: b, again: newAgain(b.again), seed: maphash.MakeSeed(), byKey: make(map[uint64]int32), places: make(map[Place]uint32), names: make(map[string]string),
		sets: make([]int, len(opts.Set)), carried: make(map[uint64]bool),
	}
	for i := range f.sets {
		f.sets[i] = -1
	}
	f.alone = newPart(f)
	return f
}

// Fork returns a part that looks into some of the exchanges.
func (f *Finder) Fork() decode.Part { return newPart(f) }

// Flush does nothing.
func (f *Finder) Flush() error { return nil }

// Exchange looks at one: at what its request says, and then at what the answer has.
func (f *Finder) Exchange(e *proto.Exchange) error {
	f.alone.Exchange(e)
	f.alone.Write(0, f.alone.Len())
	f.alone.Reset()
	return nil
}

// take takes an exchange of which a part has looked at all that does not depend on others.
func (f *Finder) take(p *part, x *looked) {
	f.ref = Ref{x.conversation.ID, x.index}
	clear(f.carried)
	f.resource, f.at, f.answered = "", x.at, x.answered
	if x.asked {
		f.asked = x.when
		if r := &f.request; r.parse(p.raw[x.from:x.to]) {
			f.say(r, x)
		}
	}
	for i := x.first; i < x.last; i++ {
		f.hear(&p.offers[i])
	}
	for i := range x.body {
		f.hear(&x.body[i])
	}
}

// say looks at what a request says.
func (f *Finder) say(r *request, said *looked) {
	first := len(f.found.uses)
	r.walk(f.unit)
	last := len(f.found.uses)
	if last == first {
		return
	}
	x := Request{In: f.ref, At: said.at, End: said.at + said.length, first: first, last: last}
	for _, u := range f.found.uses[first:] {
		if u.inBody && x.framing == nil {
			x.framing = &framing{body: r.body, content: len(r.content), length: r.length, chunked: r.chunked, chunks: r.chunks}
		}
	}
	f.found.requests = append(f.found.requests, x)
}

// Keys of different kinds do not meet.
const (
	keyValue  = "v"
	keyCookie = "c"
	keyNamed  = "n"
	keyOne    = "i" // an identifier of one of something
)

func (f *Finder) key(kind, name, text string) uint64 { return keyOf(f.seed, kind, name, text) }

func keyOf(seed maphash.Seed, kind, name, text string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteString(kind)
	h.WriteString(name)
	h.WriteByte(0)
	h.WriteString(text)
	return h.Sum64()
}

// here is a key in one conversation: of a short value that several clients were told, each
// has its own.
func (f *Finder) here(key uint64) uint64 {
	return key ^ (uint64(f.ref.Conversation)+1)*0x9e3779b97f4a7c15
}

// unit looks at a part of a request.
func (f *Finder) unit(u *unit) {
	whole := run{0, len(u.text)}
	if word, ok := u.resource(); ok {
		f.resource = word // as long as the request
	}
	if u.place.Kind == Credentials && f.credentials {
		return
	}
	f.credentials = f.isSet(u)
	if f.credentials || f.opts.SetOnly || u.text == "" {
		return
	}
	if u.place.Kind == Cookie {
		if o := f.lookup(f.key(keyCookie, u.place.Name, u.text)); o != nil {
			f.use(o, u, whole, Raw, Certain)
			return
		}
	}
	if f.match(u, whole, u.place.Name) || u.place.Kind == Header && strings.EqualFold(u.place.Name, "authorization") {
		return
	}
	if u.spelling == inBase64 {
		i := strings.IndexByte(u.text, ':')
		f.match(u, run{0, max(i, 0)}, "user")
		f.match(u, run{i + 1, len(u.text)}, "password")
		return
	}
	if u.spelling != asNumber {
		f.runs(u)
	}
}

// runs looks at the parts of a text that has several.
func (f *Finder) runs(u *unit) {
	last := ""
	_, at := inURL(u.text)
	for n := 0; n < maxFields; n++ {
		r := nextRun(u.text, at)
		if r.from == r.to || r.to-r.from == len(u.text) && !strings.Contains(u.text, ".") {
			return
		}
		at = r.to
		text := u.text[r.from:r.to]
		if !f.match(u, r, last+"id") {
			if i := strings.IndexByte(text, '.'); i > 0 { // 8f3c….json
				f.match(u, run{r.from, r.from + i}, last+"id")
			}
		}
		last = stem(normal(text))
	}
}

// match looks a text up that stands under a name, and notes a use when it is known, else
// that the client has said it.
func (f *Finder) match(u *unit, r run, name string) bool {
	text := u.text[r.from:r.to]
	if text == "" {
		return false
	}
	var said [4]uint64
	n := 0
	try := func(key uint64, form Form, c Confidence) bool {
		if o := f.lookup(key); o != nil {
			f.use(o, u, r, form, c)
			return true
		}
		if form == Raw {
			said[n] = key
			n++
		}
		return false
	}
	if b := bits(text); b > 0 {
		if try(f.key(keyValue, "", text), Raw, sure(b)) {
			return true
		}
		for _, form := range [...]Form{FromURL, Base64} {
			if form == FromURL && strings.IndexByte(text, '%') < 0 {
				continue
			}
			if inner, ok := decoded(text, form); ok && bits(inner) > 0 && try(f.key(keyValue, "", inner), form, sure(bits(inner))) {
				return true
			}
		}
	} else if f.matchShort(u, text, name, try) {
		return true
	}
	for _, key := range said[:n] {
		f.said(key)
	}
	return false
}

// matchShort looks a short text up by the names around it.
func (f *Finder) matchShort(u *unit, text, name string, try func(uint64, Form, Confidence) bool) bool {
	if !isShort(text) {
		return false
	}
	switch u.place.Kind {
	case FormField, Query, Multipart:
		if try(f.key(keyNamed, normal(name), text), Raw, Likely) {
			return true
		}
	case JSON:
		name = lastName(name)
		if try(f.key(keyNamed, normal(name), text), Raw, Likely) {
			return true
		}
	case Path:
		name = stem(normal(u.before)) + "id"
	}
	name = normal(name)
	if !strings.HasSuffix(name, "id") || !hasDigit(text) {
		return false
	}
	one := stem(name)
	if one == "" {
		one = f.resource
	}
	return try(f.key(keyOne, one, text), Raw, Likely) || try(f.key(keyOne, "", text), Raw, Possible)
}

// lastName is the last name in a JSON path.
func lastName(path string) string {
	path = strings.TrimRight(path, "[]0123456789")
	if i := strings.LastIndexAny(path, ".['"); i >= 0 && i+1 < len(path) {
		return path[i+1:]
	}
	return path
}

// isShort reports whether a text is one word, and short.
func isShort(text string) bool {
	const longest = 32
	return len(text) <= longest && text != "0" && strings.IndexFunc(text, func(r rune) bool { return r > 0x7e || !inRun(byte(r)) }) < 0
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// sure is how sure it is that a value with so much chance is the same in two places.
func sure(bits float64) Confidence {
	if bits >= 64 {
		return Certain
	}
	return Likely
}

// lookup returns who said a value first, when that was a server, and before the request.
func (f *Finder) lookup(key uint64) *origin {
	f.carried[key] = true
	i, ok := f.byKey[key]
	if !ok {
		return nil
	}
	o := &f.ring[i]
	if o.weak {
		if j, ok := f.byKey[f.here(key)]; ok && !o.client {
			o = &f.ring[j]
		}
	}
	if o.client || o.weak && o.common > maxCommon || !f.isBefore(o) {
		return nil
	}
	return o
}

// isBefore reports whether an answer was there before the request was asked. Between
// conversations it has to be earlier: who waits for whom must not go in a circle.
func (f *Finder) isBefore(o *origin) bool {
	if int(o.conv) == f.ref.Conversation {
		return int(o.index) < f.ref.Index && o.at <= f.asked.UnixNano()
	}
	return o.at < f.asked.UnixNano()
}

// said notes that a client has said something that no server had.
func (f *Finder) said(key uint64) {
	if _, known := f.byKey[key]; !known {
		f.remember(origin{key: key, client: true, value: -1})
	}
}

// remember adds to the ring, and returns where; what is oldest makes room.
func (f *Finder) remember(o origin) int32 {
	slot := len(f.ring)
	if slot < f.bounds.tokens {
		f.ring = append(f.ring, o)
	} else {
		slot = f.oldest
		f.oldest = (slot + 1) % len(f.ring)
		delete(f.byKey, f.ring[slot].key)
		f.found.Forgotten++
		f.ring[slot] = o
	}
	f.byKey[o.key] = int32(slot)
	return int32(slot)
}

// hear takes note of what an answer offers: what is short, for all conversations and for this one.
func (f *Finder) hear(o *offer) {
	if slot := f.offer(o); o.weak && slot >= 0 && f.isForeign(slot) {
		here := *o
		here.key = f.here(o.key)
		f.offer(&here)
	}
}

// isForeign reports whether a value was said first in another conversation.
func (f *Finder) isForeign(slot int32) bool { return int(f.ring[slot].conv) != f.ref.Conversation }

// also counts an answer that has what was said before.
func (f *Finder) also(slot int32) {
	o := &f.ring[slot]
	if (f.isForeign(slot) || int(o.index) != f.ref.Index) && o.common < maxCounted && !f.carried[o.key] {
		o.common++
	}
}

// offer remembers who said something, if nobody has before. It returns where in the ring that
// is; -1 when there is no room.
func (f *Finder) offer(o *offer) int32 {
	if int(o.slot) >= len(f.ring) || f.ring[o.slot].key != o.key { // as it was the last time
		slot, known := f.byKey[o.key]
		if !known {
			return f.begin(o)
		}
		o.slot = slot
	}
	f.also(o.slot)
	return o.slot
}

// begin remembers who said something first.
func (f *Finder) begin(o *offer) int32 {
	place := o.place
	if place.Part > 0 {
		if _, place.Shape = partOf(o.text, place.Part); len(place.Shape) > maxShape {
			return -1
		}
	}
	n, known := f.places[place]
	if !known {
		if len(f.list) >= f.bounds.places {
			f.found.Forgotten++
			return -1
		}
		n = uint32(len(f.list))
		f.places[place] = n
		f.list = append(f.list, place)
	}
	o.slot = f.remember(origin{
		key: o.key, at: f.answered, asked: f.at, conv: int32(f.ref.Conversation), index: int32(f.ref.Index), place: n, value: -1,
		form: o.form, weak: o.weak, bits: o.bits,
	})
	return o.slot
}

// name is a copy of a name, one of many.
func (f *Finder) name(s string) string {
	if kept, ok := f.names[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	if len(f.names) < f.bounds.places {
		f.names[s] = s
	}
	return s
}

// use notes that a request says a value.
func (f *Finder) use(o *origin, u *unit, part run, form Form, c Confidence) {
	if len(f.found.uses) >= f.bounds.uses || o.value < 0 && len(f.found.Values) >= f.bounds.values {
		f.found.Forgotten++
		return
	}
	if o.value < 0 {
		v := Value{From: Ref{int(o.conv), int(o.index)}, Asked: o.asked, Place: f.list[o.place], Form: o.form, weak: o.weak}
		text := u.text[part.from:part.to]
		v.Shown = shape(text)
		if inner, ok := decoded(text, form); ok {
			v.same = maphash.String(f.seed, inner)
		}
		if o.weak {
			v.name = shortName(v.Place)
		}
		o.value = int32(len(f.found.Values))
		f.found.Values = append(f.found.Values, v)
	}
	f.note(int(o.value), u, part, form, c)
}

// note adds a use.
func (f *Finder) note(value int, u *unit, part run, form Form, c Confidence) {
	v := &f.found.Values[value]
	place := u.place
	place.Name = f.name(place.Name)
	x := Use{In: f.ref, Place: place, Value: value, at: u.at(&f.request, part), inBody: u.inBody, spelling: u.spelling, form: form}
	if form == Base64 {
		x.base64, _ = base64Of(u.text[part.from:part.to])
	}
	if u.spelling == inBase64 {
		x.beside = [2]string{strings.Clone(u.text[:part.from]), strings.Clone(u.text[part.to:])}
	}
	if v.Uses == 0 {
		v.First = x
	}
	v.Uses++
	v.Confidence = max(v.Confidence, c)
	f.found.uses = append(f.found.uses, x)
}

// isSet notes what is to take the place of a part of a request, whatever that is.
func (f *Finder) isSet(u *unit) bool {
	for i := range f.opts.Set {
		s := &f.opts.Set[i]
		if !s.is(u) {
			continue
		}
		if f.sets[i] < 0 {
			f.sets[i] = len(f.found.Values)
			f.found.Values = append(f.found.Values, Value{Set: s, Confidence: Certain})
		}
		f.note(f.sets[i], u, run{0, len(u.text)}, Raw, Certain)
		return true
	}
	return false
}

// Unused returns those of Options.Set that no request had.
func (f *Finder) Unused() []Set {
	var list []Set
	for i, n := range f.sets {
		if n < 0 {
			list = append(list, f.opts.Set[i])
		}
	}
	return list
}

// number numbers the values that were found, and notes those that are set.
func (f *Finder) number() {
	n := 0
	for i := range f.found.Values {
		v := &f.found.Values[i]
		if v.Set != nil || v.Uses == 0 {
			continue
		}
		n++
		v.Number = n
		for j := range f.opts.Set {
			if f.opts.Set[j].number == n {
				v.Set, f.sets[j] = &f.opts.Set[j], i
			}
		}
	}
}

// Found returns what was found, when everything has been told. A place that a value was
// taken from in one answer has values in others, too: these are listed without a use, so
// that they are no difference.
func (f *Finder) Found() *Found {
	f.number()
	known := make(map[uint32]bool)
	for i := range f.ring {
		if o := &f.ring[i]; o.value >= 0 {
			known[o.place] = true
		}
	}
	for i := range f.ring {
		if o := &f.ring[i]; o.value < 0 && !o.client && known[o.place] && o.form == Raw && len(f.found.Values) < f.bounds.values {
			v := Value{From: Ref{int(o.conv), int(o.index)}, Asked: o.asked, Place: f.list[o.place], weak: o.weak}
			if o.weak {
				v.name = shortName(v.Place)
			}
			f.found.Values = append(f.found.Values, v)
		}
	}
	f.found.seed, f.found.room = f.seed, int(cmp.Or(f.opts.Memory, DefaultMemory)/2)
	f.found.finish()
	return &f.found
}

// shortName is the name around a short value.
func shortName(p Place) string {
	if p.Kind == JSON {
		return normal(lastName(p.Name))
	}
	return normal(p.Name)
}
