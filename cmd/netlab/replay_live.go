package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"netlab/capture"
	"netlab/capture/live"
	"netlab/decode"
	"netlab/replay"
	"netlab/replay/plan"
)

// liveFlags are for traffic that is replayed as it is seen.
var liveFlags = []cli.Flag{
	&cli.StringFlag{Name: "interface", Aliases: []string{"i"}, Usage: "in place of FILE: replay what is said on `IFACE` now, as it is said; a filter as of capture says which"},
	&cli.Int64Flag{Name: "count", Aliases: []string{"c"}, Usage: "with -i: end after `N` packets"},
	&cli.DurationFlag{Name: "duration", Usage: "with -i: end after `D`, as 30s"},
}

// notLive are the flags that make no sense for traffic that goes on, and why.
var notLive = map[string]string{
	"speed":         "at the clients' own pace, and --speed has no times to go by",
	"rate":          "at the clients' own pace, and --rate has no times to put others in place of",
	"idle-max":      "at the clients' own pace, and --idle-max can't cut silences that are not over",
	"loop":          "once, and --loop has nothing to play again",
	"dry-run":       "and --dry-run can't tell what will be said",
	"where":         "and --where asks about exchanges, which are over when their requests were sent: a filter picks by addresses and ports",
	"set":           "to the byte, and --set changes nothing in it",
	"strict-values": "to the byte, which is all that --strict-values asks for",
}

// shadow replays live traffic: what clients say to a server is said to another too.
type shadow struct {
	std     stdio
	filter  string
	count   int64
	from    string
	host    string
	memory  int64
	servers map[plan.Server]bool // whose conversations are played; nil for all
	targets map[plan.Server]bool // whose are our own
	ctx     context.Context      // of the capture
	counts  string               // of its packets, when it has ended
}

// shadow reads the flags of a replay of live traffic, and replays it.
func (std stdio) shadow(ctx context.Context, c *cli.Context, opts replay.Options, out reporter) (*replay.Result, error) {
	s := &shadow{std: std, from: c.String("interface"), filter: strings.Join(c.Args().Slice(), " "), count: c.Int64("count"), host: c.String("host")}
	for _, name := range slices.Sorted(maps.Keys(notLive)) {
		if c.IsSet(name) {
			return nil, usagef("netlab replay: with -i traffic is replayed as it is seen, %s; capture it to a file first", notLive[name])
		}
	}
	switch {
	case c.IsSet("count") && s.count <= 0:
		return nil, usagef("netlab replay: -c wants a number of packets above 0")
	case s.filter == "" && !c.IsSet("server") && !c.IsSet("map"):
		return nil, hinted{usagef("netlab replay: which of the traffic on %s? A filter says it, or --server", s.from), "netlab replay -i " + s.from + " --to localhost:9090 tcp port 8080"}
	}
	var err error
	if s.memory, err = memory(c); err != nil {
		return nil, err
	}
	if err := s.choose(c, &opts); err != nil {
		return nil, err
	}
	if c.IsSet("duration") {
		if c.Duration("duration") <= 0 {
			return nil, usagef("netlab replay: --duration wants a time above 0, as 30s")
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Duration("duration"))
		defer cancel()
	}
	s.ctx = ctx
	opts.Speed, opts.Lossy, opts.Exact, opts.Memory = 0, true, false, int(s.memory/2)
	// Ctrl-C ends the capture; what was seen until then is played to its end.
	result, err := std.verdict(context.WithoutCancel(ctx), c, s, out, opts)
	if s.counts != "" {
		fmt.Fprintf(std.err, "netlab: %s\n", s.counts) // not before: a status line may stand there
	}
	return result, err
}

// choose reads what is played, and where to.
func (s *shadow) choose(c *cli.Context, opts *replay.Options) error {
	s.targets = make(map[plan.Server]bool)
	to := []string{opts.Target}
	if c.IsSet("server") {
		server, err := liveServer(c.String("server"))
		if err != nil {
			return err
		}
		s.servers = map[plan.Server]bool{server: true}
	}
	if list := c.StringSlice("map"); len(list) > 0 {
		var err error
		if opts.Map, err = mapping(list, liveServer); err != nil {
			return err
		}
		s.servers = make(map[plan.Server]bool)
		for server, target := range opts.Map {
			s.servers[server] = true
			to = append(to, target)
		}
	}
	for _, t := range to {
		host, port, err := net.SplitHostPort(t)
		if err != nil {
			continue // no target, or a unix socket, which is not seen
		}
		number, err := net.LookupPort("tcp", port)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		addrs, err := net.LookupHost(host)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		for _, a := range addrs {
			if addr, err := netip.ParseAddr(a); err == nil {
				s.targets[plan.ServerAt(netip.AddrPortFrom(addr, uint16(number)))] = true
			}
		}
	}
	return nil
}

// liveServer reads the address of a server that will be seen.
func liveServer(s string) (plan.Server, error) {
	if a, err := netip.ParseAddrPort(strings.Replace(s, "localhost:", "127.0.0.1:", 1)); err == nil {
		return plan.ServerAt(a), nil
	}
	return plan.Server{}, usagef("netlab replay: %q is no address of a server, as 10.1.0.2:80 or localhost:8080", s)
}

// Parts hands on what is captured until the capture ends.
func (s *shadow) Parts(_ context.Context, to plan.Taker) error {
	h, err := live.Open(live.Options{Interface: s.from, Filter: s.filter, Immediate: true})
	if err != nil {
		return captureHint(err)
	}
	defer h.Close()
	defer context.AfterFunc(s.ctx, h.Stop)()
	var src capture.Source = h
	if s.count > 0 {
		src = capture.Limit(src, s.count)
	}
	fmt.Fprintln(s.std.err, "netlab: values unknown: session cookies, tokens and ids go out as clients say them; where the target makes up its own, capture to a file and replay that")
	fmt.Fprintf(s.std.err, "netlab: listening on %s, %s; Ctrl-C ends\n", s.from, h.Link())
	r := plan.Live(&chosen{shadow: s, out: to, left: make(map[*plan.Conn]bool)}, s.host)
	sum, err := decode.Run(src, r, decode.Options{Keep: plan.Keep, Memory: s.memory / 2})
	s.counts = captureCounts(sum.Packets, h)
	return err
}

// chosen hands on the conversations that are to be played. Those with the target are our own:
// to replay them too would have no end.
type chosen struct {
	*shadow
	out  plan.Taker
	left map[*plan.Conn]bool
}

func (s *chosen) Take(p *plan.Part) error {
	if p.Kind == plan.Opened {
		server := p.Conn.Recorded()
		if s.targets[server] {
			s.left[p.Conn] = true
		} else if s.servers != nil && !s.servers[server] && p.Conn.Skip == "" {
			p.Conn.Skip = "with another server: " + server.String()
		}
	}
	if s.left[p.Conn] {
		if p.Kind == plan.Over {
			delete(s.left, p.Conn)
		}
		return nil
	}
	return s.out.Take(p)
}
