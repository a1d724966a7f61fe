package values

import (
	"bytes"
	"strings"
	"testing"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// FuzzReplace has a request say what an answer had, in whatever way: with other values, the
// request is still one of the same shape, with its lengths right; with the same, not a byte of
// it is another.
func FuzzReplace(f *testing.F) {
	for _, s := range [][2]string{
		{"200|Set-Cookie: s=" + token, "GET /|Cookie: s=" + token},
		{`200|Content-Type: application/json||{"t":"` + token + `"}`, "POST /" + token + "|Content-Type: application/x-www-form-urlencoded||a=" + token},
		{`200|Content-Type: application/json||{"t":"` + token + `"}`, `POST /|Transfer-Encoding: chunked|Content-Type: application/json||{"a\u0041":"|x\n` + token + `|"}`},
		{`200|Content-Type: text/html||<input type=hidden name=t value=` + token + `>` + strings.Repeat("[", 100), "POST /|Content-Type: multipart/form-data; boundary=B||--B~Content-Disposition: form-data; name=\"t\"~~" + token + "~--B--~"},
		{`200||` + token, "GET /|Authorization: Basic OjhmM2NBOTFiRTc3ZDQ0MDI="},
	} {
		f.Add(message(s[0]), message(s[1]), "other\r\n \x00+/%")
	}
	f.Fuzz(func(t *testing.T, answer, request, now string) {
		first := exchange("GET / HTTP/1.1\r\n\r\n", answer)
		second := exchange(request, "HTTP/1.1 204 No\r\n\r\n")
		if first == nil || second == nil || first.Response == nil || second.Request == nil || !second.Request.Complete {
			return
		}
		conversation := &flow.Conversation{Tuple: flow.Unknown(flow.TCP)}
		first.Conversation, second.Conversation, second.Index = conversation, conversation, 1
		second.Request.Time = first.Response.End
		finder := NewFinder(Options{})
		finder.Exchange(first)
		finder.Exchange(second)
		found := finder.Found()
		check(t, found, second.Request, func(v *Value, text string) string { return text }, first)
		check(t, found, second.Request, func(v *Value, text string) string { return now }, first)
	})
}

// check replaces the values of a request by what live says that they are.
func check(t *testing.T, found *Found, m *proto.Message, live func(v *Value, text string) string, first *proto.Exchange) {
	t.Helper()
	l := NewLive(found, 0)
	same := true
	list := found.In(Ref{0, 0})
	for i, text := range found.extract(list, first.Response) {
		v := &found.Values[list[i]]
		now := live(v, text)
		s := meets(v, now, found.seed)
		same = same && s.same
		l.settle(list[i], s)
	}
	for _, q := range l.Requests(0) {
		edits, misses := l.Edits(&q)
		got := apply(m.Raw, m.Offset, edits, 1+len(m.Raw)/3)
		if same && (len(misses) > 0 || !bytes.Equal(got, m.Raw)) {
			t.Fatalf("with the same values, %q became %q", m.Raw, got)
		}
		e := exchange(string(got), "")
		if e == nil || e.Request == nil || !e.Request.Complete || int(e.Request.Length) != len(bytes.TrimLeft(got, "\r\n")) {
			t.Fatalf("%q became %q, which is no request", m.Raw, got)
		}
		a, b := m.Body.(*proto.HTTPMessage), e.Request.Body.(*proto.HTTPMessage)
		if a.Method != b.Method || len(a.Fields) != len(b.Fields) || a.Chunked != b.Chunked {
			t.Fatalf("%q became %q, which is another", m.Raw, got)
		}
	}
}

// TestHostile keeps its bounds whatever is said.
func TestHostile(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 10000)
	var many strings.Builder
	for range 5000 {
		many.WriteString(token + ` "id": "x1y2z3w4",` + "\n")
	}
	for trait, body := range map[string]string{
		"deep": deep, "wide": "[" + strings.Repeat(`"`+token+`",`, 10000) + "1]", "long": `["` + strings.Repeat("x1", 1<<17) + `"]`,
		"open": `{"a":"` + strings.Repeat(`\`, 1<<16), "runs": many.String(), "keys": `{"` + strings.Repeat("k", 1<<17) + `":"` + token + `"}`,
		"tags": strings.Repeat("<input type=hidden name="+token+" value="+token+">", 2000),
	} {
		for _, kind := range []string{"application/json", "text/html", "text/plain", ""} {
			f := NewFinder(Options{})
			e := exchange(message("POST /|Content-Type: "+kind+"||"+body), message("200|Content-Type: "+kind+"||"+body))
			e.Conversation = &flow.Conversation{}
			f.Exchange(e)
			if n := len(f.ring); n > 6*(maxLeaves+maxRuns+maxFields) {
				t.Errorf("%s as %q: %d are remembered", trait, kind, n)
			}
			e.Index = 1
			f.Exchange(e)
			f.Found()
		}
	}
}

// TestForgets has room for so much, and says when it forgot something.
func TestForgets(t *testing.T) {
	f := NewFinder(Options{})
	f.bounds.tokens = 1000
	for i := range f.bounds.tokens + 10 {
		f.remember(origin{key: uint64(i + 1), value: -1})
	}
	if len(f.ring) != f.bounds.tokens || len(f.byKey) != f.bounds.tokens || f.Found().Forgotten != 10 {
		t.Errorf("%d and %d are remembered, %d forgotten", len(f.ring), len(f.byKey), f.found.Forgotten)
	}
	if _, there := f.byKey[5]; there {
		t.Error("the oldest is still there")
	}
}
