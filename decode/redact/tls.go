package redact

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"netlab/decode/flow"
)

// What is encrypted can't be looked into: of TLS, records keep their headers, and what is
// in clear of the handshake keeps its structure, with other names in it. All else of them is
// blanked.

const inTLS = "tls handshake"

// maxFirst bounds the bytes of a direction that are kept until it is known what they are.
const maxFirst = 64 << 10

// Stream takes bytes for the case that they are of TLS.
func (x *Reading) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	if c.Transport() != flow.TCP {
		x.quic(c, d, k.Offset, k.Data)
		return nil
	}
	l := &x.of(c)[d]
	switch {
	case l.tls != nil:
		x.records(c, d, l, k.Offset, k.Data)
	case c.Protocol != "": // if it goes on in TLS, then from within these bytes
		l.first, l.at = append(l.first[:0], k.Data...), k.Offset
	case len(l.first)+len(k.Data) <= maxFirst && (len(l.first) == 0 || l.at+int64(len(l.first)) == k.Offset):
		if len(l.first) == 0 {
			l.at = k.Offset
		}
		l.first = append(l.first, k.Data...)
	}
	return nil
}

// Gap does nothing: the next bytes tell.
func (x *Reading) Gap(*flow.Conversation, flow.Direction, flow.Gap) error { return nil }

// Sealed takes what is there of TLS.
func (x *Reading) Sealed(c *flow.Conversation, d flow.Direction, from int64, sealed bool) error {
	l := &x.of(c)[d]
	if !sealed || l.tls != nil {
		return nil
	}
	l.tls = &records{next: from, told: from}
	if skip := from - l.at; skip >= 0 && skip <= int64(len(l.first)) {
		x.records(c, d, l, from, l.first[skip:])
	}
	l.first = nil
	return nil
}

// InnerStream does nothing: no keys are used.
func (x *Reading) InnerStream(*flow.Conversation, flow.Direction, int64, int64, flow.Chunk) error {
	return nil
}

// InnerEnd does nothing.
func (x *Reading) InnerEnd(*flow.Conversation, flow.Direction, int64) error { return nil }

// InnerGap does nothing.
func (x *Reading) InnerGap(*flow.Conversation, flow.Direction, int64, flow.Gap) error { return nil }

// Streamed does nothing.
func (x *Reading) Streamed(*flow.Conversation) error { return nil }

// records goes through the records of a direction (RFC 8446, section 5.1).
type records struct {
	next   int64 // what is to come
	told   int64 // what comes behind what was told
	head   [recordHead]byte
	have   int  // of the head
	left   int  // of the record, behind its head
	sealed bool // its handshake goes on encrypted
	lost   bool
	shake  []byte // handshake messages that are not told yet
	pieces []piece
}

// piece is a run of bytes of handshake messages, by where it begins among them and in the stream.
type piece struct {
	at     int
	offset int64
}

// Types of records and of handshake messages.
const (
	recordChange, recordAlert, recordHandshake, recordData = 20, 21, 22, 23
	recordHead, maxRecord                                  = 5, 1<<14 + 2048
	helloClient, helloServer, newTicket, certificate       = 1, 2, 4, 11
	certificateStatus                                      = 22
)

// maxShake bounds handshake messages that are looked at.
const maxShake = 128 << 10

// records takes bytes of a direction of TLS.
func (x *Reading) records(c *flow.Conversation, d flow.Direction, l *line, at int64, data []byte) {
	r := l.tls
	if r.lost || at < r.next {
		return
	}
	if missing := at - r.next; missing > 0 {
		if r.have < recordHead || r.head[0] != recordData || int64(r.left) < missing {
			r.lost = true
			return
		}
		r.next = at
		if r.left -= int(missing); r.left == 0 {
			r.have = 0
		}
	}
	for len(data) > 0 && !r.lost {
		n := x.record(c, d, r, data)
		r.next += int64(n)
		data = data[n:]
	}
}

