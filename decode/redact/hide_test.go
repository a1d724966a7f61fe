package redact_test

import (
	"fmt"
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
		{"websocket_text", &proto.WebSocket, flow.ServerToClient, "\x81\x06S3CRET", &proto.WebSocketFrame{
			Direction: flow.ServerToClient, Opcode: 1, Final: true, Length: 6, Message: &proto.WebSocketMessage{Opcode: 1, Fragments: 1, Bytes: 6},
		}},
		{"websocket_ping", &proto.WebSocket, flow.ServerToClient, "\x89\x06S3CRET", &proto.WebSocketFrame{
			Direction: flow.ServerToClient, Opcode: 9, Final: true, Length: 6, Message: &proto.WebSocketMessage{Opcode: 9, Fragments: 1, Bytes: 6},
		}},
		{"websocket_close", &proto.WebSocket, flow.ServerToClient, "\x88\x08\x03\xe8S3CRET", &proto.WebSocketFrame{
			Direction: flow.ServerToClient, Opcode: 8, Final: true, Length: 8, Code: 1000, Reason: "***", Message: &proto.WebSocketMessage{Opcode: 8, Fragments: 1, Bytes: 8},
		}},
		{"websocket_fragment", &proto.WebSocket, flow.ServerToClient, "\x01\x06S3CRET", nil},
		{"sse", &proto.SSE, flow.ServerToClient, "event: login\nid: S3CRET\nretry: 5\ndata: S3CRET\n\n", &proto.ServerEvent{Type: "login", ID: "***", Data: "***", DataBytes: 6, Retry: 5}},
		{"sse_without_id", &proto.SSE, flow.ServerToClient, "data: S3CRET\n\n", &proto.ServerEvent{Type: "message", Data: "***", DataBytes: 6, Retry: -1}},
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

// TestRedis hides passwords of commands, and nothing else.
func TestRedis(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"AUTH S3CRET", "AUTH ***"},
		{"auth ada S3CRET", "AUTH ada ***"},
		{"HELLO 3 AUTH ada S3CRET SETNAME x", "HELLO 3 AUTH ada *** SETNAME x"},
		{"CONFIG SET maxmemory 1 requirepass S3CRET", "CONFIG SET maxmemory 1 requirepass ***"},
		{"MIGRATE h 6379 k 0 5 AUTH S3CRET", "MIGRATE h 6379 k 0 5 AUTH ***"},
		{"MIGRATE h 6379 k 0 5 AUTH2 ada S3CRET", "MIGRATE h 6379 k 0 5 AUTH2 ada ***"},
		{"ACL SETUSER ada on >S3CRET ~*", "ACL SETUSER ada on *** ~*"},
		{"SENTINEL SET m auth-pass S3CRET", "SENTINEL SET m auth-pass ***"},
		{"SET auth value", "SET auth value"},
		{"CONFIG GET requirepass", "CONFIG GET requirepass"},
	} {
		var raw strings.Builder
		words := strings.Fields(c.line)
		fmt.Fprintf(&raw, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&raw, "$%d\r\n%s\r\n", len(w), w)
		}
		for _, form := range []string{raw.String(), c.line + "\r\n"} {
			b := parse(t, &proto.Redis, flow.ClientToServer, form)
			if got := hide(t, b).Summary(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := b.Summary(); got != c.want {
				t.Errorf("without redacting: got %s, want %s", got, c.want)
			}
		}
	}
}

// TestRedisReply hides passwords that were asked for.
func TestRedisReply(t *testing.T) {
	for _, kind := range []string{"*4", "%2"} {
		b := parse(t, &proto.Redis, flow.ServerToClient, kind+"\r\n$4\r\nsave\r\n$0\r\n\r\n$11\r\nrequirepass\r\n$6\r\nS3CRET\r\n")
		if got := hide(t, b).Summary(); !strings.HasSuffix(got, `: save "" requirepass ***`) {
			t.Errorf("got %s", got)
		}
	}
}

