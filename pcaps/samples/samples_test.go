package samples

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

var update = flag.Bool("update", false, "make the samples again from their recipes")

// TestRecipes makes every sample again and compares it byte for byte.
func TestRecipes(t *testing.T) {
	recipes, err := filepath.Glob("*.txt")
	if err != nil || len(recipes) < 12 {
		t.Fatalf("%d recipes, %v", len(recipes), err)
	}
	for _, recipe := range recipes {
		t.Run(recipe, func(t *testing.T) {
			text, err := os.ReadFile(recipe)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text, []byte("# ")) {
				t.Error("the first line does not say what it shows")
			}
			b, err := craft.Recipe(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			w, err := pcaps.NewWriter(&out, pcaps.Options{Link: b.Link()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := capture.Copy(w, b.Source()); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			file := strings.TrimSuffix(recipe, ".txt") + ".pcap"
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; make samples makes it", err)
			}
			if !bytes.Equal(have, out.Bytes()) {
				t.Errorf("%s is not what the recipe makes; make samples makes it again", file)
			}
			if len(have) > 64<<10 {
				t.Errorf("%d bytes: a sample has at most 64 KiB", len(have))
			}
		})
	}
}

// TestList wants every sample to open, to be told of, and to have an origin.
func TestList(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range List() {
		r, err := Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := pcaps.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := capture.Copy(discard{}, f); n == 0 || err != nil {
			t.Errorf("%s: %d packets, %v", s.Name, n, err)
		}
		if s.About == "" {
			t.Errorf("%s does not say what it shows", s.Name)
		}
		if s.Size > 64<<10 {
			t.Errorf("%s: %d bytes: a sample has at most 64 KiB", s.Name, s.Size)
		}
		if _, err := files.Open(s.Name + ".txt"); err != nil && !bytes.Contains(readme, []byte("`"+s.Name+"`")) {
			t.Errorf("%s has neither a recipe nor a row in README.md", s.Name)
		}
	}
	if _, err := Open("../samples"); err == nil {
		t.Error("a name that is no sample opens")
	}
}

type discard struct{}

func (discard) WritePacket(p *capture.Packet) error { _, err := io.Discard.Write(p.Data); return err }
