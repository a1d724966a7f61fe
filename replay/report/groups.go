package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"netlab/decode/printer"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/noise"
)

// groups gathers what differs by endpoint, kind and place: ten thousand answers that
// differ in one thing are one thing to look at.
type groups struct {
	list     map[groupKey]*group
	answers  map[string]int // of each endpoint, but for those that were skipped
	overflow int            // differences beyond maxGroups
}

// groupKey is what a group's differences have in common. Of those that failed, the place
// is the reason.
type groupKey struct {
	endpoint string
	failed   bool
	kind     compare.Kind
	place    string
}

// group is what will be shown of them.
type group struct {
	groupKey
	answers int
	sample  *replay.Outcome
	shown   compare.Difference
	also    []string // numbers of other answers
}

// maxGroups bounds the groups that are told apart, and maxAlso the answers named of each.
const (
	maxGroups = 1000
	maxAlso   = 5
)

// add takes note of an answer.
func (g *groups) add(o *replay.Outcome) {
	if o.Verdict == compare.Skipped {
		return
	}
	if g.list == nil {
		g.list, g.answers = make(map[groupKey]*group), make(map[string]int)
	}
	endpoint := noise.EndpointOf(o)
	g.answers[endpoint]++
	if o.Verdict == compare.Failed {
		g.note(groupKey{endpoint: endpoint, failed: true, place: o.Reason}, o, compare.Difference{})
		return
	}
	seen := make(map[groupKey]bool)
	for _, d := range o.Differences {
		k := groupKey{endpoint, false, d.Kind, cmp.Or(d.Place, d.Path)}
		if !seen[k] {
			seen[k] = true
			g.note(k, o, d)
		}
	}
}

func (g *groups) note(k groupKey, o *replay.Outcome, d compare.Difference) {
	x := g.list[k]
	if x == nil {
		if len(g.list) == maxGroups {
			g.overflow++
			return
		}
		o.Lighten() // other reports have seen it, or need no bytes
		x = &group{groupKey: k, sample: o, shown: d}
		g.list[k] = x
	} else if other := numberOf(o); !slices.Contains(x.also, other) && other != numberOf(x.sample) && len(x.also) < maxAlso {
		x.also = append(x.also, other)
	}
	x.answers++
}

func numberOf(o *replay.Outcome) string { return fmt.Sprintf("#%d.%d", o.Conn.ID, o.Check.Index) }

// sorted returns the groups, the riskiest first.
func (g *groups) sorted() []*group {
	var list []*group
	for _, x := range g.list {
		list = append(list, x)
	}
	rank := func(x *group) int {
		if x.failed {
			return -1
		}
		return int(x.kind)
	}
	slices.SortFunc(list, func(a, b *group) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.answers, a.answers), cmp.Compare(a.endpoint, b.endpoint), cmp.Compare(a.place, b.place))
	})
	return list
}

// what names the sort of thing that differs.
func (x *group) what() string {
	if x.failed {
		return compare.Failed.String()
	}
	return x.kind.String()
}

// title says in a line what it is about.
func (x *group) title() string {
	place := " " + x.place
	if x.failed || x.place == x.kind.String() {
		place = ""
	}
	return x.what() + strings.TrimPrefix(place, " "+x.what()) + " of " + x.endpoint
}

// text is the sample, and how many there are.
func (x *group) text(g *groups) string {
	what := x.place
	if !x.failed {
		what = x.shown.String()
	}
	return printer.Clean(fmt.Sprintf("%s %s", numberOf(x.sample), x.sample.Request)) + "\n" + printer.Clean(what) + "\n" +
		fmt.Sprintf("%d of %s", x.answers, printer.Count(int64(g.answers[x.endpoint]), "answer"))
}

// write writes each with a sample.
func (g *groups) write(b *strings.Builder) {
	list := g.sorted()
	for _, x := range list {
		fmt.Fprintf(b, "%s\n", printer.Clean(fmt.Sprintf("%s, in %d of %s", x.title(), x.answers, printer.Count(int64(g.answers[x.endpoint]), "answer"))))
		b.WriteString(heading(x.sample))
		if x.failed {
			fmt.Fprintf(b, "            %s\n", printer.Clean(x.place))
		} else {
			fmt.Fprintf(b, "            %s\n", printer.Clean(x.shown.String()))
		}
		if len(x.also) > 0 {
			more := ""
			if len(x.also) == maxAlso {
				more = " and more"
			}
			fmt.Fprintf(b, "            also %s%s\n", strings.Join(x.also, " "), more)
		}
	}
	if g.overflow > 0 {
		fmt.Fprintf(b, "and %d more (--json lists all)\n", g.overflow)
	}
	if len(list) > 0 {
		n := numberOf(list[0].sample)[1:]
		fmt.Fprintf(b, "see more: --show %s prints both answers, --curl %s the request as a command, --all each answer\n", n, n)
	}
}

// maxNoise bounds the places of noise that are named.
const maxNoise = 10

// writeNoise says what was left out as noise, and why.
func writeNoise(b *strings.Builder, list []noise.Evidence, count int64) {
	if count == 0 {
		return
	}
	fmt.Fprintf(b, "noise:       %s at %s do not count\n", printer.Count(count, "difference"), printer.Count(int64(len(list)), "place"))
	for i := range list {
		if i == maxNoise {
			fmt.Fprintf(b, "  and %s more\n", printer.Count(int64(len(list)-maxNoise), "place"))
			break
		}
		e := &list[i]
		fmt.Fprintf(b, "  %d %s of %s: %s\n", e.Excused, e.Kind, printer.Clean(e.Endpoint), printer.Clean(e.Place+", "+e.Why()))
	}
}
