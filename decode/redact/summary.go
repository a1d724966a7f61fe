package redact

import (
	"cmp"
	"io"
	"maps"
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
	for k := range kindCount {
		if len(all.where[k]) == 0 {
			continue // all of them stayed, as localhost
		}
		c := Count{Kind: k, Values: values[k], Where: all.where[k]}
		for _, n := range c.Where {
			c.Places += n
		}
		s.Found = append(s.Found, c)
	}
	s.Blanked = slices.AppendSeq(s.Blanked, maps.Values(all.blanked))
	slices.SortFunc(s.Blanked, func(a, b Blank) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Why, b.Why))
	})
	return s
}

// tally counts what was done.
type tally struct {
	where   [kindCount]map[string]int64 // how many were replaced where
	kept    int64
	blanked map[string]Blank

	messages, changed int64 // those that were looked at, and those in which something was replaced
}

// count counts a secret that was replaced.
func (t *tally) count(k Kind, where string) { t.addCount(k, where, 1) }

func (t *tally) addCount(k Kind, where string, n int64) {
	if t.where[k] == nil {
		t.where[k] = make(map[string]int64)
	}
	t.where[k][where] += n
}

// blank counts what was blanked.
func (t *tally) blank(why string, bytes int64) { t.addBlank(Blank{why, 1, bytes}) }

func (t *tally) addBlank(b Blank) {
	if t.blanked == nil {
		t.blanked = make(map[string]Blank)
	}
	sum := t.blanked[b.Why]
	t.blanked[b.Why] = Blank{b.Why, sum.Messages + b.Messages, sum.Bytes + b.Bytes}
}

// add counts what another counted.
func (t *tally) add(other *tally) {
	for k, where := range other.where {
		for place, n := range where {
			t.addCount(Kind(k), place, n)
		}
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
