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

		{"kibibytes", `request.bytes < 1KiB and request.bytes > 0.06KiB`, "post"},
		{"size_unsaid", `request.bytes == 69`, "post"},
		{"hexadecimal", `status == 0x1f7`, "post"},
		{"half", `status > 502.5 && status < 503.5 && !(status == 503.5)`, "post"},

		// Addresses and networks.
		{"address_without_port", `client == 10.1.0.1`, "post get dns hello retr"},
		{"address_of_another", `client != 10.1.0.1`, "raw"},
		{"address_and_port", `server != 10.1.0.2:8080`, "dns hello retr raw"},
		{"network", `server in 10.1.0.0/30`, "post get hello retr"},
		{"network_equals", `client == 10.0.0.0/8`, "post get dns hello retr"},
		{"network_of_another", `client != 10.0.0.0/8`, "raw"},
		{"network_ipv6", `addr in fd00::/16`, "raw"},
		{"either_address", `ip.addr == 10.1.0.53`, "dns"},
		{"address_in_order", `server.addr > 10.1.0.2 && server.addr <= 10.1.0.53`, "dns"},
		{"address_in_text", `client.addr ~ ^fd`, "raw"},
		{"address_starts_with", `server starts_with "10.1.0.5"`, "dns"},
		{"ports", `port in {53, 8080}`, "post get dns"},
		{"tcp_port", `tcp.port == 53 or tcp.port == 21`, "hello retr"},
		{"udp_port", `udp.dstport == 53 or udp.srcport == 50001`, "dns raw"},

		// Sets.
		{"set", `status in {500 502 503}`, "post"},
		{"set_with_commas", `status in {500, 502, 503}`, "post"},
		{"set_in_parentheses", `status in (500,503) && method == POST`, "post"},
		{"set_with_range", `status in {200 500..599}`, "post"},
		{"set_without", `status in {200..299}`, ""},
		{"set_of_texts", `protocol in {raw "ftp"}`, "hello retr raw"},
		{"set_of_networks", `server in {10.1.0.53 fd00::2}`, "dns raw"},
		{"set_of_durations", `latency in {1ms..6ms 250.1ms}`, "post dns"},
		{"set_of_one", `id in 1`, "dns"},
		{"not_in", `protocol not in {http dns}`, "hello retr raw"},
		{"not_in_missing", `status not in {200}`, "post"},
		{"in_then_and", `id in {0 1} and udp`, "dns"},
		{"range_of_texts_is_none", `method in {A..Z}`, ""},

		// Other comparisons.
		{"words_of_tshark", `status ge 500 and status le 503 and status gt 1 and status lt 504 and status eq 503 and method ne GET`, "post"},
		{"a_value_called_so", `method == eq or host == in`, ""},
		{"starts_with", `target starts_with /users`, "post"},
		{"ends_with", `host ends_with .example`, "post"},
		{"matches", `host matches "(?i)^API"`, "post"},
		{"does_not_match", `method !~ P`, "get"},
		{"does_not_match_missing", `host !~ zz`, "post"},
		{"not_contains", `target not contains users`, "get"},
		{"exists", `exists(host)`, "post"},
		{"exists_not", `http && not exists( host )`, "get"},
		{"truth", `malformed == false`, all},
		{"truth_alone", `malformed || guessed`, ""},
		{"protocol_alone", `http`, "post get"},
		{"protocols", `dns || raw`, "dns raw"},
		{"transport_alone", `udp && !dns`, "raw"},
		{"time", `time > "2000-01-01"`, all},
		{"time_bare", `time >= 2000-01-01T00:00:00Z && time < 2999-12-31T23:59`, all},
		{"time_in_seconds", `time > 946684800.5`, all},
		{"time_missing", `response.time > 2000-01-01`, "post dns hello retr"},

		// The fields of protocols, and what tshark calls them.
		{"path", `path == /users`, "post"},
		{"query", `http.query == "id=7"`, "post"},
		{"url", `url == "api.example/users?id=7"`, "post"},
		{"reason", `http.reason == Busy`, "post"},
		{"version", `http.version == HTTP/1.1`, "post get"},
		{"header", `http.header.content-length in {2 4}`, "post"},
		{"request_header", `http.request.header.Content-Length == 2`, "post"},
		{"response_header", `http.response.header.Content-Length == 2`, ""},
		{"header_missing", `http.header.x-none`, ""},
		{"header_names", `http.request.headers == Host`, "post"},
		{"body_bytes", `http.request.body_bytes == 2B && http.response.body_bytes < 5`, "post"},
		{"dns_type", `dns.type == A`, "dns"},
		{"dns_rcode", `dns.rcode == NOERROR && dns.flags.rcode == 0`, "dns"},
		{"dns_address", `dns.a in 192.0.2.0/24`, "dns"},
		{"dns_answer", `dns.answer == 192.0.2.1 && dns.answers == 1 && dns.ttl == 60 && !dns.truncated`, "dns"},
		{"dns_id", `dns.id == 1`, "dns"},
		{"ftp_argument", `ftp.argument == notes && ftp.code == 226 && ftp.text == Done`, "retr"},
		{"raw_bytes", `raw.bytes == 4 && raw.missing == 0 && raw.preview == ping`, "raw"},
		{"summary", `request contains "POST api" && response starts_with 503`, "post"},
		{"tshark", `http.request.method == POST && http.response.code == 503 && http.host contains api && ip.src == 10.1.0.1 && tcp.dstport == 8080`, "post"},
		{"packet", `frame.number == 4`, "post"},

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
		{"operator_mistyped", `host contians "api"`, `     ^`, "unexpected contians; do you mean contains?"},
		{"operator_in_part", `host starts "api"`, `     ^`, "unexpected starts; do you mean starts_with?"},
		{"function_mistyped", `exist(host)`, `^`, "there is no exist(…), only exists(FIELD)"},
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
		{"latency_without_unit", `latency > 250`, `          ^`, "latency is a duration: write 250ms"},
		{"latency_of_text", `latency > "fast"`, `          ^`, `latency is a duration, "fast" is none: write 250ms`},
		{"latency_in_bytes", `latency > 2kB`, `          ^`, "latency is a duration, 2kB is none: write 250ms"},
		{"status_with_unit", `status == 5ms`, `          ^`, "http.status is a number, 5ms is none"},
		{"size_in_seconds", `request.bytes > 1s`, `                ^`, "request.bytes is a size, 1s is none"},
		{"too_large", `status == 9223372036854775808`, `          ^`, "http.status: 9223372036854775808 is too large"},
		{"far_too_large", `status == 1e999999999`, `          ^`, "http.status is a number, 1e999999999 is none"},
		{"no_address", `client == here`, `          ^`, "client is an address and a port, here is none: write 10.0.0.1:80, 10.0.0.1 or 10.0.0.0/8"},
		{"no_address_alone", `addr in {10.0.0.1 ten}`, `                  ^`, "addr is an address, ten is none: write 10.0.0.1 or 10.0.0.0/8"},
		{"order_of_network", `client < 10.0.0.0/8`, `         ^`, "10.0.0.0/8 is a network: there is no <"},
		{"no_truth", `malformed == maybe`, `             ^`, "malformed is true or false, maybe is neither"},
		{"order_of_truth", `malformed > true`, `            ^`, "malformed is true or false: there is no >"},
		{"no_time", `time > yesterday`, `       ^`, `time is a time, yesterday is none: write "2024-01-02T03:04:05Z"`},
		{"near_miss_letter", `http.stauts == 200`, `^`, "there is no field http.stauts; do you mean http.status?"},
		{"near_miss_capitals", `HTTP.Method == GET`, `^`, "there is no field HTTP.Method; do you mean http.method?"},
		{"near_nothing", `quux == 1`, `^`, "there is no field quux; netlab fields lists all"},
		{"header_of_no_name", `http.header. == 1`, `^`, "there is no field http.header. without a name behind it, as http.header.NAME"},
		{"open_set", `status in {500 502`, `                  ^`, "a set that is not closed"},
		{"empty_set", `status in {}`, `           ^`, "a value is missing here"},
		{"comma_first", `status in {,500}`, `           ^`, "a value is missing here"},
		{"set_closed_otherwise", `status in {500)`, `              ^`, "a value is missing here"},
		{"set_of_nothing", `status in`, `         ^`, "a value is missing here"},
		{"range_of_texts", `status in {500..ok}`, `           ^`, "http.status is a number, ok is none"},
		{"exists_of_nothing", `exists()`, `       ^`, "there is no field )"},
		{"exists_is_open", `exists(status`, `             ^`, "a parenthesis that is not closed"},
		{"not_then_nothing", `status not 5`, `       ^`, "unexpected !"},
		{"pattern_too_long", `host ~ "` + strings.Repeat("a", 5000) + `"`, `       ^`, "the patterns are too long"},
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
		`status in {500 502..504, 1}`, `client in 10.0.0.0/8 and ip.addr != [::1]:80`, `time > "2024-01-02"`, `exists(http.header.x) or not tls`,
		`dns.a in (1.2.3.4,::/0) && dns.ttl >= 0.5`, `http.cookie.a !~ b and dns.name ends_with c`, `request.bytes in {1KiB..2MiB}`, `status not in {}`,
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
