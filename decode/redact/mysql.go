package redact

import (
	"encoding/binary"

	"netlab/decode/proto"
)

const inMySQL = "mysql"

// Of the packets of MySQL (MySQL Internals, chapter "Client/Server Protocol").
const (
	mysqlHead, maxMySQLPacket          = 4, 1<<24 - 1
	mysqlFixedLogin, mysqlSSLLen       = 32, 32
	mysqlDB, mysqlSecure               = 1 << 3, 1 << 15
	mysqlPlugin, mysqlAttrs            = 1 << 19, 1 << 20
	mysqlLenenc                        = 1 << 21
	mysqlOK, mysqlNULL, mysqlEOF, mERR = 0x00, 0xfb, 0xfe, 0xff
	mysqlNamed                         = 8
)

// mysqlColumn is a column of a result.
type mysqlColumn struct {
	name string
	typ  byte
}

// mysqlMessage is a packet of MySQL that is written anew.
type mysqlMessage struct {
	fields
	columns []mysqlColumn
	rows    bool // what follows are rows
}

// mysql looks at the packets of a request or of a response.
func (f *finder) mysql(m *proto.Message) int {
	request, _ := m.Body.(*proto.MySQLRequest)
	response, _ := m.Body.(*proto.MySQLResponse)
	x := &mysqlMessage{}
	for at, n := 0, 0; at < len(f.raw); n++ {
		if len(f.raw)-at < mysqlHead {
			return 0
		}
		size := int(f.raw[at]) | int(f.raw[at+1])<<8 | int(f.raw[at+2])<<16
		if size > len(f.raw)-at-mysqlHead || size == maxMySQLPacket {
			return 0
		}
		x.fields = fields{finder: f, place: inMySQL, in: f.raw[at+mysqlHead : at+mysqlHead+size]}
		switch {
		case size == 0:
		case request != nil:
			x.asked(request, n)
		default:
			x.answered(response, n)
		}
		if x.bad || x.at != size || len(x.out) >= maxMySQLPacket {
			f.changes = f.changes[:0]
			return 0
		}
		x.search()
		if f.editing() && string(x.out) != string(x.in) {
			head := []byte{byte(len(x.out)), byte(len(x.out) >> 8), byte(len(x.out) >> 16), f.raw[at+3]}
			f.change(at, at+mysqlHead+size, string(append(head, x.out...)))
		}
		at += mysqlHead + size
	}
	return len(f.raw)
}

// lenenc reads a number of one to nine bytes, without writing it; false for NULL.
func (x *fields) lenenc() (int, bool) {
	b := x.take(1)
	switch {
	case b == nil:
		return 0, false
	case b[0] < mysqlNULL:
		return int(b[0]), true
	case b[0] == mysqlNULL || b[0] == 0xff:
		return 0, false
	}
	n, size := 0, map[byte]int{0xfc: 2, 0xfd: 3, 0xfe: 8}[b[0]]
	for i, c := range x.take(size) {
		if i < 4 {
			n |= int(c) << (8 * i)
		} else if c != 0 {
			x.bad = true
		}
	}
	return n, true
}

// appendLenenc appends such a number.
func appendLenenc(dst []byte, n int) []byte {
	switch {
	case n < mysqlNULL:
		return append(dst, byte(n))
	case n <= 0xffff:
		return append(dst, 0xfc, byte(n), byte(n>>8))
	case n <= 0xffffff:
		return append(dst, 0xfd, byte(n), byte(n>>8), byte(n>>16))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 0xfe), uint64(n))
}

// lenencValue writes what f does of a value that has its length before it, or NULL.
func (x *fields) lenencValue(f func(n int)) {
	at := x.at
	n, ok := x.lenenc()
	if !ok && !x.bad {
		x.out = append(x.out, x.in[at:x.at]...)
		return
	}
	if n > x.left() {
		x.bad = true
	}
	if x.bad {
		return
	}
	before := x.out
	x.out = nil
	f(n)
	x.out = append(appendLenenc(before, len(x.out)), x.out...)
}

// text writes such a value, which stands for what name says.
func (x *mysqlMessage) text(name string) {
	x.lenencValue(func(n int) { x.value(name, n) })
}

// asked writes the n-th packet of a request.
func (x *mysqlMessage) asked(r *proto.MySQLRequest, n int) {
	switch r.Command {
	case "ssl":
		x.copy(x.left())
		return
	case "login":
		x.login()
		return
	case "authenticate", "change user":
		x.random(x.left())
		return
	case "local file":
		x.value("", x.left())
		return
	}
	if n > 0 {
		x.value("", x.left())
		return
	}
	switch kind := x.copy(1); kind[0] {
	case 0x03:
		if x.left() > 2 && x.in[1] == 0 && x.in[2] == 1 { // no attributes, in one set
			x.copy(2)
		}
		x.value("", x.left())
	case 0x16:
		x.value("", x.left())
	case 0x17:
		x.execute(r.ParameterCount)
	case 0x18:
		x.copy(6)
		x.value("", x.left())
	default:
		x.copy(x.left())
	}
}

