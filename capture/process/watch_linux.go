//go:build amd64 || arm64

package process

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Command is a command under watch.
type Command struct {
	listener int // where the kernel asks
	wake     int // an eventfd that ends the watch
	ended    sync.WaitGroup

	mu    sync.RWMutex
	ports map[socket]bool
}

// socket is a port of a transport.
type socket struct {
	transport uint8
	port      uint16
}

// Start starts cmd, whose Path and Args are the command's, and watches it. Wait for it
// as ever, and Close behind that. main has to call Child first thing.
func Start(cmd *exec.Cmd) (*Command, error) {
	if cmd.Err != nil {
		return nil, fmt.Errorf("process: %w", cmd.Err)
	}
	if _, err := exec.LookPath(cmd.Path); err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("process: %w", err)
	}
	defer unix.Close(ends[0])
	theirs := os.NewFile(uintptr(ends[1]), "watch")
	name := cmd.Args[0]
	cmd.Args = append([]string{marker, cmd.Path}, cmd.Args...)
	cmd.Path = self
	cmd.ExtraFiles = append([]*os.File{theirs}, cmd.ExtraFiles...)
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("process: run %s: %w", name, err)
	}
	c := &Command{ports: make(map[socket]bool)}
	if c.listener, err = receive(ends[0]); err != nil {
		cmd.Process.Kill()
		cmd.Wait() // it said why
		return nil, fmt.Errorf("process: %s can't be watched: %w", name, err)
	}
	if c.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(c.listener)
		cmd.Process.Kill()
		cmd.Wait()
		return nil, fmt.Errorf("process: %w", err)
	}
	c.ended.Go(c.watch)
	return c, nil
}

// receive takes the descriptor that handOver sends.
func receive(line int) (int, error) {
	var data [1]byte
	control := make([]byte, unix.CmsgSpace(4))
	n, controlled, _, _, err := unix.Recvmsg(line, data[:], control, unix.MSG_CMSG_CLOEXEC)
	switch {
	case err != nil:
		return -1, err
	case n == 0:
		return -1, errors.New("the kernel does not allow it")
	}
	messages, err := unix.ParseSocketControlMessage(control[:controlled])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("the watch was not handed over: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("the watch was not handed over: %v", err)
	}
	return fds[0], nil
}

// Owns reports whether a socket of the command had one of these ports.
func (c *Command) Owns(transport uint8, ports ...uint16) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, p := range ports {
		if c.ports[socket{transport, p}] {
			return true
		}
	}
	return false
}

// Close ends watching. Processes that the command left behind go on unwatched, but can't
// open sockets any more.
func (c *Command) Close() {
	one := [8]byte{1}
	_, _ = unix.Write(c.wake, one[:])
	c.ended.Wait()
	unix.Close(c.listener)
	unix.Close(c.wake)
}

// What the kernel asks and is answered (linux/seccomp.h).
type (
	question struct {
		id         uint64
		pid, flags uint32
		number     int32
		arch       uint32
		ip         uint64
		args       [6]uint64
	}
	answer struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
)

// watch answers until Close, or until nobody is left to ask.
func (c *Command) watch() {
	for {
		poll := []unix.PollFd{{Fd: int32(c.listener), Events: unix.POLLIN}, {Fd: int32(c.wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if poll[1].Revents != 0 || poll[0].Revents&unix.POLLIN == 0 && poll[0].Revents != 0 {
			return
		}
		if poll[0].Revents == 0 {
			continue
		}
		var q question
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(c.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&q))); errno != 0 {
			continue // who asked is gone
		}
		a := c.answer(&q)
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(c.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&a)))
	}
}

// answer notes the port of the socket that a call is about, and has the call go on.
// Whatever goes wrong here, the call is not hindered.
func (c *Command) answer(q *question) answer {
	goOn := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	fd, err := borrow(int(q.pid), int(q.args[0]))
	if err != nil {
		return goOn
	}
	defer unix.Close(fd)
	transport, ok := transportOf(fd)
	if !ok {
		return goOn
	}
	if q.number == unix.SYS_BIND {
		addr, err := address(int(q.pid), q.args[1], q.args[2])
		switch {
		case err != nil:
			return goOn
		case binary.BigEndian.Uint16(addr[2:]) != 0:
			c.note(transport, binary.BigEndian.Uint16(addr[2:]))
			return goOn
		}
		// Any port: which one is known behind the call only, so it is made here.
		_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)))
		c.note(transport, portOf(fd))
		return answer{id: q.id, errno: -int32(errno)}
	}
	port := portOf(fd)
	if port == 0 {
		bindAny(fd)
		port = portOf(fd)
	}
	c.note(transport, port)
	return goOn
}

func (c *Command) note(transport uint8, port uint16) {
	if port != 0 {
		c.mu.Lock()
		c.ports[socket{transport, port}] = true
		c.mu.Unlock()
	}
}

// borrow returns our own descriptor of a file that a thread has open.
func borrow(thread, fd int) (int, error) {
	process, err := processOf(thread)
	if err != nil {
		return -1, err
	}
	p, err := unix.PidfdOpen(process, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(p)
	return unix.PidfdGetfd(p, fd, 0)
}

// processOf returns the process that a thread is one of.
func processOf(thread int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var process int
		if rest, ok := strings.CutPrefix(lines.Text(), "Tgid:"); ok {
			_, err := fmt.Sscan(rest, &process)
			return process, err
		}
	}
	return 0, errors.New("it does not say which process it is of")
}

// transportOf returns the transport of a socket; false for other files, and for what has
// no ports.
func transportOf(fd int) (uint8, bool) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_INET && domain != unix.AF_INET6 {
		return 0, false
	}
	switch protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); {
	case err == nil && (protocol == TCP || protocol == unix.IPPROTO_MPTCP): // which is TCP on the wire
		return TCP, true
	case err == nil && protocol == UDP:
		return UDP, true
	}
	return 0, false
}

// portOf returns the port that a socket has, or 0.
func portOf(fd int) uint16 {
	switch a, _ := unix.Getsockname(fd); a := a.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port)
	case *unix.SockaddrInet6:
		return uint16(a.Port)
	}
	return 0
}

// bindAny gives a socket a port, as the call would that it is about to make.
func bindAny(fd int) {
	if domain, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); domain == unix.AF_INET {
		_ = unix.Bind(fd, &unix.SockaddrInet4{}) // where that fails, the call says why
		return
	}
	_ = unix.Bind(fd, &unix.SockaddrInet6{})
}

// address reads a sockaddr_in or sockaddr_in6 of a process.
func address(pid int, at, size uint64) ([]byte, error) {
	if size < unix.SizeofSockaddrInet4 || size > unix.SizeofSockaddrAny {
		return nil, errors.New("no address of IP")
	}
	b := make([]byte, size)
	local := []unix.Iovec{{Base: &b[0], Len: size}}
	n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: int(size)}}, 0)
	if err != nil || n != len(b) {
		return nil, fmt.Errorf("read an address: %w", err)
	}
	return b, nil
}
