package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

// TestShareNewcomer does what the README says: it captures a request that fails, shares it, and
// replays it where there is nothing but the bundle.
func TestShareNewcomer(t *testing.T) {
	if !capturing(t) {
		return
	}
	mended := new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "" || r.URL.Query().Get("item") != "7" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !mended.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, "{}\n")
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "bug.pcap", "tcp", "port", port)
	errs.wait(t, "listening on lo")
	client := &http.Client{Transport: &http.Transport{}}
	q, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/buy?item=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Cookie", "sid=7QK3ZV5PYJ2MXA6TRC4NWB8EHD")
	resp, err := client.Do(q)
	if err != nil || resp.StatusCode != http.StatusInternalServerError {
		t.Fatalf("%v, %v", resp, err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	client.CloseIdleConnections()
	if code := stop(); code != exitDone {
		t.Fatalf("capture: exit status %d: %s", code, errs)
	}
	if code, out, errs := netlab(t, "share", "bug.pcap", "-o", "bug.zip"); code != exitDone || strings.Contains(out+errs, "7QK3") {
		t.Fatalf("share: exit status %d\n%s%s", code, out, errs)
	}
	bundle, err := os.ReadFile("bug.zip")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	put(t, "bug.zip", bundle)
	code, out, more := netlab(t, "replay", "bug.zip", "--to", addr)
	if code != exitDone || !strings.Contains(out, "1 recorded = 1 same") {
		t.Errorf("to the server as it is: exit status %d\n%s%s", code, out, more)
	}
	mended.Store(true)
	code, out, more = netlab(t, "replay", "bug.zip", "--to", addr)
	if code != exitDiffers || !strings.Contains(out, "status was 500 Internal Server Error, is 200 OK") {
		t.Errorf("to the server that is mended: exit status %d\n%s%s", code, out, more)
	}
}

// TestSharePseudonyms replays a bundle to the server that was recorded: that it says the real thing
// where the bundle has a pseudonym is no difference, but all else is.
func TestSharePseudonyms(t *testing.T) {
	answer := new(atomic.Value)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer.Load().(string))
	}))
	defer server.Close()
	answer.Store(`{"mail":"bob@example.com","from":"10.1.2.3","items":3}`)
	said := answer.Load().(string)
	recording, err := craft.Recipe(strings.NewReader(fmt.Sprintf("tcp c 10.1.0.1:20000 > 10.1.0.2:80\nc open\nc > %q\nc < %q\nc close\n",
		"GET /who?token=zzz111222333 HTTP/1.1\r\nHost: api\r\n\r\n",
		fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(said), said))))
	if err != nil {
		t.Fatal(err)
	}
	file := saved(t, recording)
	t.Chdir(t.TempDir())
	if code, out, errs := netlab(t, "share", file, "-o", "bug.zip"); code != exitDone {
		t.Fatalf("share: exit status %d\n%s%s", code, out, errs)
	}
	for text, want := range map[string]struct {
		code int
		says string
	}{
		said: {exitDone, "2 values in answers could not be compared"},
		`{"mail":"bob@example.com","from":"10.1.2.3","items":4}`:  {exitDiffers, "body $.items was 3, is 4"},
		`{"mail":"","from":"10.1.2.3","items":3}`:                 {exitDiffers, "body $.mail was"},
		`{"mail":["bob@example.com"],"from":"9.9.9.9","items":3}`: {exitDiffers, "body $.mail was"},
	} {
		answer.Store(text)
		code, out, errs := netlab(t, "replay", "bug.zip", "--to", server.Listener.Addr().String())
		if code != want.code || !strings.Contains(out, want.says) {
			t.Errorf("%s: exit status %d\n%s%s", text, code, out, errs)
		}
	}
}

