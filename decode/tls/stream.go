package tls

import (
	"errors"
	"fmt"

	"netlab/decode/flow"
)

var errSealed = errors.New("it was not sealed with this key")

// Stream follows one connection, record by record.
type Stream struct {
	secrets *Secrets
	final   bool // no more secrets come

	client, server *Hello // of the latest handshake; nil when not seen
	retried        bool   // the server has asked for another ClientHello
	early          early
	pair           [2]*opener // up to TLS 1.2, of the latest handshake
	answer         *Handshake // until it is settled
	settled        *Handshake
	sides          [2]side
	opened         bool   // some record was
	scratch        []byte // what was opened last
}

// early says what becomes of data before the handshake is done.
type early uint8

const (
	earlyNone early = iota
	earlyOffered
	earlyAccepted
	earlyRejected
)

// side is one direction.
type side struct {
	flight   []byte // handshake bytes that are no whole message yet
	deaf     bool   // it is not known where a handshake message begins
	keys     *opener
	epoch    epoch
	secret   []byte // that keys are from, in TLS 1.3
	changed  bool   // up to TLS 1.2: what follows is encrypted
	finished bool   // its part of the handshake is over
	sealed   bool   // what follows can't be read
}

// epoch says which secret TLS 1.3 encrypts with.
type epoch uint8

const (
	epochNone epoch = iota
	epochEarly
	epochHandshake
	epochTraffic
)

// Handshake is what came of a ClientHello on the server's side, as far as it was in
// clear or was opened.
type Handshake struct {
	// Server is what it has chosen; nil when it only sent an alert.
	Server *Hello
	// Resumed names what an earlier connection is resumed by: "session id", "ticket"
	// or "psk"; empty when it is not.
	Resumed string
	// EarlyData is "offered", "accepted" or "rejected"; empty when there is none.
	EarlyData string
	// Retried means that the server only asked for another ClientHello.
	Retried      bool
	Certificates []Certificate
	Alert        *Alert // that ended it, or the first warning in it
}

// Held returns about how much memory it takes.
func (h *Handshake) Held() int {
	n := 256
	for i := range h.Certificates {
		n += h.Certificates[i].held()
	}
	return n
}

// Alert is what one side complains of (RFC 8446, section 6).
type Alert struct {
	By    flow.Direction
	Fatal bool
	Code  uint8
}

// Name returns its name, or its number.
func (a *Alert) Name() string {
	if name := alertNames[a.Code]; name != "" {
		return name
	}
	return fmt.Sprint("alert ", a.Code)
}

// Level returns "fatal" or "warning".
func (a *Alert) Level() string {
	if a.Fatal {
		return "fatal"
	}
	return "warning"
}

// Outcome is what a record came to.
type Outcome struct {
	// Wait means that the keys to it are not there, and may still come: it was not
	// looked at.
	Wait bool
	// Data is of what is spoken inside, valid until the next call; Lost bytes of it
	// could not be read.
	Data []byte
	Lost int64
	// Hello is a client's, that is whole now.
	Hello *Hello
	// Alert is one that belongs to no handshake.
	Alert *Alert
	// Closed means that its sender says no more.
	Closed bool
	// Why says why what follows in this direction can't be read, when that is odd.
	Why string
	// Odd says what is wrong, and does not keep what follows from being read.
	Odd string
}

// NewStream returns a Stream that looks for its keys in secrets, which may be nil.
func NewStream(secrets *Secrets) *Stream { return &Stream{secrets: secrets} }

// Length returns how long the record is that data begins with, 0 when more is needed
// and -1 when there is none.
func Length(data []byte) int {
	for i, b := range data[:min(len(data), 3)] {
		if i == 0 && (b < recordChange || b > recordApplication) || i == 1 && b != 3 || i == 2 && b > 4 {
			return -1
		}
	}
	if len(data) < recordHeaderLen {
		return 0
	}
	n := int(data[3])<<8 | int(data[4])
	if n > maxRecord {
		return -1
	}
	return recordHeaderLen + n
}

