//go:build !linux

package main

import "context"

func paceCommand(context.Context, stdio, []string) error { return notHere }

func sleeperCommand(context.Context, stdio, []string) error { return notHere }

func captureCommand(context.Context, stdio, []string) error { return notHere }

func blastCommand(context.Context, stdio, []string) error { return notHere }
