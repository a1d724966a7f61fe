package rules_test

import (
	"strings"
	"testing"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/rules"
)

// exchange keeps the first exchange of a dialogue.
type exchange struct{ first *proto.Exchange }

func (x *exchange) Exchange(e *proto.Exchange) {
	if x.first == nil {
		x.first = e
	}
}

func (x *exchange) Anomaly(flow.Anomaly) {}

// ask returns a request for a target and a response with this type and body.
func ask(t *testing.T, target, headers, body string) *proto.Exchange {
	t.Helper()
	x := &exchange{}
	g := proto.NewDialogue(&flow.Conversation{Tuple: flow.Unknown(flow.TCP)}, x, proto.Options{Keep: 1 << 20, Protocol: &proto.HTTP})
	g.Chunk(flow.ClientToServer, flow.Chunk{Data: []byte("GET " + target + " HTTP/1.1\r\nHost: a.example\r\n\r\n"), Ack: flow.NoAck})
	g.Chunk(flow.ServerToClient, flow.Chunk{Data: []byte("HTTP/1.1 200 OK\r\n" + headers + "\r\n\r\n" + body), Ack: flow.NoAck})
	g.Close()
	if x.first == nil || x.first.Response == nil {
		t.Fatal("no exchange")
	}
	return x.first
}

