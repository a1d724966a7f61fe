package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"netlab/decode/flow"
)

// MySQL is the protocol of MySQL and MariaDB, with the handshake of version 10
// (MySQL Internals, chapter "Client/Server Protocol"; MariaDB Knowledge Base, "MariaDB
// Protocol").
//
// A command with all that answers it is an exchange. Each step of logging in is one
// too, and the content of a local file.
var MySQL = Protocol{
	Name:    "mysql",
	Probe:   probeMySQL,
	New:     newMySQLParser,
	Unasked: true, // the greeting
	Attributes: []Attribute{
		{Name: "mysql.command", About: "query, execute, prepare, ping, login, …", Get: word(requestOf, func(r *MySQLRequest) string { return r.Command })},
		{Name: "mysql.query", About: "the query, of a prepared one too", Get: word(requestOf, func(r *MySQLRequest) string { return r.Query })},
		{Name: "mysql.user", About: "who logs in", Get: word(requestOf, func(r *MySQLRequest) string { return r.User })},
		{Name: "mysql.database", About: "the database chosen", Get: word(requestOf, func(r *MySQLRequest) string { return r.Database })},
		{Name: "mysql.rows", Kind: Number, About: "rows in all results", Get: mysqlNumber(func(r *MySQLResponse) (int64, bool) { return r.Rows, true })},
		{Name: "mysql.affected", Kind: Number, About: "rows changed", Get: mysqlNumber((*MySQLResponse).Affected)},
		{Name: "mysql.errno", Kind: Number, About: "the number of the error: 1146", Get: mysqlNumber(func(r *MySQLResponse) (int64, bool) {
			if r.Error == nil {
				return 0, false
			}
			return int64(r.Error.Number), true
		})},
	},
}

// mysqlNumber is the Get of a number of the answer, if there is one.
func mysqlNumber(get func(*MySQLResponse) (int64, bool)) func([]Value, *Exchange) []Value {
	return of(responseOf, func(v []Value, r *MySQLResponse) []Value {
		if n, ok := get(r); ok {
			v = AppendNumber(v, n)
		}
		return v
	})
}

// Bounds of what is looked at of a packet; the rest is counted. maxMySQLPacket is the
// length of a packet behind which its content goes on in another.
const (
	maxMySQLPacket  = 1<<24 - 1
	maxMySQLExecute = 16 << 10
	maxMySQLRow     = 8 << 10
	maxMySQLSmall   = 4 << 10
)

// Bounds of what is kept of a connection: prepared statements, and the text of each.
const (
	maxMySQLStatements = 512
	maxMySQLStatement  = 2 << 10
)

const mysqlHeaderLen = 4

// Capabilities that change what is said (MySQL Internals, "Capability Flags").
const (
	mysqlIsMySQL    = 1 << 0 // without it, MariaDB's own follow
	mysqlWithDB     = 1 << 3
	mysqlCompress   = 1 << 5
	mysql41         = 1 << 9
	mysqlSSL        = 1 << 11
	mysqlSecure     = 1 << 15
	mysqlPlugin     = 1 << 19
	mysqlAttributes = 1 << 20
	mysqlLenenc     = 1 << 21
	mysqlNoEOF      = 1 << 24
	mysqlZstd       = 1 << 26
)

// Bits of a server's status.
const (
	mysqlMoreResults  = 1 << 3
	mysqlCursorExists = 1 << 6
)

// The first bytes of packets that are no rows.
const (
	mysqlOK    = 0x00
	mysqlMore  = 0x01 // of logging in
	mysqlLocal = 0xfb
	mysqlEOF   = 0xfe
	mysqlERR   = 0xff
)

