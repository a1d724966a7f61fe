package values

import (
	"fmt"
	"strconv"
)

// Kind says what sort of place a value stands in.
type Kind uint8

// The kinds. Header and JSON are of both sides.
const (
	Header Kind = iota // a header field
	JSON               // a leaf of a body in JSON

	SetCookie // a cookie that the server sets
	Input     // a hidden field of a form in HTML
	Meta      // a meta tag in HTML
	Text      // behind some text in any other body
	Whole     // a body that is nothing else

	Path        // a segment of the target's path
	Query       // a parameter in the target
	Cookie      // a cookie that the client sends
	Credentials // what stands behind the scheme in Authorization
	FormField   // a field of a form
	Multipart   // a part of a body in parts
	Body        // the body as text
)

var kindNames = [...]string{
	Header: "header", JSON: "JSON", SetCookie: "cookie", Input: "hidden field", Meta: "meta tag", Text: "text behind", Whole: "the body",
	Path: "path segment", Query: "query parameter", Cookie: "cookie", Credentials: "credentials in", FormField: "form field", Multipart: "part", Body: "the body",
}

// Place is where a value stands in a message.
type Place struct {
	Kind Kind
	// Name is that of the cookie, field or parameter, a path in JSON, the number of a
	// path segment, or the text before.
	Name string
	// Nth counts those of the same name from 0; of a JSON path there is one.
	Nth int
	// Part is which run of letters and digits of what stands there it is, from 1; 0 is
	// all of it, and Shape is what stands between these. Of an answer only.
	Part  int
	Shape string
}

// String writes a place for people, as "cookie sid".
func (p Place) String() string {
	s := kindNames[p.Kind]
	switch p.Kind {
	case Whole, Body:
	case Text:
		s += " " + strconv.QuoteToASCII(p.Name)
	default:
		s += " " + p.Name
	}
	if p.Nth > 0 {
		s += fmt.Sprintf(", number %d of that name", p.Nth+1)
	}
	if p.Part > 0 {
		s += fmt.Sprintf(", part %d", p.Part)
	}
	return s
}

// Form says what of a value is meant.
type Form uint8

// The forms.
const (
	Raw     Form = iota // as it stands there
	FromURL             // with %XX decoded
	Base64              // decoded from base64
)

// Bounds of what is looked at in a message.
const (
	maxFields  = 256       // header fields, and cookies, parameters and hidden fields each
	maxLeaves  = 4096      // of a body in JSON
	maxDepth   = 64        // of JSON
	maxRuns    = 512       // of a body as text
	maxValue   = 8 << 10   // bytes of a value: a token has to fit into a head
	maxText    = 256 << 10 // bytes of a body that are looked at as text
	maxShape   = 256       // bytes of a Place's Shape
	maxContent = 4 << 20   // bytes of an answer's body, encodings taken off
)
