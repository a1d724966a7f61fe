package decode_test

import (
	"bytes"
	gotls "crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/printer"
	"netlab/decode/tls"
	"netlab/pcaps/craft"
)

// followed is what --follow prints of the first conversation.
func followed(t *testing.T, list []said, form printer.Form, secrets *tls.Secrets, drop ...int) string {
	t.Helper()
	var out bytes.Buffer
	f := printer.NewFollow(&out, printer.Style{}, 0)
	f.Form = form
	if _, err := decode.Run(&sourceOf{packets: packetsOf(t, list, drop...)}, f, decode.Options{Secrets: secrets}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestFollowOpened wants to see what was said inside, and nothing of what it was in.
func TestFollowOpened(t *testing.T) {
	var inside string
	for _, x := range exchanges {
		inside += x[0] + x[1]
	}
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version}
		s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
		list, log := recorded(t, c, s)
		if got := followed(t, list, printer.Bare, secretsOf(log)); got != inside {
			t.Errorf("version %x: %d bytes inside, %d were said", version, len(got), len(inside))
		}
		text := followed(t, list, printer.Auto, secretsOf(log))
		if n := strings.Count(text, ", TLS handshake, "); n != 2 || strings.Contains(text, "00000000  ") {
			t.Errorf("version %x: %d lines of handshakes, in\n%.2000s", version, n, text)
		}
		want := fmt.Sprintf(">>> 10.0.0.1:40000 to 10.0.0.2:443, TLS handshake, %d bytes\n", before(t, list, craft.Client, log))
		if !strings.HasPrefix(text, want) {
			t.Errorf("version %x: no %q at the beginning of\n%.300s", version, want, text)
		}

		// Without its keys, all is shown as it is.
		var outer bytes.Buffer
		for _, s := range list {
			outer.Write(s.data)
		}
		for _, secrets := range []*tls.Secrets{nil, new(tls.Secrets), secretsOf([]byte("CLIENT_RANDOM " + strings.Repeat("ab", 32) + " " + strings.Repeat("cd", 48)))} {
			if got := followed(t, list, printer.Bare, secrets); got != outer.String() {
				t.Errorf("version %x: without keys, %d bytes of %d", version, len(got), outer.Len())
			}
		}
	}
}

// before counts the bytes in front of a side's first record with data, by the length
// of the record that data comes in.
func before(t *testing.T, list []said, side craft.Side, log []byte) int {
	t.Helper()
	s := tls.NewStream(secretsOf(log))
	var at [2]int
	for _, x := range list {
		for data := x.data; len(data) > 0; {
			n := tls.Length(data)
			if out := s.Record(flow.Direction(x.by), data[:n]); x.by == side && len(out.Data) > 0 {
				return at[side]
			}
			at[x.by] += n
			data = data[n:]
		}
	}
	t.Fatal("there is no data")
	return 0
}

// TestFollowLost wants to see where bytes inside are missing, and what is behind them.
func TestFollowLost(t *testing.T) {
	c := &gotls.Config{}
	s := &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}}
	list, log := recorded(t, c, s)
	text := followed(t, list, printer.Auto, secretsOf(log), 20)
	if !strings.Contains(text, "GET /first") || strings.Count(text, "were not captured") != 1 || !strings.Contains(text, "404 Not Found") || strings.Contains(text, "00000000  ") {
		t.Errorf("around a gap there is\n%.3000s", text)
	}
}

// TestFollowSTARTTLS wants what is in clear, one line of each handshake, and what was
// said behind.
func TestFollowSTARTTLS(t *testing.T) {
	w := newWire()
	var log bytes.Buffer
	client, server := wireEnd{w: w, side: craft.Client}, wireEnd{w: w, side: craft.Server}
	dialogue := func(c, s net.Conn, lines ...string) {
		for i, line := range lines {
			from, to := s, c
			if i%2 == 1 {
				from, to = c, s
			}
			done := make(chan error, 1)
			go func() {
				_, err := to.Read(make([]byte, 1000))
				done <- err
			}()
			if _, err := from.Write([]byte(line + "\r\n")); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	dialogue(client, server, "220 mx.example ESMTP", "EHLO a.example", "250-mx.example\r\n250 STARTTLS", "STARTTLS", "220 go on")
	c := gotls.Client(client, &gotls.Config{InsecureSkipVerify: true, KeyLogWriter: &log})
	s := gotls.Server(server, &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	dialogue(s, c, "EHLO again.example", "250 mx.example", "MAIL FROM:<a@a.example>", "250 fine", "QUIT", "221 bye") // s and c change places
	c.Close()
	text := followed(t, w.said, printer.Auto, secretsOf(log.Bytes()))
	at := 0
	for _, want := range []string{"220 mx.example ESMTP\n", "\nSTARTTLS\n", "220 go on\n", ", TLS handshake, ", "EHLO again.example\n", ", TLS handshake, ", "250 mx.example\n", "MAIL FROM", "221 bye"} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q is not where it should be in\n%s", want, text)
		}
		at += i + len(want)
	}
	if strings.Contains(text, "00000000  ") {
		t.Errorf("there are sealed bytes in\n%s", text)
	}
}
