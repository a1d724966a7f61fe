package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// programs finds programs, or skips the test aloud.
func programs(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (apt-get install openssl curl nginx-light chromium redis-server redis-tools dnsmasq-base dnsutils vsftpd)", name)
		}
	}
}

// certified makes a certificate and its key, in files of these names too.
func certified(t *testing.T, ec bool, name string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
	}
	var key, public any
	if ec {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	} else {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	put(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// freeAddr is one on loopback that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := unusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// started runs a server until the test ends, and returns when it answers at an
// address.
func started(t *testing.T, addr, name string, args ...string) {
	t.Helper()
	startedWith(t, nil, addr, name, args...)
}

// startedWith does so with a standard input, which it closes, and returns what the
// server prints.
func startedWith(t *testing.T, in *os.File, addr, name string, args ...string) *buffer {
	t.Helper()
	return startedUntil(t, in, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			hangUp(conn.(*net.TCPConn))
		}
		return err == nil
	}, name, args...)
}

// hangUp closes a connection, and returns when the server has done so too: what it
// still said would be in a capture that begins now.
func hangUp(conn *net.TCPConn) {
	defer conn.Close()
	conn.CloseWrite()
	conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, conn) // however it ends
}

// startedUntil does so, and returns when the server is there.
func startedUntil(t *testing.T, in *os.File, there func() bool, name string, args ...string) *buffer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	out := newBuffer()
	cmd.Stdout, cmd.Stderr = out, out
	if in != nil {
		cmd.Stdin = in
		defer in.Close()
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(patience); !there(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer:\n%s", name, out)
		}
	}
	return out
}

// curled has curl ask, with its keys in a file, and returns what it got.
func curled(t *testing.T, keys string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-q", "-sS", "-k", "--noproxy", "*", "--max-time", "120", "-H", "Host: a.example"}, args...)...)
	cmd.Env = append(os.Environ(), "SSLKEYLOGFILE="+keys)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl %v: %v\n%s", args, err, &errs)
	}
	return string(out)
}

// httpBy returns the records of HTTP by the address of their server, without what is
// another each time.
func httpBy(t *testing.T, args ...string) map[string][]map[string]any {
	t.Helper()
	code, out, errs := netlab(t, append([]string{"decode", "--json", "--bodies"}, args...)...)
	if code != exitDone {
		t.Fatalf("decode %v ends with %d: %s", args, code, errs)
	}
	servers := make(map[any]string)
	var list []map[string]any
	for line := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		switch m["type"] {
		case "conversation":
			servers[m["id"]] = m["server"].(string)
		case "http":
			list = append(list, m)
		}
	}
	// One that has to wait, for what was lost or for the end, is told behind others.
	slices.SortStableFunc(list, func(a, b map[string]any) int {
		for _, name := range []string{"conversation", "index"} {
			if d := a[name].(float64) - b[name].(float64); d != 0 {
				return int(d)
			}
		}
		return 0
	})
	by := make(map[string][]map[string]any)
	for _, m := range list {
		server := servers[m["conversation"]]
		for _, name := range []string{"conversation", "index", "latency_ms", "total_ms"} {
			delete(m, name)
		}
		for _, side := range []string{"request", "response"} {
			if x, ok := m[side].(map[string]any); ok {
				delete(x, "time")
				delete(x, "packet")
				delete(x, "stream")
			}
		}
		by[server] = append(by[server], m)
	}
	return by
}

// injected puts keys into a pcapng file as its second block, and returns the new
// file's name (draft-ietf-opsawg-pcapng, section 4.7).
func injected(t *testing.T, file string, keys []byte) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint32(data[4:])
	padded := append(bytes.Clone(keys), make([]byte, (4-len(keys)%4)%4)...)
	size := uint32(20 + len(padded))
	block := binary.LittleEndian.AppendUint32(nil, 10)
	for _, v := range []uint32{size, 0x544c534b, uint32(len(keys))} {
		block = binary.LittleEndian.AppendUint32(block, v)
	}
	block = binary.LittleEndian.AppendUint32(append(block, padded...), size)
	name := file + ".keys.pcapng"
	put(t, name, bytes.Join([][]byte{data[:n], block, data[n:]}, nil))
	return name
}

