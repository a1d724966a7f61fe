// Package compare says whether two messages are the same, and if not, where.
//
// It stands behind the player, which has a recorded and a live answer for each
// check. What servers change from one answer to the next without meaning it
// (dates, request ids, the framing of a body) is left out unless Rules.Strict
// asks for it. Comparing keeps nothing, and tells at most MaxDifferences a
// message.
package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netlab/decode/proto"
)

// Verdict is what became of a recorded answer.
type Verdict uint8

// The verdicts. Every check ends in exactly one.
const (
	Same Verdict = iota
	Different
	Failed  // no answer came, or none that makes sense
	Skipped // it could not be compared
	VerdictCount
)

func (v Verdict) String() string {
	return [...]string{"same", "different", "failed", "skipped"}[v]
}

// Kind says what sort of thing differs, the riskiest first.
type Kind uint8

// The kinds.
const (
	Status     Kind = iota // of the answer as a whole
	Type                   // of a value or a body
	Missing                // what was there and is not
	Extra                  // what was not there and is
	Value                  // another value
	Header                 // another header field
	kindsCount             // how many there are
)

func (k Kind) String() string {
	return [...]string{"status", "type", "missing", "extra", "value", "header"}[k]
}

// Difference is one place where two answers differ.
type Difference struct {
	Kind Kind
	// Path is where: "status", "header Content-Type", "body $.user.name", "body".
	Path string
	// Recorded and Live are what stands there, shortened.
	Recorded, Live string
	// Offset is the first differing byte, where the answers are compared as
	// bytes; else -1.
	Offset int64
}

func (d Difference) String() string {
	at := ""
	if d.Offset >= 0 {
		at = fmt.Sprintf(" at byte %d", d.Offset)
	}
	switch d.Kind {
	case Missing:
		return fmt.Sprintf("%s is missing, was %s", d.Path, d.Recorded)
	case Extra:
		return fmt.Sprintf("%s is new: %s", d.Path, d.Live)
	}
	return fmt.Sprintf("%s%s was %s, is %s", d.Path, at, d.Recorded, d.Live)
}

// MaxDifferences bounds what is told of one message.
const MaxDifferences = 100

// Rules say what counts.
type Rules struct {
	// Strict compares everything.
	Strict bool
	// Alike, if any, is asked of two values that differ, as text, whether they stand for
	// the same: a server makes up identifiers, and says other ones the next time. The path
	// is that of the Difference there would be.
	Alike func(path, recorded, live string) bool
}

// alike reports whether two values that differ stand for the same.
func (r Rules) alike(path, recorded, live string) bool {
	return r.Alike != nil && r.Alike(path, recorded, live)
}

// Messages compares a recorded answer with a live one. Both have Raw.
func (r Rules) Messages(recorded, live *proto.Message) []Difference {
	switch a := recorded.Body.(type) {
	case *proto.HTTPMessage:
		if b, ok := live.Body.(*proto.HTTPMessage); ok {
			return limit(r.http(recorded, live, a, b))
		}
	case *proto.DNSMessage:
		if b, ok := live.Body.(*proto.DNSMessage); ok {
			return limit(r.dns(a, b))
		}
	case *proto.FTPReply:
		if b, ok := live.Body.(*proto.FTPReply); ok {
			return r.ftp(a, b)
		}
	}
	return Bytes("answer", recorded.Raw, live.Raw)
}

func limit(list []Difference) []Difference {
	slices.SortStableFunc(list, func(a, b Difference) int { return int(a.Kind) - int(b.Kind) })
	return list[:min(len(list), MaxDifferences)]
}

// volatile are header fields that change without meaning, or that say how a body
// is framed and which version of it this is, when the body itself is compared.
var volatile = map[string]bool{
	"date": true, "age": true, "expires": true, "last-modified": true, "etag": true,
	"content-length": true, "transfer-encoding": true, "content-encoding": true, "connection": true, "keep-alive": true, "trailer": true,
	"x-request-id": true, "request-id": true, "x-correlation-id": true, "x-trace-id": true, "traceparent": true, "tracestate": true,
	"x-amzn-requestid": true, "x-amzn-trace-id": true, "x-amz-request-id": true, "x-amz-id-2": true, "cf-ray": true,
	"x-runtime": true, "x-response-time": true, "server-timing": true, "x-served-by": true, "x-timer": true,
}

// http compares status, header fields and decoded body.
func (r Rules) http(recorded, live *proto.Message, a, b *proto.HTTPMessage) []Difference {
	var list []Difference
	if a.Status != b.Status {
		list = append(list, Difference{Status, "status", strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Reason)), strings.TrimSpace(fmt.Sprintf("%d %s", b.Status, b.Reason)), -1})
	}
	if r.Strict && a.Version != b.Version {
		list = append(list, Difference{Header, "version", a.Version, b.Version, -1})
	}
	list = append(list, r.headers(a.Fields, b.Fields)...)
	list = append(list, r.headers(a.Trailer, b.Trailer)...)
	old, err1 := proto.Content(recorded)
	fresh, err2 := proto.Content(live)
	switch {
	case err1 == nil && err2 != nil:
		list = append(list, Difference{Type, "body", "readable", err2.Error(), -1})
	case err1 != nil || err2 != nil:
		list = append(list, r.bytes("body", old, fresh)...)
	default:
		list = append(list, r.bodies(a, b, old, fresh)...)
	}
	return list
}

