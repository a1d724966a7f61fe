package replay

import (
	"context"
	"errors"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// errIdle is why a connection went no further that the server closed between an answer and
// the next request.
var errIdle = errors.New("the server closed the connection while it was idle, and had kept it open")

// alive makes sure that the server still listens to what is said next; else a connection is
// made in place of the one it closed, where that may be.
func (k *call) alive(ctx context.Context) error {
	if k.conn.Transport != flow.TCP || k.canStillSend() {
		return nil
	}
	if k.leaving && !k.eof {
		k.drain(promptClose)
	}
	switch {
	case !k.eof:
		return nil
	case !k.allAnswered() && k.broken != nil:
		return k.broken
	case !k.allAnswered():
		return errors.New("the server closed the connection before all was said")
	case !k.player.opts.Redial || !k.standsForItself() || k.redials > 0 && k.dialled == k.sent:
		return errIdle
	}
	return k.redial(ctx)
}

// allAnswered reports whether all that was asked is answered, and nothing is half said.
func (k *call) allAnswered() bool { return k.conn.Parsed() && k.answeredTo == k.sent }

// standsForItself reports whether a request does, in what is spoken: nothing that was said
// before has to be said again on another connection.
func (k *call) standsForItself() bool {
	p := k.dialogue.Protocol()
	return p == &proto.HTTP || p == &proto.DNS
}

// redial makes another connection, on which the rest is said. What was sent and answered
// before still counts.
func (k *call) redial(ctx context.Context) error {
	finals, _ := k.dialogue.Answers()
	k.finals += finals
	k.dialogue.Close()
	k.hangUp()
	k.redials++
	k.dialled = k.sent
	k.eof, k.closed, k.leaving, k.broken = false, false, false, nil
	return k.dial(ctx)
}

// dial makes a connection, which ends when ctx does.
func (k *call) dial(ctx context.Context) error {
	sock, raw, err := k.connect(ctx)
	if err != nil {
		return err
	}
	k.sock, k.raw, k.opened = sock, raw, true
	// Whoever stops the replay ends every read and write.
	k.unwatch = context.AfterFunc(ctx, func() { raw.Close() })
	k.begin()
	return nil
}

// hangUp closes the connection.
func (k *call) hangUp() {
	if k.unwatch != nil {
		k.unwatch()
		k.sock.Close()
		k.unwatch = nil
	}
}

// leaves notes when a server says that it will close.
func (k *call) leaves(e *proto.Exchange) {
	if q := e.Request; q != nil {
		k.answeredTo = max(k.answeredTo, q.Offset+q.Length)
	}
	if e.Response == nil {
		return
	}
	if h, ok := e.Response.Body.(*proto.HTTPMessage); ok && h.Has("Connection", "close") {
		k.leaving = true
	}
}
