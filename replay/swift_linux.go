package replay

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// swift is a socket that is read and written without telling the scheduler, for these
// calls never block: it would have other threads take over each time that one of them takes
// a while, as a write to a server on the same machine does, for that delivers it too. Waiting
// is the poller's, as ever.
type swift struct {
	net.Conn
	raw     syscall.RawConn
	stream  bool // it has an end
	in, out transfer
}

// transfer is what is read or written, and what came of it.
type transfer struct {
	call  uintptr // the number of the system call
	data  []byte
	n     int
	errno syscall.Errno
	try   func(fd uintptr) bool // once, made once
	now   func(fd uintptr) bool // only, made once
}

// swiftly returns a connection that does so, if it can be done.
func swiftly(c net.Conn) net.Conn {
	stream := true
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	case *net.UDPConn:
		stream = false
	default:
		return c
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return c
	}
	s := &swift{Conn: c, raw: raw, stream: stream}
	s.in.call, s.out.call = syscall.SYS_READ, syscall.SYS_WRITE
	s.in.try, s.out.try, s.out.now = s.in.once, s.out.once, s.out.only
	return s
}

// once makes the system call, and reports whether it is not to be waited for.
func (t *transfer) once(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(t.call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.data))), uintptr(len(t.data)))
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			t.n, t.errno = int(n), 0
		default:
			t.n, t.errno = 0, errno
		}
		return true
	}
}

// only makes it, and waits for nothing.
func (t *transfer) only(fd uintptr) bool {
	if !t.once(fd) {
		t.n, t.errno = 0, syscall.EAGAIN
	}
	return true
}

func (s *swift) Read(p []byte) (int, error) {
	t := &s.in
	t.data = p
	err := s.raw.Read(t.try)
	t.data = nil
	switch {
	case err != nil:
		return 0, err
	case t.errno != 0:
		return 0, os.NewSyscallError("read", t.errno)
	case t.n == 0 && len(p) > 0 && s.stream:
		return 0, io.EOF
	}
	return t.n, nil
}

func (s *swift) Write(p []byte) (int, error) {
	t := &s.out
	for done := 0; ; {
		t.data = p[done:]
		err := s.raw.Write(t.try)
		t.data = nil
		switch {
		case err != nil:
			return done, err
		case t.errno != 0:
			return done, os.NewSyscallError("write", t.errno)
		}
		if done += t.n; done == len(p) {
			return done, nil
		}
	}
}

// writeNow writes what there is room for now.
func (s *swift) writeNow(p []byte) (int, error) {
	t := &s.out
	t.data = p
	err := s.raw.Write(t.now)
	t.data = nil
	switch {
	case err != nil:
		return 0, err
	case t.errno != 0:
		return 0, os.NewSyscallError("write", t.errno)
	}
	return t.n, nil
}

// CloseWrite ends what is said.
func (s *swift) CloseWrite() error {
	return s.Conn.(interface{ CloseWrite() error }).CloseWrite()
}
