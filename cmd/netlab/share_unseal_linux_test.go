package main

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// sealedSecrets are said inside of TLS.
var sealedSecrets = map[string]string{
	"host":          "shop.intranet-acme.net",
	"cookie":        "s1dK3ZV5PYJ2MXA6TRC4NWB8EHD",
	"bearer token":  "tkB6N3CQ5YKJ7WZ2MPV4TRA8EHDx",
	"password":      "hunter2-Zk81-correct-horse",
	"e-mail":        "ada.lovelace@corp-mail.io",
	"session token": "gzsess-77ab1c9e0d42aa",
}

// account is a server for which no secret matters; with secure, over TLS.
func account(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Method == "POST" {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: sealedSecrets["cookie"]})
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		z := gzip.NewWriter(w)
		fmt.Fprintf(z, `{"email":%q,"session_token":%q,"items":[1,2,3]}`, sealedSecrets["e-mail"], sealedSecrets["session token"])
		z.Close()
	}))
	s.EnableHTTP2 = true
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// visit has a client with that configuration log in, and ask for some pages.
func visit(t *testing.T, s *httptest.Server, config *tls.Config, http2 bool, pages ...string) {
	t.Helper()
	config.InsecureSkipVerify = true
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2, DisableCompression: true}
	defer transport.CloseIdleConnections()
	ask := func(method, page, body string) {
		q, err := http.NewRequestWithContext(t.Context(), method, s.URL+page, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Host = sealedSecrets["host"]
		q.Header.Set("Authorization", "Bearer "+sealedSecrets["bearer token"])
		if method == "POST" {
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		} else {
			q.Header.Set("Cookie", "sid="+sealedSecrets["cookie"])
		}
		resp, err := transport.RoundTrip(q)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	ask("POST", "/login", "password="+sealedSecrets["password"])
	for _, page := range pages {
		ask("GET", page, "")
	}
}

// TestShareTLS shares what was said inside of TLS, whose keys are in the capture file, or in one of
// their own: no secret is in it, nor a key, and it replays to the same server, and to one without TLS.
func TestShareTLS(t *testing.T) {
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	server := account(t, true)
	addr := server.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	keys, err := os.OpenFile("keys.txt", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	record := func(file string, args ...string) {
		t.Helper()
		_, errs, stop := background(t, append(append([]string{"capture", "-i", "lo", "-w", file}, args...), "tcp", "port", port)...)
		errs.wait(t, "listening on lo")
		visit(t, server, &tls.Config{KeyLogWriter: keys, MaxVersion: tls.VersionTLS12}, false, "/first")
		visit(t, server, &tls.Config{KeyLogWriter: keys}, false, "/second", "/fails")
		if code := stop(); code != exitDone {
			t.Fatalf("capture: exit status %d: %s", code, errs)
		}
	}
	record("own.pcapng", "--keylog", "keys.txt")
	record("apart.pcap")
	for _, args := range [][]string{{"own.pcapng"}, {"apart.pcap", "--keylog", "keys.txt"}} {
		code, told, errs := netlab(t, append([]string{"share", "-o", "bug.zip"}, args...)...)
		if code != exitDone || !strings.Contains(told, "\nopened: 2 TLS conversations, now in clear\n") || strings.Contains(told, "blanked:\n  encrypted") {
			t.Fatalf("%v: exit status %d\n%s%s", args, code, told, errs)
		}
		for name, where := range foundIn(t, "bug.zip", andKeys(t, sealedSecrets, "keys.txt")) {
			t.Errorf("%v: the %s is in %s", args, name, where)
		}
		_, was, _ := netlab(t, "decode", args[0], "--keylog", "keys.txt", "--json")
		_, is, _ := netlab(t, "decode", "bug.zip", "--json")
		if strings.Count(is, `"type":"http"`) != 5 || strings.Contains(is, `"type":"tls"`) || packetsOf(was) != packetsOf(is) {
			t.Errorf("%v: it is not what was said:\n%s%s", args, was, is)
		}
		for target, more := range map[string][]string{addr: {"--tls", "--insecure"}, account(t, false).Listener.Addr().String(): nil} {
			code, out, errs := netlab(t, append([]string{"replay", "bug.zip", "--to", target}, more...)...)
			if code != exitDone || !strings.Contains(out, "5 recorded = 5 same") {
				t.Errorf("%v: replayed %v: exit status %d\n%s%s", args, more, code, out, errs)
			}
		}
		// Numbers and conditions are those of what was captured, and of what is inside.
		for _, pick := range [][]string{{"--conversation", "1"}, {"--where", "http.status >= 500"}, {"--where", `tls.version == "1.3"`}, {"-o", "last.zip", "--packets", packetsOf(was)}} {
			code, told, errs := netlab(t, append(append([]string{"share", "-o", "some.zip"}, args...), pick...)...)
			if code != exitDone || !strings.Contains(told, "1 conversation, 3 exchanges") {
				t.Errorf("%v, %v: exit status %d\n%s%s", args, pick, code, told, errs)
			}
		}
		code, told, errs = netlab(t, append([]string{"share", "-o", "bare.zip", "--no-sanitise"}, args...)...)
		if _, out, _ := netlab(t, "decode", "bare.zip"); code != exitDone || !strings.Contains(out, sealedSecrets["host"]+"/fails") {
			t.Errorf("%v: as it is: exit status %d\n%s%s%s", args, code, told, errs, out)
		}
	}
}

// packetsOf is how many packets JSON Lines tell of.
func packetsOf(lines string) string {
	m := regexp.MustCompile(`"type":"capture",.*?"packets":(\d+)`).FindStringSubmatch(lines)
	if m == nil {
		return "none"
	}
	return m[1]
}

// andKeys adds the keys in a log to secrets.
func andKeys(t *testing.T, secrets map[string]string, log string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for name, s := range secrets {
		all[name] = s
	}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.Fields(line)
		secret, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("%s in line %d", f[0], i+1)] = string(secret)
	}
	return all
}

