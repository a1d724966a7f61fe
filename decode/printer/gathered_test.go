package printer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/pcaps/craft"
)

// watchedParts is a Forker of exchanges that looks how much its parts have gathered.
type watchedParts struct {
	decode.Forker
	most int
}

type watchedPart struct {
	decode.Part
	of *watchedParts
}

func (w *watchedParts) Fork() decode.Part { return watchedPart{w.Forker.Fork(), w} }

func (w watchedPart) Write(from, to int) error {
	switch p := w.Part.(type) {
	case *JSON:
		w.of.most = max(w.of.most, len(p.buf))
	case *Bodies:
		w.of.most = max(w.of.most, len(p.buf))
	}
	return w.Part.Write(from, to)
}

// TestGathered prints packed bodies that are a thousand times as large, of one batch: their
// text is not in memory all at once, and is the same.
func TestGathered(t *testing.T) {
	const answers, size = 100, 256 << 10
	var recipe strings.Builder
	recipe.WriteString("tcp a 10.1.0.1:40000 > 10.1.0.2:80\na open\n")
	for i := range answers {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprintf(z, "%*d\n", size, i)
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&recipe, "a > \"GET /%d HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n\"\n", i)
		fmt.Fprintf(&recipe, "a < \"HTTP/1.1 200 OK\\r\\nContent-Encoding: gzip\\r\\nContent-Length: %d\\r\\n\\r\\n\" hex %x\n", b.Len(), b.Bytes())
	}
	made, err := craft.Recipe(strings.NewReader(recipe.String()))
	if err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]func(io.Writer) decode.Forker{
		"json": func(w io.Writer) decode.Forker { return &JSON{w: w, Bodies: true} },
		"text": func(w io.Writer) decode.Forker { return NewBodies(w, Style{}) },
	} {
		t.Run(name, func(t *testing.T) {
			run := func(sink decode.Sink, workers int) {
				if _, err := decode.Run(made.Source(), sink, decode.Options{Keep: KeepBodies, Workers: workers}); err != nil {
					t.Fatal(err)
				}
			}
			var want bytes.Buffer
			whole := of(&want)
			run(struct{ decode.Sink }{whole}, 1)
			if err := whole.Flush(); err != nil || want.Len() < answers*maxShown {
				t.Fatalf("%d bytes, %v", want.Len(), err)
			}
			for _, workers := range []int{1, 2, 5} {
				var got bytes.Buffer
				parts := &watchedParts{Forker: of(&got)}
				run(parts, workers)
				if err := parts.Flush(); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("%d workers: %d bytes, %v; want %d others", workers, got.Len(), err, want.Len())
				}
				if most := maxGathered + 2*size; parts.most > most || parts.most < maxGathered {
					t.Errorf("%d workers: %d bytes were gathered, want up to %d", workers, parts.most, most)
				}
			}
		})
	}
}
