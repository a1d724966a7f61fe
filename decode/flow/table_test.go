package flow

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// start is when the captures of these tests begin.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func after(d time.Duration) time.Time { return start.Add(d) }

// find wants f's conversation to be v, with f in direction d of it.
func find(t *testing.T, table *Table[string], f Flow, v string, d Direction) {
	t.Helper()
	switch e, got := table.Lookup(&f); {
	case e == nil:
		t.Errorf("%v is not found", f)
	case e.Value != v || got != d:
		t.Errorf("%v is %s of %s, want %s of %s", f, got, e.Value, d, v)
	}
}

func TestLookup(t *testing.T) {
	// In each, the first comes before the second in one of the things that flows
	// are ordered by.
	tests := map[string]Flow{
		"ipv4_addresses":            parse(TCP, "10.0.0.1:2000", "10.0.0.2:80"),
		"ipv4_first_byte":           parse(TCP, "10.0.0.2:2000", "192.0.0.1:80"),
		"ipv4_ports_against_hosts":  parse(TCP, "10.0.0.1:80", "10.0.0.2:2000"),
		"ipv4_same_host":            parse(TCP, "127.0.0.1:80", "127.0.0.1:2000"),
		"ipv6_upper_half":           parse(TCP, "[fd00::2]:2000", "[fd01::1]:80"),
		"ipv6_lower_half":           parse(TCP, "[fd00::1]:2000", "[fd00::2]:80"),
		"ipv6_same_host":            parse(TCP, "[::1]:80", "[::1]:2000"),
		"ipv4_mapped_ipv6":          parse(TCP, "[::ffff:10.0.0.1]:2000", "[::ffff:10.0.0.2]:80"),
		"udp_between_the_same_ends": parse(UDP, "10.0.0.1:2000", "10.0.0.2:80"),
	}
	all := NewTable[string](0)
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			for _, f := range []Flow{f, f.Reverse()} {
				for _, d := range []Direction{ClientToServer, ServerToClient} {
					table := NewTable[string](0)
					if e, _ := table.Lookup(&f); e != nil {
						t.Errorf("%v is found in an empty table", f)
					}
					e := table.Add(&f, d, start)
					e.Value = name
					if !e.Last.Equal(start) {
						t.Errorf("its last packet was at %v", e.Last)
					}
					find(t, table, f, name, d)
					find(t, table, f.Reverse(), name, d.Reverse())
					e.Turn()
					find(t, table, f, name, d.Reverse())
					find(t, table, f.Reverse(), name, d)
					e.Turn()
					find(t, table, f, name, d)
					table.Remove(e)
					if e, _ := table.Lookup(&f); e != nil || table.Len() != 0 {
						t.Errorf("%v is found after it was removed", f)
					}
				}
			}
		})
		all.Add(&f, ClientToServer, start).Value = name
	}
	if all.Len() != len(tests) {
		t.Errorf("%d entries", all.Len())
	}
	for name, f := range tests {
		find(t, all, f, name, ClientToServer)
		find(t, all, f.Reverse(), name, ServerToClient)
	}
}

// TestLookupOfItself takes a socket that is connected to itself, the directions
// of which no one can tell apart.
func TestLookupOfItself(t *testing.T) {
	f := parse(TCP, "127.0.0.1:2000", "127.0.0.1:2000")
	for _, d := range []Direction{ClientToServer, ServerToClient} {
		table := NewTable[string](0)
		table.Add(&f, d, start).Value = "itself"
		find(t, table, f, "itself", d)
		find(t, table, f.Reverse(), "itself", d)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := NewTable[int](0)
	v4, v6 := parse(TCP, "10.0.0.1:2000", "10.0.0.2:80"), parse(UDP, "[fd00::1]:2000", "[fd00::2]:53")
	unknown := parse(TCP, "10.0.0.1:2001", "10.0.0.2:80")
	table.Add(&v4, ClientToServer, start)
	table.Add(&v6, ClientToServer, start)
	back := v4.Reverse()
	for _, f := range []Flow{v4, back, v6, unknown} {
		if n := testing.AllocsPerRun(100, func() { table.Lookup(&f) }); n != 0 {
			t.Errorf("%v: %v allocations", f, n)
		}
	}
}

func TestLimit(t *testing.T) {
	tests := map[string]struct{ limit, want int }{
		"as_said":      {3, 3},
		"one":          {1, 1},
		"default":      {0, MaxConversations},
		"below_0":      {-1, MaxConversations},
		"above_normal": {MaxConversations + 1, MaxConversations + 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable[int](tt.limit)
			if table.Limit != tt.want {
				t.Fatalf("the limit is %d, want %d", table.Limit, tt.want)
			}
			if tt.want > 3 {
				return
			}
			var entries []*Entry[int]
			for i := range tt.want {
				if table.Full() || table.Len() != i {
					t.Fatalf("with %d entries: full %v", table.Len(), table.Full())
				}
				f := numbered(i)
				entries = append(entries, table.Add(&f, ClientToServer, start))
			}
			if !table.Full() {
				t.Error("it is not full at its limit")
			}
			table.Remove(entries[0])
			if table.Full() {
				t.Error("it is full below its limit")
			}
		})
	}
}

