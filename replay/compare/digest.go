package compare

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"netlab/decode/proto"
)

// Sum is what bytes come to that are too many to keep.
type Sum struct {
	Bytes  int64
	SHA256 []byte
	// First is the beginning of them, to show where they differ if they do there.
	First []byte
}

// SumOf sums up bytes.
func SumOf(data []byte) Sum {
	sum := sha256.Sum256(data)
	return Sum{int64(len(data)), sum[:], data}
}

func (s Sum) equal(o Sum) bool { return s.Bytes == o.Bytes && bytes.Equal(s.SHA256, o.SHA256) }

// side is what is shown of it: enough of the digest to see that it is another.
func (s Sum) side() side {
	text := sizeOf(s.Bytes)
	if s.SHA256 != nil {
		text += fmt.Sprintf(" with SHA-256 %x…", s.SHA256[:8])
	}
	return side{text, text, ShapeText}
}

// Sums compares bytes by how many there are and their digests.
func Sums(path string, a, b Sum) []Difference {
	c := comparer{rules: &Rules{}}
	c.digests(path, a, b)
	return c.list
}

func (c *comparer) digests(path string, a, b Sum) {
	if a.equal(b) {
		return
	}
	offset := int64(common(a.First, b.First))
	if first := min(len(a.First), len(b.First)); offset == int64(first) && offset < min(a.Bytes, b.Bytes) {
		offset = -1 // it is further on
	}
	c.note(Value, path, path, a.side(), b.side(), offset)
}

// raw compares the bytes of two messages as they came, by digests where not all are kept.
func (c *comparer) raw(path string, recorded, live *proto.Message) {
	if recorded.RawMissing == 0 && live.RawMissing == 0 {
		c.bytes(path, recorded.Raw, live.Raw)
		return
	}
	sum := func(m *proto.Message) Sum {
		if m.RawMissing == 0 {
			return SumOf(m.Raw)
		}
		return Sum{m.Length, m.Digest, m.Raw}
	}
	c.digests(path, sum(recorded), sum(live))
}

// bodySums compares two bodies of HTTP by their digests: without their content encodings if
// all that is encoded is kept, else as they were transferred.
func (c *comparer) bodySums(recorded, live *proto.Message) {
	a, known := contentSum(recorded)
	b, knownToo := contentSum(live)
	if !known || !knownToo {
		a, b = transferredSum(recorded), transferredSum(live)
	}
	c.digests("body", a, b)
}

// contentSum is that of a body without content encodings, if it can be known.
func contentSum(m *proto.Message) (Sum, bool) {
	h := m.Body.(*proto.HTTPMessage)
	if coding, ok := h.Get("Content-Encoding"); m.RawMissing > 0 && (!ok || strings.EqualFold(coding, "identity")) {
		return transferredSum(m), true
	}
	sum, n, err := proto.ContentDigest(m)
	if err != nil {
		return Sum{}, false
	}
	first, _ := proto.ContentUpTo(m, proto.Shortened)
	return Sum{n, sum, first}, true
}

// transferredSum is that of a body as it was transferred.
func transferredSum(m *proto.Message) Sum {
	body, _ := proto.Transferred(m) // what there is of it
	if m.RawMissing == 0 {
		return SumOf(body)
	}
	return Sum{m.Body.(*proto.HTTPMessage).BodyBytes, m.Digest, body}
}

// tooLarge reports whether a body can't be compared by anything but its digest.
func tooLarge(m *proto.Message, err error) bool {
	return m.RawMissing > 0 || errors.Is(err, proto.ErrContentTooLarge)
}
