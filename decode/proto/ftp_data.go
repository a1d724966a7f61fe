package proto

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"netlab/decode/flow"
)

// ftpTransfers are the commands that use a data connection (RFC 959, section
// 4.1.3; RFC 3659, section 7).
var ftpTransfers = map[string]bool{
	"RETR": true, "STOR": true, "STOU": true, "APPE": true, "LIST": true, "NLST": true, "MLSD": true,
}

// ftpUses reports whether a command used a data connection.
func ftpUses(e *Exchange) bool {
	if e.Request == nil {
		return false
	}
	c, ok := e.Request.Body.(*FTPCommand)
	return ok && ftpTransfers[strings.ToUpper(c.Command)]
}

// ftpOpens returns where a data connection is awaited after an exchange: at the
// server after PASV and EPSV, at the client after PORT and EPRT (RFC 959,
// section 3.3; RFC 2428). Behind a NAT the address may be told wrong, so the
// speaker's own is tried too.
func ftpOpens(e *Exchange) []netip.AddrPort {
	var at netip.AddrPort
	listener := e.Conversation.Server().Addr()
	reply, _ := body[*FTPReply](e.Response)
	command, _ := body[*FTPCommand](e.Request)
	switch {
	case reply == nil:
		return nil
	case reply.Code == 227:
		at = hostPort(reply.Text)
	case reply.Code == 229:
		at = extendedPort(reply.Text, listener)
	case command == nil || reply.Code/100 != 2:
		return nil
	default:
		listener = e.Conversation.Client().Addr()
		at = command.Awaits(listener)
	}
	switch {
	case at.Port() == 0:
		return nil
	case at.Addr() == listener:
		return []netip.AddrPort{at}
	}
	return []netip.AddrPort{at, netip.AddrPortFrom(listener, at.Port())}
}

// Awaits returns where a command has the server connect to, if it is PORT or EPRT: at the
// listener's own address when it names none. It is not valid for other commands.
func (c *FTPCommand) Awaits(listener netip.Addr) netip.AddrPort {
	switch {
	case strings.EqualFold(c.Command, "PORT"):
		return hostPort(c.Argument)
	case strings.EqualFold(c.Command, "EPRT"):
		return extendedPort(c.Argument, listener)
	}
	return netip.AddrPort{}
}

// body returns what a message says, if it is a B.
func body[B Body](m *Message) (b B, ok bool) {
	if m != nil {
		b, ok = m.Body.(B)
	}
	return b, ok
}

// hostPort finds h1,h2,h3,h4,p1,p2 in s; servers differ in what is around it.
func hostPort(s string) netip.AddrPort {
	i := strings.IndexFunc(s, func(r rune) bool { return '0' <= r && r <= '9' })
	if i < 0 {
		return netip.AddrPort{}
	}
	s = s[i:]
	if j := strings.IndexFunc(s, func(r rune) bool { return r != ',' && (r < '0' || r > '9') }); j >= 0 {
		s = s[:j]
	}
	parts := strings.Split(s, ",")
	if len(parts) != 6 {
		return netip.AddrPort{}
	}
	var n [6]byte
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return netip.AddrPort{}
		}
		n[i] = byte(v)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5]))
}

// extendedPort finds <d>net<d>address<d>port<d> in s (RFC 2428, sections 2 and
// 3); an address that is left out is the listener's.
func extendedPort(s string, listener netip.Addr) netip.AddrPort {
	i := strings.IndexByte(s, '(') // in a reply
	s = s[i+1:]
	if s == "" {
		return netip.AddrPort{}
	}
	parts := strings.Split(s, s[:1])
	if len(parts) < 5 {
		return netip.AddrPort{}
	}
	if parts[2] != "" {
		a, err := netip.ParseAddr(parts[2])
		if err != nil {
			return netip.AddrPort{}
		}
		listener = a.WithZone("")
	}
	port, err := strconv.ParseUint(parts[3], 10, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(listener, uint16(port))
}

// endsWord reports whether b may stand behind the first word of a line of FTP.
func endsWord(b byte) bool { return b == ' ' || b == '-' || b == '\r' || b == '\n' }

// MayOpen reports whether a packet's payload may say that another conversation is
// to come: whether it is from or to the port of FTP, where lines may be cut up, or
// begins as FTP does, with a command or the code of a reply, and one of its lines
// is one that does. It is asked of each packet.
func MayOpen(f *flow.Flow, data []byte) bool {
	const ftpPort = 21
	if len(data) > 0 && (f.SrcPort() == ftpPort || f.DstPort() == ftpPort) {
		return true
	}
	const code, command = len("227"), len("EPRT")
	if len(data) <= code || !endsWord(data[code]) && (len(data) == command || !endsWord(data[command])) {
		return false // nearly always
	}
	n := 0
	for n < len(data) && n <= len("EPRT") && isWord(data[n]) {
		n++
	}
	if n < len("227") || n > len("EPRT") || n == len(data) || !endsWord(data[n]) {
		return false
	}
	for len(data) >= len("EPRT") {
		lower := [...]byte{data[0] | 0x20, data[1] | 0x20, data[2] | 0x20, data[3] | 0x20}
		switch string(lower[:]) {
		case "port", "eprt", "227 ", "227-", "229 ", "229-":
			return true
		}
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		data = data[i+1:]
	}
	return false
}

func isWord(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' || isDigit(b) }
