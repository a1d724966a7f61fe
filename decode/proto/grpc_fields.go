package proto

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of what is shown of a protobuf message: fields of all levels, levels, and the
// text of one value.
const (
	maxProtobufFields = 256
	maxProtobufDepth  = 16
	maxProtobufText   = 1 << 10
)

// appendProtobuf appends the fields of a message as {"1":…}, or by their names when
// its type is known, and reports whether it is one. Without a type, bytes that are
// text are shown as text, those that are a message as one, and of others how many
// they are; numbers as they stand. The end of data may be cut off.
func appendProtobuf(dst, data []byte, t *protobufType, cut bool) ([]byte, bool) {
	p := protobufPrinter{left: maxProtobufFields}
	return p.message(dst, data, t, cut, 0)
}

type protobufPrinter struct {
	left int // fields that may still be shown
}

// protobufValue is a field as it stands on the wire.
type protobufValue struct {
	number protowire.Number
	typ    protowire.Type
	n      uint64 // of a number
	data   []byte // of bytes, or of a group
	cut    bool
}

// message appends a message. What is repeated becomes a list.
func (p *protobufPrinter) message(dst, data []byte, t *protobufType, cut bool, depth int) ([]byte, bool) {
	var values []protobufValue
	for len(data) > 0 && len(values) < p.left {
		v, n := consumeProtobuf(data, cut)
		if n < 0 {
			if cut && v.number == -1 {
				break // the rest is not here
			}
			return dst, false
		}
		values = append(values, v)
		data = data[n:]
	}
	p.left -= len(values)
	order := make(map[protowire.Number]int, len(values))
	var lists [][]protobufValue
	for _, v := range values {
		i, ok := order[v.number]
		if !ok {
			i = len(lists)
			order[v.number] = i
			lists = append(lists, nil)
		}
		lists[i] = append(lists[i], v)
	}
	dst = append(dst, '{')
	for i, list := range lists {
		if i > 0 {
			dst = append(dst, ',')
		}
		f := t.field(list[0].number)
		if f != nil {
			dst = AppendString(dst, f.name)
		} else {
			dst = append(dst, '"')
			dst = strconv.AppendInt(dst, int64(list[0].number), 10)
			dst = append(dst, '"')
		}
		dst = append(dst, ':')
		if len(list) == 1 && !(f != nil && f.repeated) {
			dst = p.value(dst, &list[0], f, depth)
			continue
		}
		dst = append(dst, '[')
		for j := range list {
			before := len(dst)
			if dst[before-1] != '[' {
				dst = append(dst, ',')
			}
			from := len(dst)
			if f != nil && f.repeated && list[j].typ == protowire.BytesType && f.packs() {
				if dst = p.packed(dst, list[j].data, f); len(dst) == from {
					dst = dst[:before] // an empty list
				}
				continue
			}
			dst = p.value(dst, &list[j], f, depth)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}'), true
}

// consumeProtobuf reads a field. A negative length says that it is none; with a number
// of -1, that it goes on behind data.
func consumeProtobuf(data []byte, cut bool) (v protobufValue, n int) {
	short := func(n int) bool { return errors.Is(protowire.ParseError(n), errShort) }
	number, typ, n := protowire.ConsumeTag(data)
	if n < 0 {
		if short(n) {
			v.number = -1
		}
		return v, -1
	}
	v.number, v.typ = number, typ
	rest := data[n:]
	k := 0
	switch typ {
	case protowire.VarintType:
		v.n, k = protowire.ConsumeVarint(rest)
	case protowire.Fixed32Type:
		var x uint32
		x, k = protowire.ConsumeFixed32(rest)
		v.n = uint64(x)
	case protowire.Fixed64Type:
		v.n, k = protowire.ConsumeFixed64(rest)
	case protowire.BytesType:
		v.data, k = protowire.ConsumeBytes(rest)
		if k < 0 && cut && short(k) {
			if size, m := protowire.ConsumeVarint(rest); m > 0 && size > uint64(len(rest)-m) {
				v.data, v.cut = rest[m:], true
				return v, len(data)
			}
		}
	case protowire.StartGroupType:
		v.data, k = protowire.ConsumeGroup(number, rest)
	default:
		return v, -1
	}
	if k < 0 {
		if short(k) {
			v.number = -1
		}
		return v, -1
	}
	return v, n + k
}

// errShort is how protowire says that something goes on behind the data.
var errShort = protowire.ParseError(-1)

// value appends one value.
func (p *protobufPrinter) value(dst []byte, v *protobufValue, f *protobufField, depth int) []byte {
	switch v.typ {
	case protowire.BytesType:
		if f != nil && f.kind == kindBytes {
			return appendByteCount(dst, len(v.data))
		}
		if f != nil && f.kind == kindString {
			return appendSome(dst, v.data)
		}
		if f == nil || f.message == nil {
			if isText(v.data) {
				return appendSome(dst, v.data)
			}
		}
		fallthrough
	case protowire.StartGroupType:
		if depth < maxProtobufDepth && p.left > 0 {
			before, left := len(dst), p.left
			var t *protobufType
			if f != nil {
				t = f.message
			}
			if out, ok := p.message(dst, v.data, t, v.cut, depth+1); ok {
				return out
			}
			dst, p.left = dst[:before], left-1 // so that guesses come to an end
		}
		return appendByteCount(dst, len(v.data))
	}
	return appendProtobufNumber(dst, v, f)
}

func appendByteCount(dst []byte, n int) []byte {
	return append(strconv.AppendInt(append(dst, `{"bytes":`...), int64(n), 10), '}')
}

func appendSome(dst, text []byte) []byte {
	if len(text) > maxProtobufText {
		return AppendString(dst, strings.ToValidUTF8(string(text[:maxProtobufText]), "")+"…")
	}
	return AppendString(dst, text)
}

// isText reports whether bytes without a type are text.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' && r != '\r' {
			return false
		}
	}
	return true
}

