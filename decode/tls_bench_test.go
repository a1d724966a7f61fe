package decode_test

import (
	"bytes"
	gotls "crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"netlab/decode"
	"netlab/decode/printer"
	"netlab/decode/tls"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// BenchmarkTLS decodes a download of 16 MB: bytes of no protocol, HTTP in clear,
// encrypted without its keys, and with them.
func BenchmarkTLS(b *testing.B) {
	const size = 16 << 20
	body := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(body)
	answer := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size), body...)
	talk := func(client, server net.Conn) {
		done := make(chan error, 1)
		go func() {
			_, err := server.Read(make([]byte, 1000))
			if err == nil {
				_, err = server.Write(answer)
			}
			done <- err
		}()
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, len(answer))); err != nil {
			b.Fatal(err)
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		version uint16 // 0 is in clear
		suite   uint16
		keys    bool
	}{
		{"raw", 0, 0, false},
		{"http", 0, 0, false},
		{"tls13_no_keys", gotls.VersionTLS13, 0, false},
		{"tls12_no_keys", gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false},
		{"tls13_aes128_gcm", gotls.VersionTLS13, 0, true},
		{"tls12_aes128_gcm", gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{"tls12_cbc_sha", gotls.VersionTLS12, gotls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, true},
	} {
		b.Run(tt.name, func(b *testing.B) {
			w := newWire()
			var log bytes.Buffer
			client, server := wireEnd{w: w, side: craft.Client}, wireEnd{w: w, side: craft.Server}
			switch {
			case tt.name == "raw":
				w.said = []said{{craft.Client, []byte("\x01?")}, {craft.Server, body}}
			case tt.version == 0:
				talk(client, server)
			default:
				c := &gotls.Config{InsecureSkipVerify: true, MinVersion: tt.version, MaxVersion: tt.version, KeyLogWriter: &log}
				if tt.suite != 0 {
					c.CipherSuites = []uint16{tt.suite}
				}
				talk(gotls.Client(client, c), gotls.Server(server, &gotls.Config{Certificates: []gotls.Certificate{certificate(b, false)}}))
			}
			raw := file(b, packetsOf(b, w.said))
			var secrets *tls.Secrets
			if tt.keys {
				secrets = secretsOf(log.Bytes())
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				src, err := pcaps.NewReader(bytes.NewReader(raw))
				if err != nil {
					b.Fatal(err)
				}
				sum, err := decode.Run(src, printer.NewJSON(io.Discard), decode.Options{Workers: 1, Secrets: secrets})
				if err != nil || sum.Undecoded() > 0 {
					b.Fatal(err, sum)
				}
			}
		})
	}
}
