package flow

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTurn(t *testing.T) {
	at := At(time.Unix(1e9, 0))
	parent := &Conversation{ID: 3}
	begin := Conversation{
		ID: 7, Tuple: parse(TCP, "10.0.0.2:80", "10.0.0.1:1000"), First: 9, Guessed: true,
		Start: at, End: at + 1e9, State: Closed, Protocol: "http", For: &Errand{parent, "data"},
		Sides: [2]Side{
			{Packets: 3, Bytes: 5, Syn: true},
			{Packets: 4, Bytes: 6, Fin: true, extra: &Extra{Gaps: []Gap{{Offset: 1, Length: 2}}}},
		},
		CloseBy: ServerToClient, Ended: true, EndedAt: at + 60e9,
	}
	want := begin
	want.Tuple = parse(TCP, "10.0.0.1:1000", "10.0.0.2:80")
	want.Sides = [2]Side{begin.Sides[1], begin.Sides[0]}
	want.CloseBy = ClientToServer

	c := begin
	c.Turn()
	inside := cmp.AllowUnexported(Flow{}, Side{})
	if diff := cmp.Diff(want, c, inside); diff != "" {
		t.Error("turned (-want +got)\n" + diff)
	}
	c.Turn()
	if diff := cmp.Diff(begin, c, inside); diff != "" {
		t.Error("turned twice (-want +got)\n" + diff)
	}
}

func TestConversationFlow(t *testing.T) {
	for _, ends := range [][2]string{{"10.0.0.1:1000", "10.0.0.2:53"}, {"[fd00::1]:1000", "[fd00::2]:53"}} {
		c := Conversation{Tuple: parse(UDP, ends[0], ends[1])}
		if c.Transport() != UDP || c.Client() != addrPort(ends[0]) || c.Server() != addrPort(ends[1]) {
			t.Errorf("%v from %v to %v", c.Transport(), c.Client(), c.Server())
		}
		if f := c.Flow(ClientToServer); f != parse(UDP, ends[0], ends[1]) {
			t.Errorf("the client's flow is %v", f)
		}
		if f := c.Flow(ServerToClient); f != parse(UDP, ends[1], ends[0]) {
			t.Errorf("the server's flow is %v", f)
		}
	}
}

func TestInstant(t *testing.T) {
	const last = math.MaxInt64 / 1_000_000_000 // the second in which there is no room for all nanoseconds
	tests := map[string]struct {
		time time.Time
		want Instant
	}{
		"epoch":                    {time.Unix(0, 0), 0},
		"nanosecond":               {time.Unix(0, 1), 1},
		"before_the_epoch":         {time.Unix(0, -1), -1},
		"a_second_before":          {time.Unix(-1, 0), -1e9},
		"capture":                  {time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), 1767323045_000000006},
		"in_another_zone":          {time.Date(2026, 1, 2, 4, 4, 5, 6, time.FixedZone("", 3600)), 1767323045_000000006},
		"last_second":              {time.Unix(last-1, 999999999), last*1e9 - 1},
		"behind_the_last":          {time.Unix(last, 0), math.MaxInt64},
		"first_second":             {time.Unix(-last+1, 0), -last*1e9 + 1e9},
		"before_the_first":         {time.Unix(-last, 0), math.MinInt64},
		"year_9999":                {time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		"zero":                     {time.Time{}, math.MinInt64},
		"largest_of_a_pcapng_file": {time.Unix(math.MaxInt64-1<<40, 0), math.MaxInt64},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			at := At(tt.time)
			if at != tt.want {
				t.Fatalf("%d, want %d", at, tt.want)
			}
			back := at.Time()
			if back.Location() != time.UTC {
				t.Errorf("the time is of %v", back.Location())
			}
			if inside := at > math.MinInt64 && at < math.MaxInt64; inside && !back.Equal(tt.time) {
				t.Errorf("%v comes back as %v", tt.time, back)
			}
			if again := At(back); again != at {
				t.Errorf("%d comes back as %d", at, again)
			}
		})
	}
}

// TestInstantOrder wants instants in the order of their times, with those between
// them that the times have, as far as there are such.
func TestInstantOrder(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 10000 {
		bits := random.Intn(40)
		a := time.Unix((random.Int63()-1<<62)>>bits, random.Int63n(1e9))
		b := a.Add(time.Duration(random.Int63() >> random.Intn(62)))
		i, j := At(a), At(b)
		if i > j {
			t.Fatalf("%v is before %v; %d, %d", a, b, i, j)
		}
		inside := i > math.MinInt64 && j < math.MaxInt64
		if inside && (j.Sub(i) != b.Sub(a) || i.Sub(j) != a.Sub(b)) {
			t.Fatalf("from %v to %v it is %v", a, b, j.Sub(i))
		}
	}
	if d := Instant(math.MaxInt64).Sub(math.MinInt64); d != math.MaxInt64 {
		t.Errorf("between the first and the last is %v", d)
	}
}

