package compare

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"netlab/decode/proto"
)

// volatile are header fields that change without meaning, or that say how a body
// is framed and which version of it this is, when the body itself is compared.
var volatile = map[string]bool{
	"date": true, "age": true, "expires": true, "last-modified": true, "etag": true,
	"content-length": true, "transfer-encoding": true, "content-encoding": true, "connection": true, "keep-alive": true, "trailer": true,
	"x-request-id": true, "request-id": true, "x-correlation-id": true, "x-trace-id": true, "traceparent": true, "tracestate": true,
	"x-amzn-requestid": true, "x-amzn-trace-id": true, "x-amz-request-id": true, "x-amz-id-2": true, "cf-ray": true,
	"x-runtime": true, "x-response-time": true, "server-timing": true, "x-served-by": true, "x-timer": true,
}

// framing are those that say how the body is framed: they are compared on the wire.
var framing = map[string]bool{
	"content-length": true, "transfer-encoding": true, "content-encoding": true, "connection": true, "keep-alive": true, "trailer": true,
}

// sameHTTP reports whether two answers of HTTP/1 have the same body to the byte, framed in
// the same way, behind heads that differ in nothing but the values of volatile fields, as most
// answers do.
func sameHTTP(recorded, live *proto.Message) bool {
	a, ok1 := recorded.Body.(*proto.HTTPMessage)
	b, ok2 := live.Body.(*proto.HTTPMessage)
	if !ok1 || !ok2 || a.Head == "" || b.Head == "" || recorded.RawMissing+live.RawMissing > 0 ||
		len(recorded.Raw) < len(a.Head) || len(live.Raw) < len(b.Head) || a.IsRequest() != b.IsRequest() {
		return false
	}
	return a.Status == b.Status && a.Method == b.Method && a.Target == b.Target && a.BodyBytes == b.BodyBytes &&
		slices.EqualFunc(a.Fields, b.Fields, func(x, y proto.Field) bool {
			return x.Name == y.Name && (x.Value == y.Value || isVolatile(x.Name) && !isFraming(x.Name))
		}) && bytes.Equal(recorded.Raw[len(a.Head):], live.Raw[len(b.Head):])
}

// isVolatile and isFraming look up a name in whatever spelling.
func isVolatile(name string) bool { return hasName(volatile, name) }
func isFraming(name string) bool  { return hasName(framing, name) }

// hasName looks up a name, which needs no memory for one as short as those are.
func hasName(set map[string]bool, name string) bool {
	var lower [32]byte
	if len(name) > len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return set[string(lower[:len(name)])]
}

// http compares status, header fields and decoded body.
func (c *comparer) http(recorded, live *proto.Message, a, b *proto.HTTPMessage) {
	if a.Status != b.Status {
		c.add(Status, "status", plainSide(startOf(a)), plainSide(startOf(b)))
	}
	if a.IsRequest() && b.IsRequest() && (a.Method != b.Method || a.Target != b.Target) {
		was, is := textSides(a.Method+" "+a.Target, b.Method+" "+b.Target)
		c.add(Value, "request", was, is)
	}
	if (c.rules.Strict || c.rules.Wire) && a.Version != b.Version {
		c.add(Header, "version", plainSide(a.Version), plainSide(b.Version))
	}
	c.headers(a.Fields, b.Fields)
	c.headers(a.Trailer, b.Trailer)
	if c.rules.Wire {
		c.framed(a, b)
		c.flushed(recorded, live)
	}
	old, err1 := proto.Content(recorded)
	fresh, err2 := proto.Content(live)
	switch {
	case tooLarge(recorded, err1) || tooLarge(live, err2):
		c.bodySums(recorded, live)
	case err1 == nil && err2 != nil:
		c.add(Type, "body", plainSide("readable"), plainSide(err2.Error()))
	case err1 != nil || err2 != nil:
		c.bytes("body", old, fresh)
	default:
		c.bodies(a, b, old, fresh)
	}
}

// startOf is status and reason.
func startOf(h *proto.HTTPMessage) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", h.Status, h.Reason))
}