// headers compares header fields by name; fields of one name keep their order.
func (r Rules) headers(a, b []proto.Field) []Difference {
	var list []Difference
	var names []string // of both, in order
	known := make(map[string]bool)
	group := func(fields []proto.Field) map[string][]string {
		m := make(map[string][]string)
		for _, f := range fields {
			name := strings.ToLower(f.Name)
			if volatile[name] && !r.Strict {
				continue
			}
			v := f.Value
			if name == "set-cookie" && !r.Strict {
				v, _, _ = strings.Cut(v, "=") // the value is new each time
			}
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
			m[name] = append(m[name], v)
		}
		return m
	}
	old, fresh := group(a), group(b)
	for _, name := range names {
		x, hadIt := old[name]
		y, hasIt := fresh[name]
		if hadIt && hasIt && slices.Equal(x, y) {
			continue
		}
		was, is := strings.Join(x, ", "), strings.Join(y, ", ")
		d := Difference{Kind: Header, Path: "header " + name, Offset: -1}
		switch {
		case !hasIt:
			d.Kind, d.Recorded = Missing, quote(was)
		case !hadIt:
			d.Kind, d.Live = Extra, quote(is)
		case was == is && name != "set-cookie" && !r.Strict:
			continue // one list, in more lines or fewer (RFC 9110, section 5.3)
		case r.alike(d.Path, was, is):
			continue
		default:
			d.Recorded, d.Live = quoteBoth(was, is)
		}
		list = append(list, d)
	}
	return list
}

// bodies compares decoded bodies, as JSON when both are.
func (r Rules) bodies(a, b *proto.HTTPMessage, old, fresh []byte) []Difference {
	if !r.Strict && isJSON(a, old) && isJSON(b, fresh) {
		x, err1 := parseJSON(old)
		y, err2 := parseJSON(fresh)
		if err1 == nil && err2 == nil {
			return r.json(x, y)
		}
		if err1 == nil {
			return []Difference{{Type, "body", "JSON", "no JSON: " + err2.Error(), -1}}
		}
	}
	return r.bytes("body", old, fresh)
}

// isJSON reports whether a body says that it is JSON, or looks it.
func isJSON(h *proto.HTTPMessage, body []byte) bool {
	typ, _ := h.Get("Content-Type")
	typ, _, _ = strings.Cut(strings.ToLower(typ), ";")
	typ = strings.TrimSpace(typ)
	if typ == "application/json" || strings.HasSuffix(typ, "+json") || typ == "text/json" {
		return len(body) > 0
	}
	return typ == "" && len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// dns compares the code and the answers, as sets; times to live count down.
func (r Rules) dns(a, b *proto.DNSMessage) []Difference {
	var list []Difference
	if a.Rcode() != b.Rcode() {
		list = append(list, Difference{Status, "rcode", a.Rcode(), b.Rcode(), -1})
	}
	if a.Truncated() != b.Truncated() {
		list = append(list, Difference{Status, "truncated", strconv.FormatBool(a.Truncated()), strconv.FormatBool(b.Truncated()), -1})
	}
	set := func(m *proto.DNSMessage) []string {
		_, records := m.Sections()
		var out []string
		for _, rr := range records[0] {
			ttl := ""
			if r.Strict {
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
			list = append(list, Difference{Missing, "answer", quote(x), "", -1})
		}
	}
	for _, y := range fresh {
		if _, found := slices.BinarySearch(old, y); !found {
			list = append(list, Difference{Extra, "answer", "", quote(y), -1})
		}
	}
	return list
}

// ftp compares code and text; where a data connection will be is new each time.
func (r Rules) ftp(a, b *proto.FTPReply) []Difference {
	if a.Code != b.Code {
		return []Difference{{Status, "code", strconv.Itoa(a.Code), strconv.Itoa(b.Code), -1}}
	}
	if a.Text != b.Text && (r.Strict || a.Code != 227 && a.Code != 229) {
		was, is := quoteBoth(a.Text, b.Text)
		return []Difference{{Value, "text", was, is, -1}}
	}
	return nil
}

// bytes compares byte by byte what may hold values that differ and stand for the same.
func (r Rules) bytes(path string, a, b []byte) []Difference {
	list := Bytes(path, a, b)
	if len(list) > 0 && r.alike(path, string(a), string(b)) {
		return nil
	}
	return list
}

// Bytes compares byte by byte and tells the first difference.
func Bytes(path string, a, b []byte) []Difference {
	n := min(len(a), len(b))
	i := 0
	for i < n && a[i] == b[i] {
		i++
	}
	if i == len(a) && i == len(b) {
		return nil
	}
	return []Difference{{Value, path, around(a, i), around(b, i), int64(i)}}
}

// around shows the bytes from offset i on, and how many there are in all.
func around(b []byte, i int) string {
	const few = 24
	size := fmt.Sprintf("%d bytes", len(b))
	if len(b) == 1 {
		size = "1 byte"
	}
	if i == len(b) {
		return "the end after " + size
	}
	rest := b[i:min(len(b), i+few)]
	text := strconv.QuoteToASCII(string(rest))
	if i+few < len(b) {
		text += "…"
	}
	return text + " of " + size
}

// long is how many bytes of a value are shown.
const long = 120

// quote shortens and quotes a value.
func quote(s string) string {
	if len(s) > long {
		return strconv.QuoteToASCII(s[:long]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// quoteBoth quotes two values that differ. When they agree in all that would be
// shown, both are shown from a little before the difference on.
func quoteBoth(a, b string) (string, string) {
	const before = 20
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i < long {
		return quote(a), quote(b)
	}
	i -= before
	return "…" + quote(a[i:]), "…" + quote(b[i:])
}
