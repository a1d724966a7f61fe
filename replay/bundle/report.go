package bundle

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// A report of a replay says what was answered then and now, and so has secrets of both, of
// which those of now are in no recording. What goes into a bundle is made anew of what is none:
// which exchanges differ, in what kind of thing, and where; of what was and is, status codes alone.

// Finding is an exchange that was answered differently.
type Finding struct {
	Conversation, Index  int
	Packet, AnswerPacket int64 // where it was asked and answered; zero when that is not known
	Protocol, Verdict    string
	Differences          []Difference
	// Request is what was asked, in the words of the bundle; empty until it is known.
	Request string
}

// Difference is in what.
type Difference struct {
	Kind, Path string
	Was, Is    string // of a status; else empty
}

// line says what was found.
func (f *Finding) line() string {
	var parts []string
	for _, d := range f.Differences {
		s := strings.TrimSpace(d.Kind + " " + strings.TrimPrefix(d.Path, d.Kind)) // that of a status says no more
		if d.Was != "" && d.Is != "" {
			s += " was " + d.Was + ", is " + d.Is
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return f.Verdict
	}
	return f.Verdict + ": " + strings.Join(parts, "; ")
}

// Comment is what stands at the packet of the answer.
func (f *Finding) Comment() string { return "netlab replay: " + f.line() }

// String names the exchange, too.
func (f Finding) String() string {
	return strings.TrimSpace(fmt.Sprintf("#%d.%d %s", f.Conversation, f.Index, f.Request)) + ": " + f.line()
}

const (
	// maxReportLine bounds a line of a report, which shows up to some kilobytes of a value
	// for each difference.
	maxReportLine = 16 << 20
	// maxFindings bounds how many exchanges are taken from one.
	maxFindings = 100_000
	// maxDifferences bounds those of one exchange.
	maxDifferences = 20
)

// ErrReport means that something is no report of a replay.
var ErrReport = errors.New("not a report of netlab replay --report json=FILE")

// ReadReport reads the exchanges that differ, or were not answered, in a report of replay
// --report json=FILE. Text says what to put in place of text that may hold secrets.
func ReadReport(r io.Reader, text func(string) string) ([]Finding, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxReportLine)
	var list []Finding
	seen := make(map[[2]int]bool)
	whole, number := false, 0
	for lines.Scan() {
		number++
		var o struct {
			Type, Protocol, Verdict string
			Conversation, Index     int
			Packet                  int64
			AnswerPacket            int64 `json:"answer_packet"`
			Differences             []struct{ Kind, Path, Recorded, Live string }
		}
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("bundle: line %d: %w", number, ErrReport)
		}
		whole = whole || o.Type == "replay"
		id := [2]int{o.Conversation, o.Index}
		if o.Type != "outcome" || o.Verdict != "different" && o.Verdict != "failed" || seen[id] {
			continue
		}
		if len(list) == maxFindings {
			return nil, fmt.Errorf("bundle: the report has more than %d exchanges that differ", maxFindings)
		}
		seen[id] = true
		f := Finding{Conversation: o.Conversation, Index: o.Index, Packet: o.Packet, AnswerPacket: o.AnswerPacket, Protocol: o.Protocol, Verdict: o.Verdict}
		for _, d := range o.Differences[:min(len(o.Differences), maxDifferences)] {
			x := Difference{Kind: text(d.Kind), Path: text(d.Path)}
			if d.Kind == "status" {
				x.Was, x.Is = code(d.Recorded), code(d.Live)
			}
			f.Differences = append(f.Differences, x)
		}
		list = append(list, f)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("bundle: read the report: %w", err)
	}
	if !whole {
		return nil, fmt.Errorf("bundle: %w: it has no sums", ErrReport)
	}
	return list, nil
}

// statusCode matches that of HTTP and its like, without the words behind it.
var statusCode = regexp.MustCompile(`^"?([0-9]{3})\b`)

func code(s string) string {
	if m := statusCode.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// findingRecord is a line of a bundle's report.
type findingRecord struct {
	Type         string             `json:"type"` // "outcome"
	Conversation int                `json:"conversation"`
	Index        int                `json:"index"`
	Protocol     string             `json:"protocol"`
	Verdict      string             `json:"verdict"`
	Request      string             `json:"request,omitempty"`
	Packet       int64              `json:"packet,omitempty"`
	AnswerPacket int64              `json:"answer_packet,omitempty"`
	Differences  []differenceRecord `json:"differences,omitempty"`
}

type differenceRecord struct {
	Kind     string `json:"kind"`
	Path     string `json:"path"`
	Recorded string `json:"recorded,omitempty"`
	Live     string `json:"live,omitempty"`
}

// WriteReport writes findings as JSON Lines, in order.
func WriteReport(w io.Writer, list []Finding) error {
	enc := json.NewEncoder(w)
	for _, f := range slices.SortedStableFunc(slices.Values(list), func(a, b Finding) int {
		return slices.Compare([]int{a.Conversation, a.Index}, []int{b.Conversation, b.Index})
	}) {
		r := findingRecord{"outcome", f.Conversation, f.Index, f.Protocol, f.Verdict, f.Request, f.Packet, f.AnswerPacket, nil}
		for _, d := range f.Differences {
			r.Differences = append(r.Differences, differenceRecord{d.Kind, d.Path, d.Was, d.Is})
		}
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("bundle: write the report: %w", err)
		}
	}
	return nil
}
