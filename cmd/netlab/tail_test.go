package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netlab/pcaps/samples"
)

// follower is netlab decode --follow-file beside a test. What it prints comes
// through pipes, so to read a line is to wait for it.
type follower struct {
	path   string
	f      *os.File // to write more to
	stdout chan string
	stderr chan string
	cancel context.CancelFunc
	done   chan int
}

// follow follows a new file that begins with head.
func follow(t *testing.T, head []byte, flags ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &follower{path: filepath.Join(t.TempDir(), "a.pcap"), cancel: cancel, done: make(chan int, 1)}
	var err error
	if w.f, err = os.Create(w.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.f.Close() })
	w.write(t, head)
	lines := func() (io.WriteCloser, chan string) {
		r, w := io.Pipe()
		out := make(chan string, 1000)
		go func() {
			text, err := io.ReadAll(io.TeeReader(r, lineWriter{new(bytes.Buffer), out}))
			if err != nil || len(text) > 0 && text[len(text)-1] != '\n' {
				out <- "the output ends within a line"
			}
			close(out)
		}()
		return w, out
	}
	var stdout, stderr io.WriteCloser
	stdout, w.stdout = lines()
	stderr, w.stderr = lines()
	go func() {
		args := append([]string{"netlab", "decode", "--follow-file", w.path}, flags...)
		w.done <- run(ctx, args, strings.NewReader(""), stdout, stderr)
		stdout.Close()
		stderr.Close()
	}()
	return w
}

// lineWriter hands on whole lines.
type lineWriter struct {
	part *bytes.Buffer
	to   chan string
}

func (l lineWriter) Write(p []byte) (int, error) {
	l.part.Write(p)
	for bytes.IndexByte(l.part.Bytes(), '\n') >= 0 {
		line, _ := l.part.ReadString('\n')
		l.to <- strings.TrimSuffix(line, "\n")
	}
	return len(p), nil
}

func (w *follower) write(t *testing.T, b []byte) {
	t.Helper()
	if _, err := w.f.Write(b); err != nil {
		t.Fatal(err)
	}
}

// next is the next line with text.
func next(t *testing.T, lines chan string, text string) string {
	t.Helper()
	var seen []string
	for timeout := time.After(patience); ; {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the output ends without %q:\n%s", text, strings.Join(seen, "\n"))
			}
			if seen = append(seen, line); strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("%q was not printed in %v, but\n%s", text, patience, strings.Join(seen, "\n"))
		}
	}
}

// end returns the exit status.
func (w *follower) end(t *testing.T) int {
	t.Helper()
	select {
	case code := <-w.done:
		return code
	case <-time.After(patience):
		t.Fatal("netlab decode --follow-file does not end")
		return -1
	}
}

// sample returns the bytes of a sample capture.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	r, err := samples.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFollowFile lets a file grow and wants to see what is in it while it does,
// wherever it ends for now, its header included.
func TestFollowFile(t *testing.T) {
	file := sample(t, "http1-keepalive")
	// In the middle of a record header of the second exchange.
	half := bytes.Index(file, []byte("POST /users")) - 60
	w := follow(t, file[:3])
	next(t, w.stderr, "following "+w.path)
	w.write(t, file[3:20])
	w.write(t, file[20:half])
	next(t, w.stdout, "10.1.0.1:40001 > 10.1.0.2:8080 begins")
	next(t, w.stdout, "GET api.example/users/7 > 200 OK")
	w.write(t, file[half:half+30])
	w.write(t, file[half+30:len(file)-5])
	next(t, w.stdout, "POST api.example/users, 14 bytes > 201 Created")
	next(t, w.stdout, "closed by client after")
	w.cancel() // Ctrl-C within the last record is no damage
	next(t, w.stderr, "netlab: 10 packets")
	if code := w.end(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for line := range w.stderr {
		if strings.Contains(line, "damage") {
			t.Error(line)
		}
	}
}

func TestFollowFileJSON(t *testing.T) {
	file := sample(t, "http1-keepalive")
	w := follow(t, nil, "--json")
	w.write(t, file)
	next(t, w.stdout, `"target":"/users/7"`)
	next(t, w.stdout, `"target":"/users"`)
	w.cancel()
	next(t, w.stdout, `"type":"capture"`)
	if code := w.end(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestFollowFileNothing wants Ctrl-C to end the wait for a header too.
func TestFollowFileNothing(t *testing.T) {
	w := follow(t, nil)
	next(t, w.stderr, "following")
	w.cancel()
	next(t, w.stderr, "netlab: 0 packets")
	if code := w.end(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestFollowFileEnds wants it told why there will be no more.
func TestFollowFileEnds(t *testing.T) {
	file := sample(t, "http1-keepalive")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(file)
	z.Close()
	for _, test := range []struct {
		trait string
		head  []byte
		do    func(w *follower) error // when the file was read
		text  string
	}{
		{"cut", file, func(w *follower) error { return w.f.Truncate(10) }, "was cut to 10 bytes while it was followed, "},
		{"removed", file, func(w *follower) error { return os.Remove(w.path) }, "is no longer the file that was followed"},
		{"replaced", file, func(w *follower) error {
			return errors.Join(os.WriteFile(w.path+"2", file, 0o600), os.Rename(w.path+"2", w.path))
		}, "is no longer the file that was followed"},
		{"gzip", packed.Bytes(), nil, "it is compressed with gzip, and only files that are not can be followed"},
		{"gzip_header", packed.Bytes()[:5], nil, "it is compressed, and can be read only when it is no longer written to"},
		{"text", []byte("GET / HTTP/1.1\r\n\r\n         "), nil, "not a capture file"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			w := follow(t, test.head)
			if test.do != nil {
				next(t, w.stdout, "201 Created")
				if err := test.do(w); err != nil {
					t.Fatal(err)
				}
			}
			next(t, w.stderr, test.text)
			if code := w.end(t); code != exitFailed {
				t.Errorf("exit status %d", code)
			}
		})
	}
}
