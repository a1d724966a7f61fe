package tcp

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
	"netlab/decode/packet"
)

// recorder writes down what comes out of a connection, a line each.
type recorder struct {
	lines   []string
	streams [2][]byte
	gaps    [2][]flow.Gap
	ignored []flow.Ignored
	turn    bool
}

func (r *recorder) Begin([2][]byte) bool { return r.turn }

func (r *recorder) Chunk(d flow.Direction, k flow.Chunk) {
	r.lines = append(r.lines, fmt.Sprintf("%s %d %q", arrow(d), k.Offset, k.Data))
	r.streams[d] = append(r.streams[d], k.Data...)
}

func (r *recorder) Gap(d flow.Direction, g flow.Gap) {
	cut := ""
	if g.Cut {
		cut = " cut"
	}
	r.lines = append(r.lines, fmt.Sprintf("%s %d gap %d%s", arrow(d), g.Offset, g.Length, cut))
	r.gaps[d] = append(r.gaps[d], g)
}

func (r *recorder) End(d flow.Direction) { r.lines = append(r.lines, arrow(d)+" end") }

func (r *recorder) Anomaly(a flow.Anomaly) {
	r.lines = append(r.lines, fmt.Sprintf("%s %d %s", arrow(a.Direction), a.Offset, a.Kind))
}

func (r *recorder) Ignored(_ flow.Direction, i flow.Ignored) { r.ignored = append(r.ignored, i) }

func arrow(d flow.Direction) string { return [...]string{">", "<"}[d] }

// stage is a connection under test, with the sequence numbers of both sides.
type stage struct {
	*recorder
	a    *Assembler
	c    Conn
	conv flow.Conversation
	isn  [2]uint32
	now  time.Time
	n    int64
}

func newStage(isn [2]uint32, limits Limits) *stage {
	s := &stage{recorder: &recorder{}, a: NewAssembler(limits), isn: isn, now: time.Unix(1e9, 0)}
	s.a.Init(&s.c, &s.conv, s)
	return s
}

// segment sends data at an offset of direction d; ack is an offset of the other.
func (s *stage) segment(d flow.Direction, flags packet.Flags, off int64, data string, ack int64) *packet.Segment {
	s.n++
	g := &packet.Segment{
		Seq: s.isn[d] + 1 + uint32(off), Ack: s.isn[d.Reverse()] + 1 + uint32(ack), Flags: flags, Window: 1000,
		Payload: []byte(data), Length: len(data), Time: s.now, Packet: s.n,
	}
	if flags.Has(packet.SYN) {
		g.Seq--
	}
	return g
}

func (s *stage) send(d flow.Direction, flags packet.Flags, off int64, data string, ack int64) {
	s.a.Segment(&s.c, d, s.segment(d, flags, off, data, ack))
}

const (
	c2s = flow.ClientToServer
	s2c = flow.ServerToClient
)

func (s *stage) open() {
	s.send(c2s, packet.SYN, 0, "", 0)
	s.send(s2c, packet.SYN|packet.ACK, 0, "", 0)
	s.send(c2s, packet.ACK, 0, "", 0)
}

