package printer

import (
	"encoding/hex"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
)

// JSON prints JSON Lines, a record each for conversations, exchanges, anomalies
// and, last, the capture. The field names are promised; new ones may be added.
type JSON struct {
	// File is what the last record calls the capture.
	File string
	// Hide puts what must not be shown out of sight; nil shows all.
	Hide Hider
	// Live writes each record at once.
	Live bool
	// Bodies prints what messages carry too, which decode.Options.Keep has to
	// keep. Hide can't hide any of it.
	Bodies bool
	// Schema has names for what gRPC carries; nil shows numbers.
	Schema *proto.Schema

	w io.Writer
	gathered
	clock proto.Clock
	whole *JSON // of which it is a part; else nil
}

// Fork returns a printer of a shard.
func (j *JSON) Fork() decode.Part {
	return &JSON{Hide: j.Hide, Bodies: j.Bodies, Schema: j.Schema, whole: j}
}

// Write has the whole print what a part has, between from and to.
func (j *JSON) Write(from, to int) error {
	w := j.whole
	for _, l := range j.postponed(from, to) {
		w.buf = j.appendTo(w.buf, from, l.at)
		if err := w.Exchange(l.exchange); err != nil {
			return err
		}
		from = l.at + 1
	}
	w.buf = j.appendTo(w.buf, from, to)
	if len(w.buf) < jsonFlush {
		return nil
	}
	return w.Flush()
}

// jsonFlush is how much is gathered before it is written.
const jsonFlush = 64 << 10

// NewJSON returns a printer to w. Call Flush at the end.
func NewJSON(w io.Writer) *JSON { return &JSON{w: w} }

// Flush writes what has been gathered.
func (j *JSON) Flush() error {
	if len(j.buf) == 0 {
		return nil
	}
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}

// end ends a record.
func (j *JSON) end() error {
	j.buf = append(j.buf, '}', '\n')
	if j.whole != nil || len(j.buf) < jsonFlush && !j.Live {
		return nil
	}
	return j.Flush()
}

// id prints the number of a conversation.
func (j *JSON) id(name string, c *flow.Conversation) {
	j.name(name)
	j.number(c)
}

func (j *JSON) str(name, s string) {
	j.name(name)
	j.buf = proto.AppendString(j.buf, s)
}

func (j *JSON) int(name string, n int64) {
	j.name(name)
	if n < 0 {
		j.buf, n = append(j.buf, '-'), -n
	}
	j.buf = proto.AppendNatural(j.buf, uint64(n))
}

func (j *JSON) bool(name string, b bool) {
	j.name(name)
	j.buf = strconv.AppendBool(j.buf, b)
}

func (j *JSON) time(name string, t time.Time) {
	j.name(name)
	j.buf = j.clock.AppendTime(j.buf, t)
}

func (j *JSON) endpoint(name string, e netip.AddrPort) {
	if !e.IsValid() {
		j.str(name, e.String())
		return
	}
	var text [64]byte
	j.name(name)
	j.buf = proto.AppendString(j.buf, e.AppendTo(text[:0]))
}

// name appends the name of a field, and the comma before it.
func (j *JSON) name(name string) {
	b := slices.Grow(j.buf, len(name)+len(`,"":`)) // there are many: one look at the room is enough
	if b[len(b)-1] != '{' {                        // also behind a hole
		b = append(b, ',')
	}
	b = append(append(b, '"'), name...)
	j.buf = append(b, '"', ':')
}

// named is name for one that may be anything.
func (j *JSON) named(name string) {
	if last := j.buf[len(j.buf)-1]; last != '{' {
		j.buf = append(j.buf, ',')
	}
	j.buf = append(proto.AppendString(j.buf, name), ':')
}

// begin begins a record.
func (j *JSON) begin(typ string) {
	j.buf = append(append(append(j.buf, `{"type":"`...), typ...), '"')
}