// record takes what is next: a head, or something of what is behind it.
func (x *Reading) record(c *flow.Conversation, d flow.Direction, r *records, data []byte) int {
	if r.have < recordHead {
		n := copy(r.head[r.have:], data)
		if r.have += n; r.have < recordHead {
			return n
		}
		r.left = int(binary.BigEndian.Uint16(r.head[3:]))
		r.lost = r.head[0] < recordChange || r.head[0] > recordData+1 || r.head[1] != 3 || r.left > maxRecord
		if r.left == 0 {
			r.have = 0
		}
		return n
	}
	n := min(r.left, len(data))
	if r.left -= n; r.left == 0 {
		r.have = 0
	}
	end := r.next + int64(n)
	x.f.changes = x.f.changes[:0]
	switch typ := r.head[0]; {
	case typ == recordHandshake && !r.sealed:
		r.pieces = append(r.pieces, piece{len(r.shake), r.next})
		r.shake = append(r.shake, data[:n]...)
		if r.lost = len(r.shake) > maxShake; r.lost || !isWholeShake(r.shake) {
			return n
		}
		x.shaken(r)
	case typ == recordChange:
		r.sealed = true
	case typ == recordAlert && n == 2 && !r.sealed:
	default:
		x.f.changes = append(x.f.changes, change{from: int(r.next - r.told), to: int(end - r.told), blank: true})
		if x.f.editing() {
			x.f.z.blank("encrypted (TLS)", int64(n))
		}
	}
	if x.f.editing() {
		x.add(c, d, r.told, end-r.told)
	}
	r.told = end
	return n
}

// shakeSize is that of the handshake message that data begins with; 0 when its head is not there.
func shakeSize(data []byte) int {
	if len(data) < 4 {
		return 0
	}
	return 4 + (int(data[1])<<16 | int(data[2])<<8 | int(data[3]))
}

// isWholeShake reports whether data is handshake messages, and no part of another.
func isWholeShake(data []byte) bool {
	for len(data) > 0 {
		n := shakeSize(data)
		if n == 0 || n > len(data) {
			return false
		}
		data = data[n:]
	}
	return true
}

// shaken looks at handshake messages that are whole.
func (x *Reading) shaken(r *records) {
	now := append([]byte(nil), r.shake...)
	for rest := now; len(rest) > 0; {
		n := shakeSize(rest)
		x.f.shake(rest[0], rest[4:n])
		rest = rest[n:]
	}
	if x.f.editing() { // what is malformed may have them anywhere
		s := scan{f: x.f, place: inTLS, data: now}
		s.known()
		for _, h := range s.merged() {
			copy(now[h.from:h.to], h.with)
		}
	}
	for i, p := range r.pieces {
		to := len(now)
		if i+1 < len(r.pieces) {
			to = r.pieces[i+1].at
		}
		if was, is := string(r.shake[p.at:to]), string(now[p.at:to]); was != is {
			from := int(p.offset - r.told)
			x.f.changes = append(x.f.changes, change{from: from, to: from + len(is), with: is})
		}
	}
	r.shake, r.pieces = r.shake[:0], r.pieces[:0]
}

// shake changes a handshake message without its head. What is not known by its type stays when
// it is made of numbers by chance and of lists of what is spoken.
func (f *finder) shake(typ byte, b []byte) {
	switch typ {
	case helloClient:
		f.hello(b)
	case newTicket:
		if len(b) > 6 { // RFC 5077, section 3.3
			f.chance(b[6:])
		}
	case certificate, certificateStatus:
		f.certificates(b)
	}
}

// chance changes bytes to others by chance.
func (f *finder) chance(b []byte) {
	if f.editing() && len(b) > 0 {
		copy(b, f.z.names.bytes(b))
	}
}

// Extensions of a ClientHello that are looked at.
const extName, extTicket, extPSK, extCookie = 0, 35, 41, 44

// hello changes the name of the server in a ClientHello (RFC 6066, section 3), and tickets of others
// before it.
func (f *finder) hello(b []byte) {
	skip := func(n, size int) bool { // what has its length in n bytes before it, behind size others
		if len(b) < size+n {
			b = nil
			return false
		}
		v := 0
		for _, c := range b[size : size+n] {
			v = v<<8 | int(c)
		}
		if len(b) < size+n+v {
			b = nil
			return false
		}
		b = b[size+n+v:]
		return true
	}
	if !skip(1, 34) || !skip(2, 0) || !skip(1, 0) || len(b) < 2 {
		return
	}
	for b = b[2:]; len(b) >= 4; {
		typ, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			return
		}
		body := b[4 : 4+n]
		b = b[4+n:]
		switch typ {
		case extName:
			if len(body) > 5 && body[2] == 0 && int(binary.BigEndian.Uint16(body[3:])) == len(body)-5 {
				f.inPlace(Host, body[5:])
			}
		case extTicket:
			f.chance(body)
		case extCookie:
			if len(body) > 2 {
				f.chance(body[2:])
			}
		case extPSK:
			f.psk(body)
		}
	}
}

