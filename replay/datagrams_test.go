package replay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"netlab/replay"
	"netlab/replay/compare"
)

// lockStep are a recording of three datagrams, each sent when the one before was
// answered, in a protocol that is not parsed.
const lockStep = `
udp a 10.1.0.1:40000 > 10.1.0.2:7777
a > "one"
a < "1"
a > "two"
a < "2"
a > "three"
a < "3"`

// volley are a recording of datagrams sent at once, that were answered out of order.
const volley = `
udp a 10.1.0.1:40000 > 10.1.0.2:7777
a > "one"
a > "two"
a > "three"
a < "2"
a < "1"
a < "3"`

// answers is a server of datagrams: it says what stands there to each, after so long.
type answers map[string][]struct {
	after time.Duration
	say   string
}

func (a answers) serve(c net.Conn) {
	buf := make([]byte, 1000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for _, x := range a[string(buf[:n])] {
			time.AfterFunc(x.after, func() { io.WriteString(c, x.say) })
		}
	}
}

// says writes answers down: "one=1 two=2@3s,2".
func says(t *testing.T, s string) answers {
	a := make(answers)
	for part := range strings.FieldsSeq(s) {
		asked, list, _ := strings.Cut(part, "=")
		a[asked] = nil
		for say := range strings.SplitSeq(list, ",") {
			say, after, late := strings.Cut(say, "@")
			d := time.Millisecond
			if late {
				var err error
				if d, err = time.ParseDuration(after); err != nil {
					t.Fatal(err)
				}
			}
			a[asked] = append(a[asked], struct {
				after time.Duration
				say   string
			}{d, say})
		}
	}
	return a
}

// lines writes what became of each check and of the connections in short.
func lines(o *outcomes) string {
	var b strings.Builder
	slices.SortFunc(o.checks, func(a, b replay.Outcome) int { return a.Check.Index - b.Check.Index })
	for _, x := range o.checks {
		fmt.Fprintf(&b, "%s", x.Verdict)
		for _, why := range append([]string{x.Reason}, strs(x.Differences)...) {
			if why != "" {
				fmt.Fprintf(&b, "; %s", why)
			}
		}
		b.WriteByte('\n')
	}
	for _, x := range o.conns {
		if x.Reason != "" {
			fmt.Fprintf(&b, "connection %s; %s\n", x.Verdict, x.Reason)
		}
	}
	return b.String()
}

func strs(list []compare.Difference) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.String())
	}
	return out
}

