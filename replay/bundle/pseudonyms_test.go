package bundle

import (
	"bytes"
	"strings"
	"testing"
)

func known(t testing.TB, list ...string) *Pseudonyms {
	t.Helper()
	var file bytes.Buffer
	if err := WritePseudonyms(&file, list); err != nil {
		t.Fatal(err)
	}
	p, err := ReadPseudonyms(&file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPseudonymsAlike(t *testing.T) {
	p := known(t, "laa", "laa@hbbwcal.com", "4111 9670 6165 1137", "10.206.201.194")
	for _, c := range []struct {
		recorded, live string
		alike          bool
	}{
		{"laa", "bob", true},
		{"laa@hbbwcal.com", "bob@example.com", true},
		{"4111 9670 6165 1137", "4111111111111111", true},
		{"Hello laa, you are laa@hbbwcal.com.", "Hello Robert, you are bob@example.com.", true},
		{"/x?mail=laa%40hbbwcal.com&n=1", "/x?mail=bob%40example.com&n=1", true},
		{"laa laa", "bob bob", true},
		{"from 10.206.201.194:80", "from 10.1.2.3:80", true},

		{"laa", "", false},                         // nothing is no name
		{"Hello laa", "Goodbye bob", false},        // more differs than the name
		{"Hello laa!", "Hello bob?", false},        // also behind it
		{"laab", "bobb", false},                    // a part of a word is none
		{"lab", "bob", false},                      // not in the list
		{"laa", strings.Repeat("bob ", 30), false}, // that is another text
		{"user=laa&n=1", "user=bob" + strings.Repeat("x", 100) + "&n=1", false},
		{"laa" + strings.Repeat(" ", maxAlike), "bob" + strings.Repeat(" ", maxAlike), false},
	} {
		before := p.Met()
		if got := p.Alike("body", c.recorded, c.live); got != c.alike {
			t.Errorf("%.60q and %.60q: alike is %v", c.recorded, c.live, got)
		}
		if met := p.Met() - before; (met == 1) != c.alike {
			t.Errorf("%.60q and %.60q: %d were met", c.recorded, c.live, met)
		}
	}
}

func TestReadPseudonymsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"\"a\"\nb\n":                              "line 2",
		strings.Repeat("x", 2*maxPseudonym):       "too long",
		strings.Repeat("\"\"\n", MaxPseudonyms+1): "more than",
	} {
		if _, err := ReadPseudonyms(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// FuzzPseudonyms puts something else in place of a pseudonym: that is alike, and no text is
// like another when it has no pseudonym in it.
func FuzzPseudonyms(f *testing.F) {
	f.Add("a ", "name", " z", "x")
	f.Add("", "10.0.0.1", "", "::1")
	f.Fuzz(func(t *testing.T, before, pseudonym, behind, live string) {
		before, behind = before+" ", " "+behind
		p, none := known(t, pseudonym), known(t)
		recorded, now := before+pseudonym+behind, before+live+behind
		if none.Alike("", recorded, now) {
			t.Errorf("%q and %q are alike without a pseudonym", recorded, now)
		}
		sole := pseudonym != "" && len(pseudonym) < maxPseudonym/6 && strings.ToValidUTF8(pseudonym, "") == pseudonym &&
			strings.Count(recorded, pseudonym) == 1 && strings.IndexFunc(pseudonym, func(r rune) bool { return r == ' ' || r == '%' || r == '+' }) < 0
		if fills := live != "" && len(live) <= len(pseudonym) && !strings.Contains(live, " ") && max(len(recorded), len(now)) < maxAlike; sole && fills && !p.Alike("", recorded, now) {
			t.Errorf("%q and %q are not alike, with the pseudonym %q", recorded, now, pseudonym)
		}
	})
}
