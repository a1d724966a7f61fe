//go:build libpcap && cgo

package live

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/gopacket/layers"
)

// TestTablesInHugePages wants gopacket's tables where the kernel may use huge pages.
func TestTablesInHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no transparent huge pages")
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skipf("what memory is mapped can't be read: %v", err)
	}
	at := uintptr(unsafe.Pointer(&layers.EthernetTypeMetadata[len(layers.EthernetTypeMetadata)/2]))
	inside := false
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			if !strings.Contains(flags, " hg") {
				t.Errorf("the flags of the mapping are%s, without hg", flags)
			}
			return
		}
	}
	t.Error("the tables are in no mapping")
}
