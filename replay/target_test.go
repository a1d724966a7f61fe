package replay_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/proto"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/plan"
	"netlab/replay/replaytest"
)

// answerRight answers oneRequest as recorded.
func answerRight(c net.Conn) {
	request(c)
	io.WriteString(c, answer)
	io.Copy(io.Discard, c)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	replaytest.ServeOn(t, l, answerRight)
	r, o := play(t, planOf(t, oneRequest), replay.Options{Target: "unix:" + path})
	if r.Checks[compare.Same] != 1 || r.Conns[compare.Same] != 1 {
		t.Errorf("%s", o)
	}
	r, o = play(t, planOfSample(t, "udp-echo"), replay.Options{Target: "unix:" + path})
	if r.Checks[compare.Skipped] != 3 || !strings.Contains(o.String(), "UDP is not sent to a unix socket") {
		t.Errorf("%s", o)
	}
	r, o = play(t, planOf(t, oneRequest), replay.Options{Target: "unix:" + path + "-not"})
	if r.Checks[compare.Failed] != 1 || r.DialError == nil || !strings.Contains(o.String(), "no such file") {
		t.Errorf("%s", o)
	}
}

// TestMap sends what was said to each server to its own target, and the rest nowhere.
func TestMap(t *testing.T) {
	const recipe = `
tcp a 10.1.0.1:40000 > 10.1.0.2:7
tcp b 10.1.0.1:40000 > 10.1.0.3:7
tcp c 10.1.0.1:40000 > 10.1.0.3:8
a open
a > "to a"
a < "from a"
a close
b open
b > "to b"
b < "from b"
b close
c open
c > "to c"
c < "from c"
c close`
	p := planOf(t, recipe)
	server := func(want, say string) string {
		return replaytest.Serve(t, func(c net.Conn) {
			buf := make([]byte, len(want))
			if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
				t.Errorf("the server for %q got %q, %v", want, buf, err)
			}
			io.WriteString(c, say)
			io.Copy(io.Discard, c)
		})
	}
	targets := map[plan.Server]string{p.Conns[0].Recorded(): server("to a", "from a"), p.Conns[1].Recorded(): server("to b", "from b")}
	r, o := play(t, p, replay.Options{Map: targets})
	if r.Checks[compare.Same] != 2 || r.Checks[compare.Skipped] != 1 || !strings.Contains(o.String(), "connection 2 skipped no target for server 10.1.0.3:8") {
		t.Errorf("%s", o)
	}
	r, o = play(t, p, replay.Options{Map: targets, Target: server("to c", "from c")})
	if r.Checks[compare.Same] != 3 {
		t.Errorf("%s", o)
	}
}

// certificate returns one for example.com and 127.0.0.1, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	tests := map[string]struct {
		client *tls.Config
		server *tls.Config // nil speaks no TLS
		sni    string
		alpn   string
		why    string // it can't be
	}{
		"verified":           {client: &tls.Config{RootCAs: pool}, server: &tls.Config{}},
		"sni":                {client: &tls.Config{RootCAs: pool, ServerName: "example.com"}, server: &tls.Config{}, sni: "example.com"},
		"another_name":       {client: &tls.Config{RootCAs: pool, ServerName: "example.org"}, server: &tls.Config{}, sni: "example.org", why: "not example.org"},
		"not_trusted":        {client: &tls.Config{}, server: &tls.Config{}, why: "unknown authority"},
		"insecure":           {client: &tls.Config{InsecureSkipVerify: true}, server: &tls.Config{}},
		"alpn":               {client: &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}}, server: &tls.Config{NextProtos: []string{"http/1.1"}}, alpn: "http/1.1"},
		"alpn_of_nobody":     {client: &tls.Config{RootCAs: pool, NextProtos: []string{"a"}}, server: &tls.Config{NextProtos: []string{"b"}}, why: "no application protocol"},
		"client_certificate": {client: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}}, server: &tls.Config{ClientAuth: tls.RequireAnyClientCert}},
		"speaks_plain":       {client: &tls.Config{RootCAs: pool}, why: "first record does not look like a TLS handshake"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			state := make(chan tls.ConnectionState, 1)
			target := replaytest.Serve(t, func(c net.Conn) {
				if test.server == nil {
					io.WriteString(c, "220 hello\r\n")
					io.Copy(io.Discard, c)
					return
				}
				config := test.server.Clone()
				config.Certificates = []tls.Certificate{cert}
				s := tls.Server(c, config)
				if s.Handshake() != nil {
					return
				}
				state <- s.ConnectionState()
				answerRight(s)
			})
			r, o := play(t, planOf(t, oneRequest), replay.Options{Target: target, TLS: test.client})
			if test.why != "" {
				var no *replay.TLSError
				if r.Opened != 0 || r.Checks[compare.Failed] != 1 || !errors.As(r.DialError, &no) || !strings.Contains(r.DialError.Error(), test.why) {
					t.Errorf("%v\n%s", r.DialError, o)
				}
				return
			}
			if r.Checks[compare.Same] != 1 || r.Conns[compare.Same] != 1 {
				t.Fatalf("%v\n%s", r.DialError, o)
			}
			if got := <-state; got.ServerName != test.sni || got.NegotiatedProtocol != test.alpn {
				t.Errorf("the server saw SNI %q, ALPN %q", got.ServerName, got.NegotiatedProtocol)
			}
		})
	}
	t.Run("udp", func(t *testing.T) {
		r, o := play(t, planOfSample(t, "udp-echo"), replay.Options{Target: "127.0.0.1:9", TLS: &tls.Config{}})
		if r.Checks[compare.Skipped] != 3 || !strings.Contains(o.String(), "UDP is not sent through TLS") {
			t.Errorf("%s", o)
		}
	})
}

