package values

import (
	"slices"

	"netlab/decode/memo"
	"netlab/decode/proto"
)

// offered is what a body offered: the key of a text in it, and where in the ring that is.
type offered struct {
	key   uint64
	slot  int32
	short bool // for all conversations, and for its own
}

// offeredBytes is what one takes.
const offeredBytes = 16

// again remembers what bodies offered. The same body offers the same again: as long as all of it
// is in the ring, the body is not looked into to find that out.
type again struct {
	memo   *memo.Memo[[]offered]
	digest *memo.Digester
	noting bool
	list   []offered // of the body that is looked into
}

func newAgain(bytes int) again {
	return again{memo: memo.New[[]offered](int64(bytes)), digest: memo.NewDigester(nil)}
}

// note takes note of an offer; one for which there is no room cannot be one again.
func (a *again) note(key uint64, slot int32, short bool) {
	if a.noting = a.noting && slot >= 0; a.noting {
		a.list = append(a.list, offered{key, slot, short})
	}
}

// content looks into the body of an answer, if it has to.
func (f *Finder) content(m *proto.Message, h *proto.HTTPMessage) {
	typ, ok := looksInto(m, h)
	if !ok {
		return
	}
	coded := h.Chunked
	how := append(f.how[:0], typ, f.resource) // the latter and the next may be a name around a short value
	if f.creates {
		how = append(how, "creates")
	}
	if h.Chunked {
		how = append(how, "chunked")
	}
	h.Values("Content-Encoding", func(v string) { coded, how = true, append(how, "in "+v) })
	f.how = how
	if len(m.Raw) < len(h.Head) || !coded && len(m.Raw)-len(h.Head) < memo.Worth {
		f.answer.content(m, h, typ)
		return
	}
	k := f.again.digest.Of(m.Raw[len(h.Head):], how...)
	if list, ok := f.again.memo.Get(k); ok && f.offerAgain(list) {
		return
	}
	f.again.noting, f.again.list = true, f.again.list[:0]
	f.answer.content(m, h, typ)
	if f.again.noting {
		f.again.memo.Put(k, slices.Clone(f.again.list), offeredBytes*int64(len(f.again.list)))
	}
	f.again.noting = false
}

// offerAgain offers what a body offered before. It is false, and does nothing, when some of that
// is not in the ring.
func (f *Finder) offerAgain(list []offered) bool {
	for _, o := range list {
		if f.ring[o.slot].key != o.key {
			return false
		}
		if o.short && f.isForeign(o.slot) {
			if _, known := f.byKey[f.here(o.key)]; !known {
				return false
			}
		}
	}
	for _, o := range list {
		f.also(o.slot)
		if o.short && f.isForeign(o.slot) {
			f.also(f.byKey[f.here(o.key)])
		}
	}
	return true
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
