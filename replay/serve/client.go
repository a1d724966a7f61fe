package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/tls"
)

const (
	// firstRead is the room for what a client says; it grows as that does.
	firstRead = 4 << 10
	// maxOut is how much is gathered of answers to requests that came at once before it
	// is written; a larger answer is written from where it lies.
	maxOut = 64 << 10
	// maxWrite is written at once: a client has Limits.Patience to take that much.
	maxWrite = 256 << 10
	// minRate is how many bytes a second a client has to send for its request to go on
	// for longer than Limits.Patience.
	minRate = 16 << 10
	// greetAfter is how long a client is waited for when some of the recorded ones spoke
	// first, and to others the server did.
	greetAfter = 200 * time.Millisecond
)

// client is one connection.
type client struct {
	*Server
	follower
	ctx    context.Context
	conn   net.Conn
	number uint64 // of the connection
	buf    []byte // read; what is before from is understood
	from   int
	held   int64 // of Limits.Buffered
	eof    bool
	begun  time.Time // when what is being read began; zero between requests
	got    int64     // bytes of it
	out    []byte    // to be written
	harm   *harm     // that is done to it on purpose; nil is none
}

// connection answers one client.
func (s *Server) connection(ctx context.Context, conn net.Conn) {
	c := &client{Server: s, ctx: ctx, conn: conn, number: s.connections.Add(1)}
	c.harm = s.opts.Fault.of(c.number)
	defer c.done()
	if greet := c.greeter(); greet != nil {
		greet(c)
	} else {
		c.listen()
	}
	c.flush()
}

// greeter returns what goes on from a greeting, when the server speaks first. Where some
// clients spoke first, it is silent for a while.
func (c *client) greeter() func(*client) {
	if len(c.greetings.answers) == 0 {
		return nil
	}
	if c.hears {
		err := c.moreUntil(time.Now().Add(greetAfter))
		if len(c.rest()) > 0 || err == nil {
			return nil
		}
	}
	c.book.mu.Lock()
	defer c.book.mu.Unlock()
	if a := c.book.choose(&c.greetings, &c.follower); a != nil {
		c.book.follow(&c.follower, a)
		return c.greeters[a]
	}
	return nil
}

// done lets go of what the client had.
func (c *client) done() {
	c.buffered.Add(-c.held)
	c.book.gone(&c.follower)
}

// rest is what was read and not understood.
func (c *client) rest() []byte { return c.buf[c.from:] }

// take makes n bytes understood.
func (c *client) take(n int) {
	c.from += n
	if c.from == len(c.buf) {
		c.buf, c.from = c.buf[:0], 0
	}
}

// between says that nothing of a request is there: the client may be silent for long.
func (c *client) between() { c.begun, c.got = time.Time{}, int64(len(c.rest())) }

var errTooMuch = errors.New("it has more to say than is buffered")

// more writes what is to be written and reads on. It reports whether anything came.
func (c *client) more() bool {
	now := time.Now()
	until := now.Add(c.opts.Limits.Idle)
	if len(c.rest()) > 0 || c.got > 0 {
		if c.begun.IsZero() {
			c.begun = now
		}
		until = c.begun.Add(c.opts.Limits.Patience + time.Duration(c.got)*time.Second/minRate)
	}
	n := len(c.rest())
	err := c.moreUntil(until)
	switch {
	case err == nil:
		return len(c.rest()) > n
	case errors.Is(err, os.ErrDeadlineExceeded) && c.ctx.Err() == nil && !c.begun.IsZero():
		c.refuse(c.conn.RemoteAddr(), "it took too long to say what it wants")
	case errors.Is(err, errTooMuch):
		c.refuse(c.conn.RemoteAddr(), err.Error())
	}
	c.eof = true
	return false
}

// moreUntil reads once, until a time at the latest. The end of what the client says is
// no error.
func (c *client) moreUntil(until time.Time) error {
	if c.eof {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.room(); err != nil {
		return err
	}
	c.conn.SetReadDeadline(until)
	n, err := c.conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	c.got += int64(n)
	if n > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.eof, err = true, nil
	}
	return err
}

// room makes room to read.
func (c *client) room() error {
	if c.from > 0 && (len(c.buf) == cap(c.buf) || c.from > len(c.buf)/2) {
		c.buf, c.from = c.buf[:copy(c.buf, c.rest())], 0
	}
	if len(c.buf) < cap(c.buf) {
		return nil
	}
	size := int64(max(firstRead, 4*cap(c.buf)))
	if size = min(size, c.opts.Limits.Request+firstRead); size <= int64(cap(c.buf)) {
		return errTooMuch
	}
	if c.buffered.Add(size-c.held) > c.opts.Limits.Buffered {
		c.buffered.Add(c.held - size)
		return fmt.Errorf("%w: all clients together have too much to say", errTooMuch)
	}
	c.held = size
	c.buf = append(make([]byte, 0, size), c.buf...)
	return nil
}

