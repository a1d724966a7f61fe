package printer

import (
	"bufio"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"netlab/decode/flow"
)

// largest is one of the largest conversations.
type largest struct {
	of             *flow.Conversation // until its number is known
	id             int
	first          int64
	protocol       string
	client, server netip.AddrPort
	span           time.Duration
	bytes          [2]int64
	state          string
}

// maxLargest is how many there are.
const maxLargest = 10

func (l *largest) total() int64 { return l.bytes[0] + l.bytes[1] }

func (l *largest) compare(o *largest) int {
	return cmp.Or(cmp.Compare(o.total(), l.total()), cmp.Compare(l.first, o.first))
}

// large keeps a conversation if it is one of the largest.
func (s *Stats) large(c *flow.Conversation) {
	l := largest{of: c, first: c.First, bytes: [2]int64{c.Sides[0].Bytes, c.Sides[1].Bytes}}
	if n := len(s.largest); n == maxLargest && l.compare(&s.largest[n-1]) >= 0 || l.total() == 0 {
		return
	}
	l.protocol, l.client, l.server, l.span, l.state = c.Protocol, c.Client(), c.Server(), c.End.Sub(c.Start), ending(c)+trouble(troubles(c))
	s.keep(l)
}

func (s *Stats) keep(l largest) {
	i, _ := slices.BinarySearchFunc(s.largest, l, func(a, b largest) int { return a.compare(&b) })
	if i >= maxLargest {
		return
	}
	s.largest = slices.Insert(s.largest, i, l)
	s.largest = s.largest[:min(len(s.largest), maxLargest)]
}

// settle takes down the numbers.
func (s *Stats) settle() {
	for i := range s.largest {
		if l := &s.largest[i]; l.of != nil {
			l.id, l.of = l.of.ID, nil
		}
	}
}

func (s *Stats) writeLargest(w *bufio.Writer) {
	if len(s.largest) == 0 {
		return
	}
	t := table{
		style: s.style,
		head:  []string{"largest", "protocol", "client", "server", "duration", "sent", "received", "state"},
		right: []bool{true, false, false, false, true, true, true, false},
		spare: []int{4, 7, 1},
	}
	for i := range s.largest {
		l := &s.largest[i]
		t.add([]paint{dim, cyan}, strconv.Itoa(l.id), l.protocol, l.client.String(), l.server.String(), Duration(l.span),
			Bytes(l.bytes[0]), Bytes(l.bytes[1]), strings.TrimPrefix(l.state, ", "))
	}
	t.write(w)
	w.WriteByte('\n')
}

// largest prints the record of one.
func (j *JSON) largest(l *largest) error {
	j.begin("largest")
	j.int("conversation", int64(l.id))
	j.str("protocol", l.protocol)
	j.endpoint("client", l.client)
	j.endpoint("server", l.server)
	j.int("sent", l.bytes[0])
	j.int("received", l.bytes[1])
	return j.end()
}

// tcpStats says how TCP fared.
type tcpStats struct {
	conversations, resets                     int64
	packets, resent, reordered, full, missing int64
	roundTrip                                 times
}

func newTCPStats() tcpStats { return tcpStats{roundTrip: times{digits: 2}} }

// count adds a conversation.
func (t *tcpStats) count(c *flow.Conversation) {
	t.conversations++
	if c.State == flow.Reset {
		t.resets++
	}
	for d := range c.Sides {
		x := c.Sides[d].Extra()
		t.packets += c.Sides[d].Packets
		t.resent += x.Retransmitted
		t.reordered += x.OutOfOrder
		t.full += x.ZeroWindows
		t.missing += x.GapBytes
	}
	if c.RoundTrip > 0 {
		t.roundTrip.add(c.RoundTrip)
	}
}

func (t *tcpStats) add(o *tcpStats) {
	t.conversations += o.conversations
	t.resets += o.resets
	t.packets += o.packets
	t.resent += o.resent
	t.reordered += o.reordered
	t.full += o.full
	t.missing += o.missing
	t.roundTrip.merge(&o.roundTrip)
}

func (t *tcpStats) write(w *bufio.Writer) {
	if t.conversations == 0 {
		return
	}
	if t.roundTrip.any() {
		fmt.Fprintf(w, "round trips: median %s, p99 %s, max %s\n", Duration(t.roundTrip.quantile(50)), Duration(t.roundTrip.quantile(99)), Duration(t.roundTrip.longest))
	}
	fmt.Fprintf(w, "tcp: %s in %s, %d sent again, %d out of order, %s, %s, %s missing\n", Count(t.packets, "packet"), Count(t.conversations, "conversation"),
		t.resent, t.reordered, Count(t.full, "full window"), Count(t.resets, "reset"), Bytes(t.missing))
}

// tcp prints the record of how TCP fared.
func (j *JSON) tcp(t *tcpStats) error {
	if t.conversations == 0 {
		return nil
	}
	j.begin("tcp")
	j.int("conversations", t.conversations)
	j.int("packets", t.packets)
	j.int("retransmitted", t.resent)
	j.int("out_of_order", t.reordered)
	j.int("zero_windows", t.full)
	j.int("resets", t.resets)
	j.int("missing_bytes", t.missing)
	if t.roundTrip.any() {
		j.quantiles("round_trip_ms", &t.roundTrip)
	}
	return j.end()
}
