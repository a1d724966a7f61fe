package main

import (
	"context"
	"fmt"
	"net"

	"github.com/urfave/cli/v2"

	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/replay/plan"
	"netlab/replay/report"
	"netlab/replay/serve"
)

func serveCommand(std stdio) *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "stand in for a recorded server",
		ArgsUsage: "FILE",
		Description: "Answers requests as the server in FILE did; what it was never asked gets 501, and nothing is forwarded.\n\n" +
			"Example: netlab serve sample:http1-keepalive --listen localhost:8080",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "listen on `ADDR`; port 0 takes a free one", Value: "localhost:0"},
			&cli.StringFlag{Name: "server", Usage: "be recorded server `HOST:PORT`, when there are several"},
		},
		Action: func(c *cli.Context) error { return std.serve(c.Context, c) },
	}
}

func (std stdio) serve(ctx context.Context, c *cli.Context) error {
	file, err := oneFile(c)
	if err != nil {
		return err
	}
	p, err := std.plan(ctx, file, &plan.Collector{}, plan.DefaultLimit)
	if err != nil {
		return err
	}
	if err := chooseServer(p, c.String("server"), c.String("listen")); err != nil {
		return err
	}
	var tcp, udp bool
	for _, conn := range p.Conns {
		tcp = tcp || conn.Skip == "" && conn.Transport == flow.TCP
		udp = udp || conn.Skip == "" && conn.Transport == flow.UDP
	}
	fmt.Fprintf(std.err, "netlab: %s\n", report.Replayability(p))
	if !tcp && !udp {
		return status(exitNothing)
	}
	s := serve.New(p)
	s.Log = func(e serve.Event) {
		fmt.Fprintf(std.out, "%s %s > %s\n", e.Client, printer.Clean(e.Request), printer.Clean(e.Answer))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	addr := c.String("listen")
	done := make(chan error, 2)
	running := 0
	if tcp {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return listenHint(err)
		}
		addr = l.Addr().String()
		running++
		go func() { done <- s.Serve(ctx, l) }()
	}
	if udp {
		l, err := net.ListenPacket("udp", addr)
		if err != nil {
			return listenHint(err)
		}
		addr = l.LocalAddr().String()
		running++
		go func() { done <- s.ServePacket(ctx, l) }()
	}
	fmt.Fprintf(std.err, "netlab: answering on %s; Ctrl-C ends\n", addr)
	for range running {
		if e := <-done; e != nil {
			err = e
			cancel(e)
		}
	}
	n := s.Counts()
	fmt.Fprintf(std.err, "netlab: %d answered, %d not in the recording\n", n.Answered, n.Unknown)
	return err
}
