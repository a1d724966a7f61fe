package values

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/pcaps/craft"
	"netlab/replay/plan"
)

// told is a recording, with what a Finder makes of it.
type told struct {
	found     *Found
	exchanges []*proto.Exchange
}

// keep gathers exchanges.
type keep struct {
	t *told
	f *Finder
}

func (k keep) Exchange(e *proto.Exchange) error {
	k.t.exchanges = append(k.t.exchanges, e)
	return k.f.Exchange(e)
}

// find finds values in a recipe.
func find(t testing.TB, recipe string, opts Options) *told {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	x := &told{}
	f := NewFinder(opts)
	if _, err := decode.Run(b.Source(), keep{x, f}, decode.Options{Keep: plan.Keep}); err != nil {
		t.Fatal(err)
	}
	x.found = f.Found()
	return x
}

// talk writes a recipe of lines NAME > TEXT and NAME < TEXT, in which each message of HTTP has
// its head's lines and its body with | between. Lengths are put in.
func talk(lines string) string {
	var b strings.Builder
	opened := map[string]int{}
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, ok := opened[name]; !ok {
			opened[name] = len(opened)
			fmt.Fprintf(&b, "tcp %s 10.1.0.1:%d > 10.1.0.2:80\n%s open\n", name, 40000+len(opened), name)
		}
		side, text, _ := strings.Cut(rest, " ")
		fmt.Fprintf(&b, "%s %s %q\n", name, side, message(text))
	}
	for name := range opened {
		fmt.Fprintf(&b, "%s close\n", name)
	}
	return b.String()
}

// message writes one of HTTP: its lines with | between, the body behind ||, with ~ for the end
// of a line.
func message(text string) string {
	head, body, hasBody := strings.Cut(text, "||")
	body = strings.ReplaceAll(body, "~", "\r\n")
	lines := strings.Split(head, "|")
	if first := lines[0]; first[0] >= '0' && first[0] <= '9' {
		lines[0] = "HTTP/1.1 " + first + " X"
	} else {
		lines[0] += " HTTP/1.1\r\nHost: a.example"
	}
	out := strings.Join(lines, "\r\n")
	switch {
	case strings.Contains(head, "chunked"):
		for part := range strings.SplitSeq(body, "|") {
			if part != "" {
				out += fmt.Sprintf("\r\n%x;x=y\r\n%s", len(part), part)
			}
		}
		chunks := strings.SplitN(out, ";x=y", 2)
		first := strings.LastIndex(chunks[0], "\r\n")
		return out[:first] + "\r\n" + out[first:] + "\r\n0\r\n\r\n"
	case hasBody, strings.HasPrefix(out, "HTTP"):
		out += fmt.Sprintf("\r\nContent-Length: %d", len(body))
	}
	return out + "\r\n\r\n" + body
}

// uses lists what was found, as "#0.0 cookie sid > #0.1 cookie sid likely".
func (x *told) uses() []string {
	var list []string
	for i := range x.found.requests {
		for _, u := range x.found.requests[i].Uses {
			v := &x.found.Values[u.Value]
			list = append(list, fmt.Sprintf("%s %s > %s %s", v.From, v.Place, u.In, u.Place))
		}
	}
	return list
}

const (
	token = "8f3cA91bE77d4402"
	other = "b2D4f6H8j0L2n4P6"
)

