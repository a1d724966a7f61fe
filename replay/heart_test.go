package replay_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/replaytest"
)

// Frames of a client, whose mask is zero, and of a server.
const (
	clientHi    = "\x81\x82\x00\x00\x00\x00hi"
	clientPing  = "\x89\x81\x00\x00\x00\x00?"
	clientPong  = "\x8a\x84\x00\x00\x00\x00then"
	clientClose = "\x88\x82\x00\x00\x00\x00\x03\xe8"
	serverClose = "\x88\x02\x03\xe8"
	serverHello = "\x81\x05hello"
	inParts     = "\x01\x02he\x00\x01l\x80\x02lo"
	serverPong  = "\x8a\x01?"
)

const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

// TestWebSocketFrames has a server that cuts messages into other frames than it did, pings when
// it had not and the other way round, and wants an answer to what it says now: none of that is a
// difference.
func TestWebSocketFrames(t *testing.T) {
	for name, test := range map[string]struct {
		was, is       string // what is said to the first message
		same, skipped int64
		verdict       compare.Verdict // of all
	}{
		"cut_now":       {serverHello, inParts, 4, 0, compare.Same},
		"cut_then":      {inParts, serverHello, 4, 2, compare.Same},
		"cut_elsewhere": {inParts, "\x01\x04hell\x80\x01o", 4, 2, compare.Same},
		"pings_now":     {serverHello, "\x89\x03now" + serverHello, 4, 0, compare.Same},
		"pings_behind":  {serverHello, serverHello + "\x89\x03now", 4, 0, compare.Same},
		"pings_within":  {serverHello, "\x01\x02he\x89\x03now\x80\x03llo", 4, 0, compare.Same},
		"pinged_then":   {"\x89\x04then" + serverHello, serverHello, 4, 1, compare.Same},
		"another":       {inParts, "\x01\x02he\x80\x03lpo", 3, 2, compare.Different},
	} {
		for _, speed := range []float64{0, 0.2} {
			t.Run(fmt.Sprintf("%s_%v", name, speed), func(t *testing.T) {
				recipe := fmt.Sprintf("tcp a 10.1.0.1:40000 > 10.1.0.2:80\na open\na > %q\na < %q\n",
					"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", switching)
				recipe += fmt.Sprintf("a > %q\na < %q\n", clientHi, test.was)
				if strings.Contains(test.was, "then") {
					recipe += fmt.Sprintf("a > %q\n", clientPong)
				}
				recipe += fmt.Sprintf("a > %q\na < %q\na > %q\na < %q\na close <\n", clientPing, serverPong, clientClose, serverClose)
				target := replaytest.Serve(t, func(c net.Conn) { answerFrames(t, c, test.is) })
				r, o := play(t, planOf(t, recipe), replay.Options{Target: target, Speed: speed, Exact: true})
				if r.Checks[compare.Same] != test.same || r.Checks[compare.Failed] != 0 || (r.Checks[compare.Different] > 0) != (test.verdict == compare.Different) || r.Conns[test.verdict] != 1 {
					t.Errorf("%s", o)
				}
				asked := int64(3) // of the client, to which no answer is awaited
				if strings.Contains(test.was, "then") {
					asked++
				}
				if r.Checks[compare.Skipped] != test.skipped+asked {
					t.Errorf("%d skipped, want %d:\n%s", r.Checks[compare.Skipped], test.skipped+asked, o)
				}
			})
		}
	}
}

// answerFrames is a server of WebSocket, which closes when its ping is not answered.
func answerFrames(t *testing.T, c net.Conn, hello string) {
	in := bufio.NewReader(c)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return
		}
	}
	io.WriteString(c, switching)
	pinged := strings.Contains(hello, "now")
	for {
		head := make([]byte, 6)
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		payload := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		for i := range payload {
			payload[i] ^= head[2+i&3]
		}
		switch head[0] & 15 {
		case 1:
			io.WriteString(c, hello)
		case 9:
			if pinged {
				t.Error("the ping was not answered before the next frame")
			}
			io.WriteString(c, serverPong)
		case 10:
			if bytes.Equal(payload, []byte("now")) {
				pinged = false
			}
		case 8:
			io.WriteString(c, serverClose)
			return
		}
	}
}
