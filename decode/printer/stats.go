package printer

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Stats prints what a capture comes to: a line for each protocol, with how long
// answers took and what they were; one for each endpoint; the largest
// conversations; how TCP fared; and the sums.
type Stats struct {
	// JSON prints JSON Lines: a record for each of these, then that of the capture.
	JSON *JSON

	w         io.Writer
	style     Style
	protocols map[string]*protocolStats
	// latest are the sums that were asked for last, those of latestName.
	latest     *protocolStats
	latestName string
	largest    []largest // conversations, the largest first
	tcp        tcpStats
	parts      []*Stats
}

// protocolStats are the sums of a protocol.
type protocolStats struct {
	conversations int64
	exchanges     [3]int64 // by state
	packets       [2]int64 // of each direction
	bytes         [2]int64
	latency       times
	outcomes      map[outcome]int64
	// repeated is how often the latest outcome came in a row, not in outcomes yet.
	latest    outcome
	repeated  int64
	endpoints map[string]*endpointStats
	// crowded means that there are more endpoints than there is room for: they are
	// counted as one.
	crowded bool
	name    []byte // of the endpoint asked for last
}

// outcome is how an exchange went: a number or a word.
type outcome struct {
	code int
	word string
}

func (o outcome) String() string {
	if o.word != "" {
		return o.word
	}
	return strconv.Itoa(o.code)
}

// outcomeOf returns how an exchange went, whether that is a failure, and whether it
// is known.
func outcomeOf(e *proto.Exchange) (o outcome, failed, known bool) {
	if e.Response == nil {
		return o, false, false
	}
	b, ok := e.Response.Body.(proto.Outcome)
	if !ok {
		return o, false, false
	}
	o.code, o.word, failed = b.Outcome()
	if o.word != "" {
		o.code = 0
	}
	return o, failed, true
}

// NewStats returns a printer to w.
func NewStats(w io.Writer, style Style) *Stats {
	return &Stats{w: w, style: style, protocols: make(map[string]*protocolStats), tcp: newTCPStats()}
}

// of returns the sums of a protocol: mostly, those asked for last.
func (s *Stats) of(name string) *protocolStats {
	if s.latest != nil && s.latestName == name {
		return s.latest
	}
	p := s.protocols[name]
	if p == nil {
		p = &protocolStats{latency: times{digits: 2}, outcomes: make(map[outcome]int64), endpoints: make(map[string]*endpointStats)}
		s.protocols[name] = p
	}
	s.latest, s.latestName = p, name
	return p
}

// Exchange counts an exchange.
func (s *Stats) Exchange(e *proto.Exchange) error {
	p := s.of(e.Protocol.Name)
	p.exchanges[e.State]++
	d, answered := e.Latency()
	if answered {
		p.latency.add(d)
	}
	o, failed, known := outcomeOf(e)
	if known {
		p.came(o)
	}
	p.asked(e, d, answered, failed)
	return nil
}

// came counts an outcome: mostly, it is that which came before.
func (p *protocolStats) came(o outcome) {
	if o != p.latest {
		p.settle()
		p.latest = o
	}
	p.repeated++
}

// settle makes outcomes complete.
func (p *protocolStats) settle() {
	if p.repeated > 0 {
		p.outcomes[p.latest] += p.repeated
		p.repeated = 0
	}
}

// Finish counts a conversation.
func (s *Stats) Finish(c *flow.Conversation) error {
	p := s.of(c.Protocol)
	p.conversations++
	for d := range c.Sides {
		p.packets[d] += c.Sides[d].Packets
		p.bytes[d] += c.Sides[d].Bytes
	}
	if c.Transport() == flow.TCP {
		s.tcp.count(c)
	}
	s.large(c)
	return nil
}

// Fork returns a Stats that counts a shard's part.
func (s *Stats) Fork() decode.Part {
	part := NewStats(nil, s.style)
	s.parts = append(s.parts, part)
	return part
}

// Len, Write and Flush have nothing to do: the order of what is counted does not
// matter.
func (s *Stats) Len() int { return 0 }

// Write does nothing.
func (s *Stats) Write(int, int) error { return nil }

// Reset takes down the numbers of the largest conversations, which are known now.
func (s *Stats) Reset() { s.settle() }

// Flush does nothing.
func (s *Stats) Flush() error { return nil }

