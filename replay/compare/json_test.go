package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJSON(t *testing.T) {
	long := strings.Repeat("x", 200)
	deep := func(n int, inside string) string {
		return strings.Repeat("[", n) + inside + strings.Repeat("]", n)
	}
	for _, c := range []struct {
		name, recorded, live string
		want                 []string
	}{
		{name: "same", recorded: `{"a":1}`, live: `{"a":1}`},
		{name: "key_order", recorded: `{"a":1,"b":{"c":2,"d":3}}`, live: `{"b":{"d":3,"c":2},"a":1}`},
		{name: "white_space", recorded: "{\"a\":[1,2]}", live: "\r\n{ \"a\" :\t[ 1 , 2 ] }\n"},
		{name: "escapes", recorded: `{"a":"\u00e9\/\n"}`, live: "{\"\\u0061\":\"é/\\u000a\"}"},
		{name: "nested", recorded: `{"a":{"b":[1,{"c":true}]}}`, live: `{"a":{"b":[1,{"c":false}]}}`, want: []string{"body $.a.b[1].c was true, is false"}},
		{name: "several", recorded: `{"a":1,"b":2,"c":3}`, live: `{"c":4,"b":2,"a":5}`, want: []string{"body $.a was 1, is 5", "body $.c was 3, is 4"}},
		{name: "the_value_itself", recorded: `"a"`, live: `"b"`, want: []string{`body $ was "a", is "b"`}},
		{name: "missing", recorded: `{"a":{"b":1,"c":2}}`, live: `{"a":{"b":1}}`, want: []string{"body $.a.c is missing, was 2"}},
		{name: "extra", recorded: `{"a":{"b":1}}`, live: `{"a":{"b":1,"c":[1,2]}}`, want: []string{"body $.a.c is new: an array of 2"}},
		{name: "null_is_not_missing", recorded: `{"a":null}`, live: `{}`, want: []string{"body $.a is missing, was null"}},
		{name: "array_shorter", recorded: `[1,2,3]`, live: `[1]`, want: []string{"body $[1] is missing, was 2", "body $[2] is missing, was 3"}},
		{name: "array_longer", recorded: `[]`, live: `[{"a":1}]`, want: []string{"body $[0] is new: an object of 1"}},
		{name: "array_in_order", recorded: `[1,2]`, live: `[2,1]`, want: []string{"body $[0] was 1, is 2", "body $[1] was 2, is 1"}},
		{
			name: "types", recorded: `[1,"1",null,true,[],{}]`, live: `["1",1,false,null,{},[]]`,
			want: []string{
				`body $[0] was 1, is "1"`, `body $[1] was "1", is 1`, "body $[2] was null, is false", "body $[3] was true, is null",
				"body $[4] was an array of 0, is an object of 0", "body $[5] was an object of 0, is an array of 0",
			},
		},
		{
			// A change of type breaks more clients than a change of value.
			name: "riskiest_first", recorded: `{"a":1,"b":1,"c":1}`, live: `{"a":2,"b":"1","d":1}`,
			want: []string{`body $.b was 1, is "1"`, "body $.c is missing, was 1", "body $.d is new: 1", "body $.a was 1, is 2"},
		},
		{name: "key_twice", recorded: `{"a":1,"a":2}`, live: `{"a":1,"a":3}`, want: []string{"body $.a was 2, is 3"}},
		{name: "key_twice_then_once", recorded: `{"a":1,"a":2}`, live: `{"a":1}`, want: []string{"body $.a is missing, was 2"}},
		{name: "key_once_then_three_times", recorded: `{"a":1}`, live: `{"a":1,"a":2,"a":3}`, want: []string{"body $.a is new: 2", "body $.a is new: 3"}},
		{name: "key_twice_among_others", recorded: `{"a":1,"b":0,"a":2}`, live: `{"b":0,"a":1,"a":2}`},
		{
			// Both are 9007199254740992 as float64.
			name: "beyond_float64", recorded: `{"id":9007199254740993}`, live: `{"id":9007199254740992}`,
			want: []string{"body $.id was 9007199254740993, is 9007199254740992"},
		},
		{name: "beyond_float64_same", recorded: `9007199254740993`, live: `9007199254740993.0`},
		{name: "number_spelled_otherwise", recorded: `[1.0,1,10e-1,0.1e1,1E0,100]`, live: `[1,10e-1,1.0,1e+0,1,1e2]`},
		{name: "number_1e400", recorded: `[1e400,10e399]`, live: `[10.0e399,1e401]`, want: []string{"body $[1] was 10e399, is 1e401"}},
		{name: "number_1e_minus_400", recorded: `1e-400`, live: `0`, want: []string{"body $ was 1e-400, is 0"}},
		{name: "exponent_beyond_reason", recorded: `[1e99999999999999999999,1e9999999999]`, live: `[1e99999999999999999999,1e-9999999999]`, want: []string{"body $[1] was 1e9999999999, is 1e-9999999999"}},
		{name: "exponent_at_the_border", recorded: `[1e2147483648,1e2147483649]`, live: `[10e2147483647,10e2147483647]`, want: []string{"body $[1] was 1e2147483649, is 10e2147483647"}},
		{name: "minus_zero", recorded: `[-0,0,0.0,-0e5]`, live: `[0,-0,0e9,0]`},
		{name: "sign", recorded: `-1`, live: `1`, want: []string{"body $ was -1, is 1"}},
		{name: "number_is_long", recorded: "1" + strings.Repeat("0", 200), live: "2", want: []string{"body $ was 1" + strings.Repeat("0", 119) + "…, is 2"}},
		{
			name: "odd_keys", recorded: `{"":1,"a b":1,"a.b":1,"q\"":1,"é":1,"0a":1,"a0":1,"_":1,"$":1,"\u001b[2J":1,"[0]":1}`, live: `{}`,
			want: []string{
				`body $[""] is missing, was 1`, `body $["a b"] is missing, was 1`, `body $["a.b"] is missing, was 1`, `body $["q\""] is missing, was 1`,
				`body $["\u00e9"] is missing, was 1`, `body $["0a"] is missing, was 1`, `body $.a0 is missing, was 1`, `body $._ is missing, was 1`,
				`body $["$"] is missing, was 1`, `body $["\x1b[2J"] is missing, was 1`, `body $["[0]"] is missing, was 1`,
			},
		},
		{name: "long_key", recorded: `{"` + long + `":[1]}`, live: `{"` + long + `":[2]}`, want: []string{`body $["` + long[:120] + `"…][0] was 1, is 2`}},
		{name: "long_string", recorded: `"` + long + `1"`, live: `"` + long + `2"`, want: []string{`body $ was …"` + long[:20] + `1", is …"` + long[:20] + `2"`}},
		{name: "long_string_of_another_type", recorded: `"` + long + `"`, live: `1`, want: []string{`body $ was "` + long[:120] + `"…, is 1`}},

		// What Go's decoder reads as U+FFFD is still not the same.
		{name: "not_utf8", recorded: "{\"a\":\"caf\xe9\"}", live: "{\"a\":\"caf\xe8\"}", want: []string{`body $.a was "caf\xe9", is "caf\xe8"`}},
		{name: "not_utf8_same", recorded: "[\"caf\xe9\", \"\xff\\u0041\"]", live: "[ \"caf\xe9\",\n\"\xff\\u0041\" ]"},
		{name: "not_utf8_in_a_key", recorded: "{\"\xe9\":1}", live: "{\"\xe8\":1}", want: []string{`body $["\xe9"] is missing, was 1`, `body $["\xe8"] is new: 1`}},
		{name: "half_a_pair", recorded: `["\ud800","\ud83d\ude00"]`, live: `["\udfff","😀"]`, want: []string{`body $[0] was "\\ud800", is "\\udfff"`}},
		{name: "half_a_pair_and_its_spelling", recorded: `"\ud800"`, live: `"\\ud800"`, want: []string{`body $ was "\\ud800", is "\\ud800"`}},
		{name: "replacement_character", recorded: "[\"\ufffd\"]", live: "[\"\ufffd\"]"},

		// What is no JSON is compared as bytes.
		{name: "both_empty"},
		{name: "recorded_empty", live: `{}`, want: []string{`body at byte 0 was the end after 0 bytes, is "{}" of 2 bytes`}},
		{name: "live_empty", recorded: `{}`, want: []string{`body at byte 0 was "{}" of 2 bytes, is the end after 0 bytes`}},
		{name: "white_space_only", recorded: "  ", live: " \n", want: []string{`body at byte 1 was " " of 2 bytes, is "\n" of 2 bytes`}},
		{name: "both_invalid_same", recorded: `{"a":`, live: `{"a":`},
		{name: "both_invalid", recorded: `{"a":1,}`, live: `{"a":2,}`, want: []string{`body at byte 5 was "1,}" of 8 bytes, is "2,}" of 8 bytes`}},
		{name: "recorded_invalid", recorded: `{"a":1`, live: `{"a":1}`, want: []string{`body at byte 6 was the end after 6 bytes, is "}" of 7 bytes`}},
		{name: "live_has_junk", recorded: `{"a":1}`, live: `{"a":1} {"a":1}`, want: []string{"body was JSON, is no JSON: something stands behind the value, at byte 8"}},
		{name: "live_is_html", recorded: `{"a":1}`, live: `<html>`, want: []string{"body was JSON, is no JSON: '<' at byte 0, where a value should begin"}},
		{name: "both_with_byte_order_mark", recorded: "\ufeff{}", live: "\ufeff{}"},
		{name: "live_with_byte_order_mark", recorded: "{}", live: "\ufeff{}", want: []string{`body was JSON, is no JSON: '\ufeff' at byte 0, where a value should begin`}},
		{name: "deepest", recorded: deep(maxJSONDepth, "1"), live: deep(maxJSONDepth, "2"), want: []string{"body $" + strings.Repeat("[0]", maxJSONDepth) + " was 1, is 2"}},
		{name: "too_deep_same", recorded: deep(maxJSONDepth+1, "1"), live: deep(maxJSONDepth+1, "1")},
		{
			name: "too_deep", recorded: deep(maxJSONDepth+1, "1"), live: deep(maxJSONDepth+1, "2"),
			want: []string{`body at byte 1001 was "1` + strings.Repeat("]", 23) + `"… of 2003 bytes, is "2` + strings.Repeat("]", 23) + `"… of 2003 bytes`},
		},
		{name: "live_too_deep", recorded: `[]`, live: deep(100_000, ""), want: []string{"body was JSON, is no JSON: nested too deep"}},
		{name: "never_closed", recorded: strings.Repeat(`{"a":`, 100_000), live: strings.Repeat(`{"a":`, 100_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			recorded, live := httpAnswer(t, ok("Content-Type: application/json", c.recorded)), httpAnswer(t, ok("Content-Type: application/json", c.live))
			if d := cmp.Diff(c.want, told(Rules{}.Messages(recorded, live))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestIsJSON says which bodies are compared as JSON: each is once compared with
// the same in another spelling.
func TestIsJSON(t *testing.T) {
	for _, c := range []struct {
		name, header, recorded, live string
		strict                       bool
		want                         bool
	}{
		{name: "json", header: "Content-Type: application/json", recorded: "1", live: "1.0", want: true},
		{name: "parameter_and_case", header: "Content-Type: Application/JSON ; charset=utf-8", recorded: "1", live: "1.0", want: true},
		{name: "suffix", header: "Content-Type: application/problem+json", recorded: "1", live: "1.0", want: true},
		{name: "text_json", header: "Content-Type: text/json", recorded: "1", live: "1.0", want: true},
		{name: "object_without_type", recorded: `{"a":1}`, live: `{ "a":1}`, want: true},
		{name: "array_without_type", recorded: `[1]`, live: `[1 ]`, want: true},
		{name: "number_without_type", recorded: "1", live: "1.0"},
		{name: "plain_text", header: "Content-Type: text/plain", recorded: `{"a":1}`, live: `{ "a":1}`},
		{name: "json_lines", header: "Content-Type: application/jsonl", recorded: "1", live: "1.0"},
		{name: "strict", header: "Content-Type: application/json", recorded: "1", live: "1.0", strict: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Rules{Strict: c.strict}
			recorded, live := httpAnswer(t, ok(c.header, c.recorded)), httpAnswer(t, ok(c.header, c.live))
			var body []Difference
			for _, d := range r.Messages(recorded, live) {
				if strings.HasPrefix(d.Path, "body") {
					body = append(body, d)
				}
			}
			if got := len(body) == 0; got != c.want {
				t.Errorf("compared as JSON: %v, want %v; %v", got, c.want, body)
			}
			if !c.want && (len(body) != 1 || body[0].Offset < 0) {
				t.Errorf("%v, want one difference at a byte", body)
			}
		})
	}
}

func TestJSONBounds(t *testing.T) {
	t.Run("differences", func(t *testing.T) {
		x, y := "["+strings.Repeat("1,", 1000)+"1]", "["+strings.Repeat("2,", 1000)+"2]"
		list := Rules{}.Messages(httpAnswer(t, ok("", x)), httpAnswer(t, ok("", y)))
		if d := list[len(list)-1]; len(list) != perPlace || d.Path != "body $[9]" || d.More != 1001-perPlace {
			t.Errorf("%d differences, the last %v", len(list), d)
		}
	})
	t.Run("values", func(t *testing.T) {
		for spare, want := range []bool{false, false, false, true} {
			text := `[1,"two"]` // three values
			p := &jsonParser{data: text, values: maxJSONValues - spare}
			if _, err := p.node(0); (err == nil) != want {
				t.Errorf("with room for %d values: %v", spare, err)
			}
		}
	})
	// A path is written for differences only: one of a long key for each of many
	// elements would take hours.
	t.Run("paths", func(t *testing.T) {
		n, err := parseJSON([]byte(`{"` + strings.Repeat("k", 1000) + `":[` + strings.Repeat("1,", 10_000) + "1]}"))
		if err != nil {
			t.Fatal(err)
		}
		if allocs := testing.AllocsPerRun(1, func() { compareJSON(n, n) }); allocs > 100 {
			t.Errorf("%v allocations to compare 10,000 equal elements", allocs)
		}
	})
}

// sapling is a JSON value made at random, which can be written in many ways.
type sapling struct {
	text  string // of a leaf, as written
	array bool
	keys  []string // of an object
	items []*sapling
}

// oddKeys are keys with what a path makes of them.
var oddKeys = [][2]string{
	{"a", ".a"}, {"user_id", ".user_id"}, {"B2", ".B2"}, {"", `[""]`}, {"a b", `["a b"]`}, {"0", `["0"]`},
	{"é", `["\u00e9"]`}, {`"`, `["\""]`}, {"a.b", `["a.b"]`}, {"\n", `["\n"]`}, {"items", ".items"}, {"\\", `["\\"]`},
}

// grow makes a value.
func grow(r *rand.Rand, depth int) *sapling {
	switch n := r.Intn(10); {
	case depth > 0 && n < 3:
		s := &sapling{array: true}
		for range r.Intn(5) {
			s.items = append(s.items, grow(r, depth-1))
		}
		return s
	case depth > 0 && n < 7:
		s := &sapling{}
		for _, i := range r.Perm(len(oddKeys))[:r.Intn(6)] {
			s.keys = append(s.keys, oddKeys[i][0])
			s.items = append(s.items, grow(r, depth-1))
		}
		return s
	}
	return &sapling{text: []string{
		"null", "true", "false", "0", "17", "-3.25", "1e400", "9007199254740993", `""`, `"text"`, `"a\u0000b"`, `"\ud83d\ude00"`, `"\ud800"`,
	}[r.Intn(13)]}
}

// write spells the value: keys in any order, white space anywhere.
func (s *sapling) write(r *rand.Rand, b *strings.Builder) {
	blank := func() {
		for range r.Intn(3) {
			b.WriteByte(" \t\r\n"[r.Intn(4)])
		}
	}
	blank()
	defer blank()
	if s.text != "" {
		b.WriteString(s.text)
		return
	}
	order := make([]int, len(s.items))
	for i := range order {
		order[i] = i
	}
	open, end := "[", "]"
	if !s.array {
		open, end = "{", "}"
		order = r.Perm(len(s.items))
	}
	b.WriteString(open)
	blank()
	for n, i := range order {
		if n > 0 {
			b.WriteByte(',')
		}
		if !s.array {
			blank()
			key, err := json.Marshal(s.keys[i])
			if err != nil {
				panic(err)
			}
			b.Write(key)
			blank()
			b.WriteByte(':')
		}
		s.items[i].write(r, b)
	}
	b.WriteString(end)
}

// leaf is a place in a sapling without anything in it.
type leaf struct {
	path string
	at   *sapling
}

func (s *sapling) leaves(path string, list []leaf) []leaf {
	if len(s.items) == 0 {
		return append(list, leaf{path, s})
	}
	for i, item := range s.items {
		step := "[" + strconv.Itoa(i) + "]"
		if !s.array {
			step = oddKeys[slices.IndexFunc(oddKeys[:], func(k [2]string) bool { return k[0] == s.keys[i] })][1]
		}
		list = item.leaves(path+step, list)
	}
	return list
}

// TestJSONRandom grows values: however one is spelled, it is the same; with
// another leaf, that leaf is the one difference.
func TestJSONRandom(t *testing.T) {
	for seed := range int64(500) {
		r := rand.New(rand.NewSource(seed))
		s := grow(r, 5)
		read := func() *node {
			var b strings.Builder
			s.write(r, &b)
			n, err := parseJSON([]byte(b.String()))
			if err != nil {
				t.Fatalf("seed %d: %v in %s", seed, err, b.String())
			}
			return n
		}
		old := read()
		if list := compareJSON(old, read()); list != nil {
			t.Fatalf("seed %d: the same in another spelling differs: %v", seed, list)
		}
		leaves := s.leaves("body $", nil)
		l := leaves[r.Intn(len(leaves))]
		was := l.at.text
		if was == `"changed"` || was == "-1" {
			t.Fatalf("BUG: %s does not change", was)
		}
		l.at.text = []string{`"changed"`, "-1"}[r.Intn(2)]
		list := compareJSON(old, read())
		if len(list) != 1 || list[0].Path != l.path || list[0].Kind != Value && list[0].Kind != Type {
			t.Fatalf("seed %d: %s was %s and is %s: %v", seed, l.path, was, l.at.text, list)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range [][2]string{
		{"0", "0"}, {"-0", "0"}, {"0.000e-7", "0"}, {"1", "1e0"}, {"1.0", "1e0"}, {"10e-1", "1e0"}, {"-100", "-1e2"},
		{"0.00120", "12e-4"}, {"1E+2", "1e2"}, {"123.456e3", "123456e0"}, {"1e400", "1e400"},
	} {
		if got := canonical(c[0]); got != c[1] {
			t.Errorf("canonical(%s) = %s, want %s", c[0], got, c[1])
		}
	}
}

// TestCanonicalRandom holds canonical to exact arithmetic. The numbers are from a
// small range, so that many are equal in another spelling.
func TestCanonicalRandom(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	number := func() string {
		var b strings.Builder
		if r.Intn(3) == 0 {
			b.WriteByte('-')
		}
		b.WriteString([]string{"0", "1", "10", "100", "120", "12", "9007199254740993"}[r.Intn(7)])
		if r.Intn(2) == 0 {
			b.WriteString("." + []string{"0", "00", "1", "10", "01", "2"}[r.Intn(6)])
		}
		if r.Intn(2) == 0 {
			b.WriteString([]string{"e", "E", "e+", "e-", "E-0"}[r.Intn(5)] + strconv.Itoa(r.Intn(4)))
		}
		return b.String()
	}
	equal := 0
	for range 20_000 {
		x, y := number(), number()
		a, ok1 := new(big.Rat).SetString(x)
		b, ok2 := new(big.Rat).SetString(y)
		if !ok1 || !ok2 || !json.Valid([]byte(x)) {
			t.Fatalf("BUG: %s or %s is no number", x, y)
		}
		want := a.Cmp(b) == 0
		if want {
			equal++
		}
		if got := canonical(x) == canonical(y); got != want {
			t.Fatalf("%s is %s and %s is %s; equal: %v, want %v", x, canonical(x), y, canonical(y), got, want)
		}
	}
	if equal < 100 {
		t.Errorf("only %d pairs are equal", equal)
	}
}

// nesting returns how deep valid JSON nests.
func nesting(data []byte) int {
	deepest, depth := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	return deepest
}

// FuzzJSON holds parseJSON to encoding/json's opinion of what is valid, apart from
// what nests too deep, and wants a value to be the same without its white space.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.50e-3,null,true,false],"b":{"":"\u00e9\ud800"}}`, `[[[]]]`, `{"a":1,"a":2}`, `"x"`, ` -0 `, `1 2`, `01`, `{"a"1}`, `{1:2}`, `[1,]`,
		`{"a":1,}`, `{]`, `[}`, `nul`, "\ufeff{}", "\"\xff\"", `{"a":}`, `[1 2]`, `"\x"`, "\"\n\"", `-`, `1.`, `.5`, `{"a":1}}`, `[`, `{"a"`, "",
		strings.Repeat("[", maxJSONDepth+1) + strings.Repeat("]", maxJSONDepth+1), strings.Repeat(`{"a":`, 20),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseJSON(data)
		valid := json.Valid(data)
		if err == nil && !valid {
			t.Fatalf("%q is no JSON, and was read", data)
		}
		if !valid {
			return
		}
		// What is in the innermost brackets, if anything, is a level too.
		if deep := nesting(data); err == nil && deep > maxJSONDepth+1 || err != nil && deep < maxJSONDepth+1 {
			t.Fatalf("%.200q is JSON, %d deep: %v", data, deep, err)
		}
		if err != nil {
			return
		}
		var small bytes.Buffer
		if err := json.Compact(&small, data); err != nil {
			t.Fatal(err)
		}
		again, err := parseJSON(small.Bytes())
		if err != nil {
			t.Fatalf("%q: %v", small.Bytes(), err)
		}
		for _, list := range [][]Difference{compareJSON(n, n), compareJSON(n, again), compareJSON(again, n)} {
			if list != nil {
				t.Errorf("%q differs from itself: %v", data, list)
			}
		}
		if err := wellFormed(n); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}

// wellFormed checks what a node promises.
func wellFormed(n *node) error {
	if n.kind == nodeObject && len(n.keys) != len(n.items) || n.kind != nodeObject && n.keys != nil {
		return fmt.Errorf("%s with %d keys and %d items", n.kind, len(n.keys), len(n.items))
	}
	for _, item := range n.items {
		if err := wellFormed(item); err != nil {
			return err
		}
	}
	return nil
}
