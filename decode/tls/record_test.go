package tls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	gotls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// keyPair is a certificate that no one verifies.
var keyPair = sync.OnceValues(func() (gotls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return gotls.Certificate{}, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1)}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	return gotls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}, err
})

// line is one direction of a connection, which keeps all that was written to it.
// net.Pipe has no buffer: two that write at a time, as TLS does, would both wait.
type line struct {
	mu      sync.Mutex
	more    sync.Cond
	written []byte
	read    int
	closed  bool
}

func newLine() *line {
	l := &line{}
	l.more.L = &l.mu
	return l
}

// end is one end of a connection in memory.
type end struct {
	net.Conn // nothing else is called
	in, out  *line
}

func (e *end) Read(b []byte) (int, error) {
	l := e.in
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.read == len(l.written) {
		if l.closed {
			return 0, io.EOF
		}
		l.more.Wait()
	}
	n := copy(b, l.written[l.read:])
	l.read += n
	return n, nil
}

func (e *end) Write(b []byte) (int, error) {
	l := e.out
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = append(l.written, b...)
	l.more.Broadcast()
	return len(b), nil
}

func (e *end) Close() error {
	for _, l := range []*line{e.in, e.out} {
		l.mu.Lock()
		l.closed = true
		l.more.Broadcast()
		l.mu.Unlock()
	}
	return nil
}

func (e *end) SetWriteDeadline(time.Time) error { return nil }

// handshake is what both sides sent when they shook hands, and came to.
type handshake struct {
	sent  [2][]byte
	state gotls.ConnectionState
}

// shake has crypto/tls shake hands with itself.
func shake(t testing.TB, client, server *gotls.Config) handshake {
	t.Helper()
	cert, err := keyPair()
	if err != nil {
		t.Fatal(err)
	}
	client.InsecureSkipVerify = true
	server.Certificates = []gotls.Certificate{cert}
	lines := [2]*line{newLine(), newLine()}
	c := gotls.Client(&end{in: lines[s2c], out: lines[c2s]}, client)
	s := gotls.Server(&end{in: lines[c2s], out: lines[s2c]}, server)
	done := make(chan error, 1)
	go func() {
		err := s.Handshake()
		s.Close()
		done <- err
	}()
	err = c.Handshake()
	c.Close()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return handshake{sent: [2][]byte{lines[c2s].written, lines[s2c].written}, state: c.ConnectionState()}
}

// record puts handshake bytes into records of n bytes at most.
func record(n int, msg []byte) []byte {
	var out []byte
	for len(msg) > 0 {
		m := min(n, len(msg))
		out = append(out, recordHandshake, 3, 1, byte(m>>8), byte(m))
		out, msg = append(out, msg[:m]...), msg[m:]
	}
	return out
}

// message puts a body behind the head of a handshake message.
func message(typ byte, body []byte) []byte {
	n := len(body)
	return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// vector puts its length in n bytes before the parts.
func vector(n int, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	var out []byte
	for i := n - 1; i >= 0; i-- {
		out = append(out, byte(len(body)>>(8*i)))
	}
	return append(out, body...)
}

// number is v in two bytes.
func number(v uint16) []byte { return []byte{byte(v >> 8), byte(v)} }

// extension is one extension with its body.
func extension(typ uint16, body ...[]byte) []byte {
	return append(number(typ), vector(2, body...)...)
}

// serverName is an extension with one host name.
func serverName(host string) []byte {
	return extension(extServerName, vector(2, []byte{0}, vector(2, []byte(host))))
}

// alpn is an extension with these names.
func alpn(names ...string) []byte {
	var list []byte
	for _, name := range names {
		list = append(list, vector(1, []byte(name))...)
	}
	return extension(extALPN, vector(2, list))
}

// versions is a client's supported_versions.
func versions(all ...uint16) []byte {
	var list []byte
	for _, v := range all {
		list = append(list, number(v)...)
	}
	return extension(extSupportedVersions, vector(1, list))
}

// clientHead is the body of a ClientHello up to its extensions.
func clientHead(version uint16) []byte {
	return bytes.Join([][]byte{
		number(version), bytes.Repeat([]byte{0xab}, 32), vector(1, []byte("id")),
		vector(2, number(0x1301), number(0xc02f)), vector(1, []byte{0}),
	}, nil)
}

// serverHead is the body of a ServerHello up to its extensions.
func serverHead(version, cipher uint16) []byte {
	return bytes.Join([][]byte{
		number(version), bytes.Repeat([]byte{0xcd}, 32), vector(1), number(cipher), {0},
	}, nil)
}

// with puts extensions behind the head of a hello.
func with(head []byte, extensions ...[]byte) []byte {
	return append(bytes.Clone(head), vector(2, extensions...)...)
}
