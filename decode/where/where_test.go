package where_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/where"
	"netlab/pcaps/craft"
)

// recipe makes one exchange of each kind, which the tables call by these names:
// post is answered late, get has neither host nor answer, dns is answered, the
// FTP server says hello before retr, and raw is a datagram without an answer.
const recipe = `
tcp web 10.1.0.1:40001 > 10.1.0.2:8080
web open
web > "POST /users?id=7 HTTP/1.1\r\nHost: api.example\r\nContent-Length: 2\r\n\r\nhi"
wait 250ms
web < "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
web > "GET /slow HTTP/1.1\r\n\r\n"
web < rst
udp ask 10.1.0.1:50053 > 10.1.0.53:53
ask > dns 1 query a.example A
wait 5ms
ask < dns 1 answer "a.example. 60 IN A 192.0.2.1"
tcp file 10.1.0.1:40021 > 10.1.0.2:21
file open
file < "220 ready\r\n"
file > "RETR notes\r\n"
file < "226 Done\r\n"
udp echo [fd00::1]:50001 > [fd00::2]:7
echo > "ping"
`

const all = "post get dns hello retr raw"

var names = map[[2]int]string{{0, 0}: "post", {0, 1}: "get", {1, 0}: "dns", {2, 0}: "hello", {2, 1}: "retr", {3, 0}: "raw"}

// collector keeps what a filter lets through, as lines and as they are.
type collector struct {
	lines     []string
	exchanges []*proto.Exchange
	fail      string // the line at which to return errStop
}

var errStop = errors.New("stop")

func (c *collector) line(format string, args ...any) error {
	c.lines = append(c.lines, fmt.Sprintf(format, args...))
	if c.lines[len(c.lines)-1] == c.fail {
		return errStop
	}
	return nil
}

func (c *collector) Exchange(e *proto.Exchange) error {
	c.exchanges = append(c.exchanges, e)
	return c.line("exchange %d.%d", e.Conversation.ID, e.Index)
}
func (c *collector) Start(v *flow.Conversation) error  { return c.line("start %d", v.ID) }
func (c *collector) Close(v *flow.Conversation) error  { return c.line("close %d", v.ID) }
func (c *collector) Finish(v *flow.Conversation) error { return c.line("finish %d", v.ID) }
func (c *collector) Anomaly(a flow.Anomaly) error {
	return c.line("%s %d", a.Kind, a.Conversation.ID)
}
func (c *collector) Summary(s *decode.Summary) error { return c.line("summary of %d", s.Packets) }

// run decodes a recipe into a sink.
func run(t testing.TB, recipe string, sink decode.Sink) error {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	_, err = decode.Run(b.Source(), sink, decode.Options{})
	return err
}

// exchanges decodes the recipe above.
func exchanges(t testing.TB) []*proto.Exchange {
	t.Helper()
	var c collector
	if err := run(t, recipe, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.exchanges) != len(names) {
		t.Fatalf("%d exchanges, want %d", len(c.exchanges), len(names))
	}
	slices.SortFunc(c.exchanges, func(a, b *proto.Exchange) int {
		return 10*(a.Conversation.ID-b.Conversation.ID) + a.Index - b.Index
	})
	return c.exchanges
}

// picked names the exchanges that a filter picks.
func picked(f *where.Filter, list []*proto.Exchange) string {
	var out []string
	for _, e := range list {
		if f.Match(e) {
			out = append(out, names[[2]int{e.Conversation.ID, e.Index}])
		}
	}
	return strings.Join(out, " ")
}

