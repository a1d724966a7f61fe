package proto

import (
	"math"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// TLS is a connection that begins with a TLS handshake (RFC 8446, RFC 5246). It has
// an exchange for each ClientHello, with what came of it. Where the keys are known,
// what is said behind is decoded as what it is; else it passes by.
var TLS = Protocol{
	Name:       "tls",
	Probe:      probeTLS,
	New:        func(w Waiting) Parser { return newTLSParser(w) },
	AppendJSON: appendHellos,
	Attributes: tlsAttributes,
}

// MaxSealed bounds the bytes of a direction that wait for their keys: about what a
// server sends before the client's key log is written.
const MaxSealed = 64 << 10

func probeTLS(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	match, more := tls.Match(o.First[flow.ClientToServer])
	switch {
	case match:
		return Match
	case more && !o.Ended[flow.ClientToServer]:
		return NeedMore
	}
	return NoMatch
}

// tlsParser takes the records of both directions, and has a tls.Stream look into
// them.
type tlsParser struct {
	w      Waiting
	stream *tls.Stream
	sides  [2]tlsSide
	count  int64 // of records that had to wait, in all
	// What the latest steps brought: messages, and pieces of what is inside.
	messages []*Message
	pieces   []tlsPiece
	skipped  [2]Message
}

// tlsSide is one direction.
type tlsSide struct {
	pass    bool // what follows can't be read
	taken   int  // bytes that Next is done with, when messages come before them
	skip    int  // what is left of a record whose beginning is lost
	search  *tlsSearch
	budget  int64 // bytes that may be looked at to find a record behind a gap
	waiting []tlsHeld
	held    int
	carried bool // something of what is inside was there
	closed  bool // and it ended
	ended   bool // no more records come
}

// tlsHeld is a record that waits for its keys.
type tlsHeld struct {
	order int64
	at    Mark
	rec   []byte
}

type tlsPiece struct {
	d flow.Direction
	Carried
}

// tlsSearch looks for a record behind a gap.
type tlsSearch struct {
	from    int64 // where it begins in the stream
	total   int64 // bytes since the last record that was whole
	scanned int64
}

const (
	tlsHeaderLen = 5
	// minTLSRecord is the smallest encrypted one: its header, a tag of 16 and a byte.
	minTLSRecord = tlsHeaderLen + 17
	// maxTLSSearch bounds how far a record is looked for behind a gap: the next
	// begins within one of the largest size.
	maxTLSSearch = 64 << 10
	// maxTLSWindow bounds how many records a gap may have swallowed.
	maxTLSWindow = 4096
	// tlsBudget bounds the bytes that are deciphered to find records behind gaps,
	// beside tlsBudgetRate for each byte that comes: so a stream of gaps takes time in
	// proportion to its length.
	tlsBudget     = 4 << 20
	tlsBudgetRate = 16
	// tlsHeldCost is what a record that waits counts for beside its bytes.
	tlsHeldCost = 96
)

func newTLSParser(w Waiting) *tlsParser {
	p := &tlsParser{w: w, stream: tls.NewStream(w.Secrets())}
	w.Conversation().Sealed = true
	for d := range p.sides {
		p.sides[d].budget = tlsBudget
		p.skipped[d] = Message{Direction: flow.Direction(d), Kind: Skipped}
	}
	return p
}

// Held returns how much is kept, of handshakes and of records that wait.
func (p *tlsParser) Held() int { return p.stream.Held() + p.sides[0].held + p.sides[1].held }

// Passes reports whether nothing more of a direction can be opened.
func (p *tlsParser) Passes(d flow.Direction) bool { return p.sides[d].pass }

// Inside names what STARTTLS has said is spoken inside.
func (p *tlsParser) Inside() (protocol, with string) { return p.w.With(), "" }

// Within takes n bytes for small records: rather too little is said than too much, for
// then an answer finds no request, and not another's.
func (p *tlsParser) Within(d flow.Direction, n int64) int64 { return p.stream.Within(d, n) }

// Known returns where a record is looked for, or waits for its keys: nothing is known
// from there on.
func (p *tlsParser) Known(d flow.Direction) int64 {
	x := &p.sides[d]
	switch {
	case len(x.waiting) > 0:
		return x.waiting[0].at.Offset + 1 - int64(len(x.waiting[0].rec))
	case x.search != nil:
		return x.search.from
	}
	return math.MaxInt64
}

// Carried returns what was opened.
func (p *tlsParser) Carried() (flow.Direction, Carried, bool) {
	if len(p.pieces) == 0 {
		return 0, Carried{}, false
	}
	c := p.pieces[0]
	if p.pieces = p.pieces[1:]; len(p.pieces) == 0 {
		p.pieces = nil
	}
	return c.d, c.Carried, true
}

func (p *tlsParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	x := &p.sides[d]
	if p.sides[d.Reverse()].taken > 0 {
		return 0, nil // until that direction stands behind what it brought
	}
	if x.pass && len(p.messages) == 0 && x.taken == 0 && !end {
		if len(data) == 0 {
			return 0, nil
		}
		return len(data), &p.skipped[d]
	}
	if x.taken == 0 && len(p.messages) == 0 {
		x.taken = p.step(d, data, end)
	}
	if len(p.messages) > 0 {
		m := p.messages[0]
		p.messages = p.messages[1:]
		if m.Direction != d { // it takes none of these bytes
			return 0, m
		}
		n := x.taken
		x.taken = 0
		return n, m
	}
	n := x.taken
	x.taken = 0
	if n > 0 && !p.stream.Busy(d) {
		return n, &p.skipped[d]
	}
	return n, nil
}

// step looks at what is there of a direction, and returns how much of it is done
// with.
func (p *tlsParser) step(d flow.Direction, data []byte, end bool) int {
	x := &p.sides[d]
	if len(data) == 0 {
		if end {
			p.end(d)
		} else {
			p.drain()
		}
		return 0
	}
	p.drain()
	x.ended = false
	switch {
	case x.pass:
		return len(data)
	case x.skip > 0:
		n := min(x.skip, len(data))
		x.skip -= n
		return n
	case x.search != nil:
		return p.find(d, data, end)
	}
	n := tls.Length(data)
	switch {
	case n < 0:
		return p.passBy(d, data, p.stream.Why("what follows is no TLS record"))
	case n > 0 && n <= len(data):
	case end:
		return p.passBy(d, data, "")
	default:
		return 0
	}
	x.budget = min(x.budget+tlsBudgetRate*int64(n), 4*tlsBudget)
	p.record(d, data[:n])
	p.drain()
	return n
}

// record takes a whole record, or keeps it until there are keys.
func (p *tlsParser) record(d flow.Direction, rec []byte) {
	x := &p.sides[d]
	at := p.w.At(d, len(rec)-1)
	if len(x.waiting) == 0 {
		out := p.stream.Record(d, rec)
		if !out.Wait {
			p.brought(d, at, len(rec), out, false)
			return
		}
	}
	if x.held+len(rec)+tlsHeldCost > MaxSealed {
		p.giveUp(d, p.stream.Why("its keys did not come in time"))
		return
	}
	p.count++
	x.waiting = append(x.waiting, tlsHeld{p.count, at, append([]byte(nil), rec...)})
	x.held += len(rec) + tlsHeldCost
}

// drain takes the records that waited for keys which are there now, in the order in
// which they came.
func (p *tlsParser) drain() {
	for len(p.sides[0].waiting)+len(p.sides[1].waiting) > 0 {
		first := flow.ClientToServer
		if c, s := p.sides[0].waiting, p.sides[1].waiting; len(c) == 0 || len(s) > 0 && s[0].order < c[0].order {
			first = flow.ServerToClient
		}
		if !p.drainOne(first) && !p.drainOne(first.Reverse()) {
			return
		}
	}
}

// drainOne takes the first record of a direction that waits, if it can.
func (p *tlsParser) drainOne(d flow.Direction) bool {
	x := &p.sides[d]
	if len(x.waiting) == 0 {
		return false
	}
	h := x.waiting[0]
	out := p.stream.Record(d, h.rec)
	if out.Wait {
		return false
	}
	x.waiting = x.waiting[1:]
	x.held -= len(h.rec) + tlsHeldCost
	if len(x.waiting) == 0 {
		x.waiting = nil
	}
	p.brought(d, h.at, len(h.rec), out, true)
	return true
}

// brought takes what a record of size bytes came to; what is to outlast the next one
// is copied.
func (p *tlsParser) brought(d flow.Direction, at Mark, size int, out tls.Outcome, clone bool) {
	if p.stream.Opened() { // even when nothing is said inside: there were keys
		p.w.Conversation().Secured = true
	}
	if h := p.stream.Settled(); h != nil {
		p.settled(h)
	}
	if out.Hello != nil {
		p.messages = append(p.messages, &Message{Direction: d, Complete: true, Body: &TLSHello{out.Hello}})
	}
	if out.Alert != nil && out.Alert.Fatal {
		p.complain(d, "it gives up: "+out.Alert.Name())
	}
	if out.Odd != "" {
		p.complain(d, out.Odd)
	}
	switch {
	case out.Lost > 0:
		p.carry(d, Carried{Lost: out.Lost, At: at})
	case len(out.Data) > 0:
		if clone {
			out.Data = append([]byte(nil), out.Data...)
		}
		p.carry(d, Carried{Data: out.Data, At: at, Size: size})
	case out.Why == "" && !p.stream.Sealed(d):
		p.pieces = append(p.pieces, tlsPiece{d, Carried{At: at, Size: size}})
	}
	if out.Closed {
		p.close(d, at, size)
	}
	if out.Why != "" || p.stream.Sealed(d) {
		p.giveUp(d, out.Why)
	}
	if p.stream.Sealed(d.Reverse()) && !p.sides[d.Reverse()].pass {
		p.giveUp(d.Reverse(), "")
	}
}

// carry hands on a piece of what is inside.
func (p *tlsParser) carry(d flow.Direction, c Carried) {
	p.sides[d].carried, p.sides[d].closed = true, false
	p.pieces = append(p.pieces, tlsPiece{d, c})
}

// close ends a direction of what is inside, if there was anything: by a record of size bytes, or
// none.
func (p *tlsParser) close(d flow.Direction, at Mark, size int) {
	x := &p.sides[d]
	if !x.closed && (x.carried || p.sides[d.Reverse()].carried) {
		x.closed = true
		p.pieces = append(p.pieces, tlsPiece{d, Carried{End: true, At: at, Size: size}})
	}
}

// settled makes the answer to a ClientHello a message.
func (p *tlsParser) settled(h *tls.Handshake) {
	p.messages = append(p.messages, &Message{Direction: flow.ServerToClient, Kind: Response, Complete: true, Body: &TLSAnswer{h}})
}

// complain says what is wrong.
func (p *tlsParser) complain(d flow.Direction, why string) {
	p.messages = append(p.messages, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: why})
}

