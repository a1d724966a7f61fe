package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Keep is how many bytes of a message a Recorder needs (decode.Options.Keep):
// what is larger is sent, but not compared.
const Keep = 16 << 20

// DefaultLimit bounds the bytes that a Recorder keeps of all conversations.
const DefaultLimit = 1 << 30

// Recorder makes a Plan of what a pipeline pushes to it. It is a decode.Sink with
// most of the abilities.
type Recorder struct {
	// Limit bounds the bytes kept; 0 is DefaultLimit.
	Limit int64
	// Pick says which exchanges are to be played; nil plays all. Of a conversation in
	// which some are picked, only requests of HTTP/1 can be left out.
	Pick func(*proto.Exchange) bool

	kept  int64
	tapes map[int]*tape
	plan  Plan
	ends  []end
}

// end is when a conversation was over.
type end struct {
	conn *Conn
	open time.Time
	at   time.Time
}

// tape is what is known of a conversation that goes on.
type tape struct {
	sides     [2]stream
	exchanges []*proto.Exchange
	picks     picks
}

// stream is what one direction said.
type stream struct {
	chunks []chunk
	gaps   []flow.Gap
}

// chunk is a run of bytes of one packet.
type chunk struct {
	offset int64
	data   []byte
	time   time.Time
	packet int64
	ack    int64
}

func (c *chunk) end() int64 { return c.offset + int64(len(c.data)) }

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{tapes: make(map[int]*tape)} }

// Start begins a tape.
func (r *Recorder) Start(c *flow.Conversation) error {
	if r.plan.Start.IsZero() {
		r.plan.Start = c.Start.Time()
	}
	r.tapes[c.ID] = &tape{}
	return nil
}

// byTurns reports whether what a conversation speaks is replayed by turns: it is not
// parsed, both sides ask, or messages do not follow each other.
func byTurns(protocol string) bool {
	p := proto.Lookup(protocol)
	return p == nil || p == &proto.Raw || p == &proto.MQTT || p.Interleaves
}

// Stream keeps what is said. Of a protocol that is parsed, the server's messages
// are kept with the exchanges, and not here again.
func (r *Recorder) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	if d == flow.ServerToClient && !byTurns(c.Protocol) {
		k.Data = k.Data[:0]
	}
	limit := r.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if r.kept += int64(len(k.Data)); r.kept > limit {
		return fmt.Errorf("plan: more was said than the %d MiB that are kept in memory, up to packet %d; record less, or a part with tcpdump -r FILE -w PART and a filter", limit>>20, k.Packet)
	}
	s := &r.tapes[c.ID].sides[d]
	s.chunks = append(s.chunks, chunk{k.Offset, append([]byte(nil), k.Data...), k.Time, k.Packet, k.Ack})
	return nil
}

// Gap notes what is missing.
func (r *Recorder) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	s := &r.tapes[c.ID].sides[d]
	s.gaps = append(s.gaps, g)
	return nil
}

// Exchange keeps what was asked and answered.
func (r *Recorder) Exchange(e *proto.Exchange) error {
	t := r.tapes[e.Conversation.ID]
	r.pick(t, e)
	if e.Conversation.Protocol == proto.MQTT.Name {
		return nil // its bytes are kept
	}
	if e.Inside() {
		return nil // it is compared as part of the other
	}
	t.exchanges = append(t.exchanges, e)
	return nil
}

// Finish makes a Conn of a tape.
func (r *Recorder) Finish(c *flow.Conversation) error {
	t := r.tapes[c.ID]
	delete(r.tapes, c.ID)
	conn := r.conn(c, t)
	r.plan.Conns = append(r.plan.Conns, conn)
	over := c.End.Time()
	if c.Ended {
		over = c.EndedAt.Time()
	}
	r.ends = append(r.ends, end{conn, c.Start.Time(), over})
	return nil
}

// Plan returns the plan, when everything has been pushed.
func (r *Recorder) Plan() *Plan {
	slices.SortFunc(r.plan.Conns, func(a, b *Conn) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(r.ends, func(a, b end) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.conn.ID, b.conn.ID))
	})
	for i := range r.ends {
		e := &r.ends[i]
		e.conn.Rank = i
		e.conn.Ended, _ = slices.BinarySearchFunc(r.ends, e.open, func(x end, open time.Time) int { return x.at.Compare(open) })
	}
	return &r.plan
}

