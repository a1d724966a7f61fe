package replay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// shot is what a call has the pacer send when it is due. A call that is woken to send it
// itself comes late by as long as that takes, which is most of all lateness there is.
type shot struct {
	sock  prompt
	data  []byte
	begin func(now time.Time)
	due   *appointment

	// What follows is known when due is over.
	at     time.Time
	n      int  // how much of data went out
	missed bool // nothing did, and may yet
	err    error
}

// prompt is a connection that can be written to without waiting.
type prompt interface {
	net.Conn
	// writeNow writes what there is room for.
	writeNow([]byte) (int, error)
}

// fire is called by the pacer. Who has it sent reads meanwhile.
func (s *shot) fire() {
	s.at = time.Now()
	n, err := s.sock.writeNow(s.data)
	s.n = n
	switch {
	case isTimeout(err), errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ECONNREFUSED):
		s.missed = true // there is no room, or an earlier datagram was refused
	default:
		s.err = err
	}
	s.sock.SetReadDeadline(past)
}

// took is how many bytes went out.
func (s *shot) took() int {
	if s == nil {
		return 0
	}
	return s.n
}

// sendDue waits until data is to be sent, and reads what comes until then. It returns the shot
// by which it was sent, or nil when that is still to be done. Begin is called with the time of
// sending, before anything is looked at that may be an answer.
func (k *call) sendDue(ctx context.Context, due time.Time, data []byte, begin func(now time.Time)) (*shot, error) {
	s := k.aim(due, data, begin)
	err := k.readUntil(ctx, due)
	k.recall()
	switch {
	case err != nil:
		return nil, err
	case s != nil && !s.at.IsZero():
		return s, s.err
	}
	if err := k.alive(ctx); err != nil {
		return nil, err
	}
	begin(time.Now())
	return nil, nil
}

// aim has data sent when it is due. It returns nil where that can't be done, or what is sent
// may have to change by then.
func (k *call) aim(due time.Time, data []byte, begin func(now time.Time)) *shot {
	p := k.player.pacer
	sock, plain := k.sock.(prompt)
	if p == nil || !plain || k.eof || k.leaving || !time.Now().Before(due) {
		return nil
	}
	sock.SetWriteDeadline(due.Add(k.timeout))
	s := &shot{sock: sock, data: data, begin: begin}
	s.due = p.at(due, s.fire)
	k.shot = s
	return s
}

// land notes a shot that was made, before what may be the answer to it is looked at.
func (k *call) land() {
	s := k.shot
	if s == nil || !k.player.pacer.isOver(s.due) {
		return
	}
	k.shot = nil
	s.begin(s.at)
	k.sent += int64(s.n)
	k.lastSent = s.at
	if s.err != nil {
		s.err = fmt.Errorf("send: %w", plainError(s.err))
	}
}

// recall takes a shot back that was not made.
func (k *call) recall() {
	if k.shot != nil {
		k.player.pacer.cancel(k.shot.due)
		if k.shot.at.IsZero() {
			k.shot = nil
		}
		k.land()
	}
}
