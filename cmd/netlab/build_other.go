//go:build !unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup does nothing: here are no process groups, and only the shell is stopped.
func ownGroup(*exec.Cmd) {}

func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() }
