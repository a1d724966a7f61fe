package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/where"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/report"
	"netlab/replay/values"
)

func replayCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "replay",
		Usage:     "send a recording's client side again and compare the answers",
		ArgsUsage: "FILE | -i IFACE [BPF...]",
		Description: "Sends what the clients in FILE said, on as many connections and in the same order, to one address and\n" +
			"nowhere else; or what clients say now, as it is seen on an interface. Exit status: 0 all answers are the same, 1 some differ, 2 it could not be done, 3 nothing was compared.\n\n" +
			"Example: netlab replay bug.pcap --to localhost:8080",
		Flags: append(slices.Concat(targetFlags, liveFlags, verdictFlags, buildFlags), []cli.Flag{
			&cli.StringFlag{Name: "speed", Value: "1", Usage: "1 is the recorded pace, `N` N times as fast, max as fast as the answers come"},
			&cli.Float64Flag{Name: "rate", Usage: "begin `N` exchanges a second, whatever becomes of those before, in place of --speed"},
			&cli.IntFlag{Name: "connections", Usage: "have at most `N` connections open at a time; the others wait, which is told"},
			&cli.IntFlag{Name: "loop", Value: 1, Usage: "play all of it `N` times"},
			&cli.DurationFlag{Name: "idle-max", Usage: "where no client said anything for longer than `D`, wait only so long"},
			&cli.BoolFlag{Name: "redial", Usage: "where the server closes a connection that is idle, and had not, make another, if HTTP/1 or DNS is spoken"},
			&cli.DurationFlag{Name: "timeout", Value: replay.DefaultTimeout, Usage: "give an answer up after `D` in which nothing of it comes, or six times that in all"},
			&cli.StringFlag{Name: "where", Usage: "replay only exchanges for which `EXPR` holds, as http.status < 500 && host == a.example; netlab fields lists what can be asked"},
			&cli.BoolFlag{Name: "strict-values", Usage: "send session cookies, tokens and ids as they were recorded, and do not take them from the live answers"},
			&cli.StringSliceFlag{Name: "set", Usage: "say something else in requests of HTTP/1: `NAME=VALUE`, where NAME is header.FIELD, cookie.NAME, query.NAME, form.NAME, json.PATH, or value.NUMBER for one that --dry-run lists; may be given several times"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be sent, when, and after what, and send nothing"},
			memoryFlag("512MiB", "keep within about `SIZE` of memory: of a larger recording, what is said next is held"),
		}...),
		Action: func(c *cli.Context) error { return std.bisected(c, std.replay(c.Context, c)) },
	}
}

func (std stdio) replay(ctx context.Context, c *cli.Context) error {
	what := "-i " + c.String("interface")
	if !c.IsSet("interface") {
		var err error
		if what, err = oneFile(c); err != nil {
			return err
		}
	}
	opts, err := replayOptions(c, what)
	if err != nil {
		return err
	}
	out, err := std.reporters(c, what)
	if err != nil {
		return err
	}
	play := std.replayFile
	if c.IsSet("interface") {
		play = std.shadow
	}
	result, err := play(ctx, c, opts, out)
	if err != nil || result == nil {
		return err
	}
	return judgeResult(result)
}

// replayOptions reads the flags that do not depend on what is replayed, but for a hint.
func replayOptions(c *cli.Context, what string) (replay.Options, error) {
	opts := replay.Options{
		IdleMax: c.Duration("idle-max"), Rate: c.Float64("rate"), Connections: c.Int("connections"), Loop: c.Int("loop"), Redial: c.Bool("redial"), Exact: true,
		Target: c.String("to"), Timeout: c.Duration("timeout"),
	}
	var err error
	if opts.Rules, err = readRules(c); err != nil {
		return opts, err
	}
	if opts.Speed, err = speed(c.String("speed")); err != nil {
		return opts, err
	}
	if opts.Timeout <= 0 {
		return opts, usagef("netlab replay: --timeout wants a time above 0, as 5s")
	}
	if err := checkShape(c, opts); err != nil {
		return opts, err
	}
	if err := checkVerdict(c, &opts); err != nil {
		return opts, err
	}
	if opts.TLS, err = tlsConfig(c); err != nil {
		return opts, err
	}
	if c.IsSet("host") {
		if err := checkHost(c.String("host")); err != nil {
			return opts, err
		}
	}
	switch {
	case opts.Target != "":
		err = checkTarget(opts.Target)
	case !c.IsSet("map") && !c.Bool("dry-run") && !c.IsSet("curl"):
		err = hinted{usagef("netlab replay: to which server? Nothing is ever sent to the recorded addresses"), "netlab replay " + what + " --to localhost:8080"}
	}
	return opts, err
}

// replayFile replays a recording. There is no result when nothing was to be sent.
func (std stdio) replayFile(ctx context.Context, c *cli.Context, opts replay.Options, out reporter) (*replay.Result, error) {
	file := c.Args().First()
	for _, name := range []string{"count", "duration"} {
		if c.IsSet(name) {
			return nil, usagef("netlab replay: --%s makes sense only with -i", name)
		}
	}
	room, err := memory(c)
	if err != nil {
		return nil, err
	}
	opts.Memory = int(room / 4)
	k := &plan.Collector{Limit: room / 4, Host: c.String("host"), MayBeBare: file != "-" && !c.Bool("dry-run") && !c.IsSet("curl")}
	if c.IsSet("where") {
		filter, err := where.Compile(c.String("where"))
		if err != nil {
			return nil, err
		}
		k.Pick = filter.Match
	}
	finder, err := newFinder(c, room/8)
	if err != nil {
		return nil, err
	}
	p, err := std.plan(ctx, file, k, finder, room/2)
	if err != nil {
		return nil, err
	}
	if finder != nil {
		opts.Values = finder.Found()
		if err := checkSets(finder.Unused()); err != nil {
			return nil, err
		}
	}
	if opts.Map, err = mapping(c.StringSlice("map"), func(s string) (plan.Server, error) { return findServer(p, s) }); err != nil {
		return nil, err
	}
	if opts.Map == nil || c.IsSet("server") {
		if err := chooseServer(p, c.String("server"), opts.Target); err != nil {
			return nil, err
		}
	}
	if c.IsSet("curl") {
		return nil, std.curlOf(p, c.String("curl"), opts.Target)
	}
	if c.Bool("dry-run") {
		if err := report.DryRun(std.out, p); err != nil {
			return nil, err
		}
		return nil, report.Values(std.out, opts.Values)
	}
	fmt.Fprintf(std.err, "netlab: %s\n", report.Replayability(p))
	if line := report.ValuesLine(opts.Values); line != "" {
		fmt.Fprintf(std.err, "netlab: %s\n", line)
	}
	return std.verdict(ctx, c, p, out, opts)
}

