package decode_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	gotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/tls"
	"netlab/pcaps/craft"
)

// wire is a connection in memory, which notes what was said in order. It has room
// for all of it: two that write at a time, as TLS does, never wait for each other.
type wire struct {
	mu   sync.Mutex
	more *sync.Cond
	said []said
	ends [2]struct {
		unread []byte
		closed bool
	}
}

type said struct {
	by   craft.Side
	data []byte
}

func newWire() *wire {
	w := new(wire)
	w.more = sync.NewCond(&w.mu)
	return w
}

// wireEnd is one end of it.
type wireEnd struct {
	net.Conn // nothing else is called
	w        *wire
	side     craft.Side
}

func (e wireEnd) Read(b []byte) (int, error) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	x := &e.w.ends[1-e.side]
	for len(x.unread) == 0 {
		if x.closed {
			return 0, io.EOF
		}
		e.w.more.Wait()
	}
	n := copy(b, x.unread)
	x.unread = x.unread[n:]
	return n, nil
}

func (e wireEnd) Write(b []byte) (int, error) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.said = append(e.w.said, said{e.side, bytes.Clone(b)})
	e.w.ends[e.side].unread = append(e.w.ends[e.side].unread, b...)
	e.w.more.Broadcast()
	return len(b), nil
}

func (e wireEnd) Close() error {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.w.ends[e.side].closed = true
	e.w.more.Broadcast()
	return nil
}

func (e wireEnd) SetWriteDeadline(time.Time) error { return nil }

// certificate makes one that nobody verifies.
func certificate(t testing.TB, rsaKey bool) gotls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server of a.example"}, DNSNames: []string{"a.example", "b.example"},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var key, public any = ec, &ec.PublicKey
	if rsaKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, public = k, &k.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return gotls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// exchanges are what client and server say in turn.
