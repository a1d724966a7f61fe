package decode_test

import (
	"bytes"
	gotls "crypto/tls"
	"errors"
	"io"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/capture"
	"netlab/decode"
	"netlab/decode/rewrite"
	"netlab/pcaps/craft"
)

// kept are packets that were handed on.
type kept struct{ packets []capture.Packet }

func (k *kept) WritePacket(p *capture.Packet) error {
	q := *p
	q.Data = bytes.Clone(p.Data)
	k.packets = append(k.packets, q)
	return nil
}

// unsealed has packets be as if what opens with the keys in a log had been said in clear. Each stays
// one packet, and one that is no part of that stays as it is.
func unsealed(t testing.TB, packets []capture.Packet, log []byte) []capture.Packet {
	t.Helper()
	out, conversations := rewritten(t, packets, log)
	if len(out) != len(packets) {
		t.Fatalf("%d packets became %d", len(packets), len(out))
	}
	for i := range packets {
		was, is := packets[i], out[i]
		was.Number = int64(i + 1) // it may be a part of a capture
		if conversations == 0 && !cmp.Equal(was, is) {
			t.Fatalf("nothing was opened, and packet %d is another: %+v, %+v", i, was, is)
		}
		if was.Number != is.Number || !was.Time.Equal(is.Time) || len(is.Data) > len(was.Data) {
			t.Fatalf("packet %d of %d bytes became %d of %d", was.Number, len(was.Data), is.Number, len(is.Data))
		}
	}
	return out
}

// rewritten opens what packets hold, and returns what they become, and how many conversations were
// opened.
func rewritten(t testing.TB, packets []capture.Packet, log []byte) ([]capture.Packet, int64) {
	t.Helper()
	edits := rewrite.NewEdits(0, nil)
	opener := rewrite.NewOpener(edits)
	if _, err := decode.Run(&sourceOf{packets: packets}, decode.Tee(opener, edits), decode.Options{Workers: 1, Secrets: secretsOf(log)}); err != nil {
		t.Fatal(err)
	}
	var out kept
	r := rewrite.New(&out, edits, nil, rewrite.Options{EditedOnly: true})
	if _, err := capture.Copy(r, &sourceOf{packets: packets}); err != nil {
		t.Fatal(err)
	}
	sum, err := r.Close()
	if err != nil || sum.Bytes != sum.Headers+sum.Kept+sum.Replaced+sum.Blanked || int64(len(out.packets)) != int64(len(packets))+sum.Split {
		t.Fatalf("%d packets became %d, %+v, %v", len(packets), len(out.packets), sum, err)
	}
	return out.packets, opener.Conversations
}

// FuzzOpener has packets of TLS be lost, come twice, out of order or changed: whatever comes of it
// can be decoded. Only what comes when it was taken for lost may need a packet more.
func FuzzOpener(f *testing.F) {
	for _, script := range [][]byte{nil, {0, 9, 0, 0}, {3, 30, 80, 0, 6, 12, 15, 0}, {2, 20, 0, 0, 1, 25, 60, 1}} {
		f.Add(uint8(0), script)
		f.Add(uint8(1), script)
	}
	type talk struct {
		packets []capture.Packet
		log     []byte
	}
	var talks []talk
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		c := &gotls.Config{MinVersion: version, MaxVersion: version}
		list, log := recorded(f, c, &gotls.Config{Certificates: []gotls.Certificate{certificate(f, false)}})
		talks = append(talks, talk{packetsOf(f, list), log})
	}
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		k := talks[int(which)%len(talks)]
		var packets []capture.Packet
		for _, p := range k.packets {
			p.Data = bytes.Clone(p.Data)
			packets = append(packets, p)
		}
		packets, _ = mutate(packets, script)
		for i := range packets {
			packets[i].Number = int64(i + 1)
		}
		out, _ := rewritten(t, packets, k.log)
		decoded(t, &sourceOf{packets: out}, decode.Options{Workers: 1})
	})
}

// TestOpenerEnds has a client say inside of TLS that it ends, and the server close the connection
// because of that: it is the client that has ended it.
func TestOpenerEnds(t *testing.T) {
	for _, version := range []uint16{gotls.VersionTLS12, gotls.VersionTLS13} {
		w := newWire()
		var log bytes.Buffer
		client := gotls.Client(wireEnd{w: w, side: craft.Client}, &gotls.Config{InsecureSkipVerify: true, KeyLogWriter: &log, MaxVersion: version})
		server := gotls.Server(wireEnd{w: w, side: craft.Server}, &gotls.Config{Certificates: []gotls.Certificate{certificate(t, false)}})
		done := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(server)
			done <- errors.Join(err, server.Close())
		}()
		if _, err := io.WriteString(client, exchanges[2][0]); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(client.Close(), <-done); err != nil {
			t.Fatal(err)
		}
		b := craft.New(craft.Options{})
		talk := b.TCP(netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:443"))
		talk.Open()
		for _, s := range w.said {
			talk.Send(s.by, s.data)
		}
		talk.Close(craft.Server)
		packets, err := b.Packets()
		if err != nil {
			t.Fatal(err)
		}
		out := decoded(t, &sourceOf{packets: unsealed(t, packets, log.Bytes())}, decode.Options{Workers: 1})
		if conv := ofType(t, out, "conversation"); conv[0]["state"] != "closed" || conv[0]["closed_by"] != "client_to_server" || len(ofType(t, out, "anomaly")) > 0 {
			t.Errorf("version %x: %s", version, out)
		}
	}
}
