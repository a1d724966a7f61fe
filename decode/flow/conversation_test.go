package flow

import (
	"math/rand"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTurn(t *testing.T) {
	at := time.Unix(1e9, 0)
	begin := Conversation{
		ID: 7, Transport: TCP, Client: addrPort("10.0.0.2:80"), Server: addrPort("10.0.0.1:1000"), Guessed: true,
		Start: at, End: at.Add(time.Second), State: Closed, Protocol: "http",
		Sides:   [2]Side{{Packets: 3, Bytes: 5, Syn: true}, {Packets: 4, Bytes: 6, Fin: true, Gaps: []Gap{{Offset: 1, Length: 2}}}},
		CloseBy: ServerToClient, Ended: true, EndedAt: at.Add(time.Minute),
	}
	want := begin
	want.Client, want.Server = begin.Server, begin.Client
	want.Sides = [2]Side{begin.Sides[1], begin.Sides[0]}
	want.CloseBy = ClientToServer

	c := begin
	c.Turn()
	equal := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
	if diff := cmp.Diff(want, c, equal); diff != "" {
		t.Error("turned (-want +got)\n" + diff)
	}
	c.Turn()
	if diff := cmp.Diff(begin, c, equal); diff != "" {
		t.Error("turned twice (-want +got)\n" + diff)
	}
}

func TestConversationFlow(t *testing.T) {
	for _, ends := range [][2]string{{"10.0.0.1:1000", "10.0.0.2:53"}, {"[fd00::1]:1000", "[fd00::2]:53"}} {
		c := Conversation{Transport: UDP, Client: addrPort(ends[0]), Server: addrPort(ends[1])}
		if f := c.Flow(ClientToServer); f != parse(UDP, ends[0], ends[1]) {
			t.Errorf("the client's flow is %v", f)
		}
		if f := c.Flow(ServerToClient); f != parse(UDP, ends[1], ends[0]) {
			t.Errorf("the server's flow is %v", f)
		}
	}
}

// TestAddGap wants all gaps counted, and no more of them kept than MaxGaps.
func TestAddGap(t *testing.T) {
	var s Side
	for i := range int64(MaxGaps + 10) {
		s.AddGap(Gap{Offset: 10 * i, Length: 3}, nil)
		if n := min(i+1, MaxGaps); int64(len(s.Gaps)) != n || s.GapCount != i+1 || s.GapBytes != 3*(i+1) {
			t.Fatalf("%d gaps: %d kept, %d counted with %d bytes", i+1, len(s.Gaps), s.GapCount, s.GapBytes)
		}
	}
	if last := s.Gaps[MaxGaps-1].Offset; last != 10*(MaxGaps-1) {
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
					t.Fatalf("of %d to %d %d are missing, want %d; the gaps are %v", from, to, got, want, s.Gaps)
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

// TestRoom wants the gaps of all conversations listed only while there is room,
// and room again when one of them has left.
func TestRoom(t *testing.T) {
	room := &Room{Limit: 3}
	var a, b Conversation
	for i := range int64(4) {
		a.Sides[i%2].AddGap(Gap{Offset: 10 * i, Length: 3}, room)
		b.Sides[0].AddGap(Gap{Offset: 10 * i, Length: 3}, room)
	}
	if n := len(a.Sides[0].Gaps) + len(a.Sides[1].Gaps) + len(b.Sides[0].Gaps); n != 3 || room.Listed != 3 {
		t.Errorf("%d gaps are listed, %d counted, want 3", n, room.Listed)
	}
	if b.Sides[0].GapCount != 4 || b.Sides[0].GapBytes != 12 {
		t.Errorf("%d gaps of %d bytes, want 4 of 12", b.Sides[0].GapCount, b.Sides[0].GapBytes)
	}
	room.Leave(&a)
	room.Leave(&b)
	if room.Listed != 0 {
		t.Errorf("%d gaps are counted when all have left", room.Listed)
	}
}