// TestFind finds what came from a server, and nothing else.
func TestFind(t *testing.T) {
	tests := map[string]struct {
		talk string
		want string // uses, with ; between
	}{
		"cookie":              {"a > GET /\na < 200|Set-Cookie: sid=1; Path=/\na > GET /b|Cookie: x=y; sid=1", "#0.0 cookie sid > #0.1 cookie sid"},
		"cookie_other_value":  {"a > GET /\na < 200|Set-Cookie: sid=1\na > GET /b|Cookie: sid=2", ""},
		"cookie_of_before":    {"a > GET /|Cookie: sid=" + token + "\na < 200|Set-Cookie: sid=" + token + "\na > GET /b|Cookie: sid=" + token, "#0.0 cookie sid > #0.1 cookie sid"},
		"cookie_quoted":       {`a > GET /` + "\n" + `a < 200|Set-Cookie: sid="` + token + `"` + "\n" + `a > GET /b|Cookie: sid="` + token + `"`, "#0.0 cookie sid > #0.1 cookie sid"},
		"cookie_to_header":    {"a > GET /\na < 200|Set-Cookie: XSRF-TOKEN=" + token + "%3D%3D\na > POST /b|X-XSRF-TOKEN: " + token + "==", "#0.0 cookie XSRF-TOKEN > #0.1 header X-XSRF-TOKEN"},
		"bearer":              {`a > POST /login` + "\n" + `a < 200|Content-Type: application/json||{"user":{"token":"` + token + `"}}` + "\n" + "a > GET /b|Authorization: Bearer " + token, "#0.0 JSON $.user.token > #0.1 credentials in Authorization"},
		"basic":               {`a > POST /login` + "\n" + `a < 200|Content-Type: application/json||["` + token + `"]` + "\n" + "a > GET /b|Authorization: Basic OjhmM2NBOTFiRTc3ZDQ0MDI=", "#0.0 JSON $[0] > #0.1 credentials in Authorization"},
		"header":              {"a > GET /\na < 200|X-Auth: " + token + "\na > GET /b|X-Other: " + token, "#0.0 header X-Auth > #0.1 header X-Other"},
		"etag":                {"a > GET /\na < 200|ETag: \"" + token + "\"\na > GET /|If-None-Match: \"" + token + "\"", "#0.0 header ETag > #0.1 header If-None-Match"},
		"etag_of_several":     {"a > GET /\na < 200|ETag: \"" + token + "\"\na > GET /|If-None-Match: W/\"x\", \"" + token + "\"", "#0.0 header ETag, part 1 > #0.1 header If-None-Match"},
		"hidden_field":        {`a > GET /` + "\n" + `a < 200|Content-Type: text/html||<form><input type=hidden name="csrf" value="` + token + `">` + "\n" + "a > POST /b|Content-Type: application/x-www-form-urlencoded||x=1&csrf=" + token, "#0.0 hidden field csrf > #0.1 form field csrf"},
		"hidden_field_short":  {`a > GET /` + "\n" + `a < 200|Content-Type: text/html||<form><input type=hidden name="step" value="2">` + "\n" + "a > POST /b|Content-Type: application/x-www-form-urlencoded||x=2&step=2", "#0.0 hidden field step > #0.1 form field step"},
		"second_form":         {`a > GET /` + "\n" + `a < 200|Content-Type: text/html||<input type=hidden name=c value=` + other + `><input type=hidden name=c value=` + token + `>` + "\n" + "a > POST /b|Content-Type: application/x-www-form-urlencoded||c=" + token, "#0.0 hidden field c, number 2 of that name > #0.1 form field c"},
		"meta":                {`a > GET /` + "\n" + `a < 200|Content-Type: text/html||<meta name="csrf-token" content="` + token + `+/="/>` + "\n" + "a > POST /b|X-CSRF-Token: " + token + "+/=", "#0.0 meta tag csrf-token > #0.1 header X-CSRF-Token"},
		"script":              {`a > GET /` + "\n" + `a < 200|Content-Type: text/html||<script>var t = "` + token + `";</script>` + "\n" + "a > POST /b?t=" + token, `#0.0 text behind "<script>var t = \"" > #0.1 query parameter t`},
		"plain_text":          {`a > GET /` + "\n" + `a < 200|Content-Type: text/plain||` + token + "\n" + "a > POST /b|Content-Type: text/plain||" + token, `#0.0 the body > #0.1 the body`},
		"id_of_what_was_made": {`a > POST /users` + "\n" + `a < 201|Location: /users/7||` + "\n" + "a > GET /users/7", "#0.0 header Location, part 2 > #0.1 path segment 2"},
		"id_in_json":          {`a > POST /users` + "\n" + `a < 201|Content-Type: application/json||{"id":7}` + "\n" + `a > PUT /orders|Content-Type: application/json||{"user_id":7,"count":7}`, "#0.0 JSON $.id > #0.1 JSON $.user_id"},
		"id_of_another":       {`a > GET /users` + "\n" + `a < 200|Content-Type: application/json||[{"id":7}]` + "\n" + `a > GET /pages/7`, ""},
		"id_said_before":      {`a > GET /users/7` + "\n" + `a < 200|Content-Type: application/json||{"id":7}` + "\n" + `a > GET /users/7`, ""},
		"id_in_a_link":        {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"next":"http://h:1/users/` + token + `?a=1"}` + "\n" + "a > GET /users/" + token + "?a=1", "#0.0 JSON $.next, part 2 > #0.1 path segment 2"},
		"with_an_extension":   {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"file":"` + token + `"}` + "\n" + "a > GET /f/" + token + ".json", "#0.0 JSON $.file > #0.1 path segment 2"},
		"url_encoded":         {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"t":"` + token + `+/=="}` + "\n" + "a > GET /f?t=" + token + "%2B%2f%3D=", "#0.0 JSON $.t > #0.1 query parameter t"},
		"within_a_parameter":  {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"t":"` + token + `"}` + "\n" + "a > GET /f?to=%2fa%2F" + token + "%2f", "#0.0 JSON $.t > #0.1 query parameter to"},
		"base64_of_it":        {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"t":"` + token + `"}` + "\n" + "a > GET /f?t=OGYzY0E5MWJFNzdkNDQwMg==", "#0.0 JSON $.t > #0.1 query parameter t"},
		"multipart":           {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"t":"` + token + `"}` + "\n" + `a > POST /f|Content-Type: multipart/form-data; boundary=B||--B~Content-Disposition: form-data; name="t"~~` + token + "~--B--~", "#0.0 JSON $.t > #0.1 part t"},
		"said_by_the_client":  {"a > GET /?r=" + token + "\na < 200|X-R: " + token + "\na > GET /b?r=" + token, ""},
		"words":               {`a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"status":"pending","ok":true,"n":12,"when":"2026-01-02T03:04:05Z","v":"1.2.3"}` + "\n" + "a > GET /f?status=pending&n=12&ok=true&when=2026-01-02T03:04:05Z&v=1.2.3", ""},
		"before_the_answer":   {"a > GET /\nb > GET /b?t=" + token + "\na < 200|X-R: " + token + "\nb < 200", ""},
		"across_connections":  {"a > GET /\na < 200|X-R: " + token + "\nb > GET /b?t=" + token + "\nb < 200", "#0.0 header X-R > #1.0 query parameter t"},
		"no_http_in_between":  {"a > GET /\na < 200|Content-Type: image/png||" + token + "\na > GET /b?t=" + token, ""},
		"rotating": {"a > GET /\na < 200|X-T: " + token + "\na > POST /b|X-T: " + token + "\na < 200|X-T: " + other + "\na > POST /c|X-T: " + other,
			"#0.0 header X-T > #0.1 header X-T;#0.1 header X-T > #0.2 header X-T"},
		"two_users": {"a > GET /\nb > GET /\nb < 200|Set-Cookie: s=" + other + "\na < 200|Set-Cookie: s=" + token + "\na > GET /|Cookie: s=" + token + "\nb > GET /|Cookie: s=" + other,
			"#0.0 cookie s > #0.1 cookie s;#1.0 cookie s > #1.1 cookie s"},
		"two_users_short": {`a > POST /carts` + "\n" + `b > POST /carts` + "\n" + `a < 201|Content-Type: application/json||{"id":1}` + "\n" + `b < 201|Content-Type: application/json||{"id":1}` + "\n" + "b > GET /carts/1\na > GET /carts/1",
			"#0.0 JSON $.id > #0.1 path segment 2;#1.0 JSON $.id > #1.1 path segment 2"},
	}
	for trait, test := range tests {
		t.Run(trait, func(t *testing.T) {
			got := find(t, talk(test.talk), Options{}).uses()
			var want []string
			if test.want != "" {
				want = strings.Split(test.want, ";")
			}
			if !slices.Equal(got, want) {
				t.Errorf("found %q\nwant %q", got, want)
			}
		})
	}
}

