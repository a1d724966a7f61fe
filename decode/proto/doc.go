// Package proto turns the ordered bytes of a conversation into messages, and
// messages into exchanges. Each protocol is one file and one line in registry.go.
//
// It stands behind decode/tcp and before the sinks; replay uses it in the same
// way for what it reads from a socket. A Dialogue drives one conversation: it
// finds the protocol from the first bytes, shows the parser what is buffered of a
// direction, takes the messages that come out, and pairs them. A Parser is given
// bytes and does no input or output of its own; it has no goroutine, so its state
// is plain fields. The answer is the same however the bytes were cut.
//
// Bytes are shown to the parser where they lie; only what a parser leaves for
// later is copied, at most MaxBuffered of it in a direction. Whole bodies pass
// through without being kept, unless the Dialogue is asked to keep them.
package proto