// TestTLSFullDuplex sends much through TLS while the server sends much, which reads
// nothing while it can't write.
func TestTLSFullDuplex(t *testing.T) {
	cert, pool := certificate(t)
	target := replaytest.Serve(t, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		buf := make([]byte, 16<<10)
		for {
			n, err := s.Read(buf)
			if err != nil {
				return
			}
			if _, err := s.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	r, o := play(t, bigEcho(t), replay.Options{Target: target, TLS: &tls.Config{RootCAs: pool}})
	if r.Checks[compare.Same] != 1 {
		t.Errorf("%s", o)
	}
}

// TestHost puts another name in the requests, on the wire.
func TestHost(t *testing.T) {
	got := make(chan string, 1)
	target := replaytest.Serve(t, func(c net.Conn) {
		buf := make([]byte, 1000)
		n, _ := c.Read(buf)
		got <- string(buf[:n])
		io.WriteString(c, answer)
		io.Copy(io.Discard, c)
	})
	b, err := craft.Recipe(strings.NewReader(oneRequest))
	if err != nil {
		t.Fatal(err)
	}
	p := record(t, b.Source(), &plan.Collector{Host: "new.example:8080"})
	r, o := play(t, p, replay.Options{Target: target})
	if want := "GET / HTTP/1.1\r\nHost: new.example:8080\r\n\r\n"; r.Checks[compare.Same] != 1 || <-got != want {
		t.Errorf("%s", o)
	}
}

// TestHostOfEverySample changes nothing where there is no HTTP.
func TestHostOfEverySample(t *testing.T) {
	for _, s := range samples.List() {
		before, p := planOfSample(t, s.Name), recordSample(t, s.Name, &plan.Collector{Host: "new.example"})
		for i, c := range p.Conns {
			for j := range c.Steps {
				same := len(before.Conns[i].Steps) > j && bytes.Equal(c.Steps[j].Bytes, before.Conns[i].Steps[j].Bytes)
				if !same && c.Protocol.Name != "http" {
					t.Errorf("%s: #%d of %s changed", s.Name, c.ID, c.Protocol.Name)
				}
			}
		}
	}
}

// TestPicked sends only what was picked, and accounts for the rest.
func TestPicked(t *testing.T) {
	recorder := &plan.Collector{}
	recorder.Pick = func(e *proto.Exchange) bool { return strings.Contains(e.Request.Body.Summary(), "/c") || e.Index == 1 }
	b, err := craft.Recipe(strings.NewReader(several))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode.Run(b.Source(), recorder.Recorder(), decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	p := recorder.Plan()
	for name, opts := range map[string]replay.Options{"max": {}, "rate": {Rate: 1000}} {
		t.Run(name, func(t *testing.T) {
			opts.Target = replaytest.Serve(t, func(c net.Conn) {
				request(c)
				io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
				io.Copy(io.Discard, c)
			})
			res, o := play(t, p, opts)
			if res.Checks[compare.Same] != 2 || res.Checks[compare.Skipped] != 3 || res.Conns[compare.Same] != 2 || res.Conns[compare.Skipped] != 2 {
				t.Errorf("%s", o)
			}
		})
	}
}