// TestExtra wants a side with nothing odd to say so and to stay small, and two
// sides to have nothing in common.
func TestExtra(t *testing.T) {
	var a, b Side
	if diff := cmp.Diff(Extra{}, *a.Extra()); diff != "" {
		t.Error("of a new side (-want +got)\n" + diff)
	}
	if a.extra != nil {
		t.Error("reading takes memory")
	}
	a.More().Retransmitted++
	a.More().Conflicts += 2
	if diff := cmp.Diff(Extra{Retransmitted: 1, Conflicts: 2}, *a.Extra()); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	if diff := cmp.Diff(Extra{}, *b.Extra()); diff != "" {
		t.Error("of another side (-want +got)\n" + diff)
	}
}

func TestSideEnd(t *testing.T) {
	s := Side{Bytes: 5}
	if s.End() != 5 {
		t.Errorf("it ends at %d", s.End())
	}
	s.AddGap(Gap{Offset: 5, Length: 3}, nil)
	if s.Bytes += 2; s.End() != 10 {
		t.Errorf("with a gap it ends at %d", s.End())
	}
}

// TestAddGap wants all gaps counted, and no more of them kept than MaxGaps.
func TestAddGap(t *testing.T) {
	var s Side
	for i := range int64(MaxGaps + 10) {
		s.AddGap(Gap{Offset: 10 * i, Length: 3}, nil)
		if n, x := min(i+1, MaxGaps), s.Extra(); int64(len(x.Gaps)) != n || x.GapCount != i+1 || x.GapBytes != 3*(i+1) {
			t.Fatalf("%d gaps: %d kept, %d counted with %d bytes", i+1, len(x.Gaps), x.GapCount, x.GapBytes)
		}
	}
	if last := s.Extra().Gaps[MaxGaps-1].Offset; last != 10*(MaxGaps-1) {
		t.Errorf("the last gap kept is at %d", last)
	}
}

// TestMissing compares with a look at every byte.
func TestMissing(t *testing.T) {
	const size = 40
	random := rand.New(rand.NewSource(1))
	for range 100 {
		var s Side
		var lost [size]bool
		for off := random.Int63n(8); ; {
			g := Gap{Offset: off, Length: 1 + random.Int63n(6)}
			off += g.Length + random.Int63n(6) // gaps may touch
			if g.Offset+g.Length > size {
				break
			}
			s.AddGap(g, nil)
			for i := range g.Length {
				lost[g.Offset+i] = true
			}
		}
		for from := range size + 1 {
			var want int64
			for to := from; ; to++ {
				if got := s.Missing(int64(from), int64(to)); got != want {
					t.Fatalf("of %d to %d %d are missing, want %d; the gaps are %v", from, to, got, want, s.Extra().Gaps)
				}
				if to == size {
					break
				}
				if lost[to] {
					want++
				}
			}
		}
	}
}

// TestRoom wants the gaps of all conversations counted, and listed only while there
// is room, which is there again when its owner says so.
func TestRoom(t *testing.T) {
	room := &Room{}
	var a, b Conversation
	for i := range int64(4) {
		room.Full = room.Listed >= 3
		a.Sides[i%2].AddGap(Gap{Offset: 10 * i, Length: 3}, room)
		b.Sides[0].AddGap(Gap{Offset: 10 * i, Length: 3}, room)
	}
	listed := func(c *Conversation) int {
		return len(c.Sides[0].Extra().Gaps) + len(c.Sides[1].Extra().Gaps)
	}
	if listed(&a) != 2 || listed(&b) != 2 || room.Listed != 4 {
		t.Errorf("%d and %d gaps are listed, %d counted, want 2, 2 and 4", listed(&a), listed(&b), room.Listed)
	}
	if x := b.Sides[0].Extra(); x.GapCount != 4 || x.GapBytes != 12 {
		t.Errorf("%d gaps of %d bytes, want 4 of 12", x.GapCount, x.GapBytes)
	}
	if n := b.Sides[0].Missing(0, 100); n != 6 {
		t.Errorf("%d bytes are missing in what is listed, want 6", n)
	}
	room.Leave(&a)
	if room.Listed != 2 {
		t.Errorf("%d gaps are counted when one has left, want 2", room.Listed)
	}
	room.Full = false
	b.Sides[1].AddGap(Gap{Offset: 7, Length: 3}, room)
	if listed(&b) != 3 || room.Listed != 3 {
		t.Errorf("with room again %d gaps are listed, %d counted, want 3", listed(&b), room.Listed)
	}
	room.Leave(&b)
	if room.Listed != 0 {
		t.Errorf("%d gaps are counted when all have left", room.Listed)
	}
}
