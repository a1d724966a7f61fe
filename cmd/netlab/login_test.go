package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// tap makes packets of what clients and a server say to each other.
type tap struct {
	mu sync.Mutex
	b  *craft.Builder
}

// tapped is a connection that is listened to.
type tapped struct {
	net.Conn
	tap  *tap
	talk *craft.Talk
	once sync.Once
}

// client returns a client of its own connection, which sends at most mss bytes in a packet.
func (x *tap) client(t *testing.T, jar http.CookieJar, mss int) *http.Client {
	tr := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		talk := x.b.TCP(netip.MustParseAddrPort(c.LocalAddr().String()), netip.MustParseAddrPort("10.1.0.2:80"))
		talk.MSS = mss
		talk.Open()
		return &tapped{Conn: c, tap: x, talk: talk}, nil
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Jar: jar}
}

func (c *tapped) Write(p []byte) (int, error) {
	c.tap.mu.Lock()
	c.talk.Send(craft.Client, p)
	c.tap.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.tap.mu.Lock()
		c.talk.Send(craft.Server, p[:n])
		c.talk.Ack(craft.Client)
		c.tap.mu.Unlock()
	}
	return n, err
}

func (c *tapped) Close() error {
	c.once.Do(func() {
		c.tap.mu.Lock()
		c.talk.Close(craft.Client)
		c.tap.mu.Unlock()
	})
	return c.Conn.Close()
}

// save writes what was said to a file.
func (x *tap) save(t *testing.T) string {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	return saved(t, x.b)
}

// saved writes what was crafted to a file.
func saved(t *testing.T, b *craft.Builder) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "crafted.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcaps.NewWriter(f, pcaps.Options{Link: b.Link()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := capture.Copy(w, b.Source()); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return file
}

// browser asks things in order.
type browser struct {
	t    *testing.T
	base string
}

// do asks, and wants this status.
func (b browser) do(c *http.Client, want int, method, path, body string, headers ...string) (text string, h http.Header) {
	b.t.Helper()
	var r io.Reader = strings.NewReader(body)
	if strings.HasPrefix(body, "(chunked)") {
		r = io.MultiReader(strings.NewReader(body[len("(chunked)"):])) // of no known length
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, r)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range headers {
		name, value, _ := strings.Cut(s, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		b.t.Fatalf("%s %s: status %d, %v, %q", method, path, resp.StatusCode, err, data)
	}
	return string(data), resp.Header
}

const asForm = "Content-Type: application/x-www-form-urlencoded"

// csrfIn finds the token in a form.
func csrfIn(text string) string {
	return regexp.MustCompile(`name="csrf" value="([^"]*)"`).FindStringSubmatch(text)[1]
}

// logIn records a user who logs in, writes a note and changes it, on two connections.
func logIn(t *testing.T, x *tap, base, user string, mss int) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := browser{t, base}
	page, api := x.client(t, jar, mss), x.client(t, jar, mss)
	form, _ := b.do(page, 200, "GET", "/login", "")
	me, _ := b.do(page, 200, "POST", "/login", url.Values{"user": {user}, "password": {"enigma"}, "csrf": {csrfIn(form)}}.Encode(), asForm)
	token := regexp.MustCompile(`"token":"(.*?)"`).FindStringSubmatch(me)[1]
	auth := "Authorization: Bearer " + token
	made, h := b.do(api, 201, "POST", "/notes", `{"text":"hello"}`, auth)
	id := regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(made)[1]
	b.do(page, 200, "PUT", "/notes/"+id, `(chunked){"text":"hello again","id":`+id+`}`, auth)
	b.do(page, 200, "GET", h.Get("Location"), "", auth)
	b.do(api, 200, "GET", "/me", "")
}

// replayed replays a file to a server and returns the exit status and what was printed.
func replayed(t *testing.T, file, base string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"netlab", "replay", file, "--to", strings.TrimPrefix(base, "http://"), "--speed", "max", "--timeout", "60s"}, args...)
	code := run(t.Context(), args, strings.NewReader(""), &out, &out)
	return code, out.String()
}

// zipped answers in gzip.
func zipped(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		for name, list := range rec.Header() {
			w.Header()[name] = list
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		z := gzip.NewWriter(w)
		z.Write(rec.Body.Bytes())
		z.Close()
	})
}

// TestLogin replays what was recorded behind a login to a server that was started anew and so
// has other sessions, tokens and ids: all answers are the same, with no rules. Without
// replacing, nobody is let in.
func TestLogin(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	for trait, test := range map[string]struct {
		wrap func(http.Handler) http.Handler
		mss  int
		two  bool
	}{
		"plain":             {mss: 1460},
		"split_in_packets":  {mss: 11},
		"gzip":              {wrap: zipped, mss: 1460},
		"two_users_at_once": {mss: 1460, two: true},
	} {
		t.Run(trait, func(t *testing.T) {
			start := func() string {
				h := newNotebook().handler()
				if test.wrap != nil {
					h = test.wrap(h)
				}
				s := httptest.NewServer(h)
				t.Cleanup(s.Close)
				return s.URL
			}
			x := &tap{b: craft.New(craft.Options{})}
			base := start()
			var users sync.WaitGroup
			want := 7
			users.Go(func() { logIn(t, x, base, "ada", test.mss) })
			if test.two {
				want *= 2
				users.Go(func() { logIn(t, x, base, "bob", test.mss) })
			}
			users.Wait()
			file := x.save(t)
			code, out := replayed(t, file, start())
			if code != exitDone || !strings.Contains(out, fmt.Sprintf("%d recorded = %d same", want, want)) {
				t.Errorf("exit status %d:\n%s", code, out)
			}
			code, out = replayed(t, file, start(), "--strict-values")
			if code != exitDiffers || !strings.Contains(out, "401 Unauthorized") {
				t.Errorf("with --strict-values, exit status %d:\n%s", code, out)
			}
			code, out = replayed(t, file, start(), "--connections", "1")
			if code != exitDone && !strings.Contains(out, "has no place before this one ends") {
				t.Errorf("with one connection, exit status %d:\n%s", code, out)
			}
		})
	}
}