// TestSMTP hides credentials; their mechanism is none.
func TestSMTP(t *testing.T) {
	for _, c := range []struct {
		line string
		body *proto.SMTPCommand
		want string
	}{
		{line: "AUTH PLAIN S3CRET", want: "AUTH PLAIN ***"},
		{line: "auth login S3CRET", want: "AUTH login ***"},
		{line: "AUTH LOGIN", want: "AUTH LOGIN"},
		{line: "MAIL FROM:<a@b>", want: "MAIL FROM:<a@b>"},
		{body: &proto.SMTPCommand{Argument: "S3CRET", Credentials: true}, want: "***"},
	} {
		var b proto.Body = c.body
		if c.body == nil {
			b = parse(t, &proto.SMTP, flow.ClientToServer, c.line+"\r\n")
		}
		if got := hide(t, b).Summary(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestRawMissing keeps what is known about a turn besides its bytes.
func TestRawMissing(t *testing.T) {
	got := hide(t, &proto.Turn{Bytes: 900, Missing: 100, Preview: []byte(secret)})
	if d := cmp.Diff(proto.Body(&proto.Turn{Bytes: 900, Missing: 100}), got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestDatabases keeps what a query does and how it went, and no value.
func TestDatabases(t *testing.T) {
	for _, c := range []struct {
		name string
		p    *proto.Protocol
		d    flow.Direction
		raw  string
		want string
	}{
		{"postgres_query", &proto.Postgres, flow.ClientToServer, "Q\x00\x00\x00\x23select 1 where a = 'S3CRET123'\x00", `"command":"query","query":"select ? where a = ?"`},
		{"postgres_password", &proto.Postgres, flow.ClientToServer, "p\x00\x00\x00\x0bS3CRET\x00", `"command":"authenticate"`},
		{"postgres_parameter", &proto.Postgres, flow.ClientToServer, "B\x00\x00\x00\x16\x00\x00\x00\x00\x00\x01\x00\x00\x00\x06S3CRET\x00\x00S\x00\x00\x00\x04", `"command":"bind","parameters":["***"]`},
		{"postgres_row", &proto.Postgres, flow.ServerToClient, "D\x00\x00\x00\x10\x00\x01\x00\x00\x00\x06S3CRETZ\x00\x00\x00\x05I", `"rows":1,"columns":[],"column_count":1,"status":"idle"`},
		{"postgres_error", &proto.Postgres, flow.ServerToClient, "E\x00\x00\x00\x26SFATAL\x00C22P02\x00Mno \"S3CRET\": S3CRET\x00\x00", `"rows":0,"sqlstate":"22P02","error":{"code":"22P02","severity":"FATAL","message":"no ***: ***"}`},
		{"mysql_query", &proto.MySQL, flow.ClientToServer, "\x11\x00\x00\x00\x03select \"S3CRET\" ", `"command":"query","query":"select ?"`},
		{"mysql_row", &proto.MySQL, flow.ServerToClient, "\x01\x00\x00\x01\x01\x01\x00\x00\x02x\x07\x00\x00\x03\x06S3CRET\x05\x00\x00\x04\xfe\x00\x00\x02\x00", `"rows":1,"columns":[""]`},
		{"mysql_error", &proto.MySQL, flow.ServerToClient, "\x1e\x00\x00\x01\xff\x26\x04#23000Duplicate entry 'S3CRET'", `"rows":0,"errno":1062,"error":{"code":1062,"state":"23000","message":"Duplicate entry ***"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(hide(t, parse(t, c.p, c.d, c.raw)).AppendJSON(nil))
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestMQTT(t *testing.T) {
	text := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	packet := func(first byte, rest string) string { return string([]byte{first, byte(len(rest))}) + rest }
	connect := packet(0x10, text("MQTT")+"\x05\xc6\x00\x3c"+"\x21"+"\x15"+text("plain")+"\x16"+text("S3CRET")+"\x26"+text("token")+text("S3CRET")+
		text("device")+"\x00"+text("gone")+text("S3CRET")+text("ada")+text("S3CRET"))
	b := hide(t, parse(t, &proto.MQTT, flow.ClientToServer, connect)).(*proto.MQTTPacket)
	if b.Connect.User != "ada" || b.Connect.Password != redact.Hidden || b.Connect.WillTopic != "gone" {
		t.Errorf("of the CONNECT is left %s", b.AppendJSON(nil))
	}
	b = hide(t, parse(t, &proto.MQTT, flow.ClientToServer, packet(0x30, text("a/b")+"S3CRET"))).(*proto.MQTTPacket)
	if b.Topic != "a/b" || b.Payload != 6 {
		t.Errorf("of the PUBLISH is left %s", b.AppendJSON(nil))
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