const jsonType = "Content-Type: application/json"

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name, rule             string
		target, recorded, live string // bodies; or header lines when they begin with X-
		want                   int
	}{
		{"ignored", "{json: $.a, ignore: true}", "/", `{"a":1}`, `{}`, 0},
		{"another_place", "{json: $.b, ignore: true}", "/", `{"a":1}`, `{}`, 1},
		{"ignored_kind", "{json: $.a, ignore: value}", "/", `{"a":1}`, `{"a":2}`, 0},
		{"another_kind", "{json: $.a, ignore: [value, extra]}", "/", `{"a":1}`, `{}`, 1},
		{"wildcard", "{json: '$.items[*].id', ignore: true}", "/", `{"items":[{"id":1},{"id":2}]}`, `{"items":[{"id":3},{"id":4}]}`, 0},
		{"anywhere", "{json: $..id, ignore: true}", "/", `{"id":1,"x":[{"y":{"id":2}}]}`, `{"id":3,"x":[{"y":{"id":4}}]}`, 0},
		{"by_number", "{json: '$[1]', ignore: true}", "/", `[1,2]`, `[1,3]`, 0},
		{"quoted_key", `{json: '$["a b"]', ignore: true}`, "/", `{"a b":1}`, `{"a b":2}`, 0},
		{"endpoint", "{endpoint: 'GET /users/{id}', json: $.a, ignore: true}", "/users/7?x=1", `{"a":1}`, `{"a":2}`, 0},
		{"endpoint_with_host", "{endpoint: 'GET a.example/users/{id}', json: $.a, ignore: true}", "/users/7", `{"a":1}`, `{"a":2}`, 0},
		{"another_endpoint", "{endpoint: 'GET /users', json: $.a, ignore: true}", "/users/7", `{"a":1}`, `{"a":2}`, 1},
		{"endpoint_alone", "{endpoint: '* /users/*', ignore: true}", "/users/7", `{"a":1}`, `{"a":2}`, 0},
		{"match", "{json: $.a, match: '^[0-9]+$'}", "/", `{"a":"x"}`, `{"a":"7"}`, 0},
		{"no_match", "{json: $.a, match: '^[0-9]+$'}", "/", `{"a":"x"}`, `{"a":"y"}`, 1},
		{"tolerated", "{json: $.a, tolerance: 0.5}", "/", `{"a":1.25}`, `{"a":1.75}`, 0},
		{"too_far", "{json: $.a, tolerance: 0.5}", "/", `{"a":1.25}`, `{"a":1.7500000000000000000001}`, 1},
		{"relative", "{json: $.a, tolerance: 10%}", "/", `{"a":-100}`, `{"a":-91}`, 0},
		{"relatively_far", "{json: $.a, tolerance: 10%}", "/", `{"a":-100}`, `{"a":-89}`, 1},
		{"type_only", "{json: $.a, shape: type}", "/", `{"a":"x"}`, `{"a":"y"}`, 0},
		{"type_changes", "{json: $.a, shape: type}", "/", `{"a":"x"}`, `{"a":1}`, 1},
		{"uuid", "{json: $.a, shape: uuid}", "/", `{"a":"7d444840-9dc0-11d1-b245-5ffdce74fad2"}`, `{"a":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}`, 0},
		{"no_uuid", "{json: $.a, shape: uuid}", "/", `{"a":"7d444840-9dc0-11d1-b245-5ffdce74fad2"}`, `{"a":"gone"}`, 1},
		{"timestamp", "{json: $.a, shape: timestamp}", "/", `{"a":1767323045}`, `{"a":1777323045}`, 0},
		{"no_timestamp", "{json: $.a, shape: timestamp}", "/", `{"a":"2026-01-02"}`, `{"a":"never"}`, 1},
		{"set", "{json: $.a, array: set}", "/", `{"a":[1,2,3,3]}`, `{"a":[3,3,2,1]}`, 0},
		{"set_counts", "{json: $.a, array: set}", "/", `{"a":[1,2,3,3]}`, `{"a":[3,2,2,1]}`, 2},
		{"by_key", "{json: $.a, array: by-key(k)}", "/", `{"a":[{"k":1,"v":1},{"k":2,"v":1}]}`, `{"a":[{"k":2,"v":2},{"k":1,"v":1}]}`, 1},
		{"spelling", "{json: $.a, spelling: true}", "/", `{"a":[1.0],"b":1.0}`, `{"a":[1],"b":1}`, 0},
		{"spelling_below", "{json: '$..a[0]', spelling: true}", "/", `{"a":[1.0,1.0],"b":1.0}`, `{"a":[1,1],"b":1}`, 1},
		{"header", "{header: X-A, ignore: true}", "/", "X-A: 1", "X-A: 2", 0},
		{"any_header", `{header: "*", ignore: extra}`, "/", jsonType, "X-A: 2\r\n" + jsonType, 0},
		{"header_shape", "{header: x-a, shape: counter}", "/", "X-A: 1", "X-A: 2", 0},
		{"header_gone", "{header: x-a, shape: counter}", "/", "X-A: 1", "X-B: 2", 2},
		{"text", "{text: 'took [0-9]+ ms'}", "/", `{"a":"it took 5 ms"}`, `{"a":"it took 17 ms"}`, 0},
		{"text_and_more", "{text: 'took [0-9]+ ms'}", "/", `{"a":"it took 5 ms"}`, `{"a":"he took 17 ms"}`, 1},
		{"status_is_not_ignored_by_value", "{endpoint: '*', ignore: value}", "/", `{"a":1}`, `{"a":2}`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := rules.Read(strings.NewReader("version: 1\nrules:\n  - "+c.rule), "f")
			if err != nil {
				t.Fatal(err)
			}
			message := func(s string) *proto.Exchange {
				if !strings.HasPrefix(s, "{") && !strings.HasPrefix(s, "[") {
					return ask(t, c.target, s, "")
				}
				return ask(t, c.target, jsonType, s)
			}
			a, b := message(c.recorded), message(c.live)
			if got := (compare.Rules{List: list}).To(a.Request).Messages(a.Response, b.Response); len(got) != c.want {
				t.Errorf("%d differences, want %d: %v", len(got), c.want, got)
			}
		})
	}
}

