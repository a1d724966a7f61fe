package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"netlab/decode/flow"
)

// Postgres is PostgreSQL's protocol, versions 3.0 and 3.2 (PostgreSQL documentation,
// chapter "Frontend/Backend Protocol").
//
// One simple query with all that answers it is an exchange. Of the extended protocol,
// an exchange is all up to an Execute, with a Sync or Flush right behind it: each
// Execute of a pipeline has its own answer.
var Postgres = Protocol{
	Name:    "postgres",
	Probe:   probePostgres,
	New:     func(w Waiting) Parser { return &pgParser{waiting: w} },
	Unasked: true, // notifications, and what an administrator has to say
	Attributes: []Attribute{
		{Name: "postgres.command", About: "query, execute, prepare, copy, startup, …", Get: word(requestOf, func(r *PostgresRequest) string { return r.Command })},
		{Name: "postgres.query", About: "the query, of a prepared one too", Get: word(requestOf, func(r *PostgresRequest) string { return r.Query })},
		{Name: "postgres.user", About: "who logs in", Get: word(requestOf, func(r *PostgresRequest) string { return r.User })},
		{Name: "postgres.database", About: "the database chosen at log-in", Get: word(requestOf, func(r *PostgresRequest) string { return r.Database })},
		{Name: "postgres.rows", Kind: Number, About: "rows in all results", Get: of(responseOf, func(v []Value, r *PostgresResponse) []Value { return AppendNumber(v, r.Rows) })},
		{Name: "postgres.tag", About: "what was done last: SELECT 1", Get: word(responseOf, (*PostgresResponse).Tag)},
		{Name: "postgres.sqlstate", About: "the code of the error: 42P01", Get: word(responseOf, func(r *PostgresResponse) string {
			if r.Error == nil {
				return ""
			}
			return r.Error.State
		})},
	},
}

// Bounds of what is looked at of a message; the rest is counted.
const (
	maxPgStartup = 10000    // as the server has it
	maxPgMessage = 1 << 30  // as the server has it
	maxPgBind    = 16 << 10 // of the parameters
	maxPgRow     = 8 << 10
	maxPgColumns = 16 << 10 // of the description of columns
	maxPgSmall   = 4 << 10  // of errors, settings, names
)

// Bounds of what is kept of a connection: prepared statements and portals, and the
// text of each.
const (
	maxPgStatements = 512
	maxPgStatement  = 2 << 10
)

// The codes in the place of a version at the beginning of a connection.
const (
	pgCancel = 80877102
	pgSSL    = 80877103
	pgGSS    = 80877104
)

const pgHeaderLen = 5

// The types of messages whose frame alone is fixed.
const (
	pgClientTypes = "QPBDECHSFXpdcf"
	pgServerTypes = "RKSZTDCEN123nstAIGHWdcVv"
)

// pgStatement is what is known of a prepared statement.
type pgStatement struct {
	query  string
	params []uint32 // object ids of the types of its parameters
	result []pgColumn
	width  int
}

// pgColumn is a column of a result.
type pgColumn struct {
	name   string
	typ    uint32
	binary bool
}

// pgParser reads both directions of a connection.
type pgParser struct {
	waiting Waiting
	sides   [2]pgSide

	// What the client is saying: a run of messages with one answer.
	msg *Message
	req *PostgresRequest
	// simple: the last query was one without Execute, which ends with a
	// ReadyForQuery that no Sync asked for.
	simple     bool
	statements map[string]*pgStatement
	portals    map[string]*pgStatement

	// What the server is saying.
	answer *Message
	resp   *PostgresResponse
	asked  *PostgresRequest // nil when it is not known
	result *pgResult
	left   int   // replies to come when asked has no Execute and no Sync
	auth   int32 // what the server wanted last
	// failed: the server passes over all up to a Sync.
	failed bool
	// both: data goes both ways until the end.
	both bool
}

// pgSide is one direction.
type pgSide struct {
	sqlSide
	kind byte // of the message in progress; 0 between messages
}

// pgResult is a result in progress.
type pgResult struct {
	SQLResult
	columns []pgColumn
}

