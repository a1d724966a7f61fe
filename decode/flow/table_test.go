package flow

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// turnAt is the turn of the tests in which nothing else happens at its time.
func turnAt(at time.Duration) Turn { return Turn{Number: int64(at), At: at} }

// place adds an entry for the conversation that f, of direction d, begins.
func place[V any](table *Table[V], f Flow, d Direction, hash uint64, first int64, now Turn) *Entry[V] {
	e := new(Entry[V])
	e.Conversation.First, e.Conversation.Tuple = first, f
	if d == ServerToClient {
		e.Conversation.Tuple = f.Reverse()
	}
	table.Add(e, hash, now)
	e.Seen(now.At)
	return e
}

// put does so with the flow's own hash, and a name.
func put(table *Table[string], f Flow, d Direction, v string, now Turn) *Entry[string] {
	all, _ := table.Len()
	e := place(table, f, d, hashOf(f), int64(all), now)
	e.Value = v
	return e
}

func lookup[V any](table *Table[V], f Flow) (*Entry[V], Direction) {
	return table.Lookup(&f, hashOf(f))
}

// find wants f's conversation to be v, with f in direction d of it.
func find(t *testing.T, table *Table[string], f Flow, v string, d Direction) {
	t.Helper()
	switch e, got := lookup(table, f); {
	case e == nil:
		t.Errorf("%v is not found", f)
	case e.Value != v || got != d:
		t.Errorf("%v is %s of %s, want %s of %s", f, got, e.Value, d, v)
	}
}

// holds wants all entries to be n, and closed of them to be so.
func holds[V any](t *testing.T, table *Table[V], all, closed int) {
	t.Helper()
	if a, c := table.Len(); a != all || c != closed {
		t.Fatalf("%d entries, %d of them closed, want %d and %d", a, c, all, closed)
	}
}

func TestLookup(t *testing.T) {
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
	now := turnAt(time.Second)
	all := NewTable[string]()
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			for _, f := range []Flow{f, f.Reverse()} {
				for _, d := range []Direction{ClientToServer, ServerToClient} {
					table := NewTable[string]()
					if e, _ := lookup(table, f); e != nil {
						t.Errorf("%v is found in an empty table", f)
					}
					e := put(table, f, d, name, now)
					if silent := e.Silent(now.At + 3); silent != 3 {
						t.Errorf("three nanoseconds later it is silent for %v", silent)
					}
					find(t, table, f, name, d)
					find(t, table, f.Reverse(), name, d.Reverse())
					e.Conversation.Turn()
					find(t, table, f, name, d.Reverse())
					find(t, table, f.Reverse(), name, d)
					e.Conversation.Turn()
					find(t, table, f, name, d)
					table.Remove(e)
					if e, _ := lookup(table, f); e != nil {
						t.Errorf("%v is found after it was removed", f)
					}
					holds(t, table, 0, 0)
				}
			}
		})
		put(all, f, ClientToServer, name, now)
	}
	holds(t, all, len(tests), 0)
	for name, f := range tests {
		find(t, all, f, name, ClientToServer)
		find(t, all, f.Reverse(), name, ServerToClient)
	}
}

// TestLookupOfItself takes a socket that is connected to itself, the directions
// of which no one can tell apart: all that it says is the client's.
func TestLookupOfItself(t *testing.T) {
	f := parse(TCP, "127.0.0.1:2000", "127.0.0.1:2000")
	for _, d := range []Direction{ClientToServer, ServerToClient} {
		table := NewTable[string]()
		e := put(table, f, d, "itself", Turn{})
		find(t, table, f, "itself", ClientToServer)
		find(t, table, f.Reverse(), "itself", ClientToServer)
		e.Conversation.Turn()
		find(t, table, f, "itself", ClientToServer)
	}
}

// TestLookupAmongEqualHashes wants conversations told apart that have the same
// hash, which nobody can rule out.
func TestLookupAmongEqualHashes(t *testing.T) {
	const hash = math.MaxUint64 // its slot is the last: those behind it begin at 0
	table := NewTable[int]()
	var entries []*Entry[int]
	for i := range 50 {
		entries = append(entries, place(table, numbered(i), Direction(i/2%2), hash, int64(i), Turn{}))
	}
	for i := range entries {
		for n, want := range entries {
			f := numbered(n)
			if n < i {
				want = nil
			}
			if e, d := table.Lookup(&f, hash); e != want || e != nil && d != Direction(n/2%2) {
				t.Fatalf("without the first %d, the %d. is not found as it should be", i, n)
			}
		}
		table.Remove(entries[i])
	}
	holds(t, table, 0, 0)
}

