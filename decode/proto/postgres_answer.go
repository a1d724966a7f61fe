package proto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"netlab/decode/flow"
)

// PostgresRequest is what a client says in one go: a simple query, or the messages of
// the extended protocol up to an Execute, a Sync or a Flush.
type PostgresRequest struct {
	// Command is query, execute, prepare, bind, describe, close, sync, flush, copy,
	// "function call", terminate; startup, ssl, gss, cancel, authenticate.
	Command string
	// Query is what is asked; of a prepared statement its first 2 KiB when another
	// request prepared it, and empty when that was not seen.
	Query string
	Name  string // of the prepared statement
	// Parameters are the first 64 of ParameterCount.
	Parameters     []SQLValue
	ParameterCount int
	MaxRows        int64 // that an Execute asks for; 0 is all

	// Of a startup message. Settings are pairs of name and value.
	Version, User, Database string
	Settings                [][2]string

	Method  string // of logging in by SASL
	Process uint32 // whose query is to be cancelled

	// Copied bytes to the server in so many Pieces; Reason, if it was given up.
	Copied, Pieces int64
	Reason         string

	extended  bool
	executed  bool // an Execute or CopyDone ends it, a Sync may follow
	sync      bool // its answer ends with ReadyForQuery
	replies   int
	formats   []bool // of the columns: whether binary
	statement *pgStatement
}

// Held returns how much memory the request has need of.
func (r *PostgresRequest) Held() int {
	return len(r.Query) + len(r.User) + len(r.Database) + heldValues(r.Parameters) + len(r.formats) + 64*len(r.Settings)
}

// Shape is the query without what varies.
func (r *PostgresRequest) Shape() string { return sqlShape(r.Query, sqlPostgres) }

// Endpoint is the query without what varies, or what else is asked for.
func (r *PostgresRequest) Endpoint() string { return sqlEndpoint(r.Command, r.Shape()) }

// Summary is the query, or what else is said. Passwords are not shown.
func (r *PostgresRequest) Summary() string {
	switch {
	case r.Command == "startup":
		s := "startup user=" + r.User
		if r.Database != "" {
			s += " database=" + r.Database
		}
		return s
	case r.Command == "authenticate" && r.Method != "":
		return "authenticate " + r.Method
	case r.Command == "authenticate":
		return "authenticate ***"
	case r.Command == "cancel":
		return fmt.Sprintf("cancel the query of process %d", r.Process)
	case r.Command == "copy" && r.Reason != "":
		return fmt.Sprintf("copy fails: %s", r.Reason)
	case r.Command == "copy":
		return fmt.Sprintf("copy %d bytes", r.Copied)
	case r.Command == "query" && r.Query != "":
		return sqlLine(r.Query)
	}
	s := r.Command
	if r.Query != "" {
		s += " " + sqlLine(r.Query)
	} else if r.Name != "" {
		s += " " + r.Name
	}
	if r.ParameterCount == 1 {
		s += ", 1 parameter"
	} else if r.ParameterCount > 1 {
		s += fmt.Sprintf(", %d parameters", r.ParameterCount)
	}
	return s
}

// AppendJSON appends the command, and what goes with it.
func (r *PostgresRequest) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"command":`...)
	dst = AppendString(dst, r.Command)
	dst = appendIf(dst, "query", r.Query)
	dst = appendIf(dst, "statement", r.Name)
	if r.ParameterCount > 0 {
		dst = append(dst, `,"parameters":`...)
		dst = appendValues(dst, r.Parameters)
		if r.ParameterCount > len(r.Parameters) {
			dst = appendCount(dst, "parameter_count", int64(r.ParameterCount))
		}
	}
	if r.MaxRows > 0 {
		dst = appendCount(dst, "max_rows", r.MaxRows)
	}
	switch r.Command {
	case "startup":
		dst = appendIf(dst, "version", r.Version)
		dst = appendIf(dst, "user", r.User)
		dst = appendIf(dst, "database", r.Database)
		dst = appendPairs(dst, "settings", r.Settings)
	case "cancel":
		dst = appendCount(dst, "process", int64(r.Process))
	case "copy":
		dst = appendCount(dst, "copied_bytes", r.Copied)
		dst = appendCount(dst, "pieces", r.Pieces)
		dst = appendIf(dst, "reason", r.Reason)
	}
	return appendIf(dst, "method", r.Method)
}

// appendIf appends a field of text unless it is empty.
func appendIf(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return AppendString(dst, text)
}

// appendCount appends a field with a number.
func appendCount(dst []byte, name string, n int64) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return strconv.AppendInt(dst, n, 10)
}

// appendPairs appends pairs of texts as an object, unless there are none.
func appendPairs(dst []byte, name string, pairs [][2]string) []byte {
	if len(pairs) == 0 {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, `":{`...)
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, p[0])
		dst = append(dst, ':')
		dst = AppendString(dst, p[1])
	}
	return append(dst, '}')
}