// replaced plays a recording to a server that says other values: it returns what each request
// then is, and what was missed.
func (x *told) replaced(t testing.TB, live map[string]string) (requests, misses []string) {
	t.Helper()
	var old []string
	for a, b := range live {
		old = append(old, a, b)
	}
	now := strings.NewReplacer(old...)
	l := NewLive(x.found, 0)
	for _, e := range x.exchanges {
		if e.Response != nil {
			l.Take(x.found.In(refOf(e)), answered(t, e.Request, now.Replace(string(e.Response.Raw))))
		}
	}
	for _, e := range x.exchanges {
		l.Over(e.Conversation.ID, "it ended", false)
	}
	for _, e := range x.exchanges {
		raw := e.Request.Raw
		for _, q := range l.Requests(e.Conversation.ID) {
			if q.In == refOf(e) {
				edits, missed := l.Edits(&q)
				raw = apply(raw, e.Request.Offset, edits, 7)
				for _, m := range missed {
					misses = append(misses, fmt.Sprintf("%s %s: %s", m.Use.In, m.Use.Place, m.Why))
				}
			}
		}
		requests = append(requests, string(raw))
	}
	return requests, misses
}

func refOf(e *proto.Exchange) Ref { return Ref{e.Conversation.ID, e.Index} }

// apply has edits made in bytes at an offset, which come in pieces.
func apply(raw []byte, at int64, edits []plan.Edit, piece int) []byte {
	var ed plan.Editor
	ed.Add(edits...)
	var out []byte
	for i := 0; i < len(raw); i += piece {
		s := plan.Step{Offset: at + int64(i), Bytes: raw[i:min(len(raw), i+piece)]}
		ed.Next(&s)
		out = append(out, s.Bytes...)
	}
	return out
}

