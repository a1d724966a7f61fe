package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"

	"netlab/decode/flow"
	"netlab/replay/plan"
)

// transports says what a recorded server was talked to by, where something of it can be
// answered.
func (x *serving) transports(p *plan.Plan) (tcp, udp bool) {
	for _, c := range p.Conns {
		if c.Recorded() == x.recorded && x.server.Answers(c) {
			tcp = tcp || c.Transport == flow.TCP
			udp = udp || c.Transport == flow.UDP
		}
	}
	return tcp, udp
}

// maxPorts is how many free ports are tried for one that is free in both transports.
const maxPorts = 20

// open listens for one recorded server, on the same port over both transports when it
// was talked to by both, and starts to answer.
func (x *serving) open(p *plan.Plan, config *tls.Config, log *serveLog, start func(func(context.Context) error)) error {
	wantTCP, wantUDP := x.transports(p)
	var l net.Listener
	var pc net.PacketConn
	for try := 0; ; try++ {
		addr := x.listen
		var err error
		if wantTCP {
			if l, err = net.Listen("tcp", addr); err != nil {
				return listenHint(err)
			}
			addr = l.Addr().String()
		}
		if !wantUDP {
			break
		}
		if pc, err = net.ListenPacket("udp", addr); err == nil {
			break
		}
		if l != nil {
			l.Close()
		}
		if _, port, _ := net.SplitHostPort(x.listen); port != "0" || !errors.Is(err, syscall.EADDRINUSE) || try == maxPorts {
			return listenHint(err)
		}
	}
	if l != nil {
		log.listening("tcp", l.Addr(), x.recorded, config != nil)
		if config != nil {
			l = tls.NewListener(l, config)
		}
		start(func(ctx context.Context) error { return x.server.Serve(ctx, l) })
	}
	if pc != nil {
		log.listening("udp", pc.LocalAddr(), x.recorded, false)
		start(func(ctx context.Context) error { return x.server.ServePacket(ctx, pc) })
	}
	return nil
}
