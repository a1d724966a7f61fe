//go:build !linux

package main

import "context"

const notHere = missing("recording takes network namespaces, which only Linux has")

func record(context.Context, string, int64) (Truth, error) { return Truth{}, notHere }

func recordCommand(context.Context, stdio, []string) error { return notHere }
