// Package replaytest has servers for the tests of whatever replays: on ports of loopback that
// nobody else has, and gone when the test is over. Nothing else imports it.
package replaytest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Serve has handle talk to whoever connects to a port of loopback, and returns its address.
// Connections that are still open when the test is over are closed, and handle has to
// return then.
func Serve(t testing.TB, handle func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ServeOn(t, l, handle)
	return l.Addr().String()
}

// ServeOn does so on a listener, which it closes.
func ServeOn(t testing.TB, l net.Listener, handle func(net.Conn)) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				// That context ends before what Cleanup has to do.
				defer context.AfterFunc(t.Context(), func() { c.Close() })()
				handle(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
}

// Listen opens a port of loopback for TCP and UDP.
func Listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if u, err := net.ListenPacket("udp", l.Addr().String()); err == nil {
			return l, u
		}
		l.Close() // somebody has that port of UDP
	}
	t.Fatal("no port is free for TCP and UDP")
	return nil, nil
}

// Refusing returns an address of loopback that refuses connections and datagrams until the test
// is over. Its port is taken, by sockets that hear nobody but one another, or somebody else
// might be given it.
func Refusing(t testing.TB) (addr string) {
	t.Helper()
	l, u := Listen(t)
	t.Cleanup(func() { l.Close(); u.Close() })
	for range 20 {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}).Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		at := c.LocalAddr().(*net.TCPAddr)
		if d, err := net.DialUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port}, u.LocalAddr().(*net.UDPAddr)); err == nil {
			t.Cleanup(func() { d.Close() })
			return at.String()
		}
	}
	t.Fatal("no port is free for TCP and UDP")
	return ""
}
