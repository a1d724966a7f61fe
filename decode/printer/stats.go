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
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Stats prints what a capture comes to: a line for each protocol, with how long
// answers took and what they were, and the sums.
type Stats struct {
	// JSON prints JSON Lines: a record for each protocol, then that of the capture.
	JSON *JSON

	w         io.Writer
	style     Style
	protocols map[string]*protocolStats
	parts     []*Stats
}

// protocolStats are the sums of a protocol.
type protocolStats struct {
	conversations int64
	exchanges     [3]int64 // by state
	packets       [2]int64 // of each direction
	bytes         [2]int64
	latency       *hdrhistogram.Histogram // in microseconds
	longest       time.Duration
	codes         map[int]int64 // of responses
}

// maxLatency is the longest that is told from longer ones, in microseconds: an
// hour.
const maxLatency = int64(time.Hour / time.Microsecond)

// NewStats returns a printer to w.
func NewStats(w io.Writer, style Style) *Stats {
	return &Stats{w: w, style: style, protocols: make(map[string]*protocolStats)}
}

// of returns the sums of a protocol.
func (s *Stats) of(name string) *protocolStats {
	p := s.protocols[name]
	if p == nil {
		p = &protocolStats{latency: hdrhistogram.New(1, maxLatency, 2), codes: make(map[int]int64)}
		s.protocols[name] = p
	}
	return p
}

// Exchange counts an exchange.
func (s *Stats) Exchange(e *proto.Exchange) error {
	p := s.of(e.Protocol.Name)
	p.exchanges[e.State]++
	if d, ok := e.Latency(); ok {
		if err := p.latency.RecordValue(min(d.Microseconds(), maxLatency)); err != nil {
			panic("BUG: " + err.Error())
		}
		p.longest = max(p.longest, d)
	}
	if e.Response != nil {
		switch body := e.Response.Body.(type) {
		case *proto.HTTPMessage:
			p.codes[body.Status]++
		case *proto.DNSMessage:
			p.codes[body.Code()]++
		case *proto.FTPReply:
			p.codes[body.Code]++
		}
	}
	return nil
}

// Finish counts a conversation.
func (s *Stats) Finish(c *flow.Conversation) error {
	p := s.of(c.Protocol)
	p.conversations++
	for d := range c.Sides {
		p.packets[d] += c.Sides[d].Packets
		p.bytes[d] += c.Sides[d].Bytes
	}
	return nil
}

// Fork returns a Stats that counts a shard's part.
func (s *Stats) Fork() decode.Part {
	part := NewStats(nil, s.style)
	s.parts = append(s.parts, part)
	return part
}

// Len, Write, Reset and Flush have nothing to do: the order of what is counted
// does not matter.
func (s *Stats) Len() int { return 0 }

// Write does nothing.
func (s *Stats) Write(int, int) error { return nil }

// Reset does nothing.
func (s *Stats) Reset() {}

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
	p.latency.Merge(o.latency)
	p.longest = max(p.longest, o.longest)
	for code, n := range o.codes {
		p.codes[code] += n
	}
}

// quantile returns the latency that q percent do not exceed, to two digits; of all
// it is exact.
func (p *protocolStats) quantile(q float64) time.Duration {
	if q == 100 {
		return p.longest
	}
	return min(time.Duration(p.latency.ValueAtQuantile(q))*time.Microsecond, p.longest)
}

// Summary prints all.
func (s *Stats) Summary(sum *decode.Summary) error {
	for _, part := range s.parts {
		for name, p := range part.protocols {
			s.of(name).add(p)
		}
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
		return s.JSON.Summary(sum)
	}
	t := table{
		style: s.style,
		head:  []string{"protocol", "conversations", "complete", "unanswered", "broken", "sent", "received", "median", "p99", "max", "answers"},
		right: []bool{false, true, true, true, true, true, true, true, true, true},
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, name := range names {
		p := s.protocols[name]
		latency := func(q float64) string {
			if p.latency.TotalCount() == 0 {
				return ""
			}
			return Duration(p.quantile(q))
		}
		t.add([]paint{cyan}, name, number(p.conversations), number(p.exchanges[proto.Complete]), number(p.exchanges[proto.Unanswered]),
			number(p.exchanges[proto.Broken]), Bytes(p.bytes[0]), Bytes(p.bytes[1]), latency(50), latency(99), latency(100), answers(name, p))
	}
	w := bufio.NewWriter(s.w)
	if len(names) > 0 {
		t.write(w)
		w.WriteByte('\n')
	}
	for _, kind := range sum.Anomalous() {
		fmt.Fprintln(w, s.style.paint(yellow, "odd: ")+kind+", "+Count(sum.Anomalies[kind], "time"))
	}
	w.WriteString(Account(sum))
	return w.Flush()
}

// maxAnswers bounds the codes of a line.
const maxAnswers = 6

// answers lists what a protocol's responses were, the most frequent first.
func answers(name string, p *protocolStats) string {
	codes := p.sorted()
	var parts []string
	for i, code := range codes {
		if i == maxAnswers {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", codeName(name, code), p.codes[code]))
	}
	return strings.Join(parts, ", ")
}

func (p *protocolStats) sorted() []int {
	return slices.SortedFunc(maps.Keys(p.codes), func(a, b int) int {
		return cmp.Or(cmp.Compare(p.codes[b], p.codes[a]), cmp.Compare(a, b))
	})
}

// codeName is what people call a code.
func codeName(protocol string, code int) string {
	if protocol == proto.DNS.Name {
		return proto.RcodeName(code)
	}
	return strconv.Itoa(code)
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
	if p.latency.TotalCount() > 0 {
		j.name("latency_ms")
		j.buf = append(j.buf, '{')
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"max", 100}} {
			j.name(q.name)
			j.buf = proto.AppendMillis(j.buf, p.quantile(q.at))
		}
		j.buf = append(j.buf, '}')
	}
	if len(p.codes) > 0 {
		j.name("answers")
		j.buf = append(j.buf, '{')
		for _, code := range p.sorted() {
			j.int(codeName(name, code), p.codes[code])
		}
		j.buf = append(j.buf, '}')
	}
	return j.end()
}
