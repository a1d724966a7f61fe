package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"netlab/decode/printer"
	"netlab/replay"
	"netlab/replay/compare"
	"netlab/replay/noise"
)

// JUnit writes a test case for each endpoint, and one for the connections: the form that
// every CI reads (https://github.com/testmoapp/junitxml).
type JUnit struct {
	gathered
	w         io.Writer
	recording string
	skipped   map[string]string // a reason of each endpoint
}

// NewJUnit returns a report to w about a recording of that name.
func NewJUnit(w io.Writer, recording string) *JUnit {
	return &JUnit{w: w, recording: recording, skipped: make(map[string]string)}
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Skipped *junitProblem `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// Outcome takes note of one answer.
func (j *JUnit) Outcome(o *replay.Outcome) error {
	if o.Verdict == compare.Skipped {
		j.skipped[noise.EndpointOf(o)] = o.Reason
	}
	return j.gathered.Outcome(o)
}

// Result writes the file.
func (j *JUnit) Result(r *replay.Result) error {
	suite := junitSuite{Name: printer.Clean("netlab replay " + j.recording), Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
	problems := make(map[string][]*group)
	for _, x := range j.groups.sorted() {
		problems[x.endpoint] = append(problems[x.endpoint], x)
	}
	names := make(map[string]bool)
	for name := range j.groups.answers {
		names[name] = true
	}
	for name := range j.skipped {
		names[name] = true
	}
	slower := j.slower()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := j.caseOf(name, problems[name])
		if why := slower[name]; why != nil && c.Failure == nil && c.Error == nil {
			c.Out, c.Failure = "", &junitProblem{Message: printer.Clean(why[0]), Type: compare.Timing.String(), Text: printer.Clean(strings.Join(why, "; "))}
		}
		suite.add(c)
	}
	if len(j.conns) > 0 {
		c := junitCase{Name: "connections", Class: suite.Name, Failure: &junitProblem{Message: printer.Clean(j.conns[0].reason), Type: "connection"}}
		for _, conn := range j.conns {
			c.Failure.Text += printer.Clean(conn.number+" "+conn.reason) + "\n"
		}
		suite.add(c)
	}
	out, err := xml.MarshalIndent(&suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.w, "%s%s\n", xml.Header, out)
	return err
}

func (s *junitSuite) add(c junitCase) {
	c.Class = s.Name
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Error != nil:
		s.Errors++
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
}

// caseOf is what became of an endpoint: an error when answers did not come, and a failure
// when they differ.
func (j *JUnit) caseOf(name string, problems []*group) junitCase {
	c := junitCase{Name: printer.Clean(cmp.Or(name, "(unknown)"))}
	var text strings.Builder
	for _, x := range problems {
		fmt.Fprintf(&text, "%s\n%s\n", printer.Clean(x.title()), x.text(&j.groups))
	}
	switch {
	case len(problems) == 0 && j.groups.answers[name] == 0:
		c.Skipped = &junitProblem{Message: printer.Clean(j.skipped[name])}
	case len(problems) == 0:
		c.Out = printer.Count(int64(j.groups.answers[name]), "answer") + ", all the same"
	case problems[0].failed:
		c.Error = &junitProblem{printer.Clean(problems[0].title()), problems[0].what(), text.String()}
	default:
		c.Failure = &junitProblem{printer.Clean(problems[0].title()), problems[0].what(), text.String()}
	}
	return c
}
