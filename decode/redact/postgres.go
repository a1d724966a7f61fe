package redact

import (
	"encoding/binary"
	"strings"
)

const inPostgres = "postgres"

// Codes in the place of a version (PostgreSQL documentation, "Message Formats").
const pgCancel, pgSSL, pgGSS = 80877102, 80877103, 80877104

// postgres looks at the messages of a request or of a response. Those before an encryption, one byte
// or two numbers, hold nothing.
func (f *finder) postgres(client bool) int {
	if len(f.raw) == 1 {
		return 1
	}
	var columns []string
	for at := 0; at < len(f.raw); {
		head := 5
		if client && at == 0 && f.raw[0] == 0 {
			head = 4
		}
		if len(f.raw)-at < head {
			return 0
		}
		n := head - 4 + int(binary.BigEndian.Uint32(f.raw[at+head-4:]))
		if n < head || n > len(f.raw)-at {
			return 0
		}
		x := &pgMessage{fields{finder: f, place: inPostgres, in: f.raw[at : at+n]}, columns}
		if head == 5 {
			x.copy(1)
		}
		x.at += 4 // of the length, which is put right
		x.out = append(x.out, 0, 0, 0, 0)
		switch {
		case head == 4:
			x.startup()
		case client:
			x.asked(x.in[0])
		default:
			x.answered(x.in[0])
		}
		binary.BigEndian.PutUint32(x.out[head-4:], uint32(len(x.out)-head+4))
		if !x.done(at) {
			f.changes = f.changes[:0]
			return 0
		}
		columns = x.columns
		at += n
	}
	return len(f.raw)
}

// pgMessage is a message of PostgreSQL that is written anew.
type pgMessage struct {
	fields
	columns []string // of the rows
}

// startup writes how a connection begins.
func (x *pgMessage) startup() {
	switch x.number(4) {
	case pgSSL, pgGSS:
		return
	case pgCancel:
		x.copy(4)
		x.random(x.left())
		return
	}
	for x.left() > 1 && !x.bad {
		name := x.terminated("")
		if n := x.cstring(); name == "user" {
			x.hide(User, n)
			x.copy(1)
		} else {
			x.terminated(name)
		}
	}
	x.copy(x.left())
}

// asked writes what a client says.
func (x *pgMessage) asked(kind byte) {
	switch kind {
	case 'Q':
		x.terminated("")
	case 'P':
		x.copy(x.cstring() + 1)
		x.terminated("")
		x.copy(x.left())
	case 'B':
		x.bind()
	case 'p':
		x.password()
	case 'd':
		x.value("", x.left())
	case 'F':
		x.random(x.left())
	case 'f':
		x.terminated("")
	default: // names and numbers
		x.copy(x.left())
	}
}

// bind writes parameters.
func (x *pgMessage) bind() {
	x.copy(x.cstring() + 1)
	x.copy(x.cstring() + 1)
	x.copy(2 * x.number(2))
	x.cells(nil)
	x.copy(x.left())
}

// cells writes values, each with its length before it, and their number before all.
func (x *pgMessage) cells(names []string) {
	for i := range x.number(2) {
		if x.bad || x.left() < 4 {
			x.bad = true
			return
		}
		if binary.BigEndian.Uint32(x.in[x.at:]) == 0xffffffff { // NULL
			x.copy(4)
			continue
		}
		name := ""
		if i < len(names) {
			name = names[i]
		}
		x.sized(4, func(n int) { x.value(name, n) })
	}
}

// password writes another password, or another answer to a challenge of SCRAM (RFC 5802).
func (x *pgMessage) password() {
	text := string(x.in[x.at:])
	if mechanism, _, ok := strings.Cut(text, "\x00"); ok && strings.HasPrefix(mechanism, "SCRAM-") {
		x.copy(len(mechanism) + 1)
		x.sized(4, func(n int) { x.scram(n) })
		return
	}
	if strings.HasSuffix(text, "\x00") {
		x.hide(Password, x.left()-1)
		x.copy(1)
		return
	}
	x.scram(x.left())
}

// scram writes what both sides say of SCRAM, with other nonces, salts and proofs.
func (x *pgMessage) scram(n int) {
	b := x.take(n)
	list := strings.Split(string(b), ",")
	for i, s := range list {
		if len(s) > 2 && s[1] == '=' && strings.IndexByte("rspvn", s[0]) >= 0 {
			list[i] = s[:2] + x.z.names.plain(s[2:])
		}
	}
	if !x.editing() {
		x.out = append(x.out, b...)
		return
	}
	x.z.count(Password, x.place)
	x.out = append(x.out, strings.Join(list, ",")...)
}

// answered writes what a server says.
func (x *pgMessage) answered(kind byte) {
	switch kind {
	case 'T':
		x.describe()
	case 'D':
		x.cells(x.columns)
	case 'E', 'N':
		for x.left() > 1 && !x.bad {
			x.copy(1)
			x.terminated("")
		}
		x.copy(x.left())
	case 'S':
		name := x.terminated("")
		x.terminated(name)
	case 'K':
		x.copy(4)
		x.random(x.left())
	case 'A':
		x.copy(4)
		x.terminated("")
		x.terminated("")
	case 'd':
		x.value("", x.left())
	case 'V', 'c', 'Z', 'C', '1', '2', '3', 'n', 's', 't', 'I', 'G', 'H', 'W', 'v':
		x.copy(x.left())
	case 'R':
		if x.number(4) >= 11 {
			x.scram(x.left())
			return
		}
		x.copy(x.left())
	default:
		x.bad = true
	}
}

// describe takes note of the columns, and writes them.
func (x *pgMessage) describe() {
	x.columns = nil
	for range x.number(2) {
		n := x.cstring()
		if x.bad {
			return
		}
		x.columns = append(x.columns, string(x.in[x.at:x.at+n]))
		x.copy(n + 1)
		x.copy(18)
	}
}
