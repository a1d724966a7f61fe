package pcaps_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
)

// zipped is a zip file with these entries, by turns name and content.
func zipped(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// saved writes a file, and returns its path.
func saved(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestOpenZip finds the capture in a zip file, and says why there is none.
func TestOpenZip(t *testing.T) {
	one := string(pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 9, 9, fill(9)).out)
	two := one + string((&maker{order: littleEndian}).record(2, 2, 9, 9, fill(9)).out)
	packed := string(pack(t, packers["gzip"], []byte(two)))
	for name, c := range map[string]struct {
		file    []byte
		packets int
		why     string
	}{
		"bundle":          {zipped(t, "README.md", "read", "other.pcap", one, "capture.pcapng", two), 2, ""},
		"only_one":        {zipped(t, "README.md", "read", "a/b/app.PCAP", two), 2, ""},
		"macos":           {zipped(t, "bug/capture.pcapng", two, "__MACOSX/bug/._capture.pcapng", "x"), 2, ""},
		"packed_in_it":    {zipped(t, "app.pcap.gz", packed), 2, ""},
		"folder":          {zipped(t, "x.pcap/", "", "y.pcap", two), 2, ""},
		"none":            {zipped(t, "README.md", "read"), 0, "a zip file without a capture in it"},
		"several":         {zipped(t, "a.pcap", one, "b.pcap", two), 0, "2 captures"},
		"no_capture":      {zipped(t, "capture.pcapng", "GET / HTTP/1.1"), 0, "begins with"},
		"no_directory":    {zipped(t, "capture.pcapng", two)[:60], 0, "zip: not a valid zip file"},
		"large_directory": {zipped(t, strings.Split(strings.Repeat(strings.Repeat("n", 60_000)+",x,", 80), ",")[:160]...), 0, "its directory is larger"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := pcaps.Open(saved(t, c.file))
			if c.why != "" {
				if err == nil || !strings.Contains(err.Error(), c.why) || !errors.Is(err, pcaps.ErrFormat) {
					t.Fatalf("opens with %v, want %q", err, c.why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if packets, err := drain(t, f); len(packets) != c.packets {
				t.Errorf("%d packets, and %v", len(packets), err)
			}
			if f.Compression() == "" {
				t.Error("it is said not to be compressed")
			}
		})
	}
	if _, err := pcaps.NewReader(bytes.NewReader(zipped(t, "capture.pcapng", two))); !errors.Is(err, pcaps.ErrFormat) || !strings.Contains(fmt.Sprint(err), "a file with a name") {
		t.Errorf("from a pipe: %v", err)
	}
}

// TestOpenZipDamaged has a wrong checksum: what was read before is there, and the damage told.
func TestOpenZipDamaged(t *testing.T) {
	file := zipped(t, "capture.pcap", string(pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 9, 9, fill(9)).out))
	i := bytes.Index(file, []byte("PK\x01\x02"))
	file[i+16] ^= 1 // the checksum in the directory
	f, err := pcaps.Open(saved(t, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if packets, err := drain(t, f); len(packets) != 1 || !errors.Is(err, capture.ErrDamaged) {
		t.Errorf("%d packets, and %v", len(packets), err)
	}
}

// FuzzOpenZip wants whatever looks like a zip file to open or not, and be read in bounds.
func FuzzOpenZip(f *testing.F) {
	one := string(pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 9, 9, fill(9)).out)
	f.Add(zipped(f, "README.md", "read", "capture.pcapng", one))
	f.Add(zipped(f, "a.pcap.gz", string(pack(f, packers["gzip"], []byte(one)))))
	name := filepath.Join(f.TempDir(), "x.zip")
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(name, append([]byte("PK\x03\x04"), file...), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := pcaps.Open(name)
		if err != nil {
			if !errors.Is(err, pcaps.ErrFormat) && !errors.Is(err, capture.ErrDamaged) {
				t.Fatalf("opens with %v", err)
			}
			return
		}
		defer r.Close()
		drain(t, r)
	})
}

// TestBeside finds what lies beside the capture, in the same folder.
func TestBeside(t *testing.T) {
	one := string(pcap(littleEndian, 0xa1b2c3d4).record(1, 2, 9, 9, fill(9)).out)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"bundle":    {zipped(t, "capture.pcapng", one, "list", "content"), "content"},
		"folder":    {zipped(t, "list", "other", "bug/list", "content", "bug/capture.pcapng", one), "content"},
		"not_there": {zipped(t, "capture.pcapng", one, "bug/list", "content"), ""},
		"no_zip":    {[]byte(one), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := pcaps.Beside(bytes.NewReader(c.file), int64(len(c.file)), "list")
			if err != nil || (r == nil) != (c.want == "") {
				t.Fatal(r, err)
			}
			if r == nil {
				return
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != c.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
