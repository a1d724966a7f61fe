package decode_test

import (
	"bytes"
	"fmt"
	"testing"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/pcaps"
)

// TestTeeOfForkers wants of several Forkers behind a Tee what each of them makes alone, whoever has
// gathered something when.
func TestTeeOfForkers(t *testing.T) {
	conversations := 200
	if raced {
		conversations = 50
	}
	f := file(t, traffic(t, 6, conversations, true))
	run := func(sink decode.Sink, workers int) {
		t.Helper()
		r, err := pcaps.NewReader(bytes.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode.Run(r, sink, decode.Options{Keep: 1 << 20, Workers: workers}); err != nil {
			t.Fatal(err)
		}
	}
	print := func(w *bytes.Buffer, bodies bool) decode.Sink {
		j := printer.NewJSON(w)
		j.Bodies = bodies
		return j
	}
	var want [2]bytes.Buffer
	for i := range want {
		run(print(&want[i], i > 0), 1)
	}
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			var got [2]bytes.Buffer
			tee := decode.Tee(print(&got[0], false), silent{}, print(&got[1], true))
			if _, ok := tee.(decode.Forker); !ok {
				t.Fatal("it is no Forker")
			}
			run(tee, workers)
			for i := range got {
				if !bytes.Equal(got[i].Bytes(), want[i].Bytes()) {
					t.Errorf("of the sinks, number %d: %s", i, difference(got[i].Bytes(), want[i].Bytes()))
				}
			}
		})
	}
	for name, tee := range map[string]decode.Sink{"none": decode.Tee(), "one is none": unforked(silent{})} {
		if _, ok := tee.(decode.Forker); ok {
			t.Errorf("%s: it is a Forker", name)
		}
	}
}

// silent is a Forker that gathers nothing.
type silent struct{ plain }

func (silent) Fork() decode.Part    { return silent{} }
func (silent) Flush() error         { return nil }
func (silent) Len() int             { return 0 }
func (silent) Write(int, int) error { return nil }
func (silent) Reset()               {}
