package redact

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"netlab/decode/flow"
	"netlab/decode/memo"
	"netlab/decode/rewrite"
)

// Options of a Sanitizer.
type Options struct {
	// Key makes the pseudonyms: who has it can tell which secret one stands for, if he has the
	// secret. It has 16 bytes at least, best by chance.
	Key []byte
	// Keep are values that stay, Hide others that are secrets too.
	Keep, Hide []Rule
	// Allow are media types, as image/png or image/*, whose bodies stay though they are not
	// understood; what is in them is looked for all the same.
	Allow []string
	// Memory bounds what is kept of both readings, in bytes, beside what the pipeline holds; 0
	// is DefaultMemory.
	Memory int64
}

// DefaultMemory is Options.Memory when it is 0.
const DefaultMemory = 64 << 20

// KeepBytes is how much of each message a Sanitizer has need of (decode.Options.Keep): of what
// is larger, only the head is looked at, and the rest is blanked.
const KeepBytes = 4 << 20

// Editor takes what is to be changed in streams, as rewrite.Edits do.
type Editor interface {
	// Edit comes in the order of a direction's stream. New is valid during the call.
	Edit(c *flow.Conversation, d flow.Direction, e rewrite.Edit)
	// Looked says that all before an offset is understood: what no Edit has changed may stay.
	// What is behind the last such offset may not.
	Looked(c *flow.Conversation, d flow.Direction, to int64)
}

// Sanitizer finds secrets in a recording and says what stands in their place. It is for one
// recording, one goroutine, and two readings: Learn, then Edit.
type Sanitizer struct {
	names *Pseudonyms
	keep  []Rule
	hide  []Rule
	allow []string
	dict  dictionary
	index *index // of the dictionary, when all is learned

	// public is what stays in messages as it is: what is a part of it is no secret to look
	// for.
	public     map[string]bool
	publicSize int

	cache      map[string]string // pseudonyms
	cacheBytes int64
	kinds      map[string]int8 // what names mean
	coders     coders
	limit      int64 // of the cache; of what is remembered of bodies and lines, and in a Search, half of that
	headers    map[string]httpName
	lines      map[string]*judgement // of heads
	lineBytes  int64
	bodies     *memo.Memo[*judgement]
	digests    *memo.Digester

	tally
	messages int64
	changed  int64
}

// minKey is the shortest key.
const minKey = 16

// NewSanitizer returns a Sanitizer.
func NewSanitizer(o Options) (*Sanitizer, error) {
	if len(o.Key) < minKey {
		return nil, errors.New("redact: the key is shorter than 16 bytes: anybody could try all of them")
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	z := &Sanitizer{names: NewPseudonyms(o.Key), keep: o.Keep, hide: o.Hide, allow: o.Allow, limit: o.Memory / 10}
	z.dict.limit = o.Memory / 4 * 3
	z.bodies, z.digests = memo.New[*judgement](z.limit/2), memo.NewDigester(nil)
	return z, nil
}

// Pseudonyms returns what takes the place of addresses and names.
func (z *Sanitizer) Pseudonyms() *Pseudonyms { return z.names }

// Learn returns the Sink of the first reading.
func (z *Sanitizer) Learn() *Reading { return newReading(z, nil) }

// Edit returns the Sink of the second reading, which tells an Editor.
func (z *Sanitizer) Edit(to Editor) *Reading {
	z.learned()
	return newReading(z, to)
}

// learned marks what is looked for everywhere of what was learned: not what stays for what it is, nor
// what has no pseudonym.
func (z *Sanitizer) learned() {
	if z.index != nil {
		return
	}
	public := strings.Join(slices.Sorted(maps.Keys(z.public)), "\n")
	for r := range z.dict.all() {
		v, k := z.dict.at(r)
		p := z.pseudonym(k, v)
		if p == v {
			continue
		}
		if made := z.dict.find(p); made != 0 {
			*z.dict.marks(made) |= isMade
		}
		if k != Address && isTelling(v) && !strings.Contains(public, v) {
			*z.dict.marks(r) |= isSought
		}
	}
	z.lines = nil // so far, nothing became of them
	z.index = newIndex(&z.dict)
}

// maxPublic bounds what is known to stay.
const maxPublic = 16 << 10

// stays takes note of a text that stays wherever it is.
func (z *Sanitizer) stays(text string) {
	if z.public[text] || z.publicSize+len(text) > maxPublic {
		return
	}
	if z.public == nil {
		z.public = make(map[string]bool)
	}
	z.public[strings.Clone(text)] = true
	z.publicSize += len(text)
}

// Replace returns a text with all secrets replaced that are found in it, for what is told about a
// recording. It needs what was learned.
func (z *Sanitizer) Replace(text string) string {
	z.learned()
	out, _ := newFinder(z, nowhere{}).rewrite("text", text, 0)
	return out
}

// nowhere is an Editor that takes no note.
type nowhere struct{}

func (nowhere) Edit(*flow.Conversation, flow.Direction, rewrite.Edit) {}
func (nowhere) Looked(*flow.Conversation, flow.Direction, int64)      {}

// pseudonym is what takes the place of a value.
func (z *Sanitizer) pseudonym(k Kind, value string) string {
	if p, ok := z.cache[value]; ok {
		return p
	}
	var p string
	if k == Host {
		p = z.names.Host(value)
	} else {
		p = z.names.Text(value)
	}
	const cost = 64
	if z.cacheBytes += int64(len(value)+len(p)) + cost; z.cacheBytes > z.limit || z.cache == nil {
		z.cache, z.cacheBytes = make(map[string]string), int64(len(value)+len(p))+cost
	}
	z.cache[strings.Clone(value)] = p // which may be a part of a message
	return p
}
