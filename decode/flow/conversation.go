package flow

import (
	"math"
	"net/netip"
	"time"
)

// State says how a conversation stands, or stood at its end.
type State uint8

// The states. UDP conversations are always Open.
const (
	Open      State = iota // its beginning was seen, its end was not
	Midstream              // neither its beginning nor its end was seen
	Closed                 // both sides said that they were done
	Reset                  // one side broke it off
)

func (s State) String() string {
	switch s {
	case Midstream:
		return "midstream"
	case Closed:
		return "closed"
	case Reset:
		return "reset"
	}
	return "open"
}

// Conversation is two endpoints talking: a flow and its reverse, from the first
// packet until both are done or silent for long.
type Conversation struct {
	// ID counts conversations from 0 by their first packet.
	ID int
	// Tuple is the flow from the client to the server.
	Tuple Flow
	// First is the number of the first packet.
	First int64
	// Guessed means that no SYN told who the client is: it was found from what
	// was said, or from the port numbers.
	Guessed bool
	// Sealed means that it is encrypted, if not from its beginning; Secured, that it
	// was opened with its keys.
	Sealed, Secured bool
	State           State
	// CloseBy is who first ended a TCP conversation, when Ended.
	CloseBy Direction
	// Ended means that a FIN or RST was seen, at EndedAt.
	Ended   bool
	EndedAt Instant
	// Start and End are the times of the first and the last packet.
	Start, End Instant
	// RoundTrip is how long a packet took to the server and back, by the handshake; 0
	// when that was not seen.
	RoundTrip time.Duration
	// Protocol is what the conversation speaks, as far as is known.
	Protocol string
	// For says what it was opened for by another; nil when by none.
	For *Errand
	// Sides hold what each direction sent.
	Sides [2]Side
}

// Instant is a time in nanoseconds since 1970, from 1678 to 2262: there are many
// conversations, and a time.Time is three times as large. Times beyond, which only
// lies are, become the first or the last.
type Instant int64

// At returns the Instant of t.
func At(t time.Time) Instant {
	const most = math.MaxInt64 / int64(time.Second)
	switch sec := t.Unix(); {
	case -most < sec && sec < most:
		return Instant(sec*int64(time.Second) + int64(t.Nanosecond()))
	case sec > 0:
		return math.MaxInt64
	}
	return math.MinInt64
}

// Time returns the time, in UTC.
func (i Instant) Time() time.Time { return time.Unix(0, int64(i)).UTC() }

// Sub returns the time since from.
func (i Instant) Sub(from Instant) time.Duration { return i.Time().Sub(from.Time()) }

// Errand is what a conversation carries for its Parent.
type Errand struct {
	Parent  *Conversation
	Purpose string
}

// Side is one direction of a conversation, as counted so far.
type Side struct {
	Packets int64 // all packets, also empty ones
	Bytes   int64 // TCP: distinct stream bytes present; UDP: payload
	// Syn, Fin and Rst say whether this direction sent such a packet.
	Syn, Fin, Rst bool
	// Start is the sequence number of the first byte of a TCP stream, known when the
	// conversation is over.
	Start uint32
	extra *Extra
}

// Extra is what most sides have nothing of, which there may be many of.
type Extra struct {
	// Retransmitted counts packets that brought nothing new, OutOfOrder those
	// that came after bytes that follow theirs.
	Retransmitted int64
	OutOfOrder    int64
	Conflicts     int64 // bytes that came again with another value
	// Gaps lists what was never seen, as far as there was room; GapCount and
	// GapBytes count all.
	Gaps     []Gap
	GapCount int64
	GapBytes int64
	// ZeroWindows counts the times that it had the other direction stop, because its
	// own buffer was full.
	ZeroWindows int64
	// Delays are the latest things that made the conversation wait, oldest first.
	Delays []Delay
	// Digest is the SHA-256 over Side.Bytes, when it was asked for.
	Digest *[32]byte
}

var none Extra

// Extra returns what is odd about the side, to read.
func (s *Side) Extra() *Extra {
	if s.extra == nil {
		return &none
	}
	return s.extra
}

// More returns the side's own Extra, to write to.
func (s *Side) More() *Extra {
	if s.extra == nil {
		s.extra = new(Extra)
	}
	return s.extra
}

// End returns the offset behind the last byte that was seen or given up.
func (s *Side) End() int64 { return s.Bytes + s.Extra().GapBytes }

// MaxGaps bounds Extra.Gaps: enough to read, and 28 KiB a direction at most.
const MaxGaps = 512

// Delay is something in TCP that made a conversation wait.
type Delay struct {
	At   Instant // when it was over
	Span time.Duration
	Kind DelayKind
}

// DelayKind says what a Delay was.
type DelayKind uint8

// The kinds of delay.
const (
	Resent DelayKind = iota // bytes came again, or late: some were lost on the way
	Full                    // the buffer of the one who receives was full, for Span
)

// MaxDelays bounds Extra.Delays: what is asked about is recent.
const MaxDelays = 8

// AddDelay notes a delay of this side's making.
func (s *Side) AddDelay(d Delay) {
	x := s.More()
	if len(x.Delays) == MaxDelays {
		x.Delays = x.Delays[:copy(x.Delays, x.Delays[1:])]
	}
	x.Delays = append(x.Delays, d)
}

