//go:build !linux || !(amd64 || arm64)

package process

import "os/exec"

// Command is a command under watch.
type Command struct{}

// Child is for processes that Start makes, which there are none of.
func Child() {}

// Start is not done here.
func Start(*exec.Cmd) (*Command, error) { return nil, ErrUnsupported }

// Owns reports whether a socket of the command had one of these ports.
func (*Command) Owns(transport uint8, ports ...uint16) bool { return false }

// Close ends watching.
func (*Command) Close() {}
