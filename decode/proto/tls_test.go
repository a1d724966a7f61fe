package proto

import (
	"testing"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// tlsRecord is a record as large as its content.
func tlsRecord(typ byte, content []byte) []byte {
	return append([]byte{typ, 3, 3, byte(len(content) >> 8), byte(len(content))}, content...)
}

// TestTLSBounds plays servers that say more than any should, in records of the largest
// size, and holds the memory to its bound.
func TestTLSBounds(t *testing.T) {
	const (
		alert, handshake, data = 21, 22, 23
		largest                = 16384 + 2048 // RFC 5246, section 6.2.3
		all                    = 16 << 20
	)
	hello := tlsRecord(handshake, quicHelloOf(2))
	// Of 16 MiB less a byte, as a handshake message's length can say.
	begins := func(typ byte) []byte {
		return tlsRecord(handshake, append([]byte{typ, 0xff, 0xff, 0xff}, make([]byte, largest-4)...))
	}
	tests := map[string]struct {
		first [][]byte
		rest  []byte // again and again, up to 16 MiB in all
		why   string // of an anomaly
	}{
		"hello_of_16_MiB":        {[][]byte{begins(2)}, tlsRecord(handshake, make([]byte, largest)), "a hello is larger than any"},
		"certificates_of_16_MiB": {[][]byte{hello, begins(11)}, tlsRecord(handshake, make([]byte, largest)), "a handshake message is larger than any"},
		"data":                   {[][]byte{hello}, tlsRecord(data, make([]byte, largest)), ""},
		"data_without_a_hello":   {nil, tlsRecord(data, make([]byte, largest)), ""},
		"warnings":               {[][]byte{hello}, tlsRecord(alert, []byte{1, 90}), ""},
		"larger_records":         {[][]byte{hello}, append([]byte{data, 3, 3, 0xff, 0xff}, make([]byte, 1<<16-1)...), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, cut := range []int{1460, all} {
				out := new(tally)
				g := NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, out, Options{Secrets: new(tls.Secrets)})
				var at [2]int64
				say := func(d flow.Direction, b []byte) {
					for len(b) > 0 {
						n := min(len(b), cut)
						g.Chunk(d, flow.Chunk{Data: b[:n], Offset: at[d], Packet: 1, Time: epoch})
						at[d] += int64(n)
						b = b[n:]
						if held := g.Held(); held > tls.MaxHandshake+2*MaxSealed {
							t.Fatalf("%d bytes are held after %d", held, at[d])
						}
					}
				}
				say(c2s, tlsRecord(handshake, quicHelloOf(1)))
				for _, b := range tt.first {
					say(s2c, b)
				}
				for at[s2c] < all {
					say(s2c, tt.rest)
				}
				g.Close()
				if g.conv.Protocol != "tls" {
					t.Errorf("protocol %q", g.conv.Protocol)
				}
				if n := out.states[Complete] + out.states[Unanswered] + out.states[Broken]; n != 1 {
					t.Errorf("%d exchanges", n)
				}
				if n := out.anomalies[tt.why]; tt.why != "" && n != 1 || tt.why == "" && len(out.anomalies) > 0 {
					t.Errorf("%d anomalies %q: %v", n, tt.why, out.anomalies)
				}
			}
		})
	}
}