// giveUp lets the rest of a direction pass by.
func (p *tlsParser) giveUp(d flow.Direction, why string) {
	x := &p.sides[d]
	p.stream.Seal(d)
	x.pass, x.search, x.skip, x.waiting, x.held = true, nil, 0, nil, 0
	if h := p.stream.Settled(); h != nil {
		p.settled(h)
	}
	if why != "" {
		p.complain(d, why)
	}
}

// passBy gives up a direction, of which data is no part of what comes of that.
func (p *tlsParser) passBy(d flow.Direction, data []byte, why string) int {
	p.giveUp(d, why)
	if len(p.messages) > 0 {
		return 0 // they come first
	}
	return len(data)
}

// end takes note that a direction is over.
func (p *tlsParser) end(d flow.Direction) {
	x := &p.sides[d]
	if x.ended {
		p.drain()
		return
	}
	x.ended = true
	if p.sides[d.Reverse()].ended {
		p.stream.Finish()
	}
	p.drain()
	p.stream.End(d)
	if h := p.stream.Settled(); h != nil {
		p.settled(h)
	}
	p.drain()
	if len(x.waiting) == 0 {
		p.close(d, Mark{Ack: flow.NoAck}, 0)
	}
}

func (p *tlsParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	x := &p.sides[d]
	x.taken = 0
	if x.pass {
		return 0, nil
	}
	size := tls.Length(data)
	rest := int64(size - len(data)) // of the record whose beginning is there
	switch {
	case len(x.waiting) > 0:
		p.giveUp(d, p.stream.Why("bytes are missing before its keys came"))
	case x.search != nil:
		x.search.total += int64(len(data)) + n
	case x.skip > 0 && int64(x.skip) >= n && len(data) == 0:
		x.skip -= int(n)
	case x.skip == 0 && size > 0 && n <= rest:
		// The gap ends within the record: where the next begins is known.
		x.skip = int(rest - n)
		p.lost(d, p.stream.Lose(d, size), p.w.At(d, 0).Offset+int64(size))
	case x.skip == 0 && n == 0:
		p.giveUp(d, p.stream.Why("what follows is no TLS record"))
	default:
		p.search(d, int64(len(data))+n-int64(x.skip))
	}
	if p.stream.Sealed(d) && !x.pass {
		p.giveUp(d, "")
	}
	if d == flow.ServerToClient && p.stream.Busy(d) {
		p.stream.End(d)
		if h := p.stream.Settled(); h != nil {
			p.settled(h)
		}
	}
	for i, m := range p.messages {
		if m.Direction == d {
			p.messages = append(p.messages[:i], p.messages[i+1:]...)
			return 0, m
		}
	}
	return 0, nil
}