var exchanges = [][2]string{
	{"GET /first HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
	{"POST /large HTTP/1.1\r\nHost: a.example\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("q", 50000),
		"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100000)},
	{"GET /last HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"},
}

// talk has both ends say the exchanges, and close.
func talkOver(client, server net.Conn) error {
	done := make(chan error, 1)
	serve := func() error {
		defer server.Close()
		for _, x := range exchanges {
			if _, err := io.ReadFull(server, make([]byte, len(x[0]))); err != nil {
				return err
			}
			if _, err := server.Write([]byte(x[1])); err != nil {
				return err
			}
		}
		return nil
	}
	go func() { done <- serve() }()
	var failed error
	for _, x := range exchanges {
		if _, err := client.Write([]byte(x[0])); err != nil && failed == nil {
			failed = err
		}
		if _, err := io.ReadFull(client, make([]byte, len(x[1]))); err != nil && failed == nil {
			failed = err
			break
		}
	}
	client.Close()
	return errors.Join(failed, <-done)
}

// recorded has crypto/tls say the exchanges, and returns what was on the wire with
// its key log.
func recorded(t testing.TB, client, server *gotls.Config) ([]said, []byte) {
	t.Helper()
	w := newWire()
	var log bytes.Buffer
	client.InsecureSkipVerify, server.KeyLogWriter = true, &log
	if client.ServerName == "" {
		client.ServerName = "a.example"
	}
	c := gotls.Client(wireEnd{w: w, side: craft.Client}, client)
	s := gotls.Server(wireEnd{w: w, side: craft.Server}, server)
	if err := talkOver(c, s); err != nil {
		t.Fatal(err)
	}
	return w.said, log.Bytes()
}

// packets makes packets of what was said.
func packetsOf(t testing.TB, list []said, drop ...int) []capture.Packet {
	t.Helper()
	b := craft.New(craft.Options{})
	c := b.TCP(netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:443"))
	c.MSS = 1400
	c.Open()
	n := 0
	for _, s := range list {
		for data := s.data; len(data) > 0; n++ {
			part := data[:min(len(data), c.MSS)]
			data = data[len(part):]
			if slices.Contains(drop, n) {
				c.Drop(s.by, part)
			} else {
				c.Send(s.by, part)
			}
		}
	}
	c.Close(craft.Client)
	packets, err := b.Packets()
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// sourceOf hands packets out, and stages secrets before some of them.
type sourceOf struct {
	packets []capture.Packet
	stage   map[int64]func()
	current []byte // what is lent, and overwritten
	packet  capture.Packet
}

func (s *sourceOf) Next() (*capture.Packet, error) {
	for i := range s.current {
		s.current[i] = 0xee
	}
	if len(s.packets) == 0 {
		return nil, io.EOF
	}
	s.packet = s.packets[0]
	s.packets = s.packets[1:]
	if f := s.stage[s.packet.Number]; f != nil {
		f()
	}
	s.current = append([]byte(nil), s.packet.Data...)
	s.packet.Data = s.current
	return &s.packet, nil
}

// decoded returns the JSON of packets.
func decoded(t testing.TB, src capture.Source, opts decode.Options) string {
	t.Helper()
	var out bytes.Buffer
	p := printer.NewJSON(&out)
	if _, err := decode.Run(src, p, opts); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// ofType returns the records of a type, without what differs between the same talk in
// clear and encrypted.
func ofType(t testing.TB, out, typ string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if m["type"] != typ {
			continue
		}
		delete(m, "index")
		delete(m, "latency_ms")
		delete(m, "total_ms")
		for _, side := range []string{"request", "response"} {
			if x, ok := m[side].(map[string]any); ok {
				delete(x, "time")
				delete(x, "packet")
			}
		}
		list = append(list, m)
	}
	return list
}

// inClear is what decoding says of the exchanges in clear.
func inClear(t testing.TB) []map[string]any {
	t.Helper()
	w := newWire()
	if err := talkOver(wireEnd{w: w, side: craft.Client}, wireEnd{w: w, side: craft.Server}); err != nil {
		t.Fatal(err)
	}
	return ofType(t, decoded(t, &sourceOf{packets: packetsOf(t, w.said)}, decode.Options{Workers: 1}), "http")
}

func secretsOf(log []byte) *tls.Secrets {
	s := new(tls.Secrets)
	s.Add(log)
	return s
}

// TestTLSOpened has crypto/tls talk in each way it can, and wants the exchanges that
// the same talk in clear has.
func TestTLSOpened(t *testing.T) {
	want := inClear(t)
	if len(want) != len(exchanges) {
		t.Fatalf("%d exchanges in clear", len(want))
	}
	ec, rs := certificate(t, false), certificate(t, true)
	tests := map[string]struct {
		version uint16
		suite   uint16
		cert    gotls.Certificate
		change  func(c, s *gotls.Config)
	}{
		"tls13": {version: gotls.VersionTLS13, cert: ec},
		"tls13_retry": {version: gotls.VersionTLS13, cert: ec, change: func(c, s *gotls.Config) {
			c.CurvePreferences = []gotls.CurveID{gotls.X25519, gotls.CurveP256}
			s.CurvePreferences = []gotls.CurveID{gotls.CurveP256}
		}},
		"tls13_client_certificate": {version: gotls.VersionTLS13, cert: rs, change: func(c, s *gotls.Config) {
			c.Certificates, s.ClientAuth = []gotls.Certificate{ec}, gotls.RequireAnyClientCert
		}},
		"tls12_alpn_client_certificate": {version: gotls.VersionTLS12, cert: rs, change: func(c, s *gotls.Config) {
			c.Certificates, s.ClientAuth = []gotls.Certificate{ec}, gotls.RequireAnyClientCert
			c.NextProtos, s.NextProtos = []string{"http/1.1"}, []string{"http/1.1"}
		}},
	}
	for _, s := range slices.Concat(gotls.CipherSuites(), gotls.InsecureCipherSuites()) {
		if !slices.Contains(s.SupportedVersions, gotls.VersionTLS12) || strings.Contains(s.Name, "RC4") {
			continue
		}
		cert := rs
		if strings.Contains(s.Name, "ECDSA") {
			cert = ec
		}
		for _, v := range s.SupportedVersions {
			if v >= gotls.VersionTLS10 && v <= gotls.VersionTLS12 {
				name := fmt.Sprintf("%s_%s", strings.ReplaceAll(gotls.VersionName(v), " ", ""), s.Name)
				tests[name] = struct {
					version uint16
					suite   uint16
					cert    gotls.Certificate
					change  func(c, s *gotls.Config)
				}{v, s.ID, cert, nil}
			}
		}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &gotls.Config{MinVersion: tt.version, MaxVersion: tt.version}
			if tt.suite != 0 {
				c.CipherSuites = []uint16{tt.suite}
			}
			s := c.Clone()
			s.Certificates = []gotls.Certificate{tt.cert}
			if tt.change != nil {
				tt.change(c, s)
			}
			list, log := recorded(t, c, s)
			out := decoded(t, &sourceOf{packets: packetsOf(t, list)}, decode.Options{Workers: 1, Secrets: secretsOf(log)})
			if diff := cmp.Diff(want, ofType(t, out, "http")); diff != "" {
				t.Errorf("not as in clear (-clear +opened):\n%s\n%s", diff, out)
			}
			hellos := 1
			if name == "tls13_retry" {
				hellos = 2
			}
			hello := ofType(t, out, "tls")
			if len(hello) != hellos || hello[0]["state"] != "complete" || hello[0]["sni"] != "a.example" || (hello[0]["retried"] == true) != (hellos == 2) {
				t.Fatalf("the hellos are %v", hello)
			}
			if names := fmt.Sprint(hello[hellos-1]["certificates"]); !strings.Contains(names, "[a.example b.example]") {
				t.Errorf("the certificates are %s", names)
			}
			if conv := ofType(t, out, "conversation"); conv[0]["protocol"] != "http" || conv[0]["tls"] != true {
				t.Errorf("the conversation is %v", conv[0])
			}
			if odd := ofType(t, out, "anomaly"); len(odd) > 0 {
				t.Errorf("anomalies: %v", odd)
			}
			// As if it had been said in clear, it needs none.
			out = decoded(t, &sourceOf{packets: unsealed(t, packetsOf(t, list), log)}, decode.Options{Workers: 1})
			if diff := cmp.Diff(want, ofType(t, out, "http")); diff != "" || len(ofType(t, out, "tls"))+len(ofType(t, out, "anomaly")) > 0 {
				t.Errorf("written as if in clear, it is not as in clear (-clear +written):\n%s\n%s", diff, out)
			}
			// Without its keys nothing is known but the hellos.
			out = decoded(t, &sourceOf{packets: packetsOf(t, list)}, decode.Options{Workers: 1, Secrets: new(tls.Secrets)})
			bare := decoded(t, &sourceOf{packets: packetsOf(t, list)}, decode.Options{Workers: 1})
			if out != bare {
				t.Errorf("secrets of others make a difference:\n%s%s", bare, out)
			}
			if conv := ofType(t, out, "conversation"); conv[0]["protocol"] != "tls" || len(ofType(t, out, "tls")) != hellos || len(ofType(t, out, "http"))+len(ofType(t, out, "anomaly")) > 0 {
				t.Errorf("without keys:\n%s", out)
			}
		})
	}
}

// TestTLSResumed has a connection resumed.
func TestTLSResumed(t *testing.T) {
	want := inClear(t)
	for version, by := range map[uint16]string{gotls.VersionTLS12: "ticket", gotls.VersionTLS13: "psk"} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version, ClientSessionCache: gotls.NewLRUClientSessionCache(1)}
		s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
		recorded(t, c, s)
		list, log := recorded(t, c, s)
		out := decoded(t, &sourceOf{packets: packetsOf(t, list)}, decode.Options{Workers: 1, Secrets: secretsOf(log)})
		// Up to 1.2, crypto/tls logs no key when it resumes.
		if diff := cmp.Diff(want, ofType(t, out, "http")); diff != "" && version == gotls.VersionTLS13 {
			t.Errorf("not as in clear (-clear +opened):\n%s\n%s", diff, out)
		}
		if hello := ofType(t, out, "tls"); len(hello) != 1 || hello[0]["resumed"] != by {
			t.Errorf("the hellos are %v", hello)
		}
	}
}