// TestDatagrams tells what was lost, what came twice and what came late from what is
// another answer.
func TestDatagrams(t *testing.T) {
	tests := map[string]struct {
		recipe, server, want string
		took                 time.Duration // at most
	}{
		"same":                       {lockStep, "one=1 two=2 three=3", "same\nsame\nsame\n", 100 * time.Millisecond},
		"lost":                       {lockStep, "one=1 three=3", "same\nfailed; no answer for 2s\nsame\n", 2100 * time.Millisecond},
		"all_lost":                   {lockStep, "", "failed; no answer for 2s\nfailed; no answer for 2s\nfailed; no answer for 2s\n", 6100 * time.Millisecond},
		"twice":                      {lockStep, "one=1,1 two=2 three=3", "same\nsame\nsame\nconnection different; an answer came twice: 1 byte \"1\"\n", 100 * time.Millisecond},
		"twice_at_last":              {lockStep, "one=1 two=2 three=3,3@9ms", "same\nsame\nsame\nconnection different; an answer came twice: 1 byte \"3\"\n", 100 * time.Millisecond},
		"late":                       {lockStep, "one=1 two=2@3s three=3@1500ms", "same\nfailed; the answer came late, after 3s\nsame\n", 4100 * time.Millisecond},
		"late_is_not_for_the_next":   {lockStep, "one=1@2500ms two=2@1s three=3", "failed; the answer came late, after 2.5s\nsame\nsame\n", 4100 * time.Millisecond},
		"another":                    {lockStep, "one=1 two=5 three=3", "same\ndifferent; datagram 1 at byte 0 was \"2\" of 1 byte, is \"5\" of 1 byte\nsame\n", 100 * time.Millisecond},
		"another_behind_a_lost_one":  {lockStep, "two=5 three=3", "failed; no answer for 2s\ndifferent; datagram 1 at byte 0 was \"2\" of 1 byte, is \"5\" of 1 byte\nsame\n", 2100 * time.Millisecond},
		"one_more":                   {lockStep, "one=1 two=2 three=3,x@5ms", "same\nsame\ndifferent; datagram 2 is new: 1 byte \"x\"\n", 100 * time.Millisecond},
		"volley":                     {volley, "one=1@3ms two=2@2ms three=3@4ms", "skipped; no answer in the recording\nskipped; no answer in the recording\nsame\n", 100 * time.Millisecond},
		"volley_in_another_order":    {volley, "one=1@2ms two=2@9ms three=3@4ms", "skipped; no answer in the recording\nskipped; no answer in the recording\nsame\n", 100 * time.Millisecond},
		"volley_with_a_lost_one":     {volley, "one=1@2ms three=3@4ms", "skipped; no answer in the recording\nskipped; no answer in the recording\ndifferent; datagram 1 is missing, was 1 byte \"2\"\n", 2100 * time.Millisecond},
		"volley_with_another":        {volley, "one=1@2ms two=5@1ms three=3@4ms", "skipped; no answer in the recording\nskipped; no answer in the recording\ndifferent; datagram 1 at byte 0 was \"2\" of 1 byte, is \"5\" of 1 byte\n", 100 * time.Millisecond},
		"what_was_not_answered":      {strings.Replace(lockStep, `a < "2"`, "", 1), "one=1 two=2 three=3@9ms", "same\nskipped; no answer in the recording\nsame\n", 100 * time.Millisecond},
		"the_rest_of_several":        {strings.Replace(lockStep, `a < "2"`, "a < \"2\"\na < \"two\"\na < \"zwei\"", 1), "one=1 two=2,two@5ms,zwei@9ms three=3", "same\nsame\nsame\n", 100 * time.Millisecond},
		"the_rest_of_several_is_not": {strings.Replace(lockStep, `a < "2"`, "a < \"2\"\na < \"two\"\na < \"zwei\"", 1), "one=1 two=2 three=3", "same\ndifferent; datagram 2 is missing, was 3 bytes \"two\"; datagram 3 is missing, was 4 bytes \"zwei\"\nsame\n", 200 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				n := &pipes{handle: says(t, test.server).serve}
				_, o := play(t, planOf(t, test.recipe), replay.Options{Target: "x", Timeout: 2 * time.Second, Dial: n.dial})
				if got := lines(o); got != test.want {
					t.Errorf("got\n%swant\n%s%s", got, test.want, o)
				}
				if took := time.Since(start); took > test.took {
					t.Errorf("took %v", took)
				}
				time.Sleep(10 * time.Second) // by the bubble's clock: what is late has come
			})
		})
	}
}

