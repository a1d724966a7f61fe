package redact

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/rewrite"
	"netlab/pcaps"
)

// packets are read again and again.
func packets(t testing.TB, data []byte) *pcaps.Reader {
	t.Helper()
	src, err := pcaps.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// came is what comes of a recording.
type came struct {
	capture []byte
	summary *Summary
	mapped  string
	found   []Find // in what came
	all     []Find // in the recording as it was
	count   int64
}

// made is what becomes of a recording when some workers go through it.
func made(t testing.TB, data []byte, workers int, to rewrite.Scratch) *came {
	t.Helper()
	z, err := NewSanitizer(Options{Key: []byte("a key for tests only"), Scratch: to})
	if err != nil {
		t.Fatal(err)
	}
	run := func(data []byte, sink decode.Sink) {
		if _, err := decode.Run(packets(t, data), sink, decode.Options{Keep: KeepBytes, Workers: workers}); err != nil {
			t.Fatal(err)
		}
	}
	run(data, z.Learn())
	x := rewrite.NewEdits(0, nil)
	run(data, z.Edit(x))
	var out, mapped bytes.Buffer
	w, err := pcaps.NewWriter(&out, pcaps.Options{Format: pcaps.PcapNG})
	if err != nil {
		t.Fatal(err)
	}
	r := rewrite.New(w, x, z.Pseudonyms(), rewrite.Options{})
	if _, err := capture.Copy(r, packets(t, data)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		mapped.Reset()
		if err := z.Map(&mapped); err != nil {
			t.Fatal(err)
		}
	}
	c := &came{capture: out.Bytes(), summary: z.Summary(), mapped: mapped.String()}
	s := z.Search()
	run(c.capture, s)
	c.found, _ = s.Found()
	s = z.Search()
	run(data, s)
	c.all, c.count = s.Found()
	return c
}

// TestForks has the same come of a recording whoever goes through it, and of each order of its
// conversations.
func TestForks(t *testing.T) {
	files, err := filepath.Glob("../../pcaps/samples/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no samples")
	}
	var all []*pcaps.Reader
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, packets(t, data))
	}
	var merged bytes.Buffer
	w, err := pcaps.NewWriter(&merged, pcaps.Options{Format: pcaps.PcapNG})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pcaps.Convert(w, all, pcaps.Conversion{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	one := made(t, merged.Bytes(), 1, nil)
	if len(one.found) > 0 || one.count == 0 || len(one.summary.Found) == 0 || one.mapped == "" {
		t.Fatalf("found %v, and %d in the recording; %+v", one.found, one.count, one.summary)
	}
	for _, workers := range []int{2, 5} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			got := made(t, merged.Bytes(), workers, &beside{})
			if !bytes.Equal(got.capture, one.capture) {
				t.Error("other packets came of it")
			}
			if got.mapped != one.mapped || !reflect.DeepEqual(got.summary, one.summary) {
				t.Errorf("%+v, want %+v", got.summary, one.summary)
			}
			if len(got.found) > 0 || got.count != one.count || !reflect.DeepEqual(got.all, one.all) {
				t.Errorf("found %v; %d in the recording, want %d", got.found, got.count, one.count)
			}
		})
	}
}