// opened decodes a file with its keys in each way there is.
func opened(t *testing.T, file, keys string) map[string]map[string][]map[string]any {
	t.Helper()
	log, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]map[string][]map[string]any{
		"key log":       httpBy(t, file, "--keylog", keys),
		"secrets block": httpBy(t, injected(t, file, log)),
	}
	if _, err := exec.LookPath("editcap"); err != nil {
		t.Log("editcap, which comes with tshark, is not installed: only our own secrets block is tried")
		return ways
	}
	out := file + ".editcap.pcapng"
	if text, err := exec.Command("editcap", "--inject-secrets", "tls,"+keys, file, out).CombinedOutput(); err != nil {
		t.Fatalf("editcap: %v\n%s", err, text)
	}
	ways["editcap"] = httpBy(t, out)
	return ways
}

// TestOpenSSL has curl talk to OpenSSL in each kind of cipher suite, and wants what is
// inside by key log and by secrets block.
func TestOpenSSL(t *testing.T) {
	programs(t, "openssl", "curl")
	if !capturing(t) {
		return
	}
	suites := map[string][]string{
		"1.2": {
			"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305",
			"ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384",
			"ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES256-CCM8",
			"AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES256-SHA", "AES128-SHA256", "AES128-CCM", "AES256-CCM8",
		},
		"1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256"},
	}
	t.Chdir(t.TempDir())
	certified(t, false, "rsa")
	certified(t, true, "ec")
	body := strings.Repeat("what the page says, and more than a record holds\n", 1000)
	for _, list := range suites {
		for _, name := range list {
			put(t, name+".txt", []byte(name+"\n"+body))
		}
	}
	addr := freeAddr(t)
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "talk.pcapng", "tcp")
	errs.wait(t, "listening on lo")
	started(t, addr, "openssl", "s_server", "-accept", addr, "-WWW", "-quiet", "-cert", "rsa.pem", "-key", "rsa.key", "-dcert", "ec.pem", "-dkey", "ec.key",
		"-cipher", "ALL:@SECLEVEL=0", "-ciphersuites", strings.Join(suites["1.3"], ":"))
	asked := 0
	for version, list := range suites {
		for _, name := range list {
			choice := []string{"--tls-max", "1.2", "--ciphers", name}
			if version == "1.3" {
				choice = []string{"--tlsv1.3", "--tls13-ciphers", name}
			}
			if got := curled(t, "keys.txt", append(choice, "https://"+addr+"/"+name+".txt")...); got != name+"\n"+body {
				t.Fatalf("%s: curl got %d bytes", name, len(got))
			}
			asked++
		}
	}
	if code := stop(); code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	for way, by := range opened(t, "talk.pcapng", "keys.txt") {
		if len(by[addr]) != asked {
			t.Errorf("%s: %d exchanges of %d", way, len(by[addr]), asked)
		}
		for _, m := range by[addr] {
			request, response := m["request"].(map[string]any), m["response"].(map[string]any)
			name := strings.TrimSuffix(strings.TrimPrefix(request["target"].(string), "/"), ".txt")
			content, _ := response["body"].(string)
			if request["method"] != "GET" || response["status"] != 200.0 || m["state"] != "complete" ||
				response["body_bytes"] != float64(len(name)+1+len(body)) || content != name+"\n"+body {
				t.Errorf("%s: %s: %v %v %v, %v bytes", way, name, m["state"], request["method"], response["status"], response["body_bytes"])
			}
		}
	}
}

