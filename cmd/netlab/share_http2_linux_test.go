package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestShareHTTP2 has curl speak HTTP/2 in clear. In what was shared, tshark reads the same requests, without fault and
// without the secrets, which were in Huffman's code.
func TestShareHTTP2(t *testing.T) {
	programs(t, "curl", "tshark")
	if !capturing(t) {
		return
	}
	inTempDir(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header()["Date"] = nil
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("Cookie") == "":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Query().Get("item") != "7" && len(body) == 0:
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, `{"list":["`+strings.Repeat("abc def ", 300)+`"]}`)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	const cookie, password, mail, key = "sid=7QK3ZV5PYJ2MXA6TRC4NWB8EHD", "hunter2-S3CRET-pw", "ada@secret-mail.example", "qk_9f8e7d6c5b4a39281706f5e4"
	recorded(t, func() {
		for _, args := range [][]string{
			{"-b", cookie, server.URL + "/buy?item=7&api_key=" + key},
			{"-b", cookie, server.URL + "/buy?item=8"},
			{"-b", cookie, "-H", "Content-Type: application/json", "-d", `{"password":"` + password + `","mail":"` + mail + `"}`, server.URL + "/json"},
			{"-H", "X-Mail: " + mail, server.URL + "/"},
		} {
			curled(t, "", append([]string{"--http2-prior-knowledge"}, args...)...)
		}
	})
	read := func(file string) string {
		out, err := exec.Command("tshark", "-n", "-r", file, "-d", "tcp.port=="+server.URL[strings.LastIndexByte(server.URL, ':')+1:]+",http2",
			"-T", "fields", "-e", "http2.header.value", "-e", "http2.data.data").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	planted, before := []string{cookie, key, mail}, read("talk.pcap")
	for _, s := range planted {
		if !strings.Contains(before, s) {
			t.Errorf("tshark does not read %q in what was recorded", s)
		}
	}
	code, out, errs := netlab(t, "share", "talk.pcap", "-o", "shared.zip")
	if code != exitDone || !strings.Contains(out+errs, "it is the same to replay: 4 conversations") || strings.Contains(out+errs, "blanked") {
		t.Errorf("share: exit status %d\n%s%s", code, out, errs)
	}
	rightChecksums(t, "shared.zip")
	text := read("shared.zip.pcapng")
	for _, s := range append(planted, password) {
		if strings.Contains(text, s) {
			t.Errorf("%q is left in what was shared", s)
		}
	}
	count := func(text string) int { return strings.Count(text, "/buy?item=") }
	if n, was := count(text), count(before); n != was {
		t.Errorf("%d requests of tshark became %d", was, n)
	}
}
