package printer

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
)

// PageRows bounds the conversations, and the exchanges, that a Text gathers before it
// prints its tables and begins anew, and pageText the text of the exchanges: some 8 MB
// of rows, as a rule.
const (
	PageRows = 10_000
	pageText = 16 << 20
)

// Text prints a table of conversations, a ledger of their exchanges, and the sums.
type Text struct {
	// Hide puts what must not be shown out of sight; nil shows all.
	Hide Hider

	w     *bufio.Writer
	style Style
	rows  int // of a page: PageRows, but in tests
	timed bool
	start time.Time // of the first conversation, from which times count, when timed

	// The page that is gathered; of conversations it is known when it is printed how they
	// stand.
	begun         []*convRow
	conversations table
	exchanges     table

	odd  []string  // anomalies
	more int       // of them
	self *textPart // what it is told itself
}

// maxAnomalies bounds how many anomalies are printed; all are counted.
const maxAnomalies = 20

// NewText returns a printer to w.
func NewText(w io.Writer, style Style) *Text {
	t := &Text{w: bufio.NewWriterSize(w, textBuffer), style: style, rows: PageRows}
	t.conversations = table{style: style,
		head:  []string{"ID", "PROTOCOL", "CLIENT", "SERVER", "START", "DURATION", "SENT", "RECEIVED", "STATE"},
		right: []bool{true, false, false, false, true, true, true, true, false}, spare: []int{4, 5, 8}}
	t.exchanges = table{style: style,
		head:  []string{"ID", "TIME", "REQUEST", "RESPONSE", "FIRST BYTE", "TOTAL", "BYTES", "SLOW FOR"},
		right: []bool{true, true, false, false, true, true, true, false}, spare: []int{1, 6, 4}}
	return t
}

// textBuffer is how much of a page is written at once.
const textBuffer = 64 << 10

// Fork returns a part that gathers the rows of a shard.
func (t *Text) Fork() decode.Part { return t.part() }

// Flush does nothing: what is printed is whole pages.
func (t *Text) Flush() error { return nil }

// atOnce has what a part of its own is told written.
func (t *Text) atOnce(tell func(p *textPart) error) error {
	if t.self == nil {
		t.self = t.part()
	}
	defer t.self.Reset()
	if err := tell(t.self); err != nil {
		return err
	}
	return t.self.Write(0, t.self.Len())
}

// Start takes note of a conversation.
func (t *Text) Start(c *flow.Conversation) error {
	return t.atOnce(func(p *textPart) error { return p.Start(c) })
}

// Finish keeps what a conversation came to.
func (t *Text) Finish(c *flow.Conversation) error {
	return t.atOnce(func(p *textPart) error { return p.Finish(c) })
}

// Exchange takes note of an exchange.
func (t *Text) Exchange(e *proto.Exchange) error {
	return t.atOnce(func(p *textPart) error { return p.Exchange(e) })
}

// Anomaly takes note of odd traffic.
func (t *Text) Anomaly(a flow.Anomaly) error {
	return t.atOnce(func(p *textPart) error { return p.Anomaly(a) })
}

// appendRequest appends what was asked, in a line; summary is memory for it.
func appendRequest(dst []byte, e *proto.Exchange, hide Hider, summary *[]byte) []byte {
	if e.Request != nil {
		dst = appendLine(dst, e.Request, hide, summary)
	}
	return dst
}

// appendResponse appends what was answered, and what is wrong with the exchange.
func appendResponse(dst []byte, e *proto.Exchange, hide Hider, summary *[]byte) []byte {
	separator := ""
	for _, m := range e.Interim {
		dst = appendLine(append(dst, separator...), m, hide, summary)
		separator = "; "
	}
	if e.Response != nil {
		dst = appendLine(append(dst, separator...), e.Response, hide, summary)
		separator = "; "
	}
	if why := e.Why(); why != "" {
		dst = append(append(dst, separator...), '(')
		dst = append(append(dst, Clean(remark(why, hide))...), ')')
	}
	return dst
}

