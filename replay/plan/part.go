package plan

import (
	"time"

	"netlab/decode/proto"
)

// Part is a piece of a recording, as it becomes known. The parts of a conversation come in
// this order: Opened; any number of Said, Answered; Closed, behind the last that is Said;
// perhaps more that are Answered; Over.
type Part struct {
	Kind    PartKind
	Conn    *Conn
	Step    *Step         // what was Said
	At      time.Duration // when that is due, which who plays it may change
	Check   *Check        // what was Answered
	Closing *Closing      // how it was Closed
	Ending  *Ending       // what is known when it is Over
	Cost    int           // about how many bytes of memory it holds
}

// Closing says how a conversation ended, and what all answers together are.
type Closing struct {
	Close Close
	All   Wait
}

// PartKind says what a Part is.
type PartKind uint8

// The kinds.
const (
	Opened PartKind = iota
	Said
	Answered
	Closed
	Over
)

// partCost is about what a Part takes beside its bytes.
const partCost = 256

// Taker takes the parts of a recording, one at a time. An error ends it.
type Taker interface{ Take(*Part) error }

// Ending is what is known of a conversation only when all of it was seen.
type Ending struct {
	Closing
	Protocol *proto.Protocol
	Skip     string // as Conn.Skip
	Note     string // one of Conn.Notes
	Slowest  time.Duration
	// steps counts those that were Said, as recorded. Where bytes of the client are
	// missing, cut is set, and whole is how much of its stream can be said.
	steps int
	cut   bool
	whole int64
	left  *leftOut // what was not picked
	over  time.Time
}
