package proof

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"netlab/replay/values"
)

// Difference is something in which two recordings are not the same.
type Difference struct {
	Conversation int // -1 when it is about all
	What         string
}

// String writes it for people.
func (d Difference) String() string {
	if d.Conversation < 0 {
		return d.What
	}
	return fmt.Sprintf("conversation %d: %s", d.Conversation, d.What)
}

// MaxDifferences bounds how many are told.
const MaxDifferences = 100

// Compare returns in what a recording differs from the one that was made of it, up to
// MaxDifferences.
func Compare(was, is *Outline) []Difference {
	c := &comparison{there: make(map[uint64]uint64), back: make(map[uint64]uint64)}
	for _, o := range []*Outline{was, is} {
		slices.SortFunc(o.conns, func(a, b conversation) int { return cmp.Compare(a.id, b.id) })
	}
	if a, b := len(was.conns), len(is.conns); a != b {
		c.differs(-1, "conversations were %d, are %d", a, b)
	}
	for i := range min(len(was.conns), len(is.conns)) {
		c.conversation(&was.conns[i], &is.conns[i])
	}
	c.values(was.values(), is.values())
	return c.list
}

// comparison is one under way.
type comparison struct {
	list []Difference
	// there and back say which address, by its hash, stands for which.
	there, back map[uint64]uint64
}

func (c *comparison) differs(conversation int, format string, args ...any) {
	if len(c.list) < MaxDifferences {
		c.list = append(c.list, Difference{conversation, fmt.Sprintf(format, args...)})
	}
}

func (c *comparison) conversation(a, b *conversation) {
	differs := func(what string, was, is any) {
		if was != is {
			c.differs(int(a.id), "%s was %v, is %v", what, was, is)
		}
	}
	differs("its number", a.id, b.id)
	differs("the transport", a.transport, b.transport)
	differs("the protocol", a.protocol, b.protocol)
	differs("the server's port", a.server.port, b.server.port)
	differs("the client's port", a.client.port, b.client.port)
	differs("what it was opened for", a.opened, b.opened)
	differs("why it can't be replayed", a.skip, b.skip)
	differs("its end", a.close, b.close)
	if differs("the number of its exchanges", a.exchanges, b.exchanges); a.exchanges == b.exchanges {
		differs("what can be compared", a.comparable, b.comparable)
		if a.answered != b.answered {
			c.differs(int(a.id), "its exchanges are of another kind, or came to something else")
		}
	}
	if a.said != b.said {
		c.differs(int(a.id), "its client waits for other answers")
	}
	c.address(int(a.id), a.client.addr, b.client.addr)
	c.address(int(a.id), a.server.addr, b.server.addr)
}

// address wants each address to stand for one, and one only.
func (c *comparison) address(id int, was, is uint64) {
	there, ok := c.there[was]
	if back, known := c.back[is]; ok && there != is || known && back != was {
		c.differs(id, "its addresses do not stand for one each")
	}
	c.there[was], c.back[is] = is, was
}

// packetNumber matches numbers in reasons: sanitising may change those of packets.
var packetNumber = regexp.MustCompile(`\d+`)

// apart is a reason without the numbers of packets in it.
func apart(skip string) string { return packetNumber.ReplaceAllLiteralString(skip, "…") }

// used is a value that lives, without what only one recording has.
type used struct {
	from, first values.Ref
	place, at   string
	form        values.Form
	confidence  values.Confidence
	uses        int
}

func (c *comparison) values(was, is *values.Found) {
	a, b := usedOf(was), usedOf(is)
	for _, v := range sorted(a) {
		if !b[v] {
			c.differs(v.first.Conversation, "the %s from response %d of conversation %d, which %s of request %d has, is no longer found", v.place, v.from.Index, v.from.Conversation, v.at, v.first.Index)
		}
	}
	for _, v := range sorted(b) {
		if !a[v] {
			c.differs(v.first.Conversation, "a %s is taken for what response %d of conversation %d made up, and was not", v.place, v.from.Index, v.from.Conversation)
		}
	}
	slices.SortStableFunc(c.list, func(x, y Difference) int { return cmp.Compare(x.Conversation, y.Conversation) })
}

func usedOf(f *values.Found) map[used]bool {
	list := make(map[used]bool)
	for i := range f.Values {
		if v := &f.Values[i]; v.Uses > 0 {
			list[used{v.From, v.First.In, placeOf(v.Place), placeOf(v.First.Place), v.Form, v.Confidence, v.Uses}] = true
		}
	}
	return list
}

// sorted are values in the order of their first uses, and then in any that is the same each time.
func sorted(list map[used]bool) []used {
	return slices.SortedFunc(maps.Keys(list), func(a, b used) int {
		return cmp.Or(a.first.Compare(b.first), a.from.Compare(b.from), cmp.Compare(a.place+a.at, b.place+b.at), cmp.Compare(a.form, b.form),
			cmp.Compare(a.confidence, b.confidence), cmp.Compare(a.uses, b.uses))
	})
}

// placeOf is a place without the text that stands around it, which may be another.
func placeOf(p values.Place) string {
	if p.Kind == values.Text {
		p.Name = ""
	}
	p.Shape = ""
	return p.String()
}
