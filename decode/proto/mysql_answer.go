package proto

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// MySQLRequest is a command, or a step of logging in.
type MySQLRequest struct {
	// Command is query, execute, prepare, close, ping, quit, use, …; login, ssl,
	// authenticate; "local file" for its content.
	Command string
	// Query is what is asked; of a prepared statement its first 2 KiB, and empty
	// when it was not seen to be prepared.
	Query     string
	Statement uint32 // the number of a prepared statement, or what kill ends
	// Parameters are the first 64 of ParameterCount.
	Parameters     []SQLValue
	ParameterCount int
	// User and Plugin are of a login; Attributes pairs of name and value.
	User, Database, Plugin string
	Attributes             [][2]string
	Bytes                  int64 // of a file or a long parameter

	last      bool // of the packets of a file
	statement *mysqlStatement
}

// Held returns how much memory the request has need of.
func (r *MySQLRequest) Held() int {
	return len(r.Query) + len(r.User) + len(r.Database) + heldValues(r.Parameters) + 64*len(r.Attributes)
}

// Shape is the query without what varies.
func (r *MySQLRequest) Shape() string { return sqlShape(r.Query, sqlMySQL) }

// Endpoint is the query without what varies, or what else is asked for.
func (r *MySQLRequest) Endpoint() string { return sqlEndpoint(r.Command, r.Shape()) }

// Summary is the query, or what else is said. Passwords are not shown.
func (r *MySQLRequest) Summary() string {
	switch r.Command {
	case "login", "change user":
		s := r.Command + " user=" + r.User
		if r.Database != "" {
			s += " database=" + r.Database
		}
		return s
	case "authenticate":
		return "authenticate ***"
	case "local file":
		return fmt.Sprintf("local file of %d bytes", r.Bytes)
	case "query":
		if r.Query != "" {
			return sqlLine(r.Query)
		}
	}
	s := r.Command
	switch {
	case r.Query != "":
		s += " " + sqlLine(r.Query)
	case r.Database != "":
		s += " " + r.Database
	case r.Statement != 0:
		s += " " + strconv.FormatUint(uint64(r.Statement), 10)
	}
	if r.ParameterCount == 1 {
		s += ", 1 parameter"
	} else if r.ParameterCount > 1 {
		s += fmt.Sprintf(", %d parameters", r.ParameterCount)
	}
	return s
}

