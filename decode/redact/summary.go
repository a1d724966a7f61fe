package redact

import (
	"cmp"
	"io"
	"slices"

	"netlab/decode/proto"
)

// Summary says what a Sanitizer found and what it did.
type Summary struct {
	// Found has one Count for each kind that was found, in the order of kinds.
	Found []Count
	// Messages counts those that were looked at, Changed those in which something was
	// replaced.
	Messages, Changed int64
	// Blanked says what was not understood, the most bytes first.
	Blanked []Blank
	// Kept counts the values that rules had stay.
	Kept int64
	// Lost counts secrets for which the dictionary had no room: they were replaced where they
	// were found, and not looked for elsewhere.
	Lost int64
}

// Count is about the secrets of one kind.
type Count struct {
	Kind   Kind
	Values int64            // distinct ones
	Places int64            // where they were replaced
	Where  map[string]int64 // of these, by where: "http header", "dns name"
}

// Blank is about what was blanked for one reason.
type Blank struct {
	Why      string
	Messages int64 // or parts of them, or of a stream
	Bytes    int64
}

// Summary returns what was found and done so far.
func (z *Sanitizer) Summary() *Summary {
	var all tally
	for _, w := range z.workers {
		all.add(&w.tally)
	}
	_, values := z.dict.values()
	s := &Summary{Messages: all.messages, Changed: all.changed, Kept: all.kept, Lost: z.dict.full()}
	slices.SortFunc(all.places, func(a, b placed) int { return cmp.Compare(a.kind, b.kind) })
	for _, p := range all.places { // those of which all stayed, as localhost, are in none
		if n := len(s.Found); n == 0 || s.Found[n-1].Kind != p.kind {
			s.Found = append(s.Found, Count{Kind: p.kind, Values: values[p.kind], Where: make(map[string]int64)})
		}
		c := &s.Found[len(s.Found)-1]
		c.Places += p.n
		c.Where[p.where] = p.n
	}
	s.Blanked = all.blanked
	slices.SortFunc(s.Blanked, func(a, b Blank) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Why, b.Why))
	})
	return s
}

// tally counts what was done.
type tally struct {
	places  []placed
	kept    int64
	blanked []Blank

	messages, changed int64 // those that were looked at, and those in which something was replaced
}

// placed counts how many secrets of a kind were replaced somewhere. There are few such places.
type placed struct {
	kind  Kind
	where string
	n     int64
}

// count counts a secret that was replaced.
func (t *tally) count(k Kind, where string) { t.addCount(placed{k, where, 1}) }

func (t *tally) addCount(p placed) {
	for i := range t.places {
		if a := &t.places[i]; a.kind == p.kind && a.where == p.where {
			a.n += p.n
			return
		}
	}
	t.places = append(t.places, p)
}

// blank counts what was blanked.
func (t *tally) blank(why string, bytes int64) { t.addBlank(Blank{why, 1, bytes}) }

func (t *tally) addBlank(b Blank) {
	for i := range t.blanked {
		if a := &t.blanked[i]; a.Why == b.Why {
			a.Messages, a.Bytes = a.Messages+b.Messages, a.Bytes+b.Bytes
			return
		}
	}
	t.blanked = append(t.blanked, b)
}

// add counts what another counted.
func (t *tally) add(other *tally) {
	for _, p := range other.places {
		t.addCount(p)
	}
	for _, b := range other.blanked {
		t.addBlank(b)
	}
	t.kept += other.kept
	t.messages += other.messages
	t.changed += other.changed
}

// tallied returns what is counted meanwhile, which it counts too.
func (w *worker) tallied(f func()) tally {
	before := w.tally
	w.tally = tally{}
	f()
	t := w.tally
	w.tally = before
	w.tally.add(&t)
	return t
}

// Map writes each secret of the dictionary with its pseudonym, as JSON Lines in the order of the secrets: it
// is for the one whose recording it is, and nobody else.
func (z *Sanitizer) Map(w io.Writer) error {
	z.learned()
	for _, r := range z.pairs {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	return z.texts.failed()
}

// appendPair appends a line of the Map.
func appendPair(dst []byte, k Kind, original, pseudonym string) []byte {
	dst = append(append(append(dst, `{"kind":"`...), k.String()...), `","original":`...)
	dst = append(proto.AppendString(dst, original), `,"pseudonym":`...)
	return append(proto.AppendString(dst, pseudonym), "}\n"...)
}
