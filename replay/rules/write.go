package rules

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"netlab/replay/compare"
)

// Learned is a place of noise, to be written down.
type Learned struct {
	Endpoint string
	Kind     compare.Kind
	Place    string        // as compare.Difference has it
	Shape    compare.Shape // of recorded values
	Why      string        // a comment
}

// Write writes a file of what was learned, behind the text of one that held before, if
// any.
func Write(w io.Writer, before []byte, list []Learned) error {
	var b strings.Builder
	switch head := strings.TrimRight(string(before), "\n"); {
	case head != "":
		b.WriteString(head + "\n\n  # learned since\n")
	case len(list) == 0:
		b.WriteString(header + "rules: []\n")
	default:
		b.WriteString(header + "rules:\n")
	}
	for _, l := range list {
		l.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const header = `# What counts when answers are compared: netlab replay --rules FILE. Edit it: what stands
# here was seen to differ between right answers, and a rule that says too much hides what
# is wrong. The first rule that says something about a difference decides.
version: 1
`

// write writes one rule, with why.
func (l *Learned) write(b *strings.Builder) {
	for line := range strings.Lines(l.Why) {
		fmt.Fprintf(b, "  # %s\n", strings.TrimSpace(line))
	}
	where, at := whereOf(l.Place)
	fmt.Fprintf(b, "  - endpoint: %s\n    %s: %s\n", scalar(l.Endpoint), where, scalar(at))
	for _, s := range []struct {
		name  string
		shape compare.Shape
	}{
		{"uuid", compare.ShapeUUID}, {"timestamp", compare.ShapeDate}, {"counter", compare.ShapeInteger}, {"hex", compare.ShapeHex}, {"token", compare.ShapeToken},
	} {
		if s.shape.Allows(l.Shape) && l.Shape != 0 && (l.Kind == compare.Value || l.Kind == compare.Header) {
			fmt.Fprintf(b, "    shape: %s\n", s.name)
			return
		}
	}
	fmt.Fprintf(b, "    ignore: %s\n", l.Kind)
}

// whereOf returns the key and value that lead to a place.
func whereOf(place string) (key, value string) {
	if name, ok := strings.CutPrefix(place, "header "); ok {
		return "header", name
	}
	if i := strings.Index(place, " $"); i >= 0 {
		if path, _, _ := strings.Cut(place[i+1:], " "); path == place[i+1:] {
			if _, err := compare.ParsePath(path); err == nil {
				return "json", path
			}
		}
	}
	return "place", place
}

// scalar writes a text so that YAML reads it back.
func scalar(s string) string {
	out, err := yaml.Marshal(s)
	if err != nil || strings.Count(string(out), "\n") > 1 {
		return fmt.Sprintf("%q", strings.ToValidUTF8(s, "\ufffd")) // a text of more lines, in one
	}
	return strings.TrimSpace(string(out))
}
