package proto

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode/flow"
)

// attributesOf returns all attributes of the exchanges in a transcript.
func attributesOf(t *testing.T, name string) map[string][]string {
	t.Helper()
	folder, _, _ := strings.Cut(name, "/")
	all := make(map[string][]string)
	for _, e := range transcripts(t, folder)[name].play(t, Options{}, whole).exchanges {
		for _, a := range e.Protocol.Attributes {
			if !strings.HasPrefix(a.Name, e.Protocol.Record()+".") || a.About == "" {
				t.Errorf("attribute %q: %q", a.Name, a.About)
			}
			for _, v := range a.Get(nil, e) {
				s := v.Text
				if a.Kind != Text {
					s = fmt.Sprint(v.Number)
				}
				all[a.Name] = append(all[a.Name], s)
			}
		}
	}
	return all
}

func TestMQTTAttributes(t *testing.T) {
	want := map[string][]string{
		"mqtt.command":       {"CONNECT", "SUBSCRIBE", "PUBLISH", "PUBLISH", "PUBLISH", "PUBLISH", "PUBREL", "UNSUBSCRIBE", "DISCONNECT"},
		"mqtt.from":          {"client", "client", "client", "client", "server", "client", "client", "client", "server"},
		"mqtt.topic":         {"a/long/topic", "a/long/topic", "a/x", "q"},
		"mqtt.filters":       {"a/+", "a/+"},
		"mqtt.qos":           {"1", "1", "0", "2"},
		"mqtt.retain":        {"0", "0", "0", "0"},
		"mqtt.payload_bytes": {"1", "1", "0", "0"},
		"mqtt.client_id":     {"dev"},
		"mqtt.username":      {"ada"},
		"mqtt.version":       {"5"},
		"mqtt.reason":        {"0", "1", "16", "0", "151", "146", "17", "139"},
	}
	if diff := cmp.Diff(want, attributesOf(t, "mqtt/version_5")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestQUICAttributes(t *testing.T) {
	want := map[string][]string{"tls.sni": {"example.com"}, "tls.alpn": {"alpn"}, "tls.version": {"1.3"}, "tls.cipher": {"0x1301"}, "tls.quic": {"2"}}
	if diff := cmp.Diff(want, attributesOf(t, "quic/rfc9369")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestMQTTOutcome has what was asked, and how it went.
func TestMQTTOutcome(t *testing.T) {
	for name, want := range map[string][]string{
		"mqtt/refused":           {"CONNECT: 4 bad user name or password true"},
		"mqtt/version_5_refused": {"CONNECT: 1 unacceptable protocol version true"},
		"mqtt/subscribe":         {"SUBSCRIBE a/#: 128 unspecified error true", "UNSUBSCRIBE a/#: 0 success false"},
		"mqtt/version_5": {
			"SUBSCRIBE a/+: 1 granted qos 1 false", "PUBLISH a/long/topic: 16 no matching subscribers false", "PUBLISH a/long/topic: 0 success false",
			"PUBLISH q: 151 quota exceeded true", "PUBREL: 146 packet identifier not found true", "UNSUBSCRIBE a/+: 17 no subscription existed false",
		},
	} {
		var got []string
		for _, e := range transcripts(t, "mqtt")[name].play(t, Options{}, whole).exchanges {
			if e.Request == nil || e.Response == nil {
				continue
			}
			code, word, failed := e.Response.Body.(Outcome).Outcome()
			if e.Index > 0 || failed {
				got = append(got, fmt.Sprintf("%s: %d %s %t", e.Request.Body.(Endpoint).Endpoint(), code, word, failed))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestMQTTBounds has a side give names to more topics than are kept, and publish far
// more than is.
func TestMQTTBounds(t *testing.T) {
	p := &mqttParser{level: 5}
	for alias := range 3000 {
		topic := strings.Repeat("t", 100)
		packet := append([]byte{0x30, byte(2 + len(topic) + 4), 0, byte(len(topic))}, topic...)
		packet = append(packet, 3, mqttTopicAlias, byte(alias>>8), byte(alias))
		if n, m := p.Next(flow.ClientToServer, packet, false); n != len(packet) || m == nil || !m.Complete {
			t.Fatalf("of %d bytes, %d: %v", len(packet), n, m)
		}
	}
	if s := &p.sides[c2s]; len(s.aliases) > maxMQTTAliases || s.aliased > maxMQTTAliasBytes || s.aliased != 100*len(s.aliases) {
		t.Errorf("%d topics of %d bytes", len(s.aliases), s.aliased)
	}
	held := p.Held()
	head := "\x30\xff\xff\xff\x7f\x00\x01a\x00" // a payload of nearly 256 MiB
	if n, m := p.Next(flow.ServerToClient, []byte(head), false); n != len(head) || m != nil {
		t.Fatalf("took %d, %v", n, m)
	}
	data := make([]byte, 64<<10)
	left := 1<<28 - 1 - 4
	for ; left > len(data); left -= len(data) {
		if p.Pass(flow.ServerToClient, data) {
			continue
		}
		if n, m := p.Next(flow.ServerToClient, data, false); n != len(data) || m != nil {
			t.Fatalf("%d bytes before the end, took %d, %v", left, n, m)
		}
	}
	if got := p.Held(); got != held {
		t.Errorf("%d bytes are held, and were %d", got, held)
	}
	n, m := p.Next(flow.ServerToClient, data, false)
	if n != left || m == nil || !m.Complete || m.Body.(*MQTTPacket).Payload != 1<<28-1-4 || len(m.Body.(*MQTTPacket).Preview) != previewLen {
		t.Errorf("took %d of %d, %v", n, left, m)
	}
}
