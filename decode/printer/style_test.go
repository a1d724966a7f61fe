package printer

import (
	"bufio"
	"fmt"
	"math"
	"math/rand"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/proto"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "GET /a?b=c HTTP/1.1", "GET /a?b=c HTTP/1.1"},
		{"letters_of_the_world", "Grüße, 世界, مرحبا, 👋", "Grüße, 世界, مرحبا, 👋"},
		{"backslash", `C:\x1b`, `C:\x1b`},
		{"colour", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"title", "\x1b]0;owned\a", `\x1b]0;owned\x07`},
		{"line_ends", "a\r\nb\n", `a\x0d\x0ab\x0a`},
		{"tab_and_backspace", "a\tb\b", `a\x09b\x08`},
		{"nul_and_delete", "\x00\x7f", `\x00\x7f`},
		{"c1_as_unicode", "\u0080\u009b2J\u009f", `\x80\x9b2J\x9f`},
		{"c1_as_a_byte", "\x9b2J", `\x9b2J`},
		{"first_behind_c1", "\u00a0", "\u00a0"},
		{"not_utf8", "caf\xe9 \xff", `caf\xe9 \xff`},
		{"cut_utf8", "\xe4\xb8", `\xe4\xb8`},
		{"surrogate", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"replacement_character", "\ufffd", "\ufffd"},
		{"separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"overrides", "\u202a\u202b\u202c\u202d\u202e", `\u202a\u202b\u202c\u202d\u202e`},
		{"isolates", "\u2066\u2067\u2068\u2069", `\u2066\u2067\u2068\u2069`},
		{"marks", "\u061c\u200e\u200f", `\u061c\u200e\u200f`},
		{"no_width", "a\u200bb\u200d\u2060\ufeff", `a\u200bb\u200d\u2060\ufeff`},
		{"beside_the_harmful", "\u200a\u2010\u2027\u202f\u205f\u2070", "\u200a\u2010\u2027\u202f\u205f\u2070"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Clean(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// FuzzClean wants nothing proto.Harmful to come through, whatever is harmless to come
// through as it is, and what is clean to stay.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J", "a\u202eb", "\xff\xc2", "世界\u0085", "\ufeff\\x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, proto.Harmful) {
			t.Errorf("%q becomes %q", s, got)
		}
		if again := Clean(got); again != got {
			t.Errorf("%q becomes %q, and then %q", s, got, again)
		}
		for r := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == utf8.RuneError || proto.Harmful(r) }) {
			if !strings.Contains(got, r) {
				t.Errorf("%q is lost of %q: %q", r, s, got)
			}
		}
	})
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "1 kB", 1001: "1 kB", 1234: "1.23 kB", 12_345: "12.3 kB", 123_456: "123 kB",
		999_499: "999 kB", 999_500: "1 MB", 999_999: "1 MB", 1_000_000: "1 MB", 999_999_999: "1 GB", 1_500_000_000_000: "1.5 TB",
		math.MaxInt64: "9.22 EB", -1: "-1 B", -5000: "-5000 B",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "1 ns", 999: "999 ns", 1000: "1.00 µs", 1234: "1.23 µs", 9_994: "9.99 µs", 9_995: "10.0 µs", 12_345: "12.3 µs", 99_949: "99.9 µs",
		99_950: "100 µs", 123_456: "123 µs", 999_499: "999 µs", 999_500: "1.00 ms", 999_999: "1.00 ms", time.Millisecond: "1.00 ms",
		9_999_999: "10.0 ms", 999_999_999: "1.00 s", time.Second: "1.00 s", 59_960 * time.Millisecond: "60.0 s", 99_940 * time.Millisecond: "99.9 s",
		99_999 * time.Millisecond: "100 s", 100 * time.Second: "1m40s", 3 * time.Hour: "3h0m0s", 90*time.Minute + 400*time.Millisecond: "1h30m0s",
		1000 * time.Hour: "1000h0m0s", -1: "-1 ns", -1500 * time.Microsecond: "-1.50 ms", -2 * time.Hour: "-2h0m0s",
		// The differences of times that are too far apart, which cannot be rounded.
		math.MaxInt64: "2562047h47m16.854775807s", math.MinInt64: "-2562047h47m16.854775807s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %s, want %s", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0 packets", 1: "1 packet", 2: "2 packets", -1: "-1 packets"} {
		if got := Count(n, "packet"); got != want {
			t.Errorf("Count(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"abc", 0, "abc"}, {"abc", -1, "abc"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abc", 1, "…"}, {"", 1, ""},
		{"äöü", 3, "äöü"}, {"äöüß", 3, "äö…"}, {"世界世界", 2, "世…"},
	} {
		if got := fit(c.in, c.n); got != c.want {
			t.Errorf("fit(%s, %d) = %s, want %s", c.in, c.n, got, c.want)
		}
	}
}

// menu is a table whose third column is the widest and whose second is next; more columns
// are empty.
func menu(style Style, more ...string) *table {
	m := &table{style: style, head: append([]string{"NO", "DISH", "MADE OF", "PRICE"}, more...), right: []bool{true, false, false, true}}
	add := func(paints []paint, cells ...string) { m.add(paints, append(cells, make([]string, len(more))...)...) }
	add([]paint{dim, green}, "1", "soup of the day", "whatever was left yesterday, and onions", "3")
	add([]paint{dim, "", yellow}, "12", "käse", "", "10.50")
	add(nil, "100", "nothing", "–", "")
	return m
}

