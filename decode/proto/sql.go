package proto

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"netlab/decode/flow"
)

// What databases answer has one shape, whichever speaks: results with their columns,
// the number of rows, and the first few of these. A result may have millions of rows:
// they are counted as they pass.

// Bounds of what is kept of a request or a response of a database.
const (
	maxSQLText    = 64 << 10 // a query
	maxSQLRows    = 3        // the first rows of a result
	maxSQLColumns = 64       // names of columns, values of a row, parameters
	maxSQLValue   = 256      // a value, or the name of a column
	maxSQLResults = 8        // results of one response; the others are counted
	maxSQLShape   = 256      // what Endpoint returns
	maxSQLShapeIn = 4 << 10  // how much of a query is looked at for it
	maxSQLNotices = 4        // of one response
)

// sqlSide is what is known of a direction of a connection.
type sqlSide struct {
	left    int64 // of the message in progress, behind what was looked at
	lost    bool  // the place in the stream is lost
	missing int64 // of the request or response, not captured
}

// pass returns how much of data is of the message in progress, and whether that is over.
func (s *sqlSide) pass(data []byte) (n int, over bool) {
	n = int(min(s.left, int64(len(data))))
	s.left -= int64(n)
	return n, s.left == 0
}

// ends ends a request or response, and says why it is not whole, if it is not.
func (s *sqlSide) ends(m *Message, why string) {
	if why == "" && s.missing > 0 {
		why = fmt.Sprintf("%d bytes were not captured", s.missing)
	}
	m.Complete, m.Why, s.missing = why == "", why, 0
}

const endsInside = "the connection ended inside the message"

// orSkipped returns a message; where there is none, one that says that bytes were passed over.
func orSkipped(d flow.Direction, m *Message) *Message {
	if m == nil {
		return &Message{Direction: d, Kind: Skipped}
	}
	return m
}

// SQLValue is a parameter or a value of a row.
type SQLValue struct {
	Text string // at most 256 bytes; binary values of unknown types in hexadecimal digits
	Null bool
	Cut  bool // there was more of it
}

// SQLResult is one of the results in a response.
type SQLResult struct {
	Columns []string // the names of the first 64
	Width   int      // how many columns there are
	Rows    int64
	First   [][]SQLValue // the first 3 rows, 64 values of each
	Tag     string       // what PostgreSQL says that it did: "INSERT 0 1"
	// Affected is how many rows were changed, and HasAffected whether that was said.
	Affected    int64
	HasAffected bool
}

// SQLError is why a request failed, or a notice.
type SQLError struct {
	Severity string // PostgreSQL only
	Number   int    // MySQL only
	State    string // five letters and digits of the SQL standard
	Message  string
}

func (r *SQLResult) held() int {
	n := 128 + len(r.Tag)
	for _, c := range r.Columns {
		n += 16 + len(c)
	}
	for _, row := range r.First {
		n += heldValues(row)
	}
	return n
}

func heldValues(vs []SQLValue) int {
	n := 24 * len(vs)
	for i := range vs {
		n += len(vs[i].Text)
	}
	return n
}

// keepValue keeps the beginning of a value that is text.
func keepValue(b []byte, cut bool) SQLValue {
	if len(b) > maxSQLValue {
		b, cut = b[:maxSQLValue], true
	}
	return SQLValue{Text: string(b), Cut: cut}
}

// keepBinary keeps the beginning of a value that is no text, in the form that
// PostgreSQL writes it.
func keepBinary(b []byte, cut bool) SQLValue {
	if len(b) > maxSQLValue/2-1 {
		b, cut = b[:maxSQLValue/2-1], true
	}
	text := make([]byte, 0, 2+2*len(b))
	text = append(text, `\x`...)
	for _, c := range b {
		text = append(text, hexDigits[c>>4], hexDigits[c&15])
	}
	return SQLValue{Text: string(text), Cut: cut}
}

