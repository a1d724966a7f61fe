package replay

import (
	"math/rand/v2"
	"slices"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// heart answers the pings of a WebSocket server: it may close the connection of a client that
// does not, and the recorded pongs are to pings of another time.
type heart struct {
	pong  []byte // what the latest ping carried, which is to be answered; nil when none is
	own   int64  // where the pong is that was sent last, behind what was recorded before
	beats int
}

// heard takes note of a ping. Only the latest has to be answered (RFC 6455, section 5.5.3).
func (h *heart) heard(e *proto.Exchange) {
	f := e.Response.Body.(*proto.WebSocketFrame)
	if f.IsPing() && f.Message != nil {
		h.pong = append([]byte{}, f.Message.Content...)
	}
}

// beat answers, between two frames of the client.
func (h *heart) beat(k *call) error {
	if h.pong == nil || k.shot != nil || k.over || !k.allAnswered() {
		return nil
	}
	content := h.pong
	h.pong = nil
	h.own = k.sent
	h.beats++
	frame := appendPong(nil, content)
	k.dialogue.Chunk(flow.ClientToServer, flow.Chunk{Data: frame, Offset: k.sent, Time: time.Now(), Ack: k.received})
	return k.write(frame)
}

// isOwn reports whether an exchange is the pong that was sent last.
func (h *heart) isOwn(e *proto.Exchange) bool {
	return h.beats > 0 && e.Request != nil && e.Request.Offset == h.own
}

// appendPong appends a pong of a client (RFC 6455, section 5.2).
func appendPong(dst, content []byte) []byte {
	mask := rand.Uint32()
	dst = append(slices.Grow(dst, 6+len(content)), 0x8a, 0x80|byte(len(content)))
	for i := range 4 {
		dst = append(dst, byte(mask>>(8*i)))
	}
	for i, c := range content {
		dst = append(dst, c^byte(mask>>(8*(i&3))))
	}
	return dst
}
