package redact

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"

	"netlab/decode/proto"
)

// ftp looks at a command or a reply of FTP.
func (f *finder) ftp(_ *proto.Exchange, m *proto.Message) int {
	const place = "ftp"
	switch b := m.Body.(type) {
	case *proto.FTPCommand:
		from := bytes.IndexByte(f.raw, ' ')
		if from < 0 {
			break
		}
		from, to := trim(f.raw, from, len(f.raw))
		switch strings.ToUpper(b.Command) {
		case "PASS", "ACCT":
			f.hidden(Password, place, b.Command, from, to, plainly)
		case "USER":
			f.hidden(User, place, b.Command, from, to, plainly)
		case "PORT":
			f.hostPort(place, from, to)
		case "HOST":
			f.host(place, from, to)
		default: // EPRT too: its address is one as any
			f.texts(place, from, to)
		}
	case *proto.FTPReply:
		f.reply(place)
		if b.Code == 227 {
			f.passive(place)
		}
	}
	return len(f.raw)
}

// file looks at a text that goes through a connection of FTP's, as lists of files do.
func (f *finder) file(*proto.Exchange, *proto.Message) int {
	list, _ := f.content(nil, "ftp data", "", f.raw, 0, len(f.raw), 0)
	if f.editing() {
		f.changes = append(f.changes, list...)
	}
	return len(f.raw)
}

// passive finds the address in a reply to PASV: six numbers with commas, somewhere (RFC 1123, section
// 4.1.2.6).
func (f *finder) passive(place string) {
	for i := 4; i < len(f.raw); i++ {
		if c := f.raw[i]; c < '0' || c > '9' || f.raw[i-1] >= '0' && f.raw[i-1] <= '9' {
			continue
		}
		end := i
		for end < len(f.raw) && (f.raw[end] == ',' || f.raw[end] >= '0' && f.raw[end] <= '9') {
			end++
		}
		if f.hostPort(place, i, end) {
			return
		}
	}
}

// hostPort maps an address whose bytes stand with commas between, before those of a port
// (RFC 959, section 4.1.2).
func (f *finder) hostPort(place string, from, to int) bool {
	list := strings.Split(string(f.raw[from:to]), ",")
	if len(list) != 6 {
		return false
	}
	address := strings.Join(list[:4], ".")
	if a, err := netip.ParseAddr(address); err != nil || !a.Is4() {
		return false
	}
	if with, ok := f.secret(Address, place, "", address); ok {
		f.change(from, from+len(address), strings.ReplaceAll(with, ".", ","))
	}
	return true
}

// smtp looks at a command, a reply or a mail.
func (f *finder) smtp(_ *proto.Exchange, m *proto.Message) int {
	const place = "smtp"
	if _, ok := m.Body.(*proto.SMTPReply); ok {
		f.reply(place)
		return len(f.raw)
	}
	b, ok := m.Body.(*proto.SMTPCommand)
	if !ok {
		f.texts(place, 0, len(f.raw))
		return len(f.raw)
	}
	line := len(f.raw)
	if i := bytes.IndexByte(f.raw, '\n'); i >= 0 {
		line = i
	}
	_, credentials := b.Secret("")
	word := bytes.IndexByte(f.raw[:line], ' ')
	switch {
	case b.Credentials:
		from, to := trim(f.raw, 0, line)
		f.saslAnswer(place, from, to)
	case b.Command == "AUTH" && credentials:
		from, to := trim(f.raw, word, line)
		if i := bytes.IndexByte(f.raw[from:to], ' '); i >= 0 {
			from, _ = trim(f.raw, from+i, to)
			f.saslAnswer(place, from, to)
		}
	case (b.Command == "EHLO" || b.Command == "HELO" || b.Command == "LHLO") && word > 0:
		from, to := trim(f.raw, word, line)
		if from < to && f.raw[from] == '[' {
			f.texts(place, from, to)
		} else {
			f.host(place, from, to)
		}
	default:
		f.texts(place, 0, line)
	}
	if b.Chunk != nil && line < len(f.raw) {
		f.chunkOfMail(m, line+1)
	}
	return len(f.raw)
}

// reply looks at lines that each begin with a code.
func (f *finder) reply(place string) {
	for _, p := range bytesSplit(f.raw, 0, len(f.raw), '\n') {
		from := p[0]
		if n := from + len("250-"); n <= p[1] && isNumber(string(f.raw[from:n-1])) {
			from = n
		}
		if from < p[1] {
			f.texts(place, from, p[1])
			f.users(place, from, p[1])
		}
	}
}

// users finds names of users that are too short to be looked for everywhere: a server says who has
// logged in.
func (f *finder) users(place string, from, to int) {
	if !f.editing() || !f.z.anyUser {
		return
	}
	for i := from; i < to; {
		if !isAlnum(f.raw[i]) {
			i++
			continue
		}
		end := i
		for end < to && isAlnum(f.raw[end]) {
			end++
		}
		if k, ok := f.z.dict.kind(view(f.raw[i:end])); ok && k == User && end-i < least {
			f.hidden(User, place, "", i, end, plainly)
		}
		i = end
	}
}

// chunkOfMail looks at a part of a mail behind BDAT, whose length it keeps.
func (f *finder) chunkOfMail(_ *proto.Message, from int) {
	n := len(f.changes)
	f.texts("smtp", from, len(f.raw))
	grown := 0
	for _, c := range f.changes[n:] {
		grown += len(c.with) - (c.to - c.from)
	}
	if grown == 0 {
		return
	}
	digits := bytes.IndexByte(f.raw, ' ') + 1
	end := digits
	for end < from && f.raw[end] >= '0' && f.raw[end] <= '9' {
		end++
	}
	if size, err := strconv.Atoi(string(f.raw[digits:end])); err == nil {
		f.change(digits, end, strconv.Itoa(size+grown))
	}
}

// saslAnswer looks at what answers a challenge, in base64: with PLAIN (RFC 4616) two names and a
// password, each behind a zero byte; with LOGIN one of them; with others chance.
func (f *finder) saslAnswer(place string, from, to int) {
	raw := string(f.raw[from:to])
	if raw == "" || raw == "=" || raw == "*" {
		return
	}
	b := tokenBytes(raw)
	if b == nil {
		f.hidden(Token, place, "AUTH", from, to, plainly)
		return
	}
	parts := strings.Split(string(b), "\x00")
	changed := false
	for i := range parts {
		k := User
		if i == 2 {
			k = Password
		} else if len(parts) == 1 {
			k = Password
		}
		with, ok := f.secret(k, place, "AUTH", parts[i])
		parts[i], changed = with, changed || ok
	}
	if changed {
		f.change(from, to, base64.StdEncoding.EncodeToString([]byte(strings.Join(parts, "\x00"))))
	}
}
