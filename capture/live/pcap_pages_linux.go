//go:build libpcap && cgo

package live

// gopacket/pcap brings gopacket/layers, which fills 6 MiB of tables when any program with
// it starts: 1,600 page faults of 4 KiB, more than half of the time that netlab took for
// that. In pages of 2 MiB they are a handful. The kernel gives those where it was asked for
// them, and before the first touch; so this is asked before Go's runtime begins. What is
// not touched of that memory, which is most of it, takes no more than before. Where this is
// not known, or not run, as in a program linked without a C compiler, nothing changes.

/*
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

extern char __bss_start, _end; // the linker's: all variables that are zero to begin with

__attribute__((constructor)) static void variables_in_huge_pages(void) {
#ifdef MADV_HUGEPAGE
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)&__bss_start + page - 1) & -page;
	if (from < (uintptr_t)&_end)
		madvise((void *)from, (uintptr_t)&_end - from, MADV_HUGEPAGE);
#endif
}
*/
import "C"
