// Package samples holds small captures to try things with, each of which shows
// one trait. They are part of the program. README.md beside them says where each
// came from: a recipe that makes the same bytes again, or a capture of our own.
package samples

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.pcap *.txt README.md
var files embed.FS

// Sample is one capture.
type Sample struct {
	Name string
	// About is one line on its trait.
	About string
	Size  int
}

// List returns all samples, by name.
func List() []Sample {
	names, err := fs.Glob(files, "*.pcap")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	var list []Sample
	for _, file := range names {
		name := strings.TrimSuffix(file, path.Ext(file))
		data, err := files.ReadFile(file)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		recipe, _ := files.ReadFile(name + ".txt")
		about, _, _ := strings.Cut(string(recipe), "\n")
		if recipe == nil {
			about = row(name)
		}
		list = append(list, Sample{name, strings.TrimPrefix(about, "# "), len(data)})
	}
	return list
}

// row returns what README.md says that a sample shows.
func row(name string) string {
	readme, err := files.ReadFile("README.md")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	_, after, _ := strings.Cut(string(readme), "\n| `"+name+"` | ")
	about, _, _ := strings.Cut(after, " |")
	return about
}

// Open returns the capture of that name.
func Open(name string) (io.Reader, error) {
	data, err := files.ReadFile(name + ".pcap")
	if err != nil {
		return nil, fmt.Errorf("samples: there is no sample %q", name)
	}
	return bytes.NewReader(data), nil
}
