package packet

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"netlab/capture"
)

// TestTrace wants headers to stand one behind the other, and the last in front of the
// payload.
func TestTrace(t *testing.T) {
	var d, plain Decoder
	d.Trace = new(Trace)
	tunnels := []layout{}
	for _, name := range slices.Sorted(maps.Keys(throughs)) {
		for _, v6 := range []bool{false, true} {
			th := throughs[name]
			body := inside(th.hex, v6)
			if th.port != 0 {
				body = ports(th.port, th.port, body)
			}
			proto := th.proto
			if th.port != 0 {
				proto = 17
			}
			tunnels = append(tunnels, layout{link: capture.LinkRaw, hex: outer4(proto, body)})
		}
	}
	for _, l := range slices.Concat(odd, slices.Collect(maps.Values(good())), tunnels) {
		p := capture.Packet{Data: unhex(t, l.hex), Link: l.link}
		p.Length = len(p.Data) + l.cut
		kind := d.Decode(&p)
		if want := plain.Decode(&p); kind != want {
			t.Errorf("%s: %v with a trace, %v without", l.hex, kind, want)
		}
		at, end := 0, len(p.Data)
		for _, h := range d.Trace.Layers {
			if h.Kind == LayerLengthField {
				if h.Start < 0 || h.Start+2 > len(p.Data) {
					t.Errorf("%s: a length at %d", l.hex, h.Start)
				}
				continue
			}
			if h.Start < at || h.Head < h.Start || h.End < h.Head || h.End > end {
				t.Errorf("%s: %+v behind %d, in %d", l.hex, h, at, end)
			}
			at, end = h.Head, h.End
		}
		if kind != TCP && kind != UDP {
			continue
		}
		if h := d.Trace.Layers[len(d.Trace.Layers)-1]; h.Kind != LayerTCP && h.Kind != LayerUDP || !bytes.Equal(p.Data[h.Head:h.End], d.Segment.Payload) {
			t.Errorf("%s: %+v, and the payload is %x", l.hex, h, d.Segment.Payload)
		}
		if n := testing.AllocsPerRun(10, func() { d.Decode(&p) }); n != 0 {
			t.Errorf("%s: %v allocations", l.hex, n)
		}
	}
}

// TestTraceOfFragments has the headers in a datagram stand in it.
func TestTraceOfFragments(t *testing.T) {
	d := Decoder{Trace: new(Trace)}
	body := strings.ReplaceAll(quartet, " ", "")
	for i, hex := range []string{part4(1, 0, true, 17, from(0, 16, body)), part4(1, 16, false, 17, from(16, 40, body))} {
		data := unhex(t, hex)
		d.Decode(&capture.Packet{Number: int64(i + 1), Data: data, Length: len(data), Link: capture.LinkRaw})
	}
	x := d.Trace
	if !d.Assembled || x.Joins != 1 || x.Outer != 1 || len(x.Layers) != 2 || !bytes.Equal(x.Datagram, unhex(t, body)) {
		t.Fatalf("assembled: %v, %+v", d.Assembled, x)
	}
	if h := x.Layers[1]; h != (Layer{Kind: LayerUDP, Head: 8, End: 40, Length: 40}) {
		t.Errorf("%+v", h)
	}
}
