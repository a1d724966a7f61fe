package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"netlab/replay/plan"
	"netlab/replay/report"
	"netlab/replay/serve"
)

func serveCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "stand in for a recorded server",
		ArgsUsage: "FILE",
		Description: "Answers as the server in FILE did: HTTP/1, DNS, Redis and the like by what is asked, other protocols turn by turn.\n" +
			"What is not in the recording is told so, with the nearest that is; nothing is ever forwarded. The first lines on\n" +
			"standard output say in JSON where it listens; then there is a line for each thing asked, and sums at the end.\n\n" +
			"Example: netlab serve sample:http1-keepalive --listen localhost:8080",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "listen on `ADDR`; port 0 takes a free one", Value: "localhost:0"},
			&cli.StringFlag{Name: "server", Usage: "be recorded server `HOST:PORT`, when there are several"},
			&cli.StringSliceFlag{Name: "map", Usage: "be several recorded servers, each at an address of its own: `RECORDED=LISTEN`; may be given several times"},
			&cli.BoolFlag{Name: "all", Usage: "be all recorded servers, each on a free port of --listen's host"},
			&cli.StringFlag{Name: "match", Value: "method,target", Usage: "what of a request has to be as recorded: a `LIST` of method, target, path, query (in any order), host, body and header:NAME"},
			&cli.StringFlag{Name: "delay", Value: "none", Usage: "answer at once (none), after as long as the server took (recorded), or after a time `D`, as 200ms"},
			&cli.BoolFlag{Name: "refresh", Usage: "move Date, Expires and the age of cookies from when they were recorded to now"},
			&cli.BoolFlag{Name: "once", Usage: "give each recorded answer once; the default gives the last to a question again and again"},
			&cli.BoolFlag{Name: "loop", Usage: "when all answers to a question were given, begin with the first again"},
			&cli.BoolFlag{Name: "expect-all", Usage: "exit status 1 when something recorded was never asked for, or something asked was not recorded"},
			&cli.StringFlag{Name: "fault", Usage: "have something go wrong: a `LIST` of latency=TIME or TIME..TIME, trickle=BYTES a second, reset-after=BYTES, and by their likeliness from 0 to 1 reset=P, cut-body=P, and of datagrams drop=P, dup=P"},
			&cli.Uint64Flag{Name: "seed", Usage: "have the same go wrong as with this `N`; else one is chosen, and told"},
			&cli.DurationFlag{Name: "duration", Usage: "end after `D`; else Ctrl-C does"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print no line for each thing asked"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON Lines"},
		}, serverTLSFlags...),
		Action: func(c *cli.Context) error { return std.serve(c.Context, c) },
	}
}

// serving is a recorded server and where it listens.
type serving struct {
	recorded plan.Server
	listen   string
	server   *serve.Server
}