// Held returns how much memory the Stream keeps, about.
func (s *Stream) Held() int {
	n := cap(s.scratch) + len(s.sides[0].flight) + len(s.sides[1].flight)
	for i := range s.sides {
		if s.sides[i].keys != nil {
			n += openerCost
		}
	}
	if s.answer != nil {
		n += s.answer.Held()
	}
	return n
}

// openerCost is about what an opener takes: round keys and tables.
const openerCost = 1 << 10

// Sealed reports whether nothing more of a direction can be read.
func (s *Stream) Sealed(d flow.Direction) bool { return s.sides[d].sealed }

// Opened reports whether some record was opened.
func (s *Stream) Opened() bool { return s.opened }

// Busy reports whether a direction is within its part of a hello: a client's first
// message, or all that a server says until the handshake is settled.
func (s *Stream) Busy(d flow.Direction) bool {
	x := &s.sides[d]
	if d == flow.ServerToClient {
		return s.answer != nil || len(x.flight) > 0 && s.server == nil
	}
	return len(x.flight) > 0 && x.keys == nil && !x.changed && s.server == nil
}

// Settled returns a handshake that is over, once.
func (s *Stream) Settled() *Handshake {
	h := s.settled
	s.settled = nil
	return h
}

// End says that a direction sends no more.
func (s *Stream) End(d flow.Direction) {
	s.sides[d].finished = true
	if d == flow.ServerToClient {
		s.settle(true)
	}
	s.settle(false)
}

// Finish says that no more secrets come.
func (s *Stream) Finish() { s.final = true }

// Seal gives up a direction.
func (s *Stream) Seal(d flow.Direction) {
	x := &s.sides[d]
	x.sealed, x.flight, x.keys = true, nil, nil
	if s.sides[d.Reverse()].sealed {
		s.scratch = nil
	}
	s.settle(d == flow.ServerToClient) // nothing more of it comes
}

// Why names the reason of a give-up when it is odd: keys of the connection are there.
func (s *Stream) Why(reason string) string {
	if s.client == nil || s.secrets == nil {
		return ""
	}
	s.secrets.mu.RLock()
	defer s.secrets.mu.RUnlock()
	if s.secrets.table[s.client.random] == nil {
		return ""
	}
	return reason
}

// settle hands the handshake over when both sides are done with it, or when it must.
func (s *Stream) settle(must bool) {
	done := true
	for i := range s.sides {
		x := &s.sides[i]
		done = done && (x.finished || x.sealed)
	}
	if s.answer == nil || !done && !must {
		return
	}
	s.answer.EarlyData = [...]string{"", "offered", "accepted", "rejected"}[s.early]
	s.settled, s.answer = s.answer, nil
}

// Record takes a whole record of a direction.
func (s *Stream) Record(d flow.Direction, rec []byte) Outcome {
	x := &s.sides[d]
	if x.sealed {
		return Outcome{}
	}
	typ, content := rec[0], rec[recordHeaderLen:]
	switch {
	case x.changed:
		return s.protected(d, rec)
	case s.server != nil && s.version() < version13:
		if typ == recordApplication {
			s.Seal(d)
			return Outcome{Why: s.Why("data comes before the handshake is done")}
		}
	case typ == recordApplication && d == flow.ServerToClient && s.server == nil:
		s.Seal(d)
		return Outcome{}
	case typ == recordApplication:
		return s.protected(d, rec)
	case typ == recordChange:
		return Outcome{} // for boxes in the middle (RFC 8446, appendix D.4)
	}
	return s.content(d, typ, content)
}

// version is what the server has chosen; 0 when that is not known.
func (s *Stream) version() uint16 {
	if s.server == nil {
		return 0
	}
	return s.server.Version
}

// content takes what a record holds.
func (s *Stream) content(d flow.Direction, typ byte, b []byte) (out Outcome) {
	x := &s.sides[d]
	switch typ {
	case recordChange:
		if s.version() < version13 && s.server != nil {
			x.changed, x.finished, x.deaf, x.keys, x.flight = true, true, false, nil, nil
			if s.client == nil || !s.secrets.knows(s.client.random) {
				s.Seal(d)
			}
			s.settle(false)
		}
	case recordAlert:
		s.alert(d, b, &out)
	case recordHandshake:
		s.handshake(d, b, &out)
	case recordApplication:
		out.Data = b
	}
	return out
}