func TestTable(t *testing.T) {
	for _, c := range []struct {
		name  string
		style Style
		want  string
	}{
		{"any_width", Style{}, `
 NO  DISH             MADE OF                                  PRICE
  1  soup of the day  whatever was left yesterday, and onions      3
 12  käse                                                      10.50
100  nothing          –
`},
		{"exactly_wide_enough", Style{Width: 68}, `
 NO  DISH             MADE OF                                  PRICE
  1  soup of the day  whatever was left yesterday, and onions      3
 12  käse                                                      10.50
100  nothing          –
`},
		{"one_too_narrow", Style{Width: 67}, `
 NO  DISH             MADE OF                                 PRICE
  1  soup of the day  whatever was left yesterday, and onio…      3
 12  käse                                                     10.50
100  nothing          –
`},
		{"two_columns_cut", Style{Width: 40}, `
 NO  DISH           MADE OF        PRICE
  1  soup of the …  whatever was…      3
 12  käse                          10.50
100  nothing        –
`},
		// Columns of twelve say little enough: a terminal may break the lines.
		{"too_narrow_for_all", Style{Width: 10}, `
 NO  DISH          MADE OF       PRICE
  1  soup of the…  whatever wa…      3
 12  käse                        10.50
100  nothing       –
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, "\n"+rendered(menu(c.style))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestSpareColumns leaves out what one can do without before what is left can't be read: what
// is empty first.
func TestSpareColumns(t *testing.T) {
	m := menu(Style{Width: 45}, "EMPTY")
	m.spare = []int{3, 1}
	for width, want := range map[int]string{
		50: " NO  DISH             MADE OF                PRICE",
		45: " NO  DISH             MADE OF           PRICE",
		44: " NO  DISH             MADE OF",
		24: " NO  MADE OF",
	} {
		m.style.Width = width
		if head, _, _ := strings.Cut(rendered(m), "\n"); head != want {
			t.Errorf("%d columns: %q, want %q", width, head, want)
		}
	}
}

func TestTableColor(t *testing.T) {
	m := &table{style: Style{Color: true}, head: []string{"A", "B"}, right: []bool{true}}
	m.add([]paint{dim, red}, "1", "x")
	m.add([]paint{"", yellow}, "22", "")
	want := " \x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m\n \x1b[2m1\x1b[0m  \x1b[31mx\x1b[0m\n22\n"
	if got := rendered(m); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// sgr matches the sequences that paint writes.
var sgr = regexp.MustCompile("\x1b\\[[0-9]*m")

// TestTableRandom makes tables of any cells: no line is wider than asked for when
// that is possible, nothing is cut that need not be, a rune is whole or not there,
// and colours change nothing else.
func TestTableRandom(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for i := range 500 {
		m := &table{}
		columns := 1 + r.Intn(5)
		for c := range columns {
			m.head = append(m.head, fmt.Sprintf("C%d", c))
			m.right = append(m.right, r.Intn(2) == 0)
		}
		for range r.Intn(5) {
			cells := make([]string, columns)
			for c := range cells {
				cells[c] = strings.Repeat([]string{"a", "ä", "世", "👋"}[r.Intn(4)], r.Intn(30))
			}
			m.add([]paint{red, "", dim}, cells...)
		}
		whole := rendered(m)
		full := 0
		for line := range strings.Lines(whole) {
			full = max(full, utf8.RuneCountInString(line)-1)
		}
		m.style.Width = 1 + r.Intn(120)
		cut := rendered(m)
		for line := range strings.Lines(cut) {
			if n := utf8.RuneCountInString(line) - 1; n > max(m.style.Width, 14*columns-2) {
				t.Fatalf("table %d: %d columns in %d:\n%s", i, n, m.style.Width, cut)
			}
		}
		if !utf8.ValidString(cut) {
			t.Fatalf("table %d: a rune is cut: %q", i, cut)
		}
		// A cell at the right that is empty in all rows makes no line wide.
		if m.style.Width >= full+2+len("C0") && cut != whole {
			t.Fatalf("table %d, %d wide, was cut to %d:\n%s", i, full, m.style.Width, cut)
		}
		m.style.Color = true
		painted := rendered(m)
		if got := sgr.ReplaceAllString(painted, ""); got != cut || len(painted) == len(cut) {
			t.Fatalf("table %d: in colour\n%s\nwithout\n%s", i, got, cut)
		}
	}
}

// mask hides all there is.
type mask struct{}

func (mask) Hide(b proto.Body) proto.Body { return b }

func TestRemark(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"plain", "the line is too long", "the line is too long"},
		{"quoted", `kept "p\"ss", ignored "word": 4 bytes differ`, `kept "***", ignored "***": 4 bytes differ`},
		{"cut", `the line "pass`, `the line "***"`},
		{"many_lines", "a \"b\nc\" d", `a "***"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := remark(c.in, mask{}); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if got := remark(c.in, nil); got != c.in {
				t.Errorf("%q, want what it was", got)
			}
		})
	}
}

func rendered(t *table) string {
	var b strings.Builder
	w := bufio.NewWriter(&b)
	t.write(w)
	w.Flush()
	return b.String()
}
