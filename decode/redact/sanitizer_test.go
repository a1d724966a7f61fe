package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/rewrite"
)

// said is something that one side of a conversation says at once.
type said struct {
	d    flow.Direction
	text string
}

// talk is a conversation as a pipeline would tell of it.
type talk struct {
	transport flow.Transport
	protocol  *proto.Protocol // nil to be found
	said      []said
}

// exchanger is what a sink is at least.
type exchanger interface{ Exchange(*proto.Exchange) error }

// told is what a Dialogue hands on.
type told struct {
	t    testing.TB
	c    *flow.Conversation
	sink exchanger
	list []*proto.Exchange
}

// streamer is what a sink is that wants bytes.
type streamer interface {
	Stream(*flow.Conversation, flow.Direction, flow.Chunk) error
}

// sealer is what a sink is that wants to know what is encrypted.
type sealer interface {
	Sealed(*flow.Conversation, flow.Direction, int64, bool) error
}

func (r *told) Sealed(d flow.Direction, from int64, sealed bool) {
	if s, ok := r.sink.(sealer); ok {
		if err := s.Sealed(r.c, d, from, sealed); err != nil {
			r.t.Fatal(err)
		}
	}
}
func (r *told) Inner(flow.Direction, int64, int64, flow.Chunk) {}
func (r *told) InnerGap(flow.Direction, int64, flow.Gap)       {}
func (r *told) InnerEnd(flow.Direction, int64)                 {}

func (r *told) Exchange(e *proto.Exchange) {
	r.list = append(r.list, e)
	if r.sink == nil {
		return
	}
	if err := r.sink.Exchange(e); err != nil {
		r.t.Fatal(err)
	}
}
func (r *told) Anomaly(flow.Anomaly) {}

// framer is what a sink is that wants the frames of HTTP/2, and framed tells it of them.
type framer interface {
	Preface(*flow.Conversation, int64, int) error
	Frame(*flow.Conversation, flow.Direction, *proto.HTTP2Frame) error
	Framed(*flow.Conversation, flow.Direction, int64, []byte) error
	Block(*flow.Conversation, flow.Direction, int64, []proto.HPACKField, bool) error
}

type framed struct {
	*told
	to framer
}

func (r framed) check(err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}
func (r framed) Preface(at int64, n int)                     { r.check(r.to.Preface(r.c, at, n)) }
func (r framed) Frame(d flow.Direction, f *proto.HTTP2Frame) { r.check(r.to.Frame(r.c, d, f)) }
func (r framed) Framed(d flow.Direction, at int64, data []byte) {
	r.check(r.to.Framed(r.c, d, at, data))
}
func (r framed) Block(d flow.Direction, at int64, fields []proto.HPACKField, broken bool) {
	r.check(r.to.Block(r.c, d, at, fields, broken))
}

// run tells a sink of a conversation.
func (k *talk) run(t testing.TB, sink exchanger) (*flow.Conversation, []*proto.Exchange) {
	c := &flow.Conversation{Tuple: flow.Unknown(k.transport)}
	r := &told{t: t, c: c, sink: sink}
	opts := proto.Options{Keep: KeepBytes, Protocol: k.protocol}
	if f, ok := sink.(framer); ok {
		opts.Framer = framed{r, f}
	}
	g := proto.NewDialogue(c, r, opts)
	for i, s := range k.said {
		x := flow.Chunk{Data: []byte(s.text), Offset: c.Sides[s.d].Bytes, Packet: int64(i + 1), Ack: c.Sides[s.d.Reverse()].Bytes}
		c.Sides[s.d].Bytes += int64(len(s.text))
		if w, ok := sink.(streamer); ok {
			if err := w.Stream(c, s.d, x); err != nil {
				t.Fatal(err)
			}
		}
		if k.transport == flow.UDP {
			g.Datagram(s.d, &x, 0)
		} else {
			g.Chunk(s.d, x)
		}
	}
	g.Close()
	if f, ok := sink.(interface {
		Finish(*flow.Conversation) error
	}); ok {
		if err := f.Finish(c); err != nil {
			t.Fatal(err)
		}
	}
	return c, r.list
}

// edited takes edits, and holds them to what an Editor is promised.
type edited struct {
	t     testing.TB
	edits [2][]rewrite.Edit
	end   [2]int64
	seen  [2]int64
}

