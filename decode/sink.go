package decode

import (
	"netlab/decode/flow"
	"netlab/decode/proto"
)

// Sink takes what the pipeline finds. An error stops it. A Sink that wants more
// than exchanges has one or more of the methods of the interfaces below.
type Sink interface {
	// Exchange gets every exchange once, when nothing more can belong to it.
	Exchange(*proto.Exchange) error
}

// Starter is told of a conversation at its first packet, as far as it is known.
type Starter interface {
	Start(*flow.Conversation) error
}

// Finisher is told of a conversation when all that belongs to it was handed on.
type Finisher interface {
	Finish(*flow.Conversation) error
}

// Closer is told when a TCP conversation has ended, as soon as it shows; packets
// may still follow.
type Closer interface {
	Close(*flow.Conversation) error
}

// Packeter is told of each packet of a conversation, before what it means: the
// conversation is as the one before left it.
type Packeter interface {
	Packet(c *flow.Conversation, number int64) error
}

// Streamer gets the bytes of both directions in order, before what they mean.
// The Chunk's Data is valid during the call. A UDP datagram is one Chunk.
type Streamer interface {
	Stream(*flow.Conversation, flow.Direction, flow.Chunk) error
}

// Gapper is told of the gaps in what a Streamer gets.
type Gapper interface {
	Gap(*flow.Conversation, flow.Direction, flow.Gap) error
}

// Ignorer is told of the bytes in packets of TCP that a Streamer does not get, before
// the Finisher: bytes that nobody has looked at.
type Ignorer interface {
	Ignored(*flow.Conversation, flow.Direction, flow.Ignored) error
}

// InnerStreamer is a Streamer that also gets what was inside of bytes that were
// encrypted, where they were opened.
type InnerStreamer interface {
	// Sealed says of a direction that its bytes are encrypted from an offset on, with
	// their handshake; or that they can't be opened from there on, or are in clear.
	Sealed(c *flow.Conversation, d flow.Direction, from int64, sealed bool) error
	// InnerStream gets what was inside of what stands between two offsets of the Stream:
	// no bytes where that is no more than the encryption's own, as its handshake is.
	InnerStream(c *flow.Conversation, d flow.Direction, from, to int64, k flow.Chunk) error
	// InnerGap is told of what is missing inside, up to an offset of the Stream.
	InnerGap(c *flow.Conversation, d flow.Direction, to int64, g flow.Gap) error
	// InnerEnd is told that what stands in the Stream before an offset says that a
	// direction ends.
	InnerEnd(c *flow.Conversation, d flow.Direction, to int64) error
	// Streamed says that all which came of what was streamed so far has been told.
	Streamed(*flow.Conversation) error
}

// Framer gets HTTP/2 as it is framed, as proto.Framer does.
type Framer interface {
	Preface(c *flow.Conversation, at int64, size int) error
	Frame(*flow.Conversation, flow.Direction, *proto.HTTP2Frame) error
	Framed(c *flow.Conversation, d flow.Direction, at int64, data []byte) error
	Block(c *flow.Conversation, d flow.Direction, at int64, fields []proto.HPACKField, broken bool) error
}

// Anomalist is told of odd traffic.
type Anomalist interface {
	Anomaly(flow.Anomaly) error
}

// Summarizer gets the sums at the end.
type Summarizer interface {
	Summary(*Summary) error
}

// Forker is a Sink that can be told of several conversations at a time: it has a
// Part for each shard of them. Neither keeps anything of an exchange that it was
// told of: the memory is used again.
type Forker interface {
	Sink
	// Fork returns another Part.
	Fork() Part
	// Flush is called when all that was made of some packets is written.
	Flush() error
}

// Part is the Sink of one shard. It gathers what it makes of what it is told, for
// the pipeline to put in order. The ID of a conversation may be Unnumbered when it
// is told of it; it is known when it is to Write.
type Part interface {
	Sink
	// Len returns how much it has gathered: bytes, or what else it counts.
	Len() int
	// Write hands on what is between from and to.
	Write(from, to int) error
	// Reset forgets what was gathered.
	Reset()
}

// Unnumbered is the ID of a conversation whose place among others is not known
// yet.
const Unnumbered = -1