// appendProtobufNumber appends a number as its type has it.
func appendProtobufNumber(dst []byte, v *protobufValue, f *protobufField) []byte {
	if f == nil {
		return strconv.AppendUint(dst, v.n, 10)
	}
	float := func(x float64, bits int) []byte {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return AppendString(dst, strconv.FormatFloat(x, 'g', -1, bits))
		}
		return strconv.AppendFloat(dst, x, 'g', -1, bits)
	}
	switch f.kind {
	case kindDouble:
		if v.typ == protowire.Fixed64Type {
			return float(math.Float64frombits(v.n), 64)
		}
	case kindFloat:
		if v.typ == protowire.Fixed32Type {
			return float(float64(math.Float32frombits(uint32(v.n))), 32)
		}
	case kindBool:
		return strconv.AppendBool(dst, v.n != 0)
	case kindInt32, kindInt64:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case kindSfixed32:
		return strconv.AppendInt(dst, int64(int32(v.n)), 10)
	case kindSfixed64:
		return strconv.AppendInt(dst, int64(v.n), 10)
	case kindSint32, kindSint64:
		return strconv.AppendInt(dst, protowire.DecodeZigZag(v.n), 10)
	case kindEnum:
		if name, ok := f.enum[int32(v.n)]; ok {
			return AppendString(dst, name)
		}
		return strconv.AppendInt(dst, int64(int32(v.n)), 10)
	}
	return strconv.AppendUint(dst, v.n, 10)
}

// packed appends the numbers of a packed list, without brackets; null stands for what
// is malformed.
func (p *protobufPrinter) packed(dst, data []byte, f *protobufField) []byte {
	for i := 0; len(data) > 0 && p.left > 0; i++ { // others are not shown
		v := protobufValue{typ: f.wire()}
		n := 0
		switch v.typ {
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(data)
			v.n = uint64(x)
		case protowire.Fixed64Type:
			v.n, n = protowire.ConsumeFixed64(data)
		default:
			v.n, n = protowire.ConsumeVarint(data)
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if n < 0 {
			return append(dst, "null"...)
		}
		p.left--
		dst = appendProtobufNumber(dst, &v, f)
		data = data[n:]
	}
	return dst
}
