//go:build !libpcap || !cgo

package live

// Available reports whether there is an engine.
const Available = false

// Open listens on an interface.
func Open(Options) (Handle, error) { return nil, ErrNoEngine }