func TestLookupAllocatesNothing(t *testing.T) {
	table := NewTable[int]()
	v4, v6 := parse(TCP, "10.0.0.1:2000", "10.0.0.2:80"), parse(UDP, "[fd00::1]:2000", "[fd00::2]:53")
	unknown := parse(TCP, "10.0.0.1:2001", "10.0.0.2:80")
	place(table, v4, ClientToServer, hashOf(v4), 1, Turn{})
	place(table, v6, ClientToServer, hashOf(v6), 2, Turn{})
	for _, f := range []Flow{v4, v4.Reverse(), v6, unknown} {
		if n := testing.AllocsPerRun(100, func() {
			hash := seed.Hash(&f)
			warm(table.Near(hash))
			if e, _ := table.Lookup(&f, hash); e != nil {
				e.Due(e.Silent(0))
				e.Seen(1)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", f, n)
		}
	}
}

// TestWarm wants it to have no effect, on free slots and on others.
func TestWarm(t *testing.T) {
	table := NewTable[string]()
	f := numbered(0)
	for range 2 {
		for hash := range uint64(2 * minSlots) {
			warm(table.Near(hash))
		}
		put(table, f, ClientToServer, "a", Turn{})
		find(t, table, f, "a", ClientToServer)
		holds(t, table, 1, 0)
		e, _ := lookup(table, f)
		table.Remove(e)
	}
}

// TestGrow fills a table far beyond what it has room for at first, and empties it.
func TestGrow(t *testing.T) {
	const count = 20 * minSlots
	table := NewTable[int]()
	var entries []*Entry[int]
	check := func(from int) {
		t.Helper()
		holds(t, table, count-from, 0)
		for i := range entries {
			f := numbered(i)
			if e, _ := lookup(table, f); (e == entries[i]) != (i >= from) {
				t.Fatalf("the %d. of %d to %d: found %v", i, from, count, e != nil)
			}
		}
	}
	for i := range count {
		f := numbered(i)
		entries = append(entries, place(table, f, ClientToServer, hashOf(f), int64(i), Turn{}))
		if 4*(i+1) > 3*len(table.slots) {
			t.Fatalf("%d of %d slots are taken", i+1, len(table.slots))
		}
	}
	check(0)
	for i, e := range entries {
		table.Remove(e)
		if i%4096 == 0 {
			check(i + 1)
		}
	}
	check(count)
}

// numbered is one of many flows; even numbers are TCP.
func numbered(i int) Flow {
	f := counted("ipv4_ports", i)
	if i%2 == 1 {
		f.transport = UDP
	}
	return f
}

// TestExpired looks at the moments just before and at which an entry is due.
func TestExpired(t *testing.T) {
	tcp, udp := parse(TCP, "10.0.0.1:2000", "10.0.0.2:80"), parse(UDP, "10.0.0.1:2000", "10.0.0.2:53")
	const quiet = 10 * time.Minute // within which there are packets
	open := func(t *Table[string]) *Entry[string] { return put(t, tcp, ClientToServer, "", Turn{}) }
	ask := func(t *Table[string]) *Entry[string] { return put(t, udp, ClientToServer, "", Turn{}) }
	tests := map[string]struct {
		do  func(*Table[string]) *Entry[string]
		due time.Duration
	}{
		"tcp":         {open, IdleTCP},
		"tcp_guessed": {func(t *Table[string]) *Entry[string] { return put(t, tcp, ServerToClient, "", Turn{}) }, IdleTCP},
		"udp":         {ask, IdleUDP},
		"closed": {func(t *Table[string]) *Entry[string] {
			e := open(t)
			t.Close(e, Turn{})
			return e
		}, Linger},
		"closed_after_a_while": {func(t *Table[string]) *Entry[string] {
			e := open(t)
			e.Seen(quiet)
			t.Close(e, turnAt(quiet))
			return e
		}, quiet + Linger},
		"closed_twice": {func(t *Table[string]) *Entry[string] {
			e := open(t)
			t.Close(e, Turn{})
			t.Close(e, turnAt(quiet))
			return e
		}, Linger},
		"closed_and_stragglers": {func(t *Table[string]) *Entry[string] {
			e := open(t)
			t.Close(e, Turn{})
			t.Expired(turnAt(time.Minute)) // nothing is due
			e.Seen(time.Minute)
			return e
		}, Linger + Linger}, // it is looked at when due, and again when as much has passed
		"tcp_active": {func(t *Table[string]) *Entry[string] {
			e := open(t)
			e.Seen(quiet)
			return e
		}, 2 * IdleTCP},
		"udp_active": {func(t *Table[string]) *Entry[string] {
			e := ask(t)
			e.Seen(quiet)
			return e
		}, 2 * IdleUDP},
		"turned": {func(t *Table[string]) *Entry[string] {
			e := open(t)
			e.Conversation.Turn()
			return e
		}, IdleTCP},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable[string]()
			e := tt.do(table)
			e.Value = name
			for _, now := range []time.Duration{0, tt.due / 2, tt.due - 1} {
				if got := table.Expired(turnAt(now)); len(got) > 0 {
					t.Fatalf("expired after %v, %v before it is due", now, tt.due-now)
				}
			}
			got := table.Expired(turnAt(tt.due))
			if len(got) != 1 || got[0] != e {
				t.Fatalf("after %v %v are expired", tt.due, got)
			}
			if e, _ := lookup(table, e.Conversation.Tuple); e != nil {
				t.Error("it is still in the table")
			}
			holds(t, table, 0, 0)
			if got := table.Expired(turnAt(1000 * time.Hour)); len(got) > 0 {
				t.Errorf("%v are expired, and the table is empty", got)
			}
		})
	}
}

