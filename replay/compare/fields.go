package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netlab/decode/proto"
)

// fields compares two messages by what their protocol says in them, and reports whether
// that told them apart: what is not kept, or hidden, is left to the bytes.
func (c *comparer) fields(recorded, live *proto.Message) bool {
	_, isTurn := recorded.Body.(*proto.Turn)
	if c.rules.Strict || isTurn || fmt.Sprintf("%T", recorded.Body) != fmt.Sprintf("%T", live.Body) {
		return false
	}
	x, err1 := parseJSON(append(recorded.Body.AppendJSON([]byte{'{'}), '}'))
	y, err2 := parseJSON(append(live.Body.AppendJSON([]byte{'{'}), '}'))
	if err1 != nil || err2 != nil {
		return false
	}
	before := c.count()
	if a, ok := recorded.Body.(proto.Outcome); ok {
		c.outcome(a, live.Body.(proto.Outcome))
	}
	c.tree("answer", x, y)
	return c.count() > before
}

// outcome compares how an answer went.
func (c *comparer) outcome(a, b proto.Outcome) {
	code, word, _ := a.Outcome()
	codeNow, wordNow, _ := b.Outcome()
	if code == codeNow && word == wordNow {
		return
	}
	write := func(code int, word string) side {
		if word == "" {
			word = strconv.Itoa(code)
		}
		return plainSide(word)
	}
	c.add(Status, "outcome", write(code, word), write(codeNow, wordNow))
}

// dns compares the code and the answers, as sets; times to live count down.
func (c *comparer) dns(a, b *proto.DNSMessage) {
	if a.Rcode() != b.Rcode() {
		c.add(Status, "rcode", plainSide(a.Rcode()), plainSide(b.Rcode()))
	}
	if a.Truncated() != b.Truncated() {
		c.add(Status, "truncated", plainSide(strconv.FormatBool(a.Truncated())), plainSide(strconv.FormatBool(b.Truncated())))
	}
	_, old := a.Sections()
	_, fresh := b.Sections()
	for i, section := range [...]string{"answer", "authority", "additional"} {
		if i > 0 && !c.rules.Strict {
			break // what may be of use, and differs with what a server happens to know
		}
		c.records(section, old[i], fresh[i])
	}
}

// records compares those of a section.
func (c *comparer) records(section string, a, b []proto.DNSRecord) {
	set := func(records []proto.DNSRecord) []string {
		var out []string
		for _, rr := range records {
			ttl := ""
			if c.rules.Strict {
				ttl = fmt.Sprintf(" %d", rr.TTL)
			}
			out = append(out, fmt.Sprintf("%s%s %s %s", strings.ToLower(rr.Name), ttl, rr.TypeName(), rr.Data))
		}
		slices.Sort(out)
		return out
	}
	old, fresh := set(a), set(b)
	for _, x := range old {
		if _, found := slices.BinarySearch(fresh, x); !found {
			c.add(Missing, section, textSide(x), nothing)
		}
	}
	for _, y := range fresh {
		if _, found := slices.BinarySearch(old, y); !found {
			c.add(Extra, section, nothing, textSide(y))
		}
	}
}

// ftp compares code and text; where a data connection will be is new each time.
func (c *comparer) ftp(a, b *proto.FTPReply) {
	switch {
	case a.Code != b.Code:
		c.add(Status, "code", plainSide(strconv.Itoa(a.Code)), plainSide(strconv.Itoa(b.Code)))
	case a.Text != b.Text && (c.rules.Strict || a.Code != 227 && a.Code != 229):
		was, is := textSides(a.Text, b.Text)
		c.add(Value, "text", was, is)
	}
}
