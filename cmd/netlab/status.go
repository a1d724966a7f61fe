package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"netlab/capture"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/proto"
)

// meter shows on a terminal how a capture goes: a line that is written over each second.
// It is a Source, and a decode.Sink that counts conversations.
type meter struct {
	src   capture.Source
	from  *origin
	talks bool // whether conversations are known
	shown *statusLine

	packets, bytes, conversations atomic.Int64
}

// meter shows how the capture goes, where there is a terminal that nothing else is
// printed on.
func (k *captureRun) meter() {
	watches := !k.c.IsSet("write")
	if !k.std.watched(watches) {
		return
	}
	k.live = &meter{src: k.src, from: k.from, talks: watches}
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
	if m.talks {
		s += ", " + printer.Count(m.conversations.Load(), "conversation")
	}
	return s
}

// Close takes the line away. A meter that is nil has none.
func (m *meter) Close() {
	if m != nil {
		m.shown.Close()
	}
}
