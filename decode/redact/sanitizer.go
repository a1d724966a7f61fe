package redact

import (
	"crypto/rand"
	"errors"
	"io"
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
	// Scratch has what secrets are, and what takes their places, beside that memory; it is the
	// Sanitizer's from then on. Without one, that counts for the memory.
	Scratch rewrite.Scratch
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
	// Ignored tells of bytes that are in no stream, Finish of the end of a conversation.
	Ignored(*flow.Conversation, flow.Direction, flow.Ignored) error
	Finish(*flow.Conversation) error
}

// Sanitizer finds secrets in a recording and says what stands in their place. It is for one
// recording and two readings: Learn, then Edit. In each, several shards work at a time; what becomes of
// the recording does not depend on how many, or in which order.
type Sanitizer struct {
	names *Pseudonyms
	keep  []Rule
	hide  []Rule
	allow []string
	dict  *dictionary
	texts texts
	limit int64 // of what is remembered of bodies, and in a Search

	recent *recent // pseudonyms

	// When all is learned:
	index      *index          // of the dictionary
	pairs      []io.ReadSeeker // what stands for what
	emptyLines bool            // some secret has one
	anyUser    bool            // some secret is a User

	bodies   *memo.Memo[*judgement]
	key      []byte    // of digests
	workers  []*worker // all that there were
	replacer *finder   // of Replace
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
	z := &Sanitizer{names: NewPseudonyms(o.Key), keep: o.Keep, hide: o.Hide, allow: o.Allow, limit: o.Memory / 20, key: make([]byte, 32)}
	rand.Read(z.key) // which never fails
	z.dict, z.texts.scratch = newDictionary(o.Memory/4*3), o.Scratch
	z.dict.beside = o.Scratch != nil
	z.bodies, z.recent = memo.New[*judgement](z.limit), newRecent()
	return z, nil
}

// Pseudonyms returns what takes the place of addresses and names.
func (z *Sanitizer) Pseudonyms() *Pseudonyms { return z.names }

// Learn returns the Sink of the first reading.
func (z *Sanitizer) Learn() *Reading { return newReading(z, nil) }

// Edit returns the Sink of the second reading, which tells an Editor: of what is to be changed, and of all
// else that this has to know.
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
	for _, w := range z.workers {
		z.texts.add(&w.gathered)
	}
	x, w, pairs := newIndex(z.dict), &worker{Sanitizer: z}, make([]byte, 0, runSize)
	for v := range z.texts.sorted() {
		e := z.dict.entry(v)
		k := e.kind()
		z.anyUser = z.anyUser || k == User
		p := w.pseudonym(k, v)
		if pairs = appendPair(pairs, k, v, p); len(pairs) >= runSize {
			z.pairs = append(z.pairs, z.texts.keep(pairs))
			pairs = make([]byte, 0, runSize)
		}
		if p == v {
			continue
		}
		if made := z.dict.entry(p); made != nil {
			*made |= isMade
		}
		if k != Address && isTelling(v) {
			x.add(v, e)
			z.emptyLines = z.emptyLines || strings.Contains(v, "\n\n") || strings.Contains(v, "\n\r\n")
		}
	}
	z.pairs = append(z.pairs, z.texts.keep(pairs))
	x.spare(z.public())
	x.counted()
	z.index = x
	z.forget()
}

// Replace returns a text with all secrets replaced that are found in it, for what is told about a
// recording. It needs what was learned.
func (z *Sanitizer) Replace(text string) string {
	z.learned()
	if z.replacer == nil {
		z.replacer = newFinder(z, nowhere{})
	}
	out, _ := z.replacer.rewrite("text", text, 0)
	return out
}

// nowhere is an Editor that takes no note.
type nowhere struct{}

func (nowhere) Edit(*flow.Conversation, flow.Direction, rewrite.Edit) {}
func (nowhere) Looked(*flow.Conversation, flow.Direction, int64)      {}

func (nowhere) Ignored(*flow.Conversation, flow.Direction, flow.Ignored) error { return nil }
func (nowhere) Finish(*flow.Conversation) error                                { return nil }
