package decode_test

import (
	"bytes"
	gotls "crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/pcaps/craft"
)

// turn is what one side says before the other does.
type turn struct {
	by   craft.Side
	text string
}

// say has both ends say turns, each when all before was heard.
func say(t *testing.T, client, server net.Conn, turns []turn) {
	t.Helper()
	for _, x := range turns {
		from, to := client, server
		if x.by == craft.Server {
			from, to = server, client
		}
		if _, err := from.Write([]byte(x.text)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, make([]byte, len(x.text))); err != nil {
			t.Fatal(err)
		}
	}
}

// mysqlPacket puts the head before a packet.
func mysqlPacket(number byte, body string) string {
	n := binary.LittleEndian.AppendUint32(nil, uint32(len(body))|uint32(number)<<24)
	return string(n) + body
}

// pgMessage puts the head before a message.
func pgMessage(typ, body string) string {
	return typ + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

const (
	mysqlOK   = "\x00\x00\x00\x02\x00\x00\x00"
	mysqlCaps = "\x00\xaa\x08\x00" // protocol 4.1, secure connection, plugins
)

// TestSTARTTLS has each protocol go over to TLS, and wants the exchanges behind that
// as they are when all is in clear.
func TestSTARTTLS(t *testing.T) {
	const c, s = craft.Client, craft.Server
	greeting := mysqlPacket(0, "\x0a8.0.36\x00\x08\x00\x00\x0012345678\x00\xff\xff\xff\x02\x00\xff\xdf\x15"+strings.Repeat("\x00", 10)+"123456789012\x00mysql_native_password\x00")
	login := "\x00\x00\x00\x01\xff" + strings.Repeat("\x00", 23)
	for name, tt := range map[string]struct {
		record          string
		clear           []turn
		inside, instead []turn // what stands in clear in place of clear and inside; nil is inside
		want            []string
	}{
		"smtp": {
			record: "smtp",
			clear:  []turn{{s, "220 mx.example ESMTP\r\n"}, {c, "EHLO a.example\r\n"}, {s, "250-mx.example\r\n250 STARTTLS\r\n"}, {c, "STARTTLS\r\n"}, {s, "220 go on\r\n"}},
			inside: []turn{
				{c, "EHLO again.example\r\n"}, {s, "250 mx.example\r\n"}, {c, "MAIL FROM:<a@a.example>\r\n"}, {s, "250 fine\r\n"},
				{c, "RCPT TO:<b@b.example>\r\n"}, {s, "250 fine\r\n"}, {c, "DATA\r\n"}, {s, "354 go on\r\n"},
				{c, "Subject: inside\r\n\r\nhello\r\n.\r\n"}, {s, "250 kept\r\n"}, {c, "QUIT\r\n"}, {s, "221 bye\r\n"},
			},
			want: []string{"again.example", "a@a.example", "b@b.example", "inside"},
		},
		"ftp": {
			record: "ftp",
			clear:  []turn{{s, "220 ftp.example\r\n"}, {c, "AUTH TLS\r\n"}, {s, "234 go on\r\n"}},
			inside: []turn{{c, "USER ada\r\n"}, {s, "331 which password?\r\n"}, {c, "PASS secret\r\n"}, {s, "230 welcome\r\n"}, {c, "PWD\r\n"}, {s, "257 \"/inside\"\r\n"}, {c, "QUIT\r\n"}, {s, "221 bye\r\n"}},
			want:   []string{"USER", "ada", "/inside", "bye"},
		},
		"postgres": {
			record: "postgres",
			clear:  []turn{{c, "\x00\x00\x00\x08\x04\xd2\x16\x2f"}, {s, "S"}},
			inside: []turn{
				{c, "\x00\x00\x00\x12\x00\x03\x00\x00user\x00ada\x00\x00"}, {s, pgMessage("R", "\x00\x00\x00\x00") + pgMessage("Z", "I")},
				{c, pgMessage("Q", "select 'inside'\x00")},
				{s, pgMessage("T", "\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00") + pgMessage("D", "\x00\x01\x00\x00\x00\x06inside") + pgMessage("C", "SELECT 1\x00") + pgMessage("Z", "I")},
				{c, pgMessage("X", "")},
			},
			want: []string{"select 'inside'", "SELECT 1", "ada"},
		},
		"connect": { // through a proxy
			record: "http",
			clear:  []turn{{c, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"}, {s, "HTTP/1.1 200 Go on\r\n\r\n"}},
			inside: []turn{{c, "GET /inside HTTP/1.1\r\nHost: a.example\r\n\r\n"}, {s, "HTTP/1.1 204 Fine\r\n\r\n"}},
			want:   []string{"/inside"},
		},
		"mysql": {
			record: "mysql",
			clear:  []turn{{s, greeting}, {c, mysqlPacket(1, "\x00\xaa\x08\x00"+login)}},
			inside: []turn{
				{c, mysqlPacket(2, mysqlCaps+login+"ada\x00\x00mysql_native_password\x00")}, {s, mysqlPacket(3, mysqlOK)},
				{c, mysqlPacket(0, "\x03update t set inside = 1")}, {s, mysqlPacket(1, "\x00\x05\x00\x02\x00\x00\x00")}, {c, mysqlPacket(0, "\x01")},
			},
			instead: []turn{
				{s, greeting}, {c, mysqlPacket(1, "\x00\xa2\x08\x00"+login+"ada\x00\x00mysql_native_password\x00")}, {s, mysqlPacket(2, mysqlOK)},
				{c, mysqlPacket(0, "\x03update t set inside = 1")}, {s, mysqlPacket(1, "\x00\x05\x00\x02\x00\x00\x00")}, {c, mysqlPacket(0, "\x01")},
			},
			want: []string{"update t set inside = 1", "ada"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plain := newWire()
			turns := tt.instead
			if turns == nil {
				turns = tt.inside
				if name == "smtp" || name == "ftp" { // a server greets
					turns = append([]turn{tt.clear[0]}, turns...)
				}
			}
			say(t, wireEnd{w: plain, side: c}, wireEnd{w: plain, side: s}, turns)
			want := ofType(t, decoded(t, &sourceOf{packets: packetsOf(t, plain.said)}, decode.Options{Workers: 1}), tt.record)

			w := newWire()
			var log bytes.Buffer
			client, server := wireEnd{w: w, side: c}, wireEnd{w: w, side: s}
			say(t, client, server, tt.clear)
			inC := gotls.Client(client, &gotls.Config{InsecureSkipVerify: true, KeyLogWriter: &log})
			inS := gotls.Server(server, &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}})
			done := make(chan error, 1)
			go func() { done <- inS.Handshake() }()
			if err := inC.Handshake(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			say(t, inC, inS, tt.inside)
			inC.Close()
			out := decoded(t, &sourceOf{packets: packetsOf(t, w.said)}, decode.Options{Workers: 1, Secrets: secretsOf(log.Bytes())})
			got := ofType(t, out, tt.record)

			// What comes first differs: a greeting, and how TLS was agreed upon.
			behind := func(list []map[string]any, n int) []map[string]any { return list[max(0, len(list)-n):] }
			for _, m := range slices.Concat(want, got) { // those of FTP stand for themselves
				delete(m, "time")
				delete(m, "packet")
			}
			n := map[string]int{"smtp": 6, "ftp": 8, "postgres": 3, "mysql": 3, "connect": 1}[name]
			if diff := cmp.Diff(behind(want, n), behind(got, n)); diff != "" || len(want) < n || len(got) < n {
				t.Errorf("not as in clear (-clear +opened):\n%s\n%s", diff, out)
			}
			for _, text := range tt.want {
				if !strings.Contains(strings.ReplaceAll(out, `\u0027`, "'"), text) {
					t.Errorf("there is no %s in\n%s", text, out)
				}
			}
			if len(ofType(t, out, "tls")) != 1 || len(ofType(t, out, "anomaly")) > 0 {
				t.Errorf("not one handshake, or something odd:\n%s", out)
			}
			// As if it had been said in clear, it needs none.
			written := decoded(t, &sourceOf{packets: unsealed(t, packetsOf(t, w.said), log.Bytes())}, decode.Options{Workers: 1})
			list := ofType(t, written, tt.record)
			for _, m := range list {
				delete(m, "time")
				delete(m, "packet")
			}
			if diff := cmp.Diff(behind(want, n), behind(list, n)); diff != "" || len(ofType(t, written, "tls"))+len(ofType(t, written, "anomaly")) > 0 {
				t.Errorf("written as if in clear, it is not as in clear (-clear +written):\n%s\n%s", diff, written)
			}
			// Without keys there is nothing of it.
			bare := decoded(t, &sourceOf{packets: packetsOf(t, w.said)}, decode.Options{Workers: 1})
			for _, text := range tt.want {
				if strings.Contains(bare, text) {
					t.Errorf("without keys there is %s in\n%s", text, bare)
				}
			}
		})
	}
}

// TestTLSUnused has a connection on which nothing is said, as browsers open some to
// have them: its keys are there.
func TestTLSUnused(t *testing.T) {
	w := newWire()
	var log bytes.Buffer
	client := gotls.Client(wireEnd{w: w, side: craft.Client}, &gotls.Config{InsecureSkipVerify: true, KeyLogWriter: &log})
	server := gotls.Server(wireEnd{w: w, side: craft.Server}, &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	packets := packetsOf(t, w.said)
	for _, keys := range []bool{true, false} {
		opts := decode.Options{Workers: 1}
		if keys {
			opts.Secrets = secretsOf(log.Bytes())
		}
		conv := ofType(t, decoded(t, &sourceOf{packets: packets}, opts), "conversation")
		if known := conv[0]["tls"] == true; known != keys {
			t.Errorf("with keys %v, it was opened: %v", keys, known)
		}
	}
}
