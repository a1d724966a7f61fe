package packet

import (
	"bytes"
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode/flow"
)

// unexported has segments compared with all that they keep to themselves.
var unexported = cmp.AllowUnexported(flow.Flow{}, Segment{})

// carried wants what was decoded of p to be the same when it was packed, and when
// it moved out of the packet's memory.
func carried(t *testing.T, d *Decoder, k Kind, p *capture.Packet) {
	t.Helper()
	if k != TCP && k != UDP {
		return
	}
	s := d.Segment
	bad := s.BadChecksum()
	same := func(what string, got *Segment) {
		t.Helper()
		if diff := cmp.Diff(s, *got, unexported); diff != "" {
			t.Fatalf("packet %d %s (-want +got)\n%s", p.Number, what, diff)
		}
		if got.BadChecksum() != bad {
			t.Fatalf("packet %d %s: bad checksum %v", p.Number, what, !bad)
		}
	}

	var packed Packed
	packed.Pack(&s)
	var alone Decoder
	var at Packed
	if again := alone.Pack(p, &at); again != k {
		if !d.Assembled {
			t.Fatalf("packet %d is %v when it is packed at once", p.Number, again)
		}
	} else if diff := cmp.Diff(packed, at, cmp.AllowUnexported(Packed{})); diff != "" || alone.Segment.Flow != s.Flow {
		t.Fatalf("packet %d packed at once (-want +got)\n%s", p.Number, diff)
	}
	packed.Warm()
	got := Segment{ // what is in the way
		Flow: s.Flow, Seq: 1, Ack: 1, Flags: 0xff, Window: 1, Payload: []byte("x"), Length: 99,
		Time: time.Unix(1, 1), Packet: 99, wire: []byte("wrong"), sums: !s.sums,
	}
	packed.Unpack(&got)
	same("unpacked", &got)
	if len(s.Payload) > 0 && &got.Payload[0] != &s.Payload[0] {
		t.Fatalf("packet %d unpacked is not in the memory of what was packed", p.Number)
	}

	q := *p
	q.Data = bytes.Clone(p.Data)
	var o Decoder
	if again := o.Decode(&q); again != k || o.Assembled {
		return // a fragment made it whole
	}
	packed.Pack(&o.Segment)
	before := []byte("before")
	moved := packed.Own(before)
	clear(q.Data)
	packed.Unpack(&got)
	same("moved", &got)
	if !bytes.HasPrefix(moved, []byte("before")) {
		t.Fatalf("packet %d: what was there is now %q", p.Number, moved)
	}
	if n := len(got.Payload); n > 0 && &got.Payload[0] != &moved[len(moved)-n] {
		t.Fatalf("packet %d: the payload is not at the end of what it moved to", p.Number)
	}
}

func TestCarried(t *testing.T) {
	type change func(*capture.Packet)
	sumless := func(p *capture.Packet) { p.Data[26], p.Data[27] = 0, 0 }
	tests := map[string]struct {
		tcp, udp change
	}{
		"plain":                {func(*capture.Packet) {}, func(*capture.Packet) {}},
		"without_a_checksum":   {nil, sumless},
		"with_a_wrong_one":     {func(p *capture.Packet) { p.Data[36] ^= 1 }, func(p *capture.Packet) { p.Data[26] ^= 1 }},
		"damaged":              {func(p *capture.Packet) { p.Data[len(p.Data)-1] ^= 1 }, func(p *capture.Packet) { p.Data[len(p.Data)-1] ^= 1 }},
		"cut":                  {func(p *capture.Packet) { p.Data = p.Data[:len(p.Data)-2] }, func(p *capture.Packet) { p.Data = p.Data[:len(p.Data)-2] }},
		"cut_behind_the_head":  {func(p *capture.Packet) { p.Data = p.Data[:40] }, func(p *capture.Packet) { p.Data = p.Data[:28] }},
		"before_1970":          {func(p *capture.Packet) { p.Time = time.Unix(-5, 7).UTC() }, func(p *capture.Packet) { p.Time = time.Unix(0, -1).UTC() }},
		"far_future":           {func(p *capture.Packet) { p.Time = time.Unix(math.MaxInt64>>1, 999999999).UTC() }, nil},
		"far_past":             {func(p *capture.Packet) { p.Time = time.Unix(math.MinInt64>>1, 999999999).UTC() }, nil},
		"no_time":              {func(p *capture.Packet) { p.Time = time.Time{} }, nil},
		"in_another_zone":      {func(p *capture.Packet) { p.Time = p.Time.In(time.FixedZone("", 3600)) }, nil},
		"last_packet":          {func(p *capture.Packet) { p.Number = math.MaxInt64 }, nil},
		"length_of_4_gigabyte": {func(p *capture.Packet) { p.Data[2], p.Data[3] = 0, 0; p.Length = math.MaxUint32 }, nil},
		"length_of_2_gigabyte": {func(p *capture.Packet) { p.Data[2], p.Data[3] = 0, 0; p.Length = math.MaxInt32 + 100 }, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, payload := range []string{"hello", "x"} {
				b := crafted(t, capture.LinkRaw, 0, []byte(payload+"??")) // the last two may be cut off
				for i, change := range []change{tt.tcp, tt.udp} {
					if change == nil {
						continue
					}
					p := b[2*i]
					p.Time = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
					p.Length = len(p.Data)
					change(&p)
					var d Decoder
					k := d.Decode(&p)
					if k != Kind(i) {
						t.Fatal(describe(&d, k))
					}
					carried(t, &d, k, &p)
				}
			}
		})
	}
}

