package printer

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/where"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

// alone is a Text that is no Forker: it is told packet by packet.
type alone struct{ t *Text }

func (a alone) Start(c *flow.Conversation) error  { return a.t.Start(c) }
func (a alone) Exchange(e *proto.Exchange) error  { return a.t.Exchange(e) }
func (a alone) Finish(c *flow.Conversation) error { return a.t.Finish(c) }
func (a alone) Anomaly(x flow.Anomaly) error      { return a.t.Anomaly(x) }
func (a alone) Summary(s *decode.Summary) error   { return a.t.Summary(s) }

// TestTextParts prints pages of a few rows, so that one ends at nearly every packet, and
// wants the same whether it is told packet by packet or gathers what is told in batches.
func TestTextParts(t *testing.T) {
	all, err := where.Compile("latency >= 0 || !latency")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples.List() {
		text := func(rows, workers int, sink func(*Text) decode.Sink) string {
			t.Helper()
			r, err := samples.Open(s.Name)
			if err != nil {
				t.Fatal(err)
			}
			src, err := pcaps.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			p := NewText(&out, Style{})
			p.rows = rows
			if _, err := decode.Run(src, sink(p), decode.Options{Workers: workers}); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		whole := func(p *Text) decode.Sink { return p }
		filtered := func(p *Text) decode.Sink { return where.NewSink(all, p) }
		for _, rows := range []int{1, 2, PageRows} {
			t.Run(fmt.Sprintf("%s/%d", s.Name, rows), func(t *testing.T) {
				want := text(rows, 1, func(p *Text) decode.Sink { return alone{p} })
				picked := text(rows, 1, func(p *Text) decode.Sink { return where.NewSink(all, alone{p}) })
				if d := cmp.Diff(picked, text(rows, 2, filtered)); d != "" {
					t.Errorf("behind a filter: -packet by packet +in batches\n%s", d)
				}
				for _, workers := range []int{1, 2, 5} {
					if d := cmp.Diff(want, text(rows, workers, whole)); d != "" {
						t.Errorf("%d workers: -packet by packet +in batches\n%s", workers, d)
					}
				}
			})
		}
	}
}
