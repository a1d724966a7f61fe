package where

import (
	"encoding/binary"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Collector takes down which packets the conversations consist of that have an
// exchange that a filter picks, for them to be copied. It keeps a bit for each packet,
// and the numbers of those of which it is not known yet.
type Collector struct {
	filter *Filter
	picked map[*flow.Conversation]bool
	early  map[*flow.Conversation]*numbers
	bits   []uint64
}

// numbers are some that go up, as the differences between them.
type numbers struct {
	last  int64
	bytes []byte
}

// NewCollector returns one; a nil filter picks all conversations.
func NewCollector(f *Filter) *Collector {
	return &Collector{filter: f, picked: make(map[*flow.Conversation]bool), early: make(map[*flow.Conversation]*numbers)}
}

// Packet takes down a packet.
func (c *Collector) Packet(v *flow.Conversation, number int64) error {
	if c.filter == nil || c.picked[v] {
		c.set(number)
		return nil
	}
	n := c.early[v]
	if n == nil {
		n = new(numbers)
		c.early[v] = n
	}
	n.bytes = binary.AppendUvarint(n.bytes, uint64(number-n.last))
	n.last = number
	return nil
}

func (c *Collector) set(number int64) {
	i := number / 64
	for int64(len(c.bits)) <= i {
		c.bits = append(c.bits, 0)
	}
	c.bits[i] |= 1 << (number % 64)
}

// Exchange picks a conversation.
func (c *Collector) Exchange(e *proto.Exchange) error {
	v := e.Conversation
	if c.filter == nil || c.picked[v] || !c.filter.Match(e) {
		return nil
	}
	c.picked[v] = true
	if n := c.early[v]; n != nil {
		number := int64(0)
		for b := n.bytes; len(b) > 0; {
			d, size := binary.Uvarint(b)
			number, b = number+int64(d), b[size:]
			c.set(number)
		}
		delete(c.early, v)
	}
	return nil
}

// Finish forgets a conversation.
func (c *Collector) Finish(v *flow.Conversation) error {
	delete(c.picked, v)
	delete(c.early, v)
	return nil
}

// Has reports whether a packet is of a conversation that was picked.
func (c *Collector) Has(number int64) bool {
	i := number / 64
	return i < int64(len(c.bits)) && c.bits[i]>>(number%64)&1 == 1
}
