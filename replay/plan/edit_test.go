package plan_test

import (
	"testing"

	"netlab/replay/plan"
)

// TestEditor makes the same of a text however it is cut, and returns what stays as it is.
func TestEditor(t *testing.T) {
	edits := []plan.Edit{{At: 2, Length: 3, With: []byte("-longer-")}, {At: 5, Length: 1}, {At: 8, Length: 2, With: []byte("!")}}
	const text, want = "abcdefghij", "ab-longer-gh!"
	for piece := 1; piece <= len(text); piece++ {
		var e plan.Editor
		e.Add(edits[:2]...)
		got := ""
		for i := 0; i < len(text); i += piece {
			if i == piece && piece <= 4 || i == 0 && piece > 4 { // in time
				e.Add(edits[2:]...)
			}
			got += string(e.Next(int64(i), []byte(text[i:min(len(text), i+piece)])))
		}
		if got != want {
			t.Errorf("in pieces of %d: %q, want %q", piece, got, want)
		}
	}
	var e plan.Editor
	e.Add(edits...)
	data := []byte("xy")
	if got := e.Next(0, data); &got[0] != &data[0] {
		t.Error("what stays as it is was copied")
	}
}
