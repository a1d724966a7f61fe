package proto

import "netlab/decode/flow"

// Framer wants to see HTTP/2 as it is framed, but what is inside of
// another protocol: who is to write the same connection with other content needs no
// parser of his own. Each direction comes in the order of its bytes. What it is not told
// of is no frame, or not all of one.
type Framer interface {
	// Preface is what the client says first.
	Preface(at int64, size int)
	// Frame gets a frame, valid during the call.
	Frame(d flow.Direction, f *HTTP2Frame)
	// Framed gets what comes, from an offset on, of the payload of the latest frame of a
	// direction that has Passes.
	Framed(d flow.Direction, at int64, data []byte)
	// Block gets what was said in a header block that begins with the frame at an offset, and
	// that the latest frame of a direction has ended. Broken means that there was more, which can't be read or is too large.
	Block(d flow.Direction, at int64, fields []HPACKField, broken bool)
}

// HTTP2Frame is a frame (RFC 9113, section 4.1).
type HTTP2Frame struct {
	Offset      int64 // in the stream
	Length      int   // of the payload
	Type, Flags byte
	Stream      uint32

	// Payload is all of it, unless the frame Passes: then Head is what comes before what
	// is to be Framed, the last Pad bytes of which are padding.
	Payload   []byte
	Passes    bool
	Head, Pad int
}

// framerOf returns the Framer that a conversation is told to; nil if there is none.
func framerOf(w Waiting) Framer {
	if g, ok := w.(*Dialogue); ok && g.outer == nil {
		return g.opts.Framer
	}
	return nil
}

// frame shows a frame whose first bytes are shown now, with as much before what passes.
func (p *http2Parser) frame(d flow.Direction, f *http2Frame, head, pad int, payload []byte) {
	if p.framer == nil {
		return
	}
	p.framer.Frame(d, &HTTP2Frame{
		Offset: p.waiting.At(d, 0).Offset, Length: f.length, Type: f.typ, Flags: f.flags, Stream: f.stream,
		Payload: payload, Passes: payload == nil && f.length > 0, Head: head, Pad: pad,
	})
}

// Fragment returns the part of a header block in a frame that has one, and how many bytes
// of its payload are before it.
func (f *HTTP2Frame) Fragment() (fragment []byte, skip int, ok bool) {
	h := http2Frame{length: f.Length, typ: f.Type, flags: f.Flags}
	if f.Type == HTTP2Continuation {
		return f.Payload, 0, true
	}
	fragment, _, ok = h.fragment(f.Payload)
	if !ok {
		return nil, 0, false
	}
	pad := 0
	if h.has(HTTP2Padded) {
		pad = int(f.Payload[0])
	}
	return fragment, f.Length - pad - len(fragment), true
}