// TestTLSLost has packets of any place missing: what is whole is told, and what is not
// is told as broken, never wrong.
func TestTLSLost(t *testing.T) {
	clear := inClear(t)
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version}
		s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
		list, log := recorded(t, c, s)
		n, last := 0, 0
		for _, s := range list {
			n += (len(s.data) + 1399) / 1400
		}
		for drop := range n {
			out := decoded(t, &sourceOf{packets: packetsOf(t, list, drop)}, decode.Options{Workers: 1, Secrets: secretsOf(log)})
			for _, x := range ofType(t, out, "http") {
				if x["state"] == "complete" && !slices.ContainsFunc(clear, func(y map[string]any) bool { return cmp.Equal(x, y) }) {
					t.Fatalf("without packet %d there is what was not said: %v", drop, x)
				}
			}
			written := decoded(t, &sourceOf{packets: unsealed(t, packetsOf(t, list, drop), log)}, decode.Options{Workers: 1})
			if diff := cmp.Diff(ofType(t, out, "http"), ofType(t, written, "http")); diff != "" {
				t.Errorf("version %x, without packet %d: written as if in clear, it is not as it was opened (-opened +written):\n%s", version, drop, diff)
			}
			if strings.Contains(out, "/last") && strings.Contains(out, `"status":404`) {
				last++
			} else {
				t.Logf("version %x: without packet %d of %d the end is not found", version, drop, n)
			}
		}
		if last < n*9/10 {
			t.Errorf("the end was found in %d of %d", last, n)
		}
	}
}

