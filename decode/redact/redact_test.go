package redact_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/redact"
)

// secret is part of every secret below, and must not be seen behind Hide.
const secret = "S3CRET"

// receiver keeps the messages of a dialogue.
type receiver struct{ messages []*proto.Message }

func (r *receiver) Exchange(e *proto.Exchange) { r.messages = append(r.messages, e.Messages()...) }
func (r *receiver) Anomaly(flow.Anomaly)       {}

// parse reads what the client says, or the server, and returns its first message.
func parse(t *testing.T, p *proto.Protocol, d flow.Direction, raw string) proto.Body {
	t.Helper()
	r := &receiver{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, r, proto.Options{Protocol: p})
	g.Chunk(d, flow.Chunk{Data: []byte(raw), Ack: flow.NoAck})
	g.Close()
	if len(r.messages) != 1 {
		t.Fatalf("%d messages in %q", len(r.messages), raw)
	}
	return r.messages[0].Body
}

// hide hides what a body holds, and wants nothing of it to be left, and the body
// itself to stay as it was.
func hide(t *testing.T, b proto.Body) proto.Body {
	t.Helper()
	summary, json := b.Summary(), string(b.AppendJSON(nil))
	hidden := redact.Finder{}.Hide(b)
	for _, out := range []string{hidden.Summary(), string(hidden.AppendJSON(nil))} {
		if strings.Contains(out, secret) {
			t.Errorf("a secret is left: %s", out)
		}
	}
	if b.Summary() != summary || string(b.AppendJSON(nil)) != json {
		t.Errorf("the body was changed: %s", b.AppendJSON(nil))
	}
	return hidden
}