// Held returns how much memory the prepared statements and what is in progress have
// need of.
func (p *pgParser) Held() int {
	n := (len(p.statements) + len(p.portals)) * (maxPgStatement + 256)
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

func (p *pgParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
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
	case s.lost:
		n, found := pgResync(d, data, end)
		s.lost = !found
		if n > 0 {
			p.failed = p.failed && d == flow.ClientToServer
			return n, &Message{Direction: d, Kind: Skipped}
		}
		if !found {
			return 0, nil
		}
	}
	if m := p.before(d, data[0]); m != nil {
		return 0, m
	}
	if d == flow.ServerToClient && p.answer == nil && (data[0] == 'S' || data[0] == 'N' || data[0] == 'G') {
		if r, ok := bodyOf[*PostgresRequest](p.waiting.Request()); ok && (r.Command == "ssl" || r.Command == "gss") {
			return 1, pgSwitch(data[0])
		}
	}
	if d == flow.ClientToServer && data[0] == 0 {
		return p.startup(data, end)
	}
	types := pgClientTypes
	if d == flow.ServerToClient {
		types = pgServerTypes
	}
	if len(data) < pgHeaderLen && !end && strings.IndexByte(types, data[0]) >= 0 {
		return 0, nil
	}
	size, ok := 0, false
	if len(data) >= pgHeaderLen {
		size = 1 + int(binary.BigEndian.Uint32(data[1:]))
		ok = strings.IndexByte(types, data[0]) >= 0 && pgHeaderLen <= size && size <= maxPgMessage
	}
	if !ok && strings.IndexByte(types, data[0]) >= 0 && len(data) < pgHeaderLen {
		return len(data), orSkipped(d, p.ended(d, endsInside))
	}
	if !ok {
		if m := p.ended(d, "what follows is no message of PostgreSQL"); m != nil {
			return 0, m
		}
		s.lost = true
		return 1, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: "what follows is no message of PostgreSQL"}
	}
	n := min(size, pgHeaderLen+p.wanted(d, data[0]))
	if len(data) < n {
		if !end {
			return 0, nil
		}
		return len(data), orSkipped(d, p.ended(d, endsInside))
	}
	p.begin(d, data[0])
	body := sqlFields{data: data[pgHeaderLen:n], cut: size > n}
	if d == flow.ClientToServer {
		p.says(data[0], &body, size)
	} else {
		p.answers(data[0], &body, size)
	}
	s.kind, s.left = data[0], int64(size-n)
	if s.left == 0 {
		return n, p.over(d)
	}
	return n, nil
}

// wanted returns how much is looked at of a message's body.
func (p *pgParser) wanted(d flow.Direction, kind byte) int {
	if d == flow.ClientToServer {
		switch kind {
		case 'Q', 'P':
			return maxSQLText
		case 'B':
			return maxPgBind
		case 'd', 'F':
			return 0
		}
		return maxPgSmall
	}
	switch kind {
	case 'D':
		if p.result != nil && len(p.result.First) >= maxSQLRows {
			return 0
		}
		return maxPgRow
	case 'T', 't':
		return maxPgColumns
	case 'd', 'V':
		return 0
	}
	return maxPgSmall
}

// before returns a message of which the next one, of a direction and type, shows that
// it is over.
func (p *pgParser) before(d flow.Direction, kind byte) *Message {
	if d == flow.ClientToServer {
		switch {
		case p.req == nil:
			return nil
		case strings.IndexByte("PBDECHS", kind) >= 0 && p.req.extended:
			if p.req.executed && kind != 'S' && kind != 'H' {
				return p.said()
			}
			return nil
		case kind == 'S' && p.req.Command == "copy": // behind CopyDone
			return nil
		case strings.IndexByte("dcf", kind) >= 0 && p.req.Command == "copy" && !p.req.executed:
			return nil
		}
		return p.said()
	}
	if p.answer != nil || strings.IndexByte("ANS", kind) >= 0 {
		return nil
	}
	r, ok := bodyOf[*PostgresRequest](p.waiting.Request())
	switch {
	case ok && p.failed && !r.sync: // the server passes over it
		return &Message{Direction: flow.ServerToClient, Kind: Response, Complete: true, Body: &PostgresResponse{Skipped: true}}
	case !ok && p.req != nil && p.req.executed:
		return p.said()
	}
	return nil
}

