package printer

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// TestDump compares with encoding/hex, of all lengths of a line and all bytes.
func TestDump(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 600 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if got, want := string(appendDump([]byte("before"), data)), "before"+hex.Dump(data); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// TestTextual draws the line: one odd byte in sixteen is text.
func TestTextual(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       bool
	}{
		{"empty", "", true},
		{"lines", "a\r\n\tb\n", true},
		{"letters_of_the_world", "Grüße, 世界", true},
		{"delete", "\x7f\x7f", true},
		{"one_of_16", "123456789012345\x00", true},
		{"one_of_15", "12345678901234\x00", false},
		{"first_of_15", "\x0012345678901234", false},
		{"not_utf8", "caf\xe9", false},
		{"cut_utf8", "\xe4\xb8", false},
		{"binary", "\x00\x01\x02\xff", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := textual([]byte(c.data)); got != c.want {
				t.Errorf("textual(%q) is %v", c.data, got)
			}
		})
	}
}

func BenchmarkDump(b *testing.B) {
	data := make([]byte, 64<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	var dst []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		dst = appendDump(dst[:0], data)
	}
}
