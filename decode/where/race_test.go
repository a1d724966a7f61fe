//go:build race

package where_test

// raced tells that the race detector is on, with which pools drop what they are given.
const raced = true