// receiver keeps the first exchange.
type receiver struct{ e *proto.Exchange }

func (r *receiver) Exchange(e *proto.Exchange) {
	if r.e == nil {
		r.e = e
	}
}

func (r *receiver) Anomaly(flow.Anomaly) {}

// exchange reads a request and its answer.
func exchange(request, response string) *proto.Exchange {
	r := &receiver{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, r, proto.Options{Keep: plan.Keep, Protocol: &proto.HTTP})
	g.Chunk(flow.ClientToServer, flow.Chunk{Data: []byte(request), Ack: flow.NoAck})
	g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte(response), Ack: flow.NoAck})
	g.Close()
	return r.e
}

// answered reads an answer; of one whose length changed, the rest of the connection is its body.
func answered(t testing.TB, request *proto.Message, raw string) *proto.Message {
	t.Helper()
	raw = strings.Replace(raw, "Content-Length:", "X-Length:", 1)
	e := exchange(string(request.Raw), raw)
	if e == nil || e.Response == nil {
		t.Fatalf("no answer: %.80q", raw)
	}
	return e.Response
}

// TestReplace puts live values where recorded ones were, with all lengths right.
func TestReplace(t *testing.T) {
	const now = "a longer+one/="
	get := `a > GET /x` + "\n" + `a < 200|Content-Type: application/json||{"t":"` + token + `","id":7}` + "\n"
	tests := map[string]struct{ talk, want string }{
		"path":       {get + "a > GET /f/" + token + "?x", "GET /f/a%20longer+one%2F=?x"},
		"query":      {get + "a > GET /f?a=b&t=" + token + "&t=" + token, "GET /f?a=b&t=a+longer%2Bone%2F%3D&t=a+longer%2Bone%2F%3D"},
		"form":       {get + "a > POST /f|Content-Type: application/x-www-form-urlencoded||a=b&t=" + token + "&c=d", "POST /f|Content-Type: application/x-www-form-urlencoded||a=b&t=a+longer%2Bone%2F%3D&c=d"},
		"json":       {get + `a > POST /f|Content-Type: application/json||{"a":["` + token + `"], "b":"x\n` + token + `"}`, `POST /f|Content-Type: application/json||{"a":["` + now + `"], "b":"x\n` + now + `"}`},
		"basic":      {get + "a > GET /b|Authorization: Basic OjhmM2NBOTFiRTc3ZDQ0MDI=", "GET /b|Authorization: Basic OmEgbG9uZ2VyK29uZS89"},
		"bearer":     {get + "a > GET /b|Authorization:  Bearer  " + token, "GET /b|Authorization:  Bearer  " + now},
		"base64":     {get + "a > GET /f?t=OGYzY0E5MWJFNzdkNDQwMg==", "GET /f?t=YSBsb25nZXIrb25lLz0%3D"},
		"plain_body": {get + "a > POST /b|Content-Type: text/plain||<a>" + token + "</a>", "POST /b|Content-Type: text/plain||<a>" + now + "</a>"},
		"multipart": {get + `a > POST /f|Content-Type: multipart/form-data; boundary=B||--B~Content-Disposition: form-data; name="t"~~` + token + "~--B--~",
			`POST /f|Content-Type: multipart/form-data; boundary=B||--B~Content-Disposition: form-data; name="t"~~` + now + "~--B--~"},
		"chunked": {get + "a > POST /f|Content-Type: application/x-www-form-urlencoded|Transfer-Encoding: chunked||a=b&t=8f3|cA91bE77d4|402|&c=d",
			"POST /f|Content-Type: application/x-www-form-urlencoded|Transfer-Encoding: chunked||a=b&t=a+longer%2Bone%2F%3D|&c=d"},
		"several": {get + "a > POST /f/" + token + "|X-A: " + token + `|Content-Type: application/json||["` + token + `","` + token + `"]`,
			`POST /f/a%20longer+one%2F=|X-A: ` + now + `|Content-Type: application/json||["` + now + `","` + now + `"]`},
		"within_what_is_encoded": {get + "a > GET /f?to=%2fa%2F" + token + "%2f", "GET /f?to=%2fa%2Fa+longer%2Bone%2F%3D%2f"},
		"number":                 {get + `a > POST /x|Content-Type: application/json||{"id":7,"n":7}`, `POST /x|Content-Type: application/json||{"id":12,"n":7}`},
	}
	for trait, test := range tests {
		t.Run(trait, func(t *testing.T) {
			x := find(t, talk(test.talk), Options{})
			got, missed := x.replaced(t, map[string]string{token: now, `"id":7`: `"id":12`})
			if want := message(test.want); got[len(got)-1] != want || len(missed) > 0 {
				t.Errorf("sends\n%q, want\n%q; missed %q", got[len(got)-1], want, missed)
			}
			same, missed := x.replaced(t, nil)
			for i, e := range x.exchanges {
				if same[i] != string(e.Request.Raw) || len(missed) > 0 {
					t.Errorf("with the same values, %q became %q; missed %q", e.Request.Raw, same[i], missed)
				}
			}
		})
	}
}

