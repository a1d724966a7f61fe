// Package decode is the pipeline from packets to exchanges. It pulls from a
// capture.Source, drives the stages, and pushes to a Sink:
//
//	capture.Source
//	   │ Packet                        bytes with a time
//	   ▼
//	decode/packet
//	   │ Segment, Datagram             addresses, ports, payload
//	   ▼
//	decode/flow
//	   │ Conversation, Direction       who talks to whom
//	   ▼
//	decode/tcp
//	   │ Chunk, Gap                    ordered bytes, and those never seen
//	   ▼
//	decode/proto
//	   │ Message, Exchange             what was asked and answered
//	   ▼
//	Sink                               a printer, a plan, a filter
//
// Data moves one way. Packets are taken apart one at a time, in one goroutine. For
// a Sink that is a Forker they are gathered in batches, on which several work, each
// on a shard of the conversations; what comes out has the order of the packets, and
// does not depend on how many there are. For any other Sink all is done packet by
// packet.
//
// Nothing here opens a file or a socket or looks at a clock: the time is the
// packets' own. The only thing that travels upstream is an error, which means
// "stop". Memory is bounded by Options, not by the input; every limit that is hit
// is an anomaly and counted.
package decode
