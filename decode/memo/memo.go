// Package memo remembers what came of bytes that were looked at, so that the same bytes need not
// be looked at again: a recording has many answers that are one.
//
// A Memo keeps what it is given within a bound, by a Digest of the bytes and of what they were
// taken for; the bytes themselves it does not keep. Who has the key of a Digester alone can make
// other bytes with the same Digest, so that a recording by an enemy is looked at as any other. A Memo
// is for several goroutines, a Digester for one: others have one with the same key.
package memo

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
)

// Digest stands for some bytes, and for what they are taken for.
type Digest [16]byte

// Digester makes digests. What is behind them is GMAC (NIST SP 800-38D), always with the same
// nonce: a polynomial of the bytes, at a point that is a part of the key. Two of n bytes that do not
// depend on the key have the same digest with a chance of n/2^132. It must not be told to anybody
// who makes the bytes.
type Digester struct {
	gmac cipher.AEAD
	what []byte // that is being put together
	buf  []byte
}

// NewDigester has a key that is made of another; without one, it is made by chance.
func NewDigester(key []byte) *Digester {
	if len(key) == 0 {
		key = make([]byte, sha256.Size)
		rand.Read(key) // which never fails
	}
	sum := sha256.Sum256(key)
	block, err := aes.NewCipher(sum[:16])
	if err != nil {
		panic("BUG: memo: " + err.Error()) // 16 bytes are a key
	}
	gmac, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: memo: " + err.Error()) // AES has blocks of 16 bytes
	}
	return &Digester{gmac: gmac}
}

// Of returns the digest of some bytes that are taken for what texts say.
func (g *Digester) Of(data []byte, texts ...string) Digest {
	g.what = g.what[:0]
	for _, s := range texts { // with their lengths, so that no others are the same
		n := len(s)
		g.what = append(append(g.what, byte(n), byte(n>>8), byte(n>>16), byte(n>>24)), s...)
	}
	var nonce [12]byte
	g.buf = slices.Grow(g.buf[:0], len(g.what)+g.gmac.Overhead())
	g.buf = g.gmac.Seal(g.buf, nonce[:], g.what, data)
	return Digest(g.buf[len(g.what):])
}

// Worth is how long something is at least that is worth a place in a Memo: what is shorter is
// looked at as quickly.
const Worth = 256

// Memo remembers what came of something, by its Digest, within a bound: what was not asked for
// lately is forgotten first.
type Memo[V any] struct {
	mu         sync.Mutex
	limit      int64 // of bytes
	young, old map[Digest]remembered[V]
	bytes      int64 // of the young, which are half of all at most
}

type remembered[V any] struct {
	value V
	bytes int64
}

// cost is about what an entry takes beside its value.
const cost = 64

// New returns a Memo that takes up to about limit bytes.
func New[V any](limit int64) *Memo[V] { return &Memo[V]{limit: limit} }

// Get returns what is remembered, if anything is.
func (m *Memo[V]) Get(k Digest) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.young[k]
	if !ok {
		if r, ok = m.old[k]; ok {
			m.keep(k, r)
		}
	}
	return r.value, ok
}

// Put remembers a value that takes some bytes.
func (m *Memo[V]) Put(k Digest, value V, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes += cost; bytes <= m.limit/2 {
		m.keep(k, remembered[V]{value, bytes})
	}
}

func (m *Memo[V]) keep(k Digest, r remembered[V]) {
	if m.bytes += r.bytes; m.bytes > m.limit/2 || m.young == nil {
		m.old, m.young, m.bytes = m.young, make(map[Digest]remembered[V]), r.bytes
	}
	m.young[k] = r
}