// appendResults appends what AppendJSON of both databases begins with: the number of rows in
// all results, the columns of the first that has any, and what was done last.
func appendResults(dst []byte, results []SQLResult, count int, rows int64) []byte {
	dst = append(dst, `"rows":`...)
	dst = strconv.AppendInt(dst, rows, 10)
	for i := range results {
		if r := &results[i]; r.Width > 0 {
			dst = append(dst, ',')
			dst = appendColumns(dst, r)
			break
		}
	}
	if count > 1 {
		dst = append(dst, `,"result_count":`...)
		dst = strconv.AppendInt(dst, int64(count), 10)
		dst = append(dst, `,"results":[`...)
		for i := range results {
			if i > 0 {
				dst = append(dst, ',')
			}
			r := &results[i]
			dst = append(dst, `{"rows":`...)
			dst = strconv.AppendInt(dst, r.Rows, 10)
			if r.Width > 0 {
				dst = append(dst, ',')
				dst = appendColumns(dst, r)
			}
			if r.Tag != "" {
				dst = append(dst, `,"tag":`...)
				dst = AppendString(dst, r.Tag)
			}
			dst = appendAffected(dst, r)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return dst
}

func appendAffected(dst []byte, r *SQLResult) []byte {
	if r.HasAffected {
		dst = append(dst, `,"affected":`...)
		dst = strconv.AppendInt(dst, r.Affected, 10)
	}
	return dst
}

// appendColumns appends the names of the columns and the first rows.
func appendColumns(dst []byte, r *SQLResult) []byte {
	dst = append(dst, `"columns":[`...)
	for i, c := range r.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, c)
	}
	dst = append(dst, ']')
	if r.Width > len(r.Columns) {
		dst = append(dst, `,"column_count":`...)
		dst = strconv.AppendInt(dst, int64(r.Width), 10)
	}
	if len(r.First) == 0 {
		return dst
	}
	dst = append(dst, `,"first_rows":[`...)
	for i, row := range r.First {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValues(dst, row)
	}
	return append(dst, ']')
}

// appendValues appends a list of values as texts; one that was cut ends in an ellipsis.
func appendValues(dst []byte, vs []SQLValue) []byte {
	dst = append(dst, '[')
	for i := range vs {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch v := &vs[i]; {
		case v.Null:
			dst = append(dst, "null"...)
		case v.Cut:
			dst = AppendString(dst, v.Text+"…")
		default:
			dst = AppendString(dst, v.Text)
		}
	}
	return append(dst, ']')
}

// sqlCount is a number of rows as people say it.
func sqlCount(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return strconv.FormatInt(n, 10) + " rows"
}

// sqlFamily says whose SQL it is, where they differ in what is a literal.
type sqlFamily uint8

const (
	sqlPostgres sqlFamily = iota // "a" is a name, $tag$…$tag$ a text, $1 a parameter
	sqlMySQL                     // "a" is a text, \ escapes in it, # begins a comment
)

