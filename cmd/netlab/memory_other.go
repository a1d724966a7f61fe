//go:build !linux

package main

// largePages is for systems whose kernel can be asked for them.
func largePages(int64) {}
