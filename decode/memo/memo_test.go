package memo

import "testing"

// TestMemo keeps within its bound, and keeps what is asked for.
func TestMemo(t *testing.T) {
	g := NewDigester(nil)
	m := New[int](100 * (cost + 36))
	often := g.Of([]byte("often"))
	m.Put(often, -1, 36)
	for i := range 1000 {
		k := g.Of([]byte{byte(i), byte(i >> 8)})
		m.Put(k, i, 36)
		if v, ok := m.Get(k); !ok || v != i {
			t.Fatalf("of %d it remembers %d, %v", i, v, ok)
		}
		if v, ok := m.Get(often); !ok || v != -1 {
			t.Fatalf("at %d it has forgotten what is asked for often", i)
		}
		if n := len(m.young) + len(m.old); n > 100 {
			t.Fatalf("it remembers %d", n)
		}
	}
	if _, ok := m.Get(g.Of([]byte{0, 0})); ok {
		t.Error("it remembers the oldest")
	}
	m.Put(often, 5, 100*cost)
	if v, _ := m.Get(often); v != -1 {
		t.Error("it remembers what is too large")
	}
}

// TestDigest is another for other bytes, for others that they are taken for, and with another key.
func TestDigest(t *testing.T) {
	g := NewDigester([]byte("0123456789abcdef"))
	d := g.Of([]byte("body"), "text/html", "gzip")
	if g.Of([]byte("body"), "text/html", "gzip") != d || NewDigester([]byte("0123456789abcdef")).Of([]byte("body"), "text/html", "gzip") != d {
		t.Error("the same is not the same")
	}
	for what, other := range map[string]Digest{
		"bytes": g.Of([]byte("bodY"), "text/html", "gzip"), "taken for": g.Of([]byte("body"), "text/htmlg", "zip"), "one less": g.Of([]byte("body"), "text/html"),
		"key": NewDigester(nil).Of([]byte("body"), "text/html", "gzip"), "empty": g.Of(nil, "text/html", "gzip"),
	} {
		if other == d {
			t.Error("the same for another:", what)
		}
	}
}
