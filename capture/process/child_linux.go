//go:build amd64 || arm64

package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// marker is the name of a process that is to become the command.
	marker = "netlab-command"
	// lineFD is the socket over which it hands over its end of the watch.
	lineFD = 3
	// passFlags are on the one sendmsg that is not watched: the one that hands over. No
	// other has them all.
	passFlags = unix.MSG_CONFIRM | unix.MSG_NOSIGNAL | unix.MSG_MORE | unix.MSG_DONTROUTE
)

// Child becomes the command in a process that Start made; in others it does nothing.
// It is the first thing that main does.
func Child() {
	if len(os.Args) < 3 || os.Args[0] != marker {
		return
	}
	runtime.LockOSThread() // the watch is the thread's
	err := handOver()
	if err == nil {
		err = unix.Exec(os.Args[1], os.Args[2:], os.Environ())
	}
	fmt.Fprintf(os.Stderr, "netlab: run %s: %v\n", os.Args[1], err)
	os.Exit(127)
}

// handOver has the calls of this thread watched, and gives the other side the end where
// it is asked.
func handOver() error {
	program := watched()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	install := func() (int, error) {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
		if errno != 0 {
			return -1, errno
		}
		return int(fd), nil
	}
	fd, err := install()
	if errors.Is(err, unix.EACCES) { // who has no CAP_SYS_ADMIN
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("give up gaining rights: %w", err)
		}
		fd, err = install()
	}
	if err != nil {
		return fmt.Errorf("have its calls watched: %w", err)
	}
	if err := unix.Sendmsg(lineFD, []byte{1}, unix.UnixRights(fd), nil, passFlags); err != nil {
		return fmt.Errorf("hand over the watch: %w", err)
	}
	unix.Close(fd)
	unix.CloseOnExec(lineFD)
	return nil
}

// Offsets in struct seccomp_data.
const (
	dataNumber = 0
	dataArch   = 4
)

// argument is where the lower half of a call's argument is: both systems are
// little-endian.
func argument(i uint32) uint32 { return 16 + 8*i }

// watched is the program that picks the calls to ask about: those after which a socket
// may have another port.
func watched() []unix.SockFilter {
	raw, err := bpf.Assemble([]bpf.Instruction{
		/* 0 */ bpf.LoadAbsolute{Off: dataArch, Size: 4},
		/* 1 */ bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: auditArch, SkipTrue: 15}, // to 17
		/* 2 */ bpf.LoadAbsolute{Off: dataNumber, Size: 4},
		/* 3 */ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_CONNECT, SkipTrue: 14}, // to 18
		/* 4 */ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_BIND, SkipTrue: 13},
		/* 5 */ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_LISTEN, SkipTrue: 12},
		/* 6 */ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SENDMMSG, SkipTrue: 11},
		/* 7 */ bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SENDTO, SkipTrue: 4}, // to 12
		/* 8 */ bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_SENDMSG, SkipTrue: 8}, // to 17
		/* 9 */ bpf.LoadAbsolute{Off: argument(2), Size: 4}, // sendmsg's flags
		/* 10 */ bpf.JumpIf{Cond: bpf.JumpEqual, Val: passFlags, SkipTrue: 6}, // to 17
		/* 11 */ bpf.Jump{Skip: 6}, // to 18
		/* 12 */ bpf.LoadAbsolute{Off: argument(4), Size: 4}, // sendto's address
		/* 13 */ bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 4}, // to 18
		/* 14 */ bpf.LoadAbsolute{Off: argument(4) + 4, Size: 4},
		/* 15 */ bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2}, // to 18
		/* 16 */ bpf.Jump{Skip: 0},
		/* 17 */ bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		/* 18 */ bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF},
	})
	if err != nil {
		panic("BUG: process: " + err.Error())
	}
	program := make([]unix.SockFilter, len(raw))
	for i, c := range raw {
		program[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	return program
}
