package values

import (
	"reflect"
	"testing"

	"netlab/decode"
	"netlab/decode/proto"
)

// only is a Sink that is no Forker.
type only struct{ *Finder }

func (o only) Exchange(e *proto.Exchange) error { return o.Finder.Exchange(e) }

// Fork is another than a Forker has.
func (only) Fork() {}

// TestParts finds the same however many look, and packet by packet.
func TestParts(t *testing.T) {
	recording := site(40)
	var first *Finder
	var want *Found
	for _, workers := range []int{0, 1, 3} {
		f := NewFinder(Options{})
		var sink decode.Sink = f
		if first == nil {
			first, sink = f, only{f}
		}
		f.seed = first.seed
		if _, err := decode.Run(recording.Source(), sink, decode.Options{Keep: 1 << 20, Workers: workers}); err != nil {
			t.Fatal(err)
		}
		got := f.Found()
		if want == nil {
			want = got
		}
		values, uses := got.Used()
		if values < 40 || uses < 9*40 {
			t.Errorf("%d workers: %d values, %d uses", workers, values, uses)
		}
		if !reflect.DeepEqual(f.ring, first.ring) || !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: something else is remembered, or found", workers)
		}
	}
}
