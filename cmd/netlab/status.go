package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/printer"
	"netlab/decode/proto"
)

// meter shows on a terminal how a capture goes: a line that is written over each second.
// It is a Source, and a decode.Sink that counts conversations.
type meter struct {
	src   capture.Source
	from  *origin
	pairs *pairs // nil where it is told of conversations
	shown *statusLine

	packets, bytes, conversations atomic.Int64
}

// pairs tell the conversations of packets that nobody decodes: they are between other endpoints
// than those that came before, of which maxPairs are remembered.
type pairs struct {
	look packet.Decoder
	seed flow.Seed
	seen map[uint64]struct{}
}

const maxPairs = 1 << 16

func newPairs() *pairs { return &pairs{seed: flow.NewSeed(), seen: make(map[uint64]struct{})} }

// isNew reports whether a packet begins a conversation.
func (s *pairs) isNew(p *capture.Packet) bool {
	if len(s.seen) == maxPairs {
		return false
	}
	if kind := s.look.Decode(p); kind != packet.TCP && kind != packet.UDP {
		return false
	}
	before := len(s.seen)
	s.seen[s.seed.Hash(&s.look.Segment.Flow)] = struct{}{}
	return len(s.seen) > before
}

// meter shows how the capture goes, where there is a terminal that nothing else is
// printed on.
func (k *captureRun) meter() {
	watches := !k.c.IsSet("write")
	if !k.std.watched(watches) {
		return
	}
	k.live = &meter{src: k.src, from: k.from}
	if !watches {
		k.live.pairs = newPairs()
	}
	k.src = k.live
	var packets, bytes int64
	k.live.shown = showLine(k.std.err, time.Second, func(time.Duration) string {
		p, b := k.live.packets.Load(), k.live.bytes.Load()
		line := k.live.line(p, p-packets, b-bytes)
		packets, bytes = p, b
		return line
	})
}

func (m *meter) Next() (*capture.Packet, error) {
	p, err := m.src.Next()
	if err == nil {
		m.packets.Add(1)
		m.bytes.Add(int64(p.Length))
		if m.pairs != nil && m.pairs.isNew(p) {
			m.conversations.Add(1)
		}
	}
	return p, err
}

// Exchange is what every Sink takes.
func (m *meter) Exchange(*proto.Exchange) error { return nil }

// Start counts a conversation.
func (m *meter) Start(*flow.Conversation) error {
	m.conversations.Add(1)
	return nil
}

// line says how things stand, with what came in the last second.
func (m *meter) line(packets, more, bytes int64) string {
	s := fmt.Sprintf("netlab: %s, %d a second, %s a second", printer.Count(packets, "packet"), more, printer.Bytes(bytes))
	if stats, err := m.from.Stats(); err == nil {
		s += fmt.Sprintf(", %d dropped", stats.Dropped)
		if stats.IfDropped > 0 {
			s += fmt.Sprintf(" and %d by the interface", stats.IfDropped)
		}
	}
	n := m.conversations.Load()
	s += ", " + printer.Count(n, "conversation")
	if m.pairs != nil && n == maxPairs {
		s += " or more"
	}
	return s
}

// Close takes the line away. A meter that is nil has none.
func (m *meter) Close() {
	if m != nil {
		m.shown.Close()
	}
}
