package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"netlab/decode/printer"
	"netlab/replay/plan"
)

// Replayability says what of a plan can't be replayed, why, and where it stands in the
// recording, before anything is sent.
func Replayability(p *plan.Plan) string {
	var checks, comparable int
	skips, packets := make(map[string]int), make(map[string][]int64)
	skip := func(r plan.Reason) {
		skips[r.Why] += r.Count
		if r.Packet > 0 && len(packets[r.Why]) <= maxPackets {
			packets[r.Why] = append(packets[r.Why], r.Packet)
		}
	}
	for _, c := range p.Conns {
		checks += c.Answers
		comparable += c.Comparable()
		if c.Skip != "" {
			skip(plan.Reason{Why: c.Skip, Count: max(1, c.Answers), Packet: c.Packet})
			continue
		}
		for _, r := range c.Why {
			skip(r)
		}
	}
	line := fmt.Sprintf("%s, %s recorded, %d can be compared", printer.Count(int64(len(p.Conns)), "conversation"), printer.Count(int64(checks), "answer"), comparable)
	return strings.TrimSuffix(line+"\n"+reasons(skips, "not compared", packets), "\n")
}

// maxReasons bounds the reasons that are listed, maxPackets the packets of each.
const (
	maxReasons = 8
	maxPackets = 4
)

// reasons lists why something was left out, the most frequent first, and in which packets
// it begins as far as that is known.
func reasons(counts map[string]int, what string, packets map[string][]int64) string {
	list := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	var b strings.Builder
	for i, why := range list {
		if i == maxReasons {
			fmt.Fprintf(&b, "  and for %d more reasons\n", len(list)-maxReasons)
			break
		}
		fmt.Fprintf(&b, "  %d %s: %s%s\n", counts[why], what, printer.Clean(why), at(packets[why]))
	}
	return b.String()
}

// at names packets; those of one reason, for each conversation the first.
func at(packets []int64) string {
	if len(packets) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(", at packet ")
	for i, n := range packets {
		switch {
		case i == maxPackets:
			b.WriteString(", …")
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}
