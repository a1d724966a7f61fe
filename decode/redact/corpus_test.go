package redact

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/pcaps"
)

// recorder makes talks of what a pipeline tells.
type recorder struct {
	talks map[*flow.Conversation]*talk
	list  []*talk
	gaps  map[*talk]bool
}

func (r *recorder) Exchange(*proto.Exchange) error { return nil }

func (r *recorder) of(c *flow.Conversation) *talk {
	k := r.talks[c]
	if k == nil {
		k = &talk{transport: c.Transport()}
		if c.For != nil {
			k.protocol = &proto.Raw
		}
		r.talks[c] = k
		r.list = append(r.list, k)
	}
	return k
}

func (r *recorder) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	t := r.of(c)
	t.said = append(t.said, said{d, string(k.Data)})
	return nil
}

func (r *recorder) Gap(c *flow.Conversation, _ flow.Direction, _ flow.Gap) error {
	r.gaps[r.of(c)] = true
	return nil
}

// samples returns the conversations of a sample that have no gaps.
func samples(t testing.TB, file string) []*talk {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	src, err := pcaps.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{talks: make(map[*flow.Conversation]*talk), gaps: make(map[*talk]bool)}
	if _, err := decode.Run(src, r, decode.Options{}); err != nil {
		t.Fatal(err)
	}
	var list []*talk
	for _, k := range r.list {
		if !r.gaps[k] {
			list = append(list, k)
		}
	}
	return list
}

// TestSamples wants the samples to be what they were for a parser: the protocols that can be looked
// into, with as many exchanges as there were.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("../../pcaps/samples/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no samples")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".pcap")
		t.Run(name, func(t *testing.T) {
			talks := samples(t, file)
			out, z := sanitize(t, Options{}, talks...)
			for i := range talks {
				c, _ := talks[i].run(t, nil)
				d, _ := out[i].run(t, nil)
				if looked[c.Protocol] {
					if c.Protocol != d.Protocol {
						t.Errorf("%s became %s:\n%.2000q", c.Protocol, d.Protocol, out[i].all())
						continue
					}
					same(t, talks[i], out[i])
				}
				s := z.Search()
				out[i].run(t, s)
				if list, n := s.Found(); n > 0 {
					t.Errorf("conversation %d: %d finds, as %v", i, n, list[0])
				}
				if testing.Verbose() {
					t.Logf("%s\n%.3000q", c.Protocol, out[i].all())
				}
			}
			if testing.Verbose() {
				t.Logf("%+v", z.Summary())
			}
		})
	}
}

// looked are the protocols that are looked into.
var looked = map[string]bool{"http": true, "http2": true, "dns": true, "ftp": true, "smtp": true, "redis": true, "tls": true, "websocket": true, "mqtt": true, "postgres": true, "mysql": true}