// PostgresResponse is what answers a request, or what the server says unasked.
type PostgresResponse struct {
	// Results are the first 8 of Count; Rows counts those of all.
	Results []SQLResult
	Count   int
	Rows    int64
	Error   *SQLError
	// Notices are the first 4 of NoticeCount.
	Notices     []SQLError
	NoticeCount int
	// Skipped: the server passed over the request, for one before it had failed.
	Skipped bool
	// Suspended: there are more rows for another Execute.
	Suspended bool
	// Status is "idle", "in transaction", "failed transaction", or empty when the
	// server was not ready for another query behind it.
	Status string
	// Authentication is how the client is to log in, or "ok".
	Authentication string
	Settings       [][2]string
	Process        uint32
	// Encryption is "tls", "gss" or "refused".
	Encryption string
	// Copy is "in", "out" or "both"; Copied bytes came in so many Pieces.
	Copy           string
	Copied, Pieces int64
	// Channel and Payload are of the first of so many Notifications.
	Channel, Payload string
	Notifications    int
}

// Held returns how much memory the response has need of.
func (r *PostgresResponse) Held() int {
	n := 256 + 64*len(r.Settings) + 256*len(r.Notices) + len(r.Payload)
	for i := range r.Results {
		n += r.Results[i].held()
	}
	return n
}

// Tag is what was done last: SELECT 1.
func (r *PostgresResponse) Tag() string {
	for i := len(r.Results) - 1; i >= 0; i-- {
		if r.Results[i].Tag != "" {
			return r.Results[i].Tag
		}
	}
	return ""
}

// Outcome is the error's code, or the first word of the tag.
func (r *PostgresResponse) Outcome() (code int, word string, failed bool) {
	switch tag := r.Tag(); {
	case r.Error != nil:
		return 0, r.Error.State, true
	case r.Skipped:
		return 0, "skipped", true
	case tag != "":
		word, _, _ = strings.Cut(tag, " ")
		return 0, word, false
	}
	return 0, "ok", false
}

// Summary is the error, or what was done.
func (r *PostgresResponse) Summary() string {
	switch tag := r.Tag(); {
	case r.Error != nil:
		return strings.TrimSpace(r.Error.Severity + " " + r.Error.State + " " + r.Error.Message)
	case r.Skipped:
		return "skipped after an error"
	case r.Encryption != "":
		return "encryption: " + r.Encryption
	case r.Count > 1:
		return fmt.Sprintf("%d results, %s", r.Count, sqlCount(r.Rows))
	case tag != "":
		return tag
	case r.Suspended:
		return sqlCount(r.Rows) + ", more to fetch"
	case r.Copy != "" && r.Copied == 0:
		return "copy " + r.Copy
	case r.Copied > 0:
		return fmt.Sprintf("%d bytes copied", r.Copied)
	case r.Authentication != "":
		return "authentication: " + r.Authentication
	case r.Notifications > 0:
		return "notification " + r.Channel + " " + r.Payload
	case len(r.Notices) > 0:
		return r.Notices[0].Severity + " " + r.Notices[0].Message
	case len(r.Settings) > 0:
		return r.Settings[0][0] + "=" + r.Settings[0][1]
	}
	return "ok"
}

