//go:build !libpcap || !cgo

package live

const hasPcap = false

func openPcap(Options) (Handle, error) { return nil, ErrNoEngine }