// add adds up what parts have counted.
func (p *protocolStats) add(o *protocolStats) {
	p.conversations += o.conversations
	for i, n := range o.exchanges {
		p.exchanges[i] += n
	}
	for d := range p.packets {
		p.packets[d] += o.packets[d]
		p.bytes[d] += o.bytes[d]
	}
	p.latency.merge(&o.latency)
	o.settle()
	for code, n := range o.outcomes {
		p.outcomes[code] += n
	}
	p.addEndpoints(o)
}

// Summary prints all.
func (s *Stats) Summary(sum *decode.Summary) error {
	for _, part := range s.parts {
		for name, p := range part.protocols {
			s.of(name).add(p)
		}
		s.tcp.add(&part.tcp)
		for _, l := range part.largest {
			s.keep(l)
		}
	}
	s.settle()
	for _, p := range s.protocols {
		p.settle()
	}
	names := slices.SortedFunc(maps.Keys(s.protocols), func(a, b string) int {
		x, y := s.protocols[a], s.protocols[b]
		return cmp.Or(cmp.Compare(y.conversations, x.conversations), cmp.Compare(a, b))
	})
	if s.JSON != nil {
		for _, name := range names {
			if err := s.JSON.stats(name, s.protocols[name]); err != nil {
				return err
			}
		}
		for _, k := range s.sortedEndpoints() {
			if err := s.JSON.asked(k, s.at(k)); err != nil {
				return err
			}
		}
		for i := range s.largest {
			if err := s.JSON.largest(&s.largest[i]); err != nil {
				return err
			}
		}
		if err := s.JSON.tcp(&s.tcp); err != nil {
			return err
		}
		return s.JSON.Summary(sum)
	}
	t := table{
		style: s.style,
		head:  []string{"protocol", "conversations", "complete", "unanswered", "broken", "sent", "received", "median", "p99", "max", "answers"},
		right: []bool{false, true, true, true, true, true, true, true, true, true},
		spare: []int{9, 5, 10, 6, 7, 8},
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, name := range names {
		p := s.protocols[name]
		latency := func(q float64) string {
			if !p.latency.any() {
				return ""
			}
			return Duration(p.latency.quantile(q))
		}
		t.add([]paint{cyan}, name, number(p.conversations), number(p.exchanges[proto.Complete]), number(p.exchanges[proto.Unanswered]),
			number(p.exchanges[proto.Broken]), Bytes(p.bytes[0]), Bytes(p.bytes[1]), latency(50), latency(99), latency(100), answers(p))
	}
	w := bufio.NewWriter(s.w)
	if len(names) > 0 {
		t.write(w)
		w.WriteByte('\n')
	}
	s.writeEndpoints(w)
	s.writeLargest(w)
	s.tcp.write(w)
	for _, kind := range sum.Anomalous() {
		fmt.Fprintln(w, s.style.paint(yellow, "odd: ")+kind+", "+Count(sum.Anomalies[kind], "time"))
	}
	w.WriteString(Account(sum))
	return w.Flush()
}

// maxAnswers bounds the codes of a line.
const maxAnswers = 6

// answers lists what a protocol's responses were, the most frequent first.
func answers(p *protocolStats) string {
	codes := p.sorted()
	var parts []string
	for i, code := range codes {
		if i == maxAnswers {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", Clean(code.String()), p.outcomes[code]))
	}
	return strings.Join(parts, ", ")
}

func (p *protocolStats) sorted() []outcome {
	return slices.SortedFunc(maps.Keys(p.outcomes), func(a, b outcome) int {
		return cmp.Or(cmp.Compare(p.outcomes[b], p.outcomes[a]), cmp.Compare(a.code, b.code), cmp.Compare(a.word, b.word))
	})
}

// stats prints the record of a protocol.
func (j *JSON) stats(name string, p *protocolStats) error {
	j.begin("stats")
	j.str("protocol", name)
	j.int("conversations", p.conversations)
	j.name("exchanges")
	j.buf = append(j.buf, '{')
	for state, n := range p.exchanges {
		j.int(proto.State(state).String(), n)
	}
	j.buf = append(j.buf, '}')
	for d := range p.packets {
		j.name(flow.Direction(d).String())
		j.buf = append(j.buf, '{')
		j.int("packets", p.packets[d])
		j.int("bytes", p.bytes[d])
		j.buf = append(j.buf, '}')
	}
	if p.latency.any() {
		j.quantiles("latency_ms", &p.latency)
	}
	if len(p.outcomes) > 0 {
		j.name("answers")
		j.buf = append(j.buf, '{')
		for _, code := range p.sorted() {
			j.named(code.String())
			j.buf = strconv.AppendInt(j.buf, p.outcomes[code], 10)
		}
		j.buf = append(j.buf, '}')
	}
	return j.end()
}
