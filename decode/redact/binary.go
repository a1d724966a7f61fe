package redact

import "encoding/binary"

// fields takes a message of a binary protocol apart and writes it anew, field by field: what is
// read is written, but for what takes the place of a secret, and the lengths before it.
type fields struct {
	*finder
	place string
	in    []byte
	at    int
	out   []byte
	bad   bool // something was not there
}

// take returns the next bytes.
func (x *fields) take(n int) []byte {
	if x.bad || n < 0 || n > len(x.in)-x.at {
		x.bad = true
		return nil
	}
	b := x.in[x.at : x.at+n]
	x.at += n
	return b
}

// left is how many bytes there are.
func (x *fields) left() int { return len(x.in) - x.at }

// copy writes the next bytes as they are.
func (x *fields) copy(n int) []byte {
	b := x.take(n)
	x.out = append(x.out, b...)
	return b
}

// number copies a number, and returns it.
func (x *fields) number(size int) int {
	n := 0
	for _, c := range x.copy(size) {
		n = n<<8 | int(c)
	}
	return n
}

// cstring returns how long what is next is up to a zero byte, without it.
func (x *fields) cstring() int {
	for i := x.at; i < len(x.in); i++ {
		if x.in[i] == 0 {
			return i - x.at
		}
	}
	x.bad = true
	return 0
}

// terminated writes a text that ends with a zero byte, which stands for what name says, and returns it.
func (x *fields) terminated(name string) string {
	n := x.cstring()
	text := string(x.in[x.at:min(x.at+n, len(x.in))])
	x.value(name, n)
	x.copy(1)
	return text
}

// value writes what takes the place of a value of n bytes. What is no text is blanked, but for
// small numbers.
func (x *fields) value(name string, n int) {
	b := x.take(n)
	if n <= 8 && !isText(b) {
		x.out = append(x.out, b...)
		return
	}
	k, named := x.kindOf(name)
	if named && isWorth(k, view(b)) {
		x.secretBytes(k, name, b)
		return
	}
	list, known := x.content(nil, x.place, "", b, 0, len(b), 0)
	if !known {
		if x.editing() {
			x.z.blank("a value that is no text ("+x.place+")", int64(len(b)))
		}
		x.out = appendBlank(x.out, b)
		return
	}
	x.out = append(x.out, apply(b, list)...)
}

// hide writes what takes the place of a secret.
func (x *fields) hide(k Kind, n int) { x.secretBytes(k, "", x.take(n)) }

func (x *fields) secretBytes(k Kind, name string, b []byte) {
	with, _ := x.secret(k, x.place, name, string(b))
	x.out = append(x.out, with...)
}

// random writes bytes by chance in the place of others.
func (x *fields) random(n int) {
	b := append([]byte(nil), x.take(n)...)
	x.chance(b)
	x.out = append(x.out, b...)
}

// sized writes what f does behind a length of so many bytes, which f is given and which is put right.
func (x *fields) sized(size int, f func(n int)) {
	at := len(x.out)
	n := x.number(size)
	if n > x.left() {
		x.bad = true
	}
	if x.bad {
		return
	}
	end := x.at + n
	f(n)
	if x.at != end {
		x.bad = true
	}
	if x.bad {
		return
	}
	now := len(x.out) - at - size
	switch size {
	case 1:
		x.bad = x.bad || now > 0xff
		x.out[at] = byte(now)
	case 2:
		x.bad = x.bad || now > 0xffff
		binary.BigEndian.PutUint16(x.out[at:], uint16(now))
	case 4:
		binary.BigEndian.PutUint32(x.out[at:], uint32(now))
	}
}

// search replaces what is in the dictionary in what was written, where it stands in what was not looked
// into.
func (x *fields) search() {
	if !x.editing() {
		return
	}
	s := scan{f: x.finder, place: x.place, data: x.out}
	s.known()
	for _, h := range s.merged() {
		if len(h.with) == h.to-h.from {
			copy(x.out[h.from:h.to], h.with)
		}
	}
}

// done has what was written take the place of the message from an offset on, and reports whether all
// of it was understood.
func (x *fields) done(from int) bool {
	if x.bad || x.at != len(x.in) {
		return false
	}
	x.search()
	if string(x.out) != string(x.in) {
		x.change(from, from+len(x.in), string(x.out))
	}
	return true
}