// TestMiss says what can't be replaced, and sends it as it was.
func TestMiss(t *testing.T) {
	get := `a > GET /x` + "\n" + `a < 200|Set-Cookie: s=` + other + `|Content-Type: application/json||{"t":"` + token + `"}` + "\n"
	tests := map[string]struct {
		talk string
		live map[string]string
		want string
	}{
		"gone":            {get + "a > GET /f?t=" + token, map[string]string{`"t":`: `"u":`}, "#0.1 query parameter t: the answer of #0.0 no longer has JSON $.t"},
		"empty":           {get + "a > GET /f?t=" + token, map[string]string{token: ""}, "#0.1 query parameter t: the answer of #0.0 no longer has JSON $.t"},
		"cookie_gone":     {get + "a > GET /|Cookie: s=" + other, map[string]string{"Set-Cookie": "X-Cookie"}, "#0.1 cookie s: the answer of #0.0 no longer has cookie s"},
		"a_line_end":      {get + "a > GET /|X-T: " + token, map[string]string{token: `a\r\nb: c`}, "#0.1 header X-T: what the server says now can't stand there"},
		"another_cookie":  {get + "a > GET /|Cookie: x=" + token, map[string]string{token: `a; b=c`}, "#0.1 cookie x: what the server says now can't stand there"},
		"end_of_the_part": {get + `a > POST /f|Content-Type: multipart/form-data; boundary=B||--B~Content-Disposition: form-data; name="t"~~` + token + "~--B--~", map[string]string{token: `\r\n--B--`}, "#0.1 part t: what the server says now can't stand there"},
	}
	for trait, test := range tests {
		t.Run(trait, func(t *testing.T) {
			x := find(t, talk(test.talk), Options{})
			got, missed := x.replaced(t, test.live)
			if len(missed) != 1 || missed[0] != test.want || got[1] != string(x.exchanges[1].Request.Raw) {
				t.Errorf("missed %q, want %q; sends %q", missed, test.want, got[1])
			}
		})
	}
}

// TestSet puts in what the recording can't know.
func TestSet(t *testing.T) {
	const login = "a > GET /\na < 200|Set-Cookie: s=" + token + "\n"
	tests := map[string]struct{ talk, set, want string }{
		"header": {login + "a > GET /|authorization: Bearer " + token + "|Cookie: s=" + token, "header.Authorization=Bearer new", "GET /|authorization: Bearer new|Cookie: s=" + token},
		"cookie": {login + "a > GET /|Cookie: a=b; s=" + token, "cookie.s=new", "GET /|Cookie: a=b; s=new"},
		"query":  {login + "a > GET /?a=" + token, "query.a=a b", "GET /?a=a+b"},
		"form":   {login + "a > POST /|Content-Type: application/x-www-form-urlencoded||a=1", "form.a=x=y", "POST /|Content-Type: application/x-www-form-urlencoded||a=x%3Dy"},
		"json":   {login + `a > POST /|Content-Type: application/json||{"a":[{"b":1}]}`, "json.$.a[0].b=x", `POST /|Content-Type: application/json||{"a":[{"b":"x"}]}`},
	}
	for trait, test := range tests {
		t.Run(trait, func(t *testing.T) {
			set, err := ParseSet(test.set)
			if err != nil {
				t.Fatal(err)
			}
			got, missed := find(t, talk(test.talk), Options{Set: []Set{set}}).replaced(t, nil)
			if want := message(test.want); got[1] != want || len(missed) > 0 {
				t.Errorf("sends %q, want %q; missed %q", got[1], want, missed)
			}
		})
	}
	for _, bad := range []string{"", "x", "header", "header.=x", "head.X=y", "json.token=x", "header.X=a\r\nb", "cookie.=", "=x"} {
		if s, err := ParseSet(bad); err == nil {
			t.Errorf("%q sets %+v", bad, s)
		}
	}
}
