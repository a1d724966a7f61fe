package decode_test

import (
	"bytes"
	"slices"
	"testing"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/where"
	"netlab/pcaps"
)

// TestWorkersOnSome has some exchanges picked: what is printed of them is the same
// from any number of workers. Where all are picked, it is what is printed without.
func TestWorkersOnSome(t *testing.T) {
	conversations := 80
	if raced {
		conversations = 20
	}
	f := file(t, traffic(t, 1, conversations, false))
	fields := slices.DeleteFunc(where.Fields(), func(f proto.Attribute) bool { return f.Any != nil })
	source := func() *pcaps.Reader {
		r, err := pcaps.NewReader(bytes.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const everything = `time > 2000-01-01`
	for name, sink := range map[string]func(*bytes.Buffer) decode.Sink{
		"json":    func(b *bytes.Buffer) decode.Sink { return printer.NewJSON(b) },
		"columns": func(b *bytes.Buffer) decode.Sink { return printer.NewColumns(b, fields) },
		"stats":   func(b *bytes.Buffer) decode.Sink { return printer.NewStats(b, printer.Style{}) },
	} {
		for _, expr := range []string{`http && status in {200..299}`, `dns || state == broken`, `port == 0`, `latency > 1ms`, `conversation >= 0`, everything} {
			filter, err := where.Compile(expr)
			if err != nil {
				t.Fatal(err)
			}
			decoded := func(workers int, sink decode.Sink) {
				if _, err := decode.Run(source(), where.NewSink(filter, sink), decode.Options{Workers: workers}); err != nil {
					t.Fatal(err)
				}
			}
			var want bytes.Buffer
			decoded(1, sink(&want))
			if expr == everything && name == "columns" {
				var got bytes.Buffer
				if _, err := decode.Run(source(), sink(&got), decode.Options{Workers: 2}); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("without an expression and with one for all, %s", difference(got.Bytes(), want.Bytes()))
				}
			}
			for _, n := range []int{2, 3, 8} {
				var got bytes.Buffer
				decoded(n, sink(&got))
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("%s of %s: with 1 and %d workers, %s", name, expr, n, difference(want.Bytes(), got.Bytes()))
				}
			}
		}
	}
}
