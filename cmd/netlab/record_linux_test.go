package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netlab/capture"
	"netlab/capture/live"
	"netlab/pcaps"
)

// ownProcess runs netlab in a process of its own, which can be killed.
func ownProcess(t *testing.T, args ...string) (*exec.Cmd, *buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), netlabProcess+"=1")
	errs := newBuffer()
	cmd.Stderr = errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, errs
}

// datagrams sends numbered datagrams of a size to loopback, and returns their port.
type datagrams struct {
	net.Conn
	port string
	next uint32
	size int
}

func newDatagrams(t *testing.T, size int) *datagrams {
	t.Helper()
	to, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	c, err := net.Dial("udp", to.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, port, err := net.SplitHostPort(to.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &datagrams{Conn: c, port: port, size: size}
}

func (d *datagrams) send(t *testing.T, n int) {
	t.Helper()
	b := make([]byte, d.size)
	for range n {
		binary.BigEndian.PutUint32(b, d.next)
		d.next++
		if _, err := d.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// numbers are those of the datagrams in files, and the error that reading ended with.
func numbers(t *testing.T, names ...string) (list []uint32, last error) {
	t.Helper()
	for _, name := range names {
		f, err := pcaps.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for {
			p, err := f.Next()
			if last = err; err != nil {
				break
			}
			list = append(list, binary.BigEndian.Uint32(p.Data[42:]))
		}
	}
	return list, last
}

// inOrder wants the numbers from 0 to n-1.
func inOrder(t *testing.T, list []uint32, n uint32) {
	t.Helper()
	if uint32(len(list)) != n {
		t.Errorf("%d packets, want %d", len(list), n)
	}
	for i, got := range list {
		if got != uint32(i) {
			t.Fatalf("packet %d is number %d", i, got)
		}
	}
}

// grown waits until a file can be read up to a datagram.
func grown(t *testing.T, name string, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if list, _ := numbers(t, name); len(list) >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not hold %d packets after %v", name, n, patience)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at the condition
	}
}

// TestCaptureKilled kills a capture: what was seen a second before is in the file.
func TestCaptureKilled(t *testing.T) {
	if !capturing(t) {
		return
	}
	for _, engine := range live.Engines() {
		for _, name := range []string{"x.pcap", "x.pcapng"} {
			d := newDatagrams(t, 500)
			file := filepath.Join(t.TempDir(), name)
			cmd, errs := ownProcess(t, "capture", "-i", "lo", "-w", file, "--engine", string(engine), "udp", "dst", "port", d.port)
			errs.wait(t, "listening on lo")
			d.send(t, 100)
			grown(t, file, 100) // though nothing more comes
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			list, err := numbers(t, file)
			inOrder(t, list, 100)
			if err != io.EOF {
				t.Errorf("%s by %s ends in %v", name, engine, err)
			}
		}
	}
}

// TestCaptureIsFollowed decodes a file while a capture writes it: who reads keeps up
// with the capture, and nothing is missing in the end.
func TestCaptureIsFollowed(t *testing.T) {
	if !capturing(t) {
		return
	}
	for _, name := range []string{"x.pcap", "x.pcapng"} {
		file := filepath.Join(t.TempDir(), name)
		_, errs, stop := background(t, "capture", "-i", "lo", "-w", file, "udp")
		errs.wait(t, "listening on lo")
		out, seen, end := background(t, "decode", "--follow-file", file)
		seen.wait(t, "following "+file)
		for range 3 {
			d := newDatagrams(t, 500)
			d.send(t, 100)
			out.wait(t, "127.0.0.1:"+d.port+" begins") // though nothing more comes
		}
		if code := stop(); code != exitDone {
			t.Errorf("%s: the capture ends with %d: %s", name, code, errs)
		}
		if code := end(); code != exitDone || !strings.Contains(seen.String(), "300 packets") {
			t.Errorf("%s: the follower ends with %d: %s", name, code, seen)
		}
	}
}

// TestCaptureRotates loses no packet between two files, and doubles none.
func TestCaptureRotates(t *testing.T) {
	if !capturing(t) {
		return
	}
	d := newDatagrams(t, 1000)
	dir := t.TempDir()
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", filepath.Join(dir, "x.pcapng"), "--rotate-size", "100kB", "udp", "dst", "port", d.port)
	errs.wait(t, "listening on lo")
	d.send(t, 5000)
	if code := stop(); code != exitDone || !strings.Contains(errs.String(), " 0 dropped by the kernel") {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	files, err := filepath.Glob(filepath.Join(dir, "x_*.pcapng"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	list, _ := numbers(t, files...)
	inOrder(t, list, 5000)
}

// TestCaptureFullDisk ends with an error, and a file that can be read.
func TestCaptureFullDisk(t *testing.T) {
	if !capturing(t) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no small disk can be made: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	for _, name := range []string{"x.pcap", "x.pcapng"} {
		file := filepath.Join(dir, name)
		d := newDatagrams(t, 1000)
		cmd, errs := ownProcess(t, "capture", "-i", "lo", "-w", file, "udp", "dst", "port", d.port)
		errs.wait(t, "listening on lo")
		d.send(t, 2000)
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: %s", err, errs)
		}
		list, err := numbers(t, file)
		inOrder(t, list, uint32(len(list)))
		if err != io.EOF || len(list) < 900 {
			t.Errorf("%s: %d packets, and then %v", name, len(list), err)
		}
		if want := fmt.Sprintf(", %d packets written to", len(list)); !strings.Contains(errs.String(), want) {
			t.Errorf("%q is missing in %s", want, errs)
		}
		os.Remove(file)
	}
}

// TestCaptureDrops counts what is lost, in the summary, the file and the exit status.
func TestCaptureDrops(t *testing.T) {
	if !capturing(t) {
		return
	}
	d := newDatagrams(t, 1000)
	file := filepath.Join(t.TempDir(), "x.pcapng")
	cmd, errs := ownProcess(t, "capture", "-i", "lo", "-B", "256KiB", "--fail-on-drop", "-w", file, "udp", "dst", "port", d.port)
	errs.wait(t, "listening on lo")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.send(t, 2000)
	cmd.Process.Signal(syscall.SIGCONT)
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(errs.String(), "packets dropped") {
		t.Errorf("exit status %d: %s", code, errs)
	}
	f, err := pcaps.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var dropped, delivered uint64
	f.OnBlock = func(b pcaps.Block) error {
		for code, v := range b.Options() {
			switch {
			case b.Type == 5 && code == 7:
				dropped = b.Order.Uint64(v)
			case b.Type == 5 && code == 8:
				delivered = b.Order.Uint64(v)
			}
		}
		return nil
	}
	n, err := capture.Copy(discard{}, f)
	if err != nil || dropped == 0 || uint64(n) != delivered || dropped+delivered != 2000 {
		t.Errorf("%d packets in the file, %d delivered and %d dropped by its statistics, of 2000; %v", n, delivered, dropped, err)
	}
}

// TestCaptureCommand captures what a command says, and nothing else.
func TestCaptureCommand(t *testing.T) {
	if !capturing(t) {
		return
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	plain, secure := httptest.NewServer(shop("950")), httptest.NewUnstartedServer(shop("950"))
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() { // somebody else who talks to the same server
		defer close(ended)
		for {
			select {
			case <-quit:
				return
			default:
				if resp, err := http.Get(plain.URL + "/price?other"); err == nil {
					resp.Body.Close()
				}
				http.DefaultClient.CloseIdleConnections()
			}
		}
	}()
	defer func() { close(quit); <-ended }()
	dir := t.TempDir()
	file := filepath.Join(dir, "x.pcapng")
	code, out, errs := netlab(t, "capture", "-i", "lo", "-w", file, "--", curl, "-s", plain.URL+"/price")
	if code != exitDone || out != `{"price":950}` {
		t.Fatalf("exit status %d, %q: %s", code, out, errs)
	}
	_, out, _ = netlab(t, "decode", file)
	if !strings.Contains(out, "1 conversation, 1 exchange: 1 complete") || !strings.Contains(out, "/price ") {
		t.Errorf("decoded:\n%s", out)
	}
	code, _, errs = netlab(t, "capture", "-i", "lo", "-w", file, "--keylog", filepath.Join(dir, "keys"), "--", curl, "-sk", secure.URL+"/price")
	if code != exitDone {
		t.Fatalf("exit status %d: %s", code, errs)
	}
	_, out, _ = netlab(t, "decode", file)
	if !strings.Contains(out, "1 conversation, 2 exchanges: 2 complete") || !strings.Contains(out, "/price ") {
		t.Errorf("decoded with the keys in the file:\n%s", out)
	}
	// The status is the command's.
	code, out, errs = netlab(t, "capture", "-i", "lo", "--", curl, "-sf", plain.URL+"/nothing")
	if code != 22 || !strings.Contains(out, "/nothing > 404 Not Found") || strings.Contains(out, "other") {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
	if code, _, errs := netlab(t, "capture", "-i", "lo", "--", "/nonexistent/command"); code != exitFailed || !strings.Contains(errs, "/nonexistent/command") {
		t.Errorf("exit status %d: %s", code, errs)
	}
}

// TestCaptureStreams reads what somebody else captures, over a connection.
func TestCaptureStreams(t *testing.T) {
	sample, err := os.ReadFile("../../pcaps/samples/http1-keepalive.pcap")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "x.pcap")
	code := run(t.Context(), []string{"netlab", "capture", "-i", "-", "-w", file, "tcp", "dst", "port", "8080"}, bytes.NewReader(sample), &out, &errs)
	if code != exitDone || !strings.Contains(errs.String(), "7 packets written") {
		t.Errorf("exit status %d: %s", code, &errs)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			c.Write(sample)
			io.Copy(io.Discard, c) // more may come
		}
	}()
	stdout, stderr, stop := background(t, "capture", "-i", "tcp:"+l.Addr().String())
	stdout.wait(t, "POST")
	if code := stop(); code != exitDone || !strings.Contains(stderr.String(), "2 exchanges: 2 complete") {
		t.Errorf("exit status %d: %s", code, stderr)
	}
}

// TestInterfaces lists loopback, which may be captured.
func TestInterfaces(t *testing.T) {
	if !capturing(t) {
		return
	}
	code, out, errs := netlab(t, "interfaces", "--json")
	if code != exitDone || !strings.Contains(out, `"name":"lo","up":true,"loopback":true,"addresses":["127.0.0.1/8","::1/128"],"capture":true,"link":"ethernet"`) {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
}

// TestBecome captures as nobody, into a file that is nobody's.
func TestBecome(t *testing.T) {
	if !capturing(t) {
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "x.pcap")
	cmd, errs := ownProcess(t, "capture", "-i", "lo", "-w", file, "--user", "nobody", "-c", "1", "udp")
	errs.wait(t, "listening on lo")
	d := newDatagrams(t, 10)
	d.send(t, 1)
	if err := cmd.Wait(); err != nil {
		if strings.Contains(errs.String(), "become nobody") {
			t.Skipf("nobody is not known in this namespace: %s", errs)
		}
		t.Fatalf("%v: %s", err, errs)
	}
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil || st.Uid == 0 || st.Size < 50 {
		t.Errorf("user %d, %d bytes, %v", st.Uid, st.Size, err)
	}
}
