package rewrite

import (
	"bytes"
	"fmt"
	"math/rand"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/pcaps/craft"
)

// always makes the same edits in both directions.
func always(edits ...Edit) func(*flow.Conversation, flow.Direction) []Edit {
	return func(*flow.Conversation, flow.Direction) []Edit { return edits }
}

// crafted returns packets of a conversation.
func crafted(t testing.TB, udp bool, do func(*craft.Talk)) []capture.Packet {
	t.Helper()
	b := craft.New(craft.Options{})
	client, server := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:80")
	talk := b.TCP(client, server)
	if udp {
		talk = b.UDP(client, server)
	}
	do(talk)
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

func TestSegmentBecomesSeveral(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 6000)
	in := crafted(t, false, func(talk *craft.Talk) {
		talk.ISN(0xffff8000, 5)
		talk.Open()
		talk.Send(craft.Client, data)
		talk.Ack(craft.Server)
		talk.Send(craft.Client, []byte("more"))
		talk.Close(craft.Client)
	})
	edit := Edit{Offset: 100, Length: 10, New: bytes.Repeat([]byte("x"), 100_000)}
	out, sum := rewritten(t, in, others{}, func(_ *flow.Conversation, d flow.Direction) []Edit {
		if d == flow.ServerToClient {
			return nil
		}
		return []Edit{edit}
	})
	if sum.Split != 2 {
		t.Errorf("%d packets more than there were", sum.Split)
	}
	want := string(data[:100]) + string(edit.New) + string(data[110:]) + "more"
	got, s := hear(t, out)
	if h := got.talks[1][0]; h.Text != want || h.Gaps != nil || h.Retransmitted+h.Reorder != 0 || s.BadChecksums > 0 {
		t.Errorf("%d bytes, want %d; %d gaps, %d sent again, %d reordered, %d wrong checksums", len(h.Text), len(want), len(h.Gaps), h.Retransmitted, h.Reorder, s.BadChecksums)
	}
	if got.state[0] != flow.Closed {
		t.Errorf("it is %v", got.state[0])
	}
}

func TestDatagramTooLarge(t *testing.T) {
	in := crafted(t, true, func(talk *craft.Talk) {
		talk.Send(craft.Client, []byte("question"))
		talk.Send(craft.Client, []byte("another"))
	})
	out, sum := rewritten(t, in, same{}, always(Edit{Offset: 0, Length: 8, New: make([]byte, 70_000)}))
	if want := map[string]int64{reasonNames[becauseLarge]: 8}; !cmp.Equal(want, sum.Blanks) {
		t.Error(cmp.Diff(want, sum.Blanks))
	}
	if got, _ := hear(t, out); got.talks[1][0].Text != "xxxxxxxxanother" {
		t.Errorf("%q", got.talks[1][0].Text)
	}
}

// TestCut has packets that the snapshot length cut off stay so.
func TestCut(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	for range 100 {
		steps := make([]byte, 60)
		random.Read(steps)
		for i := 0; i < len(steps); i += 3 {
			steps[i] &= 1 // both send in order: the model knows no more of what was cut off
		}
		in := script(t, [2]uint32{random.Uint32(), random.Uint32()}, true, steps)
		for i := range in {
			in[i].Data = in[i].Data[:min(len(in[i].Data), 54+random.Intn(90))]
		}
		edits := make([]byte, 30)
		random.Read(edits)
		for i := 2; i < len(edits); i += 3 {
			edits[i] = max(edits[i]%120, edits[i-1]%60+1) // none shrinks
		}
		if holds(t, in, [2][]Edit{changes(edits), changes(edits[3:])}); t.Failed() {
			t.Fatalf("steps %#v, edits %#v", steps, edits)
		}
	}
}