// TestTLSWrongKey has the keys of another connection under the name of this one.
func TestTLSWrongKey(t *testing.T) {
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version}
		s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
		list, log := recorded(t, c, s)
		var wrong []string
		for line := range strings.Lines(string(log)) {
			f := strings.Fields(line)
			f[2] = strings.Repeat("5a", len(f[2])/2)
			wrong = append(wrong, strings.Join(f, " ")+"\n")
		}
		out := decoded(t, &sourceOf{packets: packetsOf(t, list)}, decode.Options{Workers: 1, Secrets: secretsOf([]byte(strings.Join(wrong, "")))})
		if odd := ofType(t, out, "anomaly"); len(odd) == 0 || len(odd) > 2 || !strings.Contains(fmt.Sprint(odd), "does not open") {
			t.Errorf("anomalies: %v", odd)
		}
		if conv := ofType(t, out, "conversation"); conv[0]["protocol"] != "tls" || conv[0]["tls"] == true {
			t.Errorf("the conversation is %v", conv[0])
		}
	}
}

// TestSecretsStaged has keys come while packets are read: who works on them must not
// matter, and they must count from their packet on.
func TestSecretsStaged(t *testing.T) {
	want := inClear(t)
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version}
		s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
		list, log := recorded(t, c, s)
		packets := packetsOf(t, list)
		// With nothing else, what comes is held; keys of others tell that more may come.
		for _, at := range []int64{1, 5, 7, 9, 12, 20, 60, 120} {
			var first string
			for _, workers := range []int{1, 2, 3} {
				secrets := new(tls.Secrets)
				secrets.Grow()
				src := &sourceOf{packets: packets, stage: map[int64]func(){at: func() { secrets.Stage(log) }}}
				out := decoded(t, src, decode.Options{Workers: workers, Secrets: secrets})
				if first == "" {
					first = out
				}
				if out != first {
					t.Errorf("keys at packet %d: %d workers say\n%s and one\n%s", at, workers, out, first)
				}
			}
			if at <= 20 {
				if diff := cmp.Diff(want, ofType(t, first, "http")); diff != "" {
					t.Errorf("keys at packet %d: not as in clear (-clear +opened):\n%s", at, diff)
				}
			}
		}
	}
}

