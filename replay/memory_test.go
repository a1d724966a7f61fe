package replay_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/replaytest"
)

// TestMemoryOfAConnection holds many connections open at once, and wants each to take
// less than 64 KiB.
func TestMemoryOfAConnection(t *testing.T) {
	const count = 400
	var recipe strings.Builder
	for i := range count {
		fmt.Fprintf(&recipe, "tcp c%d 10.1.0.1:%d > 10.1.0.2:80\nc%d open\nc%d > \"GET /%d HTTP/1.1\\r\\n\\r\\n\"\n", i, 10000+i, i, i, i)
	}
	for i := range count {
		fmt.Fprintf(&recipe, "c%d < \"HTTP/1.1 204 No\\r\\n\\r\\n\"\n", i)
	}
	p := planOf(t, recipe.String())
	here := make(chan struct{}, count)
	answer := make(chan struct{})
	target := replaytest.Serve(t, func(c net.Conn) {
		request(c)
		here <- struct{}{}
		select {
		case <-answer:
		case <-t.Context().Done():
		}
		io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
		io.Copy(io.Discard, c)
	})
	used := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := used()
	go func() {
		defer close(answer)
		for range count {
			select {
			case <-here:
			case <-t.Context().Done():
				return
			}
		}
		// It counts what the server has, too.
		if each := (used() - before) / count; each > 64<<10 {
			t.Errorf("%d bytes for each of %d connections", each, count)
		} else {
			t.Logf("%d bytes for each of %d connections", each, count)
		}
	}()
	if r, o := play(t, p, replay.Options{Target: target}); r.Checks[compare.Same] != count {
		t.Errorf("%s", o)
	}
}