// login writes who a client is.
func (x *mysqlMessage) login() {
	head := x.copy(mysqlFixedLogin)
	if head == nil {
		return
	}
	caps := binary.LittleEndian.Uint32(head)
	x.hide(User, x.cstring())
	x.copy(1)
	switch {
	case caps&mysqlLenenc != 0:
		x.lenencValue(x.random)
	case caps&mysqlSecure != 0:
		x.sized(1, x.random)
	default:
		x.random(x.cstring())
		x.copy(1)
	}
	if caps&mysqlDB != 0 && x.left() > 0 {
		x.copy(x.cstring() + 1)
	}
	if caps&mysqlPlugin != 0 && x.left() > 0 {
		x.copy(x.cstring() + 1)
	}
	if caps&mysqlAttrs != 0 && x.left() > 0 {
		x.lenencValue(func(n int) {
			for end := x.at + n; x.at < end && !x.bad; {
				x.text("")
			}
		})
	}
	x.copy(x.left())
}

// execute writes the parameters of a prepared statement. Of those whose types were said before,
// nothing is known.
func (x *mysqlMessage) execute(count int) {
	x.copy(4)
	flags := x.copy(1)
	x.copy(4)
	if flags == nil || x.left() == 0 {
		return
	}
	named := flags[0]&mysqlNamed != 0
	if named {
		at := x.at
		count, _ = x.lenenc()
		x.out = append(x.out, x.in[at:x.at]...)
	}
	nulls := x.copy((count + 7) / 8)
	bound := x.copy(1)
	if bound == nil || bound[0] != 1 || count > x.left() {
		x.unknown()
		return
	}
	columns := make([]mysqlColumn, count)
	for i := range columns {
		if typ := x.copy(2); typ != nil {
			columns[i].typ = typ[0]
		}
		if named {
			x.lenencValue(func(n int) {
				if n <= x.left() {
					columns[i].name = string(x.in[x.at : x.at+n])
				}
				x.copy(n)
			})
		}
	}
	for i := range columns {
		if !x.bad && nulls[i/8]>>(i%8)&1 == 0 {
			x.binary(columns[i])
		}
	}
	x.copy(x.left())
}

// unknown blanks what is left.
func (x *mysqlMessage) unknown() {
	if x.editing() && x.left() > 0 {
		x.z.blank("values of MySQL whose types are not known", int64(x.left()))
	}
	x.out = appendBlank(x.out, x.take(x.left()))
}

// binary writes a value in the form that prepared statements have.
func (x *mysqlMessage) binary(c mysqlColumn) {
	switch c.typ {
	case 1: // tiny
		x.copy(1)
	case 2, 13: // short, year
		x.copy(2)
	case 3, 4, 9: // long, float, int24
		x.copy(4)
	case 5, 8: // double, long long
		x.copy(8)
	case 7, 10, 11, 12: // times
		if n := x.copy(1); n != nil {
			x.copy(int(n[0]))
		}
	case 6: // null
	default:
		x.text(c.name)
	}
}

// answered writes the n-th packet of a response.
func (x *mysqlMessage) answered(r *proto.MySQLResponse, n int) {
	switch first := x.in[0]; {
	case r.Version != "" && n == 0: // the greeting
		x.copy(x.left())
	case r.Login != "" || r.Plugin != "":
		x.copy(x.left())
	case r.Text != "":
		x.value("", x.left())
	case first == mERR:
		x.copy(3)
		if x.left() > 6 && x.in[x.at] == '#' {
			x.copy(6)
		}
		x.value("", x.left())
	case first == mysqlEOF && x.left() < 9:
		x.rows = len(x.columns) > 0 && !x.rows
		if !x.rows {
			x.columns = nil
		}
		x.copy(x.left())
	case len(x.in) > 4 && string(x.in[:4]) == "\x03def" && !x.rows:
		x.column()
	case len(x.columns) > 0 && x.isRow():
		x.rows = true
		for i := range x.columns {
			x.text(x.columns[i].name)
		}
	case len(x.columns) > 0 && first == mysqlOK && r.Rows > 0:
		x.rows = true
		x.binaryRow()
	case x.left() <= 9: // how many columns there are
		x.copy(x.left())
	case first == mysqlOK:
		x.ok()
	default:
		x.unknown()
	}
}

// isRow reports whether a packet is as many texts as there are columns, and no more.
func (x *mysqlMessage) isRow() bool {
	y := fields{finder: x.finder, in: x.in}
	for range x.columns {
		n, ok := y.lenenc()
		if !ok && (y.bad || x.in[y.at-1] != mysqlNULL) {
			return false
		}
		y.take(n)
	}
	return !y.bad && y.left() == 0
}

// column takes note of a column, and copies what is said of it.
func (x *mysqlMessage) column() {
	y := fields{finder: x.finder, in: x.in}
	var c mysqlColumn
	for i := range 6 { // catalog, schema, table, its name, name, its name
		n, _ := y.lenenc()
		if b := y.take(n); i == 4 {
			c.name = string(b)
		}
	}
	if rest := y.take(8); rest != nil {
		c.typ = rest[7]
	}
	if !y.bad && len(x.columns) < 1<<12 {
		x.columns = append(x.columns, c)
	}
	x.copy(x.left())
}

// binaryRow writes a row of a prepared statement: which values are NULL, and the others.
func (x *mysqlMessage) binaryRow() {
	x.copy(1)
	nulls := x.copy((len(x.columns) + 7 + 2) / 8)
	for i := range x.columns {
		if !x.bad && nulls[(i+2)/8]>>((i+2)%8)&1 == 0 {
			x.binary(x.columns[i])
		}
	}
}

// ok writes how a command went, with a text.
func (x *mysqlMessage) ok() {
	x.copy(1)
	for range 2 {
		at := x.at
		x.lenenc()
		x.out = append(x.out, x.in[min(at, len(x.in)):x.at]...)
	}
	x.copy(4)
	if x.bad {
		return
	}
	x.value("", x.left())
}
