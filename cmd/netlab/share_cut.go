package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/printer"
	"netlab/decode/proto"
	"netlab/decode/where"
	"netlab/replay/bundle"
)

// cut says which packets of FILE are shared, and numbers them anew, the same in each reading.
// In one of them it is a Sink too, which sees what became of conversations.
type cut struct {
	choice *where.Choice
	picker *picker
	// collector knows the packets when FILE was read once; nil for all.
	collector *where.Collector

	// numbers are those of some packets in the cut, by those in FILE: of what a report tells.
	numbers map[int64]int64
	// first are the conversations of the report, by the number of their first packet in the
	// cut, and ids their IDs in the cut by those in FILE.
	first map[int64]int
	ids   map[int]int
	// done means that all that is read is the cut, and numbered so.
	done bool
	mu   sync.Mutex // of numbers, while they are found out
}

// cutting reads the flags that say what is shared.
func (s *sharing) cutting() error {
	c := s.c
	s.cut = &cut{numbers: make(map[int64]int64), first: make(map[int64]int), ids: make(map[int]int)}
	choice, chooses := where.Choice{}, false
	if c.IsSet("where") {
		f, err := where.Compile(c.String("where"))
		if err != nil {
			return err
		}
		choice.Filter, chooses = f, true
	}
	if c.IsSet("conversation") || c.IsSet("from-report") {
		choice.IDs, chooses = make(map[int]bool), true
	}
	if c.IsSet("conversation") {
		if err := parseIDs(c.String("conversation"), choice.IDs); err != nil {
			return usagef("netlab share: --conversation %s: %v", c.String("conversation"), err)
		}
	}
	if c.IsSet("from-report") {
		if err := s.fromReport(c.String("from-report")); err != nil {
			return err
		}
		for _, f := range s.findings {
			choice.IDs[f.Conversation] = true
		}
	}
	words := c.Args().Tail()
	picks := len(words) > 0
	for _, name := range []string{"packets", "after", "before", "duration", "count"} {
		picks = picks || c.IsSet(name)
	}
	if picks {
		var err error
		if s.cut.picker, err = newPicker(c, words); err != nil {
			return err
		}
		chooses = true
		choice.Packets = func(int64) bool { return s.cut.picker.took }
	}
	if chooses {
		s.cut.choice = &choice
	}
	return nil
}

// maxConversations bounds how many IDs can be named.
const maxConversations = 1 << 20

// parseIDs reads a list of IDs and ranges of them.
func parseIDs(list string, ids map[int]bool) error {
	// An ID counts from 0, a packet from 1.
	spans, err := parseSpansFrom(0, list)
	if err != nil || len(spans) == 0 {
		return fmt.Errorf("that is no list of conversations, as 3,7-9")
	}
	for _, s := range spans {
		if s.to-s.from >= maxConversations {
			return fmt.Errorf("a range of conversations has an end, and up to %d in it; --where picks by what they are", maxConversations)
		}
		for id := s.from; id <= s.to; id++ {
			ids[int(id)] = true
		}
	}
	return nil
}

// fromReport reads which exchanges differ.
func (s *sharing) fromReport(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("share: --from-report: %w", err)
	}
	defer f.Close()
	text := func(t string) string { return t } // it is replaced when it is known by what
	if s.findings, err = bundle.ReadReport(f, text); err != nil {
		return hinted{fmt.Errorf("share: --from-report %s: %w", name, err), "netlab replay " + s.file + " --to … --report json=" + name}
	}
	if len(s.findings) == 0 {
		return fmt.Errorf("share: --from-report %s: no answer in it differs, so there is nothing to take", name)
	}
	return nil
}

// choose reads FILE for which packets its conversations consist of.
func (s *sharing) choose(ctx context.Context) error {
	k := s.cut
	for _, f := range s.findings {
		k.numbers[f.Packet], k.numbers[f.AnswerPacket] = 0, 0
	}
	if k.choice == nil {
		return nil
	}
	s.stages.begin("choosing conversations")
	src, closer, keys, err := s.openKeyed()
	if err != nil {
		return err
	}
	defer closer.Close()
	collector := where.NewCollector(*k.choice)
	src = s.followed(ctx, src)
	if k.picker != nil {
		src = lending(&marking{src: src, picker: k.picker}, src)
	}
	if _, err := decode.Run(src, collector, decode.Options{Memory: s.room / 4, Secrets: keys}); err != nil || ctx.Err() != nil {
		return err
	}
	picked := collector.Picked()
	if len(picked) == 0 {
		return hinted{fmt.Errorf("share: no conversation in %s is picked by what is asked for", s.file), "netlab decode " + s.file}
	}
	there := make(map[int]int64)
	for _, p := range picked {
		there[p.ID] = p.First
	}
	for _, f := range s.findings {
		if first, ok := there[f.Conversation]; ok {
			k.numbers[first] = 0
			k.ids[f.Conversation] = -1
		}
	}
	if len(s.findings) > 0 && len(k.ids) == 0 {
		return fmt.Errorf("share: --from-report: no conversation that it tells of is in %s", s.file)
	}
	for id := range k.ids {
		k.first[there[id]] = id
	}
	k.collector = collector
	return nil
}

