// Package noise tells differences that mean something from those that two right answers
// have as well.
//
// A Judge stands between the player and a report. It holds what differs until all is
// played, for only then it is known what differs between two answers to the same
// request: in the recording, between passes, or between a recording and a baseline, the
// build that is known to be right. What varies is counted for each endpoint, place and
// kind of difference. A difference is noise when its place varied in this way, not
// significantly less often than it differs from the recording, and the value looks as
// those did that were recorded. A new kind of difference is never noise, a status never
// is. What follows the clock is noise without having varied: it is as far from when it
// was said as before.
package noise

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"netlab/replay"
	"netlab/replay/compare"
)

// maxHeld bounds the differences that are held, of some 300 bytes each. Answers that
// differ behind that are different, whatever the others do.
const maxHeld = 1 << 20

// Judge is a replay.Sink in front of another.
type Judge struct {
	// Memory bounds the bytes of recorded answers that are held against each other; 0 is
	// 64 MiB.
	Memory int

	next  replay.Sink
	rules compare.Rules

	places   map[place]*Evidence
	answers  map[string]*tally // by endpoint
	passes   int               // how often all was played
	failed   map[check]int     // how often an answer did not come
	held     []*replay.Outcome
	heldSize int
	conns    []*replay.ConnOutcome
	bad      map[pass]int // answers of a connection that are different or failed
	baseline map[check]map[place]uint64
	repeats  repeats

	unknown, looks int
}

// place is where, and how, answers of an endpoint differ.
type place struct {
	endpoint string
	kind     compare.Kind
	at       string
}

// check is a recorded answer, and pass a connection that is played.
type check struct{ conn, index int }
type pass struct{ conn, pass int }

// tally counts the answers of an endpoint.
type tally struct {
	pairs    int // of right answers, held against each other
	compared int // with the recorded
}

// Evidence is what is known of a place.
type Evidence struct {
	Endpoint string
	Kind     compare.Kind
	Place    string
	// Varied of Pairs two right answers differ there; Differed of Compared live answers
	// from the recorded.
	Varied, Pairs      int
	Differed, Compared int
	// Shape is what recorded values look like.
	Shape compare.Shape
	// Excused counts the differences that are noise.
	Excused int
}

// New returns a Judge in front of a Sink. The rules are those that the answers were
// compared by.
func New(next replay.Sink, rules compare.Rules) *Judge {
	return &Judge{
		next: next, rules: rules, places: make(map[place]*Evidence), answers: make(map[string]*tally), failed: make(map[check]int),
		bad: make(map[pass]int), baseline: make(map[check]map[place]uint64),
	}
}

// EndpointOf names what was asked for; of a protocol that is not parsed, the protocol.
func EndpointOf(o *replay.Outcome) string {
	if e := o.Check.Exchange; e != nil {
		if s := compare.EndpointOf(e.Request); s != "" {
			return s
		}
	}
	return o.Conn.Protocol.Name
}

func (j *Judge) tally(endpoint string) *tally {
	t := j.answers[endpoint]
	if t == nil {
		t = &tally{}
		j.answers[endpoint] = t
	}
	return t
}

func (j *Judge) evidence(p place) *Evidence {
	e := j.places[p]
	if e == nil {
		e = &Evidence{Endpoint: p.endpoint, Kind: p.kind, Place: p.at}
		j.places[p] = e
	}
	return e
}

func placeOf(endpoint string, d *compare.Difference) place {
	at := d.Place
	if at == "" {
		at = d.Path
	}
	return place{endpoint, d.Kind, at}
}

// marks are numbers for what stands at each place where an answer differs: they are the
// same for the same answer.
func marks(endpoint string, list []compare.Difference) map[place]uint64 {
	m := make(map[place]uint64)
	for i := range list {
		d := &list[i]
		p := placeOf(endpoint, d)
		m[p] = m[p]*31 + d.Now + 1
	}
	return m
}

// Outcome holds an answer that differs, and hands on all others.
func (j *Judge) Outcome(o *replay.Outcome) error {
	j.passes = max(j.passes, o.Pass, 1)
	switch o.Verdict {
	case compare.Same, compare.Different:
		endpoint := EndpointOf(o)
		j.tally(endpoint).compared++
		if o.Pass <= 1 {
			j.repeats.add(o, endpoint, cmp.Or(j.Memory, defaultMemory))
		}
	case compare.Failed:
		j.bad[pass{o.Conn.ID, o.Pass}]++
		j.failed[check{o.Conn.ID, o.Check.Index}]++
	}
	if o.Verdict != compare.Different || j.heldSize >= maxHeld {
		if o.Verdict == compare.Different {
			j.bad[pass{o.Conn.ID, o.Pass}]++
		}
		return j.next.Outcome(o)
	}
	o.Lighten()
	j.held = append(j.held, o)
	j.heldSize += len(o.Differences)
	return nil
}

// Connection holds a connection that is different for its answers.
func (j *Judge) Connection(c *replay.ConnOutcome) error {
	if c.Verdict == compare.Different && c.Reason == "" {
		j.conns = append(j.conns, c)
		return nil
	}
	return j.next.Connection(c)
}