func TestFilter(t *testing.T) {
	list := exchanges(t)
	for _, c := range []struct{ name, expr, want string }{
		// Fields.
		{"id", `id == 1`, "dns"},
		{"id_zero", `conversation == 0`, "post get"},
		{"protocol", `protocol == raw`, "raw"},
		{"transport", `transport == udp`, "dns raw"},
		{"client", `client == "10.1.0.1:40001"`, "post get"},
		{"client_ipv6", `client == [fd00::1]:50001`, "raw"},
		{"server", `server == 10.1.0.53:53`, "dns"},
		{"client_port", `client.port >= 50001`, "dns raw"},
		{"server_port", `server.port == 8080`, "post get"},
		{"state_unanswered", `state == unanswered`, "get raw"},
		{"state_complete", `state == complete`, "post dns hello retr"},
		{"latency", `latency > 1ms`, "post dns"},
		{"total", `total >= 250ms`, "post"},
		{"request_bytes", `request.bytes == 69`, "post"},
		{"response_bytes", `response.bytes < 15`, "hello retr"},
		{"method", `method == POST`, "post"},
		{"method_in_long", `http.method == POST`, "post"},
		{"target", `target == "/users?id=7"`, "post"},
		{"host", `host == api.example`, "post"},
		{"status", `status == 503`, "post"},
		{"dns_name", `dns.name == a.example`, "dns"},
		{"ftp_command", `ftp.command == RETR`, "retr"},

		// Comparisons.
		{"equals_in_short", `status = 503`, "post"},
		{"not_equal", `method != POST`, "get"},
		{"less", `status < 503`, ""},
		{"less_or_equal", `status <= 503`, "post"},
		{"greater", `status > 503`, ""},
		{"greater_or_equal", `status >= 503`, "post"},
		{"without_spaces", `status>=500&&method=="POST"`, "post"},
		{"text_in_order", `protocol < ftp`, "dns"},
		{"text_has_case", `method == post`, ""},
		{"contains", `target contains "id="`, "post"},
		{"contains_word", `target contains slow`, "get"},
		{"contains_nothing", `host contains ""`, "post"},
		{"contains_is_of_the_text", `host contains "a.i"`, ""},
		{"number_contains", `status contains 50`, "post"},
		{"zero_contains", `id contains 0`, "post get"},
		{"matches", `host ~ "^api\\."`, "post"},
		{"matches_anywhere", `target ~ s`, "post get"},
		{"matches_raw_string", "target ~ `^/users\\?id=\\d$`", "post"},
		{"number_matches", `status ~ ^5..$`, "post"},
		{"zero_matches", `id ~ ^0$`, "post get"},
		{"single_quotes", `target contains 's?id=' and method == 'POST'`, "post"},
		{"single_quotes_keep_all", `target ~ '^/users\?id=\d$'`, "post"},
		{"single_quotes_of_one_letter", `target contains '?'`, "post"},
		{"quoted_keyword", `method == "and"`, ""},

		// Units.
		{"microseconds", `latency == 250100us`, "post"},
		{"microseconds_in_greek", `latency == 250100µs`, "post"},
		{"milliseconds", `latency == 250.1ms`, "post"},
		{"zero_of_any_unit", `latency > 0`, "post dns retr"},
		{"nanoseconds", `latency == 250100000ns`, "post"},
		{"minutes", `latency < 1m and latency < 1h`, "post dns retr"},
		{"half_a_nanosecond", `latency >= 250100000.5ns or latency <= 250100000.5ns`, "post dns retr"},
		{"seconds", `latency > 0.25s`, "post"},
		{"bytes", `request.bytes == 69B`, "post"},
		{"kilobytes", `request.bytes < .069kB`, "get dns retr raw"},
		{"megabytes", `request.bytes < 1MB and request.bytes < 1GB and request.bytes < 1e3`, "post get dns retr raw"},
		{"negative", `latency > -1s`, "post dns retr"},

		// A field alone asks whether it is there.
		{"has_latency", `latency`, "post dns retr"},
		{"has_status", `status`, "post"},
		{"has_request", `request.bytes`, "post get dns retr raw"},
		{"has_no_host", `method && !host`, "get"},
		{"always_there", `protocol`, all},

		// What is missing is neither equal nor different.
		{"missing_equal", `ftp.command == QUIT`, ""},
		{"missing_not_equal", `host != x`, "post"},
		{"missing_status_not_equal", `status != 200`, "post"},
		{"missing_less", `latency < 10s`, "post dns retr"},
		{"missing_not_less", `latency >= 10s || latency < 10s`, "post dns retr"},
		{"missing_contains", `dns.name contains ""`, "dns"},
		{"missing_matches", `dns.name ~ ""`, "dns"},
		{"missing_denied", `!(status == 503)`, "get dns hello retr raw"},

		// Precedence: ! before && before ||.
		{"or_of_and", `protocol == raw || protocol == http && status == 503`, "post raw"},
		{"and_before_or", `protocol == http && status == 503 || protocol == raw`, "post raw"},
		{"parentheses", `(protocol == raw || protocol == http) && state == unanswered`, "get raw"},
		{"parentheses_in_vain", `((protocol == raw)) && (((status || (id))))`, "raw"},
		{"not_binds_tightest", `!status == 503 && protocol == http`, "get"},
		{"not_of_parentheses", `!(protocol == http || protocol == ftp)`, "dns raw"},
		{"not_not", `!!status`, "post"},
		{"words", `not protocol == http and not transport == udp or dns.name`, "dns hello retr"},
		{"words_before_parentheses", `not(protocol == http)and(transport == udp)`, "dns raw"},
		{"or_goes_on", `id == 1 or id == 2 or id == 3`, "dns hello retr raw"},
		{"and_goes_on", `status and method and host`, "post"},
		{"white_space", "\t protocol\n==\nraw \n", "raw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := where.Compile(c.expr)
			if err != nil {
				t.Fatal(err)
			}
			if got := picked(f, list); got != c.want {
				t.Errorf("%s\npicks %q, want %q", c.expr, got, c.want)
			}
		})
	}
}

