package plan_test

import (
	"testing"

	"netlab/replay/plan"
)

// TestEditor makes the same of a text however it is cut, after another has changed it, too.
func TestEditor(t *testing.T) {
	const text, want = "abcdefghij", "ab-longer-g<host>h!"
	others := []plan.Edit{{At: 3, Length: 1, With: []byte("never seen")}, {At: 7, With: []byte("<host>")}}
	edits := []plan.Edit{{At: 2, Length: 3, With: []byte("-longer-")}, {At: 5, Length: 1}, {At: 8, Length: 2, With: []byte("!")}}
	for piece := 1; piece <= len(text); piece++ {
		var before, e plan.Editor
		before.Add(others[1])
		e.Add(edits[:2]...)
		got := ""
		for i := 0; i < len(text); i += piece {
			if i == piece && piece <= 4 || i == 0 && piece > 4 { // in time
				e.Add(edits[2:]...)
			}
			s := plan.Step{Offset: int64(i), Bytes: []byte(text[i:min(len(text), i+piece)])}
			before.Next(&s)
			e.Next(&s)
			got += string(s.Bytes)
			if end := int64(min(len(text), i+piece)); s.Ends() != end {
				t.Errorf("in pieces of %d: a step ends at %d, not %d", piece, s.Ends(), end)
			}
		}
		if got != want {
			t.Errorf("in pieces of %d: %q, want %q", piece, got, want)
		}
	}
	// What was changed already stays.
	var before, e plan.Editor
	before.Add(others[0])
	e.Add(edits[0])
	s := plan.Step{Bytes: []byte(text)}
	before.Next(&s)
	e.Next(&s)
	if want := "abcnever seenefghij"; string(s.Bytes) != want {
		t.Errorf("%q, want %q", s.Bytes, want)
	}
	data := []byte("xy")
	if s := (plan.Step{Bytes: data}); true {
		e.Next(&s)
		if &s.Bytes[0] != &data[0] {
			t.Error("what stays as it is was copied")
		}
	}
}
