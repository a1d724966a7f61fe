package replay

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"netlab/decode/flow"
	"netlab/replay/plan"
)

// unixPrefix begins a target that is a socket in the file system.
const unixPrefix = "unix:"

// target returns where a connection goes.
func (o *Options) target(c *plan.Conn) string {
	if t, ok := o.Map[c.Recorded()]; ok {
		return t
	}
	return o.Target
}

// address returns what to dial.
func address(target string, t flow.Transport) (network, addr string) {
	if path, ok := strings.CutPrefix(target, unixPrefix); ok {
		return "unix", path
	}
	if t == flow.UDP {
		return "udp", target
	}
	return "tcp", target
}

// skip says why a connection isn't played; empty when it is.
func (k *call) skip() string {
	o := &k.player.opts
	target := o.target(k.conn)
	switch udp := k.conn.Transport == flow.UDP; {
	case k.conn.Skip != "":
		return k.conn.Skip
	case k.conn.Errand != nil && (k.parent == nil || k.parent.skipped != ""):
		return "its control connection is not replayed"
	case k.conn.Errand != nil && o.TLS != nil:
		return "data connections of FTP are not made through TLS"
	case target == "":
		return "no target for server " + k.conn.Recorded().String()
	case udp && strings.HasPrefix(target, unixPrefix):
		return "UDP is not sent to a unix socket"
	case udp && o.TLS != nil:
		return "UDP is not sent through TLS"
	}
	return ""
}

// connect makes the connection of a call, with what is below its TLS, if any.
func (k *call) connect(ctx context.Context) (sock, raw net.Conn, err error) {
	if k.parent != nil {
		sock, err = k.connectData(ctx)
		return sock, sock, err
	}
	return k.player.connect(ctx, k.conn, k.timeout)
}

// connect makes a connection, with what is below its TLS, if any. The error is a
// *DialError.
func (p *Player) connect(ctx context.Context, c *plan.Conn, patience time.Duration) (sock, raw net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	target := p.opts.target(c)
	network, addr := address(target, c.Transport)
	raw, err = p.opts.Dial(ctx, network, addr)
	if err != nil {
		return nil, nil, &DialError{target, plainError(err)}
	}
	if p.opts.TLS == nil {
		return swiftly(raw), raw, nil
	}
	config := p.opts.TLS
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = "localhost"
		if host, _, err := net.SplitHostPort(addr); err == nil && network != "unix" {
			config.ServerName = host
		}
	}
	secure := tls.Client(swiftly(raw), config)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, nil, &DialError{target, &TLSError{plainError(err)}}
	}
	return secure, raw, nil
}

// TLSError means that a connection was made, and then no TLS on it.
type TLSError struct{ Err error }

func (e *TLSError) Error() string {
	if errors.Is(e.Err, io.EOF) {
		return "TLS: the server closed the connection"
	}
	return "TLS: " + strings.TrimPrefix(e.Err.Error(), "tls: ")
}

func (e *TLSError) Unwrap() error { return e.Err }
