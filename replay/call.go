package replay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/replay/compare"
	"netlab/replay/plan"
)

const (
	// readSize is read at once; a datagram fits. Of TCP it is firstRead until that is
	// filled: thousands of connections may be open, most of them with little to say.
	readSize  = 64 << 10
	firstRead = 4 << 10

	// coalesce bounds how many bytes are written at once when no pace is kept.
	coalesce = 64 << 10

	// stuck is how long a write may make no progress before what the server
	// says is read in between: it may be waiting for that.
	stuck = 100 * time.Millisecond

	// promptClose is how soon after the last byte a server must have closed in
	// the recording for its closing to count: later it is a matter of timeouts.
	promptClose = time.Second

	// interimPatience is how long an interim response is waited for: a client
	// must not wait for ever for 100 Continue (RFC 9110, section 10.1.1), and
	// curl waits a second.
	interimPatience = time.Second

	// endless is how many times the timeout an answer may take as long as something of it
	// comes: a server that trickles, or sends a body without end, is given up then.
	endless = 6

	// manySlips are added to all others at a time.
	manySlips = 256

	// maxRaw bounds what is kept of the answers of a protocol that is not
	// parsed.
	maxRaw = plan.Keep
)

// call is one connection being played. Its goroutine takes the parts of the conversation
// from the feed; when it has come to an end, or there is none, it is told those that still
// come.
type call struct {
	player  *Player
	conn    *plan.Conn
	parent  *call         // whose content it carries, if any
	queue   queue         // guarded by the feed
	open    time.Duration // when it is due, in the schedule's time
	rated   time.Duration // what was asked last, by Options.Rate
	skipped string        // why it isn't played; empty when it is
	sock    net.Conn
	raw     net.Conn // what it goes through
	live    flow.Conversation
	timeout time.Duration
	close   plan.Close
	all     plan.Wait // what all answers together are, when no more is said

	transfers *transfers // of FTP
	datagrams *datagrams // over UDP
	placed    bool       // it has one of Player.places

	dialogue *proto.Dialogue // of a protocol that is parsed
	spare    proto.Spare     // of that
	answers  answers         // of that
	heart    heart           // of WebSocket
	shot     *shot           // what is to be sent next; nil when the pacer does not send it
	carried  carried         // of HTTP
	turns    turns           // of another
	odd      string          // the first thing the server said that breaks the protocol
	stray    string          // such a thing behind all answers

	received           int64 // bytes of the server
	marks              []mark
	lastSent, lastRead time.Time

	sent    int64
	slips   []time.Duration
	buf     []byte
	eof     bool   // the server closed
	closed  bool   // the server closed before we did
	broken  error  // what a read came to while nothing was awaited
	failed  error  // why the connection went no further
	cutOff  bool   // what is still told by the dialogue is not whole: it was ended by us, or broken off
	finding string // what differs about the connection itself
	over    bool   // nothing more is sent, or read
	opened  bool
	unwatch func() bool // has the end of the replay not close sock

	answeredTo int64 // up to where what was said is answered
	leaving    bool  // the server said that it will close
	redials    int
	dialled    int64                       // what had been sent at the latest of these
	finals     int                         // answers that came on connections before, without those that are not awaited
	count      [compare.VerdictCount]int64 // of its checks
}

// mark says what had come of the server when a turn began.
type mark struct {
	turn  int
	bytes int64
	late  time.Duration // behind its time; negative when no pace was kept
	slip  time.Duration // how much of that was our own doing
	sent  time.Time     // when the client's first byte of the turn went out
	spoke time.Time     // and its last
	first time.Time     // when the first byte of the answer came
}

func newCall(p *Player, c *plan.Conn, parent *call) *call {
	k := &call{player: p, conn: c, parent: parent, close: c.Close}
	if c.Protocol == &proto.FTP {
		k.transfers = newTransfers()
	}
	k.skipped = k.skip()
	k.carry()
	if k.skipped != "" {
		k.queue.direct, k.over = true, true
		p.order.done(c.Rank)
	}
	return k
}

// errStopped is why a connection went no further when the replay was stopped.
var errStopped = errors.New("the replay was stopped")