// conn makes the schedule of one conversation.
func (r *Recorder) conn(v *flow.Conversation, t *tape) *Conn {
	c := &Conn{
		ID: v.ID, Transport: v.Transport(), Client: v.Client(), Server: v.Server(),
		Protocol: proto.Lookup(v.Protocol), Open: v.Start.Time().Sub(r.plan.Start),
	}
	if c.Protocol == nil || byTurns(c.Protocol.Name) {
		c.Protocol = &proto.Raw
	}
	client, server := &t.sides[flow.ClientToServer], &t.sides[flow.ServerToClient]
	r.close(c, v, server)
	begun := v.Transport() == flow.UDP || v.Sides[0].Syn || v.Sides[1].Syn
	switch {
	case c.Protocol == &proto.TLS:
		c.Skip = "encrypted (TLS)"
	case c.Protocol == &proto.QUIC:
		c.Skip = "encrypted (QUIC)"
	case c.Protocol == &proto.FTP && t.opensData():
		c.Skip = "FTP that opens data connections is not replayed yet"
	case !begun && !c.Protocol.AnyStart:
		c.Skip = "its beginning was not captured"
	case v.Sides[0].Bytes == 0 && v.Sides[1].Bytes == 0 && v.Transport() == flow.TCP:
		c.Skip = "nothing was said"
	}
	if r.Pick != nil && !t.picks.some && c.Skip == "" {
		c.Skip = notPicked
	}
	slices.SortFunc(t.exchanges, func(a, b *proto.Exchange) int { return cmp.Compare(a.Index, b.Index) })
	if t.picks.all || c.Skip != "" || !divisible(c, t) {
		t.picks.left = nil
	}
	if c.Parsed() {
		r.exchanges(c, t)
	} else {
		r.turns(c, client, server)
	}
	r.cutAtGap(c, client)
	if len(t.picks.left) > 0 {
		c.leaveOut(t)
	}
	return c
}

// opensData reports whether a talk of FTP negotiates a data connection.
func (t *tape) opensData() bool {
	for _, e := range t.exchanges {
		if e.Request == nil {
			continue
		}
		if q, ok := e.Request.Body.(*proto.FTPCommand); ok {
			switch strings.ToUpper(q.Command) {
			case "PASV", "EPSV", "PORT", "EPRT":
				return true
			}
		}
	}
	return false
}

// close notes how the conversation ended.
func (r *Recorder) close(c *Conn, v *flow.Conversation, server *stream) {
	if !v.Ended {
		return
	}
	c.Close = Close{By: v.CloseBy, Kind: CloseRST, At: v.EndedAt.Time().Sub(r.plan.Start)}
	if v.Sides[v.CloseBy].Fin {
		c.Close.Kind = CloseFIN
	}
	if n := len(server.chunks); n > 0 && v.CloseBy == flow.ClientToServer {
		c.Close.HalfClosed = server.chunks[n-1].time.After(v.EndedAt.Time())
	}
}

// exchanges schedules a protocol that is parsed.
func (r *Recorder) exchanges(c *Conn, t *tape) {
	var answers []answer
	var asked []int64 // ends of the requests that were answered
	for _, e := range t.exchanges {
		c.Checks = append(c.Checks, Check{Index: e.Index, Exchange: e, Skip: whyNot(e)})
		if t.picks.left[e] {
			continue
		}
		for _, m := range e.Interim {
			answers = append(answers, answer{m.Offset + m.Length, true})
		}
		if e.Response != nil {
			answers = append(answers, answer{e.Response.Offset + e.Response.Length, false})
			if e.Request != nil {
				asked = append(asked, e.Request.Offset+e.Request.Length)
			}
		}
	}
	slices.SortStableFunc(answers, func(a, b answer) int { return cmp.Compare(a.end, b.end) })
	slices.Sort(asked)
	seen := Wait{Quiet: MinQuiet}
	n := 0 // answers that the client had read
	for _, k := range t.sides[flow.ClientToServer].chunks {
		for ; n < len(answers) && answers[n].end <= k.ack; n++ {
			if answers[n].interim {
				seen.Interims++
			} else {
				seen.Finals, seen.Interims = seen.Finals+1, 0
			}
		}
		after := seen
		if k.ack == flow.NoAck {
			// What the client had read is not known: take it for patient.
			before, _ := slices.BinarySearch(asked, k.offset+1)
			after = Wait{Finals: before, Quiet: MinQuiet}
		}
		c.Steps = append(c.Steps, Step{At: k.time.Sub(r.plan.Start), Bytes: k.data, Packet: k.packet, After: after})
	}
}

// answer is where a response ends in the server's stream.
type answer struct {
	end     int64
	interim bool
}

// whyNot says why an exchange can't be compared.
func whyNot(e *proto.Exchange) string {
	switch {
	case e.Response == nil && e.State == proto.Unanswered:
		return noAnswer
	case e.Response == nil && e.Request != nil && e.Request.Alone:
		return "no answer is awaited"
	case e.State == proto.Broken:
		return "not whole in the recording: " + e.Why()
	case e.Response != nil && e.Response.RawMissing > 0:
		return fmt.Sprintf("the answer is larger than the %d MiB that are kept", Keep>>20)
	}
	return ""
}

const noAnswer = "no answer in the recording"

// span is a turn while it is being put together.
type span struct {
	ack   int64     // where the answer begins in the server's stream
	spoke time.Time // when the client's last byte went out
	first int       // its first step
}

