package redact

import (
	"fmt"
	"strings"
	"testing"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// benchTalks are what the speed is measured with, by what there is most of.
func benchTalks() map[string]*talk {
	small := &talk{transport: flow.TCP}
	for i := range 500 {
		body := fmt.Sprintf(`{"id":%d,"name":"user %d","email":"user%d@example.com","items":[1,2,3,{"a":"b","c":null}],"at":"2026-01-02T15:04:05Z"}`, i, i, i%50)
		small.said = append(small.said,
			said{flow.ClientToServer, fmt.Sprintf("GET /users/%d?page=2&q=abc HTTP/1.1\r\nHost: api.shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0\r\nAccept: application/json\r\nAccept-Language: en\r\nCookie: sid=7QmXh2Zk0pLr9VbN3sTy; theme=dark\r\nAuthorization: Bearer abcdefgh12345678\r\n\r\n", i)},
			said{flow.ServerToClient, fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: Fri, 02 Jan 2026 15:04:05 GMT\r\nServer: nginx\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)})
	}
	page := strings.Repeat(`<div class="row"><a href="/items/12?ref=list">Some text about an item, with a price of 12.50 and a date</a></div>`+"\n", 4000)
	text := http("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(page), page))
	list := "[" + strings.Repeat(`{"id":12345,"title":"Some text about an item","price":12.5,"tags":["one","two"],"ok":true},`, 4000) + "1]"
	json := http("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(list), list))
	blob := strings.Repeat("\x89PNG\x00\x01\x02\x03", 1<<19)
	opaque := http("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%s", len(blob), blob))
	for _, k := range []*talk{text, json, opaque} { // as packets bring it
		whole := k.said[1].text
		k.said = k.said[:1]
		for len(whole) > 0 {
			n := min(1448, len(whole))
			k.said, whole = append(k.said, said{flow.ServerToClient, whole[:n]}), whole[n:]
		}
	}
	return map[string]*talk{"exchanges": small, "text": text, "json": json, "opaque": opaque}
}

type nothing struct{}

func (nothing) Exchange(*proto.Exchange) error { return nil }

// BenchmarkReadings compares what both readings take with what it takes to decode.
func BenchmarkReadings(b *testing.B) {
	for name, k := range benchTalks() {
		size := int64(len(k.all()))
		b.Run(name+"/decode", func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				k.run(b, nothing{})
			}
		})
		z, err := NewSanitizer(Options{Key: []byte("a key for tests only")})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/learn", func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			l := z.Learn()
			for b.Loop() {
				k.run(b, l)
			}
		})
		b.Run(name+"/edit", func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			x := z.Edit(nowhere{})
			for b.Loop() {
				k.run(b, x)
			}
		})
	}
}

// TestHostileText comes to an end: the time that a text takes grows with its length, whatever is in
// it. Were it the square, this would take hours.
func TestHostileText(t *testing.T) {
	z, err := NewSanitizer(Options{Key: []byte("a key for tests only")})
	if err != nil {
		t.Fatal(err)
	}
	w := z.worker()
	w.learn(Host, "api.example.com")
	w.learn(Cookie, "aaaaaaaaa1")
	for i := range 2000 {
		w.learn(Token, fmt.Sprintf("aaaaaa%d", i*1000003))
	}
	z.learned()
	f := newFinder(z, nowhere{})
	for _, part := range []string{"1.1.", "a:", "a/", "a@", "a@b.cd/", "%25", "%41", "a=", "token=", "password:", "://", "a://b@", "eyJ.", "-", "+1", "1 ", "4111 ", "aaaaaa", "a.com ", "a.b.", "QUFB", "QUFB/", "-----BEGIN PRIVATE KEY-----", "<a b=", `"a":`, `\u0061`, "[", "Basic ", "xn--."} {
		text := strings.Repeat(part, 1<<15/len(part))
		f.rewrite("text", text, 0)
		f.content(nil, inBody, "text/html", []byte(text), 0, len(text), 0)
		f.content(nil, inBody, "application/json", []byte("["+text), 0, len(text), 0)
		f.content(nil, inBody, "application/x-www-form-urlencoded", []byte(text), 0, len(text), 0)
	}
}

// BenchmarkPseudonyms maps what recordings of DNS have millions of.
func BenchmarkPseudonyms(b *testing.B) {
	p := names()
	for name, text := range map[string]func(i int) string{
		"host":    func(i int) string { return fmt.Sprintf("host%d.shop%d.example.com", i*7919, i%100) },
		"same":    func(i int) string { return fmt.Sprintf("h%d.shop.example.com", i%10) },
		"address": func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255) },
		"token":   func(i int) string { return fmt.Sprintf("%d-7QmXh2Zk0pLr9VbN", i*1000003) },
	} {
		texts := make([]string, 1<<16)
		for i := range texts {
			texts[i] = text(i)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Text(texts[i%len(texts)])
			}
		})
	}
}
