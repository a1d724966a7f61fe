package tcp

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
	"netlab/decode/packet"
)

// witness writes down all that comes out of a connection, with all that is said
// of it.
type witness struct{ lines []string }

func (w *witness) add(d flow.Direction, format string, args ...any) {
	w.lines = append(w.lines, arrow(d)+" "+fmt.Sprintf(format, args...))
}

func (w *witness) Begin(first [2][]byte) bool {
	w.add(c2s, "begin %q", first)
	return len(first[s2c]) > len(first[c2s])
}

func (w *witness) Chunk(d flow.Direction, k flow.Chunk) { w.add(d, "chunk %+v", k) }
func (w *witness) Gap(d flow.Direction, g flow.Gap)     { w.add(d, "gap %+v", g) }
func (w *witness) End(d flow.Direction)                 { w.add(d, "end") }

func (w *witness) Anomaly(a flow.Anomaly) {
	a.Conversation = nil
	w.add(a.Direction, "anomaly %+v", a)
}

func (w *witness) Ignored(d flow.Direction, i flow.Ignored) { w.add(d, "ignored %+v", i) }

// run is the connection of an Assembler.
type run struct {
	witness
	a    *Assembler
	c    Conn
	conv flow.Conversation
}

func newRun(limits Limits) *run {
	limits.Gaps = new(flow.Room)
	r := &run{a: NewAssembler(limits)}
	r.a.Init(&r.c, &r.conv, r)
	return r
}

// slow adds a segment as Segment does, but for what is usual.
func (r *run) slow(d flow.Direction, s *packet.Segment) {
	if r.c.halfs != nil {
		r.conv.Sides[d].Packets++
		r.a.general(&r.c, d, s)
		return
	}
	r.a.Segment(&r.c, d, s)
}

// traffic makes the segments of a connection: mostly in order, and now and then
// as it must not be.
type traffic struct {
	random *rand.Rand
	isn    [2]uint32
	next   [2]int64
	now    time.Time
	packet int64
}

func (g *traffic) segment(d flow.Direction, flags packet.Flags, off, n int64) *packet.Segment {
	g.packet++
	s := &packet.Segment{
		Seq: g.isn[d] + 1 + uint32(off), Ack: g.isn[d.Reverse()] + 1 + uint32(g.next[d.Reverse()]),
		Flags: flags, Length: int(n), Time: g.now, Packet: g.packet, Window: 1000,
	}
	if g.random.Intn(20) == 0 {
		s.Window = 0
	}
	if flags.Has(packet.SYN) {
		s.Seq--
	}
	for i := range n {
		s.Payload = append(s.Payload, byte('a'+(off+i)%26))
	}
	return s
}

// some returns the next segments of a direction.
func (g *traffic) some() (d flow.Direction, list []*packet.Segment) {
	d = flow.Direction(g.random.Intn(2))
	n := 1 + g.random.Int63n(20)
	next := &g.next[d]
	data := func() *packet.Segment {
		s := g.segment(d, packet.ACK, *next, n)
		*next += n
		return s
	}
	back := func() *packet.Segment {
		return g.segment(d, packet.ACK, max(-3, *next-g.random.Int63n(40)), n)
	}
	switch op := g.random.Intn(32); op {
	default:
		list = append(list, data())
	case 0, 1, 2, 3: // an acknowledgement
		list = append(list, g.segment(d, packet.ACK, *next, 0))
	case 4: // sent again, perhaps with more
		list = append(list, back())
	case 5: // with other values
		s := back()
		s.Payload[0]++
		list = append(list, s)
	case 6: // reordered
		list = append(list, data(), data(), data())
		slices.Reverse(list)
	case 7: // not captured
		data()
	case 8: // cut off
		s := data()
		s.Payload = s.Payload[:n/2]
		list = append(list, s)
	case 9: // a keep-alive probe
		list = append(list, g.segment(d, packet.ACK, *next-1, g.random.Int63n(2)))
	case 10: // what it acknowledges was not captured yet, or never
		s := g.segment(d, packet.ACK, *next, 0)
		s.Ack += uint32(g.random.Intn(60))
		list = append(list, s)
	case 11: // an old acknowledgement
		s := data()
		s.Ack -= uint32(g.random.Intn(60))
		list = append(list, s)
	case 12: // without one
		s := data()
		s.Flags = 0
		list = append(list, s)
	case 13:
		if g.random.Intn(6) == 0 {
			list = append(list, g.segment(d, []packet.Flags{packet.FIN, packet.RST, packet.SYN}[g.random.Intn(3)]|packet.ACK, *next, n/8))
		}
	case 14: // out of its place
		s := data()
		s.Seq += g.random.Uint32() >> g.random.Intn(32)
		list = append(list, s)
	case 15:
		g.now = g.now.Add(time.Duration(g.random.Int63n(int64(2 * time.Second))))
	case 16:
		g.now = g.now.Add(-time.Millisecond)
	}
	return d, list
}