// psk changes the identities of keys shared before (RFC 8446, section 4.2.11), and what proves them.
func (f *finder) psk(b []byte) {
	if len(b) < 2 {
		return
	}
	n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
	list, binders := b[2:2+n], b[2+n:]
	for len(list) >= 2 {
		n := int(binary.BigEndian.Uint16(list))
		if n+6 > len(list) {
			return
		}
		f.chance(list[2 : 2+n])
		list = list[n+6:]
	}
	for binders = binders[min(2, len(binders)):]; len(binders) > 1 && int(binders[0]) < len(binders); binders = binders[1+int(binders[0]):] {
		f.chance(binders[1 : 1+int(binders[0])])
	}
}

// inPlace puts the pseudonym of a text in its place, which has its length.
func (f *finder) inPlace(k Kind, b []byte) {
	text := string(b)
	prefix := ""
	if k == Host && strings.HasPrefix(text, "*.") {
		prefix, text = "*.", text[2:]
	}
	if with, ok := f.secret(k, inTLS, "", text); ok {
		if len(with) != len(text) {
			with = f.z.names.plain(text)
		}
		copy(b, prefix+with)
	}
}

// maxTries bounds where a certificate is looked for: what is before and between them is short.
const maxTries = 64

// certificates changes what certificates say of whom they are of, and their numbers, wherever they are
// in a message: each is a sequence in DER, with its length in three bytes before it.
func (f *finder) certificates(b []byte) {
	for i, tries := 0, 0; i+5 < len(b) && tries < maxTries; {
		n := int(b[i])<<16 | int(b[i+1])<<8 | int(b[i+2])
		if der := b[i+3:]; n > 4 && n <= len(der) && der[0] == 0x30 {
			if f.der(der[:n], 0) {
				i += 3 + n
				continue
			}
		}
		tries++
		i++
	}
}

// maxDER bounds how deep things may be in others.
const maxDER = 32

// der changes what is in DER (X.690), and reports whether it is that: texts, numbers that are no
// small ones, keys and signatures. How long they are stays.
func (f *finder) der(b []byte, depth int) bool {
	if !isDER(b, depth) {
		return false
	}
	for len(b) > 0 {
		head, n := derHead(b)
		body := b[head : head+n]
		tag := b[0]
		b = b[head+n:]
		switch {
		case tag&0x20 != 0:
			f.der(body, depth+1)
		case tag == 12, tag == 18, tag == 19, tag == 20, tag == 22, tag == 26: // texts
			f.derText(body)
		case tag == 28, tag == 30: // in more than a byte each
			f.chance(body)
		case tag == 2 && n > 4:
			f.chance(body[1:])
		case tag == 3 && n > 1:
			if !f.der(body[1:], depth+1) {
				f.chance(body[1:])
			}
		case tag == 4:
			if n > 1 && !f.der(body, depth+1) && n > 4 {
				f.chance(body)
			}
		case tag == 0x81, tag == 0x82, tag == 0x86: // names in another form (RFC 5280, section 4.2.1.6)
			f.derText(body)
		case tag == 0x87 && (n == 4 || n == 16):
			a, _ := netip.AddrFromSlice(body)
			if f.editing() {
				copy(body, f.z.names.Addr(a).AsSlice())
			}
		case tag == 0x80 && n > 4:
			f.chance(body)
		}
	}
	return true
}

// derText changes a text: the name of a host, or whatever it is.
func (f *finder) derText(b []byte) {
	text := strings.TrimPrefix(string(b), "*.")
	switch {
	case len(b) <= 2: // a country
	case isHost(text):
		f.inPlace(Host, b)
	case strings.Contains(text, "://"):
		if with, ok := f.rewrite(inTLS, text, 0); ok && len(with) == len(b) {
			copy(b, with)
		}
	default:
		f.inPlace(Text, b)
	}
}

// derHead returns how long the head of what is next is, and what is behind it; zeros when it is
// malformed.
func derHead(b []byte) (head, n int) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, 0
	}
	if b[1] < 0x80 {
		return 2, int(b[1])
	}
	size := int(b[1] & 0x7f)
	if size == 0 || size > 3 || len(b) < 2+size {
		return 0, 0
	}
	for _, c := range b[2 : 2+size] {
		n = n<<8 | int(c)
	}
	return 2 + size, n
}

// isDER reports whether all of b is made of values in DER, one behind the other.
func isDER(b []byte, depth int) bool {
	if len(b) < 2 || depth > maxDER {
		return false
	}
	for len(b) > 0 {
		head, n := derHead(b)
		if head == 0 || n > len(b)-head || b[0] == 0 {
			return false
		}
		if b[0]&0x20 != 0 && n > 0 && !isDER(b[head:head+n], depth+1) {
			return false
		}
		b = b[head+n:]
	}
	return true
}
