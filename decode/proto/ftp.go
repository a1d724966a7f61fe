package proto

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// FTP is the control connection of the File Transfer Protocol (RFC 959).
var FTP = Protocol{
	Name:    "ftp",
	Probe:   probeFTP,
	New:     func(w Waiting) Parser { return &ftpParser{w: w} },
	Unasked: true, // the greeting
	Split:   true,
	Opens:   ftpOpens,
	Uses:    ftpUses,

	Attributes: []Attribute{
		{Name: "ftp.command", About: "as sent", Get: of(requestOf, func(vs []Value, c *FTPCommand) []Value { return AppendText(vs, c.Command) })},
		{Name: "ftp.argument", About: "what stands behind the command", Get: of(requestOf, func(vs []Value, c *FTPCommand) []Value { return AppendText(vs, c.Argument) })},
		{Name: "ftp.code", Kind: Number, About: "of the reply", Get: of(responseOf, func(vs []Value, r *FTPReply) []Value { return AppendNumber(vs, int64(r.Code)) })},
		{Name: "ftp.text", About: "of the reply, without its code", Get: of(responseOf, func(vs []Value, r *FTPReply) []Value { return AppendText(vs, r.Text) })},
	},
}

// maxFTPLine bounds a line; maxFTPReply a reply of several.
const (
	maxFTPLine  = 8 << 10
	maxFTPReply = 64 << 10
)

// ftpCommands are what a client may begin with; a mail server's clients use none
// of these first.
var ftpCommands = map[string]bool{
	"USER": true, "AUTH": true, "FEAT": true, "SYST": true, "OPTS": true, "PASS": true, "HOST": true,
	"CLNT": true, "PBSZ": true, "PROT": true, "CWD": true, "PWD": true, "PORT": true, "PASV": true,
	"EPSV": true, "EPRT": true, "TYPE": true, "RETR": true, "STOR": true, "LIST": true, "SIZE": true,
}

// FTPCommand is what a client says.
type FTPCommand struct{ Command, Argument string }

// Summary is the command; a password is not shown.
func (c *FTPCommand) Summary() string {
	switch {
	case c.Argument == "":
		return c.Command
	case strings.EqualFold(c.Command, "PASS"):
		return c.Command + " ***"
	}
	return c.Command + " " + c.Argument
}

// AppendJSON appends command and argument.
func (c *FTPCommand) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"command":`...)
	dst = AppendString(dst, c.Command)
	dst = append(dst, `,"argument":`...)
	return AppendString(dst, c.Argument)
}

// FTPReply is what a server says.
type FTPReply struct {
	Code int
	Text string // of all lines, without the code in the first and the last
}

// Held returns how much memory the reply has need of.
func (r *FTPReply) Held() int { return len(r.Text) }

// Summary is the code with the first line.
func (r *FTPReply) Summary() string {
	first, more, _ := strings.Cut(r.Text, "\n")
	s := strconv.Itoa(r.Code) + " " + first
	if more != "" {
		s += "…"
	}
	return s
}

// AppendJSON appends code and text.
func (r *FTPReply) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"code":`...)
	dst = strconv.AppendInt(dst, int64(r.Code), 10)
	dst = append(dst, `,"text":`...)
	return AppendString(dst, r.Text)
}

// probeFTP wants a reply from the server and a command from the client: either
// alone could be mail.
func probeFTP(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	server, client := o.First[flow.ServerToClient], o.First[flow.ClientToServer]
	for i := range min(3, len(server)) {
		if !isDigit(server[i]) {
			return NoMatch
		}
	}
	if len(server) > 3 && server[3] != ' ' && server[3] != '-' {
		return NoMatch
	}
	word := client
	if i := bytes.IndexAny(client, " \r\n"); i >= 0 {
		word = client[:i]
	} else if len(client) > 4 {
		return NoMatch
	}
	for _, b := range word {
		if !('A' <= b && b <= 'Z' || 'a' <= b && b <= 'z') {
			return NoMatch
		}
	}
	switch {
	case len(word) < len(client) && !ftpCommands[strings.ToUpper(string(word))]:
		return NoMatch
	case len(server) > 3 && len(word) < len(client) && (bytes.IndexByte(client, '\n') >= 0 || o.Ended[flow.ClientToServer]):
		return Match // only by the end of the line is it known to be no request of HTTP
	case len(server) <= 3 && o.Ended[flow.ServerToClient], len(word) == len(client) && o.Ended[flow.ClientToServer]:
		return NoMatch
	}
	return NeedMore
}

// FTPInside is Message.With of what goes on as FTP inside TLS.
const FTPInside = "ftp"

type ftpParser struct {
	w    Waiting
	lost [2]bool // the next line may be the end of one
	// scanned is how much of the buffer holds no end of a reply.
	scanned int
	// rest is the code of a reply that was given up, or anyCode: its other lines
	// are passed over.
	rest int
}

const anyCode = -1

