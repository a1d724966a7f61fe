package proto

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
	"netlab/decode/tls"
)

// A fuzzed transcript is a run of events: a byte that says which side does what,
// and what goes with it, numbers with their lowest byte first.
const (
	eventSide = 1 << 0 // the server
	eventEnd  = 1 << 1
	eventGap  = 1 << 2 // with its length in 2 bytes
	eventAck  = 1 << 3 // what follows has an acknowledgement of 2 bytes, signed
	// Otherwise data, with its length in 2 bytes before it.
)

// maxEvents bounds a fuzzed transcript: what matters shows in short ones.
const maxEvents = 64

// fromFuzz reads a fuzzed transcript. Any bytes are one.
func fromFuzz(transport flow.Transport, p *Protocol, b []byte) *transcript {
	tr := &transcript{transport: transport, protocol: p}
	number := func() int64 {
		var v [2]byte
		b = b[copy(v[:], b):]
		return int64(int16(binary.LittleEndian.Uint16(v[:])))
	}
	for len(b) > 0 && len(tr.lines) < maxEvents {
		op := b[0]
		b = b[1:]
		l := line{d: flow.Direction(op & eventSide), ack: patient}
		switch {
		case op&eventEnd != 0:
			l.kind = saysEnd
		case op&eventGap != 0:
			l.kind, l.n = saysGap, number()&0x7fff
		default:
			if op&eventAck != 0 {
				l.ack = max(number(), flow.NoAck)
			}
			n := min(number()&0x7fff, int64(len(b)))
			l.data, b = b[:n], b[n:]
		}
		if transport == flow.TCP || l.kind == saysData {
			tr.lines = append(tr.lines, l)
		}
	}
	return tr
}

// toFuzz writes a transcript in that form, as a seed.
func (tr *transcript) toFuzz() []byte {
	var b []byte
	for _, l := range tr.lines {
		op := byte(l.d)
		switch l.kind {
		case saysEnd:
			b = append(b, op|eventEnd)
		case saysGap:
			b = binary.LittleEndian.AppendUint16(append(b, op|eventGap), uint16(l.n))
		default:
			if l.ack != patient {
				b = binary.LittleEndian.AppendUint16(append(b, op|eventAck), uint16(l.ack))
			} else {
				b = append(b, op)
			}
			b = append(binary.LittleEndian.AppendUint16(b, uint16(len(l.data))), l.data...)
		}
	}
	return b
}

// fuzz plays fuzzed transcripts whole and cut; recorder holds what comes out to
// the promises of Dialogue, among them its bounds, and the two must agree. The
// parser's progress is seen by its coming to an end.
func fuzz(f *testing.F, p *Protocol, folder string) {
	with := ""
	if p == &WebSocket {
		with = "permessage-deflate\n"
	}
	var secrets *tls.Secrets // of one of them: what is random has no others
	for _, tr := range transcripts(f, folder) {
		if tr.secrets != nil {
			secrets = tr.secrets
		}
		if p == &WebSocket {
			tr.lines = tr.lines[min(2, len(tr.lines)):] // without the upgrade
		}
		if b := tr.toFuzz(); len(b) < 8<<10 {
			f.Add(tr.transport == flow.UDP, uint64(len(b)), b)
		}
	}
	f.Fuzz(func(t *testing.T, udp bool, seed uint64, b []byte) {
		if len(b) > 32<<10 {
			return
		}
		transport := flow.TCP
		if udp = p == &QUIC || udp && (p == nil || p.UDP); udp {
			transport = flow.UDP
		}
		tr := fromFuzz(transport, p, b)
		tr.secrets = secrets
		g := new(Dialogue)
		want := tr.playIn(t, g, Options{Keep: keepAll, With: with}, whole).text.String()
		spare := Options{Keep: keepAll, Spare: new(Spare), With: with}
		if got := tr.playIn(t, g, spare, whole).text.String(); got != want {
			t.Errorf("with a Spare (-own +spare):\n%s", cmp.Diff(want, got))
		}
		if udp {
			return
		}
		cuts := map[string]cutter{"in small pieces": randomly(seed, 4), "in pieces": randomly(seed, 100)}
		if len(b) <= 2<<10 {
			cuts["bytewise"] = bytewise
		}
		for name, cut := range cuts {
			if got := tr.playIn(t, g, spare, cut).text.String(); got != want {
				t.Errorf("cut %s (-whole +cut):\n%s", name, cmp.Diff(want, got))
			}
		}
	})
}

func FuzzHTTP(f *testing.F) { fuzz(f, &HTTP, "http") }

func FuzzHTTP2(f *testing.F) { fuzz(f, &HTTP2, "http2") }

func FuzzDNS(f *testing.F) { fuzz(f, &DNS, "dns") }

func FuzzFTP(f *testing.F) { fuzz(f, &FTP, "ftp") }

func FuzzPostgres(f *testing.F) { fuzz(f, &Postgres, "postgres") }

func FuzzMySQL(f *testing.F) { fuzz(f, &MySQL, "mysql") }

func FuzzRedis(f *testing.F) { fuzz(f, &Redis, "redis") }

func FuzzSMTP(f *testing.F) { fuzz(f, &SMTP, "smtp") }

func FuzzTLS(f *testing.F) { fuzz(f, &TLS, "tls") }

func FuzzMQTT(f *testing.F) { fuzz(f, &MQTT, "mqtt") }

func FuzzQUIC(f *testing.F) { fuzz(f, &QUIC, "quic") }

func FuzzRaw(f *testing.F) { fuzz(f, &Raw, "raw") }

func FuzzWebSocket(f *testing.F) { fuzz(f, &WebSocket, "websocket") }

// FuzzSSE has events where they stand.
func FuzzSSE(f *testing.F) { fuzz(f, &HTTP, "sse") }

// FuzzDialogue has the protocol found from the bytes.
func FuzzDialogue(f *testing.F) { fuzz(f, nil, "*") }

// TestFuzzForm keeps the seeds what they are meant to be.
func TestFuzzForm(t *testing.T) {
	for name, tr := range transcripts(t, "*") {
		if len(tr.lines) > maxEvents || tr.size() > 8<<10 {
			continue
		}
		for i := range tr.lines {
			if tr.lines[i].kind == saysData && tr.transport == flow.UDP {
				tr.lines[i].n = 0 // what was cut off has no place in it
			}
		}
		tr.ends = [2]netip.AddrPort{} // nor have addresses
		want := tr.play(t, Options{}, whole).text.String()
		again := fromFuzz(tr.transport, tr.protocol, tr.toFuzz())
		again.secrets = tr.secrets
		got := again.play(t, Options{}, whole).text.String()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