func TestCarriedOfEmpty(t *testing.T) {
	var s, got Segment
	var p Packed
	p.Pack(&s)
	if p.Warm(); p.Own(nil) != nil {
		t.Error("nothing moved takes memory")
	}
	p.Unpack(&got)
	if diff := cmp.Diff(s, got, unexported); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// TestCarriedOfSamples decodes all samples out of one buffer, which each packet is
// read into anew, and looks at what was packed when all are read: what they say is
// the same then, fragments that were joined among it.
func TestCarriedOfSamples(t *testing.T) {
	type unit struct {
		Packed
		want Segment
		bad  bool
	}
	var units []unit
	var arena, buffer []byte
	var d Decoder
	for _, p := range sampled(t) {
		buffer = append(buffer[:0], p.Data...)
		q := p
		q.Data = buffer
		k := d.Decode(&q)
		carried(t, &d, k, &q)
		if k != TCP && k != UDP {
			continue
		}
		s := d.Segment
		u := unit{want: s, bad: s.BadChecksum()}
		u.want.Payload = bytes.Clone(s.Payload)
		u.want.wire = bytes.Clone(s.wire)
		u.Pack(&s)
		if d.Assembled {
			u.Own(nil)
		} else {
			arena = u.Own(arena)
		}
		units = append(units, u)
	}
	var summed int
	for i := range units {
		u := &units[i]
		got := Segment{Flow: u.want.Flow}
		u.Unpack(&got)
		if diff := cmp.Diff(u.want, got, unexported); diff != "" {
			t.Fatal("(-want +got)\n" + diff)
		}
		if got.BadChecksum() != u.bad {
			t.Errorf("packet %d: bad checksum %v", got.Packet, !u.bad)
		}
		if got.sums {
			summed++
		}
	}
	if len(units) < 100 || summed < 100 || summed == len(units) {
		t.Errorf("%d units, %d with a checksum: that tries too little", len(units), summed)
	}
}

// TestPackedSize holds it to what makes a line of the cache with the 16 bytes that
// stand beside it in a batch. Many thousands stand in a row, and each is read once by
// who is to wait for it.
func TestPackedSize(t *testing.T) {
	const line = 64
	if n := unsafe.Sizeof(Packed{}); n > line-16 {
		t.Errorf("%d bytes, want %d", n, line-16)
	}
}

func TestCarriedAllocatesNothing(t *testing.T) {
	p := crafted(t, capture.LinkRaw, 0, bytes.Repeat([]byte("x"), 1000))[0]
	var d Decoder
	d.Decode(&p)
	arena := make([]byte, 0, 2000)
	var packed Packed
	var s Segment
	if n := testing.AllocsPerRun(100, func() {
		packed.Pack(&d.Segment)
		arena = packed.Own(arena[:0])
		packed.Warm()
		packed.Unpack(&s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