// TestHTTPS has curl talk to a server of Go and to nginx, over HTTP/1.1 and HTTP/2,
// in clear and encrypted, and wants no difference.
func TestHTTPS(t *testing.T) {
	programs(t, "curl", "nginx")
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cert := certified(t, false, "rsa")
	put(t, "page.txt", bytes.Repeat([]byte("a page\n"), 10_000))
	mux := http.NewServeMux()
	mux.Handle("POST /echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	mux.Handle("/", http.FileServer(http.Dir(dir)))
	keep := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
		mux.ServeHTTP(w, r)
	})
	serve := func(secured bool) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: keep, Protocols: new(http.Protocols), TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetHTTP2(secured)
		s.Protocols.SetUnencryptedHTTP2(!secured)
		t.Cleanup(func() { s.Close() })
		if secured {
			go s.ServeTLS(l, "", "")
		} else {
			go s.Serve(l)
		}
		return l.Addr().String()
	}
	goClear, goTLS := serve(false), serve(true)
	nginxClear, nginxTLS := freeAddr(t), freeAddr(t)
	put(t, "nginx.conf", fmt.Appendf(nil, `daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http {
	access_log off; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
	server { listen %s http2; root %s; }
	server { listen %s ssl http2; root %[2]s; ssl_certificate rsa.pem; ssl_certificate_key rsa.key; }
}
`, nginxClear, dir, nginxTLS))
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "talk.pcapng", "tcp")
	errs.wait(t, "listening on lo")
	started(t, nginxTLS, "nginx", "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	for _, pair := range [][2]string{{goClear, goTLS}, {nginxClear, nginxTLS}} {
		for i, base := range []string{"http://" + pair[0], "https://" + pair[1]} {
			h2 := [...]string{"--http2-prior-knowledge", "--http2"}[i]
			curled(t, "keys.txt", h2, base+"/page.txt", "-o", "a")
			curled(t, "keys.txt", h2, base+"/none", "-o", "a")
			if pair[0] == goClear {
				curled(t, "keys.txt", h2, "-d", strings.Repeat("what is posted", 5000), base+"/echo", "-o", "a")
				curled(t, "keys.txt", "--http1.1", base+"/page.txt", base+"/none", "-o", "a", "-o", "b")
			}
		}
	}
	if code := stop(); code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	for way, by := range opened(t, "talk.pcapng", "keys.txt") {
		for server, pair := range map[string][2]string{"Go": {goClear, goTLS}, "nginx": {nginxClear, nginxTLS}} {
			clear, secured := unschemed(by[pair[0]]), unschemed(by[pair[1]])
			if want := map[string]int{"Go": 5, "nginx": 2}[server]; len(clear) != want {
				t.Errorf("%s: %d exchanges in clear, not %d", server, len(clear), want)
			}
			if diff := cmp.Diff(clear, secured); diff != "" {
				t.Errorf("%s, %s: not as in clear (-clear +opened):\n%.3000s", server, way, diff)
			}
		}
	}

	// The other views of what was opened.
	code, out, _ := netlab(t, "decode", "talk.pcapng", "--keylog", "keys.txt", "--har", "-")
	if n := strings.Count(out, `"url":"https://a.example/`); code != exitDone || n != 7 {
		t.Errorf("the archive has %d requests by https", n)
	}
	code, out, errors := netlab(t, "decode", "talk.pcapng", "--keylog", "keys.txt", "--extract", "out")
	if code != exitDone {
		t.Errorf("extract: %s%s", out, errors)
	}
	files, err := filepath.Glob("out/*")
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && len(data) == 70_000 && strings.HasPrefix(string(data), "a page\n") {
			pages++
		}
	}
	if pages != 6 { // of Go by both versions and of nginx by one, in clear and not
		t.Errorf("%d pages are extracted, of %d files", pages, len(files))
	}
}

// unschemed leaves out what tells that it was encrypted, and what chance does to TCP.
func unschemed(list []map[string]any) []map[string]any {
	for _, m := range list {
		delete(m, "retransmitted")
		delete(m, "out_of_order")
		for _, side := range []string{"request", "response"} {
			x, ok := m[side].(map[string]any)
			if !ok {
				continue
			}
			delete(x, "scheme")
			var fields []any
			old, _ := x["headers"].([]any)
			for _, f := range old {
				switch name := f.([]any)[0]; name {
				case "Date", "date":
				default:
					fields = append(fields, f)
				}
			}
			x["headers"] = fields
		}
	}
	return list
}

