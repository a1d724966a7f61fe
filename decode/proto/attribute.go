package proto

import "net/netip"

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
)

// Value is what an attribute of an exchange is.
type Value struct {
	Text   string
	Number int64
	Addr   netip.Addr
}

// appendText appends a text that is there.
func appendText(values []Value, s string) []Value { return append(values, Value{Text: s}) }

// appendNumber appends a number that is there.
func appendNumber(values []Value, n int64) []Value { return append(values, Value{Number: n}) }

// bodyOf returns the body of a message when it is a B.
func bodyOf[B Body](m *Message) (b B, ok bool) {
	if m != nil {
		b, ok = m.Body.(B)
	}
	return b, ok
}