// appendLine appends one line about a message.
func appendLine(dst []byte, m *proto.Message, hide Hider, summary *[]byte) []byte {
	*summary = appendSummary((*summary)[:0], m, hide)
	return appendClean(dst, *summary)
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

// begins puts a conversation on the page.
func (t *Text) begins(r *convRow) error {
	r.id = r.of.ID
	if !t.timed {
		t.timed, t.start = true, r.of.Start.Time()
	}
	if t.begun = append(t.begun, r); len(t.begun) >= t.rows {
		return t.page()
	}
	return nil
}

// exchange puts an exchange that a part was told of on the page.
func (t *Text) exchange(p *textPart, r *exchangeRow) error {
	x, since := &t.exchanges, r.at.Sub(t.start)
	x.rowBy(int64(since), *r.paints)
	if r.id == decode.Unnumbered {
		r.id = r.of.ID
	}
	x.natural(r.id)
	x.text = appendSeconds(x.text, since)
	x.cell()
	x.move(&p.cells, r.first, r.first+exchangeCells)
	if len(x.rows) >= t.rows || len(x.text) >= pageText {
		return t.page()
	}
	return nil
}

// exchangePaints are those of the row of an exchange.
func exchangePaints(e *proto.Exchange) *[]paint {
	switch severity(e) {
	case yellow:
		return &openPaints
	case red:
		return &failedPaints
	}
	return &plainPaints
}

var (
	plainPaints  = []paint{dim, dim, "", "", "", "", "", yellow}
	openPaints   = []paint{dim, dim, yellow, yellow, "", "", "", yellow}
	failedPaints = []paint{dim, dim, red, red, "", "", "", yellow}
)

// page prints what was gathered.
func (t *Text) page() error {
	if len(t.begun) == 0 && len(t.exchanges.rows) == 0 {
		return nil
	}
	slices.SortFunc(t.begun, func(a, b *convRow) int { return cmp.Compare(a.id, b.id) })
	for _, r := range t.begun {
		t.conversation(r)
		r.leave()
	}
	t.conversations.write(t.w)
	t.w.WriteByte('\n')
	if x := &t.exchanges; len(x.rows) > 0 {
		x.sort()
		x.write(t.w)
		t.w.WriteByte('\n')
	}
	if len(t.begun) == 0 { // the last of them began: others need the memory
		t.begun, t.conversations.cells = nil, cells{}
	}
	clear(t.begun)
	t.begun = t.begun[:0]
	t.conversations.reset()
	t.exchanges.reset()
	return t.w.Flush()
}

// conversation adds a row.
func (t *Text) conversation(r *convRow) {
	s, to := r.standing(), &t.conversations
	to.row(conversationPaints)
	to.natural(r.id)
	to.text = appendProtocol(to.text, &s)
	to.cell()
	to.text = appendEndpoint(to.text, s.flow.Src())
	to.cell()
	to.text = appendEndpoint(to.text, s.flow.Dst())
	to.cell()
	to.text = appendSeconds(to.text, r.from.Time().Sub(t.start))
	to.cell()
	to.text = appendDuration(to.text, s.end.Sub(r.from))
	to.cell()
	for _, n := range s.bytes {
		to.text = appendBytes(to.text, n)
		to.cell()
	}
	to.put(s.text())
}

var conversationPaints = []paint{dim, cyan}

// appendProtocol appends what a conversation speaks, and over what, where that is not
// said by it.
func appendProtocol(dst []byte, s *standing) []byte {
	name, transport := s.protocol, s.flow.Transport()
	if transport != flow.UDP && name != proto.Raw.Name {
		return append(dst, name...)
	}
	if name = strings.TrimPrefix(name, proto.Raw.Name); name != "" {
		dst = append(append(dst, name...), ' ')
	}
	return append(dst, transport.String()...)
}

func appendEndpoint(dst []byte, e netip.AddrPort) []byte {
	if !e.IsValid() {
		return append(dst, e.String()...)
	}
	return e.AppendTo(dst)
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
	t.w.WriteString(b.String())
	return t.w.Flush()
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