// TestDue wants whoever looks an entry up to know that it is over, to the
// nanosecond, though Expired comes to it later.
func TestDue(t *testing.T) {
	const last = 10 * time.Minute
	tests := map[string]struct {
		flow   Flow
		closed bool
		want   time.Duration
	}{
		"tcp":    {numbered(0), false, IdleTCP},
		"udp":    {numbered(1), false, IdleUDP},
		"closed": {numbered(0), true, Linger},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable[string]()
			e := put(table, tt.flow, ClientToServer, name, Turn{})
			e.Seen(last)
			if tt.closed {
				table.Close(e, turnAt(last))
			}
			if e.Due(last+tt.want-1) || !e.Due(last+tt.want) || !e.Due(last+tt.want+1) {
				t.Errorf("it is not due exactly %v after its last packet", tt.want)
			}
		})
	}
}

// TestExpiredAfterActivity looks again and again at one that is never silent
// for long, with one beside it that is, and then stops speaking.
func TestExpiredAfterActivity(t *testing.T) {
	const step = IdleUDP / 4
	table := NewTable[string]()
	busy := put(table, numbered(1), ClientToServer, "busy", Turn{})
	put(table, numbered(3), ClientToServer, "silent", Turn{})
	var got []string
	last := 10 * IdleUDP
	for now := time.Duration(0); now < 20*IdleUDP; now += step {
		for _, e := range table.Expired(turnAt(now)) {
			got = append(got, e.Value)
			switch silent := e.Silent(now); {
			case e != busy && silent != IdleUDP:
				t.Errorf("%s was found after %v", e.Value, silent)
			case e == busy && (silent < IdleUDP || silent > 2*IdleUDP):
				t.Errorf("it was busy, and was found %v later", silent)
			}
		}
		if now <= last {
			busy.Seen(now)
			find(t, table, numbered(1), "busy", ClientToServer)
		}
	}
	if diff := cmp.Diff([]string{"silent", "busy"}, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// TestExpiredInOrder wants those that expire at once, of whatever kind, in the
// order in which they began.
func TestExpiredInOrder(t *testing.T) {
	table := NewTable[string]()
	firsts := rand.New(rand.NewSource(1)).Perm(100)
	for i, first := range firsts {
		f := numbered(i)
		e := place(table, f, ClientToServer, hashOf(f), int64(first), Turn{})
		if first%3 == 0 {
			table.Close(e, Turn{})
		}
	}
	list := table.Expired(turnAt(IdleTCP))
	if len(list) != len(firsts) {
		t.Fatalf("%d are expired", len(list))
	}
	for i, e := range list {
		if e.Conversation.First != int64(i) {
			t.Fatalf("the %d. began at %d", i, e.Conversation.First)
		}
	}
}

// names lists values in the order of their conversations' first packets.
func names(list []*Entry[string]) string {
	list = slices.Clone(list)
	sortByFirst(list)
	var names []string
	for _, e := range list {
		names = append(names, e.Value)
	}
	return strings.Join(names, "+")
}

// drain takes out one group of the oldest after the other.
func drain(t *testing.T, table *Table[string]) []string {
	t.Helper()
	var groups []string
	last := int64(math.MinInt64)
	for {
		list, age := table.Oldest(nil)
		if age <= last {
			t.Errorf("after one of age %d comes one of age %d", last, age)
		}
		if len(list) == 0 {
			if age != math.MaxInt64 {
				t.Errorf("nothing is of age %d", age)
			}
			return groups
		}
		groups, last = append(groups, names(list)), age
		for _, e := range list {
			table.Remove(e)
		}
	}
}

// named adds entries a second apart, or at the same time when a + joins them, which
// are named for their letters: t is TCP, u is UDP, c is TCP and closed at once.
func named(table *Table[string], groups ...string) map[string]*Entry[string] {
	entries := make(map[string]*Entry[string])
	for i, group := range groups {
		now := turnAt(time.Duration(i) * time.Second)
		for _, name := range strings.Split(group, "+") {
			transport := TCP
			if name[0] == 'u' {
				transport = UDP
			}
			f := parse(transport, fmt.Sprintf("10.0.0.1:%d", 1000+len(entries)), "10.0.0.2:80")
			e := put(table, f, ClientToServer, name, now)
			entries[name] = e
			if name[0] == 'c' {
				table.Close(e, now)
			}
		}
	}
	return entries
}

func TestOldest(t *testing.T) {
	type entries = map[string]*Entry[string]
	tests := map[string]struct {
		add  []string
		do   func(*Table[string], entries)
		want []string
	}{
		"empty":              {},
		"by_age":             {add: []string{"t1", "u1", "u2", "t2"}, want: []string{"t1", "u1", "u2", "t2"}},
		"of_one_turn":        {add: []string{"t1+t2", "t3"}, want: []string{"t1+t2", "t3"}},
		"of_one_turn_mixed":  {add: []string{"u1+t1+u2", "t2+u3"}, want: []string{"u1+t1+u2", "t2+u3"}},
		"of_one_turn_closed": {add: []string{"t1+c1+u1+c2"}, want: []string{"c1+c2", "t1+u1"}},
		"closed_first":       {add: []string{"t1", "u1", "c1", "t2", "c2"}, want: []string{"c1", "c2", "t1", "u1", "t2"}},
		"closed_later_is_later": {add: []string{"t1", "t2", "t3"}, want: []string{"t3", "t1", "t2"}, do: func(t *Table[string], e entries) {
			t.Close(e["t3"], turnAt(5*time.Second))
			t.Close(e["t1"], turnAt(6*time.Second))
		}},
		"first_removed":  {add: []string{"t1", "t2", "t3"}, want: []string{"t2", "t3"}, do: func(t *Table[string], e entries) { t.Remove(e["t1"]) }},
		"middle_removed": {add: []string{"t1", "t2", "t3"}, want: []string{"t1", "t3"}, do: func(t *Table[string], e entries) { t.Remove(e["t2"]) }},
		"last_removed":   {add: []string{"t1", "t2", "t3"}, want: []string{"t1", "t2"}, do: func(t *Table[string], e entries) { t.Remove(e["t3"]) }},
		"all_removed": {add: []string{"t1", "t2"}, do: func(t *Table[string], e entries) {
			t.Remove(e["t2"])
			t.Remove(e["t1"])
		}},
		"added_after_all_were_removed": {add: []string{"t1"}, want: []string{"t1"}, do: func(t *Table[string], e entries) {
			t.Remove(e["t1"])
			named(t, "t1")
		}},
		// Expired has a look at those that are due, and finds them alive: they were
		// looked after at the same turn.
		"looked_after": {add: []string{"u1", "u2", "t1"}, want: []string{"t1", "u1+u2"}, do: func(t *Table[string], e entries) {
			e["u1"].Seen(time.Minute)
			e["u2"].Seen(time.Minute)
			t.Expired(turnAt(IdleUDP + time.Second))
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable[string]()
			entries := named(table, tt.add...)
			if tt.do != nil {
				tt.do(table, entries)
			}
			if diff := cmp.Diff(tt.want, drain(t, table)); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
			holds(t, table, 0, 0)
		})
	}
}

// TestOldestAppends wants a list that is handed in to keep what it holds.
func TestOldestAppends(t *testing.T) {
	table := NewTable[string]()
	e := named(table, "t1", "t2+u2")
	list, _ := table.Oldest([]*Entry[string]{e["t2"]})
	if len(list) != 2 || list[0] != e["t2"] || list[1] != e["t1"] {
		t.Errorf("the list is %s", names(list))
	}
}

// modelled is what the model knows of a conversation.
type modelled struct {
	entry   *Entry[int]
	first   int64
	client  Flow // as the client sends
	last    time.Duration
	since   time.Duration // when its timeout began, had there been no packets since
	queued  time.Duration // when it was last looked after
	stamp   int64         // and the turn
	closed  bool
	timeout time.Duration
}

// TestTableAgainstMap does things at random to a Table and to a list that is
// searched from end to end.
func TestTableAgainstMap(t *testing.T) {
	tests := map[string]func(Flow) uint64{
		"own_hash": hashOf,
		// There is hardly a free slot between entries, the last slot is followed by
		// the first, and some conversations have one hash.
		"few_slots": func(f Flow) uint64 {
			h := hashOf(f)
			return minSlots - 2 + h%5 | h>>8%3<<40
		},
		"one_slot": func(f Flow) uint64 { return minSlots - 1 | hashOf(f)>>8%5<<40 },
		"one_hash": func(Flow) uint64 { return math.MaxUint64 },
	}
	for name, hash := range tests {
		t.Run(name, func(t *testing.T) { againstMap(t, hash) })
	}
}

func againstMap(t *testing.T, hash func(Flow) uint64) {
	random := rand.New(rand.NewSource(1))
	table := NewTable[int]()
	var model []*modelled // in the order of their first packets
	var now Turn
	var packet int64
	var count, expired, alive, oldest, most int

	forget := func(gone func(*modelled) bool) (list []*modelled) {
		model = slices.DeleteFunc(model, func(m *modelled) bool {
			if gone(m) {
				list = append(list, m)
				return true
			}
			return false
		})
		return list
	}
	same := func(what string, got []*Entry[int], want []*modelled) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: %d, want %d", what, len(got), len(want))
		}
		for i, m := range want {
			if got[i] != m.entry {
				t.Fatalf("%s: the %d. is %d, want %d", what, i, got[i].Conversation.First, m.first)
			}
		}
	}
	// look wants f to be found, or not, as the model has it.
	look := func(f Flow) *modelled {
		t.Helper()
		i := slices.IndexFunc(model, func(m *modelled) bool { return m.client == f || m.client.Reverse() == f })
		switch e, d := table.Lookup(&f, hash(f)); {
		case (e == nil) != (i < 0):
			t.Fatalf("%v: found %v, want %v", f, e != nil, i >= 0)
		case e == nil:
			return nil
		case e != model[i].entry || (d == ClientToServer) != (model[i].client == f):
			t.Fatalf("%v is %s of %d, and should be of %d, the client of which sends %v", f, d, e.Conversation.First, model[i].first, model[i].client)
		}
		return model[i]
	}
	for range 10000 {
		packet++
		switch op := random.Intn(20); {
		case op < 10: // a packet
			f := someFlow(random)
			if m := look(f); m != nil {
				if due := now.At-m.last >= m.timeout; m.entry.Due(now.At) != due {
					t.Fatalf("%d is due: %v; it was silent for %v, its timeout is %v", m.first, !due, now.At-m.last, m.timeout)
				}
				m.entry.Seen(now.At)
				m.last = now.At
				break
			}
			m := &modelled{first: packet, client: f, last: now.At, since: now.At, queued: now.At, stamp: now.Number, timeout: IdleTCP}
			if f.Transport() == UDP {
				m.timeout = IdleUDP
			}
			d := Direction(random.Intn(2))
			if d == ServerToClient {
				m.client = f.Reverse()
			}
			m.entry = place(table, f, d, hash(f), packet, now)
			model = append(model, m)
			count++
		case op < 13: // something is done to one of them
			if len(model) == 0 {
				break
			}
			m := model[random.Intn(len(model))]
			switch {
			case op == 10:
				table.Close(m.entry, now)
				if !m.closed {
					m.closed, m.since, m.queued, m.stamp, m.timeout = true, now.At, now.At, now.Number, Linger
				}
			case op == 11:
				m.entry.Conversation.Turn()
				m.client = m.client.Reverse()
			default:
				table.Remove(m.entry)
				forget(func(x *modelled) bool { return x == m })
			}
		case op < 16: // time passes
			now.Number++
			now.At += time.Duration(random.Int63n(int64([]time.Duration{time.Second, time.Minute, 20 * time.Minute}[op-13])))
		case op < 19:
			want := forget(func(m *modelled) bool {
				return now.At-m.queued >= m.timeout && now.At-m.last >= m.timeout
			})
			expired += len(want)
			same("expired", table.Expired(now), want)
			for _, m := range model {
				if now.At-m.queued >= m.timeout {
					m.queued, m.stamp = now.At, now.Number
					alive++
				}
				if silent := now.At - max(m.last, m.since); silent >= 2*m.timeout {
					t.Fatalf("%d is still there after %v; its timeout is %v", m.first, silent, m.timeout)
				}
			}
		case random.Intn(4) == 0:
			list, _ := table.Oldest(nil)
			sortByFirst(list)
			anyClosed := slices.ContainsFunc(model, func(m *modelled) bool { return m.closed })
			least := int64(math.MaxInt64)
			for _, m := range model {
				if m.closed == anyClosed {
					least = min(least, m.stamp)
				}
			}
			same("oldest", list, forget(func(m *modelled) bool { return m.closed == anyClosed && m.stamp == least }))
			for _, e := range list {
				table.Remove(e)
			}
			oldest += len(list)
		default:
			same("all", table.All(), model)
			for _, m := range model {
				look(m.client)
				look(m.client.Reverse())
			}
		}
		most = max(most, len(model))
		closed := 0
		for _, m := range model {
			if m.closed {
				closed++
			}
		}
		holds(t, table, len(model), closed)
	}
	if count < 1000 || expired < 100 || alive < 10 || oldest < 100 || most < 40 {
		t.Errorf("%d conversations, %d at most, %d expired, %d were looked at and alive, %d were the oldest: that tries too little", count, most, expired, alive, oldest)
	}
}