// flush writes what is to be written.
func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.write(c.out)
	c.out = c.out[:0]
	return err
}

// write writes, as long as the client takes some of it now and then.
func (c *client) write(data []byte) error {
	for len(data) > 0 {
		n := min(len(data), maxWrite)
		c.conn.SetWriteDeadline(time.Now().Add(c.opts.Limits.Patience))
		if _, err := c.conn.Write(data[:n]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && c.ctx.Err() == nil {
				c.refuse(c.conn.RemoteAddr(), "it does not take its answer")
			}
			c.eof = true
			return err
		}
		data = data[n:]
	}
	return nil
}

// send gives an answer.
func (c *client) send(a *answer) error { return c.sendBytes(a, a.bytes) }

// sendBytes gives what was made of an answer.
func (c *client) sendBytes(a *answer, data []byte) error {
	if d := c.opts.pause(a); d > 0 {
		if err := c.flush(); err != nil {
			return err
		}
		if !sleep(c.ctx, d) {
			return c.ctx.Err()
		}
	}
	fresh := c.opts.Refresh && len(a.dates) > 0
	switch {
	case c.harm != nil:
		if err := c.flush(); err != nil {
			return err
		}
		if fresh {
			data = refresh(nil, a, time.Now())
		}
		return c.harm.write(c, data)
	case fresh:
		c.out = refresh(c.out, a, time.Now())
	case len(data) > maxOut/2:
		if err := c.flush(); err != nil {
			return err
		}
		return c.write(data)
	default:
		c.out = append(c.out, data...)
	}
	if len(c.out) >= maxOut {
		return c.flush()
	}
	return nil
}

// pause is how long to wait before an answer.
func (o *Options) pause(a *answer) time.Duration {
	if o.Recorded {
		return a.latency
	}
	return o.Delay
}

// breakOff ends the connection with RST.
func (c *client) breakOff() {
	c.flush()
	if t, ok := c.conn.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
}

// linger reads until the client closes too, and does not let what it still says break
// off what it has not read.
func (c *client) linger() {
	c.flush()
	if w, ok := c.conn.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	until := time.Now().Add(promptClose)
	for !c.eof && c.moreUntil(until) == nil {
		c.buf, c.from = c.buf[:0], 0
	}
}

// listen finds out what the client speaks, and answers it.
func (c *client) listen() {
	for {
		if len(c.rest()) == 0 && !c.more() {
			return // it had nothing to say
		}
		protocol := c.speaks()
		switch {
		case protocol == nil:
			if c.more() {
				continue
			}
			if len(c.rest()) > 0 {
				c.byTurns()
			}
		case protocol == &proto.HTTP && c.http.knows:
			c.requests()
		case protocol == &proto.DNS:
			c.queries()
		case c.talks[protocol] != nil:
			c.talk(protocol)
		default:
			c.byTurns()
		}
		return
	}
}

// speaks returns what the client speaks: of what the recording has, else Raw; nil when
// more is needed.
func (c *client) speaks() *proto.Protocol {
	o := proto.Opening{Transport: flow.TCP, First: [2][]byte{c.rest()}, Ended: [2]bool{c.eof, true}}
	switch {
	case c.begins():
		return &proto.Raw
	case len(c.spoken) == 1 && len(c.scripts) == 0:
		return c.spoken[0] // what the bytes alone may not tell
	}
	answer := &proto.Raw
	for _, p := range c.spoken {
		switch p.Probe(o) {
		case proto.Match:
			return p
		case proto.NeedMore:
			answer = nil
		}
	}
	return answer
}

// Conversation, Request, At, Keep, With and Secrets make a client what a parser may ask.
func (c *client) Conversation() *flow.Conversation {
	return &flow.Conversation{Tuple: flow.Unknown(flow.TCP)}
}

// Request returns nil: only requests are parsed here.
func (c *client) Request() *proto.Message { return nil }

// At returns nothing: where requests stand is not looked at here.
func (c *client) At(flow.Direction, int) proto.Mark { return proto.Mark{} }

// Keep returns how much of a message is kept.
func (c *client) Keep() int64 { return c.opts.Limits.Request }

// With returns what led to the protocol, which is nothing.
func (c *client) With() string { return "" }

// Secrets returns nil: what comes is not encrypted.
func (c *client) Secrets() *tls.Secrets { return nil }

// known and unknown tell of something that was asked.
func (c *client) knows(protocol *proto.Protocol, request string, a *answer) {
	c.tell(Event{Client: c.conn.RemoteAddr().String(), Protocol: protocol.Name, Request: request, Answer: a.summary, Known: true, Fault: c.harm.told()})
}

func (c *client) unknown(protocol *proto.Protocol, request, answer string, near []Near) {
	c.tell(Event{Client: c.conn.RemoteAddr().String(), Protocol: protocol.Name, Request: request, Answer: answer, Near: near})
}
