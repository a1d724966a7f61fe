package main

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// contain has a child end with us, whatever it started itself, and puts it into
// namespaces of its own if asked to: of processes and networks. Who is not root
// stays who he is, with rights over that network only: tcpdump and nginx would
// want to become somebody else if they were root, and there is nobody.
func contain(cmd *exec.Cmd, isolated bool) {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.SysProcAttr = attr
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if !isolated {
		return
	}
	attr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW}
	}
}

// peak returns the most memory that a process had resident. It counts from the
// fork on, so it is never less than the floor, which is what we had ourselves.
func peak(s *os.ProcessState) (peak, floor int64) {
	var self syscall.Rusage
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok || syscall.Getrusage(syscall.RUSAGE_SELF, &self) != nil {
		return 0, 0
	}
	return u.Maxrss << 10, self.Maxrss << 10
}
