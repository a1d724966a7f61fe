package redact

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
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
	s := &Summary{Messages: z.messages, Changed: z.changed, Kept: z.kept, Lost: z.dict.lost}
	for k := range kindCount {
		if len(z.where[k]) == 0 {
			continue // all of them stayed, as localhost
		}
		c := Count{Kind: k, Values: z.dict.found[k], Where: maps.Clone(z.where[k])}
		for _, n := range c.Where {
			c.Places += n
		}
		s.Found = append(s.Found, c)
	}
	for why, b := range z.blanked {
		s.Blanked = append(s.Blanked, Blank{why, b.Messages, b.Bytes})
	}
	slices.SortFunc(s.Blanked, func(a, b Blank) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Why, b.Why))
	})
	return s
}

// count counts a secret that was replaced.
func (z *Sanitizer) count(k Kind, where string) {
	if z.where[k] == nil {
		z.where[k] = make(map[string]int64)
	}
	z.where[k][where]++
}

// blank counts what was blanked.
func (z *Sanitizer) blank(why string, bytes int64) {
	if z.blanked == nil {
		z.blanked = make(map[string]*Blank)
	}
	b := z.blanked[why]
	if b == nil {
		b = &Blank{Why: why}
		z.blanked[why] = b
	}
	b.Messages++
	b.Bytes += bytes
}

// Map writes each secret of the dictionary with its pseudonym, as JSON Lines: it is for the one
// whose recording it is, and nobody else.
func (z *Sanitizer) Map(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, v := range slices.Sorted(maps.Keys(z.dict.values)) {
		k := z.dict.values[v]
		line := struct {
			Kind      string `json:"kind"`
			Original  string `json:"original"`
			Pseudonym string `json:"pseudonym"`
		}{k.String(), v, z.pseudonym(k, v)}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