// parts are tables that share conversations out by their hashes, and do together
// what one would.
type parts []*Table[struct{}]

func newParts(n int) (p parts) {
	for range n {
		p = append(p, NewTable[struct{}]())
	}
	return p
}

func (p parts) of(hash uint64) *Table[struct{}] { return p[hash>>32%uint64(len(p))] }

func (p parts) len() (all, closed int) {
	for _, t := range p {
		a, c := t.Len()
		all, closed = all+a, closed+c
	}
	return all, closed
}

// packet has f's conversation go on, or begin, and says which it is.
func (p parts) packet(f Flow, packet int64, now Turn) string {
	t := p.of(hashOf(f))
	e, d := lookup(t, f)
	if e != nil && e.Due(now.At) {
		t.Remove(e)
		e = nil
	}
	if e == nil {
		e, d = place(t, f, ClientToServer, hashOf(f), packet, now), ClientToServer
	}
	e.Seen(now.At)
	return fmt.Sprintf("%s of %d", d, e.Conversation.First)
}

// merged lists the first packets of what the parts have, in their order.
func (p parts) merged(of func(*Table[struct{}]) []*Entry[struct{}]) []int64 {
	var all []int64
	for _, t := range p {
		var firsts []int64
		for _, e := range of(t) {
			firsts = append(firsts, e.Conversation.First)
		}
		if !slices.IsSorted(firsts) {
			panic("a table's list is not in order")
		}
		all = append(all, firsts...)
	}
	slices.Sort(all)
	return all
}

