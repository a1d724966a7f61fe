package printer

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
)

// PageRows bounds the conversations, and the exchanges, that a Text gathers
// before it prints its tables and begins anew: some 8 MB of rows.
const PageRows = 10_000

// Text prints a table of conversations, a ledger of their exchanges, and the sums.
type Text struct {
	// Hide puts what must not be shown out of sight; nil shows all.
	Hide Hider

	w     io.Writer
	style Style
	start time.Time
	convs map[int]*flow.Conversation
	rows  []exchangeRow
	odd   []string // anomalies
	more  int      // of them
}

// exchangeRow is an exchange as it will be printed.
type exchangeRow struct {
	at                time.Time
	conversation      int
	request, response string
	first, total      string // how long until the response's first byte, and its last
	bytes             string // of the response
	slow              string // where the time went
	paint             paint
}

// maxAnomalies bounds how many anomalies are printed; all are counted.
const maxAnomalies = 20

// NewText returns a printer to w.
func NewText(w io.Writer, style Style) *Text {
	return &Text{w: w, style: style, convs: make(map[int]*flow.Conversation)}
}

// Start takes note of a conversation.
func (t *Text) Start(c *flow.Conversation) error {
	if len(t.convs) == 0 && t.start.IsZero() {
		t.start = c.Start.Time()
	}
	t.convs[c.ID] = c
	if len(t.convs) >= PageRows {
		return t.page()
	}
	return nil
}

// Finish keeps what a conversation came to.
func (t *Text) Finish(c *flow.Conversation) error {
	if _, ok := t.convs[c.ID]; ok {
		last := *c
		t.convs[c.ID] = &last
	}
	return nil
}

// Exchange takes note of an exchange.
func (t *Text) Exchange(e *proto.Exchange) error {
	r := exchangeRow{conversation: e.Conversation.ID, paint: severity(e)}
	r.request, r.response = t.sides(e)
	r.at = e.Messages()[0].Time
	if d, ok := e.Latency(); ok {
		r.first = Duration(d)
	}
	if d, ok := e.Total(); ok {
		r.total, r.slow = Duration(d), slow(e, d)
	}
	if e.Response != nil {
		r.bytes = Bytes(e.Response.Length)
	}
	t.rows = append(t.rows, r)
	if len(t.rows) >= PageRows {
		return t.page()
	}
	return nil
}

// sides is what both sides of an exchange said, a line each.
func (t *Text) sides(e *proto.Exchange) (request, response string) {
	return sides(e, t.Hide)
}

func sides(e *proto.Exchange, hide Hider) (request, response string) {
	if e.Request != nil {
		request = Clean(summary(e.Request, hide))
	}
	var parts []string
	for _, m := range e.Interim {
		parts = append(parts, Clean(summary(m, hide)))
	}
	if e.Response != nil {
		parts = append(parts, Clean(summary(e.Response, hide)))
	}
	if why := e.Why(); why != "" {
		parts = append(parts, "("+Clean(remark(why, hide))+")")
	}
	return request, strings.Join(parts, "; ")
}

// severity colours an exchange.
func severity(e *proto.Exchange) paint {
	if e.State != proto.Complete {
		return yellow
	}
	if _, failed, _ := outcomeOf(e); failed {
		return red
	}
	return ""
}

// Anomaly takes note of odd traffic.
func (t *Text) Anomaly(a flow.Anomaly) error {
	if len(t.odd) == maxAnomalies {
		t.more++
		return nil
	}
	t.odd = append(t.odd, anomalyLine(a, t.Hide))
	return nil
}

func anomalyLine(a flow.Anomaly, hide Hider) string {
	where := ""
	if a.Packet > 0 {
		where = fmt.Sprintf("packet %d, ", a.Packet)
	}
	if a.Conversation != nil {
		where += fmt.Sprintf("conversation %d, %s, byte %d: ", a.Conversation.ID, side(a.Direction), a.Offset)
	}
	return where + strings.ReplaceAll(a.Kind, "_", " ") + ": " + Clean(remark(a.Detail, hide))
}

// side names who sent.
func side(d flow.Direction) string {
	if d == flow.ClientToServer {
		return "client"
	}
	return "server"
}

