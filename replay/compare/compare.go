// Package compare says whether two messages are the same, and if not, where.
//
// It stands behind the player, which has a recorded and a live answer for each check,
// and behind the comparing of two recordings. What has a structure (JSON, forms,
// markup, protobuf, the answers of databases) is compared by it, the rest byte by byte;
// what is too large for a structure is compared byte by byte too, and what is too large to
// be kept by its length and digest. What servers change
// from one answer to the next without meaning it (request ids, the framing of a body) is
// left out unless Rules.Strict asks for it. Comparing keeps nothing. It looks at
// everything, and tells at most MaxDifferences a message: what is told of one place
// stands for all that differs there.
package compare

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Status    Kind = iota // of the answer as a whole
	Type                  // of a value or a body
	Missing               // what was there and is not
	Extra                 // what was not there and is
	Value                 // another value
	Header                // another header field
	Timing                // it took longer
	KindCount             // how many there are
)

func (k Kind) String() string {
	return [...]string{"status", "type", "missing", "extra", "value", "header", "timing"}[k]
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

	// Place is the path without the numbers of elements: "body $.items[*].id". More
	// counts the differences of this kind there that are not told one by one.
	Place string
	More  int
	// Was and Is are what the values look like, those of More too. Clock means that all
	// are times as far from when they were said.
	Was, Is Shape
	Clock   bool
	// Now is a number that is the same for the same live values.
	Now uint64
}

func (d Difference) String() string {
	at := ""
	if d.Offset >= 0 {
		at = fmt.Sprintf(" at byte %d", d.Offset)
	}
	more := ""
	if d.More > 0 {
		more = fmt.Sprintf("; so do %d more", d.More)
	}
	switch d.Kind {
	case Missing:
		return fmt.Sprintf("%s is missing, was %s%s", d.Path, d.Recorded, more)
	case Extra:
		return fmt.Sprintf("%s is new: %s%s", d.Path, d.Live, more)
	}
	return fmt.Sprintf("%s%s was %s, is %s%s", d.Path, at, d.Recorded, d.Live, more)
}

// MaxDifferences bounds what is told of one message, and perPlace what is told of a kind
// at one place in it: behind that it is counted.
const (
	MaxDifferences = 1000
	perPlace       = 10
)

// Rules say what counts. The zero value compares by structure, without what changes
// from answer to answer.
type Rules struct {
	// Strict compares everything, JSON and the like byte by byte.
	Strict bool
	// Wire also compares how an answer is framed, the order and spelling of header fields,
	// and in how many pieces it came.
	Wire bool
	// List holds what is written down about some places.
	List []Rule
	// Alike, if any, is asked of two values that differ: a server makes up identifiers, and
	// says other ones the next time.
	Alike Alike

	request *proto.Message
}

// Alike reports whether two values that differ, as text, stand for the same. The path is
// that of the Difference there would be.
type Alike func(path, recorded, live string) bool

// Either asks one, and then the other; each may be nil.
func Either(a, b Alike) Alike {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(path, recorded, live string) bool { return a(path, recorded, live) || b(path, recorded, live) }
}

// To returns the rules for answers to a request, if it is known: a Rule may be of one
// endpoint.
func (r Rules) To(request *proto.Message) Rules {
	r.request = request
	return r
}

// EndpointOf returns what was asked for, without what differs from one such request to
// the next; "" when that is not known.
func EndpointOf(request *proto.Message) string {
	if request == nil {
		return ""
	}
	if e, ok := request.Body.(proto.Endpoint); ok {
		return e.Endpoint()
	}
	return ""
}

// Messages compares a recorded answer with a live one. Both have Raw.
func (r Rules) Messages(recorded, live *proto.Message) []Difference {
	if sameRaw(recorded, live) && !(r.Wire && flushedOtherwise(recorded, live)) || !r.Strict && !r.Wire && sameHTTP(recorded, live) {
		return nil
	}
	rules := r // only here it is worth a place on the heap
	c := comparer{rules: &rules, said: recorded.Time, saidNow: live.Time}
	c.messages(recorded, live)
	return c.told()
}

// sameRaw reports whether all bytes are the same. Of HTTP/2, Raw is the content alone.
func sameRaw(a, b *proto.Message) bool {
	if h, ok := a.Body.(*proto.HTTPMessage); ok && h.Head == "" {
		return false
	}
	return len(a.Raw) > 0 && a.RawMissing == 0 && b.RawMissing == 0 && bytes.Equal(a.Raw, b.Raw)
}

func (c *comparer) messages(recorded, live *proto.Message) {
	switch a := recorded.Body.(type) {
	case *proto.HTTPMessage:
		if b, ok := live.Body.(*proto.HTTPMessage); ok {
			c.http(recorded, live, a, b)
			return
		}
	case *proto.DNSMessage:
		if b, ok := live.Body.(*proto.DNSMessage); ok {
			c.dns(a, b)
			return
		}
	case *proto.FTPReply:
		if b, ok := live.Body.(*proto.FTPReply); ok {
			c.ftp(a, b)
			return
		}
	case *proto.WebSocketFrame:
		if b, ok := live.Body.(*proto.WebSocketFrame); ok {
			c.webSocket(recorded, live, a, b)
			return
		}
	}
	if !c.fields(recorded, live) {
		c.raw("answer", recorded, live)
	}
}