// lost says that n bytes of what is inside are missing, up to an offset of the stream.
func (p *tlsParser) lost(d flow.Direction, n, end int64) {
	if n > 0 {
		p.carry(d, Carried{Lost: n, At: Mark{Offset: end - 1, Ack: flow.NoAck}})
	}
}

// search begins to look for a record behind a gap, of which total bytes are missing.
func (p *tlsParser) search(d flow.Direction, total int64) {
	x := &p.sides[d]
	x.skip = 0
	if p.stream.Unreadable(d) {
		p.giveUp(d, "")
		return
	}
	x.search = &tlsSearch{from: p.w.At(d, 0).Offset, total: total}
}

// find looks for a record behind a gap: what has the head of one, and opens as one of
// the next.
func (p *tlsParser) find(d flow.Direction, data []byte, end bool) int {
	x := &p.sides[d]
	s := x.search
	i, n := 0, 0
	for ; i+tlsHeaderLen <= len(data); i++ {
		if n = tls.Length(data[i:]); n >= minTLSRecord {
			break
		}
	}
	switch {
	case i+tlsHeaderLen > len(data) && end:
		return p.passBy(d, data, "")
	case s.scanned+int64(i) > maxTLSSearch || x.budget <= 0:
		return p.passBy(d, data, "after a gap no record was found")
	case i > 0:
		s.scanned += int64(i)
		return i
	case i+tlsHeaderLen > len(data), n > len(data) && !end:
		return 0
	}
	if n <= len(data) {
		most := min((s.total+s.scanned)/minTLSRecord+2, maxTLSWindow, x.budget/int64(n)+1)
		lost, looked, ok := p.stream.Find(d, data[:n], uint64(most), s.total+s.scanned)
		x.budget -= looked
		if ok {
			x.search = nil
			p.lost(d, lost, p.w.At(d, 0).Offset)
			p.record(d, data[:n])
			return n
		}
	}
	s.scanned++
	return 1
}
