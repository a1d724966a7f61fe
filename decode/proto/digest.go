package proto

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"

	"netlab/decode/flow"
)

// digester is a Parser of messages of which Message.Digest is of a part only: of the one in
// progress in a direction, or of m, which has just ended; nil when there is no such part.
type digester interface {
	digest(d flow.Direction, m *Message) *digest
}

// digest sums up a message whose bytes are not all kept, as they pass.
type digest struct {
	hash hash.Hash // SHA-256
	head int       // bytes before those that count
	skip int       // of these, to come
	body *httpBody // that takes the framing off; nil when there is none
	left []byte    // what body waits for more behind: a line between chunks
}

// digestCost is about what one takes.
const digestCost = 256

func newDigest() *digest { return &digest{hash: sha256.New()} }

// write adds what the message goes on with.
func (g *digest) write(data []byte) {
	n := min(g.skip, len(data))
	g.skip -= n
	data = data[n:]
	if g.body == nil {
		g.hash.Write(data)
		return
	}
	if len(g.left) > 0 {
		g.left = append(g.left, data...)
		data = g.left
	}
	n, problem := g.body.take(data)
	if problem != "" {
		n = len(data) // the message is broken, and compared with none
	}
	g.left = append(g.left[:0], data[n:]...)
}

// sum returns what a digest comes to; nil of none.
func (g *digest) sum() []byte {
	if g == nil {
		return nil
	}
	return g.hash.Sum(nil)
}

// digest returns one of a body as it is transferred, without the framing of chunks.
func (p *httpParser) digest(d flow.Direction, m *Message) *digest {
	h := p.sides[d].head
	if m != nil {
		h, _ = m.Body.(*HTTPMessage)
	}
	if h == nil {
		return nil
	}
	g := newDigest()
	body := untilClose()
	if h.Chunked {
		body = httpBody{framing: framedChunks}
	}
	body.content = func(p []byte) { g.hash.Write(p) }
	g.head, g.skip, g.body = len(h.Head), len(h.Head), &body
	return g
}

// beyond sums up a message of which there is more than is kept: all that is, and then the
// data behind it.
func (g *Dialogue) beyond(d flow.Direction, data []byte, m *Message) {
	s := &g.sides[d]
	if s.digest == nil {
		if p, ok := g.parser.(digester); ok {
			s.digest = p.digest(d, m)
		} else {
			s.digest = newDigest()
		}
		if s.digest == nil {
			return
		}
		s.digest.write(s.raw)
	}
	s.digest.write(data)
}

// Shortened is how many bytes of a message are kept when it is shortened, of HTTP those of
// its body, and worthShortening how many there have to be for Dialogue.Shorten.
const (
	Shortened       = 64 << 10
	worthShortening = 1 << 20
)

// Shorten lets go of most of what is kept of a message that has a digest.
func (m *Message) Shorten() {
	keep := Shortened
	if h, ok := m.Body.(*HTTPMessage); ok {
		keep += len(h.Head)
	}
	if cut := len(m.Raw) - keep; cut > 0 && m.Digest != nil {
		m.Raw, m.RawMissing = bytes.Clone(m.Raw[:keep]), m.RawMissing+int64(cut)
	}
}

// Shorten lets go of most of what is kept of the messages in progress, to make room, and
// reports whether it did. They will have a digest.
func (g *Dialogue) Shorten() bool {
	made := false
	for d := range g.sides {
		s := &g.sides[d]
		if len(s.raw) < worthShortening || g.protocol == nil {
			continue
		}
		if g.beyond(flow.Direction(d), nil, nil); s.digest == nil {
			continue
		}
		s.raw = bytes.Clone(s.raw[:min(len(s.raw), s.digest.head+Shortened)])
		g.stale, made = true, true
	}
	if g.inner != nil && g.inner.dialogue != nil {
		made = g.inner.dialogue.Shorten() || made
	}
	return made
}

// MaxDigested bounds the content of a body that is summed up: behind an encoding there may be
// gigabytes, and each takes a second.
const MaxDigested = 1 << 30

// ContentDigest returns the SHA-256 of the body of an HTTP message and its length, with all
// encodings taken off; nothing of it is kept. It needs all of the message's bytes.
func ContentDigest(m *Message) ([]byte, int64, error) {
	body, err := Transferred(m)
	if err != nil {
		return nil, 0, err
	}
	encodings, err := m.Body.(*HTTPMessage).encodings()
	if err != nil {
		return nil, 0, err
	}
	var r io.Reader = bytes.NewReader(body)
	for _, e := range slices.Backward(encodings) {
		c, err := contentReader(e, bufio.NewReader(r))
		if err != nil {
			return nil, 0, fmt.Errorf("content encoding %s: %w", e, err)
		}
		defer c.Close()
		r = c
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, MaxDigested+1))
	if err == nil && n > MaxDigested {
		err = ErrContentTooLarge
	}
	return h.Sum(nil), n, err
}