// TestMistakes wants each told with its place, and with what would be right.
func TestMistakes(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"rules:\n  - json: a.b\n    ignore: true", `f:2:11: a path begins with $`},
		{"rules:\n  - json: $.a[x]\n    ignore: true", `f:2:11: in brackets stands a number, * or a key in quotes`},
		{"rules:\n  - jsn: $.a\n    ignore: true", `f:2:5: "jsn" is not known; a rule has endpoint:, one of json, header`},
		{"rules:\n  - json: $.a\n", `f:2:5: the rule does not say what holds`},
		{"rules:\n  - ignore: true", `f:2:5: the rule does not say where it holds`},
		{"rules:\n  - json: $.a\n    header: b\n    ignore: true", `f:3:5: json and header say the same sort of thing`},
		{"rules:\n  - json: $.a\n    match: '['", `f:3:12: error parsing regexp`},
		{"rules:\n  - json: $.a\n    tolerance: -1", `f:3:16: a tolerance is a number of 0 or more`},
		{"rules:\n  - json: $.a\n    shape: guid", `f:3:12: a shape "guid" is not known; there are type, uuid`},
		{"rules:\n  - json: $.a\n    array: bag", `f:3:12: an array is ordered, set or by-key(NAME)`},
		{"rules:\n  - json: $.a\n    ignore: [value, all]", `f:3:21: a kind of difference "all" is not known`},
		{"rules:\n  - json: $.a\n    json: $.b\n    ignore: true", `f:3:5: json is there twice`},
		{"rules: x", "f:1:8: rules: is a list"},
		{"version: 2", `f:1:10: version "2" is not known`},
		{"- a", "f:1:1: here stands version: 1 and rules:"},
		{"rules:\n\t- a", "f: line 2: found character that cannot start any token"},
	} {
		_, err := rules.Read(strings.NewReader(c.file), "f")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
}

// TestWrite reads what was written, and wants it to excuse what it was written for.
func TestWrite(t *testing.T) {
	a := ask(t, "/users/7", jsonType+"\r\nX-A: 1\r\nX-B: b", `{"items":[{"at":"2026-01-02T03:04:05Z","a b":"x"}],"7":1}`)
	b := ask(t, "/users/7", jsonType+"\r\nX-A: 2", `{"items":[{"at":"2026-02-02T03:04:05Z","a b":"y"}],"7":2}`)
	var learned []rules.Learned
	for _, d := range (compare.Rules{}).To(a.Request).Messages(a.Response, b.Response) {
		learned = append(learned, rules.Learned{
			Endpoint: compare.EndpointOf(a.Request), Kind: d.Kind, Place: d.Place, Shape: d.Was, Why: "differs",
		})
	}
	var file strings.Builder
	if err := rules.Write(&file, nil, learned); err != nil {
		t.Fatal(err)
	}
	list, err := rules.Read(strings.NewReader(file.String()), "f")
	if err != nil {
		t.Fatalf("%v in\n%s", err, file.String())
	}
	if got := (compare.Rules{List: list}).To(a.Request).Messages(a.Response, b.Response); len(learned) != 5 || len(got) > 0 {
		t.Errorf("of %d differences %v are left by\n%s", len(learned), got, file.String())
	}
	var more strings.Builder
	if err := rules.Write(&more, []byte(file.String()), learned[:1]); err != nil {
		t.Fatal(err)
	}
	if again, err := rules.Read(strings.NewReader(more.String()), "f"); err != nil || len(again) != 6 {
		t.Errorf("%d rules, %v in\n%s", len(again), err, more.String())
	}
}

// FuzzRead wants any file to be rules or a mistake.
func FuzzRead(f *testing.F) {
	f.Add("version: 1\nrules:\n  - endpoint: GET /\n    json: $..a['b'][*][0]\n    tolerance: 5%\n")
	f.Add("rules: [{header: a, ignore: [value]}, {text: 'a+'}, {form: x, shape: uuid}, {place: body, array: by-key(id)}]")
	f.Fuzz(func(t *testing.T, file string) {
		list, err := rules.Read(strings.NewReader(file), "f")
		if err != nil && err.Error() == "" {
			t.Error("a mistake that says nothing")
		}
		a, b := ask(t, "/", jsonType, `{"a":[1,{"b":"c"}]}`), ask(t, "/", jsonType, `{"a":[2,{"b":"d"},3]}`)
		if got := (compare.Rules{List: list}).To(a.Request).Messages(a.Response, a.Response); got != nil {
			t.Errorf("what is the same differs by %q: %v", file, got)
		}
		(compare.Rules{List: list}).To(a.Request).Messages(a.Response, b.Response)
	})
}