// Finish prints a conversation.
func (j *JSON) Finish(c *flow.Conversation) error {
	j.begin("conversation")
	j.id("id", c)
	j.str("transport", c.Transport().String())
	j.endpoint("client", c.Client())
	j.endpoint("server", c.Server())
	j.str("protocol", c.Protocol)
	if c.Secured {
		j.bool("tls", true)
	}
	if c.For != nil {
		j.id("parent", c.For.Parent)
		j.str("purpose", c.For.Purpose)
	}
	j.time("start", c.Start.Time())
	j.time("end", c.End.Time())
	j.str("state", c.State.String())
	if c.Ended {
		j.str("closed_by", c.CloseBy.String())
	}
	j.bool("guessed", c.Guessed)
	if c.RoundTrip > 0 {
		j.name("round_trip_ms")
		j.buf = proto.AppendMillis(j.buf, c.RoundTrip)
	}
	for d := range c.Sides {
		s, x := &c.Sides[d], c.Sides[d].Extra()
		j.name(flow.Direction(d).String())
		j.buf = append(j.buf, '{')
		j.int("packets", s.Packets)
		j.int("bytes", s.Bytes)
		if x.Digest != nil {
			j.name("sha256")
			j.buf = append(j.buf, '"')
			j.buf = hex.AppendEncode(j.buf, x.Digest[:])
			j.buf = append(j.buf, '"')
		}
		j.name("gaps")
		j.buf = append(j.buf, '[')
		for i, g := range x.Gaps {
			if i > 0 {
				j.buf = append(j.buf, ',')
			}
			j.buf = append(j.buf, '[')
			j.buf = strconv.AppendInt(j.buf, g.Offset, 10)
			j.buf = append(j.buf, ',')
			j.buf = strconv.AppendInt(j.buf, g.Length, 10)
			j.buf = append(j.buf, ']')
		}
		j.buf = append(j.buf, ']')
		if more := x.GapCount - int64(len(x.Gaps)); more > 0 {
			j.int("more_gaps", more)
		}
		j.int("retransmitted", x.Retransmitted)
		j.int("out_of_order", x.OutOfOrder)
		if x.ZeroWindows > 0 {
			j.int("zero_windows", x.ZeroWindows)
		}
		j.buf = append(j.buf, '}')
	}
	return j.end()
}

// Exchange prints an exchange, or each of its messages when that is its
// protocol's form.
func (j *JSON) Exchange(e *proto.Exchange) error {
	if j.Bodies && j.whole != nil && len(j.buf) >= maxGathered {
		j.postpone(e)
		return nil
	}
	if e.Protocol.Split {
		for _, m := range e.Messages() {
			j.begin(e.Protocol.Record())
			j.id("conversation", e.Conversation)
			j.int("index", int64(e.Index))
			if e.Data != nil {
				j.id("data_conversation", e.Data)
			}
			j.message(m)
			if err := j.end(); err != nil {
				return err
			}
		}
		return nil
	}
	j.begin(e.Protocol.Record())
	j.buf = append(j.buf, `,"conversation":`...)
	j.number(e.Conversation)
	b := append(j.buf, `,"index":`...)
	b = append(proto.AppendNatural(b, uint64(e.Index)), `,"state":"`...)
	j.buf = append(append(b, e.State.String()...), '"')
	if why := e.Why(); why != "" {
		j.str("why", remark(why, j.Hide))
	}
	if e.Protocol.Pairing == proto.ByID {
		j.int("id", int64(e.First().ID))
	}
	if d, ok := e.Latency(); ok {
		j.name("latency_ms")
		j.buf = proto.AppendMillis(j.buf, d)
		if e.Request.Packet != e.Request.LastPacket || e.Response.Packet != e.Response.LastPacket {
			total, _ := e.Total() // else it is the latency
			j.name("total_ms")
			j.buf = proto.AppendMillis(j.buf, total)
		}
		j.delays(e)
	}
	if len(e.Interim) > 0 {
		j.interim(e.Interim)
	}
	if e.Protocol.AppendJSON != nil {
		j.buf = append(j.buf, ',')
		j.buf = e.Protocol.AppendJSON(j.buf, e)
		return j.end()
	}
	request := e.Protocol.RequestName
	if request == "" {
		request = "request"
	}
	j.side(request, e.Request)
	response := e.Response
	if response != nil {
		if h, ok := response.Body.(*proto.HTTPMessage); ok && h.IsSimple() {
			j.side("simple_response", response) // it has no status
			response = nil
		}
	}
	j.side("response", response)
	return j.end()
}

// delays prints what TCP had to wait for within an exchange, if anything.
func (j *JSON) delays(e *proto.Exchange) {
	if len(e.Conversation.Sides[0].Extra().Delays)+len(e.Conversation.Sides[1].Extra().Delays) == 0 {
		return
	}
	resent, full := e.Conversation.Delays(e.Request.Time, e.Response.End)
	if resent > 0 {
		j.int("retransmitted", int64(resent))
	}
	if full > 0 {
		j.name("window_full_ms")
		j.buf = proto.AppendMillis(j.buf, full)
	}
}

