// Package live listens on network interfaces: it is a capture.Source of packets
// as they pass.
//
// There are two engines. The ring, on Linux, is a ring of blocks that the kernel
// fills and that is read in place (AF_PACKET, TPACKET_V3): plain Go, and the one that
// costs less. The pcap engine is libpcap, through gopacket, where the program was
// built with the tag libpcap; it is the only cgo in the house, and works on other
// systems too. Without either Open says that there is no engine, and everything else
// works. A packet is lent, not copied: its bytes are the engine's own until the next
// call.
//
// The packets that a reader is too slow for wait in the kernel's buffer; what does
// not fit there is lost, and counted.
package live

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/bpf"

	"netlab/capture"
)

// Engine is a way to listen.
type Engine string

// The engines.
const (
	Auto Engine = "" // the ring where there is one, else pcap
	Ring Engine = "ring"
	Pcap Engine = "pcap"
)

// Available reports whether there is an engine.
const Available = hasRing || hasPcap

// Engines lists those that were built in, the one that Auto takes first.
func Engines() []Engine {
	var list []Engine
	if hasRing {
		list = append(list, Ring)
	}
	if hasPcap {
		list = append(list, Pcap)
	}
	return list
}

// Any is the name that stands for all interfaces.
const Any = "any"

// Options say what to listen to.
type Options struct {
	Interface string
	Engine    Engine
	SnapLen   int    // bytes of each packet to keep; 0 is DefaultSnapLen
	Filter    string // in the language of pcap-filter(7); empty is everything
	// Program takes the place of Filter where it is not nil. It is for packets as the
	// kernel has them.
	Program []bpf.RawInstruction
	// Buffer is how many bytes the kernel may keep for us, of all interfaces
	// together; 0 is DefaultBuffer().
	Buffer int
	// Immediate has packets handed on as they come and not in batches: for
	// watching.
	Immediate bool
	// Promiscuous listens to what is for others too.
	Promiscuous bool
}

// DefaultSnapLen keeps all of any packet but BIG TCP's: it is tcpdump's.
const DefaultSnapLen = 262144

const (
	// idle is how long Next waits before it says that there is nothing, and how
	// long the kernel gathers packets before it hands them on: short enough that
	// stopping and clocks are prompt.
	idle = 40 * time.Millisecond
	// immediate is how long it gathers them for who watches.
	immediate = 4 * time.Millisecond
	// settle is how long the kernel may keep a packet to itself, with some air.
	settle = idle + 10*time.Millisecond
)

// DefaultBuffer is the kernel's buffer in bytes that a capture of everything does not
// overrun here, as far as measured: 32 MiB, or less where that is more than a 64th of
// the machine's memory. More costs processor time before the first packet: the kernel
// clears it all.
func DefaultBuffer() int {
	const most, least = 32 << 20, 8 << 20
	if have := machineMemory(); have > 0 {
		return int(min(max(have/64, least), most))
	}
	return most
}

// Stats counts the packets of a Source.
type Stats struct {
	// Received counts what passed the filter, lost or not; Dropped what of that the
	// kernel had no room for; IfDropped what the interface itself lost, filter or not.
	Received, Dropped, IfDropped int64
}

// add sums up.
func (s Stats) add(t Stats) Stats {
	return Stats{s.Received + t.Received, s.Dropped + t.Dropped, s.IfDropped + t.IfDropped}
}

// Part is one interface of a Handle. Its index is Packet.Interface.
type Part struct {
	Name    string
	Link    capture.LinkType
	SnapLen int
	Stats   Stats
}

// Handle is interfaces being listened on. Its Next returns capture.ErrIdle when
// nothing came for a while, so whoever wants to stop need not wait long.
//
// Next and Close are for one goroutine at a time; the others may be called beside
// them, until Close.
type Handle interface {
	capture.Source
	// Link is what all packets of the first interface begin with.
	Link() capture.LinkType
	// Parts are the interfaces.
	Parts() []Part
	// Stats are those of all interfaces together.
	Stats() (Stats, error)
	// Stop has Next end in io.EOF behind what was seen up to now, soon.
	Stop()
	// Close ends listening. The last packet's bytes are gone with it.
	Close()
}

// Open listens on an interface.
func Open(opts Options) (Handle, error) {
	switch {
	case opts.Engine == Auto && hasRing, opts.Engine == Ring:
		h, err := openRing(opts)
		if err != nil {
			return nil, err
		}
		return h, nil
	case opts.Engine == Auto, opts.Engine == Pcap:
		return openPcap(opts)
	}
	return nil, fmt.Errorf("live: there is no engine %q", opts.Engine)
}

// OpenAll listens on several interfaces at once, as one Source in the order of time.
// They share the buffer. Only the ring can do that; Any stands for all interfaces with
// either engine.
func OpenAll(names []string, opts Options) (Handle, error) {
	if len(names) == 1 {
		opts.Interface = names[0]
		return Open(opts)
	}
	if opts.Engine == Pcap || !hasRing {
		return nil, errors.New("live: the pcap engine listens on one interface, or on any")
	}
	return openRings(names, opts)
}

// ErrNoEngine means that the program was built without a way to capture, or without
// the one asked for.
var ErrNoEngine = errors.New("this netlab was built without such a capture engine")

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
	return fmt.Sprintf("live: listen on %s: %v; there are: %s", e.Interface, e.Err, join(e.Known))
}

func (e *InterfaceError) Unwrap() error { return e.Err }

// FilterError means that a filter expression is not understood.
type FilterError struct {
	Filter string
	Err    error
}

func (e *FilterError) Error() string { return fmt.Sprintf("live: filter %q: %v", e.Filter, e.Err) }

func (e *FilterError) Unwrap() error { return e.Err }
