package compare

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"

	"netlab/decode/proto"
)

// readGRPC makes an array of the messages in the content of a call: each has a flag and
// its length before it (PROTOCOL-HTTP2.md of github.com/grpc/grpc). It is nil when
// that is not so, or a message is compressed in a way that is not known.
func readGRPC(h head, data []byte) *node {
	n := &node{kind: nodeArray}
	encoding, _ := h.Get("Grpc-Encoding")
	for len(data) > 0 {
		const prefix = 5
		if len(data) < prefix || uint64(len(data)-prefix) < uint64(binary.BigEndian.Uint32(data[1:])) || len(n.items) == maxJSONValues {
			return nil
		}
		size := prefix + int(binary.BigEndian.Uint32(data[1:]))
		message := data[prefix:size]
		if data[0]&1 != 0 {
			if encoding != "gzip" {
				return nil
			}
			var err error
			if message, err = gunzip(message); err != nil {
				return nil
			}
		}
		n.items = append(n.items, &node{kind: nodeWire, text: string(message)})
		data = data[size:]
	}
	return n
}

func gunzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, proto.MaxContent+1))
	if err == nil && len(out) > proto.MaxContent {
		err = proto.ErrContentTooLarge
	}
	return out, err
}

// wire compares bytes of protobuf that are a string or a message: a message when both
// can be one.
func (c *comparer) wire(a, b *node) {
	if a.text == b.text {
		return
	}
	if len(c.path) < maxJSONDepth {
		x, y := readProtobuf(a.text), readProtobuf(b.text)
		if x != nil && y != nil {
			c.nodes(x, y)
			return
		}
	}
	was, is := textSides(a.text, b.text)
	c.differ(Value, was, is)
}

// readProtobuf makes an object of a message: field1 and so on are its keys. It is
// nil when the bytes are no message.
func readProtobuf(s string) *node {
	n := &node{kind: nodeObject}
	for data := []byte(s); len(data) > 0; {
		number, typ, k := protowire.ConsumeTag(data)
		if k < 0 {
			return nil
		}
		data = data[k:]
		item := &node{kind: nodeNumber}
		switch typ {
		case protowire.VarintType:
			v, k := protowire.ConsumeVarint(data)
			if k < 0 {
				return nil
			}
			item.text, data = strconv.FormatUint(v, 10), data[k:]
		case protowire.Fixed32Type:
			v, k := protowire.ConsumeFixed32(data)
			if k < 0 {
				return nil
			}
			item.text, data = strconv.FormatUint(uint64(v), 10), data[k:]
		case protowire.Fixed64Type:
			v, k := protowire.ConsumeFixed64(data)
			if k < 0 {
				return nil
			}
			item.text, data = strconv.FormatUint(v, 10), data[k:]
		case protowire.BytesType:
			v, k := protowire.ConsumeBytes(data)
			if k < 0 {
				return nil
			}
			item.kind, item.text, data = nodeWire, string(v), data[k:]
		default: // groups, which nobody has made for years
			return nil
		}
		n.keys, n.items = append(n.keys, "field"+strconv.Itoa(int(number))), append(n.items, item)
	}
	return n
}