// shrink removes the oldest until limit are left, and lists their first packets.
func (p parts) shrink(limit int) []int64 {
	var gone []int64
	for all, _ := p.len(); all > limit; all, _ = p.len() {
		var group []*Entry[struct{}]
		least := int64(math.MaxInt64)
		for _, t := range p {
			switch list, age := t.Oldest(nil); {
			case age < least:
				group, least = list, age
			case age == least:
				group = append(group, list...)
			}
		}
		sortByFirst(group)
		for _, e := range group[:min(len(group), all-limit)] {
			p.of(hashOf(e.Conversation.Tuple)).Remove(e)
			gone = append(gone, e.Conversation.First)
		}
	}
	return gone
}

// TestPartsDoWhatOneDoes wants tables that hold a part of the conversations each
// to find, expire and give up the same ones, at the same turns and in the same
// order, as one table that holds all.
func TestPartsDoWhatOneDoes(t *testing.T) {
	for _, n := range []int{2, 5} {
		t.Run(fmt.Sprintf("in_%d", n), func(t *testing.T) {
			random := rand.New(rand.NewSource(int64(n)))
			one, many := newParts(1), newParts(n)
			var now Turn
			var packet int64
			var expired, closed, given int
			same := func(what string, a, b []int64) {
				t.Helper()
				if !slices.Equal(a, b) {
					t.Fatalf("turn %d: %s (-one +%d)\n%s", now.Number, what, n, cmp.Diff(a, b))
				}
			}
			for range 1000 {
				now.Number++
				now.At += time.Duration(random.Int63n(int64([]time.Duration{time.Second, time.Minute, time.Hour}[random.Intn(3)])))
				gone := one.merged(func(t *Table[struct{}]) []*Entry[struct{}] { return t.Expired(now) })
				same("expired", gone, many.merged(func(t *Table[struct{}]) []*Entry[struct{}] { return t.Expired(now) }))
				expired += len(gone)
				for range random.Intn(20) {
					packet++
					f := numbered(random.Intn(300))
					if random.Intn(2) == 0 {
						f = f.Reverse()
					}
					if a, b := one.packet(f, packet, now), many.packet(f, packet, now); a != b {
						t.Fatalf("packet %d is %s, and of parts %s", packet, a, b)
					}
					if random.Intn(10) == 0 {
						closed++
						for _, p := range []parts{one, many} {
							table := p.of(hashOf(f))
							e, _ := lookup(table, f)
							table.Close(e, now)
						}
					}
				}
				limit := 50 + random.Intn(200)
				gone = one.shrink(limit)
				same("given up", gone, many.shrink(limit))
				given += len(gone)
				same("all", one.merged((*Table[struct{}]).All), many.merged((*Table[struct{}]).All))
				all, over := many.len()
				if a, o := one.len(); a != all || o != over {
					t.Fatalf("turn %d: %d are held and %d closed, and of parts %d and %d", now.Number, a, o, all, over)
				}
			}
			if expired < 100 || closed < 100 || given < 100 {
				t.Errorf("%d expired, %d closed, %d given up: that tries too little", expired, closed, given)
			}
		})
	}
}

