package redact

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// indexOf looks for secrets; it returns those that are looked for, too.
func indexOf(secrets ...string) (*index, []string) {
	d := newDictionary(DefaultMemory)
	var list []string
	for _, v := range secrets {
		if d.add(Token, v) && isTelling(v) {
			list = append(list, v)
		}
	}
	x := newIndex(d)
	for _, v := range list {
		x.add(v, d.entry(v))
	}
	x.counted()
	return x.encoded(), list
}

// naive is what index.next should return, found by trying all at all places. What is decoded from
// base64 are texts of zeros and ones.
func naive(secrets []string, data []byte, at int) (int, wanted) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for ; at < len(data); at++ {
		var raw, coded string
		for _, v := range secrets {
			if bytes.HasPrefix(data[at:], []byte(v)) && len(v) > len(raw) && (!isWeak(v) || standsAlone(data, at, at+len(v))) {
				raw = v
			}
			bits := ""
			for _, c := range []byte(v) {
				bits += fmt.Sprintf("%08b", c)
			}
			for pad := range 3 {
				from := max(0, at-min(pad, 1))
				said, end := "", from
				for end < len(data) && len(said) < len(bits)+2*pad {
					n := strings.IndexByte(letters+"+/", data[end])
					if i := strings.IndexByte("-_", data[end]); i >= 0 {
						n = len(letters) + i
					}
					if n < 0 {
						break
					}
					said += fmt.Sprintf("%06b", n)
					end++
				}
				if at < min(pad, 1) || len(said) < 2*pad || !strings.HasPrefix(said[2*pad:], bits) || len(v) <= len(coded) {
					continue
				}
				rest := strings.Trim(said[2*pad+len(bits):], "0")
				mixed := bytes.ContainsAny(data[at:end], "+/") && bytes.ContainsAny(data[at:end], "-_")
				if !isWeak(v) || pad == 0 && rest == "" && !mixed && standsAlone(data, at, end) {
					coded = v
				}
			}
		}
		switch {
		case raw != "":
			return at, wanted{raw, Token, false}
		case coded != "":
			return at, wanted{coded, Token, true}
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
		if len(secrets) > 128 || len(data) > 256 {
			return
		}
		x, sought := indexOf(strings.Split(secrets, ",")...)
		for i, v := range sought {
			data = append(append(data, v...), v[len(v)/2:]...)
			data = append(data, []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding}[i%2].EncodeToString([]byte("-+~"[:i%3]+v))...)
		}
		for at := 0; at <= len(data); at++ {
			i, w := x.next(data, at)
			j, want := naive(sought, data, at)
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
		var secrets []string
		for i := range n {
			secrets = append(secrets, fmt.Sprintf("user.%d@shop.example.com", i*1000003))
		}
		x, _ := indexOf(secrets...)
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