// errLost is why a call ends whose conversation was given up.
type errLost string

func (e errLost) Error() string { return string(e) }

// play opens the connection, says everything, and closes it.
func (k *call) play(ctx context.Context) {
	k.failed = k.talk(ctx)
	if lost := k.player.feed.lost(k); lost != "" && k.failed != nil {
		k.failed = errLost(lost)
	} else if ctx.Err() != nil && k.failed != nil {
		k.failed = errStopped
	}
	k.hangUp()
	if k.dialogue != nil {
		k.cutOff = k.failed != nil && !k.eof
		k.dialogue.Close()
	}
	k.settle()
}

func (k *call) talk(ctx context.Context) error {
	k.timeout = max(k.player.opts.Timeout, 3*k.conn.Slowest)
	if err := k.dial(ctx); err != nil {
		return err
	}
	if err := k.say(ctx); err != nil {
		return err
	}
	if k.datagrams != nil {
		return k.finishDatagrams(ctx)
	}
	return k.finish(ctx)
}

// leave lets those calls go on that wait for this one: all is answered.
func (k *call) leave() {
	k.player.order.done(k.conn.Rank)
	if k.placed {
		k.placed = false
		k.player.leave()
	}
}

// settle says what became of everything, and has the call told what still comes.
func (k *call) settle() {
	k.over = true
	k.buf, k.dialogue = nil, nil
	k.answers.end(k)
	if k.datagrams != nil {
		k.datagrams.end(k)
	}
	k.player.values.Over(k.conn.ID, k.why(), k.given())
	if k.transfers != nil {
		k.transfers.close(k)
	}
	k.turns.close(k)
	f := k.player.feed
	f.leave()
	k.leave()
	for !f.turnDirect(k) {
		p := f.take(k)
		k.tell(&p)
	}
}

// tell tells the call a part when nothing is sent any more.
func (k *call) tell(p *plan.Part) error {
	switch p.Kind {
	case plan.Closed:
		k.close, k.all = p.Closing.Close, p.Closing.All
	case plan.Answered:
		k.expect(p.Check, 0)
	case plan.Over:
		k.end()
	}
	return k.player.failure()
}

// expect takes note of a recorded answer.
func (k *call) expect(c *plan.Check, cost int) {
	if k.datagrams != nil {
		k.expectDatagrams(c, cost)
	} else if c.Turn != nil {
		k.turns.expect(k, c, cost)
	} else {
		k.answers.expect(k, c, cost)
	}
}