// mysqlCommands names the commands.
var mysqlCommands = map[byte]string{
	0x01: "quit", 0x02: "use", 0x03: "query", 0x04: "field list", 0x05: "create database", 0x06: "drop database",
	0x07: "refresh", 0x08: "shutdown", 0x09: "statistics", 0x0a: "process list", 0x0c: "kill", 0x0d: "debug",
	0x0e: "ping", 0x11: "change user", 0x12: "binlog dump", 0x15: "register slave", 0x16: "prepare",
	0x17: "execute", 0x18: "long data", 0x19: "close", 0x1a: "reset", 0x1b: "set option", 0x1c: "fetch",
	0x1e: "binlog dump", 0x1f: "reset connection", 0xfa: "bulk execute",
}

// mysqlStatement is what is known of a prepared statement.
type mysqlStatement struct {
	query  string
	params int
	types  []uint16 // of its parameters, as they were bound last
	result []mysqlColumn
	width  int
}

// mysqlColumn is a column of a result.
type mysqlColumn struct {
	name     string
	typ      byte
	unsigned bool
}

// mysqlState says what the server says next.
type mysqlState uint8

const (
	mysqlFirst     mysqlState = iota // of a result
	mysqlColumns                     // definitions of columns
	mysqlRows                        // or their end
	mysqlLogin                       // an answer to logging in
	mysqlPrepared                    // the answer to a prepare
	mysqlParams                      // definitions of its parameters
	mysqlPrepCols                    // definitions of its columns
	mysqlPrepEnd                     // the packet behind these
	mysqlFieldList                   // definitions of columns up to an end
	mysqlText                        // a text, which is all
	mysqlSimple                      // whether it went well
	mysqlEvents                      // events of replication, without end
)

// mysqlParser reads both directions of a connection.
type mysqlParser struct {
	waiting Waiting
	sides   [2]mysqlSide
	greeted bool
	// loggedIn: the client has said who it is; caps is what it can, when known.
	loggedIn, known bool
	caps            uint64
	local           bool // the server wants a local file
	statements      map[uint32]*mysqlStatement

	msg *Message
	req *MySQLRequest

	answer *Message
	resp   *MySQLResponse
	asked  *MySQLRequest
	state  mysqlState
	left   int // definitions to come
	fresh  bool
	result *mysqlResult
	stmt   *mysqlStatement // that is being prepared
}

// mysqlSide is one direction.
type mysqlSide struct {
	sqlSide
	inside bool // a packet is in progress
	goesOn bool // the content goes on in the next packet
}

// mysqlResult is a result in progress.
type mysqlResult struct {
	SQLResult
	columns []mysqlColumn
	binary  bool
}

func newMySQLParser(w Waiting) Parser {
	p := &mysqlParser{waiting: w}
	var caps uint64
	if n, _ := fmt.Sscanf(w.With(), mysqlWith, &caps); n == 1 {
		p.caps, p.known, p.loggedIn, p.greeted = caps, true, true, true
	}
	return p
}

// mysqlWith is Message.With behind a log-in.
const mysqlWith = "capabilities=%d"

// Held returns how much memory the prepared statements and what is in progress have
// need of.
func (p *mysqlParser) Held() int {
	n := len(p.statements) * (maxMySQLStatement + 256)
	if p.req != nil {
		n += p.req.Held()
	}
	if p.resp != nil {
		n += p.resp.Held()
	}
	if p.result != nil {
		n += p.result.held() + 32*len(p.result.columns)
	}
	return n
}

const notMySQL = "what follows is no packet of MySQL"