// left lists what is in a folder.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestShareDiskFills has no room for what is shared: nothing new is there then, and what was
// there is as it was.
func TestShareDiskFills(t *testing.T) {
	if !capturing(t) { // which is to be root in a namespace
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no small disk can be made: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	for _, size := range []int{100, 40_000} { // so that the bundle has no room, or the packets have none
		file := manyAsked(t, 40_000/size*size/400+20, size)
		for _, name := range []string{"bug.zip", "bug.pcapng"} {
			out := filepath.Join(dir, name)
			put(t, out, []byte("what was there"))
			put(t, filepath.Join(dir, "filler"), make([]byte, 200<<10))
			code, _, errs := netlab(t, "share", file, "-o", out)
			if code != exitFailed || !strings.Contains(errs, "no space left on device") {
				t.Errorf("%s of %d bytes: exit status %d: %s", name, size, code, errs)
			}
			if now, err := os.ReadFile(out); string(now) != "what was there" || !slices.Equal(left(t, dir), []string{name, "filler"}) {
				t.Errorf("left is %v, and %q, %v", left(t, dir), now, err)
			}
			os.Remove(out)
		}
	}
}

// TestShareMemory has more to replace than there is room for: nothing is shared then, and what
// to do is told.
func TestShareMemory(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	t.Setenv("GOMEMLIMIT", "off") // --memory would set one for all tests
	b := craft.New(craft.Options{})
	talk := b.TCP(netip.MustParseAddrPort("10.1.0.1:40001"), netip.MustParseAddrPort("10.1.0.2:80"))
	talk.Open()
	for i := range 2500 {
		var cookies strings.Builder
		for k := range 90 {
			fmt.Fprintf(&cookies, "c%d=value-%d-%d-7QK3ZV5PYJ; ", k, i, k)
		}
		talk.Send(craft.Client, []byte("GET / HTTP/1.1\r\nCookie: "+cookies.String()+"\r\n\r\n"))
		talk.Send(craft.Server, []byte("HTTP/1.1 204 No\r\n\r\n"))
	}
	talk.Close(craft.Client)
	file, dir := saved(t, b), t.TempDir()
	code, _, errs := netlab(t, "share", file, "-o", filepath.Join(dir, "bug.zip"), "--memory", "32MiB")
	if code != exitFailed || !strings.Contains(errs, "there is more to replace than 32MiB of memory hold") || len(left(t, dir)) > 0 {
		t.Errorf("exit status %d, left is %v: %s", code, left(t, dir), errs)
	}
}

// fuse is a context that ends when it was asked so often.
type fuse struct {
	context.Context
	asked atomic.Int64
	last  int64
}

func (f *fuse) Err() error {
	if f.asked.Add(1) > f.last {
		return context.Canceled
	}
	return nil
}

// TestShareInterrupted ends it at any point: nothing is left then.
func TestShareInterrupted(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	file := manyAsked(t, 10, 1000)
	dir := t.TempDir()
	share := func(last int64) (code int, asked int64, told string) {
		var out, errs bytes.Buffer
		ctx := &fuse{Context: t.Context(), last: last}
		code = run(ctx, []string{"netlab", "share", file, "-o", filepath.Join(dir, "bug.zip")}, strings.NewReader(""), &out, &errs)
		return code, ctx.asked.Load(), out.String() + errs.String()
	}
	code, whole, told := share(1 << 40)
	if names := left(t, dir); code != exitDone || !slices.Equal(names, []string{"bug.zip", "bug.zip.map.json"}) {
		t.Fatalf("exit status %d, %v: %s", code, names, told)
	}
	for _, name := range left(t, dir) {
		os.Remove(filepath.Join(dir, name))
	}
	points := 0
	for last := int64(0); last < whole-2; last += 1 + whole/23 {
		code, _, told := share(last)
		if names := left(t, dir); code != exitCanceled || len(names) > 0 {
			t.Errorf("after %d of %d: exit status %d, left is %v: %s", last, whole, code, names, told)
		}
		points++
	}
	if points < 20 {
		t.Errorf("it was interrupted %d times", points)
	}
}

// TestShareSamples shares every sample: it is the same to replay, and what can't be
// understood is told, with which --strict shares nothing.
func TestShareSamples(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	t.Chdir(t.TempDir())
	blanked := []string{"tcp-cut", "tcp-greeting", "tcp-hello", "udp-echo", "quic", "smtp-starttls"}
	for _, s := range samples.List() {
		out := s.Name + ".zip"
		code, told, errs := netlab(t, "share", "sample:"+s.Name, "-o", out)
		want := exitDone
		if s.Name == "quic" {
			want = exitDiffers // its hellos are encrypted, and nothing is told for QUIC whose hellos are blanked
		}
		if code != want {
			t.Errorf("%s: exit status %d, want %d\n%s%s", s.Name, code, want, told, errs)
			continue
		}
		if code, _, errs := netlab(t, "decode", out); code != exitDone {
			t.Errorf("%s can't be decoded: %s", out, errs)
		}
		isBlanked := strings.Contains(told, "\nblanked:\n")
		if slices.Contains(blanked, s.Name) && !isBlanked {
			t.Errorf("%s: nothing is said to be blanked\n%s", s.Name, told)
		}
		code, _, errs = netlab(t, "share", "sample:"+s.Name, "-o", "strict.zip", "--strict")
		_, err := os.Stat("strict.zip")
		if want = map[bool]int{true: exitFailed, false: exitDone}[isBlanked]; code != want || (err != nil) != isBlanked {
			t.Errorf("%s: with --strict, exit status %d, want %d, %v: %s", s.Name, code, want, err, errs)
		}
		os.Remove("strict.zip")
	}
}
