package proto

import (
	"bytes"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// SMTP is mail on its way between servers (RFC 5321), with content in chunks (RFC
// 3030), and its kin LMTP (RFC 2033). A command and its reply are an exchange, and
// so are the content behind DATA and its reply.
var SMTP = Protocol{
	Name:       "smtp",
	Probe:      probeSMTP,
	New:        func(w Waiting) Parser { return &smtpParser{waiting: w} },
	Unasked:    true, // the greeting
	Attributes: smtpAttributes,
}

// smtpVerbs are the commands, of LMTP too.
var smtpVerbs = map[string]bool{
	"EHLO": true, "HELO": true, "LHLO": true, "MAIL": true, "RCPT": true, "DATA": true, "BDAT": true, "RSET": true, "NOOP": true, "QUIT": true,
	"VRFY": true, "EXPN": true, "HELP": true, "AUTH": true, "STARTTLS": true, "ETRN": true, "TURN": true, "XCLIENT": true, "XFORWARD": true, "BURL": true,
}

// SMTPCommand is what a client says.
type SMTPCommand struct {
	Command, Argument string // the command in capital letters
	// Credentials means that the line is no command: it answers a challenge of AUTH.
	Credentials bool
	// Chunk is the content behind BDAT, else nil.
	Chunk *SMTPContent
}

// Held returns how much memory the command has need of.
func (c *SMTPCommand) Held() int {
	n := len(c.Command) + len(c.Argument)
	if c.Chunk != nil {
		n += c.Chunk.Held()
	}
	return n
}

// Secret returns the argument without its credentials, and whether there were
// some. The name of the mechanism before them is none.
func (c *SMTPCommand) Secret(hidden string) (string, bool) {
	switch mechanism, rest, _ := strings.Cut(c.Argument, " "); {
	case c.Credentials && c.Argument != "":
		return hidden, true
	case c.Command == "AUTH" && strings.Trim(rest, " ") != "":
		return mechanism + " " + hidden, true
	}
	return c.Argument, false
}

// Endpoint is the command.
func (c *SMTPCommand) Endpoint() string {
	if c.Credentials {
		return "credentials"
	}
	return c.Command
}

// Summary is the command; credentials are not shown.
func (c *SMTPCommand) Summary() string {
	argument, _ := c.Secret("***")
	s := strings.TrimSpace(c.Command + " " + argument)
	if s == "" {
		return "an empty line"
	}
	if c.Chunk != nil {
		s += ": " + c.Chunk.Summary()
	}
	return s
}

// address returns what is in the angle brackets behind FROM: or TO:.
func (c *SMTPCommand) address(command, name string) (string, bool) {
	if c.Command != command || len(c.Argument) < len(name) || !strings.EqualFold(c.Argument[:len(name)], name) {
		return "", false
	}
	rest := strings.TrimSpace(c.Argument[len(name):])
	if !strings.HasPrefix(rest, "<") {
		rest, _, _ = strings.Cut(rest, " ")
		return rest, rest != ""
	}
	rest, _, ok := strings.Cut(rest[1:], ">")
	return rest, ok
}

// Sender returns the address of MAIL, which may be empty, and whether it is one.
func (c *SMTPCommand) Sender() (string, bool) { return c.address("MAIL", "FROM:") }

// Recipient returns the address of RCPT, and whether it is one.
func (c *SMTPCommand) Recipient() (string, bool) { return c.address("RCPT", "TO:") }

// AppendJSON appends command and argument, and what is in them.
func (c *SMTPCommand) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"command":`...)
	dst = AppendString(dst, c.Command)
	dst = append(dst, `,"argument":`...)
	dst = AppendString(dst, c.Argument)
	if c.Credentials {
		dst = append(dst, `,"credentials":true`...)
	}
	if a, ok := c.Sender(); ok {
		dst = append(dst, `,"sender":`...)
		dst = AppendString(dst, a)
	}
	if a, ok := c.Recipient(); ok {
		dst = append(dst, `,"recipient":`...)
		dst = AppendString(dst, a)
	}
	if c.Chunk != nil {
		dst = append(dst, ',')
		dst = c.Chunk.AppendJSON(dst)
	}
	return dst
}

// SMTPReply is what a server says.
type SMTPReply struct {
	Code int
	Text string // of all lines, without the code
}

// Held returns how much memory the reply has need of.
func (r *SMTPReply) Held() int { return len(r.Text) }

// Outcome is the code; from 400 on it is a failure (RFC 5321, section 4.2.1).
func (r *SMTPReply) Outcome() (code int, word string, failed bool) { return r.Code, "", r.Code >= 400 }

// Summary is the code with the first line.
func (r *SMTPReply) Summary() string {
	first, more, _ := strings.Cut(r.Text, "\n")
	s := strings.TrimRight(strconv.Itoa(r.Code)+" "+first, " ")
	if more != "" {
		s += "…"
	}
	return s
}

// AppendJSON appends code and text.
func (r *SMTPReply) AppendJSON(dst []byte) []byte {
	dst = append(dst, `"code":`...)
	dst = strconv.AppendInt(dst, int64(r.Code), 10)
	dst = append(dst, `,"text":`...)
	return AppendString(dst, r.Text)
}

var smtpAttributes = []Attribute{
	{Name: "smtp.command", About: "the command in capital letters", Get: func(values []Value, e *Exchange) []Value {
		if c, ok := bodyOf[*SMTPCommand](e.Request); ok && !c.Credentials {
			values = AppendText(values, c.Command)
		}
		return values
	}},
	{Name: "smtp.sender", About: "the address of MAIL FROM", Get: func(values []Value, e *Exchange) []Value {
		if c, ok := bodyOf[*SMTPCommand](e.Request); ok {
			if a, ok := c.Sender(); ok {
				values = AppendText(values, a)
			}
		}
		return values
	}},
	{Name: "smtp.recipient", About: "the address of RCPT TO", Get: func(values []Value, e *Exchange) []Value {
		if c, ok := bodyOf[*SMTPCommand](e.Request); ok {
			if a, ok := c.Recipient(); ok {
				values = AppendText(values, a)
			}
		}
		return values
	}},
	{Name: "smtp.code", Kind: Number, About: "the reply's code", Get: func(values []Value, e *Exchange) []Value {
		if r, ok := bodyOf[*SMTPReply](e.Response); ok {
			values = AppendNumber(values, int64(r.Code))
		}
		return values
	}},
	{Name: "smtp.subject", About: "the Subject of the mail", Get: smtpField(func(c *SMTPContent) string { return c.Subject })},
	{Name: "smtp.from", About: "the From of the mail's header", Get: smtpField(func(c *SMTPContent) string { return c.From })},
	{Name: "smtp.to", About: "the To of the mail's header", Get: smtpField(func(c *SMTPContent) string { return c.To })},
	{Name: "smtp.content_bytes", Kind: Size, About: "the size of the mail", Get: func(values []Value, e *Exchange) []Value {
		if c := smtpContent(e.Request); c != nil {
			values = AppendNumber(values, c.Bytes)
		}
		return values
	}},
}

// smtpContent returns the content in a message, nil when there is none.
func smtpContent(m *Message) *SMTPContent {
	if c, ok := bodyOf[*SMTPCommand](m); ok {
		return c.Chunk
	}
	c, _ := bodyOf[*SMTPContent](m)
	return c
}

func smtpField(get func(*SMTPContent) string) func([]Value, *Exchange) []Value {
	return func(values []Value, e *Exchange) []Value {
		if c := smtpContent(e.Request); c != nil && get(c) != "" {
			values = AppendText(values, get(c))
		}
		return values
	}
}

// probeSMTP wants a greeting or another reply from the server, and a command that
// is no other protocol's; or one of them that is unmistakable when the other side
// is not to be heard.
func probeSMTP(o Opening) Verdict {
	if o.Transport != flow.TCP {
		return NoMatch
	}
	client, server := smtpCommandBegins(o.First[flow.ClientToServer]), smtpReplyBegins(o.First[flow.ServerToClient])
	silent := [2]bool{}
	for d := range silent {
		silent[d] = o.Ended[d] && len(o.First[d]) == 0
	}
	switch {
	case client == smtpNever, server == smtpNever:
		return NoMatch
	case client == smtpSure && (server >= smtpPerhaps || silent[flow.ServerToClient]):
		return Match
	case server == smtpSure && (client >= smtpPerhaps || silent[flow.ClientToServer]):
		return Match
	case client >= smtpPerhaps && server >= smtpPerhaps, o.Ended[flow.ClientToServer] && o.Ended[flow.ServerToClient]:
		return NoMatch
	case client == smtpMore && o.Ended[flow.ClientToServer], server == smtpMore && o.Ended[flow.ServerToClient]:
		return NoMatch
	}
	return NeedMore
}

// smtpGuess is how much a beginning looks like SMTP.
type smtpGuess uint8

const (
	smtpNever   smtpGuess = iota
	smtpMore              // more is needed
	smtpPerhaps           // others have the same
	smtpSure
)

// smtpReplyBegins judges what a server says first.
func smtpReplyBegins(data []byte) smtpGuess {
	for i, b := range data[:min(4, len(data))] {
		if i == 3 && b != ' ' && b != '-' && b != '\r' || i < 3 && !isDigit(b) {
			return smtpNever
		}
	}
	line, _, whole := bytes.Cut(data[:min(len(data), maxSMTPLine)], []byte("\n"))
	text := strings.ToUpper(string(line))
	switch {
	case !whole && len(line) < maxSMTPLine:
		return smtpMore
	case len(line) < 4:
		return smtpNever
	case strings.HasPrefix(text, "220") && (strings.Contains(text, "SMTP") || strings.Contains(text, "LMTP")):
		return smtpSure
	}
	return smtpPerhaps
}

// smtpMechanisms are those of AUTH that FTP does not have (RFC 4954; RFC 2228).
var smtpMechanisms = []string{"PLAIN", "LOGIN", "CRAM-", "DIGEST-", "SCRAM-", "XOAUTH", "OAUTH", "NTLM", "EXTERNAL", "ANONYMOUS"}

// smtpCommandBegins judges what a client says first.
func smtpCommandBegins(data []byte) smtpGuess {
	line, _, whole := bytes.Cut(data[:min(len(data), maxSMTPLine)], []byte("\n"))
	n := 0
	for n < len(line) && ('a' <= line[n]|0x20 && line[n]|0x20 <= 'z') {
		n++
	}
	if n > len("STARTTLS") || n == 0 && len(data) > 0 {
		return smtpNever
	}
	word, argument := strings.ToUpper(string(line[:n])), strings.ToUpper(strings.TrimLeft(trimEOL(string(line[n:])), " "))
	switch {
	case n < len(line) && (line[n] != ' ' && line[n] != '\r' || !smtpVerbs[word]):
		return smtpNever
	case !whole && len(line) >= maxSMTPLine:
		return smtpNever
	case !whole: // only by the end of the line is it known to be no request of HTTP
		return smtpMore
	}
	switch word {
	case "EHLO", "HELO", "LHLO", "STARTTLS":
		return smtpSure
	case "MAIL":
		if strings.HasPrefix(argument, "FROM:") {
			return smtpSure
		}
	case "RCPT":
		if strings.HasPrefix(argument, "TO:") {
			return smtpSure
		}
	case "AUTH":
		for _, m := range smtpMechanisms {
			if strings.HasPrefix(argument, m) {
				return smtpSure
			}
		}
	}
	if !smtpVerbs[word] {
		return smtpNever
	}
	return smtpPerhaps
}