// TestSyntaxError puts a ^ in the line below an expression where it goes wrong.
func TestSyntaxError(t *testing.T) {
	for _, c := range []struct{ name, expr, caret, reason string }{
		{"empty", ``, `^`, "something is missing here"},
		{"white_space", `  `, `  ^`, "something is missing here"},
		{"no_such_field", `staus == 1`, `^`, "there is no field staus; do you mean status?"},
		{"no_such_field_later", `status == 1 and not hots`, `                    ^`, "there is no field hots; do you mean host?"},
		{"near_miss_beginning", `lat > 1`, `^`, "there is no field lat; do you mean latency?"},
		{"near_miss_end", `request.host == a`, `^`, "there is no field request.host; do you mean host?"},
		{"near_miss_last_word", `name == a`, `^`, "there is no field name; do you mean dns.name?"},
		{"field_is_quoted", `"status" == 1`, `^`, `there is no field "status"`},
		{"no_value", `status ==`, `         ^`, "a value is missing here"},
		{"no_value_before_and", `status == && id`, `          ^`, "a value is missing here"},
		{"keyword_as_value", `host == not`, `        ^`, "a value is missing here"},
		{"two_operators", `status >= > 5`, `          ^`, "a value is missing here"},
		{"parenthesis_as_value", `host == (a)`, `        ^`, "a value is missing here"},
		{"no_operator", `status 500`, `       ^`, "unexpected 500"},
		{"two_expressions", `status == 1 id == 2`, `            ^`, "unexpected id"},
		{"number_is_none", `status == ok`, `          ^`, "http.status is a number, ok is none"},
		{"number_is_quoted", `status == "200"`, `          ^`, `http.status is a number, "200" is none`},
		{"unit_is_none", `latency > 5days`, `          ^`, "latency is a duration, 5days is none: write 250ms"},
		{"two_points", `latency > 1.2.3`, `          ^`, "latency is a duration, 1.2.3 is none: write 250ms"},
		{"not_a_number", `latency > NaN`, `          ^`, "latency is a duration, NaN is none: write 250ms"},
		{"infinite", `latency < inf`, `          ^`, "latency is a duration, inf is none: write 250ms"},
		{"and_at_the_end", `status == 1 &&`, `              ^`, "something is missing here"},
		{"or_at_the_end", `status == 1 or `, `               ^`, "something is missing here"},
		{"and_at_the_beginning", `&& status`, `^`, "there is no field &&"},
		{"not_alone", `!`, ` ^`, "something is missing here"},
		{"one_ampersand", `status & id`, `       ^`, "unexpected &"},
		{"one_bar", `status | id`, `       ^`, "unexpected |"},
		{"open_parenthesis", `(status == 1`, `            ^`, "a parenthesis that is not closed"},
		{"empty_parentheses", `status and ()`, `            ^`, "there is no field )"},
		{"closed_once_more", `(status))`, `        ^`, "unexpected )"},
		{"open_string", `host == "api`, `        ^`, "a string that does not end"},
		{"unknown_escape", `host ~ "^api\.x"`, `       ^`, "a string that does not end, or has an unknown escape ("},
		{"equals_in_a_word", `target == /users?id=7`, `                   ^`, "unexpected ="},
		{"open_single_quotes", `host == 'api`, `        ^`, "a string that does not end"},
		{"bad_pattern", `host ~ "(" and id`, `       ^`, "error parsing regexp: missing closing ): `(`"},
		{"behind_wide_letters", `host == "äöü" and host ==`, `                         ^`, "a value is missing here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := where.Compile(c.expr)
			var syntax *where.SyntaxError
			if f != nil || !errors.As(err, &syntax) {
				t.Fatalf("it compiles, or fails otherwise: %v", err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != 3 || !strings.HasPrefix(lines[0], c.reason) || lines[1] != "  "+c.expr || lines[2] != "  "+c.caret {
				t.Errorf("got\n%s\nwant\n%s\n  %s\n  %s", err, c.reason, c.expr, c.caret)
			}
			// The caret counts letters, the offset bytes.
			if want := len(string([]rune(c.expr)[:len(c.caret)-1])); syntax.Offset != want {
				t.Errorf("offset %d, want %d", syntax.Offset, want)
			}
		})
	}
}

// TestDepth bounds what the parser's own stack holds.
func TestDepth(t *testing.T) {
	list := exchanges(t)
	nested := func(open string, n int, end string) string {
		return strings.Repeat(open, n) + "id" + strings.Repeat(end, n)
	}
	for _, c := range []struct {
		name, expr string
		ok         bool
		picks      string
	}{
		{"parentheses", nested("(", 99, ")"), true, all},
		{"one_parenthesis_too_many", nested("(", 100, ")"), false, ""},
		{"not", nested("!", 99, ""), true, ""},
		{"one_not_too_many", nested("not ", 100, ""), false, ""},
		{"many_parentheses", nested("(", 100_000, ")"), false, ""},
		{"many_not", nested("!", 100_000, ""), false, ""},
		{"side_by_side", strings.Repeat("(id) and ", 10_000) + "id", true, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := where.Compile(c.expr)
			if (err == nil) != c.ok || (f != nil) != c.ok {
				t.Fatalf("%.80v", err)
			}
			if !c.ok && !strings.HasPrefix(err.Error(), "nested too deep\n") {
				t.Errorf("%.80v", err)
			}
			if c.ok {
				if got := picked(f, list); got != c.picks {
					t.Errorf("picks %q, want %q", got, c.picks)
				}
			}
		})
	}
}

