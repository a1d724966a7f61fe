package rewrite

// Summary accounts for every packet and every byte that a Rewriter was given.
type Summary struct {
	// Packets came in, Written went out: Packets + Split = Written + those Dropped. Split
	// counts what segments were cut into, beyond one, because they had grown too large.
	Packets, Written, Split int64
	Dropped                 map[string]int64 // by the reason
	// Bytes are those captured: Headers, Kept, Replaced and Blanked together. Replaced are
	// those for which an Edit had others.
	Bytes, Headers, Kept, Replaced, Blanked int64
	Blanks                                  map[string]int64 // by the reason: all that were Blanked
	// Addresses and MACs count the places at which one was replaced, Names those of names
	// outside of streams.
	Addresses, MACs, Names int64

	blanks [reasons]int64
}

// reason is why bytes were blanked.
type reason uint8

const (
	becauseEdit reason = iota
	becauseUnseen
	becauseIgnored
	becauseNobodys
	becauseWild
	becauseOption
	becauseTrailer
	becauseFragment
	becauseControl
	becauseAbout
	becauseProtocol
	becauseUndecoded
	becauseCut
	becauseLarge
	reasons
)

var reasonNames = [reasons]string{
	becauseEdit:      "not to be shown",
	becauseUnseen:    "not understood",
	becauseIgnored:   "in no stream",
	becauseNobodys:   "of no conversation",
	becauseWild:      "place in the stream not known",
	becauseOption:    "options",
	becauseTrailer:   "behind the packet",
	becauseFragment:  "fragments that never were whole",
	becauseControl:   "inside of control messages",
	becauseAbout:     "about the capture",
	becauseProtocol:  "of a protocol that is not looked at",
	becauseUndecoded: "undecoded",
	becauseCut:       "headers cut off",
	becauseLarge:     "too large to grow",
}

// blank counts n bytes.
func (s *Summary) blank(why reason, n int) {
	s.blanks[why] += int64(n)
	s.Blanked += int64(n)
}

func (s *Summary) close() {
	for why, n := range s.blanks {
		if n > 0 {
			s.Blanks[reasonNames[why]] = n
		}
	}
}
