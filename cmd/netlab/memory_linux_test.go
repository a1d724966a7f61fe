package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestLargePages wants that much of the heap to be where the kernel may use large pages.
func TestLargePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no transparent huge pages")
	}
	const size = 32 << 20
	largePages(size)
	if got := advised(t); got < size {
		t.Errorf("%d bytes may be of large pages, want %d", got, size)
	}
}

// advised returns how much memory of this process may be of large pages.
func advised(t *testing.T) (bytes uintptr) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skipf("what memory is mapped can't be read: %v", err)
	}
	var from, to, start, end uintptr
	for line := range strings.Lines(string(maps)) {
		if n, _ := fmt.Sscanf(line, "%x-%x ", &start, &end); n == 2 {
			from, to = start, end
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && strings.Contains(flags, " hg") {
			bytes += to - from
		}
	}
	return bytes
}
