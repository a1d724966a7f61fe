package redact

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// clean holds what came out of a conversation to what is promised: it still is what it was, a second
// time it comes out the same, and no secret is left.
func clean(t *testing.T, k *talk) {
	t.Helper()
	out, z := sanitize(t, Options{}, k)
	again, _ := sanitize(t, Options{}, k)
	if again[0].all() != out[0].all() {
		t.Fatalf("it came out as\n%q\nand then as\n%q", out[0].all(), again[0].all())
	}
	s := z.Search()
	out[0].run(t, s)
	if list, n := s.Found(); n > 0 {
		t.Fatalf("%s is left of\n%q\nin\n%q", list[0], k.all(), out[0].all())
	}
}

// isWhole reports whether all that was said are messages of a protocol, which is not one that is blanked.
func isWhole(t *testing.T, k *talk) bool {
	c, list := k.run(t, nil)
	var told [2]int64
	for _, e := range list {
		for _, m := range e.Messages() {
			if !m.Complete || m.Malformed || e.Inside() || m.RawMissing > 0 {
				return false
			}
			told[m.Direction] += m.Length
		}
	}
	return looked[c.Protocol] && told[0] == c.Sides[0].Bytes && told[1] == c.Sides[1].Bytes
}

func seeds(f *testing.F, protocol string, add func(k *talk)) {
	files, err := filepath.Glob("../../pcaps/samples/*.pcap")
	if err != nil || len(files) == 0 {
		f.Fatal(err, "no samples")
	}
	for _, file := range files {
		for _, k := range samples(f, file) {
			if c, _ := k.run(f, nil); c.Protocol == protocol {
				add(k)
			}
		}
	}
}

// sides are what each side says in all.
func (k *talk) sides() (client, server []byte) {
	for _, s := range k.said {
		if s.d == flow.ClientToServer {
			client = append(client, s.text...)
		} else {
			server = append(server, s.text...)
		}
	}
	return client, server
}

// fuzz gives each side of a conversation something to say.
func fuzz(f *testing.F, protocol string) {
	seeds(f, protocol, func(k *talk) { f.Add(k.sides()) })
	f.Fuzz(func(t *testing.T, client, server []byte) {
		if len(client)+len(server) > 16<<10 {
			return
		}
		k := &talk{transport: flow.TCP, protocol: proto.Lookup(protocol)}
		// As requests and answers would come.
		for len(client)+len(server) > 0 {
			a, rest, _ := bytes.Cut(client, []byte("\n"))
			if n := len(client) - len(rest); n > 0 && len(a) <= n {
				k.said = append(k.said, said{flow.ClientToServer, string(client[:n])})
				client = client[n:]
				if len(client) > 0 && string(client[0]) != "\n" && string(client[0]) != "\r" && protocol == "http" {
					continue
				}
			}
			if len(server) > 0 && len(client) == 0 {
				k.said = append(k.said, said{flow.ServerToClient, string(server)})
				server = nil
			}
		}
		clean(t, k)
		if isWhole(t, k) {
			out, z := sanitize(t, Options{}, k)
			if len(z.Summary().Blanked) == 0 { // else it is not understood, as it is malformed
				same(t, k, out[0])
			}
		}
	})
}

func FuzzHTTP(f *testing.F) {
	for _, k := range []*talk{
		post("Cookie: sid=7QmXh2Zk0pLr9VbN; b=\"x y\"\r\nAuthorization: Basic YWRhOmh1bnRlcjI=\r\n", `{"password":"hunter2-S3CRET","ip":"93.184.216.34","u":"\u0061da@example.com","n":4111111111111111}`, "application/json", `{"token":"7QmXh2Zk0pLr9VbN"}`),
		post("Referer: http://ada:pw@h.example.com/x?token=S3CRETS3CRET#a=b\r\nX-Forwarded-For: 2001:db8::1\r\n", "password=hunter2%2BS3CRET&email=ada%40example.com", "application/x-www-form-urlencoded", "ok"),
		post("", "--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc123DEF456\r\n--B--\r\n", "multipart/form-data; boundary=B", `<input name="csrf" type=hidden value="abc123DEF456"><a href=https://x.example.com>1.2.3.4</a>`),
		http("GET /session/abc123DEF456 HTTP/1.1\r\nHost: a.example.com\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\npass=\r\n8\r\nS3CRET99\r\n0\r\nX-Token: abc\r\n\r\n"),
		http("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n"+gz("password=S3CRET99 93.184.216.34")),
	} {
		f.Add(k.sides())
	}
	fuzz(f, "http")
}