// headers compares header fields by name; fields of one name keep their order.
func (c *comparer) headers(a, b []proto.Field) {
	strict := c.rules.Strict
	if slices.EqualFunc(a, b, func(x, y proto.Field) bool {
		return x.Name == y.Name && (x.Value == y.Value || !strict && c.leavesOut(strings.ToLower(x.Name)))
	}) {
		return // as most are
	}
	var names []string // of both, in order
	known := make(map[string]bool)
	group := func(fields []proto.Field) map[string][]string {
		m := make(map[string][]string)
		for _, f := range fields {
			name := strings.ToLower(f.Name)
			if !strict && c.leavesOut(name) {
				continue
			}
			v := f.Value
			if name == "set-cookie" && !strict {
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
		path := "header " + name
		switch {
		case !hasIt:
			c.add(Missing, path, textSide(was), nothing)
		case !hadIt:
			c.add(Extra, path, nothing, textSide(is))
		case was == is && name != "set-cookie" && !strict && !c.rules.Wire:
			// one list, in more lines or fewer (RFC 9110, section 5.3)
		default:
			old, now := textSides(was, is)
			c.add(Header, path, old, now)
		}
	}
	if !strict && known["set-cookie"] {
		c.cookies(a, b)
	}
}

// leavesOut reports whether a header field is not compared.
func (c *comparer) leavesOut(name string) bool {
	return volatile[name] && !(c.rules.Wire && framing[name])
}

// framed compares what the wire has to say beside header fields and body: how names are
// spelled, in which order they stand, and how the body is framed.
func (c *comparer) framed(a, b *proto.HTTPMessage) {
	if a.Chunked != b.Chunked {
		name := map[bool]string{true: "in chunks", false: "as a whole"}
		c.add(Header, "wire framing", plainSide(name[a.Chunked]), plainSide(name[b.Chunked]))
	}
	was, is := spelledAs(a.Fields), spelledAs(b.Fields)
	if slices.Equal(was, is) {
		return
	}
	spelling := make(map[string]string, len(was))
	for _, name := range was {
		spelling[strings.ToLower(name)] = name
	}
	told := make(map[string]bool)
	for _, name := range is {
		low := strings.ToLower(name)
		if old, ok := spelling[low]; ok && old != name && !told[low] {
			told[low] = true
			c.add(Header, "wire spelling of "+low, textSide(old), textSide(name))
		}
	}
	shared := func(names, others []string) string {
		var list []string
		there := make(map[string]bool, len(others))
		for _, name := range others {
			there[strings.ToLower(name)] = true
		}
		for _, name := range names {
			if low := strings.ToLower(name); there[low] {
				list = append(list, low)
			}
		}
		return strings.Join(list, ", ")
	}
	if x, y := shared(was, is), shared(is, was); x != y {
		old, now := textSides(x, y)
		c.add(Header, "wire order", old, now)
	}
}

// flushed compares in how many pieces two answers came, with a pause before each: segments
// say nothing, and a server that gathers what it had sent bit by bit is another.
func (c *comparer) flushed(recorded, live *proto.Message) {
	if flushedOtherwise(recorded, live) {
		c.add(Header, "wire flush", plainSide(inPieces(recorded)), plainSide(inPieces(live)))
	}
}

// flushedOtherwise reports whether one has twice as many pieces as the other, or more: fewer
// may be chance, for a pause can be a little shorter or longer. Of what is too large to keep,
// the pauses may be our own.
func flushedOtherwise(recorded, live *proto.Message) bool {
	if recorded.RawMissing+live.RawMissing > 0 {
		return false
	}
	a, b := 1+recorded.Pauses, 1+live.Pauses
	return a >= 2*b || b >= 2*a
}

func inPieces(m *proto.Message) string {
	if m.Pauses == 0 {
		return "in one piece"
	}
	return fmt.Sprintf("in %d pieces, more than %v apart", 1+m.Pauses, proto.Pause)
}

func spelledAs(fields []proto.Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}
