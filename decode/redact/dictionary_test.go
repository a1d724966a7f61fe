package redact

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestDictionary holds a dictionary that several add to to a map.
func TestDictionary(t *testing.T) {
	d := newDictionary(64 << 20)
	want := make(map[string]Kind)
	value := func(i int) (Kind, string) {
		return Kind(i * 7 % int(kindCount)), fmt.Sprintf("%d, %s", i%50000, strings.Repeat("x", i%50000%97))
	}
	const values, workers = 60000, 3
	var all sync.WaitGroup
	fresh := make([]int, workers)
	for n := range workers {
		all.Go(func() {
			for i := range values {
				if d.add(value((i + n*values/workers) % values)) {
					fresh[n]++
				}
			}
		})
	}
	all.Wait()
	telling := 0
	for i := range values {
		k, v := value(i)
		if old, ok := want[v]; !ok || k < old {
			want[v] = k
		}
	}
	var kinds [kindCount]int64
	for v, k := range want {
		if got, ok := d.kind(v); !ok || got != k {
			t.Fatalf("%q is a %s, %v; want a %s", v, got, ok, k)
		}
		if kinds[k]++; k != Address && isTelling(v) {
			telling++
			*d.entry(v) |= isSought
		}
	}
	n, found := d.values()
	if n != len(want) || found != kinds || d.full() != 0 || fresh[0]+fresh[1]+fresh[2] != n {
		t.Errorf("%d values, %v of them new, %d lost; want %d", n, fresh, d.full(), len(want))
	}
	if d.marked(isSought, 0) != telling || int(d.telling.Load()) < telling {
		t.Errorf("%d of %d are marked; want %d", d.marked(isSought, 0), d.telling.Load(), telling)
	}
	if _, ok := d.kind("50000, "); ok {
		t.Error("found what is not there")
	}
	if _, ok := newDictionary(0).kind("x"); ok {
		t.Error("found something in nothing")
	}
}

// TestDictionaryFull loses what there is no room for, and tells of it.
func TestDictionaryFull(t *testing.T) {
	for _, beside := range []bool{false, true} {
		d := newDictionary(200 << 10)
		d.beside = beside
		added := 0
		for i := range 100000 {
			if d.add(Host, fmt.Sprintf("host%d.example.com", i)) {
				added++
			}
		}
		d.add(PrivateKey, strings.Repeat("x", maxSecret+1))
		n, _ := d.values()
		if size := d.taken.Load() + indexSize(n); size > d.limit || size < d.limit/4 || int64(n)+d.full() != 100001 || n != added {
			t.Errorf("%d bytes, %d values, %d lost", size, n, d.full())
		}
		if _, ok := d.kind("host1.example.com"); !ok {
			t.Error("nothing is there")
		}
	}
}

// beside is a Scratch, of which only so much can be written if that is said.
type beside struct {
	mu   sync.Mutex
	data []byte
	room int
	deaf bool // reading fails
}

func (s *beside) WriteAt(p []byte, at int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := int(at) + len(p)
	if s.room > 0 && end > s.room {
		return 0, errors.New("it is full")
	}
	if end > len(s.data) {
		s.data = append(s.data, make([]byte, end-len(s.data))...)
	}
	return copy(s.data[at:], p), nil
}

func (s *beside) ReadAt(p []byte, at int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return 0, errors.New("it can't be read")
	}
	n := copy(p, s.data[min(at, int64(len(s.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestTexts has many come out in order, from memory or from beside it.
func TestTexts(t *testing.T) {
	for _, s := range []*beside{nil, {}, {room: 1 << 20}, {deaf: true}} {
		var x texts
		if s != nil {
			x.scratch = s
		}
		var want []string
		var parts [3]gathered
		for i := range 100000 {
			v := fmt.Sprintf("%x, %s", i*7919%1000003, strings.Repeat("x", i%10*i%30))
			if want = append(want, v); parts[i%3].add(v) {
				x.add(&parts[i%3])
			}
		}
		for i := range parts {
			x.add(&parts[i])
		}
		slices.Sort(want)
		var got []string
		for v := range x.sorted() {
			got = append(got, strings.Clone(v))
		}
		fails := s != nil && (s.room > 0 || s.deaf)
		if (x.failed() != nil) != fails {
			t.Errorf("it failed: %v", x.failed())
		}
		if !fails && !slices.Equal(got, want) {
			t.Errorf("%d values, want %d", len(got), len(want))
		}
		if s != nil && !s.deaf && len(s.data) < 1<<19 {
			t.Errorf("only %d bytes are beside memory", len(s.data))
		}
	}
}
