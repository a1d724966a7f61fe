package craft_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"netlab/capture"
	"netlab/decode/packet"
	"netlab/pcaps/craft"
	"netlab/pcaps/samples"
)

func cook(t testing.TB, recipe string) *craft.Builder {
	t.Helper()
	b, err := craft.Recipe(strings.NewReader(recipe))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecipe(t *testing.T) {
	const begin = "tcp a 10.1.0.1:40001 > 10.1.0.2:80\n"
	for _, test := range []struct {
		trait  string
		recipe string
		want   string
	}{
		{"open_and_close", begin + "a open\na close\n", `
> SYN seq 1000
< SYN seq 5000 ack 1001
> seq 1001 ack 5001
> FIN seq 1001 ack 5001
< FIN seq 5001 ack 1002
> seq 1002 ack 5002`},
		{"closes_from_either_side", begin + "tcp b 10.1.0.1:40002 > 10.1.0.2:80\na close\nb close <", `
> FIN seq 1001 ack 5001
< FIN seq 5001 ack 1002
> seq 1002 ack 5002
< FIN seq 5001 ack 1001
> FIN seq 1001 ack 5002
< seq 5002 ack 1002`},
		{"single_segments", begin + "a > syn\na < synack\na > ack\na > syn \"early\"\na < fin\na > rst", `
> SYN seq 1000
< SYN seq 5000 ack 1001
> seq 1001 ack 5001
> SYN seq 1000 "early"
< FIN seq 5001 ack 1006
> RST seq 1006 ack 5002`},
		{"offsets_and_drops", begin + "a > at 3 \"def\"\na > at 0 \"abc\"\na > at -1 \"k\"\na < drop \"lost\"\na > at 0x10 \"q\"", `
> PSH seq 1004 ack 5001 "def"
> PSH seq 1001 ack 5001 "abc"
> PSH seq 1000 ack 5001 "k"
> PSH seq 1017 ack 5005 "q"`},
		{"options", "tcp a [fd00::1]:40001 > [fd00::2]:80 isn 0xffffffff 7 mss 2 vlan 10\na open\na > \"abc\"", `
> SYN seq 4294967295
< SYN seq 7 ack 0
> seq 0 ack 8
> seq 0 ack 8 "ab"
> PSH seq 2 ack 8 "c"`},
		{"udp", "udp a 10.1.0.1:40001 > 10.1.0.2:53\na > \"ping\"\na < \"pong\"", `
> "ping"
< "pong"`},
		{"layout", "\n  # a comment\n\ttcp  a\t10.1.0.1:40001 > 10.1.0.2:80 # another\r\n\ta   > \"x # y\"\"z\"\r\n\r\n", `
> PSH seq 1001 ack 5001 "x # yz"`},
	} {
		t.Run(test.trait, func(t *testing.T) {
			wantLines(t, test.want, transcript(t, packets(t, cook(t, test.recipe))))
		})
	}
}

// TestRecipeOptions wants what holds for all packets to hold for them.
func TestRecipeOptions(t *testing.T) {
	b := cook(t, `
time 2020-02-03T04:05:06.5+01:00
step 2ms
snaplen 9
link raw
packet hex 01
wait 1s
packet "0123456789"
wait -1m
packet
`)
	got := packets(t, b)
	want := []capture.Packet{
		{Number: 1, Time: time.Date(2020, 2, 3, 3, 5, 6, 5e8, time.UTC), Data: []byte{1}, Length: 1, Link: capture.LinkRaw},
		{Number: 2, Time: time.Date(2020, 2, 3, 3, 5, 7, 502e6, time.UTC), Data: []byte("012345678"), Length: 10, Link: capture.LinkRaw},
		{Number: 3, Time: time.Date(2020, 2, 3, 3, 4, 7, 504e6, time.UTC), Length: 0, Link: capture.LinkRaw},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for word, link := range map[string]capture.LinkType{
		"ethernet": 1, "raw": 101, "null": 0, "loop": 108, "sll": 113, "sll2": 276,
	} {
		b := cook(t, "link "+word+"\npacket hex 00")
		if b.Link() != link || packets(t, b)[0].Link != link {
			t.Errorf("link %s: got %v and %v, want %v", word, b.Link(), packets(t, b)[0].Link, link)
		}
	}
	if n := len(packets(t, cook(t, "# nothing\n"))); n != 0 {
		t.Errorf("%d packets of nothing", n)
	}
}

func TestData(t *testing.T) {
	for _, test := range []struct{ trait, data, want string }{
		{"string", `"a\r\n\x00\u00e9"`, "a\r\n\x00é"},
		{"raw_string", "`a\\r \"b\"`", `a\r "b"`},
		{"strings", `"a" "b" "c"`, "abc"},
		{"hex", "hex 00ff 0 1 0A", "\x00\xff\x01\x0a"},
		{"hex_behind_string", `"GET " hex 0d0a`, "GET \r\n"},
		{"repeated", `3 * "ab" "c" 2 * "d"`, "abababcdd"},
		{"repeated_never", `0 * "ab" "c"`, "c"},
		{"empty", `""`, ""},
		{"none", "", ""},
		{"largest", `1048576 * "x"`, strings.Repeat("x", 1<<20)},
	} {
		t.Run(test.trait, func(t *testing.T) {
			list := packets(t, cook(t, "packet "+test.data))
			if len(list) != 1 || string(list[0].Data) != test.want {
				t.Errorf("got %d packets, the first of %.60q, want %.60q", len(list), list[0].Data, test.want)
			}
		})
	}
}

func TestDNS(t *testing.T) {
	list := packets(t, cook(t, `
packet dns 4711 query a.example AAAA
packet dns 0x10 answer truncated "a.example. 300 IN CNAME b.example." "b.example. 60 IN TXT \"a note\""
packet dns 7 answer truncated
`))
	want := []string{
		"id 4711 response false truncated false [a.example.\tIN\t AAAA] []",
		"id 16 response true truncated true [a.example.\tIN\t CNAME] " +
			"[a.example.\t300\tIN\tCNAME\tb.example. b.example.\t60\tIN\tTXT\t\"a note\"]",
		"id 7 response true truncated true [] []",
	}
	var got []string
	for _, p := range list {
		var m dns.Msg
		if err := m.Unpack(p.Data); err != nil {
			t.Fatalf("packet %d: %v", p.Number, err)
		}
		var questions []string
		for _, q := range m.Question {
			questions = append(questions, strings.TrimPrefix(q.String(), ";"))
		}
		got = append(got, fmt.Sprintf("id %d response %v truncated %v %v %v", m.Id, m.Response, m.Truncated, questions, m.Answer))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRecipeErrors wants every mistake told with its line, and none passed over
// in silence: a recipe that says something else than it does makes a wrong test.
func TestRecipeErrors(t *testing.T) {
	const begin = "tcp a 10.1.0.1:1 > 10.1.0.2:2\n"
	for _, test := range []struct{ trait, recipe, want string }{
		{"unknown_word", "# first\n\nhello", `line 3: no conversation is called "hello"`},
		{"unknown_conversation", begin + "b open", `line 2: no conversation is called "b"`},
		{"string_without_end", begin + `a > "x`, `line 2: a string that does not end: "x`},
		{"raw_string_without_end", begin + "a > `x", "line 2: a string that does not end: `x"},

		{"unknown_link", "link token ring", `line 1: unknown link type "token ring"`},
		{"no_link", "link", `line 1: unknown link type ""`},
		{"bad_time", "time yesterday", `line 1: parsing time "yesterday"`},
		{"bad_step", "step 5", `line 1: time: missing unit in duration "5"`},
		{"bad_snaplen", "snaplen many", `line 1: strconv.ParseUint: parsing "many": invalid syntax`},
		{"negative_snaplen", "snaplen -1", `line 1: strconv.ParseUint: parsing "-1": invalid syntax`},
		{"bad_wait", "wait 5 ms", `line 1: time: unknown unit " ms" in duration "5 ms"`},
		{"link_too_late", begin + "link raw", "line 2: link holds for all packets, so it stands before the first"},
		{"time_too_late", "packet hex 00\ntime 2026-01-02T03:04:05Z", "line 2: time holds for all packets"},
		{"step_too_late", "wait 1s\nstep 1s", "line 2: step holds for all packets"},
		{"snaplen_too_late", begin + "a open\nsnaplen 9", "line 3: snaplen holds for all packets"},

		{"no_name", "tcp", "line 1: want NAME CLIENT > SERVER"},
		{"no_server", "udp a 10.1.0.1:1 >", "line 1: want NAME CLIENT > SERVER"},
		{"no_arrow", "tcp a 10.1.0.1:1 < 10.1.0.2:2", "line 1: want NAME CLIENT > SERVER"},
		{"bad_client", "tcp a 10.1.0.1 > 10.1.0.2:2", "line 1: not an ip:port"},
		{"bad_server", "tcp a 10.1.0.1:1 > 10.1.0.2:65536", `line 1: invalid port "65536"`},
		{"two_versions", "tcp a 10.1.0.1:1 > [::1]:2", "line 1: 10.1.0.1:1 and [::1]:2 are of different IP versions"},
		{"unknown_option", "tcp a 10.1.0.1:1 > 10.1.0.2:2 ttl 3", `line 1: unknown or incomplete option "ttl"`},
		{"incomplete_option", "tcp a 10.1.0.1:1 > 10.1.0.2:2 isn 3", `line 1: unknown or incomplete option "isn"`},
		{"bad_isn", "tcp a 10.1.0.1:1 > 10.1.0.2:2 isn 1 4294967296", `line 1: strconv.ParseUint: parsing "4294967296": value out of range`},
		{"bad_vlan", "tcp a 10.1.0.1:1 > 10.1.0.2:2 vlan 65546", `line 1: strconv.ParseUint: parsing "65546": value out of range`},
		{"bad_mss", "tcp a 10.1.0.1:1 > 10.1.0.2:2 mss -1", `line 1: strconv.ParseUint: parsing "-1": invalid syntax`},

		{"nothing_to_do", begin + "a", "line 2: nothing to do"},
		{"unknown_step", begin + "a shout", `line 2: unknown step "shout"`},
		{"nothing_to_send", begin + "a >", "line 2: nothing to send"},
		{"no_data", begin + "a > hello", "line 2: hello is no data"},
		{"no_offset", begin + "a > at", "line 2: at what offset?"},
		{"bad_offset", begin + `a > at 1.5 "x"`, `line 2: strconv.ParseInt: parsing "1.5": invalid syntax`},
		{"bad_offset_data", begin + `a > at 1 x`, "line 2: x is no data"},
		{"bad_drop", begin + `a > drop x`, "line 2: x is no data"},
		{"bad_syn", begin + `a > syn x`, "line 2: x is no data"},
		{"open_and_more", begin + "a open <", `line 2: nothing may follow "open"`},
		{"close_and_more", begin + "a close >", `line 2: nothing may follow "close"`},
		{"close_server_and_more", begin + "a close < now", `line 2: nothing may follow "<"`},
		{"ack_and_more", begin + `a > ack "x"`, `line 2: nothing may follow "ack"`},
		{"synack_and_more", begin + `a < synack "x"`, `line 2: nothing may follow "synack"`},
		{"fin_and_more", begin + `a > fin "x"`, `line 2: nothing may follow "fin"`},
		{"rst_and_more", begin + `a > rst 5`, `line 2: nothing may follow "rst"`},

		{"bad_hex", begin + "a > hex 0g", "line 2: encoding/hex: invalid byte"},
		{"odd_hex", "packet hex 0a0", "line 1: encoding/hex: odd length hex string"},
		{"how_often", begin + `a > -1 * "x"`, `line 2: how often is "-1"?`},
		{"how_often_word", begin + `a > many * "x"`, `line 2: how often is "many"?`},
		{"too_often", begin + `a > 1048577 * "x"`, `line 2: how often is "1048577"?`},
		{"repeated_word", begin + `a > 2 * x`, "line 2: x is no string"},
		{"repeated_nothing", begin + `a > 2 *`, "line 2: 2 is no data"},
		{"too_much", begin + `a > 1048576 * "xy"`, "line 2: more than 1048576 bytes of data"},
		{"too_much_in_all", begin + `a > "x" 1048576 * "x"`, "line 2: more than 1048576 bytes of data"},
		{"too_large_for_ip", begin + "a open\n" + `a > 65496 * "x"`, "line 3: packet 4: 65536 bytes are more than an IPv4 packet holds"},

		{"dns_nothing", "packet dns", "line 1: want dns ID query NAME TYPE"},
		{"dns_bad_id", "packet dns 65536 query a A", `line 1: strconv.ParseUint: parsing "65536": value out of range`},
		{"dns_unknown", "packet dns 1 update a A", `line 1: unknown DNS message "update"`},
		{"dns_unknown_type", "packet dns 1 query a LETTER", "line 1: want a name and a type"},
		{"dns_no_type", "packet dns 1 query A", "line 1: want a name and a type"},
		{"dns_query_and_more", "packet dns 1 query a b A", "line 1: want a name and a type"},
		{"dns_long_label", "packet dns 1 query " + strings.Repeat("a", 64) + " A", "line 1: "},
		{"dns_no_record", "packet dns 1 answer a", "line 1: a is no record"},
		{"dns_bad_record", `packet dns 1 answer "a. 1 IN A 1.2.3"`, "line 1: dns: bad A"},
		{"dns_empty_record", `packet dns 1 answer ""`, `line 1: "" is no record`},
		{"dns_comment", `packet dns 1 answer "; nothing"`, `line 1: "; nothing" is no record`},
		{"dns_include", `packet dns 1 answer "$INCLUDE /dev/null"`, "line 1: dns: $INCLUDE directive not allowed"},
		{"long_line", "# first\n# " + strings.Repeat("x", 1<<16) + "\n", "line 2: bufio.Scanner: token too long"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			b, err := craft.Recipe(strings.NewReader(test.recipe))
			if b != nil || err == nil {
				t.Fatalf("no error, want %s", test.want)
			}
			if !strings.HasPrefix(err.Error(), "craft: "+test.want) {
				t.Errorf("got  %v\nwant craft: %s", err, test.want)
			}
		})
	}
}

func TestRecipeUnread(t *testing.T) {
	boom := errors.New("boom")
	_, err := craft.Recipe(io.MultiReader(strings.NewReader("packet hex 00\n"), iotest.ErrReader(boom)))
	if !errors.Is(err, boom) || err.Error() != "craft: line 2: boom" {
		t.Errorf("got the error %v", err)
	}
}

// maxBytes is what all packets of a recipe may take, each counted with what it
// costs beside its bytes.
const maxBytes = 16 << 20

// TestRecipeBound wants a short recipe of much to end in an error before it
// fills the memory, whether its packets are large or many.
func TestRecipeBound(t *testing.T) {
	for _, test := range []struct{ trait, recipe, line string }{
		{"large", strings.Repeat("packet 1048576 * \"x\"\n", 1000), "line 16"},
		{"many", "tcp a 10.1.0.1:1 > 10.1.0.2:2 mss 1\n" + strings.Repeat("a > 1048576 * \"x\"\n", 50), "line 2"},
		{"cut", "snaplen 1\n" + strings.Repeat("packet 1048576 * \"x\"\n", 1000), "line 17"},
	} {
		t.Run(test.trait, func(t *testing.T) {
			_, err := craft.Recipe(strings.NewReader(test.recipe))
			if err == nil || !strings.HasPrefix(err.Error(), "craft: "+test.line+": more than the 16777216 bytes") {
				t.Errorf("got the error %v, want one in %s", err, test.line)
			}
		})
	}
	b := cook(t, strings.Repeat("packet 1048448 * \"x\"\n", 16))
	if n := len(packets(t, b)); n != 16 {
		t.Errorf("%d packets, want the 16 that are allowed", n)
	}
}

// FuzzRecipe wants a recipe to be refused with a line, or to make a bounded
// number of packets: the same ones every time, in which each conversation's
// headers and checksums are right.
func FuzzRecipe(f *testing.F) {
	for _, s := range samples.List() {
		if recipe, err := os.ReadFile("../samples/" + s.Name + ".txt"); err == nil {
			f.Add(string(recipe))
		}
	}
	f.Add("link loop\ntime 2020-01-02T03:04:05Z\nstep -1ns\nsnaplen 50\nudp a [::1]:1 > [::1]:2 vlan 3 mss 4 isn 5 6\na > 3 * \"x\" hex 00")
	f.Add("tcp a 0.0.0.0:0 > 0.0.0.0:0 mss 1\na > at -0x7fffffffffffffff \"x\"\na < at 0x7fffffffffffffff \"x\"\na open\na > 999 * \"x\"")
	f.Add("packet dns 1 answer truncated \"a. 1 IN A 1.2.3.4\" \"$TTL 5\" \"\"")
	f.Fuzz(func(t *testing.T, recipe string) {
		b, err := craft.Recipe(strings.NewReader(recipe))
		if err != nil {
			if b != nil || !strings.HasPrefix(err.Error(), "craft: line ") {
				t.Errorf("%v beside the error %q", b, err)
			}
			return
		}
		list := packets(t, b)
		size := 0
		raw := strings.Contains(recipe, "packet")
		d := packet.Decoder{}
		for i := range list {
			p := &list[i]
			size += len(p.Data)
			if p.Number != int64(i)+1 || p.Link != b.Link() || p.Length < len(p.Data) || p.Time.Location() != time.UTC {
				t.Fatalf("packet %d is %+v", i+1, p)
			}
			if raw {
				continue // any bytes
			}
			switch kind := d.Decode(p); {
			case kind == packet.CutShort && p.Cut():
			case kind == packet.TCP && !d.Segment.BadChecksum():
			case kind == packet.UDP && !d.Segment.BadChecksum():
			default:
				t.Fatalf("packet %d is %v, %v, or has a bad checksum: % x", i+1, kind, d.Why, p.Data)
			}
		}
		if size > maxBytes {
			t.Errorf("%d bytes of packets were made from %d", size, len(recipe))
		}
		again, err := craft.Recipe(strings.NewReader(recipe))
		if err != nil {
			t.Fatalf("the second time: %v", err)
		}
		if !slices.EqualFunc(list, packets(t, again), func(a, b capture.Packet) bool {
			return a.Time.Equal(b.Time) && a.Length == b.Length && bytes.Equal(a.Data, b.Data)
		}) {
			t.Error("the packets are others the second time")
		}
	})
}
