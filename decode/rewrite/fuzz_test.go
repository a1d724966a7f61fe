package rewrite

import (
	"bytes"
	"math/rand"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/pcaps/craft"
)

// script makes a connection of bytes: each step takes three.
func script(t testing.TB, isn [2]uint32, syn bool, steps []byte) []capture.Packet {
	t.Helper()
	b := craft.New(craft.Options{})
	talk := b.TCP(netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:80"))
	talk.ISN(isn[0], isn[1])
	if syn {
		talk.Open()
	}
	var sent [2]int64
	ack := craft.Flags{ACK: true}
	said := func(side craft.Side, from, n int64) []byte {
		data := make([]byte, n)
		for i := range data {
			p := from + int64(i)
			data[i] = byte('a' + (p*7+p/26+int64(side))%26)
		}
		return data
	}
	for ; len(steps) >= 3; steps = steps[3:] {
		side := craft.Side(steps[0] & 1)
		n := int64(steps[1])%97 + 1
		back := min(sent[side], int64(steps[2]))
		switch steps[0] >> 1 & 7 {
		case 0, 1, 2:
			talk.Send(side, said(side, sent[side], n))
			sent[side] += n
		case 3: // sent again, perhaps with more
			talk.Segment(side, sent[side]-back, ack, said(side, sent[side]-back, n))
			sent[side] = max(sent[side], sent[side]-back+n)
		case 4: // ahead
			talk.Segment(side, sent[side]+int64(steps[2]), ack, said(side, sent[side]+int64(steps[2]), n))
		case 5: // with another value
			data := said(side, sent[side]-back, min(n, back))
			for i := range data {
				data[i] ^= byte(i % 3)
			}
			if len(data) > 0 {
				talk.Segment(side, sent[side]-back, ack, data)
			}
		case 6: // a keep-alive
			talk.Segment(side, sent[side]-1, ack, bytes.Repeat([]byte{0}, int(n)&1))
		case 7:
			if steps[1] < 8 {
				talk.Fin(side)
			} else {
				talk.Ack(side)
			}
		}
	}
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// changes makes edits of bytes, of which each takes three: how far from the one before, how
// much is taken out, and how much comes in.
func changes(b []byte) []Edit {
	var edits []Edit
	off := int64(0)
	for i := 0; len(b) >= 3; b, i = b[3:], i+1 {
		off += int64(b[0])
		e := Edit{Offset: off, Length: int64(b[1])%60 + 1, Blank: b[2] == 0xff}
		if !e.Blank {
			e.New = bytes.Repeat([]byte{byte('A' + i%26)}, int(b[2])%120)
		}
		off += e.Length
		edits = append(edits, e)
	}
	return edits
}

// model is what a direction ought to become.
type model struct {
	text []byte // of what is there
	gaps []flow.Gap
}

// modelOf applies edits to a direction, byte by byte.
func modelOf(h *heard, edits []Edit) model {
	var there []int // the byte, or -1
	text := h.Text
	gaps := h.Gaps
	for at := int64(0); len(text) > 0 || len(gaps) > 0; {
		if len(gaps) > 0 && gaps[0].Offset == at {
			for range gaps[0].Length {
				there = append(there, -1)
			}
			at += gaps[0].Length
			gaps = gaps[1:]
			continue
		}
		there = append(there, int(text[0]))
		text = text[1:]
		at++
	}
	var m model
	var out []int
	for at := 0; at < len(there); {
		if len(edits) == 0 || int64(at) < edits[0].Offset {
			out = append(out, there[at])
			at++
			continue
		}
		e := edits[0]
		edits = edits[1:]
		size := int64(len(e.New))
		if e.Blank {
			size = e.Length
		}
		for i := int64(0); i < e.Length && at < len(there); i, at = i+1, at+1 {
			for k := i * size / e.Length; k < (i+1)*size/e.Length; k++ {
				switch {
				case there[at] < 0:
					out = append(out, -1)
				case e.Blank:
					out = append(out, Filler)
				default:
					out = append(out, int(e.New[k]))
				}
			}
		}
	}
	for at, b := range out {
		n := len(m.gaps)
		switch {
		case b >= 0:
			m.text = append(m.text, byte(b))
		case n > 0 && m.gaps[n-1].Offset+m.gaps[n-1].Length == int64(at):
			m.gaps[n-1].Length++
		default:
			m.gaps = append(m.gaps, flow.Gap{Offset: int64(at), Length: 1})
		}
	}
	return m
}

// joined joins gaps that touch.
func joined(gaps []flow.Gap) []flow.Gap {
	var out []flow.Gap
	for _, g := range gaps {
		if n := len(out); n > 0 && out[n-1].Offset+out[n-1].Length == g.Offset {
			out[n-1].Length += g.Length
		} else {
			out = append(out, g)
		}
	}
	return out
}

// inner returns the gaps that are not at the end of n bytes.
func inner(gaps []flow.Gap, n int) []flow.Gap {
	if len(gaps) == 0 {
		return nil
	}
	missing := int64(0)
	for _, g := range gaps[:len(gaps)-1] {
		missing += g.Length
	}
	if last := gaps[len(gaps)-1]; last.Offset == int64(n)+missing {
		gaps = gaps[:len(gaps)-1]
	}
	return append([]flow.Gap(nil), gaps...)
}

// holds rewrites packets and wants their streams to become what the model says, and nothing
// else to change.
func holds(t *testing.T, in []capture.Packet, edits [2][]Edit) {
	t.Helper()
	out, _ := rewritten(t, in, others{}, func(c *flow.Conversation, d flow.Direction) []Edit { return edits[up(c, d)] })
	before, _ := hear(t, in)
	after, sum := hear(t, out)
	if sum.BadChecksums > 0 {
		t.Errorf("%d checksums are wrong", sum.BadChecksums)
	}
	if diff := cmp.Diff(before.order, after.order); diff != "" {
		t.Fatalf("conversations (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before.state, after.state); diff != "" {
		t.Errorf("states (-want +got)\n%s", diff)
	}
	for _, first := range before.order {
		for d := range 2 {
			shrinks := false
			for _, e := range edits[d] {
				shrinks = shrinks || !e.Blank && int64(len(e.New)) < e.Length
			}
			was, is := &before.talks[first][d], &after.talks[first][d]
			want := modelOf(was, edits[d])
			if is.Text != string(want.text) {
				t.Errorf("direction %d:\n%s\nbecame\n%s\nwant\n%s", d, was.Text, is.Text, want.text)
			}
			gaps := joined(is.Gaps)
			if shrinks { // what told of a gap at the end may be gone
				want.gaps, gaps = inner(want.gaps, len(want.text)), inner(gaps, len(is.Text))
			}
			if diff := cmp.Diff(want.gaps, gaps); diff != "" {
				t.Errorf("direction %d: gaps (-want +got)\n%s", d, diff)
			}
			if was.Packets != is.Packets {
				t.Errorf("direction %d: %d packets became %d", d, was.Packets, is.Packets)
			}
			if !shrinks && (was.Retransmitted != is.Retransmitted || was.Reorder != is.Reorder) {
				t.Errorf("direction %d: %d sent again, %d reordered; was %d and %d", d, is.Retransmitted, is.Reorder, was.Retransmitted, was.Reorder)
			}
		}
	}
}

func FuzzStreams(f *testing.F) {
	f.Add(uint32(1000), true, []byte{0, 50, 0, 1, 90, 0, 0, 50, 0}, []byte{10, 5, 9, 30, 5, 1}, []byte{0, 9, 0})
	f.Add(uint32(0xfffffff0), true, []byte{0, 50, 0, 8, 10, 20, 6, 40, 30, 10, 30, 30, 12, 1, 0}, []byte{3, 40, 200}, []byte{3, 40, 255})
	f.Add(uint32(0xffffffc0), false, []byte{0, 50, 0, 1, 50, 0, 0, 50, 0, 14, 1, 0, 15, 1, 0}, []byte{3, 40, 2}, []byte{3, 4, 100})
	f.Fuzz(func(t *testing.T, isn uint32, syn bool, steps, client, server []byte) {
		if len(steps) > 300 || len(client) > 120 || len(server) > 120 {
			return
		}
		in := script(t, [2]uint32{isn, isn ^ 0x5555}, syn, steps)
		holds(t, in, [2][]Edit{changes(client), changes(server)})
	})
}

func TestStreams(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	bytes := func(n int) []byte {
		b := make([]byte, random.Intn(n))
		random.Read(b)
		return b
	}
	for i := range 200 {
		isn := random.Uint32()
		if i%2 == 0 {
			isn = -uint32(random.Intn(2000))
		}
		syn, steps, client, server := i%3 > 0, bytes(150), bytes(40), bytes(40)
		in := script(t, [2]uint32{isn, isn ^ 0x5555}, syn, steps)
		if holds(t, in, [2][]Edit{changes(client), changes(server)}); t.Failed() {
			t.Fatalf("isn %#x, syn %v, steps %#v, edits %#v and %#v", isn, syn, steps, client, server)
		}
	}
}