func TestFields(t *testing.T) {
	for _, c := range []struct{ name, field, want string }{
		{"bearer", "Authorization: Bearer S3CRET", "Authorization: Bearer ***"},
		{"basic", "authorization: Basic UzNDUkVU", "authorization: Basic ***"},
		{"digest", `Authorization: Digest username="ada", response="S3CRET"`, "Authorization: Digest ***"},
		{"no_scheme", "Authorization: S3CRET", "Authorization: ***"},
		{"proxy", "Proxy-Authorization: Basic S3CRET", "Proxy-Authorization: Basic ***"},
		{"folded", "Authorization: Bearer\r\n S3CRET", "Authorization: Bearer\r\n ***"},
		{"space_before_colon", "Authorization : Bearer S3CRET", "Authorization: Bearer ***"},

		{"cookie", "Cookie: sid=S3CRET", "Cookie: sid=***"},
		{"cookies", "Cookie: a=S3CRET1; b=S3CRET2;c=S3CRET=3", "Cookie: a=***; b=***;c=***"},
		{"cookie_without_name", "Cookie: S3CRET; a=S3CRET", "Cookie: ***; a=***"},
		{"set_cookie", "Set-Cookie: sid=S3CRET; Path=/; HttpOnly; Max-Age=60", "Set-Cookie: sid=***; Path=/; HttpOnly; Max-Age=60"},
		{"set_cookie_without_name", "Set-Cookie: S3CRET; Secure", "Set-Cookie: ***; Secure"},

		{"api_key", "X-Api-Key: S3CRET", "X-Api-Key: ***"},
		{"api_key_in_words", "X-API-KEY: my S3CRET", "X-API-KEY: ***"},
		{"auth_token", "X-Auth-Token: S3CRET", "X-Auth-Token: ***"},
		{"csrf_token", "X-CSRF-Token: S3CRET", "X-CSRF-Token: ***"},
		{"cloud_token", "X-Amz-Security-Token: S3CRET", "X-Amz-Security-Token: ***"},
		{"private_token", "PRIVATE-TOKEN: S3CRET", "PRIVATE-TOKEN: ***"},
		{"shared_secret", "X-Client-Secret: S3CRET", "X-Client-Secret: ***"},

		{"location", "Location: https://a.example/cb?code=S3CRET&state=x", "Location: https://a.example/cb?code=***&state=x"},
		{"location_fragment", "Location: https://a.example/cb#access_token=S3CRET&token_type=bearer", "Location: https://a.example/cb#access_token=***&token_type=bearer"},
		{"content_location", "Content-Location: /x?token=S3CRET", "Content-Location: /x?token=***"},
		{"referer", "Referer: http://ada:S3CRET@a.example/?session=S3CRET", "Referer: http://***@a.example/?session=***"},

		// Innocent ones.
		{"host", "Host: token.example", "Host: token.example"},
		{"accept", "Accept: text/html;q=0.9", "Accept: text/html;q=0.9"},
		{"code", "X-Error-Code: 17", "X-Error-Code: 17"},
		{"challenge", `WWW-Authenticate: Basic realm="files"`, `WWW-Authenticate: Basic realm="files"`},
		{"empty", "X-Empty:", "X-Empty: "},
		{"websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="},
		{"location_without_parameters", "Location: /users/8", "Location: /users/8"},
		{"referer_with_an_at", "Referer: https://a.example/@ada?to=b@c.example", "Referer: https://a.example/@ada?to=b@c.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := parse(t, &proto.HTTP, flow.ServerToClient, "HTTP/1.1 204 No Content\r\nServer: x\r\n"+c.field+"\r\nVary: y\r\n\r\n")
			h := hide(t, b).(*proto.HTTPMessage)
			name, value, _ := strings.Cut(c.want, ": ")
			want := []proto.Field{{Name: "Server", Value: "x"}, {Name: name, Value: value}, {Name: "Vary", Value: "y"}}
			if d := cmp.Diff(want, h.Fields); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ name, target, want string }{
		{"token", "/a?token=S3CRET", "/a?token=***"},
		{"among_others", "/a?x=1&access_token=S3CRET&y=2", "/a?x=1&access_token=***&y=2"},
		{"twice", "/a?token=S3CRET&token=S3CRET", "/a?token=***&token=***"},
		{"empty_value", "/a?token=", "/a?token=***"},
		{"value_with_equals", "/a?token=S3CRET=S3CRET==", "/a?token=***"},
		{"value_with_question_mark", "/a?token=S3?CRET&b=c?d", "/a?token=***&b=c?d"},
		{"password", "/login?user=ada&password=S3CRET", "/login?user=ada&password=***"},
		{"short_password", "/login?pwd=S3CRET&db_pass=S3CRET", "/login?pwd=***&db_pass=***"},
		{"in_capitals", "/a?API_KEY=S3CRET", "/a?API_KEY=***"},
		{"with_a_hyphen", "/a?api-key=S3CRET&x-auth=S3CRET", "/a?api-key=***&x-auth=***"},
		{"in_camel_case", "/a?accessToken=S3CRET&userPassword=S3CRET", "/a?accessToken=***&userPassword=***"},
		{"session", "/a?PHPSESSID=S3CRET&session_id=S3CRET&sid=S3CRET", "/a?PHPSESSID=***&session_id=***&sid=***"},
		{"session_in_the_path", "/app;jsessionid=S3CRET/x;v=1?a=b", "/app;jsessionid=***/x;v=1?a=b"},
		{"signed_url", "/b?X-Amz-Date=1&X-Amz-Signature=S3CRET", "/b?X-Amz-Date=1&X-Amz-Signature=***"},
		{"oauth", "/cb?code=S3CRET&client_secret=S3CRET&state=1", "/cb?code=***&client_secret=***&state=1"},
		{"json_web_token", "/a?jwt=S3CRET", "/a?jwt=***"},
		{"in_brackets", "/a?user[password]=S3CRET&user[name]=ada", "/a?user[password]=***&user[name]=ada"},
		{"name_is_escaped", "/a?user%5Bpassword%5D=S3CRET&%74oken=S3CRET", "/a?user%5Bpassword%5D=***&%74oken=***"},
		{"name_is_escaped_badly", "/a?%zztoken=S3CRET", "/a?%zztoken=***"},
		{"userinfo", "http://ada:S3CRET@a.example/x", "http://***@a.example/x"},
		{"userinfo_with_an_at", "http://ada:S3@CRET@a.example/x", "http://***@a.example/x"},
		{"userinfo_without_password", "ftp://S3CRET@a.example", "ftp://***@a.example"},
		{"userinfo_then_parameters", "http://ada:S3CRET@a.example?token=S3CRET&b=c", "http://***@a.example?token=***&b=c"},
		{"userinfo_in_a_parameter", "/go?to=https://ada:S3CRET@a.example/", "/go?to=https://***@a.example/"},
		{"userinfo_twice", "http://b:S3CRET@a.example/?to=https://ada:S3CRET@a.example/", "http://***@a.example/?to=https://***@a.example/"},

		{"innocent", "/a?b=c&d=e#f", "/a?b=c&d=e#f"},
		{"no_parameters", "/token/password", "/token/password"},
		{"ends_otherwise", "/a?zipcode=1&tokens=2&pass_through=3&inside=4&author=5", "/a?zipcode=1&tokens=2&pass_through=3&inside=4&author=5"},
		{"name_alone", "/a?token&password", "/a?token&password"},
		{"separators_alone", "/a?&&?=&#&", "/a?&&?=&#&"},
		{"absolute", "http://a.example:80/x?to=b@c", "http://a.example:80/x?to=b@c"},
		{"authority", "a.example:443", "a.example:443"},
		{"asterisk", "*", "*"},
		{"empty_query", "/a?", "/a?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := parse(t, &proto.HTTP, flow.ClientToServer, "GET "+c.target+" HTTP/1.1\r\nHost: h\r\n\r\n")
			h := hide(t, b).(*proto.HTTPMessage)
			if h.Target != c.want {
				t.Errorf("got %s, want %s", h.Target, c.want)
			}
		})
	}
}