// Delays sums up the delays of both sides between two times: how often bytes came
// again, and how long a buffer was full. Of many, the latest count.
func (c *Conversation) Delays(from, to time.Time) (resent int, full time.Duration) {
	a, b := At(from), At(to)
	for i := range c.Sides {
		for _, d := range c.Sides[i].Extra().Delays {
			switch {
			case d.At < a || d.At.Time().Add(-d.Span).After(to):
			case d.Kind == Resent && d.At <= b:
				resent++
			case d.Kind == Full:
				full += min(d.Span, d.At.Sub(a), b.Sub(d.At)+d.Span)
			}
		}
	}
	return resent, full
}

// Room counts the gaps that are listed in many conversations. While it is Full,
// which its owner says, none more are; a nil Room never is.
type Room struct {
	Listed int
	Full   bool
}

// GapCost is about what a listed gap takes, in bytes.
const GapCost = 64

// AddGap counts a gap, and lists it if there is room.
func (s *Side) AddGap(g Gap, r *Room) {
	x := s.More()
	x.GapCount++
	x.GapBytes += g.Length
	if len(x.Gaps) == MaxGaps || r != nil && r.Full {
		return
	}
	x.Gaps = append(x.Gaps, g)
	if r != nil {
		r.Listed++
	}
}

// Leave gives back the room that a conversation's gaps took.
func (r *Room) Leave(c *Conversation) {
	for i := range c.Sides {
		r.Listed -= len(c.Sides[i].Extra().Gaps)
	}
}

// Missing returns how many of the bytes between two offsets are in the listed
// gaps.
func (s *Side) Missing(from, to int64) int64 {
	var n int64
	gaps := s.Extra().Gaps
	for i := len(gaps) - 1; i >= 0; i-- { // what is asked about is recent
		g := &gaps[i]
		if g.Offset+g.Length <= from {
			break
		}
		n += max(0, min(to, g.Offset+g.Length)-max(from, g.Offset))
	}
	return n
}

// Transport returns what carries the conversation.
func (c *Conversation) Transport() Transport { return c.Tuple.transport }

// Client returns who asks, as far as is known.
func (c *Conversation) Client() netip.AddrPort { return c.Tuple.Src() }

// Server returns who answers.
func (c *Conversation) Server() netip.AddrPort { return c.Tuple.Dst() }

// Direction returns which of its directions f is, and whether it is one.
func (c *Conversation) Direction(f *Flow) (Direction, bool) {
	switch {
	case f.Is(&c.Tuple):
		return ClientToServer, true
	case f.Reverses(&c.Tuple):
		return ServerToClient, true
	}
	return ClientToServer, false
}

// Flow returns the five-tuple of one direction.
func (c *Conversation) Flow(d Direction) Flow {
	if d == ClientToServer {
		return c.Tuple
	}
	return c.Tuple.Reverse()
}

// Turn makes the client the server and the server the client.
func (c *Conversation) Turn() {
	c.Tuple = c.Tuple.Reverse()
	c.Sides[0], c.Sides[1] = c.Sides[1], c.Sides[0]
	c.CloseBy = c.CloseBy.Reverse()
}

// NoAck stands for an acknowledgement that is not known.
const NoAck = -1

// Chunk is a run of bytes of one direction, in order.
type Chunk struct {
	// Data is valid during the call that hands it on.
	Data   []byte
	Offset int64 // of the first byte in its direction's stream
	Time   time.Time
	Packet int64 // number of the packet that brought it
	// Ack is how many bytes of the other direction the sender had received when
	// it sent this; NoAck when that can't be known.
	Ack int64
}

// Gap is a run of bytes that were never seen.
type Gap struct {
	Offset, Length int64
	Cut            bool // the snapshot length cut them off
	// Packet and Time are those of the first packet after it; zero at the end.
	Packet int64
	Time   time.Time
}

// Ignored is a part of a packet's payload that did not become part of a stream, and of
// which it is not known that it says the same: a byte came again with another value, or
// when it was forgotten what had been there, or where none can be. It is Length bytes,
// the first of which is the From-th last of what was captured of the payload.
type Ignored struct {
	Packet       int64
	From, Length int
}

// WholePayload is more than a payload has: as From and Length of Ignored it stands for
// all of it.
const WholePayload = math.MaxInt

// Anomaly is traffic that is odd but survivable.
type Anomaly struct {
	Kind         string // one of the constants below
	Detail       string
	Conversation *Conversation // nil when it belongs to none
	Direction    Direction
	Offset       int64 // in the direction's stream
	Packet       int64
	Time         time.Time
}

// The kinds of anomaly.
const (
	OverlapConflict  = "overlap_conflict"  // a byte came again with another value
	LateData         = "late_data"         // it came after its place was given up
	DataAfterFin     = "data_after_fin"    // a direction went on after saying it was done
	PendingLimit     = "pending_limit"     // too much waited for a gap to fill: the gap was given up
	MalformedMessage = "malformed_message" // a protocol's rules were broken
	MessageLimit     = "message_limit"     // a message, or a queue of them, was larger than we keep
	ICMPError        = "icmp_error"        // somebody on the way, or the receiver, refused a packet
	FragmentConflict = "fragment_conflict" // an IP fragment said otherwise than another
	MemoryLimit      = "memory_limit"      // what waited was let go to make room
	TableLimit       = "table_limit"       // a conversation was given up to make room
)