func (x *edited) Edit(_ *flow.Conversation, d flow.Direction, e rewrite.Edit) {
	if e.Offset < x.end[d] || e.Length <= 0 || e.Blank && e.New != nil {
		x.t.Fatalf("an edit of %d bytes at %d, behind %d", e.Length, e.Offset, x.end[d])
	}
	x.end[d] = e.Offset + e.Length
	e.New = bytes.Clone(e.New)
	x.edits[d] = append(x.edits[d], e)
}

func (x *edited) Looked(_ *flow.Conversation, d flow.Direction, to int64) {
	if to < x.seen[d] {
		x.t.Fatalf("looked up to %d, behind %d", to, x.seen[d])
	}
	x.seen[d] = to
}

func (x *edited) Ignored(*flow.Conversation, flow.Direction, flow.Ignored) error { return nil }
func (x *edited) Finish(*flow.Conversation) error                                { return nil }

// apply changes what was said.
func (x *edited) apply(k *talk) *talk {
	out := &talk{transport: k.transport, protocol: k.protocol}
	var at [2]int64
	for _, s := range k.said {
		var b []byte
		begin := at[s.d]
		at[s.d] += int64(len(s.text))
		end := at[s.d]
		for p := begin; p < end; {
			list := x.edits[s.d]
			if len(list) > 0 && list[0].Offset < end {
				e := &list[0]
				if e.Offset > p {
					b = append(b, s.text[p-begin:e.Offset-begin]...)
					p = e.Offset
				}
				n := min(e.Length, end-p)
				if e.Blank {
					b = appendBlank(b, []byte(s.text[p-begin:p-begin+n]))
				} else {
					b = append(b, e.New...)
					e.New = nil
				}
				p += n
				e.Offset, e.Length = e.Offset+n, e.Length-n
				if e.Length == 0 {
					x.edits[s.d] = list[1:]
				}
				continue
			}
			b = append(b, s.text[p-begin:]...)
			p = end
		}
		out.said = append(out.said, said{s.d, string(b)})
	}
	for d := range at {
		if x.seen[d] != at[d] {
			x.t.Fatalf("looked up to %d of %d", x.seen[d], at[d])
		}
	}
	return out
}

// sanitize reads conversations twice and changes them.
func sanitize(t testing.TB, o Options, talks ...*talk) ([]*talk, *Sanitizer) {
	t.Helper()
	if o.Key == nil {
		o.Key = []byte("a key for tests only")
	}
	z, err := NewSanitizer(o)
	if err != nil {
		t.Fatal(err)
	}
	learn := z.Learn()
	for _, k := range talks {
		k.run(t, learn)
	}
	x := &edited{t: t}
	change := z.Edit(x)
	var out []*talk
	for _, k := range talks {
		*x = edited{t: t}
		k.run(t, change)
		out = append(out, x.apply(k))
	}
	return out, z
}

// all is what both sides say.
func (k *talk) all() string {
	var b strings.Builder
	for _, s := range k.said {
		b.WriteString(s.text)
	}
	return b.String()
}

func http(request, response string) *talk {
	k := &talk{transport: flow.TCP, said: []said{{flow.ClientToServer, request}}}
	if response != "" {
		k.said = append(k.said, said{flow.ServerToClient, response})
	}
	return k
}

// post is a request with a body, and an answer to it with another.
func post(field, body, typ, answer string) *talk {
	return http(fmt.Sprintf("POST /a HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s", typ, field, len(body), body),
		fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", typ, len(answer), answer))
}

// secrets are what must not be seen any more, in any way to write it.
func leaks(text string, secrets ...string) []string {
	var out []string
	lower := strings.ToLower(text)
	for _, s := range secrets {
		forms := []string{s, url.QueryEscape(s), url.PathEscape(s)}
		quoted, _ := json.Marshal(s)
		forms = append(forms, strings.Trim(string(quoted), `"`))
		for pad := range 3 {
			e := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("_", pad) + s))
			e = e[(pad*8+5)/6:]
			if len(e) > 8 {
				forms = append(forms, e[:len(e)-2], strings.NewReplacer("+", "-", "/", "_").Replace(e[:len(e)-2]))
			}
		}
		for _, f := range forms {
			if strings.Contains(text, f) || strings.Contains(lower, strings.ToLower(f)) && len(f) > 8 {
				out = append(out, fmt.Sprintf("%q as %q", s, f))
				break
			}
		}
	}
	return out
}

const secretJWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEuc2VjcmV0QGV4YW1wbGUuY29tIn0.c2lnbmF0dXJlLXNpZ25hdHVyZS1zaWduYXR1cmU"