func (p *mysqlParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	s := &p.sides[d]
	switch {
	case s.left > 0 && len(data) > 0:
		n, over := s.pass(data)
		if over {
			return n, p.over(d)
		}
		return n, nil
	case len(data) == 0 && end:
		return 0, p.ended(d, endsInside)
	case len(data) == 0:
		return 0, nil
	case s.lost && d == flow.ServerToClient:
		return len(data), &Message{Direction: d, Kind: Skipped}
	case s.lost:
		n, found := mysqlResync(data, end)
		s.lost = !found
		if n > 0 {
			return n, &Message{Direction: d, Kind: Skipped}
		}
		if !found {
			return 0, nil
		}
	}
	size := 0
	if len(data) >= mysqlHeaderLen {
		size = int(data[0]) | int(data[1])<<8 | int(data[2])<<16
	}
	n := mysqlHeaderLen + min(size, 1)
	if len(data) >= n && n > mysqlHeaderLen && !s.goesOn {
		n = mysqlHeaderLen + min(size, p.wanted(d, data[3], data[4]))
	}
	if len(data) < n {
		if !end {
			return 0, nil
		}
		return len(data), orSkipped(d, p.ended(d, endsInside))
	}
	body := mysqlFields{sqlFields{data: data[mysqlHeaderLen:n], cut: mysqlHeaderLen+size > n}}
	if d == flow.ServerToClient && p.answer == nil && !p.known && data[3] > 1 && size == 5 && body.data[0] == mysqlEOF {
		// Whether one is behind what a prepare brought is not known from the middle.
		return n, &Message{Direction: d, Kind: Skipped}
	}
	if m, why := p.packet(d, data[3], size, &body); m != nil {
		return 0, m
	} else if why != "" {
		if m := p.ended(d, why); m != nil {
			return 0, m
		}
		s.lost = true
		return n, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: why}
	}
	s.inside, s.left, s.goesOn = true, int64(mysqlHeaderLen+size-n), size == maxMySQLPacket
	if s.left == 0 {
		return n, p.over(d)
	}
	return n, nil
}

// wanted returns how much is looked at of a packet's body.
func (p *mysqlParser) wanted(d flow.Direction, sequence, first byte) int {
	switch {
	case d == flow.ClientToServer && sequence > 0 && p.local:
		return 1
	case d == flow.ClientToServer && sequence == 0 && (first == 0x03 || first == 0x16):
		return maxSQLText
	case d == flow.ClientToServer && sequence == 0 && first == 0x17:
		return maxMySQLExecute
	case d == flow.ClientToServer && sequence == 0 && first == 0x18:
		return 7 // as far as the number of the parameter
	case d == flow.ServerToClient && p.answer != nil && p.state == mysqlRows && first != mysqlEOF && first != mysqlERR:
		if p.result != nil && len(p.result.First) >= maxSQLRows {
			return 1
		}
		return maxMySQLRow
	case d == flow.ServerToClient && p.answer != nil && p.state == mysqlEvents && first == mysqlOK:
		return 1
	}
	return maxMySQLSmall
}

// packet takes what is looked at of a packet. It returns a message that is over
// before it, or why it is none.
func (p *mysqlParser) packet(d flow.Direction, sequence byte, size int, body *mysqlFields) (*Message, string) {
	if p.sides[d].goesOn {
		if d == flow.ClientToServer && p.req != nil && p.req.Command == "local file" {
			p.req.Bytes += int64(size)
		}
		return nil, ""
	}
	if d == flow.ServerToClient {
		return p.answers(sequence, size, body)
	}
	if p.req != nil && (p.req.Command != "local file" || sequence == 0) {
		return p.said(), ""
	}
	if p.req == nil {
		p.req = new(MySQLRequest)
		p.msg = &Message{Direction: d, Body: p.req}
	}
	r := p.req
	switch {
	case sequence == 0 && size == 0:
		p.req, p.msg = nil, nil
		return nil, notMySQL
	case sequence == 0:
		kind := body.byte()
		if r.Command = mysqlCommands[kind]; r.Command == "" {
			p.req, p.msg = nil, nil
			return nil, notMySQL
		}
		p.local = false
		p.command(kind, size-1, body)
	case p.local:
		r.Command = "local file"
		r.Bytes += int64(size)
		r.last = size == 0
	case !p.loggedIn && isMySQLLogin(body.data, size):
		p.login(size, body)
	default:
		r.Command = "authenticate" // what it holds is secret
	}
	return nil, ""
}

