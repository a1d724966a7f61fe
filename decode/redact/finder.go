package redact

import (
	"slices"
	"strings"

	"netlab/decode/proto"
	"netlab/decode/rewrite"
)

// finder goes through messages, in both readings in the same way. In the first it learns what
// it finds; in the second it says what to change.
type finder struct {
	z  *worker
	to Editor // nil in the first
	// inside is the name of the JSON that is looked at, when all in it is secret by that; else empty.
	inside string

	raw     []byte   // of the message
	changes []change // of it
	fields  []httpField

	dnsMessage *dnsMessage // to be used again
}

// change is what becomes of some bytes of a message.
type change struct {
	from, to int
	with     string
	blank    bool
}

func newFinder(z *Sanitizer, to Editor) *finder { return &finder{z: z.worker(), to: to} }

// editing reports whether it is the second reading.
func (f *finder) editing() bool { return f.to != nil }

// secret takes note of a secret, and returns what takes its place in the second reading, when that
// is something else. The name is of what holds it, if that has one.
func (f *finder) secret(k Kind, place, name, value string) (string, bool) {
	z := f.z
	if value == "" || isTrivial(value) || k == User && isCommonUser(value) {
		return value, false
	}
	for i := range z.keep {
		if z.keep[i].picks(k, name, value) {
			if f.editing() {
				z.kept++
			}
			return value, false
		}
	}
	if !f.editing() {
		z.learn(k, value)
		return value, false
	}
	p := z.pseudonym(k, value)
	if p == value {
		return value, false
	}
	z.count(k, place)
	return p, true
}

// maxKinds bounds the names of which it is remembered what they mean.
const maxKinds = 4096

// kindOf returns what the value of a name is; false when the name does not say that it is a
// secret.
func (f *finder) kindOf(name string) (Kind, bool) {
	z := f.z
	if k, ok := z.kinds[name]; ok {
		return Kind(max(k, 0)), k >= 0
	}
	k, ok := kindOf(name)
	for i := range z.hide {
		if !ok && z.hide[i].named(name) {
			k, ok = Text, true
		}
	}
	if z.kinds == nil || len(z.kinds) >= maxKinds {
		z.kinds = make(map[string]int8)
	}
	known := int8(-1)
	if ok {
		known = int8(k)
	}
	if len(name) <= maxName {
		z.kinds[strings.Clone(name)] = known
	}
	return k, ok
}

// leaf looks at what a name stands for, as it is spelled between two offsets of data: it is a
// secret by its name, or a text with secrets in it. It appends what is to change.
func (f *finder) leaf(list []change, place, name string, data []byte, from, to int, s spelling) []change {
	if from >= to {
		return list
	}
	k, named := f.kindOf(name)
	if !named && to-from < least && len(f.z.hide) == 0 {
		return list
	}
	raw := data[from:to]
	text, ok := view(raw), true
	if s.escapes(raw) {
		if text, ok = s.read(view(raw)); !ok {
			s, text = plainly, view(raw)
		}
	} else {
		s = plainly
	}
	var with string
	var changed bool
	switch {
	case named && isWorth(k, text):
		with, changed = f.secret(k, place, name, text)
	case len(f.z.hide) == 0 && mayBeHost(text):
		with, changed = f.secret(Host, place, name, text)
	case s == plainly:
		for _, h := range f.text(place, raw, 0) {
			list = append(list, change{from: from + h.from, to: from + h.to, with: h.with})
		}
		return list
	default:
		with, changed = f.rewrite(place, text, 0)
	}
	if !changed {
		return list
	}
	if spelled, ok := respell(s, view(raw), text, with); ok {
		return append(list, change{from: from, to: to, with: spelled})
	}
	return append(list, change{from: from, to: to, blank: true})
}

// mayBeHost reports whether all of a text is the name of a host.
func mayBeHost(text string) bool { return len(text) < 254 && isHost(text) && !isAddress(text) }

// isWorth reports whether a value can be a secret of its kind: a code of an error is a number
// of few digits, and what a server makes up to have it said again is made by chance.
func isWorth(k Kind, text string) bool {
	if k == Nonce {
		return len(text) >= 8 && len(text) <= 4096 && strings.ContainsAny(text, "0123456789") && len(letters(text[:min(len(text), maxName)])) > 0
	}
	return k == Password || k == Card || len(text) > 5 || strings.Trim(text, "-0123456789.") != ""
}

// change takes note of what becomes of bytes of the message.
func (f *finder) change(from, to int, with string) {
	if f.editing() && from < to {
		f.changes = append(f.changes, change{from: from, to: to, with: with})
	}
}

// blank has bytes of the message blanked.
func (f *finder) blank(from, to int, why string) {
	if f.editing() && from < to {
		f.z.blank(why, int64(to-from))
		f.changes = append(f.changes, change{from: from, to: to, blank: true})
	}
}