// TestHTTPSecrets plants secrets, and wants none of them to be left.
func TestHTTPSecrets(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("ada77:hunter2-S3CRET"))
	for _, c := range []struct {
		name    string
		k       *talk
		secrets []string
	}{
		{"cookies", http("GET / HTTP/1.1\r\nHost: shop.example.com\r\nCookie: sid=7QmXh2Zk0pLr; lang=en%2Fx9Kd8s7h\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie: sid=7QmXh2Zk0pLr; Path=/; Domain=.shop.example.com\r\nContent-Length: 0\r\n\r\n"), []string{"7QmXh2Zk0pLr", "x9Kd8s7h", "shop.example"}},
		{"basic", http("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic "+basic+"\r\n\r\n", ""), []string{"hunter2-S3CRET", "ada77", basic}},
		{"bearer", http("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+secretJWT+"\r\n\r\n", ""), []string{secretJWT, "ada.secret"}},
		{"digest", http("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Digest username=\"ada77\", realm=\"r\", nonce=\"n0nceS3CRETn0nce\", uri=\"/x?token=S3CRETtok\", response=\"0123456789abcdef0123456789abcdef\", qop=auth\r\n\r\n", ""), []string{"ada77", "n0nceS3CRETn0nce", "S3CRETtok", "0123456789abcdef"}},
		{"api_key", http("GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: k3yS3CRETk3y\r\nX-Thing: ghp_16C7e42F292c6912E7710c838347Ae178B4a\r\n\r\n", ""), []string{"k3yS3CRETk3y", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"}},
		{"query", http("GET /cb?code=S3CRETcode&state=x&mail=ada%40secret.example HTTP/1.1\r\nHost: a\r\nReferer: http://ada:pw-S3CRET-pw@h.secret.example/p?access_token=tok-S3CRET-tok\r\n\r\n", ""), []string{"S3CRETcode", "ada@secret.example", "pw-S3CRET-pw", "tok-S3CRET-tok", "h.secret"}},
		{"path_session", http("GET /app;jsessionid=A1B2C3D4E5F6/session/abc123DEF456/x HTTP/1.1\r\nHost: a\r\n\r\n", ""), []string{"A1B2C3D4E5F6", "abc123DEF456"}},
		{"json", post("", `{"user":{"email":"ada@secret.example","password":"hunter2-S3CRET","n":[1,2.5,true,null]},"card":4111111111111111,"note":"call +1 555 867 5309 or 10.1.2.3"}`, "application/json", `{"token":"tok-S3CRET-tok","csrf_token":"csrf-S3CRET"}`), []string{"ada@secret.example", "hunter2-S3CRET", "4111111111111111", "867 5309", "10.1.2.3", "tok-S3CRET-tok", "csrf-S3CRET"}},
		{"json_escapes", post("", `{"password":"hu\u006eter2\/S3CRET\n\"x\"","a":"mail \u0061da@secret.example now"}`, "application/json", `{}`), []string{`hunter2/S3CRET`, "ada@secret.example"}},
		{"form", post("", "user=ada&password=hunter2%2BS3CRET+x&email=ada%40secret.example&csrf=1", "application/x-www-form-urlencoded", "ok"), []string{"hunter2+S3CRET", "ada@secret.example"}},
		{"text", post("", "dear all,\nmy password: hunter2S3CRET\nand db=postgres://ada77:pw-S3CRET-pw@db.secret.example:5432/x AKIAIOSFODNN7EXAMPLE\n", "text/plain", "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAS3CRETS3CRET\nqq11==\n-----END RSA PRIVATE KEY-----\n"), []string{"hunter2S3CRET", "ada77", "pw-S3CRET-pw", "db.secret", "AKIAIOSFODNN7EXAMPLE", "MIIEowIBAAKCAQEA"}},
		{"html", post("", "x", "text/html", `<html><meta name="csrf-token" content="csrf-S3CRET-1"><form><input type="hidden" name="authenticity_token" value="csrf-S3CRET-2"/></form><a href="https://h.secret.example/x">ada@secret.example</a></html>`), []string{"csrf-S3CRET-1", "csrf-S3CRET-2", "h.secret", "ada@secret.example"}},
		{"xml", post("", "<a><password>hunter2S3CRET</password></a>", "application/xml", "<b/>"), []string{"hunter2S3CRET"}},
		{"multipart", post("", "--BB\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2-S3CRET\r\n--BB\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG-S3CRET-bytes\r\n--BB--\r\n", "multipart/form-data; boundary=BB", "ok"), []string{"hunter2-S3CRET", "PNG-S3CRET-bytes"}},
		{"opaque", post("", "\x89PNG\r\nS3CRETimage", "image/png", "S3CRETimage2"), []string{"S3CRETimage"}},
		{"elsewhere", post("Cookie: sid=7QmXh2Zk0pLr9VbN\r\n", `{"raw":"x 7QmXh2Zk0pLr9VbN y","b64":"`+base64.StdEncoding.EncodeToString([]byte("id=7QmXh2Zk0pLr9VbN;"))+`","url":"a%3D7QmXh2Zk0pLr9VbN%26","7QmXh2Zk0pLr9VbN":1}`, "application/json", "7QmXh2Zk0pLr9VbN"), []string{"7QmXh2Zk0pLr9VbN"}},
		{"forwarded", http("GET / HTTP/1.1\r\nHost: 93.184.216.34:8080\r\nX-Forwarded-For: 93.184.216.35, 2001:db8::77\r\n\r\n", ""), []string{"93.184.216.34", "93.184.216.35", "2001:db8::77"}},
		{"etag", http("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"5eb63bbbe01eeed0\"\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: W/\"5eb63bbbe01eeed0\"\r\n\r\n"), []string{"5eb63bbbe01eeed0"}},
		{"chunks", http("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{\"password\":\"hunt\r\nb;x=y\r\ner2-S3CRET\"\r\n1e\r\n,\"ip\":\"93.184.216.34\",\"x\":[1]}\r\n0\r\nX-Token: tr41ler-S3CRET\r\n\r\n"), []string{"hunter2-S3CRET", "er2-S3CRET", "93.184.216.34", "tr41ler-S3CRET"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, z := sanitize(t, Options{}, c.k)
			text := out[0].all()
			if list := leaks(text, c.secrets...); len(list) > 0 {
				t.Errorf("left are %s in\n%s", list, text)
			}
			same(t, c.k, out[0])
			s := z.Summary()
			if len(s.Found) == 0 && len(s.Blanked) == 0 {
				t.Error("nothing was counted")
			}
			if len(s.Blanked) > 0 && c.name != "opaque" && c.name != "multipart" {
				t.Errorf("blanked: %+v", s.Blanked)
			}
			if testing.Verbose() {
				t.Log("\n" + text)
			}
		})
	}
}

// same wants two conversations to be made of the same messages, whose bodies say that they are of the
// length that they are.
func same(t *testing.T, a, b *talk) {
	t.Helper()
	_, x := a.run(t, nil)
	_, y := b.run(t, nil)
	if len(x) != len(y) {
		t.Fatalf("%d exchanges became %d:\n%s", len(x), len(y), b.all())
	}
	for i := range x {
		m, n := x[i].Messages(), y[i].Messages()
		if x[i].State != y[i].State || len(m) != len(n) {
			t.Fatalf("exchange %d is %s with %d messages now, was %s with %d", i, y[i].State, len(n), x[i].State, len(m))
		}
		for j := range m {
			if m[j].Complete != n[j].Complete || m[j].Malformed != n[j].Malformed {
				t.Errorf("message %d of exchange %d: %s, was %s", j, i, n[j].Why, m[j].Why)
			}
			h, ok := m[j].Body.(*proto.HTTPMessage)
			if !ok {
				continue
			}
			was, err := proto.Content(m[j])
			now, err2 := proto.Content(n[j])
			if (err == nil) != (err2 == nil) {
				t.Errorf("the body of message %d of exchange %d: %v, was %v", j, i, err2, err)
			}
			k := n[j].Body.(*proto.HTTPMessage)
			if h.Status != k.Status || h.Method != k.Method || len(h.Fields) != len(k.Fields) || len(h.Trailer) != len(k.Trailer) {
				t.Errorf("%s became %s", h.Summary(), k.Summary())
			}
			if typ, _ := h.Get("Content-Type"); json.Valid(was) && !json.Valid(now) && !strings.HasPrefix(typ, "image") {
				t.Errorf("%s became %s", was, now)
			}
		}
	}
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

// TestEncodedBodies finds what is in compressed bodies, whatever frames them.
func TestEncodedBodies(t *testing.T) {
	body := `{"password":"hunter2-S3CRET","ip":"93.184.216.34","pad":"` + strings.Repeat("abc ", 500) + `"}`
	z := gz(body)
	for name, response := range map[string]string{
		"length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(z), z),
		"chunks": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\na\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", z[:10], len(z)-10, z[10:]),
		"image":  fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(z), z),
		"wrong":  fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"close":  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n" + z,
	} {
		t.Run(name, func(t *testing.T) {
			k := http("GET / HTTP/1.1\r\nHost: a\r\n\r\n", response)
			out, _ := sanitize(t, Options{}, k)
			same(t, k, out[0])
			_, list := out[0].run(t, nil)
			content, err := proto.Content(list[0].Response)
			if name != "wrong" && err != nil {
				t.Fatal(err)
			}
			if list := leaks(string(content)+out[0].all(), "hunter2-S3CRET", "93.184.216.34"); len(list) > 0 {
				t.Errorf("left are %s", list)
			}
			if name != "wrong" && name != "image" && !strings.Contains(string(content), "abc abc") {
				t.Errorf("of the body is left %s", content)
			}
		})
	}
}

// TestConsistent wants a value to be the same wherever it is.
func TestConsistent(t *testing.T) {
	login := post("", `{"user":"x"}`, "application/json", `{"csrf_token":"csrf-S3CRET-77","next":"https://api.secret.example/v1"}`)
	next := http("POST /a?csrf_token=csrf-S3CRET-77 HTTP/1.1\r\nHost: api.secret.example\r\nX-CSRF-Token: csrf-S3CRET-77\r\nContent-Length: 0\r\n\r\n", "")
	out, z := sanitize(t, Options{}, login, next)
	p := z.Pseudonyms()
	token, host := p.Text("csrf-S3CRET-77"), p.Host("api.secret.example")
	if n := strings.Count(out[0].all()+out[1].all(), token); n != 3 {
		t.Errorf("%q is there %d times in\n%s%s", token, n, out[0].all(), out[1].all())
	}
	if n := strings.Count(out[0].all()+out[1].all(), host); n != 2 {
		t.Errorf("%q is there %d times in\n%s%s", host, n, out[0].all(), out[1].all())
	}
	again, _ := sanitize(t, Options{}, login, next)
	if again[0].all() != out[0].all() {
		t.Error("it came out otherwise the second time")
	}
	var b strings.Builder
	if err := z.Map(&b); err != nil || !strings.Contains(b.String(), `{"kind":"token","original":"csrf-S3CRET-77","pseudonym":"`+token+`"}`) {
		t.Errorf("%v, the map is\n%s", err, b.String())
	}
}

// TestInnocent leaves what is no secret.
func TestInnocent(t *testing.T) {
	k := post("Accept: text/html;q=0.9, */*\r\nUser-Agent: curl/8.5.0\r\nDate: Fri, 02 Jan 2026 15:04:05 GMT\r\nX-Error-Code: 17\r\n", `{"id":42,"name":"Ada","price":12.5,"at":"2026-01-02T15:04:05Z","code":404,"tags":["a","b"],"file":"main.rs","v":"1.2.3"}`,
		"application/json", `{"ok":true,"items":[{"id":8412345678901,"title":"a longer text, with points. And so on: 12:34:56"}]}`)
	k.said[0].text = strings.Replace(k.said[0].text, "shop.example.com", "localhost:8080", 1)
	out, _ := sanitize(t, Options{}, k)
	if out[0].all() != k.all() {
		t.Errorf("got\n%s\nof\n%s", out[0].all(), k.all())
	}
}

// TestRules keeps and hides what is asked for.
func TestRules(t *testing.T) {
	rule := func(s string) Rule {
		r, err := ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	k := post("X-Trace: tr-12345\r\nCookie: sid=abc123def456; theme=dark77\r\n", `{"name":"Ada Lovelace","order":"ACME-4711","password":"pw1"}`, "application/json", "{}")
	out, _ := sanitize(t, Options{Hide: []Rule{rule("x-trace"), rule("name"), rule(`/ACME-\d+/`)}, Keep: []Rule{rule("theme"), rule("/^pw1$/"), rule("host")}}, k)
	text := out[0].all()
	if list := leaks(text, "tr-12345", "Lovelace", "ACME-4711", "abc123def456"); len(list) > 0 {
		t.Errorf("left are %s in\n%s", list, text)
	}
	for _, want := range []string{"theme=dark77", `"pw1"`, "shop.example.com"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is gone:\n%s", want, text)
		}
	}
	for _, s := range []string{"", "/(/", "["} {
		if _, err := ParseRule(s); err == nil {
			t.Errorf("%q is a rule", s)
		}
	}
}
