package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

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
	w     io.Writer
	talks bool // whether conversations are known

	packets, bytes, conversations atomic.Int64

	stop  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
}

// meter shows how the capture goes, where there is a terminal that nothing else is
// printed on.
func (k *captureRun) meter() {
	f, ok := k.std.err.(*os.File)
	watches := !k.c.IsSet("write")
	if !ok || !term.IsTerminal(int(f.Fd())) || watches && k.std.terminal() {
		return
	}
	k.live = &meter{src: k.src, from: k.from, w: f, talks: watches, stop: make(chan struct{})}
	k.src = k.live
	k.live.ended.Go(k.live.print)
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

// print prints the line until Close.
func (m *meter) print() {
	const every = time.Second
	tick := time.NewTicker(every)
	defer tick.Stop()
	var packets, bytes int64
	for {
		select {
		case <-tick.C:
			p, b := m.packets.Load(), m.bytes.Load()
			fmt.Fprintf(m.w, "\r\x1b[K%s", m.line(p, p-packets, b-bytes))
			packets, bytes = p, b
		case <-m.stop:
			fmt.Fprint(m.w, "\r\x1b[K")
			return
		}
	}
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
		m.once.Do(func() { close(m.stop) })
		m.ended.Wait()
	}
}
