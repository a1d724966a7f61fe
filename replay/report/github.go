package report

import (
	"fmt"
	"io"
	"strings"

	"netlab/replay"
)

// GitHub writes an annotation for each thing that differs, as workflows of GitHub read
// them from what a step prints.
type GitHub struct {
	gathered
	w         io.Writer
	recording string
}

// NewGitHub returns a report to w about a recording of that name.
func NewGitHub(w io.Writer, recording string) *GitHub { return &GitHub{w: w, recording: recording} }

// maxAnnotations is how many of a step GitHub shows.
const maxAnnotations = 10

// Result writes the annotations.
func (g *GitHub) Result(*replay.Result) error {
	var b strings.Builder
	for i, x := range g.groups.sorted() {
		if i == maxAnnotations {
			break
		}
		fmt.Fprintf(&b, "::error title=%s::%s\n", property(x.title()), message(x.text(&g.groups)+"\nin "+g.recording+", netlab replay --show "+numberOf(x.sample)[1:]))
	}
	for i, c := range g.conns {
		if i == maxAnnotations {
			break
		}
		fmt.Fprintf(&b, "::error title=%s::%s\n", property("connection "+c.number), message(c.reason))
	}
	for i := range g.rows {
		for _, why := range g.rows[i].Slower {
			fmt.Fprintf(&b, "::error title=%s::%s\n", property("timing of "+g.rows[i].Endpoint), message(why))
		}
	}
	_, err := io.WriteString(g.w, b.String())
	return err
}

// message escapes what stands behind ::, and property what stands before.
func message(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(message(s))
}