// TestNewKeys has OpenSSL shake hands again in the middle of a talk (TLS 1.2), or
// change its keys (TLS 1.3).
func TestNewKeys(t *testing.T) {
	programs(t, "openssl")
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	certified(t, false, "rsa")
	for _, tt := range []struct {
		version, command string
		file, mark       string // what shows that it was done, and where
		handshakes       int
	}{
		{"tls1_2", "R", "keys-tls1_2.txt", "CLIENT_RANDOM ", 3},
		{"tls1_3", "K", "", "KEYUPDATE", 1},
		{"tls1_3", "k", "", "KEYUPDATE", 1},
	} {
		addr, keys, file := freeAddr(t), "keys-"+tt.version+".txt", tt.version+tt.command+".pcapng"
		_, errs, stop := background(t, "capture", "-i", "lo", "-w", file, "tcp")
		errs.wait(t, "listening on lo")
		started(t, addr, "openssl", "s_server", "-accept", addr, "-rev", "-"+tt.version, "-client_renegotiation", "-cert", "rsa.pem", "-key", "rsa.key")
		client := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", addr, "-"+tt.version, "-keylogfile", keys)
		in, err := client.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out := newBuffer()
		client.Stdout, client.Stderr = out, out
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		done := func(n int) {
			t.Helper()
			for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
				text := out.String()
				if tt.file != "" {
					data, _ := os.ReadFile(tt.file) // not there at first
					text = string(data)
				}
				if strings.Count(text, tt.mark) >= n {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s was not done %d times:\n%s", tt.command, n, out)
				}
			}
		}
		// It takes a letter for a command only when nothing else comes with it.
		for i, line := range []string{"first line", "second line", "third line"} {
			if i > 0 {
				io.WriteString(in, tt.command+"\n")
				done(i + tt.handshakes/3) // the first was at the beginning
			}
			io.WriteString(in, line+"\n")
			backwards := []byte(line)
			slices.Reverse(backwards)
			out.wait(t, string(backwards))
		}
		in.Close()
		if err := client.Wait(); err != nil {
			t.Fatal(err)
		}
		if code := stop(); code != exitDone {
			t.Fatalf("exit status %d: %s", code, errs)
		}
		_, all, _ := netlab(t, "decode", file, "--keylog", keys, "--json")
		for _, want := range []string{"first line", "second line", "third line", "enil tsrif", "enil dnoces", "enil driht"} {
			if strings.Count(all, `"preview":"`+want) != 1 {
				t.Errorf("%s, %s: there is no %q in\n%s", tt.version, tt.command, want, all)
			}
		}
		if n := strings.Count(all, `{"type":"tls"`); n != tt.handshakes || strings.Contains(all, `{"type":"anomaly"`) {
			t.Errorf("%s, %s: %d handshakes in\n%s", tt.version, tt.command, n, all)
		}
	}
}

// TestKeylogGrows opens what is said while it is captured, by a key log that is not
// there at first.
func TestKeylogGrows(t *testing.T) {
	programs(t, "curl")
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: shop("950"), TLSConfig: &tls.Config{Certificates: []tls.Certificate{certified(t, true, "ec")}}}
	go server.ServeTLS(l, "", "")
	defer server.Close()
	addr := l.Addr().String()
	out, errs, stop := background(t, "capture", "-i", "lo", "--keylog", "keys.txt", "tcp")
	errs.wait(t, "listening on lo")
	for i, more := range [][]string{{"--tls-max", "1.2", "--http1.1"}, {"--http1.1"}, {"--http2"}} {
		curled(t, "keys.txt", append(more, fmt.Sprintf("https://%s/price?%d", addr, i))...)
		out.wait(t, fmt.Sprintf("GET a.example/price?%d > 200", i)) // while it goes on
	}
	if code := stop(); code != exitDone {
		t.Errorf("exit status %d: %s", code, errs)
	}
}