func TestClock(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const far = 1000 * time.Hour
	type list = []time.Duration
	tests := map[string]struct{ times, want list }{
		"in_order":               {list{0, 1, time.Second, time.Second}, list{0, 1, time.Second, time.Second}},
		"late_packet":            {list{0, 10, 5, 12}, list{0, 10, 10, 12}},
		"late_by_a_minute":       {list{0, 2 * time.Minute, time.Minute, 2*time.Minute + 1}, list{0, 2 * time.Minute, 2 * time.Minute, 2*time.Minute + 1}},
		"set_back":               {list{0, 2 * time.Minute, time.Minute - 1, time.Minute}, list{0, 2 * time.Minute, 2 * time.Minute, 2*time.Minute + 1}},
		"set_back_before_it_was": {list{0, -far, -far + 1}, list{0, 0, 1}},
		"as_far_as_it_counts":    {list{0, maxLeap, maxLeap + 1}, list{0, maxLeap, maxLeap + 1}},
		"leap":                   {list{0, far, far + 1}, list{0, maxLeap, maxLeap + 1}},
		"leap_and_back":          {list{0, far, 1, 2}, list{0, maxLeap, maxLeap, maxLeap + 1}},
		"farthest":               {list{math.MinInt64, math.MaxInt64}, list{0, maxLeap}},
		"farthest_back":          {list{math.MaxInt64, math.MinInt64, math.MinInt64 + 1}, list{0, 0, 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var c Clock
			var got list
			for _, d := range tt.times {
				got = append(got, c.Read(start.Add(d)))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error("(-want +got)\n" + diff)
			}
		})
	}
	t.Run("packets_without_a_time", func(t *testing.T) {
		var c Clock
		for _, now := range []time.Time{{}, {}, start, {}} {
			if got := c.Read(now); got != 0 {
				t.Errorf("at %v %v have passed", now, got)
			}
		}
	})
}

