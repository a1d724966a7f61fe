package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"

	"netlab/decode"
)

// memoryFlag is for the commands that decode.
func memoryFlag(size, usage string) cli.Flag {
	return &cli.StringFlag{Name: "memory", Usage: usage, Value: size}
}

// decodeMemoryFlag is for those that do nothing else.
func decodeMemoryFlag() cli.Flag {
	return memoryFlag("128MiB", "keep within about `SIZE` of memory, by giving up what has waited longest")
}

// memory returns what --memory says, and has the garbage collector keep to it.
func memory(c *cli.Context) (int64, error) {
	n, err := humanize.ParseBytes(c.String("memory"))
	if err != nil || n < decode.MinMemory || n > math.MaxInt64/2 {
		return 0, usagef("netlab %s: --memory wants a size of %s or more, as 512MiB; %q is none", c.Command.Name, humanize.IBytes(decode.MinMemory), c.String("memory"))
	}
	limitHeap(int64(n) / 5 * 4) // what is freed is not given back at once, and not all is heap
	return int64(n), nil
}

// limitHeap has the garbage collector keep to n bytes, unless the environment says to
// what.
func limitHeap(n int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(n)
	}
}

// maxLargePages bounds what is asked for before it is known to be needed: a kernel
// that promises no more than it has counts it.
const maxLargePages = 256 << 20

// isLarge reports whether a FILE is so large that it pays to see to the pages of the
// heap before it is decoded: below, that takes as long as it saves.
func isLarge(name string) bool {
	const large = 16 << 20
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular() && st.Size() >= large
}
