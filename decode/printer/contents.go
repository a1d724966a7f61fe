package printer

import (
	"cmp"

	"netlab/decode/memo"
	"netlab/decode/proto"
)

// contents takes encodings off the bodies of HTTP, and remembers what it got of the latest: many
// answers have the same. What it returns must not be changed. The zero value is ready; nil remembers
// nothing.
type contents struct {
	limit  int64 // of the bytes that are remembered; 0 is maxKnown
	known  *memo.Memo[[]byte]
	digest *memo.Digester
}

// maxKnown bounds the bytes that are remembered where nothing else is said.
const maxKnown = 8 << 20

// upTo is proto.ContentUpTo.
func (c *contents) upTo(m *proto.Message, limit int) ([]byte, error) {
	h, ok := m.Body.(*proto.HTTPMessage)
	var how []string
	if c != nil && ok && m.RawMissing == 0 && len(m.Raw) >= len(h.Head) && !h.Chunked {
		how = h.AppendEncodings(nil)
	}
	if len(how) == 0 {
		return proto.ContentUpTo(m, limit)
	}
	if c.known == nil {
		c.known, c.digest = memo.New[[]byte](cmp.Or(c.limit, maxKnown)), memo.NewDigester(nil)
	}
	k := c.digest.Of(m.Raw[len(h.Head):], how...)
	if data, ok := c.known.Get(k); ok && len(data) <= limit {
		return data, nil
	}
	data, err := proto.ContentUpTo(m, limit)
	if err == nil {
		c.known.Put(k, data[:len(data):len(data)], int64(cap(data)))
	}
	return data, err
}