// alert takes an alert.
func (s *Stream) alert(d flow.Direction, b []byte, out *Outcome) {
	if len(b) != 2 {
		return
	}
	a := &Alert{By: d, Fatal: b[0] == 2, Code: b[1]}
	if a.Code == 0 { // close_notify
		out.Closed = true
		return
	}
	if s.answer == nil && s.server == nil && s.client != nil && d == flow.ServerToClient {
		s.answer = new(Handshake)
	}
	switch {
	case s.answer != nil && (s.answer.Alert == nil || a.Fatal):
		s.answer.Alert = a
		s.settle(a.Fatal)
	case s.answer == nil:
		out.Alert = a
	}
	if a.Fatal {
		out.Closed = true
	}
}

const tooLargeHello = "a hello is larger than any"

// handshake takes handshake bytes.
func (s *Stream) handshake(d flow.Direction, b []byte, out *Outcome) {
	x := &s.sides[d]
	if x.deaf {
		return
	}
	if len(x.flight)+len(b) > MaxHandshake {
		x.deaf, x.flight = true, nil
		if d == flow.ClientToServer && s.client == nil || d == flow.ServerToClient && s.server == nil {
			s.Seal(d)
			out.Why = tooLargeHello
		} else {
			out.Odd = "a handshake message is larger than any"
		}
		return
	}
	x.flight = append(x.flight, b...)
	at := 0
	for !x.sealed && len(x.flight)-at >= messageHeaderLen {
		rest := x.flight[at:]
		size := messageHeaderLen + (int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3]))
		if size > MaxHandshake && (d == flow.ClientToServer && s.client == nil || d == flow.ServerToClient && s.server == nil) {
			s.Seal(d)
			out.Why = tooLargeHello
			return
		}
		if len(rest) < size {
			break
		}
		keys := x.keys
		s.message(d, rest[0], rest[messageHeaderLen:size], out)
		at += size
		if keys != x.keys || x.sealed { // what is behind it is of no use
			x.flight = nil
			return
		}
	}
	x.flight = x.flight[:copy(x.flight, x.flight[at:])]
	if len(x.flight) == 0 {
		x.flight = nil
	}
}

// message takes a whole handshake message.
func (s *Stream) message(d flow.Direction, typ byte, b []byte, out *Outcome) {
	x := &s.sides[d]
	tls13 := s.version() >= version13
	switch {
	case d == flow.ClientToServer && typ == clientHello:
		s.hello(parseHello(typ, b), out)
	case d == flow.ServerToClient && typ == serverHello:
		s.chosen(parseHello(typ, b))
	case d == flow.ClientToServer && s.client == nil, d == flow.ServerToClient && s.server == nil:
		s.Seal(d) // no hello comes any more
	case typ == certificates && d == flow.ServerToClient && s.answer != nil:
		s.answer.Certificates = parseCertificates(b, tls13)
	case !tls13:
	case typ == encryptedExts && d == flow.ServerToClient:
		s.extensions(b)
	case typ == endOfEarlyData && d == flow.ClientToServer && x.epoch == epochEarly:
		x.epoch, x.keys = epochHandshake, nil
	case typ == finished:
		x.epoch, x.keys, x.finished = epochTraffic, nil, true
		s.settle(false)
	case typ == keyUpdate && x.epoch == epochTraffic && x.keys != nil:
		if suite, ok := suiteOf(s.server.Cipher); ok {
			x.secret = expand(suite.hash, x.secret, "traffic upd", suite.hash.Size())
			x.keys = suite.open13(x.secret)
		}
	}
}