// Settle decides, hands on what was held, and puts the sums right.
func (j *Judge) Settle(r *replay.Result) error {
	j.fromRepeats()
	j.fromPasses()
	for _, o := range j.held {
		endpoint := EndpointOf(o)
		for i := range o.Differences {
			d := &o.Differences[i]
			j.evidence(placeOf(endpoint, d)).Shape |= d.Was
		}
		for p := range marks(endpoint, o.Differences) {
			j.evidence(p).Differed++
		}
	}
	for p, e := range j.places {
		t := j.tally(p.endpoint)
		e.Pairs, e.Compared = t.pairs, t.compared
	}
	var failed error
	for _, o := range j.held {
		if err := j.settle(o, r); err != nil && failed == nil {
			failed = err
		}
	}
	for _, c := range j.conns {
		if j.bad[pass{c.Conn.ID, c.Pass}] == 0 {
			c.Verdict = compare.Same
			r.Conns[compare.Different]--
			r.Conns[compare.Same]++
		}
		if err := j.next.Connection(c); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}

// settle decides about one answer.
func (j *Judge) settle(o *replay.Outcome, r *replay.Result) error {
	endpoint := EndpointOf(o)
	base := j.baseline[check{o.Conn.ID, o.Check.Index}]
	var now map[place]uint64
	if base != nil {
		now = marks(endpoint, o.Differences)
	}
	var left []compare.Difference
	for i := range o.Differences {
		d := &o.Differences[i]
		p := placeOf(endpoint, d)
		e := j.places[p]
		mark, inBaseline := base[p]
		switch {
		case d.Kind != compare.Status && (d.Clock || e.isNoise(d) || inBaseline && mark == now[p]), inBaseline && mark == now[p]:
			e.Excused += 1 + d.More
			o.Noise = append(o.Noise, *d)
			continue
		case e.Pairs == 0:
			j.unknown++
			if d.Was.Known() && d.Is.Known() {
				j.looks++
			}
		}
		left = append(left, *d)
	}
	o.Differences = left
	r.Noise += int64(len(o.Noise))
	if len(left) == 0 {
		o.Verdict = compare.Same
		r.Checks[compare.Different]--
		r.Checks[compare.Same]++
	} else {
		j.bad[pass{o.Conn.ID, o.Pass}]++
	}
	return j.next.Outcome(o)
}

// isNoise reports whether a difference is what two right answers have too.
func (e *Evidence) isNoise(d *compare.Difference) bool {
	if d.Kind == compare.Status || e.Varied == 0 {
		return false
	}
	often, _ := wilson(e.Differed, e.Compared)
	_, seldom := wilson(e.Varied, e.Pairs)
	if often > seldom {
		return false
	}
	return d.Kind == compare.Missing || d.Kind == compare.Extra || e.Shape.Allows(d.Is)
}

// fromPasses counts what differs between passes: where an answer differs from the
// recorded in one way in one pass, and in another or not at all in the next.
func (j *Judge) fromPasses() {
	if j.passes < 2 {
		return
	}
	byCheck := make(map[check][]*replay.Outcome)
	for _, o := range j.held {
		c := check{o.Conn.ID, o.Check.Index}
		byCheck[c] = append(byCheck[c], o)
	}
	for c, list := range byCheck {
		times := j.passes - j.failed[c]
		if times < 2 {
			continue
		}
		endpoint := EndpointOf(list[0])
		ways := make(map[place]map[uint64]int)
		for _, o := range list {
			for p, mark := range marks(endpoint, o.Differences) {
				if ways[p] == nil {
					ways[p] = make(map[uint64]int)
				}
				ways[p][mark]++
			}
		}
		for p, marks := range ways {
			if !slices.Contains(slices.Collect(maps.Values(marks)), times) {
				j.evidence(p).Varied++
			}
		}
	}
	for _, t := range j.answers {
		t.pairs += t.compared / j.passes
	}
}

// Baseline returns a Sink for a replay to a build that is known to be right: what
// differs there is noise here.
func (j *Judge) Baseline() replay.Sink { return &baseline{j} }

type baseline struct{ *Judge }

func (b *baseline) Outcome(o *replay.Outcome) error {
	if o.Verdict != compare.Same && o.Verdict != compare.Different {
		return nil
	}
	endpoint := EndpointOf(o)
	b.tally(endpoint).pairs++
	m := marks(endpoint, o.Differences)
	for i := range o.Differences {
		b.evidence(placeOf(endpoint, &o.Differences[i])).Shape |= o.Differences[i].Is
	}
	for p := range m {
		b.evidence(p).Varied++
	}
	if len(m) > 0 {
		b.baseline[check{o.Conn.ID, o.Check.Index}] = m
	}
	return nil
}

func (b *baseline) Connection(*replay.ConnOutcome) error { return nil }

// Learned lists the places of noise, by endpoint.
func (j *Judge) Learned() []Evidence {
	var list []Evidence
	for _, e := range j.places {
		if e.Excused > 0 {
			list = append(list, *e)
		}
	}
	slices.SortFunc(list, func(a, b Evidence) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// Note says what there is to know beside the sums, and what to do about it; "" when there
// is nothing.
func (j *Judge) Note(advice string) string {
	switch {
	case j.unknown == 0:
		return ""
	case j.looks > 0:
		return fmt.Sprintf("noise unknown: %s (%d of %d differences look like it: dates, uuids, hex digits, counters)", advice, j.looks, j.unknown)
	}
	return "noise unknown: " + advice
}

// Why says what makes it noise.
func (e *Evidence) Why() string {
	looks := ""
	if e.Shape.Known() {
		looks = " (" + e.Shape.String() + ")"
	}
	if e.Varied == 0 {
		return "follows the clock" + looks
	}
	return fmt.Sprintf("varied in %d of %d pairs of right answers%s", e.Varied, e.Pairs, looks)
}