// message is one of DNS.
func message(t *testing.T, id uint16, name, address string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	m.Id = id
	if address != "" {
		m.Response, m.RecursionAvailable = true, true
		rr, err := dns.NewRR(name + " 60 IN A " + address)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// queries is a recording of three queries from one socket. The answer to one of them
// came twice, if that is not negative.
func queries(again int) string {
	var b strings.Builder
	b.WriteString("udp a 10.1.0.1:40000 > 10.1.0.2:53\n")
	for i := range 3 {
		fmt.Fprintf(&b, "a > dns %d query h%d.example A\n", 7+i, i)
		answer := fmt.Sprintf("a < dns %d answer \"h%d.example. 60 IN A 10.0.0.%d\"\n", 7+i, i, i)
		b.WriteString(answer)
		if i == again {
			b.WriteString(answer)
		}
	}
	return b.String()
}

// TestQueries does so for DNS, by id.
func TestQueries(t *testing.T) {
	type reply struct {
		after   time.Duration
		address string
	}
	right := func() [3][]reply {
		return [3][]reply{{{time.Millisecond, "10.0.0.0"}}, {{time.Millisecond, "10.0.0.1"}}, {{time.Millisecond, "10.0.0.2"}}}
	}
	with := func(i int, list ...reply) [3][]reply {
		r := right()
		r[i] = list
		return r
	}
	tests := map[string]struct {
		again   int // in the recording
		replies [3][]reply
		want    string
	}{
		"same":                      {-1, right(), "same\nsame\nsame\n"},
		"lost":                      {-1, with(1), "same\nfailed; no answer for 2s\nsame\n"},
		"twice":                     {-1, with(1, reply{1e6, "10.0.0.1"}, reply{2e6, "10.0.0.1"}), "same\nsame\nsame\nconnection different; an answer came twice: NOERROR A 10.0.0.1\n"},
		"twice_at_last":             {-1, with(2, reply{1e6, "10.0.0.2"}, reply{9e6, "10.0.0.2"}), "same\nsame\nsame\nconnection different; an answer came twice: NOERROR A 10.0.0.2\n"},
		"late":                      {-1, with(0, reply{2001 * time.Millisecond, "10.0.0.0"}), "failed; the answer came late, after 2.001s\nsame\nsame\n"},
		"another":                   {-1, with(1, reply{1e6, "10.0.0.9"}), "same\ndifferent; answer is missing, was \"h1.example A 10.0.0.1\"; answer is new: \"h1.example A 10.0.0.9\"\nsame\n"},
		"twice_in_the_recording":    {1, right(), "same\nsame\nskipped; nobody asked for it in the recording\nsame\n"},
		"twice_in_both":             {1, with(1, reply{1e6, "10.0.0.1"}, reply{2e6, "10.0.0.1"}), "same\nsame\nskipped; nobody asked for it in the recording\nsame\n"},
		"another_after_a_right_one": {-1, with(1, reply{1e6, "10.0.0.1"}, reply{2e6, "10.0.0.9"}), "same\nsame\nsame\nconnection different; the server said more than in the recording: NOERROR A 10.0.0.9\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := planOf(t, queries(test.again))
			synctest.Test(t, func(t *testing.T) {
				n := &pipes{handle: func(c net.Conn) {
					buf := make([]byte, 1000)
					for {
						n, err := c.Read(buf)
						if err != nil {
							return
						}
						i := int(buf[1]) - 7
						if !bytes.Equal(buf[:n], message(t, uint16(7+i), fmt.Sprintf("h%d.example.", i), "")) {
							t.Errorf("asked %q", buf[:n])
						}
						for _, r := range test.replies[i] {
							time.AfterFunc(r.after, func() { c.Write(message(t, uint16(7+i), fmt.Sprintf("h%d.example.", i), r.address)) })
						}
					}
				}}
				_, o := play(t, p, replay.Options{Target: "x", Timeout: 2 * time.Second, Dial: n.dial})
				if got := lines(o); got != test.want {
					t.Errorf("got\n%swant\n%s%s", got, test.want, o)
				}
				time.Sleep(10 * time.Second)
			})
		})
	}
}

// TestNobodyWaitsForStragglers begins what comes behind a datagram that was answered,
// while what may come twice is looked out for.
func TestNobodyWaitsForStragglers(t *testing.T) {
	var recipe strings.Builder
	for i := range 50 {
		fmt.Fprintf(&recipe, "udp a%d 10.1.0.1:%d > 10.1.0.2:7777\na%d > \"one\"\na%d < \"1\"\nwait 1h\n", i, 40000+i, i, i)
	}
	for _, limit := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			n := &pipes{handle: says(t, "one=1").serve}
			r, o := play(t, planOf(t, recipe.String()), replay.Options{Target: "x", Dial: n.dial, Connections: limit})
			if took := time.Since(start); r.Checks[compare.Same] != 50 || took > 100*time.Millisecond {
				t.Errorf("limit %d: took %v\n%s", limit, took, o)
			}
			time.Sleep(time.Second)
		})
	}
}
