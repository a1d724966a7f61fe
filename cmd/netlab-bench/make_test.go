package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netlab/capture"
)

// generators are all there are, with what they are tried with.
var generators = []struct {
	name, protocol string
	size           int64
	generate       func(capture.Sink, int64, int64) (Truth, error)
}{
	{"small", "http", 600, makeSmall},
	{"dns", "dns", 2000, makeDNS},
}

func TestTruth(t *testing.T) {
	for _, g := range generators {
		t.Run(g.name, func(t *testing.T) {
			_, truth, got := made(t, g.generate, 1, g.size)
			for _, wrong := range got.against(truth, g.protocol) {
				t.Error(wrong)
			}
			if truth.Requests != g.size || truth.Packets < 2*g.size {
				t.Errorf("it is not what was asked for: %+v", truth)
			}
			if g.name == "small" && (truth.Streams.Retransmitted == 0 || truth.Streams.OutOfOrder == 0) {
				t.Errorf("nothing is retransmitted, or nothing reordered: %+v", *truth.Streams)
			}
		})
	}
}

func TestSeed(t *testing.T) {
	for _, g := range generators {
		one, _, _ := made(t, g.generate, 1, 100)
		again, _, _ := made(t, g.generate, 1, 100)
		other, _, _ := made(t, g.generate, 2, 100)
		if !bytes.Equal(one, again) {
			t.Errorf("%s: the same seed makes two files", g.name)
		}
		if bytes.Equal(one, other) {
			t.Errorf("%s: two seeds make the same file", g.name)
		}
	}
}

func TestMakeKeeps(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "small10.pcap")
	making := func(want bool) {
		t.Helper()
		status, _, errs := bench(t, "make", "-size", "quick", "-dir", dir, "small10")
		if status != exitDone || strings.Contains(errs, "making") != want {
			t.Errorf("exit status %d; it was to be made: %v; it says: %s", status, want, errs)
		}
	}
	making(true)
	making(false)
	for _, name := range []string{file, truthOf(file)} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	if err := os.Truncate(file, 1000); err != nil {
		t.Fatal(err)
	}
	making(true)
	if err := os.Remove(truthOf(file)); err != nil {
		t.Fatal(err)
	}
	making(true)
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"nothing"}, {"make", "-size", "huge"}, {"make", "nothing"}, {"make", "-nothing"},
		{"peers", "-rounds", "0"}, {"peers", "more"}, {"share", "-rounds", "0"}, {"share", "more"},
		{"peers", "-netlab", "/nonexistent"}, {"walk"}, {"gopacket", "nothing", "FILE"},
	} {
		status, out, errs := bench(t, args...)
		if status != exitFailed || out != "" || errs == "" {
			t.Errorf("%v: exit status %d, stdout %q, stderr %q", args, status, out, errs)
		}
	}
	if status, out, _ := bench(t, "peers", "-h"); status != exitDone || !strings.Contains(out, "-rounds") {
		t.Errorf("-h: exit status %d, %q", status, out)
	}
}

// TestRecord records for a moment, where that is possible.
func TestRecord(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "http.pcap")
	truth, err := record(t.Context(), file, 200_000)
	if errors.As(err, new(missing)) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := truth.write(file); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&contest{netlab: self, timeout: timeout}).count(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range got.against(truth, "http") {
		t.Error(wrong)
	}
}
