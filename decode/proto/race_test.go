//go:build race

package proto

// raced is by how many powers of two less is done with the race detector, with which
// all takes twenty times as long.
const raced = 4
