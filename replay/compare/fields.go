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

// dns compares the code, the flags and the records, as sets; times to live count down. What
// else a server happens to know, beside an answer, is left out where the other does not say
// it. What negotiates the transport (EDNS, RFC 6891) or signs a message says nothing itself.
func (c *comparer) dns(a, b *proto.DNSMessage) {
	if a.Rcode() != b.Rcode() {
		c.add(Status, "rcode", plainSide(a.Rcode()), plainSide(b.Rcode()))
	}
	if a.Truncated() != b.Truncated() {
		c.add(Status, "truncated", plainSide(strconv.FormatBool(a.Truncated())), plainSide(strconv.FormatBool(b.Truncated())))
	}
	for _, f := range dnsFlags {
		if was, is := a.Flags()&f.bit != 0, b.Flags()&f.bit != 0; was != is {
			c.add(Header, "flag "+f.name, plainSide(strconv.FormatBool(was)), plainSide(strconv.FormatBool(is)))
		}
	}
	_, old := a.Sections()
	_, fresh := b.Sections()
	c.records("answer", old[0], fresh[0])
	if !c.rules.Strict {
		if len(old[0])+len(fresh[0]) > 0 { // else it is a referral, or what says that there is none
			old[1], fresh[1] = inBoth(old[1], fresh[1])
		}
		old[1], fresh[1] = withoutSerials(old[1]), withoutSerials(fresh[1])
		old[2], fresh[2] = inBoth(old[2], fresh[2])
	}
	c.records("authority", old[1], fresh[1])
	c.records("additional", old[2], fresh[2])
}

// dnsFlags are those that say something of an answer: that it is the server's own, that the
// server would ask others, and that it has verified it (RFC 1035, section 4.1.1; RFC 4035,
// section 3.2.3).
var dnsFlags = [...]struct {
	name string
	bit  uint16
}{{"aa", 0x0400}, {"ra", 0x0080}, {"ad", 0x0020}}

// inBoth leaves the records of names and types that stand on both sides, and are about what
// was asked.
func inBoth(a, b []proto.DNSRecord) ([]proto.DNSRecord, []proto.DNSRecord) {
	only := func(list, other []proto.DNSRecord) []proto.DNSRecord {
		there := make(map[string]bool, len(other))
		key := func(rr *proto.DNSRecord) string { return strings.ToLower(rr.Name) + " " + rr.TypeName() }
		for i := range other {
			there[key(&other[i])] = true
		}
		var out []proto.DNSRecord
		for i := range list {
			switch list[i].TypeName() {
			case "OPT", "TSIG", "SIG":
				continue
			}
			if there[key(&list[i])] {
				out = append(out, list[i])
			}
		}
		return out
	}
	return only(a, b), only(b, a)
}

// withoutSerials takes the serial numbers out of SOA records, which change with the zone, and
// not with what is not in it.
func withoutSerials(list []proto.DNSRecord) []proto.DNSRecord {
	out := slices.Clone(list)
	for i := range out {
		if f := strings.Fields(out[i].Data); out[i].TypeName() == "SOA" && len(f) == 7 {
			out[i].Data = strings.Join(slices.Delete(f, 2, 3), " ")
		}
	}
	return out
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
	gone, come := without(old, fresh), without(fresh, old)
	for _, x := range gone {
		i := slices.IndexFunc(come, func(y string) bool { return c.alike(Value, section, textSide(x), textSide(y)) })
		if i >= 0 {
			come = slices.Delete(come, i, i+1)
			continue
		}
		c.add(Missing, section, textSide(x), nothing)
	}
	for _, y := range come {
		c.add(Extra, section, nothing, textSide(y))
	}
}

// without returns what of one sorted list is not in another.
func without(list, other []string) (only []string) {
	for _, s := range list {
		if _, found := slices.BinarySearch(other, s); !found {
			only = append(only, s)
		}
	}
	return only
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