// cutInto sends a datagram in fragments that end at some offsets.
func cutInto(t testing.TB, p capture.Packet, ends []int) []capture.Packet {
	t.Helper()
	const head = 14 + 20
	var all []capture.Packet
	body := p.Data[head:]
	for from, i := 0, 0; from < len(body); i++ {
		to := len(body)
		if i < len(ends) {
			to = min(from+(ends[i]%100/8+1)*8, len(body))
		}
		f := p
		f.Data = append(bytes.Clone(p.Data[:head]), body[from:to]...)
		be.PutUint16(f.Data[16:], uint16(20+to-from))
		flags := uint16(from / 8)
		if to < len(body) {
			flags |= 0x2000
		}
		be.PutUint16(f.Data[20:], flags)
		put(f.Data[24:], 0, f.Data[14:head])
		f.Length = len(f.Data)
		all = append(all, f)
		from = to
	}
	return all
}

// FuzzFragments has datagrams come in fragments, in any order and with other packets between
// them, and wants the same to be said as if they had come whole.
func FuzzFragments(f *testing.F) {
	f.Add(int64(1), []byte{10, 20, 90, 30, 9, 9})
	f.Add(int64(2), []byte{0, 59, 0, 100, 59, 0})
	f.Add(int64(3), []byte{40, 9, 255, 3, 1, 119, 200, 59, 119})
	f.Fuzz(func(t *testing.T, seed int64, b []byte) {
		if len(b) > 90 {
			return
		}
		random := rand.New(rand.NewSource(seed))
		whole := crafted(t, true, func(talk *craft.Talk) {
			for i := range 3 {
				talk.Send(craft.Side(i%2), bytes.Repeat([]byte(fmt.Sprintf("%d question.", i)), 1+random.Intn(40)))
			}
		})
		var in []capture.Packet
		for _, p := range whole {
			pieces := cutInto(t, p, []int{random.Intn(100), random.Intn(100), random.Intn(100)})
			random.Shuffle(len(pieces), func(i, k int) { pieces[i], pieces[k] = pieces[k], pieces[i] })
			for i, piece := range pieces {
				if in = append(in, piece); i < len(pieces)-1 && random.Intn(3) == 0 {
					in = append(in, piece) // twice
				}
			}
		}
		for i := range in {
			in[i].Number = int64(i + 1)
		}
		edits := changes(b)
		out, sum := rewritten(t, in, others{}, always(edits...))
		want, _ := rewritten(t, whole, others{}, always(edits...))
		before, _ := hear(t, want)
		after, s := hear(t, out)
		if s.BadChecksums > 0 {
			t.Errorf("%d wrong checksums", s.BadChecksums)
		}
		if sum.Blanks[reasonNames[becauseFragment]] > 0 {
			t.Errorf("%v blanked", sum.Blanks)
		}
		said := func(l *listener) (said []string) {
			for _, first := range l.order {
				said = append(said, l.talks[first][0].Text, l.talks[first][1].Text)
			}
			return said
		}
		if diff := cmp.Diff(said(before), said(after)); diff != "" {
			t.Errorf("(-whole +in fragments)\n%s", diff)
		}
	})
}