// AppendJSON appends the results, or what else there is.
func (r *PostgresResponse) AppendJSON(dst []byte) []byte {
	dst = appendResults(dst, r.Results, r.Count, r.Rows)
	dst = appendIf(dst, "tag", r.Tag())
	if r.Suspended {
		dst = append(dst, `,"suspended":true`...)
	}
	if r.Skipped {
		dst = append(dst, `,"skipped":true`...)
	}
	if r.Error != nil {
		dst = appendIf(dst, "sqlstate", r.Error.State)
		dst = append(dst, `,"error":`...)
		dst = r.Error.appendJSON(dst)
	}
	if len(r.Notices) > 0 {
		dst = append(dst, `,"notices":[`...)
		for i := range r.Notices {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.Notices[i].appendJSON(dst)
		}
		dst = append(dst, ']')
		if r.NoticeCount > len(r.Notices) {
			dst = appendCount(dst, "notice_count", int64(r.NoticeCount))
		}
	}
	dst = appendIf(dst, "authentication", r.Authentication)
	dst = appendIf(dst, "encryption", r.Encryption)
	dst = appendPairs(dst, "settings", r.Settings)
	if r.Process != 0 {
		dst = appendCount(dst, "process", int64(r.Process))
	}
	if dst = appendIf(dst, "copy", r.Copy); r.Copy != "" || r.Pieces > 0 {
		dst = appendCount(dst, "copied_bytes", r.Copied)
		dst = appendCount(dst, "pieces", r.Pieces)
	}
	if r.Notifications > 0 {
		dst = appendCount(dst, "notifications", int64(r.Notifications))
		dst = appendIf(dst, "channel", r.Channel)
		dst = appendIf(dst, "payload", r.Payload)
	}
	return appendIf(dst, "status", r.Status)
}

