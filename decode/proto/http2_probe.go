package proto

import (
	"strings"

	"netlab/decode/flow"
)

// probeHTTP2 knows HTTP/2 by the client's preface; without it, by frames, of which
// several have to follow each other, or one to have fields that can't be anything
// else.
func probeHTTP2(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	client := o.First[flow.ClientToServer]
	if n := min(len(client), len(HTTP2Preface)); n > 0 && string(client[:n]) == HTTP2Preface[:n] {
		switch {
		case n == len(HTTP2Preface):
			return Match
		case o.Ended[flow.ClientToServer]:
			return NoMatch
		}
		return NeedMore
	}
	verdict := NoMatch
	for d, first := range o.First {
		if len(first) == 0 {
			continue
		}
		switch v := framesHTTP2(flow.Direction(d), first, o.Ended[d]); {
		case v == NoMatch:
			return NoMatch
		case verdict != Match:
			verdict = v
		}
	}
	return verdict
}

// framesHTTP2 tells whether a direction begins with frames. A header has 9 bytes, of
// which most are the same always; three of them are no accident, nor two of which one
// has to have its length, nor fields.
func framesHTTP2(d flow.Direction, data []byte, ended bool) Verdict {
	count, sure := 0, 0
	for len(data) > 0 {
		f, v := strictHTTP2(data)
		if v == NoMatch {
			return NoMatch
		}
		if v == NeedMore {
			break
		}
		whole := len(data) >= HTTP2HeaderLen+f.length
		if f.typ == HTTP2Headers && f.has(HTTP2EndHeaders) && !whole && !ended {
			break // its fields may say that it is none
		}
		count++
		switch {
		case f.typ == HTTP2Headers && f.has(HTTP2EndHeaders) && whole:
			side, known := sideOfHTTP2(f, data[HTTP2HeaderLen:][:f.length])
			switch {
			case !known:
				return NoMatch
			case side == d:
				sure += 2
			case side == d.Reverse():
				return NoMatch
			}
		case f.typ == HTTP2PushPromise && d == flow.ClientToServer:
			return NoMatch
		case f.fixed():
			sure++
		}
		if count >= 3 || count >= 2 && sure >= 1 || sure >= 2 {
			return Match
		}
		if !whole {
			break
		}
		data = data[HTTP2HeaderLen+f.length:]
	}
	if ended {
		return NoMatch
	}
	return NeedMore
}

// fixed reports whether the frame's type tells its length.
func (f *http2Frame) fixed() bool {
	switch f.typ {
	case HTTP2Priority, HTTP2RstStream, HTTP2Settings, HTTP2Ping, HTTP2WindowUpdate:
		return true
	}
	return false
}

// sideUnknown is neither direction.
const sideUnknown = flow.Direction(2)

// sideOfHTTP2 tells from the fields of a HEADERS frame who says them; they may be
// said by either. It reports whether they are fields at all.
func sideOfHTTP2(f http2Frame, payload []byte) (flow.Direction, bool) {
	fragment, _, ok := f.fragment(payload)
	if !ok || len(fragment) == 0 {
		return sideUnknown, false
	}
	side := sideUnknown
	table := NewHPACKTable()
	table.forget()
	problem := table.decode(fragment, func(f HPACKField) {
		switch {
		case f.Name == ":status":
			side = flow.ServerToClient
		case strings.HasPrefix(f.Name, ":"):
			side = flow.ClientToServer
		}
	})
	return side, problem == ""
}

// fieldsOfHTTP2 reports whether they are what is said in a direction.
func fieldsOfHTTP2(d flow.Direction, f http2Frame, payload []byte) bool {
	side, known := sideOfHTTP2(f, payload)
	return known && side == d
}

// http2Flags are those that a type has.
var http2Flags = [...]byte{0x09, 0x2d, 0, 0, 0x01, 0x0c, 0x01, 0, 0, 0x04}

// maxHTTP2Search bounds the frames that are believed in without a beginning.
const maxHTTP2Search = 64 << 10

// strictHTTP2 reads a header as every sender in its senses writes it.
func strictHTTP2(b []byte) (f http2Frame, _ Verdict) {
	if len(b) < HTTP2HeaderLen {
		var whole [HTTP2HeaderLen]byte
		copy(whole[:], b)
		f = http2FrameOf(whole[:])
		if f.length > maxHTTP2Search || int(f.typ) >= len(http2Names) || f.flags&^http2Flags[f.typ] != 0 || whole[5]&0x80 != 0 {
			return f, NoMatch
		}
		return f, NeedMore
	}
	f = http2FrameOf(b)
	if int(f.typ) >= len(http2Names) || f.length > maxHTTP2Search || f.problem() != "" || f.flags&^http2Flags[f.typ] != 0 || b[5]&0x80 != 0 {
		return f, NoMatch
	}
	return f, Match
}

// maxHTTP2Lost bounds the fields that tell where a frame begins.
const maxHTTP2Lost = 1 << 10

// resyncHTTP2 returns how many bytes to skip before a frame, and whether it is there;
// else more is needed. A frame is believed when another follows it, or for its
// fields.
func resyncHTTP2(d flow.Direction, data []byte, end bool) (int, bool) {
	for n := range data {
		f, v := strictHTTP2(data[n:])
		if v == Match {
			behind := data[n+HTTP2HeaderLen:]
			switch {
			case len(behind) < f.length:
				v = NeedMore
			case f.typ == HTTP2Headers && f.has(HTTP2EndHeaders) && f.length <= maxHTTP2Lost && fieldsOfHTTP2(d, f, behind[:f.length]),
				len(behind) == f.length && end && f.fixed():
				return n, true
			default:
				_, v = strictHTTP2(behind[f.length:])
			}
		}
		switch {
		case v == Match:
			return n, true
		case v == NeedMore && !end:
			return n, false
		}
	}
	return len(data), false
}
