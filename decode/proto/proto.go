package proto

import (
	"net/netip"
	"time"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// Protocol is what a protocol's file provides, and a line of the registry.
type Protocol struct {
	// Name is as users type it.
	Name string
	// Type is "type" in JSON, and what the names of its attributes begin with; the
	// Name when empty.
	Type string
	// Probe tells from the first bytes whether a conversation speaks it.
	Probe func(Opening) Verdict
	// New returns a parser of one conversation.
	New func(Waiting) Parser
	// Pairing says how messages become exchanges.
	Pairing Pairing
	// UDP means that datagrams may carry it: who names what they carry can name it.
	UDP bool
	// Unasked means that a response nobody asked for is normal.
	Unasked bool
	// Reuses means that its parser asks spare for its messages.
	Reuses bool
	// Interleaves means that a message may come in pieces with others between them:
	// the parser says of each where it stands (Message.Place), and keeps its Raw, up
	// to Waiting.Keep.
	Interleaves bool
	// AnyStart means that a conversation makes sense from any of its messages on:
	// nothing said before is needed to understand, or to say, the rest.
	AnyStart bool
	// RequestName is what JSON calls the request: "request" when empty.
	RequestName string
	// Split means that JSON has a record for each message in place of one for
	// the exchange.
	Split bool
	// Opens, if any, returns where an exchange has another conversation come to,
	// which carries content for this one; Uses reports whether an exchange is
	// about the content of the latest.
	Opens func(e *Exchange) []netip.AddrPort
	Uses  func(e *Exchange) bool
	// Attributes are what can be asked about its exchanges, beside what can be about
	// all.
	Attributes []Attribute
	// AppendJSON appends an exchange as `"name":value,…` when request and
	// response side by side are not its form; else it is nil.
	AppendJSON func(dst []byte, e *Exchange) []byte
}

// Record is the "type" of its records in JSON.
func (p *Protocol) Record() string {
	if p.Type != "" {
		return p.Type
	}
	return p.Name
}

// Opening is what a Probe looks at: the first bytes of a conversation.
type Opening struct {
	Transport flow.Transport
	// First holds what is there of each direction.
	First [2][]byte
	// Ended says of each direction that no more will come.
	Ended [2]bool
	// ServerFirst says that the server spoke before the client did.
	ServerFirst bool
}

// Verdict is a Probe's answer.
type Verdict uint8

// The verdicts.
const (
	NoMatch Verdict = iota
	NeedMore
	Match
)

// Pairing says how messages become exchanges.
type Pairing uint8

// The ways of pairing.
const (
	// InOrder: a response answers the oldest request that waits.
	InOrder Pairing = iota
	// ByID: a response answers the oldest request with the same Message.ID.
	ByID
	// Alone: each message is an exchange of its own.
	Alone
)

// Parser turns the bytes of one conversation into messages. Next has the shape
// of bufio.SplitFunc with a direction in front. One may have more methods, which
// save work: those of passer and resetter.
type Parser interface {
	// Next gets what is buffered of a direction, and whether more can come. It
	// returns how many bytes it is done with, and a message when those bytes
	// completed one. Nothing of both asks for more. The message may be one of the
	// other direction, which then takes none of these bytes. With end it must
	// take all, in as many calls as it likes.
	Next(d flow.Direction, data []byte, end bool) (advance int, m *Message)
	// Gap says that n bytes of d are missing behind data, which Next was shown
	// and left. The parser is done with data. It returns how many of the missing
	// bytes belong to a message of d, which goes on behind them unless it is the
	// one returned; and perhaps a message that the gap has ended.
	Gap(d flow.Direction, data []byte, n int64) (took int64, m *Message)
}

// Waiting tells a parser about its conversation.
type Waiting interface {
	// Conversation returns who talks.
	Conversation() *flow.Conversation
	// Request returns the request that a response which begins with the bytes
	// shown now would answer; nil when there is none.
	Request() *Message
	// At returns where the i-th of the bytes shown now came from. It is for parsers
	// that interleave, carry another protocol, or find messages within others.
	At(d flow.Direction, i int) Mark
	// Keep returns how many bytes of each message are to be kept.
	Keep() int64
	// With returns Message.With of the message that led to this protocol.
	With() string
	// Secrets returns what opens encrypted connections; nil when there is nothing.
	Secrets() *tls.Secrets
}

// Kind is a message's part in an exchange.
type Kind uint8

// The kinds.
const (
	Request Kind = iota
	Response
	// Interim is a response before the response, as HTTP's 100 Continue.
	Interim
	// Skipped bytes are none of the protocol's; they are no message and belong to
	// no exchange.
	Skipped
)

// Message is one unit of a protocol. Those handed to a sink are its own, unless
// Options.Spare is set.
type Message struct {
	Direction flow.Direction
	Kind      Kind
	// ID pairs messages when the protocol is paired ByID.
	ID uint32
	// Alone means that it waits for no answer, and answers nothing, in its
	// conversation.
	Alone bool
	// Complete means that all of it was seen; Why says what is wrong when not.
	Complete bool
	// Malformed means that the sender broke the protocol's rules, as Why says.
	Malformed bool
	Why       string
	// Body holds what the protocol says in this message.
	Body Body
	// Next names the protocol that the conversation speaks after this message,
	// in both directions; Anything when it is to be found out.
	Next string
	// With is what that protocol has to know, as HTTP's Upgrade agreed upon it.
	With string

	// Within, if any, is the protocol of a message found inside of another, which goes
	// on behind it, as events do in a response of HTTP. It is an exchange of its own,
	// and no answer to anything. Its bytes are the other's too: the parser says where
	// it stands (Place), and Raw is left to the other.
	Within *Protocol

	// The rest is filled in by the Dialogue, unless the protocol Interleaves.

	// Time and End are when the first and the last byte were seen, in the
	// packets Packet and LastPacket.
	Time, End          time.Time
	Packet, LastPacket int64
	// Offset and Length are its place in its direction's stream; for UDP the
	// count of payload bytes before it.
	Offset, Length int64
	// Ack is how much of the other direction the sender had when it began.
	Ack int64
	// Raw holds the message's exact bytes when they are kept (Options.Keep), and
	// RawMissing how many more there were.
	Raw        []byte
	RawMissing int64
	// Pauses counts those longer than Pause in a message that is kept, behind its head: its
	// sender let go of what it had by then.
	Pauses int
	// Digest is the SHA-256 of a message of which more is missing than a gap: of all its
	// bytes; of HTTP, of its body as it was transferred, without the framing of chunks.
	Digest []byte

	text []byte // memory of strings in Body, when the parser has some of its own
	// answers is the request that a response answers, when the parser knows better
	// than the order; older ones stay unanswered.
	answers *Message
}

// Anything as Message.Next has the protocol found from the bytes that follow.
const Anything = "?"

// Body is what a protocol says in a message. One that is larger than a few
// hundred bytes has a method Held that returns how much memory it has need of,
// as has a Parser that keeps bytes.
type Body interface {
	// Summary is one line for people. It may hold bytes that a terminal must not
	// see raw: who prints it makes them harmless.
	Summary() string
	// AppendJSON appends the fields as `"name":value,…`, without braces.
	AppendJSON(dst []byte) []byte
}

// AppendSummary appends a Body's Summary: without putting it together first, for bodies
// of which there are many.
func AppendSummary(dst []byte, b Body) []byte {
	if b, ok := b.(interface{ AppendSummary([]byte) []byte }); ok {
		return b.AppendSummary(dst)
	}
	return append(dst, b.Summary()...)
}

// Outcome is a Body of a response that says how it went: by a number, as HTTP's
// status, or by a word, as Redis' WRONGTYPE; and whether that is a failure.
type Outcome interface {
	Outcome() (code int, word string, failed bool)
}

// Endpoint is a Body of a request that says what was asked for, without what differs
// from one such request to the next: "GET /users/{id}", "HGETALL". What is slow or
// fails is told by endpoint.
type Endpoint interface {
	Endpoint() string
}

// AppendEndpoint appends what Endpoint returns.
func AppendEndpoint(dst []byte, b Endpoint) []byte {
	if h, ok := b.(*HTTPMessage); ok { // which would have to put it together first
		return h.appendEndpoint(dst)
	}
	return append(dst, b.Endpoint()...)
}

// State says what became of an exchange.
type State uint8

// The states.
const (
	Complete   State = iota // all of it was seen
	Unanswered              // no response was seen
	Broken                  // one of its messages is missing or not whole
)

func (s State) String() string {
	return [...]string{"complete", "unanswered", "broken"}[s]
}

// Exchange is a request with its response, or a message alone.
type Exchange struct {
	Conversation *flow.Conversation
	Protocol     *Protocol
	// Index counts the exchanges of the conversation from 0, by their beginning.
	Index int
	State State
	// Request or Response is nil when it was not in the recording, or when the
	// protocol has none.
	Request, Response *Message
	// Interim responses, in order.
	Interim []*Message
	// Data is the conversation that carried the content, if that was another.
	Data *flow.Conversation

	held int  // while it waits
	kept bool // it is not used again
}

// Keep has the exchange, and all in it, be the Receiver's own where there is a Spare: it is
// not used again.
func (e *Exchange) Keep() { e.kept = true }

// Latency is the time from the end of the request to the beginning of the
// response, and whether both are there.
func (e *Exchange) Latency() (time.Duration, bool) {
	if e.Request == nil || e.Response == nil {
		return 0, false
	}
	return max(0, e.Response.Time.Sub(e.Request.End)), true
}

// Total is the time from the beginning of the request to the end of the
// response, and whether both are there.
func (e *Exchange) Total() (time.Duration, bool) {
	if e.Request == nil || e.Response == nil {
		return 0, false
	}
	return max(0, e.Response.End.Sub(e.Request.Time)), true
}

// Messages returns those that are there, in order.
func (e *Exchange) Messages() []*Message {
	var ms []*Message
	if e.Request != nil {
		ms = append(ms, e.Request)
	}
	ms = append(ms, e.Interim...)
	if e.Response != nil {
		ms = append(ms, e.Response)
	}
	return ms
}

// First returns the first of them.
func (e *Exchange) First() *Message {
	switch {
	case e.Request != nil:
		return e.Request
	case len(e.Interim) > 0:
		return e.Interim[0]
	}
	return e.Response
}

// Inside reports whether it is a message within another, whose bytes it shares.
func (e *Exchange) Inside() bool {
	m := e.First()
	return m != nil && m.Within != nil
}

// Why says why the exchange is not complete, as its messages tell it.
func (e *Exchange) Why() string {
	switch {
	case e.State == Complete:
		return ""
	case e.Request != nil && e.Request.Why != "":
		return "request: " + e.Request.Why
	case e.Response != nil && e.Response.Why != "":
		return "response: " + e.Response.Why
	case e.Response == nil:
		return "no response in the recording"
	}
	return "no request in the recording"
}
