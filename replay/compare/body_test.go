package compare

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"netlab/decode/proto"
)

// TestFormats compares bodies as what they are.
func TestFormats(t *testing.T) {
	parts := func(boundary string, parts ...string) string {
		return "--" + boundary + "\r\n" + strings.Join(parts, "\r\n--"+boundary+"\r\n") + "\r\n--" + boundary + "--\r\n"
	}
	const disposition = "Content-Disposition: form-data; name="
	for _, c := range []struct {
		name, header, headerNow string
		recorded, live          string
		want                    []string
	}{
		{name: "form_spelled_otherwise", header: "application/x-www-form-urlencoded", recorded: "a=b%20c&d=1", live: "d=1&a=b+c"},
		{
			name: "form", header: "application/x-www-form-urlencoded", recorded: "a=1&a=2&b=x", live: "a=1&a=3&c=y",
			want: []string{`body $.b is missing, was "x"`, `body $.c is new: "y"`, `body $.a was "2", is "3"`},
		},
		{
			name: "no_form", header: "application/x-www-form-urlencoded", recorded: "a=%zz", live: "a=%zy",
			want: []string{`body at byte 4 was "z" of 5 bytes, is "y" of 5 bytes`},
		},
		{
			name: "multipart_boundary", header: "multipart/form-data; boundary=aa", headerNow: "multipart/form-data; boundary=bb",
			recorded: parts("aa", disposition+"x\r\n\r\n1"), live: parts("bb", disposition+"x\r\n\r\n1"),
			want: []string{`header content-type was "multipart/form-data; boundary=aa", is "multipart/form-data; boundary=bb"`},
		},
		{
			name: "multipart", header: "multipart/form-data; boundary=aa",
			recorded: parts("aa", disposition+"x\r\n\r\n1", disposition+"j\r\nContent-Type: application/json\r\n\r\n{\"a\":1}", disposition+"gone\r\n\r\n"),
			live:     parts("aa", disposition+"x\r\n\r\n2", disposition+"j\r\nContent-Type: application/json\r\n\r\n{\"a\":2}", disposition+"y\r\n\r\nz"),
			want: []string{
				`body part "gone" is missing, was the end after 0 bytes`, `body part "y" is new: "z" of 1 byte`,
				`body part "x" at byte 0 was "1" of 1 byte, is "2" of 1 byte`, `body part "j" $.a was 1, is 2`,
			},
		},
		{
			name: "html_white_space_and_attributes", header: "text/html",
			recorded: "<p>\n  <b class=x id='y'>Hello,  you</b>\n</p>", live: "<p><b id=y  class=\"x\">Hello,\nyou</b></p>",
		},
		{
			name: "html", header: "text/html",
			recorded: `<html><body><form><input name=csrf value=abc><br><a href=/x>one</a></form></body></html>`,
			live:     `<html><body><form><input name=csrf value=xyz><br><a href=/y class=c>two</a></form></body></html>`,
			want: []string{
				`body /html/body/form/a/@class is new: "c"`, `body /html/body/form/input[name=csrf]/@value was "abc", is "xyz"`,
				`body /html/body/form/a/@href was "/x", is "/y"`, `body /html/body/form/a/text() was "one", is "two"`,
			},
		},
		{
			name: "html_one_more", header: "text/html", recorded: "<ul><li>a</li><li>c</li></ul>", live: "<ul><li>a</li><li>b</li><li>c</li></ul>",
			want: []string{`body /ul/li/text() is new: "b"`, `body /ul/li is new: <li>`},
		},
		{name: "html_pre", header: "text/html", recorded: "<pre>a  b</pre>", live: "<pre>a b</pre>", want: []string{`body /pre/text() was "a  b", is "a b"`}},
		{name: "xml_same", header: "application/xml", recorded: "<a x='1' y='2'>\n <b/>\n</a>", live: `<a y="2" x="1"><b></b></a>`},
		{
			name: "xml", header: "application/soap+xml", recorded: `<s:a><b>1</b><c k="v"/></s:a>`, live: `<s:a><b>2</b><c/></s:a>`,
			want: []string{`body /s:a/c/@k is missing, was "v"`, `body /s:a/b/text() was "1", is "2"`},
		},
		{name: "no_xml", header: "text/xml", recorded: "<a>", live: "<b>", want: []string{`body at byte 1 was "a>" of 3 bytes, is "b>" of 3 bytes`}},
		{
			name: "text", header: "text/plain", recorded: "one\ntwo\nthree\nfour\n", live: "zero\none\ntwo\n3\nfour",
			want: []string{`body line 1 is new: "zero\n"`, `body line 3 was "three\n", is "3\n"`, `body line 4 was "four\n", is "four"`},
		},
		{
			name: "binary", header: "image/png", recorded: "\x89PNG\x00\x01", live: "\x89PNG\x00\x02",
			want: []string{"body at byte 5 was 01 of 6 bytes, is 02 of 6 bytes"},
		},
		{
			name: "another_type", header: "application/json", headerNow: "text/html", recorded: "{}", live: "<p>",
			want: []string{`body at byte 0 was "{}" of 2 bytes, is "<p>" of 3 bytes`, `header content-type was "application/json", is "text/html"`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.headerNow == "" {
				c.headerNow = c.header
			}
			a, b := httpAnswer(t, ok("Content-Type: "+c.header, c.recorded)), httpAnswer(t, ok("Content-Type: "+c.headerNow, c.live))
			if d := cmp.Diff(c.want, told(Rules{}.Messages(a, b))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if d := len(Rules{}.Messages(b, a)) - len(c.want); d != 0 {
				t.Errorf("the other way round there are %d differences more", d)
			}
		})
	}
}

// grpcBody frames messages.
func grpcBody(messages ...[]byte) string {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint32(append(b, 0), uint32(len(m))), m...)
	}
	return string(b)
}

