package compare

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// lastFrame keeps the last frame of a dialogue.
type lastFrame struct{ frame *proto.Message }

func (l *lastFrame) Exchange(e *proto.Exchange) { l.frame = e.Response }

func (l *lastFrame) Anomaly(flow.Anomaly) {}

// frameOf reads frames of a server, which end a message.
func frameOf(t *testing.T, raw string) *proto.Message {
	t.Helper()
	l := &lastFrame{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, l, proto.Options{
		Keep: 1 << 20, Protocol: &proto.WebSocket, With: "permessage-deflate",
	})
	g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte(raw), Ack: flow.NoAck})
	g.Close()
	if l.frame == nil {
		t.Fatalf("no frame: %q", raw)
	}
	return l.frame
}

// TestWebSocket compares what messages carry.
func TestWebSocket(t *testing.T) {
	const deflated = "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" // "Hello" (RFC 7692, section 7.2.3.1)
	tests := map[string]struct {
		recorded, live string
		strict         bool
		want           string
	}{
		"same":            {"\x81\x05Hello", "\x81\x05Hello", false, ""},
		"in_fragments":    {"\x81\x05Hello", "\x01\x02He\x00\x01l\x80\x02lo", false, ""},
		"compressed":      {"\x81\x05Hello", deflated, false, ""},
		"strict":          {"\x81\x05Hello", deflated, true, `frame at byte 0 was 81 05 48 65 6c 6c 6f of 7 bytes, is c1 07 f2 48 cd c9 c9 07 00 of 9 bytes`},
		"another":         {"\x81\x05Hello", "\x81\x05Hallo", false, `message at byte 1 was "ello" of 5 bytes, is "allo" of 5 bytes`},
		"in_them_another": {deflated, "\x01\x02He\x00\x01l\x80\x03lo!", false, `message at byte 5 was the end after 5 bytes, is "!" of 6 bytes`},
		"of_another_type": {"\x81\x05Hello", "\x82\x05Hello", false, `message was text, is binary`},
		"json":            {"\x81\x07{\"a\":1}", "\x81\x09{\"a\" : 2}", false, `message $.a was 1, is 2`},
		"empty":           {"\x81\x00", "\x81\x00", false, ""},
		"closes":          {"\x88\x05\x03\xe8bye", "\x88\x05\x03\xe8bye", false, ""},
		"closes_with":     {"\x88\x05\x03\xe8bye", "\x88\x05\x03\xf3bye", false, "code was 1000, is 1011"},
		"closes_because":  {"\x88\x05\x03\xe8bye", "\x88\x04\x03\xe8no", false, `reason at byte 0 was "bye" of 3 bytes, is "no" of 2 bytes`},
		"is_no_close":     {"\x88\x02\x03\xe8", "\x81\x05Hello", false, "message was close, is text"},
		"pong":            {"\x8a\x01a", "\x8a\x01b", false, `message at byte 0 was "a" of 1 byte, is "b" of 1 byte`},
		"not_whole":       {"\x81\x05Hello", "\x81\x05Hel", false, `frame at byte 5 was "lo" of 7 bytes, is the end after 5 bytes`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range (Rules{Strict: test.strict}).Messages(frameOf(t, test.recorded), frameOf(t, test.live)) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
