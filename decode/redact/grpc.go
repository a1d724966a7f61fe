package redact

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"netlab/decode/proto"
)

// Messages of gRPC (PROTOCOL-HTTP2.md of github.com/grpc/grpc) have a flag and their length
// before them; in gRPC-Web, one that has another flag holds the trailer.
const (
	grpcPrefix     = 5
	grpcCompressed = 0x01
	grpcTrailer    = 0x80
)

// isGRPC reports whether a media type is of messages of gRPC, which are not in base64.
func isGRPC(typ string) bool {
	rest, ok := strings.CutPrefix(typ, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest == "-web" || strings.HasPrefix(rest, "-web+"))
}

// isCall reports whether a path is of what is called: /pkg.Service/Method.
func isCall(path []byte) bool {
	const longest = 256
	slashes := 0
	for _, c := range path {
		if c == '/' {
			slashes++
		} else if !isAlnum(c) && c != '.' && c != '_' {
			return false
		}
	}
	return slashes == 2 && path[0] == '/' && len(path) <= longest
}

// isProtobuf reports whether one is of a message of protobuf.
func isProtobuf(typ string) bool {
	switch typ {
	case "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf", "application/x-google-protobuf", "application/proto":
		return true
	}
	return false
}

// grpcMessage returns how long what is before the message is that data begins with, and how long that
// is; false when the former is not all there.
func grpcMessage(data []byte) (head, size int, ok bool) {
	if len(data) < grpcPrefix {
		return 0, 0, false
	}
	return grpcPrefix, int(binary.BigEndian.Uint32(data[1:])), true
}

// grpc looks at messages of gRPC. One that is not understood is blanked, behind its prefix.
func (f *finder) grpc(list []change, place, typ string, data []byte, from, to, depth int) ([]change, bool) {
	for from < to {
		head, size, ok := grpcMessage(data[from:to])
		if !ok || size > to-from-head {
			return f.blanked(list, "a message of gRPC that is not whole", from+min(head, to-from), to), true
		}
		flags, begin := data[from], from+head
		from = begin + size
		n := len(list)
		var known bool
		switch {
		case flags&grpcCompressed != 0:
			list, known = f.packed(list, place, typ, data, begin, from, depth)
		case flags&grpcTrailer != 0:
			if known = isText(data[begin:from]); known {
				list = f.plainText(list, place, data, begin, from)
			}
		default:
			list, known = f.called(list, place, typ, data, begin, from, depth)
		}
		if !known {
			list = f.blanked(list[:n], "a message of gRPC that is not understood", begin, from)
		}
		if grown := growth(list[n:]); grown != 0 {
			length := binary.BigEndian.AppendUint32(nil, uint32(size+grown))
			list = slices.Insert(list, n, change{from: begin - len(length), to: begin, with: view(length)})
		}
	}
	return list, true
}

// called looks at a message that is not compressed.
func (f *finder) called(list []change, place, typ string, data []byte, from, to, depth int) ([]change, bool) {
	if strings.HasSuffix(typ, "+json") {
		return f.content(list, place, "application/json", data, from, to, depth+1)
	}
	return f.protobuf(list, place, data, from, to, 0)
}

// packed looks at one that is compressed, in a way that it begins with itself: the head is not at
// hand. It is all replaced if something in it is.
func (f *finder) packed(list []change, place, typ string, data []byte, from, to, depth int) ([]change, bool) {
	how, content, ok := unpacked(data[from:to])
	if !ok {
		return list, false
	}
	inner, known := f.called(nil, place, typ, content, 0, len(content), depth)
	if !known {
		inner = f.blanked(nil, "a message of gRPC that is not understood", 0, len(content))
	}
	if len(inner) == 0 {
		return list, true
	}
	now, err := f.z.coders.encode([]string{how}, apply(content, inner))
	return append(list, change{from: from, to: to, with: view(now)}), err == nil
}

// unpacked decompresses a message of gRPC, and returns how it was compressed.
func unpacked(data []byte) (how string, content []byte, ok bool) {
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		how = "gzip"
	case bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		how = "zstd"
	default:
		return "", nil, false
	}
	h := proto.HTTPMessage{Fields: []proto.Field{{Name: "Content-Encoding", Value: how}}}
	content, err := h.Decoded(data, maxContent)
	return how, content, err == nil
}