// hello takes a ClientHello.
func (s *Stream) hello(h *Hello, out *Outcome) {
	x := &s.sides[flow.ClientToServer]
	switch {
	case h == nil:
		s.Seal(flow.ClientToServer)
		out.Why = "the client hello is malformed"
	case s.retried && s.server == nil:
		// Nearly the same once more, as the server asked for (RFC 8446, section 4.1.2):
		// secrets go by the first.
		x.epoch = epochNone
		out.Hello = h
	default:
		s.settle(true)
		s.client, s.server, s.pair, s.retried, s.early = h, nil, [2]*opener{}, false, earlyNone
		for i := range s.sides {
			s.sides[i].finished = false
		}
		x.epoch = epochNone
		if h.EarlyData {
			s.early, x.epoch = earlyOffered, epochEarly
		}
		out.Hello = h
	}
}

// chosen takes a ServerHello.
func (s *Stream) chosen(h *Hello) {
	if h == nil || s.server != nil && s.answer == nil {
		s.Seal(flow.ServerToClient)
		return
	}
	if s.answer == nil {
		s.answer = new(Handshake)
	}
	s.answer.Server = h
	if h.Retry {
		s.answer.Retried, s.retried = true, true
		if s.early == earlyOffered {
			s.early = earlyRejected
		}
		s.settle(true)
		return
	}
	s.server, s.pair = h, [2]*opener{}
	c := s.client
	switch {
	case c == nil:
	case h.Version >= version13:
		if h.psk {
			s.answer.Resumed = "psk"
		}
	case c.session != "" && c.session == h.session:
		s.answer.Resumed = "session id"
		if c.ticket {
			s.answer.Resumed = "ticket"
		}
	}
	if h.Version < version13 {
		if s.early != earlyNone {
			s.early = earlyRejected
		}
		return
	}
	s.sides[flow.ServerToClient].epoch = epochHandshake
	if x := &s.sides[flow.ClientToServer]; x.epoch == epochNone {
		x.epoch = epochHandshake
	}
	if _, ok := suiteOf(h.Cipher); !ok || c == nil || !s.secrets.knows(c.random) {
		s.Seal(flow.ServerToClient)
		s.Seal(flow.ClientToServer)
	}
}

// extensions takes what a server encrypts of its hello (RFC 8446, section 4.3.1).
func (s *Stream) extensions(b []byte) {
	var bad, accepted bool
	r := reader{b, &bad}
	for ext := r.list(2); len(ext.b) > 0; {
		typ := ext.number(2)
		body := ext.list(2)
		switch typ {
		case extALPN:
			for names := body.list(2); len(names.b) > 0; {
				name := names.list(1)
				s.server.ALPN = append(s.server.ALPN, string(name.b))
			}
		case extEarlyData:
			accepted = true
		}
	}
	if s.early == earlyOffered {
		s.early = earlyRejected
		if accepted {
			s.early = earlyAccepted
		}
	}
}

// ready says whether keys are there.
type ready uint8

const (
	readyNever ready = iota
	readyLater
	readyNow
)

// unlock sees that the side has its keys.
func (s *Stream) unlock(d flow.Direction) ready {
	x := &s.sides[d]
	if x.keys != nil {
		return readyNow
	}
	if s.client == nil || s.server == nil || s.server.Version < version10 || s.server.compression != 0 {
		return readyNever
	}
	suite, ok := suiteOf(s.server.Cipher)
	if !ok {
		return readyNever
	}
	if s.server.Version < version13 {
		master, grows := s.secrets.find(s.client.random, labelMaster)
		switch {
		case master == nil && grows && !s.final:
			return readyLater
		case master == nil:
			return readyNever
		}
		if s.pair[d] == nil {
			s.pair = suite.open12(s.server.Version, master, s.client.random, s.server.random, s.server.etm)
		}
		x.keys = s.pair[d]
		return readyNow
	}
	return s.unlock13(d, x.epoch, suite)
}