// begin begins a request or response, unless one is in progress.
func (p *pgParser) begin(d flow.Direction, kind byte) {
	if d == flow.ClientToServer {
		if p.req == nil {
			p.req = &PostgresRequest{extended: strings.IndexByte("PBDECHS", kind) >= 0}
			p.msg = &Message{Direction: d, Body: p.req}
		}
		return
	}
	if p.answer != nil {
		return
	}
	p.resp = new(PostgresResponse)
	p.answer = &Message{Direction: d, Kind: Response, Body: p.resp}
	r, ok := bodyOf[*PostgresRequest](p.waiting.Request())
	if p.asked = nil; ok {
		p.asked, p.left = r, r.replies
	}
	// A notice before the answer is part of it; one that nobody waits for, and a
	// notification to who is idle, stand alone.
	p.answer.Alone = kind == 'A' || !ok && p.req == nil && strings.IndexByte("NS", kind) >= 0
	if p.resp.Skipped = ok && p.failed && r.Command != "sync" && !p.answer.Alone; p.resp.Skipped {
		p.asked = nil // all up to the Sync was passed over
	}
}

// over ends a message, and perhaps with it the request or response.
func (p *pgParser) over(d flow.Direction) *Message {
	kind := p.sides[d].kind
	p.sides[d].kind = 0
	if d == flow.ClientToServer {
		switch r := p.req; kind {
		case 'Q', 'F', 'X', 'p', 'S', 'H':
			return p.said()
		case 'c', 'f':
			if p.simple || p.both {
				r.sync = true
				return p.said()
			}
			r.executed = true // a Sync may follow
		}
		return nil
	}
	if p.answered(kind) {
		return p.answerDone("")
	}
	return nil
}

// said ends the request.
func (p *pgParser) said() *Message {
	m, r, s := p.msg, p.req, &p.sides[flow.ClientToServer]
	s.ends(m, "")
	p.msg, p.req = nil, nil
	switch r.Command {
	case "query":
		p.simple = true
	case "prepare", "execute", "bind", "describe", "close", "sync":
		p.simple = false
	case "terminate", "cancel", "flush":
		m.Alone = true
	}
	return m
}

// ended ends what a direction was saying, if anything, before its time.
func (p *pgParser) ended(d flow.Direction, why string) *Message {
	s := &p.sides[d]
	inside := s.kind != 0
	s.kind, s.left = 0, 0
	var m *Message
	if d == flow.ClientToServer {
		if p.req == nil {
			return nil
		}
		over := !inside && (p.req.executed || p.both)
		if m = p.said(); over {
			return m
		}
	} else {
		if p.answer == nil {
			return nil
		}
		if over := !inside && p.both; over {
			return p.answerDone("")
		}
		m = p.answerDone(why)
	}
	m.Complete, m.Why = false, why
	return m
}

// Gap goes on behind missing bytes when they lie in what is not looked at, else it
// ends the request or response and looks for the beginning of another.
func (p *pgParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	s := &p.sides[d]
	if len(data) == 0 && n < s.left && (p.msg != nil || d == flow.ServerToClient) {
		s.left -= n
		s.missing += n
		return n, nil
	}
	took := int64(0)
	if len(data) == 0 {
		took = min(n, s.left)
	}
	m := p.ended(d, "a gap in the recording")
	s.lost = true
	if m == nil {
		took = 0
	}
	return took, m
}

// pgSwitch is the one byte that answers the wish for encryption.
func pgSwitch(answer byte) *Message {
	r := &PostgresResponse{Encryption: "refused"}
	m := &Message{Direction: flow.ServerToClient, Kind: Response, Complete: true, Body: r}
	switch answer {
	case 'S':
		r.Encryption, m.Next, m.With = "tls", TLS.Name, "postgres"
	case 'G':
		r.Encryption, m.Next = "gss", Raw.Name
	}
	return m
}

