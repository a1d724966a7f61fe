package main

import (
	"runtime/debug"
	"syscall"
)

// largePages has the first n bytes of the heap be of large pages, where the kernel
// leaves that to programs. In those, the processor finds its way at once to each of
// hundreds of thousands of conversations, and the kernel is asked for memory some
// dozens of times, not ten thousands. It is no error when there are none.
//
// The heap has n bytes for a moment, none of which is touched; they are free from then
// on, and what is needed is taken from their beginning.
func largePages(n int64) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // else n bytes would count as needed, once it looks
	_ = syscall.Madvise(make([]byte, n), syscall.MADV_HUGEPAGE)
}
