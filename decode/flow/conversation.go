package flow

import (
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
	ID        int
	Transport Transport
	Client    netip.AddrPort
	Server    netip.AddrPort
	// Guessed means that no SYN told who the client is: it was found from what
	// was said, or from the port numbers.
	Guessed bool
	// Start and End are the times of the first and the last packet.
	Start, End time.Time
	State      State
	// Protocol is what the conversation speaks, as far as is known.
	Protocol string
	// Parent is the conversation that had this one opened, to carry what Purpose
	// says; nil when there is none.
	Parent  *Conversation
	Purpose string
	// Sides hold what each direction sent.
	Sides [2]Side
	// CloseBy is who first ended a TCP conversation, when Ended.
	CloseBy Direction
	// Ended means that a FIN or RST was seen, at EndedAt.
	Ended   bool
	EndedAt time.Time
}

// Side is one direction of a conversation, as counted so far.
type Side struct {
	Packets int64 // all packets, also empty ones
	Bytes   int64 // TCP: distinct stream bytes present; UDP: payload
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
	// Syn, Fin and Rst say whether this direction sent such a packet.
	Syn, Fin, Rst bool
	// Digest is the SHA-256 over Bytes, when it was asked for.
	Digest *[32]byte
}

// End returns the offset behind the last byte that was seen or given up.
func (s *Side) End() int64 { return s.Bytes + s.GapBytes }

// MaxGaps bounds Side.Gaps: enough to read, and 28 KiB a direction at most.
const MaxGaps = 512

// Room bounds how many gaps are listed in all conversations. A nil Room has no
// bound of its own.
type Room struct{ Limit, Listed int }

// GapCost is about what a listed gap takes, in bytes.
const GapCost = 64

// AddGap counts a gap, and lists it if there is room.
func (s *Side) AddGap(g Gap, r *Room) {
	s.GapCount++
	s.GapBytes += g.Length
	if len(s.Gaps) == MaxGaps || r != nil && r.Listed >= r.Limit {
		return
	}
	s.Gaps = append(s.Gaps, g)
	if r != nil {
		r.Listed++
	}
}

// Leave gives back the room that a conversation's gaps took.
func (r *Room) Leave(c *Conversation) {
	for i := range c.Sides {
		r.Listed -= len(c.Sides[i].Gaps)
	}
}

// Missing returns how many of the bytes between two offsets are in the listed
// gaps.
func (s *Side) Missing(from, to int64) int64 {
	var n int64
	for i := len(s.Gaps) - 1; i >= 0; i-- { // what is asked about is recent
		g := &s.Gaps[i]
		if g.Offset+g.Length <= from {
			break
		}
		n += max(0, min(to, g.Offset+g.Length)-max(from, g.Offset))
	}
	return n
}

// Flow returns the five-tuple of one direction.
func (c *Conversation) Flow(d Direction) Flow {
	if d == ClientToServer {
		return NewFlow(c.Transport, c.Client, c.Server)
	}
	return NewFlow(c.Transport, c.Server, c.Client)
}

// Turn makes the client the server and the server the client.
func (c *Conversation) Turn() {
	c.Client, c.Server = c.Server, c.Client
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
