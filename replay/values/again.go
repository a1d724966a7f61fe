package values

import (
	"crypto/rand"
	"sync"

	"netlab/decode/memo"
)

// again remembers what bodies offered: the same body offers the same again. All parts of a Finder
// have one.
type again struct {
	key  []byte // of their Digesters
	mu   sync.Mutex
	memo *memo.Memo[[]offer]
}

func newAgain(bytes int) *again {
	a := &again{key: make([]byte, 32), memo: memo.New[[]offer](int64(bytes))}
	rand.Read(a.key) // which never fails
	return a
}

func (a *again) get(k memo.Digest) ([]offer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.memo.Get(k)
}

// put remembers a list, which is the Finder's own from then on.
func (a *again) put(k memo.Digest, list []offer) {
	cost := offerBytes * int64(len(list))
	for i := range list {
		if o := &list[i]; i == 0 || o.text != list[i-1].text {
			cost += int64(len(o.text))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memo.Put(k, list, cost)
}