// TestEarlyData has OpenSSL resume a connection of TLS 1.3, and ask before the server
// has said anything (RFC 8446, section 2.3).
func TestEarlyData(t *testing.T) {
	programs(t, "openssl")
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	certified(t, false, "rsa")
	request := func(name string) string { return "GET /" + name + " HTTP/1.1\r\nHost: a.example\r\n\r\n" }
	put(t, "early.txt", []byte(request("early")))
	addr := freeAddr(t)
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "early.pcapng", "tcp")
	errs.wait(t, "listening on lo")
	read, answer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	heard := startedWith(t, read, addr, "openssl", "s_server", "-accept", addr, "-tls1_3", "-early_data", "-cert", "rsa.pem", "-key", "rsa.key")
	for _, name := range []string{"first", "early"} {
		args := []string{"s_client", "-connect", addr, "-tls1_3", "-keylogfile", "keys.txt"}
		if name == "first" {
			args = append(args, "-sess_out", "ticket.pem")
		} else {
			args = append(args, "-sess_in", "ticket.pem", "-early_data", "early.txt")
		}
		client := exec.CommandContext(t.Context(), "openssl", args...)
		in, err := client.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out := newBuffer()
		client.Stdout, client.Stderr = out, out
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		if name == "first" {
			io.WriteString(in, request(name))
		}
		heard.wait(t, "GET /"+name)
		io.WriteString(answer, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nanswer "+name)
		out.wait(t, "answer "+name)
		in.Close()
		if err := client.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if code := stop(); code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	for way, by := range opened(t, "early.pcapng", "keys.txt") {
		var got []string
		for _, m := range by[addr] {
			got = append(got, fmt.Sprintf("%v %v %v", m["state"], m["request"].(map[string]any)["target"], m["response"].(map[string]any)["body"]))
		}
		if diff := cmp.Diff([]string{"complete /first answer first", "complete /early answer early"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", way, diff)
		}
	}
	code, out, errors := netlab(t, "decode", "early.pcapng", "--keylog", "keys.txt", "-e", "tls.resumed", "-e", "tls.early_data", "--where", "exists(tls.resumed)")
	if code != exitDone || out != "psk\taccepted\n" {
		t.Errorf("what was resumed is %q: %s", out, errors)
	}
}

// TestChromium has a browser load a page that asks for more, over HTTP/2.
func TestChromium(t *testing.T) {
	programs(t, "chromium")
	if !capturing(t) {
		return
	}
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	mux := http.NewServeMux()
	for path, page := range map[string][2]string{
		"/{$}":     {"text/html", `<!doctype html><link rel="icon" href="data:,"><script src="/app.js"></script><img src="/dot.svg">`},
		"/app.js":  {"text/javascript", `let x = new XMLHttpRequest(); x.open("POST", "/echo", false); x.send("said by a script"); document.title = x.responseText;`},
		"/dot.svg": {"image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>`},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", page[0])
			io.WriteString(w, page[1])
		})
	}
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	s := &http.Server{Handler: mux, Protocols: new(http.Protocols), TLSConfig: &tls.Config{Certificates: []tls.Certificate{certified(t, true, "ec")}}}
	s.Protocols.SetHTTP2(true)
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "talk.pcapng", "tcp")
	errs.wait(t, "listening on lo")
	cmd := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--host-resolver-rules=MAP a.example 127.0.0.1", "--dump-dom", "https://a.example:"+port+"/")
	cmd.Env = append(os.Environ(), "HOME="+dir, "SSLKEYLOGFILE="+filepath.Join(dir, "keys.txt"))
	var log bytes.Buffer
	cmd.Stderr = &log
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "<title>said by a script</title>") {
		t.Fatalf("chromium: %v: %s\n%s", err, out, &log)
	}
	if code := stop(); code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	want := map[string]string{"GET /": "<!doctype", "GET /app.js": "let x", "GET /dot.svg": "<svg", "POST /echo": "said by a script"}
	for way, by := range opened(t, "talk.pcapng", "keys.txt") {
		for _, m := range by[l.Addr().String()] {
			request, response := m["request"].(map[string]any), m["response"].(map[string]any)
			what := fmt.Sprintf("%v %v", request["method"], request["target"])
			body, _ := response["body"].(string)
			if begins, ok := want[what]; !ok || !strings.HasPrefix(body, begins) || m["state"] != "complete" || response["version"] != "HTTP/2" {
				t.Errorf("%s: %s: %v", way, what, m)
			}
		}
		if n := len(by[l.Addr().String()]); n != len(want) {
			t.Errorf("%s: %d exchanges, not %d", way, n, len(want))
		}
	}
}