// TestFragmentsInVain has a fragment that waits let the packets behind it pass after a
// while, and at the end.
func TestFragmentsInVain(t *testing.T) {
	whole := crafted(t, true, func(talk *craft.Talk) {
		talk.Send(craft.Client, bytes.Repeat([]byte("secret"), 50))
		talk.Send(craft.Server, []byte("answer"))
	})
	pieces := cutInto(t, whole[0], []int{90})
	in := []capture.Packet{pieces[0], whole[1], whole[1]}
	in[2].Time = in[2].Time.Add(maxWait)
	x := NewEdits(0, nil)
	if _, err := decode.Run(&list{packets: in}, finder{x, nil}, decode.Options{}); err != nil {
		t.Fatal(err)
	}
	var out list
	w := New(&out, x, same{}, Options{})
	for i, want := range []int{0, 0, 3} {
		in[i].Number = int64(i + 1)
		if err := w.WritePacket(&in[i]); err != nil {
			t.Fatal(err)
		}
		if len(out.packets) != want {
			t.Errorf("after %d packets %d are out, want %d", i+1, len(out.packets), want)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	audit(t, sum, in, out.packets)
	if bytes.Contains(out.packets[0].Data, []byte("secret")) {
		t.Error("it says what was said")
	}
}

// TestNoRoom has all be blanked for which there was no memory.
func TestNoRoom(t *testing.T) {
	in := crafted(t, false, func(talk *craft.Talk) {
		talk.Open()
		for range 100 {
			talk.Send(craft.Client, []byte("a secret and more"))
		}
	})
	var edits []Edit
	for i := range int64(100) {
		edits = append(edits, Edit{Offset: 17*i + 2, Length: 6, New: []byte(fmt.Sprintf("%06d", i))})
	}
	for _, room := range []int64{1, 200, 400, 1000} {
		x := NewEdits(room, nil)
		if _, err := decode.Run(&list{packets: in}, finder{x, always(edits...)}, decode.Options{}); err != nil {
			t.Fatal(err)
		}
		var out list
		w := New(&out, x, same{}, Options{})
		if _, err := capture.Copy(w, &list{packets: in}); err != nil {
			t.Fatal(err)
		}
		sum, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		audit(t, sum, in, out.packets)
		got, _ := hear(t, out.packets)
		if text := got.talks[1][0].Text; strings.Contains(text, "secret") || len(text) != 1700 || sum.Blanks[reasonNames[becauseUnseen]] == 0 {
			t.Errorf("with %d bytes: %q, %v", room, text, sum.Blanks)
		}
	}
}

// TestWild has a stream be blanked of which so much is missing that a sequence number may
// stand at several places in it.
func TestWild(t *testing.T) {
	in := crafted(t, false, func(talk *craft.Talk) {
		talk.Open()
		for i := range int64(4) {
			talk.Segment(craft.Client, i*1_000_000_000, craft.Flags{ACK: true}, []byte("a secret"))
		}
	})
	for i := range in {
		in[i].Time = time.Unix(1e9+int64(i)*100, 0).UTC() // all gaps are given up
	}
	out, sum := rewritten(t, in, same{}, nil)
	if sum.Blanks[reasonNames[becauseWild]] != 32 {
		t.Errorf("blanked: %v", sum.Blanks)
	}
	for i := range out {
		if bytes.Contains(out[i].Data, []byte("secret")) {
			t.Errorf("packet %d says it", i+1)
		}
	}
}

func TestOffset(t *testing.T) {
	short, long := &side{start: 0xfffffff0, end: 100}, &side{start: 0xfffffff0, end: 1 << 40}
	tests := map[string]struct {
		side *side
		at   int64
		seq  uint32
		want int64
	}{
		"short":                {short, 0, 0x10, 0x20},
		"before":               {short, 50, 0xffffffef, -1},
		"long":                 {long, 0, 0x10, 0x20},
		"long_second_time":     {long, 1 << 32, 0x10, 1<<32 + 0x20},
		"long_behind_a_wrap":   {long, 1<<33 - 10, 0x10, 1<<33 + 0x20},
		"long_before_the_wrap": {long, 1<<33 + 10, 0xffffffe0, 1<<33 - 0x10},
	}
	for name, test := range tests {
		at := position{at: test.at}
		if got := at.offset(test.side, test.seq); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// nowhere is a Sink.
type nowhere struct{}

func (nowhere) WritePacket(*capture.Packet) error { return nil }

func TestAllocatesNothing(t *testing.T) {
	in := crafted(t, false, func(talk *craft.Talk) {
		talk.MSS = 1400
		talk.Open()
		for range 200 {
			talk.Send(craft.Client, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
			talk.Send(craft.Server, bytes.Repeat([]byte("answer"), 400))
		}
	})
	for name, edit := range map[string]Edit{"same length": {Offset: 1, Length: 3, New: []byte("abc")}, "longer": {Offset: 1, Length: 3, New: []byte("abcdef")}} {
		var edits []Edit
		for i := range int64(200) {
			e := edit
			e.Offset += i * 28
			edits = append(edits, e)
		}
		x := NewEdits(0, nil)
		if _, err := decode.Run(&list{packets: in}, finder{x, always(edits...)}, decode.Options{}); err != nil {
			t.Fatal(err)
		}
		w := New(nowhere{}, x, others{}, Options{})
		next := 0
		write := func() {
			if err := w.WritePacket(&in[next]); err != nil {
				t.Fatal(err)
			}
			next++
		}
		for next < 50 {
			write()
		}
		if n := testing.AllocsPerRun(400, write); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
}
