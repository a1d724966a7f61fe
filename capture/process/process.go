// Package process runs a command and knows which packets are of its sockets: those of
// the process and of all that it starts.
//
// A socket's port is learnt before its first packet leaves, so none is missed, however
// short the socket lives: the kernel holds a process of the command at the system calls
// that give a socket a port, and asks us (seccomp_unotify(2), Linux 5.6 on x86-64 and
// arm64). We bind the socket if it has no port yet, note it, and let the call go on.
// Looking into /proc from time to time would miss what is over in a millisecond, as a
// lookup is; a network namespace would leave the command without the network that is to
// be captured. No right is needed for it, but then the command can't gain any either
// (PR_SET_NO_NEW_PRIVS): sudo within it does not work unless we are root.
//
// A packet belongs to the command when one of its ports is that of such a socket. Ping
// has no ports, and what goes by io_uring is not seen.
package process

import "errors"

// ErrUnsupported means that commands can't be watched on this system.
var ErrUnsupported = errors.New("process: commands can be watched on Linux only, on x86-64 and arm64")

// Transport numbers are those of IP.
const (
	TCP = 6
	UDP = 17
)
