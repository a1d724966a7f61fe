//go:build race

package compare

// raced means that the race detector is on, with which all takes twenty times as long.
const raced = true
