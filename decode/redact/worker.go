package redact

import (
	"cmp"
	"slices"
	"strings"

	"netlab/decode/memo"
)

// worker is what one of those that go through messages at a time has of its own, beside what the Sanitizer
// has for all.
type worker struct {
	*Sanitizer
	tally
	public   public
	gathered gathered // that was learned
	digests  *memo.Digester
	memory
}

// memory is what a worker remembers, to be quicker.
type memory struct {
	kinds     map[string]int8 // what names mean
	coders    coders
	headers   map[string]httpName
	lines     map[string]*judgement // of heads
	lineBytes int64
}

// maxWorkers is about how many there are at a time: so many have a part of the memory that is for all.
const maxWorkers = 16

// worker returns another one, whose counts count.
func (z *Sanitizer) worker() *worker {
	w := &worker{Sanitizer: z, digests: memo.NewDigester(z.key)}
	z.workers = append(z.workers, w)
	return w
}

// forget has no worker remember anything: what comes next is another reading.
func (z *Sanitizer) forget() {
	for _, w := range z.workers {
		w.memory, w.gathered = memory{}, gathered{}
	}
}

// learn takes note of a secret.
func (w *worker) learn(k Kind, value string) {
	if w.dict.add(k, value) && w.gathered.add(value) {
		w.texts.add(&w.gathered)
	}
}

// pseudonym is what takes the place of a value: the same wherever it stands.
func (w *worker) pseudonym(k Kind, value string) string {
	at, p := w.recent.get(value)
	if p != "" {
		return p
	}
	if known, ok := w.dict.kind(value); ok {
		k = known
	}
	if k == Host {
		p = w.names.Host(value)
	} else {
		p = w.names.Text(value)
	}
	w.recent.put(at, value, p)
	return p
}

// stays takes note of a text that stays wherever it is.
func (w *worker) stays(text string) {
	if w.index == nil { // else all is learned
		w.public.add(text)
	}
}

// public is what stays in messages as it is: what is a part of it is no secret to look for. There is
// room for the shortest texts, so that it does not depend on which came first, nor on who saw
// them.
type public struct {
	texts  map[string]bool
	sorted []string
	size   int
}

// maxPublic bounds what is known to stay.
const maxPublic = 16 << 10

func shorter(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// add takes note of a text.
func (p *public) add(text string) {
	if p.texts[text] || p.size+len(text) > maxPublic && (len(p.sorted) == 0 || shorter(text, p.sorted[len(p.sorted)-1]) > 0) {
		return
	}
	if p.texts == nil {
		p.texts = make(map[string]bool)
	}
	text = strings.Clone(text)
	i, _ := slices.BinarySearchFunc(p.sorted, text, shorter)
	p.texts[text], p.sorted, p.size = true, slices.Insert(p.sorted, i, text), p.size+len(text)
	for p.size > maxPublic {
		last := p.sorted[len(p.sorted)-1]
		delete(p.texts, last)
		p.sorted, p.size = p.sorted[:len(p.sorted)-1], p.size-len(last)
	}
}

// public is what all workers saw that stays.
func (z *Sanitizer) public() string {
	var all public
	for _, w := range z.workers {
		for _, text := range w.public.sorted {
			all.add(text)
		}
	}
	return strings.Join(all.sorted, "\n")
}
