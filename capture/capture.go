// Package capture is the vocabulary of captured traffic: what a packet is, and
// where packets come from and go to.
//
// It sits at both ends of the journey: a live interface (capture/live) and a
// capture file (pcaps) are each a Source; a capture file being written and the
// decoder are each fed from one. The package knows nothing of what a packet
// says. It promises that nothing is copied on the way: a Packet lent by Next is
// the Source's own until the next call, and whoever keeps its bytes copies them,
// or has a Lender read into buffers to keep.
package capture

import (
	"errors"
	"io"
	"time"
)

// Packet is one captured record.
type Packet struct {
	// Number counts the packets of a Source from 1, as Wireshark does.
	Number int64
	// Time is when the packet was seen, in UTC.
	Time time.Time
	// Data holds the captured bytes, valid until the Source's next Next, or for
	// longer if the Source is a Lender and was told to.
	Data []byte
	// Length is the packet's size on the wire in bytes; it is larger than
	// len(Data) when the snapshot length cut the packet.
	Length int
	// Link says what Data begins with.
	Link LinkType
	// Interface is the index of the interface among those of the Source.
	Interface int
}

// Cut reports whether bytes of the packet are missing from Data.
func (p *Packet) Cut() bool { return p.Length > len(p.Data) }

var (
	// ErrIdle comes from a live Source that saw nothing for a while. The Packet
	// returned beside it has no Data and says in Time how late it is.
	ErrIdle = errors.New("no packet yet")

	// ErrDamaged means that what follows can't be read: the capture was cut
	// short or is corrupt. All packets before it were whole.
	ErrDamaged = errors.New("capture is damaged")
)

// Source is where packets come from.
type Source interface {
	// Next returns the next packet, which is valid until the call after it.
	// The end is io.EOF; ErrIdle and ErrDamaged are explained beside them.
	// After any error but ErrIdle, Next returns that error again.
	Next() (*Packet, error)
}

// Sink is where packets go.
type Sink interface {
	// WritePacket takes one packet. It keeps none of its bytes.
	WritePacket(*Packet) error
}

// Copy moves packets from src to dst until the end of src, and returns how many
// were moved. The end of src is no error.
func Copy(dst Sink, src Source) (int64, error) {
	var n int64
	for {
		p, err := src.Next()
		switch {
		case err == nil:
		case errors.Is(err, ErrIdle):
			if f, ok := dst.(Flusher); ok {
				if err := f.Flush(); err != nil {
					return n, err
				}
			}
			continue
		case errors.Is(err, io.EOF):
			return n, nil
		default:
			return n, err
		}
		if err := dst.WritePacket(p); err != nil {
			return n, err
		}
		n++
	}
}

// Flusher is a Sink that can be told to let go of what it holds, which Copy does
// whenever the Source is idle.
type Flusher interface {
	Flush() error
}

// Lender is a Source whose packets can stay longer than until its next Next, for
// others to work on them while it goes on.
type Lender interface {
	// Lend has the Source read into buffers of the caller. Whenever it needs more
	// room, Next calls swap with the buffer that holds the Data of all packets since
	// the last swap, which is the caller's from then on, and goes on in the one that
	// swap returns. Buffers can be of any length: one that is too small is replaced by
	// one of the Source's own, which then comes back in its place.
	//
	// So Data is valid until swap returns the buffer it lies in once more; the Packet
	// itself, as ever, until the next Next. The buffer in use at the end is not swapped.
	Lend(swap func(used []byte) []byte)
}

// Limit is a Source that ends after n packets of src. It is a Lender if src is.
func Limit(src Source, n int64) Source {
	l := &limited{src: src, left: n}
	if lender, ok := src.(Lender); ok {
		return struct {
			*limited
			Lender
		}{l, lender}
	}
	return l
}

type limited struct {
	src  Source
	left int64
}

func (l *limited) Next() (*Packet, error) {
	if l.left <= 0 {
		return nil, io.EOF
	}
	p, err := l.src.Next()
	if err == nil {
		l.left--
	}
	return p, err
}

// Chooser is a Source that hands on some of the packets it reads.
type Chooser interface {
	// LeftOut returns how many it has not handed on so far.
	LeftOut() int64
}
