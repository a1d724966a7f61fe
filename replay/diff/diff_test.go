package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/pcaps/craft"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/diff"
	"netlab/replay/noise"
	"netlab/replay/plan"
)

// listing writes outcomes.
type listing struct{ strings.Builder }

func (l *listing) Outcome(o *replay.Outcome) error {
	fmt.Fprintf(l, "%d.%d %s %s%s", o.Conn.ID, o.Check.Index, o.Request, o.Verdict, map[bool]string{true: ": " + o.Reason}[o.Reason != ""])
	for _, d := range o.Differences {
		fmt.Fprintf(l, "; %s", d)
	}
	l.WriteByte('\n')
	return nil
}

func (l *listing) Connection(*replay.ConnOutcome) error { return nil }

// talk is a connection of HTTP: targets and bodies in turn.
func talk(conn string, pairs ...string) string {
	s := fmt.Sprintf("tcp %s 10.1.0.1:4000%d > 10.1.0.2:80\n%s open\n", conn, conn[0]-'a', conn)
	for i := 0; i < len(pairs); i += 2 {
		s += fmt.Sprintf("%s > %q\n", conn, "GET "+pairs[i]+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if pairs[i+1] != "" {
			s += fmt.Sprintf("%s < %q\n", conn, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(pairs[i+1]), pairs[i+1]))
		}
	}
	return s + conn + " close\n"
}

func recording(t *testing.T, name, recipe string) *diff.Recording {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	r := &diff.Recording{Name: name}
	if _, err := decode.Run(b.Source(), r, decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordings(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		opts       diff.Options
		want       string
		notes      []string
	}{
		{
			name: "aligned_whatever_the_order", a: talk("a", "/1", `{"x":1}`, "/2", `{"x":2}`) + talk("b", "/3", `{"x":3}`),
			b:    talk("a", "/3", `{"x":3}`, "/1", `{"x":1}`) + talk("b", "/2", `{"x":4}`),
			want: "0.0 GET h/1 same\n0.1 GET h/2 different; body $.x was 2, is 4\n1.0 GET h/3 same\n",
		},
		{
			name: "the_same_asked_twice", a: talk("a", "/1", `{"x":1}`, "/1", `{"x":2}`), b: talk("a", "/1", `{"x":1}`, "/1", `{"x":2}`),
			want: "0.0 GET h/1 same\n0.1 GET h/1 same\n",
		},
		{
			name: "another_of_the_endpoint", a: talk("a", "/users/1", `{"id":1,"n":null}`), b: talk("a", "/users/77", `{"id":77}`),
			want: "0.0 GET h/users/1 different; body $.n is missing, was null; body $.id was 1, is 77\n",
		},
		{
			name: "requests", a: talk("a", "/users/1", `{"id":1}`), b: talk("a", "/users/77", `{"id":1}`), opts: diff.Options{Requests: true},
			want: "0.0 GET h/users/1 different; request request was \"GET /users/1\", is \"GET /users/77\"\n",
		},
		{
			name: "only_in_one", a: talk("a", "/a", "{}", "/b", "{}"), b: talk("a", "/a", "{}", "/c", "{}", "/d", "{}"),
			want:  "0.0 GET h/a same\n0.1 GET h/b skipped: not asked in B\n",
			notes: []string{"2 exchanges only in B, the first #0.1 GET h/c"},
		},
		{
			name: "no_answer", a: talk("a", "/a", "{}") + talk("b", "/b", ""), b: talk("a", "/a", "") + talk("b", "/b", "{}"),
			want: "0.0 GET h/a failed: no answer in B\n1.0 GET h/b skipped: no answer in the first recording\n",
		},
		{
			name: "turns", a: "tcp a 10.1.0.1:40000 > 10.1.0.2:7\na open\na > \"x\"\na < \"one\"\na close\n", b: "tcp a 10.1.0.1:40000 > 10.1.0.2:7\na open\na > \"x\"\na < \"two\"\na close\n",
			want: "0.0 1 byte \"x\" different; answer at byte 0 was \"one\" of 3 bytes, is \"two\" of 3 bytes\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &listing{}
			r, err := diff.Recordings(recording(t, "A", c.a), recording(t, "B", c.b), l, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, l.String()); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if d := cmp.Diff(c.notes, r.Notes); d != "" {
				t.Errorf("notes: -want +got\n%s", d)
			}
			var sum int64
			for _, n := range r.Checks {
				sum += n
			}
			if sum != int64(strings.Count(c.want, "\n")) {
				t.Errorf("%d are counted", sum)
			}
		})
	}
}

// TestNoise learns from the first recording, in which the same is asked some times.
func TestNoise(t *testing.T) {
	answers := func(from int, name string) []string {
		var pairs []string
		for i := range 4 {
			pairs = append(pairs, "/1", fmt.Sprintf(`{"n":%d,"name":%q}`, from+i, name))
		}
		return pairs
	}
	a, b := recording(t, "A", talk("a", answers(1, "x")...)), recording(t, "B", talk("a", answers(100, "y")...))
	l := &listing{}
	j := noise.New(l, compare.Rules{})
	r, err := diff.Recordings(a, b, j, diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Settle(r); err != nil {
		t.Fatal(err)
	}
	const want = `different; body $.name was "x", is "y"` + "\n"
	if n := strings.Count(l.String(), want); n != 4 || r.Noise != 4 {
		t.Errorf("%d lines, %d noise:\n%s", n, r.Noise, l)
	}
}