func TestFields(t *testing.T) {
	list := where.Names()
	if !slices.IsSorted(list) || !slices.Contains(list, "http.status") || !slices.Contains(list, "status") {
		t.Errorf("%v", list)
	}
	for _, name := range list {
		if strings.HasSuffix(name, ".") {
			name += "NAME"
		}
		if _, err := where.Compile(name); err != nil {
			t.Error(err)
		}
	}
}

// FuzzCompile wants an answer for any expression: a filter that judges any
// exchange, or an error that points into it.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`http.status >= 500 && host ~ "^api" && latency > 250ms`, "not (id = 1 or target contains `x`)", `(((`, `!!!`, `status == `, `host == "äö`, `a & b`,
		`latency > 1e999s`, `id ~ "(a+)+$"`, `id ~ "(((a{99}){99}){99})"`, `host != 'x'`, "\x00\xff", `id == 0x10`,
	} {
		f.Add(s)
	}
	list := exchanges(f)
	f.Fuzz(func(t *testing.T, expr string) {
		filter, err := where.Compile(expr)
		if err == nil {
			picked(filter, list)
			return
		}
		var syntax *where.SyntaxError
		switch {
		case filter != nil:
			t.Errorf("a filter beside %v", err)
		case !errors.As(err, &syntax):
			t.Errorf("%T: %v", err, err)
		case syntax.Expr != expr || syntax.Offset < 0 || syntax.Offset > len(expr) || syntax.Reason == "":
			t.Errorf("%#v", syntax)
		case !strings.HasSuffix(err.Error(), "^"):
			t.Errorf("no caret: %q", err)
		}
	})
}