// page prints what was gathered.
func (t *Text) page() error {
	if len(t.convs) == 0 && len(t.rows) == 0 {
		return nil
	}
	convs := table{style: t.style,
		head:  []string{"ID", "PROTOCOL", "CLIENT", "SERVER", "START", "DURATION", "SENT", "RECEIVED", "STATE"},
		right: []bool{true, false, false, false, true, true, true, true, false}, spare: []int{4, 5, 8}}
	list := make([]*flow.Conversation, 0, len(t.convs))
	for _, c := range t.convs {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *flow.Conversation) int { return cmp.Compare(a.ID, b.ID) })
	for _, c := range list {
		protocol := c.Protocol
		if c.Transport() == flow.UDP || protocol == proto.Raw.Name {
			protocol = strings.TrimSpace(strings.TrimPrefix(protocol, proto.Raw.Name) + " " + c.Transport().String())
		}
		convs.add([]paint{dim, cyan}, strconv.Itoa(c.ID), protocol, c.Client().String(), c.Server().String(), t.clock(c.Start.Time()),
			Duration(c.End.Sub(c.Start)), Bytes(c.Sides[0].Bytes), Bytes(c.Sides[1].Bytes), state(c))
	}
	slices.SortStableFunc(t.rows, func(a, b exchangeRow) int { return a.at.Compare(b.at) })
	rows := table{style: t.style,
		head:  []string{"ID", "TIME", "REQUEST", "RESPONSE", "FIRST BYTE", "TOTAL", "BYTES", "SLOW FOR"},
		right: []bool{true, true, false, false, true, true, true, false}, spare: []int{1, 6, 4}}
	for _, r := range t.rows {
		rows.add([]paint{dim, dim, r.paint, r.paint, "", "", "", yellow}, strconv.Itoa(r.conversation), t.clock(r.at), r.request, r.response,
			r.first, r.total, r.bytes, r.slow)
	}
	w := bufio.NewWriter(t.w)
	convs.write(w)
	w.WriteByte('\n')
	if len(rows.rows) > 0 {
		rows.write(w)
		w.WriteByte('\n')
	}
	clear(t.convs)
	clear(t.rows)
	t.rows = t.rows[:0]
	return w.Flush()
}

// clock writes a time as seconds since the first conversation began.
func (t *Text) clock(at time.Time) string {
	return strconv.FormatFloat(at.Sub(t.start).Seconds(), 'f', 6, 64)
}

// state is how a conversation stands, and what is wrong with it.
func state(c *flow.Conversation) string {
	return strings.TrimPrefix(ending(c)+errand(c)+trouble(c), ", ")
}

// errand is what a conversation was opened for by another.
func errand(c *flow.Conversation) string {
	if c.For == nil {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf(", for %d: %s", c.For.Parent.ID, Clean(c.For.Purpose)), ": ")
}

// ending is how a TCP conversation stands.
func ending(c *flow.Conversation) string {
	switch {
	case c.Transport() != flow.TCP:
		return ""
	case c.Ended && c.State != flow.Open:
		return c.State.String() + " by " + side(c.CloseBy)
	}
	return c.State.String()
}

// trouble is what is wrong with a conversation, as the end of a list.
func trouble(c *flow.Conversation) string {
	var lost, again int64
	for i := range c.Sides {
		lost += c.Sides[i].Extra().GapBytes
		again += c.Sides[i].Extra().Retransmitted
	}
	s := ""
	if lost > 0 {
		s += ", " + Bytes(lost) + " missing"
	}
	if again > 0 {
		s += fmt.Sprintf(", %d retransmitted", again)
	}
	return s
}

// Summary prints the rest, and the sums.
func (t *Text) Summary(s *decode.Summary) error {
	if err := t.page(); err != nil {
		return err
	}
	var b strings.Builder
	for _, line := range t.odd {
		fmt.Fprintln(&b, t.style.paint(yellow, "odd: ")+line)
	}
	if t.more > 0 {
		fmt.Fprintf(&b, "and %d more (--json lists all)\n", t.more)
	}
	b.WriteString(Account(s))
	_, err := io.WriteString(t.w, b.String())
	return err
}

// Account writes the sums of a Summary: where every packet went.
func Account(s *decode.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", Count(s.Packets, "packet"), Bytes(s.Bytes))
	if s.WireBytes > s.Bytes {
		fmt.Fprintf(&b, " of %s", Bytes(s.WireBytes))
	}
	fmt.Fprintf(&b, " in %s", Duration(s.Last.Sub(s.First)))
	sep := ": "
	for k := range packet.KindCount {
		if s.Kinds[k] > 0 {
			fmt.Fprintf(&b, "%s%d %s", sep, s.Kinds[k], k)
			sep = " + "
		}
	}
	b.WriteByte('\n')
	for _, r := range reasons(s) {
		if r.kind != packet.Other {
			fmt.Fprintf(&b, "  %s: %s, %s\n", r.kind, r.reason, Count(r.count, "packet"))
		}
	}
	var total int64
	for _, n := range s.Exchanges {
		total += n
	}
	fmt.Fprintf(&b, "%s, %s", Count(s.Conversations[flow.TCP]+s.Conversations[flow.UDP], "conversation"), Count(total, "exchange"))
	sep = ": "
	for _, st := range []proto.State{proto.Complete, proto.Unanswered, proto.Broken} {
		if s.Exchanges[st] > 0 {
			fmt.Fprintf(&b, "%s%d %s", sep, s.Exchanges[st], st)
			sep = " + "
		}
	}
	b.WriteByte('\n')
	if s.Chosen {
		fmt.Fprintf(&b, "%d of %s left out by the filter\n", s.LeftOut, Count(s.Packets+s.LeftOut, "packet"))
	}
	if s.BadChecksums > 0 {
		fmt.Fprintf(&b, "%s: normal where the network card fills them in\n", Count(s.BadChecksums, "wrong checksum"))
	}
	if s.Truncated {
		fmt.Fprintf(&b, "the capture is damaged, all before was read: %s\n", Clean(s.Damage))
	}
	return b.String()
}
