package compare

import (
	"strconv"

	"netlab/decode/proto"
)

// webSocket compares two messages of WebSocket by what they carry, without the frames,
// the masks and the compression that they came in.
func (c *comparer) webSocket(recorded, live *proto.Message, a, b *proto.WebSocketFrame) {
	old, err1 := proto.WebSocketContent(recorded)
	fresh, err2 := proto.WebSocketContent(live)
	switch {
	case c.rules.Strict || a.Message == nil || b.Message == nil || err1 != nil || err2 != nil:
		c.raw("frame", recorded, live)
		c.fragments(a.Message, b.Message, old, fresh)
	case a.Message.Opcode != b.Message.Opcode:
		c.add(Type, "message", plainSide(a.Message.Type()), plainSide(b.Message.Type()))
	case a.Code != b.Code:
		c.add(Status, "code", plainSide(strconv.Itoa(a.Code)), plainSide(strconv.Itoa(b.Code)))
	case a.Code != 0:
		c.bytes("reason", []byte(a.Reason), []byte(b.Reason))
	case len(old) > 0 && (old[0] == '{' || old[0] == '['):
		c.formatted("message", formatJSON, headPair{}, old, fresh)
	default:
		c.bytes("message", old, fresh)
	}
}

// fragments compares messages of several frames, of which the last was compared.
func (c *comparer) fragments(a, b *proto.WebSocketMessage, old, fresh []byte) {
	switch {
	case a == nil || b == nil || a.Fragments < 2 && b.Fragments < 2:
	case a.Fragments != b.Fragments:
		c.add(Value, "frames", plainSide(strconv.Itoa(a.Fragments)), plainSide(strconv.Itoa(b.Fragments)))
	default:
		c.bytes("message", old, fresh)
	}
}
