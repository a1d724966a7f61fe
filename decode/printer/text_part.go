package printer

import (
	"fmt"
	"strings"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// textPart gathers the rows of a shard. A page may end at any of them, and shows how
// conversations stand then: so as long as one is on a page that was not printed, how it
// stands is kept at whatever may change it.
type textPart struct {
	whole *Text
	rows  map[*flow.Conversation]*convRow // of those that are not printed nor over
	spare []*convRow
	// row is that of the conversation which the latest packet was of; nil when it has none.
	row    *convRow
	latest *flow.Conversation

	// What it was told, of which some is written.
	told      []told
	written   int // how many
	exchanges []exchangeRow
	cells     // of exchanges
	standings []standing
	nexts     []int32 // standing of the same conversation
	odd       []flow.Anomaly
	summary   []byte

	lost bool // something was not written, and nothing will be
}

// told is one thing that a part was told, and where it keeps what about it.
type told struct {
	row  *convRow // of a conversation, if it has one
	n    int32    // of exchanges or odd
	kind toldKind
}

type toldKind uint8

const (
	toldStart toldKind = iota
	toldPacket
	toldExchange
	toldFinish
	toldAnomaly
)

// convRow is a conversation on the page that is gathered.
type convRow struct {
	part *textPart
	of   *flow.Conversation
	id   int
	from flow.Instant // when it began
	// next is the first of its standings in part that comes behind what was written, and
	// last the last; next is none when there is none.
	next, last int32
	over       bool
	came       standing // to, when it is over
	printed    bool
}

const none = -1

// standing is how a conversation stood at one time, as far as it is printed.
type standing struct {
	flow     flow.Flow // from the client to the server
	protocol string
	errand   flow.Errand // of no Parent if it has none
	end      flow.Instant
	bytes    [2]int64 // of each direction
	lost     int64    // bytes that are missing
	again    int64    // packets that were retransmitted
	state    flow.State
	ended    bool
	closeBy  flow.Direction
}

func stand(c *flow.Conversation) standing {
	lost, again := troubles(c)
	var errand flow.Errand
	if c.For != nil {
		errand = *c.For
	}
	return standing{
		flow: c.Tuple, protocol: c.Protocol, errand: errand, end: c.End, bytes: [2]int64{c.Sides[0].Bytes, c.Sides[1].Bytes},
		lost: lost, again: again, state: c.State, ended: c.Ended, closeBy: c.CloseBy,
	}
}

// exchangeRow is an exchange as it will be printed, without what is known only then.
type exchangeRow struct {
	of     *flow.Conversation
	id     int // of that, if it has one already: then nobody need look for it in memory
	at     time.Time
	first  int // of its cells: request to slow for
	paints *[]paint
}

// exchangeCells are how many cells a part makes of an exchange.
const exchangeCells = 6

func (t *Text) part() *textPart {
	return &textPart{whole: t, rows: make(map[*flow.Conversation]*convRow)}
}

// Len returns how many things it was told.
func (p *textPart) Len() int { return len(p.told) }

// Reset forgets them.
func (p *textPart) Reset() {
	p.lost = p.lost || p.written < len(p.told)
	p.written = 0
	if len(p.standings) == 0 { // there are no conversations to put on a page: others need the memory
		p.standings, p.nexts, p.spare = nil, nil, nil
	}
	p.told, p.exchanges = p.told[:0], p.exchanges[:0]
	p.standings, p.nexts = p.standings[:0], p.nexts[:0]
	clear(p.odd)
	p.odd = p.odd[:0]
	p.cells.reset()
	p.row, p.latest = nil, nil // it may have been printed
}

// Start takes note of a conversation.
func (p *textPart) Start(c *flow.Conversation) error {
	if p.lost {
		return nil
	}
	var r *convRow
	if n := len(p.spare); n > 0 {
		r, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		r = new(convRow)
	}
	*r = convRow{part: p, of: c, from: c.Start, next: none}
	p.rows[c] = r
	p.row, p.latest = r, c
	p.stand(r)
	p.told = append(p.told, told{kind: toldStart, row: r})
	return nil
}

// Packet keeps how a conversation stands before a packet of it.
func (p *textPart) Packet(c *flow.Conversation, _ int64) error {
	if r := p.rowOf(c); r != nil {
		p.stand(r)
		p.told = append(p.told, told{kind: toldPacket, row: r})
	}
	return nil
}

// rowOf returns the row of a conversation, nil if it has none.
func (p *textPart) rowOf(c *flow.Conversation) *convRow {
	if p.lost {
		return nil
	}
	if p.latest != c {
		p.row, p.latest = p.rows[c], c
	}
	return p.row
}

// stand keeps how a conversation stands.
func (p *textPart) stand(r *convRow) {
	n := int32(len(p.standings))
	p.standings, p.nexts = append(p.standings, stand(r.of)), append(p.nexts, none)
	if r.next == none {
		r.next = n
	} else {
		p.nexts[r.last] = n
	}
	r.last = n
}

// Exchange takes note of an exchange.
func (p *textPart) Exchange(e *proto.Exchange) error {
	hide := p.whole.Hide
	r := p.rowOf(e.Conversation)
	if r != nil {
		p.stand(r)
	}
	p.told = append(p.told, told{r, int32(len(p.exchanges)), toldExchange})
	p.exchanges = append(p.exchanges, exchangeRow{e.Conversation, e.Conversation.ID, e.First().Time, len(p.all), exchangePaints(e)})
	p.text = appendRequest(p.text, e, hide, &p.summary)
	p.cell()
	p.text = appendResponse(p.text, e, hide, &p.summary)
	p.cell()
	if d, ok := e.Latency(); ok {
		p.text = appendDuration(p.text, d)
	}
	p.cell()
	total, ok := e.Total()
	if ok {
		p.text = appendDuration(p.text, total)
	}
	p.cell()
	if e.Response != nil {
		p.text = appendBytes(p.text, e.Response.Length)
	}
	p.cell()
	if ok {
		p.text = append(p.text, slow(e, total)...)
	}
	p.cell()
	return nil
}

// Finish keeps what a conversation came to.
func (p *textPart) Finish(c *flow.Conversation) error {
	if r := p.rowOf(c); r != nil {
		p.stand(r)
		p.told = append(p.told, told{kind: toldFinish, row: r})
		delete(p.rows, c)
		p.row, p.latest = nil, nil
	}
	return nil
}

// Anomaly takes note of odd traffic, of which no more is printed than some.
func (p *textPart) Anomaly(a flow.Anomaly) error {
	p.told = append(p.told, told{kind: toldAnomaly, n: int32(len(p.odd))})
	if len(p.odd) < maxAnomalies {
		p.odd = append(p.odd, a)
	}
	return nil
}

// Write puts what it was told between from and to on the page.
func (p *textPart) Write(from, to int) error {
	t := p.whole
	p.written += to - from
	for _, x := range p.told[from:to] {
		var err error
		switch x.kind {
		case toldStart:
			err = t.begins(x.row)
			x.row.pass()
		case toldPacket:
			x.row.pass()
		case toldExchange:
			err = t.exchange(p, &p.exchanges[x.n])
			if x.row != nil {
				x.row.pass()
			}
		case toldFinish:
			x.row.finish()
		case toldAnomaly:
			if len(t.odd) == maxAnomalies {
				t.more++
			} else {
				t.odd = append(t.odd, anomalyLine(p.odd[x.n], t.Hide))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pass goes on behind the next standing.
func (r *convRow) pass() { r.next = r.part.nexts[r.next] }

// finish keeps what the conversation came to, until that is printed.
func (r *convRow) finish() {
	if r.printed {
		r.free()
		return
	}
	r.came, r.over = r.standing(), true
}

// standing returns how the conversation stands, where it was written to.
func (r *convRow) standing() standing {
	switch {
	case r.over:
		return r.came
	case r.next != none:
		return r.part.standings[r.next]
	}
	return stand(r.of)
}

// leave has the row forgotten, as it is printed.
func (r *convRow) leave() {
	if r.printed = true; r.over {
		r.free()
		return
	}
	delete(r.part.rows, r.of)
}

func (r *convRow) free() {
	*r = convRow{part: r.part}
	r.part.spare = append(r.part.spare, r)
}

// text is how a conversation stands, and what is wrong with it.
func (s *standing) text() string {
	text := s.errandText() + trouble(s.lost, s.again)
	if s.flow.Transport() == flow.TCP {
		return endingText(s.state, s.ended, s.closeBy) + text
	}
	return strings.TrimPrefix(text, ", ")
}

// errandText is what a conversation was opened for by another, as the end of a list.
func (s *standing) errandText() string {
	if s.errand.Parent == nil {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf(", for %d: %s", s.errand.Parent.ID, Clean(s.errand.Purpose)), ": ")
}

// ending is how a TCP conversation stands.
func ending(c *flow.Conversation) string {
	if c.Transport() != flow.TCP {
		return ""
	}
	return endingText(c.State, c.Ended, c.CloseBy)
}

func endingText(s flow.State, ended bool, by flow.Direction) string {
	if ended && s != flow.Open {
		return s.String() + " by " + side(by)
	}
	return s.String()
}

// troubles counts what is wrong with a conversation: bytes that are missing, and packets
// that were retransmitted.
func troubles(c *flow.Conversation) (lost, again int64) {
	for i := range c.Sides {
		x := c.Sides[i].Extra()
		lost += x.GapBytes
		again += x.Retransmitted
	}
	return lost, again
}

// trouble is what is wrong with a conversation, as the end of a list.
func trouble(lost, again int64) string {
	s := ""
	if lost > 0 {
		s += ", " + Bytes(lost) + " missing"
	}
	if again > 0 {
		s += fmt.Sprintf(", %d retransmitted", again)
	}
	return s
}
