//go:build !linux

package live

const hasRing = false

func openRing(Options) (Handle, error) { return nil, ErrNoEngine }

func openRings([]string, Options) (Handle, error) { return nil, ErrNoEngine }

// machineMemory is not known.
func machineMemory() int64 { return 0 }
