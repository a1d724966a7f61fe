// Package serve is the stand-in server: it answers as a recorded one did.
//
// It consumes the same plan that the player sends. What was recorded becomes a book
// of answers: those of HTTP/1, DNS, Redis and the like are found by what is asked,
// in the order of the recording when the same was asked several times; a protocol
// that is not parsed, or in which an answer depends on all that was said before, is
// answered turn by turn. A connection follows one recorded conversation as long as
// that has what it asks for. Nothing is ever forwarded. What the recording does not
// know is said to be unknown, and counted; so is what it knows and nobody asked for.
//
// All that clients say is hostile: how many there are, how much each may have
// buffered and how long it may take is bounded (Limits). Memory is the plan's, and
// what the answers of HTTP and of turns are made of is shared with it.
package serve
