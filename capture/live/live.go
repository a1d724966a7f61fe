// Package live listens on network interfaces: it is a capture.Source of packets
// as they pass.
//
// The engine is libpcap, through gopacket, where the program was built with the
// tag libpcap; it is the only cgo in the house. Without it Open says that there is
// no engine, and everything else works. A packet is lent, not copied: its bytes
// are the engine's own until the next call.
package live

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"netlab/capture"
)

// ErrNoEngine means that the program was built without a way to capture.
var ErrNoEngine = errors.New("this netlab was built without a capture engine")

// PermissionError means that the interface may not be listened on.
type PermissionError struct {
	Interface string
	Err       error
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("live: listen on %s: %v", e.Interface, e.Err)
}

func (e *PermissionError) Unwrap() error { return e.Err }

// InterfaceError means that there is no such interface, or that it is down.
type InterfaceError struct {
	Interface string
	Err       error
	Known     []string // those that there are
}

func (e *InterfaceError) Error() string {
	return fmt.Sprintf("live: listen on %s: %v; there are: %s", e.Interface, e.Err, strings.Join(e.Known, ", "))
}

func (e *InterfaceError) Unwrap() error { return e.Err }

// FilterError means that a filter expression is not understood.
type FilterError struct {
	Filter string
	Err    error
}

func (e *FilterError) Error() string { return fmt.Sprintf("live: filter %q: %v", e.Filter, e.Err) }

func (e *FilterError) Unwrap() error { return e.Err }

// Options say what to listen to.
type Options struct {
	Interface string
	SnapLen   int    // bytes of each packet to keep; 0 is 262144, tcpdump's default
	Filter    string // in the language of pcap-filter(7); empty is everything
	// Buffer is the kernel's, in bytes; 0 is 64 MiB, which a busy loopback does
	// not overrun.
	Buffer int
	// Immediate has packets handed on as they come and not in batches: for
	// watching.
	Immediate bool
	// Promiscuous listens to what is for others too.
	Promiscuous bool
}

const (
	defaultSnapLen = 262144
	defaultBuffer  = 64 << 20

	// idle is how long Next waits before it says that there is nothing, and how
	// long the kernel gathers packets before it hands them on: short enough that
	// stopping and clocks are prompt.
	idle = 40 * time.Millisecond
)

// Stats counts the packets of a Source.
type Stats struct {
	// Received counts what passed the filter and was handed to the engine,
	// Dropped what the kernel had no room for, IfDropped what the interface
	// itself lost.
	Received, Dropped, IfDropped int64
}

// Interface is where can be listened.
type Interface struct {
	Name  string
	Up    bool
	Addrs []string
}

// Interfaces lists the interfaces that there are.
func Interfaces() ([]Interface, error) {
	list, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("live: list interfaces: %w", err)
	}
	var out []Interface
	for _, i := range list {
		entry := Interface{Name: i.Name, Up: i.Flags&net.FlagUp != 0}
		addrs, _ := i.Addrs() // an interface without readable addresses is still one
		for _, a := range addrs {
			entry.Addrs = append(entry.Addrs, a.String())
		}
		out = append(out, entry)
	}
	return out, nil
}

// names lists the names of interfaces, for errors.
func names() []string {
	list, err := Interfaces()
	if err != nil {
		return nil
	}
	var out []string
	for _, i := range list {
		out = append(out, i.Name)
	}
	return append(out, "any")
}

// Handle is an interface being listened on. Its Next returns capture.ErrIdle
// when nothing came for a while, so whoever wants to stop need not wait long.
type Handle interface {
	capture.Source
	// Link is what all packets begin with.
	Link() capture.LinkType
	// Stats may be asked until Close.
	Stats() (Stats, error)
	// Close ends listening. The last packet's bytes are gone with it.
	Close()
}
