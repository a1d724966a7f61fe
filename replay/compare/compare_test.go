package compare

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// receiver keeps the first response of a dialogue.
type receiver struct{ response *proto.Message }

func (r *receiver) Exchange(e *proto.Exchange) {
	if r.response == nil {
		r.response = e.Response
	}
}

func (r *receiver) Anomaly(flow.Anomaly) {}

// parse reads what a server says in answer to a request. It returns nil when that
// is no response.
func parse(p *proto.Protocol, request, response string) *proto.Message {
	r := &receiver{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, r, proto.Options{Keep: 1 << 20, Protocol: p})
	if request != "" {
		g.Chunk(flow.ClientToServer, flow.Chunk{Data: []byte(request), Ack: flow.NoAck})
	}
	g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte(response), Ack: flow.NoAck})
	g.Close()
	return r.response
}

// httpAnswer reads a response to a GET.
func httpAnswer(t testing.TB, raw string) *proto.Message {
	t.Helper()
	m := parse(&proto.HTTP, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", raw)
	if m == nil {
		t.Fatalf("no response: %.80q", raw)
	}
	return m
}

// say writes a response whose body has its length declared.
func say(head, body string) string {
	return fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n%s", strings.ReplaceAll(head, "\n", "\r\n"), len(body), body)
}

// ok writes a 200 with these header lines.
func ok(headers, body string) string {
	return say(strings.TrimSuffix("HTTP/1.1 200 OK\n"+headers, "\n"), body)
}

// zipped compresses with gzip.
func zipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// told writes differences as they are told, a line each.
func told(list []Difference) []string {
	var lines []string
	for _, d := range list {
		lines = append(lines, d.String())
	}
	return lines
}

func TestHTTP(t *testing.T) {
	const volatiles = "Date: Mon, 05 Jan 2026 00:00:00 GMT\nETag: \"1\"\nX-Request-Id: 17\nServer-Timing: db;dur=1\n"
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		name           string
		recorded, live string
		want           []string
		strict         []string // what Strict tells
	}{
		{name: "same", recorded: ok("Server: a", "hi"), live: ok("Server: a", "hi")},
		{
			name: "status", recorded: ok("", "hi"), live: say("HTTP/1.1 500 Oh No", "hi"),
			want: []string{"status was 200 OK, is 500 Oh No"}, strict: []string{"status was 200 OK, is 500 Oh No"},
		},
		{
			name: "status_without_reason", recorded: say("HTTP/1.1 200", ""), live: say("HTTP/1.1 404", ""),
			want: []string{"status was 200, is 404"}, strict: []string{"status was 200, is 404"},
		},
		{
			name: "version_is_strict", recorded: say("HTTP/1.0 200 OK", ""), live: ok("", ""),
			strict: []string{"version was HTTP/1.0, is HTTP/1.1"},
		},
		{
			name: "header_missing", recorded: ok("X-Frame-Options: DENY", ""), live: ok("", ""),
			want: []string{`header x-frame-options is missing, was "DENY"`}, strict: []string{`header x-frame-options is missing, was "DENY"`},
		},
		{
			name: "header_extra", recorded: ok("", ""), live: ok("X-Powered-By: cgi", ""),
			want: []string{`header x-powered-by is new: "cgi"`}, strict: []string{`header x-powered-by is new: "cgi"`},
		},
		{
			name: "header_empty_is_there", recorded: ok("", ""), live: ok("X-Empty:", ""),
			want: []string{`header x-empty is new: ""`}, strict: []string{`header x-empty is new: ""`},
		},
		{
			name: "header_changed", recorded: ok("Server: a", ""), live: ok("Server: b", ""),
			want: []string{`header server was "a", is "b"`}, strict: []string{`header server was "a", is "b"`},
		},
		{name: "header_names_have_no_case", recorded: ok("SERVER: a", ""), live: ok("server: a", "")},
		{name: "headers_of_other_names_have_no_order", recorded: ok("A: 1\nB: 2", ""), live: ok("B: 2\nA: 1", "")},
		{
			name: "repeated_in_another_order", recorded: ok("Vary: a\nVary: b", ""), live: ok("Vary: b\nVary: a", ""),
			want: []string{`header vary was "a, b", is "b, a"`}, strict: []string{`header vary was "a, b", is "b, a"`},
		},
		{
			name: "repeated_once_less", recorded: ok("Vary: a\nVary: a", ""), live: ok("Vary: a", ""),
			want: []string{`header vary was "a, a", is "a"`}, strict: []string{`header vary was "a, a", is "a"`},
		},
		{
			// RFC 9110, section 5.3: a list may stand in one line or in several.
			name: "list_in_one_line", recorded: ok("Vary: a\nVary: b", ""), live: ok("Vary: a, b", ""),
			strict: []string{`header vary was "a, b", is "a, b"`},
		},
		{
			name: "difference_behind_what_is_shown", recorded: ok("Policy: "+long+"1", ""), live: ok("Policy: "+long+"2", ""),
			want:   []string{`header policy was …"` + long[:20] + `1", is …"` + long[:20] + `2"`},
			strict: []string{`header policy was …"` + long[:20] + `1", is …"` + long[:20] + `2"`},
		},
		{
			name: "difference_in_length_only", recorded: ok("Policy: "+long, ""), live: ok("Policy: "+long+long, ""),
			want:   []string{`header policy was …"` + long[:20] + `", is …"` + long[:120] + `"…`},
			strict: []string{`header policy was …"` + long[:20] + `", is …"` + long[:120] + `"…`},
		},
		{
			name: "volatile_headers", recorded: ok(volatiles, ""), live: ok("Age: 3", ""),
			strict: []string{
				`header date is missing, was "Mon, 05 Jan 2026 00:00:00 GMT"`, `header etag is missing, was "\"1\""`,
				`header x-request-id is missing, was "17"`, `header server-timing is missing, was "db;dur=1"`, `header age is new: "3"`,
			},
		},
		{
			name: "cookie_value", recorded: ok("Set-Cookie: sid=1; Path=/", ""), live: ok("Set-Cookie: sid=2; Path=/", ""),
			strict: []string{`header set-cookie was "sid=1; Path=/", is "sid=2; Path=/"`},
		},
		{
			name:     "cookie_open_to_scripts",
			recorded: ok("Set-Cookie: sid=1; Path=/; HttpOnly; Secure; SameSite=Strict", ""), live: ok("Set-Cookie: sid=2; path=/app; samesite=none", ""),
			want: []string{
				"header set-cookie sid HttpOnly is missing, was set", "header set-cookie sid Secure is missing, was set",
				`header set-cookie sid SameSite was "Strict", is "None"`, `header set-cookie sid Path was "/", is "/app"`,
			},
			strict: []string{`header set-cookie was "sid=1; Path=/; HttpOnly; Secure; SameSite=Strict", is "sid=2; path=/app; samesite=none"`},
		},
		{
			name: "cookie_domain", recorded: ok("Set-Cookie: a=1; Domain=.Example.com\nSet-Cookie: a=2", ""), live: ok("Set-Cookie: a=1; Domain=example.com\nSet-Cookie: a=2; Domain=example.com", ""),
			want:   []string{`header set-cookie a Domain is new: example.com`},
			strict: []string{`header set-cookie was "a=1; Domain=.Example.com, a=2", is "a=1; Domain=example.com, a=2; Domain=example.com"`},
		},
		{
			name: "cookie_lasts_shorter", recorded: ok("Set-Cookie: a=1; Max-Age=3600", ""), live: ok("Set-Cookie: a=1; Max-Age=60", ""),
			want:   []string{`header set-cookie a lifetime was 1h0m0s, is 1m0s`},
			strict: []string{`header set-cookie was "a=1; Max-Age=3600", is "a=1; Max-Age=60"`},
		},
		{
			name: "cookie_ends_with_the_browser", recorded: ok("Set-Cookie: a=1; Max-Age=3600", ""), live: ok("Set-Cookie: a=1", ""),
			want:   []string{`header set-cookie a lifetime is missing, was 1h0m0s`},
			strict: []string{`header set-cookie was "a=1; Max-Age=3600", is "a=1"`},
		},
		{
			name: "cookie_deleted_otherwise", recorded: ok("Set-Cookie: a=1; Max-Age=0", ""), live: ok("Set-Cookie: a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
			strict: []string{`header set-cookie was "a=1; Max-Age=0", is "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"`},
		},
		{
			name: "cookie_missing", recorded: ok("Set-Cookie: sid=1\nSet-Cookie: lang=en", ""), live: ok("Set-Cookie: sid=2", ""),
			want:   []string{`header set-cookie was "sid, lang", is "sid"`},
			strict: []string{`header set-cookie was "sid=1, lang=en", is "sid=2"`},
		},
		{
			name: "all_cookies_missing", recorded: ok("Set-Cookie: sid=1", ""), live: ok("", ""),
			want: []string{`header set-cookie is missing, was "sid"`}, strict: []string{`header set-cookie is missing, was "sid=1"`},
		},
		{
			// A comma is part of a cookie (RFC 6265, section 3): two are not one.
			name: "cookies_are_no_list", recorded: ok("Set-Cookie: a\nSet-Cookie: b", ""), live: ok("Set-Cookie: a, b", ""),
			want: []string{`header set-cookie was "a, b", is "a, b"`}, strict: []string{`header set-cookie was "a, b", is "a, b"`},
		},
		{
			name: "body", recorded: ok("Content-Type: text/plain", "good morning"), live: ok("Content-Type: text/plain", "good evening"),
			want:   []string{`body at byte 5 was "morning" of 12 bytes, is "evening" of 12 bytes`},
			strict: []string{`body at byte 5 was "morning" of 12 bytes, is "evening" of 12 bytes`},
		},
		{
			name: "body_goes_on", recorded: ok("", "ab"), live: ok("", "abc"),
			want:   []string{`body at byte 2 was the end after 2 bytes, is "c" of 3 bytes`},
			strict: []string{`body at byte 2 was the end after 2 bytes, is "c" of 3 bytes`, `header content-length was "2", is "3"`},
		},
		{
			name: "body_is_long", recorded: ok("", "a"+long), live: ok("", "b"+long),
			want:   []string{`body at byte 0 was "a` + long[:23] + `"… of 201 bytes, is "b` + long[:23] + `"… of 201 bytes`},
			strict: []string{`body at byte 0 was "a` + long[:23] + `"… of 201 bytes, is "b` + long[:23] + `"… of 201 bytes`},
		},
		{
			name: "gzip_of_the_same", recorded: ok("", "hello hello hello"), live: ok("Content-Encoding: gzip", zipped(t, "hello hello hello")),
			strict: []string{`header content-encoding is new: "gzip"`, `header content-length was "17", is "32"`},
		},
		{
			name: "gzip_of_another", recorded: ok("Content-Encoding: gzip", zipped(t, "hello")), live: ok("Content-Encoding: gzip", zipped(t, "help!")),
			want:   []string{`body at byte 3 was "lo" of 5 bytes, is "p!" of 5 bytes`},
			strict: []string{`body at byte 3 was "lo" of 5 bytes, is "p!" of 5 bytes`},
		},
		{
			name: "gzip_that_is_none", recorded: ok("", "plain text"), live: ok("Content-Encoding: gzip", "plain text"),
			want:   []string{"body was readable, is content encoding gzip: gzip: invalid header"},
			strict: []string{"body was readable, is content encoding gzip: gzip: invalid header", `header content-encoding is new: "gzip"`},
		},
		{name: "encoding_that_is_not_known", recorded: ok("Content-Encoding: rot13", "uryyb"), live: ok("Content-Encoding: rot13", "uryyb")},
		{
			name:     "chunked_and_length",
			recorded: ok("", "hello"), live: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
			strict: []string{`header content-length is missing, was "5"`, `header transfer-encoding is new: "chunked"`},
		},
		{
			name:     "chunked_with_another_trailer",
			recorded: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nSum: 1\r\n\r\n",
			live:     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nSum: 2\r\n\r\n",
			want:     []string{`header sum was "1", is "2"`}, strict: []string{`header sum was "1", is "2"`},
		},
		{
			name: "ends_with_the_connection", recorded: ok("", "hello"), live: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
			strict: []string{`header content-length is missing, was "5"`, `header connection is new: "close"`},
		},
		{
			// What changes for every client comes before what few will look at.
			name: "riskiest_first", recorded: ok("A: 1\nServer: a", "x"), live: say("HTTP/1.1 404 Not Found\nB: 1\nServer: b", "y"),
			want: []string{
				"status was 200 OK, is 404 Not Found", `header a is missing, was "1"`, `header b is new: "1"`,
				`body at byte 0 was "x" of 1 byte, is "y" of 1 byte`, `header server was "a", is "b"`,
			},
			strict: []string{
				"status was 200 OK, is 404 Not Found", `header a is missing, was "1"`, `header b is new: "1"`,
				`body at byte 0 was "x" of 1 byte, is "y" of 1 byte`, `header server was "a", is "b"`,
			},
		},
		{
			name: "hostile_text_is_quoted", recorded: ok("A: \x1b[2J\u202e", ""), live: ok("A: \xff", ""),
			want: []string{`header a was "\x1b[2J\u202e", is "\xff"`}, strict: []string{`header a was "\x1b[2J\u202e", is "\xff"`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			recorded, live := httpAnswer(t, c.recorded), httpAnswer(t, c.live)
			if d := cmp.Diff(c.want, told(Rules{}.Messages(recorded, live))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if d := cmp.Diff(c.strict, told(Rules{Strict: true}.Messages(recorded, live))); d != "" {
				t.Errorf("strict: -want +got\n%s", d)
			}
			for _, m := range []*proto.Message{recorded, live} {
				if list := (Rules{Strict: true}).Messages(m, m); list != nil {
					t.Errorf("%.40q differs from itself: %v", m.Raw, list)
				}
			}
		})
	}
}

// TestHeadersMany holds comparing to the number of names and not its square: a
// head of 512 KiB has room for as many.
func TestHeadersMany(t *testing.T) {
	fields := make([]proto.Field, 50_000)
	for i := range fields {
		fields[i].Name = fmt.Sprintf("%x", i)
	}
	live := append([]proto.Field(nil), fields...)
	live[47_777].Value = "x"
	if d := cmp.Diff([]string{`header baa1 was "", is "x"`}, told(Rules{}.Messages(headed(fields), headed(live)))); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if n := len(Rules{}.Messages(headed(fields), headed(nil))); n != MaxDifferences {
		t.Errorf("%d differences are told, want %d", n, MaxDifferences)
	}
}

// headed is a response that has a head only.
func headed(fields []proto.Field) *proto.Message {
	return &proto.Message{Kind: proto.Response, Body: &proto.HTTPMessage{Status: 200, Fields: fields}}
}

// TestOtherProtocol compares answers that are not of one protocol as bytes.
func TestOtherProtocol(t *testing.T) {
	web, files := httpAnswer(t, ok("", "")), parse(&proto.FTP, "", "220 ready\r\n")
	raw := parse(&proto.Raw, "", "220 steady\r\n")
	for _, c := range []struct {
		name           string
		recorded, live *proto.Message
		want           []string
	}{
		{"http_then_ftp", web, files, []string{`answer at byte 0 was "HTTP/1.1 200 OK\r\nContent"… of 38 bytes, is "220 ready\r\n" of 11 bytes`}},
		{"ftp_then_raw", files, raw, []string{`answer at byte 4 was "ready\r\n" of 11 bytes, is "steady\r\n" of 12 bytes`}},
		{"raw_and_itself", raw, raw, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, told(Rules{}.Messages(c.recorded, c.live))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// dnsAnswer makes a response with these records.
func dnsAnswer(t *testing.T, flags func(*dns.Msg), records ...string) *proto.Message {
	t.Helper()
	var m dns.Msg
	m.SetQuestion("a.example.", dns.TypeA)
	m.Response = true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	if flags != nil {
		flags(&m)
	}
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.UDP)}, r, proto.Options{Keep: 1 << 20, Protocol: &proto.DNS})
	g.Datagram(flow.ServerToClient, &flow.Chunk{Data: wire}, 0)
	g.Close()
	return r.response
}

func TestDNS(t *testing.T) {
	const one, two, three = "a.example. 60 IN A 192.0.2.1", "a.example. 60 IN A 192.0.2.2", "a.example. 60 IN A 192.0.2.3"
	base := dnsAnswer(t, nil, one, two)
	for _, c := range []struct {
		name         string
		live         *proto.Message
		want, strict []string
	}{
		{name: "same", live: dnsAnswer(t, nil, one, two)},
		{name: "another_id", live: dnsAnswer(t, func(m *dns.Msg) { m.Id = ^m.Id }, one, two)},
		{name: "another_order", live: dnsAnswer(t, nil, two, one)},
		{name: "repeated_record", live: dnsAnswer(t, nil, two, one, two, two)},
		{name: "name_in_other_case", live: dnsAnswer(t, nil, strings.ToUpper(one), two)},
		{
			name: "time_to_live", live: dnsAnswer(t, nil, "a.example. 59 IN A 192.0.2.1", two),
			strict: []string{`answer is missing, was "a.example 60 A 192.0.2.1"`, `answer is new: "a.example 59 A 192.0.2.1"`},
		},
		{
			name: "missing", live: dnsAnswer(t, nil, one),
			want:   []string{`answer is missing, was "a.example A 192.0.2.2"`},
			strict: []string{`answer is missing, was "a.example 60 A 192.0.2.2"`},
		},
		{
			name: "extra", live: dnsAnswer(t, nil, three, two, one),
			want:   []string{`answer is new: "a.example A 192.0.2.3"`},
			strict: []string{`answer is new: "a.example 60 A 192.0.2.3"`},
		},
		{
			name: "another_type_of_the_same_name", live: dnsAnswer(t, nil, one, `a.example. 60 IN TXT "hi"`),
			want:   []string{`answer is missing, was "a.example A 192.0.2.2"`, `answer is new: "a.example TXT \"hi\""`},
			strict: []string{`answer is missing, was "a.example 60 A 192.0.2.2"`, `answer is new: "a.example 60 TXT \"hi\""`},
		},
		{
			name: "rcode", live: dnsAnswer(t, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }),
			want: []string{
				"rcode was NOERROR, is NXDOMAIN", `answer is missing, was "a.example A 192.0.2.1"`, `answer is missing, was "a.example A 192.0.2.2"`,
			},
			strict: []string{
				"rcode was NOERROR, is NXDOMAIN", `answer is missing, was "a.example 60 A 192.0.2.1"`, `answer is missing, was "a.example 60 A 192.0.2.2"`,
			},
		},
		{
			name: "truncated", live: dnsAnswer(t, func(m *dns.Msg) { m.Truncated = true }, one, two),
			want: []string{"truncated was false, is true"}, strict: []string{"truncated was false, is true"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, told(Rules{}.Messages(base, c.live))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if d := cmp.Diff(c.strict, told(Rules{Strict: true}.Messages(base, c.live))); d != "" {
				t.Errorf("strict: -want +got\n%s", d)
			}
		})
	}
}

// TestDNSMany bounds what is told.
func TestDNSMany(t *testing.T) {
	var records []string
	for i := range 2 * perPlace {
		records = append(records, fmt.Sprintf("a.example. 60 IN A 10.0.%d.%d", i/200, i%200))
	}
	list := Rules{}.Messages(dnsAnswer(t, nil, records...), dnsAnswer(t, nil))
	if n := len(list); n != perPlace || list[n-1].More != len(records)-perPlace {
		t.Errorf("%d differences are told, and %d more; want %d, and all others", n, list[n-1].More, perPlace)
	}
}

func TestFTP(t *testing.T) {
	for _, c := range []struct {
		name, recorded, live string
		want, strict         []string
	}{
		{name: "same", recorded: "226 Done\r\n", live: "226 Done\r\n"},
		{
			name: "code", recorded: "226 Done\r\n", live: "550 Done\r\n",
			want: []string{"code was 226, is 550"}, strict: []string{"code was 226, is 550"},
		},
		{
			name: "text", recorded: "226 Done\r\n", live: "226 Done, 9 bytes\r\n",
			want: []string{`text was "Done", is "Done, 9 bytes"`}, strict: []string{`text was "Done", is "Done, 9 bytes"`},
		},
		{
			name: "second_line", recorded: "230-Hi\r\nthere\r\n230 in\r\n", live: "230-Hi\r\nyou\r\n230 in\r\n",
			want: []string{`text was "Hi\nthere\nin", is "Hi\nyou\nin"`}, strict: []string{`text was "Hi\nthere\nin", is "Hi\nyou\nin"`},
		},
		{
			name: "passive_address", recorded: "227 Entering Passive Mode (10,1,0,2,195,80)\r\n", live: "227 Entering Passive Mode (10,9,9,9,4,1)\r\n",
			strict: []string{`text was "Entering Passive Mode (10,1,0,2,195,80)", is "Entering Passive Mode (10,9,9,9,4,1)"`},
		},
		{
			name: "extended_passive_port", recorded: "229 Extended (|||6446|)\r\n", live: "229 Extended (|||7000|)\r\n",
			strict: []string{`text was "Extended (|||6446|)", is "Extended (|||7000|)"`},
		},
		{
			name: "passive_refused", recorded: "227 Passive (10,1,0,2,195,80)\r\n", live: "425 No\r\n",
			want: []string{"code was 227, is 425"}, strict: []string{"code was 227, is 425"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			recorded, live := parse(&proto.FTP, "", c.recorded), parse(&proto.FTP, "", c.live)
			if d := cmp.Diff(c.want, told(Rules{}.Messages(recorded, live))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if d := cmp.Diff(c.strict, told(Rules{Strict: true}.Messages(recorded, live))); d != "" {
				t.Errorf("strict: -want +got\n%s", d)
			}
		})
	}
}

func TestBytes(t *testing.T) {
	long := strings.Repeat("0123456789", 10)
	for _, c := range []struct {
		name, a, b string
		want       []string
	}{
		{name: "both_empty"},
		{name: "same", a: "abc", b: "abc"},
		{name: "first_byte", a: "abc", b: "xbc", want: []string{`p at byte 0 was "abc" of 3 bytes, is "xbc" of 3 bytes`}},
		{name: "last_byte", a: "abc", b: "abx", want: []string{`p at byte 2 was "c" of 3 bytes, is "x" of 3 bytes`}},
		{name: "prefix", a: "ab", b: "abc", want: []string{`p at byte 2 was the end after 2 bytes, is "c" of 3 bytes`}},
		{name: "prefix_of_one", a: "a", b: "ab", want: []string{`p at byte 1 was the end after 1 byte, is "b" of 2 bytes`}},
		{name: "goes_on", a: "abc", b: "ab", want: []string{`p at byte 2 was "c" of 3 bytes, is the end after 2 bytes`}},
		{name: "empty_then_not", b: "a", want: []string{`p at byte 0 was the end after 0 bytes, is "a" of 1 byte`}},
		{name: "only_the_first_is_told", a: "a-b-c", b: "x-y-z", want: []string{`p at byte 0 was "a-b-c" of 5 bytes, is "x-y-z" of 5 bytes`}},
		{name: "exactly_all_is_shown", a: "a" + long[:23], b: "b", want: []string{`p at byte 0 was "a` + long[:23] + `" of 24 bytes, is "b" of 1 byte`}},
		{name: "more_than_is_shown", a: "a" + long, b: "b", want: []string{`p at byte 0 was "a` + long[:23] + `"… of 101 bytes, is "b" of 1 byte`}},
		{name: "binary", a: "\x00\x01\xff", b: "\x00\x02\xff", want: []string{`p at byte 1 was 01 ff of 3 bytes, is 02 ff of 3 bytes`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, told(Bytes("p", []byte(c.a), []byte(c.b)))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// FuzzMessages compares two responses: that ends, in bounds, every message is
// the same as itself, and what is the same to the letter is the same.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		ok("Content-Type: application/json", `{"a":[1,2.0,{"b":null}],"c":"d"}`), ok("Set-Cookie: a=b\nVary: a\nVary: b", "hello"),
		say("HTTP/1.0 404 Not Found", ""), ok("Content-Encoding: gzip", zipped(f, `{"a":1}`)), ok("Content-Encoding: gzip, br, zstd, deflate", "x"),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\nSum: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut short",
	} {
		f.Add([]byte(s), []byte(strings.Replace(s, "a", "b", 1)))
	}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		const request = "GET / HTTP/1.1\r\n\r\n"
		a, b := parse(&proto.HTTP, request, string(x)), parse(&proto.HTTP, request, string(y))
		if a == nil || b == nil {
			return
		}
		for _, r := range []Rules{{}, {Strict: true}} {
			for _, m := range []*proto.Message{a, b} {
				if list := r.Messages(m, m); len(list) > 0 {
					t.Errorf("%+v: %q differs from itself: %v", r, m.Raw, list)
				}
			}
		}
		list, strict := Rules{}.Messages(a, b), Rules{Strict: true}.Messages(a, b)
		if len(list) > MaxDifferences || len(strict) > MaxDifferences {
			t.Errorf("%d and %d differences are told", len(list), len(strict))
		}
		if len(strict) == 0 && len(list) > 0 {
			t.Errorf("strictly the same, but %v", list)
		}
		for _, d := range append(list, strict...) {
			if d.Path == "" || d.String() == "" {
				t.Errorf("a difference that says nothing: %#v", d)
			}
		}
	})
}

// TestAlike asks of what differs, and of nothing else, with the path it would have.
func TestAlike(t *testing.T) {
	message := func(typ, id, body string) *proto.Message {
		return httpAnswer(t, ok("Content-Type: "+typ+"\nX-Id: "+id, body))
	}
	for _, test := range []struct{ typ, recorded, live, asked string }{
		{"application/json", `{"id":7,"to":"a","same":1}`, `{"to":"b","id":"8","same":1.0}`, "header x-id: r-7 r-8; body $.id: 7 8; body $.to: a b; "},
		{"text/plain", "id=7", "id=8", "header x-id: r-7 r-8; body: id=7 id=8; "},
		{"application/json", `{"id":[7]}`, `{"id":{}}`, "header x-id: r-7 r-8; "},
	} {
		for _, alike := range []bool{true, false} {
			asked := ""
			rules := Rules{Alike: func(path, recorded, live string) bool {
				asked += fmt.Sprintf("%s: %s %s; ", path, recorded, live)
				return alike
			}}
			got := rules.Messages(message(test.typ, "r-7", test.recorded), message(test.typ, "r-8", test.live))
			want := strings.Count(test.asked, ";")
			if alike {
				want = 0
			}
			if strings.HasSuffix(test.recorded, "]}") {
				want++ // nobody is asked about a value of another kind
			}
			if asked != test.asked || len(got) != want {
				t.Errorf("%s: asked %q, want %q; %v", test.recorded, asked, test.asked, got)
			}
		}
	}
}