// numbered is one of many flows; even numbers are TCP.
func numbered(i int) Flow {
	t := TCP
	if i%2 == 1 {
		t = UDP
	}
	return parse(t, fmt.Sprintf("10.0.0.1:%d", 1000+i), "10.0.0.2:80")
}

// TestExpired looks at the moments just before and at which an entry is due.
func TestExpired(t *testing.T) {
	tcp, udp := parse(TCP, "10.0.0.1:2000", "10.0.0.2:80"), parse(UDP, "10.0.0.1:2000", "10.0.0.2:53")
	const quiet = 10 * time.Minute // within which there are packets
	tests := map[string]struct {
		do  func(*Table[string]) *Entry[string]
		due time.Duration
	}{
		"tcp":         {func(t *Table[string]) *Entry[string] { return t.Add(&tcp, ClientToServer, start) }, IdleTCP},
		"tcp_guessed": {func(t *Table[string]) *Entry[string] { return t.Add(&tcp, ServerToClient, start) }, IdleTCP},
		"udp":         {func(t *Table[string]) *Entry[string] { return t.Add(&udp, ClientToServer, start) }, IdleUDP},
		"closed": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&tcp, ClientToServer, start)
			t.Close(e, start)
			return e
		}, Linger},
		"closed_after_a_while": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&tcp, ClientToServer, start)
			e.Last = after(quiet)
			t.Close(e, after(quiet))
			return e
		}, quiet + Linger},
		"closed_twice": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&tcp, ClientToServer, start)
			t.Close(e, start)
			t.Close(e, after(quiet))
			return e
		}, Linger},
		"closed_and_stragglers": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&tcp, ClientToServer, start)
			t.Close(e, start)
			e.Last = after(time.Minute)
			return e
		}, time.Minute + Linger},
		"tcp_active": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&tcp, ClientToServer, start)
			e.Last = after(quiet)
			return e
		}, quiet + IdleTCP},
		"udp_active": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&udp, ClientToServer, start)
			e.Last = after(quiet)
			return e
		}, quiet + IdleUDP},
		"turned": {func(t *Table[string]) *Entry[string] {
			e := t.Add(&tcp, ClientToServer, start)
			e.Turn()
			return e
		}, IdleTCP},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable[string](0)
			e := tt.do(table)
			e.Value = name
			for _, now := range []time.Duration{0, tt.due / 2, tt.due - 1} {
				if got := table.Expired(after(now)); got != nil {
					t.Fatalf("expired after %v, %v before it is due", now, tt.due-now)
				}
			}
			if got := table.Expired(after(tt.due)); got != e {
				t.Fatalf("after %v %v is expired", tt.due, got)
			}
			if e, _ := table.Lookup(&e.key); e != nil || table.Len() != 0 {
				t.Error("it is still in the table")
			}
			if got := table.Expired(after(1000 * time.Hour)); got != nil {
				t.Errorf("%v is expired, and the table is empty", got)
			}
		})
	}
}