// checkShape looks at the flags that say when things are sent.
func checkShape(c *cli.Context, opts replay.Options) error {
	switch {
	case c.IsSet("idle-max") && opts.IdleMax <= 0:
		return usagef("netlab replay: --idle-max wants a time above 0, as 2s")
	case c.IsSet("rate") && !(opts.Rate > 0 && opts.Rate <= 1e6):
		return usagef("netlab replay: --rate wants a number above 0, and up to a million")
	case c.IsSet("rate") && (c.IsSet("speed") || c.IsSet("idle-max")):
		return usagef("netlab replay: --rate takes the place of the recorded times, so --speed and --idle-max make no sense beside it")
	case c.IsSet("connections") && opts.Connections <= 0:
		return usagef("netlab replay: --connections wants a number above 0")
	case opts.Loop <= 0:
		return usagef("netlab replay: --loop wants a number above 0")
	}
	return nil
}

// judgeResult turns a result into an exit status.
func judgeResult(r *replay.Result) error {
	switch {
	case r.Canceled:
		return status(exitCanceled)
	case r.Opened == 0 && r.DialError != nil:
		return hinted{fmt.Errorf("replay: %w", r.DialError), dialHint(r.DialError)}
	case r.Checks[compare.Different]+r.Checks[compare.Failed]+r.Conns[compare.Different]+r.Conns[compare.Failed] > 0, r.Slower > 0:
		return status(exitDiffers)
	case r.Compared() == 0:
		return status(exitNothing)
	}
	return nil
}

// speed reads --speed; 0 is as fast as possible.
func speed(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "x"), 64)
	if err != nil || n <= 0 || n > 1e6 {
		return 0, usagef("netlab replay: --speed wants a number above 0, or max, not %q", s)
	}
	return n, nil
}

// newFinder reads the flags about values, which have so much room; it is nil when there is
// nothing to find.
func newFinder(c *cli.Context, room int64) (*values.Finder, error) {
	opts := values.Options{SetOnly: c.Bool("strict-values"), Memory: room}
	for _, s := range c.StringSlice("set") {
		set, err := values.ParseSet(s)
		if err != nil {
			return nil, hinted{usagef("netlab replay: --set: %v", err), "--set 'header.Authorization=Bearer …', or --set json.$.user.token=…"}
		}
		opts.Set = append(opts.Set, set)
	}
	if opts.SetOnly && opts.Set == nil {
		return nil, nil
	}
	return values.NewFinder(opts), nil
}

// checkSets wants each --set to be said somewhere.
func checkSets(unused []values.Set) error {
	if len(unused) == 0 {
		return nil
	}
	return hinted{usagef("netlab replay: no request in the recording has %s, which --set names", unused[0].Name), "netlab replay FILE --dry-run lists the values that were found"}
}

// plan decodes a file into a plan, in room bytes of memory beside the plan; finder, if any, is
// told of the exchanges once.
func (std stdio) plan(ctx context.Context, file string, k *plan.Collector, finder *values.Finder, room int64) (*plan.Plan, error) {
	told, found := false, finder == nil
	p, err := plan.Read(ctx, k, func(ctx context.Context, r *plan.Recorder) error {
		src, closer, err := std.openFile(file)
		if err != nil {
			return err
		}
		defer closer.Close()
		var sink decode.Sink = r
		if !found {
			found = true
			sink = decode.Tee(r, finder)
		}
		sum, err := decode.Run(until(ctx, src), sink, decode.Options{Keep: plan.Keep, Memory: room})
		if err == nil && sum.Truncated && !told {
			told = true
			fmt.Fprintf(std.err, "netlab: %s\n", printer.Clean(sum.Damage))
		}
		return err
	})
	if err == nil && ctx.Err() != nil {
		err = status(exitCanceled)
	}
	return p, err
}

// chooseServer leaves one recorded server in the plan.
func chooseServer(p *plan.Plan, want, target string) error {
	s, ok, err := pickServer(p, want, target)
	if err == nil && ok {
		p.Only(s)
	}
	return err
}

// pickServer picks a recorded server: the one asked for, else the one on the target's
// port if anything of it can be played, else the one with the most answers. There may be
// none.
func pickServer(p *plan.Plan, want, target string) (s plan.Server, ok bool, err error) {
	servers := p.Servers()
	if len(servers) == 0 {
		return s, false, nil
	}
	if want != "" {
		s, err = findServer(p, want)
		return s, err == nil, err
	}
	if _, port, err := net.SplitHostPort(target); err == nil {
		for _, s := range servers {
			if s.Played > 0 && strconv.Itoa(int(s.Port)) == port {
				return s, true, nil
			}
		}
	}
	return servers[0], true, nil
}