// over ends a packet, and perhaps with it the request or response.
func (p *mysqlParser) over(d flow.Direction) *Message {
	s := &p.sides[d]
	s.inside = false
	if s.goesOn {
		return nil
	}
	if d == flow.ClientToServer {
		if p.req != nil && (p.req.Command != "local file" || p.req.last) {
			return p.said()
		}
		return nil
	}
	if p.resp != nil && p.resp.done {
		return p.answerDone("")
	}
	return nil
}

// said ends the request.
func (p *mysqlParser) said() *Message {
	m, r, s := p.msg, p.req, &p.sides[flow.ClientToServer]
	s.ends(m, "")
	p.msg, p.req = nil, nil
	p.sides[flow.ServerToClient].lost = false // who speaks has heard the server out
	switch r.Command {
	case "quit", "close", "long data":
		m.Alone = true
	case "ssl":
		m.Alone, m.Next, m.With = true, TLS.Name, "mysql"
	case "local file":
		p.local = false
	}
	return m
}

// ended ends what a direction was saying, if anything, before its time.
func (p *mysqlParser) ended(d flow.Direction, why string) *Message {
	s := &p.sides[d]
	inside := s.inside
	s.inside, s.left, s.goesOn = false, 0, false
	var m *Message
	switch {
	case d == flow.ClientToServer && p.req != nil:
		m = p.said()
		m.Next, m.With = "", ""
	case d == flow.ServerToClient && p.answer != nil:
		endless := p.state == mysqlEvents && !inside
		if m = p.answerDone(why); endless {
			m.Complete, m.Why = true, ""
			return m
		}
	default:
		return nil
	}
	m.Complete, m.Why = false, why
	return m
}

// Gap goes on behind missing bytes when they lie in what is not looked at, else it
// ends the request or response: the client is known again by a command, and the
// server when the client says the next.
func (p *mysqlParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	s := &p.sides[d]
	if len(data) == 0 && n < s.left {
		s.left -= n
		if p.req != nil && d == flow.ClientToServer || p.answer != nil && d == flow.ServerToClient {
			s.missing += n
			return n, nil
		}
		return 0, nil
	}
	took := int64(0)
	if len(data) == 0 {
		took = min(n, s.left)
	}
	m := p.ended(d, "a gap in the recording")
	if s.lost = true; m == nil {
		took = 0
	}
	return took, m
}

// command takes a command, of which size bytes are behind its first.
func (p *mysqlParser) command(kind byte, size int, body *mysqlFields) {
	r := p.req
	switch kind {
	case 0x03:
		if bytes.HasPrefix(body.data, []byte{0, 1}) { // no attributes, in one set
			body.take(2)
		}
		r.Query = string(body.data)
	case 0x16:
		r.Query = string(body.data)
	case 0x02, 0x05, 0x06:
		r.Database = clipped(string(body.data), maxSQLValue)
	case 0x0c:
		r.Statement = uint32(body.uint(4)) // whose query is to be ended
	case 0x11:
		r.User = clipped(body.text(), maxSQLValue)
		if p.known && p.caps&mysqlSecure == 0 {
			body.text()
		} else {
			body.take(int(body.byte()))
		}
		r.Database = clipped(body.text(), maxSQLValue)
	case 0x17, 0x18, 0x19, 0x1a, 0x1c, 0xfa:
		r.Statement = uint32(body.uint(4))
		r.statement = p.statements[r.Statement]
		if r.statement != nil {
			r.Query = r.statement.query
		}
		switch kind {
		case 0x17:
			p.execute(body)
		case 0x18:
			r.Bytes = int64(max(0, size-6))
		case 0x19:
			delete(p.statements, r.Statement)
		}
	}
}

