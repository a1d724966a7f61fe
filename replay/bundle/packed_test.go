package bundle_test

import (
	"archive/zip"
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"netlab/replay/bundle"
)

// TestAppend puts entries together from parts that were compressed each on its own.
func TestAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	entries := map[string][]string{
		"none": nil, "empty": {""}, "one": {"text"}, "three": {"a\n", "", strings.Repeat("again ", 50_000)}, "noise": {string(noise), string(noise[:7]), "\n"},
	}
	var out bytes.Buffer
	w := bundle.NewWriter(&out)
	if err := w.Add(bundle.Readme, strings.NewReader("first")); err != nil {
		t.Fatal(err)
	}
	for name, texts := range entries {
		var parts []bundle.Part
		for _, text := range texts {
			var packed bytes.Buffer
			p := bundle.NewPacked(&packed)
			for piece := range strings.SplitAfterSeq(text, " ") {
				if _, err := io.WriteString(p, piece); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, bundle.Part{Packed: p, Written: &packed})
		}
		if err := w.Append(name, parts...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 1+len(entries) {
		t.Errorf("it has %d entries", len(z.File))
	}
	for _, f := range z.File[1:] {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in) // which verifies the sum
		if want := strings.Join(entries[f.Name], ""); err != nil || string(got) != want || f.UncompressedSize64 != uint64(len(want)) || f.Modified.Year() != 1980 || f.Mode() != 0o600 {
			t.Errorf("%s: %d bytes of %d, of %v, %v", f.Name, len(got), len(want), f.Modified, err)
		}
	}
}

// TestAppendIsWhole refuses a part that is not what was written.
func TestAppendIsWhole(t *testing.T) {
	p := bundle.NewPacked(io.Discard)
	io.WriteString(p, "text")
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	w := bundle.NewWriter(io.Discard)
	if err := w.Append(bundle.HAR, bundle.Part{Packed: p, Written: strings.NewReader("short")}); err == nil {
		t.Error("no error")
	}
	if err := w.Close(); err == nil {
		t.Error("the error does not stick")
	}
}