// TestShareTLSInPart has keys of some conversations only, and one that speaks HTTP/2: what can't be
// opened is blanked and counted, and the rest is shared.
func TestShareTLSInPart(t *testing.T) {
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	server := account(t, true)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	var log bytes.Buffer
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "some.pcapng", "tcp", "port", port)
	errs.wait(t, "listening on lo")
	visit(t, server, &tls.Config{}, false, "/first")
	visit(t, server, &tls.Config{KeyLogWriter: &log}, false, "/second")
	visit(t, server, &tls.Config{KeyLogWriter: &log}, true, "/third")
	if code := stop(); code != exitDone {
		t.Fatalf("capture: exit status %d: %s", code, errs)
	}
	put(t, "keys.txt", log.Bytes())
	code, told, more := netlab(t, "share", "some.pcapng", "--keylog", "keys.txt", "-o", "bug.zip")
	for _, want := range []string{"\nopened: 2 TLS conversations, now in clear\n", "\n  encrypted (TLS): "} {
		if code != exitDone || !strings.Contains(told, want) {
			t.Errorf("exit status %d, and there is no %q:\n%s%s", code, want, told, more)
		}
	}
	for name, where := range foundIn(t, "bug.zip", andKeys(t, sealedSecrets, "keys.txt")) {
		t.Errorf("the %s is in %s", name, where)
	}
	if _, out, _ := netlab(t, "decode", "bug.zip"); !strings.Contains(out, "/second") || strings.Contains(out, "/first") {
		t.Errorf("it is\n%s", out)
	}
	code, told, more = netlab(t, "share", "some.pcapng", "--keylog", "keys.txt", "-o", "bug.pcapng", "--json")
	if code != exitDone || !strings.Contains(told, `"tls_opened":2`) {
		t.Errorf("exit status %d: %s%s", code, told, more)
	}
	// Of the server's answers there are no keys.
	put(t, "half.txt", regexp.MustCompile(`(?m)^SERVER_TRAFFIC_SECRET_0 .*\n`).ReplaceAll(log.Bytes(), nil))
	code, told, more = netlab(t, "share", "some.pcapng", "--keylog", "half.txt", "--conversation", "1", "-o", "bug.zip")
	if code != exitDone || !strings.Contains(told, "\n  left out, of TLS that was opened but for that: ") || strings.Contains(told, "encrypted (TLS)") {
		t.Errorf("with half the keys: exit status %d\n%s%s", code, told, more)
	}
	if _, out, _ := netlab(t, "decode", "bug.zip"); !strings.Contains(out, "/second") || !strings.Contains(out, "unanswered") {
		t.Errorf("with half the keys it is\n%s", out)
	}
	if code, _, more = netlab(t, "share", "some.pcapng", "--keylog", "half.txt", "--conversation", "1", "-o", "bug.zip", "--strict"); code != exitFailed {
		t.Errorf("with half the keys, and --strict: exit status %d: %s", code, more)
	}
	code, _, more = netlab(t, "share", "some.pcapng", "--keylog", "none.txt", "-o", "bug.pcapng")
	if code != exitFailed || !strings.Contains(more, "none.txt") {
		t.Errorf("with no key log there: exit status %d: %s", code, more)
	}
}