// TestClockIsSteady reads times that are lies: the clock never goes back, and never
// far ahead.
func TestClockIsSteady(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var c Clock
	var last time.Duration
	now := time.Unix(1e9, 0)
	for range 100_000 {
		switch step := time.Duration(random.Int63() >> random.Intn(63)); random.Intn(4) {
		case 0:
			now = now.Add(-step)
		case 1:
			now = time.Unix(random.Int63()-random.Int63(), 0)
		default:
			now = now.Add(step)
		}
		at := c.Read(now)
		if at < last || at > last+maxLeap {
			t.Fatalf("after %v comes %v", last, at)
		}
		last = at
	}
}

// TestClockNeverWraps leaps as far as it can, more often than there is time: it is
// then late for ever, and does not go back.
func TestClockNeverWraps(t *testing.T) {
	var c Clock
	var last time.Duration
	early, late := time.Unix(0, 0), time.Unix(1e9, 0)
	for range math.MaxInt64/maxLeap + 2 {
		c.Read(early)
		at := c.Read(late)
		if at < last {
			t.Fatalf("after %v comes %v", last, at)
		}
		last = at
	}
	if last < 100*365*24*time.Hour {
		t.Errorf("it stands at %v", last)
	}
}

// filled returns a table of n entries.
func filled(n int) *Table[struct{}] {
	table := NewTable[struct{}]()
	entries := make([]Entry[struct{}], n)
	for i := range entries {
		e := &entries[i]
		e.Conversation.Tuple = counted("ipv4_hosts", i)
		table.Add(e, hashOf(e.Conversation.Tuple), Turn{})
	}
	return table
}