// comparer gathers what differs between two messages.
type comparer struct {
	rules         *Rules
	endpoint      string // of the request, when asked
	knowsEndpoint bool
	said, saidNow time.Time // when the messages were
	list          []Difference
	places        map[placeKey]*placeCount
	beyond        int // differences at places beyond MaxDifferences
	pardoned      int // those that a rule excused

	// part and path lead to what is compared in something with a structure. They are
	// written out for a difference only: keys may be long, and values many.
	part  string
	path  []step
	form  bool // the structure is that of a form
	exact bool // the spelling of numbers counts somewhere
}

type placeKey struct {
	kind  Kind
	place string
}

// placeCount is where a place's differences are: the last is told for all that follow.
type placeCount struct{ told, last int }

// side is what stands on one side: in full, as it is shown, and what it looks like.
type side struct {
	text, shown string
	shape       Shape
}

// nothing stands where something is missing.
var nothing side

func textSide(s string) side { return side{s, quote(s), shapeOf(s)} }

// textSides are two texts that differ, shown where they do.
func textSides(a, b string) (side, side) {
	was, is := quoteBoth(a, b)
	return side{a, was, shapeOf(a)}, side{b, is, shapeOf(b)}
}

func plainSide(s string) side { return side{s, s, shapeOf(s)} }

// add notes a difference at a path outside of any structure.
func (c *comparer) add(kind Kind, path string, was, is side) {
	c.note(kind, path, path, was, is, -1)
}

// note notes a difference, unless a rule says that it is none.
func (c *comparer) note(kind Kind, path, place string, was, is side, offset int64) {
	if c.alike(kind, path, was, is) || c.excused(kind, path, place, was, is) {
		return
	}
	clock := kind != Missing && kind != Extra && followsClock(was.text, is.text, c.said, c.saidNow)
	now := mix(textSum(path), textSum(is.text))
	if kind == Type {
		place += " " + was.shape.String() + " > " + is.shape.String()
	}
	key := placeKey{kind, place}
	if c.places == nil {
		c.places = make(map[placeKey]*placeCount)
	}
	p := c.places[key]
	switch {
	case p == nil && len(c.list) >= MaxDifferences:
		c.beyond++
		return
	case p == nil:
		p = &placeCount{}
		c.places[key] = p
	case p.told >= perPlace || len(c.list) >= MaxDifferences:
		d := &c.list[p.last]
		d.More++
		d.Was, d.Is = d.Was|was.shape, d.Is|is.shape
		d.Clock = d.Clock && clock
		d.Now = mix(d.Now, now)
		return
	}
	p.told, p.last = p.told+1, len(c.list)
	c.list = append(c.list, Difference{
		Kind: kind, Path: path, Recorded: was.shown, Live: is.shown, Offset: offset,
		Place: place, Was: was.shape, Is: is.shape, Clock: clock, Now: now,
	})
}

// alike reports whether two values stand for the same. Nobody is asked about values that
// have no text.
func (c *comparer) alike(kind Kind, path string, was, is side) bool {
	if c.rules.Alike == nil || was.text == "" || is.text == "" {
		return false
	}
	return (kind == Value || kind == Header || kind == Type && c.part != "") && c.rules.Alike(path, was.text, is.text)
}

// told returns what was noted, the riskiest first.
func (c *comparer) told() []Difference {
	if c.beyond > 0 {
		// What can't be told can't be noise either.
		c.list[len(c.list)-1] = Difference{Kind: Type, Path: "answer", Place: "answer", Offset: -1,
			Recorded: "alike in structure", Live: fmt.Sprintf("different at more than %d places", MaxDifferences)}
	}
	slices.SortStableFunc(c.list, func(a, b Difference) int { return int(a.Kind) - int(b.Kind) })
	return c.list
}

// Bytes compares byte by byte and tells the first difference.
func Bytes(path string, a, b []byte) []Difference {
	c := comparer{rules: &Rules{}}
	c.bytes(path, a, b)
	return c.list
}

func (c *comparer) bytes(path string, a, b []byte) {
	if bytes.Equal(a, b) {
		return
	}
	i := common(a, b)
	c.note(Value, path, path, side{string(a), around(a, i), ShapeText}, side{string(b), around(b, i), ShapeText}, int64(i))
}

// common is how many bytes two texts begin with in common.
func common[S []byte | string](a, b S) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// around shows the bytes from offset i on, in hex when they are no text, and how many
// there are in all.
func around(b []byte, i int) string {
	const few = 24
	size := sizeOf(int64(len(b)))
	if i == len(b) {
		return "the end after " + size
	}
	rest := b[i:min(len(b), i+few)]
	text := strconv.QuoteToASCII(string(rest))
	if strings.Contains(text, `\x`) {
		text = fmt.Sprintf("% x", rest)
	}
	if i+few < len(b) {
		text += "…"
	}
	return text + " of " + size
}

func sizeOf(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
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
	i := common(a, b)
	if i < long {
		return quote(a), quote(b)
	}
	i -= before
	return "…" + quote(a[i:]), "…" + quote(b[i:])
}