// TestUsual sends the same to two connections, one of which has nothing done in the
// short way: all must come out of both at the same segments.
func TestUsual(t *testing.T) {
	var chunks, gaps, ends, anomalies int
	for seed := range int64(600) {
		random := rand.New(rand.NewSource(seed))
		limits := []Limits{
			{HoldPackets: 3},
			{Bytes: 100, Pieces: 4, AckedPackets: 3, HoldPackets: 5, HoldBytes: 50},
			{Bytes: 10, AckedPackets: 1}, // too much waits as soon as anything does
		}[seed/3%3]
		short, long := newRun(limits), newRun(limits)
		g := &traffic{random: random, isn: [2]uint32{random.Uint32(), -uint32(random.Intn(300))}, now: time.Unix(1e9, 0)}
		said := 0
		both := func(what string, do func(*run)) {
			t.Helper()
			do(short)
			do(long)
			got, want := short.lines[min(said, len(short.lines)):], long.lines[min(said, len(long.lines)):]
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, packet %d, %s (-long +short)\n%s", seed, g.packet, what, cmp.Diff(want, got))
			}
			said = len(long.lines)
			type held struct {
				waiting, remembered, held int64
				listed                    int
				waits, done               bool
			}
			of := func(r *run) held {
				return held{r.a.Waiting(), r.a.Remembered(), r.a.Held(), r.a.limits.Gaps.Listed, r.c.Waiting(), r.c.Done()}
			}
			if a, b := of(short), of(long); a != b {
				t.Fatalf("seed %d, packet %d, %s: in short %+v, at length %+v", seed, g.packet, what, a, b)
			}
		}
		send := func(d flow.Direction, s *packet.Segment) {
			t.Helper()
			both(fmt.Sprintf("%s %+v", d, s), func(r *run) {
				if r == short {
					r.a.Segment(&r.c, d, s)
				} else {
					r.slow(d, s)
				}
			})
		}
		if seed%3 > 0 {
			syn := g.segment(c2s, packet.SYN, 0, 0)
			send(c2s, syn)
			if seed%3 > 1 {
				send(s2c, g.segment(s2c, packet.SYN|packet.ACK, 0, 0))
			}
		}
		for range 80 {
			d, list := g.some()
			for _, s := range list {
				send(d, s)
			}
			switch random.Intn(60) {
			case 0:
				both("tick", func(r *run) { r.a.Tick(&r.c, g.now) })
			case 1:
				set := random.Intn(2) == 0
				both("forgetful", func(r *run) { r.a.Forgetful(set) })
			case 2:
				full := random.Intn(2) == 0
				both("full", func(r *run) { r.a.limits.Gaps.Full = full })
			case 3:
				if g.random.Intn(4) == 0 {
					both("release", func(r *run) { r.a.Release(&r.c) })
				}
			}
		}
		both("settle", func(r *run) { r.a.Settle(&r.c) })
		send(c2s, g.segment(c2s, packet.ACK, g.next[c2s], 3))
		if diff := cmp.Diff(long.conv, short.conv, cmp.AllowUnexported(flow.Flow{}, flow.Side{})); diff != "" {
			t.Fatalf("seed %d: the conversation (-long +short)\n%s", seed, diff)
		}
		all := strings.Join(short.lines, "\n")
		chunks += strings.Count(all, " chunk ")
		gaps += strings.Count(all, " gap ")
		ends += strings.Count(all, " end")
		anomalies += strings.Count(all, " anomaly ")
	}
	if chunks < 10000 || gaps < 1000 || ends < 1300 || anomalies < 500 {
		t.Errorf("%d chunks, %d gaps, %d ends, %d anomalies: that tries too little", chunks, gaps, ends, anomalies)
	}
}
