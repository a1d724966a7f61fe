package redact

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestSearch finds a secret in all the ways to write it, and nothing in what came out.
func TestSearch(t *testing.T) {
	k := post("", `{"password":"hunter2\"S3CRET"}`, "application/json", `{}`)
	out, z := sanitize(t, Options{}, k)
	const secret = `hunter2"S3CRET`
	for name, text := range map[string]string{
		"raw":        "a " + secret + " b",
		"url":        "p=hunter2%22S3CRET&",
		"url_lower":  "p=%68unter2%22S3CRET&",
		"json":       `{"a":"\u0068unter2\"S3CRET"}`,
		"base64":     "x " + base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64_1":   "x" + base64.StdEncoding.EncodeToString([]byte("1"+secret)),
		"base64_2":   base64.RawURLEncoding.EncodeToString([]byte("12" + secret + "??>>")),
		"base64_url": strings.ReplaceAll(base64.StdEncoding.EncodeToString([]byte("p=hunter2%22S3CRET")), "=", "%3D"),
		"mail":       base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 52) + secret + strings.Repeat("y", 70)))[:76] + "\r\n" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 52) + secret + strings.Repeat("y", 70)))[76:],
	} {
		s := z.Search()
		s.Bytes(name, []byte(text))
		if list, n := s.Found(); n == 0 || list[0].Kind != Password {
			t.Errorf("%s: not found in %s", name, text)
		} else if strings.Contains(list[0].String(), "S3CRET") {
			t.Errorf("told: %s", list[0])
		}
	}
	s := z.Search()
	for i, x := range []*talk{out[0], k} {
		x.run(t, s)
		if list, n := s.Found(); (n == 0) != (i == 0) {
			t.Errorf("found %v in %s", list, x.all())
		}
	}
	if looked, _ := s.Looked(); looked == 0 {
		t.Error("nothing was looked for")
	}
	z2 := gz(`{"password":"hunter2-other-S3CRET"}`)
	k = http("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"+z2)
	_, z = sanitize(t, Options{}, k)
	s = z.Search()
	k.run(t, s)
	if list, _ := s.Found(); len(list) == 0 || list[len(list)-1].Encoding != "gzip" {
		t.Errorf("found %v", list)
	}
}
