//go:build !linux

package main

import "context"

func serveCommand(context.Context, stdio, []string) error { return notHere }