// blanked appends that some bytes are.
func (f *finder) blanked(list []change, why string, from, to int) []change {
	if from >= to || !f.editing() {
		return list
	}
	f.z.blank(why, int64(to-from))
	return append(list, change{from: from, to: to, blank: true})
}

// growth is how many bytes more there are with changes.
func growth(list []change) int {
	n := 0
	for _, c := range list {
		if !c.blank {
			n += len(c.with) - (c.to - c.from)
		}
	}
	return n
}

// Bounds of a message of protobuf: how deep messages are in others, and how many fields are in all.
const (
	maxProtobuf       = 16
	maxProtobufFields = 1 << 16
)

// protobuf looks at a message of protobuf, and reports whether it is one. What it means is not known:
// bytes may be a text, a message, or anything; the latter are blanked. Numbers stay, unless they
// are those of cards.
func (f *finder) protobuf(list []change, place string, data []byte, from, to, depth int) ([]change, bool) {
	if depth > maxProtobuf || wireOf(data[from:to]) == noWire {
		return list, false
	}
	for from < to {
		_, typ, n := protowire.ConsumeTag(data[from:to])
		from += n
		switch typ {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(data[from:to])
			list = f.wireNumber(list, place, v, from, from+n)
			from += n
		case protowire.BytesType:
			size, n := protowire.ConsumeVarint(data[from:to])
			begin, end := from+n, from+n+int(size)
			k := len(list)
			list = f.wireBytes(list, place, data, begin, end, depth)
			if grown := growth(list[k:]); grown != 0 {
				list = slices.Insert(list, k, change{from: from, to: begin, with: view(protowire.AppendVarint(nil, uint64(int(size)+grown)))})
			}
			from = end
		case protowire.Fixed32Type:
			from += 4
		case protowire.Fixed64Type:
			from += 8
		} // the tags of groups have nothing behind them
	}
	return list, true
}

// wireBytes looks at bytes.
func (f *finder) wireBytes(list []change, place string, data []byte, from, to, depth int) []change {
	b := data[from:to]
	wire := wireOf(b)
	switch {
	case len(b) == 0:
		return list
	case isPrintable(b) && wire != surelyWire:
		if looksJSON(b) {
			list, _ = f.json(list, place, data, from, to)
			return list
		}
		return f.leaf(list, place, "", data, from, to, plainly)
	case wire != noWire:
		n := len(list)
		if list, ok := f.protobuf(list, place, data, from, to, depth+1); ok {
			return list
		}
		list = list[:n]
	case utf8.Valid(b) && isText(b):
		return f.plainText(list, place, data, from, to)
	}
	return f.blanked(list, "bytes in protobuf that are no text", from, to)
}

// isPrintable reports whether bytes are a text of one line or more.
func isPrintable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// How bytes look as a message.
type wire uint8

const (
	noWire     wire = iota
	maybeWire       // a text may look so
	surelyWire      // all of its fields say how long they are, and that is how long they are
)

// wireOf tells whether bytes are a message.
func wireOf(b []byte) wire {
	sure := len(b) > 0
	var groups []protowire.Number
	for fields := 0; len(b) > 0; fields++ {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 || fields == maxProtobufFields {
			return noWire
		}
		b = b[n:]
		sure = sure && typ == protowire.BytesType
		switch typ {
		case protowire.StartGroupType:
			if groups = append(groups, number); len(groups) > maxProtobuf {
				return noWire
			}
			continue
		case protowire.EndGroupType:
			if len(groups) == 0 || groups[len(groups)-1] != number {
				return noWire
			}
			groups = groups[:len(groups)-1]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return noWire
		}
		b = b[n:]
	}
	switch {
	case len(groups) > 0:
		return noWire
	case sure:
		return surelyWire
	}
	return maybeWire
}

// wireNumber replaces the number of a card by another of that many bytes.
func (f *finder) wireNumber(list []change, place string, v uint64, from, to int) []change {
	text := strconv.FormatUint(v, 10)
	if !isCard(text) {
		return list
	}
	with, ok := f.secret(Card, place, "", text)
	if !ok {
		return list
	}
	n, err := strconv.ParseUint(with, 10, 64)
	if now := protowire.AppendVarint(nil, n); err == nil && len(now) == to-from {
		return append(list, change{from: from, to: to, with: view(now)})
	}
	const ones = "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01" // one bit of each seven
	return append(list, change{from: from, to: to, with: ones[len(ones)-(to-from):]})
}
