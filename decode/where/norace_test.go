//go:build !race

package where_test

const raced = false
