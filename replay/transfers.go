package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"netlab/decode/proto"
	"netlab/replay/plan"
)

// transfers are the data connections of a control connection of FTP (RFC 959, section 3.3;
// RFC 2428). Where they are is negotiated anew: the live answers to PASV and EPSV take the
// place of the recorded ones, and PORT and EPRT name a listener of ours in place of the
// recorded client's. A data connection is a call of its own, which gets its socket here. No
// address that is named in the recording or by the server is believed: nothing is connected
// to but the target's host, and nobody accepted but the host at the other end of the
// control connection.
type transfers struct {
	held   []byte // of what is to be sent: the beginning of a line that may be PORT or EPRT
	inLine bool   // what was sent is no end of a line

	mu      sync.Mutex // guards what follows: each data connection has a goroutine
	changed sync.Cond
	offers  map[uint16][]*offer // by the port that was negotiated in the recording, in order; nil where one was taken
	over    error               // why there will be no more
}

// offer is how to come to a data connection.
type offer struct {
	port     uint16       // of the server, to connect to
	listener net.Listener // that the server connects to
	refused  error        // why there is no connection
}

func newTransfers() *transfers {
	t := &transfers{offers: make(map[uint16][]*offer)}
	t.changed.L = &t.mu
	return t
}

// put makes an offer for what was negotiated as a port in the recording.
func (t *transfers) put(port uint16, o *offer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.offers[port] = append(t.offers[port], o)
	t.changed.Broadcast()
}

// take waits for the offer for what a conversation of the recording was opened for. Several
// may wait that were for the same port, one after the other.
func (t *transfers) take(ctx context.Context, e *plan.Errand) (*offer, error) {
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})
	defer stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		if list := t.offers[e.Port]; len(list) > e.Before && list[e.Before] != nil {
			o := list[e.Before]
			list[e.Before] = nil
			return o, o.refused
		}
		switch {
		case ctx.Err() != nil:
			return nil, errStopped
		case t.over != nil:
			return nil, t.over
		}
		t.changed.Wait()
	}
}

// close says that nothing more is negotiated, for the control connection has ended.
func (t *transfers) close(k *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case k.given():
		t.over = k.failed
	case k.failed != nil:
		t.over = fmt.Errorf("its control connection failed: %w", k.failed)
	default:
		t.over = errors.New("its control connection ended before it was negotiated")
	}
	for _, list := range t.offers {
		for _, o := range list {
			if o != nil && o.listener != nil {
				o.listener.Close()
			}
		}
	}
	clear(t.offers)
	t.changed.Broadcast()
}

// agreed takes note of where the server listens, when it said so in the recording.
func (t *transfers) agreed(recorded, live *proto.Exchange) {
	was, ok := replyOf(recorded)
	at := proto.FTP.Opens(recorded)
	if !ok || was.Code != 227 && was.Code != 229 || len(at) == 0 {
		return
	}
	o := &offer{}
	is, ok := replyOf(live)
	switch {
	case !ok:
		o.refused = errors.New("the server did not say where it listens")
	case is.Code != 227 && is.Code != 229, len(proto.FTP.Opens(live)) == 0:
		o.refused = fmt.Errorf("the server does not listen: %s", is.Summary())
	default:
		o.port = proto.FTP.Opens(live)[0].Port()
	}
	t.put(at[0].Port(), o)
}

func replyOf(e *proto.Exchange) (*proto.FTPReply, bool) {
	if e == nil || e.Response == nil {
		return nil, false
	}
	r, ok := e.Response.Body.(*proto.FTPReply)
	return r, ok
}