// unlock13 sees that the side has the keys of an epoch.
func (s *Stream) unlock13(d flow.Direction, e epoch, suite suite) ready {
	x := &s.sides[d]
	of := map[epoch][2]label{
		epochEarly:     {labelClientEarly, labelClientEarly},
		epochHandshake: {labelClientHandshake, labelServerHandshake},
		epochTraffic:   {labelClientTraffic, labelServerTraffic},
	}[e][d]
	if e == epochNone {
		return readyNever
	}
	secret, grows := s.secrets.find(s.client.random, of)
	if secret == nil {
		if grows && !s.final {
			return readyLater
		}
		return readyNever
	}
	keys := suite.open13(secret)
	if keys == nil {
		return readyNever
	}
	x.keys, x.secret, x.epoch = keys, secret, e
	return readyNow
}

const noOpen = "a record does not open with its key: it is damaged, or the key is another's"

// protected takes an encrypted record.
func (s *Stream) protected(d flow.Direction, rec []byte) (out Outcome) {
	x := &s.sides[d]
	if x.epoch == epochEarly {
		done, out := s.earlyRecord(rec)
		if done {
			return out
		}
	} else if s.server == nil && !x.changed {
		if s.early == earlyRejected {
			return Outcome{} // data that the server will not look at
		}
		s.Seal(d)
		return Outcome{}
	}
	switch s.unlock(d) {
	case readyLater:
		return Outcome{Wait: true}
	case readyNever:
		s.Seal(d)
		return Outcome{Why: s.Why("the key log lacks a key of this connection, or its cipher suite is not known here")}
	}
	typ, plain, ok := s.open(d, rec)
	if !ok && x.epoch == epochHandshake {
		// The end of the handshake may be in a gap.
		if suite, known := suiteOf(s.server.Cipher); known && s.unlock13(d, epochTraffic, suite) == readyNow {
			x.finished, x.deaf, x.flight = true, false, nil
			s.settle(false)
			typ, plain, ok = s.open(d, rec)
		}
	}
	if !ok {
		s.Seal(d)
		return Outcome{Why: noOpen}
	}
	return s.content(d, typ, plain)
}

// open opens a record with the keys of its side.
func (s *Stream) open(d flow.Direction, rec []byte) (byte, []byte, bool) {
	k := s.sides[d].keys
	if cap(s.scratch) < len(rec) {
		s.scratch = make([]byte, 0, max(len(rec), 4<<10))
	}
	typ, plain, ok := k.open(s.scratch, rec, k.seq)
	if ok {
		k.seq++
		s.opened = true
	}
	return typ, plain, ok
}

// earlyRecord takes a record of a client that has offered early data, unless it turns
// out to be behind that.
func (s *Stream) earlyRecord(rec []byte) (done bool, out Outcome) {
	x := &s.sides[flow.ClientToServer]
	if s.early == earlyOffered {
		// Whether it counts is known only when the server has answered: else it is
		// said again.
		if !s.final && s.secrets.knows(s.client.random) && !s.sides[flow.ServerToClient].sealed && !s.sides[flow.ServerToClient].finished {
			return true, Outcome{Wait: true}
		}
		s.Seal(flow.ClientToServer)
		return true, Outcome{}
	}
	if s.server == nil { // it has asked for another hello
		return true, Outcome{}
	}
	suite, ok := suiteOf(s.server.Cipher)
	if !ok {
		s.Seal(flow.ClientToServer)
		return true, Outcome{}
	}
	if s.early == earlyAccepted {
		if x.keys == nil {
			switch s.unlock13(flow.ClientToServer, epochEarly, suite) {
			case readyLater:
				return true, Outcome{Wait: true}
			}
		}
		if x.keys != nil {
			typ, plain, ok := s.open(flow.ClientToServer, rec)
			if ok {
				return true, s.content(flow.ClientToServer, typ, plain)
			}
			x.keys = nil
		}
	}
	// Without the key, or when it is not to be read, what is behind it is found by
	// the next one.
	switch s.unlock13(flow.ClientToServer, epochHandshake, suite) {
	case readyLater:
		return true, Outcome{Wait: true}
	case readyNever:
		s.Seal(flow.ClientToServer)
		return true, Outcome{Why: s.Why("the key log lacks a key of this connection")}
	}
	if typ, plain, ok := s.open(flow.ClientToServer, rec); ok {
		return true, s.content(flow.ClientToServer, typ, plain)
	}
	if s.early == earlyAccepted {
		out.Lost = int64(max(0, len(rec)-recordHeaderLen-x.keys.overhead()))
	}
	x.epoch, x.keys = epochEarly, nil
	return true, out
}