// odd has two conversations, each with an anomaly before its exchange: bytes that
// come again with another value.
const odd = `
tcp a 10.1.0.1:40001 > 10.1.0.2:80
tcp b 10.1.0.1:40002 > 10.1.0.2:80
a open
b open
a > "GET /a "
a > at 4 "XXX"
a > "HTTP/1.1\r\n\r\n"
b > "GET /b "
b > at 4 "YYY"
b > "HTTP/1.1\r\n\r\n"
b < "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
a > "GET /again HTTP/1.1\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
a close
b close
`

func TestSink(t *testing.T) {
	for _, c := range []struct {
		name, expr string
		want       []string
		left       int64
	}{
		{
			"all", "protocol == http", []string{
				"start 1", "overlap_conflict 1", "exchange 1.0", "start 0", "overlap_conflict 0", "exchange 0.0", "exchange 0.1",
				"close 0", "close 1", "finish 0", "finish 1", "summary of 22",
			}, 0,
		},
		{"one_conversation", "status == 404", []string{"start 1", "overlap_conflict 1", "exchange 1.0", "close 1", "finish 1", "summary of 22"}, 2},
		{"one_exchange_of_two", "target == /again", []string{"start 0", "overlap_conflict 0", "exchange 0.1", "close 0", "finish 0", "summary of 22"}, 2},
		{"nothing", "protocol == dns", []string{"summary of 22"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := where.Compile(c.expr)
			if err != nil {
				t.Fatal(err)
			}
			var got collector
			s := where.NewSink(f, &got)
			if err := run(t, odd, s); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.lines); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if left := s.(*where.Sink).Left(); left != c.left {
				t.Errorf("%d exchanges were left out, want %d", left, c.left)
			}
		})
	}
}

// TestSinkStops hands every error of the next sink back.
func TestSinkStops(t *testing.T) {
	f, err := where.Compile("status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"start 1", "overlap_conflict 1", "exchange 1.0", "close 0", "finish 0", "summary of 22"} {
		c := collector{fail: line}
		if err := run(t, odd, where.NewSink(f, &c)); !errors.Is(err, errStop) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// bare is a sink that wants exchanges only.
type bare struct{ n int }

func (b *bare) Exchange(*proto.Exchange) error { b.n++; return nil }

func TestSinkBeforeBare(t *testing.T) {
	f, err := where.Compile("status == 200")
	if err != nil {
		t.Fatal(err)
	}
	var b bare
	if err := run(t, odd, where.NewSink(f, &b)); err != nil || b.n != 2 {
		t.Errorf("%d exchanges, %v", b.n, err)
	}
}

// TestSinkBound floods a sink with anomalies of a conversation that is picked
// late: some wait, the memory for them is bounded.
func TestSinkBound(t *testing.T) {
	f, err := where.Compile("protocol == raw")
	if err != nil {
		t.Fatal(err)
	}
	var got collector
	s := where.NewSink(f, &got).(*where.Sink)
	a, b := &flow.Conversation{ID: 1}, &flow.Conversation{ID: 2}
	flood := func(c *flow.Conversation) {
		for range 20_000 {
			if err := s.Anomaly(flow.Anomaly{Kind: "odd", Conversation: c}); err != nil {
				t.Fatal(err)
			}
		}
	}
	exchange := func(c *flow.Conversation) int {
		got.lines = nil
		if err := s.Exchange(&proto.Exchange{Conversation: c, Protocol: &proto.Raw}); err != nil {
			t.Fatal(err)
		}
		return len(got.lines) - len([]string{"start", "exchange"})
	}
	flood(a)
	if n := exchange(b); n != 0 {
		t.Errorf("%d anomalies of another conversation", n)
	}
	if n := exchange(a); n != 64 {
		t.Errorf("%d anomalies have waited", n)
	}
	// Those that are handed on make room, and so do those of a conversation that
	// ends without being picked.
	c, d := &flow.Conversation{ID: 3}, &flow.Conversation{ID: 4}
	flood(c)
	if err := s.Finish(c); err != nil {
		t.Fatal(err)
	}
	flood(d)
	if n := exchange(d); n != 64 {
		t.Errorf("%d anomalies have waited after others were let go", n)
	}
	if err := s.Anomaly(flow.Anomaly{Kind: "odd"}); err != nil {
		t.Errorf("an anomaly of no conversation: %v", err)
	}
}
