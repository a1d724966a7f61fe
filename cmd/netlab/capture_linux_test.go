package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netlab/capture"
	"netlab/capture/live"
	"netlab/pcaps"
)

// inNamespace is set in the environment of a test that runs in a network
// namespace of its own, where it may capture and nobody else talks.
const inNamespace = "NETLAB_TEST_NAMESPACE"

// capturing runs the calling test in a network namespace made for it, whoever
// runs it, and reports whether this is there; elsewhere the test is done. Where no
// namespace can be made, this machine's own loopback will do, if it may be
// captured; else the test is skipped aloud.
func capturing(t *testing.T) bool {
	t.Helper()
	if !live.Available {
		t.Skip("this test binary has no capture engine: build it with -tags libpcap, which needs libpcap's headers")
	}
	if os.Getenv(inNamespace) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		if h, e := live.Open(live.Options{Interface: "lo"}); e == nil {
			h.Close()
			return true
		}
		t.Skipf("neither a network namespace (%v) nor CAP_NET_RAW: nothing can be captured here", err)
	}
	err := cmd.Wait()
	t.Logf("in a network namespace:\n%s", &out)
	if err != nil || !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Fatalf("the test did not pass: %v", err)
	}
	return false
}

// loopbackUp brings lo up in a new network namespace.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// buffer is a bytes.Buffer for a command that runs beside the test.
type buffer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newBuffer() *buffer { return &buffer{changed: make(chan struct{}, 1)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// wait returns when text was written.
func (b *buffer) wait(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(patience)
	for !strings.Contains(b.String(), text) {
		select {
		case <-b.changed:
		case <-timeout:
			t.Fatalf("%q was not written in %v, but\n%s", text, patience, b.String())
		}
	}
}

// netlab runs a command to its end.
func netlab(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, errs := newBuffer(), newBuffer() // a command that is run writes to them too
	code = run(t.Context(), append([]string{"netlab"}, args...), strings.NewReader(""), out, errs)
	return code, out.String(), errs.String()
}

// background runs a command until stop is called, which returns its exit status.
func background(t *testing.T, args ...string) (stdout, stderr *buffer, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr = newBuffer(), newBuffer()
	done := make(chan int, 1)
	go func() { done <- run(ctx, append([]string{"netlab"}, args...), strings.NewReader(""), stdout, stderr) }()
	return stdout, stderr, func() int {
		cancel()
		select {
		case code := <-done:
			return code
		case <-time.After(patience):
			t.Fatalf("netlab %v does not end", args)
			return -1
		}
	}
}

// shop is a server whose price can change.
func shop(price string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /price", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"price":%s}`, price)
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	return mux
}

func ask(t *testing.T, base string) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get(base + "/price")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	resp, err := client.Post(base+"/echo", "text/plain", strings.NewReader("hello, world"))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// TestLoop captures a real client talking to a real server on loopback, decodes
// that, replays it to the same server and to a changed one.
func TestLoop(t *testing.T) {
	if !capturing(t) {
		return
	}
	server := httptest.NewServer(shop("950"))
	defer server.Close()
	addr := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"loop.pcap", "loop.pcapng"} {
		file := filepath.Join(t.TempDir(), name)
		_, errs, stop := background(t, "capture", "-i", "lo", "-w", file, "tcp", "port", port)
		errs.wait(t, "listening on lo")
		ask(t, server.URL)
		if code := stop(); code != exitDone {
			t.Fatalf("exit status %d: %s", code, errs)
		}
		if !strings.Contains(errs.String(), " 0 dropped by the kernel") || !strings.Contains(errs.String(), "packets written to "+file) {
			t.Errorf("summary: %s", errs)
		}
		st, err := os.Stat(file)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", st.Mode(), err)
		}
		code, out, _ := netlab(t, "decode", file)
		if code != exitDone || !strings.Contains(out, "3 exchanges: 3 complete") || !strings.Contains(out, "GET "+addr+"/price") {
			t.Errorf("decode ends with %d:\n%s", code, out)
		}
		code, out, stderr := netlab(t, "replay", file, "--to", addr)
		if code != exitDone || !strings.Contains(out, "3 recorded = 3 same") {
			t.Errorf("replay to the same server ends with %d:\n%s%s", code, out, stderr)
		}
		changed := httptest.NewServer(shop("1050"))
		code, out, _ = netlab(t, "replay", file, "--to", changed.Listener.Addr().String(), "--speed", "max")
		changed.Close()
		if code != exitDiffers || !strings.Contains(out, "body $.price was 950, is 1050") || !strings.Contains(out, "in 2 of 2 answers") || !strings.Contains(out, "= 1 same + 2 different") {
			t.Errorf("replay to a changed server ends with %d:\n%s", code, out)
		}
		heldAgainst(t, file)
	}
}