// startup reads the first message of a client, which has no type.
func (p *pgParser) startup(data []byte, end bool) (int, *Message) {
	m := &Message{Direction: flow.ClientToServer}
	if len(data) < 8 && !end {
		return 0, nil
	}
	size := 0
	if len(data) >= 4 {
		size = int(binary.BigEndian.Uint32(data))
	}
	switch {
	case len(data) >= 4 && (size < 8 || size > maxPgStartup):
		p.sides[flow.ClientToServer].lost = true
		m.Kind, m.Malformed, m.Why = Skipped, true, "what follows is no message of PostgreSQL"
		return 1, m
	case len(data) < size && !end:
		return 0, nil
	case len(data) < max(size, 8):
		m.Why = endsInside
		m.Body = &PostgresRequest{Command: "startup"}
		return len(data), m
	}
	r := &PostgresRequest{Command: "startup"}
	m.Body, m.Complete = r, true
	f := sqlFields{data: data[4:size]}
	switch code := f.uint32(); code {
	case pgSSL:
		r.Command = "ssl"
	case pgGSS:
		r.Command = "gss"
	case pgCancel:
		r.Command, m.Alone = "cancel", true
		r.Process = f.uint32()
	default:
		r.Version = fmt.Sprintf("%d.%d", code>>16, code&0xffff)
		p.failed, p.simple, p.both = false, false, false
		for range maxSQLColumns {
			name := f.text()
			if name == "" {
				break
			}
			value := f.text()
			switch name {
			case "user":
				r.User = clipped(value, maxSQLValue)
			case "database":
				r.Database = clipped(value, maxSQLValue)
			default:
				r.Settings = append(r.Settings, [2]string{clipped(name, maxSQLValue), clipped(value, maxSQLValue)})
			}
		}
	}
	if f.bad {
		m.Malformed, m.Why = true, "the startup message is malformed"
	}
	return size, m
}

// says takes a message of the client, of which body is what is looked at.
func (p *pgParser) says(kind byte, body *sqlFields, size int) {
	r := p.req
	switch kind {
	case 'Q':
		r.Command, r.Query = "query", body.text()
	case 'P':
		p.parse(body)
	case 'B':
		p.bind(body)
	case 'D':
		r.count("describe")
		if body.byte() == 'S' {
			r.statement = p.statements[body.text()]
		} else {
			r.statement = p.portals[body.text()]
		}
		r.adopt()
	case 'E':
		r.Command, r.executed = "execute", true
		portal := body.text()
		if r.statement == nil || portal != "" {
			r.statement = p.portals[portal]
		}
		r.MaxRows = int64(body.uint32())
		r.adopt()
	case 'C':
		r.count("close")
		if body.byte() == 'S' {
			delete(p.statements, body.text())
		} else {
			delete(p.portals, body.text())
		}
	case 'S':
		r.sync = true
		if r.Command == "" {
			r.Command = "sync"
		}
	case 'H':
		if r.Command == "" {
			r.Command = "flush"
		}
	case 'd':
		r.Command = "copy"
		r.Copied += int64(size - pgHeaderLen)
		r.Pieces++
	case 'c':
		r.Command = "copy"
	case 'f':
		r.Command, r.Reason = "copy", clipped(body.text(), maxSQLValue)
	case 'F':
		r.Command, r.sync = "function call", true
	case 'X':
		r.Command = "terminate"
	case 'p': // what it holds is secret, but for the name of how
		r.Command = "authenticate"
		if p.auth == pgAuthSASL {
			r.Method = clipped(body.text(), maxSQLValue)
		}
	}
	if r.Command == "query" {
		r.sync = true
	}
}

// count counts a part that is replied to, and names the request after it, or after the
// one that says most.
func (r *PostgresRequest) count(command string) {
	r.replies++
	if r.Command == "" || command == "prepare" || command == "bind" && r.Command != "prepare" {
		r.Command = command
	}
}

// adopt has the request tell the query of its statement.
func (r *PostgresRequest) adopt() {
	if r.Query == "" && r.statement != nil {
		r.Query = r.statement.query
	}
}

