package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestMeter counts the conversations of packets that nobody decodes.
func TestMeter(t *testing.T) {
	for sample, want := range map[string]string{
		"dns-lookup": "1 conversation", "http1-login": "2 conversations", "ip-fragments": "1 conversation", "tunnel-vxlan": "1 conversation",
	} {
		src, file, err := stdio{}.openFile("sample:" + sample)
		if err != nil {
			t.Fatal(err)
		}
		m := &meter{src: src, from: new(origin), pairs: newPairs()}
		for err == nil {
			_, err = m.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		file.Close()
		if line := m.line(m.packets.Load(), 0, 0); !strings.HasSuffix(line, ", "+want) {
			t.Errorf("%s: %s, want %s", sample, line, want)
		}
	}
}
