package report_test

import (
	"bytes"
	"encoding/xml"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/net/html"

	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/latency"
	"netlab/replay/noise"
	"netlab/replay/report"
)

// learned is a place of noise, with a hostile name.
var learned = []noise.Evidence{{Endpoint: "GET a.example/<b>", Kind: compare.Value, Place: "body $.\x1b", Varied: 3, Pairs: 4, Differed: 4, Compared: 5, Excused: 4, Shape: compare.ShapeUUID}}

// slow is an endpoint that is slower.
var slow = []latency.Row{{
	Endpoint: "GET api.example/users/{id}", Answers: 2, Recorded: []time.Duration{1, 2}, Live: []time.Duration{1e9, 2e9}, Slower: []string{"p50 > 1.5x: it is 1s, was 1ns"},
}}

// TestSchema holds every record to the schema.
func TestSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := report.NewJSON(&out)
	if err := r.Noise(learned); err != nil {
		t.Fatal(err)
	}
	if err := r.Latency(slow); err != nil {
		t.Fatal(err)
	}
	tell(t, r)
	seen := make(map[string]bool)
	for line := range strings.Lines(out.String()) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
		seen[doc.(map[string]any)["type"].(string)] = true
	}
	if len(seen) != 5 {
		t.Errorf("records of these types only: %v", seen)
	}
}

// TestJUnit reads what is written as CI does: a case for each endpoint, and the sums right.
func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	r := report.NewJUnit(&out, "bug<&>\x1b.pcap")
	if err := r.Latency(slow); err != nil {
		t.Fatal(err)
	}
	tell(t, r)
	golden(t, "junit", out.String())
	var suite struct {
		XMLName  xml.Name `xml:"testsuite"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Cases    []struct {
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(out.Bytes(), &suite); err != nil {
		t.Fatal(err)
	}
	failures, failed, skipped := 0, 0, 0
	names := make(map[string]bool)
	for _, c := range suite.Cases {
		names[c.Name] = true
		if c.Failure != nil {
			failures++
		}
		if c.Error != nil {
			failed++
		}
		if c.Skipped != nil {
			skipped++
		}
	}
	if suite.Tests != len(suite.Cases) || suite.Failures != failures || suite.Errors != failed || suite.Skipped != skipped || failures == 0 || failed == 0 {
		t.Errorf("%+v", suite)
	}
	for _, want := range []string{"POST api.example/users", "GET api.example/users/{id}", "raw", "connections"} {
		if !names[want] {
			t.Errorf("no case %s: %v", want, names)
		}
	}
}

// TestHTML wants a page without scripts, in which nothing that a server sent is markup.
func TestHTML(t *testing.T) {
	var out bytes.Buffer
	r := report.NewHTML(&out, "<script>alert(1)</script>")
	if err := r.Noise(learned); err != nil {
		t.Fatal(err)
	}
	tell(t, r)
	golden(t, "html", out.String())
	z := html.NewTokenizer(&out)
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken:
			name, _ := z.TagName()
			if string(name) == "script" || string(name) == "b" {
				t.Errorf("an element %s", name)
			}
		case html.TextToken:
			if bytes.ContainsRune(z.Text(), '\x1b') {
				t.Errorf("an escape: %q", z.Text())
			}
		}
	}
}

// TestGitHub writes annotations of one line each.
func TestGitHub(t *testing.T) {
	var out bytes.Buffer
	tell(t, report.NewGitHub(&out, "bug.pcap"))
	golden(t, "github", out.String())
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "::error title=") || strings.Count(line, "::") < 2 {
			t.Errorf("%q", line)
		}
	}
}

// TestShown writes both answers, where they differ.
func TestShown(t *testing.T) {
	p := planOf(t, "http1-keepalive")
	o := outcomeOf(p.Conns[0], 0)
	live := *o.Check.Exchange.Response
	live.Raw = bytes.Replace(live.Raw, []byte("Ada"), []byte("Bob"), 1)
	s := &report.Shown{Conn: 0, Index: 0}
	if got := s.String(); got != "#0.0: there is no such answer that was compared\n" {
		t.Error(got)
	}
	s.Take(o, &live)
	golden(t, "shown", s.String())
	s.Take(o, &proto.Message{Raw: []byte("\x1b[2J\x00"), Body: &proto.Turn{}})
	if got := s.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, "00000000  1b 5b 32 4a 00") {
		t.Error(got)
	}
}

// TestDisk names what a disk refuses, also when that is known in the end.
func TestDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here: ", err)
	}
	r := report.Several{report.Closing(report.NewHTML(f, "x"), f)}
	err = r.Result(result())
	if err == nil || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("%v", err)
	}
}
