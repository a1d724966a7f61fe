//go:build race

package decode_test

// raced tells that the race detector is on, with which all takes twenty times as
// long.
const raced = true
