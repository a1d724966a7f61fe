//go:build unix

package main

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"
)

// become gives up the rights of root for those of a user, for good.
func become(name string) error {
	if syscall.Geteuid() != 0 {
		return hinted{fmt.Errorf("user: only root can become %s", name), "sudo, or leave --user away"}
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	uid, e1 := strconv.Atoi(u.Uid)
	gid, e2 := strconv.Atoi(u.Gid)
	if err := errors.Join(e1, e2); err != nil {
		return fmt.Errorf("user: become %s: %w", name, err)
	}
	// In this order: who is no longer root may not change the others.
	err = syscall.Setgroups([]int{gid})
	if err == nil {
		err = syscall.Setgid(gid)
	}
	if err == nil {
		err = syscall.Setuid(uid)
	}
	if err != nil {
		return fmt.Errorf("user: become %s: %w", name, err)
	}
	return nil
}
