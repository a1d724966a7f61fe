package proto

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAppendString(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"empty":              {"", `""`},
		"plain":              {"hello world 123 ~", `"hello world 123 ~"`},
		"quotes":             {`a"b\c`, `"a\"b\\c"`},
		"lines":              {"a\nb\rc\td", `"a\nb\rc\td"`},
		"controls":           {"\x00\x1b\x1f\x7f", `"\u0000\u001b\u001f\u007f"`},
		"c1_controls":        {"\u0080\u009b\u009f\u00a0", `"\u0080\u009b\u009f` + "\u00a0" + `"`},
		"script":             {"</script>", `"\u003c/script>"`},
		"line_separators":    {"a\u2028b\u2029c", `"a\u2028b\u2029c"`},
		"bidi":               {"\u202a\u202e\u2066\u2069\u202f", `"\u202a\u202e\u2066\u2069` + "\u202f" + `"`},
		"marks":              {"\u061c\u200b\u200f\u2060\ufeff", `"\u061c\u200b\u200f\u2060\ufeff"`},
		"text":               {"äöü 世界 🎉", `"äöü 世界 🎉"`},
		"replacement_itself": {"\ufffd", "\"\ufffd\""},
		"not_utf8":           {"a\xffb\xc3", "\"a\ufffdb\ufffd\""},
		"cut_character":      {"\xe4\xb8", "\"\ufffd\ufffd\""},
		"overlong":           {"\xc0\x80", "\"\ufffd\ufffd\""},
		"surrogate":          {"\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := string(AppendString(nil, tt.in)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if got := string(AppendString([]byte("x:"), []byte(tt.in))); got != "x:"+tt.want {
				t.Errorf("from bytes: %s, want x:%s", got, tt.want)
			}
		})
	}
}

// harmful is what must not stand in JSON as it is.
func harmful(r rune) bool {
	return r == '<' || Harmful(r)
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x7f<", "\u0080\u2028\u202e\u2069", "ä世🎉", "eight by eight, one <\\\"", "\u202eplain text ä plain text \x80", "\xff\xc3\xe4\xb8\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		// A range over a string yields U+FFFD for each byte that is no UTF-8.
		if want := string([]rune(s)); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
		for name, got := range map[string][]byte{"a string": b, "bytes": AppendString(nil, []byte(s)), "what is there": quote(append([]byte("x\""), s...), 1)[1:]} {
			if want := oldAppendString(nil, s); !bytes.Equal(got, want) {
				t.Errorf("%q from %s is %s, want %s", s, name, got, want)
			}
		}
		if !utf8.Valid(b) || strings.ContainsFunc(string(b), harmful) {
			t.Errorf("%q holds what it should not", b)
		}
	})
}

