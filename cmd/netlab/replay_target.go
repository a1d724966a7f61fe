package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"netlab/replay"
	"netlab/replay/plan"
)

// targetFlags say where a replay goes, and how.
var targetFlags = []cli.Flag{
	&cli.StringFlag{Name: "to", Usage: "send to `HOST:PORT`, or to unix:PATH"},
	&cli.StringSliceFlag{Name: "map", Usage: "send what was said to one recorded server elsewhere: `RECORDED=TARGET`; may be given several times"},
	&cli.StringFlag{Name: "server", Usage: "replay what was said to recorded server `HOST:PORT`, when there are several"},
	&cli.StringFlag{Name: "host", Usage: "put `NAME` in place of Host in requests of HTTP/1, and change nothing else"},
	&cli.BoolFlag{Name: "tls", Usage: "speak TLS to the target"},
	&cli.StringFlag{Name: "sni", Usage: "with --tls: ask for server `NAME`, and verify that; else the target's host"},
	&cli.StringSliceFlag{Name: "alpn", Usage: "with --tls: offer protocol `NAME`, as http/1.1; may be given several times"},
	&cli.StringFlag{Name: "cacert", Usage: "with --tls: trust the certificates in `FILE`, and no others"},
	&cli.BoolFlag{Name: "insecure", Usage: "with --tls: trust any server"},
	&cli.StringFlag{Name: "cert", Usage: "with --tls: show the client certificate in `FILE`"},
	&cli.StringFlag{Name: "key", Usage: "with --tls: the key of --cert is in `FILE`, if not there"},
}

// checkTarget wants HOST:PORT or unix:PATH.
func checkTarget(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return usagef("netlab: %q is no address to send to: a path belongs behind unix:", s)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil && port != "" && host != "" {
		if _, err := net.LookupPort("tcp", port); err == nil {
			return nil
		}
	}
	return hinted{usagef("netlab: %q is no address to send to", s), "localhost:8080, or [::1]:8080"}
}

// checkHost wants what may stand in Host (RFC 9110, section 7.2).
func checkHost(name string) error {
	if u, err := url.Parse("http://" + name); err != nil || u.Host != name || u.Hostname() == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return usagef("netlab replay: --host wants a name, perhaps with a port, not %q", name)
	}
	return nil
}

// tlsConfig reads the flags about TLS; nil is without.
func tlsConfig(c *cli.Context) (*tls.Config, error) {
	if !c.Bool("tls") {
		for _, name := range []string{"sni", "alpn", "cacert", "insecure", "cert", "key"} {
			if c.IsSet(name) {
				return nil, usagef("netlab replay: --%s makes sense only with --tls", name)
			}
		}
		return nil, nil
	}
	config := &tls.Config{ServerName: c.String("sni"), NextProtos: c.StringSlice("alpn"), InsecureSkipVerify: c.Bool("insecure")}
	if file := c.String("cacert"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("replay: read --cacert: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("replay: there is no certificate in %s, in PEM", file)
		}
	}
	switch cert, key := c.String("cert"), c.String("key"); {
	case cert != "":
		if key == "" {
			key = cert
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("replay: load the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	case key != "":
		return nil, usagef("netlab replay: --key belongs to a --cert")
	}
	return config, nil
}

// mapping reads --map, whose servers are found by find.
func mapping(list []string, find func(string) (plan.Server, error)) (map[plan.Server]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := make(map[plan.Server]string)
	for _, s := range list {
		recorded, target, ok := strings.Cut(s, "=")
		if !ok {
			return nil, hinted{usagef("netlab replay: --map wants RECORDED=TARGET, not %q", s), "--map 10.1.0.2:80=localhost:8080"}
		}
		if err := checkTarget(target); err != nil {
			return nil, err
		}
		server, err := find(recorded)
		if err != nil {
			return nil, err
		}
		server = server.Bare()
		if _, twice := m[server]; twice {
			return nil, usagef("netlab replay: --map sends %s to two targets", recorded)
		}
		m[server] = target
	}
	return m, nil
}

// findServer finds a recorded server by its address.
func findServer(p *plan.Plan, want string) (plan.Server, error) {
	var names []string
	for _, s := range p.Servers() {
		if s.String() == want || s.String() == strings.Replace(want, "127.0.0.1:", "localhost:", 1) {
			return s, nil
		}
		names = append(names, s.String())
	}
	return plan.Server{}, usagef("netlab: the recording has no server %s; there are: %s", want, strings.Join(names, ", "))
}

// dialHint says what to try when no connection could be made.
func dialHint(err error) string {
	var (
		refused  *replay.TLSError
		plain    tls.RecordHeaderError
		untrusty *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &plain):
		return "the server does not speak TLS there; leave --tls out, or look at the port"
	case errors.As(err, &untrusty):
		return "trust its certificate with --cacert FILE, ask for the name it has with --sni NAME, or trust anybody with --insecure"
	case errors.As(err, &refused) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return "does the server speak TLS there? If not, leave --tls out, or look at the port"
	case errors.As(err, &refused):
		return "the server may want another name (--sni), protocol (--alpn) or a client certificate (--cert)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "start the server, and look at which port it listens (ss -lntu)"
	}
	return "check the address"
}
