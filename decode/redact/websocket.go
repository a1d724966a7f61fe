package redact

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"netlab/decode/proto"
	"netlab/decode/rewrite"
)

const inWebSocket = "websocket"

// Of RFC 6455, section 5.2.
const (
	wsDeflated             = 0x40
	wsText, wsBinary       = 1, 2
	wsControl, wsClose     = 8, 8
	wsMasked, wsSmall      = 0x80, 125
	wsLength16, wsLength64 = 126, 127
	wsCodeLen              = 2
)

// webSocket looks at a frame. A message that is in one frame is looked into; a compressed one goes on
// as it is without that, which any message may be (RFC 7692, section 6). Of one in several
// frames, a secret may be in two of them: they are blanked.
func (f *finder) webSocket(m *proto.Message, b *proto.WebSocketFrame) int {
	head := 2
	switch f.raw[1] & 0x7f {
	case wsLength16:
		head += 2
	case wsLength64:
		head += 8
	}
	if b.Masked {
		head += 4
	}
	if len(f.raw) < head || int64(len(f.raw)-head) != b.Length {
		return 0
	}
	if b.Length == 0 {
		return len(f.raw)
	}
	content := unmasked(f.raw[:head], f.raw[head:])
	deflated := f.raw[0]&wsDeflated != 0
	var now []byte
	switch {
	case b.Opcode >= wsControl:
		skip := 0
		if b.Opcode == wsClose {
			skip = min(wsCodeLen, len(content))
		}
		now = append(content[:skip:skip], f.frame(content[skip:])...)
	case b.Opcode == wsBinary && b.Final && !deflated && utf8.Valid(content) && isText(content):
		now = f.frame(content)
	case b.Opcode == wsBinary && !deflated:
		f.blank(head, len(f.raw), "a message of WebSocket that is no text")
		return len(f.raw)
	case b.Opcode == wsText && b.Final && deflated:
		text, err := proto.WebSocketContent(m)
		if err != nil || b.Message == nil || int64(len(text)) != b.Message.Bytes {
			now = f.fill(content)
			break
		}
		now = f.frame(text)
	case b.Opcode == wsText && b.Final:
		now = f.frame(content)
	default:
		now = f.fill(content)
	}
	if f.editing() && (deflated || string(now) != string(content)) {
		f.change(0, len(f.raw), string(f.reframed(head, now)))
	}
	return len(f.raw)
}

// unmasked is a payload without its mask, which ends the head if it has one.
func unmasked(head, payload []byte) []byte {
	out := append([]byte(nil), payload...)
	if head[1]&wsMasked != 0 {
		mask := head[len(head)-4:]
		for i := range out {
			out[i] ^= mask[i%4]
		}
	}
	return out
}

// frame looks at what is in a frame.
func (f *finder) frame(content []byte) []byte {
	list, known := f.content(nil, inWebSocket, "", content, 0, len(content), 0)
	if !known {
		return f.fill(content)
	}
	return apply(content, list)
}

// fill is as much of nothing.
func (f *finder) fill(content []byte) []byte {
	if f.editing() {
		f.z.blank("a message of WebSocket that is not understood", int64(len(content)))
	}
	return bytes.Repeat([]byte{rewrite.Filler}, len(content))
}

// reframed is the frame with another payload, of whatever length, that is not compressed.
func (f *finder) reframed(head int, payload []byte) []byte {
	masked := f.raw[1] & wsMasked
	out := []byte{f.raw[0] &^ wsDeflated, masked}
	switch n := len(payload); {
	case n <= wsSmall:
		out[1] |= byte(n)
	case n <= 0xffff:
		out[1] |= wsLength16
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out[1] |= wsLength64
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	if masked == 0 {
		return append(out, payload...)
	}
	mask := f.raw[head-4 : head]
	out = append(out, mask...)
	for i, c := range payload {
		out = append(out, c^mask[i%4])
	}
	return out
}
