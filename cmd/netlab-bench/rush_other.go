//go:build !linux

package main

import "context"

func rushCommand(context.Context, stdio, []string) error { return notHere }

func rushedCommand(context.Context, stdio, []string) error { return notHere }
