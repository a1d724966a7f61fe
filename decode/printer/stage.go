package printer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
)

// Stages names the stages of the journey from packets to exchanges that can be looked
// at by themselves.
var Stages = []string{"packets", "segments", "chunks", "messages", "exchanges"}

// Packets prints each packet, or only those with a segment of TCP or a datagram of
// UDP: a line each, or a record of JSON. It is a capture.Sink, in front of the rest
// of the journey.
type Packets struct {
	// JSON prints JSON Lines.
	JSON *JSON
	// Segments leaves out packets that carry no transport.
	Segments bool

	w       io.Writer
	style   Style
	decoder packet.Decoder
	start   time.Time
}

// NewPackets returns a printer to w.
func NewPackets(w io.Writer, style Style) *Packets { return &Packets{w: w, style: style} }

// WritePacket prints a packet.
func (p *Packets) WritePacket(q *capture.Packet) error {
	if p.start.IsZero() {
		p.start = q.Time
	}
	kind, g := p.decoder.Decode(q), &p.decoder.Segment
	carries := kind == packet.TCP || kind == packet.UDP
	if p.Segments && !carries {
		return nil
	}
	if p.JSON != nil {
		return p.JSON.packet(q, kind, g, p.decoder.Why)
	}
	head := fmt.Sprintf("%6d %12.6f", q.Number, q.Time.Sub(p.start).Seconds())
	var text string
	switch {
	case carries:
		text = fmt.Sprintf("%s %s > %s", kind, g.Flow.Src(), g.Flow.Dst())
		if kind == packet.TCP {
			text += fmt.Sprintf(" %s seq %d", flagNames(g.Flags), g.Seq)
			if g.Flags.Has(packet.ACK) {
				text += fmt.Sprintf(" ack %d", g.Ack)
			}
			text += fmt.Sprintf(" win %d", g.Window)
		}
		text += fmt.Sprintf(" len %d", g.Length)
		if cut := g.Length - len(g.Payload); cut > 0 {
			text += fmt.Sprintf(" (%d cut off)", cut)
		}
	default:
		text = kind.String() + " " + p.decoder.Why.String()
	}
	if !p.Segments {
		text = fmt.Sprintf("%5d B %s ", q.Length, q.Link) + text
	}
	_, err := fmt.Fprintln(p.w, p.style.paint(dim, head)+" "+Clean(text))
	return err
}

// flagNames writes the control bits as tcpdump does, with a dot for ACK.
func flagNames(f packet.Flags) string {
	var b strings.Builder
	b.WriteByte('[')
	for _, n := range []struct {
		flag packet.Flags
		name byte
	}{{packet.FIN, 'F'}, {packet.SYN, 'S'}, {packet.RST, 'R'}, {packet.PSH, 'P'}, {packet.URG, 'U'}, {packet.ACK, '.'}} {
		if f.Has(n.flag) {
			b.WriteByte(n.name)
		}
	}
	b.WriteByte(']')
	return b.String()
}

// packet prints the record of a packet.
func (j *JSON) packet(q *capture.Packet, kind packet.Kind, g *packet.Segment, why packet.Reason) error {
	j.begin("packet")
	j.int("packet", q.Number)
	j.time("time", q.Time)
	j.int("bytes", int64(len(q.Data)))
	j.int("wire_bytes", int64(q.Length))
	j.str("link_type", q.Link.String())
	j.str("kind", kind.String())
	switch kind {
	case packet.TCP, packet.UDP:
		j.endpoint("source", g.Flow.Src())
		j.endpoint("destination", g.Flow.Dst())
		if kind == packet.TCP {
			j.str("flags", flagNames(g.Flags))
			j.int("seq", int64(g.Seq))
			j.int("ack", int64(g.Ack))
			j.int("window", int64(g.Window))
		}
		j.int("payload_bytes", int64(g.Length))
	default:
		j.str("reason", why.String())
	}
	return j.end()
}

// Flush writes what was gathered.
func (p *Packets) Flush() error {
	if p.JSON != nil {
		return p.JSON.Flush()
	}
	return nil
}

// Chunks prints what reassembly hands on: a line for each run of bytes and each gap.
type Chunks struct {
	// JSON prints JSON Lines.
	JSON *JSON

	w     io.Writer
	style Style
}

// NewChunks returns a printer to w.
func NewChunks(w io.Writer, style Style) *Chunks { return &Chunks{w: w, style: style} }

// Exchange ignores what the bytes mean.
func (p *Chunks) Exchange(*proto.Exchange) error { return nil }