// heldAgainst compares packets and conversations with tshark's count.
func heldAgainst(t *testing.T, file string) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Logf("not held against tshark, which is not installed")
		return
	}
	f, err := pcaps.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	packets, err := capture.Copy(discard{}, f)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-n", "-r", file, "-T", "fields", "-e", "tcp.stream").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	streams := make(map[string]bool)
	lines := strings.Fields(string(out))
	for _, s := range lines {
		streams[s] = true
	}
	_, decoded, _ := netlab(t, "decode", "--json", file)
	if conversations := strings.Count(decoded, `{"type":"conversation"`); int64(len(lines)) != packets || len(streams) != conversations {
		t.Errorf("tshark sees %d packets in %d conversations, netlab %d in %d", len(lines), len(streams), packets, conversations)
	}
}

type discard struct{}

func (discard) WritePacket(*capture.Packet) error { return nil }

// TestWatch prints conversations and exchanges as they happen.
func TestWatch(t *testing.T) {
	if !capturing(t) {
		return
	}
	server := httptest.NewServer(shop("950"))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	out, errs, stop := background(t, "capture", "-i", "lo", "tcp", "port", port)
	errs.wait(t, "listening on lo")
	ask(t, server.URL)
	out.wait(t, "POST") // while the capture goes on
	out.wait(t, "closed")
	if code := stop(); code != exitDone {
		t.Errorf("exit status %d: %s", code, errs)
	}
	for _, want := range []string{"begins", "GET 127.0.0.1:" + port + "/price > 200 OK, 13 bytes", "/echo, 12 bytes > 200 OK, 12 bytes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if !strings.Contains(errs.String(), "3 exchanges: 3 complete") {
		t.Errorf("summary: %s", errs)
	}
}

// TestCaptureLimits ends by count and by time, and cuts packets.
func TestCaptureLimits(t *testing.T) {
	if !capturing(t) {
		return
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	conn, err := net.Dial("udp", u.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, port, err := net.SplitHostPort(u.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.pcap")
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", file, "-c", "3", "-s", "60", "udp", "port", port)
	errs.wait(t, "listening on lo")
	for range 5 {
		if _, err := conn.Write(bytes.Repeat([]byte("x"), 100)); err != nil {
			t.Fatal(err)
		}
	}
	errs.wait(t, "3 packets captured") // it ends by itself
	if code := stop(); code != exitDone {
		t.Errorf("exit status %d: %s", code, errs)
	}
	f, err := pcaps.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := f.Next()
	if err != nil || len(p.Data) != 60 || p.Length != 142 {
		t.Errorf("%d of %d bytes, %v", len(p.Data), p.Length, err)
	}

	code, out, stderr := netlab(t, "capture", "-i", "lo", "-w", "-", "--duration", "200ms")
	if code != exitDone || len(out) != 24 || !strings.Contains(stderr, "0 packets captured") {
		t.Errorf("exit status %d, %d bytes of a file: %s", code, len(out), stderr)
	}
}

// TestCaptureErrors says what is wrong, in one line with the remedy.
func TestCaptureErrors(t *testing.T) {
	if !capturing(t) {
		return
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-i", "nosuch0"}, "there are: lo"},
		{[]string{"-i", "lo", "tcp", "prt", "80"}, "man pcap-filter"},
		{[]string{"-i", "lo", "-w", "/nonexistent/x.pcap"}, "no such file"},
	} {
		code, _, stderr := netlab(t, append([]string{"capture"}, test.args...)...)
		if code != exitFailed || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") > 4 {
			t.Errorf("%v: exit status %d\n%s", test.args, code, stderr)
		}
	}
}

// TestPermissionHint names the command that gives the right to capture.
func TestPermissionHint(t *testing.T) {
	var out bytes.Buffer
	code := explain(&out, captureHint(&live.PermissionError{Interface: "lo", Err: os.ErrPermission}))
	if code != exitFailed || !strings.Contains(out.String(), "try: sudo setcap cap_net_raw+ep ") {
		t.Errorf("exit status %d\n%s", code, &out)
	}
}