// sqlShape returns a query with its literals and parameters as ?, lists of these as
// one, without comments, and with one space where there was any number. It is the
// same for queries that differ in values only. It looks at 4 KiB of the query and
// returns 256 bytes at most.
func sqlShape(query string, family sqlFamily) string {
	q := query[:min(len(query), maxSQLShapeIn)]
	s := sqlShaper{dst: make([]byte, 0, min(len(q), maxSQLShape)+8)}
	for i := 0; i < len(q) && len(s.dst) <= maxSQLShape; {
		n := 1
		switch c := q[i]; {
		case isSQLSpace(c):
			s.space = true
		case c == '-' && strings.HasPrefix(q[i:], "--"), c == '#' && family == sqlMySQL:
			if n = strings.IndexByte(q[i:], '\n'); n < 0 {
				n = len(q) - i
			}
			s.space = true
		case family == sqlMySQL && (strings.HasPrefix(q[i:], "/*!") || strings.HasPrefix(q[i:], "/*M!")):
			n = strings.IndexByte(q[i:], '!') + 1 // what is in it is meant; a version may be first
			for i+n < len(q) && isDigit(q[i+n]) {
				n++
			}
			s.space = true
		case family == sqlMySQL && strings.HasPrefix(q[i:], "*/"):
			n, s.space = 2, true
		case strings.HasPrefix(q[i:], "/*"):
			if n = strings.Index(q[i+2:], "*/") + 4; n < 4 {
				n = len(q) - i
			}
			s.space = true
		case c == '\'', c == '"' && family == sqlMySQL:
			n = quotedLen(q[i:], family == sqlMySQL || s.takePrefix())
			s.literal()
		case c == '"', c == '`':
			n = quotedLen(q[i:], false)
			s.text(q[i : i+n])
		case c == '$' && family == sqlPostgres && !s.inWord():
			if n = dollarLen(q[i:]); n > 0 {
				s.literal()
			} else {
				n = 1
				s.text(q[i : i+n])
			}
		case c == '?' && family == sqlMySQL:
			s.literal()
		case (isDigit(c) || c == '.' && i+1 < len(q) && isDigit(q[i+1]) && !s.inWord()) && !s.inWord():
			n = numberLen(q[i:])
			s.literal()
		case isSQLWord(c):
			for n < len(q)-i && isSQLWord(q[i+n]) {
				n++
			}
			s.text(q[i : i+n])
		default:
			s.text(q[i : i+1])
		}
		i += n
	}
	dst := s.dst
	for len(dst) > 0 && (dst[len(dst)-1] == ';' || dst[len(dst)-1] == ' ') {
		dst = dst[:len(dst)-1]
	}
	if len(dst) > maxSQLShape || len(query) > maxSQLShapeIn {
		dst = dst[:min(len(dst), maxSQLShape)]
		for len(dst) > 0 && !utf8.Valid(dst[max(0, len(dst)-utf8.UTFMax):]) && dst[len(dst)-1] >= utf8.RuneSelf {
			dst = dst[:len(dst)-1] // half a letter
		}
		return string(dst) + "…"
	}
	return string(dst)
}

// sqlShaper writes a shape.
type sqlShaper struct {
	dst   []byte
	space bool // there was white space
}

func isSQLSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// isSQLWord reports whether c is part of a name or a key word.
func isSQLWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || isDigit(c) || c >= utf8.RuneSelf
}

// inWord reports whether what comes next would go on with a word.
func (s *sqlShaper) inWord() bool {
	return !s.space && len(s.dst) > 0 && isSQLWord(s.dst[len(s.dst)-1])
}

// text appends a piece that is no literal.
func (s *sqlShaper) text(t string) {
	if s.space && len(s.dst) > 0 && t != "," && t != ")" && t != ";" && s.dst[len(s.dst)-1] != '(' {
		s.dst = append(s.dst, ' ')
	}
	s.space = false
	s.dst = append(s.dst, t...)
	// (?), (?) is one row more of the same.
	if t == ")" {
		for _, two := range []string{"(?),(?)", "(?), (?)"} {
			if strings.HasSuffix(string(s.dst[max(0, len(s.dst)-len(two)):]), two) {
				s.dst = s.dst[:len(s.dst)-len(two)+len("(?)")]
			}
		}
	}
}

// literal appends one; behind a comma and another it is the same list.
func (s *sqlShaper) literal() {
	if n := len(s.dst); n >= 2 && s.dst[n-1] == ',' && s.dst[n-2] == '?' {
		s.dst, s.space = s.dst[:n-1], false
		return
	}
	s.text("?")
}

// takePrefix takes back the E, B, X or N before a text, and says whether \ escapes
// in it (PostgreSQL, section 4.1.2.2).
func (s *sqlShaper) takePrefix() bool {
	n := len(s.dst)
	if s.space || n == 0 || n > 1 && isSQLWord(s.dst[n-2]) {
		return false
	}
	switch s.dst[n-1] | 0x20 {
	case 'e':
		s.dst = s.dst[:n-1]
		s.restoreSpace()
		return true
	case 'b', 'x', 'n':
		s.dst = s.dst[:n-1]
		s.restoreSpace()
	}
	return false
}

// restoreSpace makes a space at the end one that is still to be written.
func (s *sqlShaper) restoreSpace() {
	if n := len(s.dst); n > 0 && s.dst[n-1] == ' ' {
		s.dst, s.space = s.dst[:n-1], true
	}
}

