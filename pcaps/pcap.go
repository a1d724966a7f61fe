package pcaps

import (
	"errors"
	"io"
	"time"

	"netlab/capture"
)

// The pcap format, as in draft-ietf-opsawg-pcap.
const (
	pcapHeaderLen = 24
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	// magicModified is of the patched libpcap by Alexey Kuznetzov: each record
	// has 8 more bytes (interface, protocol, packet type, padding).
	magicModified = 0xa1b2cd34
)

// pcapState is what the header of a pcap file said.
type pcapState struct {
	recordLen int  // of a record's header
	nano      bool // the fraction is in nanoseconds
	swapped   bool // before version 2.3 the two lengths were the other way round
	perhaps   bool // in 2.3 they may be
	header    [pcapHeaderLen]byte
}

// pcapMagic tells whether head begins a pcap file, and how it is to be read.
func (r *Reader) pcapMagic(head []byte) bool {
	for _, order := range []order{littleEndian, bigEndian} {
		switch order.u32(head) {
		case magicMicro:
			r.pcap.recordLen = 16
		case magicNano:
			r.pcap.recordLen, r.pcap.nano = 16, true
		case magicModified:
			r.pcap.recordLen = 24
		default:
			continue
		}
		r.order = order
		return true
	}
	return false
}

func (r *Reader) openPcap() error {
	h, err := r.win.take(pcapHeaderLen)
	if err != nil {
		return r.cut(err, "the file header")
	}
	copy(r.pcap.header[:], h)
	major, minor := r.order.u16(h[4:]), r.order.u16(h[6:])
	r.pcap.swapped = major < 2 || major == 2 && minor < 3
	r.pcap.perhaps = major == 2 && minor == 3
	r.ifaces = []Interface{{
		// The upper half holds the length of a frame check sequence and flags.
		Link:    capture.LinkType(r.order.u32(h[20:]) & 0xffff),
		SnapLen: r.order.u32(h[16:]),
	}}
	r.packet.Link = r.ifaces[0].Link
	return nil
}

func (r *Reader) nextPcap() error {
	size := r.pcap.recordLen
	b, err := r.win.ahead(size)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return err
		}
		return r.cut(err, "a record header")
	}
	h := (*[16]byte)(b)
	sec, frac := r.order.u32(h[0:]), r.order.u32(h[4:])
	n, length := r.order.u32(h[8:]), r.order.u32(h[12:])
	if r.pcap.swapped || r.pcap.perhaps && n > length {
		n, length = length, n
	}
	if n > MaxRecord {
		return damaged("the record at byte %d declares %d captured bytes, more than the %d that are possible", r.win.pos, n, MaxRecord)
	}
	size += int(n)
	if b, err = r.win.ahead(size); err != nil {
		return r.cut(err, "a packet")
	}
	r.win.skip(size)
	r.record = b[:size]
	if !r.pcap.nano {
		frac *= 1000 // a fraction beyond a second wraps here, and is then still only wrong
	}
	r.packet.Time = time.Unix(int64(sec), int64(frac)).UTC()
	r.packet.Data = b[r.pcap.recordLen:size]
	// A length below what was captured is a lie that some writers tell.
	r.packet.Length = int(max(length, n))
	return nil
}