func TestAppendTime(t *testing.T) {
	tests := map[string]struct {
		t    time.Time
		want string
	}{
		"usual":        {time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.UTC), "2024-02-29T23:59:58.123456789Z"},
		"whole_second": {time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), "2024-01-01T00:00:00.000000000Z"},
		"with_a_zone":  {time.Date(2024, 1, 1, 0, 0, 0, 5, time.FixedZone("", -5400)), "2024-01-01T00:00:00.000000005-01:30"},
		"zero":         {time.Time{}, "0001-01-01T00:00:00.000000000Z"},
		"year_0":       {time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), "0000-01-01T00:00:00.000000000Z"},
		"year_9999":    {time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), "9999-12-31T23:59:59.999999999Z"},
		"year_10000":   {time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00.000000000Z"},
		"before_zero":  {time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00.000000000Z"},
		"as_pcap_can":  {time.Unix(math.MaxUint32, 999_999_999).UTC(), "2106-02-07T06:28:15.999999999Z"},
		"as_pcapng":    {time.Unix(0, math.MinInt64).UTC(), "1677-09-21T00:12:43.145224192Z"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := AppendTime(nil, tt.t)
			if string(b) != `"`+tt.want+`"` {
				t.Errorf("%s, want %q", b, tt.want)
			}
			var got time.Time
			if err := json.Unmarshal(b, &got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAppendMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                       "0",
		1:                       "0.000001",
		time.Microsecond:        "0.001",
		1200 * time.Microsecond: "1.2",
		time.Millisecond:        "1",
		90 * time.Minute:        "5400000",
		-time.Millisecond:       "-1",
		math.MaxInt64:           "9223372036854.775",
	} {
		b := AppendMillis(nil, d)
		if string(b) != want {
			t.Errorf("%d: %s, want %s", d, b, want)
		}
		if !json.Valid(b) {
			t.Errorf("%s is not JSON", b)
		}
	}
}

// TestAppendStringAsReference has each byte stand at each place of the eight that
// are looked at together, alone and beside another.
func TestAppendStringAsReference(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				for _, before := range []byte("a\x00\"\xff") {
					s := bytes.Repeat([]byte{'a'}, n)
					if at > 0 {
						s[at-1] = before
					}
					s[at] = byte(c)
					if got, want := AppendString(nil, s), oldAppendString(nil, s); !bytes.Equal(got, want) {
						t.Fatalf("%q is %s, want %s", s, got, want)
					}
				}
			}
		}
	}
}

// sameNumbers holds a time and a duration to the reference.
func sameNumbers(t *testing.T, clock *Clock, at time.Time, d time.Duration) {
	t.Helper()
	want := oldAppendTime(nil, at)
	for _, got := range [][]byte{AppendTime(nil, at), clock.AppendTime(nil, at), clock.AppendTime(nil, at)} {
		if !bytes.Equal(got, want) {
			t.Errorf("%v is %s, want %s", at, got, want)
		}
	}
	if got, want := AppendMillis(nil, d), oldAppendMillis(nil, d); !bytes.Equal(got, want) {
		t.Errorf("%d ns are %s, want %s", d, got, want)
	}
}

func TestAppendNatural(t *testing.T) {
	numbers := []uint64{math.MaxUint64}
	for n := uint64(1); n < 1e19; n *= 10 {
		numbers = append(numbers, n-1, n, n+1, 2*n, 9*n)
	}
	for _, n := range numbers {
		if got, want := AppendNatural([]byte("n "), n), strconv.AppendUint([]byte("n "), n, 10); !bytes.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// edges are times and durations where something begins or ends.
var edges = []int64{0, 1, 999, 1e6, 1e9 - 1, 1e9, 999_999_999_999_999, 1e15, 1e15 + 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64, math.MinInt64,
	-62167219201, -62167219200, -62135596800, 253402300799, 253402300800}

func TestNumbersAsReference(t *testing.T) {
	var clock Clock
	for _, n := range edges {
		for _, n := range []int64{n, -n} {
			sameNumbers(t, &clock, time.Unix(n, 5).UTC(), time.Duration(n))
			sameNumbers(t, &clock, time.Unix(n, 6).In(time.FixedZone("", 3600)), time.Duration(n))
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		at := time.Unix(r.Int64()>>(28+r.IntN(30)), r.Int64N(1e9)).UTC()
		if r.IntN(8) == 0 {
			at = at.In(time.FixedZone("", r.IntN(100_000)-50_000))
		}
		sameNumbers(t, &clock, at, time.Duration(r.Uint64())>>r.IntN(64))
	}
}

func FuzzNumbers(f *testing.F) {
	for _, n := range edges {
		f.Add(n, n, 0)
		f.Add(n, -n, -5400)
	}
	f.Fuzz(func(t *testing.T, second, ns int64, zone int) {
		at := time.Unix(second, ns).UTC()
		if zone != 0 {
			at = at.In(time.FixedZone("", zone%100_000))
		}
		var clock Clock
		clock.AppendTime(nil, at.Add(time.Second))
		sameNumbers(t, &clock, at, time.Duration(ns))
	})
}