// AppendJSON appends the command, and what goes with it.
func (r *MySQLRequest) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"command":`...)
	dst = AppendString(dst, r.Command)
	dst = appendIf(dst, "query", r.Query)
	if r.Statement != 0 {
		dst = appendCount(dst, "statement", int64(r.Statement))
	}
	if r.ParameterCount > 0 {
		dst = append(dst, `,"parameters":`...)
		dst = appendValues(dst, r.Parameters)
		if r.ParameterCount > len(r.Parameters) {
			dst = appendCount(dst, "parameter_count", int64(r.ParameterCount))
		}
	}
	dst = appendIf(dst, "user", r.User)
	dst = appendIf(dst, "database", r.Database)
	dst = appendIf(dst, "plugin", r.Plugin)
	dst = appendPairs(dst, "attributes", r.Attributes)
	if r.Bytes > 0 || r.Command == "local file" {
		dst = appendCount(dst, "bytes", r.Bytes)
	}
	return dst
}

// MySQLResponse is what answers a request, or the greeting.
type MySQLResponse struct {
	// Results are the first 8 of Count; Rows counts those of all.
	Results  []SQLResult
	Count    int
	Rows     int64
	Error    *SQLError
	InsertID uint64 // of the last row inserted
	Warnings int
	Info     string
	// Statement is the number of what was prepared, with so many parameters.
	Statement  uint32
	Parameters int
	// Version, Thread and Plugin are of the greeting. Plugin is also how the client
	// is to log in instead, and Login "ok" or "more".
	Version, Plugin, Login string
	Thread                 uint32
	LocalFile              string // that the client is to send
	Text                   string // of statistics
	Events                 int64  // of replication

	done bool
}

// Held returns how much memory the response has need of.
func (r *MySQLResponse) Held() int {
	n := 256 + len(r.Info) + len(r.Text)
	for i := range r.Results {
		n += r.Results[i].held()
	}
	return n
}

// Affected returns how many rows were changed, and whether that was said.
func (r *MySQLResponse) Affected() (int64, bool) {
	sum, said := int64(0), false
	for i := range r.Results {
		if r.Results[i].HasAffected {
			sum, said = sum+r.Results[i].Affected, true
		}
	}
	return sum, said
}

// Outcome is the number of the error.
func (r *MySQLResponse) Outcome() (code int, word string, failed bool) {
	if r.Error != nil {
		return r.Error.Number, "error", true
	}
	return 0, "ok", false
}

// Summary is the error, or what there is.
func (r *MySQLResponse) Summary() string {
	affected, changed := r.Affected()
	switch {
	case r.Error != nil:
		return strings.TrimSpace(fmt.Sprintf("error %d %s", r.Error.Number, r.Error.State)) + " " + r.Error.Message
	case r.Version != "":
		return "MySQL " + r.Version
	case r.LocalFile != "":
		return "wants the local file " + r.LocalFile
	case r.Login != "" && r.Plugin != "":
		return "log in by " + r.Plugin
	case r.Login == "more":
		return "log in, more"
	case r.Statement != 0:
		return fmt.Sprintf("statement %d", r.Statement)
	case r.Text != "":
		return r.Text
	case r.Events > 0:
		return fmt.Sprintf("%d events", r.Events)
	case r.Count > 1:
		return fmt.Sprintf("%d results, %s", r.Count, sqlCount(r.Rows))
	case r.Count == 1 && r.Results[0].Width > 0:
		return sqlCount(r.Rows)
	case changed && affected > 0:
		return "ok, " + sqlCount(affected) + " affected"
	}
	return "ok"
}

// AppendJSON appends the results, or what else there is.
func (r *MySQLResponse) AppendJSON(dst []byte) []byte {
	dst = appendResults(dst, r.Results, r.Count, r.Rows)
	if affected, ok := r.Affected(); ok {
		dst = appendCount(dst, "affected", affected)
	}
	if r.InsertID != 0 {
		dst = append(dst, `,"insert_id":`...)
		dst = strconv.AppendUint(dst, r.InsertID, 10)
	}
	if r.Warnings > 0 {
		dst = appendCount(dst, "warnings", int64(r.Warnings))
	}
	dst = appendIf(dst, "info", r.Info)
	if r.Error != nil {
		dst = appendCount(dst, "errno", int64(r.Error.Number))
		dst = append(dst, `,"error":`...)
		dst = r.Error.appendJSON(dst)
	}
	if r.Statement != 0 {
		dst = appendCount(dst, "statement", int64(r.Statement))
		dst = appendCount(dst, "parameter_count", int64(r.Parameters))
	}
	dst = appendIf(dst, "version", r.Version)
	if r.Thread != 0 {
		dst = appendCount(dst, "thread", int64(r.Thread))
	}
	dst = appendIf(dst, "login", r.Login)
	dst = appendIf(dst, "plugin", r.Plugin)
	dst = appendIf(dst, "local_file", r.LocalFile)
	dst = appendIf(dst, "text", r.Text)
	if r.Events > 0 {
		dst = appendCount(dst, "events", r.Events)
	}
	return dst
}

// mysqlStates says what answers a command.
var mysqlStates = map[string]mysqlState{
	"login": mysqlLogin, "authenticate": mysqlLogin, "change user": mysqlLogin,
	"prepare": mysqlPrepared, "field list": mysqlFieldList, "statistics": mysqlText,
	"use": mysqlSimple, "ping": mysqlSimple, "reset": mysqlSimple, "set option": mysqlSimple, "kill": mysqlSimple,
	"reset connection": mysqlSimple, "refresh": mysqlSimple, "debug": mysqlSimple, "local file": mysqlFirst,
	"fetch": mysqlRows, "binlog dump": mysqlEvents, "register slave": mysqlSimple,
}

// beginAnswer begins a response with a packet, or says why there is none.
func (p *mysqlParser) beginAnswer(sequence byte, body *mysqlFields) string {
	r, ok := bodyOf[*MySQLRequest](p.waiting.Request())
	alone := false
	state := mysqlFirst
	switch {
	case ok:
		state = mysqlStates[r.Command]
	case sequence == 0 && !p.greeted:
		alone = true
	case p.req != nil || sequence == 1:
	default:
		return notMySQL
	}
	p.greeted = true
	p.resp = new(MySQLResponse)
	p.answer = &Message{Direction: flow.ServerToClient, Kind: Response, Body: p.resp, Alone: alone}
	p.asked, p.state, p.result, p.stmt = r, state, nil, nil
	if state == mysqlRows { // more of a result
		p.result = &mysqlResult{binary: true}
		if r.statement != nil {
			p.result.describe(r.statement.result, r.statement.width)
		}
	}
	if alone && body.data[0] == 10 {
		p.greeting(body)
	}
	return ""
}

// greeting takes HandshakeV10.
func (p *mysqlParser) greeting(body *mysqlFields) {
	r := p.resp
	r.done = true
	body.byte()
	r.Version = clipped(body.text(), maxSQLValue)
	r.Thread = uint32(body.uint(4))
	body.take(8 + 1)
	caps := body.uint(2)
	body.take(1 + 2)
	caps |= body.uint(2) << 16
	random := int(body.byte())
	body.take(10)
	if caps&mysqlPlugin != 0 {
		body.take(max(13, random-8))
		r.Plugin = clipped(body.text(), maxSQLValue)
	}
}

// answers takes a packet of the server.
func (p *mysqlParser) answers(sequence byte, size int, body *mysqlFields) (*Message, string) {
	if p.answer == nil {
		if size == 0 {
			return nil, notMySQL
		}
		if why := p.beginAnswer(sequence, body); why != "" || p.resp.done {
			return nil, why
		}
	}
	r := p.resp
	first := byte(0)
	if len(body.data) > 0 {
		first = body.data[0]
	}
	if size > 0 && first == mysqlERR && p.state != mysqlText {
		if r.fault(body) {
			p.push()
			r.done = true
		}
		return nil, ""
	}
	// Rows may begin with this byte only when they are longer than a packet.
	eof := size > 0 && first == mysqlEOF && size < maxMySQLPacket
	switch p.state {
	case mysqlFirst:
		p.first(first, size, body)
	case mysqlColumns:
		p.column(&p.result.columns, &p.result.Columns, body)
		if p.left--; p.left == 0 {
			p.state, p.fresh = mysqlRows, true
			p.remember()
		}
	case mysqlRows:
		switch {
		case eof && size == 5 && p.fresh && p.cursorless(body): // between columns and rows
		case eof:
			p.push()
			p.more(r.end(size, body))
		default:
			p.row(size, body)
		}
		p.fresh = false
	case mysqlLogin:
		p.loginAnswer(first, eof, body)
	case mysqlPrepared:
		p.prepared(body)
	case mysqlParams, mysqlPrepCols, mysqlPrepEnd:
		if !eof {
			p.definition(body)
		} else if p.state == mysqlPrepEnd {
			r.done = true
		}
	case mysqlFieldList:
		if r.done = eof; !eof {
			r.Rows++
		}
	case mysqlText:
		r.Text, r.done = clipped(string(body.data), maxMySQLSmall), true
	case mysqlSimple:
		r.done = true
		if first == mysqlOK {
			p.ok(body)
		}
	case mysqlEvents:
		if r.done = eof; !eof {
			r.Events++
		}
	}
	return nil, ""
}

// first takes the first packet of a result.
func (p *mysqlParser) first(first byte, size int, body *mysqlFields) {
	r := p.resp
	switch {
	case size == 0 || first == mysqlOK:
		p.more(p.ok(body))
	case first == mysqlLocal:
		body.byte()
		r.LocalFile, r.done, p.local = clipped(string(body.data), maxSQLValue), true, true
	case first == mysqlEOF && size < 9:
		p.more(r.end(size, body))
	default:
		n, _ := body.lenenc()
		p.result = &mysqlResult{binary: p.asked != nil && (p.asked.Command == "execute" || p.asked.Command == "bulk execute")}
		p.result.Width = int(min(n, 1<<16))
		p.left, p.state = p.result.Width, mysqlColumns
		// MariaDB says here whether it tells the columns again.
		if len(body.data) == 1 && body.data[0] == 0 {
			if p.asked != nil && p.asked.statement != nil {
				p.result.describe(p.asked.statement.result, p.asked.statement.width)
			}
			p.left = 0
		}
		if p.left == 0 {
			p.state, p.fresh = mysqlRows, true
		}
	}
}

// cursorless reports whether rows follow an EOF packet behind columns: they do not
// when a cursor is to be fetched from.
func (p *mysqlParser) cursorless(body *mysqlFields) bool {
	return len(body.data) < 5 || binary.LittleEndian.Uint16(body.data[3:])&mysqlCursorExists == 0
}

// more goes on with another result, if the server's status says so.
func (p *mysqlParser) more(status uint16) {
	p.resp.done = status&mysqlMoreResults == 0
	p.state = mysqlFirst
}

// loginAnswer takes an answer to logging in.
func (p *mysqlParser) loginAnswer(first byte, eof bool, body *mysqlFields) {
	r := p.resp
	switch {
	case first == mysqlOK:
		p.ok(body)
		r.Login, r.done, r.Results, r.Count = "ok", true, nil, 0
		if p.answer.Next == "" && p.asked != nil && p.asked.Command != "change user" && p.caps&(mysqlCompress|mysqlZstd) != 0 && p.known && p.waiting.With() == "" {
			p.answer.Next, p.answer.With = MySQLCompressed.Name, fmt.Sprintf(mysqlWith, p.caps)
		}
	case eof:
		body.byte()
		r.Login, r.Plugin, r.done = "more", clipped(body.text(), maxSQLValue), true
	case first == mysqlMore && len(body.data) == 2 && body.data[1] == 3:
		// The password is known already: OK follows.
	default:
		r.Login, r.done = "more", true
	}
}

// prepared takes the first packet behind a prepare.
func (p *mysqlParser) prepared(body *mysqlFields) {
	r := p.resp
	body.byte()
	r.Statement = uint32(body.uint(4))
	columns := int(body.uint(2))
	r.Parameters = int(body.uint(2))
	p.stmt = &mysqlStatement{params: r.Parameters, width: columns}
	if p.asked != nil {
		p.stmt.query = clipped(p.asked.Query, maxMySQLStatement)
	}
	if p.statements == nil || len(p.statements) >= maxMySQLStatements {
		p.statements = make(map[uint32]*mysqlStatement)
	}
	p.statements[r.Statement] = p.stmt
	p.left, p.state = r.Parameters, mysqlParams
	p.definitions()
}

// definition takes one of the definitions behind a prepare.
func (p *mysqlParser) definition(body *mysqlFields) {
	if p.left--; p.state == mysqlPrepCols {
		p.column(&p.stmt.result, nil, body)
	}
	p.definitions()
}

// definitions goes on when the parameters' definitions are there, or all.
func (p *mysqlParser) definitions() {
	if p.left <= 0 && p.state == mysqlParams {
		p.left, p.state = p.stmt.width, mysqlPrepCols
	}
	if p.left > 0 || p.state != mysqlPrepCols {
		return
	}
	if p.state = mysqlPrepEnd; p.stmt.params+p.stmt.width == 0 || !p.known || p.caps&mysqlNoEOF != 0 {
		p.resp.done = true // else there is a packet more
	}
}

// column takes the definition of a column: six texts, of which the fifth is its name,
// and at the end 13 bytes of which the eighth is its type.
func (p *mysqlParser) column(columns *[]mysqlColumn, names *[]string, body *mysqlFields) {
	if len(*columns) >= maxSQLColumns {
		return
	}
	var c mysqlColumn
	if b := body.data; len(b) >= 13 && !body.cut {
		c.typ = b[len(b)-6]
		c.unsigned = b[len(b)-5]&0x20 != 0
	}
	for range 4 {
		body.lenencBytes()
	}
	c.name = clipped(string(body.lenencBytes()), maxSQLValue)
	*columns = append(*columns, c)
	if names != nil {
		*names = append(*names, c.name)
	}
}

// describe sets the columns of a result.
func (r *mysqlResult) describe(columns []mysqlColumn, width int) {
	r.columns, r.Width, r.Columns = columns, width, make([]string, len(columns))
	for i := range columns {
		r.Columns[i] = columns[i].name
	}
}

// remember notes the columns of a statement, for when they are not told again.
func (p *mysqlParser) remember() {
	if p.asked != nil && p.asked.statement != nil && p.asked.Command == "execute" {
		p.asked.statement.result, p.asked.statement.width = p.result.columns, p.result.Width
	}
}

// row takes a row.
func (p *mysqlParser) row(size int, body *mysqlFields) {
	if p.result == nil {
		return
	}
	p.resp.Rows++
	r := p.result
	if r.Rows++; len(r.First) >= maxSQLRows {
		return
	}
	n := min(r.Width, maxSQLColumns)
	row := make([]SQLValue, 0, n)
	var nulls []byte
	if r.binary {
		body.byte()
		if nulls = body.take((r.Width + 7 + 2) / 8); nulls == nil {
			return
		}
		n = min(n, len(r.columns))
	}
	for i := range n {
		var v SQLValue
		ok := true
		switch {
		case !r.binary:
			v, ok = body.value()
		case nulls[(i+2)/8]>>((i+2)%8)&1 == 1:
			v.Null = true
		default:
			v, ok = body.binary(r.columns[i].typ, r.columns[i].unsigned)
		}
		if !ok {
			break
		}
		row = append(row, v)
	}
	r.First = append(r.First, row)
}

// push ends the result in progress.
func (p *mysqlParser) push() {
	if p.result != nil {
		p.resp.add(&p.result.SQLResult)
		p.result = nil
	}
}

func (r *MySQLResponse) add(result *SQLResult) {
	if r.Count++; len(r.Results) < maxSQLResults {
		r.Results = append(r.Results, *result)
	}
}

// ok takes an OK packet, and returns the server's status.
func (p *mysqlParser) ok(body *mysqlFields) uint16 {
	status, affected := p.resp.okPacket(body)
	p.resp.add(&SQLResult{Affected: int64(min(affected, math.MaxInt64)), HasAffected: true})
	return status
}

// end takes an EOF packet, or an OK packet in its place.
func (r *MySQLResponse) end(size int, body *mysqlFields) uint16 {
	if size == 5 {
		body.byte()
		r.Warnings += int(body.uint(2))
		return uint16(body.uint(2))
	}
	status, _ := r.okPacket(body)
	return status
}

func (r *MySQLResponse) okPacket(body *mysqlFields) (status uint16, affected uint64) {
	body.byte()
	affected, _ = body.lenenc()
	if id, _ := body.lenenc(); id != 0 {
		r.InsertID = id
	}
	status = uint16(body.uint(2))
	r.Warnings += int(body.uint(2))
	// What is behind may have a length before it, or be the state of the session.
	if info := body.data; len(info) > 1 && int(info[0]) == len(info)-1 {
		r.Info = clipped(string(info[1:]), maxSQLValue)
	} else if len(info) > 0 && isASCII(info) {
		r.Info = clipped(string(info), maxSQLValue)
	}
	return status, affected
}

// fault takes an ERR packet; it reports whether it is none about progress (MariaDB
// Knowledge Base, "Progress Reporting").
func (r *MySQLResponse) fault(body *mysqlFields) bool {
	body.byte()
	e := &SQLError{Number: int(body.uint(2))}
	if e.Number == 0xffff {
		return false
	}
	if len(body.data) >= 6 && body.data[0] == '#' {
		e.State = string(body.take(6)[1:])
	}
	e.Message = clipped(string(body.data), maxMySQLSmall)
	r.Error = e
	return true
}

// answerDone ends the response.
func (p *mysqlParser) answerDone(why string) *Message {
	m, s := p.answer, &p.sides[flow.ServerToClient]
	p.push()
	s.ends(m, why)
	if why != "" {
		m.Next, m.With = "", ""
	}
	p.answer, p.resp, p.asked, p.stmt = nil, nil, nil, nil
	return m
}

// mysqlFields reads the fields of a packet, numbers with their lowest byte first.
type mysqlFields struct{ sqlFields }

func (f *mysqlFields) uint(n int) uint64 {
	var v uint64
	for i, c := range f.take(n) {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// lenenc reads a number that says how long it is, and reports NULL.
func (f *mysqlFields) lenenc() (v uint64, null bool) {
	switch c := f.byte(); c {
	case 0xfb:
		return 0, true
	case 0xfc:
		return f.uint(2), false
	case 0xfd:
		return f.uint(3), false
	case 0xfe:
		return f.uint(8), false
	default:
		return uint64(c), false
	}
}

// lenencBytes reads bytes with their length before them.
func (f *mysqlFields) lenencBytes() []byte {
	n, _ := f.lenenc()
	return f.take(int(min(n, maxMySQLPacket)))
}

// value reads a value of a row as text.
func (f *mysqlFields) value() (SQLValue, bool) {
	n, null := f.lenenc()
	if f.bad {
		return SQLValue{}, false
	}
	if null {
		return SQLValue{Null: true}, true
	}
	b, cut := f.upTo(int(min(n, math.MaxInt32)))
	return textOrBytes(b, cut), true
}

// textOrBytes keeps a value that may be either.
func textOrBytes(b []byte, cut bool) SQLValue {
	if printable(b[:min(len(b), maxSQLValue)]) {
		return keepValue(b, cut)
	}
	return keepBinary(b, cut)
}

// binary reads a value in its binary form (MySQL Internals, "Binary Protocol Value").
func (f *mysqlFields) binary(typ byte, unsigned bool) (SQLValue, bool) {
	number := func(n int) (SQLValue, bool) {
		v := f.uint(n)
		if unsigned {
			return SQLValue{Text: strconv.FormatUint(v, 10)}, !f.bad
		}
		shift := 64 - 8*n
		return SQLValue{Text: strconv.FormatInt(int64(v<<shift)>>shift, 10)}, !f.bad
	}
	switch typ {
	case 1:
		return number(1)
	case 2, 13:
		return number(2)
	case 3, 9:
		return number(4)
	case 8:
		return number(8)
	case 4:
		v := math.Float32frombits(uint32(f.uint(4)))
		return SQLValue{Text: strconv.FormatFloat(float64(v), 'g', -1, 32)}, !f.bad
	case 5:
		v := math.Float64frombits(f.uint(8))
		return SQLValue{Text: strconv.FormatFloat(v, 'g', -1, 64)}, !f.bad
	case 6:
		return SQLValue{Null: true}, true
	case 7, 10, 12:
		return f.date()
	case 11:
		return f.time()
	}
	return f.value()
}

// date reads a date, perhaps with a time, perhaps with microseconds.
func (f *mysqlFields) date() (SQLValue, bool) {
	n := int(f.byte())
	b := f.take(n)
	if b == nil && n > 0 || n != 0 && n != 4 && n != 7 && n != 11 {
		return SQLValue{}, false
	}
	b = append(make([]byte, 0, 11), b...)[:11]
	text := fmt.Sprintf("%04d-%02d-%02d", binary.LittleEndian.Uint16(b), b[2], b[3])
	if n > 4 {
		text += fmt.Sprintf(" %02d:%02d:%02d", b[4], b[5], b[6])
	}
	if n > 7 {
		text += fmt.Sprintf(".%06d", binary.LittleEndian.Uint32(b[7:]))
	}
	return SQLValue{Text: text}, true
}

// time reads a span of time.
func (f *mysqlFields) time() (SQLValue, bool) {
	n := int(f.byte())
	b := f.take(n)
	if b == nil && n > 0 || n != 0 && n != 8 && n != 12 {
		return SQLValue{}, false
	}
	b = append(make([]byte, 0, 12), b...)[:12]
	sign := ""
	if b[0] == 1 {
		sign = "-"
	}
	text := fmt.Sprintf("%s%02d:%02d:%02d", sign, uint64(binary.LittleEndian.Uint32(b[1:]))*24+uint64(b[5]), b[6], b[7])
	if n > 8 {
		text += fmt.Sprintf(".%06d", binary.LittleEndian.Uint32(b[8:]))
	}
	return SQLValue{Text: text}, true
}