// TestExpiredAfterActivity looks again and again at one that is never silent
// for long, with one beside it that is.
func TestExpiredAfterActivity(t *testing.T) {
	table := NewTable[string](0)
	busy, silent := numbered(1), numbered(3)
	table.Add(&busy, ClientToServer, start).Value = "busy"
	table.Add(&silent, ClientToServer, start).Value = "silent"
	e, _ := table.Lookup(&busy)
	var got []string
	for now := time.Duration(0); now < 10*IdleUDP; now += IdleUDP / 4 {
		for x := table.Expired(after(now)); x != nil; x = table.Expired(after(now)) {
			got = append(got, fmt.Sprint(x.Value, " ", now))
		}
		e.Last = after(now)
	}
	if diff := cmp.Diff([]string{"silent 1h0m0s"}, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
	find(t, table, busy, "busy", ClientToServer)
}

// TestClockGoesBack takes captures whose times are out of order: an entry from
// the future is left alone, and what is due behind it is found once it is not.
func TestClockGoesBack(t *testing.T) {
	table := NewTable[string](0)
	ahead, behind := numbered(1), numbered(3)
	table.Add(&ahead, ClientToServer, after(time.Hour)).Value = "ahead"
	table.Add(&behind, ClientToServer, start).Value = "behind"
	if e := table.Expired(start); e != nil {
		t.Errorf("%s is expired before its time", e.Value)
	}
	var got []string
	for e := table.Expired(after(time.Hour + IdleUDP)); e != nil; e = table.Expired(after(time.Hour + IdleUDP)) {
		got = append(got, e.Value)
	}
	if diff := cmp.Diff([]string{"ahead", "behind"}, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// drain takes out one after the other with next.
func drain(next func() *Entry[string]) []string {
	var names []string
	for e := next(); e != nil; e = next() {
		names = append(names, e.Value)
	}
	return names
}

// named adds entries a second apart, named for their letters: t is TCP, u is UDP,
// c is TCP and closed at once.
func named(table *Table[string], names ...string) map[string]*Entry[string] {
	entries := make(map[string]*Entry[string])
	for i, name := range names {
		transport := TCP
		if name[0] == 'u' {
			transport = UDP
		}
		f := parse(transport, fmt.Sprintf("10.0.0.1:%d", 1000+i), "10.0.0.2:80")
		now := after(time.Duration(i) * time.Second)
		e := table.Add(&f, ClientToServer, now)
		e.Value = name
		entries[name] = e
		if name[0] == 'c' {
			table.Close(e, now)
		}
	}
	return entries
}

func TestOldest(t *testing.T) {
	tests := map[string]struct {
		add  []string
		do   func(*Table[string], map[string]*Entry[string])
		want []string
	}{
		"empty":        {},
		"by_age":       {add: []string{"t1", "u1", "u2", "t2"}, want: []string{"t1", "u1", "u2", "t2"}},
		"closed_first": {add: []string{"t1", "u1", "c1", "t2", "c2"}, want: []string{"c1", "c2", "t1", "u1", "t2"}},
		"closed_later_is_later": {add: []string{"t1", "t2", "t3"}, want: []string{"t3", "t1", "t2"}, do: func(t *Table[string], e map[string]*Entry[string]) {
			t.Close(e["t3"], after(5*time.Second))
			t.Close(e["t1"], after(6*time.Second))
		}},
		"first_removed":  {add: []string{"t1", "t2", "t3"}, want: []string{"t2", "t3"}, do: func(t *Table[string], e map[string]*Entry[string]) { t.Remove(e["t1"]) }},
		"middle_removed": {add: []string{"t1", "t2", "t3"}, want: []string{"t1", "t3"}, do: func(t *Table[string], e map[string]*Entry[string]) { t.Remove(e["t2"]) }},
		"last_removed":   {add: []string{"t1", "t2", "t3"}, want: []string{"t1", "t2"}, do: func(t *Table[string], e map[string]*Entry[string]) { t.Remove(e["t3"]) }},
		"all_removed": {add: []string{"t1", "t2"}, do: func(t *Table[string], e map[string]*Entry[string]) {
			t.Remove(e["t2"])
			t.Remove(e["t1"])
		}},
		"added_after_all_were_removed": {add: []string{"t1"}, want: []string{"t1"}, do: func(t *Table[string], e map[string]*Entry[string]) {
			t.Remove(e["t1"])
			named(t, "t1")
		}},
		// Expired has a look at the one that is due, and finds it alive.
		"looked_after": {add: []string{"u1", "t1"}, want: []string{"t1", "u1"}, do: func(t *Table[string], e map[string]*Entry[string]) {
			e["u1"].Last = after(time.Minute)
			t.Expired(after(IdleUDP))
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable[string](0)
			entries := named(table, tt.add...)
			if tt.do != nil {
				tt.do(table, entries)
			}
			if diff := cmp.Diff(tt.want, drain(table.Oldest)); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			if table.Len() != 0 {
				t.Errorf("%d entries are left", table.Len())
			}
		})
	}
}

// modelled is what the model knows of a conversation.
type modelled struct {
	id      int
	client  Flow // as the client sends
	last    time.Time
	since   time.Time // when its timeout began, had there been no packets since
	closed  bool
	timeout time.Duration
}

// TestTableAgainstMap does things at random to a Table and to a list that is
// searched from end to end.
func TestTableAgainstMap(t *testing.T) {
	const limit = 40
	random := rand.New(rand.NewSource(1))
	table := NewTable[int](limit)
	entries := make(map[int]*Entry[int])
	var model []*modelled
	now := start
	var count, expired, oldest, full int

	index := func(id int) int { return slices.IndexFunc(model, func(m *modelled) bool { return m.id == id }) }
	forget := func(e *Entry[int], why string) *modelled {
		i := index(e.Value)
		if i < 0 {
			t.Fatalf("%s: %d is not there", why, e.Value)
		}
		m := model[i]
		model = slices.Delete(model, i, i+1)
		delete(entries, m.id)
		return m
	}
	for range 25000 {
		switch op := random.Intn(20); {
		case op < 8: // a packet
			f := someFlow(random)
			e, d := table.Lookup(&f)
			i := slices.IndexFunc(model, func(m *modelled) bool { return m.client == f || m.client.Reverse() == f })
			if (e == nil) != (i < 0) {
				t.Fatalf("%v: found %v, want %v", f, e != nil, i >= 0)
			}
			if e != nil {
				m := model[i]
				if e.Value != m.id || (d == ClientToServer) != (m.client == f) && f != f.Reverse() {
					t.Fatalf("%v is %s of %d, and should be of %d, the client of which sends %v", f, d, e.Value, m.id, m.client)
				}
				e.Last, m.last = now, now
				break
			}
			if table.Full() != (len(model) == limit) {
				t.Fatalf("full %v with %d entries", table.Full(), len(model))
			}
			if table.Full() {
				full++
				break
			}
			m := &modelled{id: count, client: f, last: now, since: now, timeout: IdleTCP}
			if f.Transport() == UDP {
				m.timeout = IdleUDP
			}
			if d = Direction(random.Intn(2)); d == ServerToClient {
				m.client = f.Reverse()
			}
			e = table.Add(&f, d, now)
			e.Value = count
			entries[count] = e
			model = append(model, m)
			count++
		case op < 11: // something is done to one of them
			if len(model) == 0 {
				break
			}
			m := model[random.Intn(len(model))]
			e := entries[m.id]
			switch {
			case op == 8:
				table.Close(e, now)
				if !m.closed {
					m.closed, m.since, m.timeout = true, now, Linger
				}
			case op == 9:
				e.Turn()
				m.client = m.client.Reverse()
			case random.Intn(4) == 0:
				table.Remove(e)
				forget(e, "removed")
			}
		case op < 14: // time passes
			now = now.Add(time.Duration(random.Int63n(int64([]time.Duration{time.Second, 5 * time.Minute, time.Hour}[op-11]))))
		case op < 19:
			for e := table.Expired(now); e != nil; e = table.Expired(now) {
				expired++
				m := forget(e, "expired")
				if silent := now.Sub(m.last); silent < m.timeout {
					t.Fatalf("%d is expired after %v, its timeout is %v", m.id, silent, m.timeout)
				}
			}
			for _, m := range model {
				// One that had no packets is found at once. One that had is found
				// when it is looked after, which can be late: by one timeout at most.
				heard := m.last.After(m.since)
				due := m.since.Add(m.timeout)
				if heard {
					due = m.last.Add(m.timeout)
				}
				if late := now.Sub(due); late >= m.timeout || late >= 0 && !heard {
					t.Fatalf("%d is still there %v after it was due; its timeout is %v", m.id, late, m.timeout)
				}
			}
		case random.Intn(10) == 0:
			e := table.Oldest()
			if (e == nil) != (len(model) == 0) {
				t.Fatalf("the oldest of %d is %v", len(model), e)
			}
			if e == nil {
				break
			}
			oldest++
			anyClosed := slices.ContainsFunc(model, func(m *modelled) bool { return m.closed })
			if m := forget(e, "oldest"); m.closed != anyClosed {
				t.Fatalf("%d, closed %v, was taken for the oldest", m.id, m.closed)
			}
		}
		if table.Len() != len(model) {
			t.Fatalf("%d entries, want %d", table.Len(), len(model))
		}
	}
	if count < 1000 || expired < 100 || oldest < 100 || full < 100 {
		t.Errorf("%d conversations, %d expired, %d were the oldest, %d times full: that tries too little", count, expired, oldest, full)
	}
}
