package redact

import (
	"fmt"
	"strings"
	"testing"
)

// TestDictionary holds a dictionary of several pieces to a map.
func TestDictionary(t *testing.T) {
	d := &dictionary{limit: 16 << 20}
	want := make(map[string]Kind)
	for i := range 60000 {
		v := fmt.Sprintf("%d, %s", i%50000, strings.Repeat("x", i%50000%97))
		k := Kind(i * 7 % int(kindCount))
		d.add(k, v)
		if old, ok := want[v]; !ok || k < old {
			want[v] = k
		}
	}
	var found [kindCount]int64
	for v, k := range want {
		if got, ok := d.kind(v); !ok || got != k {
			t.Fatalf("%q is a %s, %v; want a %s", v, got, ok, k)
		}
		found[k]++
	}
	n := 0
	for r := range d.all() {
		v, k := d.at(r)
		if want[v] != k {
			t.Errorf("%q is a %s; want a %s", v, k, want[v])
		}
		n++
	}
	if n != len(want) || d.count != n || d.found != found || d.full() != 0 || len(d.texts) < 2 {
		t.Errorf("%d values, %d lost, in %d pieces; want %d", n, d.full(), len(d.texts), len(want))
	}
	if _, ok := d.kind("50000, "); ok {
		t.Error("found what is not there")
	}
	if _, ok := new(dictionary).kind("x"); ok {
		t.Error("found something in nothing")
	}
}

// TestDictionaryFull loses what there is no room for, and tells of it.
func TestDictionaryFull(t *testing.T) {
	d := &dictionary{limit: 1000}
	for i := range 100 {
		d.add(Host, fmt.Sprintf("host%d.example.com", i))
	}
	d.add(PrivateKey, strings.Repeat("x", maxSecret+1))
	if d.bytes > d.limit || d.full() == 0 || int64(d.count)+d.full() != 101 {
		t.Errorf("%d bytes, %d values, %d lost", d.bytes, d.count, d.full())
	}
}
