package redact

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// TestAgain has bodies come again: what becomes of them is the same as the first time, in other
// chunks too, and is counted each time.
func TestAgain(t *testing.T) {
	const times = 3
	long := strings.Repeat("a text of some length, ", 20)
	page := `{"email":"ada@example.com","ip":"93.184.216.34","note":"` + long + `"}`
	for name, body := range map[string]func(i int) string{
		"plain": func(int) string {
			return fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
		},
		"digest": func(int) string {
			return fmt.Sprintf("Content-MD5: 12345678901234567890AA==\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
		},
		"gzip": func(int) string {
			b := gz(page)
			return fmt.Sprintf("Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		},
		"chunks": func(i int) string {
			n := 100 + i
			return fmt.Sprintf("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", n, page[:n], len(page)-n, page[n:])
		},
		"blanked": func(int) string {
			return fmt.Sprintf("Content-Type: image/png\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
		},
		"blanked inside": func(int) string {
			b := gz(page)
			return fmt.Sprintf("Content-Type: image/png\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		},
		"malformed": func(int) string {
			return fmt.Sprintf("Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
		},
	} {
		t.Run(name, func(t *testing.T) {
			talk := func(i int) *talk {
				return http("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", "HTTP/1.1 200 OK\r\n"+body(i))
			}
			all := talk(0)
			all.said = all.said[:0]
			for i := range times {
				all.said = append(all.said, talk(i).said...)
			}
			out, z := sanitize(t, Options{}, all)
			for i := range times {
				one, _ := sanitize(t, Options{}, talk(i))
				if got, want := out[0].said[2*i+1].text, one[0].said[1].text; got != want {
					t.Errorf("it became\n%q\nwant\n%q", got, want)
				}
			}
			_, single := sanitize(t, Options{}, talk(0))
			was, now := single.Summary(), z.Summary()
			if len(was.Found) != len(now.Found) || len(was.Blanked) != len(now.Blanked) || len(was.Found)+len(was.Blanked) < 2 {
				t.Fatalf("once %+v, %d times %+v", was, times, now)
			}
			for i := range was.Found {
				for where := range was.Found[i].Where {
					was.Found[i].Where[where] *= times
				}
				if !maps.Equal(was.Found[i].Where, now.Found[i].Where) || was.Found[i].Values != now.Found[i].Values {
					t.Errorf("%d times %+v, want %+v", times, now.Found[i], was.Found[i])
				}
			}
			for i := range was.Blanked {
				if b := was.Blanked[i]; (Blank{b.Why, times * b.Messages, times * b.Bytes}) != now.Blanked[i] {
					t.Errorf("%d times %+v, once %+v", times, now.Blanked[i], b)
				}
			}
			s := z.Search()
			out[0].run(t, s)
			if list, n := s.Found(); n > 0 {
				t.Errorf("left: %v", list)
			}
			talk(0).run(t, s)
			_, once := s.Found()
			talk(0).run(t, s)
			if _, twice := s.Found(); once == 0 || twice != 2*once {
				t.Errorf("found %d, and then again %d", once, twice-once)
			}
		})
	}
}

// TestSearchSpans finds a secret that is a part of both a head and its body.
func TestSearchSpans(t *testing.T) {
	secret := "S3CRET\n\nhunter2-S3CRET"
	_, z := sanitize(t, Options{}, post("", `{"password":"S3CRET\n\nhunter2-S3CRET"}`, "application/json", `{}`))
	s := z.Search()
	body := secret[8:] + strings.Repeat(".", 300)
	k := http("GET / HTTP/1.1\r\nHost: a\r\n\r\n", fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\nX-A: S3CRET\n\n%s", len(body), body))
	k.said = append(k.said[:1], said{k.said[1].d, k.said[1].text[:50]}, said{k.said[1].d, k.said[1].text[50:]})
	k.run(t, s)
	if list, n := s.Found(); n == 0 {
		t.Errorf("found %v", list)
	}
}