// TestGRPC compares messages of protobuf by field, without knowing their names.
func TestGRPC(t *testing.T) {
	message := func(id uint64, name string, inner ...uint64) []byte {
		b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), id)
		b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), name)
		for _, v := range inner {
			in := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.VarintType), v)
			b = protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), in)
		}
		return b
	}
	for _, c := range []struct {
		name           string
		recorded, live string
		want           []string
	}{
		{
			name: "fields", recorded: grpcBody(message(1, "Ann Example", 5)), live: grpcBody(message(2, "Bob Example", 6)),
			want: []string{`body $[0].field1 was 1, is 2`, `body $[0].field2 was "Ann Example", is "Bob Example"`, `body $[0].field3.field7 was 5, is 6`},
		},
		{
			name: "one_more", recorded: grpcBody(message(1, "a")), live: grpcBody(message(1, "a"), message(2, "b")),
			want: []string{`body $[1] is new: "\b\x02\x12\x01b"`},
		},
		{name: "cut_short", recorded: grpcBody(message(1, "a")), live: grpcBody(message(1, "b"))[:7], want: []string{
			"body at byte 7 was 12 01 61 of 10 bytes, is the end after 7 bytes",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := httpAnswer(t, ok("Content-Type: application/grpc", c.recorded)), httpAnswer(t, ok("Content-Type: application/grpc", c.live))
			if d := cmp.Diff(c.want, told(Rules{}.Messages(a, b))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestFields compares the answers of a protocol by what it says in them.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		name           string
		protocol       *proto.Protocol
		request        string
		recorded, live string
		want           []string
	}{
		{
			name: "redis", protocol: &proto.Redis, request: "*1\r\n$4\r\nPING\r\n", recorded: "*2\r\n$1\r\na\r\n:1\r\n", live: "*2\r\n$1\r\nb\r\n:1\r\n",
			want: []string{`answer $.value[0] was "a", is "b"`},
		},
		{
			name: "redis_error", protocol: &proto.Redis, request: "*1\r\n$4\r\nPING\r\n", recorded: "+OK\r\n", live: "-WRONGTYPE no\r\n",
			want: []string{
				"outcome was OK, is WRONGTYPE", `answer $.error is new: "WRONGTYPE"`, `answer $.kind was "simple", is "error"`, `answer $.value was "OK", is "WRONGTYPE no"`,
			},
		},
		{
			name: "beyond_what_is_kept", protocol: &proto.Redis, request: "*1\r\n$4\r\nPING\r\n",
			recorded: "$9000\r\n" + strings.Repeat("x", 8999) + "a\r\n", live: "$9000\r\n" + strings.Repeat("x", 8999) + "b\r\n",
			want: []string{`answer at byte 9006 was "a\r\n" of 9009 bytes, is "b\r\n" of 9009 bytes`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := parse(c.protocol, c.request, c.recorded), parse(c.protocol, c.request, c.live)
			if a == nil || b == nil {
				t.Fatal("no answer")
			}
			if d := cmp.Diff(c.want, told(Rules{}.Messages(a, b))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// manyElements is a JSON array of 10,000 objects, with another one put in at a place.
func manyElements(at int) []byte {
	var b bytes.Buffer
	b.WriteByte('[')
	for i := range 10_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		if i == at {
			b.WriteString(`{"id":-1,"name":"the new one","tags":[],"price":0.0},`)
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"item number %d","tags":["a","b"],"price":%d.50}`, i, i, i%97)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// TestInsertion finds one difference where one element was put in.
func TestInsertion(t *testing.T) {
	a, b := httpAnswer(t, ok("Content-Type: application/json", string(manyElements(-1)))), httpAnswer(t, ok("Content-Type: application/json", string(manyElements(5000))))
	if a == nil || b == nil {
		t.Fatal("no answer")
	}
	want := []string{"body $[5000] is new: an object of 4"}
	if d := cmp.Diff(want, told(Rules{}.Messages(a, b))); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// BenchmarkInsertion has to stay below 50 ms.
func BenchmarkInsertion(b *testing.B) {
	x, y := httpAnswer(b, ok("Content-Type: application/json", string(manyElements(-1)))), httpAnswer(b, ok("Content-Type: application/json", string(manyElements(5000))))
	b.SetBytes(int64(len(x.Raw)))
	for b.Loop() {
		if list := (Rules{}).Messages(x, y); len(list) != 1 {
			b.Fatal(list)
		}
	}
}

// BenchmarkUsual is an answer as most are: a few fields, of which one is another.
func BenchmarkUsual(b *testing.B) {
	const headers = "Content-Type: application/json\nServer: nginx\nDate: Mon, 05 Jan 2026 00:00:0%d GMT\nCache-Control: no-cache\nX-Request-Id: %d"
	const body = `{"id":7,"name":"Ann Example","email":"ann@a.example","roles":["admin","user"],"at":"2026-01-05T00:00:0%d.000Z"}`
	x, y := httpAnswer(b, ok(fmt.Sprintf(headers, 1, 1), fmt.Sprintf(body, 1))), httpAnswer(b, ok(fmt.Sprintf(headers, 2, 2), fmt.Sprintf(body, 2)))
	b.Run("same", func(b *testing.B) {
		for b.Loop() {
			Rules{}.Messages(x, x)
		}
	})
	b.Run("different", func(b *testing.B) {
		for b.Loop() {
			if list := (Rules{}).Messages(x, y); len(list) != 1 {
				b.Fatal(list)
			}
		}
	})
}

// FuzzFormats compares bodies of each format: that ends, a body is the same as itself,
// and two differ whichever comes first.
func FuzzFormats(f *testing.F) {
	f.Add([]byte(`<p class=a>x</p>`), []byte(`<p>y<br></p>`))
	f.Add([]byte("a=1&b=2"), []byte("b=2"))
	f.Add([]byte("one\ntwo\n"), []byte("one\n2\n"))
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n"), []byte("--x\r\n\r\n2\r\n--x--"))
	f.Add([]byte(grpcBody([]byte{8, 1})), []byte(grpcBody([]byte{8, 2})))
	f.Add([]byte(`[{"id":1,"a":2},{"id":2}]`), []byte(`[{"id":2},{"id":1,"a":3},4]`))
	types := []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html", "text/xml", "text/plain", "application/grpc", "x/y"}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		for _, typ := range types {
			a, b := httpAnswer(t, ok("Content-Type: "+typ, string(x))), httpAnswer(t, ok("Content-Type: "+typ, string(y)))
			if list := bodiesOf(a, a); len(list) > 0 {
				t.Errorf("%s: %q differs from itself: %v", typ, x, list)
			}
			there, back := bodiesOf(a, b), bodiesOf(b, a)
			if (len(there) == 0) != (len(back) == 0) {
				t.Errorf("%s: %q and %q: %v, the other way %v", typ, x, y, there, back)
			}
			if len(there) > MaxDifferences {
				t.Errorf("%d differences", len(there))
			}
		}
	})
}

// bodiesOf compares two bodies as what they are, also when their bytes are the same.
func bodiesOf(a, b *proto.Message) []Difference {
	c := comparer{rules: &Rules{}}
	h, i := a.Body.(*proto.HTTPMessage), b.Body.(*proto.HTTPMessage)
	old, _ := proto.Content(a)
	fresh, _ := proto.Content(b)
	c.formatted("body", formatOf(h, old), headPair{h, i}, old, fresh)
	return c.told()
}