// Lose says that a record of size bytes is not there as a whole, and returns how much
// it held of what is inside, about.
func (s *Stream) Lose(d flow.Direction, size int) int64 {
	x := &s.sides[d]
	if x.sealed {
		return 0
	}
	encrypted := x.changed || s.version() >= version13 && x.epoch != epochEarly
	if !encrypted {
		x.deaf, x.flight = true, nil
		if d == flow.ClientToServer && s.client == nil || d == flow.ServerToClient && s.server == nil || x.epoch == epochEarly {
			s.Seal(d)
		}
		return 0
	}
	if s.unlock(d) != readyNow {
		s.Seal(d)
		return 0
	}
	x.keys.seq++
	x.keys.chain = nil
	if len(x.flight) > 0 || x.epoch == epochHandshake {
		x.flight, x.deaf = nil, x.epoch != epochTraffic
	}
	if x.epoch == epochHandshake || s.version() < version13 && !x.finished {
		return 0
	}
	return int64(max(0, size-recordHeaderLen-x.keys.overhead()))
}

// Find tries whether a record is one behind a gap of total bytes: one of the next
// window records of a direction, of which Record then is to be given this one. It
// returns how much of what is inside is lost, about, and how many bytes it has looked
// at.
func (s *Stream) Find(d flow.Direction, rec []byte, window uint64, total int64) (lost, looked int64, ok bool) {
	x := &s.sides[d]
	if x.sealed || x.epoch == epochEarly || s.server == nil {
		return 0, 0, false
	}
	tls13 := s.version() >= version13
	if tls13 && rec[0] != recordApplication {
		return 0, 0, false
	}
	if s.unlock(d) != readyNow {
		return 0, 0, false
	}
	if cap(s.scratch) < len(rec) {
		s.scratch = make([]byte, 0, max(len(rec), 4<<10))
	}
	passed := uint64(0)
	try := func() bool {
		for n := range window {
			looked += int64(len(rec))
			if _, _, ok = x.keys.open(s.scratch, rec, x.keys.seq+n); ok {
				passed = n
				if !tls13 && x.keys.seq == 0 && n > 0 {
					passed-- // the end of the handshake
				}
				x.keys.seq += n
				return true
			}
		}
		return false
	}
	before, secret, e := x.keys, x.secret, x.epoch
	switch {
	case try():
	case e == epochHandshake:
		suite, _ := suiteOf(s.server.Cipher)
		if s.unlock13(d, epochTraffic, suite) != readyNow || !try() {
			x.keys, x.secret, x.epoch = before, secret, e
			return 0, looked, false
		}
		x.finished = true
	default:
		return 0, looked, false
	}
	x.changed, x.finished = true, x.finished || !tls13
	x.flight, x.deaf = nil, x.epoch == epochHandshake
	s.opened = true
	s.settle(false)
	if passed > 0 {
		lost = max(1, total-int64(passed)*int64(recordHeaderLen+x.keys.overhead()))
	}
	return lost, looked, true
}

// Unreadable reports whether no record of a direction will be found behind a gap.
func (s *Stream) Unreadable(d flow.Direction) bool {
	return s.sides[d].sealed || s.client == nil || s.server == nil || s.sides[d].epoch == epochEarly
}

// Within returns how much n bytes of a direction's records hold of what is inside,
// when those are of 1 KiB: servers begin with such, to be fast.
func (s *Stream) Within(d flow.Direction, n int64) int64 {
	x := &s.sides[d]
	if s.unlock(d) != readyNow || x.epoch == epochHandshake || x.keys.seq == 0 && !x.keys.tls13 {
		return 0 // the end of the handshake, perhaps
	}
	return max(1, n-int64(recordHeaderLen+x.keys.overhead())*(1+n>>10))
}