// TestTLSCut has what short captures have: a beginning in the middle of the handshake,
// or only the first 96 bytes of each packet. Nothing is made of it that was not said.
func TestTLSCut(t *testing.T) {
	clear := inClear(t)
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version}
		s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
		list, log := recorded(t, c, s)
		packets := packetsOf(t, list)
		check := func(trait string, packets []capture.Packet, keys bool) {
			t.Helper()
			opts := decode.Options{Workers: 1}
			if keys {
				opts.Secrets = secretsOf(log)
			}
			out := decoded(t, &sourceOf{packets: packets}, opts)
			for _, x := range ofType(t, out, "http") {
				whole := slices.ContainsFunc(clear, func(y map[string]any) bool { return cmp.Equal(x, y) })
				if !whole && x["state"] == "complete" || !keys {
					t.Errorf("version %x, %s, keys %v: this was not said: %v", version, trait, keys, x)
				}
			}
			for _, x := range ofType(t, out, "anomaly") {
				if x["kind"] == "malformed_message" && !strings.Contains(fmt.Sprint(x["detail"]), "record") {
					t.Errorf("version %x, %s, keys %v: nobody said what is malformed: %v", version, trait, keys, x)
				}
			}
			if conv := ofType(t, out, "conversation"); len(conv) != 1 {
				t.Errorf("version %x, %s: %v", version, trait, conv)
			}
			if keys {
				written := decoded(t, &sourceOf{packets: unsealed(t, packets, log)}, opts)
				if diff := cmp.Diff(ofType(t, out, "http"), ofType(t, written, "http")); diff != "" {
					t.Errorf("version %x, %s: written as if in clear, it is not as it was opened (-opened +written):\n%s", version, trait, diff)
				}
			}
		}
		for _, keys := range []bool{true, false} {
			for first := range 14 {
				check(fmt.Sprintf("from packet %d on", first), packets[first:], keys)
			}
			cut := slices.Clone(packets)
			for i := range cut {
				cut[i].Data = cut[i].Data[:min(96, len(cut[i].Data))]
			}
			check("96 bytes of each packet", cut, keys)
		}
	}
}

// TestSecretsInTurn has the keys of one side come before the other's, as a client
// writes them: an answer that can be opened waits for its request.
func TestSecretsInTurn(t *testing.T) {
	want := inClear(t)
	c := &gotls.Config{MinVersion: gotls.VersionTLS13}
	s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
	list, log := recorded(t, c, s)
	for _, late := range []string{"CLIENT_TRAFFIC", "SERVER_TRAFFIC"} {
		var first, then []byte
		for line := range bytes.Lines(log) {
			if bytes.HasPrefix(line, []byte(late)) {
				then = append(then, line...)
			} else {
				first = append(first, line...)
			}
		}
		for _, at := range []int64{9, 11, 12, 13, 14, 16} {
			secrets := new(tls.Secrets)
			secrets.Grow()
			src := &sourceOf{packets: packetsOf(t, list), stage: map[int64]func(){1: func() { secrets.Stage(first) }, at: func() { secrets.Stage(then) }}}
			out := decoded(t, src, decode.Options{Workers: 1, Secrets: secrets})
			if diff := cmp.Diff(want, ofType(t, out, "http")); diff != "" {
				t.Errorf("%s at packet %d: not as in clear (-clear +opened):\n%s", late, at, diff)
			}
		}
	}
}
