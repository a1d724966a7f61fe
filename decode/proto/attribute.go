package proto

import (
	"net/netip"
	"strconv"
	"time"

	"netlab/decode/flow"
)

// Attribute is something that can be asked about an exchange. What is asked by
// --where, printed by -e and listed in the documentation is one list of them.
type Attribute struct {
	// Name begins with the protocol's Type: "http.status". In JSON the record has
	// it as "status", its own or that of the request or the response.
	Name  string
	Kind  AttributeKind
	About string // a few words, for the list
	// Get appends the values that e has: none, or one, or all of a list, of which a
	// comparison holds if it does for one.
	Get func(values []Value, e *Exchange) []Value
	// Any, in place of Get, makes the Name what many names begin with, and returns
	// the Get of one from what follows: "http.header." has one for each field.
	Any func(rest string) func(values []Value, e *Exchange) []Value
}

// AttributeKind says what the values of an attribute are.
type AttributeKind uint8

// The kinds of attribute.
const (
	Text     AttributeKind = iota
	Number                 // an integer, in Value.Number
	Duration               // in nanoseconds, in Value.Number
	Size                   // in bytes, in Value.Number
	Address                // in Value.Addr
	Truth                  // Value.Number is 1 when it holds
	Moment                 // a flow.Instant, in Value.Number
	Place                  // an address in Value.Addr, and a port in Value.Number
	Identity               // the ID of the exchange's conversation, which may be known late, in Value.Number
)

// String returns what people call a value of the kind.
func (k AttributeKind) String() string {
	return [...]string{"text", "number", "duration", "size", "address", "truth", "time", "address and port", "number"}[k]
}

// Append appends a value of the kind as text: a duration in milliseconds, a size
// in bytes, a time as JSON has it. A Text is as it was sent.
func (k AttributeKind) Append(dst []byte, v Value) []byte {
	switch k {
	case Text:
		return append(dst, v.Text...)
	case Duration:
		return AppendMillis(dst, time.Duration(v.Number))
	case Address:
		return v.Addr.AppendTo(dst)
	case Place:
		return netip.AddrPortFrom(v.Addr, uint16(v.Number)).AppendTo(dst)
	case Truth:
		return strconv.AppendBool(dst, v.Number != 0)
	case Moment:
		start := len(dst)
		dst = AppendTime(dst, flow.Instant(v.Number).Time())
		return dst[:start+copy(dst[start:], dst[start+1:len(dst)-1])]
	}
	return strconv.AppendInt(dst, v.Number, 10)
}

// Value is what an attribute of an exchange is.
type Value struct {
	Text   string
	Number int64
	Addr   netip.Addr
}

// AppendText appends a text that is there.
func AppendText(values []Value, s string) []Value { return append(values, Value{Text: s}) }

// AppendNumber appends a number that is there.
func AppendNumber(values []Value, n int64) []Value { return append(values, Value{Number: n}) }

// AppendTruth appends whether something holds.
func AppendTruth(values []Value, holds bool) []Value {
	if holds {
		return append(values, Value{Number: 1})
	}
	return append(values, Value{})
}

// of is the Get of an attribute of one message of an exchange, when its body is a B.
func of[B Body](message func(*Exchange) *Message, get func([]Value, B) []Value) func([]Value, *Exchange) []Value {
	return func(values []Value, e *Exchange) []Value {
		if b, ok := bodyOf[B](message(e)); ok {
			return get(values, b)
		}
		return values
	}
}

// word is the Get of a text of a message's body, which it does not have when it is
// empty.
func word[B Body](message func(*Exchange) *Message, get func(B) string) func([]Value, *Exchange) []Value {
	return of(message, func(values []Value, b B) []Value { return appendWord(values, get(b)) })
}

// appendWord appends a text unless it is empty.
func appendWord(values []Value, s string) []Value {
	if s == "" {
		return values
	}
	return AppendText(values, s)
}

// either is the Get of one that both messages have, or one of them.
func either[B Body](get func([]Value, B) []Value) func([]Value, *Exchange) []Value {
	return func(values []Value, e *Exchange) []Value {
		if b, ok := bodyOf[B](e.Request); ok {
			values = get(values, b)
		}
		if b, ok := bodyOf[B](e.Response); ok {
			values = get(values, b)
		}
		return values
	}
}

func requestOf(e *Exchange) *Message  { return e.Request }
func responseOf(e *Exchange) *Message { return e.Response }

// bodyOf returns the body of a message when it is a B.
func bodyOf[B Body](m *Message) (b B, ok bool) {
	if m != nil {
		b, ok = m.Body.(B)
	}
	return b, ok
}
