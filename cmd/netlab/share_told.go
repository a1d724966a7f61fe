package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"netlab/decode/printer"
)

// summary tells what was made.
func (s *sharing) summary() error {
	if s.cleaning == nil {
		fmt.Fprintf(s.std.err, "netlab: nothing was replaced: %s has all secrets that were said. Do not pass it on\n", printer.Clean(s.out))
	}
	if s.c.Bool("json") {
		e := json.NewEncoder(s.std.out)
		e.SetEscapeHTML(false)
		return e.Encode(s.record())
	}
	for line := range strings.Lines(s.forPeople()) {
		if _, err := fmt.Fprintln(s.std.out, printer.Clean(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// forPeople is the summary as lines.
func (s *sharing) forPeople() string {
	var b strings.Builder
	conversations, exchanges, values := s.is.Counts()
	fmt.Fprintf(&b, "%s: %s, %s, %s", s.out, printer.Count(s.written, "packet"), printer.Count(conversations, "conversation"), printer.Count(exchanges, "exchange"))
	if len(s.findings) > 0 {
		fmt.Fprintf(&b, ", %d of them answered differently", len(s.findings))
	}
	b.WriteByte('\n')
	if n := s.opened.conversations; n > 0 {
		fmt.Fprintf(&b, "opened: %s, now in clear\n", printer.Count(n, "TLS conversation"))
	}
	if s.cleaning == nil {
		return b.String()
	}
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "%s:\n  %s\n", title, strings.Join(lines, "\n  "))
		}
	}
	list("replaced", s.cleaning.replaced())
	list("blanked", s.cleaning.blanked())
	looked, omitted := s.search.Looked()
	switch {
	case looked > 0:
		fmt.Fprintf(&b, "proof: none of %s is in it, as it was, decompressed, or decoded from base64 or URLs", countOf(looked, "original", "originals"))
		if omitted > 0 {
			fmt.Fprintf(&b, "; %d more are too short, or too much like words, to be looked for", omitted)
		}
		b.WriteByte('\n')
	case omitted > 0:
		fmt.Fprintf(&b, "proof: no original was looked for, as %s too short, or too much like words\n", countOf(omitted, "is", "are"))
	default:
		b.WriteString("proof: no secret was found, so there is none to look for\n")
	}
	if len(s.differs) == 0 {
		fmt.Fprintf(&b, "proof: it is the same to replay: %s, %s, %s\n", printer.Count(conversations, "conversation"), printer.Count(exchanges, "exchange"), countOf(values, "value that lives", "values that live"))
	} else {
		var lines []string
		for _, d := range s.differs[:min(len(s.differs), maxTold)] {
			lines = append(lines, d.String())
		}
		if n := len(s.differs) - maxTold; n > 0 {
			lines = append(lines, fmt.Sprintf("and %d more", n))
		}
		list("it is not the same to replay", lines)
	}
	if s.mapped {
		fmt.Fprintf(&b, "what stands for what is in %s: keep it to yourself\n", s.mapName())
	}
	return b.String()
}

// sharedRecord is the summary as JSON: what was shared, and what was done with what was said in it.
type sharedRecord struct {
	Type          string         `json:"type"` // "share"
	File          string         `json:"file"`
	Packets       int64          `json:"packets"`
	Conversations int64          `json:"conversations"`
	Exchanges     int64          `json:"exchanges"`
	Values        int            `json:"values_that_live"`
	Different     int            `json:"answered_differently"`
	Opened        int64          `json:"tls_opened"` // conversations
	Sanitised     *sanitisedJSON `json:"sanitised"`  // null with --no-sanitise
}

type sanitisedJSON struct {
	Map      string            `json:"map"` // empty when nothing stands for anything
	Replaced []replacedJSON    `json:"replaced"`
	Blanked  []blankedJSON     `json:"blanked"`
	Packets  sharedPacketsJSON `json:"packets"`
	Proof    proofJSON         `json:"proof"`
}

// replacedJSON is about the secrets of one kind.
type replacedJSON struct {
	Kind   string           `json:"kind"`
	Values int64            `json:"values"` // distinct ones
	Places int64            `json:"places"`
	Where  map[string]int64 `json:"where"` // of these places
}

// blankedJSON is about what was not understood in messages, for one reason.
type blankedJSON struct {
	Why    string `json:"why"`
	Places int64  `json:"places"`
	Bytes  int64  `json:"bytes"`
}

// sharedPacketsJSON accounts for packets: of their bytes, each is a header's, kept, replaced or blanked.
type sharedPacketsJSON struct {
	Addresses         int64            `json:"addresses"` // places of these and the next two
	HardwareAddresses int64            `json:"hardware_addresses"`
	Names             int64            `json:"names"`
	Bytes             int64            `json:"bytes"`
	Headers           int64            `json:"header_bytes"`
	Kept              int64            `json:"kept_bytes"`
	Replaced          int64            `json:"replaced_bytes"`
	Blanked           map[string]int64 `json:"blanked_bytes"` // by the reason
	LeftOut           map[string]int64 `json:"left_out"`      // packets, by the reason
}

type proofJSON struct {
	Searched    int      `json:"originals_searched"`
	Omitted     int      `json:"originals_too_common"`
	Same        bool     `json:"same_to_replay"`
	Differences []string `json:"differences"`
}

func (s *sharing) record() *sharedRecord {
	r := &sharedRecord{Type: "share", File: s.out, Packets: s.written, Different: len(s.findings), Opened: s.opened.conversations}
	r.Conversations, r.Exchanges, r.Values = s.is.Counts()
	if s.cleaning == nil {
		return r
	}
	sum := s.cleaning.sum
	j := &sanitisedJSON{
		Replaced: []replacedJSON{}, Blanked: []blankedJSON{},
		Packets: sharedPacketsJSON{
			Addresses: sum.Addresses, HardwareAddresses: sum.MACs, Names: sum.Names,
			Bytes: sum.Bytes, Headers: sum.Headers, Kept: sum.Kept, Replaced: sum.Replaced, Blanked: sum.Blanks, LeftOut: sum.Dropped,
		},
		Proof: proofJSON{Same: len(s.differs) == 0, Differences: []string{}},
	}
	if s.mapped {
		j.Map = s.mapName()
	}
	found := s.cleaning.redact.Summary()
	for _, c := range found.Found {
		j.Replaced = append(j.Replaced, replacedJSON{c.Kind.String(), c.Values, c.Places, c.Where})
	}
	for _, b := range s.cleaning.notUnderstood() {
		j.Blanked = append(j.Blanked, blankedJSON{b.Why, b.Messages, b.Bytes})
	}
	j.Proof.Searched, j.Proof.Omitted = s.search.Looked()
	for _, d := range s.differs {
		j.Proof.Differences = append(j.Proof.Differences, d.String())
	}
	r.Sanitised = j
	return r
}
