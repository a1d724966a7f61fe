package proto

// Spare is the memory of exchanges that were handed on, for those to come. Its
// zero value is ready. It serves the Dialogues of one goroutine.
//
// With a Spare, an exchange is the Receiver's only until Receiver.Exchange
// returns, and so are its messages with all strings and slices in them: who keeps
// one makes a copy, or says so by Exchange.Keep.
type Spare struct {
	exchanges []*Exchange
	shelves   []*shelf
}

// shelf holds the messages of one protocol.
type shelf struct {
	protocol *Protocol
	messages []*Message
}

// Bounds of a Spare: how many exchanges, and messages of a protocol, are kept,
// and what one of these may cost. Together that is a few megabytes at worst.
const (
	maxSpare     = 256
	maxSpareCost = 16 << 10
)

// shelf returns where the messages of a protocol are put; nil when they are not
// used again.
func (s *Spare) shelf(p *Protocol) *shelf {
	if s == nil || !p.Reuses {
		return nil
	}
	for _, k := range s.shelves {
		if k.protocol == p {
			return k
		}
	}
	k := &shelf{protocol: p}
	s.shelves = append(s.shelves, k)
	return k
}

// exchange returns one that is empty.
func (s *Spare) exchange() *Exchange {
	if s == nil || len(s.exchanges) == 0 {
		return new(Exchange)
	}
	last := len(s.exchanges) - 1
	e := s.exchanges[last]
	s.exchanges = s.exchanges[:last]
	*e = Exchange{Interim: e.Interim[:0]}
	return e
}

// put takes back an exchange, and its messages for the shelf.
func (s *Spare) put(e *Exchange, k *shelf) {
	if k != nil {
		k.put(e.Request)
		k.put(e.Response)
		for _, m := range e.Interim {
			k.put(m)
		}
	}
	e.Request, e.Response = nil, nil
	clear(e.Interim)
	if len(s.exchanges) < maxSpare {
		s.exchanges = append(s.exchanges, e)
	}
}

func (k *shelf) put(m *Message) {
	if m == nil || len(k.messages) == maxSpare {
		return
	}
	room := cap(m.Raw) + cap(m.text)
	if b, ok := m.Body.(interface{ room() int }); ok {
		room += b.room()
	}
	if room <= maxSpareCost {
		k.messages = append(k.messages, m)
	}
}

// spare returns a message of the protocol that w's conversation speaks, for its
// parser to return with the Body filled anew; nil when there is none.
func spare(w Waiting) *Message {
	g, ok := w.(*Dialogue)
	if !ok || g.shelf == nil || len(g.shelf.messages) == 0 {
		return nil
	}
	k := g.shelf
	last := len(k.messages) - 1
	m := k.messages[last]
	k.messages = k.messages[:last]
	*m = Message{Body: m.Body, Raw: m.Raw[:0], text: m.text[:0]}
	return m
}
