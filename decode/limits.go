package decode

import (
	"math"

	"netlab/decode/flow"
)

// limits are what all conversations together may take, in bytes where nothing
// else is said. They are looked at between batches: whatever the shards hold then
// does not depend on how many there are.
type limits struct {
	conversations int   // how many
	lingering     int   // of these, how many that are over
	memory        int64 // of them, with what is said in them
	said          int64 // of what is said in them
	waiting       int64 // of what waits for gaps
	remembered    int64 // of what is kept for comparing
	gaps          int   // how many are listed
}

// conversationCost is about what a conversation takes that is followed, without
// what is said in it: itself, and its place in the table.
const conversationCost = 320 + flow.SlotCost

// limits shares the memory out. A fourth is left to the garbage collector, and to
// whoever reads the packets.
func (o *Options) limits() limits {
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	m := max(o.Memory, MinMemory)
	l := limits{
		conversations: o.Conversations,
		lingering:     int(m / 16 / conversationCost),
		memory:        m * 9 / 16,
		said:          m * 3 / 16,
		waiting:       m / 8,
		remembered:    m / 32,
		gaps:          int(m / 32 / flow.GapCost),
	}
	if l.conversations <= 0 {
		l.conversations = math.MaxInt
	}
	if o.Waiting > 0 {
		l.waiting = o.Waiting
	}
	return l
}

// held is what the shards hold of what is limited.
type held struct{ conversations, lingering, said, waiting, remembered, gaps, connections int64 }

func (d *Decoder) held() held {
	var h held
	for _, s := range d.shards {
		all, closed := s.table.Len()
		h.conversations += int64(all)
		h.lingering += int64(closed)
		h.said += s.held
		h.waiting += s.tcp.Waiting()
		h.remembered += s.tcp.Remembered()
		h.gaps += int64(s.gaps.Listed)
		h.connections += s.tcp.Held()
	}
	return h
}

// tooMany reports whether a conversation must go.
func (l *limits) tooMany(h *held) bool {
	return h.conversations > int64(l.conversations) || h.lingering > int64(l.lingering) ||
		h.conversations > 1 && h.conversations*conversationCost+h.connections+h.said > l.memory
}

// keepWithin has the shards let go of what is too much in all, what is oldest
// first.
func (d *Decoder) keepWithin(b *batch) {
	l, h := &d.limits, d.held()
	order := int64(0)
	// give gives up the oldest talks, as long as there is too much.
	give := func(tooMuch func() bool, oldest func(s *shard, talks []*talk) ([]*talk, int64), up func(s *shard, t *talk)) {
		for tooMuch() {
			for _, t := range d.oldest(oldest) {
				if !tooMuch() {
					break
				}
				up(t.shard, t)
				order++
				t.shard.mark(phaseBetween, order)
				h = d.held()
			}
		}
	}
	give(func() bool { return h.waiting > l.waiting },
		func(s *shard, talks []*talk) ([]*talk, int64) { return s.waiting.oldest(talks) },
		func(s *shard, t *talk) {
			t.Anomaly(flow.Anomaly{Kind: flow.PendingLimit, Detail: "too much waits in all connections", Conversation: t.conv(), Packet: b.packet, Time: b.time})
			s.tcp.Release(t.tcp)
			s.track(t)
			s.weigh(t)
		})
	give(func() bool { return h.said > l.said },
		func(s *shard, talks []*talk) ([]*talk, int64) { return s.hoards.oldest(talks) },
		func(s *shard, t *talk) {
			if t.dialogue.Shorten() {
				s.hoards.remove(&t.dialogue.node)
				s.hoards.add(&t.dialogue.node, t, b.Number)
				s.weigh(t)
				return
			}
			t.dialogue.Abandon(b.time, b.packet, "the memory is needed for others")
			t.putAway()
		})
	give(func() bool { return l.tooMany(&h) },
		func(s *shard, talks []*talk) ([]*talk, int64) {
			list, age := s.table.Oldest(nil)
			return append(talks, s.talks(list)...), age
		},
		func(s *shard, t *talk) {
			if !t.over { // else only stragglers could still come
				t.Anomaly(flow.Anomaly{Kind: flow.TableLimit, Detail: "its place was needed for another", Conversation: t.conv(), Packet: b.packet, Time: b.time})
			}
			s.retire(t.entry)
		})
	for _, s := range d.shards {
		s.tcp.Forgetful(h.remembered > l.remembered)
		s.gaps.Full = h.gaps >= int64(l.gaps)
	}
}

// oldest returns the talks of all shards that are oldest, of the same age, in the
// order of their first packets.
func (d *Decoder) oldest(of func(s *shard, talks []*talk) ([]*talk, int64)) []*talk {
	var oldest []*talk
	least := int64(math.MaxInt64)
	for _, s := range d.shards {
		switch talks, age := of(s, nil); {
		case age < least:
			oldest, least = talks, age
		case age == least:
			oldest = append(oldest, talks...)
		}
	}
	sortByFirst(oldest)
	return oldest
}