// begin gets ready to read.
func (k *call) begin() {
	c := k.conn
	size := firstRead
	if c.Transport == flow.UDP {
		size, k.datagrams = readSize, &datagrams{pairing: &volleys{}, sent: make(map[int64]sentAt)}
		if c.Parsed() {
			k.datagrams.pairing = newQueries()
		}
	}
	k.buf = make([]byte, size)
	k.live = flow.Conversation{ID: c.ID, Tuple: flow.NewFlow(c.Transport, addrPort(k.sock.LocalAddr()), addrPort(k.sock.RemoteAddr()))}
	if c.Parsed() {
		o := proto.Options{Keep: plan.Keep, Protocol: c.Protocol}
		if k.datagrams == nil {
			o.Spare = &k.spare
		}
		k.dialogue = proto.NewDialogue(&k.live, k, o)
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(a.String()) // a socket of a test has no such address
	return ap
}

// Exchange takes an exchange of the live conversation.
func (k *call) Exchange(e *proto.Exchange) {
	switch {
	case e.Inside():
	case plan.Unawaited(e) != "":
		k.finals--
		k.heart.heard(e)
	case k.heart.isOwn(e):
		k.leaves(e)
	case k.datagrams != nil:
		k.datagrams.pairing.(*queries).answered(k, e)
	default:
		k.leaves(e)
		k.takeValues(e)
		k.answers.answered(k, e)
	}
}

// Anomaly notes when the server breaks the protocol.
func (k *call) Anomaly(a flow.Anomaly) {
	if a.Direction != flow.ServerToClient {
		return
	}
	if k.odd == "" {
		k.odd = a.Detail
	}
	if k.stray == "" && k.sent > 0 && k.allAnswered() {
		k.stray = a.Detail
	}
}

// say sends all steps, each after what it waits for and not before its time, until nothing
// more is said.
func (k *call) say(ctx context.Context) error {
	f := k.player.feed
	for {
		p, err := k.next(ctx)
		if err != nil {
			return err
		}
		switch p.Kind {
		case plan.Answered:
			k.expect(p.Check, p.Cost)
			f.take(k)
		case plan.Said:
			step := k.step
			if k.datagrams != nil {
				step = k.stepDatagram
			}
			if err := step(ctx, p); err != nil {
				return err
			}
		case plan.Closed:
			k.close, k.all = p.Closing.Close, p.Closing.All
			f.release(k, p.Cost)
			f.take(k)
			return nil
		default:
			f.release(k, p.Cost)
			f.take(k)
		}
	}
}

// next waits for the next part, and reads meanwhile.
func (k *call) next(ctx context.Context) (*plan.Part, error) {
	f := k.player.feed
	for {
		p, lost := f.peek(k)
		switch {
		case lost != "":
			return nil, errLost(lost)
		case p != nil:
			return p, nil
		case ctx.Err() != nil:
			return nil, errStopped
		}
		_, err := k.idle(ctx, k.patience(), func(begin, wake func()) bool { return f.wait(k, begin, wake) })
		f.unwait(k)
		if err != nil {
			return nil, err
		}
	}
}

// idle reads until it is woken, or a time when there has to be an answer, if it isn't zero.
// Wait says whether to wait, and has wake called behind begin. It reports whether it waited.
func (k *call) idle(ctx context.Context, until time.Time, wait func(begin, wake func()) bool) (bool, error) {
	if k.eof {
		here := make(chan struct{})
		if !wait(func() {}, func() { close(here) }) {
			return false, nil
		}
		select {
		case <-here:
		case <-ctx.Done():
		}
		return true, nil
	}
	if !wait(func() { k.sock.SetReadDeadline(until) }, func() { k.sock.SetReadDeadline(past) }) {
		return false, nil
	}
	_, err := k.readNow()
	switch {
	case isTimeout(err) && !until.IsZero() && !time.Now().Before(until):
		return true, fmt.Errorf("no answer for %v", k.timeout)
	case err != nil && !isTimeout(err):
		k.eof, k.broken = true, err // it may be that nothing more is awaited
	}
	return true, nil
}

// patience returns until when an answer may come that was recorded; zero when none is awaited.
func (k *call) patience() time.Time {
	if !k.answers.awaited(k) {
		return time.Time{}
	}
	return later(k.answers.since, later(k.lastSent, k.lastRead)).Add(k.timeout)
}

// step sends a step, and those that can go out with it.
func (k *call) step(ctx context.Context, p *plan.Part) error {
	f, s := k.player.feed, *p.Step
	ready, err := k.await(ctx, s.After)
	if err != nil {
		return err
	}
	if k.carried.begins(&s) {
		if err := k.fill(ctx, &s); err != nil {
			return err
		}
		ready = later(ready, time.Now())
	}
	k.carried.editor.Next(&s)
	due := k.player.due(p.At)
	data, cost := s.Bytes, p.Cost
	f.take(k)
	var more []plan.Step
	for due.IsZero() && len(data) < coalesce {
		q, _ := f.peek(k)
		if q == nil || q.Kind != plan.Said || q.Step.After != s.After || q.Step.Turn != s.Turn || k.carried.begins(q.Step) {
			break
		}
		next := *q.Step
		k.carried.editor.Next(&next)
		more = append(more, next)
		data = append(data[:len(data):len(data)], next.Bytes...)
		cost += q.Cost
		f.take(k)
	}
	if k.transfers != nil {
		if data, err = k.transfers.rewrite(k, s.Offset, k.sent, data); err != nil {
			return err
		}
	}
	shot, err := k.sendDue(ctx, due, data, func(now time.Time) {
		late, slip := k.slip(now, due, ready)
		k.answers.moved(&s, k.sent)
		at := k.sent + int64(len(s.Bytes))
		for i := range more {
			k.answers.moved(&more[i], at)
			at += int64(len(more[i].Bytes))
		}
		if n := len(k.marks); !k.conn.Parsed() && (n == 0 || k.marks[n-1].turn != s.Turn) {
			k.marks = append(k.marks, mark{turn: s.Turn, bytes: k.received, sent: now, late: late, slip: slip})
			k.turns.settle(k)
		}
		if n := len(k.marks); n > 0 {
			k.marks[n-1].spoke = now
		}
		if k.conn.Parsed() {
			k.answers.sent(k.sent, late, slip)
			k.dialogue.Chunk(flow.ClientToServer, flow.Chunk{Data: data, Offset: k.sent, Time: now, Packet: s.Packet, Ack: k.received})
		}
	})
	if err != nil {
		return err
	}
	if err := k.write(data[shot.took():]); err != nil {
		return err
	}
	f.release(k, cost)
	return nil
}

// slip returns how late something is sent behind its time, which is negative when no pace is
// kept, and behind when it could be, of which it takes note.
func (k *call) slip(now, due, ready time.Time) (late, slip time.Duration) {
	if due.IsZero() {
		return -1, 0
	}
	slip = max(0, now.Sub(later(due, ready)))
	if k.slips = append(k.slips, slip); len(k.slips) == manySlips {
		k.player.slipped(k)
	}
	return max(0, now.Sub(due)), slip
}

// canStillSend reports whether sending makes sense though the server has closed:
// it may have closed only its own direction.
func (k *call) canStillSend() bool {
	return k.close.Kind == plan.CloseFIN && k.close.By == flow.ServerToClient
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// write sends data, of which the parser knows: the answer may be here before write returns.
func (k *call) write(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	now := time.Now()
	if _, secure := k.sock.(*tls.Conn); secure {
		return k.writeTLS(data, now)
	}
	patience := k.timeout
	if len(data) > coalesce/2 {
		patience = stuck
	}
	deadline := now.Add(k.timeout)
	for {
		k.sock.SetWriteDeadline(time.Now().Add(patience))
		n, err := k.sock.Write(data)
		k.sent += int64(n)
		data = data[n:]
		if n > 0 {
			deadline = time.Now().Add(k.timeout)
		}
		switch {
		case err == nil:
			k.lastSent = time.Now()
			return nil
		case !isTimeout(err):
			return fmt.Errorf("send: %w", plainError(err))
		case time.Now().After(deadline):
			return fmt.Errorf("the server took no more bytes for %v", k.timeout)
		}
		if _, err := k.read(time.Now().Add(stuck)); err != nil && !isTimeout(err) {
			return err
		}
	}
}

// writeTLS writes in a goroutine beside the one that reads: a write that was ended by a
// deadline would end TLS.
func (k *call) writeTLS(data []byte, now time.Time) error {
	k.sock.SetWriteDeadline(now.Add(k.timeout))
	done := make(chan error, 1)
	go func() {
		_, err := k.sock.Write(data)
		k.sock.SetReadDeadline(past) // first: it must not end a later read
		done <- err
	}()
	patience := time.After(stuck)
	for {
		select {
		case err := <-done:
			switch {
			case err == nil:
				k.sent += int64(len(data))
				k.lastSent = time.Now()
				return nil
			case isTimeout(err):
				return fmt.Errorf("the server took no more bytes for %v", k.timeout)
			}
			return fmt.Errorf("send: %w", plainError(err))
		case <-patience:
			if _, err := k.read(time.Now().Add(stuck)); err != nil && !isTimeout(err) {
				k.raw.Close()
				<-done
				return err
			}
			patience = time.After(time.Millisecond)
			if k.eof {
				patience = nil
			}
		}
	}
}

// await reads until what a step waits for has come, and returns when it had.
func (k *call) await(ctx context.Context, w plan.Wait) (time.Time, error) {
	begin := time.Now()
	goesOn, finals := begin, k.answered() // since when, and how many had come by then
	for {
		if k.satisfied(w) {
			return later(begin, k.lastRead), nil
		}
		if n := k.answered(); n != finals {
			goesOn, finals = k.lastRead, n
		}
		if k.broken != nil {
			return time.Time{}, k.broken
		}
		if k.eof {
			if k.dialogue == nil {
				return time.Now(), nil // the end of the stream ends a turn
			}
			return time.Time{}, errors.New("the server closed the connection without an answer")
		}
		limit := later(begin, later(k.lastSent, k.lastRead)).Add(k.timeout)
		end := goesOn.Add(endless * k.timeout)
		if k.dialogue != nil && !time.Now().Before(end) {
			return time.Time{}, fmt.Errorf("it still went on after %v", endless*k.timeout)
		}
		until := limit
		if k.onlyInterim(w) {
			until = begin.Add(interimPatience)
		}
		if k.quiet(w) {
			until = k.lastRead.Add(w.Quiet)
		}
		_, err := k.read(until)
		switch {
		case err == nil:
		case !isTimeout(err):
			return time.Time{}, err
		case ctx.Err() != nil:
			return time.Time{}, errStopped
		case k.quiet(w) && time.Since(k.lastRead) >= w.Quiet:
			return time.Now(), nil // it has said less than it did, and is silent
		case k.onlyInterim(w) && time.Since(begin) >= interimPatience:
			return time.Now(), nil
		case !time.Now().Before(limit):
			return time.Time{}, fmt.Errorf("no answer for %v", k.timeout)
		}
	}
}

// satisfied reports whether all that a step waits for has come.
func (k *call) satisfied(w plan.Wait) bool {
	if k.dialogue == nil {
		return k.received >= w.Bytes
	}
	_, interims := k.dialogue.Answers()
	finals := k.answered()
	return finals > w.Finals || finals == w.Finals && interims >= w.Interims
}

// onlyInterim reports whether an interim response is all that is missing.
func (k *call) onlyInterim(w plan.Wait) bool {
	return k.dialogue != nil && w.Interims > 0 && k.answered() == w.Finals
}

// answered counts the final answers that came, of a protocol that is parsed.
func (k *call) answered() int {
	if k.dialogue == nil {
		return 0
	}
	finals, _ := k.dialogue.Answers()
	return finals + k.finals
}

// quiet reports whether silence can end what is waited for: something of this
// turn's answer has come, in a protocol whose answers have no known end.
func (k *call) quiet(w plan.Wait) bool {
	if k.dialogue != nil || k.lastRead.IsZero() {
		return false
	}
	return len(k.marks) == 0 || k.received > k.marks[len(k.marks)-1].bytes
}

// past is a time that is over.
var past = time.Unix(1, 0)

// readUntil reads what comes until a time, if that is not over.
func (k *call) readUntil(ctx context.Context, due time.Time) error {
	if due.IsZero() || !time.Now().Before(due) {
		return nil
	}
	if p := k.player.pacer; p != nil && !k.eof && k.shot == nil {
		// No deadline that is set while this waits is in the way: they are at that time
		// too.
		a := p.at(due, func() { k.sock.SetReadDeadline(past) })
		defer p.cancel(a)
	}
	for armed := k.shot != nil; time.Now().Before(due) && (!armed || k.shot != nil); {
		if armed && (k.eof || k.leaving || k.heart.pong != nil) {
			k.recall()
			if err := k.heart.beat(k); err != nil {
				return err
			}
			return k.readUntil(ctx, due)
		}
		if k.eof {
			if !k.player.sleep(ctx, due) {
				return errStopped
			}
			return nil
		}
		if _, err := k.read(due); err != nil && !isTimeout(err) {
			return err
		}
	}
	return nil
}

// read reads once, until a time at the latest.
func (k *call) read(until time.Time) (int, error) {
	k.sock.SetReadDeadline(until)
	return k.readNow()
}

// readNow reads once, until the deadline that is set.
func (k *call) readNow() (int, error) {
	n, err := k.sock.Read(k.buf)
	k.land()
	if n > 0 || err == nil && k.conn.Transport == flow.UDP {
		k.take(k.buf[:n])
	}
	if err := k.heart.beat(k); err != nil {
		return n, err
	}
	if n == len(k.buf) && n < readSize {
		k.buf = make([]byte, min(4*n, readSize))
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // TLS that just ends
		k.eof, k.closed = true, true
		if k.dialogue != nil {
			k.dialogue.End(flow.ServerToClient)
		}
		return n, nil
	case isTimeout(err):
		return n, err
	case k.datagrams != nil && errors.Is(err, syscall.ECONNREFUSED):
		k.datagrams.refused()
		return n, nil
	case errors.Is(err, syscall.ECONNRESET) && k.close.Kind == plan.CloseRST && k.close.By == flow.ServerToClient:
		k.eof, k.closed = true, true // as it did in the recording
		return n, nil
	}
	return n, fmt.Errorf("read: %w", plainError(err))
}

// take keeps what the server said.
func (k *call) take(data []byte) {
	now := time.Now()
	k.lastRead = now
	if n := len(k.marks); n > 0 && k.marks[n-1].first.IsZero() {
		k.marks[n-1].first = now
	}
	chunk := flow.Chunk{Data: data, Offset: k.received, Time: now, Ack: k.sent}
	k.received += int64(len(data))
	switch {
	case k.datagrams == nil && k.dialogue != nil:
		k.dialogue.Chunk(flow.ServerToClient, chunk)
	case k.datagrams == nil:
		k.turns.heard(data)
		k.turns.settle(k)
	case k.dialogue != nil:
		k.dialogue.Datagram(flow.ServerToClient, &chunk, 0)
	default:
		k.datagrams.pairing.(*volleys).heard(data, now)
	}
}

// finish waits for the last answers and closes as the client did.
func (k *call) finish(ctx context.Context) error {
	if k.close.HalfClosed {
		if err := k.closeWrite(); err != nil {
			return err
		}
	}
	if _, err := k.await(ctx, k.all); err != nil {
		return err
	}
	switch {
	case k.close.Kind == plan.CloseNone:
		return k.drain(max(plan.MinQuiet, k.all.Quiet))
	case k.close.By == flow.ServerToClient:
		return k.awaitClose()
	case k.readUntil(ctx, k.closing()) != nil:
		return nil // all was answered: how the server takes leave is its affair
	case k.eof && !k.close.HalfClosed && k.player.opts.Rules.Wire && k.finding == "":
		k.finding = "the server closed the connection first, and the client had"
		return nil
	case k.close.Kind == plan.CloseRST:
		if t, ok := k.raw.(*net.TCPConn); ok {
			return t.SetLinger(0)
		}
		return nil
	case !k.close.HalfClosed:
		if err := k.closeWrite(); err != nil {
			return err
		}
	}
	return k.drain(promptClose)
}

// closing returns when the connection is closed; zero when it is as soon as all is said.
func (k *call) closing() time.Time {
	if k.player.opts.Rate > 0 {
		return time.Time{}
	}
	return k.player.due(k.close.At)
}

// drain reads what the server still says, until it closes, is silent for long, or has gone
// on for the timeout: more than it said in the recording is a difference too. What is still
// missing of an answer may take as long as any. A server that breaks the connection off now
// does no harm.
func (k *call) drain(silence time.Duration) error {
	for begin := time.Now(); !k.eof; {
		most := max(k.timeout, silence)
		if !k.satisfied(k.all) {
			most = endless * k.timeout
		}
		until := time.Now().Add(silence)
		if end := begin.Add(most); until.After(end) {
			until = end
		}
		if _, err := k.read(until); err != nil {
			break
		}
	}
	return nil
}

// closeWrite says that the client is done.
func (k *call) closeWrite() error {
	if w, ok := k.sock.(interface{ CloseWrite() error }); ok && !k.eof {
		if err := w.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
			return fmt.Errorf("close: %w", plainError(err))
		}
	}
	return nil
}

// awaitClose waits for the server to close, if it did so promptly.
func (k *call) awaitClose() error {
	delay := k.close.Silence
	if delay > promptClose {
		return nil
	}
	until := time.Now().Add(max(promptClose, 3*delay))
	for !k.eof {
		if _, err := k.read(until); isTimeout(err) {
			k.finding = "the server left the connection open, and had closed it"
			return nil
		} else if err != nil {
			return nil // it is closed, in whatever way
		}
	}
	return nil
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// plainError takes away what an error of package net says about addresses, for
// that is said already.
func plainError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err
		}
		return op.Err
	}
	return err
}
