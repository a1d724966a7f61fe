// Package plan turns a recording into a schedule: what to send, when, and after
// which answer. Replay, the stand-in server and every check consume it.
//
// A Recorder is a decode.Sink, so a file and a live interface feed it alike. It makes Parts,
// in the order in which they are known. Of these a Plan is made, which is static and can be
// printed; or, where all that was said would be too much to keep, the Plan has conversations
// without what was said, and a second reading of the file brings it as it is played. Nothing
// is sent here. Causality comes from acknowledgement numbers: what a client had
// acknowledged when it spoke is what it had read.
package plan

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Plan is a whole recording.
type Plan struct {
	// Start is when its first packet was seen; all times count from it.
	Start time.Time
	// Conns are its conversations, in the order of their beginning.
	Conns []*Conn
	// Bare means that they have no Steps and Checks, for that would be too much: Parts
	// has them.
	Bare bool

	again func(context.Context, Taker) error // reads the recording again, when it is Bare
}

// Conn is one recorded conversation, to be played on one socket.
type Conn struct {
	ID             int
	Transport      flow.Transport
	Client, Server netip.AddrPort
	Protocol       *proto.Protocol
	Packet         int64 // its first
	// Open is when it began, and Ended how many of the plan's conversations had
	// ended by then: it is not opened before these have. Rank is its own place
	// among the ends.
	Open  time.Duration
	Ended int
	Rank  int
	Steps []Step
	// Checks are what the server answered, to be held against what it answers
	// now: exchanges for a protocol that is parsed, else turns.
	Checks []Check
	Close  Close
	// Skip says why it can't be played; empty when it can.
	Skip string
	// Notes say what of it can't be played or compared, though the rest can.
	Notes []string
	// Errand is what it was opened for by another conversation; nil when by none.
	Errand *Errand
	// Slowest is how long the slowest answer took.
	Slowest time.Duration
	// Answers counts its Checks, Compared those that can be compared, and Why the others
	// by what they would be skipped for.
	Answers, Compared int
	Why               []Reason

	ending *Ending // nil while it goes on
}

// Errand says that a conversation carries content for another, which tells where it is to
// be: it is a data connection of FTP, seen from the client of For, whoever opened it.
type Errand struct {
	For  *Conn
	Port uint16 // that was negotiated
	// Before is how often the same port had been negotiated before: servers use them again.
	Before int
}

// Reason counts what is skipped for it. Packet is the first packet of the first of these, zero
// when that is not known.
type Reason struct {
	Why    string
	Count  int
	Packet int64
}

// Step is something the client sends.
type Step struct {
	At     time.Duration
	Bytes  []byte
	After  Wait
	Packet int64 // that carried it
	Offset int64 // of its first byte in what the client said
	Turn   int   // which of the Checks of an unparsed protocol it belongs to
	Begins int   // how many exchanges
	// Edits are what was changed in the Bytes, by where it was in what the client said.
	Edits []Edit
}

// Wait is what must have come before a step.
type Wait struct {
	// Finals and Interims count responses of a parsed protocol: that many final
	// ones in all, and interim ones behind the last of these. If more final ones
	// have come, that will do.
	Finals, Interims int
	// Bytes counts what a server sent in all, over UDP Datagrams; for a protocol
	// that is not parsed.
	Bytes     int64
	Datagrams int
	// Quiet is how long a server must have been silent for what it sent to count
	// as all, when it sends less: three times the longest pause inside the
	// answer, at least MinQuiet.
	Quiet time.Duration
}

// MinQuiet is the shortest silence that ends an answer.
const MinQuiet = 20 * time.Millisecond

// Check is one recorded answer.
type Check struct {
	Index int
	// Exchange is set for a protocol that is parsed. Its messages have Raw.
	Exchange *proto.Exchange
	// Turn is set for one that is not.
	Turn *Turn
	// Skip says why it can't be compared; empty when it can.
	Skip string
	// Left means that its request is not among the Steps, so that no answer comes.
	Left bool
}

// Packet returns where what was asked begins, or the answer to nothing; zero when that is not
// known.
func (k *Check) Packet() int64 {
	switch {
	case k.Turn != nil:
		return cmp.Or(k.Turn.Packet, k.Turn.AnswerPacket)
	case k.Exchange.Request != nil:
		return k.Exchange.Request.Packet
	case k.Exchange.Response != nil:
		return k.Exchange.Response.Packet
	}
	return 0
}

// Turn is what both sides said until the client had read an answer and spoke
// again; over UDP, a datagram and what came before the next.
type Turn struct {
	Sent   int64 // bytes of the client
	Packet int64 // of its first byte; zero when the server spoke first
	// Answer is what the server said, in Length bytes; over UDP, Datagrams holds its
	// pieces. Where that is larger than Keep, Answer is the beginning, and Digest the SHA-256
	// of all.
	Answer       []byte
	Digest       []byte
	Length       int64
	Datagrams    [][]byte
	AnswerPacket int64
	Latency      time.Duration // from the client's last byte to the server's first
	Preview      []byte        // of what the client said
}

// TooLarge says that an answer can't be given again, for it is not kept; empty when it is.
func (t *Turn) TooLarge() string {
	if t.Digest == nil {
		return ""
	}
	return tooLarge
}

// CloseKind says how a side ended a connection.
type CloseKind uint8

// The kinds.
const (
	CloseNone CloseKind = iota // the recording ends before
	CloseFIN
	CloseRST
)

func (k CloseKind) String() string { return [...]string{"none", "fin", "rst"}[k] }

// Close says how a connection ended.
type Close struct {
	By   flow.Direction // who was first
	Kind CloseKind      // how
	At   time.Duration
	// Silence is since when nothing had been said.
	Silence time.Duration
	// HalfClosed means that the server still sent after the client's FIN.
	HalfClosed bool
}

// String writes a close for people.
func (c Close) String() string {
	if c.Kind == CloseNone {
		return "still open"
	}
	by := "client"
	if c.By == flow.ServerToClient {
		by = "server"
	}
	return fmt.Sprintf("%s by the %s", c.Kind, by)
}

// Sent returns how many bytes the client sends.
func (c *Conn) Sent() int64 {
	var n int64
	for i := range c.Steps {
		n += int64(len(c.Steps[i].Bytes))
	}
	return n
}

// Parsed reports whether the protocol's messages are known.
func (c *Conn) Parsed() bool { return c.Protocol != &proto.Raw }

// Total counts the conversations, and what is to be compared in them.
func (p *Plan) Total() (conns, checks int64) {
	for _, c := range p.Conns {
		checks += int64(c.Answers)
	}
	return int64(len(p.Conns)), checks
}

// Comparable counts the checks that can be compared.
func (c *Conn) Comparable() int {
	if c.Skip != "" {
		return 0
	}
	return c.Compared
}
