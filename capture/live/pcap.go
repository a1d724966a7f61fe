//go:build libpcap && cgo

package live

import (
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/gopacket/pcap"

	"netlab/capture"
)

const hasPcap = true

// openPcap listens through libpcap.
func openPcap(opts Options) (Handle, error) {
	if opts.SnapLen <= 0 {
		opts.SnapLen = DefaultSnapLen
	}
	h, err := activate(opts)
	if err != nil {
		return nil, classify(opts.Interface, err)
	}
	if err := setFilter(h, opts); err != nil {
		h.Close()
		return nil, &FilterError{opts.Filter, err}
	}
	return &pcapHandle{h: h, opts: opts, link: linkType(int(h.LinkType()))}, nil
}

func setFilter(h *pcap.Handle, opts Options) error {
	if opts.Program == nil {
		if opts.Filter == "" {
			return nil
		}
		return h.SetBPFFilter(opts.Filter)
	}
	code := make([]pcap.BPFInstruction, len(opts.Program))
	for i, c := range opts.Program {
		code[i] = pcap.BPFInstruction{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	return h.SetBPFInstructionFilter(code)
}

// activate opens the interface. It sets what OpenLive can't: the buffer, and a
// finite timeout without which Close would hang.
func activate(opts Options) (*pcap.Handle, error) {
	in, err := pcap.NewInactiveHandle(opts.Interface)
	if err != nil {
		return nil, err
	}
	defer in.CleanUp()
	buffer := opts.Buffer
	if buffer <= 0 {
		buffer = DefaultBuffer()
	}
	if err := errors.Join(in.SetSnapLen(opts.SnapLen), in.SetBufferSize(buffer), in.SetTimeout(idle), in.SetPromisc(opts.Promiscuous)); err != nil {
		return nil, err
	}
	if opts.Immediate {
		if err := in.SetImmediateMode(true); err != nil {
			return nil, err
		}
	}
	return in.Activate()
}

// classify tells why an interface can't be listened on.
func classify(name string, err error) error {
	text := err.Error()
	if strings.Contains(text, "ermission") || strings.Contains(text, "not permitted") {
		return &PermissionError{name, errors.New("no permission to capture")}
	}
	return &InterfaceError{name, err, names()}
}

// linkType turns the operating system's number for a link type into that of
// files: they differ for raw IP.
func linkType(dlt int) capture.LinkType {
	switch dlt {
	case 12, 14: // DLT_RAW of Linux, of OpenBSD
		return capture.LinkRaw
	}
	return capture.LinkType(dlt)
}

type pcapHandle struct {
	h       *pcap.Handle
	opts    Options
	link    capture.LinkType
	packet  capture.Packet
	stopped atomic.Pointer[time.Time]
}

func (p *pcapHandle) Link() capture.LinkType { return p.link }

func (p *pcapHandle) Parts() []Part {
	stats, _ := p.Stats() // zeros where they are not known
	return []Part{{p.opts.Interface, p.link, p.opts.SnapLen, stats}}
}

func (p *pcapHandle) Next() (*capture.Packet, error) {
	data, info, err := p.h.ZeroCopyReadPacketData()
	stopped := p.stopped.Load()
	switch {
	case err == nil && stopped != nil && info.Timestamp.After(*stopped):
		return nil, io.EOF
	case err == nil:
	case errors.Is(err, pcap.NextErrorTimeoutExpired) && stopped != nil && time.Since(*stopped) >= settle:
		return nil, io.EOF
	case errors.Is(err, pcap.NextErrorTimeoutExpired):
		return &capture.Packet{Time: time.Now().UTC()}, capture.ErrIdle
	default:
		return nil, err
	}
	p.packet.Number++
	p.packet.Time = info.Timestamp.UTC()
	p.packet.Data, p.packet.Length = data, info.Length
	p.packet.Link = p.link
	return &p.packet, nil
}

// Stop is heeded by Next, which does not wait long.
func (p *pcapHandle) Stop() {
	now := time.Now()
	p.stopped.CompareAndSwap(nil, &now)
}

func (p *pcapHandle) Stats() (Stats, error) {
	s, err := p.h.Stats()
	if err != nil {
		return Stats{}, err
	}
	return Stats{Received: int64(s.PacketsReceived), Dropped: int64(s.PacketsDropped), IfDropped: int64(s.PacketsIfDropped)}, nil
}

func (p *pcapHandle) Close() { p.h.Close() }
