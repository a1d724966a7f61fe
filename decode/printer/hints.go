package printer

import (
	"fmt"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/packet"
	"netlab/decode/proto"
)

// Hints says why there may be less to see than was expected, and what to do about it: a
// line for each reason, none when there is much to see.
func Hints(s *decode.Summary) []string {
	var lines []string
	hint := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	conversations := s.Conversations[flow.TCP] + s.Conversations[flow.UDP]
	var exchanges int64
	for _, n := range s.Exchanges {
		exchanges += n
	}
	t := &s.Traits
	if t.Encrypted > 0 {
		hint("%s encrypted, and there are no keys. Next time: SSLKEYLOGFILE=keys.txt curl ..., or a browser started so; then netlab decode --keylog keys.txt", are(t.Encrypted, "conversation"))
	}
	if t.QUIC > 0 {
		hint("%s encrypted, and nothing opens QUIC here. Next time: a client that speaks HTTP/2, as curl --http2 and chromium --disable-quic", are(t.QUIC, "conversation"))
	}
	if t.OneSided > 0 && t.OneSided == conversations && t.Empty < conversations {
		hint("only one direction was captured: both have to pass the interface")
	}
	if t.Cut > 0 && (exchanges == 0 || s.Exchanges[proto.Broken] > 0) {
		hint("bytes were cut off in %s: capture with a larger snapshot length, as netlab capture does without -s", Count(t.Cut, "conversation"))
	}
	if exchanges > 0 {
		return lines
	}
	switch {
	case s.Packets == 0 && s.LeftOut > 0:
		hint("the filter leaves out all of %s", Count(s.LeftOut, "packet"))
	case s.Packets == 0:
		hint("there are no packets in it")
	case conversations == 0 && s.Undecoded() > s.Packets/2:
		for _, r := range reasons(s) {
			if r.kind == packet.Undecoded || r.kind == packet.CutShort {
				hint("most packets could not be decoded: %s", r.reason)
				break
			}
		}
	case conversations == 0:
		hint("there is no TCP and no UDP in it")
	case t.Empty == conversations:
		hint("nothing was said in any conversation: there are only handshakes, probes and refusals")
	}
	return lines
}

// are writes how many of something are.
func are(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return Count(n, noun) + " are"
}