// marking is a Source that shows its packets to a picker.
type marking struct {
	src    capture.Source
	picker *picker
}

func (m *marking) Next() (*capture.Packet, error) {
	p, err := m.src.Next()
	if err == nil {
		// That no more are taken does not end the reading: conversations are whole.
		if m.picker.took, err = m.picker.takes(p); err != nil && err != errEnough {
			return nil, err
		}
		err = nil
	}
	return p, err
}

// of is the cut of a Source of FILE; several may be read at a time.
func (k *cut) of(src capture.Source) *cutSource { return &cutSource{cut: k, src: src} }

// numbering is the one in which it is found out what numbers there are in it.
func (k *cut) numbering(src capture.Source) *cutSource {
	return &cutSource{cut: k, src: src, numbering: !k.done}
}

// settle says that all which is read from now on was written of the cut. Of the numbers of some
// packets in it, out has those of what they became.
func (k *cut) settle(out map[int64]int64) {
	for was, is := range k.numbers {
		if is > 0 { // it is in the cut
			k.numbers[was] = out[is]
		}
	}
	k.collector, k.done = nil, true
}

// cutSource are the packets that are shared, numbered anew.
type cutSource struct {
	*cut
	src    capture.Source
	look   packet.Decoder
	packet capture.Packet
	number int64

	numbering bool
}

func (k *cutSource) Next() (*capture.Packet, error) {
	for {
		p, err := k.src.Next()
		if err != nil {
			return p, err
		}
		// Which fragments belong to what is known only when they are put together.
		if k.collector != nil && !k.collector.Has(p.Number) && k.look.Decode(p) != packet.Fragment {
			continue
		}
		k.number++
		if k.numbering {
			k.numberIs(p.Number, k.number)
		}
		k.packet = *p
		k.packet.Number = k.number
		return &k.packet, nil
	}
}

// numberIs notes which number a packet has in the cut, if that is asked for.
func (k *cut) numberIs(number, in int64) {
	if _, ok := k.numbers[number]; ok {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.numbers[number] = in
	}
}

// Exchange is what every Sink takes.
func (k *cut) Exchange(*proto.Exchange) error { return nil }

// Start learns what a conversation is called in the cut.
func (k *cut) Start(c *flow.Conversation) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for first, id := range k.first {
		if k.numbers[first] == c.First {
			k.ids[id] = c.ID
			delete(k.first, first)
		}
	}
	return nil
}

// Fork returns what gathers conversations that began.
func (k *cut) Fork() decode.Part { return &begun{cut: k} }

// Flush does nothing.
func (k *cut) Flush() error { return nil }

// begun are conversations that began, until they have their IDs.
type begun struct {
	*cut
	list []*flow.Conversation
}

// Start gathers a conversation, if there is any to look for.
func (b *begun) Start(c *flow.Conversation) error {
	if len(b.first) > 0 {
		b.list = append(b.list, c)
	}
	return nil
}

// Len is how many there are.
func (b *begun) Len() int { return len(b.list) }

// Write learns what they are called.
func (b *begun) Write(from, to int) error {
	for _, c := range b.list[from:to] {
		if err := b.cut.Start(c); err != nil {
			return err
		}
	}
	return nil
}

// Reset forgets them.
func (b *begun) Reset() {
	clear(b.list)
	b.list = b.list[:0]
}

// scratch makes files that nobody else sees, and that are gone in the end.
type scratch struct {
	dir   string
	mu    sync.Mutex
	files []*os.File
	names []string // of those that have one
}

// file makes another one.
func (s *scratch) file() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, ".netlab-share.*") // with mode 0600
	if err != nil {
		return nil, fmt.Errorf("share: make room for what is shared: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = append(s.files, f)
	if os.Remove(f.Name()) != nil { // where an open file has to keep its name
		s.names = append(s.names, f.Name())
	}
	return f, nil
}

// Close lets go of all files.
func (s *scratch) Close() error {
	for _, f := range s.files {
		f.Close()
	}
	for _, name := range s.names {
		os.Remove(name)
	}
	return nil
}

// settled puts findings into the words of the cut: its conversations, its packets and its text.
func (k *cut) settled(list []bundle.Finding, out map[int64]int64, text func(string) string) []bundle.Finding {
	var settled []bundle.Finding
	for _, f := range list {
		id, ok := k.ids[f.Conversation]
		if !ok || id < 0 {
			continue // another condition leaves it out
		}
		f.Conversation = id
		f.Packet, f.AnswerPacket = out[k.numbers[f.Packet]], out[k.numbers[f.AnswerPacket]]
		f.Protocol = printer.Clean(f.Protocol)
		differences := make([]bundle.Difference, len(f.Differences))
		for i, d := range f.Differences {
			d.Path = text(d.Path)
			differences[i] = d
		}
		f.Differences = differences
		settled = append(settled, f)
	}
	return settled
}