// Stream prints where bytes stand.
func (p *Chunks) Stream(c *flow.Conversation, d flow.Direction, k flow.Chunk) error {
	if j := p.JSON; j != nil {
		j.piece("chunk", c, d, k.Offset, int64(len(k.Data)), k.Packet, k.Time)
		if k.Ack != flow.NoAck {
			j.int("ack", k.Ack)
		}
		return j.end()
	}
	arrow, paint := arrow(d)
	ack := "-"
	if k.Ack != flow.NoAck {
		ack = fmt.Sprint(k.Ack)
	}
	_, err := fmt.Fprintf(p.w, "#%-4d %s %d+%d packet %d ack %s\n", c.ID, p.style.paint(paint, arrow), k.Offset, len(k.Data), k.Packet, ack)
	return err
}

// Gap prints what is missing.
func (p *Chunks) Gap(c *flow.Conversation, d flow.Direction, g flow.Gap) error {
	if j := p.JSON; j != nil {
		j.piece("gap", c, d, g.Offset, g.Length, g.Packet, g.Time)
		j.bool("cut", g.Cut)
		return j.end()
	}
	arrow, _ := arrow(d)
	why := "was not captured"
	if g.Cut {
		why = "was cut off"
	}
	_, err := fmt.Fprintln(p.w, p.style.paint(yellow, fmt.Sprintf("#%-4d %s %d+%d %s", c.ID, arrow, g.Offset, g.Length, why)))
	return err
}

// Summary prints the sums.
func (p *Chunks) Summary(s *decode.Summary) error { return p.JSON.sums(p.w, s) }

// piece begins the record of a part of a stream.
func (j *JSON) piece(kind string, c *flow.Conversation, d flow.Direction, offset, length, packet int64, at time.Time) {
	j.begin(kind)
	j.id("conversation", c)
	j.str("direction", d.String())
	j.int("offset", offset)
	j.int("length", length)
	if packet > 0 {
		j.int("packet", packet)
		j.time("time", at)
	}
}

// sums prints a Summary, as a record or to w for people.
func (j *JSON) sums(w io.Writer, s *decode.Summary) error {
	if j != nil {
		return j.Summary(s)
	}
	_, err := io.WriteString(w, Account(s))
	return err
}

// Messages prints each message by itself: whose, where it stands, whether it is whole.
type Messages struct {
	// JSON prints JSON Lines.
	JSON *JSON
	// Hide puts what must not be shown out of sight; nil shows all.
	Hide Hider

	w     io.Writer
	style Style
}

// NewMessages returns a printer to w.
func NewMessages(w io.Writer, style Style) *Messages { return &Messages{w: w, style: style} }

// Exchange prints the messages of an exchange.
func (p *Messages) Exchange(e *proto.Exchange) error {
	for _, m := range e.Messages() {
		if err := p.message(e, m); err != nil {
			return err
		}
	}
	return nil
}

func (p *Messages) message(e *proto.Exchange, m *proto.Message) error {
	kind := [...]string{"request", "response", "interim", "skipped"}[m.Kind]
	if j := p.JSON; j != nil {
		j.piece("message", e.Conversation, m.Direction, m.Offset, m.Length, m.Packet, m.Time)
		j.int("index", int64(e.Index))
		j.str("protocol", e.Protocol.Name)
		j.str("kind", kind)
		j.int("last_packet", m.LastPacket)
		j.bool("complete", m.Complete)
		if m.Why != "" {
			j.str("why", remark(m.Why, p.Hide))
		}
		j.str("summary", summary(m, p.Hide))
		return j.end()
	}
	arrow, paint := arrow(m.Direction)
	why := ""
	if m.Why != "" {
		why = p.style.paint(yellow, " ("+Clean(remark(m.Why, p.Hide))+")")
	}
	_, err := fmt.Fprintf(p.w, "#%d.%d %s %s %s %d+%d packets %d-%d: %s%s\n", e.Conversation.ID, e.Index, p.style.paint(paint, arrow),
		e.Protocol.Name, kind, m.Offset, m.Length, m.Packet, m.LastPacket, Clean(summary(m, p.Hide)), why)
	return err
}

// Summary prints the sums.
func (p *Messages) Summary(s *decode.Summary) error { return p.JSON.sums(p.w, s) }

// summary is one line about a message.
func summary(m *proto.Message, hide Hider) string { return string(appendSummary(nil, m, hide)) }

func appendSummary(dst []byte, m *proto.Message, hide Hider) []byte {
	body := m.Body
	if hide != nil {
		body = hide.Hide(body)
	}
	return proto.AppendSummary(dst, body)
}