// execute takes what is behind the number of the statement.
func (p *mysqlParser) execute(body *mysqlFields) {
	r := p.req
	flags := body.byte()
	body.take(4) // once
	count := 0
	if r.statement != nil {
		count = r.statement.params
	}
	named := flags&8 != 0
	if named { // the number is there
		n, _ := body.lenenc()
		count = int(min(n, 1<<16))
	}
	if count == 0 || r.statement == nil && !named {
		return
	}
	nulls := body.take((count + 7) / 8)
	var types []uint16
	if r.statement != nil {
		types = r.statement.types
	}
	if body.byte() == 1 {
		types = make([]uint16, 0, min(count, maxSQLColumns))
		for i := range count {
			t := uint16(body.uint(2))
			if named {
				body.lenencBytes()
			}
			if i < maxSQLColumns {
				types = append(types, t)
			}
			if body.bad {
				break
			}
		}
		if r.statement != nil {
			r.statement.types = types
		}
	}
	r.ParameterCount = count
	for i := range min(count, len(types)) {
		if nulls == nil || body.bad {
			break
		}
		if nulls[i/8]>>(i%8)&1 == 1 {
			r.Parameters = append(r.Parameters, SQLValue{Null: true})
			continue
		}
		v, ok := body.binary(byte(types[i]), types[i]&0x8000 != 0)
		if !ok {
			break
		}
		r.Parameters = append(r.Parameters, v)
	}
}

// isMySQLLogin reports whether a client's packet says who it is, or that it wants
// TLS first: capabilities, the largest packet, the character set, and zeroes, of which
// the last four may be MariaDB's capabilities.
func isMySQLLogin(b []byte, size int) bool {
	const fixed = 32
	if size < fixed || len(b) < fixed || binary.LittleEndian.Uint32(b)&mysql41 == 0 {
		return false
	}
	return len(bytes.Trim(b[9:28], "\x00")) == 0
}

// login takes HandshakeResponse41 or SSLRequest.
func (p *mysqlParser) login(size int, body *mysqlFields) {
	r := p.req
	caps := body.uint(4)
	body.take(5 + 19)
	more := body.uint(4)
	if caps&mysqlIsMySQL == 0 {
		caps |= more << 32
	}
	if size == 32 && caps&mysqlSSL != 0 {
		r.Command = "ssl"
		return
	}
	p.caps, p.known, p.loggedIn = caps, true, true
	r.Command, r.User = "login", clipped(body.text(), maxSQLValue)
	switch {
	case caps&mysqlLenenc != 0:
		body.lenencBytes()
	case caps&mysqlSecure != 0:
		body.take(int(body.byte()))
	default:
		body.text()
	}
	if caps&mysqlWithDB != 0 {
		r.Database = clipped(body.text(), maxSQLValue)
	}
	if caps&mysqlPlugin != 0 {
		r.Plugin = clipped(body.text(), maxSQLValue)
	}
	if caps&mysqlAttributes != 0 {
		n, _ := body.lenenc()
		b, _ := body.upTo(int(min(n, maxMySQLSmall)))
		f := mysqlFields{sqlFields{data: b}}
		for len(f.data) > 0 && !f.bad && len(r.Attributes) < maxSQLColumns {
			name, value := f.lenencBytes(), f.lenencBytes()
			if !f.bad {
				r.Attributes = append(r.Attributes, [2]string{clipped(string(name), maxSQLValue), clipped(string(value), maxSQLValue)})
			}
		}
	}
}

// mysqlResync returns how many bytes to skip up to where a client's command begins,
// and whether that was found; else more is needed.
func mysqlResync(data []byte, end bool) (int, bool) {
	for n := range data {
		switch v := mysqlAnchor(data[n:]); {
		case v == Match && n == 0:
			return 0, true
		case v == Match, v == NeedMore && !end:
			return n, false
		}
	}
	return len(data), false
}

