package values

import (
	"strings"
	"testing"
)

// TestAlike takes what stands for something recorded for the same, and nothing else.
func TestAlike(t *testing.T) {
	l := NewLive(&Found{}, 0)
	for was, is := range map[string]string{token: other, "ab+/cd==": "xy/+zw==", "s%3Aabc": "s%3Adef"} {
		l.pairs[was] = []pair{{live: is}}
	}
	l.pairs["7"] = []pair{{live: "12", name: "id", weak: true, one: true}}
	tests := map[string]struct {
		path, was, is string
		want          bool
	}{
		"itself":               {"body $.token", token, other, true},
		"within":               {"body", "<b>" + token + "</b><i>" + token + "!", "<b>" + other + "</b><i>" + other + "!", true},
		"and_more":             {"body", token + ", hello", other + ", jello", false},
		"and_shorter":          {"body", token + ", hello", other, false},
		"another":              {"body", token, "A" + other[1:], false},
		"a_part_of_it":         {"body", token + "x", other + "x", false},
		"base64":               {"body", `"ab+/cd=="`, `"xy/+zw=="`, true},
		"base64_begins_alike":  {"body", `t=ab+/cd==&u=1`, `t=xy/+zw==&u=1`, true},
		"cookie":               {"header x", "sid=s%3Aabc; Path=/", "sid=s%3Adef; Path=/", true},
		"short_by_its_name":    {"body $.id", "7", "12", true},
		"short_of_another":     {"body $.user_id", "7", "12", true},
		"short_without_a_name": {"body $.count", "7", "12", false},
		"short_in_a_path":      {"header location", "/users/7", "/users/12", true},
		"short_in_a_text":      {"body", "7 items", "12 items", false},
		"the_other_way":        {"body", other, token, false},
		"both_ends":            {"body", "", token, false},
		"nothing":              {"body", "", "", true},
	}
	for trait, test := range tests {
		if got := l.alike(test.path, test.was, test.is); got != test.want {
			t.Errorf("%s: %q and %q: %v, want %v", trait, test.was, test.is, got, test.want)
		}
	}
	long := strings.Repeat("x", 1<<20)
	if l.alike("body", long+"a", long+"b") {
		t.Error("long texts that differ are alike")
	}
}

// TestEcho learns from one answer what another one may say, also where nothing carries it.
func TestEcho(t *testing.T) {
	x := find(t, talk(`a > GET /1`+"\n"+`a < 200|Set-Cookie: s=`+token+`|Content-Type: text/html||<input type=hidden name=csrf value=`+other+`>`+"\n"+
		`a > POST /2|Cookie: s=`+token+`|Content-Type: application/x-www-form-urlencoded||csrf=`+other+"\n"+
		`a < 200|Content-Type: text/html||<p>`+token+`</p><input type=hidden name=csrf value=c4E6g8I0k2M4o6Q8>`), Options{})
	now := strings.NewReplacer(token, "n1N2n3N4n5", other, "m1M2m3M4m5", "c4E6g8I0k2M4o6Q8", "o1O2o3O4o5")
	l := NewLive(x.found, 0)
	for i, e := range x.exchanges {
		live := answered(t, e.Request, now.Replace(string(e.Response.Raw)))
		alike := l.Alike(refOf(e), e.Response, live)
		page := e.Response.Raw
		if !alike("body", string(page), now.Replace(string(page))) {
			t.Errorf("%d is not alike", i)
		}
		if alike("body", string(page)+"x", now.Replace(string(page))) {
			t.Errorf("%d is alike to something else", i)
		}
	}
}
