package redact

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// recent remembers what some texts became that came lately, for several goroutines. Each text has one place,
// which the latest takes.
type recent struct {
	seed  maphash.Seed
	pairs [1 << recentBits]atomic.Pointer[pair]
}

// pair is a text and what it became.
type pair struct{ text, became string }

func newRecent() *recent { return &recent{seed: maphash.MakeSeed()} }

// maxRecent bounds the length of what is remembered.
const maxRecent = 512

// get returns what a text became, if that is remembered, and where that is to be put if not.
func (r *recent) get(text string) (at int, became string) {
	at = int(maphash.String(r.seed, text) >> (64 - recentBits))
	if p := r.pairs[at].Load(); p != nil && p.text == text {
		became = p.became
	}
	return at, became
}

// put remembers what a text became.
func (r *recent) put(at int, text, became string) {
	if len(text) <= maxRecent {
		r.pairs[at].Store(&pair{strings.Clone(text), became})
	}
}
