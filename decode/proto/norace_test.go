//go:build !race

package proto

const raced = 0
