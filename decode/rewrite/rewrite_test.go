package rewrite

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

// same keeps all names and addresses.
type same struct{}

func (same) Addr(a netip.Addr) netip.Addr { return a }
func (same) MAC(m [6]byte) [6]byte        { return m }
func (same) Name(n string) string         { return n }

// others changes all of them.
type others struct{}

func (others) Addr(a netip.Addr) netip.Addr {
	b := a.AsSlice()
	for i := range b {
		b[i] ^= 0x10
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}

func (others) MAC(m [6]byte) [6]byte {
	m[5] ^= 0xff
	return m
}

func (others) Name(n string) string {
	b := []byte(n)
	for i := range b {
		if b[i] != '.' {
			b[i] = 'z'
		}
	}
	return string(b)
}

// finder vouches for all streams, but for what edits says.
type finder struct {
	*Edits
	edits func(c *flow.Conversation, d flow.Direction) []Edit
}

func (f finder) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	f.Looked(c, d, k.Offset+int64(len(k.Data)))
	return nil
}

func (f finder) Finish(c *flow.Conversation) error {
	for d := range flow.Direction(2) {
		if f.edits == nil {
			break
		}
		for _, e := range f.edits(c, d) {
			f.Edit(c, d, e)
		}
	}
	return f.Edits.Finish(c)
}

// list is a Source of packets, and a Sink.
type list struct {
	packets []capture.Packet
	next    int
}

func (l *list) Next() (*capture.Packet, error) {
	if l.next == len(l.packets) {
		return nil, io.EOF
	}
	p := l.packets[l.next]
	l.next++
	p.Data = bytes.Clone(p.Data)
	return &p, nil
}

func (l *list) WritePacket(p *capture.Packet) error {
	q := *p
	q.Data = bytes.Clone(p.Data)
	l.packets = append(l.packets, q)
	return nil
}

// rewritten returns what packets become.
func rewritten(t testing.TB, packets []capture.Packet, n Names, edits func(*flow.Conversation, flow.Direction) []Edit) ([]capture.Packet, *Summary) {
	t.Helper()
	x := NewEdits(0, &scratch{})
	if _, err := decode.Run(&list{packets: packets}, finder{x, edits}, decode.Options{}); err != nil {
		t.Fatal(err)
	}
	var out list
	w := New(&out, x, n, Options{})
	if _, err := capture.Copy(w, &list{packets: packets}); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	audit(t, sum, packets, out.packets)
	return out.packets, sum
}

// audit wants every packet and byte to be counted once.
func audit(t testing.TB, s *Summary, in, out []capture.Packet) {
	t.Helper()
	var dropped, blanked, bytes int64
	for _, n := range s.Dropped {
		dropped += n
	}
	for _, n := range s.Blanks {
		blanked += n
	}
	for _, p := range in {
		bytes += int64(len(p.Data))
	}
	if s.Packets != int64(len(in)) || s.Written != int64(len(out)) || s.Packets+s.Split != s.Written+dropped {
		t.Errorf("%d packets in, %d out: %+v", len(in), len(out), s)
	}
	if s.Bytes != bytes || s.Headers+s.Kept+s.Replaced+s.Blanked != bytes || blanked != s.Blanked {
		t.Errorf("%d bytes: %d of headers, %d kept, %d replaced, %d blanked, of which %d with a reason", bytes, s.Headers, s.Kept, s.Replaced, s.Blanked, blanked)
	}
}

// file returns the packets of a capture.
func file(t testing.TB, r io.Reader) []capture.Packet {
	t.Helper()
	src, err := pcaps.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var l list
	if _, err := capture.Copy(&l, src); err != nil && !errors.Is(err, capture.ErrDamaged) {
		t.Fatal(err)
	}
	return l.packets
}

// sampled returns the packets of a sample.
func sampled(t testing.TB, name string) []capture.Packet {
	t.Helper()
	f, err := samples.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, f)
}

// heard is what there is to hear of a direction.
type heard struct {
	Text                            string
	Gaps                            []flow.Gap
	Packets, Retransmitted, Reorder int64
}

// listener is a Sink that gathers what is in streams.
type listener struct {
	talks map[int64]*[2]heard
	order []int64
	state []flow.State
}

func (l *listener) Exchange(*proto.Exchange) error { return nil }

func (l *listener) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	l.of(c)[up(c, d)].Text += string(k.Data)
	return nil
}

func (l *listener) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	h := &l.of(c)[up(c, d)]
	h.Gaps = append(h.Gaps, flow.Gap{Offset: g.Offset, Length: g.Length})
	return nil
}

func (l *listener) of(c *flow.Conversation) *[2]heard {
	if l.talks[c.First] == nil {
		l.talks[c.First] = new([2]heard)
	}
	return l.talks[c.First]
}

func (l *listener) Finish(c *flow.Conversation) error {
	h := l.of(c)
	for d := range h {
		s, h := &c.Sides[d], &h[up(c, flow.Direction(d))]
		h.Packets, h.Retransmitted, h.Reorder = s.Packets, s.Extra().Retransmitted, s.Extra().OutOfOrder
	}
	l.order = append(l.order, c.First)
	l.state = append(l.state, c.State)
	return nil
}

// up returns 0 for the direction to the lower port: who is the client may be guessed from
// what is said, and that changes.
func up(c *flow.Conversation, d flow.Direction) int {
	switch f := c.Flow(d); {
	case f.SrcPort() < f.DstPort():
		return 1
	case f.SrcPort() > f.DstPort():
		return 0
	}
	return int(d)
}

// hear decodes packets.
func hear(t testing.TB, packets []capture.Packet) (*listener, *decode.Summary) {
	t.Helper()
	l := &listener{talks: make(map[int64]*[2]heard)}
	sum, err := decode.Run(&list{packets: packets}, l, decode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l, sum
}

// TestSamplesStay has packets of which nothing is replaced stay as they are, but for what
// nobody has vouched for.
func TestSamplesStay(t *testing.T) {
	for _, s := range samples.List() {
		t.Run(s.Name, func(t *testing.T) {
			in := sampled(t, s.Name)
			out, sum := rewritten(t, in, same{}, nil)
			if sum.Replaced > 0 {
				t.Errorf("%d bytes were replaced", sum.Replaced)
			}
			if len(out) != len(in) {
				t.Fatalf("%d packets became %d", len(in), len(out))
			}
			var d packet.Decoder
			for i := range in {
				d.Decode(&in[i])
				if sum.Blanked == 0 && !in[i].Cut() && !d.Segment.BadChecksum() {
					if diff := cmp.Diff(in[i], out[i]); diff != "" {
						t.Errorf("packet %d (-want +got)\n%s", i+1, diff)
					}
				}
			}
			want, _ := hear(t, in)
			got, _ := hear(t, out)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(listener{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestZerosStay has padding that says nothing be no reason to call a packet blanked.
func TestZerosStay(t *testing.T) {
	w := template{t: t}
	data := unhex(t, w.frame("0800", w.tcp4("")+"000000000000"))
	out, sum := rewritten(t, []capture.Packet{{Number: 1, Link: capture.LinkEthernet, Data: data, Length: len(data)}}, same{}, nil)
	if sum.Blanked != 0 || !bytes.Equal(out[0].Data, data) {
		t.Errorf("%d bytes blanked: %x", sum.Blanked, out[0].Data)
	}
}