// parse takes a Parse.
func (p *pgParser) parse(body *sqlFields) {
	r := p.req
	r.count("prepare")
	name := body.text()
	r.Name, r.Query = clipped(name, maxSQLValue), body.text()
	s := &pgStatement{query: clipped(r.Query, maxPgStatement)}
	for range min(int(body.uint16()), maxSQLColumns) {
		s.params = append(s.params, body.uint32())
	}
	r.statement = s
	p.statements = pgRemember(p.statements, name, s)
}

// bind takes a Bind.
func (p *pgParser) bind(body *sqlFields) {
	r := p.req
	r.count("bind")
	portal, name := body.text(), body.text()
	if s, ok := p.statements[name]; ok {
		r.statement, r.Query = s, s.query
	} else if r.Name != name || r.Command != "prepare" {
		r.statement, r.Query = nil, ""
	}
	r.Name = clipped(name, maxSQLValue)
	formats := body.formats()
	count := int(body.uint16())
	r.Parameters, r.ParameterCount = nil, count
	for i := range min(count, maxSQLColumns) {
		n := int32(body.uint32())
		if body.bad {
			break
		}
		c := pgColumn{binary: formatOf(formats, i)}
		if r.statement != nil && i < len(r.statement.params) {
			c.typ = r.statement.params[i]
		}
		r.Parameters = append(r.Parameters, c.value(n, body))
	}
	for i := len(r.Parameters); i < count && !body.bad; i++ {
		if n := int32(body.uint32()); n > 0 {
			body.take(int(n))
		}
	}
	r.formats = body.formats()
	s := r.statement
	if s == nil {
		s = &pgStatement{}
	}
	p.portals = pgRemember(p.portals, portal, s)
}

// pgRemember notes a statement under a name; all others are forgotten when there are
// too many.
func pgRemember(all map[string]*pgStatement, name string, s *pgStatement) map[string]*pgStatement {
	if all == nil || len(all) >= maxPgStatements {
		all = make(map[string]*pgStatement)
	}
	if len(name) <= maxSQLValue {
		all[strings.Clone(name)] = s
	}
	return all
}

func formatOf(formats []bool, i int) bool {
	switch {
	case len(formats) == 1:
		return formats[0]
	case i < len(formats):
		return formats[i]
	}
	return false
}

// pgResync returns how many bytes to skip up to where a message begins, and whether
// that was found; else more is needed. A server's ReadyForQuery is known by its six
// bytes, a client's message by being well-formed from end to end.
func pgResync(d flow.Direction, data []byte, end bool) (int, bool) {
	if d == flow.ServerToClient {
		n := 0
		for {
			i := bytes.Index(data[n:], []byte("Z\x00\x00\x00\x05"))
			if i < 0 {
				break
			}
			n += i
			if n+6 > len(data) {
				if end {
					return len(data), false
				}
				return n, false
			}
			if n += 6; strings.IndexByte("ITE", data[n-1]) >= 0 {
				return n, true
			}
		}
		n = max(n, len(data)-4) // the pattern may have begun
		if end {
			n = len(data)
		}
		return n, false
	}
	for n := range data {
		switch v := pgAnchor(data[n:]); {
		case v == Match && n == 0:
			return 0, true
		case v == Match, v == NeedMore && !end:
			return n, false
		}
	}
	return len(data), false
}

// maxPgAnchor bounds a client's message by which the place in its stream is found
// again.
const maxPgAnchor = 4 << 10

// pgAnchor tells whether a client's message begins that can hardly be something else.
func pgAnchor(data []byte) Verdict {
	switch data[0] {
	case 'S', 'X':
		const rest = "\x00\x00\x00\x04"
		b := data[1:min(len(data), pgHeaderLen)]
		switch {
		case string(b) == rest:
			return Match
		case strings.HasPrefix(rest, string(b)):
			return NeedMore
		}
		return NoMatch
	case 'Q', 'P':
	default:
		return NoMatch
	}
	for i := 1; i < 3; i++ {
		if i < len(data) && data[i] != 0 {
			return NoMatch
		}
	}
	if len(data) < pgHeaderLen {
		return NeedMore
	}
	size := 1 + int(binary.BigEndian.Uint32(data[1:]))
	if size < pgHeaderLen+2 || size > maxPgAnchor {
		return NoMatch
	}
	b := data[pgHeaderLen:min(len(data), size)]
	if data[0] == 'P' { // the name of the statement
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			i = len(b)
		}
		if !isSQLText(b[:i]) {
			return NoMatch
		}
		b = b[min(len(b), i+1):]
	}
	i := bytes.IndexByte(b, 0)
	switch {
	case i < 0 && len(data) < size && isSQLText(b):
		return NeedMore
	case i < 0, !isSQLText(b[:i]), !beginsSQL(string(b[:i])):
		return NoMatch
	case data[0] == 'Q' && pgHeaderLen+i+1 != size:
		return NoMatch
	}
	return Match
}