func (std stdio) serve(ctx context.Context, c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	opts, err := std.serveOptions(c)
	if err != nil {
		return err
	}
	tls, err := std.serverTLS(c)
	if err != nil {
		return err
	}
	p, err := std.plan(ctx, file, &plan.Collector{}, nil, plan.DefaultLimit)
	if err != nil {
		return err
	}
	list, err := servings(c, p)
	if err != nil {
		return err
	}
	if c.IsSet("fault") && !c.IsSet("seed") {
		fmt.Fprintf(std.err, "netlab: what goes wrong goes wrong again with --seed %d\n", opts.Fault.Seed)
	}
	log := newServeLog(std, c.Bool("json"))
	if !c.Bool("quiet") {
		opts.Log = log.event
	}
	if d := c.Duration("duration"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	running := make(chan error)
	n := 0
	start := func(f func(context.Context) error) {
		n++
		go func() { running <- f(ctx) }()
	}
	for i := range list {
		x := &list[i]
		opts.Only = &x.recorded
		x.server = serve.New(p, opts)
		if err = x.open(p, tls, log, start); err != nil {
			cancel(err)
			break
		}
	}
	switch {
	case err != nil:
	case n == 0:
		fmt.Fprintf(std.err, "netlab: %s\n", report.Replayability(p))
		return status(exitNothing)
	default:
		log.ready(list)
	}
	for range n {
		if e := <-running; e != nil && err == nil {
			err = e
			cancel(e)
		}
	}
	if err != nil {
		return err
	}
	return log.sums(list, c.Bool("expect-all"))
}

// serveOptions reads the flags that say how to answer.
func (std stdio) serveOptions(c *cli.Context) (serve.Options, error) {
	opts := serve.Options{Refresh: c.Bool("refresh")}
	var err error
	if opts.Match, err = serve.ParseMatch(c.String("match")); err != nil {
		return opts, usagef("netlab serve: --match: %v", err)
	}
	switch d := c.String("delay"); d {
	case "none":
	case "recorded":
		opts.Recorded = true
	default:
		if opts.Delay, err = time.ParseDuration(d); err != nil || opts.Delay < 0 {
			return opts, usagef("netlab serve: --delay wants none, recorded or a time, as 200ms, not %q", d)
		}
	}
	switch {
	case c.Bool("once") && c.Bool("loop"):
		return opts, usagef("netlab serve: --once and --loop are two ways")
	case c.Bool("once"):
		opts.Repeat = serve.Once
	case c.Bool("loop"):
		opts.Repeat = serve.Loop
	}
	if c.IsSet("duration") && c.Duration("duration") <= 0 {
		return opts, usagef("netlab serve: --duration wants a time above 0, as 10s")
	}
	if !c.IsSet("fault") {
		if c.IsSet("seed") {
			return opts, usagef("netlab serve: --seed makes sense only with --fault")
		}
		return opts, nil
	}
	if opts.Fault, err = serve.ParseFault(c.String("fault")); err != nil {
		return opts, usagef("netlab serve: --fault: %v", err)
	}
	opts.Fault.Seed = c.Uint64("seed")
	if !c.IsSet("seed") {
		opts.Fault.Seed = uint64(time.Now().UnixNano()) % 1e6
	}
	return opts, nil
}

// servings says which recorded servers to be, and where.
func servings(c *cli.Context, p *plan.Plan) ([]serving, error) {
	listen := c.String("listen")
	switch {
	case c.Bool("all") && (c.IsSet("map") || c.IsSet("server")), c.IsSet("map") && c.IsSet("server"):
		return nil, usagef("netlab serve: --all, --map and --server each say which recorded servers to be")
	case c.IsSet("map") && c.IsSet("listen"):
		return nil, usagef("netlab serve: --map says where to listen, and so does --listen")
	case c.Bool("all"):
		host, port, err := net.SplitHostPort(listen)
		if err != nil || port != "0" {
			return nil, hinted{usagef("netlab serve: --all takes a free port for each server, so --listen wants port 0"), "--listen localhost:0"}
		}
		var list []serving
		for _, s := range p.Servers() {
			list = append(list, serving{recorded: s.Bare(), listen: net.JoinHostPort(host, "0")})
		}
		return list, nil
	case c.IsSet("map"):
		var list []serving
		for _, text := range c.StringSlice("map") {
			recorded, at, ok := strings.Cut(text, "=")
			if !ok {
				return nil, hinted{usagef("netlab serve: --map wants RECORDED=LISTEN, not %q", text), "--map 10.1.0.2:80=localhost:8080"}
			}
			s, err := findServer(p, recorded)
			if err != nil {
				return nil, err
			}
			list = append(list, serving{recorded: s.Bare(), listen: at})
		}
		return list, nil
	}
	s, ok, err := pickServer(p, c.String("server"), listen)
	if err != nil || !ok {
		return nil, err
	}
	return []serving{{recorded: s.Bare(), listen: listen}}, nil
}