func TestReassembly(t *testing.T) {
	const ack = packet.ACK
	tests := map[string]struct {
		do   func(*stage)
		want string
	}{
		"in_order": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 0, "world", 5)
		}, `> 0 "hello"; < 0 "world"; > end; < end`},
		"reordered": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 5, "world", 0)
			s.send(c2s, ack, 0, "hello", 0)
		}, `> 0 "hello"; > 5 "world"; > end; < end`},
		"retransmitted_whole_and_in_parts": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, ack, 2, "llo world", 0)
		}, `> 0 "hello"; > 5 " world"; > end; < end`},
		"overlap_disagrees_with_what_was_handed_on": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, ack, 3, "LO!", 0)
		}, `> 0 "hello"; > 3 overlap_conflict; > 5 "!"; > end; < end`},
		"overlap_disagrees_with_what_waits": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 5, "world", 0)
			s.send(c2s, ack, 3, "loWORLD!", 0)
			s.send(c2s, ack, 0, "hel", 0)
		}, `> 5 overlap_conflict; > 0 "hel"; > 3 "lo"; > 5 "world"; > 10 "!"; > end; < end`},
		"conflict_after_acknowledgement_is_not_remembered": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 0, "", 5)
			s.send(c2s, ack, 0, "HELLO", 0)
		}, `> 0 "hello"; > end; < end`},
		"gap_is_given_up_at_the_end": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hel", 0)
			s.send(c2s, ack, 5, "world", 0)
		}, `> 0 "hel"; > 3 gap 2; > 5 "world"; > end; < end`},
		"gap_that_was_acknowledged_is_given_up_later": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hel", 0)
			s.send(c2s, ack, 5, "world", 0)
			s.send(s2c, ack, 0, "", 10)
			s.send(s2c, ack, 0, "!", 10)
			s.now = s.now.Add(time.Second)
			s.send(s2c, ack, 1, "?", 10)
			s.send(c2s, ack, 3, "lo", 0)
		}, `> 0 "hel"; < 0 "!"; < 1 "?"; > 3 gap 2; > 5 "world"; > 3 late_data; > end; < end`},
		"gap_before_a_fin": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hel", 0)
			s.send(c2s, ack|packet.FIN, 5, "", 0)
		}, `> 0 "hel"; > 3 gap 2; > end; < end`},
		"ends_with_fin": {func(s *stage) {
			s.open()
			s.send(c2s, ack|packet.FIN, 0, "bye", 0)
			s.send(s2c, ack|packet.FIN, 0, "", 4)
		}, `> 0 "bye"; > end; < end`},
		"data_after_fin_is_kept": {func(s *stage) {
			s.open()
			s.send(c2s, ack|packet.FIN, 0, "bye", 0)
			s.send(c2s, ack, 3, "more", 0)
		}, `> 0 "bye"; > end; > 3 data_after_fin; > 3 "more"; < end`},
		"keep_alive_empty_and_of_one_byte": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 0, "", 5)
			s.send(c2s, ack, 4, "", 0)
			s.send(c2s, ack, 4, "\x00", 0)
			s.send(c2s, ack, 5, "!", 0)
		}, `> 0 "hello"; > 5 "!"; > end; < end`},
		"payload_on_syn": {func(s *stage) {
			s.send(c2s, packet.SYN, 0, "early", 0)
			s.send(s2c, packet.SYN|ack, 0, "", 5)
			s.send(c2s, ack, 5, " bird", 0)
		}, `> 0 "early"; > 5 " bird"; > end; < end`},
		"payload_on_syn_not_accepted_and_sent_again": {func(s *stage) {
			s.send(c2s, packet.SYN, 0, "early", 0)
			s.send(s2c, packet.SYN|ack, 0, "", 0)
			s.send(c2s, ack, 0, "early bird", 0)
		}, `> 0 "early"; > 5 " bird"; > end; < end`},
		"payload_on_rst_is_left_out": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, packet.RST, 5, "go away", 0)
		}, `> 0 "hello"; > end; < end`},
		"midstream": {func(s *stage) {
			s.send(c2s, ack, 700, "hello", 900)
			s.send(s2c, ack, 900, "world", 705)
			s.send(c2s, ack, 705, "!", 905)
		}, `> 0 "hello"; > 5 "!"; < 0 "world"; > end; < end`},
		"midstream_reordered_beginning": {func(s *stage) {
			s.send(c2s, ack, 705, "world", 0)
			s.send(c2s, ack, 700, "hello", 0)
			s.send(c2s, ack, 710, "!", 0)
		}, `> 0 "hello"; > 5 "world"; > 10 "!"; > end; < end`},
		"midstream_keep_alive_first": {func(s *stage) {
			s.send(c2s, ack, 699, "", 0)
			s.send(s2c, ack, 0, "", 700)
			s.send(c2s, ack, 700, "hello", 0)
		}, `> 0 "hello"; > end; < end`},
		"only_the_syn_is_missing": {func(s *stage) {
			s.send(s2c, packet.SYN|ack, 0, "", 0)
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 0, "", 5)
			s.send(s2c, ack, 0, "world", 5)
		}, `> 0 "hello"; < 0 "world"; > end; < end`},
		"midstream_keep_alive_then_fin": {func(s *stage) {
			s.send(c2s, ack, 699, "", 900)
			s.send(s2c, ack, 900, "", 700)
			s.send(c2s, ack|packet.FIN, 700, "", 900)
		}, `> end; < end`},
		"midstream_is_released_after_a_moment": {func(s *stage) {
			s.send(c2s, ack, 700, "hello", 0)
			s.now = s.now.Add(time.Second)
			s.a.Tick(&s.c, s.now)
			s.send(c2s, ack, 690, "too late", 0)
		}, `> 0 "hello"; > end; < end`},
		"syn_after_the_data": {func(s *stage) {
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, packet.SYN, 0, "", 0)
			s.send(c2s, ack, 5, "!", 0)
		}, `> 0 "hello"; > 5 "!"; > end; < end`},
		"forged_end_before_the_answer": {func(s *stage) {
			s.send(c2s, packet.SYN, 0, "", 0)
			s.send(s2c, packet.RST|ack, 77, "", 0)
			s.send(s2c, packet.FIN|ack, 77, "", 0)
			s.send(s2c, packet.SYN|ack, 0, "", 0)
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 0, "world", 5)
		}, `> 0 "hello"; < 0 "world"; > end; < end`},
		"ack_of_what_was_not_seen": {func(s *stage) {
			s.open()
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 5, "world", 5)
			s.send(c2s, ack, 5, "!", 10)
		}, `> 0 "hello"; > 5 "!"; < 0 gap 5; < 5 "world"; > end; < end`},
	}
	for name, test := range tests {
		for _, isn := range [][2]uint32{{1000, 5000}, {0xfffffffe, 0xfffffff0}, {0xffffffff, 0x7fffffff}} {
			t.Run(fmt.Sprintf("%s/isn_%x", name, isn[0]), func(t *testing.T) {
				s := newStage(isn, Limits{})
				test.do(s)
				s.a.Settle(&s.c)
				if got := strings.Join(s.lines, "; "); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
				if s.a.waiting != 0 || s.a.recent != 0 {
					t.Errorf("%d bytes are still counted as waiting, %d as recent", s.a.waiting, s.a.recent)
				}
			})
		}
	}
}

