package pcaps

import (
	"errors"
	"io"
	"time"

	"netlab/capture"
)

// Info is what there is to be known of a capture file without decoding it.
type Info struct {
	Format      Format
	Compression string // its name; empty when the file is not compressed
	BigEndian   bool
	// Nano means that the times of a pcap file are in nanoseconds.
	Nano     bool
	Sections int // of a pcapng file

	Packets   int64
	Bytes     int64 // captured
	WireBytes int64
	FileBytes int64 // that were read, without compression
	Cut       int64 // packets that were cut by the snapshot length
	Longest   int   // captured bytes of the longest packet
	// First and Last are the earliest and the latest time; Backwards counts the packets
	// that are earlier than the one before them.
	First, Last time.Time
	Backwards   int64

	Interfaces []InterfaceInfo
	// Comments are those of the file and its interfaces, up to maxInfoComments;
	// CommentCount counts all of them, PacketComments those of packets.
	Comments       []string
	CommentCount   int64
	PacketComments int64
	// Application and OS are what wrote the file, and where.
	Application, OS, Hardware string
	// Secrets, Names and Unknown count blocks: of keys, of names for addresses, and those
	// of types that are not known here.
	Secrets, Names, Unknown int64

	// Damage says why the file could not be read to its end; empty when it was.
	Damage string
}

// InterfaceInfo is what is known of an interface.
type InterfaceInfo struct {
	Interface
	Description, Filter, OS string
	Packets                 int64
	// Statistics are what its last statistics block says; nil without one. What it does
	// not say is -1.
	Statistics *Counts
}

const (
	// maxInfoComments bounds how many comments an Info has.
	maxInfoComments = 100
	// maxInfoText bounds each of them, and each name.
	maxInfoText = 4 << 10

	blockNames = 4
)

// Inspect reads a file to its end, and says what it is. Damage is no error, but noted.
func Inspect(r *Reader) (*Info, error) {
	i := &Info{Format: r.format, Compression: r.compression, BigEndian: r.order == bigEndian, Nano: r.pcap.nano}
	see := r.OnBlock
	defer func() { r.OnBlock = see }()
	r.OnBlock = func(b Block) error {
		i.block(r, b)
		if see != nil {
			return see(b)
		}
		return nil
	}
	last := time.Time{}
	for {
		p, err := r.Next()
		switch {
		case errors.Is(err, capture.ErrIdle):
			continue
		case errors.Is(err, capture.ErrDamaged):
			i.Damage = err.Error()
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		if err != nil {
			break
		}
		i.packet(p, last)
		last = p.Time
		i.interfaces(r)
		i.Interfaces[p.Interface].Packets++
		for code := range r.Block().Options() {
			if code == OptionComment {
				i.PacketComments++
			}
		}
	}
	i.interfaces(r)
	i.FileBytes = r.Offset()
	return i, nil
}

func (i *Info) packet(p *capture.Packet, last time.Time) {
	if i.Packets == 0 || p.Time.Before(i.First) {
		i.First = p.Time
	}
	if i.Packets == 0 || p.Time.After(i.Last) {
		i.Last = p.Time
	}
	if i.Packets > 0 && p.Time.Before(last) {
		i.Backwards++
	}
	i.Packets++
	i.Bytes += int64(len(p.Data))
	i.WireBytes += int64(p.Length)
	i.Longest = max(i.Longest, len(p.Data))
	if p.Cut() {
		i.Cut++
	}
}

// interfaces takes those over that the file has declared since.
func (i *Info) interfaces(r *Reader) {
	for _, iface := range r.ifaces[len(i.Interfaces):] {
		i.Interfaces = append(i.Interfaces, InterfaceInfo{Interface: iface})
	}
}

// Codes of options, by the type of their block (draft-ietf-opsawg-pcapng).
const (
	optionHardware    = 2  // of a section
	optionOS          = 3  // of a section
	optionApplication = 4  // of a section
	optionDescription = 3  // of an interface
	optionFilter      = 11 // of an interface
	optionIfOS        = 12 // of an interface
	optionStart       = 2  // of statistics, as those that follow
	optionEndTime     = 3
	optionReceived    = 4
)

func (i *Info) block(r *Reader, b Block) {
	switch b.Type {
	case blockSection:
		i.Sections++
	case blockInterface:
		i.interfaces(r)
	case blockStatistics:
		i.interfaces(r)
		i.statistics(r, b)
	case blockSecrets:
		i.Secrets++
	case blockNames:
		i.Names++
	default:
		i.Unknown++
	}
	for code, value := range b.Options() {
		text := string(value[:min(len(value), maxInfoText)])
		switch {
		case code == OptionComment:
			if i.CommentCount++; len(i.Comments) < maxInfoComments {
				i.Comments = append(i.Comments, text)
			}
		case b.Type == blockSection && code == optionHardware:
			i.Hardware = text
		case b.Type == blockSection && code == optionOS:
			i.OS = text
		case b.Type == blockSection && code == optionApplication:
			i.Application = text
		case b.Type == blockInterface:
			i.describe(&i.Interfaces[len(i.Interfaces)-1], code, text)
		}
	}
}

func (i *Info) describe(iface *InterfaceInfo, code uint16, text string) {
	switch code {
	case optionDescription:
		iface.Description = text
	case optionFilter:
		if text != "" && text[0] == 0 { // a filter as text, and not as a program
			iface.Filter = text[1:]
		}
	case optionIfOS:
		iface.OS = text
	}
}

// statistics reads an Interface Statistics Block (section 4.6).
func (i *Info) statistics(r *Reader, b Block) {
	if len(b.Body) < 12 {
		return
	}
	n := int64(b.Order.Uint32(b.Body)) + int64(r.pcapng.base)
	if n >= int64(len(i.Interfaces)) {
		return
	}
	clock := &r.pcapng.clocks[n-int64(r.pcapng.base)]
	at := func(v []byte) time.Time {
		return clock.time(uint64(b.Order.Uint32(v))<<32 | uint64(b.Order.Uint32(v[4:])))
	}
	c := &Counts{Received: -1, Accepted: -1, IfDropped: -1, OSDropped: -1, Delivered: -1}
	counts := []*int64{&c.Received, &c.IfDropped, &c.Accepted, &c.OSDropped, &c.Delivered}
	for code, value := range b.Options() {
		switch {
		case len(value) < 8:
		case code == optionStart:
			c.Start = at(value)
		case code == optionEndTime:
			c.End = at(value)
		case code >= optionReceived && int(code-optionReceived) < len(counts):
			*counts[code-optionReceived] = int64(b.Order.Uint64(value))
		}
	}
	i.Interfaces[n].Statistics = c
}
