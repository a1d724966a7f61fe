package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
)

// TestDecodeFiles deals the packets of a capture to two files, as two machines
// capture them, and wants both together to say what the one says.
func TestDecodeFiles(t *testing.T) {
	decode := func(files ...string) string {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"netlab", "decode"}, files...), strings.NewReader(""), &out, &errs); code != 0 {
			t.Fatalf("exit status %d: %s", code, &errs)
		}
		return out.String()
	}
	for _, name := range []string{"http1-pipelined", "ftp-passive", "tcp-reordered"} {
		file := sample(t, name)
		var paths []string
		for side := range int64(2) {
			r, err := pcaps.NewReader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if _, err := pcaps.Filter(&out, r, func(p *capture.Packet) (bool, error) { return p.Number%2 == side, nil }); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, filepath.Join(t.TempDir(), "side.pcap"))
			if err := os.WriteFile(paths[side], out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want := decode("sample:" + name)
		if got := decode(paths...); got != want {
			t.Errorf("%s: two files say\n%s\none says\n%s", name, got, want)
		}
	}
}

// TestUntil wants a file to lend its packets through until, until ctx ends.
func TestUntil(t *testing.T) {
	f, closer, err := stdio{}.openFiles([]string{"sample:http1-keepalive"})
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	src := until(ctx, f)
	if _, ok := src.(capture.Lender); !ok {
		t.Error("it does not lend")
	}
	if _, err := src.Next(); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := src.Next(); err != io.EOF {
		t.Errorf("canceled, it ends with %v", err)
	}
	if _, ok := until(ctx, pcaps.Merge()).(capture.Lender); ok {
		t.Error("several files lend")
	}
}
