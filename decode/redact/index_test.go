package redact

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// naive is what index.next should return, found by trying all at all places.
func (x *index) naive(data []byte, at int) (int, wanted) {
	for ; at < len(data); at++ {
		longest := ""
		for v, w := range x.values {
			if bytes.HasPrefix(data[at:], []byte(v)) && len(v) > len(longest) && (!w.weak || standsAlone(data, at, at+len(v))) {
				longest = v
			}
		}
		if longest != "" {
			return at, x.values[longest]
		}
	}
	return 0, wanted{}
}

// FuzzIndex holds an index to looking for each secret at each place, in texts that have
// them, parts of them and what is around these.
func FuzzIndex(f *testing.F) {
	f.Add("hunter2-S3CRET,hunter2-S3CRET-longer,unter2-S3", []byte("a hunter2-S3CRET-longer, xhunter2-S3CRET"))
	f.Add("abc123,bc1234,c12345,123456789", []byte("abc12345 abc123 bc1234abc123"))
	f.Add("aaaaaaaaaaaaaaaaaaaaaaa1,aaaaaa1", []byte(strings.Repeat("a", 40)+"1aaaaaa1"))
	f.Add("\x00\xff\x00\xff\x00\xff\x01,a\nb\nc\nd1", []byte("\x00\xff\x00\xff\x00\xff\x01a\nb\nc\nd1"))
	f.Fuzz(func(t *testing.T, secrets string, data []byte) {
		if len(secrets) > 256 || len(data) > 1024 {
			return
		}
		d := &dictionary{limit: DefaultMemory}
		for v := range strings.SplitSeq(secrets, ",") {
			d.add(Token, v)
		}
		x := newIndex(d, func(Kind, string) bool { return true })
		x.encode()
		for v := range x.values {
			data = append(append(data, v...), v[len(v)/2:]...)
		}
		for at := 0; at <= len(data); at++ {
			i, w := x.next(data, at)
			j, want := x.naive(data, at)
			if i != j || w != want {
				t.Fatalf("in %q from %d on: %q at %d; want %q at %d", data, at, w.secret, i, want.secret, j)
			}
			if w.secret == "" {
				break
			}
			at = i
		}
	})
}

// BenchmarkIndex looks through a page without secrets, for few of them and for many.
func BenchmarkIndex(b *testing.B) {
	page := []byte(strings.Repeat(`<div class="row"><a href="/items/12?ref=list">Some text about an item, with a price of 12.50 and a date</a></div>`+"\n", 4000))
	for _, n := range []int{1, 100, 10000} {
		d := &dictionary{limit: DefaultMemory}
		for i := range n {
			d.add(Email, fmt.Sprintf("user.%d@shop.example.com", i*1000003))
		}
		x := newIndex(d, func(Kind, string) bool { return true })
		x.encode()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				if _, w := x.next(page, 0); w.secret != "" {
					b.Fatalf("found %s", w.secret)
				}
			}
		})
	}
}