// mysqlAnchor tells whether a command begins that can hardly be something else: a
// query, the execution of a statement, or one without arguments.
func mysqlAnchor(b []byte) Verdict {
	for i := 2; i < min(4, len(b)); i++ {
		if b[i] != 0 { // longer than 64 KiB, or not the first packet
			return NoMatch
		}
	}
	if len(b) < mysqlHeaderLen+1 {
		return NeedMore
	}
	size := int(b[0]) | int(b[1])<<8
	body := b[mysqlHeaderLen+1 : min(len(b), mysqlHeaderLen+max(size, 1))]
	whole := len(b) >= mysqlHeaderLen+size
	switch kind := b[4]; kind {
	case 0x01, 0x0e, 0x1f:
		if size == 1 {
			return Match
		}
	case 0x03, 0x16:
		if kind == 0x03 && len(body) > 0 && body[0] == 0 {
			if len(body) == 1 && !whole {
				return NeedMore
			}
			if len(body) == 1 || body[1] != 1 {
				return NoMatch
			}
			body = body[2:]
		}
		const enough = 256 // for comments, and the first word
		switch {
		case size < 4 || !isSQLText(body[:min(len(body), enough)]):
			return NoMatch
		case len(body) < enough && !whole:
			return NeedMore
		case beginsSQL(string(body[:min(len(body), enough)])):
			return Match
		}
	case 0x17: // once
		switch {
		case size < 10:
			return NoMatch
		case len(body) < 9:
			return NeedMore
		case body[4]&^0x0f == 0 && string(body[5:9]) == "\x01\x00\x00\x00":
			return Match
		}
	}
	return NoMatch
}

// probeMySQL knows the greeting of a server, or its refusal; a client that says who
// it is; and in the middle of a conversation a command.
func probeMySQL(o Opening) Verdict {
	return probeEach(o, func(d flow.Direction, b []byte) Verdict {
		if d == flow.ServerToClient {
			return probeMySQLServer(b)
		}
		return probeMySQLClient(b)
	})
}

func probeMySQLClient(b []byte) Verdict {
	if len(b) > 3 && (b[3] == 1 || b[3] == 2) {
		size := int(b[0]) | int(b[1])<<8
		switch {
		case b[2] != 0 || size < 32:
			return NoMatch
		case len(b) < mysqlHeaderLen+32:
			return NeedMore
		case isMySQLLogin(b[mysqlHeaderLen:], size):
			return Match
		}
		return NoMatch
	}
	if len(b) <= 3 && len(b) > 2 && b[2] != 0 {
		return NoMatch
	}
	return mysqlAnchor(b)
}

// maxMySQLGreeting bounds a greeting that is known for one.
const maxMySQLGreeting = 512

func probeMySQLServer(b []byte) Verdict {
	size := 0
	for i := range min(3, len(b)) {
		size |= int(b[i]) << (8 * i)
	}
	switch {
	case len(b) > 1 && size > maxMySQLGreeting, len(b) > 3 && (b[3] != 0 || size < 8):
		return NoMatch
	case len(b) <= mysqlHeaderLen:
		return NeedMore
	}
	body := b[mysqlHeaderLen:min(len(b), mysqlHeaderLen+size)]
	whole := len(body) == size
	switch body[0] {
	case 10:
		i := bytes.IndexByte(body, 0)
		switch {
		case i < 0 && !whole && isASCII(body[1:]):
			return NeedMore
		case i < 2 || !isASCII(body[1:i]) || !isDigit(body[1]) || !bytes.ContainsRune(body[1:i], '.'):
			return NoMatch
		case len(body) <= i+13 && !whole:
			return NeedMore
		case len(body) > i+13 && body[i+13] == 0: // behind the thread and eight random bytes
			return Match
		}
	case mysqlERR:
		switch {
		case len(body) < 3:
			return NeedMore
		case binary.LittleEndian.Uint16(body[1:])/1000 != 1 || !isASCII(body[3:]):
			return NoMatch
		case whole:
			return Match
		}
		return NeedMore
	}
	return NoMatch
}

// isASCII reports whether all of b is printable ASCII.
func isASCII(b []byte) bool {
	return strings.IndexFunc(string(b), func(r rune) bool { return r < ' ' || r > '~' }) < 0
}
