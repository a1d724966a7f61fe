package report

import (
	"fmt"
	"io"
	"strings"

	"netlab/decode/printer"
	"netlab/replay/values"
)

// maxValues bounds how many values are listed.
const maxValues = 1000

// ValuesLine says in one line what is taken from live answers; it is empty when nothing is.
func ValuesLine(f *values.Found) string {
	n, uses := f.Used()
	if n == 0 {
		return ""
	}
	is, has := "is", "it"
	if n > 1 {
		is, has = "are", "them"
	}
	return fmt.Sprintf("%s that the server made up %s taken from its answers now, for %s in requests that have %s (--dry-run lists %s)",
		printer.Count(int64(n), "value"), is, printer.Count(int64(uses), "place"), has, has)
}

// Values lists what is taken from live answers, or set, and where it is put. Values are shown
// by what they look like only.
func Values(w io.Writer, f *values.Found) error {
	if f == nil {
		return nil
	}
	var b strings.Builder
	listed, more := 0, 0
	for i := range f.Values {
		v := &f.Values[i]
		if v.Uses == 0 {
			continue
		}
		if listed++; listed > maxValues {
			more++
			continue
		}
		if listed == 1 {
			b.WriteString("values:\n")
		}
		switch {
		case v.Set != nil && v.Number == 0:
			fmt.Fprintf(&b, "  set %s", printer.Clean(v.Set.Name))
		case v.Set != nil:
			fmt.Fprintf(&b, "  set value.%d: in place of what response %d of conversation %d says, %s (%s)", v.Number, v.From.Index, v.From.Conversation, printer.Clean(v.Place.String()), printer.Clean(v.Shown))
		default:
			fmt.Fprintf(&b, "  value.%d, %s: from response %d of conversation %d, %s (%s)", v.Number, v.Confidence, v.From.Index, v.From.Conversation, printer.Clean(v.Place.String()), printer.Clean(v.Shown))
		}
		fmt.Fprintf(&b, " > request %d of conversation %d, %s", v.First.In.Index, v.First.In.Conversation, printer.Clean(v.First.Place.String()))
		if v.Uses > 1 {
			fmt.Fprintf(&b, ", and %s more", printer.Count(int64(v.Uses-1), "place"))
		}
		b.WriteByte('\n')
	}
	if more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	if f.Forgotten > 0 {
		fmt.Fprintf(&b, "  %s of answers or requests were not remembered, for there is room for so many; some that are said again may be missing\n", printer.Count(f.Forgotten, "value"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// valueCounts says what became of the places in requests; empty without any.
func valueCounts(c values.Counts) string {
	n := c.Replaced + c.Same + c.Stale
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("values:      %d in requests = %d replaced + %d the same now + %d sent as recorded\n", n, c.Replaced, c.Same, c.Stale)
}

// valuesRecord counts the places in requests.
type valuesRecord struct {
	Replaced int64 `json:"replaced"`
	Same     int64 `json:"same"`
	Stale    int64 `json:"stale"` // sent as recorded, for no live value was there
}

func valuesOf(c values.Counts) *valuesRecord {
	if c == (values.Counts{}) {
		return nil
	}
	return &valuesRecord{c.Replaced, c.Same, c.Stale}
}
