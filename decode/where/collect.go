package where

import (
	"encoding/binary"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Choice says which conversations are picked: those of which all of it holds. One that was
// opened for another, as a data connection of FTP, is picked with that, and counts as part of
// it. The zero value picks all.
type Choice struct {
	Filter  *Filter                 // that holds for one of its exchanges; nil asks for none
	IDs     map[int]bool            // that its ID is among; nil asks for none
	Packets func(number int64) bool // that holds for one of its packets; nil asks for none
}

// Collector takes down which packets the conversations consist of that are picked, for them
// to be copied. It keeps a bit for each packet, and the numbers of those of which it is not
// known yet.
type Collector struct {
	choice Choice
	wants  uint8 // what has to be seen of a conversation
	open   map[*flow.Conversation]*candidate
	bits   []uint64
	picked []Picked
}

// Picked is a conversation that was picked, and the number of its first packet.
type Picked struct {
	ID    int
	First int64
}

// candidate is a conversation that goes on, with those that were opened for it.
type candidate struct {
	lacks   uint8    // what was not seen of it yet; nothing when it is picked
	early   numbers  // of its packets before that
	members []Picked // that are told of when it is picked
}

// What has to be seen of a conversation.
const (
	anExchange = 1 << iota
	aPacket
	itsID
)

// numbers are some that go up, as the differences between them.
type numbers struct {
	last  int64
	bytes []byte
}

// NewCollector returns one that was told of nothing yet.
func NewCollector(choice Choice) *Collector {
	c := &Collector{choice: choice, open: make(map[*flow.Conversation]*candidate)}
	if choice.Filter != nil {
		c.wants |= anExchange
	}
	if choice.Packets != nil {
		c.wants |= aPacket
	}
	if choice.IDs != nil {
		c.wants |= itsID
	}
	return c
}

// candidate returns what is known of a conversation.
func (c *Collector) candidate(v *flow.Conversation) *candidate {
	if k := c.open[v]; k != nil {
		return k
	}
	var k *candidate
	if v.For != nil {
		k = c.open[v.For.Parent]
	}
	if k == nil {
		k = &candidate{lacks: c.wants}
	}
	c.open[v] = k
	if p := (Picked{v.ID, v.First}); k.lacks == 0 {
		c.picked = append(c.picked, p)
	} else {
		k.members = append(k.members, p)
	}
	if k.lacks&itsID != 0 && c.choice.IDs[v.ID] {
		c.saw(k, itsID)
	}
	return k
}

// Packet takes down a packet.
func (c *Collector) Packet(v *flow.Conversation, number int64) error {
	k := c.candidate(v)
	if k.lacks&aPacket != 0 && c.choice.Packets(number) {
		c.saw(k, aPacket)
	}
	if k.lacks == 0 {
		c.set(number)
		return nil
	}
	k.early.bytes = binary.AppendUvarint(k.early.bytes, uint64(number-k.early.last))
	k.early.last = number
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
	if k := c.candidate(e.Conversation); k.lacks&anExchange != 0 && c.choice.Filter.Match(e) {
		c.saw(k, anExchange)
	}
	return nil
}

// saw takes down what came before, when nothing more is lacking.
func (c *Collector) saw(k *candidate, what uint8) {
	if k.lacks &^= what; k.lacks != 0 {
		return
	}
	c.picked = append(c.picked, k.members...)
	number := int64(0)
	for b := k.early.bytes; len(b) > 0; {
		d, size := binary.Uvarint(b)
		number, b = number+int64(d), b[size:]
		c.set(number)
	}
	k.early, k.members = numbers{}, nil
}

// Finish forgets a conversation.
func (c *Collector) Finish(v *flow.Conversation) error {
	delete(c.open, v)
	return nil
}

// Picked returns the conversations that were picked.
func (c *Collector) Picked() []Picked { return c.picked }

// Has reports whether a packet is of a conversation that was picked.
func (c *Collector) Has(number int64) bool {
	i := number / 64
	return i < int64(len(c.bits)) && c.bits[i]>>(number%64)&1 == 1
}