// TestHTTP keeps all that is no secret, and hides in the trailer too.
func TestHTTP(t *testing.T) {
	b := parse(t, &proto.HTTP, flow.ServerToClient, "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=S3CRET\r\n\r\n"+
		"5\r\nhello\r\n0\r\nX-Token: S3CRET\r\n\r\n")
	want := &proto.HTTPMessage{
		Version: "HTTP/1.1", Status: 200, Reason: "Fine", BodyBytes: 5, Chunked: true,
		Fields:  []proto.Field{{Name: "Transfer-Encoding", Value: "chunked"}, {Name: "Set-Cookie", Value: "a=***"}},
		Trailer: []proto.Field{{Name: "X-Token", Value: "***"}},
	}
	if d := cmp.Diff(proto.Body(want), hide(t, b), cmpopts.IgnoreUnexported(proto.HTTPMessage{})); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestOthers(t *testing.T) {
	for _, c := range []struct {
		name string
		p    *proto.Protocol
		d    flow.Direction
		raw  string
		want proto.Body // nil: the same
	}{
		{"ftp_password", &proto.FTP, flow.ClientToServer, "PASS S3CRET\r\n", &proto.FTPCommand{Command: "PASS", Argument: "***"}},
		{"ftp_password_in_small_letters", &proto.FTP, flow.ClientToServer, "pass S3CRET S3CRET\r\n", &proto.FTPCommand{Command: "pass", Argument: "***"}},
		{"ftp_account", &proto.FTP, flow.ClientToServer, "ACCT S3CRET\r\n", &proto.FTPCommand{Command: "ACCT", Argument: "***"}},
		{"ftp_user", &proto.FTP, flow.ClientToServer, "USER ada\r\n", nil},
		{"ftp_passive", &proto.FTP, flow.ClientToServer, "PASV\r\n", nil},
		{"ftp_reply", &proto.FTP, flow.ServerToClient, "331 Password?\r\n", nil},
		{"raw", &proto.Raw, flow.ClientToServer, "LOGIN ada S3CRET\n", &proto.Turn{Bytes: 17}},
		{"dns", &proto.DNS, flow.ClientToServer, "\x00\x13\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := parse(t, c.p, c.d, c.raw)
			want := c.want
			if want == nil {
				want = b
			}
			if d := cmp.Diff(want, hide(t, b)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// TestRawMissing keeps what is known about a turn besides its bytes.
func TestRawMissing(t *testing.T) {
	got := hide(t, &proto.Turn{Bytes: 900, Missing: 100, Preview: []byte(secret)})
	if d := cmp.Diff(proto.Body(&proto.Turn{Bytes: 900, Missing: 100}), got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestHTTP2 hides what HTTP/2 and gRPC add.
func TestHTTP2(t *testing.T) {
	b := &proto.HTTPMessage{
		Version: "HTTP/2", Status: 200, Answers: "GET /a?token=S3CRET",
		Fields: []proto.Field{{Name: proto.UnknownName, Value: "S3CRET"}, {Name: "set-cookie", Value: "a=S3CRET"}},
		GRPC:   &proto.GRPC{Service: "s.S", Method: "M", Status: "OK", Messages: []proto.GRPCMessage{{Bytes: 8, Data: []byte("\x0a\x06S3CRET")}}},
	}
	h := hide(t, b).(*proto.HTTPMessage)
	if h.Answers != "GET /a?token=***" || h.Fields[0].Value != "***" || h.Fields[1].Value != "a=***" {
		t.Errorf("got %+v", h)
	}
	if got := string(h.AppendJSON(nil)); strings.Contains(got, "S3CRET") || !strings.Contains(got, `"messages":[{"bytes":8}]`) {
		t.Errorf("got %s", got)
	}
	if string(b.GRPC.Messages[0].Data) != "\x0a\x06S3CRET" {
		t.Error("the message was changed")
	}
}
