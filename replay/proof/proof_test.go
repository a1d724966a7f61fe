package proof_test

import (
	"strings"
	"testing"

	"netlab/decode"
	"netlab/pcaps/craft"
	"netlab/replay/proof"
)

const shop = `
tcp a 10.1.0.1:40001 > 10.1.0.2:8080
a open
a > "POST /login HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi"
a < "HTTP/1.1 200 OK\r\nSet-Cookie: sid=7QK3ZV5PYJ2MXA6TRC4NWB8EHD\r\nContent-Length: 4\r\n\r\nbusy"
a > "GET /me HTTP/1.1\r\nHost: a.example\r\nCookie: sid=7QK3ZV5PYJ2MXA6TRC4NWB8EHD\r\n\r\n"
a < "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nme"
a close
tcp b 10.1.0.1:40002 > 10.1.0.3:6379
b open
b > "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
b < "$1\r\nv\r\n"
b close
udp c 10.1.0.1:40003 > 10.1.0.53:53
c > dns 1 query a.example A
c < dns 1 answer "a.example. 60 IN A 192.0.2.1"
`

func outline(t *testing.T, recipe string) *proof.Outline {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	o := proof.New(0)
	if _, err := decode.Run(b.Source(), decode.Tee(o.Sinks()...), decode.Options{Keep: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestSilence counts no exchange where nothing is said.
func TestSilence(t *testing.T) {
	const recipe = "tcp a 10.1.0.1:40001 > 10.1.0.2:8080\na open\na close\n"
	if c, e, v := outline(t, recipe).Counts(); c != 1 || e != 0 || v != 0 {
		t.Errorf("%d conversations, %d exchanges, %d values", c, e, v)
	}
}

// TestCompare holds a recording against others that were made of it.
func TestCompare(t *testing.T) {
	if c, e, v := outline(t, shop).Counts(); c != 3 || e != 4 || v != 1 {
		t.Errorf("%d conversations, %d exchanges, %d values", c, e, v)
	}
	for trait, c := range map[string]struct{ from, to, want string }{
		"the_same":            {"", "", ""},
		"other_addresses":     {"10.1.0.", "192.0.2.", ""},
		"another_cookie":      {"7QK3ZV5PYJ2MXA6TRC4NWB8EHD", "M2RT5HVQ8XK4WJ7BZC3PNY6EAD", ""},
		"other_names":         {"a.example", "bcd.example", ""},
		"another_body":        {"busy", "y\\x00\\x01z", ""},
		"more_packets":        {`a > "GET /me HTTP/1.1\r\nHost`, `a > "GET /me "` + "\n" + `a > "HTTP/1.1\r\nHost`, ""},
		"two_become_one":      {"10.1.0.3:", "10.1.0.2:", "do not stand for one each"},
		"another_port":        {":6379", ":6380", "the server's port was 6379, is 6380"},
		"the_cookie_is_lost":  {"Cookie: sid=7QK3ZV5PYJ2MXA6TRC4NWB8EHD\\r\\n\\r\\n", "Cookie: sid=AAAAAAAAAAAAAAAAAAAAAAAAAA\\r\\n\\r\\n", "which cookie sid of request 1 has, is no longer found"},
		"another_status":      {"200 OK\\r\\nSet", "201 OK\\r\\nSet", "its exchanges are of another kind"},
		"another_method":      {"POST /login", "PUTT /login", "its exchanges are of another kind"},
		"an_error":            {"$1\\r\\nv", "-ERR no", "conversation 1: its exchanges"},
		"an_answer_is_gone":   {`a < "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nme"`, "", "conversation 0: "},
		"a_conversation_gone": {"c > dns 1 query a.example A\nc < dns 1 answer \"a.example. 60 IN A 192.0.2.1\"\n", "", "conversations were 3, are 2"},
		"another_end":         {"b close", "b > rst", "its end was"},
		"another_protocol":    {"*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n", "xxxxxx", "the protocol was redis"},
		"pipelined":           {"Content-Length: 2\\r\\n\\r\\nhi", "Content-Length: 2\\r\\n\\r\\nhiGET / HTTP/1.1\\r\\n\\r\\n", "the number of its exchanges was"},
	} {
		t.Run(trait, func(t *testing.T) {
			changed := shop
			if c.from != "" {
				if changed = strings.ReplaceAll(shop, c.from, c.to); changed == shop {
					t.Fatal("nothing was changed")
				}
			}
			list := proof.Compare(outline(t, shop), outline(t, changed))
			var lines []string
			for _, d := range list {
				lines = append(lines, d.String())
			}
			got := strings.Join(lines, "\n")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}