// turns schedules a protocol that is not parsed. A turn is over when the client
// speaks again and had read more of the server than when the turn began.
func (r *Recorder) turns(c *Conn, client, server *stream) {
	var spans []span
	begin := func(ack, packet int64) {
		spans = append(spans, span{ack: ack, first: len(c.Steps)})
		c.Checks = append(c.Checks, Check{Index: len(c.Checks), Turn: &Turn{Packet: packet}})
	}
	for i := range client.chunks {
		k := &client.chunks[i]
		ack := max(k.ack, 0)
		if len(spans) == 0 && ack > 0 {
			begin(0, 0) // the server spoke first
		}
		if len(spans) == 0 || ack > spans[len(spans)-1].ack || c.Transport == flow.UDP {
			begin(ack, k.packet)
		}
		n := len(spans) - 1
		spans[n].spoke = k.time
		turn := c.Checks[n].Turn
		turn.Sent += int64(len(k.data))
		turn.Preview = append(turn.Preview, k.data[:min(len(k.data), maxPreview-len(turn.Preview))]...)
		c.Steps = append(c.Steps, Step{At: k.time.Sub(r.plan.Start), Bytes: k.data, Packet: k.packet, Turn: n})
	}
	if len(spans) == 0 {
		begin(0, 0)
	}
	after := Wait{Quiet: MinQuiet}
	for i := range spans {
		end, last := int64(1<<62), len(c.Steps)
		if i+1 < len(spans) {
			end, last = spans[i+1].ack, spans[i+1].first
		}
		after.Bytes = spans[i].ack
		for j := spans[i].first; j < last; j++ {
			c.Steps[j].After = after
		}
		after.Quiet = answered(&c.Checks[i], c.Transport, &spans[i], end, server)
		after.Datagrams += len(c.Checks[i].Turn.Datagrams)
	}
}

// maxPreview is how much of what a client said is kept to show what it is.
const maxPreview = 48

// answered fills in what the server said in a turn, up to an offset of its
// stream, and returns the silence that ends it.
func answered(check *Check, transport flow.Transport, s *span, end int64, server *stream) time.Duration {
	turn := check.Turn
	var pause time.Duration
	var last time.Time
	from, _ := slices.BinarySearchFunc(server.chunks, s.ack, func(k chunk, ack int64) int {
		if k.end() <= ack {
			return -1
		}
		return 1
	})
	for _, k := range server.chunks[from:] {
		if k.offset >= end {
			break
		}
		data := k.data[max(0, s.ack-k.offset):min(int64(len(k.data)), end-k.offset)]
		turn.Answer = append(turn.Answer, data...)
		if transport == flow.UDP {
			turn.Datagrams = append(turn.Datagrams, data)
		}
		if last.IsZero() {
			turn.AnswerPacket = k.packet
			if !s.spoke.IsZero() {
				turn.Latency = max(0, k.time.Sub(s.spoke))
			}
		} else {
			pause = max(pause, k.time.Sub(last))
		}
		last = k.time
	}
	for _, g := range server.gaps {
		if g.Offset < end && g.Offset+g.Length > s.ack {
			check.Skip = fmt.Sprintf("%d bytes of the answer were not captured", g.Length)
		}
	}
	if check.Skip == "" && len(turn.Answer) == 0 {
		check.Skip = noAnswer
	}
	return max(MinQuiet, 3*pause)
}

// cutAtGap ends the schedule where bytes of the client are missing: what follows
// them can't be said. What is whole before the gap can.
func (r *Recorder) cutAtGap(c *Conn, client *stream) {
	if len(client.gaps) == 0 {
		return
	}
	gap := client.gaps[0]
	reason := fmt.Sprintf("%d bytes of the client were not captured before packet %d", gap.Length, gap.Packet)
	var whole int64 // how much of the client's stream can be said
	for i := range c.Checks {
		check := &c.Checks[i]
		var end int64
		if check.Turn != nil {
			end = turnEnd(c, client, i)
		} else if q := check.Exchange.Request; q != nil && !q.Complete {
			end = 1 << 62
		} else if q != nil {
			end = q.Offset + q.Length
		}
		if end > gap.Offset {
			check.Skip = reason
		} else {
			whole = max(whole, end)
		}
	}
	n := 0
	for n < len(c.Steps) && client.chunks[n].offset < whole {
		c.Steps[n].Bytes = c.Steps[n].Bytes[:min(int64(len(c.Steps[n].Bytes)), whole-client.chunks[n].offset)]
		n++
	}
	c.Steps = c.Steps[:n]
	c.Notes = append(c.Notes, reason)
	if n == 0 && c.Skip == "" {
		c.Skip = reason
	}
}

// turnEnd returns where the next turn begins in the client's stream; far away
// when there is none, for more may have been meant.
func turnEnd(c *Conn, client *stream, turn int) int64 {
	i, _ := slices.BinarySearchFunc(c.Steps, turn+1, func(s Step, turn int) int { return cmp.Compare(s.Turn, turn) })
	if i == len(c.Steps) {
		return 1 << 62
	}
	return client.chunks[i].offset
}
