package proto

import (
	"bytes"
	"testing"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// quicHelloOf is a handshake message that is a hello, with nothing in it.
func quicHelloOf(typ byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0) // session
	if typ == 1 {
		body = append(body, 0, 2, 0x13, 1, 1, 0)
	} else {
		body = append(body, 0x13, 1, 0)
	}
	return append([]byte{typ, 0, 0, byte(len(body))}, body...)
}

func TestQUICFrames(t *testing.T) {
	hello := string(quicHelloOf(1))
	crypto := func(offset byte, s string) string { return string([]byte{quicCrypto, offset, byte(len(s))}) + s }
	tests := map[string]struct {
		d      flow.Direction
		frames string
		kind   Kind
		why    string
		none   bool
	}{
		"hello":                   {d: c2s, frames: crypto(0, hello)},
		"padding_ping_and_acks":   {d: c2s, frames: "\x00\x00\x01\x02\x05\x00\x01\x02\x00\x01\x03\x05\x00\x00\x02\x01\x02\x03" + crypto(0, hello)},
		"in_two_frames":           {d: c2s, frames: crypto(20, hello[20:]) + crypto(0, hello[:20])},
		"not_whole":               {d: c2s, frames: crypto(0, hello[:20]), none: true},
		"nothing":                 {d: c2s, frames: "", none: true},
		"server":                  {d: s2c, frames: crypto(0, string(quicHelloOf(2))), kind: Response},
		"hello_of_the_other_side": {d: s2c, frames: crypto(0, hello), kind: Skipped, why: "no hello"},
		"no_hello":                {d: s2c, frames: crypto(0, "\x0b\x00\x00\x00"), kind: Skipped, why: "no hello"},
		"frame_of_others":         {d: c2s, frames: "\x08\x00", kind: Skipped, why: "no frame"},
		"crypto_cut_off":          {d: c2s, frames: "\x06\x00\x40", kind: Skipped, why: "no frame"},
		"crypto_too_short":        {d: c2s, frames: "\x06\x00\x05abc", kind: Skipped, why: "no frame"},
		"crypto_too_far":          {d: c2s, frames: "\x06\xbf\xff\xff\xff\x01a", kind: Skipped, why: "too large"},
		"ack_of_far_too_many":     {d: c2s, frames: "\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00", kind: Skipped, why: "no frame"},
		"close":                   {d: s2c, frames: "\x1c\x41\x78\x06\x03bye", kind: Response},
		"close_of_a_client":       {d: c2s, frames: "\x1c\x41\x78\x06\x03bye", none: true},
		"close_cut_off":           {d: s2c, frames: "\x1c\x41\x78\x06\x04bye", kind: Skipped, why: "no frame"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := new(quicConn).frames(tt.d, &quicHead{version: tls.QUIC1}, []byte(tt.frames))
			if m == nil {
				if !tt.none {
					t.Fatal("no message")
				}
				return
			}
			if tt.none || m.Kind != tt.kind || m.Malformed != (tt.why != "") || !bytes.Contains([]byte(m.Why), []byte(tt.why)) {
				t.Errorf("a message of kind %d: %s", m.Kind, m.Why)
			}
		})
	}
}

// FuzzQUICFrames reads frames that nobody would guess the encryption of, from several
// packets of both sides.
func FuzzQUICFrames(f *testing.F) {
	hello := quicHelloOf(1)
	f.Add(append([]byte{quicCrypto, 0, byte(len(hello))}, hello...), []byte{}, false)
	f.Add(append([]byte{quicCrypto, 20, byte(len(hello) - 20)}, hello[20:]...), append([]byte{quicCrypto, 0, 20}, hello[:20]...), false)
	f.Add([]byte("\x02\x05\x00\x01\x02\x00\x01\x03\x05\x00\x00\x02\x01\x02\x03"), []byte("\x1c\x41\x78\x06\x03bye"), true)
	f.Fuzz(func(t *testing.T, one, two []byte, server bool) {
		d := flow.ClientToServer
		if server {
			d = flow.ServerToClient
		}
		c := new(quicConn)
		for _, b := range [][]byte{one, two, one} {
			if m := c.frames(d, &quicHead{version: tls.QUIC1}, b); m != nil {
				if m.Kind != Skipped && !c.done[d] {
					t.Error("a message, and it goes on")
				}
				if m.Body != nil {
					m.Body.Summary()
					m.Body.AppendJSON(nil)
				}
			}
			c.settle()
			if held := c.crypto[d].Held(); held > tls.MaxHandshake+8<<10 || c.done[d] && held > 0 {
				t.Fatalf("%d bytes are held, done is %t", held, c.done[d])
			}
			if c.done[d] {
				return
			}
		}
	})
}

// TestQUICBounds begins more connections than are followed.
func TestQUICBounds(t *testing.T) {
	p := &quicParser{}
	for i := range 3 * maxQUICConns {
		b := make([]byte, minQUICInitial)
		copy(b, "\xc0\x1a\x2a\x3a\x4a\x08")
		b[6], b[14], b[15] = byte(i), 1, byte(i)
		if _, m := p.Next(c2s, b, true); m.Kind != Request || m.ID != uint32(i) {
			t.Fatalf("attempt %d is %d %d", i, m.Kind, m.ID)
		}
	}
	if len(p.conns) != maxQUICConns || p.Held() > maxQUICConns*quicConnCost {
		t.Errorf("%d connections hold %d bytes", len(p.conns), p.Held())
	}
}
