package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"netlab/decode/flow"
	"netlab/decode/proto"
)

// transfer is what was carried by the data connection of a command of FTP.
type transfer struct {
	content []byte // to the client
	upload  bool   // it came from the client, and nothing is sent
}

// transferOf returns what a data connection carried, whoever opened it.
func (s *Server) transferOf(e *proto.Exchange) *transfer {
	if e.Data == nil || s.conns[e.Data.ID] == nil {
		return nil
	}
	d := s.conns[e.Data.ID]
	var sent, said []byte
	for i := range d.Steps {
		sent = append(sent, d.Steps[i].Bytes...)
	}
	for i := range d.Checks {
		if t := d.Checks[i].Turn; t != nil && t.TooLarge() == "" {
			said = append(said, t.Answer...)
		}
	}
	return &transfer{content: said, upload: len(sent) > 0}
}

// dataTime is how long a data connection is waited for.
const dataTime = 20 * time.Second

// data is the data connection that a client of FTP has agreed to.
type data struct {
	listener *net.TCPListener // in passive mode
	at       netip.AddrPort   // in active mode
}

func (d *data) close() {
	if d.listener != nil {
		d.listener.Close()
	}
	*d = data{}
}

var (
	hostPortText = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\d+,\d+,\d+,\d+,\d+,\d+`)
	})
	extendedText = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\(.+\)`)
	})
)

// agree does what a command of FTP says about the next data connection, and returns the
// answer as it is to be now: with a port of this server's.
func (t *talker) agree(m *proto.Message, a *answer) ([]byte, error) {
	c, ok := m.Body.(*proto.FTPCommand)
	if !ok {
		return a.bytes, nil
	}
	switch strings.ToUpper(c.Command) {
	case "PASV", "EPSV":
		if !strings.HasPrefix(string(a.bytes), "227") && !strings.HasPrefix(string(a.bytes), "229") {
			return a.bytes, nil // it was refused
		}
		return t.passive(a.bytes)
	case "PORT", "EPRT":
		if !strings.HasPrefix(string(a.bytes), "2") {
			return a.bytes, nil
		}
		return a.bytes, t.active(m)
	}
	return a.bytes, nil
}

// passive listens for a data connection and puts its address into the answer (RFC 959,
// section 4.1.2; RFC 2428, section 3).
func (t *talker) passive(raw []byte) ([]byte, error) {
	t.data.close()
	local := addrPort(t.conn.LocalAddr()).Addr()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
	if err != nil {
		return nil, err
	}
	t.data.listener = l
	port := addrPort(l.Addr()).Port()
	if extendedText().Match(raw) && strings.HasPrefix(string(raw), "229") {
		return extendedText().ReplaceAll(raw, fmt.Appendf(nil, "(|||%d|)", port)), nil
	}
	ip := local.Unmap()
	if !ip.Is4() {
		return nil, errors.New("PASV is for IPv4")
	}
	b := ip.As4()
	return hostPortText().ReplaceAll(raw, fmt.Appendf(nil, "%d,%d,%d,%d,%d,%d", b[0], b[1], b[2], b[3], port>>8, port&0xff)), nil
}

// active takes note of where the client listens. Only the client itself is connected to,
// whatever it says (RFC 2577, section 3).
func (t *talker) active(m *proto.Message) error {
	t.data.close()
	e := &proto.Exchange{
		Conversation: &flow.Conversation{Tuple: flow.NewFlow(flow.TCP, addrPort(t.conn.RemoteAddr()), addrPort(t.conn.LocalAddr()))},
		Request:      m, Response: &proto.Message{Body: &proto.FTPReply{Code: 200}},
	}
	client := addrPort(t.conn.RemoteAddr()).Addr().Unmap()
	i := slices.IndexFunc(proto.FTP.Opens(e), func(at netip.AddrPort) bool { return at.Addr().Unmap() == client })
	if i < 0 {
		return errors.New("it names another host than the client's")
	}
	t.data.at = proto.FTP.Opens(e)[i]
	return nil
}

// connect opens the data connection that was agreed to, with the same client.
func (d *data) connect(client netip.Addr) (net.Conn, error) {
	if d.at.IsValid() {
		return net.DialTimeout("tcp", d.at.String(), dataTime)
	}
	if d.listener == nil {
		return nil, errors.New("no data connection was agreed to")
	}
	d.listener.SetDeadline(time.Now().Add(dataTime))
	for {
		conn, err := d.listener.Accept()
		if err != nil || addrPort(conn.RemoteAddr()).Addr().Unmap() == client.Unmap() {
			return conn, err
		}
		conn.Close() // somebody else
	}
}

// carry sends or takes what a command's data connection carried.
func (t *talker) carry(x *transfer) error {
	defer t.data.close()
	if l := t.data.listener; l != nil {
		defer context.AfterFunc(t.ctx, func() { l.Close() })()
	}
	conn, err := t.data.connect(addrPort(t.conn.RemoteAddr()).Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(t.ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(t.opts.Limits.Patience + time.Duration(len(x.content))*time.Second/minRate))
	if x.upload {
		_, err := io.Copy(io.Discard, conn)
		return err
	}
	_, err = conn.Write(x.content)
	return err
}
