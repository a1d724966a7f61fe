package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestWritePrivate has what stood in a file stay whole for who reads it, and devices and links
// stay what they are.
func TestWritePrivate(t *testing.T) {
	dir := t.TempDir()
	name, link := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "link")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := writePrivate(name, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if before, err := io.ReadAll(old); err != nil || string(before) != "old" {
		t.Errorf("who has opened it reads %q, %v", before, err)
	}
	st, err := os.Stat(name)
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := writePrivate(link, []byte("newer")); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(name); err != nil || string(now) != "newer" {
		t.Errorf("through a link: %q, %v", now, err)
	}
	if err := writePrivate(os.DevNull, []byte("x")); err != nil {
		t.Error(err)
	}
	if st, err := os.Stat(os.DevNull); err != nil || st.Mode().IsRegular() {
		t.Errorf("%s became a file", os.DevNull)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("%v, %v stay", list, err)
	}
	if err := writePrivate(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("written to a folder that there is not")
	}
}
