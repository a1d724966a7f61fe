package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests record real clients as they talk to real servers. Then the server is gone,
// and a stand-in has to tell the clients the same.

// clientSays runs a client to its end, and returns what it prints.
func clientSays(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// sameFromStandIn captures what clients say to a server on a port, and wants them to be
// told the same by a stand-in, which is asked for all that was recorded.
func sameFromStandIn(t *testing.T, port string, talk func(t *testing.T, port string) string) {
	t.Helper()
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "clients.pcap")
	errs.wait(t, "listening on lo")
	want := talk(t, port)
	if code := stop(); code != exitDone {
		t.Fatalf("capture: exit status %d: %s", code, errs)
	}
	out, errs, stop := background(t, "serve", "clients.pcap", "--server", "127.0.0.1:"+port, "--listen", "127.0.0.1:0", "--json", "--expect-all")
	errs.wait(t, "answering on")
	var first struct{ Address string }
	if err := json.NewDecoder(strings.NewReader(out.String())).Decode(&first); err != nil {
		t.Fatal(err)
	}
	_, at, err := net.SplitHostPort(first.Address)
	if err != nil {
		t.Fatal(err)
	}
	got := talk(t, at)
	if code := stop(); code != exitDone || got != want || want == "" {
		t.Errorf("exit status %d; the client was told\n%s\nand then\n%s\n%s%s", code, want, got, out, errs)
	}
}

func TestServeCurl(t *testing.T) {
	programs(t, "curl", "nginx")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	put(t, "page.html", []byte(strings.Repeat("<p>a page of nginx</p>\n", 5_000)))
	os.Chmod("page.html", 0o644)
	put(t, "nginx.conf", fmt.Appendf(nil, `daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/log; events {}
http { access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
gzip on; gzip_types text/plain; server { listen 127.0.0.1:8080; root %[1]s; location /moved { return 301 /page.html; } location /said { return 200 "said\n"; } } }`, dir))
	started(t, "127.0.0.1:8080", "nginx", "-p", dir, "-c", dir+"/nginx.conf")
	sameFromStandIn(t, "8080", func(t *testing.T, port string) string {
		base := "http://127.0.0.1:" + port
		return clientSays(t, "curl", "-sS", "-H", "Host: a.example", base+"/page.html", base+"/said", base+"/none") +
			clientSays(t, "curl", "-sS", "-H", "Host: a.example", "--compressed", base+"/page.html") +
			clientSays(t, "curl", "-sS", "-H", "Host: a.example", "-o", "/dev/null", "-w", "%{http_code} %{size_download}\n", base+"/moved") +
			clientSays(t, "curl", "-sS", "-H", "Host: a.example", "-r", "10-19", base+"/page.html") +
			clientSays(t, "curl", "-sS", "-H", "Host: a.example", "-I", "-o", "/dev/null", "-w", "%{http_code}\n", base+"/page.html")
	})
}

func TestServeRedis(t *testing.T) {
	programs(t, "redis-cli", "redis-server")
	if !capturing(t) {
		return
	}
	inTempDir(t)
	started(t, "127.0.0.1:6379", "redis-server", "--save", "", "--bind", "127.0.0.1", "--port", "6379")
	sameFromStandIn(t, "6379", func(t *testing.T, port string) string {
		said := ""
		for _, command := range []string{"SET user:1 Ada", "GET user:1", "INCR visits", "INCR visits", "GET none", "LPUSH list a b c", "LRANGE list 0 -1", "GET user:1 too many"} {
			said += clientSays(t, "redis-cli", append([]string{"-p", port}, strings.Fields(command)...)...)
		}
		return said
	})
}

func TestServeDig(t *testing.T) {
	programs(t, "dig", "dnsmasq")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	put(t, "hosts", []byte("192.0.2.1 a.example\n2001:db8::1 a.example\n192.0.2.2 b.example\n"))
	os.Chmod("hosts", 0o644)
	started(t, "127.0.0.1:5353", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--addn-hosts="+dir+"/hosts", "--port=5353", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--conf-file=/dev/null", "--pid-file=")
	sameFromStandIn(t, "5353", func(t *testing.T, port string) string {
		said := ""
		for _, question := range []string{"a.example A", "a.example AAAA", "B.EXAMPLE A", "-x 192.0.2.1", "+tcp a.example A"} {
			said += clientSays(t, "dig", append([]string{"@127.0.0.1", "-p", port, "+noall", "+answer", "+tries=1", "+time=5"}, strings.Fields(question)...)...)
		}
		return said
	})
}

func TestServeFTP(t *testing.T) {
	programs(t, "curl", "vsftpd")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	if err := os.MkdirAll("files/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod("files", 0o555) // vsftpd refuses a root that can be written
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "files"), 0o755) })
	for _, name := range []string{"files/deep/notes.txt"} {
		put(t, name, []byte(strings.Repeat("buy milk\n", 20_000)))
		os.Chmod(name, 0o644)
	}
	put(t, "vsftpd.conf", fmt.Appendf(nil, "listen=YES\nlisten_address=127.0.0.1\nlisten_port=2121\nbackground=NO\nanonymous_enable=YES\nanon_root=%s/files\nsecure_chroot_dir=%s/files\nseccomp_sandbox=NO\nxferlog_enable=NO\nrun_as_launching_user=NO\n", dir, dir))
	started(t, "127.0.0.1:2121", "vsftpd", dir+"/vsftpd.conf")
	sameFromStandIn(t, "2121", func(t *testing.T, port string) string {
		base := "ftp://127.0.0.1:" + port
		return clientSays(t, "curl", "-sS", "--max-time", "120", base+"/deep/notes.txt") +
			clientSays(t, "curl", "-sS", "--max-time", "120", "--disable-epsv", base+"/deep/") +
			clientSays(t, "curl", "-sS", "--max-time", "120", "--ftp-port", "127.0.0.1", base+"/deep/notes.txt")
	})
}

// TestServeChromium has a browser load a page with what belongs to it.
func TestServeChromium(t *testing.T) {
	programs(t, "chromium")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	l, err := net.Listen("tcp", "127.0.0.1:8088")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, page := range map[string][2]string{
		"/{$}":      {"text/html", `<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="/look.css"><body><img id="i" src="/dot.svg"><script src="/app.js"></script>`},
		"/look.css": {"text/css", "body { margin: 7px }"},
		"/dot.svg":  {"image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg" width="33" height="44"><circle r="9"/></svg>`},
		"/app.js": {"text/javascript", `onload = () => { let x = new XMLHttpRequest(); x.open("GET", "/data.json", false); x.send();
document.title = JSON.parse(x.responseText).n + " " + i.naturalWidth + " " + getComputedStyle(document.body).margin; }`},
		"/data.json": {"application/json", `{"n": 42}`},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", page[0])
			fmt.Fprint(w, page[1])
		})
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	n := 0
	sameFromStandIn(t, "8088", func(t *testing.T, port string) string {
		n++
		dom := clientSays(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", fmt.Sprintf("--user-data-dir=%s/profile%d", dir, n), "--virtual-time-budget=5000", "--dump-dom", "http://127.0.0.1:"+port+"/")
		if !strings.Contains(dom, "<title>42 33 7px</title>") {
			t.Errorf("the page is not whole: %s", dom)
		}
		return dom
	})
}