// cut sends a segment of the client of which data is what was captured.
func (s *stage) cut(off int64, data string, length int) {
	g := s.segment(c2s, packet.ACK, off, data, 0)
	g.Length = length
	s.a.Segment(&s.c, c2s, g)
}

func TestCutSegmentsAreGaps(t *testing.T) {
	s := newStage([2]uint32{1, 1}, Limits{})
	s.open()
	s.cut(0, "head", 10)
	s.cut(10, "", 10)
	s.cut(30, "late", 10) // 20 to 30 is lost
	s.cut(40, "", 5)
	s.a.Settle(&s.c)
	want := `> 0 "head"; > 4 gap 6 cut; > 10 gap 10 cut; > 20 gap 10; > 30 "late"; > 34 gap 6 cut; > 40 gap 5 cut; > end; < end`
	if got := strings.Join(s.lines, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCutOver cuts segments off where bytes of other segments wait already.
func TestCutOver(t *testing.T) {
	s := newStage([2]uint32{1, 1}, Limits{})
	s.open()
	s.cut(10, "0123456789", 10)
	s.cut(10, "012", 15) // has five more than what waits
	s.cut(14, "", 3)     // inside of it
	s.cut(30, "", 5)
	s.cut(30, "", 9)
	s.cut(32, "xy", 2) // inside of what was cut off
	s.a.Settle(&s.c)
	want := `> 0 gap 10; > 10 "0123456789"; > 20 gap 5 cut; > 25 gap 5; > 30 gap 2 cut; > 32 "xy"; > 34 gap 5 cut; > end; < end`
	if got := strings.Join(s.lines, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHeldUntilSettled(t *testing.T) {
	s := newStage([2]uint32{1, 1}, Limits{})
	s.open()
	if s.a.Held() != connCost {
		t.Errorf("a connection holds %d bytes", s.a.Held())
	}
	for range 2 {
		s.a.Settle(&s.c)
		if s.a.Held() != 0 {
			t.Errorf("a settled one holds %d bytes", s.a.Held())
		}
	}
}

func TestRestarts(t *testing.T) {
	const ack = packet.ACK
	type seg struct {
		d     flow.Direction
		flags packet.Flags
		seq   uint32
		ack   uint32
		data  string
	}
	open := []seg{{c2s, packet.SYN, 100, 0, ""}, {s2c, packet.SYN | ack, 900, 101, ""}, {c2s, ack, 101, 901, ""}}
	tests := map[string]struct {
		before []seg
		last   seg
		want   bool
	}{
		"syn_sent_again":                  {open[:1], open[0], false},
		"answer_sent_again":               {open, open[1], false},
		"syn_with_another_isn":            {open, seg{c2s, packet.SYN, 7000, 0, ""}, true},
		"syn_with_another_isn_unanswered": {open[:1], seg{c2s, packet.SYN, 7000, 0, ""}, true},
		"answer_with_another_isn":         {open[:2], seg{s2c, packet.SYN | ack, 555, 101, ""}, false},
		"server_opens_later":              {open, seg{s2c, packet.SYN, 7000, 0, ""}, true},
		"both_open_at_once":               {open[:1], seg{s2c, packet.SYN, 900, 0, ""}, false},
		"answer_seen_before_the_syn":      {open[1:2], open[0], false},
		"answer_to_another_syn":           {open[:1], seg{s2c, packet.SYN | ack, 900, 4000101, ""}, true},
		"data_seen_before_the_syn":        {[]seg{{c2s, ack, 101, 901, "x"}}, open[0], false},
		"syn_after_an_old_connection":     {[]seg{{c2s, ack, 5_000_000, 901, "x"}}, open[0], true},
		"syn_after_only_the_other_side":   {[]seg{{s2c, ack, 900, 9_000_000, "x"}}, open[0], true},
		"no_syn":                          {open, seg{c2s, ack, 7000, 0, "x"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage([2]uint32{}, Limits{})
			make := func(g seg) *packet.Segment {
				return &packet.Segment{Seq: g.seq, Ack: g.ack, Flags: g.flags, Payload: []byte(g.data), Length: len(g.data), Time: s.now}
			}
			for _, g := range test.before {
				s.a.Segment(&s.c, g.d, make(g))
			}
			if got := s.c.Restarts(test.last.d, make(test.last)); got != test.want {
				t.Errorf("Restarts = %v, want %v", got, test.want)
			}
		})
	}
}

// TestFullWindow has the client stop the server for two seconds, and then again.
func TestFullWindow(t *testing.T) {
	s := newStage([2]uint32{100, 200}, Limits{})
	s.open()
	announce := func(window uint16) {
		g := s.segment(c2s, packet.ACK, 0, "", 0)
		g.Window = window
		s.a.Segment(&s.c, c2s, g)
	}
	announce(0)
	s.now = s.now.Add(time.Second)
	announce(0)
	s.send(s2c, packet.ACK, 0, "a", 0)
	s.now = s.now.Add(time.Second)
	announce(500)
	open := s.now
	announce(0)
	want := &flow.Extra{ZeroWindows: 2, Delays: []flow.Delay{{At: flow.At(open), Span: 2 * time.Second, Kind: flow.Full}}}
	if diff := cmp.Diff(want, s.conv.Sides[c2s].Extra()); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	if _, full := s.conv.Delays(open.Add(-time.Second), open); full != time.Second {
		t.Errorf("full for %v of the last second", full)
	}
}

func TestCounts(t *testing.T) {
	s := newStage([2]uint32{100, 200}, Limits{})
	s.open()
	s.send(c2s, packet.ACK, 0, "0123456789", 0)
	first := flow.At(s.now)
	s.send(c2s, packet.ACK, 0, "01234", 0) // again
	s.send(c2s, packet.ACK, 11, "1234", 0) // early
	s.send(c2s, packet.ACK, 10, "0", 0)    // reordered
	s.send(c2s, packet.ACK, 16, "6789", 0) // early
	s.now = s.now.Add(10 * time.Millisecond)
	s.send(c2s, packet.ACK, 15, "5", 0)          // late, so it was lost
	s.send(c2s, packet.ACK, 3, "3456xx9012", 0)  // again, with two other values
	s.send(s2c, packet.ACK|packet.FIN, 0, "", 0) // 5 bytes missing before it
	s.send(c2s, packet.ACK|packet.RST, 20, "", 0)
	s.a.Settle(&s.c)
	want := flow.Side{Packets: 10, Bytes: 20, Syn: true, Rst: true, Start: 101}
	last := flow.Delay{At: flow.At(s.now), Kind: flow.Resent}
	*want.More() = flow.Extra{Retransmitted: 2, OutOfOrder: 2, Conflicts: 2, Delays: []flow.Delay{{At: first, Kind: flow.Resent}, last, last}}
	if diff := cmp.Diff(want, s.conv.Sides[c2s], cmp.AllowUnexported(flow.Side{})); diff != "" {
		t.Error("client (-want +got)\n" + diff)
	}
	want = flow.Side{Packets: 2, Syn: true, Fin: true, Start: 201}
	if diff := cmp.Diff(want, s.conv.Sides[s2c], cmp.AllowUnexported(flow.Side{})); diff != "" {
		t.Error("server (-want +got)\n" + diff)
	}
	if s.conv.State != flow.Reset || s.conv.CloseBy != s2c {
		t.Errorf("state %v, closed by %v", s.conv.State, s.conv.CloseBy)
	}
}

func TestLimits(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		s := newStage([2]uint32{}, Limits{Bytes: 100})
		s.open()
		for i := range int64(200) {
			s.send(c2s, packet.ACK, 10+i*2, "x", 0) // never the byte before
			if s.c.halfs[c2s].pendingBytes > 100 {
				t.Fatalf("%d bytes wait", s.c.halfs[c2s].pendingBytes)
			}
		}
	})
	t.Run("pieces", func(t *testing.T) {
		s := newStage([2]uint32{}, Limits{Pieces: 50})
		s.open()
		for i := range int64(200) {
			s.send(c2s, packet.ACK, 10+i*2, "x", 0)
			if n := len(s.c.halfs[c2s].pending); n > 50 {
				t.Fatalf("%d pieces wait", n)
			}
		}
		if !strings.Contains(strings.Join(s.lines, ";"), flow.PendingLimit) {
			t.Error("the limit was hit without an anomaly")
		}
	})
	t.Run("hold", func(t *testing.T) {
		s := newStage([2]uint32{}, Limits{})
		for i := range int64(16) {
			s.send(c2s, packet.ACK, i, "x", 0)
		}
		if len(s.lines) == 0 {
			t.Error("a direction without a SYN still waits after 16 packets")
		}
	})
	t.Run("recent", func(t *testing.T) {
		s := newStage([2]uint32{}, Limits{})
		s.open()
		for i := range int64(100) {
			s.send(c2s, packet.ACK, i*100, strings.Repeat("x", 100), 0)
			if s.a.Forgetful(s.a.Remembered() >= 1000); s.a.Remembered() > 2*1000 {
				t.Fatalf("%d bytes are remembered", s.a.Remembered())
			}
		}
	})
}

// TestLongStream crosses the wrap of the sequence number several times.
func TestLongStream(t *testing.T) {
	s := newStage([2]uint32{0xfff00000, 1}, Limits{})
	s.open()
	s.c.out = &silent{}
	const count = 9 << 10 // 9 GiB
	data := s.segment(c2s, packet.ACK, 0, strings.Repeat("x", 1<<20), 0)
	for range count {
		s.a.Segment(&s.c, c2s, data)
		data.Seq += 1 << 20
	}
	if got := s.conv.Sides[c2s].Bytes; got != count<<20 {
		t.Errorf("%d bytes, want %d", got, int64(count)<<20)
	}
}

// FuzzHalf sends slices of a known stream in any order, twice, overlapping, with
// other values, cut off, and compares with a model: an array of what arrived first.
func FuzzHalf(f *testing.F) {
	f.Add(uint32(1000), true, []byte{0, 5, 5, 5})
	f.Add(uint32(0xfffffff0), true, []byte{5, 200, 0, 5, 3, 9})
	f.Add(uint32(0xffffffff), false, []byte{9, 4, 2, 7, 0x80, 3})
	f.Add(uint32(0), false, []byte{1, 1, 0, 1})
	f.Add(uint32(7), false, []byte{0, 63, 5, 0x40 | 20, 90, 0x40 | 30, 100, 9})
	f.Fuzz(func(t *testing.T, isn uint32, syn bool, script []byte) {
		const size = 300
		var model [size]int // value+1 of what arrived first, 0 for nothing
		s := newStage([2]uint32{isn, 5}, Limits{HoldPackets: 1 << 20, HoldBytes: 1 << 20, HoldTime: time.Hour})
		var sent []sentData
		lowest, end := size, 0
		if syn {
			s.send(c2s, packet.SYN, 0, "", 0)
			lowest = 0
		}
		for i := 0; i+1 < len(script); i += 2 {
			off, n := int(script[i]), int(script[i+1])%64+1
			n = min(n, size-off)
			data := make([]byte, 0, n)
			for p := off; p < off+n; p++ {
				data = append(data, byte(p*7)^script[i+1]>>7) // the top bit makes another value
			}
			// The next bit cuts half of it off; not where nothing waits for the rest.
			if !syn && script[i+1]&0x40 != 0 {
				data = data[:n/2]
			}
			s.cut(int64(off), string(data), n)
			sent = append(sent, sentData{s.n, off, data})
			if len(data) == 1 && syn && s.conv.Sides[c2s].Bytes > 0 && s.c.halfs[c2s].next == int64(off+1) && model[off] != 0 {
				continue // a keep-alive probe
			}
			lowest, end = min(lowest, off), max(end, off+n)
			for p, v := range data {
				if model[off+p] == 0 {
					model[off+p] = int(v) + 1
				}
			}
		}
		s.a.Settle(&s.c)
		var want []byte
		var gaps []flow.Gap
		for p := lowest; p < end; p++ {
			if model[p] != 0 {
				want = append(want, byte(model[p]-1))
				continue
			}
			if n := len(gaps); n > 0 && gaps[n-1].Offset+gaps[n-1].Length == int64(p-lowest) {
				gaps[n-1].Length++
			} else {
				gaps = append(gaps, flow.Gap{Offset: int64(p - lowest), Length: 1})
			}
		}
		if !bytes.Equal(s.streams[c2s], want) {
			t.Errorf("got  %x\nwant %x", s.streams[c2s], want)
		}
		var got []flow.Gap // joined: what was lost and what was cut off
		for _, g := range s.gaps[c2s] {
			if n := len(got); n > 0 && got[n-1].Offset+got[n-1].Length == g.Offset {
				got[n-1].Length += g.Length
			} else {
				got = append(got, flow.Gap{Offset: g.Offset, Length: g.Length})
			}
		}
		if diff := cmp.Diff(gaps, got); diff != "" {
			t.Error(diff)
		}
		if s.conv.Sides[c2s].Bytes != int64(len(want)) {
			t.Errorf("%d bytes are counted, %d came out", s.conv.Sides[c2s].Bytes, len(want))
		}
		// What is not ignored says what the stream says.
		for _, p := range sent {
			for i, v := range p.data {
				if model[p.off+i] != int(v)+1 && !s.ignores(p.packet, len(p.data)-i) {
					t.Errorf("packet %d has %#x at %d, which the stream has not, and it is not ignored", p.packet, v, p.off+i)
				}
			}
		}
	})
}

type sentData struct {
	packet int64
	off    int
	data   []byte
}

// ignores reports whether the byte at a distance from the end of a payload was ignored.
func (r *recorder) ignores(packet int64, fromEnd int) bool {
	return slices.ContainsFunc(r.ignored, func(i flow.Ignored) bool {
		return i.Packet == packet && fromEnd <= i.From && fromEnd > i.From-i.Length
	})
}

func TestIgnored(t *testing.T) {
	const ack = packet.ACK
	all := func(packet int64, n int) flow.Ignored { return flow.Ignored{Packet: packet, From: n, Length: n} }
	tests := map[string]struct {
		do   func(*stage)
		want []flow.Ignored
	}{
		"sent_again": {func(s *stage) {
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, ack, 2, "llo world", 0)
			s.send(c2s, ack, 20, "later", 0)
			s.send(c2s, ack, 20, "later", 0)
		}, nil},
		"disagrees_with_what_was_handed_on": {func(s *stage) {
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, ack, 1, "ExLo!", 0)
		}, []flow.Ignored{{Packet: 5, From: 5, Length: 3}}},
		"disagrees_with_what_waits": {func(s *stage) {
			s.send(c2s, ack, 5, "world", 0)
			s.send(c2s, ack, 3, "loWORLD!", 0)
		}, []flow.Ignored{{Packet: 5, From: 6, Length: 5}}},
		"forgotten": {func(s *stage) {
			s.send(c2s, ack, 0, "hello", 0)
			s.send(s2c, ack, 0, "", 5)
			s.send(c2s, ack, 3, "lo world", 0)
		}, []flow.Ignored{{Packet: 6, From: 8, Length: 2}}},
		"late": {func(s *stage) {
			s.send(c2s, ack, 5, "world", 0)
			s.a.Release(&s.c)
			s.send(c2s, ack, 3, "lo", 0)
		}, []flow.Ignored{all(5, 2)}},
		"keep_alive": {func(s *stage) {
			s.send(c2s, ack, 0, "hello", 0)
			s.send(c2s, ack, 4, "x", 0)
		}, []flow.Ignored{all(5, 1)}},
		"reset":     {func(s *stage) { s.send(c2s, packet.RST, 0, "why", 0) }, []flow.Ignored{all(4, 3)}},
		"straggler": {func(s *stage) { s.a.Settle(&s.c); s.send(c2s, ack, 0, "late", 0) }, []flow.Ignored{all(4, 4)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStage([2]uint32{0xfffffffe, 5000}, Limits{})
			s.open()
			s.send(s2c, ack, 0, "", 0) // from here on what was not acknowledged is remembered
			s.n = 3
			test.do(s)
			s.a.Settle(&s.c)
			if diff := cmp.Diff(test.want, s.ignored); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestIgnoredBeforeTheSyn has data stand before the byte that a SYN seen later begins.
func TestIgnoredBeforeTheSyn(t *testing.T) {
	s := newStage([2]uint32{1000, 5000}, Limits{})
	s.send(c2s, packet.ACK, -2, "??hello", 0)
	s.send(c2s, packet.ACK, 7, "!", 0)
	s.send(c2s, packet.SYN, 0, "", 0)
	s.a.Settle(&s.c)
	want := []flow.Ignored{{Packet: 1, From: flow.WholePayload, Length: flow.WholePayload}}
	if diff := cmp.Diff(want, s.ignored); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestInOrderAllocatesNothing(t *testing.T) {
	s := newStage([2]uint32{}, Limits{})
	s.open()
	var quiet silent
	s.c.out = &quiet
	data := s.segment(c2s, packet.ACK, 0, strings.Repeat("x", 1000), 0)
	answer := s.segment(s2c, packet.ACK, 0, "", 0)
	allocs := testing.AllocsPerRun(1000, func() {
		s.a.Segment(&s.c, c2s, data)
		data.Seq += 1000
		answer.Ack += 1000
		s.a.Segment(&s.c, s2c, answer)
	})
	if allocs != 0 {
		t.Errorf("%v allocations a segment", allocs)
	}
}

type silent struct{ bytes int64 }

func (*silent) Begin([2][]byte) bool                   { return false }
func (q *silent) Chunk(_ flow.Direction, k flow.Chunk) { q.bytes += int64(len(k.Data)) }
func (*silent) Gap(flow.Direction, flow.Gap)           {}
func (*silent) End(flow.Direction)                     {}
func (*silent) Anomaly(flow.Anomaly)                   {}
func (*silent) Ignored(flow.Direction, flow.Ignored)   {}

// BenchmarkSegment adds segments with data, and acknowledgements.
func BenchmarkSegment(b *testing.B) {
	benchmarks := map[string]struct {
		size int64
		lag  int64 // how far the acknowledgements are behind, in segments
		late bool  // every second segment comes before the one ahead of it
	}{
		"in_order":       {size: 1460},
		"small":          {size: 32},
		"acked_late":     {size: 1460, lag: 16},
		"acked_too_late": {size: 1460, lag: 64},
		"reordered":      {size: 1460, late: true},
	}
	for _, name := range slices.Sorted(maps.Keys(benchmarks)) {
		b.Run(name, func(b *testing.B) {
			bm := benchmarks[name]
			s := newStage([2]uint32{}, Limits{})
			s.open()
			s.c.out = &silent{}
			data := s.segment(c2s, packet.ACK, 0, strings.Repeat("x", int(bm.size)), 0)
			answer := s.segment(s2c, packet.ACK, 0, "", -bm.lag*bm.size)
			first := data.Seq
			b.SetBytes(bm.size)
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				at := i
				if bm.late {
					at ^= 1
				}
				data.Seq = first + at*uint32(bm.size)
				s.a.Segment(&s.c, c2s, data)
				i++
				answer.Ack += uint32(bm.size)
				s.a.Segment(&s.c, s2c, answer)
			}
		})
	}
}