// interim prints the status codes of interim responses.
func (j *JSON) interim(ms []*proto.Message) {
	j.name("interim")
	j.buf = append(j.buf, '[')
	for i, m := range ms {
		if i > 0 {
			j.buf = append(j.buf, ',')
		}
		if h, ok := m.Body.(*proto.HTTPMessage); ok {
			j.buf = strconv.AppendInt(j.buf, int64(h.Status), 10)
		} else {
			j.buf = proto.AppendString(j.buf, m.Body.Summary())
		}
	}
	j.buf = append(j.buf, ']')
}

// side prints one message of an exchange, or null.
func (j *JSON) side(name string, m *proto.Message) {
	j.name(name)
	if m == nil {
		j.buf = append(j.buf, "null"...)
		return
	}
	j.buf = append(j.buf, '{')
	j.message(m)
	j.buf = append(j.buf, '}')
}

// message prints when and where a message was seen, and what it says, behind the
// brace that begins it or other fields.
func (j *JSON) message(m *proto.Message) {
	if j.buf[len(j.buf)-1] != '{' {
		j.buf = append(j.buf, ',')
	}
	b := j.clock.AppendTime(append(j.buf, `"time":`...), m.Time)
	j.buf = proto.AppendNatural(append(b, `,"packet":`...), uint64(m.Packet))
	if !m.Complete {
		j.bool("complete", false)
		j.str("why", remark(m.Why, j.Hide))
	}
	j.buf = append(j.buf, ',')
	body := m.Body
	if j.Hide != nil {
		body = j.Hide.Hide(body)
	}
	if h, ok := body.(*proto.HTTPMessage); ok && j.Schema != nil {
		body = h.Described(j.Schema)
	}
	j.buf = body.AppendJSON(j.buf)
	if j.Bodies {
		j.body(m)
	}
}

// Anomaly prints an anomaly.
func (j *JSON) Anomaly(a flow.Anomaly) error {
	j.begin("anomaly")
	j.int("packet", a.Packet)
	if a.Conversation != nil {
		j.id("conversation", a.Conversation)
		j.str("direction", a.Direction.String())
		j.int("offset", a.Offset)
	}
	j.str("kind", a.Kind)
	j.str("detail", remark(a.Detail, j.Hide))
	return j.end()
}

// Summary prints the sums, as the last record.
func (j *JSON) Summary(s *decode.Summary) error {
	j.begin("capture")
	j.str("file", j.File)
	j.int("packets", s.Packets)
	if s.Chosen {
		j.int("filtered", s.LeftOut)
	}
	j.int("bytes", s.Bytes)
	j.int("wire_bytes", s.WireBytes)
	if s.Packets > 0 {
		j.time("start", s.First)
		j.time("end", s.Last)
	}
	j.bool("truncated", s.Truncated)
	if s.Damage != "" {
		j.str("damage", s.Damage)
	}
	j.name("link_types")
	j.buf = append(j.buf, '[')
	for i, l := range slices.Sorted(maps.Keys(s.Links)) {
		if i > 0 {
			j.buf = append(j.buf, ',')
		}
		j.buf = proto.AppendString(j.buf, capture.LinkType(l).String())
	}
	j.buf = append(j.buf, ']')
	j.name("packets_by_kind")
	j.buf = append(j.buf, '{')
	for k := range packet.KindCount {
		j.int(k.String(), s.Kinds[k])
	}
	j.buf = append(j.buf, '}')
	j.int("undecoded", s.Undecoded())
	j.name("reasons")
	j.buf = append(j.buf, '{')
	for _, r := range reasons(s) {
		j.name(r.kind.String() + ": " + r.reason)
		j.buf = strconv.AppendInt(j.buf, r.count, 10)
	}
	j.buf = append(j.buf, '}')
	j.name("conversations")
	j.buf = append(j.buf, '{')
	j.int("tcp", s.Conversations[flow.TCP])
	j.int("udp", s.Conversations[flow.UDP])
	j.buf = append(j.buf, '}')
	j.name("exchanges")
	j.buf = append(j.buf, '{')
	for _, st := range []proto.State{proto.Complete, proto.Unanswered, proto.Broken} {
		j.int(st.String(), s.Exchanges[st])
	}
	j.buf = append(j.buf, '}')
	j.name("anomalies")
	j.buf = append(j.buf, '{')
	for _, kind := range s.Anomalous() {
		j.int(kind, s.Anomalies[kind])
	}
	j.buf = append(j.buf, '}')
	j.int("bad_checksums", s.BadChecksums)
	if err := j.end(); err != nil {
		return err
	}
	return j.Flush()
}
