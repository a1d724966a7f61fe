package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// draft is a file that gets its name only when it is whole: until then it lies beside it,
// for its owner alone to read, and what had the name stays as it is. What is no regular
// file, as a device or a link, is written to as it is.
type draft struct {
	name string // that it will have
	path string // that it has
}

// newDraft begins one. Its path ends as name does, which may ask for a kind of file.
func newDraft(name string) (*draft, error) {
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return &draft{name, name}, nil
	}
	stem, rest, _ := strings.Cut(filepath.Base(name), ".")
	f, err := os.CreateTemp(filepath.Dir(name), "."+stem+".*."+rest) // with mode 0600
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hinted{fmt.Errorf("write %s: %w", name, fs.ErrNotExist), "make the folder first"}
	case err != nil:
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return &draft{name, f.Name()}, f.Close()
}

// asItIs reports whether what has the name is written to as it is.
func (d *draft) asItIs() bool { return d.path == d.name }

// keep gives it its name.
func (d *draft) keep() error {
	if d.asItIs() {
		return nil
	}
	return os.Rename(d.path, d.name)
}

// drop takes it away, unless it was kept.
func (d *draft) drop() {
	if !d.asItIs() {
		os.Remove(d.path)
	}
}