var sizes = []struct {
	name string
	n    int
}{{"1k", 1000}, {"100k", 100_000}, {"1M", 1_000_000}}

func BenchmarkLookup(b *testing.B) {
	const stride = 611_953 // a prime: neighbours are not looked up one after the other
	for _, size := range sizes {
		var table *Table[struct{}]
		for _, kind := range []string{"hit", "miss"} {
			b.Run(kind+"/"+size.name, func(b *testing.B) {
				if table == nil {
					table = filled(size.n)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					i = (i + stride) % size.n
					f := counted("ipv4_hosts", i)
					if kind == "miss" {
						f.transport = TCP
					}
					if e, _ := table.Lookup(&f, seed.Hash(&f)); (e != nil) != (kind == "hit") {
						b.Fatal("found what is not there, or not what is")
					}
				}
			})
		}
	}
}

func BenchmarkAddRemove(b *testing.B) {
	for _, size := range sizes[:2] {
		b.Run(size.name, func(b *testing.B) {
			table := filled(size.n)
			e := new(Entry[struct{}])
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				e.Conversation.Tuple = counted("ipv4_ports", i)
				table.Add(e, seed.Hash(&e.Conversation.Tuple), Turn{})
				table.Remove(e)
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	for _, kind := range []string{"ipv4_ports", "ipv6_ports"} {
		b.Run(kind, func(b *testing.B) {
			f := counted(kind, 1)
			b.ReportAllocs()
			for b.Loop() {
				seed.Hash(&f)
			}
		})
	}
}

func warm[V any](e *Entry[V]) {
	if e != nil {
		e.Warm()
	}
}