// rewrite names listeners of ours in the commands that have the server connect to one.
// Recorded and live are where data begins in what the client said, and says. What cannot be
// rewritten must not be sent, for it names somebody else.
func (t *transfers) rewrite(k *call, recorded, live int64, data []byte) ([]byte, error) {
	if n := len(t.held); n > 0 {
		data = append(t.held, data...)
		recorded -= int64(n)
		k.answers.shift(recorded, live)
		t.held = nil
	}
	var out []byte
	for line := range bytes.Lines(data) {
		recorded += int64(len(line))
		whole := line[len(line)-1] == '\n'
		switch {
		case t.inLine:
		case !whole && mayNegotiate(line):
			t.held = bytes.Clone(line)
			return out, nil
		case whole:
			text := strings.TrimRight(string(line), "\r\n")
			named, err := t.listen(k.sock.LocalAddr(), text)
			if err != nil {
				return nil, err
			}
			if named != "" {
				out = append(append(out, named...), line[len(text):]...)
				k.answers.shift(recorded, live+int64(len(out)))
				continue
			}
		}
		t.inLine = !whole
		out = append(out, line...)
	}
	return out, nil
}

// mayNegotiate reports whether a line that goes on may be a command that does.
func mayNegotiate(line []byte) bool {
	for _, command := range [...]string{"PORT ", "EPRT "} {
		n := min(len(line), len(command))
		if strings.EqualFold(string(line[:n]), command[:n]) {
			return true
		}
	}
	return false
}

// listen listens for the server in place of who does so by a command, and returns that
// command with our own address; empty when it is another command.
func (t *transfers) listen(local net.Addr, text string) (string, error) {
	command, argument, _ := strings.Cut(text, " ")
	at := (&proto.FTPCommand{Command: command, Argument: argument}).Awaits(netip.IPv6Unspecified())
	if argument == "" || !strings.EqualFold(command, "PORT") && !strings.EqualFold(command, "EPRT") {
		return "", nil
	}
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		return "", fmt.Errorf("the server is to connect to us (%s), which it can't: the target is no address of TCP", command)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone})
	if err != nil {
		return "", fmt.Errorf("listen for the server to connect (%s): %w", command, plainError(err))
	}
	t.put(at.Port(), &offer{listener: l})
	ours := addrPort(l.Addr())
	addr := ours.Addr().Unmap().WithZone("")
	if strings.EqualFold(command, "PORT") && addr.Is4() {
		a := addr.As4()
		return fmt.Sprintf("%s %d,%d,%d,%d,%d,%d", command, a[0], a[1], a[2], a[3], ours.Port()>>8, ours.Port()&0xff), nil
	}
	if strings.EqualFold(command, "PORT") {
		command = "EPRT" // PORT has no room for an address of IPv6
	}
	family := 1
	if addr.Is6() {
		family = 2
	}
	return fmt.Sprintf("%s |%d|%s|%d|", command, family, addr, ours.Port()), nil
}

// connectData makes a data connection, when it has been negotiated and its time has come.
func (k *call) connectData(ctx context.Context) (net.Conn, error) {
	control := k.parent
	o, err := control.transfers.take(ctx, k.conn.Errand)
	if err != nil {
		return nil, err
	}
	if !k.player.sleep(ctx, k.player.due(k.open)) {
		return nil, errStopped
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	if o.listener != nil {
		return accept(ctx, o.listener, addrPort(control.sock.RemoteAddr()).Addr())
	}
	host, _, err := net.SplitHostPort(k.player.opts.target(k.conn))
	if err != nil {
		return nil, fmt.Errorf("the target has no host to make a data connection to: %w", err)
	}
	target := net.JoinHostPort(host, fmt.Sprint(o.port))
	conn, err := k.player.opts.Dial(ctx, "tcp", target)
	if err != nil {
		return nil, &DialError{target, plainError(err)}
	}
	return conn, nil
}

// accept waits for a host to connect; others are turned away.
func accept(ctx context.Context, l net.Listener, from netip.Addr) (net.Conn, error) {
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		switch {
		case err != nil:
			return nil, errors.New("the server did not connect")
		case addrPort(conn.RemoteAddr()).Addr().Unmap() == from.Unmap():
			return conn, nil
		}
		conn.Close()
	}
}