func FuzzFTP(f *testing.F)      { fuzz(f, "ftp") }
func FuzzSMTP(f *testing.F)     { fuzz(f, "smtp") }
func FuzzRedis(f *testing.F)    { fuzz(f, "redis") }
func FuzzPostgres(f *testing.F) { fuzz(f, "postgres") }
func FuzzMySQL(f *testing.F)    { fuzz(f, "mysql") }
func FuzzMQTT(f *testing.F)     { fuzz(f, "mqtt") }
func FuzzTLS(f *testing.F)      { fuzz(f, "tls") }
func FuzzWebSocket(f *testing.F) {
	f.Add([]byte("\x81\x8e\x01\x02\x03\x04"+"{\"token\":\"abc\"}"), []byte("\x81\x0fada@example.com"))
	fuzz(f, "websocket")
}

// FuzzDNS wants a message to have as many questions and records as it had, of the same types.
func FuzzDNS(f *testing.F) {
	seeds(f, "dns", func(k *talk) {
		for _, s := range k.said {
			f.Add([]byte(s.text))
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 12 || len(data) > 4096 {
			return
		}
		d := flow.ClientToServer
		if data[2]&0x80 != 0 {
			d = flow.ServerToClient
		}
		k := &talk{transport: flow.UDP, protocol: &proto.DNS, said: []said{{d, string(data)}}}
		out, _ := sanitize(t, Options{}, k)
		if !isWhole(t, k) {
			return
		}
		was, now := &proto.DNSMessage{Wire: data}, &proto.DNSMessage{Wire: []byte(out[0].said[0].text)}
		if strings.Trim(out[0].said[0].text, "x\r\n") == "" {
			return // it was blanked
		}
		q1, r1 := was.Sections()
		q2, r2 := now.Sections()
		if len(q1) != len(q2) || was.ID() != now.ID() || was.Flags() != now.Flags() {
			t.Fatalf("%q became %q", was.Wire, now.Wire)
		}
		for i := range q1 {
			if q1[i].Type != q2[i].Type || strings.Count(q1[i].Name, ".") != strings.Count(q2[i].Name, ".") {
				t.Fatalf("%v became %v", q1[i], q2[i])
			}
		}
		for i := range r1 {
			if len(r1[i]) != len(r2[i]) {
				t.Fatalf("%d records became %d:\n%q\n%q", len(r1[i]), len(r2[i]), was.Wire, now.Wire)
			}
			for j := range r1[i] {
				if r1[i][j].Type != r2[i][j].Type || r1[i][j].TTL != r2[i][j].TTL {
					t.Fatalf("%v became %v", r1[i][j], r2[i][j])
				}
			}
		}
	})
}

// FuzzText wants a text to be as long as it was, as far as nothing in it is an address of IP, and its
// pseudonym to be the same each time, and another than that of another text.
func FuzzText(f *testing.F) {
	for _, s := range []string{"hunter2", "ada@example.com", "4111111111111111", "10.1.2.3", "eyJhbGciOiJIUzI1NiJ9.e30.abc", "a.b.co.uk", "Grüße", "\xff", "-0.5e7", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"} {
		f.Add(s, s+"1")
	}
	p := names()
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 4096 {
			return
		}
		x, y := p.Text(a), p.Text(b)
		if len(x) != len(a) && !isAddress(a) && !strings.Contains(strings.ToLower(a), ".arpa") && !strings.Contains(a, "@") {
			t.Errorf("%q became %q", a, x)
		}
		if (x == y) != (a == b) && !strings.EqualFold(a, b) && !isAddress(a) && !isAddress(b) {
			t.Errorf("%q became %q, and %q became %q", a, x, b, y)
		}
		if p.Text(a) != x {
			t.Errorf("%q became %q, then %q", a, x, p.Text(a))
		}
	})
}