// isSQLText reports whether b has no control characters but white space.
func isSQLText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && !isSQLSpace(c) || c == 0x7f {
			return false
		}
	}
	return true
}

// probePostgres knows a startup message, and in the middle of a conversation a query
// or a run of messages up to where one side waits for the other.
func probePostgres(o Opening) Verdict { return probeEach(o, probePg) }

func probePg(d flow.Direction, b []byte) Verdict {
	if d == flow.ClientToServer && b[0] == 0 {
		return probePgStartup(b)
	}
	types := pgServerTypes
	if d == flow.ClientToServer {
		types = "QPBDECHS"
	}
	for n := 0; ; {
		if n == len(b) {
			return NeedMore
		}
		kind, rest := b[n], b[n:]
		if strings.IndexByte(types, kind) < 0 || len(rest) > 1 && rest[1] != 0 {
			return NoMatch // messages that begin a conversation's recording have less than 16 MB
		}
		if len(rest) < pgHeaderLen {
			return NeedMore
		}
		size := 1 + int(binary.BigEndian.Uint32(rest[1:]))
		body := rest[pgHeaderLen:min(len(rest), max(size, pgHeaderLen))]
		switch {
		case size < pgHeaderLen, strings.IndexByte("SHZ12n3sIc", kind) >= 0 && !(kind == 'S' && d == flow.ServerToClient) && size > pgHeaderLen+1:
			return NoMatch
		case d == flow.ServerToClient && kind == 'Z' && len(body) == 1:
			if strings.IndexByte("ITE", body[0]) >= 0 {
				return Match
			}
			return NoMatch
		case d == flow.ClientToServer && kind == 'S':
			if size == pgHeaderLen {
				return Match
			}
			return NoMatch
		case d == flow.ClientToServer && (kind == 'Q' || kind == 'P'):
			if v := probePgQuery(kind, body, len(rest) < size); v != NoMatch || kind == 'Q' {
				return v
			}
			return NoMatch
		case len(rest) < size:
			return NeedMore
		}
		n += size
	}
}

// probePgQuery looks at a query, which may not be all there.
func probePgQuery(kind byte, b []byte, more bool) Verdict {
	if kind == 'P' {
		i := bytes.IndexByte(b, 0)
		if i < 0 && more && isSQLText(b) {
			return NeedMore
		}
		if i < 0 || !isSQLText(b[:i]) {
			return NoMatch
		}
		b = b[i+1:]
	}
	const enough = 256 // for comments, and the first word
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b, more = b[:i], false
	}
	switch {
	case !isSQLText(b):
		return NoMatch
	case more && len(b) < enough:
		return NeedMore
	case beginsSQL(string(b)):
		return Match
	}
	return NoMatch
}

func probePgStartup(b []byte) Verdict {
	if len(b) < 8 {
		for i := range min(2, len(b)) {
			if b[i] != 0 {
				return NoMatch
			}
		}
		return NeedMore
	}
	size, code := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
	switch {
	case (code == pgSSL || code == pgGSS) && size == 8, code == pgCancel && size >= 16 && size <= 16+256:
		return Match
	case code>>16 != 3 || code&0xffff > 16 && code&0xffff != 9999 || size < 9 || size > maxPgStartup:
		return NoMatch
	case len(b) < size:
		return NeedMore
	}
	f := sqlFields{data: b[8:size]}
	user := false
	for !f.bad {
		name := f.text()
		if name == "" {
			break
		}
		user = user || name == "user"
		f.text()
	}
	if f.bad || !user {
		return NoMatch
	}
	return Match
}