// appendJSON appends an error as an object. PostgreSQL's codes are its states.
func (e *SQLError) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"code":`...)
	if e.Number > 0 {
		dst = strconv.AppendInt(dst, int64(e.Number), 10)
		dst = appendIf(dst, "state", e.State)
	} else {
		dst = AppendString(dst, e.State)
	}
	dst = appendIf(dst, "severity", e.Severity)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Message)
	return append(dst, '}')
}

// The ways of logging in that an Authentication message asks for.
const (
	pgAuthOK   = 0
	pgAuthSASL = 10
)

var pgAuths = map[int32]string{
	0: "ok", 2: "kerberos", 3: "password", 5: "md5", 6: "scm", 7: "gss", 8: "gss", 9: "sspi", 10: "sasl", 11: "sasl", 12: "sasl",
}

var pgStates = map[byte]string{'I': "idle", 'T': "in transaction", 'E': "failed transaction"}

// answers takes a message of the server, of which body is what is looked at.
func (p *pgParser) answers(kind byte, body *sqlFields, size int) {
	r := p.resp
	switch kind {
	case 'T':
		p.columns(body)
	case 'D':
		p.row(body)
	case 'C':
		p.take().Tag = clipped(body.text(), maxSQLValue)
		p.push()
	case 'I':
		p.take()
		p.push()
	case 's':
		r.Suspended = true
		p.push()
	case 't':
		if n := int(body.uint16()); p.asked != nil && p.asked.statement != nil {
			types := make([]uint32, 0, min(n, maxSQLColumns))
			for range min(n, maxSQLColumns) {
				types = append(types, body.uint32())
			}
			p.asked.statement.params = types
		}
	case 'E':
		r.Error = body.fault()
		p.push()
	case 'N':
		if r.NoticeCount++; len(r.Notices) < maxSQLNotices {
			r.Notices = append(r.Notices, *body.fault())
		}
	case 'S':
		if len(r.Settings) < maxSQLColumns {
			name := clipped(body.text(), maxSQLValue)
			r.Settings = append(r.Settings, [2]string{name, clipped(body.text(), maxSQLValue)})
		}
	case 'K':
		r.Process = body.uint32() // and the key to cancel with, which is secret
	case 'R':
		p.auth = int32(body.uint32())
		if r.Authentication = pgAuths[p.auth]; p.auth == pgAuthSASL {
			if name := body.text(); name != "" {
				r.Authentication = clipped(strings.ToLower(name), maxSQLValue)
			}
		} else if r.Authentication == "" {
			r.Authentication = strconv.Itoa(int(p.auth))
		}
	case 'A':
		if r.Notifications++; r.Notifications == 1 {
			body.uint32()
			r.Channel, r.Payload = clipped(body.text(), maxSQLValue), clipped(body.text(), maxSQLValue)
		}
	case 'G':
		r.Copy = "in"
	case 'H':
		r.Copy = "out"
	case 'W':
		r.Copy, p.both = "both", true
	case 'd':
		r.Copied += int64(size - pgHeaderLen)
		r.Pieces++
	case 'Z':
		r.Status = pgStates[body.byte()]
	}
}

// answered reports whether a message of that type ends the response.
func (p *pgParser) answered(kind byte) bool {
	r, asked := p.resp, p.asked
	switch kind {
	case 'Z':
		p.failed, p.both = false, false
		return true
	case 'G', 'W':
		return true
	case 'E':
		fatal := r.Error.Severity == "FATAL" || r.Error.Severity == "PANIC"
		if asked != nil && !fatal {
			switch asked.Command {
			case "startup", "authenticate", "ssl", "gss":
				fatal = true // there is nothing behind it
			default:
				p.failed = !asked.sync
			}
		}
		return fatal || p.failed
	case 'R':
		switch p.auth {
		case pgAuthOK, 12: // the server goes on
			return false
		}
		return true
	}
	if p.answer.Alone {
		return true
	}
	if asked == nil || asked.sync || !asked.extended && asked.Command != "copy" {
		return false
	}
	if asked.executed {
		return kind == 'C' || kind == 'I' || kind == 's'
	}
	if strings.IndexByte("123nT", kind) >= 0 {
		p.left--
	}
	return p.left <= 0
}

// answerDone ends the response.
func (p *pgParser) answerDone(why string) *Message {
	m, s := p.answer, &p.sides[flow.ServerToClient]
	p.push()
	s.ends(m, why)
	p.answer, p.resp, p.asked = nil, nil, nil
	return m
}

// take returns the result in progress; it begins one when there is none, of which the
// columns are known from when its statement was described.
func (p *pgParser) take() *pgResult {
	if p.result == nil {
		p.result = new(pgResult)
		if p.asked != nil && p.asked.statement != nil && p.asked.executed {
			p.result.describe(p.asked.statement.result, p.asked.statement.width, p.asked.formats)
		}
	}
	return p.result
}

// push ends the result in progress.
func (p *pgParser) push() {
	if p.result == nil || p.resp == nil {
		p.result = nil
		return
	}
	r := p.resp
	if r.Count++; len(r.Results) < maxSQLResults {
		r.Results = append(r.Results, p.result.SQLResult)
	} else if last := &r.Results[maxSQLResults-1]; p.result.Tag != "" {
		last.Tag = p.result.Tag // what was done last
	}
	p.result = nil
}

// describe sets the columns of a result, and whether they are binary.
func (r *pgResult) describe(columns []pgColumn, width int, formats []bool) {
	r.Width, r.Columns = width, make([]string, len(columns))
	r.columns = make([]pgColumn, len(columns))
	for i, c := range columns {
		if len(formats) > 0 {
			c.binary = formatOf(formats, i)
		}
		r.Columns[i], r.columns[i] = c.name, c
	}
}

// columns takes a RowDescription.
func (p *pgParser) columns(body *sqlFields) {
	p.push()
	n := int(body.uint16())
	columns := make([]pgColumn, 0, min(n, maxSQLColumns))
	for range min(n, maxSQLColumns) {
		c := pgColumn{name: clipped(body.text(), maxSQLValue)}
		body.take(6)
		c.typ = body.uint32()
		body.take(6)
		c.binary = body.uint16() == 1
		if body.bad {
			break
		}
		columns = append(columns, c)
	}
	var formats []bool
	if a := p.asked; a != nil && a.statement != nil {
		a.statement.result, a.statement.width = columns, n
		if a.executed {
			formats = a.formats
		}
	}
	p.result = new(pgResult)
	p.result.describe(columns, n, formats)
}

// row takes a DataRow.
func (p *pgParser) row(body *sqlFields) {
	r := p.take()
	p.resp.Rows++
	if r.Rows++; len(r.First) >= maxSQLRows {
		return
	}
	n := int(body.uint16())
	r.Width = max(r.Width, n)
	row := make([]SQLValue, 0, min(n, maxSQLColumns))
	for i := range min(n, maxSQLColumns) {
		size := int32(body.uint32())
		if body.bad {
			break
		}
		c := pgColumn{binary: p.asked != nil && formatOf(p.asked.formats, i)}
		if i < len(r.columns) {
			c = r.columns[i]
		}
		row = append(row, c.value(size, body))
	}
	r.First = append(r.First, row)
}

// value reads a value of n bytes; fewer than none is NULL.
func (c *pgColumn) value(n int32, body *sqlFields) SQLValue {
	if n < 0 {
		return SQLValue{Null: true}
	}
	b, cut := body.upTo(int(n))
	if !c.binary {
		return keepValue(b, cut)
	}
	if !cut {
		switch text, ok := pgBinary(c.typ, b); {
		case ok:
			return SQLValue{Text: text}
		case c.typ == 3802 && len(b) > 0: // jsonb, behind its version
			return keepValue(b[1:], false)
		}
	}
	switch c.typ {
	case 18, 19, 25, 114, 142, 705, 1042, 1043: // kinds of text
		return keepValue(b, cut)
	}
	return keepBinary(b, cut)
}

// pgBinary writes a value of a common type, by its object id (pg_type.dat).
func pgBinary(typ uint32, b []byte) (string, bool) {
	switch {
	case typ == 16 && len(b) == 1:
		return strconv.FormatBool(b[0] != 0), true
	case typ == 21 && len(b) == 2:
		return strconv.Itoa(int(int16(binary.BigEndian.Uint16(b)))), true
	case typ == 23 && len(b) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(b)))), true
	case typ == 26 && len(b) == 4:
		return strconv.FormatUint(uint64(binary.BigEndian.Uint32(b)), 10), true
	case typ == 20 && len(b) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10), true
	case typ == 700 && len(b) == 4:
		return strconv.FormatFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 'g', -1, 32), true
	case typ == 701 && len(b) == 8:
		return strconv.FormatFloat(math.Float64frombits(binary.BigEndian.Uint64(b)), 'g', -1, 64), true
	case typ == 2950 && len(b) == 16:
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), true
	case typ == 1082 && len(b) == 4: // days since 2000
		days := int64(int32(binary.BigEndian.Uint32(b)))
		return pgEpoch.AddDate(0, 0, int(days)).Format(time.DateOnly), true
	case (typ == 1114 || typ == 1184) && len(b) == 8: // microseconds since 2000
		us := int64(binary.BigEndian.Uint64(b))
		if us == math.MaxInt64 || us == math.MinInt64 {
			return "infinity", true
		}
		t := time.UnixMicro(us/2 + pgEpoch.UnixMicro()/2).UTC()
		t = t.Add(t.Sub(pgEpoch)).Add(time.Duration(us%2) * time.Microsecond)
		return t.Format("2006-01-02 15:04:05.999999"), true
	}
	return "", false
}

var pgEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// clipped keeps the beginning of a text.
func clipped(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.Clone(s[:n])
}

// sqlFields reads the fields of a message, which may be cut. What is not there is
// zero, and bad.
type sqlFields struct {
	data []byte
	cut  bool
	bad  bool
}

// take returns the next n bytes.
func (f *sqlFields) take(n int) []byte {
	if n < 0 || n > len(f.data) {
		f.data, f.bad = nil, true
		return nil
	}
	b := f.data[:n]
	f.data = f.data[n:]
	return b
}

// upTo returns the next n bytes, or what is there of them, and whether some are not.
func (f *sqlFields) upTo(n int) ([]byte, bool) {
	if n > len(f.data) {
		b := f.data
		f.data, f.bad = nil, true
		return b, true
	}
	return f.take(n), false
}

func (f *sqlFields) byte() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *sqlFields) uint16() uint16 {
	if b := f.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (f *sqlFields) uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// text returns a text that ends with a zero; all that is there without one.
func (f *sqlFields) text() string {
	i := bytes.IndexByte(f.data, 0)
	if i < 0 {
		s := string(f.data)
		f.data, f.bad = nil, true
		return s
	}
	s := string(f.data[:i])
	f.data = f.data[i+1:]
	return s
}

// formats reads a list of formats: whether each is binary. It keeps as many as there
// are values.
func (f *sqlFields) formats() []bool {
	n := int(f.uint16())
	b := f.take(2 * n)
	formats := make([]bool, 0, min(n, maxSQLColumns))
	for i := 0; i+1 < len(b) && len(formats) < maxSQLColumns; i += 2 {
		formats = append(formats, b[i+1] == 1)
	}
	return formats
}

// fault reads an error or a notice: fields of one letter and a text (section "Error
// and Notice Message Fields").
func (f *sqlFields) fault() *SQLError {
	e := new(SQLError)
	for !f.bad {
		field := f.byte()
		if field == 0 {
			break
		}
		text := f.text()
		switch field {
		case 'S':
			if e.Severity == "" {
				e.Severity = clipped(text, maxSQLValue)
			}
		case 'V': // not in the server's language
			e.Severity = clipped(text, maxSQLValue)
		case 'C':
			e.State = clipped(text, 5)
		case 'M':
			e.Message = clipped(text, maxPgSmall)
		}
	}
	return e
}
