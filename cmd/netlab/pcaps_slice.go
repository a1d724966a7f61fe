package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/capture/filter"
)

// pickFlags say which packets are taken, by what is known of them without decoding.
var pickFlags = []cli.Flag{
	&cli.StringFlag{Name: "packets", Usage: "take those whose numbers are in `LIST`, as 1-100,205,300-"},
	&cli.StringFlag{Name: "after", Usage: "take those from `TIME` on: 2026-01-02T15:04:05Z, or as long after the first packet: 1.5, 90s, 2m"},
	&cli.StringFlag{Name: "before", Usage: "take those before `TIME`, as --after has it"},
	&cli.DurationFlag{Name: "duration", Usage: "take those of `D` from --after, or the first packet, on"},
	&cli.Int64Flag{Name: "count", Aliases: []string{"c"}, Usage: "take the first `N` of them"},
}

func pcapsSliceCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "slice",
		Usage:     "take some packets of a capture file",
		ArgsUsage: "FILE [BPF...]",
		Description: "A packet is taken when all that is asked of it holds. Packets that are not cut go over as they stand, with all that the\n" +
			"file says of them, if the kind of file is the same. Conversations are not looked at: netlab share takes whole ones.\n\n" +
			"Example: netlab pcaps slice big.pcap --after 10s --duration 30s -o small.pcap tcp port 8080",
		Flags: append(append(kindFlags[:len(kindFlags):len(kindFlags)], pickFlags...),
			&cli.IntFlag{Name: "snaplen", Aliases: []string{"s"}, Usage: "cut packets to `N` bytes"}),
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				_, err := oneFile(c)
				return err
			}
			k, err := std.newRewriting(c, []string{c.Args().First()})
			if err != nil {
				return err
			}
			pick, err := newPicker(c, c.Args().Tail())
			if err != nil {
				return err
			}
			if k.how.SnapLen = c.Int("snaplen"); k.how.SnapLen < 0 || c.IsSet("snaplen") && k.how.SnapLen == 0 {
				return usagef("netlab pcaps slice: --snaplen wants a number above 0")
			}
			k.how.Keep, k.asIs = pick.takes, k.how.SnapLen == 0
			return k.run(c.Context)
		},
	}
}

// picker takes packets, which it is shown in their order.
type picker struct {
	ranges        []span // in order; all without any
	after, before moment
	duration      time.Duration // 0 is any
	left          int64         // how many may still be taken
	filter        *filter.Filter

	begun    bool
	from, to time.Time // zero is any
	number   int64     // of the packet before
	took     bool      // the latest, where that is asked later
}

// span is from one number to another, with both.
type span struct{ from, to int64 }

// moment is a time, or one after the first packet.
type moment struct {
	set   bool
	at    time.Time
	since time.Duration
}

func (m moment) time(first time.Time) time.Time {
	if m.at.IsZero() {
		return first.Add(m.since)
	}
	return m.at
}

// newPicker reads pickFlags, and the words of a filter.
func newPicker(c *cli.Context, words []string) (*picker, error) {
	p := &picker{left: math.MaxInt64, duration: c.Duration("duration")}
	var err error
	if p.filter, err = packetFilter(words); err != nil {
		return nil, hinted{usagef("%s: %v", commandName(c), err), "man pcap-filter, or an example as 'tcp port 8080 and host 10.0.0.1'"}
	}
	if p.ranges, err = parseSpans(c.String("packets")); err != nil {
		return nil, usagef("%s: --packets %s: %v", commandName(c), c.String("packets"), err)
	}
	for name, m := range map[string]*moment{"after": &p.after, "before": &p.before} {
		if c.IsSet(name) {
			if *m, err = parseMoment(c.String(name)); err != nil {
				return nil, usagef("%s: --%s %v", commandName(c), name, err)
			}
		}
	}
	switch {
	case c.IsSet("count") && c.Int64("count") < 1:
		return nil, usagef("%s: --count wants a number above 0", commandName(c))
	case c.IsSet("duration") && p.duration <= 0:
		return nil, usagef("%s: --duration wants a time above 0, as 30s", commandName(c))
	case c.IsSet("duration") && p.before.set:
		return nil, usagef("%s: --duration and --before both say where to end", commandName(c))
	}
	if c.IsSet("count") {
		p.left = c.Int64("count")
	}
	return p, nil
}

// parseMoment reads a time, as people and programs write it; without a zone it is in UTC.
func parseMoment(s string) (moment, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return moment{set: true, at: t}, nil
		}
	}
	since := strings.TrimPrefix(s, "+")
	if n, err := strconv.ParseFloat(since, 64); err == nil && math.Abs(n) < 1e9 {
		return moment{set: true, since: time.Duration(n * float64(time.Second))}, nil
	}
	if d, err := time.ParseDuration(since); err == nil {
		return moment{set: true, since: d}, nil
	}
	return moment{}, fmt.Errorf("wants a time, as 2026-01-02T15:04:05Z, or how long after the first packet, as 1.5 or 90s; %q is neither", s)
}

// parseSpans reads a list of numbers and ranges of packets, and puts it in order.
func parseSpans(list string) ([]span, error) { return parseSpansFrom(1, list) }

// parseSpansFrom reads one of what is counted from another number.
func parseSpansFrom(least int64, list string) ([]span, error) {
	var all []span
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		a, b, isRange := strings.Cut(item, "-")
		s := span{least, math.MaxInt64}
		var err error
		if a != "" || !isRange {
			if s.from, err = strconv.ParseInt(a, 10, 64); err != nil || s.from < least {
				return nil, fmt.Errorf("%q is no number of a packet", item)
			}
		}
		if !isRange {
			s.to = s.from
		} else if b != "" {
			if s.to, err = strconv.ParseInt(b, 10, 64); err != nil || s.to < s.from {
				return nil, fmt.Errorf("%q is no range of packets", item)
			}
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b span) int { return int(min(1, max(-1, a.from-b.from))) })
	return all, nil
}

// takes reports whether a packet is taken. The error is errEnough when none behind it is.
func (k *picker) takes(p *capture.Packet) (bool, error) {
	if !k.begun {
		k.begun = true
		if k.after.set {
			k.from = k.after.time(p.Time)
		}
		switch {
		case k.before.set:
			k.to = k.before.time(p.Time)
		case k.duration > 0 && k.after.set:
			k.to = k.from.Add(k.duration)
		case k.duration > 0:
			k.to = p.Time.Add(k.duration)
		}
	}
	k.number++
	if k.left == 0 {
		return false, errEnough
	}
	if !k.numbered() || k.after.set && p.Time.Before(k.from) || !k.to.IsZero() && !p.Time.Before(k.to) {
		return false, nil
	}
	if k.filter != nil {
		if ok, err := k.filter.Match(p); !ok || err != nil {
			return false, err
		}
	}
	k.left--
	return true, nil
}

// numbered reports whether the packet's number is among those asked for.
func (k *picker) numbered() bool {
	if len(k.ranges) == 0 {
		return true
	}
	for _, s := range k.ranges {
		if s.from > k.number {
			return false
		}
		if k.number <= s.to {
			return true
		}
	}
	return false
}