func (p *ftpParser) Next(d flow.Direction, data []byte, end bool) (int, *Message) {
	if len(data) == 0 {
		return 0, nil
	}
	if p.lost[d] {
		i := bytes.IndexByte(data, '\n')
		p.lost[d] = i < 0 && !end
		if i < 0 {
			i = len(data) - 1
		}
		return i + 1, &Message{Direction: d, Kind: Skipped}
	}
	if d == flow.ServerToClient {
		return p.reply(data, end)
	}
	n, line, why := takeLine(data, end, maxFTPLine)
	if n == 0 {
		return 0, nil
	}
	p.lost[d] = why == lineTooLong
	command, argument, _ := strings.Cut(line, " ")
	if command == "" && why == "" {
		return n, &Message{Direction: d, Kind: Skipped}
	}
	return n, &Message{Direction: d, Complete: why == "", Malformed: why == lineTooLong, Why: why, Body: &FTPCommand{command, argument}}
}

// What is wrong with a line or a reply that is larger than its bound.
const (
	lineTooLong  = "the line is too long"
	replyTooLong = "the reply is too long"
)

// takeLine takes a line: its length with its end, its text, and what is wrong
// with it. It returns 0 when more is needed.
func takeLine(data []byte, end bool, limit int) (int, string, string) {
	i := bytes.IndexByte(data[:min(len(data), limit)], '\n')
	switch {
	case i >= 0:
		return i + 1, trimEOL(string(data[:i])), ""
	case len(data) >= limit:
		return limit, string(data[:limit]), lineTooLong
	case end && len(data) > 0:
		return len(data), string(data), "the connection ended inside the line"
	}
	return 0, "", ""
}

// reply takes a reply, which may have several lines (RFC 959, section 4.2).
func (p *ftpParser) reply(data []byte, end bool) (int, *Message) {
	d := flow.ServerToClient
	n, line, why := takeLine(data, end, maxFTPLine)
	if n == 0 {
		return 0, nil
	}
	code, more, ok := replyCode(line)
	switch {
	case p.rest == anyCode && ok:
		p.rest = 0
	case p.rest != 0:
		if ok && code == p.rest && !more {
			p.rest = 0
		}
		p.lost[d] = why == lineTooLong
		return n, &Message{Direction: d, Kind: Skipped}
	case !ok:
		p.lost[d] = why == lineTooLong
		return n, &Message{Direction: d, Kind: Skipped, Malformed: true, Why: fmt.Sprintf("%.40q is not an FTP reply", line)}
	}
	first := n
	for n = max(n, p.scanned); more && why == ""; {
		if n > maxFTPReply {
			why = replyTooLong
			break
		}
		m, line, w := takeLine(data[n:], end, maxFTPLine)
		if m == 0 && end {
			why = "the connection ended inside the reply"
			break
		}
		if m == 0 {
			p.scanned = n
			return 0, nil
		}
		n, why = n+m, w
		if last, cont, ok := replyCode(line); ok && last == code && !cont {
			more = false
		}
	}
	p.scanned = 0
	p.lost[d] = why == lineTooLong
	if more && (why == lineTooLong || why == replyTooLong) {
		p.rest = code
	}
	r := &FTPReply{Code: code, Text: replyText(string(data[:first]), string(data[first:n]), !more)}
	m := &Message{Direction: d, Kind: Response, Complete: why == "", Malformed: p.lost[d] || p.rest != 0, Why: why, Body: r}
	switch {
	case code < 200:
		m.Kind = Interim
	case code == 234: // RFC 4217, section 4: TLS begins, as a rule
		m.Next = Anything
		if q := p.w.Request(); q != nil {
			if c, ok := q.Body.(*FTPCommand); ok && strings.EqualFold(c.Command, "AUTH") && (strings.EqualFold(c.Argument, "TLS") || strings.EqualFold(c.Argument, "SSL") || strings.EqualFold(c.Argument, "TLS-C")) {
				m.With = FTPInside
			}
		}
	}
	return n, m
}

// replyText joins the lines of a reply, without the code in the first and, when
// it is there, the last.
func replyText(first, others string, whole bool) string {
	var b strings.Builder
	b.WriteString(trimEOL(first)[min(4, len(trimEOL(first))):])
	for others != "" {
		var line string
		line, others = cutLine(others)
		if others == "" && whole {
			line = line[min(4, len(line)):]
		}
		b.WriteByte('\n')
		b.WriteString(line)
	}
	return b.String()
}

// replyCode reads the code of a reply's line, and whether more lines follow.
func replyCode(line string) (code int, more, ok bool) {
	if len(line) < 3 || !isDigit(line[0]) || !isDigit(line[1]) || !isDigit(line[2]) || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	return code, len(line) > 3 && line[3] == '-', true
}

func (p *ftpParser) Gap(d flow.Direction, data []byte, n int64) (int64, *Message) {
	p.lost[d] = true
	if d == flow.ServerToClient {
		p.scanned, p.rest = 0, anyCode
	}
	return 0, nil
}
