package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"netlab/decode/flow"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

// Datagrams get lost, come twice, and overtake each other. So over UDP each recorded answer
// is awaited by itself: one that does not come costs its own check and a timeout, and what
// waited for it goes on. What came belongs to what asked for it, however late: by its number
// where the protocol has one (queries), else as well as can be told (volleys).

// window bounds how many datagrams are looked through for the one that another belongs to:
// so far they overtake each other.
const window = 64

// datagrams is what a call over UDP knows of its answers.
type datagrams struct {
	pairing
	awaited []*awaitedDatagram // that the client may wait for, in the order of the recording
	settled int                // how many of all those before and in awaited have come, or were given up
	sent    map[int64]sentAt   // by the packet in the recording, until its check is known
}

// pairing finds what answers belong to.
type pairing interface {
	// expect takes note of a recorded answer, whose request was sent then.
	expect(k *call, x awaited, then sentAt)
	// end says that nothing live comes any more.
	end(k *call)
}

// sentAt is when a datagram was sent; zero when it was not.
type sentAt struct {
	at         time.Time
	late, slip time.Duration // as in Outcome
}

// awaitedDatagram is one that is to come.
type awaitedDatagram struct {
	asked  time.Time        // when it was asked for, or began to be awaited
	behind *awaitedDatagram // another of the same answer, that came before it; nil when it is the first
	came   time.Time
	lost   string // why it was given up
}

func (a *awaitedDatagram) isSettled() bool { return !a.came.IsZero() || a.lost != "" }

// await begins to wait for a datagram.
func (g *datagrams) await(then sentAt, behind *awaitedDatagram) *awaitedDatagram {
	a := &awaitedDatagram{asked: then.at, behind: behind}
	if a.asked.IsZero() {
		a.asked = time.Now() // nobody asked for it
	}
	g.awaited = append(g.awaited, a)
	return a
}

// expectDatagrams takes note of a recorded answer.
func (k *call) expectDatagrams(c *plan.Check, cost int) {
	g := k.datagrams
	packet := int64(0)
	if c.Turn != nil {
		packet = c.Turn.Packet
	} else if q := c.Exchange.Request; q != nil {
		packet = q.Packet
	}
	then := g.sent[packet]
	delete(g.sent, packet)
	g.expect(k, awaited{c, cost}, then)
}

// stepDatagram sends one datagram, when what it waits for has come or was given up.
func (k *call) stepDatagram(ctx context.Context, p *plan.Part) error {
	f, g, s := k.player.feed, k.datagrams, p.Step
	n := s.After.Datagrams
	if k.conn.Parsed() {
		n = s.After.Finals
	}
	if err := k.awaitDatagrams(ctx, n, s.After.Quiet); err != nil {
		return err
	}
	ready, due := time.Now(), k.player.due(s.At)
	shot, err := k.sendDue(ctx, due, s.Bytes, func(now time.Time) {
		late, slip := k.slip(now, due, ready)
		g.sent[s.Packet] = sentAt{now, late, slip}
		if k.dialogue != nil {
			k.dialogue.Datagram(flow.ClientToServer, &flow.Chunk{Data: s.Bytes, Offset: k.sent, Time: now, Packet: s.Packet, Ack: k.received}, 0)
		}
	})
	if err == nil && (shot == nil || shot.missed) {
		err = k.sendDatagram(s.Bytes)
	}
	cost := p.Cost
	f.take(k)
	f.release(k, cost)
	return err
}

// sendDatagram sends one datagram. That an earlier one was refused may show now.
func (k *call) sendDatagram(data []byte) error {
	for attempts := 0; ; attempts++ {
		k.sock.SetWriteDeadline(time.Now().Add(k.timeout))
		n, err := k.sock.Write(data)
		switch {
		case err == nil:
			k.sent += int64(n)
			k.lastSent = time.Now()
			return nil
		case !errors.Is(err, syscall.ECONNREFUSED) || attempts == 2:
			return fmt.Errorf("send: %w", plainError(err))
		}
	}
}

// awaitDatagrams waits until the first n datagrams have come, or were given up.
func (k *call) awaitDatagrams(ctx context.Context, n int, quiet time.Duration) error {
	g := k.datagrams
	for {
		for len(g.awaited) > 0 && g.awaited[0].isSettled() {
			g.awaited = g.awaited[1:]
			g.settled++
		}
		if g.settled >= n || len(g.awaited) == 0 {
			return nil
		}
		if k.eof {
			return errors.New("the server closed the connection without an answer")
		}
		a := g.awaited[0]
		until := k.deadline(a, quiet)
		if !time.Now().Before(until) {
			a.lost = fmt.Sprintf("no answer for %v", k.timeout)
			continue
		}
		if _, err := k.read(until); err != nil && !isTimeout(err) {
			return err
		}
		if ctx.Err() != nil {
			return errStopped
		}
	}
}

// deadline is when a datagram is given up: the rest of an answer whose beginning came is not
// waited for longer than the pauses in it let expect.
func (k *call) deadline(a *awaitedDatagram, quiet time.Duration) time.Time {
	for b := a.behind; b != nil; b = b.behind {
		if !b.came.IsZero() {
			return later(a.asked, k.lastRead).Add(max(quiet, plan.MinQuiet))
		}
	}
	return a.asked.Add(k.timeout)
}

// refused gives all up that is awaited: to which datagram nobody listened is not said.
func (g *datagrams) refused() {
	for _, a := range g.awaited {
		if !a.isSettled() {
			a.lost = "connection refused"
		}
	}
}

// finishDatagrams takes what is still to come, and then looks for what comes twice.
func (k *call) finishDatagrams(ctx context.Context) error {
	f := k.player.feed
	for {
		p, err := k.next(ctx)
		if err != nil {
			return err
		}
		if p.Kind == plan.Over {
			break
		}
		if p.Kind == plan.Answered {
			k.expect(p.Check, p.Cost)
		} else {
			f.release(k, p.Cost)
		}
		f.take(k)
	}
	if err := k.awaitDatagrams(ctx, 1<<62, k.all.Quiet); err != nil {
		return err
	}
	k.leave()
	return k.drain(max(plan.MinQuiet, k.all.Quiet))
}

// lose says of a check that failed what became of the datagram it awaited, and that one which
// came when it had been given up is none.
func (k *call) lose(o *Outcome, a *awaitedDatagram) {
	switch late := a.came.Sub(a.asked); {
	case a.came.IsZero() && a.lost != "":
		o.Reason = a.lost
	case !a.came.IsZero() && !o.Sent.IsZero() && late > k.timeout:
		o.Verdict, o.Differences = compare.Failed, nil
		o.Reason = fmt.Sprintf("the answer came late, after %v", late.Round(time.Millisecond))
	}
}

// find notes what differs about the connection, if nothing else does.
func (k *call) find(what string) {
	if k.finding == "" {
		k.finding = what
	}
}

// recent remembers the latest datagrams, to know one that comes again.
type recent struct{ list [][]byte }

// has reports whether a datagram is one of them.
func (r *recent) has(data []byte) bool {
	return slices.ContainsFunc(r.list, func(x []byte) bool { return bytes.Equal(x, data) })
}

// forget forgets the latest that is equal.
func (r *recent) forget(data []byte) {
	for i := len(r.list) - 1; i >= 0; i-- {
		if bytes.Equal(r.list[i], data) {
			r.list = slices.Delete(r.list, i, i+1)
			return
		}
	}
}

// add remembers one, which nobody changes.
func (r *recent) add(data []byte) {
	if len(r.list) == window {
		r.list = slices.Delete(r.list, 0, 1)
	}
	r.list = append(r.list, data)
}
