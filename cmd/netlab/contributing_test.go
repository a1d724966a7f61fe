package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestContributing holds the Go code that CONTRIBUTING.md shows to the files that
// it names above each piece.
func TestContributing(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Count(string(text), "```go\n")
	pieces := regexp.MustCompile("(?s)`([^`\n]+\\.go)`\n\n```go\n(.*?)```").FindAllSubmatch(text, -1)
	if len(pieces) == 0 || len(pieces) != all {
		t.Fatalf("%d of %d pieces of Go have the name of a file above them", len(pieces), all)
	}
	for _, p := range pieces {
		file, code := string(p[1]), string(p[2])
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains("\n"+string(source), "\n"+code) {
			t.Errorf("%s does not have this:\n%s", file, code)
		}
	}
}