// quotedLen returns the length of a quoted text or name, or of all when it has no
// end. Two quotation marks in it stand for one.
func quotedLen(q string, escapes bool) int {
	for i := 1; i < len(q); i++ {
		switch {
		case q[i] == '\\' && escapes:
			i++
		case q[i] == q[0] && i+1 < len(q) && q[i+1] == q[0]:
			i++
		case q[i] == q[0]:
			return i + 1
		}
	}
	return len(q)
}

// dollarLen returns the length of a parameter or of a text in dollars, 0 when it is
// neither.
func dollarLen(q string) int {
	n := 1
	for n < len(q) && isSQLWord(q[n]) {
		n++
	}
	switch {
	case n > 1 && isDigit(q[1]):
		return n
	case n == len(q) || q[n] != '$':
		return 0
	}
	tag := q[:n+1]
	if i := strings.Index(q[n+1:], tag); i >= 0 {
		return n + 1 + i + len(tag)
	}
	return len(q)
}

// numberLen returns the length of a number.
func numberLen(q string) int {
	n := 1
	for n < len(q) {
		c := q[n]
		sign := (c == '+' || c == '-') && q[n-1]|0x20 == 'e' && !strings.HasPrefix(q, "0x")
		if !isSQLWord(c) && c != '.' && !sign {
			break
		}
		n++
	}
	return n
}

// Words for the first of a query, by which it is known for one where nothing else
// tells.
var sqlWords = map[string]bool{
	"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true, "BEGIN": true, "COMMIT": true, "ROLLBACK": true,
	"SET": true, "SHOW": true, "CREATE": true, "DROP": true, "ALTER": true, "WITH": true, "START": true, "TRUNCATE": true,
	"EXPLAIN": true, "CALL": true, "LOCK": true, "USE": true, "REPLACE": true, "ANALYZE": true, "VACUUM": true, "COPY": true,
	"DECLARE": true, "FETCH": true, "CLOSE": true, "LISTEN": true, "NOTIFY": true, "SAVEPOINT": true, "RELEASE": true,
	"END": true, "ABORT": true, "GRANT": true, "REVOKE": true, "DO": true, "PREPARE": true, "EXECUTE": true,
	"DEALLOCATE": true, "VALUES": true, "MERGE": true, "DISCARD": true, "RESET": true, "DESCRIBE": true, "DESC": true,
	"XA": true, "LOAD": true, "KILL": true, "FLUSH": true, "OPTIMIZE": true, "UNLISTEN": true, "CHECKPOINT": true,
}

// beginsSQL reports whether a text begins with a word that a query may begin with,
// behind comments and brackets.
func beginsSQL(q string) bool {
	for {
		q = strings.TrimLeft(q, " \t\r\n(")
		end := 0
		switch {
		case strings.HasPrefix(q, "/*"):
			end = strings.Index(q, "*/") + len("*/")
		case strings.HasPrefix(q, "--"):
			end = strings.IndexByte(q, '\n') + 1
		default:
			n := 0
			for n < len(q) && n < 12 && ('a' <= q[n]|0x20 && q[n]|0x20 <= 'z') {
				n++
			}
			return sqlWords[strings.ToUpper(q[:n])] && (n == len(q) || !isSQLWord(q[n]))
		}
		if end < 2 {
			return false
		}
		q = q[end:]
	}
}

// sqlPassword matches a password in a query: PASSWORD 'x', IDENTIFIED BY 'x', and
// PASSWORD('x').
var sqlPassword = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?is)\b((?:password|identified(?:\s+(?:with|via)\s+\S+)?\s+(?:by|as|using))[\s=(]+)('(?:[^'\\]|''|\\.)*'?|"(?:[^"\\]|\\.)*"?)`)
})

// sqlLine is a query for people: its white space folded, without passwords.
func sqlLine(query string) string {
	q := query[:min(len(query), maxSQLShapeIn)]
	q = sqlPassword().ReplaceAllString(q, "$1'***'")
	q = strings.Join(strings.Fields(q), " ")
	if len(query) > maxSQLShapeIn {
		q += "…"
	}
	return q
}

// sqlEndpoint is the shape of a query, or what else is asked for.
func sqlEndpoint(command, shape string) string {
	switch {
	case shape == "":
		return command
	case command == "query" || command == "execute":
		return shape
	}
	return command + " " + shape
}