// texts looks through a part of the message as a text.
func (f *finder) texts(place string, from, to int) {
	for _, h := range f.text(place, f.raw[from:to], 0) {
		f.change(from+h.from, from+h.to, h.with)
	}
}

// named looks at a part of the message as the value of a name.
func (f *finder) named(place, name string, from, to int, s spelling) {
	list := f.leaf(nil, place, name, f.raw, from, to, s)
	if f.editing() {
		f.changes = append(f.changes, list...)
	}
}

// hidden has a part of the message be a secret.
func (f *finder) hidden(k Kind, place, name string, from, to int, s spelling) {
	raw := string(f.raw[from:to])
	text, ok := s.read(raw)
	if !ok {
		s, text = plainly, raw
	}
	if with, ok := f.secret(k, place, name, text); ok {
		if with, ok = respell(s, raw, text, with); ok {
			f.change(from, to, with)
		} else {
			f.blank(from, to, "a secret that can't be spelled otherwise")
		}
	}
}

// apply returns bytes with changes, which are in order.
func apply(raw []byte, changes []change) []byte {
	var out []byte
	at := 0
	for _, c := range changes {
		out = append(out, raw[at:c.from]...)
		if c.blank {
			out = appendBlank(out, raw[c.from:c.to])
		} else {
			out = append(out, c.with...)
		}
		at = c.to
	}
	return append(out, raw[at:]...)
}

// appendBlank appends bytes that are blanked.
func appendBlank(dst, raw []byte) []byte {
	dst = append(dst, raw...)
	rewrite.Fill(dst[len(dst)-len(raw):])
	return dst
}

// message looks at a message. It returns how many bytes of it are understood; with what is to
// change in them in f.changes.
func (f *finder) message(e *proto.Exchange, m *proto.Message) int64 {
	f.raw, f.changes = m.Raw, f.changes[:0]
	look, ok := f.looker(e, m)
	if !ok {
		return 0
	}
	n := look(e, m)
	f.order()
	return int64(n)
}

// order puts the changes in order. Of what two are about, the first counts; what the other has
// behind it is blanked, for it was a secret.
func (f *finder) order() {
	slices.SortStableFunc(f.changes, func(a, b change) int { return a.from - b.from })
	out := f.changes[:0]
	end := 0
	for _, c := range f.changes {
		if c.from < end {
			if c.to <= end {
				continue
			}
			c = change{from: end, to: c.to, blank: true}
		}
		end = c.to
		out = append(out, c)
	}
	f.changes = out
}

// looker returns what looks at such a message: it returns how many bytes of it are understood.
func (f *finder) looker(e *proto.Exchange, m *proto.Message) (func(*proto.Exchange, *proto.Message) int, bool) {
	whole := m.RawMissing == 0 && int64(len(m.Raw)) == m.Length && len(m.Raw) > 0
	switch b := m.Body.(type) {
	case *proto.HTTPMessage:
		if b.Head == "" || len(m.Raw) < len(b.Head) {
			return nil, false
		}
		return func(_ *proto.Exchange, m *proto.Message) int { return f.http(m, b) }, true
	case *proto.DNSMessage:
		if !whole {
			return nil, false
		}
		return func(e *proto.Exchange, m *proto.Message) int { return f.dns(e, m, b) }, true
	case *proto.FTPCommand, *proto.FTPReply:
		if !whole {
			return nil, false
		}
		return f.ftp, true
	case *proto.SMTPCommand, *proto.SMTPReply, *proto.SMTPContent:
		if !whole {
			return nil, false
		}
		return f.smtp, true
	case *proto.RedisCommand, *proto.RedisReply:
		if !whole {
			return nil, false
		}
		return f.redis, true
	case *proto.Turn:
		if !whole || e.Conversation.For == nil || !isText(m.Raw) && !f.z.allowed("application/octet-stream") {
			return nil, false
		}
		return f.file, true
	case *proto.WebSocketFrame:
		if !whole || len(m.Raw) < 2 {
			return nil, false
		}
		return func(_ *proto.Exchange, m *proto.Message) int { return f.webSocket(m, b) }, true
	case *proto.MQTTPacket:
		if !whole || len(m.Raw) < 2 {
			return nil, false
		}
		return func(*proto.Exchange, *proto.Message) int { return f.mqtt(b) }, true
	case *proto.MySQLRequest, *proto.MySQLResponse:
		if !whole {
			return nil, false
		}
		return func(_ *proto.Exchange, m *proto.Message) int { return f.mysql(m) }, true
	case *proto.PostgresRequest, *proto.PostgresResponse:
		if !whole {
			return nil, false
		}
		_, client := m.Body.(*proto.PostgresRequest)
		return func(*proto.Exchange, *proto.Message) int { return f.postgres(client) }, true
	}
	return nil, false
}
