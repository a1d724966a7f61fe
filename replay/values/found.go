package values

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"hash/maphash"
	"slices"

	"netlab/decode/proto"
)

// Confidence says how sure it is that a value in a request is the one in an answer.
type Confidence uint8

// The confidences.
const (
	Possible Confidence = iota // a short one, by the names around it
	Likely                     // by some chance in it, or by where it stands
	Certain                    // a cookie by its name, or too much chance in it for another reason
)

func (c Confidence) String() string { return [...]string{"possible", "likely", "certain"}[c] }

// Ref is an exchange of a recording.
type Ref struct{ Conversation, Index int }

// Compare orders them by conversation, and in one by when they were asked.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Conversation, o.Conversation), cmp.Compare(r.Index, o.Index))
}

// String writes it as reports do.
func (r Ref) String() string { return fmt.Sprintf("#%d.%d", r.Conversation, r.Index) }

// Value is something that the server made up.
type Value struct {
	// From is whose answer has it, and Place where.
	From  Ref
	Place Place
	// Asked is where the request to that answer stands in what its client says.
	Asked int64
	// Form is what of it was said again.
	Form Form
	// Confidence is that of its surest use, and Uses counts them. First is the first.
	// Without one it stands where in another answer there is one with uses.
	Confidence Confidence
	Uses       int
	First      Use
	// Shown is what it looks like, without saying it.
	Shown string
	// Number counts those that were found and are used, from 1; 0 is none of these.
	Number int
	// Set is what is said in its place, from Options; it is taken from no answer then.
	Set  *Set
	same uint64 // a hash of what was recorded
	name string // the normal name around it, when it is a short one
	weak bool
}

// Use is a part of a request that has a value.
type Use struct {
	In    Ref
	Place Place // as people know it
	// Value is the index of the Value.
	Value int

	at       run // in the request; of what stands in the body, in that without the framing
	inBody   bool
	spelling spelling
	form     Form
	base64   *base64.Encoding // of Base64
	beside   [2]string        // what stands around it in credentials, which are encoded as a whole
}

// Request is one that has values.
type Request struct {
	In Ref
	// At and End are where it stands in what its client says.
	At, End int64
	Uses    []Use // in their order

	first, last int // of Found.uses
	framing     *framing
}

// framing says where the lengths of a body stand.
type framing struct {
	body    int // where it begins
	content int // how long it is
	length  run // the value of Content-Length; empty without one
	chunked bool
	chunks  []proto.HTTPChunk
}

// Found is what a Finder found. It is not changed any more.
type Found struct {
	// Values are those found, in the order of the first uses; the last ones have none.
	Values []Value
	// Forgotten counts what was not remembered for lack of room.
	Forgotten int64

	seed     maphash.Seed
	room     int // bytes that live values may take
	uses     []Use
	requests []Request
	from     []int // indices of Values by From
}

// finish sorts what is looked up.
func (f *Found) finish() {
	for i := range f.requests {
		r := &f.requests[i]
		r.Uses = f.uses[r.first:r.last]
	}
	slices.SortFunc(f.requests, func(a, b Request) int { return a.In.Compare(b.In) })
	for i := range f.Values {
		if f.Values[i].Set == nil {
			f.from = append(f.from, i)
		}
	}
	slices.SortStableFunc(f.from, func(a, b int) int { return f.Values[a].From.Compare(f.Values[b].From) })
}

// Requests returns those of a conversation that have values, in their order.
func (f *Found) Requests(conversation int) []Request {
	if f == nil {
		return nil
	}
	at := func(c int) int {
		i, _ := slices.BinarySearchFunc(f.requests, Ref{c, -1}, func(r Request, ref Ref) int { return r.In.Compare(ref) })
		return i
	}
	return f.requests[at(conversation):at(conversation+1)]
}

// in returns the indices of the Values from the answers between two exchanges.
func (f *Found) in(first, behind Ref) []int {
	at := func(r Ref) int {
		i, _ := slices.BinarySearchFunc(f.from, r, func(i int, r Ref) int { return f.Values[i].From.Compare(r) })
		return i
	}
	return f.from[at(first):at(behind)]
}

// In returns the indices of the Values that an answer has.
func (f *Found) In(r Ref) []int {
	if f == nil {
		return nil
	}
	return f.in(r, Ref{r.Conversation, r.Index + 1})
}

// Used counts the values that requests carry, those set left out, and the uses of them.
func (f *Found) Used() (values, uses int) {
	if f == nil {
		return 0, 0
	}
	for i := range f.Values {
		if v := &f.Values[i]; v.Uses > 0 && v.Set == nil {
			values++
			uses += v.Uses
		}
	}
	return values, uses
}
